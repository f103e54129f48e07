//! The figures of a run, gathered request by request, and the report made of them.
//! Nothing here sends or listens.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{
    latency::{Latency, Quantiles},
    outcome::{Kind, Outcome},
};

/// Failures listed one by one; beyond them only the counts go on.
const FAILURES: usize = 1000;

/// When and in what phase a request started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun {
    /// Since the start of the run.
    pub(crate) at_ms: u64,
    phase: usize,
}

/// What one version answered.
#[derive(Debug, Clone, Default)]
struct Side {
    requests: u64,
    failed: u64,
    first_ms: u64,
    last_ms: u64,
    color: Option<String>,
    latency: Latency,
}

/// A side as reported.
#[derive(Debug, Serialize)]
struct SideReport<'a> {
    requests: u64,
    ok: u64,
    failed: u64,
    share: f64,
    first_ms: u64,
    last_ms: u64,
    color: Option<&'a str>,
    latency: Option<Quantiles>,
}

/// Sides by version.
#[derive(Debug, Default)]
struct Sides(BTreeMap<String, Side>);

impl Serialize for Sides {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let all: u64 = self.0.values().map(|side| side.requests).sum();
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (version, side) in &self.0 {
            let report = SideReport {
                requests: side.requests,
                ok: side.requests - side.failed,
                failed: side.failed,
                share: share(side.requests, all),
                first_ms: side.first_ms,
                last_ms: side.last_ms,
                color: side.color.as_deref(),
                latency: side.latency.quantiles(),
            };
            map.serialize_entry(version, &report)?;
        }
        map.end()
    }
}

/// The figures of the run, or of one phase.
#[derive(Debug, Default, Serialize)]
struct Figures {
    requests: u64,
    ok: u64,
    failed: u64,
    failed_unanswered: u64,
    skipped: u64,
    by_version: Sides,
}

impl Figures {
    fn count(&mut self, begun: Begun, outcome: &Outcome) {
        let failed = u64::from(outcome.failure.is_some());
        self.requests += 1;
        self.failed += failed;
        self.ok += 1 - failed;
        self.failed_unanswered += u64::from(failed == 1 && !outcome.answered());
        let Some(version) = outcome.version() else {
            return;
        };
        let side = self.by_version.0.entry(version.to_owned()).or_insert_with(|| Side {
            first_ms: begun.at_ms,
            last_ms: begun.at_ms,
            ..Side::default()
        });
        side.requests += 1;
        side.failed += failed;
        side.first_ms = side.first_ms.min(begun.at_ms);
        side.last_ms = side.last_ms.max(begun.at_ms);
        side.color = outcome.head.as_ref().and_then(|head| head.color.clone());
        if failed == 0 {
            side.latency.observe(outcome.took);
        }
    }
}

/// A stretch of the run with a name.
#[derive(Debug, Serialize)]
struct Phase {
    name: String,
    from_ms: u64,
    to_ms: u64,
    #[serde(flatten)]
    figures: Figures,
}

/// One failed request.
#[derive(Debug, Serialize)]
struct Failure {
    at_ms: u64,
    took_ms: u128,
    phase: String,
    kind: Kind,
    answered: bool,
    status: Option<u16>,
    version: Option<String>,
    color: Option<String>,
    pod: Option<String>,
    detail: String,
}

/// The report of a run, finished or not.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    started_at: String,
    started_at_ms: i64,
    seconds: f64,
    ended_by: Option<&'static str>,
    in_flight: usize,
    worst_start_delay_ms: u64,
    #[serde(flatten)]
    figures: Figures,
    by_color: BTreeMap<String, u64>,
    by_status: BTreeMap<String, u64>,
    by_kind: BTreeMap<Kind, u64>,
    phases: Vec<Phase>,
    failures: Vec<Failure>,
    failures_not_listed: u64,
}

/// The moment a run began, for readers and for machines.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    /// As RFC 3339.
    pub(crate) text: String,
    /// Milliseconds since 1970.
    pub(crate) ms: i64,
}

