//! Claims about operators that die: the release goes on as if nothing had been, no step twice, no hold shorter.
//! Each case has an operator of its own, which may touch its namespace only.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::{
    records::Recorded,
    stand::{Stand, is_promoted},
};
use crate::kit::{
    Film, KitError, LoadPlan, Weights, Wish,
    audit::Audit,
    claim,
    operator::{Install, run as tool},
    pods, space,
};

const STEP: Duration = Duration::from_mins(1);
const LEASE: Duration = Duration::from_secs(4);
const HOLD: Duration = Duration::from_secs(5);

/// An operator for the namespace of this case alone.
pub(super) async fn own_operator(stand: &Stand, replicas: u32) -> Result<Install, KitError> {
    stand.space.ground.lab()?;
    let own = stand.own_operator(replicas, LEASE);
    own.install(&stand.space.ground).await?;
    Ok(own)
}

/// The same, asking another provider: fields of its settings.
pub(super) async fn own_operator_asking(stand: &Stand, provider: &Value) -> Result<Install, KitError> {
    stand.space.ground.lab()?;
    let own = Install { provider: provider.clone(), ..stand.own_operator(1, LEASE) };
    own.install(&stand.space.ground).await?;
    Ok(own)
}

/// Kills every process of the operator; a pod that is deleted as well comes back under another name.
async fn kill(stand: &Stand, own: &Install, replaced: bool) -> Result<(), KitError> {
    for (name, uid) in own.pods(&stand.space.ground).await? {
        let killed = pods::signal(&uid, Signal::KILL);
        claim(killed > 0, || format!("no process of {name} was there to kill"))?;
        if replaced {
            tool("kubectl", &["delete", "pod", &name, "-n", &own.namespace, "--force", "--grace-period=0"]).await?;
        }
    }
    Ok(())
}

/// The operator goes and stays away: no replica is wanted, and none is left. A process that was only killed would be
/// started again before its pod is gone.
pub(super) async fn take_away(own: &Install) -> Result<(), KitError> {
    replicas(own, 0).await?;
    let selector = format!("app.kubernetes.io/name=llmrollout-operator,app.kubernetes.io/instance={}", own.release);
    let gone = ["wait", "--for=delete", "pod", "-n", &own.namespace, "-l", &selector, "--timeout=40s"];
    tool("kubectl", &gone).await.map(drop)
}

/// So many processes of the operator are wanted.
pub(super) async fn replicas(own: &Install, count: u32) -> Result<(), KitError> {
    let (name, count) = (own.full_name(), format!("--replicas={count}"));
    tool("kubectl", &["scale", "deployment", &name, &count, "-n", &own.namespace]).await.map(drop)
}

/// Weights only ever rise, each is written once, and no hold is shorter than it should be.
fn went_by_the_book(route: &Film, steps: &[i64]) -> Result<(), KitError> {
    let seen = space::weights_seen(route);
    let greens: Vec<_> = seen.iter().map(|(weights, _)| weights.green).collect();
    let wanted: Vec<_> = std::iter::once(0).chain(steps.iter().copied()).collect();
    claim(greens == wanted, || format!("green's weights in the route were {greens:?}"))?;
    for pair in seen.windows(2).skip(1) {
        let held = pair[1].1.at.saturating_duration_since(pair[0].1.at);
        claim(held >= HOLD, || {
            format!("{}% was held for {} ms, not {} s", pair[0].0.green, held.as_millis(), HOLD.as_secs())
        })?;
    }
    Ok(())
}

/// SIGKILL in Preparing, in Shifting as well as it can be hit, and in the middle of every step.
pub(super) async fn operator_killed_in_each_step(stand: &Stand) -> Result<(), KitError> {
    let own = own_operator(stand, 1).await?;
    let audit = Audit::from_now(&stand.space.ground)?;
    let service = stand.serve(&Wish::new("v1"), &LoadPlan::default()).await?;
    let steps = [5, 20, 50, 100];
    let hold = format!("{}s", HOLD.as_secs());
    let v2 = Wish::new("v2").with("SIM_LOAD_TIME_MS", "2000").steps(&steps.map(|weight| (weight, hold.as_str())));
    service.apply(stand, &v2.manifest()).await?;
    service.phase("Preparing", STEP).await?;
    kill(stand, &own, false).await?;
    service.rollout.until("an intent", STEP, |rollout| rollout["status"]["intent"]["weight"] == 5).await?;
    kill(stand, &own, false).await?;
    for weight in steps.map(i64::from) {
        service.holding(weight, STEP).await?;
        tokio::time::sleep(HOLD / 4).await;
        // The node waits longer after each crash of the same pod.
        kill(stand, &own, weight >= 20).await?;
    }
    service.rollout.until("v2 is promoted", STEP, is_promoted).await?;
    let recorded = Recorded::of(stand, 2).await?;
    recorded.tells_each_step_once(&steps.map(i64::from))?;
    recorded.tells_what_each_step_rested_on(steps.len(), &["errors", "p95", "cost"])?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())?;
    super::promote::note_shortest_hold(stand, &service.route);
    went_by_the_book(&service.route, &steps.map(i64::from))?;
    let written = |request: &crate::kit::audit::Request| {
        let target = &request.object_ref;
        request.user() == own.user()
            && request.verb == "patch"
            && target.resource == "httproutes"
            && request.code() < 300
    };
    let writes = audit.requests(written)?;
    claim(writes.len() == steps.len(), || {
        let lines: Vec<_> = writes.iter().map(crate::kit::audit::Request::line).collect();
        format!("{} writes of the route, not {}:\n{}", writes.len(), steps.len(), lines.join("\n"))
    })?;
    own.uninstall().await
}

