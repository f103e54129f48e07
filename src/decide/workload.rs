//! The objects of a color, made from the spec: deterministic, whole, ours. Never compares and never sends.

use serde_json::{Map, Value, json};

use super::{
    adopt::adopted,
    intent::{Owned, OwnedKind},
    plan::mark,
    snapshot::OwnedSeen,
};
use crate::{
    api::{LlmRollout, labels, release::Template, status::Color},
    routers::{Claim, PatchKind},
};

/// Name of a color's Deployment and Service.
pub fn name_of(rollout: &str, color: Color) -> String {
    format!("{rollout}-{}", color.word())
}

/// Name of the Deployment of a color, by which its pods are told too: ours, or the one that was taken over.
pub fn deployment_of(rollout: &LlmRollout, color: Color) -> String {
    let ours = || name_of(rollout.metadata.name.as_deref().unwrap_or_default(), color);
    adopted(rollout, color).map_or_else(ours, |adopted| adopted.deployment.clone())
}

/// A rollout whose colors we make, and what they are made of.
#[derive(Clone, Copy, Debug)]
pub struct Made<'a> {
    /// The rollout.
    pub rollout: &'a LlmRollout,
    /// Its template.
    pub template: &'a Template,
}

impl<'a> Made<'a> {
    /// None where somebody else makes them.
    pub const fn of(rollout: &'a LlmRollout) -> Option<Self> {
        match rollout.spec.release.made() {
            Some(template) => Some(Self { rollout, template }),
            None => None,
        }
    }
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

/// Counts up whenever an object is made differently from the same manifest: then it is applied once more.
const SHAPE: &str = "1";
/// The same for pod templates alone. Counting up stops the upkeep of everything that serves until its next release.
const PODS: &str = "1";

/// What tells, without making an object, whether it was applied: hashes of all that it is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    /// Of the object.
    pub applied: String,
    /// Of its pod template; empty where there is none.
    pub template: String,
}

/// The marks of a color's Deployment.
pub fn marks_of_deployment(made: Made<'_>, color: Color, revision: &str, role: Role, pods: i32) -> Marks {
    let Made { rollout, template: written } = made;
    let name = rollout.metadata.name.as_deref().unwrap_or_default();
    let template = mark(&[PODS, name, color.word(), revision]);
    // Who is scaled by somebody else is not applied anew because of it.
    let replicas = if written.autoscaler.is_some() { "scaled".to_owned() } else { pods.to_string() };
    let role = if role == Role::Active { "active" } else { "candidate" };
    Marks { applied: mark(&[SHAPE, &template, uid(rollout), &replicas, role]), template }
}

/// The marks of a color's Service.
pub fn marks_of_service(Made { rollout, template }: Made<'_>, color: Color) -> Marks {
    let name = rollout.metadata.name.as_deref().unwrap_or_default();
    let port = template.port.to_string();
    let foreign = adopted(rollout, color)
        .map(|a| mark(&a.selector.iter().flat_map(|(k, v)| [k, v]).map(String::as_str).collect::<Vec<_>>()));
    let made_from =
        [SHAPE, name, color.word(), uid(rollout), &port].into_iter().chain(protocol(rollout)).chain(foreign.as_deref());
    Marks { applied: mark(&made_from.collect::<Vec<_>>()), template: String::new() }
}

/// What gateways are to speak with the pods, where that is not what they would by themselves: gRPC needs HTTP/2, and is
/// not to be asked for on a port that answers plain HTTP as well.
fn protocol(rollout: &LlmRollout) -> Option<&'static str> {
    let claims = || rollout.spec.traffic.iter().filter_map(Claim::of).map(|claim| claim.object().0);
    let plain = |kind| matches!(kind, PatchKind::HttpRoute | PatchKind::VirtualService);
    let only_grpc = claims().any(|kind| kind == PatchKind::GrpcRoute) && !claims().any(plain);
    only_grpc.then_some("kubernetes.io/h2c")
}

/// The owner is part of every mark: after an object was let go and taken up again it is applied once more.
pub(super) fn uid(rollout: &LlmRollout) -> &str {
    rollout.metadata.uid.as_deref().unwrap_or_default()
}

