//! A status that contradicts itself, made sound before anything is decided on it: another version wrote it, or a hand.
//! What cannot be true is forgotten, never guessed forward: no share, no step and no evidence comes of it.

use crate::api::{
    LlmRolloutStatus,
    status::{Attempt, Color},
};

/// The status as far as it can be true.
pub(super) fn sound(mut status: LlmRolloutStatus) -> LlmRolloutStatus {
    if let Some(quarrel) = status.quarrel.as_mut() {
        quarrel.count = quarrel.count.clamp(0, 1_000);
    }
    let nothing_serves = status.active.is_none();
    if let Some(attempt) = status.attempt.as_mut() {
        within_bounds(attempt);
        if nothing_serves && attempt.ended_at.is_none() {
            // The first revision takes no steps.
            attempt.step_entered_at = None;
            (attempt.step, attempt.weight, attempt.bake) = (0, 0, 0);
        }
    }
    let running = status.attempt.as_ref().filter(|a| a.ended_at.is_none());
    let fits = |revision: &str, weight: i32| {
        running.is_some_and(|a| a.revision == revision) && (0..=100).contains(&weight) && !nothing_serves
    };
    status.intent = status.intent.filter(|i| fits(&i.revision, i.weight));
    if running.is_some() {
        // A color is retired when its release is over.
        status.retiring = None;
        let other = status.active.map(Color::other);
        status.candidate = other.or(status.candidate).or(Some(Color::Blue));
    }
    status
}

fn within_bounds(attempt: &mut Attempt) {
    attempt.id = attempt.id.clamp(0, i64::MAX - 1);
    attempt.step = attempt.step.clamp(0, 100);
    attempt.weight = attempt.weight.clamp(0, 100);
    // Bakes come after 100 %, and are measured.
    let bakes = attempt.weight == 100 && attempt.step_entered_at.is_some();
    attempt.bake = if bakes { attempt.bake.clamp(0, 100) } else { 0 };
}
