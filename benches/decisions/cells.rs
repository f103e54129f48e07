//! The cells of the benchmark: which policy meets which scenario at which rate, and what became of their rollouts. A cell
//! is one thread's work.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use crate::{
    draw::Draw,
    ours::{Ours, Variant},
    peers::{Move, Peer, Rules},
    world::{CORE, SCENARIOS, Scenario, TICKS, What, World},
};

/// Ours or a peer's.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Policy {
    Ours(Variant),
    Peer(Rules),
}

/// What they are called. `broad` ones also meet what is not in the core set.
pub(crate) struct Named {
    pub(crate) name: &'static str,
    pub(crate) policy: Policy,
    broad: bool,
}

const fn ours(name: &'static str, variant: Variant, broad: bool) -> Named {
    Named { name, policy: Policy::Ours(variant), broad }
}

const fn peer(name: &'static str, rules: Rules, broad: bool) -> Named {
    Named { name, policy: Policy::Peer(rules), broad }
}

const fn argo(limit: u32, window: f64, fewest: f64) -> Rules {
    Rules::Argo { first: 60.0, every: 60.0, per_step: 10, limit, whole_rollout: false, window, irate: false, fewest }
}

const fn argo_irate(every: f64, per_step: u32, limit: u32, whole_rollout: bool) -> Rules {
    Rules::Argo { first: 300.0, every, per_step, limit, whole_rollout, window: 300.0, irate: true, fewest: 0.0 }
}

/// The name under which the defaults stand in the report.
pub(crate) const OURS: &str = "ours";
const DEFAULT: Variant = Variant::DEFAULT;
const POLICIES: [Named; 14] = [
    ours(OURS, DEFAULT, true),
    peer("argo docs (irate 5m, limit 3)", argo_irate(300.0, 2, 3, true), true),
    peer("argo inline (one look)", argo_irate(300.0, 1, 0, false), false),
    peer("argo 1m x 10, limit 0, rate 1m", argo(0, 60.0, 0.0), false),
    peer("argo 1m x 10, limit 3, rate 1m", argo(3, 60.0, 0.0), true),
    peer("argo 1m x 10, limit 5, rate 1m", argo(5, 60.0, 0.0), false),
    peer("argo 1m x 10, limit 3, rate 5m", argo(3, 300.0, 0.0), true),
    peer("argo 1m x 10, limit 3, at least 20", argo(3, 60.0, 20.0), false),
    peer("flagger, threshold 1", Rules::Flagger { threshold: 1 }, false),
    peer("flagger, threshold 5", Rules::Flagger { threshold: 5 }, true),
    peer("flagger, threshold 10", Rules::Flagger { threshold: 10 }, false),
    peer("ome docs (limit 3, bake 10m)", Rules::Ome, true),
    peer("one look after 10 min", Rules::OneLook, true),
    peer("kayenta, 60 points a step", Rules::Kayenta, false),
];
const VARIANTS: [Named; 4] = [
    ours("ours, alpha 1 %", Variant { alpha: 0.01, ..DEFAULT }, false),
    ours("ours, no harm budget", Variant { harm_budget: false, ..DEFAULT }, false),
    ours("ours, best scrape kept", Variant { leave_best_out: false, ..DEFAULT }, false),
    ours("ours, promotes after 60 min a step", Variant { max_hold: Some(3600.0), ..DEFAULT }, false),
];

/// What became of the rollouts of a cell.
pub(crate) struct Cell {
    pub(crate) policy: &'static str,
    pub(crate) scenario: &'static Scenario,
    pub(crate) is_core: bool,
    pub(crate) rps: f64,
    pub(crate) rollouts: u32,
    /// Minutes of those that ended so, in order.
    pub(crate) aborted: Vec<f64>,
    pub(crate) promoted: Vec<f64>,
    pub(crate) extra_bad: f64,
}

impl Cell {
    pub(crate) fn share(&self, minutes: &[f64]) -> f64 {
        f64::from(u32::try_from(minutes.len()).unwrap()) / f64::from(self.rollouts)
    }

    pub(crate) fn undecided(&self) -> f64 {
        // No less than none: shares do not add up to the last digit.
        (1.0 - self.share(&self.aborted) - self.share(&self.promoted)).max(0.0)
    }
}

