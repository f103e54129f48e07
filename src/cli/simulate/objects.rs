//! What a cluster would hold before the story begins, made from a manifest: routers with both colors, all traffic on blue,
//! and the grants of other namespaces. Never what the operator makes itself.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    api::{
        LlmRollout, labels,
        status::Color,
        traffic::{FeatureFlagRouter, RouteRouter},
    },
    decide::{crossing, release},
    routers::{Claim, PatchKind, grant::Grant, mirror::ClassSeen},
};

/// Kind, namespace and name.
pub(super) type Key = (PatchKind, String, String);

/// Who sees to the gateways.
const CONTROLLER: &str = "simulated/controller";

/// Where a claim's object stands; the second one of two as well.
pub(super) fn keys(claim: Claim<'_>, own: &str) -> Vec<Key> {
    let (kind, first) = claim.object();
    let namespace = claim.namespace().unwrap_or(own);
    let names = std::iter::once(first).chain(claim.second());
    names.map(|name| (kind, namespace.to_owned(), name.to_owned())).collect()
}

/// The objects of all routers that a manifest names, except webhooks, which are none.
pub(super) fn routers(rollout: &LlmRollout) -> BTreeMap<Key, Value> {
    let own = rollout.metadata.namespace.as_deref().unwrap_or_default();
    let mut all: BTreeMap<Key, Value> = BTreeMap::new();
    for claim in rollout.spec.traffic.iter().filter_map(Claim::of) {
        for (n, key) in keys(claim, own).into_iter().enumerate() {
            let (place, part) = part(rollout, claim, &key, n);
            let object = all.entry(key.clone()).or_insert_with(|| empty(&key));
            add(object, &place, part);
        }
    }
    all
}

/// An object without anything of traffic.
fn empty((kind, namespace, name): &Key) -> Value {
    let names = kind.names();
    let slash = if names.group.is_empty() { "" } else { "/" };
    json!({
        "apiVersion": format!("{}{slash}{}", names.group, names.version), "kind": names.kind,
        "metadata": {"name": name, "namespace": namespace, "resourceVersion": "1", "generation": 1},
        "status": status(*kind, 1),
    })
}

/// What a gateway says of a route that it follows.
pub(super) fn status(kind: PatchKind, generation: i64) -> Value {
    let word = |what: &str| json!({"type": what, "status": "True", "reason": what, "message": "", "observedGeneration": generation});
    match kind {
        PatchKind::HttpRoute | PatchKind::GrpcRoute => json!({"parents": [{
            "parentRef": {"name": "gateway"}, "controllerName": CONTROLLER, "conditions": [word("Accepted"), word("ResolvedRefs")],
        }]}),
        PatchKind::VirtualService => {
            json!({"observedGeneration": generation, "conditions": [{"type": "Reconciled", "status": "True"}]})
        }
        _ => json!({}),
    }
}

/// Gateways that can do everything with copies.
pub(super) fn classes() -> [ClassSeen; 1] {
    let all = ["RequestMirror", "RequestMultipleMirrors", "RequestPercentageMirror"];
    [ClassSeen { controller: CONTROLLER.to_owned(), features: all.map(|f| format!("HTTPRoute{f}")).into() }]
}

