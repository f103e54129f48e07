//! The way back: what takes traffic home, and how it gets there. Nothing stands in its way; a step back needs no proof.

use std::time::Duration;

use super::{
    answer::{Answer, end_attempt},
    awaiting, checks, crossing,
    detach::{self, References},
    orders, prepare,
    say::{self, Said},
    say_back, say_size,
    silence::{self, Silence},
    size, step,
    view::{Stray, View},
};
use crate::{
    api::{
        LlmRolloutStatus, Moment, Percent, Phase, Reason,
        around::{OnDependencyRollback, OnNoHealthyBlue, OnUndecided},
        aside::Aside,
        status::{Color, Home},
    },
    routers::Trouble,
};

/// How long a shrunk color is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a release goes back, in words and figures.
struct Cause {
    said: Said,
    /// Rests on routers or endpoints, which a cache may show as they were: look live first.
    wants_live: bool,
}

impl Cause {
    fn sure(said: Said) -> Self {
        Self { said, wants_live: false }
    }

    fn seen(said: Said) -> Self {
        Self { said, wants_live: true }
    }
}

/// Traffic must go, or is going, back.
pub(super) fn way_back(v: &View<'_>) -> Option<Answer> {
    let attempt = v.running()?;
    if v.going_back() {
        let reason = attempt.ended.unwrap_or(Reason::RollingBack);
        return Some(walk_home(v, &say::said(reason, attempt.ended_message.clone())));
    }
    let cause = ordered_back(v).or_else(|| driven_back(v))?;
    if cause.wants_live && !v.s.live {
        let phase = v.status.phase.unwrap_or(Phase::Holding);
        let mut look = Answer::new(v, phase, cause.said).after_a_live_look();
        look.home = true;
        return Some(look);
    }
    Some(walk_home(v, &cause.said))
}

/// What a person or a newer manifest asks for.
fn ordered_back(v: &View<'_>) -> Option<Cause> {
    if v.spec().abort {
        return Some(Cause::sure(say::abort_is_set()));
    }
    if let Some((reason, order)) = orders::ordered_back(&v.status) {
        return Some(Cause::sure(say::ordered_back(reason, order)));
    }
    let attempt = v.running()?;
    let newer = !v.spec().paused && v.wanted != attempt.revision;
    newer.then(|| Cause::sure(say::superseded(&v.wanted)))
}

/// What the world makes necessary, the surest first.
fn driven_back(v: &View<'_>) -> Option<Cause> {
    let attempt = v.running()?;
    let candidate = v.candidate()?;
    let Some(active) = v.status.active else {
        // The first revision has nowhere to go back to, and is not to go on.
        return checks::failed(v).filter(|_| !v.spec().paused).map(Cause::sure);
    };
    let serving = attempt.weight > 0 || v.share(candidate) > 0 || !attempt.aside.is_nothing();
    if serving && v.ready(candidate) == 0 && v.ready(active) > 0 {
        return Some(Cause::seen(say::candidate_dead(candidate)));
    }
    let plan = v.plan.ok();
    if v.spec().paused && !plan.is_some_and(|p| p.while_paused) {
        return None;
    }
    let intended = v.status.intent.as_ref().map_or(attempt.weight, |i| i.weight.max(attempt.weight));
    if v.strays(candidate, attempt.weight, intended) == Some(Stray::Below) {
        return Some(Cause::seen(say::moved_back()));
    }
    if let Some(words) = v.refusal().or_else(|| crossing::revoked(v, candidate)).filter(|_| serving) {
        return Some(Cause::seen(say::route_refused(words)));
    }
    let depends = plan.filter(|p| p.on_dependency_rollback == OnDependencyRollback::Rollback);
    let dependency = depends.and_then(|_| awaiting::taken_back(v)).map(|d| Cause::sure(say::dependency_taken_back(d)));
    late(v).or_else(|| checks::failed(v).map(Cause::sure)).or(dependency).or_else(|| failed(v)).or_else(|| undecided(v))
}

/// The candidate has not come up in its time. One that has, and waits for something else, is not late.
fn late(v: &View<'_>) -> Option<Cause> {
    let attempt = v.running().filter(|a| a.paused_at.is_none())?;
    if let Some(since) = attempt.growing_since {
        return outgrown(v, since.max(attempt.clock_from));
    }
    attempt.cleared_at.filter(|_| attempt.step_entered_at.is_none())?;
    attempt.cleared_at.filter(|_| !checks::come_first(v))?;
    let timeout = v.plan.ok()?.ready_timeout;
    // An operator that was away looks first: pods may have become ready meanwhile.
    let late = v.now().since(attempt.clock_from.max(v.s.watching_since)) >= timeout;
    (late && !prepare::is_up(v)).then(|| Cause::sure(say::not_ready_in_time(timeout, prepare::stuck(v).as_deref())))
}

