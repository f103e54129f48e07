//! The figures of the story, each from the place that knows it: the route's film, the load, Prometheus, the audit log.
//! Nothing here prints.

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::{
    DemoError,
    report::{Last, Promote, Rollback, Route, Share},
    story::Scene,
    timeline::{Timeline, weight_of},
};
use crate::kit::{
    audit::Audit,
    load::{self, Phase},
    prometheus,
    space::phase,
};

/// Phases of the load that belong to a release.
fn phases<'a>(said: &'a load::Report, version: &str) -> impl Iterator<Item = &'a Phase> {
    let begin = format!("{version} ");
    said.phases.iter().filter(move |phase| phase.name.starts_with(&begin))
}

/// The release that went through.
pub(super) fn promote(scene: &Scene, release: &Timeline, said: &load::Report) -> Promote {
    let share = |(weight, _): &(i64, _)| {
        let phase = said.phase(&release.phase_name(*weight));
        let measured = phase.by_version.get(&release.version).map_or(0.0, |side| side.share);
        Share { weight: *weight, measured, requests: phase.requests }
    };
    let of_release = || phases(said, &release.version);
    Promote {
        weights_seen: release.weights.iter().map(|(weight, _)| *weight).collect(),
        shares: release.weights.iter().map(share).collect(),
        requests: of_release().map(|phase| phase.requests).sum(),
        failed: of_release().map(|phase| phase.failed).sum(),
        seconds: release.took.as_secs_f64(),
        requests_per_second: f64::from(u32::try_from(said.requests).unwrap_or(u32::MAX)) / said.seconds.max(1.0),
        replicas: scene.operator.replicas,
    }
}

/// The release that was taken back.
pub(super) async fn rollback(scene: &Scene, release: &Timeline, said: &load::Report) -> Result<Rollback, DemoError> {
    let home = release.weights.iter().rev().find(|(weight, _)| *weight == 0).map(|(_, frame)| frame.time);
    let first_bad = first_bad_scrape(scene, release).await?;
    let first_bad_scrape_to_blue_ms =
        home.zip(first_bad).map(|(home, bad)| home.as_millisecond() - bad.as_millisecond());
    let failed = phases(said, &release.version).map(|phase| phase.failed).sum::<u64>();
    // What the bad version answered itself is its own fault; everything else is ours.
    let from_ms = phases(said, &release.version).next().map_or(0, |phase| phase.from_ms);
    let own = said.failures.iter().filter(|failure| {
        failure.at_ms >= from_ms && failure.answered && failure.version.as_deref() == Some(&*release.version)
    });
    let own = u64::try_from(own.count()).unwrap_or(u64::MAX);
    let newest = said.by_version.get(&release.version).map(|side| side.last_ms);
    let newest = newest.and_then(|ms| i64::try_from(ms).ok()).map(|ms| said.started_at_ms + ms);
    Ok(Rollback {
        gate: failed_gate(&release.end),
        message: release.end["status"]["summary"].as_str().unwrap_or_default().to_owned(),
        weights_seen: release.weights.iter().map(|(weight, _)| *weight).collect(),
        first_bad_scrape_to_blue_ms,
        decision_to_blue_ms: decision_to_blue(scene, release)?,
        last_request_after_blue_ms: home.zip(newest).map(|(home, newest)| newest - home.as_millisecond()),
        requests: phases(said, &release.version).map(|phase| phase.requests).sum(),
        failed,
        failed_not_by_green: failed.saturating_sub(own),
        seconds: release.took.as_secs_f64(),
    })
}

/// The gate that says so in the status, else the first word of the summary.
fn failed_gate(rollout: &Value) -> String {
    let status = &rollout["status"];
    let failing = status["gates"].as_array().into_iter().flatten().find(|gate| gate["verdict"] == "Fail");
    let named = failing.and_then(|gate| gate["name"].as_str());
    named.or_else(|| status["summary"].as_str()?.split(' ').next()).unwrap_or_default().to_owned()
}

/// The time of the first scrape that holds an error of the candidate: raw samples, not rates.
async fn first_bad_scrape(scene: &Scene, release: &Timeline) -> Result<Option<Timestamp>, DemoError> {
    let (namespace, color) = (&scene.space.name, release.candidate);
    let query = format!("http_requests_total{{namespace=\"{namespace}\",color=\"{color}\",status=\"5xx\"}}[10m]");
    let series = prometheus::query(&scene.space.ground, &query).await?;
    let samples = series.iter().filter_map(|series| series["values"].as_array()).flatten();
    let bad = samples.filter_map(|sample| {
        let count: f64 = sample[1].as_str()?.parse().ok()?;
        let at = Timestamp::from_millisecond(millis(sample[0].as_f64()?)).ok()?;
        (count > 0.0 && at >= release.from).then_some(at)
    });
    Ok(bad.min())
}

#[expect(clippy::cast_possible_truncation, reason = "seconds since 1970 with three decimals")]
fn millis(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

/// How long the API server took for the write that brought traffic home; only a lab has an audit log to read.
fn decision_to_blue(scene: &Scene, release: &Timeline) -> Result<Option<f64>, DemoError> {
    if scene.space.ground.lab.is_none() {
        return Ok(None);
    }
    let user = scene.operator.user();
    let writes = Audit::whole(&scene.space.ground)?.requests(|request| {
        request.user() == user
            && request.verb == "patch"
            && request.code() == 200
            && request.object_ref.resource == "httproutes"
            && request.object_ref.namespace == scene.space.name
            && request.received >= release.from
    })?;
    let took = writes.last().map(|write| write.stage_timestamp.duration_since(write.received));
    Ok(took.map(|took| took.as_secs_f64() * 1000.0))
}

/// How everything stands at the end.
pub(super) async fn last(scene: &Scene) -> Result<Last, DemoError> {
    let weights = scene.space.weights().await?;
    Ok(Last {
        route: Route { blue: weight_of(weights, "blue"), green: weight_of(weights, "green") },
        selector: scene.space.selector().await?,
        phase: phase(&scene.space.rollout().await?).to_owned(),
    })
}
