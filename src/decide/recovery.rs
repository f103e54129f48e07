//! Traffic is back: whether what serves is well by its own figures. Nothing waits for it and nothing moves for it; a person
//! is told when it is not.

use std::{sync::Arc, time::Duration};

use super::{
    answer::Answer,
    gate::{self, Beside, Measuring},
    plan::{Plan, PlannedGate},
    reference, say_back,
    stage::Wanted,
    view::View,
};
use crate::{
    api::{
        Moment, Reason,
        gates::{ComparedTo, Metric},
        home::Recovery,
        status::{Attempt, Color, GateStatus, VerdictWord},
    },
    metrics::Question,
};

/// Who has just come back asks first.
const ASKED: Duration = Duration::from_secs(30);

/// A release that went back and had traffic, as long as it is not known how what serves fares since.
struct Watch<'a> {
    attempt: &'a Attempt,
    active: Color,
    /// Since when traffic is home.
    since: Moment,
    /// Until when it has to be well.
    until: Moment,
}

impl<'a> Watch<'a> {
    fn of(v: &'a View<'_>, plan: &Plan) -> Option<Self> {
        let attempt = v.status.attempt.as_ref().filter(|a| a.ended.is_some() && a.recovery.is_none())?;
        let (ended, active) = (attempt.ended_at?, v.status.active?);
        let had_traffic = attempt.home.is_some() || attempt.step_entered_at.is_some();
        let since = attempt.home.as_ref().map_or(ended, |home| home.since);
        let asked = had_traffic && !plan.recover_within.is_zero() && attempt.ended != Some(Reason::Superseded);
        asked.then(|| Self { attempt, active, since, until: ended.plus(plan.recover_within) })
    }
}

/// What tells of a color alone: the figures of the steps, without those that only compare the colors.
fn tells(g: &PlannedGate, attempt: &Attempt) -> bool {
    let kept = || attempt.references.iter().any(|r| r.gate == g.name);
    let compares = match g.against {
        None => false,
        Some(ComparedTo::Active | ComparedTo::Baseline) => !kept(),
    };
    let measured = g.subject.metric().is_some_and(|m| !matches!(m, Metric::RolloutSpend | Metric::Requests));
    g.in_steps && measured && !compares && g.test.proof().is_none()
}

/// What is asked about what serves.
pub(super) fn questions(v: &View<'_>, plan: &Plan) -> Vec<(Arc<PlannedGate>, Question)> {
    let Some(watch) = Watch::of(v, plan) else { return Vec::new() };
    let gates = plan.gates.iter().filter(|g| tells(g, watch.attempt));
    let question = |g: &Arc<PlannedGate>| {
        let (window, interval) = (g.window, g.interval);
        let wanted = Wanted { subject: &g.subject, window, interval, since: watch.since, urgent: false };
        Some((Arc::clone(g), v.ask(plan, watch.active, &wanted)?))
    };
    gates.filter_map(question).collect()
}

/// Beside whatever is decided: what is known by now is written down, once.
pub(super) fn beside(v: &View<'_>, answer: Answer) -> Answer {
    let Some(watch) = v.plan.ok().and_then(|plan| Watch::of(v, plan)) else { return answer };
    if v.questions.recovery.is_empty() || answer.status.attempt.as_ref().map(|a| a.id) != Some(watch.attempt.id) {
        return answer;
    }
    let all: Vec<GateStatus> = v.questions.recovery.iter().map(|(g, q)| judged(v, &watch, g, q)).collect();
    let end = watch.until.max(v.s.watching_since.plus(ASKED));
    let (reason, message) = if all.iter().all(|g| g.verdict == VerdictWord::Pass) {
        (Reason::Recovered, say_back::recovered(watch.active, &all))
    } else if v.now() >= end {
        (Reason::NotRecovered, say_back::not_recovered(watch.active, watch.since, &all))
    } else {
        let wake = answer.wake.map_or(end, |wake| wake.min(end));
        return answer.by(wake);
    };
    let at = v.now();
    answer.changing(|s| {
        if let Some(attempt) = s.attempt.as_mut() {
            attempt.recovery = Some(Recovery { reason, at, message });
        }
    })
}

fn judged(v: &View<'_>, watch: &Watch<'_>, gate: &PlannedGate, question: &Question) -> GateStatus {
    let m = Measuring {
        step: watch.attempt.step,
        entered: question.since,
        clock_from: watch.since,
        watching_since: v.s.watching_since,
        now: v.now(),
        color: Some(watch.active),
    };
    let readings = v.s.readings.get(question).map(Vec::as_slice).unwrap_or_default();
    let kept = reference::kept(v, &gate.name);
    gate::judge(gate, readings, Beside { readings: &[], serves: false, kept }, None, m).status
}
