//! Claims about releases that go back by themselves.
//! Nothing here gives an order to go back.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::{
    promote::gets_nothing,
    records::{Recorded, reported},
    stand::Stand,
};
use crate::kit::{KitError, LoadPlan, Weights, Wish, claim, pods, space};

/// Until what is in status is in the metrics too.
const TOLD: Duration = Duration::from_secs(5);
const BACK: Duration = Duration::from_mins(1);

/// 5 % … 20 % of v2's answers are errors.
pub(super) async fn rolls_back_on_error_rate(stand: &Stand) -> Result<(), KitError> {
    rolls_back(stand, Wish::new("v2").with("SIM_ERROR_SHARE", "0.2"), "errors").await
}

/// v2 needs two seconds for an answer.
pub(super) async fn rolls_back_on_latency(stand: &Stand) -> Result<(), KitError> {
    rolls_back(stand, Wish::new("v2").with("SIM_LATENCY", "fixed:2s"), "p95").await
}

/// v2 talks twenty times as much.
pub(super) async fn rolls_back_on_cost(stand: &Stand) -> Result<(), KitError> {
    rolls_back(stand, Wish::new("v2").with("SIM_TOKENS_MEAN", "640"), "cost").await
}

/// A bad v2 goes back by its gate; blue is untouched; the same revision gets nothing again.
async fn rolls_back(stand: &Stand, bad: Wish, gate: &str) -> Result<(), KitError> {
    let service = stand.serve(&Wish::new("v1"), &LoadPlan::default()).await?;
    let blue = stand.space.pods("blue").await?;
    service.apply(stand, &bad.manifest()).await?;
    let back = service.phase("RolledBack", BACK).await?;
    service.load.mark("after").await?;
    let rollout = back.object.as_deref().cloned().unwrap_or_default();
    let figures = figures_of(&rollout, gate)?;
    told_soon(stand, gate).await?;
    Recorded::of(stand, 2).await?.ended_by("GateFailed", gate)?;
    reported(stand, 2).await?;
    // The same revision again, after another touch of the manifest: it gets nothing.
    service
        .change(stand, &serde_json::json!({"steps": [{"weight": 50, "hold": "5s"}, {"weight": 100, "hold": "5s"}]}))
        .await?;
    service.phase("RolledBack", Duration::from_secs(10)).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (weights, selector) = (stand.space.weights().await?, stand.space.selector().await?);
    let home = weights == Weights { blue: 100, green: 0 } && selector == "blue";
    claim(home, || format!("the route stands at {weights:?}, the selector at {selector}; {figures}"))?;
    let report = stand.end(service.load).await?;
    let others = report.failures.iter().filter(|failure| failure.version.as_deref() != Some("v2")).count();
    claim(report.failed_unanswered == 0 && others == 0, || report.words())?;
    gets_nothing(&report, "after", "v2")?;
    let after = stand.space.pods("blue").await?;
    claim(blue == after, || format!("blue's pods were {blue:?} and are {after:?}"))?;
    let greens: Vec<_> = space::weights_seen(&service.route).iter().map(|(weights, _)| weights.green).collect();
    claim(greens.last() == Some(&0) && greens.windows(2).filter(|pair| pair[1] < pair[0]).count() == 1, || {
        format!("green's weights in the route were {greens:?}")
    })
}

/// A watch may show a status before whoever wrote it has the reply, and its metrics follow the reply.
async fn told_soon(stand: &Stand, gate: &str) -> Result<(), KitError> {
    let since = Instant::now();
    loop {
        let told = stand.operator.metrics(&stand.space.ground).await?;
        match told_by_metrics(&told, &stand.space.name, gate) {
            Err(_) if since.elapsed() < TOLD => tokio::time::sleep(Duration::from_millis(50)).await,
            told => return told,
        }
    }
}

