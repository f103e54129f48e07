//! A manifest and a status out of bytes: most of it fits together, nothing of it has to. Never what is seen around them:
//! that is `sights`.

use llmrollout::{
    api::{LlmRollout, Moment, labels},
    decide::plan::revision,
};
use serde_json::{Value, json};

use super::draw::Draw;

pub(crate) const NOW: i64 = 1_800_000_000;

/// A rollout with its status; none when the API server's document cannot be read as one, which is nobody's decision.
pub(crate) fn rollout(d: &mut Draw<'_>) -> Option<LlmRollout> {
    let mut spec = spec(d);
    let images = ["v2", "v1", "v3"].map(template);
    let wanted = d.mostly(0_usize, &[1, 2]);
    spec["release"]["template"]["podTemplate"] = images[wanted].clone();
    let revisions = images.map(|image| revision(image.as_object().unwrap()));
    let kinds = d.last().unwrap_or_default() / 8;
    if ends_with(d, 3) {
        dark(&mut spec, kinds);
    }
    let mut status = status(d, &revisions, &spec);
    if ends_with(d, 3) {
        stands(&mut status, &spec["steps"][0]);
    }
    if ends_with(d, 7) {
        external(&mut spec, &revisions[wanted], kinds);
    }
    if ends_with(d, 5) {
        pair(&mut spec, &mut status, &revisions[wanted], kinds);
    }
    if ends_with(d, 3) {
        spec["release"]["template"]["adopt"] = json!({"deployment": "legacy"});
        status["adopted"] = d.mostly(json!({"deployment": "legacy", "selector": {"app": "old"}}), &[Value::Null]);
    }
    if ends_with(d, 1) {
        scaled(&mut spec, &mut status, kinds);
    }
    for _ in 0..d.pick(&[0, 0, 0, 1, 0, 2, 0, 4]) {
        d.twist(&mut spec);
    }
    for _ in 0..d.pick(&[0, 0, 1, 0, 2, 0, 3, 8]) {
        d.twist(&mut status);
    }
    let mut metadata = json!({
        "name": "chat", "namespace": "llm", "uid": "uid-1", "generation": 3, "resourceVersion": "7",
        "finalizers": d.mostly(json!([labels::FINALIZER]), &[json!([]), json!(["other"]), json!(["a", labels::FINALIZER])]),
    });
    if d.rarely() {
        metadata["deletionTimestamp"] = json!(at(d.pick(&[-1, -120, 30])));
    }
    let whole = json!({
        "apiVersion": "llmrollout.io/v1alpha1", "kind": "LlmRollout", "metadata": metadata, "spec": spec, "status": status,
    });
    serde_json::from_value(whole).ok()
}

/// One in eight: told by the last byte, which all others mean the same without.
fn ends_with(d: &Draw<'_>, last: u8) -> bool {
    d.last().is_some_and(|byte| byte % 8 == last)
}

/// The first step is a dark one that puts something beside the shares.
fn dark(spec: &mut Value, kinds: u8) {
    if spec["traffic"].as_array().is_some_and(|all| all.iter().all(|item| item.get("httpRoute").is_none())) {
        spec["traffic"] = json!([{"httpRoute": {"name": "chat"}}]);
    }
    let steps = spec["steps"].as_array_mut().unwrap();
    if steps[0]["weight"] != 0 {
        steps.insert(0, json!({"weight": 0, "hold": "60s"}));
    }
    // It may name gates that are not there.
    steps[0].as_object_mut().unwrap().remove("gates");
    if kinds % 3 != 1 {
        steps[0]["match"] = json!([{"header": {"name": "x-tester", "value": "1"}}]);
    }
    if !kinds.is_multiple_of(3) {
        steps[0]["mirror"] = json!("10%");
    }
}

