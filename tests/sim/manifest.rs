//! The objects a story begins with: the user's route and Services, the plainest manifest there is, a second rollout that
//! the first may depend on; and what a seed adds to the plainest manifest. Never says what happens.

use serde_json::{Value, json};

use super::{
    rng::Rng,
    store::{Store, key},
};

/// What a manifest says beyond the plainest one, as a merge patch of its spec.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    pub(crate) change: Value,
    /// Whether the rollout `base` stands beside it.
    pub(crate) base: bool,
}

impl Course {
    pub(crate) fn draw(rng: &mut Rng, shape: usize) -> Self {
        if rng.chance(25) {
            return Self { change: json!({}), base: false };
        }
        let mut change = json!({});
        steps(rng, shape, &mut change);
        around(rng, &mut change);
        let base = rng.chance(18);
        if base {
            change["dependsOn"] = json!([{"name": "base", "state": rng.pick(&["Completed", "Baked"])}]);
            change["onDependencyRollback"] = json!(rng.pick(&["Hold", "Hold", "Rollback", "Ignore"]));
        }
        Self { change, base }
    }
}

fn steps(rng: &mut Rng, shape: usize, change: &mut Value) {
    if rng.chance(70) {
        let splits: [&[i64]; 6] =
            [&[5, 20, 50, 100], &[0, 10, 100], &[0, 25, 50, 100], &[50, 100], &[100], &[20, 60, 100]];
        let whole: [&[i64]; 2] = [&[100], &[0, 100]];
        let weights = if shape == 2 { rng.pick(&whole) } else { rng.pick(&splits) };
        change["steps"] = weights.iter().map(|weight| step(rng, *weight)).collect();
    }
    let dark = change.pointer("/steps/0/weight") == Some(&json!(0));
    let mut gates = gates();
    // Either errors or latency can always take a bad revision back, or ask somebody.
    gates[0]["severity"] = json!(rng.pick(&["Rollback", "Rollback", "Rollback", "Abort", "Pause"]));
    gates[1]["severity"] = json!(rng.pick(&["Rollback", "Rollback", "Warn", "Pause"]));
    gates[2]["severity"] = json!(rng.pick(&["Rollback", "Rollback", "Warn", "Pause", "Abort"]));
    if rng.chance(15) {
        gates[1]["during"] = json!(["Steps"]);
    }
    if rng.chance(15) {
        gates[2]["during"] = json!(["Bake"]);
    }
    if rng.chance(15) {
        gates[0]["noData"]["then"] = json!("Hold");
    }
    if dark && rng.chance(70) {
        let severity = rng.pick(&["Rollback", "Pause", "Abort"]);
        gates.push(json!({"name": "silence", "metric": "requests", "equals": "0", "severity": severity, "interval": "3s", "window": "30s", "noData": {"budget": "120s"}}));
    }
    change["gates"] = json!(gates);
}

fn step(rng: &mut Rng, weight: i64) -> Value {
    let hold = rng.between(5, 12);
    let mut step = json!({"weight": weight, "hold": format!("{hold}s")});
    if rng.chance(20) {
        step["settle"] = json!("3s");
    }
    if weight > 0 && rng.chance(15) {
        step["minRequests"] = json!(rng.between(20, 60));
    }
    if weight > 0 && rng.chance(15) {
        step["maxRequests"] = json!(60);
        step["hold"] = json!("40s");
    }
    if rng.chance(15) {
        step["maxHold"] = json!("60s");
        step["onUndecided"] = json!(rng.pick(&["Hold", "Rollback", "Pause"]));
    }
    if weight > 0 && rng.chance(12) {
        step["gates"] = rng.pick(&[json!(["errors"]), json!(["p95", "errors"])]);
    }
    if rng.chance(8) {
        step["name"] = json!("named");
    }
    if rng.chance(10) {
        step["approval"] = json!({"roles": rng.pick(&[json!(["sre"]), json!(["sre", "product"])])});
    }
    step
}

/// Approvals, bakes, the end of the old color, and who decides.
fn around(rng: &mut Rng, change: &mut Value) {
    let asked = [("Start", 12), ("Step/2", 8), ("Full", 12), ("Decommission", 12)];
    let asked = asked.into_iter().filter(|(_, percent)| rng.chance(*percent));
    let asked: Vec<Value> = asked.map(|(before, _)| json!({"before": before, "roles": ["sre"]})).collect();
    if !asked.is_empty() {
        change["approvals"] = json!(asked);
    }
    let bakes = rng.pick(&[0, 0, 1, 1, 2]);
    if bakes > 0 {
        let bake =
            |n: u64, rng: &mut Rng| json!({"name": format!("bake-{n}"), "for": format!("{}s", rng.between(5, 15))});
        change["bake"] = (1..=bakes).map(|n| bake(n, rng)).collect();
    }
    if rng.chance(20) && bakes > 0 {
        change["bake"][0]["gates"] = json!(["errors"]);
    }
    if rng.chance(70) {
        let mode = rng.pick(&["ScaleToZero", "ScaleToZero", "Delete", "Delete", "Keep"]);
        change["decommission"] = json!({"mode": mode, "drain": rng.pick(&["0s", "5s", "20s", "20s"])});
    }
    if rng.chance(8) {
        change["manual"] = json!(true);
    }
    if rng.chance(25) {
        change["fastTrack"] = json!({"revisions": rng.between(1, 3), "within": "1h"});
    }
    if rng.chance(15) {
        change["rollback"] = json!({"whilePaused": true});
    }
    if rng.chance(50) {
        change["rollback"]["verify"] = json!({"quietFor": rng.pick(&["0s", "4s", "20s"])});
    }
    if rng.chance(12) {
        // Every story begins on a Friday at eight: one window is open, one opens in a minute, one closes in a minute.
        let (from, to) = rng.pick(&[("07:00", "17:00"), ("08:01", "17:00"), ("08:01", "17:00"), ("07:00", "08:01")]);
        change["window"] = json!({"timeZone": "UTC", "from": from, "to": to});
    }
}

