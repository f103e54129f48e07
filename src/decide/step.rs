//! Step by step: an intent is written down, the routers are written and confirmed, the step is measured, and the next
//! one begins only when its hold is served and every gate says Pass, or a person says so. After 100 % come the bakes.

use std::time::Duration;

use super::{
    answer::Answer,
    awaiting,
    course::PlannedStep,
    criterion::Test,
    plan::Plan,
    prepare, reference,
    say::{self, Said},
    scaler, size,
    stage::Stage,
    view::{self, View},
    weigh,
};
use crate::api::{
    LlmRolloutStatus, Moment, Percent, Phase,
    around::OnUndecided,
    status::{Asked, Attempt, Color, StepIntent, Stood},
};

/// A person was asked, or is to be asked, how to go on. Gates still take traffic back meanwhile.
pub(super) fn asked(v: &View<'_>) -> Option<Answer> {
    let attempt = v.running()?;
    if let Some(asked) = &attempt.asked {
        return Some(Answer::new(v, Phase::Paused, say::asked(asked)).by(wake(v)));
    }
    // A person has answered already; at 100 % the gate may ask again.
    if leaves_early(attempt) {
        return None;
    }
    let gate = v.verdicts.iter().find(|g| g.asks()).map(|g| say::gate_asks(v, &g.status));
    let said = gate.or_else(|| undecided_too_long(v, OnUndecided::Pause))?;
    let asked = Asked { reason: said.reason, message: said.words.clone(), at: v.now() };
    let answer = Answer::new(v, Phase::Paused, said).by(wake(v));
    Some(answer.changing(|s| {
        s.gates = evidence(v);
        view::stop_clocks(s, v.now());
        if let Some(attempt) = s.attempt.as_mut() {
            attempt.asked = Some(asked);
        }
    }))
}

/// An intent stands: write it to the routers, or see that they follow it.
pub(super) fn shifting(v: &View<'_>) -> Option<Answer> {
    let intent = v.status.intent.as_ref()?;
    let candidate = v.candidate()?;
    let answer = |said: Said| Some(Answer::new(v, Phase::Shifting, said).soon());
    let writes = v.writes(candidate, intent.weight, &intent.aside);
    if writes.is_empty() {
        if v.followed(intent.at) {
            return Some(entered(v, intent));
        }
        return answer(say::gateway_to_follow(intent));
    }
    // Before a raise: rollout, routers and endpoints are read in this very pass.
    if !v.s.live {
        return answer(say::raising(candidate, intent)).map(Answer::after_a_live_look);
    }
    if let Some(wait) = no_way_back(v, intent.weight).or_else(|| not_ready(v, candidate, intent.weight)) {
        return answer(wait);
    }
    answer(say::raising(candidate, intent)).map(|a| a.doing(writes))
}

/// Nothing goes forward while there is nothing to go back to, unless a person says so: then everything goes forward, for
/// it may be the only cure.
fn no_way_back(v: &View<'_>, weight: Percent) -> Option<Said> {
    let active = v.status.active?;
    let vouched = weight == 100 && v.running().is_some_and(|a| a.promoted);
    (v.ready(active) == 0 && !vouched).then(|| say::no_way_back(v, active))
}

/// Why the candidate may not be given a weight yet.
fn not_ready(v: &View<'_>, candidate: Color, weight: Percent) -> Option<Said> {
    let scaled = v.made().filter(|made| size::is_ours(made.template)).and_then(|_| size::full(v));
    let wanted = scaled.unwrap_or_else(|| v.wanted_pods(candidate));
    let needed = ((i64::from(wanted) * i64::from(weight.tenths()) + 999) / 1000).max(1);
    if i64::from(v.ready(candidate)) < needed {
        return Some(say::endpoints_to_come(weight, needed, candidate));
    }
    v.refusal().map(|words| say::gateway_refuses(&words))
}

