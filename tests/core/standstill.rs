//! What keeps a step that is written down from being done: `paused`, and a candidate that is not ready. The time of a
//! pause is nobody's: no deadline comes nearer.

use std::{sync::Arc, time::Duration};

use llmrollout::{
    api::{Phase, status::Color},
    decide::decide,
    metrics::{Reading, Sample},
};
use serde_json::json;

use super::world::World;

const MANIFEST: &str = include_str!("../scenarios/manifest.yaml");

/// The first revision serves, the second is asked for.
fn releasing() -> World {
    let mut world = World::new(MANIFEST);
    world.tick(Duration::from_secs(5));
    assert_eq!(world.rollout.status.as_ref().unwrap().phase, Some(Phase::Completed));
    world.edit(|r| {
        r.spec.release.template.as_mut().unwrap().pod_template.0["spec"]["containers"][0]["image"] =
            json!("registry.example/chat:v2");
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

/// What was counted cannot be of the future, nor of another stage: a clock that went back fulfils no number.
#[test]
fn only_requests_of_the_stage_and_until_now_are_counted() {
    let mut world = releasing();
    let steps = json!([{"weight": 50, "hold": "10m", "maxRequests": 900}, {"weight": 100, "hold": "60s"}]);
    world.edit(|r| r.spec.steps = serde_json::from_value(steps).unwrap());
    world.signals.insert("requests", super::world::Signal::Value(100.0, 2.0));
    world.tick(Duration::from_mins(1));
    let count =
        world.readings.iter().find(|(q, _)| q.value.to_string().contains("chat-green-") && q.window.as_secs() > 3600);
    let (question, newest) = count.map(|(q, all)| (q.clone(), all.last().unwrap().clone())).expect("a count");
    let step = |world: &World| world.rollout.status.as_ref().unwrap().step.clone();
    for at in [world.now.plus(Duration::from_secs(1)), question.since.minus(Duration::from_secs(1))] {
        let outcome = Ok(Sample { value: 5000.0, samples: 2.0 });
        world.readings.get_mut(&question).unwrap().push(Reading { at, outcome, ..newest.clone() });
        world.settle();
        assert_eq!(step(&world), "1/2", "counted at {at}");
    }
    let outcome = Ok(Sample { value: 900.0, samples: 2.0 });
    world.readings.get_mut(&question).unwrap().push(Reading { at: world.now, outcome, ..newest });
    world.settle();
    assert_eq!(step(&world), "2/2");
}

/// A figure that is compared moves its limit with every sample: status is written for it once a minute and no more.
#[test]
fn figures_that_only_move_are_written_once_a_minute() {
    let mut world = releasing();
    let gate =
        json!({"name": "p95", "metric": "latency", "quantile": "0.95", "comparedTo": "active", "maxRatio": "1.5"});
    world.edit(|r| {
        r.spec.gates = serde_json::from_value(json!([gate])).unwrap();
        r.spec.steps =
            serde_json::from_value(json!([{"weight": 50, "hold": "1h"}, {"weight": 100, "hold": "60s"}])).unwrap();
    });
    world.tick(Duration::from_secs(40));
    let mut written = Vec::new();
    for n in 0..12_u8 {
        for gate in ["p95", "active-p95"] {
            world.signals.insert(gate, super::world::Signal::Value(0.8 + f64::from(n) / 100.0, 1000.0));
        }
        world.tick(Duration::from_secs(15));
        written.push(world.rollout.metadata.resource_version.clone());
    }
    written.dedup();
    assert!((3..=4).contains(&written.len()), "three minutes: {written:?}");
}

/// A Deployment, or a Service alone, that somebody else has made under one of our names.
#[test]
fn a_name_that_somebody_else_has_taken_stops_everything() {
    for service in [false, true] {
        let mut world = releasing();
        let theirs = json!({"metadata": {"name": "chat-green", "resourceVersion": "1", "labels": {"app": "other"}}});
        let slot = world.slots.get_mut(&Color::Green).unwrap();
        (if service { &mut slot.service } else { &mut slot.deployment }).replace(theirs.clone());
        world.tick(Duration::from_mins(2));
        let status = world.rollout.status.as_ref().unwrap();
        assert_eq!(status.reason.map(llmrollout::api::Reason::word), Some("NotOurs"), "a Service: {service}");
        assert_eq!(world.shares(), (100, 0));
        let slot = &world.slots[&Color::Green];
        assert_eq!(if service { &slot.service } else { &slot.deployment }, &Some(theirs), "it is left alone");
    }
}

/// As long as it is the same manifest, it is read once; and it makes no difference whether it was.
#[test]
fn a_manifest_that_stays_is_read_once() {
    let mut world = releasing();
    world.tick(Duration::from_secs(5));
    let known = world.meant.clone().expect("it was read");
    world.tick(Duration::from_secs(30));
    assert!(Arc::ptr_eq(&known, world.meant.as_ref().unwrap()));
    let with = decide(&world.snapshot(true));
    world.meant = None;
    let without = decide(&world.snapshot(true));
    assert_eq!(with, without);
    assert!(!Arc::ptr_eq(with.meant.as_ref().unwrap(), without.meant.as_ref().unwrap()));
    world.edit(|r| r.spec.release.template.as_mut().unwrap().ready_timeout = Some("7m".into()));
    world.settle();
    assert_ne!(Some(&known), world.meant.as_ref(), "another manifest means something else");
}
