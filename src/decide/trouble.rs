//! What is in the way of everything that raises: in the manifest, in what it names, in what others have. Never of the way
//! back.

use super::{
    adopt, crossing,
    say::{self, Said},
    scaler,
    view::View,
    workload,
};
use crate::api::{Percent, Reason, status::Color};

/// Why nothing may be raised, if something is in the way.
pub(super) fn trouble(v: &View<'_>) -> Option<Said> {
    if let Some(rival) = &v.s.rival {
        return Some(say::rival(rival));
    }
    if let Err(wrong) = v.plan {
        return Some(say::said(wrong.reason, wrong.message.clone()));
    }
    if let Some(t) = v.s.routers.iter().find_map(|r| r.state.as_ref().err()) {
        return Some(say::said(t.reason, t.message.clone()));
    }
    if let Some(said) = crossing::trouble(v) {
        return Some(said);
    }
    if let Some(said) = adopt::selects_both(v) {
        return Some(said);
    }
    let made = v.made();
    let foreign = |color: &Color| {
        let seen = v.s.color(*color);
        seen.deployment.as_ref().is_some_and(|d| !d.object.ours) || seen.service.as_ref().is_some_and(|s| !s.ours)
    };
    let name = v.s.rollout.metadata.name.as_deref().unwrap_or_default();
    let taken = Color::BOTH
        .into_iter()
        .filter(|_| made.is_some())
        .find(foreign)
        .map(|color| say::name_taken("Deployment or Service", &workload::name_of(name, color)));
    taken.or_else(|| scaler::taken(v)).or_else(|| no_room(v)).or_else(|| no_weight(v))
}

/// Why what a dark step that is to come puts into a route cannot be written there.
fn no_room(v: &View<'_>) -> Option<Said> {
    let planned = v.plan.ok()?.steps.iter().map(|s| &s.aside).find(|aside| !aside.is_nothing());
    let aside = v.status.intent.as_ref().map(|i| &i.aside).or(planned)?;
    // What stands there has found its room.
    if v.running().is_some_and(|a| a.step_entered_at.is_some()) {
        return None;
    }
    v.routers().find_map(|(claim, seen)| {
        let why = seen.room.as_ref()?.refuses(v.wanted_beside(aside))?;
        Some(say::said(
            Reason::StepUnsupported,
            format!("steps: the dark step cannot be written into {}: {why}", claim.name()),
        ))
    })
}

/// Why a share that is to come cannot be written beside what others have.
fn no_weight(v: &View<'_>) -> Option<Said> {
    let reached = v.running().map_or(Percent::NONE, |a| a.weight);
    let steps = || v.plan.into_iter().flat_map(|plan| &plan.steps).map(|s| s.weight).filter(|w| *w > reached);
    v.routers().find_map(|(claim, seen)| {
        let (share, why) = steps().find_map(|share| Some((share, seen.refuses(share)?)))?;
        Some(say::said(
            Reason::StepUnsupported,
            format!("steps: {share}% cannot be written into {}: {why}", claim.name()),
        ))
    })
}
