//! How things stand in a namespace, without what differs from one run to the next: names given by the server, versions, times,
//! and the words and figures made of times. Nothing here says what is right.

use k8s_openapi::jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::kit::{
    KitError, Space,
    recipe::{ROLLOUT, ROUTE},
};

/// Fields that differ though nothing else does.
const MASKED: &[&str] = &[
    "clusterIP",
    "clusterIPs",
    "endedMessage",
    "generation",
    // Hashes of what the namespace's name stands in.
    "llmrollout.io/applied",
    "message",
    "observedGeneration",
    "query",
    "resourceVersion",
    "samples",
    "summary",
    "uid",
    "window",
];

const ROLLOUT_STATUS: &str = "/LlmRollout chat//status/";
/// Where the cause of a rollback stands.
const CAUSE: &[&str] = &["attempt/ended", "conditions/", "gates/", "history/0/", "reason"];

/// What was found of the exporter: it is told only when it was found before the pods were ready. And when pods changed: the
/// API server tells that only until something else changes, so that who was away may never hear it.
const LEFT_OUT: &[&str] = &["metrics", "podsChangedAt"];

/// Rollout, routes, Services, Deployments and records of a namespace.
pub(super) async fn of(space: &Space) -> Result<Value, KitError> {
    let mut all = Map::new();
    for (api, kind, fields) in [
        (ROLLOUT, "LlmRollout", &["/status", "/metadata/finalizers"][..]),
        (ROUTE, "HTTPRoute", &["/spec", "/metadata/annotations", "/metadata/labels"]),
        ("v1", "Service", &["/spec", "/metadata/annotations", "/metadata/labels"]),
        ("apps/v1", "Deployment", &["/spec", "/metadata/labels"]),
    ] {
        for object in space.list(api, kind).await? {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let kept: Map<_, _> = fields
                .iter()
                .map(|at| ((*at).to_owned(), masked(object.pointer(at).cloned().unwrap_or_default())))
                .collect();
            all.insert(format!("{kind} {name}"), kept.into());
        }
    }
    let records = space.list("v1", "ConfigMap").await?;
    let mut names: Vec<_> = records.iter().filter_map(|map| map["metadata"]["name"].as_str()).collect();
    names.sort_unstable();
    all.insert("records".to_owned(), json!(names));
    Ok(Value::Object(all).to_string().replace(&space.name, "here").parse().unwrap_or_default())
}

/// Takes away what costs something. The namespace stays: hundreds that go at once keep the cluster's own controllers busy.
pub(super) async fn clear(space: &Space) {
    let all = kube::api::ListParams::default();
    let at_once = kube::api::DeleteParams::default();
    for rollout in space.list(ROLLOUT, "LlmRollout").await.unwrap_or_default() {
        let name = rollout["metadata"]["name"].as_str().unwrap_or_default();
        let _ = space.merge(ROLLOUT, "LlmRollout", name, &json!({"metadata": {"finalizers": null}})).await;
    }
    for (api, kind) in [(ROLLOUT, "LlmRollout"), (ROUTE, "HTTPRoute"), ("apps/v1", "Deployment"), ("v1", "Service")] {
        // What is left ends with the lab.
        let _ = space.api(api, kind).delete_collection(&at_once, &all).await;
    }
}

fn masked(value: Value) -> Value {
    match value {
        Value::String(text) if text.parse::<Timestamp>().is_ok() => json!("a time"),
        Value::Array(all) => all.into_iter().map(masked).collect(),
        Value::Object(all) => all
            .into_iter()
            .filter(|(name, _)| !LEFT_OUT.contains(&name.as_str()))
            .map(|(name, value)| {
                let value = if MASKED.contains(&name.as_str()) { json!("masked") } else { masked(value) };
                (name, value)
            })
            .collect::<Map<_, _>>()
            .into(),
        other => other,
    }
}

/// Where two ends differ, in words. Who dies between the router and the status of a rollback finds traffic at home and does not
/// know why: that, and nothing else, is told otherwise then.
pub(super) fn differences(expected: &Value, seen: &Value) -> Vec<String> {
    let mut all = Vec::new();
    compare("", expected, seen, &mut all);
    if cause_is_lost(seen) {
        let told = |said: &String| !CAUSE.iter().any(|at| said.starts_with(&format!("{ROLLOUT_STATUS}{at}")));
        all.retain(told);
    }
    all
}

/// Whether the end is told as somebody else's doing.
pub(super) fn cause_is_lost(end: &Value) -> bool {
    end["LlmRollout chat"]["/status"]["attempt"]["ended"] == "MovedBack"
}

fn compare(at: &str, expected: &Value, seen: &Value, all: &mut Vec<String>) {
    match (expected, seen) {
        (Value::Object(left), Value::Object(right)) => {
            let names: std::collections::BTreeSet<_> = left.keys().chain(right.keys()).collect();
            for name in names {
                let of = |map: &Map<String, Value>| map.get(name).cloned().unwrap_or_default();
                compare(&format!("{at}/{name}"), &of(left), &of(right), all);
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (left, right)) in std::iter::zip(left, right).enumerate() {
                compare(&format!("{at}/{index}"), left, right, all);
            }
        }
        _ if expected == seen => {}
        _ => all.push(format!("{at}: {expected} without a crash, {seen} with one")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{differences, masked};

    #[test]
    fn what_differs_always_is_no_difference() {
        let one = masked(json!({"since": "2026-01-01T00:00:00Z", "uid": "a", "phase": "Completed", "list": [1, 2]}));
        let other = masked(json!({"since": "2026-02-01T00:00:00Z", "uid": "b", "phase": "RolledBack", "list": [1, 3]}));
        let said = differences(&one, &other);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].starts_with("/list/1: 2") && said[1].starts_with("/phase"), "{said:?}");
        assert!(differences(&one, &one).is_empty());
    }
}
