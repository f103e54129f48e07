//! How long a decision takes. `make bench-core` runs it and writes `target/bench/decide.json`. It measures and asserts what it
//! measures; no figure is ever a condition of a test.
#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "measures")]

extern crate llmrollout_core as llmrollout;

#[expect(dead_code, reason = "the scenarios need more of it")]
#[path = "../../tests/core/book.rs"]
mod book;
#[expect(dead_code, reason = "the scenarios need more of it")]
#[path = "../../tests/core/counted.rs"]
mod counted;
#[expect(dead_code, reason = "the scenarios need more of it")]
#[path = "../../tests/core/hook.rs"]
mod hook;
#[path = "../../tests/core/json_patch.rs"]
mod json_patch;
#[expect(dead_code, reason = "the scenarios need more of it")]
#[path = "../../tests/core/legacy.rs"]
mod legacy;
#[path = "../../tests/core/objects.rs"]
mod objects;
#[expect(dead_code, reason = "the scenarios need more of it")]
#[path = "../../tests/core/world.rs"]
mod world;

use std::{
    hint::black_box,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use llmrollout::{
    api::{
        LlmRollout, Moment, Phase, Reason,
        gates::Metric,
        status::{Color, Past},
    },
    decide::{
        Snapshot, decide,
        plan::{Plan, revision},
        workload::{self, Made, Role},
    },
    metrics::{self, Question, Reading, Sample},
};
use serde_json::{Value, json};
use world::World;

const MANIFEST: &str = include_str!("../../tests/scenarios/manifest.yaml");
const BATCH: u32 = 50;

fn main() {
    let full = full();
    let rollout = Arc::clone(&full.rollout);
    let idle = idle();
    let blue = rollout.status.as_ref().and_then(|s| s.attempt.as_ref()).map(|a| a.revision.clone()).unwrap();
    let (first, full) = (full.clone(), Snapshot { meant: decide(&full).meant, ..full });
    let idle = Snapshot { meant: decide(&idle).meant, ..idle };
    let decisions = json!({
        "full_when_the_manifest_is_new": timed(|| drop(black_box(decide(black_box(&first))))),
        "full": timed(|| drop(black_box(decide(black_box(&full))))),
        "idle": timed(|| drop(black_box(decide(black_box(&idle))))),
    });
    let made = Made::of(&rollout).unwrap();
    let (decision, world) = (decide(&full), releasing());
    let parts = json!({
        "plan": timed(|| drop(black_box(Plan::read(black_box(&rollout.spec), full.around())))),
        "revision": timed(|| drop(black_box(revision(black_box(&rollout.spec.release.template.as_ref().unwrap().pod_template.0))))),
        "status_clone": timed(|| drop(black_box(rollout.status.clone()))),
        "deployment": timed(|| drop(black_box(workload::deployment(made, Color::Blue, &blue, Role::Active, 2)))),
        "service": timed(|| drop(black_box(workload::service(made, Color::Blue)))),
        "question": timed(|| drop(black_box(question("chat-green")))),
        "decision_clone": timed(|| drop(black_box(decision.clone()))),
        "snapshot_of_the_model_cluster": timed(|| drop(black_box(world.snapshot(true)))),
    });
    let report = json!({"decisions": decisions, "parts": parts});
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    std::fs::create_dir_all(&folder).unwrap();
    let text = serde_json::to_string_pretty(&report).unwrap();
    std::fs::write(folder.join("decide.json"), format!("{text}\n")).unwrap();
    println!("{text}");
}

fn question(workload: &str) -> Question {
    let source = metrics::Source::read(&llmrollout::api::exporters::Metrics::default(), None, None).unwrap();
    let subject = metrics::Subject::Metric(Metric::ErrorRate, None);
    let ask = metrics::Ask {
        provider: "default",
        rollout: "chat",
        revision: "",
        namespace: "llm",
        workload,
        other: None,
        replicas: 1,
        color: Color::Green,
        subject: &subject,
        since: Moment::from_unix(1_800_000_000),
        window: Duration::from_mins(5),
        interval: Duration::from_secs(15),
        urgent: false,
    };
    metrics::question(&source, &ask).unwrap()
}

/// Median and 99th percentile of batches, in microseconds for each call.
fn timed(mut what: impl FnMut()) -> Value {
    for _ in 0..200 {
        what();
    }
    let mut batches: Vec<f64> = (0..400)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..BATCH {
                what();
            }
            start.elapsed().as_secs_f64() * 1e6 / f64::from(BATCH)
        })
        .collect();
    batches.sort_by(f64::total_cmp);
    let at = |part: usize| (batches[batches.len() * part / 100] * 100.0).round() / 100.0;
    json!({"median_us": at(50), "p99_us": at(99), "calls": batches.len() * BATCH as usize})
}

