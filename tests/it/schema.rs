//! An object held against the CRD of its kind as the API server would: strict fields, defaults, the schema, then the CEL
//! rules, each complaint in the server's words as far as the cases need them. Checks the generated schemas, never the Rust
//! types.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    CustomResourceExt,
    core::cel::{Validator, apply_defaults},
};
use llmrollout::api::{LlmGateSet, LlmRollout, LlmRolloutOrder};
use serde_json::{Map, Value, json};

/// The CRDs that the code generates, each with the name of its file.
pub(crate) fn crds() -> [(&'static str, CustomResourceDefinition); 3] {
    [
        ("llmrollouts.yaml", LlmRollout::crd()),
        ("llmrolloutorders.yaml", LlmRolloutOrder::crd()),
        ("llmgatesets.yaml", LlmGateSet::crd()),
    ]
}

/// The schema of each of our kinds as it is installed.
pub(crate) fn schemas() -> BTreeMap<String, Value> {
    crds().into_iter().map(|(_, crd)| (crd.spec.names.kind.clone(), installed(&crd))).collect()
}

fn installed(crd: &CustomResourceDefinition) -> Value {
    let crd = serde_json::to_value(crd).unwrap();
    let mut schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
    // What every object has, whether the schema says so or not.
    let properties = schema["properties"].as_object_mut().unwrap();
    for word in ["apiVersion", "kind"] {
        properties.insert(word.into(), json!({"type": "string"}));
    }
    properties.insert("metadata".into(), json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}));
    schema
}

/// Everything that is wrong with a new object, by the schema of its kind.
pub(crate) fn complaints(schemas: &BTreeMap<String, Value>, object: &Value) -> Vec<String> {
    complaints_after(schemas, object, None)
}

/// Everything that is wrong with an object that may take the place of an `old` one; the rules are asked only when the
/// schema has no complaint, as on the server.
pub(crate) fn complaints_after(schemas: &BTreeMap<String, Value>, object: &Value, old: Option<&Value>) -> Vec<String> {
    let Some(schema) = object["kind"].as_str().and_then(|kind| schemas.get(kind)) else {
        return vec![format!("kind {} is none of ours", object["kind"])];
    };
    let object = apply_defaults(schema, object);
    let mut wrong = Vec::new();
    check(schema, &object, "", &mut wrong);
    if !wrong.is_empty() {
        return wrong;
    }
    match Validator::new().validate(schema, &object, old) {
        Ok(()) => vec![],
        Err(errors) => errors.into_vec().into_iter().map(|e| format!("{}: {}", e.field_path, e.message)).collect(),
    }
}

fn check(schema: &Value, value: &Value, at: &str, wrong: &mut Vec<String>) {
    let invalid = |words: String| format!("{at}: Invalid value: {at} in body {words}");
    if value.is_null() && schema["nullable"] == true {
        return;
    }
    let kind = schema["type"].as_str().unwrap_or_default();
    if !is_a(kind, value) {
        wrong.push(invalid(format!("must be of type {kind}")));
        return;
    }
    if let Some(allowed) = schema["enum"].as_array().filter(|allowed| !allowed.contains(value)) {
        wrong.push(format!("{at}: Unsupported value: {value}: supported values: {allowed:?}"));
    }
    match value {
        Value::Number(_) => number(schema, value, &invalid, wrong),
        Value::String(text) => string(schema, text, at, &invalid, wrong),
        Value::Array(items) => list(schema, items, at, wrong),
        Value::Object(fields) => object(schema, fields, at, wrong),
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

fn number(schema: &Value, value: &Value, invalid: &dyn Fn(String) -> String, wrong: &mut Vec<String>) {
    if schema["minimum"].as_f64().is_some_and(|least| value.as_f64() < Some(least)) {
        wrong.push(invalid(format!("should be greater than or equal to {}", schema["minimum"])));
    }
    if schema["maximum"].as_f64().is_some_and(|most| value.as_f64() > Some(most)) {
        wrong.push(invalid(format!("should be less than or equal to {}", schema["maximum"])));
    }
}

fn string(schema: &Value, text: &str, at: &str, invalid: &dyn Fn(String) -> String, wrong: &mut Vec<String>) {
    let length = text.chars().count() as u64;
    if let Some(most) = schema["maxLength"].as_u64().filter(|most| length > *most) {
        wrong.push(format!("{at}: Too long: may not be more than {most} bytes"));
    }
    if let Some(least) = schema["minLength"].as_u64().filter(|least| length < *least) {
        wrong.push(invalid(format!("should be at least {least} chars long")));
    }
    if let Some(pattern) = schema["pattern"].as_str().filter(|pattern| !matches(pattern, text)) {
        wrong.push(invalid(format!("should match '{pattern}'")));
    }
}

/// Patterns are matched by the evaluator of the rules, so that no other regular expressions come into play.
fn matches(pattern: &str, text: &str) -> bool {
    let rule = format!("self.matches({})", Value::String(pattern.to_owned()));
    let schema = json!({"type": "string", "x-kubernetes-validations": [{"rule": rule, "message": "no"}]});
    match Validator::new().validate(&schema, &json!(text), None) {
        Ok(()) => true,
        Err(errors) => {
            assert_eq!(errors[0].message, "no", "{rule}");
            false
        }
    }
}

fn list(schema: &Value, items: &[Value], at: &str, wrong: &mut Vec<String>) {
    let length = items.len() as u64;
    if let Some(least) = schema["minItems"].as_u64().filter(|least| length < *least) {
        wrong.push(format!("{at}: Invalid value: {length}: {at} in body should have at least {least} items"));
    }
    if let Some(most) = schema["maxItems"].as_u64().filter(|most| length > *most) {
        wrong.push(format!("{at}: Too many: {length}: must have at most {most} items"));
    }
    for (n, item) in items.iter().enumerate() {
        check(&schema["items"], item, &format!("{at}[{n}]"), wrong);
    }
    if let Some(keys) = schema["x-kubernetes-list-map-keys"].as_array() {
        let key = |item: &Value| keys.iter().map(|k| item[k.as_str().unwrap()].clone()).collect::<Vec<_>>();
        for (n, item) in items.iter().enumerate().filter(|(n, item)| items[..*n].iter().any(|i| key(i) == key(item))) {
            wrong.push(format!("{at}[{n}]: Duplicate value: {:?}", key(item)));
        }
    }
}

fn object(schema: &Value, fields: &Map<String, Value>, at: &str, wrong: &mut Vec<String>) {
    let below = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            wrong.push(format!("{}: Required value", below(name)));
        }
    }
    for (name, value) in fields {
        match (schema["properties"].get(name), schema.get("additionalProperties")) {
            (Some(field), _) | (None, Some(field)) => check(field, value, &below(name), wrong),
            (None, None) if schema["x-kubernetes-preserve-unknown-fields"] == true => {}
            (None, None) => wrong.push(format!("strict decoding error: unknown field \"{}\"", below(name))),
        }
    }
}
