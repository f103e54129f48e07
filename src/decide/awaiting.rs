//! What a release has to wait for besides its own evidence: other rollouts, its window, the word of people. Every wait
//! has its reason and, where it is known, its end. None of them ever keeps traffic from going back.

use super::{
    answer::Answer,
    calendar::Opening,
    course::{Before, PlannedSign},
    plan::Plan,
    say::{self, Said},
    say_back,
    snapshot::Standing,
    view::View,
};
use crate::api::{
    Moment, Percent, Phase, Reason,
    around::{DependencyState, OnDependencyRollback},
    order::Verb,
    status::{Approved, Past},
};

/// A wait, and when it ends if that is known.
struct Wait {
    said: Said,
    until: Option<Moment>,
    person: bool,
}

/// The attempt exists, and something has to come before anything else is done.
pub(super) fn start(v: &View<'_>) -> Option<Answer> {
    let attempt = v.running().filter(|a| a.step == 0 && a.step_entered_at.is_none() && a.cleared_at.is_none())?;
    if v.status.intent.is_some() {
        return None;
    }
    if let Some(wait) = before_start(v, attempt.promoted || attempt.fast_track, &v.status.approvals) {
        return Some(wait);
    }
    let go = Answer::new(v, Phase::Preparing, say::coming_up(v, v.candidate()?)).by(v.now());
    Some(go.changing(|s| {
        if let Some(attempt) = s.attempt.as_mut() {
            attempt.cleared_at = Some(v.now());
            attempt.clock_from = v.now();
        }
    }))
}

/// What has to come before an attempt may start, of which this was approved. A person who promotes knows the hour, and a
/// known revision goes back at any.
pub(super) fn before_start(v: &View<'_>, at_any_hour: bool, approved: &[Approved]) -> Option<Answer> {
    let plan = v.plan.ok()?;
    let wait = unready_dependency(v)
        .or_else(|| if at_any_hour { None } else { cooling_down(v, plan).or_else(|| closed(v, plan)) })
        .or_else(|| unsigned(v, plan, &[Before::Start], approved))?;
    Some(answer(v, Phase::Pending, wait))
}

fn answer(v: &View<'_>, phase: Phase, wait: Wait) -> Answer {
    let answer = Answer::new(v, if wait.person { Phase::AwaitingApproval } else { phase }, wait.said);
    match wait.until {
        Some(at) => answer.until(at),
        None => answer,
    }
}

/// Everything is proved, and the next step still has to wait.
pub(super) fn before_step(v: &View<'_>, number: i32, weight: Percent) -> Option<Answer> {
    let plan = v.plan.ok()?;
    let attempt = v.running()?;
    let at_any_hour = attempt.promoted || attempt.skipped || attempt.fast_track;
    let mut signs = vec![Before::Step(number)];
    if weight == 100 {
        signs.push(Before::Full);
    }
    let wait = dependency_gone_back(v, plan)
        .or_else(|| if at_any_hour { None } else { closed(v, plan) })
        .or_else(|| unsigned(v, plan, &signs, &v.status.approvals))?;
    Some(answer(v, if attempt.step_entered_at.is_some() { Phase::Holding } else { Phase::Pending }, wait))
}

/// The old color may not go before somebody agrees.
pub(super) fn before_retiring(v: &View<'_>) -> Option<Answer> {
    let plan = v.plan.ok()?;
    let wait = unsigned(v, plan, &[Before::Decommission], &v.status.approvals)?;
    Some(answer(v, Phase::AwaitingApproval, wait))
}

fn wait(said: Said) -> Wait {
    Wait { said, until: None, person: false }
}

fn unready_dependency(v: &View<'_>) -> Option<Wait> {
    let wanted = |name: &str| v.spec().depends_on.iter().find(|d| d.name == name).map(|d| d.state);
    let said = v.s.dependencies.iter().find_map(|d| match (d.standing, wanted(&d.name)?) {
        (Standing::Missing, _) => Some(say::no_such_dependency(&d.name)),
        (Standing::TakenBack, _) => Some(say::dependency_taken_back(&d.name)),
        (Standing::UnderWay, _) => Some(say::dependency_under_way(&d.name, "completed")),
        (Standing::Completed, DependencyState::Baked) => Some(say::dependency_under_way(&d.name, "baked")),
        (Standing::Completed, DependencyState::Completed) | (Standing::Baked, _) => None,
    });
    said.map(wait)
}

/// The name of a dependency that was taken back.
pub(super) fn taken_back<'a>(v: &View<'a>) -> Option<&'a str> {
    v.s.dependencies.iter().find(|d| d.standing == Standing::TakenBack).map(|d| d.name.as_str())
}

fn dependency_gone_back(v: &View<'_>, plan: &Plan) -> Option<Wait> {
    let name = taken_back(v).filter(|_| plan.on_dependency_rollback == OnDependencyRollback::Hold)?;
    Some(wait(say::dependency_taken_back(name)))
}

/// The last release was taken back a moment ago, and nobody has asked for the next one.
fn cooling_down(v: &View<'_>, plan: &Plan) -> Option<Wait> {
    let failed = |past: &&Past| ![Reason::Promoted, Reason::Superseded].contains(&past.outcome);
    let until = v.status.history.first().filter(failed)?.ended_at.plus(plan.cool_down);
    let asked_for = v.status.orders.iter().any(|o| o.taken && o.verb == Verb::Retry);
    (v.now() < until && !asked_for).then(|| Wait {
        said: say_back::cooling_down(until),
        until: Some(until),
        person: false,
    })
}

fn closed(v: &View<'_>, plan: &Plan) -> Option<Wait> {
    match plan.window.as_ref()?.opening(v.now()) {
        Opening::Open => None,
        Opening::At(at) => Some(Wait { said: say::outside_window(Some(at)), until: Some(at), person: false }),
        Opening::Never => Some(wait(say::outside_window(None))),
    }
}

/// The first approval that is missing.
fn unsigned(v: &View<'_>, plan: &Plan, now: &[Before], approved: &[Approved]) -> Option<Wait> {
    let given = |sign: &PlannedSign, role: &str| {
        let before = sign.before.word();
        approved.iter().find(|a| a.before == before && a.role == role).map(|a| a.at)
    };
    let good = |sign: &PlannedSign, role: &str| given(sign, role).is_some_and(|at| v.now().since(at) < sign.expires);
    let asked = plan.signs.iter().filter(|s| now.contains(&s.before));
    let (sign, role) = asked.flat_map(|s| s.roles.iter().map(move |r| (s, r))).find(|(s, r)| !good(s, r))?;
    let said = say::approval_missing(v, &sign.before.word(), role, given(sign, role).is_some());
    Some(Wait { said, until: None, person: true })
}
