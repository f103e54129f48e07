//! `convert`: analyses of others in `tests/convert`, with what became of them beside it: gates that no reader of ours
//! refuses, and every word about what was lost. `UPDATE=1 cargo test` rewrites that.

#![expect(clippy::disallowed_methods, reason = "UPDATE=1 asks for new golden files")]

use std::{fs, process::Command};

use llmrollout::cli::{lint, wish::Given};
use serde_json::Value;

use crate::files::{below, top};

fn run(words: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_kubectl-llmrollout")).current_dir(top("")).args(words).output().unwrap();
    let [out, note] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.code(), out, note)
}

#[test]
fn what_others_wrote_becomes_gates_and_what_is_lost_is_said() {
    let files = below(&top("tests/convert"), ".yaml");
    assert!(files.len() >= 2);
    for file in files {
        let (code, set, lost) = run(&["convert", file.to_str().unwrap()]);
        assert_eq!(code, Some(0), "{lost}");
        let said = format!("{set}---\n{lost}");
        let golden = file.with_extension("out");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&golden, &said).unwrap();
        }
        assert!(fs::read_to_string(&golden).unwrap_or_default() == said, "{}:\n{said}", golden.display());
        // A rollout that takes the set over is refused by nobody.
        let rollout = fs::read_to_string(top("tests/crd/good/gates-of-a-set.yaml")).unwrap();
        let name = set.lines().find_map(|line| line.trim().strip_prefix("name: ")).unwrap();
        let rollout = rollout.replace("org-defaults", name);
        let texts = [("set".to_owned(), set), ("rollout".to_owned(), rollout)];
        let looked = lint::look(&texts, &Given::default());
        assert_eq!(looked.count(lint::finding::Severity::Error), 0, "{:#?}", looked.findings);
    }
}

#[test]
fn machines_read_what_was_lost_too() {
    let (code, out, _) = run(&["convert", "tests/convert/argo.yaml", "--name", "mine", "-ojson"]);
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &json["gateSet"]["metadata"]["name"]), (Some(0), &"mine".into()));
    assert!(json["notCarriedOver"].as_array().is_some_and(|lost| lost.len() >= 5), "{json}");
    let (code, _, said) = run(&["convert", "tests/crd/good/everything.yaml"]);
    assert_eq!((code, said.contains("nothing to convert")), (Some(2), true), "{said}");
}
