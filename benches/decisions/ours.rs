//! Our gate in a simulated rollout: the engine of `llmrollout::stats` from raw counters to the ruling, with the step's
//! minimum hold and nothing else. Knows no rates but those that it counts.

use llmrollout_core::stats::{
    Arm as Side, Count,
    counters::{Role, Series},
    gate::{Config, Gate, Kind},
    ruling::{Ruling, judge},
    strata::{Feed, Pace},
};

use crate::{
    peers::Move,
    world::{Arm, TICK, What, World},
};

const WEIGHTS: [f64; 3] = [0.05, 0.2, 0.5];
const NAMES: [&str; 2] = ["pod-1", "pod-2"];

/// What differs from the defaults.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variant {
    pub(crate) alpha: f64,
    pub(crate) leave_best_out: bool,
    pub(crate) harm_budget: bool,
    /// Seconds a step lasts at least.
    pub(crate) min_hold: f64,
    /// Seconds after which a step is left anyway.
    pub(crate) max_hold: Option<f64>,
    pub(crate) warm_up: f64,
}

impl Variant {
    pub(crate) const DEFAULT: Self =
        Self { alpha: 0.05, leave_best_out: true, harm_budget: true, min_hold: 300.0, max_hold: None, warm_up: 60.0 };
}

/// One gate and its feed.
pub(crate) struct Ours {
    variant: Variant,
    feed: Feed,
    gate: Gate,
    step: usize,
    since: f64,
}

impl Ours {
    pub(crate) fn new(variant: Variant, world: &mut World<'_>) -> Self {
        let before: Vec<Count> = world.before().iter().map(|seen| Count::new(seen.n, seen.x)).collect();
        let mean = matches!(world.scenario.what, What::Cost(_));
        let (base, role) = if mean { (Config::mean(3), Role::Sum) } else { (Config::compare(3), Role::Bad) };
        // Costs were measured without these two.
        let variant =
            if mean { Variant { leave_best_out: false, min_hold: 0.0, warm_up: 0.0, ..variant } } else { variant };
        let Variant { alpha, leave_best_out, harm_budget, .. } = variant;
        let kind = if mean { Kind::Mean { dearest: None, frozen: false } } else { base.kind };
        let config = Config { kind, alpha_fail: alpha, alpha_pass: alpha, leave_best_out, harm_budget, ..base };
        let mut ours = Self {
            variant,
            feed: Feed::new(Pace::every(TICK), role, variant.warm_up),
            gate: Gate::new(config, &before),
            step: 0,
            since: 0.0,
        };
        for (arm, side) in [(&world.green, Side::Green), (&world.blue, Side::Blue)] {
            ours.scrape(arm, side, world, true);
        }
        ours.begin();
        ours
    }

    pub(crate) fn weight(&self) -> f64 {
        WEIGHTS[self.step]
    }

    fn begin(&mut self) {
        let next = WEIGHTS.get(self.step + 1).copied().unwrap_or(1.0);
        self.feed.begin_step(self.since, false);
        self.gate.begin_step(self.step, self.weight(), next);
    }

    /// Pushes the counters of an arm as they stand now.
    fn scrape(&mut self, arm: &Arm, side: Side, world: &World<'_>, first: bool) {
        if !first && arm.scrapes.last().is_none_or(Option::is_none) {
            return;
        }
        let now = world.seconds();
        let lazy = world.scenario.lazy.filter(|_| side == Side::Green);
        let pods = usize::try_from(lazy.unwrap_or(1)).unwrap();
        let value_of = if matches!(world.scenario.what, What::Cost(_)) { Role::Sum } else { Role::Bad };
        for (target, (n, x)) in NAMES.into_iter().zip(arm.counters).take(pods) {
            let mut push = |role, value| {
                self.feed.push(&Series { arm: side, target, role, key: "", samples: &[(now, value)] }, now);
            };
            push(Role::Total, n);
            if lazy.is_none() || x > 0.0 {
                push(value_of, x);
            }
        }
    }

    pub(crate) fn look(&mut self, world: &World<'_>) -> Move {
        self.scrape(&world.green, Side::Green, world, false);
        self.scrape(&world.blue, Side::Blue, world, false);
        let now = world.seconds();
        let strata = self.feed.close(now);
        if strata.is_empty() {
            return Move::Stay;
        }
        for stratum in &strata {
            self.gate.close(stratum);
        }
        let held = now - self.since;
        let patient = self.variant.max_hold.is_none_or(|most| held < most);
        match judge(&[(1.0, self.gate.evidence(self.feed.health()))], self.variant.alpha) {
            Ruling::Fail { .. } => Move::Abort,
            Ruling::Pass if held >= self.variant.min_hold => self.advance(now),
            Ruling::Undecided(_) if !patient => self.advance(now),
            Ruling::Pass | Ruling::Undecided(_) => Move::Stay,
        }
    }

    fn advance(&mut self, now: f64) -> Move {
        if self.step + 1 == WEIGHTS.len() {
            return Move::Promote;
        }
        (self.step, self.since) = (self.step + 1, now);
        self.begin();
        Move::Stay
    }
}
