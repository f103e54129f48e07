//! `decide`: a snapshot in, a decision out. Pure and total: no async, no client, no clock, no randomness, no
//! environment, no log. The list of questions below is the specification; the first that has an answer ends the round.

#![deny(clippy::indexing_slicing, clippy::wildcard_enum_match_arm)]

pub mod adopt;
mod answer;
mod awaiting;
mod bound;
pub mod calendar;
pub mod call;
pub mod checklist;
mod checks;
pub mod chronicle;
pub mod course;
pub mod criterion;
pub mod crossing;
mod detach;
mod farewell;
mod figures;
pub mod forecast;
pub mod gate;
mod gate_sets;
mod home;
mod hooks;
pub mod intent;
mod jobs;
mod late;
mod leave;
mod look;
mod looks;
mod meant;
mod narrate;
mod orders;
pub mod plan;
mod prepare;
mod prices;
pub mod proof;
mod recovery;
mod reference;
pub mod release;
mod rest;
mod retire;
pub mod room;
mod runs;
mod say;
mod say_adopt;
mod say_back;
mod say_size;
mod scaler;
mod silence;
mod size;
pub mod snapshot;
mod sound;
mod sources;
mod stage;
mod step;
pub mod tidings;
mod trial;
mod trouble;
mod view;
mod warm;
mod weigh;
pub mod whose;
pub mod workload;

use answer::Answer;
pub use intent::{Decision, Intent};
pub use meant::Meant;
pub use snapshot::Snapshot;
use view::View;

use crate::api::Phase;

/// Decides what happens next.
pub fn decide(snapshot: &Snapshot) -> Decision {
    let status = sound::sound(snapshot.rollout.status.clone().unwrap_or_default());
    let meant = Meant::of(snapshot, sources::found_out(&status));
    let view = View::of(snapshot, status, &meant);
    let answer = scaler::kept(&view, questions(&view));
    let answer = hooks::beside(&view, jobs::begin(&view, answer));
    let answer = recovery::beside(&view, late::beside(&view, answer));
    narrate::tell(&view, answer)
}

/// What can have an answer.
type Question = fn(&View<'_>) -> Option<Answer>;

/// The questions in their order: delete > abort > pause > promote > step. `View` has heard the orders already.
const QUESTIONS: &[Question] = &[
    leave::leaving,
    conflict,
    leave::joining,
    home::way_back,
    retire::abort_while_finishing,
    paused,
    rest::put_right,
    retire::abort_too_late,
    rest::taken_back,
    adopt::taking_over,
    blocked,
    rest::found_serving,
    retire::retiring,
    rest::up_to_date,
    rest::forbidden,
    rest::begin,
    awaiting::start,
    checks::before,
    prepare::preparing,
    checks::of_candidate,
    prepare::installed,
    detach::put_back,
    sources::unfound,
    step::asked,
    step::shifting,
    step::holding,
    step::next,
];

fn questions(v: &View<'_>) -> Answer {
    let first = QUESTIONS.iter().find_map(|question| question(v));
    first.unwrap_or_else(|| Answer::new(v, Phase::Idle, say::nothing_to_do()))
}

/// An older rollout drives one of our routers: this one writes nothing at all.
fn conflict(v: &View<'_>) -> Option<Answer> {
    v.s.rival.as_ref()?;
    Some(Answer::new(v, Phase::Blocked, v.trouble.clone()?))
}

/// `paused` is set and there is something to stop.
fn paused(v: &View<'_>) -> Option<Answer> {
    let settled = [&v.status.active_revision, &v.status.aborted_revision].contains(&&Some(v.wanted.clone()));
    let something = v.running().is_some() || v.status.retiring.is_some() || !settled;
    if !v.spec().paused || !something {
        return None;
    }
    Some(Answer::new(v, Phase::Paused, say::paused()).changing(|s| view::stop_clocks(s, v.s.now)))
}

/// Something in the manifest, or what it names, is wrong: nothing moves until it is put right.
fn blocked(v: &View<'_>) -> Option<Answer> {
    let trouble = v.trouble.clone()?;
    let at_rest = v.running().is_none() && v.status.active.is_some();
    let phase = if at_rest { v.status.phase.unwrap_or(Phase::Idle) } else { Phase::Blocked };
    Some(Answer::new(v, phase, trouble).changing(|s| view::stop_clocks(s, v.s.now)))
}
