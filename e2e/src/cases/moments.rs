//! Claims about what comes at an inconvenient moment: a newer revision at each step, an abort when all is done, a pause
//! longer than every deadline, an operator that was away. Nothing here makes a candidate bad.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    operators::{own_operator, replicas, take_away},
    stand::{Stand, is_promoted},
};
use crate::kit::{KitError, LoadPlan, Weights, Wish, claim, space};

const STEP: Duration = Duration::from_secs(40);
const SOON: Duration = Duration::from_secs(10);
const HOME: Weights = Weights { blue: 100, green: 0 };

/// What green was given, in order.
fn greens(film: &crate::kit::Film) -> Vec<i64> {
    space::weights_seen(film).iter().map(|(weights, _)| weights.green).collect()
}

/// A newer revision at 5, 20, 50 and 100 %: each time everything goes home first, and the newer one begins at its start.
pub(super) async fn newer_revision_supersedes_at_each_step(stand: &Stand) -> Result<(), KitError> {
    let service = stand.serve(&Wish::new("v1"), &LoadPlan::default()).await?;
    let weights = [5, 20, 50, 100];
    for (last, weight) in weights.into_iter().enumerate() {
        let version = format!("v{}", last + 2);
        // Quick to the step at which the next one comes, and then long.
        let hold = |w: i64| if w == weight { "120s" } else { "3s" };
        let steps: Vec<_> = weights.iter().map(|w| json!({"weight": w, "hold": hold(*w)})).collect();
        service.apply(stand, &Wish::new(&version).more(&json!({"steps": steps})).manifest()).await?;
        service.holding(weight, STEP).await?;
    }
    service.apply(stand, &Wish::new("v6").steps(&[(5, "120s"), (100, "3s")]).manifest()).await?;
    service.rollout.until("v6 at its first step", STEP, |r| r["status"]["attempt"]["id"] == 6).await?;
    service.holding(5, STEP).await?;
    let seen = greens(&service.route);
    let wanted = [0, 5, 0, 5, 20, 0, 5, 20, 50, 0, 5, 20, 50, 100, 0, 5];
    claim(seen == wanted, || format!("green's weights in the route were {seen:?}"))?;
    let rollout = stand.space.rollout().await?;
    let outcome = |past: &Value| past["outcome"].as_str().unwrap_or_default().to_owned();
    let history: Vec<_> = rollout["status"]["history"].as_array().into_iter().flatten().map(outcome).collect();
    claim(history[..4] == ["Superseded"; 4], || format!("the history, newest first: {history:?}"))?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())
}

/// All is on green and blue is drained: an abort brings everything back, and that revision is not run again.
pub(super) async fn abort_during_finishing_brings_everything_back(stand: &Stand) -> Result<(), KitError> {
    let service = stand.serve(&Wish::new("v1"), &LoadPlan::default()).await?;
    let blue = stand.space.pods("blue").await?;
    let slow_end = json!({"decommission": {"drain": "60s"}, "bake": [{"name": "look", "for": "3s"}]});
    service.apply(stand, &Wish::new("v2").steps(&[(50, "3s"), (100, "3s")]).more(&slow_end).manifest()).await?;
    service.phase("Baking", STEP).await?;
    service.phase("Decommissioning", STEP).await?;
    let took = super::abort::abort(stand, &service).await?;
    stand.note("abort_to_blue_ms", took);
    service.phase("RolledBack", SOON).await?;
    service.change(stand, &json!({"abort": false})).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (rollout, weights) = (stand.space.rollout().await?, stand.space.weights().await?);
    let selector = stand.space.selector().await?;
    let home = weights == HOME && selector == "blue" && rollout["status"]["active"] == "blue";
    claim(home && space::phase(&rollout) == "RolledBack", || {
        format!("{weights:?}, selector {selector}, {}", rollout["status"])
    })?;
    let after = stand.space.pods("blue").await?;
    claim(blue == after, || format!("blue's pods were {blue:?} and are {after:?}"))?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())
}

