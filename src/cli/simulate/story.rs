//! The story from its first line to its end: how long is waited, when it is given up, and what has become of the release.

use std::time::Duration;

use super::{
    scenario::{Line, Until},
    script,
    timeline::{Timeline, clock},
    world::World,
};
use crate::{
    api::{Moment, Phase, Reason, status::Attempt},
    cli::error::CliError,
};

/// No story is longer than this …
const LONGEST: Duration = Duration::from_hours(90 * 24);
/// … nor looks more often.
const LOOKS: usize = 200_000;
/// Longer than any approval stands unless it says so: who waits for a person so long waits for ever.
const PATIENCE: Duration = Duration::from_hours(26);

/// Why the waiting was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The bound of the time, or of the looks.
    TooLong,
    /// A person is waited for, and nobody comes.
    Alone,
    /// Nothing happens by itself any more.
    Still,
    /// It did not come to rest.
    Restless,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Promoted,
    TakenBack,
    UnderWay,
    /// There was no release.
    Nothing,
}

/// What was played.
pub(super) struct Story {
    pub(super) timeline: Timeline,
    pub(super) end: End,
    /// The end in words.
    pub(super) words: String,
}

/// Plays all lines.
pub(super) fn play(mut world: World, lines: &[Line]) -> Result<Story, CliError> {
    world.timeline.command(world.now, "(the manifest is applied, and its first revision comes up)");
    world.agrees = true;
    world.settle();
    let mut stop = wait(&mut world, Until::Over);
    world.agrees = false;
    for line in lines {
        if stop.is_some() {
            break;
        }
        world.timeline.command(world.now, &line.text);
        stop = script::play(&mut world, &line.command)
            .map_err(|words| CliError::Story { line: line.text.clone(), words })?;
    }
    let (end, words) = end(&world, stop);
    Ok(Story { timeline: world.timeline, end, words })
}

/// Lets time pass.
pub(super) fn wait(world: &mut World, until: Until) -> Option<Stop> {
    let began = world.now;
    let target = match until {
        Until::Passed(by) => Some(began.plus(by)),
        Until::At(at) => Some(at),
        Until::Step(_) | Until::Phase(_) | Until::Over => None,
    };
    let mut since = (world.now, standing(world));
    while !reached(world, until, target) {
        let next = match (world.next(), target) {
            (Some(next), Some(target)) => next.min(target),
            (Some(next), None) => next,
            (None, Some(target)) => target,
            (None, None) => return Some(Stop::Still),
        };
        if next.since(world.began) > LONGEST || world.looks > LOOKS {
            return Some(Stop::TooLong);
        }
        world.later(next);
        world.settle();
        if world.restless {
            return Some(Stop::Restless);
        }
        let standing = standing(world);
        if standing != since.1 {
            since = (world.now, standing);
        }
        if target.is_none() && waits_for_somebody(world) && world.now.since(since.0) > PATIENCE {
            return Some(Stop::Alone);
        }
    }
    None
}

fn standing(world: &World) -> Option<(Option<Phase>, String, String)> {
    world.rollout.status.as_ref().map(|s| (s.phase, s.step.clone(), s.message.clone()))
}

fn reached(world: &World, until: Until, target: Option<Moment>) -> bool {
    let status = world.rollout.status.as_ref();
    let attempt = status.and_then(|s| s.attempt.as_ref());
    match until {
        Until::Passed(_) | Until::At(_) => target.is_none_or(|target| world.now >= target),
        Until::Phase(phase) => status.is_some_and(|s| s.phase == Some(phase)),
        Until::Step(step) => {
            let measured = |a: &Attempt| a.step >= step && a.step_entered_at.is_some();
            attempt.is_some_and(measured)
        }
        Until::Over => status.is_some_and(|s| {
            let over = attempt.is_none_or(|a| a.ended_at.is_some()) && s.retiring.is_none();
            let moving = matches!(s.phase, Some(Phase::RollingBack | Phase::Preparing | Phase::Shifting));
            let wanted = crate::decide::release::wanted(&world.rollout.spec.release);
            let known = s.active_revision == wanted || s.aborted_revision == wanted;
            over && known && s.active.is_some() && !moving
        }),
    }
}

/// Nobody but a person, or somebody else, can make it go on; or nothing tells when it will.
fn waits_for_somebody(world: &World) -> bool {
    let Some(status) = &world.rollout.status else { return false };
    let open = status.next_decision_at.is_none_or(|at| at <= world.now);
    match status.phase {
        Some(Phase::AwaitingApproval | Phase::Paused | Phase::Blocked) => true,
        Some(Phase::Pending) => status.reason != Some(Reason::OutsideWindow),
        _ => open,
    }
}

/// What has become of the last release.
fn end(world: &World, stop: Option<Stop>) -> (End, String) {
    let given_up = stop.map_or_else(String::new, |stop| format!("{} ", why(stop, world)));
    let Some(status) = &world.rollout.status else { return (End::Nothing, "Nothing was looked at.".to_owned()) };
    let Some(attempt) = status.attempt.as_ref() else {
        return (End::Nothing, format!("{given_up}Nothing was released: {}.", trimmed(&status.message)));
    };
    let took = |end: Moment| clock(end.since(attempt.started_at)).trim_start_matches('+').to_owned();
    match attempt.ended_at {
        Some(at) if status.active_revision.as_ref() == Some(&attempt.revision) => {
            (End::Promoted, format!("{given_up}The last release was promoted, {} after it began.", took(at)))
        }
        Some(at) => {
            let began = took(at);
            let words = format!(
                "{given_up}The last release was taken back, {began} after it began: {}.",
                trimmed(&status.message)
            );
            (End::TakenBack, words)
        }
        None => {
            let phase = status.phase.map_or_else(String::new, |phase| format!("{phase:?}"));
            let words = format!(
                "{given_up}The last release is not over: {phase} at step {}, {} of traffic: {}.",
                status.step,
                status.weight,
                trimmed(&status.message)
            );
            (End::UnderWay, words)
        }
    }
}

fn trimmed(message: &str) -> &str {
    message.trim_end_matches('.')
}

fn why(stop: Stop, world: &World) -> String {
    match stop {
        Stop::TooLong => format!(
            "Given up after {} of simulated time and {} looks: a story has 90 days and {LOOKS} looks.",
            clock(world.now.since(world.began)).trim_start_matches('+'),
            world.looks
        ),
        Stop::Alone => {
            "Given up: for a day nothing has changed, and nothing tells when it would; write the line that goes on, for example `approve`.".to_owned()
        }
        Stop::Still => "Given up: nothing happens by itself any more.".to_owned(),
        Stop::Restless => "Given up: what is decided does not come to rest; please report this story.".to_owned(),
    }
}
