//! Readings of one gate → what it says, and whether that takes traffic back. Unknown is never good.

use std::time::Duration;

use super::{
    criterion::{Band, Test},
    plan::PlannedGate,
};
use crate::{
    api::{
        Moment, Reason,
        gates::{ComparedTo, NoDataThen, Severity},
        status::{Color, GateStatus, VerdictWord},
    },
    metrics::{Reading, Sample},
};

/// What a gate says until it has heard anything.
pub(super) const NO_ANSWER: &str = "no answer yet";
/// How it begins what it says of a stage whose figures do not count yet.
pub(super) const NOT_YET: &str = "figures count from";
/// How it begins what it says of a Job that has told nothing.
pub(super) const OF_A_JOB: &str = "Job: ";

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
    /// The color that is measured.
    pub color: Option<Color>,
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

/// What is known of the color that serves, beside the candidate's readings.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beside<'a> {
    /// Its readings of the same question, where it was asked.
    pub readings: &'a [Reading],
    /// Whether it has traffic of its own, so that these mean something.
    pub serves: bool,
    /// Its value that was kept for this gate.
    pub kept: Option<f64>,
}

/// Judges one gate. A failure stands as soon as enough of the last samples are bad; a pass needs a fresh good one.
pub fn judge(
    gate: &PlannedGate,
    readings: &[Reading],
    beside: Beside<'_>,
    old: Option<&GateStatus>,
    m: Measuring,
) -> Verdict {
    let readings: Vec<&Reading> = readings.iter().filter(|r| r.at >= m.entered && r.at <= m.now).collect();
    let judged: Vec<(Moment, Sample)> = readings.iter().filter_map(|r| Some((r.at, usable(gate, r).ok()?))).collect();
    let (newest, last) = (judged.last(), readings.last().copied());
    let reference = reference(gate, beside, m);
    let limits = reference.clone().and_then(|r| gate.test.band(r).ok_or_else(|| NOTHING_TO_COMPARE.to_owned()));
    let recent = judged.iter().rev().take(gate.of);
    let bad = recent.filter(|(_, s)| limits.as_ref().is_ok_and(|held| held.breaks(s.value))).count();
    let missing = missing(gate, last, m).or_else(|| limits.as_ref().err().cloned());
    let worst = newest.filter(|_| bad >= gate.bad).zip(limits.as_ref().ok());
    let everywhere = worst.and_then(|((_, s), band)| fails_everywhere(gate, s.value, band, beside, m));
    let word = match (&missing, newest) {
        _ if everywhere.is_some() => VerdictWord::NoData,
        _ if bad >= gate.bad => VerdictWord::Fail,
        (Some(_), _) | (None, None) => VerdictWord::NoData,
        (None, Some((_, s))) if limits.is_ok_and(|held| held.breaks(s.value)) => VerdictWord::Fail,
        (None, Some(_)) => VerdictWord::Pass,
    };
    let said = Said { word, bad, why: everywhere.or(missing), reference: reference.ok().flatten() };
    let since = no_data_since(newest.map(|(at, _)| *at), word, old.filter(|o| o.step == m.step), m);
    let deadline = (word == VerdictWord::NoData && gate.then == NoDataThen::Rollback).then(|| since.plus(gate.budget));
    let tripped = if word == VerdictWord::Fail && bad >= gate.bad {
        Some(Reason::GateFailed)
    } else {
        deadline.filter(|d| *d <= m.now).map(|_| Reason::NoDataBudgetSpent)
    };
    let status = status(gate, said, newest, last, m);
    let no_data_since = (word == VerdictWord::NoData).then_some(since);
    Verdict { status: GateStatus { no_data_since, ..status }, severity: gate.severity, tripped, deadline }
}

const NOTHING_TO_COMPARE: &str = "the value it is compared with is 0; write `maxDelta` instead";

/// What is said of a gate, before it is written down.
struct Said {
    word: VerdictWord,
    bad: usize,
    why: Option<String>,
    reference: Option<f64>,
}

