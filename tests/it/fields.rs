//! The fields of the three kinds: the page that is made of the CRDs is in step with them, and the page that is written by hand
//! names every field that a user writes. Never what the fields mean.

#![expect(clippy::disallowed_methods, reason = "UPDATE=1 asks for a new page")]

use std::fmt::Write;

use llmrollout::cli::lint::schema::Schemas;
use serde_json::Value;

use crate::files::{read, top};

/// What a field takes, in a word or a few.
fn takes(schema: &Value) -> String {
    let one = |schema: &Value| {
        if let Some(words) = schema["enum"].as_array() {
            let words: Vec<_> = words.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect();
            return words.join(", ");
        }
        if schema["x-kubernetes-int-or-string"] == true {
            return "number or string".to_owned();
        }
        schema["type"].as_str().unwrap_or("anything").to_owned()
    };
    match schema["type"].as_str() {
        Some("array") => format!("list of {}", one(&schema["items"])),
        Some("object") if schema["additionalProperties"].is_object() => {
            format!("map of {}", one(&schema["additionalProperties"]))
        }
        _ => one(schema),
    }
}

/// A row for each field below a schema, in the order of the CRD.
fn rows(schema: &Value, at: &str, page: &mut String) {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        let says = field["description"].as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|");
        let preset = match &field["default"] {
            Value::Null if required.contains(&name.as_str()) => "required".to_owned(),
            Value::Null => String::new(),
            value => format!("`{}`", value.to_string().trim_matches('"')),
        };
        writeln!(page, "| `{path}` | {} | {preset} | {} |", takes(field), says.trim()).unwrap();
        rows(field, &path, page);
        if field["items"].is_object() {
            rows(&field["items"], &format!("{path}[]"), page);
        }
    }
}

#[test]
fn the_page_of_all_fields_is_in_step() {
    let mut page = "# All fields\n\nEvery field of the three kinds, as their CRDs have it; written by `UPDATE=1 cargo test --test it fields`. What they mean together, with examples: [reference](reference.md).\n".to_owned();
    for (kind, schema) in Schemas::ours().kinds() {
        for part in ["spec", "status"] {
            if schema["properties"][part].is_object() {
                write!(page, "\n## {kind} {part}\n\n| field | takes | default | what it is |\n|---|---|---|---|\n")
                    .unwrap();
                rows(&schema["properties"][part], "", &mut page);
            }
        }
    }
    let file = top("docs/fields.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &page).unwrap();
    }
    assert!(read(&file) == page, "docs/fields.md is stale; run `UPDATE=1 cargo test --test it fields`");
}

#[test]
fn the_reference_names_every_field_that_a_user_writes() {
    let text = read(&top("docs/reference.md"));
    let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let mut missing = Vec::new();
    for (kind, schema) in Schemas::ours().kinds() {
        let mut page = String::new();
        rows(&schema["properties"]["spec"], "", &mut page);
        let paths = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        let named = |path: &&str| words.contains(&path.rsplit('.').next().unwrap_or_default().trim_end_matches("[]"));
        missing.extend(paths.filter(|path| !named(path)).map(|path| format!("{kind}: {path}")));
    }
    assert!(missing.is_empty(), "docs/reference.md does not name\n{}", missing.join("\n"));
}
