//! Properties of `decide` over random histories of the model cluster: whatever people, pods and Prometheus do.

use std::time::Duration;

use llmrollout::{
    api::{Phase, status::Color},
    decide::{Intent, decide},
    metrics::NoData,
    routers::PatchKind,
};
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use super::world::{Signal, World, route};

const MANIFEST: &str = include_str!("../scenarios/manifest.yaml");

/// Something that happens.
#[derive(Clone, Debug)]
enum Happening {
    Tick(u64),
    Image(u8),
    Paused(bool),
    Abort(bool),
    Signal(&'static str, f64, f64),
    Silent(&'static str),
    Pods(Color, i32),
    Route(i64),
    ApiRefuses(bool),
    Restart,
}

fn happening() -> impl Strategy<Value = Happening> {
    let gate = || prop::sample::select(vec!["errors", "p95", "cost"]);
    prop_oneof![
        8 => (1_u64..40).prop_map(Happening::Tick),
        3 => (1_u8..4).prop_map(Happening::Image),
        1 => any::<bool>().prop_map(Happening::Paused),
        1 => any::<bool>().prop_map(Happening::Abort),
        2 => (gate(), 0.0..3.0, 0.0..100.0).prop_map(|(g, v, n)| Happening::Signal(g, v, n)),
        2 => (gate(), Just(0.0), Just(500.0)).prop_map(|(g, v, n)| Happening::Signal(g, v, n)),
        1 => gate().prop_map(Happening::Silent),
        1 => (any::<bool>(), 0_i32..3).prop_map(|(b, n)| Happening::Pods(if b { Color::Blue } else { Color::Green }, n)),
        1 => (0_i64..101).prop_map(Happening::Route),
        1 => any::<bool>().prop_map(Happening::ApiRefuses),
        1 => Just(Happening::Restart),
    ]
}

fn happen(world: &mut World, what: &Happening) {
    match what.clone() {
        Happening::Tick(_) => {}
        Happening::Image(n) => {
            let image = json!(format!("registry.example/chat:v{n}"));
            world.edit(|r| r.spec.release.template.pod_template.0["spec"]["containers"][0]["image"] = image);
        }
        Happening::Paused(v) => world.edit(|r| r.spec.paused = v),
        Happening::Abort(v) => world.edit(|r| r.spec.abort = v),
        Happening::Signal(gate, value, samples) => drop(world.signals.insert(gate, Signal::Value(value, samples))),
        Happening::Silent(gate) => drop(world.signals.insert(gate, Signal::Silent(NoData::Late))),
        Happening::Pods(color, ready) => world.slots.get_mut(&color).unwrap().ready = ready,
        Happening::Route(green) => {
            let generation = 1 + world.route.as_ref().map_or(0, |r| r["metadata"]["generation"].as_i64().unwrap());
            let mut edited = route(100 - green, green);
            edited["metadata"]["generation"] = json!(generation);
            edited["metadata"]["resourceVersion"] = json!(format!("edited-{generation}"));
            for condition in edited["status"]["parents"][0]["conditions"].as_array_mut().unwrap() {
                condition["observedGeneration"] = json!(generation);
            }
            world.route = Some(edited);
        }
        Happening::ApiRefuses(v) => world.refuse_writes = v,
        Happening::Restart => {
            world.began = world.now;
            world.readings.clear();
            world.asks.clear();
        }
    }
}

/// The candidate's share as a decision would write it, if it writes the route.
fn written(world: &World, intents: &[Intent], candidate: Color) -> Option<i64> {
    let backend = if candidate == Color::Blue { 3 } else { 4 };
    intents
        .iter()
        .find_map(|intent| match intent {
            Intent::Patch(p) if p.kind == PatchKind::HttpRoute => p.ops[backend]["value"].as_i64(),
            Intent::Patch(_) | Intent::Apply(_) => None,
        })
        .filter(|_| world.route.is_some())
}

/// What must hold of every single pass.
fn pass_is_safe(world: &mut World) {
    let status = world.rollout.status.clone().unwrap_or_default();
    let mut decision = decide(&world.snapshot(false));
    let live = decision.wants_live;
    if live {
        decision = decide(&world.snapshot(true));
    }
    for intent in &decision.intents {
        if let Intent::Apply(owned) = intent {
            let slot = &world.slots[&if owned.name.ends_with("-blue") { Color::Blue } else { Color::Green }];
            let seen = if owned.body["kind"] == "Service" { &slot.service } else { &slot.deployment };
            let version = seen.as_ref().map_or(&Value::Null, |s| &s["metadata"]["resourceVersion"]);
            assert_eq!(&owned.body["metadata"]["resourceVersion"], version, "what was seen is applied at its version");
        }
        let Intent::Patch(patch) = intent else { continue };
        assert_eq!(patch.ops[0]["path"], "/metadata/resourceVersion", "every patch is guarded");
        if patch.kind == PatchKind::HttpRoute {
            let (blue, green) = (patch.ops[3]["value"].as_i64().unwrap(), patch.ops[4]["value"].as_i64().unwrap());
            assert_eq!(blue + green, 100, "I1: both weights, adding up to 100");
            assert!(blue >= 0 && green >= 0);
        }
    }
    if let Some(active) = status.active {
        let candidate = active.other();
        let before = if candidate == Color::Blue { world.shares().0 } else { world.shares().1 };
        if let Some(after) = written(world, &decision.intents, candidate).filter(|after| *after > before) {
            let intent = status.intent.as_ref().expect("I21: a raise is written down before it is done");
            assert!(live, "a raise rests on a live look");
            assert_eq!(i64::from(intent.weight), after, "I8: exactly the step that was written down");
            assert!(world.slots[&candidate].ready > 0, "I2: a raise needs ready endpoints");
            assert!(!world.rollout.spec.paused && !world.rollout.spec.abort, "I7: pause and abort stop raises");
            assert_ne!(status.aborted_revision, Some(intent.revision.clone()), "I5: an aborted revision gets nothing");
        }
        let blue_apply = decision.intents.iter().any(|i| matches!(i, Intent::Apply(o) if o.name == format!("chat-{}", active.word()) && o.body["kind"] == "Deployment"));
        let running = status.attempt.as_ref().is_some_and(|a| a.ended_at.is_none());
        assert!(!(running && blue_apply), "I9: the active color is not touched during a release");
    }
    let step = |s: &llmrollout::api::LlmRolloutStatus| s.intent.as_ref().map(|i| (i.revision.clone(), i.step));
    if let Some((_, number)) = step(&decision.next).filter(|new| step(&status).as_ref() != Some(new)) {
        assert!(decision.intents.is_empty(), "an intent is durable before its effect");
        let proved = status.attempt.as_ref().is_some_and(|a| a.step == 0)
            || decision.next.gates.iter().all(|g| g.verdict == llmrollout::api::status::VerdictWord::Pass)
                && !decision.next.gates.is_empty();
        assert!(proved, "I3: step {number} without a Pass of every gate");
    }
    world.obey(&decision);
}

fn quiet(world: &mut World) {
    for _ in 0..60 {
        if !world.pass() {
            let decision = decide(&world.snapshot(true));
            assert!(decision.intents.is_empty() || world.refuse_writes, "fixed point: nothing is left to do");
            return;
        }
    }
    panic!("no fixed point: {:?}", world.rollout.status.as_ref().map(|s| (s.phase, s.reason, s.message.clone())));
}

/// The world after a history, every pass of it safe.
fn lived(history: &[Happening]) -> World {
    let mut world = World::new(MANIFEST);
    for what in history {
        happen(&mut world, what);
        let seconds = if let Happening::Tick(seconds) = what { *seconds } else { 1 };
        for _ in 0..seconds {
            world.now = world.now.plus(Duration::from_secs(1));
            world.ask();
            for _ in 0..4 {
                pass_is_safe(&mut world);
            }
        }
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_pass_is_safe_and_every_history_comes_to_rest(history in vec(happening(), 1..25)) {
        let mut world = lived(&history);
        quiet(&mut world);
    }

    #[test]
    fn an_abort_always_ends_with_blue_alone(history in vec(happening(), 1..15)) {
        let mut world = lived(&history);
        world.refuse_writes = false;
        for slot in world.slots.values_mut() {
            slot.ready = 2;
        }
        world.edit(|r| { r.spec.abort = true; r.spec.paused = false; });
        for _ in 0..30 {
            world.now = world.now.plus(Duration::from_secs(1));
            for _ in 0..4 {
                pass_is_safe(&mut world);
            }
        }
        let status = world.rollout.status.clone().unwrap_or_default();
        if let Some(active) = status.active {
            let home = if active == Color::Blue { (100, 0) } else { (0, 100) };
            let contended = status.reason == Some(llmrollout::api::Reason::Contended);
            prop_assert!(world.shares() == home || contended, "{:?} {:?}", world.shares(), status);
            prop_assert!(!matches!(status.phase, Some(Phase::Shifting | Phase::Holding | Phase::RollingBack)), "{:?}", status.phase);
        }
    }
}
