//! How many whole releases can be simulated in a minute. `make bench-core` runs it and writes `target/bench/schedules.json`. No
//! figure is ever a condition of a test.
#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "measures, and is told by the environment for how long")]

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
mod story;
#[expect(dead_code, reason = "the scenarios need more of it")]
#[path = "../../tests/core/world.rs"]
mod world;

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use llmrollout::api::LlmRollout;
use serde_json::{Value, json};

/// Of the tool, not of the operator: a third of a story is the making and dropping of small values.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MANIFEST: &str = include_str!("../../tests/scenarios/manifest.yaml");

fn main() {
    let seconds = std::env::var("BENCH_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(10);
    let report = schedules(Duration::from_secs(seconds));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    std::fs::create_dir_all(&folder).unwrap();
    let text = serde_json::to_string_pretty(&report).unwrap();
    std::fs::write(folder.join("schedules.json"), format!("{text}\n")).unwrap();
    println!("{text}");
}

/// Stories from install to an end, on as many threads as there are cores.
fn schedules(length: Duration) -> Value {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (told, passes, seed) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(1));
    let spent = AtomicU64::new(0);
    let ends = std::sync::Mutex::new(std::collections::BTreeMap::<String, u64>::new());
    let manifest: LlmRollout = serde_saphyr::from_str(MANIFEST).unwrap();
    let start = Instant::now();
    std::thread::scope(|s| {
        for _ in 0..cores {
            s.spawn(|| {
                while start.elapsed() < length {
                    let story = story::told(seed.fetch_add(1, Ordering::Relaxed), &manifest);
                    told.fetch_add(1, Ordering::Relaxed);
                    passes.fetch_add(story.passes, Ordering::Relaxed);
                    *ends.lock().unwrap().entry(story.end).or_default() += 1;
                }
                spent.fetch_add(on_the_processor(), Ordering::Relaxed);
            });
        }
    });
    let (seconds, told) = (start.elapsed().as_secs_f64(), told.into_inner());
    let spent = Duration::from_nanos(spent.into_inner()).as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "counts for people")]
    let per_minute = |seconds: f64| (told as f64 / seconds * 60.0).round();
    json!({
        "schedules": told, "passes": passes.into_inner(), "seconds": seconds, "cores": cores,
        "cpu_seconds": spent, "schedules_per_cpu_minute": per_minute(spent),
        "schedules_per_minute": per_minute(seconds), "ends": ends.into_inner().unwrap(),
    })
}

/// Nanoseconds that this thread has had a processor: what a busy machine cannot distort.
fn on_the_processor() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or_default()
}