/// What status says of it: at the dark step, and when that is about to be written.
fn stands(status: &mut Value, dark: &Value) {
    let mut aside = json!({});
    if dark["match"].is_array() {
        aside["match"] = dark["match"].clone();
    }
    if dark["mirror"].is_string() {
        aside["mirror"] = json!(10);
    }
    for of in ["attempt", "intent"] {
        let at =
            status.get(of).is_some_and(|of| of["weight"] == 0 && (of["op"].is_string() || of["holdUntil"].is_string()));
        if at {
            status[of]["aside"] = aside.clone();
        }
    }
}

/// Autoscalers and sizes that follow the share, with what a release has written down of them.
fn scaled(spec: &mut Value, status: &mut Value, kinds: u8) {
    let template = &mut spec["release"]["template"];
    let pods = json!({"horizontalPodAutoscaler": {"minReplicas": 1, "maxReplicas": 4}});
    let keda = json!({"scaledObject": {"minReplicaCount": 2, "maxReplicaCount": 8, "triggers": []}});
    template["autoscaler"] = [Value::Null, pods, keda][usize::from(kinds % 3)].clone();
    if kinds % 2 == 1 {
        template["capacity"] = json!("proportional");
    }
    if status["attempt"].is_object() {
        status["attempt"]["size"] = [json!(3), json!(9), Value::Null][usize::from(kinds / 3 % 3)].clone();
        status["attempt"]["growingSince"] = [Value::Null, json!(at(-60))][usize::from(kinds / 9 % 2)].clone();
    }
}

/// The same, deployed by somebody else, and some of it behind routers that hold no backends.
fn external(spec: &mut Value, revision: &str, kinds: u8) {
    let flag = json!({"featureFlag": {"name": "chat", "flag": "new-model"}});
    let group = json!({"llmInferenceService": {"blue": "chat-v1", "green": "chat-v2"}});
    let rewrite = json!({"modelRewrite": {"name": "chat", "model": "chat", "blue": "chat-v1", "green": "chat-v2"}});
    match kinds % 5 {
        1 => spec["traffic"] = json!([flag]),
        2 => spec["traffic"] = json!([group]),
        3 => spec["traffic"] = json!([rewrite]),
        4 => spec["traffic"] = json!([flag, group, rewrite]),
        _ => {}
    }
    spec["release"] = json!({"external": {"revision": revision}});
    spec["metrics"]["match"] = json!({"blue": {"variant": "off"}, "green": {"variant": "on"}});
    spec.as_object_mut().unwrap().remove("decommission");
}

/// The same, owned by somebody else, also in other namespaces: what status says of the revision it says of the color.
fn pair(spec: &mut Value, status: &mut Value, revision: &str, kinds: u8) {
    let live = if status["active"] == "green" { "blue" } else { "green" };
    let half = |color: &str| {
        let workload = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": format!("chat-{color}")});
        json!({"service": format!("chat-{color}"), "workloads": [workload], "revision": "v2"})
    };
    spec["release"] = json!({"pair": {"live": live, "blue": half("blue"), "green": half("green")}});
    if kinds % 2 == 1 {
        spec["release"]["pair"]["green"]["namespace"] = json!("next");
    }
    if kinds % 4 >= 2 {
        let items = spec["traffic"].as_array_mut().unwrap().iter_mut();
        items.filter_map(|item| item.get_mut("httpRoute")).for_each(|route| route["namespace"] = json!("edge"));
    }
    spec["metrics"]["match"] = json!({"blue": {"variant": "off"}, "green": {"variant": "on"}});
    let text = status.to_string().replace(revision, &format!("{live}@v2"));
    *status = serde_json::from_str(&text).unwrap();
}

fn template(tag: &str) -> Value {
    json!({"spec": {"containers": [{"name": "server", "image": format!("registry.example/chat:{tag}")}]}})
}

/// So many seconds from now, as status writes it.
fn at(seconds: i64) -> Moment {
    Moment::from_unix(NOW + seconds)
}

