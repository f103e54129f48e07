//! The way back: what takes traffic home, and how it gets there. Nothing stands in its way; a step back needs no proof.

use std::time::Duration;

use super::{
    answer::{Answer, end_attempt},
    view::{Stray, View},
};
use crate::api::{LlmRolloutStatus, Phase, Reason, status::Color};

/// Why a release goes back, in words and figures.
struct Cause {
    reason: Reason,
    message: String,
    /// Rests on routers or endpoints, which a cache may show as they were: look live first.
    wants_live: bool,
}

impl Cause {
    fn sure(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), wants_live: false }
    }

    fn seen(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), wants_live: true }
    }
}

/// Traffic must go, or is going, back.
pub(super) fn way_back(v: &View<'_>) -> Option<Answer> {
    let attempt = v.running()?;
    if v.going_back() {
        let reason = attempt.ended.unwrap_or(Reason::RollingBack);
        return Some(walk_home(v, &Cause::sure(reason, attempt.ended_message.clone())));
    }
    let cause = ordered_back(v).or_else(|| driven_back(v))?;
    if cause.wants_live && !v.s.live {
        let phase = v.status.phase.unwrap_or(Phase::Holding);
        return Some(Answer::new(v, phase, cause.reason, cause.message).after_a_live_look());
    }
    Some(walk_home(v, &cause))
}

/// What a person or a newer manifest asks for.
fn ordered_back(v: &View<'_>) -> Option<Cause> {
    if v.spec().abort {
        return Some(Cause::sure(Reason::Aborted, "`abort: true` was set"));
    }
    let attempt = v.running()?;
    let newer = !v.spec().paused && v.wanted != attempt.revision;
    newer.then(|| Cause::sure(Reason::Superseded, format!("revision {} was asked for instead", v.wanted)))
}

/// What the world makes necessary, the surest first.
fn driven_back(v: &View<'_>) -> Option<Cause> {
    let attempt = v.running()?;
    let candidate = v.candidate()?;
    let active = v.status.active?;
    let serving = attempt.weight > 0 || v.share(candidate) > 0;
    if serving && v.ready(candidate) == 0 && v.ready(active) > 0 {
        return Some(Cause::seen(Reason::CandidateUnready, format!("no endpoint of {} is ready", candidate.word())));
    }
    if v.spec().paused {
        return None;
    }
    let intended = v.status.intent.as_ref().map_or(attempt.weight, |i| i.weight.max(attempt.weight));
    if attempt.weight > 0 && v.strays(candidate, attempt.weight, intended) == Some(Stray::Below) {
        return Some(Cause::seen(
            Reason::MovedBack,
            "somebody else moved traffic back; taken as an abort of this revision",
        ));
    }
    if let Some(words) = v.refusal().filter(|_| serving) {
        return Some(Cause::seen(Reason::RouteRefused, words));
    }
    late(v).or_else(|| failed(v))
}

fn late(v: &View<'_>) -> Option<Cause> {
    let attempt = v.running().filter(|a| a.step_entered_at.is_none() && a.paused_at.is_none())?;
    let timeout = v.plan.as_ref().ok()?.ready_timeout;
    // An operator that was away looks first: pods may have become ready meanwhile.
    let late = v.now().since(attempt.clock_from.max(v.s.watching_since)) >= timeout;
    late.then(|| Cause::sure(Reason::NotReadyInTime, format!("not ready within {}s", timeout.as_secs())))
}

fn failed(v: &View<'_>) -> Option<Cause> {
    let verdict = v.verdicts.iter().find(|g| g.tripped.is_some())?;
    let g = &verdict.status;
    let reason = verdict.tripped?;
    let message = if reason == Reason::GateFailed {
        format!("{} {} > {} ({} samples)", g.name, g.value, g.limit, g.samples.unwrap_or_default())
    } else {
        format!("{} had no usable data for too long: {}", g.name, g.reason)
    };
    Some(Cause::sure(reason, message))
}

/// One pass on the way home: write what is not home yet, or end the attempt when everything is.
fn walk_home(v: &View<'_>, cause: &Cause) -> Answer {
    let Some(active) = v.status.active else { return ended(v, cause) };
    let writes = v.home(active);
    if writes.is_empty() && (v.share(active.other()) == 0 || v.s.routers.is_empty()) {
        let attempt = v.status.attempt.as_ref();
        let never_served = attempt.is_none_or(|a| a.weight == 0) && v.status.intent.is_none() && !v.going_back();
        if never_served || (v.going_back() && v.followed(attempt.map_or(v.now(), |a| a.clock_from))) {
            return ended(v, cause);
        }
        return going(v, cause, "waiting until the gateway follows");
    }
    if v.ready(active) == 0 {
        return stuck(v, cause, active);
    }
    let mut back = going(v, cause, "").doing(writes);
    back.home = true;
    back
}

fn going(v: &View<'_>, cause: &Cause, wait: &str) -> Answer {
    let message = if wait.is_empty() { cause.message.clone() } else { format!("{}; {wait}", cause.message) };
    let mut answer = Answer::new(v, Phase::RollingBack, cause.reason, message).changing(|s| latch(v, s, cause));
    answer.latched = true;
    answer.by(v.now().plus(Duration::from_secs(1)))
}

/// Going back is wanted, but the old color cannot take the traffic.
fn stuck(v: &View<'_>, cause: &Cause, active: Color) -> Answer {
    let reason = if v.ready(active.other()) == 0 { Reason::NoHealthyBackend } else { Reason::ActiveUnready };
    let mut answer = going(v, cause, &format!("{} has no ready endpoint, traffic stays until it has", active.word()));
    answer.reason = reason;
    answer
}

/// Writes down, once, that this revision goes back and why.
fn latch(v: &View<'_>, status: &mut LlmRolloutStatus, cause: &Cause) {
    status.intent = None;
    let Some(attempt) = status.attempt.as_mut().filter(|_| !v.going_back()) else { return };
    attempt.ended = Some(cause.reason);
    attempt.ended_message.clone_from(&cause.message);
    attempt.clock_from = v.now();
    attempt.paused_at = None;
    if cause.reason != Reason::Superseded {
        status.aborted_revision = Some(attempt.revision.clone());
    }
    if !v.verdicts.is_empty() {
        status.gates = v.verdicts.iter().map(|g| g.status.clone()).collect();
    }
}

/// Everything is home: the attempt is over.
fn ended(v: &View<'_>, cause: &Cause) -> Answer {
    let phase = if cause.reason == Reason::Superseded { Phase::Idle } else { Phase::RolledBack };
    let mut answer = Answer::new(v, phase, cause.reason, cause.message.clone()).changing(|s| {
        latch(v, s, cause);
        if let Some(attempt) = s.attempt.as_mut() {
            attempt.weight = 0;
        }
        end_attempt(s, v.now(), cause.reason, &cause.message);
        s.candidate = None;
    });
    answer.latched = true;
    answer.by(v.now())
}