/// The candidate has not grown to what its next step needs.
fn outgrown(v: &View<'_>, since: Moment) -> Option<Cause> {
    let timeout = v.plan.ok()?.ready_timeout;
    let late = v.now().since(since.max(v.s.watching_since)) >= timeout;
    (late && !prepare::is_up(v)).then(|| Cause::sure(say::not_ready_in_time(timeout, prepare::stuck(v).as_deref())))
}

fn failed(v: &View<'_>) -> Option<Cause> {
    let verdict = v.verdicts.iter().find(|g| g.takes_back().is_some())?;
    Some(Cause::sure(say::gate_failed(verdict.takes_back()?, &verdict.status)))
}

/// The evidence stayed undecided for as long as the step allows, and that is to lead back.
fn undecided(v: &View<'_>) -> Option<Cause> {
    let said = step::undecided_too_long(v, OnUndecided::Rollback)?;
    Some(Cause::sure(said))
}

/// One pass on the way home: write what is not home yet, or end the attempt when everything is.
fn walk_home(v: &View<'_>, cause: &Said) -> Answer {
    let Some(active) = v.status.active else { return ended(v, cause) };
    let attempt = v.status.attempt.as_ref();
    let never_served =
        attempt.is_none_or(|a| a.weight == 0 && a.aside.is_nothing()) && v.status.intent.is_none() && !v.going_back();
    let writes = if never_served { v.known_home(active) } else { v.home(active) };
    if writes.is_empty() {
        if never_served {
            return ended(v, cause);
        }
        if v.going_back() && v.followed(attempt.map_or(v.now(), |a| a.clock_from)) {
            return at_home(v, cause);
        }
        return going(v, cause, say::until_gateway_follows(cause));
    }
    let floor = size::raised(v, active);
    if v.ready(active) == 0 && !better_none(v, cause) {
        return stuck(v, cause, active).doing(floor.into_iter().collect());
    }
    if shrunk(v, cause, active) {
        return going(v, cause, say::until_full_size(cause, active)).doing(floor.into_iter().collect());
    }
    let writes = floor.into_iter().chain(writes).collect();
    let none = (v.ready(active) == 0).then(|| say_size::no_answer_is_better(cause, active));
    let unheard = none.or_else(|| Some(until_it_tells(cause, v.unheard().next()?.1)));
    let mut back = going(v, cause, unheard.unwrap_or_else(|| cause.clone())).doing(writes).changing(|s| written(v, s));
    back.home = true;
    back
}

/// No answer is better than the candidate's: so it is written, and the old color has had its time to come back.
fn better_none(v: &View<'_>, cause: &Said) -> bool {
    let Some(attempt) = v.running().filter(|_| v.going_back() && cause.reason != Reason::Superseded) else {
        return false;
    };
    v.plan.is_ok_and(|p| p.on_no_healthy == OnNoHealthyBlue::Return && v.now().since(attempt.clock_from) >= p.deadline)
}

fn until_it_tells(cause: &Said, trouble: &Trouble) -> Said {
    say::said(cause.reason, format!("{}; sent home without knowing where it stands: {}", cause.words, trouble.message))
}

/// Every router gives the old color everything, and has confirmed it: what is left is the proof that nothing reaches the
/// candidate. Whoever wants something newer does not wait for it.
fn at_home(v: &View<'_>, cause: &Said) -> Answer {
    let (Some(attempt), Some(candidate)) = (v.running(), v.candidate()) else { return ended(v, cause) };
    let begun = Home { since: v.now(), silence: None, message: String::new(), detached: detach::is_out(v, candidate) };
    // What was taken out is out: the proof runs anew.
    let home = attempt.home.clone().filter(|home| home.detached || !begun.detached).unwrap_or(begun);
    let silence =
        if attempt.home.as_ref() == Some(&home) { silence::heard(v, &home) } else { silence::begun(v, &home) };
    let said = match silence {
        Silence::NotAsked => return ended(v, cause).changing(|s| listen(s, None)),
        _ if v.wanted != attempt.revision => return ended(v, cause).changing(|s| listen(s, None)),
        Silence::Listening(until) => {
            let wake = until.max(v.now().plus(Duration::from_secs(1)));
            let listening = going(v, cause, say_back::until_silent(v, cause, candidate)).until(until).by(wake);
            return listening.changing(|s| listen(s, Some(home)));
        }
        Silence::Proved => say_back::silent(v, candidate),
        Silence::Unproved(why) => say_back::unproved(candidate, &why),
        Silence::Broken(requests) => match take_out(v, cause, candidate, &home) {
            Some(answer) => return answer,
            None => say_back::still_served(v, candidate, requests, home.detached),
        },
    };
    let home = Home { silence: Some(said.reason), message: said.words, ..home };
    ended(v, cause).changing(|s| listen(s, Some(home)))
}