fn spec(d: &mut Draw<'_>) -> Value {
    let service = json!({"service": {"name": "chat"}});
    let route = json!({"httpRoute": {"name": "chat"}});
    let more = json!({"grpcRoute": {"name": "chat", "rule": "big"}});
    let hook = json!({"webhook": {"name": "lb"}});
    let mesh = json!({"virtualService": {"name": "chat"}});
    let traffic =
        d.pick(&[json!([service, route]), json!([route]), json!([service, route, more, mesh, hook]), json!([service])]);
    let selector_only = traffic.as_array().is_some_and(|all| all.iter().all(|t| t.get("service").is_some()));
    let weights: &[i32] = if selector_only {
        d.pick::<&[i32]>(&[&[100], &[0, 100]])
    } else {
        d.pick::<&[i32]>(&[&[5, 20, 50, 100], &[0, 50, 100], &[100], &[10, 100]])
    };
    let steps: Vec<Value> = weights.iter().map(|w| step(d, *w)).collect();
    let mut spec = json!({
        "release": {"template": {"replicas": d.mostly(2, &[1, 3, 10_000]), "port": 8000}},
        "traffic": traffic,
        "steps": steps,
        "metrics": {"provider": d.mostly("default", &["nope"]), "prices": {"input": "$0.50", "output": "$1.50"}},
        "gates": gates(d),
        "manual": d.rarely(),
        "paused": d.rarely(),
        "abort": d.rarely(),
    });
    around(d, &mut spec);
    spec
}

fn step(d: &mut Draw<'_>, weight: i32) -> Value {
    let mut step = json!({"weight": weight, "hold": d.pick(&["60s", "1s", "15m"])});
    if d.rarely() {
        step["gates"] = d.pick(&[json!(["errors"]), json!(["nope"]), json!(["silence", "errors"])]);
    }
    if weight > 0 && d.rarely() {
        step["minRequests"] = json!(d.pick(&[100, 1, 5000]));
    }
    if weight > 0 && d.rarely() {
        step["maxRequests"] = json!(d.pick(&[5000, 1, 100]));
    }
    if d.rarely() {
        step["maxHold"] = json!(d.pick(&["15m", "1h"]));
        step["onUndecided"] = json!(d.pick(&["Hold", "Rollback", "Pause"]));
    }
    if d.rarely() {
        step["settle"] = json!("30s");
    }
    if d.rarely() {
        step["approval"] = json!({"roles": ["sre"]});
    }
    step
}

fn gates(d: &mut Draw<'_>) -> Value {
    let pool = [
        json!({"name": "errors", "metric": "errorRate", "max": "1%"}),
        json!({"name": "p95", "metric": "latency", "quantile": "0.95", "max": "1.5s"}),
        json!({"name": "silence", "metric": "requests", "equals": "0"}),
        json!({"name": "cost", "metric": "costPerRequest", "max": "$0.005"}),
        json!({"name": "many", "metric": "requests", "max": "100"}),
        json!({"name": "honest", "metric": "errorRate", "statistical": {}}),
    ];
    let byte = d.byte();
    let first = usize::from(byte) % pool.len();
    let count = d.pick(&[2, 1, 3, 0, 5]);
    let chosen = (0..count).map(|n| {
        let mut gate = pool[(first + n) % pool.len()].clone();
        let severity = d.pick(&["Rollback", "Rollback", "Warn", "Abort", "Pause"]);
        // Evidence is never one bad sample.
        gate["severity"] = json!(if gate["name"] == "honest" && severity == "Abort" { "Rollback" } else { severity });
        if d.rarely() {
            gate["during"] = d.pick(&[json!(["Steps"]), json!(["Bake"]), json!([])]);
        }
        if d.rarely() {
            gate["failures"] = json!(d.pick(&["1 of 1", "3 of 3", "1 of 5"]));
        }
        if d.rarely() {
            gate["noData"] = json!({"budget": d.pick(&["15m", "1s"]), "then": d.pick(&["Hold", "Rollback"])});
        }
        if d.rarely() {
            gate["minSamples"] = json!(d.pick(&[1, 1000]));
        }
        gate
    });
    let own: Vec<Value> = chosen.collect();
    let sets = match byte {
        252.. => vec![json!({"gateSet": "org-defaults"}), json!({"gateSet": "more"})],
        224..252 => vec![json!({"gateSet": "org-defaults"})],
        _ => vec![],
    };
    let score = json!({
        "name": "score", "http": {"name": "eval", "path": "/score", "samples": "/count"}, "max": "1", "minSamples": 50,
    });
    let number = (192..224).contains(&byte).then_some(score);
    let accuracy = json!({"name": "accuracy", "job": {"cronJob": "eval", "value": "accuracy"}, "min": "90%"});
    let job = (144..192).contains(&byte).then_some(accuracy);
    sets.into_iter().chain(own).chain(number).chain(job).collect()
}