static ALL: [Scenario; 22] = SCENARIOS;

struct Plan {
    named: &'static Named,
    place: usize,
    rps: f64,
    rollouts: u32,
}

fn plans(rollouts: u32, variants: bool) -> Vec<Plan> {
    static PLAIN: [Named; 14] = POLICIES;
    static MORE: [Named; 4] = VARIANTS;
    let mut plans = Vec::new();
    for named in PLAIN.iter().chain(MORE.iter().filter(|_| variants)) {
        for (place, scenario) in ALL.iter().enumerate() {
            let is_core = place < CORE;
            // A peer's costs are looked at by one of them, to have something to compare with.
            let is_cost = matches!(scenario.what, What::Cost(_));
            let wanted =
                is_core || (named.broad && (!is_cost || named.name.ends_with("rate 5m") || named.name == OURS));
            let slow = [0.3].iter().filter(|_| scenario.name == "S6");
            for rps in [1.0, 10.0, 100.0].iter().chain(slow).filter(|_| wanted) {
                let rollouts = if is_core { rollouts } else { rollouts.div_ceil(2) };
                plans.push(Plan { named, place, rps: *rps, rollouts });
            }
        }
    }
    plans
}

/// Runs all cells on as many threads as there are cores, and tells how far it is.
pub(crate) fn run(rollouts: u32, variants: bool) -> Vec<Cell> {
    let plans = plans(rollouts, variants);
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(plan) = plans.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let cell = simulate(plan);
                    let mut done = done.lock().unwrap();
                    done.push((plan.place, cell));
                    if done.len() % 40 == 0 || done.len() == plans.len() {
                        eprintln!("{} of {} cells, {} s", done.len(), plans.len(), begun.elapsed().as_secs());
                    }
                }
            });
        }
    });
    let mut cells = done.into_inner().unwrap();
    let order = |name: &str| POLICIES.iter().chain(&VARIANTS).position(|named| named.name == name);
    cells.sort_by(|(a, x), (b, y)| order(x.policy).cmp(&order(y.policy)).then(x.rps.total_cmp(&y.rps)).then(a.cmp(b)));
    cells.into_iter().map(|(_, cell)| cell).collect()
}

fn simulate(plan: &Plan) -> Cell {
    let scenario = &ALL[plan.place];
    let name = format!("{}@{}|{}|v1", scenario.name, plan.rps, plan.named.name);
    let (mut aborted, mut promoted, mut extra) = (Vec::new(), Vec::new(), 0.0);
    for i in 0..plan.rollouts {
        let mut world = World::new(scenario, plan.rps, Draw::new(&name, u64::from(i)));
        let end = match plan.named.policy {
            Policy::Ours(variant) => {
                let mut ours = Ours::new(variant, &mut world);
                rollout(&mut world, &mut ours, Ours::weight, Ours::look)
            }
            Policy::Peer(rules) => rollout(&mut world, &mut Peer::new(rules), Peer::weight, Peer::look),
        };
        match end {
            Move::Abort => aborted.push(world.seconds() / 60.0),
            Move::Promote => {
                promoted.push(world.seconds() / 60.0);
                world.promoted();
            }
            Move::Stay | Move::GiveUp => {}
        }
        extra += world.extra;
    }
    aborted.sort_by(f64::total_cmp);
    promoted.sort_by(f64::total_cmp);
    Cell {
        policy: plan.named.name,
        scenario,
        is_core: plan.place < CORE,
        rps: plan.rps,
        rollouts: plan.rollouts,
        aborted,
        promoted,
        extra_bad: extra / f64::from(plan.rollouts),
    }
}

/// One rollout until a policy ends it or four hours are over.
fn rollout<'a, P>(
    world: &mut World<'a>,
    policy: &mut P,
    weight: impl Fn(&P) -> f64,
    look: impl Fn(&mut P, &World<'a>) -> Move,
) -> Move {
    while world.now < TICKS {
        world.tick(weight(policy));
        let next = look(policy, world);
        if next != Move::Stay {
            return next;
        }
    }
    Move::Stay
}
