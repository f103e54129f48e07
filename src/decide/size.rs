//! How many pods a color needs: at full size, and for a share. What served when the release began is the measure, whatever
//! an autoscaler has made of either color since. Never makes an object.

use serde_json::json;

use super::{
    answer::Answer, course::PlannedStep, intent::Intent, prepare, say_size, scaler::Bounds, step, view::View, workload,
};
use crate::{
    api::{
        Percent, Phase,
        aside::Aside,
        release::{Capacity, Template},
        status::Color,
    },
    routers::{GuardedPatch, PatchKind, guard},
};

/// What is written down when a release begins; nothing where the manifest says the size, and nobody else is to.
pub(super) fn begun(v: &View<'_>) -> Option<i32> {
    let Some(bounds) = Bounds::of(v.made()?.template) else {
        let active = v.status.active.filter(|_| v.plan.is_ok_and(|plan| plan.raises))?;
        return v.deployment(active).map(|d| d.wanted);
    };
    let serving = v.status.active.and_then(|active| v.deployment(active)).map(|d| d.wanted);
    let first = v.made()?.template.replicas;
    Some(serving.or(first).unwrap_or(1).clamp(bounds.min, bounds.max.max(serving.unwrap_or(1))))
}

/// Pods of a color that takes all the traffic; none where somebody else makes the colors.
pub(super) fn full(v: &View<'_>) -> Option<i32> {
    let template = v.made()?.template;
    if template.autoscaler.is_none() {
        return Some(template.replicas.unwrap_or(1));
    }
    v.running().and_then(|a| a.size).or_else(|| begun(v))
}

/// Whether the candidate's size is another than what its Deployment says.
pub(super) fn is_ours(template: &Template) -> bool {
    template.autoscaler.is_some() || template.capacity == Some(Capacity::Proportional)
}

/// Pods that the candidate needs for what it has, or is about to get; none where its Deployment says it, or nobody does.
pub(super) fn needed(v: &View<'_>) -> Option<i32> {
    v.made().filter(|made| is_ours(made.template))?;
    Some(pods_at(v, full(v)?, target(v)))
}

/// Pods for a share. Where the candidate does not grow with its share it has all of them from the start.
fn pods_at(v: &View<'_>, full: i32, weight: Percent) -> i32 {
    let Some(template) = v.made().map(|made| made.template) else { return full };
    let least = Bounds::of(template).map_or(1, |bounds| bounds.min);
    // The first revision takes no steps.
    if template.capacity != Some(Capacity::Proportional) || v.status.active.is_none() {
        return full;
    }
    let part = (i64::from(full) * i64::from(weight.tenths()) + 999) / 1000;
    i32::try_from(part).unwrap_or(full).max(least)
}

/// The share that the candidate has, or is about to get.
fn target(v: &View<'_>) -> Percent {
    let (Some(attempt), Ok(plan)) = (v.running(), v.plan) else { return Percent::ALL };
    if let Some(intent) = &v.status.intent {
        return load(intent.weight, &intent.aside);
    }
    if attempt.step_entered_at.is_some() && attempt.growing_since.is_none() {
        return load(attempt.weight, &attempt.aside);
    }
    step::next_step(attempt, plan).map_or(Percent::ALL, |(_, step)| load(step.weight, &step.aside))
}

/// Copies are work as well.
fn load(weight: Percent, aside: &Aside) -> Percent {
    weight.max(aside.mirror.map_or(Percent::NONE, Percent::of))
}

/// The candidate is too small for the next step: it grows first, and what is measured goes on.
pub(super) fn growing(v: &View<'_>, next: &PlannedStep) -> Option<Answer> {
    let (attempt, candidate) = (v.running()?, v.candidate()?);
    let template = v.made()?.template;
    let only_cure = attempt.promoted && v.status.active.is_some_and(|active| v.ready(active) == 0);
    if template.capacity != Some(Capacity::Proportional) || only_cure {
        return None;
    }
    let pods = pods_at(v, full(v)?, load(next.weight, &next.aside));
    if v.deployment(candidate)?.ready.min(v.ready(candidate)) >= pods {
        return None;
    }
    let applies = prepare::candidate_deployment(v, candidate, pods).into_iter().collect();
    let said = say_size::growing(next.weight, pods, candidate, prepare::stuck(v).as_deref());
    let phase = if attempt.step_entered_at.is_some() { Phase::Holding } else { Phase::Preparing };
    Some(Answer::new(v, phase, said).doing(applies).by(step::wake(v)).changing(|s| {
        if let Some(attempt) = s.attempt.as_mut() {
            attempt.growing_since = attempt.growing_since.or(Some(v.now()));
        }
    }))
}

/// Below how many pods no autoscaler may take a color now.
pub(super) fn floor(v: &View<'_>, color: Color, bounds: Bounds) -> i32 {
    if v.running().is_none() {
        return bounds.min;
    }
    let held = if v.candidate() == Some(color) { needed(v) } else { full(v) };
    held.unwrap_or(bounds.min).max(bounds.min)
}

/// The write that gives what served its pods back, where the manifest has the way home do that: before any traffic is.
pub(super) fn raised(v: &View<'_>, active: Color) -> Option<Intent> {
    let (attempt, deployment) = (v.running().filter(|_| v.plan.is_ok_and(|plan| plan.raises))?, v.deployment(active)?);
    let size = attempt.size.filter(|size| deployment.wanted < *size)?;
    let ops =
        vec![guard(&deployment.object.version), json!({"op": "replace", "path": "/spec/replicas", "value": size})];
    let name = workload::deployment_of(&v.s.rollout, active);
    Some(Intent::Patch(GuardedPatch { kind: PatchKind::Deployment, namespace: None, name, ops }))
}
