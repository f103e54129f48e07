//! Claims about gates that stand in a set: they hold a rollout that names nothing else.
//! Nothing here writes a gate into a rollout.

use std::time::Duration;

use serde_json::{Value, json};

use super::stand::{Stand, is_promoted};
use crate::kit::{
    KitError, LoadPlan, Wish, claim,
    recipe::{ROLLOUT, gates, never_holds},
    space::condition,
};

const SET: &str = "org-defaults";
const STEP: Duration = Duration::from_secs(40);
const BACK: Duration = Duration::from_mins(1);

/// A version whose rollout has no gate of its own.
fn wish(version: &str, steps: &[(i32, &str)]) -> Wish {
    Wish { replicas: 1, gates: json!([{"gateSet": SET}]), ..Wish::new(version) }.steps(steps)
}

async fn set(stand: &Stand, gates: &Value) -> Result<Value, KitError> {
    let set = json!({"apiVersion": ROLLOUT, "kind": "LlmGateSet", "metadata": {"name": SET}, "spec": {"gates": gates}});
    stand.space.apply(&set).await
}

/// A good version is promoted by the set's gates, a bad one goes back by one of them, and a gate that is exchanged in the
/// set counts for the step that is being measured.
pub(super) async fn gates_of_a_set_hold_a_rollout_that_names_no_other(stand: &Stand) -> Result<(), KitError> {
    set(stand, &gates()).await?;
    let quick = [(50, "5s"), (100, "5s")];
    let service = stand.serve(&wish("v1", &quick), &LoadPlan::default()).await?;
    service.apply(stand, &wish("v2", &quick).manifest()).await?;
    service.rollout.until("v2 is promoted", Duration::from_secs(90), is_promoted).await?;
    service.apply(stand, &wish("v3", &quick).with("SIM_ERROR_SHARE", "0.2").manifest()).await?;
    let back = service.phase("RolledBack", BACK).await?;
    blames(back.object.as_deref(), "errors")?;
    service.apply(stand, &wish("v4", &[(50, "10m"), (100, "10m")]).manifest()).await?;
    service.holding(50, STEP).await?;
    let mut tight = gates();
    tight[1] = never_holds("p95");
    set(stand, &tight).await?;
    let back = service.phase("RolledBack", BACK).await?;
    blames(back.object.as_deref(), "p95")?;
    stand.end(service.load).await.map(drop)
}

/// The set goes away in the middle of a step: nothing moves, and it goes on when the set is there again.
pub(super) async fn a_set_that_vanishes_stops_the_step(stand: &Stand) -> Result<(), KitError> {
    set(stand, &gates()).await?;
    let steps = [(20, "5s"), (50, "8s"), (100, "5s")];
    let service = stand.serve(&wish("v1", &steps), &LoadPlan::default()).await?;
    service.apply(stand, &wish("v2", &steps).manifest()).await?;
    service.holding(50, STEP).await?;
    let api = stand.space.api(ROLLOUT, "LlmGateSet");
    api.delete(SET, &kube::api::DeleteParams::default()).await.map_err(KitError::api("deleting the set"))?;
    let missing = |rollout: &Value| {
        condition(rollout, "Accepted").is_some_and(|c| c["status"] == "False" && c["reason"] == "GateSetMissing")
    };
    service.rollout.until("the set is missed", Duration::from_secs(10), missing).await?;
    let before = stand.space.weights().await?;
    tokio::time::sleep(Duration::from_secs(15)).await;
    let after = stand.space.weights().await?;
    claim(before == after && after.green == 50, || format!("the route stood at {before:?} and stands at {after:?}"))?;
    set(stand, &gates()).await?;
    service.rollout.until("v2 is promoted", Duration::from_secs(90), is_promoted).await?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())
}

fn blames(rollout: Option<&Value>, gate: &str) -> Result<(), KitError> {
    let status = rollout.map(|r| r["status"].clone()).unwrap_or_default();
    let failed = |g: &Value| g["name"] == gate && g["verdict"] == "Fail";
    let blamed = status["gates"].as_array().is_some_and(|all| all.iter().any(failed));
    claim(blamed && status["reason"] == "GateFailed", || format!("{gate} took nothing back; the status is {status}"))
}
