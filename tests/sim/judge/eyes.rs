//! The judge's own reading of manifests and status, from their JSON: stages, gates, approvals, windows, orders. Shares
//! nothing with the product's reading of them.

use llmrollout::api::status::Color;
use serde_json::{Value, json};

use super::super::{
    cluster::{BEGIN, Sim, image_of},
    prometheus::About,
};

pub(super) fn text<'a>(value: &'a Value, at: &str) -> &'a str {
    value.pointer(at).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

pub(super) fn color(word: &Value) -> Option<Color> {
    Color::BOTH.into_iter().find(|c| *word == json!(c.word()))
}

pub(super) fn running(status: &Value) -> bool {
    status["attempt"].is_object() && status["attempt"]["endedAt"].is_null()
}

pub(super) fn moment(text: &str) -> i64 {
    text.parse::<k8s_openapi::jiff::Timestamp>().map_or(i64::MAX, k8s_openapi::jiff::Timestamp::as_second)
}

/// The second in which a millisecond of the story lies.
pub(super) fn second(ms: u64) -> i64 {
    i64::try_from((BEGIN + ms) / 1000).unwrap()
}

/// `40s`, `1h`.
pub(super) fn seconds(text: &str) -> i64 {
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    number.parse::<i64>().unwrap_or(0) * if unit == "h" { 3600 } else { 1 }
}

/// Weights of the steps in a manifest, rising.
pub(super) fn weights(rollout: &Value) -> Vec<i64> {
    rollout["spec"]["steps"].as_array().into_iter().flatten().filter_map(|s| s["weight"].as_i64()).collect()
}

/// The weight after the confirmed one; the first when none is.
pub(super) fn next_weight(rollout: &Value) -> Option<i64> {
    let attempt = &rollout["status"]["attempt"];
    let confirmed = if attempt["stepEnteredAt"].is_null() { -1 } else { number(&attempt["weight"]) };
    weights(rollout).into_iter().find(|w| *w > confirmed)
}

/// Attempt, step and bake.
pub(super) fn stage_of(status: &Value) -> [i64; 3] {
    let attempt = &status["attempt"];
    [number(&attempt["id"]), number(&attempt["step"]), number(&attempt["bake"])]
}

/// What the manifest says of the stage that is being measured.
pub(super) fn stage(rollout: &Value) -> &Value {
    let attempt = &rollout["status"]["attempt"];
    let bake = usize::try_from(number(&attempt["bake"])).unwrap();
    if bake > 0 {
        return &rollout["spec"]["bake"][bake - 1];
    }
    let steps = rollout["spec"]["steps"].as_array();
    steps.and_then(|all| all.iter().find(|s| s["weight"] == attempt["weight"])).unwrap_or(&Value::Null)
}

/// How long the stage is to be measured.
pub(super) fn hold(rollout: &Value) -> i64 {
    let stage = stage(rollout);
    seconds(text(stage, "/hold")).max(seconds(text(stage, "/for")))
}

/// The gates whose Pass is needed to leave the stage.
pub(super) fn needed(rollout: &Value) -> Vec<&Value> {
    let (stage, attempt) = (stage(rollout), &rollout["status"]["attempt"]);
    let baking = number(&attempt["bake"]) > 0;
    let dark = number(&attempt["weight"]) == 0;
    let speaks = |g: &&Value| {
        if let Some(named) = stage["gates"].as_array() {
            return named.contains(&g["name"]);
        }
        let when = json!(if baking { "Bake" } else { "Steps" });
        let watched = g["during"].as_array().is_none_or(|all| all.contains(&when));
        watched && dark == (g["metric"] == "requests")
    };
    let gates = rollout["spec"]["gates"].as_array().into_iter().flatten();
    gates.filter(speaks).filter(|g| g["severity"] != "Warn").collect()
}

/// What a gate is about.
pub(super) fn about(gate: &Value) -> About {
    match text(gate, "/metric") {
        "errorRate" => About::Errors,
        "latency" => About::Latency,
        "costPerRequest" => About::Cost,
        _ => About::Requests,
    }
}

/// Whether a value breaks a gate of the simulation's manifests.
pub(super) fn breaks(gate: &Value, value: f64) -> bool {
    match about(gate) {
        About::Errors => value > 0.01,
        About::Latency => value > 0.05,
        About::Cost => value > 0.005,
        About::Requests => value.abs() >= 0.5,
    }
}

/// Who must have approved before something: pairs of what and role.
pub(super) fn signs(spec: &Value, before: &[String]) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let roles = |v: &Value| -> Vec<String> {
        v["roles"].as_array().into_iter().flatten().filter_map(|r| r.as_str().map(ToOwned::to_owned)).collect()
    };
    for a in spec["approvals"].as_array().into_iter().flatten() {
        all.extend(roles(a).into_iter().map(|r| (text(a, "/before").to_owned(), r)));
    }
    for (number, step) in (1..).zip(spec["steps"].as_array().into_iter().flatten()) {
        all.extend(roles(&step["approval"]).into_iter().map(|r| (format!("Step/{number}"), r)));
    }
    all.retain(|(what, _)| before.contains(what));
    all
}

/// The first of the approvals that nobody has given to the attempt.
pub(super) fn unsigned(sim: &Sim, rollout: &Value, attempt: &Value, before: &[String]) -> Option<(String, String)> {
    signs(&rollout["spec"], before).into_iter().find(|(what, role)| {
        let gives = |o: &Value| {
            o["spec"]["verb"] == "Approve" && o["spec"]["before"] == json!(what) && o["spec"]["role"] == json!(role)
        };
        !sim.orders(attempt).any(gives)
    })
}

/// Whether the window is open at some second between two.
pub(super) fn open(spec: &Value, from: i64, to: i64) -> bool {
    if spec["window"].is_null() {
        return true;
    }
    let at = |name: &str| {
        let (hours, minutes) = text(&spec["window"], name).split_once(':').unwrap();
        hours.parse::<i64>().unwrap() * 3600 + minutes.parse::<i64>().unwrap() * 60
    };
    let (opens, closes) = (at("/from"), at("/to"));
    (from..=to).any(|second| (opens..closes).contains(&(second % 86_400)))
}

/// Whether a rollout serves what its manifest wants, and nothing was taken back.
pub(super) fn serves_what_it_wants(rollout: &Value) -> bool {
    let status = &rollout["status"];
    let phase = text(status, "/phase");
    let served = status["history"].as_array().into_iter().flatten().next();
    let promoted = served.is_some_and(|past| past["outcome"] == "Promoted");
    ["Completed", "Decommissioning", "Idle"].contains(&phase)
        && !running(status)
        && (promoted || phase == "Idle")
        && !image_of(&rollout["spec"]["release"]["template"]["podTemplate"]).is_empty()
}

/// Orders of these verbs to the attempt that the status says were followed.
pub(super) fn taken<'a>(status: &'a Value, verbs: &'a [&str]) -> impl Iterator<Item = &'a Value> {
    let all = status["orders"].as_array().into_iter().flatten();
    all.filter(|o| o["taken"] == json!(true) && verbs.contains(&text(o, "/verb")))
}

/// The order object that an answer in status speaks of.
pub(super) fn order<'a>(sim: &'a Sim, heard: &Value) -> Option<&'a Value> {
    sim.store.all().map(|(_, v)| v).find(|o| o["metadata"]["uid"] == heard["uid"])
}
