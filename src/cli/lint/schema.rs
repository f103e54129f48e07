//! An object held against the CRD of its kind as the API server would: strict fields, defaults, the schema, then the CEL
//! rules, each complaint in the server's words. Checks the generated schemas, never the Rust types.

use std::{collections::BTreeMap, fmt};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    CustomResourceExt,
    core::cel::{Validator, apply_defaults},
};
use serde_json::{Map, Value, json};

use crate::api::{LlmGateSet, LlmRollout, LlmRolloutOrder};

/// What has a complaint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A field that the kind does not have.
    UnknownField,
    /// A type, a bound, a pattern.
    Schema,
    /// A rule of the kind.
    Rule,
}

/// One thing that is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// What complains.
    pub of: Refusal,
    /// Where: `spec.gates[0].max`.
    pub path: String,
    /// In the server's words.
    pub words: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.of {
            Refusal::UnknownField => f.write_str(&self.words),
            Refusal::Schema | Refusal::Rule => write!(f, "{}: {}", self.path, self.words),
        }
    }
}

/// The schemas of our kinds, as they are installed.
#[derive(Clone, Debug)]
pub struct Schemas(BTreeMap<String, Value>);

impl Schemas {
    /// Those that this version installs.
    pub fn ours() -> Self {
        let crds = [LlmRollout::crd(), LlmRolloutOrder::crd(), LlmGateSet::crd()];
        Self(crds.iter().map(|crd| (crd.spec.names.kind.clone(), installed(crd))).collect())
    }

    /// Each kind with its schema.
    pub fn kinds(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0.iter()
    }

    /// Everything that is wrong with an object that may take the place of an `old` one; the rules are asked only when the
    /// schema has no complaint, as on the server. None for a kind that is not ours.
    pub fn complaints(&self, object: &Value, old: Option<&Value>) -> Option<Vec<Complaint>> {
        let schema = self.0.get(object["kind"].as_str()?)?;
        let object = apply_defaults(schema, object);
        let mut wrong = Vec::new();
        check(schema, &object, "", &mut wrong);
        if wrong.is_empty()
            && let Err(errors) = Validator::new().validate(schema, &object, old)
        {
            let of_rule = |e: &kube::core::cel::ValidationError| Complaint {
                of: Refusal::Rule,
                path: e.field_path.clone(),
                words: e.message.clone(),
            };
            wrong.extend(errors.iter().map(of_rule));
        }
        Some(wrong)
    }
}

fn installed(crd: &CustomResourceDefinition) -> Value {
    let schema = crd.spec.versions.first().and_then(|version| version.schema.as_ref()?.open_api_v3_schema.as_ref());
    let mut schema = schema.and_then(|schema| serde_json::to_value(schema).ok()).unwrap_or_default();
    // What every object has, whether the schema says so or not.
    for word in ["apiVersion", "kind"] {
        schema["properties"][word] = json!({"type": "string"});
    }
    schema["properties"]["metadata"] = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    schema
}

/// Where a value stands, and what is said of it.
struct At<'a> {
    path: &'a str,
    wrong: &'a mut Vec<Complaint>,
}

impl At<'_> {
    fn say(&mut self, words: String) {
        self.wrong.push(Complaint { of: Refusal::Schema, path: self.path.to_owned(), words });
    }

    fn invalid(&mut self, words: &str) {
        self.say(format!("Invalid value: {} in body {words}", self.path));
    }
}

fn check(schema: &Value, value: &Value, path: &str, wrong: &mut Vec<Complaint>) {
    if value.is_null() && schema["nullable"] == true {
        return;
    }
    let mut at = At { path, wrong };
    let either = schema["x-kubernetes-int-or-string"] == true;
    let kind = if either { "integer,string" } else { schema["type"].as_str().unwrap_or_default() };
    if !kind.split(',').any(|kind| is_a(kind, value)) {
        return at.invalid(&format!("must be of type {kind}"));
    }
    if let Some(allowed) = schema["enum"].as_array().filter(|allowed| !allowed.contains(value)) {
        let allowed: Vec<String> = allowed.iter().map(Value::to_string).collect();
        at.say(format!("Unsupported value: {value}: supported values: {}", allowed.join(", ")));
    }
    match value {
        Value::Number(_) => number(schema, value, &mut at),
        Value::String(text) => string(schema, text, &mut at),
        Value::Array(items) => list(schema, items, &mut at),
        Value::Object(fields) => object(schema, fields, &mut at),
        Value::Null | Value::Bool(_) => {}
    }
}