/// The routers hold what was intended: the step is entered and its clock starts.
fn entered(v: &View<'_>, intent: &StepIntent) -> Answer {
    let plan = v.plan.ok();
    let step = plan.and_then(|p| p.steps.iter().find(|s| s.weight == intent.weight)).cloned().unwrap_or_default();
    let weighs = plan.is_some_and(|p| p.gates.iter().any(|g| matches!(g.test, Test::Proved(_))));
    let (begins, until) = clock(v, step.settle, step.hold);
    let answer = Answer::new(v, Phase::Holding, say::entered(intent)).until(until);
    answer.changing(|s| {
        s.intent = None;
        s.quarrel = None;
        enter(v, s, begins, until);
        if let Some(attempt) = s.attempt.as_mut() {
            attempt.step = intent.step;
            attempt.weight = intent.weight;
            attempt.aside = intent.aside.clone();
            if weighs {
                attempt.shares.push(Stood { weight: intent.weight, at: begins });
            }
        }
    })
}

/// Instants are whole seconds, cut off: a stage begins with the next one, so that no hold is ever short and no sample
/// reaches back before it.
fn clock(v: &View<'_>, settle: Duration, hold: Duration) -> (Moment, Moment) {
    let begins = v.now().plus(settle.max(Duration::from_secs(1)));
    (begins, begins.plus(hold))
}

/// A stage begins: nothing that was said of the one before counts.
fn enter(v: &View<'_>, status: &mut LlmRolloutStatus, begins: Moment, until: Moment) {
    status.gates.clear();
    if let Some(attempt) = status.attempt.as_mut() {
        attempt.step_entered_at = Some(begins);
        attempt.hold_until = Some(until);
        attempt.clock_from = v.now();
        attempt.skipped = false;
        attempt.growing_since = None;
    }
}

/// A stage is entered and must be measured longer, or does not pass.
pub(super) fn holding(v: &View<'_>) -> Option<Answer> {
    let attempt = v.running().filter(|a| a.step_entered_at.is_some())?;
    let plan = v.plan.ok()?;
    if leaves_early(attempt) {
        return None;
    }
    let stage = v.stage(plan);
    let until = attempt.hold_until.unwrap_or(v.now());
    let phase = if attempt.bake > 0 { Phase::Baking } else { Phase::Holding };
    if !served(v, &stage, until) {
        let said = say::measuring(stage.name, attempt);
        return Some(Answer::new(v, phase, said).by(wake(v)).until(until));
    }
    if let Some(said) = undecided_too_long(v, OnUndecided::Hold) {
        return Some(Answer::new(v, phase, said).by(wake(v)));
    }
    if let Some(said) = unproved(v, &stage) {
        return Some(Answer::new(v, phase, said).by(wake(v)));
    }
    if plan.manual && attempt.bake == 0 {
        return Some(Answer::new(v, Phase::AwaitingApproval, say::person_decides(v, stage.name)).by(wake(v)));
    }
    None
}

/// By order, or because the revision is known: the stage is not measured to its end.
fn leaves_early(attempt: &Attempt) -> bool {
    attempt.skipped || attempt.fast_track || (attempt.promoted && attempt.weight < 100)
}

/// The hold is over, by time or by requests.
fn served(v: &View<'_>, stage: &Stage<'_>, until: Moment) -> bool {
    let enough = stage.max_requests.zip(v.requests()).is_some_and(|(most, seen)| seen >= most);
    v.now() >= until || enough
}

/// What a stage whose hold is served still lacks.
fn unproved(v: &View<'_>, stage: &Stage<'_>) -> Option<Said> {
    if let Some(waiting) = v.verdicts.iter().find(|g| !g.lets_pass()) {
        return Some(say::gate_to_pass(stage.name, &waiting.status.name));
    }
    if let Some(starved) = v.starved() {
        return Some(say::starved(stage.name, &starved));
    }
    let needed = stage.min_requests.filter(|needed| v.requests().is_none_or(|seen| seen < *needed));
    if let Some(needed) = needed {
        return Some(say::too_few_requests(stage.name, needed));
    }
    // No gate speaks: only in the dark, where there is nothing to judge, or where people alone decide.
    let dark = v.running().is_some_and(|a| a.weight == 0);
    let manual = v.plan.is_ok_and(|p| p.manual);
    let silent = v.verdicts.is_empty() && !dark && !manual;
    silent.then(|| say::gate_to_pass(stage.name, "a gate that speaks here"))
}

