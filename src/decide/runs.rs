//! A Job of ours: what it is called and what it is made of. Its name is a hash of what it is run for, so that nothing is ever
//! run twice. Never decides whether one is needed.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    intent::{Intent, Owned, OwnedKind},
    plan::mark,
    release,
    view::View,
    workload,
};
use crate::api::{
    labels,
    status::{Attempt, Color},
};

/// How long a Job that is over is kept: longer than any stage, so that none is run again because it was tidied up.
const KEPT_SECONDS: u64 = 60 * 24 * 3600;

/// A Job that is to be.
pub(super) struct Run<'a> {
    /// Its name.
    pub(super) job: String,
    /// The label that says what it is run for.
    pub(super) label: (&'static str, &'a str),
    /// How long it may run.
    pub(super) timeout: Duration,
    /// What its environment says besides.
    pub(super) more: Vec<(&'static str, String)>,
}

/// The name of a Job that is run for this, once in an attempt.
pub(super) fn name(v: &View<'_>, attempt: &Attempt, about: &[&str]) -> String {
    let rollout = &v.s.rollout;
    let id = attempt.id.to_string();
    let words = [&[workload::uid(rollout), id.as_str()], about].concat();
    format!("{}-{}", rollout.metadata.name.as_deref().unwrap_or_default(), mark(&words))
}

/// The Job as it is to be: the `CronJob`'s template, with an end, an owner, and what it is about.
pub(super) fn made(v: &View<'_>, attempt: &Attempt, run: &Run<'_>, template: &Value) -> Intent {
    let rollout = &v.s.rollout;
    let rollout_name = rollout.metadata.name.as_deref().unwrap_or_default();
    let ours = [(labels::ROLLOUT, rollout_name), run.label];
    let mut spec = template.get("spec").cloned().unwrap_or_default();
    if let Some(spec) = spec.as_object_mut() {
        spec.retain(|field, _| !matches!(field.as_str(), "selector" | "manualSelector"));
        spec.insert("activeDeadlineSeconds".to_owned(), json!(run.timeout.as_secs()));
        spec.insert("ttlSecondsAfterFinished".to_owned(), json!(KEPT_SECONDS));
        if let Some(pod) = spec.get_mut("template").and_then(Value::as_object_mut) {
            label(pod, &ours);
            tell(pod, &environment(v, attempt, run));
        }
    }
    let bears: Map<String, Value> = ours.iter().map(|(label, value)| ((*label).to_owned(), json!(value))).collect();
    let metadata = json!({
        "name": run.job,
        "namespace": rollout.metadata.namespace,
        "labels": bears,
        "annotations": {labels::REVISION: attempt.revision},
        "ownerReferences": [{
            "apiVersion": "llmrollout.io/v1alpha1", "kind": "LlmRollout", "name": rollout_name,
            "uid": workload::uid(rollout), "controller": true, "blockOwnerDeletion": true,
        }],
    });
    let body = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec});
    Intent::Apply(Owned { kind: OwnedKind::Job, name: run.job.clone(), body })
}

/// The pod bears our labels, but never a color's: no Service may send it a request.
fn label(pod: &mut Map<String, Value>, ours: &[(&str, &str)]) {
    let metadata = pod.entry("metadata").or_insert_with(|| json!({}));
    if let Some(metadata) = metadata.as_object_mut() {
        let labels = metadata.entry("labels").or_insert_with(|| json!({}));
        if let Some(labels) = labels.as_object_mut() {
            labels.remove(labels::COLOR);
            labels.extend(ours.iter().map(|(k, v)| ((*k).to_owned(), json!(v))));
        }
    }
}

/// What the pod's environment says it is about.
fn environment(v: &View<'_>, attempt: &Attempt, run: &Run<'_>) -> Vec<(&'static str, String)> {
    let rollout = &v.s.rollout;
    let meta = &rollout.metadata;
    // An attempt that is over has no candidate any more; what it was about is what serves, or the other one.
    let after = if attempt.ended.is_some() { v.status.active.map(Color::other) } else { v.status.active };
    let color = v.candidate().or(after);
    let all = [
        ("LLMROLLOUT_NAMESPACE", meta.namespace.clone().unwrap_or_default()),
        ("LLMROLLOUT_NAME", meta.name.clone().unwrap_or_default()),
        ("LLMROLLOUT_COLOR", color.map_or_else(String::new, |c| c.word().to_owned())),
        (
            "LLMROLLOUT_SERVICE",
            color.filter(|_| !v.unseen()).map_or_else(String::new, |c| release::service_of(rollout, c)),
        ),
        ("LLMROLLOUT_REVISION", attempt.revision.clone()),
        ("LLMROLLOUT_WEIGHT", attempt.weight.to_string()),
    ];
    all.into_iter().chain(run.more.iter().cloned()).collect()
}

fn tell(pod: &mut Map<String, Value>, env: &[(&'static str, String)]) {
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
