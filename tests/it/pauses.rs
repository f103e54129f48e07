//! `paused` stops everything at once, and the time it takes is nobody's: no deadline comes nearer.

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

#[test]
fn a_pause_stops_a_step_that_is_written_down_but_not_done() {
    let mut world = releasing();
    for _ in 0..40 {
        world.pass();
        if world.rollout.status.as_ref().unwrap().intent.is_some() {
            break;
        }
    }
    assert!(world.rollout.status.as_ref().unwrap().intent.is_some(), "a step is written down");
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
