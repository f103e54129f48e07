//! Claims about a release that goes well.
//! Nothing here makes a release fail.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use serde_json::{Value, json};

use super::stand::{Stand, is_promoted};
use crate::kit::{Film, Frame, KitError, LoadPlan, Report, Weights, Wish, claim, operator::run as tool, space};

const STEP: Duration = Duration::from_secs(40);

/// A version that traffic was taken from gets none, once the gateway has had its moment to follow.
pub(super) fn gets_nothing(report: &Report, phase: &str, version: &str) -> Result<(), KitError> {
    let phase = report.phase(phase);
    let Some(side) = phase.by_version.get(version) else { return Ok(()) };
    // Contour gathers changes for up to 100 ms, and this machine is shared.
    let last = side.last_ms.saturating_sub(phase.from_ms);
    claim(last < 500, || {
        format!("{version} still got {} requests, the last {last} ms after {} began", side.requests, phase.name)
    })
}

/// From a write to its place in a film on a busy machine; so much later than it began a step may seem to begin.
pub(super) const ON_ITS_WAY: Duration = Duration::from_millis(400);

/// The share of a version in a phase of the load, held against the weight it was given.
pub(super) fn share_fits(report: &Report, phase: &str, version: &str, weight: f64) -> Result<(), KitError> {
    let phase = report.phase(phase);
    let measured = phase.by_version.get(version).map_or(0.0, |side| side.share);
    let wanted = weight / 100.0;
    #[expect(clippy::cast_precision_loss, reason = "some thousand requests")]
    let count = (phase.requests as f64).max(1.0);
    // Four standard deviations of a fair draw, and what is on its way when the phase begins.
    let tolerance = 4.0 * (wanted * (1.0 - wanted) / count).sqrt() + 0.02;
    claim(phase.requests > 100 && (measured - wanted).abs() <= tolerance, || {
        format!(
            "at {weight}% {version} got {measured:.3} of {} requests, not {wanted} ± {tolerance:.3}",
            phase.requests
        )
    })
}

/// Half a percent is told in thousandths, and everything in hundredths again; the status and `kubectl get` say so.
pub(super) async fn half_a_percent_is_told_in_thousandths(stand: &Stand) -> Result<(), KitError> {
    let service = stand.serve(&Wish::new("v1"), &LoadPlan::default()).await?;
    let step = |weight: Value| json!({"weight": weight, "hold": "3s"});
    let steps = json!({"steps": [step(json!("0.5")), step(json!("99.5")), step(json!(100))]});
    // So few requests are judged by nothing else within seconds.
    let gates = json!([{"name": "alerts", "alerts": {"matchLabels": {"severity": "critical"}}, "interval": "1s"}]);
    service.apply(stand, &Wish { gates, ..Wish::new("v2").more(&steps) }.manifest()).await?;
    let at = |share: &'static str| move |rollout: &Value| rollout["status"]["weight"] == share;
    service.rollout.until("0.5%", STEP, at("0.5%")).await?;
    let get = tool("kubectl", &["get", "llmrollout/chat", "-n", &stand.space.name]).await?;
    claim(get.contains("0.5%"), || format!("kubectl get says {get}"))?;
    service.rollout.until("99.5%", STEP, at("99.5%")).await?;
    service.rollout.until("v2 is promoted", STEP, is_promoted).await?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())?;
    let seen: Vec<_> = space::weights_seen(&service.route).iter().map(|(w, _)| (w.blue, w.green)).collect();
    claim(seen == [(100, 0), (995, 5), (5, 995), (0, 100)], || format!("the route's weights were {seen:?}"))
}