/// Waits until somebody other than `before` holds the lease.
async fn poll_other_leader(stand: &Stand, own: &Install, before: &str, within: Duration) -> Result<String, KitError> {
    let since = Instant::now();
    loop {
        let leader = own.leader(&stand.space.ground).await?;
        if !leader.is_empty() && !leader.contains(before) {
            return Ok(leader);
        }
        if since.elapsed() > within {
            return Err(KitError::Late { what: "another leader".to_owned(), within, last: leader });
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Name and uid of the pod that leads.
async fn leading_pod(stand: &Stand, own: &Install) -> Result<(String, String), KitError> {
    let leader = poll_other_leader(stand, own, "nobody at all", Duration::from_secs(10)).await?;
    let there = own.pods(&stand.space.ground).await?;
    let words = format!("the lease is held by {leader}, which is none of {there:?}");
    there.into_iter().find(|(name, _)| leader.contains(name.as_str())).ok_or(KitError::Refuted(words))
}

/// SIGKILL for the leader, whose pod does not come back: the other takes over when the lease has run out.
pub(super) async fn leader_killed_of_two_replicas(stand: &Stand) -> Result<(), KitError> {
    let own = own_operator(stand, 2).await?;
    let service = stand.serve(&Wish::new("v1"), &LoadPlan::default()).await?;
    service.apply(stand, &Wish::new("v2").steps(&[(20, "5s"), (50, "5s"), (100, "5s")]).manifest()).await?;
    service.holding(20, STEP).await?;
    let (name, uid) = leading_pod(stand, &own).await?;
    let since = Instant::now();
    claim(pods::signal(&uid, Signal::KILL) > 0, || format!("no process of {name} was there to kill"))?;
    tool("kubectl", &["delete", "pod", &name, "-n", &own.namespace, "--force", "--grace-period=0"]).await?;
    poll_other_leader(stand, &own, &name, LEASE * 3).await?;
    let took = since.elapsed();
    stand.note("takeover_ms", took);
    claim(took < LEASE + Duration::from_secs(3), || format!("another leader after {} ms", took.as_millis()))?;
    service.rollout.until("v2 is promoted", STEP, is_promoted).await?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())?;
    went_by_the_book(&service.route, &[20, 50, 100])?;
    own.uninstall().await
}

/// A leader that is asked to end gives the lease back: the other takes over at once, and an abort finds it.
pub(super) async fn leader_stopped_cleanly_hands_over_at_once(stand: &Stand) -> Result<(), KitError> {
    let own = own_operator(stand, 2).await?;
    let service = stand.serve(&Wish::new("v1"), &LoadPlan::default()).await?;
    service.apply(stand, &Wish::new("v2").steps(&[(20, "120s"), (100, "5s")]).manifest()).await?;
    service.holding(20, STEP).await?;
    let (name, _) = leading_pod(stand, &own).await?;
    let since = Instant::now();
    tool("kubectl", &["delete", "pod", &name, "-n", &own.namespace, "--wait=false"]).await?;
    poll_other_leader(stand, &own, &name, LEASE * 3).await?;
    let took = since.elapsed();
    stand.note("handover_ms", took);
    claim(took < Duration::from_secs(2), || format!("another leader after {} ms", took.as_millis()))?;
    service.change(stand, &serde_json::json!({"abort": true})).await?;
    let home = |route: &Value| Weights::of(route) == Weights { blue: 100, green: 0 };
    service.route.until("home under the new leader", Duration::from_secs(5), home).await?;
    service.phase("RolledBack", STEP).await?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())?;
    own.uninstall().await
}
