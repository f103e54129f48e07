//! What would be refused: by the API server, whose schema and rules are held against the manifest here, or by the
//! operator when it reads the plan. The words are theirs; here they get a rule's name and a place.

use kube::{Resource, ResourceExt};

use super::{
    finding::{Rule, Severity},
    place::Document,
    schema::{Refusal, Schemas},
};
use crate::{
    api::{LlmGateSet, LlmRollout, LlmRolloutOrder},
    decide::plan::Wrong,
};

/// It is no YAML.
pub const NO_YAML: Rule =
    Rule { id: "no-yaml", severity: Severity::Error, about: "The file is no YAML, or a key stands in it twice." };
/// A field that there is not.
pub const UNKNOWN_FIELD: Rule =
    Rule { id: "unknown-field", severity: Severity::Error, about: "The kind has no such field." };
/// Types and bounds.
pub const SCHEMA: Rule =
    Rule { id: "schema", severity: Severity::Error, about: "A type, a bound or a pattern of the schema is not kept." };
/// A rule of the CRD.
pub const RULE: Rule =
    Rule { id: "rule", severity: Severity::Error, about: "A rule of the CRD is broken; the API server would say so." };
/// The version is none that is served.
pub const UNKNOWN_KIND: Rule = Rule {
    id: "unknown-kind",
    severity: Severity::Error,
    about: "The group is ours, the kind or version is not served.",
};
/// What only the operator knows.
pub const PLAN: Rule = Rule {
    id: "plan",
    severity: Severity::Error,
    about: "The API server would take it, and the operator refuse it with Accepted=False.",
};
/// A set that was not given.
pub const GATE_SET: Rule = Rule {
    id: "gate-set-not-given",
    severity: Severity::Note,
    about: "A gate set stands in no file that was given, so that its gates were not looked at.",
};

/// What a document is to `lint`.
pub enum Kind {
    /// A rollout.
    Rollout,
    /// A set of gates.
    GateSet,
    /// An order.
    Order,
    /// Somebody else's.
    Other,
}

/// Which of our kinds a document is; an error when it only says so.
pub fn kind(document: &Document) -> Result<Kind, String> {
    let word = |name: &str| document.value[name].as_str().unwrap_or_default();
    let (version, kind) = (word("apiVersion"), word("kind"));
    let ours = LlmRollout::api_version(&());
    if !version.starts_with(&format!("{}/", LlmRollout::group(&()))) {
        return Ok(Kind::Other);
    }
    let known = [
        (LlmRollout::kind(&()), Kind::Rollout),
        (LlmGateSet::kind(&()), Kind::GateSet),
        (LlmRolloutOrder::kind(&()), Kind::Order),
    ];
    let names = known.each_ref().map(|(name, _)| name.to_string()).join(", ");
    match known.into_iter().find(|(name, _)| name == kind).filter(|_| version == ours) {
        Some((_, kind)) => Ok(kind),
        None => Err(format!("{version} has no kind {kind} that is served; write {ours} and one of {names}")),
    }
}

/// What the API server would say of an object: rule, path, words.
pub fn by_the_server(schemas: &Schemas, document: &Document) -> Vec<(Rule, String, String)> {
    let complaints = schemas.complaints(&document.value, None).unwrap_or_default();
    let found = complaints.into_iter().map(|complaint| match complaint.of {
        Refusal::UnknownField => (UNKNOWN_FIELD, complaint.path, complaint.words),
        Refusal::Schema => (SCHEMA, complaint.path, complaint.words),
        Refusal::Rule => (RULE, complaint.path, complaint.words),
    });
    found.collect()
}

/// What the operator would say: the path that its words begin with, and the words.
pub fn by_the_operator(rollout: &LlmRollout, wrong: &Wrong) -> (Rule, String, String) {
    let mut words = wrong.message.split(':').map(str::trim);
    let field = words.next().filter(|field| !field.contains(' ')).unwrap_or_default();
    let named = words.next().unwrap_or_default();
    let gate = rollout.spec.gates.iter().position(|gate| gate.name == named);
    let path = match (field, gate) {
        ("gates", Some(n)) => format!("spec.gates[{n}]"),
        ("", _) => "spec".to_owned(),
        (field, _) => format!("spec.{field}"),
    };
    (PLAN, path, wrong.message.clone())
}

/// Sets that a rollout takes over and that nobody gave: path and words.
pub fn sets_not_given(rollout: &LlmRollout, given: &impl Fn(&str) -> bool) -> Vec<(Rule, String, String)> {
    let sets = rollout.spec.gates.iter().enumerate().filter_map(|(n, gate)| Some((n, gate.gate_set.as_deref()?)));
    let missing = sets.filter(|(_, set)| !given(set)).map(|(n, set)| {
        let words = format!(
            "gates: the set {set} was not given, so that the plan of {} is not looked at; name its file too",
            rollout.name_any()
        );
        (GATE_SET, format!("spec.gates[{n}].gateSet"), words)
    });
    missing.collect()
}
