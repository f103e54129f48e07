//! What was found as SARIF 2.1.0, the form that code scanning of forges reads. Never anything but the log.

use serde_json::{Value, json};

use super::{
    finding::{Finding, Rule, Severity},
    refused::{GATE_SET, NO_YAML, PLAN, RULE, SCHEMA, UNKNOWN_FIELD, UNKNOWN_KIND},
    unwise,
};

const SCHEMA_URI: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// Every rule there is, what is refused first.
pub fn rules() -> impl Iterator<Item = Rule> {
    let refused = [NO_YAML, UNKNOWN_KIND, UNKNOWN_FIELD, SCHEMA, RULE, PLAN, GATE_SET];
    refused.into_iter().chain(unwise::RULES.iter().map(|(rule, _)| *rule))
}

/// The log of one run.
pub fn log(findings: &[Finding]) -> Value {
    let about = |rule: Rule| {
        json!({
            "id": rule.id, "shortDescription": {"text": rule.about},
            "defaultConfiguration": {"level": level(rule.severity)},
        })
    };
    let driver = json!({
        "name": "kubectl-llmrollout", "version": env!("CARGO_PKG_VERSION"),
        "informationUri": env!("CARGO_PKG_REPOSITORY"), "rules": rules().map(about).collect::<Vec<_>>(),
    });
    let results: Vec<Value> = findings.iter().map(result).collect();
    let run = json!({"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results});
    json!({"$schema": SCHEMA_URI, "version": "2.1.0", "runs": [run]})
}

const fn level(severity: Severity) -> &'static str {
    severity.word()
}

fn result(finding: &Finding) -> Value {
    let region = json!({"startLine": finding.place.line, "startColumn": finding.place.column});
    let mut location = json!({
        "physicalLocation": {"artifactLocation": {"uri": uri(&finding.file)}, "region": region},
    });
    if !finding.path.is_empty() {
        location["logicalLocations"] = json!([{"fullyQualifiedName": finding.path}]);
    }
    json!({
        "ruleId": finding.rule.id, "ruleIndex": rules().position(|rule| rule == finding.rule),
        "level": level(finding.rule.severity), "message": {"text": finding.message}, "locations": [location],
    })
}

/// A path as a relative reference: what would end it, or begin another part, is written in hexadecimal.
fn uri(file: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
    let file = if file == "-" { "stdin" } else { file };
    file.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{log, rules, uri};

    #[test]
    fn a_rule_has_one_name() {
        let names: BTreeSet<&str> = rules().map(|rule| rule.id).collect();
        assert_eq!(names.len(), rules().count());
        assert_eq!(log(&[])["runs"][0]["results"], serde_json::json!([]));
    }

    #[test]
    fn a_path_is_a_reference() {
        assert_eq!((uri("-"), uri("a b/ü.yaml")), ("stdin".to_owned(), "a%20b/%C3%BC.yaml".to_owned()));
    }
}
