//! The whole controller in one process, on an API server made of a map, in time that does not pass by itself: the
//! product's own `observe`, `decide`, `act`, `record` and retries, two processes of it, and everything that can go wrong
//! drawn from a seed. `make soak SCHEDULES=… SEED=…` tells more stories; `SIM_ONLY=<seed>` tells one.
#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    reason = "measures how long the stories take, and is told which by the environment"
)]

mod caches;
mod cluster;
mod ends;
mod faults;
mod judge;
mod manifest;
mod people;
mod pods;
mod process;
mod prometheus;
mod rng;
mod script;
mod store;
mod story;
mod wire;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use story::{Plot, Told};

/// What every write of all stories together must have been asked for.
const ASKED: [&str; 23] = [
    "I1", "I11", "I13", "I19", "I2", "I21", "I23", "I24", "I3", "I5", "I6", "I7", "I8", "I9", "approval", "asked",
    "bake", "depends", "drain", "fast", "once", "order", "window",
];
/// So long may a soak be silent.
const TELL_EVERY: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Sum {
    told: u64,
    failed: BTreeMap<u64, String>,
    asked: BTreeMap<&'static str, u64>,
    phases: BTreeMap<String, u64>,
    ends: BTreeMap<String, u64>,
    said: Option<Instant>,
}

impl Sum {
    fn add(&mut self, seed: u64, told: Told) {
        self.told += 1;
        for (id, count) in told.asked {
            *self.asked.entry(id).or_default() += count;
        }
        for phase in told.phases {
            *self.phases.entry(phase).or_default() += 1;
        }
        *self.ends.entry(told.end).or_default() += 1;
        if let Some((id, words)) = told.violations.first() {
            self.failed.insert(seed, format!("{id}: {words}"));
        }
    }

    /// What is known so far, for people and in the file.
    fn tell(&self, run: &Run) {
        let seconds = run.began.elapsed().as_secs_f64();
        let rate = f64::from(u32::try_from(self.told).unwrap()) * 60.0 / seconds;
        println!("{} of {} schedules, {} failed, {rate:.0} in a minute", self.told, run.schedules, self.failed.len());
        let Ok(path) = std::env::var("SIM_REPORT") else { return };
        let report = json!({
            "schedules": self.told, "seed": run.seed, "violations": self.failed.len(),
            "seeds_failed": self.failed.keys().collect::<Vec<_>>(), "seconds": seconds, "schedules_per_minute": rate,
            "asked": self.asked, "ends": self.ends, "phases": self.phases,
        });
        std::fs::write(path, format!("{report:#}\n")).unwrap();
    }
}

/// What is to be told.
struct Run {
    schedules: u64,
    seed: u64,
    began: Instant,
    next: AtomicU64,
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

fn told(seed: u64) -> String {
    let (plot, told) = Plot::of(seed).shrink();
    let mut words = vec![format!("seed {seed} ({:?}): {:?}", plot.class, told.violations)];
    words.push(format!("the manifest: {}", plot.course.change));
    words.push("what happens:".to_owned());
    words.extend(plot.events.iter().map(|e| format!("  {e}")));
    words.push("the story:".to_owned());
    words.extend(told.story.iter().map(|line| format!("  {line}")));
    words.push("as a scenario:".to_owned());
    words.push(script::scenario(&plot, &told));
    words.join("\n")
}

fn work(sum: &Mutex<Sum>, run: &Run) {
    loop {
        let seed = run.next.fetch_add(1, Ordering::Relaxed);
        if seed >= run.seed + run.schedules {
            return;
        }
        let told = Plot::of(seed).tell();
        let mut sum = sum.lock().unwrap();
        sum.add(seed, told);
        if sum.said.unwrap_or(run.began).elapsed() > TELL_EVERY {
            sum.said = Some(Instant::now());
            sum.tell(run);
        }
    }
}

#[test]
fn schedules_hold() {
    if let Ok(seed) = std::env::var("SIM_ONLY") {
        println!("{}", told(seed.parse().unwrap()));
        return;
    }
    let (schedules, seed) = (number("SIM_SCHEDULES", 2_000), number("SIM_SEED", 1));
    let run = Run { schedules, seed, began: Instant::now(), next: AtomicU64::new(seed) };
    let sum = Mutex::new(Sum::default());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work(&sum, &run));
        }
    });
    let sum = sum.into_inner().unwrap();
    sum.tell(&run);
    println!("asked {:?}\nends {:?}\nphases {:?}", sum.asked, sum.ends, sum.phases);
    for (seed, words) in sum.failed.iter().take(20) {
        println!("seed {seed}: {words}");
    }
    if let Some(seed) = sum.failed.keys().next() {
        panic!("{} of {schedules} schedules failed; the first, shrunk:\n{}", sum.failed.len(), told(*seed));
    }
    for id in ASKED {
        assert!(schedules < 2_000 || sum.asked.get(id).is_some_and(|n| *n > 0), "{id} was never asked");
    }
    assert!(schedules < 2_000 || sum.phases.len() == 13, "some phase was never reached: {:?}", sum.phases);
}

#[test]
fn a_seed_tells_the_same_story_twice() {
    for seed in [3, 14, 15] {
        let plot = Plot::of(seed);
        assert_eq!(plot.tell().story, plot.tell().story);
    }
}
