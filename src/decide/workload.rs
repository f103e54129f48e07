//! The objects of a color, made from the spec: deterministic, whole, ours. Never compares and never sends.

use serde_json::{Map, Value, json};

use super::{
    intent::{Owned, OwnedKind},
    plan::digest,
};
use crate::api::{LlmRollout, labels, status::Color};

/// Name of a color's Deployment and Service.
pub fn name_of(rollout: &str, color: Color) -> String {
    format!("{rollout}-{}", color.word())
}

/// What a color is for, which decides how its pods may be exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It has no traffic while it comes up: old pods first make room, so that GPUs are never held twice.
    Candidate,
    /// It serves: whoever restarts it by hand loses no request.
    Active,
}

impl Role {
    fn strategy(self) -> Value {
        let (surge, unavailable) = match self {
            Self::Candidate => (json!(0), json!("100%")),
            Self::Active => (json!("25%"), json!("25%")),
        };
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}})
    }
}

/// The Deployment of a color at the revision that the spec wants, with the hash that tells whether it was applied.
pub fn deployment(rollout: &LlmRollout, color: Color, revision: &str, role: Role) -> Owned {
    let name = rollout.metadata.name.clone().unwrap_or_default();
    let template = &rollout.spec.release.template;
    let selector = json!({labels::ROLLOUT: name, labels::COLOR: color.word()});
    let ours = [(labels::ROLLOUT, name.as_str()), (labels::COLOR, color.word()), (labels::REVISION, revision)];
    let pod = json!(with_labels(template.pod_template.0.clone(), &ours));
    let made = digest(&pod);
    let spec = json!({
        "replicas": template.replicas.unwrap_or(1),
        "selector": {"matchLabels": selector},
        "strategy": role.strategy(),
        "template": pod,
    });
    let notes = [(labels::REVISION, revision), (labels::TEMPLATE, made.as_str())];
    owned(rollout, OwnedKind::Deployment, color, &spec, &notes)
}

/// The Service of a color. It stays as long as the rollout does, whatever the color is doing.
pub fn service(rollout: &LlmRollout, color: Color) -> Owned {
    let name = rollout.metadata.name.as_deref().unwrap_or_default();
    let port = rollout.spec.release.template.port;
    let spec = json!({
        "selector": {labels::ROLLOUT: name, labels::COLOR: color.word()},
        "ports": [{"name": "http", "port": port, "targetPort": port, "protocol": "TCP"}],
    });
    owned(rollout, OwnedKind::Service, color, &spec, &[])
}

fn owned(rollout: &LlmRollout, kind: OwnedKind, color: Color, spec: &Value, notes: &[(&str, &str)]) -> Owned {
    let rollout_name = rollout.metadata.name.as_deref().unwrap_or_default();
    let name = name_of(rollout_name, color);
    let (api_version, kind_word) = match kind {
        OwnedKind::Deployment => ("apps/v1", "Deployment"),
        OwnedKind::Service => ("v1", "Service"),
    };
    let uid = rollout.metadata.uid.as_deref().unwrap_or_default();
    let mut annotations: Map<String, Value> = notes.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
    // The owner is part of the hash: after the object was let go and taken up again it is applied once more.
    annotations.insert(labels::APPLIED.to_owned(), json!(digest(&json!([spec, uid, notes]))));
    let body = json!({
        "apiVersion": api_version,
        "kind": kind_word,
        "metadata": {
            "name": name,
            "namespace": rollout.metadata.namespace,
            "labels": {labels::ROLLOUT: rollout_name, labels::COLOR: color.word()},
            "annotations": annotations,
            "ownerReferences": [{
                "apiVersion": "llmrollout.io/v1alpha1", "kind": "LlmRollout", "name": rollout_name, "uid": uid,
                "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": spec,
    });
    Owned { kind, name, body }
}

/// An annotation of an object as it is to be.
pub fn note<'a>(owned: &'a Owned, key: &str) -> Option<&'a str> {
    owned.body.pointer("/metadata/annotations").and_then(|a| a.get(key)).and_then(Value::as_str)
}

fn with_labels(mut pod: Map<String, Value>, ours: &[(&str, &str)]) -> Map<String, Value> {
    let mut meta = take_map(&mut pod, "metadata");
    let mut all = take_map(&mut meta, "labels");
    all.extend(ours.iter().map(|(key, value)| ((*key).to_owned(), json!(value))));
    meta.insert("labels".to_owned(), Value::Object(all));
    pod.insert("metadata".to_owned(), Value::Object(meta));
    pod
}

/// The map under a key; anything else that stands there the API server would refuse anyway.
fn take_map(from: &mut Map<String, Value>, key: &str) -> Map<String, Value> {
    if let Some(Value::Object(map)) = from.remove(key) { map } else { Map::new() }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::with_labels;

    /// Changing what this pins restarts every candidate and stops upkeep of everything that serves: a release note.
    #[test]
    fn a_pod_template_gets_three_labels_and_nothing_else() {
        let serde_json::Value::Object(written) = json!({
            "metadata": {"labels": {"app": "chat"}, "annotations": {"a": "b"}},
            "spec": {"containers": [{"name": "server", "newFieldOfTomorrow": {"x": [1]}}]},
        }) else {
            panic!("an object")
        };
        let made = with_labels(written, &[("llmrollout.io/rollout", "chat")]);
        let wanted = json!({
            "metadata": {"labels": {"app": "chat", "llmrollout.io/rollout": "chat"}, "annotations": {"a": "b"}},
            "spec": {"containers": [{"name": "server", "newFieldOfTomorrow": {"x": [1]}}]},
        });
        assert_eq!(json!(made), wanted);
        assert_eq!(json!(with_labels(Map::new(), &[("a", "b")])), json!({"metadata": {"labels": {"a": "b"}}}));
    }
}
