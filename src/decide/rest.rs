//! Nothing is being released: what serves is kept as it is, and what somebody else moved is put right a few times.

use std::time::Duration;

use super::{
    adopt,
    answer::{Answer, new_attempt},
    awaiting,
    intent::Intent,
    prepare, release, say,
    snapshot::QUARREL,
    view::{Stray, View},
};
use crate::api::{
    Percent, Phase, Reason,
    order::Verb,
    status::{Color, Past, Quarrel},
};

const QUARREL_LIMIT: i32 = 3;
const AGAIN: Duration = Duration::from_secs(5);
/// What serves while nobody can say which revision it is.
const UNKNOWN: &str = "unknown";

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
    let answer = Answer::new(v, phase, say::drifted());
    if !v.s.live {
        return Some(answer.after_a_live_look());
    }
    let quarrel = v.status.quarrel.clone().filter(|q| v.now().since(q.since) < window(v));
    let count = quarrel.as_ref().map_or(0, |q| q.count);
    if let Some(wait) = quarrel.as_ref().and_then(|q| contended(v, q)) {
        return Some(wait);
    }
    let since = quarrel.map_or(v.now(), |q| q.since);
    let writes = v.lowerings(other, low, high);
    Some(answer.doing(writes).changing(|s| s.quarrel = Some(Quarrel { since, count: count + 1 })).soon())
}

/// How long an argument lasts: who goes on after that begins another one.
fn window(v: &View<'_>) -> Duration {
    v.s.offers.quarrel.unwrap_or(QUARREL)
}

/// Enough was put right for now. A revision that was taken back gets no traffic however often somebody gives it some:
/// there the argument goes on, every five seconds.
fn contended(v: &View<'_>, quarrel: &Quarrel) -> Option<Answer> {
    let over = u32::try_from(quarrel.count - QUARREL_LIMIT + 1).ok().filter(|over| *over > 0)?;
    let until = match v.status.aborted_revision {
        Some(_) => quarrel.since.plus(AGAIN * over),
        None => quarrel.since.plus(window(v)),
    };
    if v.now() >= until {
        return None;
    }
    let phase = v.status.phase.unwrap_or(Phase::Idle);
    Some(Answer::new(v, phase, say::contended(QUARREL_LIMIT, window(v), v)).by(until))
}

/// The shares between which the candidate may stand now.
fn expected(v: &View<'_>) -> (Percent, Percent) {
    let Some(attempt) = v.running() else { return (Percent::NONE, Percent::NONE) };
    let intended = v.status.intent.as_ref().map_or(attempt.weight, |i| i.weight);
    (attempt.weight, intended.max(attempt.weight))
}

/// The wanted revision serves.
pub(super) fn up_to_date(v: &View<'_>) -> Option<Answer> {
    let serves = |active: &Color| v.status.active_revision.as_ref() == Some(&v.wanted) || renamed(v, *active);
    let active = v.status.active.filter(serves)?;
    // A pause stops scaling too.
    let upkeep = if v.spec().paused { Vec::new() } else { upkeep(v, active) };
    let promoted = v.status.attempt.as_ref().is_some_and(|a| a.revision == v.wanted);
    let (phase, reason) = if promoted { (Phase::Completed, Reason::Promoted) } else { (Phase::Idle, Reason::UpToDate) };
    let answer = Answer::new(v, phase, say::serves(reason, &v.wanted, active)).doing(upkeep);
    Some(answer.changing(|s| {
        s.aborted_revision = None;
        s.active_revision = Some(v.wanted.clone());
        if phase == Phase::Idle {
            s.gates.clear();
        }
    }))
}

/// The color that serves is the one that is wanted, and its owner has given it another revision in place: no traffic can be
/// moved to it that it does not have. It is only written down.
fn renamed(v: &View<'_>, active: Color) -> bool {
    v.pair().is_some_and(|pair| pair.live == active)
}

/// Replicas follow the manifest while nothing is being released; both Services always stand.
pub(super) fn upkeep(v: &View<'_>, active: Color) -> Vec<Intent> {
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
    Some(Answer::new(v, Phase::RolledBack, say::said(reason, message)))
}