/// What alerts and board rest on: where it stands, how it ended, and the gate's value beyond its limit.
fn told_by_metrics(told: &str, namespace: &str, gate: &str) -> Result<(), KitError> {
    let figure = |what: &str, rest: &str| {
        let begin = format!("llmrollout_{what}{{namespace=\"{namespace}\",name=\"chat\"{rest}}} ");
        told.lines().find_map(|line| line.strip_prefix(&begin)?.parse::<f64>().ok())
    };
    let of_gate = |what: &str, rest: &str| figure(what, &format!(",gate=\"{gate}\"{rest}"));
    let home = figure("phase", ",phase=\"RolledBack\"") == Some(1.0) && figure("candidate_weight", "") == Some(0.0);
    let ended = figure("attempts_total", ",outcome=\"GateFailed\"") == Some(1.0);
    let failed = of_gate("gate_verdict", ",verdict=\"Fail\"") == Some(1.0);
    let (value, most) = (of_gate("gate_value", ""), of_gate("gate_limit", ",bound=\"most\""));
    let beyond = value.zip(most).is_some_and(|(value, most)| value > most);
    let delay =
        told.lines().any(|line| line.starts_with("llmrollout_decision_delay_seconds_count{direction=\"back\"}"));
    claim(home && ended && failed && beyond && delay, || {
        let ours: Vec<_> = told.lines().filter(|line| line.contains(namespace)).collect();
        format!("home {home}, ended {ended}, failed {failed}, beyond {beyond}, delay {delay}: {}", ours.join("\n"))
    })
}

/// The gate's figures, as summary, history and status tell them.
pub(super) fn figures_of(rollout: &Value, gate: &str) -> Result<String, KitError> {
    let status = &rollout["status"];
    let summary = status["summary"].as_str().unwrap_or_default();
    let says = summary.starts_with(&format!("{gate} ")) && summary.contains('>');
    claim(says, || format!("the summary does not begin with the failing gate {gate}: {summary}"))?;
    claim(status["reason"] == "GateFailed", || format!("the reason is {}", status["reason"]))?;
    let past = &status["history"][0];
    let told = past["outcome"] == "GateFailed" && past["message"].as_str().is_some_and(|words| words.contains(gate));
    claim(told, || format!("the history says {past}"))?;
    Ok(summary.to_owned())
}

/// At 50 % all of green goes away: traffic goes home, and only what came in the moment before is lost.
pub(super) async fn candidate_that_dies_midway_goes_home(stand: &Stand) -> Result<(), KitError> {
    let service = stand.serve(&Wish::new("v1"), &LoadPlan::default()).await?;
    service.apply(stand, &Wish::new("v2").steps(&[(50, "120s"), (100, "5s")]).manifest()).await?;
    service.holding(50, BACK).await?;
    let since = Instant::now();
    for (_, uid) in stand.space.pods("green").await? {
        pods::signal(&uid, Signal::KILL);
    }
    stand.space.merge("apps/v1", "Deployment", "chat-green", &serde_json::json!({"spec": {"replicas": 0}})).await?;
    let home = service.route.until("home", Duration::from_secs(10), |route| Weights::of(route).green == 0).await?;
    let took = home.at.saturating_duration_since(since);
    stand.note("f32_death_to_blue_ms", took);
    service.load.mark("home").await?;
    let back = service.phase("RolledBack", Duration::from_secs(15)).await?;
    let reason = back.object.as_deref().map(|rollout| rollout["status"]["reason"].clone()).unwrap_or_default();
    claim(reason == "CandidateUnready", || format!("the reason is {reason}"))?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let report = stand.end(service.load).await?;
    claim(took < Duration::from_secs(3), || format!("from death to route at home: {} ms", took.as_millis()))?;
    // Contour's own 10 ms after the patch, and what was under way when the mark was set.
    let from = report.phase("home").from_ms + 200;
    let late = report.failures.iter().filter(|failure| failure.at_ms > from).count();
    claim(late == 0, || format!("{late} failed after traffic was home: {}", report.words()))?;
    let v1 = report.failures.iter().filter(|failure| failure.version.as_deref() == Some("v1")).count();
    claim(v1 == 0, || report.words())
}