/// The candidate answers requests that no router should send it: its reference goes, once, where a router can do without.
/// What it was is written down before.
fn take_out(v: &View<'_>, cause: &Said, candidate: Color, home: &Home) -> Option<Answer> {
    if home.detached || silence::given_up(v, home) {
        return None;
    }
    let answer = going(v, cause, say_back::taking_out(cause, candidate));
    match detach::references(v, candidate) {
        References::Gone => None,
        References::Stand(kept) => Some(answer.changing(|s| {
            s.detached.retain(|d| kept.iter().all(|k| k.router != d.router));
            s.detached.extend(kept);
        })),
        References::Kept(_) if !v.s.live => Some(answer.after_a_live_look()),
        References::Kept(writes) => Some(answer.doing(writes)),
    }
}

/// Routers are written once more: the gateway has its time from now on, and what is proved begins anew.
fn written(v: &View<'_>, status: &mut LlmRolloutStatus) {
    if let Some(attempt) = status.attempt.as_mut().filter(|a| a.home.is_some()) {
        attempt.home = None;
        attempt.clock_from = v.now();
    }
}

fn listen(status: &mut LlmRolloutStatus, home: Option<Home>) {
    if let Some(attempt) = status.attempt.as_mut() {
        attempt.home = home;
    }
}

/// Nothing is wrong with the candidate, it is only overtaken: the old color gets a moment to come back to its size before
/// all the load falls on it. A candidate that dies or fails meanwhile, or a person's word, ends the moment.
fn shrunk(v: &View<'_>, cause: &Said, active: Color) -> bool {
    let wanted = v.wanted_pods(active);
    let since = v.running().filter(|_| v.going_back()).map_or(v.now(), |a| a.clock_from);
    let calm = v.ready(active.other()) > 0 && !v.spec().abort && orders::ordered_back(&v.status).is_none();
    let failing = v.verdicts.iter().any(|g| g.takes_back().is_some());
    let overtaken = cause.reason == Reason::Superseded && calm && !failing;
    overtaken && v.ready(active) < wanted && v.now().since(since) < PATIENCE
}

fn going(v: &View<'_>, cause: &Said, said: Said) -> Answer {
    let mut answer = Answer::new(v, Phase::RollingBack, said).changing(|s| latch(v, s, cause));
    answer.latched = true;
    answer.soon()
}

/// Going back is wanted, but the old color cannot take the traffic.
fn stuck(v: &View<'_>, cause: &Said, active: Color) -> Answer {
    let reason = if v.ready(active.other()) == 0 { Reason::NoHealthyBackend } else { Reason::ActiveUnready };
    going(v, cause, say::nowhere_to_go(reason, cause, active))
}

/// Writes down, once, that this revision goes back and why.
fn latch(v: &View<'_>, status: &mut LlmRolloutStatus, cause: &Said) {
    let intent = status.intent.take();
    checks::keep(v, status);
    let Some(attempt) = status.attempt.as_mut().filter(|_| !v.going_back()) else { return };
    if let Some(intent) = intent.filter(|i| !i.aside.is_nothing()) {
        // It may stand there already.
        attempt.aside = intent.aside;
    }
    attempt.ended = Some(cause.reason);
    attempt.ended_message.clone_from(&cause.words);
    attempt.clock_from = v.now();
    attempt.paused_at = None;
    attempt.asked = None;
    if cause.reason != Reason::Superseded {
        status.aborted_revision = Some(attempt.revision.clone());
    }
    if !v.verdicts.is_empty() {
        status.gates = v.verdicts.iter().map(|g| g.status.clone()).collect();
    }
}

/// Everything is home: the attempt is over.
fn ended(v: &View<'_>, cause: &Said) -> Answer {
    let phase = if cause.reason == Reason::Superseded { Phase::Idle } else { Phase::RolledBack };
    let mut answer = Answer::new(v, phase, cause.clone()).changing(|s| {
        latch(v, s, cause);
        if let Some(attempt) = s.attempt.as_mut() {
            (attempt.weight, attempt.bake) = (Percent::NONE, 0);
            attempt.aside = Aside::default();
        }
        end_attempt(s, v.now(), cause.reason, &cause.words);
        s.candidate = None;
    });
    answer.latched = true;
    answer.by(v.now())
}
