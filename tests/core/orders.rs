//! Orders by the dozen: how many are heard, which make room, and that nobody's word is heard twice. What each leads to is
//! told by the scenarios.

use std::time::Duration;

use llmrollout::api::order::Verb;
use serde_json::json;

use super::{scenarios::merged, world::World};

const MANIFEST: &str = include_str!("../scenarios/manifest.yaml");

/// A release that is measured for long, and may be approved.
fn measured() -> World {
    let mut world = World::new(MANIFEST);
    world.settle();
    world.edit(|r| {
        let steps = json!([{"weight": 5, "hold": "10h"}, {"weight": 100, "hold": "60s"}]);
        r.spec = merged(&r.spec, &json!({"steps": steps, "approvals": [{"before": "Full", "roles": ["sre"]}]}));
        r.spec.release.template.as_mut().unwrap().pod_template.0["spec"]["containers"][0]["image"] = json!("chat:v2");
    });
    world.settle();
    world
}

fn order(world: &mut World, verb: Verb) {
    world.tick(Duration::from_secs(1));
    world.order(verb, true);
    world.settle();
}

/// What was heard, by name.
fn heard(world: &World) -> Vec<String> {
    world.rollout.status.as_ref().unwrap().orders.iter().map(|o| o.name.clone()).collect()
}

#[test]
fn the_oldest_refusal_makes_room_and_is_not_heard_again() {
    let mut world = measured();
    for verb in [Verb::Approve, Verb::Resume, Verb::Resume].into_iter().chain([Verb::Approve; 29]) {
        order(&mut world, verb);
    }
    assert_eq!(heard(&world).len(), 32);
    order(&mut world, Verb::Approve);
    let with_room = heard(&world);
    assert_eq!((with_room.len(), with_room.last().unwrap().as_str()), (32, "order-33"));
    assert!(!with_room.contains(&"order-2".to_owned()), "the first that was refused");
    assert!(with_room.contains(&"order-3".to_owned()), "the second one stays");
    world.tick(Duration::from_mins(1));
    assert_eq!(heard(&world), with_room, "nothing is heard again");
}

#[test]
fn the_way_back_is_heard_however_much_was_said_before() {
    let mut world = measured();
    for _ in 0..32 {
        order(&mut world, Verb::Approve);
    }
    order(&mut world, Verb::Promote);
    assert_eq!(heard(&world).len(), 32, "no room for what goes forward");
    assert_eq!(world.shares(), (95, 5));
    order(&mut world, Verb::Abort);
    assert_eq!(heard(&world).last().unwrap(), "order-34");
    assert_eq!(world.shares(), (100, 0));
    for _ in 0..6 {
        order(&mut world, Verb::Abort);
    }
    assert_eq!(heard(&world).len(), 36, "room for four, then they take each other's place");
}