fn status(
    gate: &PlannedGate,
    said: Said,
    newest: Option<&(Moment, Sample)>,
    last: Option<&Reading>,
    m: Measuring,
) -> GateStatus {
    let reason = match said.word {
        VerdictWord::NoData => said.why.unwrap_or_default(),
        VerdictWord::Fail => {
            let note = gate.note.as_ref().map_or_else(String::new, |note| format!("; {note}"));
            format!("{} of the last {} samples bad, {} fail the gate{note}{}", said.bad, gate.of, gate.bad, gate.links)
        }
        VerdictWord::Pass | VerdictWord::Undecided => gate.note.clone().unwrap_or_default(),
    };
    let compared = gate.against.zip(said.reference).map_or_else(String::new, |(against, reference)| {
        format!("{} of {} {}", gate.test.relative(), against.word(), gate.unit.with(reference).plain())
    });
    let limit = gate.test.word(gate.unit, said.reference);
    GateStatus {
        name: gate.name.clone(),
        verdict: said.word,
        value: newest.map_or_else(String::new, |(_, s)| gate.unit.show(s.value)),
        limit,
        compared,
        color: m.color,
        window: last.filter(|r| !r.window.is_zero()).map_or_else(String::new, |r| format!("{}s", r.window.as_secs())),
        query: String::new(),
        samples: newest.filter(|_| gate.subject.counts()).map(|(_, s)| whole(s.samples)),
        at: newest.map(|(at, _)| *at),
        no_data_since: None,
        reason,
        step: m.step,
    }
}

/// A latency is shown as a time, though what took longer is judged by its count; where both do not say the same, the
/// count is shown.
pub(super) fn show(gate: &PlannedGate, readings: &[Reading], status: &mut GateStatus, m: Measuring) {
    let newest = readings.iter().rfind(|r| r.at >= m.entered && r.at <= m.now);
    let value = newest.and_then(|r| usable(gate, r).ok()).map(|s| s.value);
    let (Some(value), Test::Above(_, time)) = (value, gate.test) else { return };
    let alike = match status.verdict {
        VerdictWord::Pass => value <= time.value(),
        VerdictWord::Fail => value > time.value(),
        VerdictWord::NoData | VerdictWord::Undecided => false,
    };
    if alike {
        status.compared = format!("{} over {time}, {} allowed", status.value, gate.unit);
        status.value = time.show(value);
        status.limit = time.to_string();
    }
}

/// Since when there has been no usable data; a silence that this process has not watched is none.
pub(super) fn no_data_since(
    newest: Option<Moment>,
    word: VerdictWord,
    old: Option<&GateStatus>,
    m: Measuring,
) -> Moment {
    // Data that blames nobody is no proof either: its budget runs from when it was first said.
    let last = newest.filter(|_| word != VerdictWord::NoData || old.is_none_or(|o| o.no_data_since.is_none()));
    let last = last.or_else(|| old.filter(|o| o.verdict != VerdictWord::NoData)?.at);
    last.or_else(|| old?.no_data_since).unwrap_or(m.entered).max(m.clock_from).max(m.watching_since)
}

/// The value that a gate is compared with, or why there is none.
fn reference(gate: &PlannedGate, beside: Beside<'_>, m: Measuring) -> Result<Option<f64>, String> {
    match gate.against {
        None => Ok(None),
        Some(ComparedTo::Active) if beside.serves => beside_now(gate, beside, m).map(Some),
        Some(ComparedTo::Active) => {
            beside.kept.map(Some).ok_or_else(|| "no value of the old color was kept".to_owned())
        }
        Some(ComparedTo::Baseline) => beside.kept.map(Some).ok_or_else(|| "no baseline yet".to_owned()),
    }
}

/// What the color that serves shows now.
fn beside_now(gate: &PlannedGate, beside: Beside<'_>, m: Measuring) -> Result<f64, String> {
    let newest = beside.readings.iter().rfind(|r| r.at >= m.entered && r.at <= m.now);
    if let Some(why) = missing(gate, newest, m) {
        return Err(format!("of the active color: {why}"));
    }
    newest
        .and_then(|r| usable(gate, r).ok())
        .map(|s| s.value)
        .ok_or_else(|| "of the active color: no answer".to_owned())
}

/// Why a broken limit blames nobody: the color that serves breaks it on the same side, and the candidate is not much
/// worse. One bad sample of an `Abort` gate is enough whatever the other color does.
fn fails_everywhere(gate: &PlannedGate, value: f64, band: &Band, beside: Beside<'_>, m: Measuring) -> Option<String> {
    if !gate.fits_both() || !beside.serves {
        return None;
    }
    let other = beside_now(gate, beside, m).ok()?;
    let above = |v: f64| band.most().is_some_and(|most| v > most);
    let alike = match (above(value), above(other)) {
        (true, true) => value <= other * MUCH_WORSE,
        (false, false) => band.breaks(other) && value * MUCH_WORSE >= other,
        (true, false) | (false, true) => false,
    };
    alike.then(|| format!("both colors fail it, the active one with {}", gate.unit.show(other)))
}

/// So many times worse is the candidate's own doing.
const MUCH_WORSE: f64 = 1.5;

/// Why the newest reading is no proof, if it is none.
fn missing(gate: &PlannedGate, newest: Option<&Reading>, m: Measuring) -> Option<String> {
    too_old(gate, newest, m).or_else(|| usable(gate, newest?).err())
}