/// Weights go 5 → 20 → 50 → 100, shares follow, both Services always stand, and what is said of it is true.
pub(super) async fn promotes_through_all_steps_without_a_failed_request(stand: &Stand) -> Result<(), KitError> {
    let v1 = Wish::new("v1");
    let service = stand.serve(&v1, &LoadPlan::default()).await?;
    let colors = [
        Film::start(stand.space.services(), "chat-blue").await?,
        Film::start(stand.space.services(), "chat-green").await?,
    ];
    service.apply(stand, &Wish::new("v2").manifest()).await?;
    let mut granted_least = Duration::MAX;
    let mut entered = service.phase("Preparing", STEP).await?;
    for weight in [5, 20, 50, 100] {
        entered = service.moved_to(weight, STEP).await?;
        granted_least = granted_least.min(granted(&entered).unwrap_or_default());
    }
    let promoted = service.rollout.until("v2 is promoted", STEP, is_promoted).await?;
    stand.note("last_hold_ms", promoted.at.saturating_duration_since(entered.at));
    service.load.mark("after").await?;
    tool("kubectl", &["wait", "--for=condition=Promoted", "--timeout=5s", "-n", &stand.space.name, "llmrollout/chat"])
        .await?;
    let selector = stand.space.selector().await?;
    claim(selector == "green", || format!("the front Service selects {selector}, not green"))?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())?;
    for weight in [5.0, 20.0, 50.0, 100.0] {
        share_fits(&report, &format!("{weight}%"), "v2", weight)?;
    }
    let seen: Vec<_> = space::weights_seen(&service.route).iter().map(|(weights, _)| weights.green).collect();
    claim(seen == [0, 5, 20, 50, 100], || format!("green's weights in the route were {seen:?}"))?;
    note_shortest_hold(stand, &service.route);
    stand.note("shortest_granted_hold_ms", granted_least);
    claim(granted_least + ON_ITS_WAY >= Duration::from_secs(5), || {
        format!("a hold of 5 s was granted {} ms", granted_least.as_millis())
    })?;
    for film in &colors {
        let gone = film.frames().iter().any(|frame| frame.object.is_none());
        claim(!gone, || "a color was without its Service".to_owned())?;
    }
    told(stand).await
}

/// How long the weights between the first and the last stood in the route, the shortest of them.
pub(super) fn note_shortest_hold(stand: &Stand, route: &Film) {
    let seen = space::weights_seen(route);
    let held = |pair: &[(Weights, Frame)]| pair[1].1.at.saturating_duration_since(pair[0].1.at);
    if let Some(shortest) = seen.windows(2).skip(1).map(held).min() {
        stand.note("shortest_hold_ms", shortest);
    }
}

/// What the status grants a step that it says is entered, against the clock on the wall.
pub(super) fn granted(entered: &Frame) -> Option<Duration> {
    let until = entered.object.as_deref()?.pointer("/status/attempt/holdUntil")?.as_str()?;
    let until: Timestamp = until.parse().ok()?;
    Duration::try_from(until.duration_since(entered.time)).ok()
}

/// Columns, history and events say what happened.
async fn told(stand: &Stand) -> Result<(), KitError> {
    let rollout = stand.space.rollout().await?;
    let status = &rollout["status"];
    let fits = status["active"] == "green" && status["step"] == "4/4" && status["weight"] == "100%";
    claim(fits, || format!("the status is {status}"))?;
    let newest = &status["history"][0];
    claim(newest["outcome"] == "Promoted" && newest["revision"] == status["activeRevision"], || {
        format!("the newest of the history is {newest}")
    })?;
    let events = stand.space.list("events.k8s.io/v1", "Event").await?;
    let reasons: Vec<_> = events.iter().filter_map(|event| event["reason"].as_str()).collect();
    let missing: Vec<_> =
        ["Preparing", "Shifting", "Holding", "Promoted"].into_iter().filter(|r| !reasons.contains(r)).collect();
    claim(missing.is_empty(), || format!("no event says {missing:?}; there are {reasons:?}"))
}

/// Answers of three seconds, in the middle of which their side's share goes up, or to nothing.
pub(super) async fn requests_in_flight_finish_during_each_shift(stand: &Stand) -> Result<(), KitError> {
    let slow = |version: &str| {
        let mut wish = Wish::new(version).with("SIM_LATENCY", "fixed:3s").steps(&[(20, "3s"), (50, "3s"), (100, "3s")]);
        // The latency is wanted here.
        wish.gates[1]["max"] = serde_json::json!("6s");
        wish
    };
    let plan = LoadPlan { rps: 40, stream_share: 0.5, ..LoadPlan::default() };
    let service = stand.serve(&slow("v1"), &plan).await?;
    service.apply(stand, &slow("v2").manifest()).await?;
    service.rollout.until("v2 is promoted", Duration::from_secs(90), is_promoted).await?;
    service.apply(stand, &slow("v3").manifest()).await?;
    service.holding(20, STEP).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    service.change(stand, &serde_json::json!({"abort": true})).await?;
    service.phase("RolledBack", Duration::from_secs(15)).await?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())?;
    let cut: Vec<_> =
        ["v1", "v2", "v3"].into_iter().filter(|version| !report.by_version.contains_key(*version)).collect();
    claim(cut.is_empty(), || format!("no answers of {cut:?}"))
}
