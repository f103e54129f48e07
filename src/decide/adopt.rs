//! A service that runs already comes under a rollout as it stands: its Deployment is the color blue until the first release
//! has replaced it. No pod of it is ever started anew here, and nothing is asked of it but two labels of its own.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value, json};

use super::{
    answer::Answer,
    intent::Intent,
    prepare,
    say::Said,
    say_adopt as say,
    snapshot::Adoptee,
    view::View,
    workload::{self, Made},
};
use crate::{
    api::{
        LlmRollout, Phase, labels,
        status::{Adopted, Color},
    },
    routers::{GuardedPatch, PatchKind, guard},
};

/// Which color a Deployment that was taken over stands for: nothing else can be there before it.
pub(super) const COLOR: Color = Color::Blue;
const AGAIN: Duration = Duration::from_secs(10);

/// What the manifest wants to be taken over, as long as nothing serves that we know of and nothing is on its way.
pub fn wanted(rollout: &LlmRollout) -> Option<&str> {
    let status = rollout.status.as_ref();
    let begun = status.is_some_and(|s| s.active.is_some() || s.attempt.as_ref().is_some_and(|a| a.ended_at.is_none()));
    let adopt = rollout.spec.release.made()?.adopt.as_ref()?;
    (!begun).then_some(adopt.deployment.as_str())
}

/// What was taken over and still is a color. What was about to be, when the manifest thought better of it, is none.
pub fn adopted(rollout: &LlmRollout, color: Color) -> Option<&Adopted> {
    let status = rollout.status.as_ref()?;
    let adopted = status.adopted.as_ref().filter(|_| color == COLOR)?;
    let serves = status.active == Some(COLOR) || status.retiring.as_ref().is_some_and(|r| r.color == COLOR);
    (serves && status.candidate != Some(COLOR) || wanted(rollout) == Some(&adopted.deployment)).then_some(adopted)
}

/// What runs is to be taken over. The Services of the colors are made before a route is looked at: whoever moves the
/// route over to them needs them first.
pub(super) fn taking_over(v: &View<'_>) -> Option<Answer> {
    let name = wanted(&v.s.rollout)?;
    let mine = adopted(&v.s.rollout, COLOR);
    // A color of ours is there: it was taken over long ago, or was never needed, and status was lost.
    if v.deployment(COLOR.other()).is_some() || mine.is_none() && v.deployment(COLOR).is_some() {
        return None;
    }
    if !v.s.live {
        return Some(Answer::new(v, Phase::Preparing, say::taking_over(name)).after_a_live_look());
    }
    // Nothing tells when what is not ours changes: it is looked at again.
    let blocked = |said| Some(Answer::new(v, Phase::Blocked, said).by(v.now().plus(AGAIN)));
    let (made, Some(adoptee)) = (v.made()?, &v.s.adoptee) else { return blocked(say::not_there(name)) };
    let Some(selector) = &adoptee.selector else { return blocked(say::selects_otherwise(name)) };
    if selects(selector, made) {
        return blocked(say::selects_the_candidate(name, selector));
    }
    let known = Adopted { deployment: name.to_owned(), selector: selector.clone() };
    if mine != Some(&known) || !adoptee.object.ours {
        let label = (!adoptee.object.ours).then(|| label(v, name, adoptee));
        let answer = Answer::new(v, Phase::Preparing, say::taking_over(name)).doing(label.into_iter().collect());
        return Some(answer.changing(|s| s.adopted = Some(known)).soon());
    }
    let services = prepare::services(v);
    if !services.is_empty() {
        return Some(Answer::new(v, Phase::Preparing, say::taking_over(name)).doing(services).soon());
    }
    if v.ready(COLOR) == 0 {
        return blocked(say::nothing_ready(name));
    }
    Some(taken_over(v, name, adoptee.as_written))
}

/// It serves, as far as routes lead to it. What it runs is what is wanted, or the first release replaces it.
fn taken_over(v: &View<'_>, name: &str, as_written: bool) -> Answer {
    let revision = if as_written { v.wanted.clone() } else { name.to_owned() };
    Answer::new(v, Phase::Idle, say::taken_over(name, as_written)).by(v.now()).changing(|s| {
        s.active = Some(COLOR);
        s.active_revision = Some(revision);
    })
}

/// Two labels on the Deployment itself, none on its pods: by them it is watched.
fn label(v: &View<'_>, name: &str, adoptee: &Adoptee) -> Intent {
    let rollout = v.s.rollout.metadata.name.as_deref().unwrap_or_default();
    let ours = json!({labels::ROLLOUT: rollout, labels::COLOR: COLOR.word()});
    let mut ops = vec![guard(&adoptee.object.version)];
    if adoptee.labelled {
        let path = |key: &str| format!("/metadata/labels/{}", key.replace('/', "~1"));
        let one = |(key, value): (&String, &Value)| json!({"op": "add", "path": path(key), "value": value});
        ops.extend(ours.as_object().into_iter().flatten().map(one));
    } else {
        ops.push(json!({"op": "add", "path": "/metadata/labels", "value": ours}));
    }
    Intent::Patch(GuardedPatch { kind: PatchKind::Deployment, namespace: None, name: name.to_owned(), ops })
}

/// What was taken over is told by labels that the candidate's pods would bear as well, since somebody changed those.
pub(super) fn selects_both(v: &View<'_>) -> Option<Said> {
    let adopted = adopted(&v.s.rollout, COLOR)?;
    selects(&adopted.selector, v.made()?).then(|| say::selects_the_candidate(&adopted.deployment, &adopted.selector))
}

/// Whether a selector would pick the candidate's pods as well: they would get requests before they have a share.
fn selects(selector: &BTreeMap<String, String>, made: Made<'_>) -> bool {
    let pod = workload::pod(made, COLOR.other(), "");
    let labels = pod.pointer("/metadata/labels");
    selector.iter().all(|(key, value)| labels.and_then(|l| l.get(key)).and_then(Value::as_str) == Some(value))
}

/// Whether what runs is what the manifest's template says. By their labels pods are only told, and these must differ.
pub fn as_written(running: &Value, template: &Map<String, Value>) -> bool {
    let mut written = template.clone();
    if let Some(meta) = written.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.remove("labels");
    }
    holds(running, &Value::Object(written))
}

/// Whether what runs holds everything that is written: the API server adds much to what people write.
fn holds(running: &Value, written: &Value) -> bool {
    match (running, written) {
        (Value::Object(running), Value::Object(written)) => holds_fields(running, written),
        (Value::Array(running), Value::Array(written)) => {
            running.len() == written.len() && running.iter().zip(written).all(|(r, w)| holds(r, w))
        }
        _ => running == written,
    }
}

fn holds_fields(running: &Map<String, Value>, written: &Map<String, Value>) -> bool {
    written.iter().all(|(key, value)| running.get(key).is_some_and(|there| holds(there, value)))
}