/// The first revision serves, the second is being measured at its second step.
fn releasing() -> World {
    let mut world = World::new(MANIFEST);
    world.tick(Duration::from_mins(2));
    world.edit(|r| {
        r.spec.release.template.as_mut().unwrap().pod_template.0["spec"]["containers"][0]["image"] =
            json!("registry.example/chat:v2");
    });
    while world.rollout.status.as_ref().and_then(|s| s.attempt.as_ref()).is_none_or(|a| a.step != 2) {
        world.tick(Duration::from_secs(1));
    }
    world
}

/// Six gates with sixteen readings each, eight routers, ten attempts in the history, in the middle of a step.
fn full() -> Snapshot {
    let mut world = releasing();
    world.edit(widen);
    let mut snapshot = world.snapshot(true);
    let (front, route) = (snapshot.routers[0].clone(), snapshot.routers[1].clone());
    let named = |n: usize| llmrollout::routers::RouterSeen { name: format!("httpRoute/chat-{n}"), ..route.clone() };
    snapshot.routers = std::iter::once(front).chain((1..=7).map(named)).collect();
    let entered = world.rollout.status.as_ref().and_then(|s| s.attempt.as_ref()?.step_entered_at).unwrap();
    snapshot.now = entered.plus(Duration::from_mins(4));
    for question in decide(&snapshot).asks {
        let at = |n: u64| entered.plus(Duration::from_secs(15 * n));
        let sample = |n: u64| Reading {
            at: at(n),
            window: question.window,
            outcome: Ok(Sample { value: 0.002, samples: 900.0 }),
            names: Vec::new(),
            weighed: None,
        };
        snapshot.readings.insert(question.clone(), (1..=16).map(sample).collect());
    }
    let decision = decide(&snapshot);
    assert_eq!(decision.next.phase, Some(Phase::Holding), "{}", decision.next.message);
    assert_eq!((decision.next.gates.len(), decision.next.observed_weights.len()), (6, 8));
    assert!(decision.next.gates.iter().all(|g| g.samples == Some(900)), "{:?}", decision.next.gates);
    snapshot
}

fn widen(rollout: &mut LlmRollout) {
    let spec = &mut rollout.spec;
    let routes = (1..=7).map(|n| json!({"httpRoute": {"name": format!("chat-{n}")}}));
    let traffic = std::iter::once(json!({"service": {"name": "chat"}})).chain(routes).collect();
    spec.traffic = serde_json::from_value(Value::Array(traffic)).unwrap();
    for step in spec.steps.iter_mut().flatten() {
        step.hold = "1h".to_owned();
    }
    for (name, quantile) in [("p50", "0.5"), ("p90", "0.9"), ("p99", "0.99")] {
        let gate = json!({"name": name, "metric": "latency", "quantile": quantile, "max": "9s"});
        spec.gates.push(serde_json::from_value(gate).unwrap());
    }
    let status = rollout.status.as_mut().unwrap();
    let hour = Duration::from_hours(1);
    if let Some(attempt) = status.attempt.as_mut() {
        attempt.hold_until = attempt.step_entered_at.map(|at| at.plus(hour));
    }
    let past = |id: i64| Past {
        id,
        revision: format!("{id:012x}"),
        outcome: if id % 2 == 0 { Reason::Promoted } else { Reason::GateFailed },
        message: "p95: 2.31s > 1.5s at step 2 on 4210 requests: 2 of the last 3 samples bad, 2 fail the gate"
            .to_owned(),
        started_at: Moment::from_unix(1_799_000_000 + id * 10_000),
        ended_at: Moment::from_unix(1_799_005_000 + id * 10_000),
    };
    status.history = (1..=10).rev().map(past).collect();
}

fn idle() -> Snapshot {
    let mut world = World::new(MANIFEST);
    world.tick(Duration::from_mins(2));
    world.snapshot(false)
}
