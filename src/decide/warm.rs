//! From when on the candidate's figures count: not before its newest pod is ready and warm. Its pods are told by what its
//! Service's endpoints last changed for, and that is kept in status, because the next change of something else clears it
//! there. Never judges.

use std::time::Duration;

use super::{plan::Plan, view::View};
use crate::api::{LlmRolloutStatus, Moment};

/// A node's clock may be ahead of ours by so much. What is told for later was not told by a clock to go by.
const AHEAD: Duration = Duration::from_mins(1);

/// From when on figures of the candidate count, as far as its pods are concerned.
pub(super) fn since(v: &View<'_>, plan: &Plan) -> Option<Moment> {
    changed_at(v).map(|at| at.plus(plan.warm_up))
}

/// Writes down when its pods last changed.
pub(super) fn keep(v: &View<'_>, status: &mut LlmRolloutStatus) {
    let at = changed_at(v);
    if let Some(attempt) = status.attempt.as_mut().filter(|a| a.ended_at.is_none()) {
        attempt.pods_changed_at = attempt.pods_changed_at.max(at);
    }
}

fn changed_at(v: &View<'_>) -> Option<Moment> {
    let told = v.s.color(v.candidate()?).changed_at.filter(|at| *at <= v.now().plus(AHEAD));
    told.map(|at| at.min(v.now())).max(v.running()?.pods_changed_at)
}
