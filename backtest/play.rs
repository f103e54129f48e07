//! One gate over its past: at each of its looks it is judged by the operator's own function, as in one long step that began
//! with the period. Pure; never asks anybody.

use std::time::Duration;

use crate::{
    api::{
        Moment,
        gates::ComparedTo,
        status::{GateStatus, VerdictWord},
    },
    decide::{
        criterion::Test,
        gate::{Beside, Measuring, judge},
        plan::PlannedGate,
    },
    metrics::Reading,
};

/// Readings that any verdict may rest on.
const REMEMBERED: usize = 100;

/// What a gate said at one look.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// When.
    pub at: Moment,
    /// The verdict.
    pub verdict: VerdictWord,
    /// The figure, if there was one.
    pub value: Option<f64>,
    /// Whether it failed for good at this look: bad often enough, or without data for too long.
    pub trips: bool,
    /// In the operator's words.
    pub reason: String,
}

/// The past of a gate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Played {
    /// Each look.
    pub told: Vec<Told>,
    /// Why there is none.
    pub why_not: Option<String>,
}

/// A time in which a gate said the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// From when.
    pub from: Moment,
    /// To when.
    pub to: Moment,
    /// What.
    pub verdict: VerdictWord,
    /// In the operator's words, at the beginning.
    pub reason: String,
}

/// Judges a gate at each of its looks.
pub fn play(gate: &PlannedGate, readings: &[Reading], beside: &[Reading], from: Moment, to: Moment) -> Played {
    let mut told = Vec::new();
    let mut old: Option<GateStatus> = None;
    for now in looks(from, to, gate.interval) {
        let m = Measuring { step: 1, entered: from, clock_from: from, watching_since: from, now, color: None };
        let other = until(beside, now);
        let serves = gate.against == Some(ComparedTo::Active);
        let seen = until(readings, now);
        let verdict = judge(gate, seen, Beside { readings: other, serves, kept: None }, old.as_ref(), m);
        let value = seen.last().filter(|r| r.at == now).and_then(|r| r.outcome.as_ref().ok()).map(|s| s.value);
        let (verdict, trips, status) = (verdict.status.verdict, verdict.tripped.is_some(), verdict.status);
        told.push(Told { at: now, verdict, value, trips, reason: status.reason.clone() });
        old = Some(status);
    }
    Played { told, why_not: None }
}

/// Every look of a period, the first one interval after its beginning.
pub fn looks(from: Moment, to: Moment, interval: Duration) -> impl Iterator<Item = Moment> {
    let interval = interval.max(Duration::from_secs(1));
    std::iter::successors(Some(from.plus(interval)), move |at| Some(at.plus(interval))).take_while(move |at| *at <= to)
}

fn until(readings: &[Reading], now: Moment) -> &[Reading] {
    let end = readings.partition_point(|reading| reading.at <= now);
    readings.get(end.saturating_sub(REMEMBERED)..end).unwrap_or_default()
}

impl Played {
    /// A gate that has no past.
    pub fn not_run(why: &str) -> Self {
        Self { told: Vec::new(), why_not: Some(why.to_owned()) }
    }

    /// The part of all looks that said so.
    #[expect(clippy::cast_precision_loss, reason = "looks are counted, far below 2^53")]
    pub fn share(&self, verdict: VerdictWord) -> Option<f64> {
        let count = self.told.iter().filter(|told| told.verdict == verdict).count();
        (!self.told.is_empty()).then(|| count as f64 / self.told.len() as f64)
    }

    /// When it would have led to something first.
    pub fn first_trip(&self) -> Option<&Told> {
        self.told.iter().find(|told| told.trips)
    }

    /// Whether its last word would have let a step end; a gate that was not run holds nothing up here.
    pub fn ends_well(&self) -> bool {
        self.told.last().is_none_or(|told| told.verdict == VerdictWord::Pass)
    }

    /// The figure farthest on the bad side.
    pub fn worst(&self, gate: &PlannedGate) -> Option<f64> {
        let values = self.told.iter().filter_map(|told| told.value).filter(|value| value.is_finite());
        match gate.test {
            Test::Min(_) => values.min_by(f64::total_cmp),
            _ => values.max_by(f64::total_cmp),
        }
    }

    /// Times in which it said the same.
    pub fn spans(&self) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        for told in &self.told {
            match spans.last_mut().filter(|span| span.verdict == told.verdict) {
                Some(span) => span.to = told.at,
                None => {
                    let Told { at, verdict, reason, .. } = told.clone();
                    spans.push(Span { from: at, to: at, verdict, reason });
                }
            }
        }
        spans
    }
}
