//! What scales a color: one autoscaler for each color that has pods, made of the manifest, with a floor while a release is
//! under way. It belongs to the Deployment that it scales, so that it goes, and stays, with it. Never decides how many pods
//! are needed.

use serde_json::{Map, Value, json};

use super::{
    adopt::adopted,
    answer::Answer,
    intent::{Intent, Owned, OwnedKind},
    plan::{Wrong, invalid, mark},
    say::{self, Said},
    say_size, size,
    snapshot::OwnedSeen,
    view::View,
    workload,
};
use crate::api::{
    LlmRollout, Phase, labels,
    release::{Autoscaler, Template},
    status::Color,
};

/// Between how many pods the manifest has a color scaled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) min: i32,
    pub(super) max: i32,
}

impl Bounds {
    /// None where nothing scales.
    pub(super) fn of(template: &Template) -> Option<Self> {
        let (kind, spec) = written(template.autoscaler.as_ref()?)?;
        let [min, max] = fields(kind);
        let number = |field| spec.get(field).and_then(Value::as_i64).and_then(|n| i32::try_from(n).ok());
        let min = number(min).unwrap_or(1).max(1);
        Some(Self { min, max: number(max).unwrap_or(min).max(min) })
    }
}

/// What it scales.
const TARGET: &str = "scaleTargetRef";

/// What stands in the manifest.
fn written(autoscaler: &Autoscaler) -> Option<(OwnedKind, &Map<String, Value>)> {
    match (&autoscaler.horizontal_pod_autoscaler, &autoscaler.scaled_object) {
        (Some(spec), None) => Some((OwnedKind::HorizontalPodAutoscaler, spec)),
        (None, Some(spec)) => Some((OwnedKind::ScaledObject, spec)),
        _ => None,
    }
}

/// The fields of its two bounds.
const fn fields(kind: OwnedKind) -> [&'static str; 2] {
    match kind {
        OwnedKind::ScaledObject => ["minReplicaCount", "maxReplicaCount"],
        OwnedKind::HorizontalPodAutoscaler | OwnedKind::Deployment | OwnedKind::Service | OwnedKind::Job => {
            ["minReplicas", "maxReplicas"]
        }
    }
}

/// What is wrong with it, as far as the schema has not refused it.
pub(super) fn checked(template: &Template) -> Result<(), Wrong> {
    let Some(autoscaler) = &template.autoscaler else { return Ok(()) };
    let Some((_, spec)) = written(autoscaler) else {
        return Err(invalid(
            "autoscaler: exactly one of `horizontalPodAutoscaler` and `scaledObject`; write for example `horizontalPodAutoscaler: {minReplicas: 2, maxReplicas: 8, metrics: […]}`",
        ));
    };
    if spec.contains_key(TARGET) {
        return Err(invalid(
            "autoscaler: leave `scaleTargetRef` out; the Deployment of each color is put there, so that what serves and what comes are scaled apart",
        ));
    }
    Ok(())
}

/// Autoscalers follow the manifest and the release whenever nothing else is written. Nothing back waits for them.
pub(super) fn kept(v: &View<'_>, answer: Answer) -> Answer {
    let leaving = v.s.rollout.metadata.deletion_timestamp.is_some();
    // A step that is written down begins with nothing else.
    let steps = answer.status.intent.is_some();
    // Between two releases the floor stays where the next one finds it.
    let known = [&v.status.active_revision, &v.status.aborted_revision];
    let begins = v.running().is_none() && known.into_iter().all(|known| known.as_ref() != Some(&v.wanted));
    let busy = !answer.intents.is_empty() || answer.wants_live || answer.phase == Phase::RollingBack;
    if busy || steps || begins || leaving || v.spec().paused || v.trouble.is_some() {
        return answer;
    }
    let due = due(v);
    if due.is_empty() { answer } else { answer.doing(due) }
}

/// Nothing goes forward before they are as they should be.
pub(super) fn first(v: &View<'_>) -> Option<Answer> {
    let (attempt, due) = (v.running()?, due(v));
    let phase = if attempt.step_entered_at.is_some() { Phase::Holding } else { Phase::Preparing };
    (!due.is_empty()).then(|| Answer::new(v, phase, say_size::scalers_to_follow()).doing(due).soon())
}