/// What stands around the steps.
fn around(d: &mut Draw<'_>, spec: &mut Value) {
    if d.rarely() {
        let before = d.pick(&["Full", "Start", "Step/1", "Step/2", "Decommission"]);
        spec["approvals"] = json!([{"before": before, "roles": ["sre"], "expires": d.pick(&["24h", "1m"])}]);
    }
    if d.sometimes() {
        spec["bake"] = d.pick(&[
            json!([{"name": "hour", "for": "60s"}]),
            json!([{"name": "hour", "for": "60s"}, {"name": "day", "for": "24h", "gates": ["errors"]}]),
        ]);
    }
    if d.rarely() {
        let mode = d.pick(&["ScaleToZero", "Keep", "Delete"]);
        spec["decommission"] = json!({"mode": mode, "drain": d.pick(&["60s", "0s"])});
    }
    if d.rarely() {
        spec["rollback"] = json!({"whilePaused": true});
    }
    if d.rarely() {
        spec["fastTrack"] = json!({"revisions": 2, "within": "24h"});
    }
    if d.rarely() {
        spec["dependsOn"] = json!([{"name": "base", "state": d.pick(&["Completed", "Baked"])}]);
        spec["onDependencyRollback"] = json!(d.pick(&["Hold", "Rollback", "Ignore"]));
    }
    if d.rarely() {
        // Now is a Friday at eight o'clock.
        let (from, to) = d.pick(&[("00:00", "24:00"), ("09:00", "17:00"), ("06:00", "08:00")]);
        spec["window"] = json!({"timeZone": "UTC", "from": from, "to": to});
    }
}