/// After the last bake the old color is drained and then scaled away, and not before.
pub(super) async fn old_color_goes_after_the_bake_and_the_drain(stand: &Stand) -> Result<(), KitError> {
    let service = stand.serve(&Wish::new("v1"), &LoadPlan::default()).await?;
    let end = json!({"decommission": {"drain": "4s"}, "bake": [{"name": "look", "for": "4s"}]});
    service.apply(stand, &Wish::new("v2").steps(&[(100, "3s")]).more(&end).manifest()).await?;
    service.phase("Baking", STEP).await?;
    let warm = stand.space.pods("blue").await?.len();
    claim(warm == 2, || format!("in the bake blue has {warm} pods"))?;
    service.phase("Decommissioning", STEP).await?;
    let draining = stand.space.pods("blue").await?.len();
    claim(draining == 2, || format!("while it is drained blue has {draining} pods"))?;
    service.rollout.until("v2 is promoted", STEP, is_promoted).await?;
    let deployment = stand.space.get("apps/v1", "Deployment", "chat-blue").await?;
    claim(deployment["spec"]["replicas"] == 0, || format!("blue wants {} pods", deployment["spec"]["replicas"]))?;
    // The slot is taken up again by the next release, whole.
    service.apply(stand, &Wish::new("v3").steps(&[(50, "3s"), (100, "3s")]).more(&end).manifest()).await?;
    service.rollout.until("v3 is promoted", Duration::from_mins(1), is_promoted).await?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())
}

/// A pause while the candidate comes up and one in the middle of a step, both longer than `readyTimeout`, the hold, the
/// budget for missing data and `maxHold`: none of them runs meanwhile.
pub(super) async fn pause_outlasts_every_deadline(stand: &Stand) -> Result<(), KitError> {
    let service = stand.serve(&Wish::new("v1"), &LoadPlan::default()).await?;
    let mut gates = crate::kit::recipe::gates();
    for gate in gates.as_array_mut().into_iter().flatten() {
        gate["noData"] = json!({"budget": "8s", "then": "Rollback"});
    }
    let steps = json!([
        {"weight": 20, "hold": "6s", "maxHold": "9s", "onUndecided": "Rollback"}, {"weight": 100, "hold": "3s"},
    ]);
    let wish = Wish::new("v2").with("SIM_LOAD_TIME_MS", "6000").more(&json!({"steps": steps, "gates": gates}));
    let mut manifest = wish.manifest();
    manifest["spec"]["release"]["template"]["readyTimeout"] = json!("10s");
    service.apply(stand, &manifest).await?;
    service.phase("Preparing", STEP).await?;
    paused_for(stand, &service, Duration::from_secs(12)).await?;
    service.holding(20, STEP).await?;
    paused_for(stand, &service, Duration::from_secs(12)).await?;
    service.rollout.until("v2 is promoted", STEP, is_promoted).await?;
    let seen = greens(&service.route);
    claim(seen == [0, 20, 100], || format!("green's weights in the route were {seen:?}"))?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())
}

async fn paused_for(stand: &Stand, service: &super::stand::Service, long: Duration) -> Result<(), KitError> {
    service.change(stand, &json!({"paused": true})).await?;
    service.phase("Paused", SOON).await?;
    tokio::time::sleep(long).await;
    service.change(stand, &json!({"paused": false})).await
}

/// At 20 % the operator goes, the manifest asks for another revision, the operator comes back: home, then the newer one.
pub(super) async fn release_changes_while_the_operator_is_away(stand: &Stand) -> Result<(), KitError> {
    let own = own_operator(stand, 1).await?;
    let service = stand.serve(&Wish::new("v1"), &LoadPlan::default()).await?;
    let steps = [(20, "10s"), (100, "3s")];
    service.apply(stand, &Wish::new("v2").steps(&steps).manifest()).await?;
    service.holding(20, STEP).await?;
    take_away(&own).await?;
    service.apply(stand, &Wish::new("v3").steps(&steps).manifest()).await?;
    tokio::time::sleep(Duration::from_secs(12)).await;
    let weights = stand.space.weights().await?;
    claim(weights.green == 20, || format!("nobody is there, and the route stands at {weights:?}"))?;
    replicas(&own, 1).await?;
    service.route.until("home", STEP, |route| Weights::of(route) == HOME).await?;
    service.rollout.until("v3 is promoted", Duration::from_mins(1), is_promoted).await?;
    let seen = greens(&service.route);
    claim(seen == [0, 20, 0, 20, 100], || format!("green's weights in the route were {seen:?}"))?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())?;
    own.uninstall().await
}
