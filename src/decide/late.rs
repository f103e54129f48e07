//! The way home takes long: somebody is told once, with what stands in its way. Never changes what is done about it.

use super::{answer::Answer, say_back, view::View};
use crate::api::{Phase, home::Late};

/// Beside whatever is decided of the way home.
pub(super) fn beside(v: &View<'_>, answer: Answer) -> Answer {
    // A manifest that is not understood has the usual patience.
    let deadline = v.plan.map_or(USUAL, |plan| plan.deadline);
    let began = answer.status.attempt.as_ref().filter(|a| a.home.is_none() && a.late.is_none()).map(|a| a.clock_from);
    let Some(began) = began.filter(|_| answer.phase == Phase::RollingBack && !deadline.is_zero()) else {
        return answer;
    };
    let end = began.plus(deadline);
    if v.now() < end {
        let wake = answer.wake.map_or(end, |wake| wake.min(end));
        return answer.by(wake);
    }
    let late = Late { at: v.now(), message: say_back::late(v, &answer.message) };
    answer.changing(|s| {
        if let Some(attempt) = s.attempt.as_mut() {
            attempt.late = Some(late);
        }
    })
}

const USUAL: std::time::Duration = std::time::Duration::from_secs(10);