fn is_a(kind: &str, value: &Value) -> bool {
    match kind {
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    }
}

fn number(schema: &Value, value: &Value, at: &mut At<'_>) {
    // `{}` of a float writes a whole number without a fraction, as the server does.
    if let Some(least) = schema["minimum"].as_f64().filter(|least| value.as_f64() < Some(*least)) {
        at.invalid(&format!("should be greater than or equal to {least}"));
    }
    if let Some(most) = schema["maximum"].as_f64().filter(|most| value.as_f64() > Some(*most)) {
        at.invalid(&format!("should be less than or equal to {most}"));
    }
}

fn string(schema: &Value, text: &str, at: &mut At<'_>) {
    let length = count(text.chars().count());
    if let Some(most) = schema["maxLength"].as_u64().filter(|most| length > *most) {
        at.say(format!("Too long: may not be more than {most} bytes"));
    }
    if let Some(least) = schema["minLength"].as_u64().filter(|least| length < *least) {
        at.invalid(&format!("should be at least {least} chars long"));
    }
    if let Some(pattern) = schema["pattern"].as_str().filter(|pattern| !matches(pattern, text)) {
        at.invalid(&format!("should match '{pattern}'"));
    }
}

/// Patterns are matched by the evaluator of the rules, so that no other regular expressions come into play.
fn matches(pattern: &str, text: &str) -> bool {
    let rule = format!("self.matches({})", Value::String(pattern.to_owned()));
    let schema = json!({"type": "string", "x-kubernetes-validations": [{"rule": rule, "message": "no"}]});
    Validator::new().validate(&schema, &json!(text), None).is_ok()
}

fn list(schema: &Value, items: &[Value], at: &mut At<'_>) {
    let length = count(items.len());
    if let Some(least) = schema["minItems"].as_u64().filter(|least| length < *least) {
        at.say(format!("Invalid value: {length}: {} in body should have at least {least} items", at.path));
    }
    if let Some(most) = schema["maxItems"].as_u64().filter(|most| length > *most) {
        at.say(format!("Too many: {length}: must have at most {most} items"));
    }
    for (n, item) in items.iter().enumerate() {
        check(&schema["items"], item, &format!("{}[{n}]", at.path), at.wrong);
    }
    let keys: Vec<&str> =
        schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let key = |item: &Value| keys.iter().map(|key| item[*key].to_string()).collect::<Vec<_>>().join(", ");
    for (n, item) in items.iter().enumerate().filter(|_| !keys.is_empty()) {
        if items.iter().take(n).any(|earlier| key(earlier) == key(item)) {
            let path = format!("{}[{n}]", at.path);
            let words = format!("Duplicate value: {}", key(item));
            at.wrong.push(Complaint { of: Refusal::Schema, path, words });
        }
    }
}

fn object(schema: &Value, fields: &Map<String, Value>, at: &mut At<'_>) {
    let path = at.path;
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            at.wrong.push(Complaint { of: Refusal::Schema, path: below(name), words: "Required value".to_owned() });
        }
    }
    if let Some(least) = schema["minProperties"].as_u64().filter(|least| count(fields.len()) < *least) {
        at.say(format!("Invalid value: {}: {path} in body should have at least {least} properties", fields.len()));
    }
    if let Some(most) = schema["maxProperties"].as_u64().filter(|most| count(fields.len()) > *most) {
        at.say(format!("Too many: {}: must have at most {most} items", fields.len()));
    }
    for (name, value) in fields {
        let path = below(name);
        match (schema["properties"].get(name), schema.get("additionalProperties")) {
            (Some(field), _) | (None, Some(field)) => check(field, value, &path, at.wrong),
            (None, None) if schema["x-kubernetes-preserve-unknown-fields"] == true => {}
            (None, None) => {
                let words = format!("strict decoding error: unknown field \"{path}\"");
                at.wrong.push(Complaint { of: Refusal::UnknownField, path, words });
            }
        }
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
