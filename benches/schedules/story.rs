//! A random story of a release on the model cluster, from install to an end, out of a seed. Time jumps to the next
//! instant at which something can happen. Never judges: the properties and the simulation do.

use std::time::Duration;

use llmrollout::{
    api::{LlmRollout, Moment, Phase, status::Color},
    decide::decide,
    metrics::NoData,
};
use serde_json::json;

use super::world::{Signal, World};

/// What became of a story.
pub(crate) struct Story {
    /// Its last phase and reason.
    pub(crate) end: String,
    /// How many passes it took.
    pub(crate) passes: u64,
}

/// Something that happens so many seconds after the release began.
#[derive(Clone, Copy)]
enum Happening {
    Bad(&'static str),
    Silent(&'static str),
    Pods(Color, i32),
    Paused(bool),
    Abort,
    Image(u64),
    Restart,
    ApiRefuses(bool),
}

/// `SplitMix64`.
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn happening(seed: &mut u64) -> (u64, Happening) {
    let gate = ["errors", "p95", "cost"][usize::try_from(next(seed) % 3).unwrap()];
    let color = if next(seed).is_multiple_of(2) { Color::Blue } else { Color::Green };
    let what = match next(seed) % 12 {
        0..=2 => Happening::Bad(gate),
        3 => Happening::Silent(gate),
        4 => Happening::Pods(color, 0),
        5 => Happening::Pods(color, 2),
        6 => Happening::Paused(true),
        7 => Happening::Paused(false),
        8 => Happening::Abort,
        9 => Happening::Image(3),
        10 => Happening::Restart,
        _ => Happening::ApiRefuses(next(seed).is_multiple_of(2)),
    };
    (next(seed) % 300, what)
}

fn happen(world: &mut World, what: Happening) {
    match what {
        Happening::Bad(gate) => drop(world.signals.insert(gate, Signal::Value(5.0, 500.0))),
        Happening::Silent(gate) => drop(world.signals.insert(gate, Signal::Silent(NoData::Empty))),
        Happening::Pods(color, ready) => world.slots.get_mut(&color).unwrap().ready = ready,
        Happening::Paused(paused) => world.edit(|r| r.spec.paused = paused),
        Happening::Abort => world.edit(|r| r.spec.abort = true),
        Happening::Image(n) => world.edit(|r| {
            let image = json!(format!("registry.example/chat:v{n}"));
            r.spec.release.template.as_mut().unwrap().pod_template.0["spec"]["containers"][0]["image"] = image;
        }),
        Happening::Restart => {
            world.began = world.now;
            world.readings.clear();
            world.asks.clear();
        }
        Happening::ApiRefuses(refuses) => world.refuse_writes = refuses,
    }
}

/// Tells the story of a seed.
pub(crate) fn told(seed: u64, manifest: &LlmRollout) -> Story {
    let mut chance = seed;
    let mut world = World::of(manifest.clone());
    let mut happenings: Vec<_> = (0..next(&mut chance) % 4).map(|_| happening(&mut chance)).collect();
    happenings.push((0, Happening::Image(2)));
    happenings.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let mut passes = 0;
    rest(&mut world, &mut passes);
    let began = world.now.plus(Duration::from_secs(5));
    let (end, mut changed) = (began.plus(Duration::from_mins(40)), began);
    let over = |world: &World, changed| world.now >= end || at_an_end(world) || stands_still(world, changed);
    while !(happenings.is_empty() && over(&world, changed)) {
        let due = happenings.last().map(|(at, _)| began.plus(Duration::from_secs(*at)));
        if let Some(at) = due.filter(|at| *at <= world.now) {
            world.now = at.max(world.now);
            happenings.pop().into_iter().for_each(|(_, what)| happen(&mut world, what));
        }
        world.ask();
        let before = passes;
        let wake = rest(&mut world, &mut passes);
        if passes > before + 1 {
            changed = world.now;
        }
        let Some(wake) = wake else {
            let Some(at) = due else { break };
            world.now = at.max(world.now);
            continue;
        };
        world.now = due.map_or(wake, |at| at.min(wake)).max(world.now);
    }
    let status = world.rollout.status.clone().unwrap_or_default();
    Story {
        end: format!("{:?} {}", status.phase.unwrap_or(Phase::Idle), status.reason.map_or("-", |r| r.word())),
        passes,
    }
}

/// Nothing more comes by itself, unless somebody does something.
fn at_an_end(world: &World) -> bool {
    let phase = world.rollout.status.as_ref().and_then(|s| s.phase);
    matches!(phase, Some(Phase::Idle | Phase::Completed | Phase::RolledBack | Phase::Paused | Phase::Blocked))
}

/// Passes until nothing changes any more; says when to look again, if ever.
fn rest(world: &mut World, passes: &mut u64) -> Option<Moment> {
    for _ in 0..40 {
        *passes += 1;
        let mut decision = decide(&world.snapshot(false));
        if decision.wants_live {
            decision = decide(&world.snapshot(true));
        }
        let changed = world.obey(&decision);
        if !changed {
            let asked = world.asks.iter().map(|q| due(world.now, q.since, q.interval));
            return decision
                .wake
                .into_iter()
                .chain(asked)
                .min()
                .map(|at| at.max(world.now.plus(Duration::from_secs(1))));
        }
    }
    Some(world.now.plus(Duration::from_secs(1)))
}

/// When a question is asked next.
fn due(now: Moment, since: Moment, interval: Duration) -> Moment {
    let asked = now.since(since).as_secs() / interval.as_secs();
    since.plus(interval * u32::try_from(asked + 1).unwrap_or(u32::MAX))
}

/// Nothing has been written down for longer than the budget of a gate without data, and no wait has an end.
fn stands_still(world: &World, changed: Moment) -> bool {
    let waits = world.rollout.status.as_ref().and_then(|s| s.next_decision_at).is_some_and(|at| at >= world.now);
    world.now.since(changed) > Duration::from_mins(16) && !waits
}