/// Where a release may stand, and how status says so.
fn status(d: &mut Draw<'_>, revisions: &[String; 3], spec: &Value) -> Value {
    let weights: Vec<i64> = spec["steps"].as_array().unwrap().iter().filter_map(|s| s["weight"].as_i64()).collect();
    let (active, candidate) = d.pick(&[("blue", "green"), ("green", "blue")]);
    let number = usize::from(d.byte()) % weights.len();
    let entered = d.pick(&[-61, -60, -120, -1, 0, -901, 1, -4000]);
    let held = json!({"step": number + 1, "weight": weights[number], "stepEnteredAt": at(entered), "holdUntil": at(entered + 60)});
    let fresh = json!({"step": 0, "weight": 0});
    let intent = |number: usize| {
        let weight = weights.get(number).copied().unwrap_or(100);
        json!({"op": format!("3-{}", number + 1), "revision": revisions[0], "step": number + 1, "weight": weight, "at": at(entered)})
    };
    let ended = json!({"endedAt": at(-600), "ended": "GateFailed", "endedMessage": "errors"});
    let serving = json!({"active": active, "activeRevision": revisions[1], "candidate": candidate});
    let whole = |phase: &str, attempt: &[&Value], more: Value| {
        let base = json!({"id": 3, "revision": revisions[0], "startedAt": at(-5000), "clockFrom": at(entered), "clearedAt": at(-4999)});
        let attempt = attempt.iter().fold(base, |all, part| joined(all, part));
        joined(joined(json!({"phase": phase, "attempt": attempt}), &serving), &more)
    };
    let full =
        json!({"step": weights.len(), "weight": 100, "stepEnteredAt": at(entered), "holdUntil": at(entered + 60)});
    let mut made = match d.byte() % 12 {
        0..=2 => whole("Holding", &[&held], json!({})),
        3 => whole("Shifting", &[&held], json!({"intent": intent(number + 1)})),
        4 => whole("Shifting", &[&fresh], json!({"intent": intent(0)})),
        5 => whole("Preparing", &[&fresh], json!({})),
        6 => joined(
            whole("Preparing", &[&fresh], json!({})),
            &json!({"active": null, "activeRevision": null, "candidate": "blue"}),
        ),
        7 => whole("Baking", &[&full, &json!({"bake": d.pick(&[1, 2, 0])})], json!({})),
        8 => whole("RollingBack", &[&held, &json!({"ended": "GateFailed"})], json!({"abortedRevision": revisions[0]})),
        9 => whole("RolledBack", &[&fresh, &ended], json!({"abortedRevision": revisions[0], "candidate": null})),
        10 => {
            let retiring = json!({"color": candidate, "revision": revisions[2], "since": at(entered)});
            let more = json!({"retiring": retiring, "activeRevision": revisions[0], "candidate": null});
            whole("Decommissioning", &[&full, &json!({"endedAt": at(entered)})], more)
        }
        _ => json!({}),
    };
    if made["attempt"].is_object() {
        marks(d, &mut made);
    }
    made["history"] = d.pick(&[json!([]), history(revisions)]);
    made
}

/// What people, gates and earlier passes left at the attempt.
fn marks(d: &mut Draw<'_>, status: &mut Value) {
    for flag in ["skipped", "promoted", "fastTrack"] {
        if d.rarely() {
            status["attempt"][flag] = json!(true);
        }
    }
    if d.rarely() {
        status["attempt"]["pausedAt"] = json!(at(d.pick(&[-30, 0, 5])));
    }
    if d.rarely() {
        status["attempt"]["asked"] = json!({"reason": "GateFailed", "message": "errors", "at": at(-30)});
    }
    if d.sometimes() {
        let verdict = d.pick(&["Pass", "NoData", "Fail"]);
        status["gates"] = json!([{"name": "errors", "verdict": verdict, "limit": "1%", "step": 1, "at": at(-20)}]);
    }
    if d.rarely() {
        status["quarrel"] = json!({"since": at(d.pick(&[-30, -700, 10])), "count": d.pick(&[1, 3, 9])});
    }
    if d.rarely() {
        let before = d.pick(&["Full", "Start", "Step/1", "Step/2"]);
        status["approvals"] = json!([{"before": before, "role": "sre", "by": "ada", "at": at(-100)}]);
    }
    if d.rarely() {
        let verb = d.pick(&["Skip", "Abort", "Retry", "Promote"]);
        let heard = json!({"name": "o", "uid": "uid-9", "verb": verb, "by": "ada", "taken": true, "message": "", "at": at(-40)});
        status["orders"] = json!([heard]);
    }
}

fn history(revisions: &[String; 3]) -> Value {
    let past = |id: i64, revision: &str, outcome: &str| {
        let ended = at(-1000 * (4 - id));
        json!({"id": id, "revision": revision, "outcome": outcome, "startedAt": at(-9000), "endedAt": ended})
    };
    json!([past(2, &revisions[1], "Promoted"), past(1, &revisions[0], "Promoted")])
}

/// One object's fields over another's.
fn joined(mut below: Value, above: &Value) -> Value {
    if let (Some(into), Some(from)) = (below.as_object_mut(), above.as_object()) {
        into.extend(from.iter().map(|(k, v)| (k.clone(), v.clone())));
        into.retain(|_, v| !v.is_null());
    }
    below
}
