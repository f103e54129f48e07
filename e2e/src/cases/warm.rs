//! Claims about pods that start anew in the middle of a step: what they serve cold is not judged, and the step waits.
//! Nothing here makes a version bad.

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::DeleteParams;
use serde_json::{Value, json};

use super::stand::{Stand, is_promoted};
use crate::kit::{KitError, LoadPlan, Wish, claim};

const SOON: Duration = Duration::from_secs(40);
const WARM_UP: i64 = 8;

/// A pod of the candidate is deleted while every gate passes: the step is not left before its successor is warm, and
/// gates say so meanwhile.
pub(super) async fn pod_that_starts_anew_is_judged_when_it_is_warm(stand: &Stand) -> Result<(), KitError> {
    let service = stand.serve(&Wish::new("v1"), &LoadPlan::default()).await?;
    let prices = json!({"input": "$0.50", "output": "$1.50"});
    let metrics = json!({"profile": "vllm", "prices": prices, "warmUp": format!("{WARM_UP}s"), "scrapeInterval": "1s"});
    let wish = Wish::new("v2").steps(&[(50, "20s"), (100, "3s")]).more(&json!({"metrics": metrics}));
    service.apply(stand, &wish.manifest()).await?;
    service.rollout.until("every gate passes", SOON, |r| says(r, |gate| gate["verdict"] == "Pass")).await?;
    let before = changed_at(&stand.space.rollout().await?)?;
    let green = stand.space.pods("green").await?;
    let (pod, _) = green.first().ok_or_else(|| KitError::Refuted("green has no pod".to_owned()))?;
    stand
        .space
        .api("v1", "Pod")
        .delete(pod, &DeleteParams::default())
        .await
        .map_err(KitError::api("deleting a pod"))?;
    let waits = |gate: &Value| gate["reason"].as_str().is_some_and(|words| words.starts_with("figures count from "));
    let seen = service.rollout.until("every gate waits for warm pods", SOON, |r| says(r, waits)).await?;
    let step = seen.object.as_deref().map_or(Value::Null, |r| r["status"]["attempt"]["weight"].clone());
    claim(step == 50, || format!("green has {step}%"))?;
    let full = service.holding(100, SOON).await?;
    let rollout = full.object.as_deref().cloned().unwrap_or_default();
    let (after, entered) = (changed_at(&rollout)?, time(&rollout["status"]["attempt"]["stepEnteredAt"])?);
    let told = || format!("pods changed at {before}, then at {after}; 100% began at {entered}");
    claim(after > before && entered >= after + SignedDuration::from_secs(WARM_UP), told)?;
    service.rollout.until("v2 is promoted", SOON, is_promoted).await?;
    stand.end(service.load).await?;
    Ok(())
}

/// Whether there are gates and this is true of each.
fn says(rollout: &Value, what: impl Fn(&Value) -> bool) -> bool {
    rollout["status"]["gates"].as_array().is_some_and(|gates| !gates.is_empty() && gates.iter().all(what))
}

fn changed_at(rollout: &Value) -> Result<Timestamp, KitError> {
    time(&rollout["status"]["attempt"]["podsChangedAt"])
}

fn time(value: &Value) -> Result<Timestamp, KitError> {
    value.as_str().unwrap_or_default().parse().map_err(KitError::failed(format!("a time: {value}")))
}
