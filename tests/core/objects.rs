//! What users have made themselves: the route, the front Service, the operator's configuration, and the names of ours.

use llmrollout::{
    api::{labels, status::Color},
    decide::snapshot::{EndpointOffer, Offers},
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
    let rules = route["spec"]["rules"].as_array().map(Vec::as_slice).unwrap_or_default();
    let made = |rule: &&Value| rule["name"].as_str().is_some_and(|name| name.starts_with("llmrollout-match."));
    let told = |rule: &Value| format!(" and {} asking {}", rule["name"], rule["matches"]);
    rules.iter().filter(made).map(told).collect()
}

pub(crate) fn status(generation: i64) -> Value {
    json!({"parents": [{"parentRef": {"name": "gw"}, "conditions": [
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
    backends(route).get(backend).map_or(0, |b| b["weight"].as_i64().unwrap_or(1))
}

pub(crate) fn backends(route: &Value) -> &[Value] {
    let spec = &route["spec"];
    let all = if spec["http"].is_array() { &spec["http"][0]["route"] } else { &spec["rules"][0]["backendRefs"] };
    all.as_array().expect("a list")
}

/// What the operator's configuration has: one endpoint tells a number of each color, the other one for all.
pub(crate) fn offers() -> Offers {
    let endpoint = |name: &str, tells_colors| EndpointOffer { name: name.into(), tells_colors };
    let endpoints = vec![endpoint("eval", true), endpoint("nightly", false)];
    Offers { providers: vec!["default".into()], endpoints, ..Offers::default() }
}