/// Where in the object a claim's part stands, and the part. What stands in a list is put behind what is there.
fn part(rollout: &LlmRollout, claim: Claim<'_>, (_, namespace, name): &Key, member: usize) -> (String, Value) {
    let called = rollout.metadata.name.as_deref().unwrap_or_default();
    let colors = Color::BOTH.map(|color| release::called(rollout, color, namespace));
    match claim {
        Claim::Service(s) => {
            let key = s.key.as_deref().unwrap_or(labels::COLOR);
            ("/spec".to_owned(), json!({"selector": {"app": name, key: "blue"}, "ports": [{"port": 80}]}))
        }
        Claim::HttpRoute(r) => ("/spec/rules/-".to_owned(), rule(r, &colors)),
        Claim::GrpcRoute(r) => {
            let mut rule = rule(r, &colors);
            rule["matches"] = json!([{"method": {"service": "llm.v1.Chat"}}]);
            ("/spec/rules/-".to_owned(), rule)
        }
        Claim::VirtualService(v) => {
            let to = |name: &String, weight: i64| {
                let host = name.split_once('/').map_or(name.clone(), |(there, name)| format!("{name}.{there}"));
                json!({"destination": {"host": host}, "weight": weight})
            };
            let [blue, green] = &colors;
            let http = v.http.clone().unwrap_or_else(|| name.clone());
            ("/spec/http/-".to_owned(), json!({"name": http, "route": [to(blue, 100), to(green, 0)]}))
        }
        Claim::FeatureFlag(f) => (format!("/spec/flagSpec/flags/{}", escaped(&f.flag)), flag(f)),
        Claim::LlmInferenceService(_) => {
            let weight = if member == 0 { 100 } else { 0 };
            ("/spec".to_owned(), json!({"router": {"route": {"group": called, "weight": weight}}}))
        }
        Claim::ModelRewrite(r) => {
            let model = r.model.as_deref().unwrap_or(called);
            let targets = json!([{"modelRewrite": r.blue, "weight": 100}]);
            let rule = json!({"matches": [{"model": {"type": "Exact", "value": model}}], "targets": targets});
            ("/spec/rules/-".to_owned(), rule)
        }
        Claim::Webhook(_) => (String::new(), Value::Null),
    }
}

fn rule(router: &RouteRouter, colors: &[String; 2]) -> Value {
    let to = |name: &String, weight: i64| match name.split_once('/') {
        Some((there, name)) => json!({"name": name, "namespace": there, "port": 8000, "weight": weight}),
        None => json!({"name": name, "port": 8000, "weight": weight}),
    };
    let [blue, green] = colors;
    let name = router.rule.as_ref().unwrap_or(&router.name);
    json!({"name": name, "backendRefs": [to(blue, 100), to(green, 0)]})
}

fn flag(router: &FeatureFlagRouter) -> Value {
    let (on, off) = (router.on(), router.off());
    let fractional = json!({"fractional": [[on, 0], [off, 100]]});
    let mut asked: Vec<Value> = router.segment.iter().flatten().map(|(k, v)| json!({"==": [{"var": k}, v]})).collect();
    let targeting = match asked.len() {
        0 => fractional,
        1 => json!({"if": [asked.pop(), fractional, off]}),
        _ => json!({"if": [{"and": asked}, fractional, off]}),
    };
    json!({"state": "ENABLED", "variants": {on: true, off: false}, "defaultVariant": off, "targeting": targeting})
}

/// Puts a part at its place and makes what is missing on the way.
fn add(object: &mut Value, place: &str, part: Value) {
    let mut at = object;
    for step in place.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        if step == "-" {
            if !at.is_array() {
                *at = json!([]);
            }
            if let Some(list) = at.as_array_mut() {
                list.push(part);
            }
            return;
        }
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[step];
    }
    *at = part;
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The owners of other namespaces allow whatever the manifest refers to.
pub(super) fn grants(rollout: &LlmRollout) -> Vec<Grant> {
    let all = crossing::namespaces(rollout);
    let gateway = PatchKind::HttpRoute.names().group;
    let routes = ["HTTPRoute", "GRPCRoute"];
    let from = all.iter().flat_map(|there| {
        let route = |kind| json!({"group": gateway, "kind": kind, "namespace": there});
        let ours = json!({"group": labels::GROUP, "kind": "LlmRollout", "namespace": there});
        routes.map(route).into_iter().chain([ours])
    });
    let from: Vec<Value> = from.collect();
    let to = json!([{"group": gateway, "kind": routes[0]}, {"group": gateway, "kind": routes[1]}, {"group": "", "kind": "Service"}]);
    let object = |there: &&str| {
        json!({
            "apiVersion": format!("{gateway}/v1beta1"), "kind": "ReferenceGrant",
            "metadata": {"name": "all", "namespace": there}, "spec": {"from": from, "to": to},
        })
    };
    all.iter().map(object).filter_map(|o| Some(Grant::read(&serde_json::from_value(o).ok()?))).collect()
}
