//! Properties of `decide` over random histories of the model cluster: whatever people, pods and Prometheus do.

use std::time::Duration;

use llmrollout::{
    api::{LlmRollout, LlmRolloutStatus, Phase, order::Verb, status::Color},
    decide::{Decision, Intent, decide},
    metrics::NoData,
    routers::PatchKind,
};
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use super::{
    objects::route,
    scenarios::merged,
    world::{Signal, World},
};

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
    /// A person's word, by its place in the list; right or wrong attempt and step.
    Order(Verb, bool),
    /// The course of the release, by its number.
    Course(usize),
}

/// Courses that a manifest may be changed to, at any moment.
const COURSES: [&str; 6] = [
    "{}",
    "{bake: [{name: day, for: 30s}], decommission: {drain: 5s}}",
    "{approvals: [{before: Full, roles: [sre]}, {before: Decommission, roles: [sre]}]}",
    "{steps: [{weight: 0, hold: 10s}, {weight: 50, hold: 20s, maxHold: 40s, onUndecided: Pause, minRequests: 10}, {weight: 100, hold: 20s}]}",
    "{manual: true, fastTrack: {revisions: 2, within: 1h}}",
    "{rollback: {whilePaused: true}, decommission: {mode: Delete, drain: 0s}}",
];

fn order() -> impl Strategy<Value = Verb> {
    use Verb::{Abort, Approve, Promote, Reject, Resume, Retry, Skip};
    prop::sample::select(vec![Abort, Approve, Promote, Reject, Resume, Retry, Skip])
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
        2 => (order(), any::<bool>()).prop_map(|(verb, right)| Happening::Order(verb, right)),
        1 => (0..COURSES.len()).prop_map(Happening::Course),
    ]
}

