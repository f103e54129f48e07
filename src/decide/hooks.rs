//! Hooks: what is run beside the steps. Each is written down with what it follows, begun afterwards, once, and looked at until
//! it has ended. Nothing ever waits for one, least of all a way back.

use std::time::Duration;

use super::{
    answer::Answer,
    checklist::{PlannedHook, Point},
    intent::{Intent, News},
    look::with_words,
    runs,
    snapshot::JobSeen,
    view::View,
};
use crate::api::{
    LlmRolloutStatus, Moment, Reason,
    checked::{CheckState, Checked},
    labels,
    status::Attempt,
};

/// So much later than it must have ended, a Job that nobody sees is gone.
const GRACE: Duration = Duration::from_mins(1);
/// Hooks that are kept in status.
const KEPT: usize = 16;

/// The hooks that follow from an answer are written down with it, and those that were are looked at.
pub(super) fn beside(v: &View<'_>, mut answer: Answer) -> Answer {
    let leaving = v.s.rollout.metadata.deletion_timestamp.is_some();
    let Ok(plan) = v.plan else { return answer };
    let Some(mut attempt) = answer.status.attempt.take() else { return answer };
    if !answer.wants_live && !leaving {
        for hook in &plan.hooks {
            let Some(name) = due(v, hook, &attempt, &answer.status) else { continue };
            if attempt.hooks.iter().all(|h| h.name != name) {
                let state = CheckState::Running;
                attempt.hooks.push(Checked { name, state, at: v.now(), tries: 1, message: String::new() });
            }
        }
        let (looked, begins): (Vec<_>, Vec<_>) =
            attempt.hooks.iter().map(|h| look(v, &attempt, &plan.hooks, h)).unzip();
        answer.beside = begins.into_iter().flatten().collect();
        let over = looked.len().saturating_sub(KEPT);
        attempt.hooks = looked.into_iter().skip(over).collect();
        if let Some(wake) = attempt.hooks.iter().filter_map(|h| ends_by(h, &plan.hooks)).min() {
            // A Job that outlives its end is ended by Kubernetes, sooner or later.
            let wake = wake.max(v.now().plus(GRACE));
            answer.wake = Some(answer.wake.map_or(wake, |at| at.min(wake)));
        }
    }
    answer.status.attempt = Some(attempt);
    answer
}

/// Hooks that have failed now.
pub(super) fn news(v: &View<'_>, next: &LlmRolloutStatus) -> Vec<News> {
    let known = v.status.attempt.as_ref().map(|a| a.hooks.as_slice()).unwrap_or_default();
    let failed = next.attempt.iter().flat_map(|a| &a.hooks).filter(|h| h.state == CheckState::Failed);
    let new = failed.filter(|h| !known.contains(h));
    let tell = |h: &Checked| format!("hook {} failed: {}", h.name, h.message);
    new.map(|h| News { warning: true, reason: Reason::HookFailed, message: tell(h) }).collect()
}

/// The name under which a hook is run now, if what it follows has just come about.
fn due(v: &View<'_>, hook: &PlannedHook, new: &Attempt, status: &LlmRolloutStatus) -> Option<String> {
    let old = v.status.attempt.as_ref().filter(|old| old.id == new.id)?;
    let (ends, back) = (old.ended_at.is_none() && new.ended_at.is_some(), new.ended.is_some());
    let goes_on = status.intent.is_some() && v.status.intent.is_none();
    let follows = match hook.point {
        Point::AfterStep => {
            old.step_entered_at.is_some() && old.bake == 0 && (goes_on || new.bake == 1 || ends) && !back
        }
        Point::BeforeRollback => old.ended.is_none() && back,
        Point::AfterRollback => ends && back,
        Point::AfterPromotion => ends && !back,
    };
    let word = hook.point.word();
    let name = if hook.point == Point::AfterStep {
        format!("{word}/{}/{}", old.step, hook.name)
    } else {
        format!("{word}/{}", hook.name)
    };
    follows.then_some(name)
}

/// How far a hook is, and what begins it if that is not seen yet.
fn look(v: &View<'_>, attempt: &Attempt, planned: &[PlannedHook], known: &Checked) -> (Checked, Option<Intent>) {
    if known.state != CheckState::Running {
        return (known.clone(), None);
    }
    let ended = |state, message: String| (Checked { state, at: v.now(), message, ..known.clone() }, None);
    let Some(hook) = planned.iter().find(|h| is(h, &known.name)) else {
        return ended(CheckState::Failed, "it stands in the manifest no more".to_owned());
    };
    let job = runs::name(v, attempt, &["hook", &known.name]);
    match v.s.jobs.get(&job) {
        Some(JobSeen::Running) => (known.clone(), None),
        Some(JobSeen::Failed { why, words }) => ended(CheckState::Failed, with_words(why, words.as_deref())),
        Some(JobSeen::Done { .. }) => ended(CheckState::Passed, String::new()),
        None if v.now() >= known.at.plus(hook.timeout + GRACE) => {
            ended(CheckState::Failed, "its Job is gone, or could never be made".to_owned())
        }
        None => {
            let Some(template) = v.s.cron_jobs.get(&hook.cron_job) else {
                let why = format!("there is no CronJob {} in this namespace", hook.cron_job);
                // Caches of a process that has just begun may be filled a little later.
                let young = v.now() < known.at.plus(GRACE);
                return if young { (known.clone(), None) } else { ended(CheckState::Failed, why) };
            };
            (known.clone(), Some(made(v, attempt, hook, job, template)))
        }
    }
}

fn made(v: &View<'_>, attempt: &Attempt, hook: &PlannedHook, job: String, template: &serde_json::Value) -> Intent {
    let more = vec![
        ("LLMROLLOUT_ATTEMPT", attempt.id.to_string()),
        ("LLMROLLOUT_HOOK", hook.point.word().to_owned()),
        ("LLMROLLOUT_STEP", attempt.step.to_string()),
        ("LLMROLLOUT_REASON", attempt.ended.map_or_else(String::new, |reason| reason.word().to_owned())),
    ];
    let run = runs::Run { job, label: (labels::HOOK, &hook.name), timeout: hook.timeout, more };
    runs::made(v, attempt, &run, template)
}

/// Whether a name in status is one of this hook's.
fn is(hook: &PlannedHook, name: &str) -> bool {
    let of_point = name.strip_prefix(hook.point.word());
    of_point.is_some_and(|rest| rest.rsplit('/').next() == Some(hook.name.as_str()))
}

/// When a hook that runs must have ended.
fn ends_by(known: &Checked, planned: &[PlannedHook]) -> Option<Moment> {
    let hook = planned.iter().find(|h| is(h, &known.name)).filter(|_| known.state == CheckState::Running)?;
    Some(known.at.plus(hook.timeout + GRACE))
}