impl Report {
    /// An empty one, in a first phase called `start`.
    pub(crate) fn new(start: Start) -> Self {
        Self {
            started_at: start.text,
            started_at_ms: start.ms,
            seconds: 0.0,
            ended_by: None,
            in_flight: 0,
            worst_start_delay_ms: 0,
            figures: Figures::default(),
            by_color: BTreeMap::new(),
            by_status: BTreeMap::new(),
            by_kind: BTreeMap::new(),
            phases: vec![Phase { name: "start".to_owned(), from_ms: 0, to_ms: 0, figures: Figures::default() }],
            failures: Vec::new(),
            failures_not_listed: 0,
        }
    }

    /// A new phase begins; requests under way stay with the one they started in.
    pub(crate) fn mark(&mut self, at_ms: u64, name: String) {
        self.advance(at_ms);
        self.phases.push(Phase { name, from_ms: at_ms, to_ms: at_ms, figures: Figures::default() });
    }

    /// Time has passed.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of two hours")]
    pub(crate) fn advance(&mut self, at_ms: u64) {
        self.seconds = at_ms as f64 / 1000.0;
        if let Some(phase) = self.phases.last_mut() {
            phase.to_ms = at_ms;
        }
    }

    /// A request starts, so late against the schedule.
    pub(crate) fn begin(&mut self, at_ms: u64, delay_ms: u64) -> Begun {
        self.worst_start_delay_ms = self.worst_start_delay_ms.max(delay_ms);
        self.in_flight += 1;
        Begun { at_ms, phase: self.phases.len() - 1 }
    }

    /// A request was due but too many were under way.
    pub(crate) fn skip(&mut self) {
        self.figures.skipped += 1;
        if let Some(phase) = self.phases.last_mut() {
            phase.figures.skipped += 1;
        }
    }

    /// A request is over.
    pub(crate) fn end(&mut self, begun: Begun, outcome: &Outcome) {
        self.in_flight -= 1;
        self.figures.count(begun, outcome);
        let mut phase_name = "";
        if let Some(phase) = self.phases.get_mut(begun.phase) {
            phase.figures.count(begun, outcome);
            phase_name = &phase.name;
        }
        if let Some(head) = &outcome.head {
            *self.by_status.entry(format!("{}xx", head.status / 100)).or_default() += 1;
            if let Some(color) = &head.color {
                *self.by_color.entry(color.clone()).or_default() += 1;
            }
        }
        let Some(kind) = outcome.failure else { return };
        *self.by_kind.entry(kind).or_default() += 1;
        if self.failures.len() >= FAILURES {
            self.failures_not_listed += 1;
            return;
        }
        let head = outcome.head.clone();
        self.failures.push(Failure {
            at_ms: begun.at_ms,
            took_ms: outcome.took.as_millis(),
            phase: phase_name.to_owned(),
            kind,
            answered: outcome.answered(),
            status: head.as_ref().map(|head| head.status),
            version: head.as_ref().and_then(|head| head.version.clone()),
            color: head.as_ref().and_then(|head| head.color.clone()),
            pod: head.and_then(|head| head.pod),
            detail: outcome.detail.clone(),
        });
    }

    /// The run is over, and why.
    pub(crate) fn close(&mut self, ended_by: &'static str) {
        self.ended_by = Some(ended_by);
    }

    /// Requests under way.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// One line for whoever watches.
    pub(crate) fn live(&self) -> Live<'_> {
        Live {
            seconds: self.seconds,
            phase: self.phases.last().map_or("", |phase| phase.name.as_str()),
            requests: self.figures.requests,
            failed: self.figures.failed,
            failed_unanswered: self.figures.failed_unanswered,
            skipped: self.figures.skipped,
            in_flight: self.in_flight,
            by_version: self
                .figures
                .by_version
                .0
                .iter()
                .map(|(version, side)| (version.as_str(), side.requests))
                .collect(),
        }
    }
}

/// One line for whoever watches; every count is since the start.
#[derive(Debug, Serialize)]
pub(crate) struct Live<'a> {
    seconds: f64,
    phase: &'a str,
    requests: u64,
    failed: u64,
    failed_unanswered: u64,
    skipped: u64,
    in_flight: usize,
    by_version: BTreeMap<&'a str, u64>,
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