/// There is no answer, or none that is new enough.
pub(super) fn too_old(gate: &PlannedGate, newest: Option<&Reading>, m: Measuring) -> Option<String> {
    let Some(newest) = newest else { return Some(silence(m)) };
    let stale = gate.interval * 3 + Duration::from_secs(5);
    // What is told once stands for its stage.
    let old = m.now.since(newest.at) > stale && !gate.subject.is_told_once();
    old.then(|| format!("the newest answer is older than {}s", stale.as_secs()))
}

/// Why there is no answer: nobody asks before figures count. A stage begins with the next second, which is no wait.
fn silence(m: Measuring) -> String {
    if m.entered.since(m.now) > Duration::from_secs(1) {
        return format!("{NOT_YET} {}", m.entered);
    }
    NO_ANSWER.to_owned()
}

/// A reading as a figure that counts.
pub(super) fn usable(gate: &PlannedGate, reading: &Reading) -> Result<Sample, String> {
    let sample = *reading.outcome.as_ref().map_err(|why| why.said_of(gate.subject.whom()))?;
    if !sample.value.is_finite() || !sample.samples.is_finite() {
        return Err("not a finite number".to_owned());
    }
    if sample.value < 0.0 && gate.subject.metric().is_some() {
        return Err("a negative value".to_owned());
    }
    if sample.samples < f64::from(gate.min_samples) {
        return Err(format!("{} of {} {}", whole(sample.samples), gate.min_samples, gate.rests_on()));
    }
    Ok(sample)
}

#[expect(clippy::cast_possible_truncation, reason = "a count of requests for people; `as` saturates")]
pub(super) fn whole(count: f64) -> i64 {
    count.floor() as i64
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use serde_json::json;

    use super::{Beside, Measuring, judge, show};
    use crate::{
        api::{LlmRollout, Moment},
        decide::{
            plan::{Plan, PlannedGate},
            snapshot::{Around, GateSets, Offers},
        },
        metrics::{Reading, Sample},
    };

    /// A latency whose limit is a bucket's bound, so that it is judged by what took longer.
    fn gate() -> Arc<PlannedGate> {
        let rollout: LlmRollout = serde_json::from_value(json!({
            "apiVersion": "llmrollout.io/v1alpha1", "kind": "LlmRollout", "metadata": {"name": "chat"},
            "spec": {
                "traffic": [{"httpRoute": {"name": "chat"}}], "release": {"template": {"port": 8000, "podTemplate": {}}},
                "gates": [{"name": "p95", "metric": "latency", "quantile": "0.95", "max": "1.5s"}],
            },
        }))
        .unwrap();
        let offers = Offers { providers: vec!["default".into()], ..Offers::default() };
        Plan::read(&rollout.spec, Around::new(&GateSets::new(), &offers)).unwrap().gates.remove(0)
    }

    /// The value and the limit as they are shown, where this share took longer and the quantile was seen at this second.
    fn shown(share: f64, (after, seconds): (i64, f64)) -> (String, String) {
        let entered = Moment::from_unix(1_800_000_000);
        let now = entered.plus(Duration::from_secs(20));
        let m = Measuring { step: 1, entered, clock_from: entered, watching_since: entered, now, color: None };
        let reading = |after: i64, value: f64| {
            let outcome = Ok(Sample { value, samples: 500.0 });
            let (at, window) = (Moment::from_unix(entered.unix() + after), Duration::from_secs(15));
            Reading { at, window, outcome, names: Vec::new(), weighed: None }
        };
        let judged = [reading(5, share), reading(15, share)];
        let mut status = judge(&gate(), &judged, Beside::default(), None, m).status;
        show(&gate(), &[reading(after, seconds)], &mut status, m);
        (status.value, status.limit)
    }

    #[test]
    fn a_latency_is_shown_as_a_time_where_that_says_the_same() {
        let as_written = |value: &str, limit: &str| (value.to_owned(), limit.to_owned());
        assert_eq!(shown(0.5, (15, 2.0)), as_written("2s", "1.5s"));
        assert_eq!(shown(0.5, (15, 1.5)), as_written("50%", "5% over 1.5s"), "the limit itself is not beyond it");
        assert_eq!(shown(0.01, (15, 1.5)), as_written("1.5s", "1.5s"));
        assert_eq!(shown(0.01, (15, 2.0)), as_written("1%", "5% over 1.5s"), "what passes is not shown as too slow");
        assert_eq!(shown(0.5, (-1, 2.0)), as_written("50%", "5% over 1.5s"), "seen before the step");
        assert_eq!(shown(0.5, (21, 2.0)), as_written("50%", "5% over 1.5s"), "seen in the future");
    }
}
