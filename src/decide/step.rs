//! Step by step: an intent is written down, the routers are written and confirmed, the step is measured, and the next
//! one begins only when its hold is served and every gate says Pass.

use std::time::Duration;

use super::{answer::Answer, plan::PlannedStep, prepare, view::View};
use crate::api::{
    Phase, Reason,
    status::{Attempt, Color, StepIntent, VerdictWord},
};

/// An intent stands: write it to the routers, or see that they follow it.
pub(super) fn shifting(v: &View<'_>) -> Option<Answer> {
    let intent = v.status.intent.as_ref()?;
    let candidate = v.candidate()?;
    let answer = |message: String| {
        Some(Answer::new(v, Phase::Shifting, Reason::Shifting, message).by(v.now().plus(Duration::from_secs(1))))
    };
    let writes = v.writes(candidate, intent.weight);
    if writes.is_empty() {
        if v.followed(intent.at) {
            return Some(entered(v, intent));
        }
        return answer(format!("waiting until the gateway follows {}%", intent.weight));
    }
    // Before a raise: rollout, routers and endpoints are read in this very pass.
    if !v.s.live {
        return answer(format!("raising {} to {}%", candidate.word(), intent.weight)).map(Answer::after_a_live_look);
    }
    if let Some(wait) = not_ready(v, candidate, intent.weight) {
        return answer(wait);
    }
    answer(format!("raising {} to {}%", candidate.word(), intent.weight)).map(|a| a.doing(writes))
}

/// Why the candidate may not be given a weight yet.
fn not_ready(v: &View<'_>, candidate: Color, weight: i32) -> Option<String> {
    let wanted = v.s.color(candidate).deployment.as_ref().map_or(1, |d| d.wanted);
    let needed = ((i64::from(wanted) * i64::from(weight) + 99) / 100).max(1);
    if i64::from(v.ready(candidate)) < needed {
        return Some(format!("{}% needs {needed} ready endpoints of {}", weight, candidate.word()));
    }
    v.refusal().map(|words| format!("the gateway does not take the route: {words}"))
}

/// The routers hold what was intended: the step is entered and its clock starts.
fn entered(v: &View<'_>, intent: &StepIntent) -> Answer {
    let hold = v.plan.as_ref().ok().and_then(|p| p.steps.iter().find(|s| s.weight == intent.weight)).map(|s| s.hold);
    // Instants are whole seconds, cut off: the step begins with the next one, so that no hold is ever short and no
    // sample reaches back before it.
    let begins = v.now().plus(Duration::from_secs(1));
    let until = begins.plus(hold.unwrap_or_default());
    let message = format!("step {} at {}%", intent.step, intent.weight);
    Answer::new(v, Phase::Holding, Reason::Holding, message).by(until).changing(|s| {
        s.intent = None;
        s.quarrel = None;
        s.gates.clear();
        if let Some(attempt) = s.attempt.as_mut() {
            attempt.step = intent.step;
            attempt.weight = intent.weight;
            attempt.step_entered_at = Some(begins);
            attempt.hold_until = Some(until);
            attempt.clock_from = v.now();
        }
    })
}

/// A step is entered and must be measured longer, or does not pass.
pub(super) fn holding(v: &View<'_>) -> Option<Answer> {
    let attempt = v.running().filter(|a| a.step_entered_at.is_some())?;
    let until = attempt.hold_until.unwrap_or(v.now());
    if v.now() < until {
        let message = format!("measuring step {} at {}%", attempt.step, attempt.weight);
        return Some(Answer::new(v, Phase::Holding, Reason::Holding, message).by(wake(v).min(until)));
    }
    let waiting = v.verdicts.iter().find(|g| g.status.verdict != VerdictWord::Pass);
    if v.verdicts.is_empty() || waiting.is_some() {
        let name = waiting.map_or("the gates", |g| g.status.name.as_str());
        let message = format!("the hold of step {} is served; waiting for {name}", attempt.step);
        return Some(Answer::new(v, Phase::Holding, Reason::WaitingForGate, message).by(wake(v)));
    }
    None
}

/// When missing data, or its absence for too long, must be looked at again.
fn wake(v: &View<'_>) -> crate::api::Moment {
    let soon = v.now().plus(Duration::from_secs(30));
    v.verdicts.iter().filter_map(|g| g.deadline).fold(soon, crate::api::Moment::min)
}

/// Everything is proved: the next step is written down, or the release has arrived.
pub(super) fn next(v: &View<'_>) -> Option<Answer> {
    let attempt = v.running()?;
    let plan = v.plan.as_ref().ok()?;
    let confirmed = attempt.step_entered_at.map(|_| attempt.weight);
    let Some((number, step)) = plan.step_after(confirmed) else {
        return Some(prepare::live(v, v.candidate()?));
    };
    let message = format!("step {number} of {} is due: {}%", plan.steps.len(), step.weight);
    let answer = Answer::new(v, Phase::Shifting, Reason::Shifting, message).by(v.now());
    Some(answer.changing(|s| {
        s.intent = Some(intent(v, attempt, number, step));
        // The evidence on which the step is taken is durable before its effect.
        s.gates = v.verdicts.iter().map(|g| g.status.clone()).collect();
    }))
}

fn intent(v: &View<'_>, attempt: &Attempt, number: i32, step: PlannedStep) -> StepIntent {
    StepIntent {
        op: format!("{}-{number}", attempt.id),
        revision: attempt.revision.clone(),
        step: number,
        weight: step.weight,
        at: v.now(),
    }
}
