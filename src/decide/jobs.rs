//! Gates on what a Job reports: which Job of which name a stage needs, what it is made of, and what its last words say.
//! It is named after the stage, so that no stage ever has a second one. Never waits for a Job and never stops one.

use std::sync::Arc;

use super::{
    answer::Answer,
    gate::{self, Beside, Measuring, Verdict},
    plan::PlannedGate,
    runs::{self, Run},
    snapshot::JobSeen,
    view::View,
};
use crate::{
    api::{Moment, Phase, labels, status::Attempt},
    metrics::{JobNumber, NoData, Reading, Subject},
};

/// What the gates on Jobs say about the stage that is being measured.
pub(super) fn verdicts(v: &View<'_>) -> Vec<Verdict> {
    let judged = stage(v).into_iter().flat_map(|(attempt, entered)| {
        wanted(v).into_iter().map(move |(gate, job)| {
            let m = Measuring {
                step: attempt.step,
                entered,
                clock_from: attempt.clock_from,
                watching_since: v.s.watching_since,
                now: v.now(),
                color: v.candidate(),
            };
            let old = v.status.gates.iter().find(|o| o.name == gate.name);
            let readings: Vec<Reading> = reading(v, &gate, &job, entered).into_iter().collect();
            gate::judge(&gate, &readings, Beside::default(), old, m)
        })
    });
    judged.collect()
}

/// The Jobs that the stage still needs are begun with whatever is answered while it is measured.
pub(super) fn begin(v: &View<'_>, answer: Answer) -> Answer {
    let same = |a: &Attempt| (a.id, a.step, a.bake, a.step_entered_at);
    let stays = answer.status.attempt.as_ref().map(same) == v.running().map(same);
    let measuring = matches!(answer.phase, Phase::Holding | Phase::Baking) && stays;
    if !measuring || !answer.intents.is_empty() || answer.wants_live {
        return answer;
    }
    let Some((attempt, entered)) = stage(v) else { return answer };
    let missing = |(gate, _): &(Arc<PlannedGate>, JobNumber)| !v.s.jobs.contains_key(&name(v, attempt, gate));
    let missing: Vec<_> = wanted(v).into_iter().filter(missing).collect();
    if entered > v.now() && !missing.is_empty() {
        let wake = answer.wake.map_or(entered, |wake| wake.min(entered));
        return answer.by(wake);
    }
    let made = missing.into_iter().filter_map(|(gate, job)| {
        let template = v.s.cron_jobs.get(&job.cron_job)?;
        let label = (labels::GATE, gate.name.as_str());
        let run = Run { job: name(v, attempt, &gate), label, timeout: job.timeout, more: Vec::new() };
        Some(runs::made(v, attempt, &run, template))
    });
    let intents = made.collect();
    answer.doing(intents)
}

/// The attempt, and since when its stage is measured.
fn stage<'a>(v: &'a View<'_>) -> Option<(&'a Attempt, Moment)> {
    let attempt = v.running()?;
    Some((attempt, attempt.step_entered_at?))
}

/// The gates on Jobs that speak about the stage.
fn wanted(v: &View<'_>) -> Vec<(Arc<PlannedGate>, JobNumber)> {
    let Ok(plan) = v.plan else { return Vec::new() };
    let gates = v.gates(plan).into_iter();
    let of_jobs = gates.filter_map(|gate| match &gate.subject {
        Subject::Job(job) => Some((Arc::clone(gate), job.clone())),
        Subject::Metric(..) | Subject::Above(..) | Subject::Query(_) | Subject::Alerts(_) | Subject::Number(_) => None,
    });
    of_jobs.collect()
}

/// The Job of a gate in a stage of an attempt.
fn name(v: &View<'_>, attempt: &Attempt, gate: &PlannedGate) -> String {
    runs::name(v, attempt, &[&attempt.step.to_string(), &attempt.bake.to_string(), &gate.name])
}

/// What is known of a Job. It belongs to its stage whatever the clocks of others say, so that its end is taken into it.
fn reading(v: &View<'_>, gate: &PlannedGate, job: &JobNumber, entered: Moment) -> Option<Reading> {
    let now = v.now();
    let seen = v.s.jobs.get(&name(v, v.running()?, gate));
    let (at, outcome) = match seen {
        None if v.s.cron_jobs.contains_key(&job.cron_job) => return None,
        None => (now, Err(NoData::Job("there is no CronJob of the name that `cronJob` gives in this namespace"))),
        Some(JobSeen::Running) => (now, Err(NoData::Job("it has not ended yet"))),
        Some(JobSeen::Failed { why, .. }) => (now, Err(NoData::Job(why))),
        Some(JobSeen::Done { at, words }) => {
            let told = words.as_ref().map_err(|why| NoData::Job(why)).and_then(|words| job.told(words));
            (*at, told)
        }
    };
    Some(Reading {
        at: at.max(entered).min(now),
        window: std::time::Duration::ZERO,
        outcome,
        names: Vec::new(),
        weighed: None,
    })
}
