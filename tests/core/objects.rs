//! What users have made themselves: the route, the front Service, the operator's configuration, and the names of ours.

use llmrollout::{
    api::{labels, status::Color},
    decide::snapshot::{EndpointOffer, Offers},
    routers::mirror::ClassSeen,
};
use serde_json::{Value, json};

/// The color whose object this is.
pub(crate) fn color_of(name: &str) -> Color {
    if name.ends_with("-blue") { Color::Blue } else { Color::Green }
}

/// A user's route with both colors.
pub(crate) fn route(blue: i64, green: i64) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": "chat", "namespace": "llm", "resourceVersion": "1", "generation": 1},
        "spec": {
            "parentRefs": [{"name": "gw"}],
            "rules": [{"backendRefs": [
                {"name": "chat-blue", "port": 8000, "weight": blue},
                {"name": "chat-green", "port": 8000, "weight": green},
            ]}],
        },
        "status": status(1),
    })
}

/// The same for gRPC.
pub(crate) fn grpc_route(blue: i64, green: i64) -> Value {
    let mut all = route(blue, green);
    all["kind"] = json!("GRPCRoute");
    all["spec"]["rules"][0]["matches"] = json!([{"method": {"service": "llm.v1.Chat"}}]);
    all
}

/// The same in Istio's words.
pub(crate) fn virtual_service(blue: i64, green: i64) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "chat", "namespace": "llm", "resourceVersion": "1", "generation": 1},
        "spec": {
            "hosts": ["chat"],
            "http": [{"route": [
                {"destination": {"host": "chat-blue", "port": {"number": 8000}}, "weight": blue},
                {"destination": {"host": "chat-green", "port": {"number": 8000}}, "weight": green},
            ]}],
        },
    })
}

/// What a dark step has put beside the shares, in words.
pub(crate) fn beside(route: &Value) -> String {
    let Some(rules) = route["spec"]["rules"].as_array() else { return String::new() };
    let made = |rule: &&Value| rule["name"].as_str().is_some_and(|name| name.starts_with("llmrollout-match."));
    let told = |rule: &Value| format!(" and {} asking {}", rule["name"], rule["matches"]);
    let filters = rules[0]["filters"].as_array().into_iter().flatten();
    let copies = filters.filter_map(|f| f.get("requestMirror")).map(|mirror| format!(", copies {mirror}"));
    copies.chain(rules.iter().filter(made).map(told)).collect()
}

/// A gateway that can do everything with copies.
pub(crate) fn all_features() -> [ClassSeen; 1] {
    let features =
        ["RequestMirror", "RequestMultipleMirrors", "RequestPercentageMirror"].map(|f| format!("HTTPRoute{f}"));
    [ClassSeen { controller: "gw.example/controller".to_owned(), features: features.into() }]
}

/// A flag that nobody has yet, and one of others beside it.
pub(crate) fn feature_flag(off: i64, on: i64) -> Value {
    json!({
        "apiVersion": "core.openfeature.dev/v1beta1", "kind": "FeatureFlag",
        "metadata": {"name": "chat", "namespace": "llm", "resourceVersion": "1", "generation": 1},
        "spec": {"flagSpec": {"flags": {
            "dark-mode": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "on"},
            "new-model": {
                "state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off",
                "targeting": {"fractional": [["on", on], ["off", off]]},
            },
        }}},
    })
}

/// A member of KServe's group `chat`.
pub(crate) fn member(name: &str, weight: i64) -> Value {
    json!({
        "apiVersion": "serving.kserve.io/v1alpha2", "kind": "LLMInferenceService",
        "metadata": {"name": name, "namespace": "llm", "resourceVersion": "1", "generation": 1},
        "spec": {
            "model": {"name": "chat", "uri": "hf://example/chat"},
            "router": {"route": {"group": "chat", "weight": weight}, "scheduler": {}},
        },
    })
}

/// An llm-d rewrite of what clients call `chat`; a model without traffic is no target.
pub(crate) fn rewrite(blue: i64, green: i64) -> Value {
    let target = |(model, weight): (&str, i64)| json!({"modelRewrite": model, "weight": weight});
    let targets: Vec<Value> =
        [("chat-v1", blue), ("chat-v2", green)].into_iter().filter(|t| t.1 > 0).map(target).collect();
    json!({
        "apiVersion": "llm-d.ai/v1alpha2", "kind": "InferenceModelRewrite",
        "metadata": {"name": "chat", "namespace": "llm", "resourceVersion": "1", "generation": 1},
        "spec": {
            "poolRef": {"group": "inference.networking.k8s.io", "kind": "InferencePool", "name": "chat"},
            "rules": [{"matches": [{"model": {"type": "Exact", "value": "chat"}}], "targets": targets}],
        },
    })
}

pub(crate) fn status(generation: i64) -> Value {
    json!({"parents": [{"parentRef": {"name": "gw"}, "controllerName": "gw.example/controller", "conditions": [
        {"type": "Accepted", "status": "True", "reason": "Accepted", "message": "", "observedGeneration": generation},
        {"type": "ResolvedRefs", "status": "True", "reason": "ResolvedRefs", "message": "", "observedGeneration": generation},
    ]}]})
}

pub(crate) fn front(color: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "chat", "namespace": "llm", "resourceVersion": "1"},
        "spec": {"selector": {"app": "chat", labels::COLOR: color}, "ports": [{"port": 80}]},
    })
}

/// The weight of a backend; one that is not there has none.
pub(crate) fn weight(route: &Value, backend: usize) -> i64 {
    let spec = &route["spec"];
    if let Some(targets) = spec["rules"][0]["targets"].as_array() {
        let model = format!("chat-v{}", backend + 1);
        return targets.iter().find(|t| t["modelRewrite"] == model).map_or(0, |t| t["weight"].as_i64().unwrap_or(1));
    }
    let fractional = &spec["flagSpec"]["flags"]["new-model"]["targeting"]["fractional"];
    if fractional.is_array() {
        // Green stands first there.
        return fractional[1 - backend][1].as_i64().unwrap_or(1);
    }
    backends(route).get(backend).map_or(0, |b| b["weight"].as_i64().unwrap_or(1))
}

pub(crate) fn backends(route: &Value) -> &[Value] {
    let spec = &route["spec"];
    let all = if spec["http"].is_array() { &spec["http"][0]["route"] } else { &spec["rules"][0]["backendRefs"] };
    all.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// What the operator's configuration has: one endpoint tells a number of each color, the other one for all.
pub(crate) fn offers() -> Offers {
    let endpoint = |name: &str, tells_colors| EndpointOffer { name: name.into(), tells_colors };
    let endpoints = vec![endpoint("eval", true), endpoint("nightly", false)];
    Offers { providers: vec!["default".into()], endpoints, cross_namespace: true, ..Offers::default() }
}
