//! Claims about every form of a gate, on real traffic and a real Prometheus: each lets a sound version pass and takes a
//! bad one back. Nothing here computes a figure of its own.

use std::time::Duration;

use serde_json::{Value, json};

use super::stand::{Stand, is_promoted};
use crate::kit::{KitError, LoadPlan, Wish, claim};

const BACK: Duration = Duration::from_mins(1);

/// A gate of each form with the knob that breaks it: answers of 32 tokens in 40 ms are what a sound version gives.
fn forms() -> Vec<(&'static str, Value, (&'static str, &'static str))> {
    let long = ("SIM_TOKENS_MEAN", "640");
    let tokens = "sum(rate(vllm:generation_tokens_total{ {{green}} }[{{window}}])) \
                  / sum(rate(vllm:request_success_total{ {{green}} }[{{window}}]))";
    vec![
        ("least", json!({"metric": "tokensPerRequest", "min": "20"}), ("SIM_TOKENS_MEAN", "12")),
        ("band", json!({"metric": "tokensPerRequest", "between": ["10", "100"]}), long),
        ("target", json!({"metric": "costPerRequest", "target": "$0.00007", "tolerance": "90%"}), long),
        (
            "ratio",
            json!({"metric": "latency", "quantile": "0.95", "comparedTo": "active", "maxRatio": "3"}),
            ("SIM_LATENCY", "fixed:2s"),
        ),
        (
            "change",
            json!({"metric": "tokensPerRequest", "comparedTo": "baseline", "change": {"min": "-80%", "max": "80%"}}),
            long,
        ),
        (
            "delta",
            json!({"metric": "errorRate", "comparedTo": "active", "maxDelta": "5pp"}),
            ("SIM_ERROR_SHARE", "0.3"),
        ),
        ("query", json!({"query": tokens, "max": "100"}), long),
        ("abort", json!({"metric": "errorRate", "max": "10%", "severity": "Abort"}), ("SIM_ERROR_SHARE", "0.4")),
    ]
}

fn gate(name: &str, form: &Value) -> Value {
    let mut gate = json!({
        "name": name, "interval": "1s", "window": "10s", "minSamples": 15, "noData": {"budget": "60s"},
    });
    if let (Some(all), Some(form)) = (gate.as_object_mut(), form.as_object()) {
        all.extend(form.clone());
    }
    gate
}

fn wish(version: &str, gates: Vec<Value>) -> Wish {
    Wish { replicas: 1, gates: Value::Array(gates), ..Wish::new(version) }.steps(&[(50, "5s"), (100, "4s")])
}

/// With a gate of every form, and one for alerts, a sound v2 is promoted; each bad version goes back by its own gate.
pub(super) async fn gates_of_every_form_pass_and_fail(stand: &Stand) -> Result<(), KitError> {
    let mut all: Vec<Value> = forms().iter().map(|(name, form, _)| gate(name, form)).collect();
    all.push(json!({"name": "alerts", "alerts": {"matchLabels": {"severity": "critical"}}, "interval": "1s"}));
    let service = stand.serve(&wish("v1", all.clone()), &LoadPlan::default()).await?;
    service.apply(stand, &wish("v2", all.clone()).manifest()).await?;
    let promoted = service.rollout.until("v2 is promoted", 2 * BACK, is_promoted).await?;
    let status = promoted.object.as_deref().map(|rollout| rollout["status"].clone()).unwrap_or_default();
    let judged = status["gates"].as_array().map_or(0, Vec::len);
    claim(judged == all.len(), || format!("{judged} of {} gates were in force: {}", all.len(), status["gates"]))?;
    for (number, (name, form, (knob, value))) in forms().into_iter().enumerate() {
        let bad = wish(&format!("v{}", number + 3), vec![gate(name, &form)]).with(knob, value);
        service.apply(stand, &bad.manifest()).await?;
        let attempt = i64::try_from(number).map_or(0, |n| n + 3);
        let back = |rollout: &Value| {
            rollout["status"]["phase"] == "RolledBack" && rollout["status"]["attempt"]["id"].as_i64() == Some(attempt)
        };
        let seen = service.rollout.until(&format!("the gate {name} takes its version back"), BACK, back).await?;
        let status = seen.object.as_deref().map(|rollout| rollout["status"].clone()).unwrap_or_default();
        let blamed = status["summary"].as_str().is_some_and(|summary| summary.starts_with(&format!("{name} ")));
        claim(blamed && status["reason"] == "GateFailed", || format!("{name} was not blamed; the status is {status}"))?;
    }
    stand.end(service.load).await.map(drop)
}
