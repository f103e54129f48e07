//! What keeps a step that is written down from being done: `paused`, and a candidate that is not ready. The time of a
//! pause is nobody's: no deadline comes nearer.

use std::time::Duration;

use llmrollout::api::{Phase, status::Color};
use serde_json::json;

use super::world::World;

const MANIFEST: &str = include_str!("../scenarios/manifest.yaml");

/// The first revision serves, the second is asked for.
fn releasing() -> World {
    let mut world = World::new(MANIFEST);
    world.tick(Duration::from_secs(5));
    assert_eq!(world.rollout.status.as_ref().unwrap().phase, Some(Phase::Completed));
    world.edit(|r| {
        r.spec.release.template.pod_template.0["spec"]["containers"][0]["image"] = json!("registry.example/chat:v2");
    });
    world
}

/// Passes until a step to this weight is written down and not yet done.
fn intending(world: &mut World, weight: i32) {
    let there = |world: &World| {
        world.rollout.status.as_ref().and_then(|s| s.intent.as_ref()).is_some_and(|i| i.weight == weight)
    };
    for _ in 0..400 {
        for _ in 0..10 {
            if there(world) {
                return;
            }
            world.pass();
        }
        world.now = world.now.plus(Duration::from_secs(1));
        world.ask();
    }
    panic!("no step to {weight}% was written down");
}

#[test]
fn a_candidate_that_is_not_ready_gets_nothing() {
    let mut world = releasing();
    intending(&mut world, 5);
    world.slots.get_mut(&Color::Green).unwrap().ready = 0;
    world.tick(Duration::from_mins(1));
    assert_eq!(world.shares(), (100, 0), "no pod is ready");
    world.slots.get_mut(&Color::Green).unwrap().ready = 1;
    world.tick(Duration::from_secs(5));
    assert_eq!(world.shares(), (95, 5), "one pod is enough for 5%");
    intending(&mut world, 100);
    world.tick(Duration::from_mins(1));
    assert_eq!(world.shares(), (50, 50), "one pod of two is not enough for everything");
    world.slots.get_mut(&Color::Green).unwrap().ready = 2;
    world.tick(Duration::from_secs(5));
    assert_eq!(world.shares(), (0, 100));
}

#[test]
fn a_pause_stops_a_step_that_is_written_down_but_not_done() {
    let mut world = releasing();
    intending(&mut world, 5);
    let before = world.shares();
    world.edit(|r| r.spec.paused = true);
    world.tick(Duration::from_mins(2));
    assert_eq!(world.shares(), before, "nothing moves");
    assert_eq!(world.rollout.status.as_ref().unwrap().phase, Some(Phase::Paused));
    world.edit(|r| r.spec.paused = false);
    world.tick(Duration::from_secs(5));
    assert_eq!(world.shares(), (95, 5), "then it is done");
}

#[test]
fn the_time_of_a_pause_counts_for_no_deadline() {
    let mut world = releasing();
    world.slots.get_mut(&Color::Green).unwrap().comes_up = false;
    world.tick(Duration::from_secs(5));
    assert_eq!(world.rollout.status.as_ref().unwrap().phase, Some(Phase::Preparing));
    world.edit(|r| r.spec.paused = true);
    world.settle();
    world.now = world.now.plus(Duration::from_hours(2));
    world.settle();
    world.edit(|r| r.spec.paused = false);
    world.tick(Duration::from_secs(10));
    assert_eq!(
        world.rollout.status.as_ref().unwrap().phase,
        Some(Phase::Preparing),
        "readyTimeout is 30m, 2h were paused"
    );
    world.now = world.now.plus(Duration::from_mins(31));
    world.settle();
    assert_eq!(world.rollout.status.as_ref().unwrap().phase, Some(Phase::RolledBack));
}
