//! Releases exactly on the boundary: how often the evidence crosses its limit though it should not. Each look counts.

use std::sync::atomic::{AtomicU32, Ordering};

use llmrollout_core::stats::{
    Count, Stratum,
    budget::{GREY_SHARE, bad_line, good_line},
    gate::{Config, Gate},
    halfplane::Line,
    strata::Health,
};

use crate::{draw::Draw, world::TICK};

const ALPHA: f64 = 0.05;
const SHARE: f64 = 0.05;
const BLUE: f64 = 0.01;

/// How often one side crossed.
pub(crate) struct Crossed {
    pub(crate) side: &'static str,
    pub(crate) runs: u32,
    pub(crate) looks: u32,
    pub(crate) share: f64,
}

impl Crossed {
    pub(crate) const ALPHA: f64 = ALPHA;
}

#[derive(Clone, Copy)]
struct Kind {
    side: &'static str,
    fail: bool,
    leave_best_out: bool,
    looks: u32,
    /// So many runs for one rollout of a cell.
    runs: u32,
}

const KINDS: [Kind; 3] = [
    Kind { side: "fail", fail: true, leave_best_out: true, looks: 10_000, runs: 1 },
    Kind { side: "fail, best scrape kept", fail: true, leave_best_out: false, looks: 10_000, runs: 1 },
    Kind { side: "pass", fail: false, leave_best_out: true, looks: 2_000, runs: 5 },
];

/// Runs at 1 and 10 requests a second, with a base rate that is constant and one that swings about fivefold.
pub(crate) fn run(rollouts: u32) -> Vec<Crossed> {
    KINDS.iter().map(|kind| side(*kind, rollouts * kind.runs)).collect()
}

fn side(kind: Kind, runs: u32) -> Crossed {
    let (next, crossed) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    if i >= runs {
                        return;
                    }
                    let rps = if i % 2 == 0 { 1.0 } else { 10.0 };
                    if crosses(kind, rps, i % 4 >= 2, i) {
                        crossed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let crossed = f64::from(crossed.into_inner()) / f64::from(runs);
    eprintln!("boundary, {}: {:.2} % of {runs} runs crossed", kind.side, 100.0 * crossed);
    Crossed { side: kind.side, runs, looks: kind.looks, share: crossed }
}

fn crosses(kind: Kind, rps: f64, swings: bool, run: u32) -> bool {
    let config = Config { leave_best_out: kind.leave_best_out, ..Config::compare(1) };
    let line: Line =
        if kind.fail { good_line(config.tolerance, GREY_SHARE) } else { bad_line(config.tolerance, 1.0, BLUE) };
    let mut draw = Draw::new(&format!("boundary {} {rps} {swings}", kind.side), u64::from(run));
    let hour = rps * 3600.0;
    let mut gate = Gate::new(config, &[Count::new(hour, draw.poisson(hour * BLUE))]);
    gate.begin_step(0, SHARE, 1.0);
    for look in 1..=kind.looks {
        let until = f64::from(look) * TICK;
        // From 0.45 to 2.2 times the base: about fivefold.
        let base = if swings { BLUE * (0.8 * (std::f64::consts::TAU * until / 2400.0).sin()).exp() } else { BLUE };
        let mut count = |share: f64, p: f64| {
            let mean = rps * TICK * share;
            let bad = draw.poisson(mean * p);
            Count::new(bad + draw.poisson(mean * (1.0 - p)), bad)
        };
        let (green, blue) = (count(SHARE, line.at(base)), count(1.0 - SHARE, base));
        gate.close(&Stratum { seconds: TICK, until, green, blue });
        let ln = if kind.fail { gate.ln_fail() } else { gate.ln_pass() };
        if ln >= -ALPHA.ln() {
            return true;
        }
    }
    debug_assert!(!gate.evidence(Health::default()).health.inconsistent);
    false
}
