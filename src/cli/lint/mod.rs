//! `lint FILE…`: everything that the API server or the operator would refuse, and what is legal and unwise, each with a
//! rule, a place and what to write instead. Never asks a cluster; the schema and its rules are this version's own.

pub mod finding;
pub mod place;
pub mod refused;
pub mod sarif;
pub mod schema;
pub mod unwise;

use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use self::{
    finding::{Finding, Rule, Severity},
    place::{Document, Place},
    refused::{Kind, NO_YAML, UNKNOWN_KIND},
    schema::Schemas,
    unwise::Look,
};
use super::{
    Said,
    document::{self, Form},
    error::CliError,
    manifest::{self, Manifest},
    table::clean,
    traffic::Known,
    wish::Given,
};
use crate::{
    api::{LlmGateSet, LlmRollout},
    decide::{
        plan::Plan,
        snapshot::{Around, GateSetSeen, GateSets},
    },
};

/// How what was found is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// A line each.
    Text,
    /// One document.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
}

/// What is to be linted, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Linted {
    /// The files; `-` is standard input.
    pub files: Vec<PathBuf>,
    /// What was typed of the traffic.
    pub given: Given,
    /// A warning is a refusal too.
    pub strict: bool,
    /// How it is told.
    pub report: Report,
}

/// Reads the files and tells what is wrong with them.
pub fn lint(linted: &Linted) -> Result<Said, CliError> {
    let files = linted
        .files
        .iter()
        .map(|path| Ok((path.display().to_string(), manifest::text(path)?)))
        .collect::<Result<Vec<_>, CliError>>()?;
    let looked = look(&files, &linted.given);
    let worst = if linted.strict { Severity::Warning } else { Severity::Error };
    let refused = looked.findings.iter().any(|finding| finding.rule.severity <= worst);
    let out = match linted.report {
        Report::Text => text(&looked),
        Report::Json => document::write(&summary(&looked), Form::Json)?,
        Report::Sarif => document::write(&sarif::log(&looked.findings), Form::Json)?,
    };
    Ok(Said { refused, ..Said::out(out) })
}

/// What a look at files found.
#[derive(Clone, Debug, Default)]
pub struct Looked {
    /// What is wrong, in order.
    pub findings: Vec<Finding>,
    /// How many objects of ours there are.
    pub objects: usize,
}

/// Looks at files, each with its name; sets of gates count for all of them.
pub fn look(files: &[(String, String)], given: &Given) -> Looked {
    let mut looked = Looked::default();
    let mut documents = Vec::new();
    for (file, text) in files {
        match place::read(text) {
            Ok(found) => documents.extend(found.into_iter().map(|document| (file, document))),
            Err((place, words)) => looked.add(NO_YAML, file, place, String::new(), words),
        }
    }
    let sets = gate_sets(&documents);
    let schemas = Schemas::ours();
    for (file, document) in &documents {
        let kind = match refused::kind(document) {
            Ok(Kind::Other) => continue,
            Ok(kind) => kind,
            Err(words) => {
                looked.add(UNKNOWN_KIND, file, document.place("kind"), "kind".to_owned(), words);
                continue;
            }
        };
        looked.objects += 1;
        let mut found = refused::by_the_server(&schemas, document);
        // What the server refuses has no plan.
        if found.is_empty() && matches!(kind, Kind::Rollout) {
            found = of_rollout(document, &sets, given);
        }
        for (rule, path, words) in found {
            looked.add(rule, file, document.place(&path), path, words);
        }
    }
    looked.findings.sort_by(Finding::order);
    looked
}

impl Looked {
    fn add(&mut self, rule: Rule, file: &str, place: Place, path: String, message: String) {
        self.findings.push(Finding { rule, file: file.to_owned(), place, path, message });
    }

    /// How many are so bad.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.rule.severity == severity).count()
    }
}

fn gate_sets(documents: &[(&String, Document)]) -> GateSets {
    let of = |(_, document): &(&String, Document)| match refused::kind(document) {
        Ok(Kind::GateSet) => {
            let set: LlmGateSet = typed(document)?;
            Some((set.metadata.name?, GateSetSeen::There(set.spec.gates)))
        }
        _ => None,
    };
    documents.iter().filter_map(of).collect()
}

fn of_rollout(document: &Document, sets: &GateSets, given: &Given) -> Vec<(Rule, String, String)> {
    let Some(rollout) = typed::<LlmRollout>(document) else { return Vec::new() };
    let missing = refused::sets_not_given(&rollout, &|set| sets.contains_key(set));
    if !missing.is_empty() {
        return missing;
    }
    let manifest = Manifest { rollout, sets: sets.clone() };
    let (offers, price_list) = (manifest.offers(), manifest.price_list());
    let around = Around { price_list: &price_list, ..Around::new(&manifest.sets, &offers) };
    match Plan::read(&manifest.rollout.spec, around) {
        Err(wrong) => vec![refused::by_the_operator(&manifest.rollout, &wrong)],
        Ok(plan) => {
            let traffic = Known::of(given, None);
            unwise::find(&Look { rollout: &manifest.rollout, plan: &plan, traffic: traffic.as_ref() })
        }
    }
}

fn typed<T: DeserializeOwned>(document: &Document) -> Option<T> {
    serde_json::from_value(document.value.clone()).ok()
}

fn text(looked: &Looked) -> String {
    let lines: String = looked.findings.iter().map(|finding| clean(&finding.to_string()) + "\n").collect();
    let told = |severity: Severity| {
        let count = looked.count(severity);
        format!("{count} {}{}", severity.word(), if count == 1 { "" } else { "s" })
    };
    let counts = [Severity::Error, Severity::Warning, Severity::Note].map(told).join(", ");
    let objects = if looked.objects == 1 { "1 object".to_owned() } else { format!("{} objects", looked.objects) };
    format!("{lines}{objects}: {counts}\n")
}

fn summary(looked: &Looked) -> Value {
    let findings: Vec<Value> = looked.findings.iter().map(one).collect();
    json!({
        "objects": looked.objects, "findings": findings,
        "errors": looked.count(Severity::Error), "warnings": looked.count(Severity::Warning),
        "notes": looked.count(Severity::Note),
    })
}

fn one(finding: &Finding) -> Value {
    json!({
        "rule": finding.rule.id, "severity": finding.rule.severity.word(), "file": finding.file,
        "line": finding.place.line, "column": finding.place.column, "path": finding.path, "message": finding.message,
    })
}
