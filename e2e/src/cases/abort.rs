//! Claims about the orders a person gives: abort, pause, resume.
//! Nothing here makes a candidate bad.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use super::{
    promote::{ON_ITS_WAY, gets_nothing, granted},
    stand::{Service, Stand, is_promoted},
};
use crate::kit::{KitError, LoadPlan, Weights, Wish, claim, pods, space};

const STEP: Duration = Duration::from_secs(40);
const HOME: Weights = Weights { blue: 100, green: 0 };
/// What the pause case holds at its first step.
const HOLD: Duration = Duration::from_secs(8);
/// What counts as at once on a machine that others use too.
const AT_ONCE: Duration = Duration::from_millis(500);

/// Sets `abort` and measures from the patch until the route stands at home.
pub(super) async fn abort(stand: &Stand, service: &Service) -> Result<Duration, KitError> {
    let since = Instant::now();
    service.change(stand, &json!({"abort": true})).await?;
    let home = service.route.until("home", Duration::from_secs(10), |route| Weights::of(route) == HOME).await?;
    Ok(home.at.saturating_duration_since(since))
}

/// From the patch to the route it is a matter of milliseconds, and nobody notices.
pub(super) async fn abort_takes_traffic_home_at_once(stand: &Stand) -> Result<(), KitError> {
    let service = stand.serve(&Wish::new("v1"), &LoadPlan::default()).await?;
    service.apply(stand, &Wish::new("v2").steps(&[(20, "120s"), (100, "5s")]).manifest()).await?;
    service.holding(20, STEP).await?;
    let took = abort(stand, &service).await?;
    stand.note("abort_to_blue_ms", took);
    claim(took < AT_ONCE, || format!("from abort to route at home: {} ms", took.as_millis()))?;
    let back = service.phase("RolledBack", Duration::from_secs(15)).await?;
    service.load.mark("after").await?;
    let reason = back.object.as_deref().map(|rollout| rollout["status"]["reason"].clone());
    claim(reason == Some(json!("Aborted")), || format!("the reason is {reason:?}"))?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())?;
    gets_nothing(&report, "after", "v2")?;
    let (weights, selector) = (stand.space.weights().await?, stand.space.selector().await?);
    claim(weights == HOME && selector == "blue", || format!("{weights:?}, selector {selector}"))
}

/// While paused nothing moves, however long; resumed, the step still needs what was left of its hold.
pub(super) async fn pause_holds_and_resume_goes_on(stand: &Stand) -> Result<(), KitError> {
    let service = stand.serve(&Wish::new("v1"), &LoadPlan::default()).await?;
    service.apply(stand, &Wish::new("v2").steps(&[(20, "8s"), (100, "3s")]).manifest()).await?;
    let entered = service.holding(20, STEP).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    service.change(stand, &json!({"paused": true})).await?;
    let paused = service.phase("Paused", Duration::from_secs(5)).await?;
    // Longer than what is left of the hold, and no whole number of seconds.
    tokio::time::sleep(Duration::from_millis(9500)).await;
    let weights = stand.space.weights().await?;
    claim(weights.green == 20, || format!("paused at 20%, the route stands at {weights:?}"))?;
    service.change(stand, &json!({"paused": false})).await?;
    let resumed = service.holding(20, Duration::from_secs(5)).await?;
    let left = granted(&resumed).unwrap_or_default();
    let held = paused.at.saturating_duration_since(entered.at) + left;
    stand.note("granted_hold_ms", held);
    claim(held + ON_ITS_WAY >= HOLD, || format!("without the pause 20% is granted {} ms, not 8 s", held.as_millis()))?;
    let raised = service.route.until("100%", STEP, |route| Weights::of(route).green == 100).await?;
    let rest = raised.at.saturating_duration_since(resumed.at);
    claim(rest >= left, || {
        format!("after the pause 20% was held {} ms, not {} ms", rest.as_millis(), left.as_millis())
    })?;
    service.rollout.until("v2 is promoted", STEP, is_promoted).await?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())?;
    let greens: Vec<_> = space::weights_seen(&service.route).iter().map(|(weights, _)| weights.green).collect();
    claim(greens == [0, 20, 100], || format!("green's weights in the route were {greens:?}"))
}

/// The process of the lab's Prometheus.
pub(super) fn prometheus_pid(stand: &Stand) -> Result<i32, KitError> {
    let path = stand.space.ground.lab()?.state_dir.join("parts.json");
    let text = std::fs::read_to_string(&path).map_err(KitError::failed(path.display().to_string()))?;
    let parts: serde_json::Value = serde_json::from_str(&text).map_err(KitError::failed(path.display().to_string()))?;
    let pid = parts["prometheus"]["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
    pid.ok_or_else(|| KitError::Refuted("Prometheus does not run".to_owned()))
}

/// A Prometheus that accepts and never answers; it goes on when this is dropped.
pub(super) struct Hanging(i32);

impl Hanging {
    pub(super) fn of(stand: &Stand) -> Result<Self, KitError> {
        let pid = prometheus_pid(stand)?;
        pods::signal_one(pid, Signal::STOP);
        Ok(Self(pid))
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        pods::signal_one(self.0, Signal::CONT);
    }
}

/// Questions that nobody answers do not stand before an abort.
pub(super) async fn abort_works_while_prometheus_hangs(stand: &Stand) -> Result<(), KitError> {
    let service = stand.serve(&Wish::new("v1"), &LoadPlan::default()).await?;
    service.apply(stand, &Wish::new("v2").steps(&[(20, "120s"), (100, "5s")]).manifest()).await?;
    service.holding(20, STEP).await?;
    let hanging = Hanging::of(stand)?;
    // Long enough for several rounds of questions to hang.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let took = abort(stand, &service).await;
    drop(hanging);
    let took = took?;
    stand.note("abort_to_blue_ms", took);
    claim(took < AT_ONCE, || format!("from abort to route at home: {} ms", took.as_millis()))?;
    service.phase("RolledBack", Duration::from_secs(15)).await?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())
}
