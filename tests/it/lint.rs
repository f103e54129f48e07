//! `lint`: what the API server refuses is refused offline in the same words, what is good is not, and every rule has a
//! manifest in `tests/lint` that breaks it, with what is said of it beside it. `UPDATE=1 cargo test` rewrites that.

#![expect(clippy::disallowed_methods, reason = "UPDATE=1 asks for new golden files")]

use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};

use llmrollout::cli::{
    lint::{finding::Severity, look, sarif},
    wish::Given,
};
use serde_json::Value;

use crate::files::{below, read, top};

/// Files with their names from the top of the repository.
fn texts(files: &[PathBuf]) -> Vec<(String, String)> {
    let name = |file: &PathBuf| file.strip_prefix(top("")).unwrap().display().to_string();
    files.iter().map(|file| (name(file), read(file))).collect()
}

#[test]
fn what_the_server_refuses_is_refused_offline_in_its_words() {
    let files = texts(&below(&top("tests/crd/bad"), ".yaml"));
    assert!(files.len() >= 200, "only {} bad manifests", files.len());
    let found = look(&files, &Given::default()).findings;
    let mut wrong = Vec::new();
    for (file, text) in files {
        let words = text.lines().next().and_then(|line| line.strip_prefix("# refused: ")).unwrap_or("?").trim();
        let errors: Vec<_> = found.iter().filter(|f| f.file == file && f.rule.severity == Severity::Error).collect();
        if !errors.iter().any(|f| format!("{}: {}", f.path, f.message).contains(words)) {
            wrong.push(format!("{file}: expected `{words}`, found {errors:?}"));
        }
        // A place in the file, and not only the file.
        if errors.iter().any(|f| f.place.line < 2) {
            wrong.push(format!("{file}: no line: {errors:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_good_is_not_refused() {
    let mut objects = 0;
    for folder in ["tests/crd/good", "config/samples", "examples"] {
        let looked = look(&texts(&below(&top(folder), ".yaml")), &Given::default());
        let errors: Vec<_> = looked.findings.iter().filter(|f| f.rule.severity == Severity::Error).collect();
        assert!(errors.is_empty(), "{errors:#?}");
        objects += looked.objects;
    }
    assert!(objects >= 50, "{objects}");
}

#[test]
fn every_rule_is_broken_by_a_manifest_and_says_what_it_said() {
    let (mut wrong, mut broken) = (Vec::new(), BTreeSet::new());
    for file in below(&top("tests/lint"), ".yaml") {
        let quiet = Given { rps: Some(0.2), rate: Some(0.01), rates: vec![] };
        let found = look(&texts(std::slice::from_ref(&file)), &quiet).findings;
        broken.extend(found.iter().map(|f| f.rule.id));
        let said: String = found.iter().map(|f| f.to_string() + "\n").collect();
        let golden = file.with_extension("out");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&golden, &said).unwrap();
        } else if fs::read_to_string(&golden).unwrap_or_default() != said {
            wrong.push(format!("{}:\n{said}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "changed; run with UPDATE=1 and read the diff\n{}", wrong.join("\n"));
    let unbroken: Vec<_> = sarif::rules().map(|rule| rule.id).filter(|id| !broken.contains(id)).collect();
    assert!(unbroken.is_empty(), "no manifest of tests/lint breaks {unbroken:?}");
}

#[test]
fn every_rule_is_in_the_book() {
    let page = read(&top("docs/lint.md"));
    let listed: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let expected: Vec<String> =
        sarif::rules().map(|r| format!("| `{}` | {} | {} |", r.id, r.severity.word(), r.about)).collect();
    assert_eq!(listed, expected, "docs/lint.md must list every rule in order");
}

/// The program as people and CI run it: exit code, text, JSON and SARIF.
#[test]
fn the_program_ends_with_what_it_found() {
    let run = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_kubectl-llmrollout")).current_dir(top("")).args(words).output();
        let output = output.unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (good, bad, unwise) = ("tests/crd/good/everything.yaml", "tests/lint/refused.yaml", "tests/lint/unwise.yaml");
    assert_eq!(run(&["lint", good]).0, Some(0));
    let (code, out, _) = run(&["lint", bad]);
    assert_eq!(code, Some(1), "{out}");
    assert!(
        out.contains("tests/lint/refused.yaml:8:3: error: strict decoding error: unknown field \"spec.stepz\""),
        "{out}"
    );
    assert!(!out.contains('\u{1b}'), "no colors in a pipe");
    assert_eq!(run(&["lint", unwise]).0, Some(0), "what is unwise is no refusal");
    assert_eq!(run(&["lint", "--strict", unwise]).0, Some(1));
    let (code, _, said) = run(&["lint", "no-such.yaml"]);
    assert_eq!((code, said.contains("no-such.yaml")), (Some(2), true), "{said}");
    let json: Value = serde_json::from_str(&run(&["lint", bad, "-ojson"]).1).unwrap();
    assert_eq!((&json["errors"], &json["findings"][0]["line"]), (&5.into(), &6.into()), "{json}");
    let log: Value = serde_json::from_str(&run(&["lint", bad, "-osarif"]).1).unwrap();
    let (rules, results) = (&log["runs"][0]["tool"]["driver"]["rules"], log["runs"][0]["results"].as_array().unwrap());
    assert_eq!((&log["version"], results.len()), (&"2.1.0".into(), 5));
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        let region = &result["locations"][0]["physicalLocation"]["region"];
        assert!(region["startLine"].as_u64() >= Some(1) && region["startColumn"].as_u64() >= Some(1), "{result}");
    }
}