fn happen(world: &mut World, what: &Happening) {
    match what.clone() {
        Happening::Tick(_) => {}
        Happening::Image(n) => {
            let image = json!(format!("registry.example/chat:v{n}"));
            world.edit(|r| {
                r.spec.release.template.as_mut().unwrap().pod_template.0["spec"]["containers"][0]["image"] = image;
            });
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
            world.route = Some(edited.into());
        }
        Happening::ApiRefuses(v) => world.refuse_writes = v,
        Happening::Order(verb, right) => world.order(verb, right),
        Happening::Course(number) => {
            let base: LlmRollout = serde_saphyr::from_str(MANIFEST).unwrap();
            let mut spec = merged(&base.spec, &serde_saphyr::from_str(COURSES[number]).unwrap());
            spec.release = world.rollout.spec.release.clone();
            (spec.paused, spec.abort) = (world.rollout.spec.paused, world.rollout.spec.abort);
            world.edit(|r| r.spec = spec);
        }
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
            Intent::Patch(_) | Intent::Put(_) | Intent::Apply(_) | Intent::Delete { .. } | Intent::Scale { .. } => None,
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
    // An abort while the old color is still there goes back to it: a way home, not a step.
    let reopened = status.retiring.is_some() && decision.home;
    if let Some(active) = status.active.filter(|_| !reopened) {
        let candidate = active.other();
        let before = if candidate == Color::Blue { world.shares().0 } else { world.shares().1 };
        if let Some(after) = written(world, &decision.intents, candidate).filter(|after| *after > before) {
            let intent = status.intent.as_ref().expect("I21: a raise is written down before it is done");
            assert!(live, "a raise rests on a live look");
            assert_eq!(i64::from(intent.weight.tenths() / 10), after, "I8: exactly the step that was written down");
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
        let vouched = decision.next.attempt.as_ref().is_some_and(|a| a.promoted || a.skipped || a.fast_track);
        let dark = status.attempt.as_ref().is_some_and(|a| a.weight == 0);
        let proved = dark
            || vouched
            || decision.next.gates.iter().all(|g| g.verdict == llmrollout::api::status::VerdictWord::Pass)
                && !decision.next.gates.is_empty();
        assert!(proved, "I3: step {number} without a Pass of every gate");
    }
    stands_or_wakes(&decision);
    steps_rise(&status, &decision);
    world.obey(&decision);
}

/// Progress: something is done, something is waited for, or it is an end.
fn stands_or_wakes(decision: &Decision) {
    let ends = [
        Phase::Idle,
        Phase::Pending,
        Phase::AwaitingApproval,
        Phase::Paused,
        Phase::Blocked,
        Phase::Completed,
        Phase::RolledBack,
    ];
    let end = decision.next.phase.is_some_and(|p| ends.contains(&p));
    assert!(end || !decision.intents.is_empty() || decision.wake.is_some(), "nobody looks again: {:?}", decision.next);
}

/// Within an attempt steps only rise, and its share only rises or is nothing.
fn steps_rise(old: &LlmRolloutStatus, decision: &Decision) {
    let (Some(old), Some(new)) = (&old.attempt, &decision.next.attempt) else { return };
    if old.id == new.id {
        assert!(new.step >= old.step, "step {} after {}", new.step, old.step);
        assert!(new.weight >= old.weight || new.weight == 0, "{}% after {}%", new.weight, old.weight);
    }
    assert!(new.id >= old.id, "attempt {} after {}", new.id, old.id);
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

/// Everything is well again, a revision that was never tried is wanted, and enough time passes.
fn calmed(world: &mut World) -> Value {
    // A word to an attempt that has not begun is a word to the one that will.
    world.orders.clear();
    world.refuse_writes = false;
    for slot in world.slots.values_mut() {
        slot.ready = if slot.deployment.as_ref().is_some_and(|d| d["spec"]["replicas"] != 0) { 2 } else { 0 };
    }
    for (gate, value) in [("errors", 0.001), ("p95", 0.8), ("cost", 0.002)] {
        world.signals.insert(gate, Signal::Value(value, 1000.0));
    }
    let mut spec = serde_saphyr::from_str::<LlmRollout>(MANIFEST).unwrap().spec;
    spec.release.template.as_mut().unwrap().pod_template.0["spec"]["containers"][0]["image"] =
        json!("registry.example/chat:v9");
    world.edit(|r| r.spec = spec);
    world.tick(Duration::from_mins(30));
    let status = world.rollout.status.clone().unwrap_or_default();
    let active = status.active.unwrap();
    json!({
        "phase": status.phase, "reason": status.reason, "revision": status.active_revision, "aborted": status.aborted_revision,
        "home": world.shares() == if active == Color::Blue { (100, 0) } else { (0, 100) },
        "front": world.front.as_ref().unwrap()["spec"]["selector"]["llmrollout.io/color"] == active.word(),
        "active": world.slots[&active].ready, "other": world.slots[&active.other()].ready,
        "open": [status.intent.is_some(), status.retiring.is_some(), status.attempt.is_some_and(|a| a.ended_at.is_none())],
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_pass_is_safe_and_every_history_comes_to_rest(history in vec(happening(), 1..25)) {
        let mut world = lived(&history);
        quiet(&mut world);
    }

    #[test]
    fn whatever_happened_the_same_manifest_ends_alike(history in vec(happening(), 1..20)) {
        let end = calmed(&mut lived(&history));
        prop_assert_eq!(end, calmed(&mut World::new(MANIFEST)));
    }

    #[test]
    fn a_decision_on_an_old_look_raises_nothing(history in vec(happening(), 1..15), then in vec(happening(), 1..6)) {
        let mut world = lived(&history);
        let old = decide(&world.snapshot(true));
        for what in &then {
            happen(&mut world, what);
            world.now = world.now.plus(Duration::from_secs(1));
            world.ask();
            pass_is_safe(&mut world);
        }
        let moved = world.route.as_ref().map(|r| r["metadata"]["resourceVersion"].clone());
        let before = world.shares();
        let looked_at = old.intents.iter().find_map(|i| match i {
            Intent::Patch(p) if p.kind == PatchKind::HttpRoute => Some(p.ops[0]["value"].clone()),
            Intent::Patch(_) | Intent::Put(_) | Intent::Apply(_) | Intent::Delete { .. } | Intent::Scale { .. } => None,
        });
        world.refuse_writes = false;
        world.write(&old);
        let stale = looked_at != moved;
        prop_assert!(!stale || world.shares() == before, "a stale write moved {:?} to {:?}", before, world.shares());
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