/// As `kubectl patch --type merge` does.
pub(crate) fn merge(into: &mut Value, change: &Value) {
    let (Value::Object(into), Value::Object(change)) = (&mut *into, change) else {
        *into = change.clone();
        return;
    };
    for (key, value) in change {
        merge(into.entry(key.clone()).or_insert(Value::Null), value);
    }
}

/// The user's objects and new rollouts, nothing of ours yet.
pub(crate) fn fresh(shape: usize, base: bool) -> Store {
    let mut store = Store::default();
    store.create(&key("httproutes", "chat"), route());
    store.create(&key("services", "chat"), front("chat"));
    store.create(&key("llmrollouts", "chat"), rollout(shape));
    if base {
        store.create(&key("services", "base"), front("base"));
        store.create(&key("llmrollouts", "base"), other());
    }
    store
}

fn front(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"labels": {"team": "chat"}},
        "spec": {"selector": {"app": name, "llmrollout.io/color": "blue"}, "ports": [{"port": 80}], "type": "ClusterIP"}})
}

fn gates() -> Vec<Value> {
    let gate = |name: &str, metric: &str, max: &str| json!({"name": name, "metric": metric, "max": max, "interval": "3s", "window": "30s", "minSamples": 20, "failures": "2 of 3", "noData": {"budget": "120s"}});
    let mut p95 = gate("p95", "latency", "1.5s");
    p95["quantile"] = json!("0.95");
    vec![gate("errors", "errorRate", "1%"), p95, gate("cost", "costPerRequest", "$0.005")]
}

fn manifest(traffic: &Value, steps: &Value, gates: &[Value]) -> Value {
    json!({
        "apiVersion": "llmrollout.io/v1alpha1", "kind": "LlmRollout", "metadata": {},
        "spec": {
            "release": {"template": {
                "replicas": 2, "port": 8000, "readyTimeout": "600s",
                "podTemplate": {"spec": {"containers": [{"name": "server", "image": "chat:v1"}]}},
            }},
            "traffic": traffic,
            "steps": steps,
            "metrics": {"prices": {"input": "$0.50", "output": "$1.50"}},
            "gates": gates,
        },
    })
}

fn rollout(shape: usize) -> Value {
    let (front, split) = (json!({"service": {"name": "chat"}}), json!({"httpRoute": {"name": "chat", "rule": "chat"}}));
    let traffic = [json!([front, split]), json!([split]), json!([front])][shape].clone();
    let step = |weight: i64, hold: &str| json!({"weight": weight, "hold": hold});
    let steps = if shape == 2 {
        json!([step(100, "15s")])
    } else {
        json!([step(5, "8s"), step(20, "7s"), step(50, "6s"), step(100, "9s")])
    };
    manifest(&traffic, &steps, &gates())
}

/// The rollout that the other may depend on: small and quick.
fn other() -> Value {
    let steps = json!([{"weight": 100, "hold": "6s"}]);
    let mut rollout = manifest(&json!([{"service": {"name": "base"}}]), &steps, &gates()[..1]);
    rollout["spec"]["release"]["template"]["replicas"] = json!(1);
    rollout["spec"]["decommission"] = json!({"drain": "10s"});
    // Nobody waits for its way back before it is asked whether anything is still written.
    rollout["spec"]["rollback"] = json!({"verify": {"quietFor": "4s"}});
    rollout
}

/// A route with a rule of somebody else's before ours, and much that nobody here knows.
fn route() -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"annotations": {"team": "chat"}},
        "spec": {
            "parentRefs": [{"name": "gw", "sectionName": "https"}],
            "hostnames": ["chat.example"],
            "rules": [
                {"name": "docs", "matches": [{"path": {"type": "Exact", "value": "/docs"}}], "backendRefs": [{"name": "docs", "port": 80, "weight": 3}]},
                {"name": "chat", "timeouts": {"request": "300s"}, "filters": [{"type": "RequestHeaderModifier"}], "backendRefs": [
                    {"name": "chat-blue", "port": 8000, "weight": 100},
                    {"name": "chat-green", "port": 8000, "weight": 0},
                ]},
            ],
        },
    })
}
