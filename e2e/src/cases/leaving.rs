//! Claims about manifests that go, come back, or are overtaken in the middle of a release.
//! Nothing here makes a candidate bad.

use std::time::Duration;

use kube::api::DeleteParams;
use serde_json::json;

use super::{
    promote::gets_nothing,
    stand::{Stand, is_promoted},
};
use crate::kit::{KitError, LoadPlan, Weights, Wish, claim, recipe::NAME, space};

const STEP: Duration = Duration::from_secs(40);

/// Deleted at 20 %: traffic goes home, both colors stay, nobody notices; applied again, it takes over what serves.
pub(super) async fn deleted_midway_leaves_traffic_on_blue(stand: &Stand) -> Result<(), KitError> {
    let service = stand.serve(&Wish::new("v1"), &LoadPlan::default()).await?;
    let blue = stand.space.pods("blue").await?;
    let kept = json!({"decommission": {"mode": "Keep", "drain": "0s"}});
    let manifest = Wish::new("v2").steps(&[(20, "6s"), (100, "3s")]).more(&kept).manifest();
    service.apply(stand, &manifest).await?;
    service.holding(20, STEP).await?;
    let deleted = stand.space.rollouts().delete(NAME, &DeleteParams::default()).await;
    deleted.map_err(KitError::api("deleting the rollout"))?;
    service.rollout.until_gone(Duration::from_secs(10)).await?;
    // Long enough for the garbage collector to take what is still owned.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (weights, selector) = (stand.space.weights().await?, stand.space.selector().await?);
    claim(weights == Weights { blue: 100, green: 0 } && selector == "blue", || {
        format!("{weights:?}, selector {selector}")
    })?;
    for color in ["chat-blue", "chat-green"] {
        for (api_version, kind) in [("apps/v1", "Deployment"), ("v1", "Service")] {
            let object = stand.space.get(api_version, kind, color).await?;
            let free =
                object["metadata"]["ownerReferences"].is_null() && object["metadata"]["deletionTimestamp"].is_null();
            claim(free, || format!("{kind} {color} is still bound: {}", object["metadata"]))?;
        }
    }
    service.apply(stand, &manifest).await?;
    service.rollout.until("v2 is promoted after all", STEP, is_promoted).await?;
    let after = stand.space.pods("blue").await?;
    claim(blue == after, || format!("blue's pods were {blue:?} and are {after:?}"))?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())
}

/// v3 comes at 20 % of v2: traffic goes home first, then v3 begins at its first step.
pub(super) async fn newer_revision_supersedes_at_a_middle_step(stand: &Stand) -> Result<(), KitError> {
    let service = stand.serve(&Wish::new("v1"), &LoadPlan::default()).await?;
    let steps = [(10, "3s"), (30, "6s"), (100, "3s")];
    service.apply(stand, &Wish::new("v2").steps(&steps).manifest()).await?;
    service.holding(30, STEP).await?;
    service.apply(stand, &Wish::new("v3").steps(&steps).manifest()).await?;
    service.route.until("home", Duration::from_secs(5), |route| Weights::of(route).green == 0).await?;
    service.load.mark("home").await?;
    service.rollout.until("v3 is promoted", Duration::from_mins(1), is_promoted).await?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())?;
    gets_nothing(&report, "home", "v2")?;
    let greens: Vec<_> = space::weights_seen(&service.route).iter().map(|(weights, _)| weights.green).collect();
    claim(greens == [0, 10, 30, 0, 10, 30, 100], || format!("green's weights in the route were {greens:?}"))?;
    let rollout = stand.space.rollout().await?;
    let outcomes: Vec<_> =
        rollout["status"]["history"].as_array().into_iter().flatten().map(|past| past["outcome"].clone()).collect();
    claim(outcomes[..2] == ["Promoted", "Superseded"], || format!("the history, newest first: {outcomes:?}"))
}
