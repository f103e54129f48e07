//! Gates on what a Job reports: which Job of which name a stage needs, what it is made of, and what its last words say.
//! It is named after the stage, so that no stage ever has a second one. Never waits for a Job and never stops one.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{
    answer::Answer,
    gate::{self, Beside, Measuring, Verdict},
    intent::{Intent, Owned, OwnedKind},
    plan::{PlannedGate, mark},
    snapshot::JobSeen,
    view::View,
    workload,
};
use crate::{
    api::{Moment, Phase, labels, status::Attempt},
    metrics::{JobNumber, NoData, Reading, Subject},
};

/// How long a Job that is over is kept: longer than any stage, so that none is run again because it was tidied up.
const KEPT_SECONDS: u64 = 60 * 24 * 3600;

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
        Some(Intent::Apply(made(v, attempt, &gate, &job, template)))
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
    let rollout = &v.s.rollout;
    let [id, step, bake] = [attempt.id.to_string(), attempt.step.to_string(), attempt.bake.to_string()];
    let mark = mark(&[workload::uid(rollout), &id, &step, &bake, &gate.name]);
    format!("{}-{mark}", rollout.metadata.name.as_deref().unwrap_or_default())
}

/// What is known of a Job. It belongs to its stage whatever the clocks of others say, so that its end is taken into it.
fn reading(v: &View<'_>, gate: &PlannedGate, job: &JobNumber, entered: Moment) -> Option<Reading> {
    let now = v.now();
    let seen = v.s.jobs.get(&name(v, v.running()?, gate));
    let (at, outcome) = match seen {
        None if v.s.cron_jobs.contains_key(&job.cron_job) => return None,
        None => (now, Err(NoData::Job("there is no CronJob of the name that `cronJob` gives in this namespace"))),
        Some(JobSeen::Running) => (now, Err(NoData::Job("it has not ended yet"))),
        Some(JobSeen::Failed(why)) => (now, Err(NoData::Job(why))),
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

/// The Job as it is to be: the `CronJob`'s template, with an end, an owner, and what it is about.
fn made(v: &View<'_>, attempt: &Attempt, gate: &PlannedGate, job: &JobNumber, template: &Value) -> Owned {
    let rollout = &v.s.rollout;
    let rollout_name = rollout.metadata.name.as_deref().unwrap_or_default();
    let name = name(v, attempt, gate);
    let ours = [(labels::ROLLOUT, rollout_name), (labels::GATE, gate.name.as_str())];
    let mut spec = template.get("spec").cloned().unwrap_or_default();
    if let Some(spec) = spec.as_object_mut() {
        spec.retain(|field, _| !matches!(field.as_str(), "selector" | "manualSelector"));
        spec.insert("activeDeadlineSeconds".to_owned(), json!(job.timeout.as_secs()));
        spec.insert("ttlSecondsAfterFinished".to_owned(), json!(KEPT_SECONDS));
        if let Some(pod) = spec.get_mut("template").and_then(Value::as_object_mut) {
            about(v, attempt, pod, &ours);
        }
    }
    let bears: Map<String, Value> = ours.iter().map(|(label, value)| ((*label).to_owned(), json!(value))).collect();
    let metadata = json!({
        "name": name,
        "namespace": rollout.metadata.namespace,
        "labels": bears,
        "annotations": {labels::REVISION: attempt.revision},
        "ownerReferences": [{
            "apiVersion": "llmrollout.io/v1alpha1", "kind": "LlmRollout", "name": rollout_name,
            "uid": workload::uid(rollout), "controller": true, "blockOwnerDeletion": true,
        }],
    });
    let body = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec});
    Owned { kind: OwnedKind::Job, name, body }
}

/// The pod bears our labels, but never a color's: no Service may send it a request. Its environment says what it is about.
fn about(v: &View<'_>, attempt: &Attempt, pod: &mut Map<String, Value>, ours: &[(&str, &str)]) {
    let metadata = pod.entry("metadata").or_insert_with(|| json!({}));
    if let Some(metadata) = metadata.as_object_mut() {
        let labels = metadata.entry("labels").or_insert_with(|| json!({}));
        if let Some(labels) = labels.as_object_mut() {
            labels.remove(labels::COLOR);
            labels.extend(ours.iter().map(|(k, v)| ((*k).to_owned(), json!(v))));
        }
    }
    let meta = &v.s.rollout.metadata;
    let name = meta.name.as_deref().unwrap_or_default();
    let color = v.candidate();
    let env = [
        ("LLMROLLOUT_NAMESPACE", meta.namespace.clone().unwrap_or_default()),
        ("LLMROLLOUT_NAME", name.to_owned()),
        ("LLMROLLOUT_COLOR", color.map_or_else(String::new, |c| c.word().to_owned())),
        ("LLMROLLOUT_SERVICE", color.filter(|_| !v.unseen()).map_or_else(String::new, |c| workload::name_of(name, c))),
        ("LLMROLLOUT_REVISION", attempt.revision.clone()),
        ("LLMROLLOUT_WEIGHT", attempt.weight.to_string()),
    ];
    for list in ["initContainers", "containers"] {
        let containers = pod.get_mut("spec").and_then(|spec| spec.get_mut(list)).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten().filter_map(Value::as_object_mut) {
            let old = container.get("env").and_then(Value::as_array).cloned().unwrap_or_default();
            let theirs = old.into_iter().filter(|e| env.iter().all(|(name, _)| e.get("name") != Some(&json!(name))));
            let own = env.iter().map(|(name, value)| json!({"name": name, "value": value}));
            // Ours first, so that theirs may be written with them.
            container.insert("env".to_owned(), own.chain(theirs).collect());
        }
    }
}