/// The Deployment of a color at the revision that the spec wants, with the marks that tell whether it was applied.
pub fn deployment(made: Made<'_>, color: Color, revision: &str, role: Role, pods: i32) -> Owned {
    let rollout = made.rollout;
    let name = rollout.metadata.name.clone().unwrap_or_default();
    let selector = json!({labels::ROLLOUT: name, labels::COLOR: color.word()});
    let marks = marks_of_deployment(made, color, revision, role, pods);
    let spec = json!({
        "replicas": pods,
        "selector": {"matchLabels": selector},
        "strategy": role.strategy(),
        "template": pod(made, color, revision),
    });
    let notes = [(labels::REVISION, revision), (labels::TEMPLATE, &marks.template), (labels::APPLIED, &marks.applied)];
    owned(rollout, OwnedKind::Deployment, color, &spec, &notes)
}

/// The pods of a color at a revision.
pub(super) fn pod(Made { rollout, template }: Made<'_>, color: Color, revision: &str) -> Value {
    let name = rollout.metadata.name.as_deref().unwrap_or_default();
    let ours = [(labels::ROLLOUT, name), (labels::COLOR, color.word()), (labels::REVISION, revision)];
    json!(with_labels(template.pod_template.0.clone(), &ours))
}

/// The Service of a color. It stays as long as the rollout does, whatever the color is doing.
pub fn service(made: Made<'_>, color: Color) -> Owned {
    let Made { rollout, template } = made;
    let name = rollout.metadata.name.as_deref().unwrap_or_default();
    let number = template.port;
    let port = match protocol(rollout) {
        None => json!({"name": "http", "port": number, "targetPort": number, "protocol": "TCP"}),
        Some(app) => {
            json!({"name": "http", "port": number, "targetPort": number, "protocol": "TCP", "appProtocol": app})
        }
    };
    let spec = json!({
        "selector": adopted(rollout, color).map_or_else(|| json!({labels::ROLLOUT: name, labels::COLOR: color.word()}), |a| json!(a.selector)),
        "ports": [port],
    });
    let marks = marks_of_service(made, color);
    owned(rollout, OwnedKind::Service, color, &spec, &[(labels::APPLIED, &marks.applied)])
}