/// The writes that make the autoscalers as they should be; none when they are.
pub(super) fn due(v: &View<'_>) -> Vec<Intent> {
    let Some(made) = v.made() else { return Vec::new() };
    // What is on its way out is scaled as it was, until it goes.
    let retiring = v.status.retiring.as_ref().map(|r| r.color);
    let colors = Color::BOTH.into_iter().filter(|color| Some(*color) != retiring);
    let each = colors.flat_map(|color| OwnedKind::SCALERS.map(|kind| (color, kind)));
    each.filter_map(|(color, kind)| one(v, made.template, color, kind)).collect()
}

fn one(v: &View<'_>, template: &Template, color: Color, kind: OwnedKind) -> Option<Intent> {
    let seen = v.s.color(color).scalers.get(&kind);
    let spec = template.autoscaler.as_ref().and_then(written).filter(|(wanted, _)| *wanted == kind);
    let Some((_, spec)) = spec.filter(|_| stands(v, color)) else { return delete(v, color, kind) };
    let owned = autoscaler(v, color, kind, spec)?;
    let applied = workload::note(&owned, labels::APPLIED).map(ToOwned::to_owned);
    if seen.and_then(|s| s.applied.as_ref()) == applied.as_ref() {
        return None;
    }
    Some(Intent::Apply(owned.at(seen)))
}

/// The writes that take the autoscalers of a color away: they would bring its pods back.
pub(super) fn none_of<'a>(v: &'a View<'_>, color: Color) -> impl Iterator<Item = Intent> + 'a {
    OwnedKind::SCALERS.into_iter().filter_map(move |kind| delete(v, color, kind))
}

fn delete(v: &View<'_>, color: Color, kind: OwnedKind) -> Option<Intent> {
    let OwnedSeen { version, .. } = v.s.color(color).scalers.get(&kind).filter(|seen| seen.ours)?;
    let name = workload::name_of(v.s.rollout.metadata.name.as_deref().unwrap_or_default(), color);
    Some(Intent::Delete { kind, name, version: version.clone() })
}

/// Whether a color has pods to be scaled, and they are ours: what was taken over keeps whatever scales it.
fn stands(v: &View<'_>, color: Color) -> bool {
    adopted(&v.s.rollout, color).is_none() && v.deployment(color).is_some_and(|d| d.wanted > 0)
}

/// An autoscaler that is not ours bears the name of one that is to be made.
pub(super) fn taken(v: &View<'_>) -> Option<Said> {
    let (kind, _) = written(v.made()?.template.autoscaler.as_ref()?)?;
    let foreign = |color: &Color| v.s.color(*color).scalers.get(&kind).is_some_and(|seen| !seen.ours);
    let color = Color::BOTH.into_iter().find(foreign)?;
    let [_, _, word, _] = kind.names();
    Some(say::name_taken(word, &workload::name_of(v.s.rollout.metadata.name.as_deref().unwrap_or_default(), color)))
}

fn autoscaler(v: &View<'_>, color: Color, kind: OwnedKind, written: &Map<String, Value>) -> Option<Owned> {
    let (made, deployment) = (v.made()?, v.deployment(color)?);
    let bounds = Bounds::of(made.template)?;
    let floor = size::floor(v, color, bounds);
    let name = workload::name_of(v.s.rollout.metadata.name.as_deref().unwrap_or_default(), color);
    let [min, max] = fields(kind);
    let mut spec = written.clone();
    spec.insert(min.to_owned(), json!(floor));
    spec.insert(max.to_owned(), json!(bounds.max.max(floor)));
    spec.insert(TARGET.to_owned(), json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": name}));
    let applied = mark(&[SHAPE, &deployment.uid, &Value::Object(spec.clone()).to_string()]);
    Some(Owned { kind, body: body(&v.s.rollout, color, kind, &name, &spec, [&deployment.uid, &applied]), name })
}

/// Counts up whenever an autoscaler is made differently from the same manifest.
const SHAPE: &str = "1";

fn body(
    rollout: &LlmRollout,
    color: Color,
    kind: OwnedKind,
    name: &str,
    spec: &Map<String, Value>,
    [uid, applied]: [&str; 2],
) -> Value {
    let [_, _, word, _] = kind.names();
    json!({
        "apiVersion": kind.api_version(),
        "kind": word,
        "metadata": {
            "name": name,
            "namespace": rollout.metadata.namespace,
            "labels": {labels::ROLLOUT: rollout.metadata.name, labels::COLOR: color.word()},
            "annotations": {labels::APPLIED: applied},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": name, "uid": uid}],
        },
        "spec": spec,
    })
}