/// The stage has been undecided for as long as it may be, and the manifest says that this then follows.
pub(super) fn undecided_too_long(v: &View<'_>, then: OnUndecided) -> Option<Said> {
    let attempt = v.running().filter(|a| a.asked.is_none() && !leaves_early(a))?;
    let stage = v.stage(v.plan.ok()?);
    let most = stage.max_hold.filter(|_| stage.on_undecided == then)?;
    let until = attempt.hold_until?;
    let over = v.now() >= until.plus(most.saturating_sub(stage.hold));
    let undecided = over && unproved(v, &stage).is_some();
    undecided.then(|| say::undecided_too_long(stage.name, most))
}

/// When missing data, or its absence for too long, must be looked at again.
pub(super) fn wake(v: &View<'_>) -> Moment {
    let soon = v.now().plus(Duration::from_secs(30));
    v.verdicts.iter().filter_map(|g| g.deadline).fold(soon, Moment::min)
}

fn evidence(v: &View<'_>) -> Vec<crate::api::status::GateStatus> {
    v.verdicts.iter().map(|g| g.status.clone()).collect()
}

/// Everything is proved, or a person has said so: the next stage begins, or the release has arrived.
pub(super) fn next(v: &View<'_>) -> Option<Answer> {
    let attempt = v.running()?;
    let plan = v.plan.ok()?;
    let Some((number, step)) = next_step(attempt, plan) else {
        return bake(v, plan).or_else(|| arrived(v));
    };
    if let Some(said) = no_way_back(v, step.weight) {
        let phase = if attempt.step_entered_at.is_some() { Phase::Holding } else { Phase::Preparing };
        return Some(Answer::new(v, phase, said).by(wake(v)));
    }
    if let Some(wait) = awaiting::before_step(v, number, step.weight) {
        return Some(wait);
    }
    if let Some(wait) = scaler::first(v).or_else(|| size::growing(v, step)) {
        return Some(wait);
    }
    let said = say::due(number, plan.steps.len(), step);
    Some(Answer::new(v, Phase::Shifting, said).by(v.now()).changing(|s| {
        s.intent = Some(intent(v, attempt, number, step));
        reference::refresh(v, s);
        weigh::refresh(v, s);
        // The evidence on which the step is taken is durable before its effect.
        s.gates = evidence(v);
    }))
}

/// The release is over, and the words of its gates stay: those it was promoted with.
fn arrived(v: &View<'_>) -> Option<Answer> {
    Some(prepare::live(v, v.candidate()?).changing(|s| s.gates = evidence(v)))
}

/// The step after the one that is confirmed; the last one when somebody, or the past, vouches for the revision.
pub(super) fn next_step<'a>(attempt: &Attempt, plan: &'a Plan) -> Option<(i32, &'a PlannedStep)> {
    let confirmed = attempt.step_entered_at.map(|_| attempt.weight);
    let next = plan.step_after(confirmed)?;
    if attempt.promoted || attempt.fast_track { plan.last_step() } else { Some(next) }
}

/// The next window after 100 %. A revision that is known to be good has had its own.
fn bake(v: &View<'_>, plan: &Plan) -> Option<Answer> {
    let attempt = v.running().filter(|a| !a.fast_track)?;
    let number = attempt.bake + 1;
    let bake = usize::try_from(attempt.bake).ok().and_then(|n| plan.bakes.get(n))?;
    let (begins, until) = clock(v, Duration::ZERO, bake.hold);
    let said = say::baking(&bake.name, number, plan.bakes.len());
    Some(Answer::new(v, Phase::Baking, said).until(until).changing(|s| {
        enter(v, s, begins, until);
        if let Some(attempt) = s.attempt.as_mut() {
            attempt.bake = number;
        }
    }))
}

fn intent(v: &View<'_>, attempt: &Attempt, number: i32, step: &PlannedStep) -> StepIntent {
    StepIntent {
        op: format!("{}-{number}", attempt.id),
        revision: attempt.revision.clone(),
        step: number,
        weight: step.weight,
        aside: step.aside.clone(),
        at: v.now(),
    }
}
