//! Readings of one gate → what it says, and whether that takes traffic back. Unknown is never good.

use std::time::Duration;

use super::plan::PlannedGate;
use crate::{
    api::{
        Moment, Reason,
        gates::{NoDataThen, Severity},
        status::{GateStatus, VerdictWord},
    },
    metrics::{Reading, Sample},
};

/// The step that is being measured.
#[derive(Clone, Copy, Debug)]
pub struct Measuring {
    /// Its number.
    pub step: i32,
    /// When it was entered: nothing older counts.
    pub entered: Moment,
    /// Since when deadlines count; paused time does not.
    pub clock_from: Moment,
    /// Since when this process has watched: a silence before that is no missing data.
    pub watching_since: Moment,
    /// Now.
    pub now: Moment,
}

/// What a gate says, and what follows.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// For status.
    pub status: GateStatus,
    /// What a failure of this gate leads to.
    pub severity: Severity,
    /// Why it failed, or had no data for too long, if so.
    pub tripped: Option<Reason>,
    /// When the budget for missing data ends, if it is running and leads to a rollback.
    pub deadline: Option<Moment>,
}

impl Verdict {
    /// Why traffic must go back, if it must.
    pub fn takes_back(&self) -> Option<Reason> {
        self.tripped.filter(|_| matches!(self.severity, Severity::Abort | Severity::Rollback))
    }

    /// Whether a person is to be asked.
    pub fn asks(&self) -> bool {
        self.tripped.is_some() && self.severity == Severity::Pause
    }

    /// Whether the step may be left as far as this gate is concerned.
    pub fn lets_pass(&self) -> bool {
        self.status.verdict == VerdictWord::Pass || self.severity == Severity::Warn
    }
}

/// Judges one gate. A failure stands as soon as enough of the last samples are bad; a pass needs a fresh good one.
pub fn judge(gate: &PlannedGate, readings: &[Reading], old: Option<&GateStatus>, m: Measuring) -> Verdict {
    let readings: Vec<&Reading> = readings.iter().filter(|r| r.at >= m.entered && r.at <= m.now).collect();
    let judged: Vec<(Moment, Sample)> = readings.iter().filter_map(|r| Some((r.at, usable(gate, r).ok()?))).collect();
    let recent = judged.iter().rev().take(gate.of);
    let bad = recent.filter(|(_, s)| gate.test.breaks(s.value)).count();
    let missing = missing(gate, readings.last().copied(), m);
    let newest = judged.last();
    let same_step = old.filter(|o| o.step == m.step);
    let word = match (&missing, newest) {
        _ if bad >= gate.bad => VerdictWord::Fail,
        (Some(_), _) | (None, None) => VerdictWord::NoData,
        (None, Some((_, s))) if gate.test.breaks(s.value) => VerdictWord::Fail,
        (None, Some(_)) => VerdictWord::Pass,
    };
    let last_data = newest.map(|(at, _)| *at).or_else(|| same_step.filter(|o| o.verdict != VerdictWord::NoData)?.at);
    let since =
        last_data.or_else(|| same_step?.no_data_since).unwrap_or(m.entered).max(m.clock_from).max(m.watching_since);
    let deadline = (word == VerdictWord::NoData && gate.then == NoDataThen::Rollback).then(|| since.plus(gate.budget));
    let tripped = if bad >= gate.bad {
        Some(Reason::GateFailed)
    } else {
        deadline.filter(|d| *d <= m.now).map(|_| Reason::NoDataBudgetSpent)
    };
    let reason = match word {
        VerdictWord::NoData => missing.unwrap_or_default(),
        VerdictWord::Fail => {
            let note = gate.note.as_ref().map_or_else(String::new, |note| format!("; {note}"));
            format!("{bad} of the last {} samples bad, {} fail the gate{note}", gate.of, gate.bad)
        }
        VerdictWord::Pass => gate.note.clone().unwrap_or_default(),
    };
    let status = GateStatus {
        name: gate.name.clone(),
        verdict: word,
        value: newest.map_or_else(String::new, |(_, s)| gate.test.limit().show(s.value)),
        limit: gate.test.word(),
        samples: newest.map(|(_, s)| whole(s.samples)),
        at: newest.map(|(at, _)| *at),
        no_data_since: (word == VerdictWord::NoData).then_some(since),
        reason,
        step: m.step,
    };
    Verdict { status, severity: gate.severity, tripped, deadline }
}

/// Why the newest reading is no proof, if it is none.
fn missing(gate: &PlannedGate, newest: Option<&Reading>, m: Measuring) -> Option<String> {
    let Some(newest) = newest else { return Some("no answer yet".to_owned()) };
    let stale = gate.interval * 3 + Duration::from_secs(5);
    if m.now.since(newest.at) > stale {
        return Some(format!("the newest answer is older than {}s", stale.as_secs()));
    }
    usable(gate, newest).err()
}

fn usable(gate: &PlannedGate, reading: &Reading) -> Result<Sample, String> {
    let sample = *reading.outcome.as_ref().map_err(ToString::to_string)?;
    if !sample.value.is_finite() || !sample.samples.is_finite() {
        return Err("not a finite number".to_owned());
    }
    if sample.samples < f64::from(gate.min_samples) {
        return Err(format!("{} of {} requests", whole(sample.samples), gate.min_samples));
    }
    Ok(sample)
}

#[expect(clippy::cast_possible_truncation, reason = "a count of requests for people; `as` saturates")]
fn whole(count: f64) -> i64 {
    count.floor() as i64
}
