//! What a tool is told to leave alone that holds objects to a Git: Argo CD's way of ignoring differences, done again on
//! each router's object. Its `jsonPointers` are taken out of both sides, one after the other, each as a patch of its own,
//! and a pointer that leads nowhere is passed over (`util/argo/normalizers/diff_normalizer.go`).

use kube::core::DynamicObject;
use llmrollout::{
    api::traffic::Router,
    routers::{self, Claim, Found},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    files::{read, top},
    objects,
};

/// One item of `ignoreDifferences`.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Ignored {
    #[serde(default)]
    group: String,
    kind: String,
    name: String,
    json_pointers: Vec<String>,
}

impl Ignored {
    fn leaves(&self, object: &Value) -> Value {
        let (group, _) = object["apiVersion"].as_str().unwrap().split_once('/').unwrap_or_default();
        let mut left = object.clone();
        if (group, &object["kind"], &object["metadata"]["name"]) == (&self.group, &json!(self.kind), &json!(self.name))
        {
            self.json_pointers.iter().for_each(|pointer| remove(&mut left, pointer));
        }
        left
    }
}

fn remove(document: &mut Value, pointer: &str) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let key = key.replace("~1", "/").replace("~0", "~");
    match document.pointer_mut(parent) {
        Some(Value::Object(fields)) => drop(fields.remove(&key)),
        Some(Value::Array(items)) => {
            let at = key.parse().unwrap_or(usize::MAX);
            if at < items.len() {
                items.remove(at);
            }
        }
        _ => {}
    }
}

fn left(all: &[Ignored], object: &Value) -> Value {
    all.iter().fold(object.clone(), |object, one| one.leaves(&object))
}

/// What we say of a router as it stands in the cluster.
fn told(item: Value, live: &[Value]) -> Vec<Ignored> {
    let item: Router = serde_json::from_value(item).unwrap();
    let claim = Claim::of(&item).unwrap();
    let service = live.first().filter(|o| o["kind"] == "Service").map(|o| serde_json::from_value(o.clone()).unwrap());
    let objects: Vec<DynamicObject> = live.iter().map(|o| serde_json::from_value(o.clone()).unwrap()).collect();
    let (object, second) = (objects.first().filter(|_| service.is_none()), objects.get(1));
    let found = Found { service: service.as_ref(), object, second, heard: None, out: None, classes: &[] };
    let seen = claim.read(["chat-blue", "chat-green"], found).state.unwrap_or_else(|t| panic!("{}", t.message));
    let text = format!("[{}]", routers::left_alone(&seen).join(", "));
    serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// Each router: how the manifest names it, how it rests in Git, how it stands at 20 %, and a place where somebody else
/// changes something.
fn cases() -> [(Value, Vec<Value>, Vec<Value>, &'static str); 7] {
    use objects::{feature_flag, front, grpc_route, member, rewrite, route, virtual_service};
    let pair = |blue, green| vec![member("chat-blue", blue), member("chat-green", green)];
    [
        (json!({"service": {"name": "chat"}}), vec![front("blue")], vec![front("green")], "/spec/selector/app"),
        (
            json!({"httpRoute": {"name": "chat"}}),
            vec![route(100, 0)],
            vec![route(80, 20)],
            "/spec/rules/0/backendRefs/1/name",
        ),
        (
            json!({"grpcRoute": {"name": "chat"}}),
            vec![grpc_route(100, 0)],
            vec![grpc_route(80, 20)],
            "/spec/rules/0/backendRefs/0/port",
        ),
        (
            json!({"virtualService": {"name": "chat"}}),
            vec![virtual_service(100, 0)],
            vec![virtual_service(80, 20)],
            "/spec/http/0/route/0/destination/host",
        ),
        (
            json!({"featureFlag": {"name": "chat", "flag": "new-model"}}),
            vec![feature_flag(100, 0)],
            vec![feature_flag(80, 20)],
            "/spec/flagSpec/flags/new-model/targeting/fractional/1/0",
        ),
        (
            json!({"llmInferenceService": {"blue": "chat-blue", "green": "chat-green"}}),
            pair(100, 0),
            pair(80, 20),
            "/spec/router/route/group",
        ),
        (
            json!({"modelRewrite": {"name": "chat", "model": "chat", "blue": "chat-v1", "green": "chat-v2"}}),
            vec![rewrite(100, 0)],
            vec![rewrite(80, 20)],
            "/spec/rules/0/matches/0/model/value",
        ),
    ]
}

#[test]
fn argo_cd_sees_no_difference_during_a_release_and_every_other_one() {
    for (item, git, live, other) in cases() {
        let ignored = told(item.clone(), &live);
        for (git, live) in git.iter().zip(&live) {
            assert_ne!(git, live, "{item}: nothing to ignore");
            assert_eq!(left(&ignored, git), left(&ignored, live), "{item}");
            let mut changed = live.clone();
            *changed.pointer_mut(other).unwrap() = json!("else");
            assert_ne!(left(&ignored, git), left(&ignored, &changed), "{item}: a change of {other} goes unseen");
        }
    }
}

/// The book has the same text: that of the Service and of the route.
#[test]
fn the_book_says_what_the_condition_says() {
    let page = read(&top("docs/gitops.md"));
    let block = page.split("```yaml\n").find(|block| block.contains("ignoreDifferences:")).unwrap();
    let written: Value = serde_saphyr::from_str(block.split("```").next().unwrap()).unwrap();
    let written: Vec<Ignored> = serde_json::from_value(written["spec"]["ignoreDifferences"].clone()).unwrap();
    let said = cases().into_iter().take(2).flat_map(|(item, _, live, _)| told(item, &live));
    let said: Vec<Ignored> = said.collect();
    assert_eq!(written, said);
}
