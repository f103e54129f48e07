//! Liveness: from every state a fair run without faults comes to an end. The run is deterministic, so the states form a
//! forest: each is followed once, and the worst distance to an end is exact. Never walks sideways.

#![expect(clippy::disallowed_types, reason = "looked up by key only; nothing depends on its order")]

use std::{
    collections::{HashMap, HashSet},
    thread,
};

use llmrollout::api::{Phase, Reason, status::Color};

use super::{
    brain::Brain,
    hands::{self, Stop},
    hash::Build,
    people,
    state::{Gateway, QUARREL, Signal, World, index},
    writer::Basis,
};

/// Seconds after which a rollout is looked at even if nothing happens; the code's own constant.
const AT_LEAST_EVERY: i64 = 300;

/// What was found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lively {
    pub(crate) worst: u32,
    pub(crate) stuck: u64,
    pub(crate) first: Option<(World, &'static str)>,
}

/// Follows the fair run of each state under one mood of Prometheus.
pub(crate) fn follow<'a>(brain: &Brain, states: impl Iterator<Item = &'a World>, signal: Signal) -> Lively {
    let all: HashSet<World, Build> = states.map(|w| fair(*w)).collect();
    let all: Vec<World> = all.into_iter().collect();
    let cores = thread::available_parallelism().map_or(2, usize::from);
    let share = all.len().div_ceil(cores).max(1);
    let parts = thread::scope(|scope| {
        let parts: Vec<_> = all.chunks(share).map(|part| scope.spawn(move || run(brain, part, signal))).collect();
        parts.into_iter().map(|p| p.join().expect("a follower never fails")).collect::<Vec<_>>()
    });
    parts.into_iter().fold(Lively::default(), |sum, one| Lively {
        worst: sum.worst.max(one.worst),
        stuck: sum.stuck + one.stuck,
        first: sum.first.or(one.first),
    })
}

fn run(brain: &Brain, states: &[World], signal: Signal) -> Lively {
    let mut far: HashMap<World, u32, Build> = HashMap::default();
    let mut result = Lively::default();
    let mut way = Vec::new();
    for start in states {
        let mut at = *start;
        let base = loop {
            if let Some(known) = far.get(&at) {
                break *known;
            }
            if way.len() > 2_000 {
                result.fail(*start, "no end within 2000 passes");
                break u32::MAX / 2;
            }
            match step(brain, &at, signal) {
                Next::To(next) => {
                    way.push(at);
                    at = next;
                }
                Next::End(None) => {
                    far.insert(at, 0);
                    break 0;
                }
                Next::End(Some(why)) => {
                    result.fail(at, why);
                    far.insert(at, 0);
                    break 0;
                }
            }
        };
        for (passes, state) in (base + 1..).zip(way.drain(..).rev()) {
            far.insert(state, passes);
            result.worst = result.worst.max(passes);
        }
    }
    result
}

impl Lively {
    fn fail(&mut self, world: World, why: &'static str) {
        self.stuck += 1;
        self.first.get_or_insert((world, why));
    }
}

/// From now on nobody disturbs, and who is asked answers: gateways follow, providers are there, pods come up, writers finish.
fn fair(mut world: World) -> World {
    world.wish.known = true;
    world.wish.done = true;
    world.things.gateway = Gateway::Follows;
    for slot in &mut world.things.slots {
        slot.ready |= slot.deployment.is_some_and(|d| !d.retired);
        slot.ours = true;
    }
    world.ghost = super::state::Ghost::default();
    people::forget(&mut world);
    world
}

enum Next {
    To(World),
    End(Option<&'static str>),
}

/// One pass of the fair run.
fn step(brain: &Brain, world: &World, signal: Signal) -> Next {
    let mut to = *world;
    if let Some(pending) = to.pending.take() {
        let acting = hands::resumed(brain, &to, pending);
        hands::carry_out(brain, &mut to, acting, Stop::Done, &mut Vec::new());
        return Next::To(fair(to));
    }
    let (outcome, _) = hands::think(brain, world, [signal; 2]);
    let acting = hands::acting(&outcome, world.status, Basis::FRESH);
    hands::carry_out(brain, &mut to, acting, Stop::Done, &mut Vec::new());
    let to = fair(to);
    if to != *world {
        return Next::To(to);
    }
    let mut said = to;
    if people::answer(brain.table.setting, &mut said, signal) {
        return Next::To(fair(said));
    }
    // Nothing changed: the operator looks again when it said it would.
    let sleep = outcome.wake.unwrap_or(AT_LEAST_EVERY).clamp(1, AT_LEAST_EVERY.max(i64::from(QUARREL)));
    let mut later = to;
    later.age(i16::try_from(sleep).unwrap_or(QUARREL));
    let later = fair(later);
    if later != *world {
        return Next::To(later);
    }
    Next::End(unrest(world, &outcome.writes, outcome.reason))
}

/// Why a state that stays as it is should not.
fn unrest(world: &World, writes: &[Option<super::writer::Write>], reason: Option<Reason>) -> Option<&'static str> {
    if writes.iter().any(Option::is_some) {
        return Some("it writes for ever");
    }
    let status = world.status?;
    // A known gap: a writer that slept has scaled what serves, and a release that waits for it waits for people.
    let gone = |c: Color| world.things.slots[index(c)].deployment.is_none_or(|d| d.retired);
    if status.active.is_some_and(gone) {
        return None;
    }
    let rests = matches!(
        status.phase,
        Some(Phase::Idle | Phase::Completed | Phase::RolledBack | Phase::Paused | Phase::Blocked)
    );
    if !rests && reason != Some(Reason::Contended) {
        return Some("it stays in a phase that is no end");
    }
    let active = status.active?;
    let running = status.running().is_some();
    let strays = world.things.share(active.other()) > 0 || world.things.front != active;
    let excused = running || reason == Some(Reason::Contended) || world.wish.paused;
    (strays && !excused).then_some(match active {
        Color::Blue => "at rest, but not everything goes to blue",
        Color::Green => "at rest, but not everything goes to green",
    })
}
