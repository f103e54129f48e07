//! Nothing is being released: what serves is kept as it is, and what somebody else moved is put right a few times.

use std::time::Duration;

use super::{
    answer::{Answer, new_attempt},
    intent::Intent,
    prepare,
    view::{Stray, View},
};
use crate::api::{
    Phase, Reason,
    status::{Color, Quarrel},
};

const QUARREL_WINDOW: Duration = Duration::from_mins(10);
const QUARREL_LIMIT: i32 = 3;
const AGAIN: Duration = Duration::from_secs(5);

/// Somebody else gave the candidate more than it should have: put right, but not for ever.
pub(super) fn put_right(v: &View<'_>) -> Option<Answer> {
    let active = v.status.active?;
    let other = active.other();
    if v.spec().paused || v.ready(active) == 0 {
        return None;
    }
    let (low, high) = expected(v);
    v.strays(other, low, high).filter(|s| *s == Stray::Above)?;
    let phase = v.status.phase.unwrap_or(Phase::Idle);
    let answer = Answer::new(v, phase, Reason::Drifted, "somebody else changed the shares; putting them right");
    if !v.s.live {
        return Some(answer.after_a_live_look());
    }
    let quarrel = v.status.quarrel.clone().filter(|q| v.now().since(q.since) < QUARREL_WINDOW);
    let count = quarrel.as_ref().map_or(0, |q| q.count);
    if let Some(wait) = quarrel.as_ref().and_then(|q| contended(v, q)) {
        return Some(wait);
    }
    let since = quarrel.map_or(v.now(), |q| q.since);
    let writes = v.writes(other, high);
    Some(
        answer
            .doing(writes)
            .changing(|s| s.quarrel = Some(Quarrel { since, count: count + 1 }))
            .by(v.now().plus(Duration::from_secs(1))),
    )
}

/// Enough was put right for now. A revision that was taken back gets no traffic however often somebody gives it some:
/// there the argument goes on, every five seconds.
fn contended(v: &View<'_>, quarrel: &Quarrel) -> Option<Answer> {
    let over = u32::try_from(quarrel.count - QUARREL_LIMIT + 1).ok().filter(|over| *over > 0)?;
    let until = match v.status.aborted_revision {
        Some(_) => quarrel.since.plus(AGAIN * over),
        None => quarrel.since.plus(QUARREL_WINDOW),
    };
    if v.now() >= until {
        return None;
    }
    let phase = v.status.phase.unwrap_or(Phase::Idle);
    let message = format!(
        "somebody else changed the shares {QUARREL_LIMIT} times within ten minutes; find out who with `kubectl get httproute -o yaml --show-managed-fields`"
    );
    Some(Answer::new(v, phase, Reason::Contended, message).by(until))
}

/// The shares between which the candidate may stand now.
fn expected(v: &View<'_>) -> (i32, i32) {
    let Some(attempt) = v.running() else { return (0, 0) };
    let intended = v.status.intent.as_ref().map_or(attempt.weight, |i| i.weight);
    (attempt.weight, intended.max(attempt.weight))
}

/// The wanted revision serves.
pub(super) fn up_to_date(v: &View<'_>) -> Option<Answer> {
    let active = v.status.active.filter(|_| v.status.active_revision.as_ref() == Some(&v.wanted))?;
    // A pause stops scaling too.
    let upkeep = if v.spec().paused { Vec::new() } else { upkeep(v, active) };
    let promoted = v.status.attempt.as_ref().is_some_and(|a| a.revision == v.wanted && a.ended.is_none());
    let (phase, reason) = if promoted { (Phase::Completed, Reason::Promoted) } else { (Phase::Idle, Reason::UpToDate) };
    let message = format!("revision {} serves from {}", v.wanted, active.word());
    let answer = Answer::new(v, phase, reason, message).doing(upkeep);
    Some(answer.changing(|s| {
        s.aborted_revision = None;
        if phase == Phase::Idle {
            s.gates.clear();
        }
    }))
}

/// Replicas follow the manifest while nothing is being released; both Services always stand.
fn upkeep(v: &View<'_>, active: Color) -> Vec<Intent> {
    let mut all = prepare::services(v);
    all.extend(prepare::active_deployment(v, active));
    all
}

/// The wanted revision was taken back before: it gets no traffic again.
pub(super) fn taken_back(v: &View<'_>) -> Option<Answer> {
    v.status.aborted_revision.as_ref().filter(|r| **r == v.wanted)?;
    let (reason, message) = v.status.attempt.as_ref().map_or((Reason::RolledBack, String::new()), |a| {
        (a.ended.unwrap_or(Reason::RolledBack), a.ended_message.clone())
    });
    Some(Answer::new(v, Phase::RolledBack, reason, message))
}

/// `abort` stands in the manifest: nothing new begins.
pub(super) fn forbidden(v: &View<'_>) -> Option<Answer> {
    let phase = v.status.phase.filter(|p| *p == Phase::RolledBack).unwrap_or(Phase::Idle);
    let message = "`abort: true` is set; remove it to release";
    v.spec().abort.then(|| Answer::new(v, phase, Reason::Aborted, message))
}

/// Nothing runs and something else is wanted: begin.
pub(super) fn begin(v: &View<'_>) -> Option<Answer> {
    let candidate = v.status.active.map_or(Color::Blue, Color::other);
    let reason = if v.status.active.is_some() { Reason::Preparing } else { Reason::Installing };
    let message = format!("revision {} is coming up on {}", v.wanted, candidate.word());
    let answer = Answer::new(v, Phase::Preparing, reason, message).by(v.now());
    v.running().is_none().then(|| {
        answer.changing(|s| {
            s.attempt = Some(new_attempt(v));
            s.candidate = Some(candidate);
            s.aborted_revision = None;
            s.gates.clear();
            s.quarrel = None;
        })
    })
}

/// No status, but a color of ours serves already: the status was lost or the rollout was made anew. What serves is
/// taken for active, never replaced.
pub(super) fn found_serving(v: &View<'_>) -> Option<Answer> {
    if v.status.active.is_some() || v.running().is_some() {
        return None;
    }
    let serves = |c: &Color| v.ready(*c) > 0 && v.routers().next().is_some() && v.share(*c) >= 50;
    let revision = |c: Color| v.s.color(c).deployment.as_ref().filter(|d| d.object.ours)?.revision.clone();
    let (color, revision) = Color::BOTH.into_iter().filter(serves).find_map(|c| Some((c, revision(c)?)))?;
    let message = format!("{} was found serving revision {revision}", color.word());
    let answer = Answer::new(v, Phase::Idle, Reason::UpToDate, message).by(v.now());
    Some(answer.changing(|s| {
        s.active = Some(color);
        s.active_revision = Some(revision);
    }))
}
