//! The whole controller in one process, on an API server made of a map, in time that does not pass by itself: the
//! product's own `observe`, `decide`, `act`, `record` and retries, two processes of it, and everything that can go wrong
//! drawn from a seed. `make soak SCHEDULES=… SEED=…` tells more stories; `SIM_ONLY=<seed>` tells one.
#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    reason = "measures how long the stories take, and is told which by the environment"
)]

mod cluster;
mod faults;
mod judge;
mod pods;
mod process;
mod rng;
mod store;
mod story;
mod wire;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use serde_json::json;
use story::Plot;

/// What every write of all stories together must have been asked for.
const ASKED: [&str; 14] = ["I1", "I11", "I13", "I19", "I2", "I21", "I23", "I24", "I3", "I5", "I6", "I7", "I8", "I9"];

#[derive(Default)]
struct Sum {
    failed: BTreeMap<u64, String>,
    asked: BTreeMap<&'static str, u64>,
    ends: BTreeMap<String, u64>,
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

fn told(seed: u64) -> String {
    let plot = Plot::of(seed);
    let (events, told) = plot.shrink();
    let mut words = vec![format!("seed {seed} ({:?}): {:?}", plot.class, told.violations), "what happens:".to_owned()];
    words.extend(
        events.iter().map(|e| format!("  at {:.3}s {}", f64::from(u32::try_from(e.at).unwrap()) / 1000.0, e.what)),
    );
    words.push("the story:".to_owned());
    words.extend(told.story.iter().map(|line| format!("  {line}")));
    words.join("\n")
}

fn work(sum: &Mutex<Sum>, next: &AtomicU64, end: u64) {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return;
        }
        let plot = Plot::of(seed);
        let told = plot.tell(&plot.events);
        let mut sum = sum.lock().unwrap();
        for (id, count) in told.asked {
            *sum.asked.entry(id).or_default() += count;
        }
        *sum.ends.entry(told.end).or_default() += 1;
        if let Some((id, words)) = told.violations.first() {
            sum.failed.insert(seed, format!("{id}: {words}"));
        }
    }
}

#[test]
fn schedules_hold() {
    if let Ok(seed) = std::env::var("SIM_ONLY") {
        println!("{}", told(seed.parse().unwrap()));
        return;
    }
    let (schedules, seed) = (number("SIM_SCHEDULES", 1_000), number("SIM_SEED", 1));
    let began = Instant::now();
    let (sum, next) = (Mutex::new(Sum::default()), AtomicU64::new(seed));
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work(&sum, &next, seed + schedules));
        }
    });
    let sum = sum.into_inner().unwrap();
    let seconds = began.elapsed().as_secs_f64();
    let count = f64::from(u32::try_from(schedules).unwrap());
    let report = json!({
        "schedules": schedules, "seed": seed, "violations": sum.failed.len(), "seeds_failed": sum.failed.keys().collect::<Vec<_>>(),
        "seconds": seconds, "schedules_per_minute": count * 60.0 / seconds, "asked": sum.asked, "ends": sum.ends,
    });
    println!("{schedules} schedules from seed {seed} in {seconds:.1} s; asked {:?}; ends {:?}", sum.asked, sum.ends);
    if let Ok(path) = std::env::var("SIM_REPORT") {
        std::fs::write(path, format!("{report:#}\n")).unwrap();
    }
    for (seed, words) in sum.failed.iter().take(20) {
        println!("seed {seed}: {words}");
    }
    if let Some(seed) = sum.failed.keys().next() {
        panic!("{} of {schedules} schedules failed; the first, shrunk:\n{}", sum.failed.len(), told(*seed));
    }
    for id in ASKED {
        assert!(schedules < 500 || sum.asked.get(id).is_some_and(|n| *n > 0), "{id} was never asked");
    }
}

#[test]
fn a_seed_tells_the_same_story_twice() {
    for seed in [3, 14, 15] {
        let plot = Plot::of(seed);
        assert_eq!(plot.tell(&plot.events).story, plot.tell(&plot.events).story);
    }
}