/// `abort` stands in the manifest: nothing new begins.
pub(super) fn forbidden(v: &View<'_>) -> Option<Answer> {
    let phase = v.status.phase.filter(|p| *p == Phase::RolledBack).unwrap_or(Phase::Idle);
    v.spec().abort.then(|| Answer::new(v, phase, say::abort_forbids()))
}

/// Nothing runs and something else is wanted: begin.
pub(super) fn begin(v: &View<'_>) -> Option<Answer> {
    if v.running().is_some() {
        return None;
    }
    let candidate = v.status.active.map_or(Color::Blue, Color::other);
    let fast_track = known_good(v);
    // What was approved was approved of the attempt before.
    let wait = awaiting::before_start(v, fast_track, &[]);
    let cleared = wait.is_none();
    let answer = wait.unwrap_or_else(|| Answer::new(v, Phase::Preparing, say::coming_up(v, candidate)).by(v.now()));
    Some(answer.changing(|s| {
        s.attempt = Some(new_attempt(v, fast_track, cleared));
        s.candidate = Some(candidate);
        s.aborted_revision = None;
        s.gates.clear();
        s.quarrel = None;
        s.retiring = None;
        // Nothing can be a color and the candidate's place at once: whatever was to be taken over is not, any more.
        s.adopted = s.adopted.take().filter(|_| candidate != adopt::COLOR);
        s.approvals.clear();
        // The word that led here stays readable; every other was to the attempt before.
        s.orders.retain(|o| o.verb == Verb::Retry && o.taken);
    }))
}

/// The wanted revision served lately, and its last attempt went well.
fn known_good(v: &View<'_>) -> bool {
    let Some((revisions, within)) = v.plan.ok().and_then(|p| p.fast_track) else { return false };
    let mut served: Vec<&Past> = v.status.history.iter().filter(|p| p.outcome == Reason::Promoted).collect();
    served.dedup_by_key(|p| &p.revision);
    let last_try = v.status.history.iter().find(|p| p.revision == v.wanted);
    let went_well = last_try.is_some_and(|p| p.outcome == Reason::Promoted);
    // A revision has served until the next one was promoted; the newest still does.
    let replaced = served.windows(2).take(revisions).any(
        |pair| matches!(pair, [newer, old] if old.revision == v.wanted && v.now().since(newer.ended_at) <= within),
    );
    went_well && replaced
}

/// What somebody else deploys bears no name: where everything goes to one color, that is what the manifest wants. Between
/// the colors it was on its way, and what is wanted begins once more.
fn known_by_share(v: &View<'_>, color: Color) -> String {
    let all = v.routers().all(|(_, seen)| seen.shares.of(color) == 100);
    if all { v.wanted.clone() } else { UNKNOWN.to_owned() }
}

/// No status, but a color of ours serves already: the status was lost or the rollout was made anew. What serves is
/// taken for active, never replaced.
pub(super) fn found_serving(v: &View<'_>) -> Option<Answer> {
    if v.status.active.is_some() || v.running().is_some() {
        return None;
    }
    // What somebody else owns serves if it has the traffic, whether it is up just now or not: nothing is installed there.
    let serves = |c: &Color| {
        let up = v.ready(*c) > 0 || v.made().is_none();
        up && v.routers().next().is_some() && v.share(*c) >= 50
    };
    let made = |c: Color| v.deployment(c).filter(|d| d.object.ours)?.revision.clone();
    let revision = |c: Color| match v.pair() {
        Some(pair) => Some(release::revision_of(pair, c)),
        None if v.unseen() => Some(known_by_share(v, c)),
        None => made(c),
    };
    let (color, revision) = Color::BOTH.into_iter().filter(serves).find_map(|c| Some((c, revision(c)?)))?;
    let answer = Answer::new(v, Phase::Idle, say::found_serving(color, &revision)).by(v.now());
    Some(answer.changing(|s| {
        s.active = Some(color);
        s.active_revision = Some(revision);
    }))
}
