//! What a gate is compared with once, or before, it can be read from the color that serves: kept in status from before the
//! release, and from the last step at which both colors had traffic. Never judges.

use std::sync::Arc;

use super::{
    gate::usable,
    plan::{Plan, PlannedGate},
    stage::Asked,
    view::View,
};
use crate::{
    api::{LlmRolloutStatus, gates::ComparedTo, status::Reference},
    metrics::{Question, Reading},
};

/// The questions about what is compared with later, until each has had an answer: before the candidate has traffic, and a
/// baseline that nobody could tell so soon afterwards still, as long as the other color serves. Its window looks back to
/// before the release.
pub(super) fn to_keep(v: &View<'_>, plan: &Plan) -> Vec<(Arc<PlannedGate>, Question)> {
    let Some(attempt) = v.running().filter(|a| a.weight < 100) else { return Vec::new() };
    let known = |g: &PlannedGate| attempt.references.iter().any(|r| r.gate == g.name);
    let wanted = |g: &PlannedGate| match g.against {
        Some(ComparedTo::Baseline) => true,
        // Where a latency is cut is asked of the color that serves, as long as it does.
        Some(ComparedTo::Active) => attempt.weight == 0 || g.test.proof().is_some(),
        None => false,
    };
    let open = plan.gates.iter().filter(|g| wanted(g) && !known(g));
    open.filter_map(|g| Some((Arc::clone(g), v.ask_before(plan, g)?))).collect()
}

/// Writes down what has been answered.
pub(super) fn keep(v: &View<'_>, status: &mut LlmRolloutStatus) {
    let Some(attempt) = status.attempt.as_mut().filter(|a| a.ended_at.is_none()) else { return };
    for (gate, question) in &v.questions.kept {
        let readings = v.s.readings.get(question).into_iter().flatten();
        let answer = readings.rev().find_map(|r| Some((r.at, usable(gate, r).ok()?.value)));
        if let Some((at, value)) = answer.filter(|(at, _)| *at >= attempt.started_at) {
            attempt.references.push(Reference { gate: gate.name.clone(), value: value.to_string(), at });
        }
    }
}

/// The step is left: what gates were compared with while both colors had traffic is kept for when one has none.
pub(super) fn refresh(v: &View<'_>, status: &mut LlmRolloutStatus) {
    let Some(attempt) = status.attempt.as_mut().filter(|_| v.both_serve()) else { return };
    let compared = |a: &&Asked| a.gate.against == Some(ComparedTo::Active) && a.question.raw.is_none();
    for asked in v.questions.gates.iter().filter(compared) {
        let Some(readings) = asked.beside.as_ref().and_then(|q| v.s.readings.get(q)) else { continue };
        let Some((at, value)) = readings.iter().rev().find_map(|r| Some((r.at, usable(&asked.gate, r).ok()?.value)))
        else {
            continue;
        };
        attempt.references.retain(|r| r.gate != asked.gate.name);
        attempt.references.push(Reference { gate: asked.gate.name.clone(), value: value.to_string(), at });
    }
}

/// What was kept for a gate.
pub(super) fn kept(v: &View<'_>, gate: &str) -> Option<f64> {
    let found = v.status.attempt.as_ref()?.references.iter().find(|r| r.gate == gate)?;
    found.value.parse().ok().filter(|value: &f64| value.is_finite())
}

/// The last sample breaks a limit: time to ask whether the color that serves breaks it too.
pub(super) fn suspicious(gate: &PlannedGate, readings: &[Reading]) -> bool {
    let bad = |r: &Reading| {
        let sample = usable(gate, r).ok();
        sample.zip(gate.test.band(None)).is_some_and(|(sample, band)| band.breaks(sample.value))
    };
    gate.fits_both() && readings.iter().rev().take(gate.of).any(bad)
}
