//! `decide`: a snapshot in, a decision out. Pure and total: no async, no client, no clock, no randomness, no
//! environment, no log. The list of questions below is the specification; the first that has an answer ends the round.

#![deny(clippy::indexing_slicing, clippy::wildcard_enum_match_arm)]

mod answer;
pub mod gate;
mod home;
pub mod intent;
mod leave;
mod narrate;
pub mod plan;
mod prepare;
mod rest;
pub mod snapshot;
mod step;
mod view;
pub mod workload;

use answer::Answer;
pub use intent::{Decision, Intent};
pub use snapshot::Snapshot;
use view::View;

use crate::api::{Phase, Reason};

/// Decides what happens next.
pub fn decide(snapshot: &Snapshot) -> Decision {
    let view = View::of(snapshot);
    let answer = questions(&view);
    narrate::tell(&view, answer)
}

/// The questions in their order: delete > conflict > back > pause > put right > what is wrong > rest > step.
fn questions(v: &View<'_>) -> Answer {
    leave::leaving(v)
        .or_else(|| conflict(v))
        .or_else(|| leave::joining(v))
        .or_else(|| home::way_back(v))
        .or_else(|| paused(v))
        .or_else(|| rest::put_right(v))
        .or_else(|| rest::taken_back(v))
        .or_else(|| blocked(v))
        .or_else(|| rest::found_serving(v))
        .or_else(|| rest::up_to_date(v))
        .or_else(|| rest::forbidden(v))
        .or_else(|| rest::begin(v))
        .or_else(|| prepare::preparing(v))
        .or_else(|| prepare::installed(v))
        .or_else(|| step::shifting(v))
        .or_else(|| step::holding(v))
        .or_else(|| step::next(v))
        .unwrap_or_else(|| Answer::new(v, Phase::Idle, Reason::UpToDate, "nothing to do"))
}

/// An older rollout drives one of our routers: this one writes nothing at all.
fn conflict(v: &View<'_>) -> Option<Answer> {
    v.s.rival.as_ref()?;
    let (reason, message) = view::trouble(v)?;
    Some(Answer::new(v, Phase::Blocked, reason, message))
}

/// `paused` is set and there is something to stop.
fn paused(v: &View<'_>) -> Option<Answer> {
    let settled = [&v.status.active_revision, &v.status.aborted_revision].contains(&&Some(v.wanted.clone()));
    let something = v.running().is_some() || !settled;
    if !v.spec().paused || !something {
        return None;
    }
    let message = "`paused: true` is set; everything stands still except an abort";
    let answer = Answer::new(v, Phase::Paused, Reason::Paused, message);
    Some(answer.changing(|s| view::stop_clocks(s, v.s.now)))
}

/// Something in the manifest, or what it names, is wrong: nothing moves until it is put right.
fn blocked(v: &View<'_>) -> Option<Answer> {
    let (reason, message) = view::trouble(v)?;
    let at_rest = v.running().is_none() && v.status.active.is_some();
    let phase = if at_rest { v.status.phase.unwrap_or(Phase::Idle) } else { Phase::Blocked };
    Some(Answer::new(v, phase, reason, message).changing(|s| view::stop_clocks(s, v.s.now)))
}