fn owned(rollout: &LlmRollout, kind: OwnedKind, color: Color, spec: &Value, notes: &[(&str, &str)]) -> Owned {
    let rollout_name = rollout.metadata.name.as_deref().unwrap_or_default();
    let name = name_of(rollout_name, color);
    let [_, _, kind_word, _] = kind.names();
    let annotations: Map<String, Value> = notes.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
    let body = json!({
        "apiVersion": kind.api_version(),
        "kind": kind_word,
        "metadata": {
            "name": name,
            "namespace": rollout.metadata.namespace,
            "labels": {labels::ROLLOUT: rollout_name, labels::COLOR: color.word()},
            "annotations": annotations,
            "ownerReferences": [{
                "apiVersion": "llmrollout.io/v1alpha1", "kind": "LlmRollout", "name": rollout_name, "uid": uid(rollout),
                "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": spec,
    });
    Owned { kind, name, body }
}

impl Owned {
    /// To be applied over what was seen, at the version that was seen: a process that slept on an old decision must not
    /// bring an old object back.
    #[must_use]
    pub(super) fn at(mut self, seen: Option<&OwnedSeen>) -> Self {
        let meta = self.body.get_mut("metadata").and_then(Value::as_object_mut);
        if let (Some(seen), Some(meta)) = (seen, meta) {
            meta.insert("resourceVersion".to_owned(), json!(seen.version));
        }
        self
    }
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

    use super::{Made, Role, deployment, marks_of_deployment, service, with_labels};
    use crate::{
        api::{LlmRollout, labels, release::Template, status::Color},
        decide::plan::digest,
    };

    fn rollout(change: impl FnOnce(&mut LlmRollout)) -> LlmRollout {
        let mut rollout: LlmRollout = serde_json::from_value(json!({
            "apiVersion": "llmrollout.io/v1alpha1", "kind": "LlmRollout",
            "metadata": {"name": "chat", "namespace": "llm", "uid": "u"},
            "spec": {"manual": true, "traffic": [{"service": {"name": "chat"}}], "release": {"template": {
                "replicas": 2, "port": 8000, "podTemplate": {"spec": {"containers": [{"name": "server", "image": "a"}]}},
            }}},
        }))
        .unwrap();
        change(&mut rollout);
        rollout
    }

    fn made(rollout: &LlmRollout) -> Made<'_> {
        Made::of(rollout).unwrap()
    }

    fn template(rollout: &mut LlmRollout) -> &mut Template {
        rollout.spec.release.template.as_mut().unwrap()
    }

    /// Whoever changes what is made counts `SHAPE` up, and `PODS` where pods change, and pins the new figures here.
    #[test]
    fn what_is_made_of_a_manifest_is_pinned() {
        let rollout = rollout(|_| {});
        let mut made =
            [deployment(made(&rollout), Color::Green, "r1", Role::Candidate, 2), service(made(&rollout), Color::Green)];
        let marks = made.each_ref().map(|o| super::note(o, labels::APPLIED).unwrap().to_owned());
        for object in &mut made {
            *object.body.pointer_mut("/metadata/annotations").unwrap() = json!({});
        }
        let bodies = made.each_ref().map(|o| digest(&o.body));
        assert_eq!(bodies, ["e4b14f1bfffd", "7d5b3c8acf4e"], "the bodies");
        assert_eq!(marks, ["b9ec66a92518", "965b8fe03266"], "the marks");
    }

    #[test]
    fn gateways_are_told_to_speak_http_2_where_all_is_grpc() {
        let ports = |traffic: serde_json::Value| {
            let rollout = rollout(|r| r.spec.traffic = serde_json::from_value(traffic).unwrap());
            let made = service(made(&rollout), Color::Green);
            let protocol = made.body.pointer("/spec/ports/0/appProtocol").cloned();
            (protocol, super::note(&made, labels::APPLIED).map(str::to_owned))
        };
        let [front, http, grpc] = ["service", "httpRoute", "grpcRoute"].map(|word| json!({word: {"name": "chat"}}));
        let plain = ports(json!([front]));
        assert_eq!(plain.0, None);
        assert_eq!(ports(json!([front, http])), plain);
        assert_eq!(ports(json!([http, grpc])), plain, "a port that answers both is asked as each route asks");
        let h2c = ports(json!([front, grpc]));
        assert_eq!(h2c.0, Some(json!("kubernetes.io/h2c")));
        assert_ne!(h2c.1, plain.1, "the mark tells them apart");
    }

    #[test]
    fn everything_that_an_object_is_made_from_is_in_its_mark() {
        type Change = fn(&mut LlmRollout);
        let mark = |rollout: &LlmRollout, revision: &str, role| {
            marks_of_deployment(
                made(rollout),
                Color::Green,
                revision,
                role,
                rollout.spec.release.made().unwrap().replicas.unwrap_or(1),
            )
        };
        let plain = mark(&rollout(|_| {}), "r1", Role::Candidate);
        let same_pods: [Change; 2] = [|r| template(r).replicas = Some(3), |r| r.metadata.uid = Some("v".into())];
        for change in same_pods {
            let other = mark(&rollout(change), "r1", Role::Candidate);
            assert_eq!(other.template, plain.template);
            assert_ne!(other.applied, plain.applied);
        }
        let role = mark(&rollout(|_| {}), "r1", Role::Active);
        assert_eq!(role.template, plain.template);
        assert_ne!(role.applied, plain.applied);
        let named = mark(&rollout(|r| r.metadata.name = Some("rag".into())), "r1", Role::Candidate);
        let released = mark(&rollout(|_| {}), "r2", Role::Candidate);
        let blue = marks_of_deployment(made(&rollout(|_| {})), Color::Blue, "r1", Role::Candidate, 2);
        for other in [named, released, blue] {
            assert_ne!(other.template, plain.template);
            assert_ne!(other.applied, plain.applied);
        }
        let port = service(made(&rollout(|r| template(r).port = 9000)), Color::Green);
        assert_ne!(
            super::note(&port, labels::APPLIED),
            super::note(&service(made(&rollout(|_| {})), Color::Green), labels::APPLIED)
        );
    }

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
