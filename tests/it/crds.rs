//! The CRDs: the checked-in YAML is what the code generates, every field is documented and bounded, and the corpus of
//! manifests in `tests/crd` is taken or refused as it should be. Never asks a real server; the lab does, with the same files.

use std::path::Path;

use kube::CustomResourceExt;
use llmrollout::api::LlmRollout;
use serde_json::Value;

use crate::{
    files::{below, read, top, yaml},
    schema::{complaints, schema},
};

/// Formats that API servers know; they warn about others at install.
const FORMATS: &[&str] = &["int32", "int64", "double", "date-time"];

#[test]
fn the_checked_in_crds_are_those_of_the_code() {
    let generated = serde_saphyr::to_string(&LlmRollout::crd()).unwrap();
    assert!(generated.len() < 200_000, "{} bytes, less than 200 KB are allowed", generated.len());
    let mut copies = below(&top("charts"), "llmrollouts.yaml");
    copies.push(top("crds/llmrollouts.yaml"));
    for copy in copies {
        assert!(read(&copy) == generated, "{} is stale; run `make crds`", copy.display());
    }
}

#[test]
fn every_field_is_documented() {
    let mut wrong = Vec::new();
    walk(&schema(), "", &mut |at, schema| {
        let ours = !["", "apiVersion", "kind", "metadata"].contains(&at) && !at.ends_with("[]");
        if ours && schema["description"].as_str().is_none_or(str::is_empty) {
            wrong.push(format!("{at}: no description"));
        }
        if let Some(format) = schema["format"].as_str().filter(|f| !FORMATS.contains(f)) {
            wrong.push(format!("{at}: format {format} is not known to API servers"));
        }
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn everything_a_user_writes_is_bounded() {
    let mut wrong = Vec::new();
    walk(&schema()["properties"]["spec"], "spec", &mut |at, schema| match schema["type"].as_str() {
        Some("string") if ["maxLength", "pattern", "enum"].iter().all(|bound| schema[bound].is_null()) => {
            wrong.push(format!("{at}: a string without maxLength, pattern or enum"));
        }
        Some("array") if schema["maxItems"].is_null() => wrong.push(format!("{at}: a list without maxItems")),
        Some("integer" | "number") if schema["minimum"].is_null() || schema["maximum"].is_null() => {
            wrong.push(format!("{at}: a number without minimum and maximum"));
        }
        _ => {}
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn walk(schema: &Value, at: &str, visit: &mut impl FnMut(&str, &Value)) {
    visit(at, schema);
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let below = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        walk(field, &below, visit);
    }
    if schema["items"].is_object() {
        walk(&schema["items"], &format!("{at}[]"), visit);
    }
}

#[test]
fn good_manifests_are_taken() {
    let files = below(&top("tests/crd/good"), ".yaml");
    assert!(files.len() >= 5, "the corpus of good manifests is gone");
    let schema = schema();
    for file in files {
        let wrong = complaints(&schema, &one(&file));
        assert!(wrong.is_empty(), "{}: {}", file.display(), wrong.join("\n"));
    }
}

#[test]
fn bad_manifests_are_refused_with_the_expected_words() {
    let files = below(&top("tests/crd/bad"), ".yaml");
    assert!(files.len() >= 40, "the corpus of bad manifests is gone");
    let schema = schema();
    let wrong: Vec<String> = files.iter().filter_map(|file| not_refused(&schema, file)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with a file of the bad corpus: taken, or refused in other words than it expects.
fn not_refused(schema: &Value, file: &Path) -> Option<String> {
    let text = read(file);
    let expected = text.lines().next().and_then(|line| line.strip_prefix("# refused: ")).map(str::trim);
    let Some(expected) = expected else {
        return Some(format!("{}: the first line must be `# refused: words of the server`", file.display()));
    };
    let found = complaints(schema, &one(file));
    let refused = found.iter().any(|complaint| complaint.contains(expected));
    (!refused).then(|| format!("{}: expected `{expected}`, found {found:?}", file.display()))
}

fn one(file: &Path) -> Value {
    let mut documents = yaml(file);
    assert_eq!(documents.len(), 1, "{}: one document is expected", file.display());
    documents.remove(0)
}
