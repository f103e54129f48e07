//! One gate over a whole rollout: strata in, evidence for Fail and Pass out. Holds no clock, no hold and no word for people:
//! how long a step lasts at least and at most is the caller's business.

use super::{
    Count, Stratum, Tolerance, bound, budget,
    halfplane::{self, Alternative, Form, Line, Memory, Side},
    means::{self, Moments},
    ratio::Split,
    strata::Health,
    wealth::{Wealth, mix},
};

/// Bad requests of blue that are no accident.
const TELLING: f64 = 3.0;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Green's share of bad requests with blue's.
    Compare(Form),
    /// Green's share of bad requests with a limit.
    Bound {
        /// The limit, between 0 and 1; the tolerance is taken of it.
        limit: f64,
    },
    /// Green's mean with blue's.
    Mean {
        /// The most that one request can cost, if that is known.
        dearest: Option<f64>,
        /// Blue is not asked any more; its mean is what was learned.
        frozen: bool,
    },
}

/// What a gate is told once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// What is compared.
    pub kind: Kind,
    /// What excess is tolerated at full traffic.
    pub tolerance: Tolerance,
    /// The share of the tolerance that is harmless.
    pub grey: f64,
    /// Steps at which the gate is asked.
    pub steps: usize,
    /// Whether each bet's best stratum is left out of Fail.
    pub leave_best_out: bool,
    /// How often all gates of the rollout may be wrong about a good release, and about a bad one.
    pub alpha_fail: f64,
    /// The same for a promoted bad release, at the last step.
    pub alpha_pass: f64,
    /// Whether early steps need less proof because their harm is small.
    pub harm_budget: bool,
}

impl Config {
    /// Shares of bad requests compared, with the defaults.
    pub fn compare(steps: usize) -> Self {
        Self {
            kind: Kind::Compare(Form::Exact),
            tolerance: Tolerance::SHARE,
            grey: budget::GREY_SHARE,
            steps: steps.max(1),
            leave_best_out: true,
            alpha_fail: budget::ALPHA_FAIL,
            alpha_pass: budget::ALPHA_PASS,
            harm_budget: true,
        }
    }

    /// A limit for green alone, with the defaults.
    pub fn bound(steps: usize, limit: f64) -> Self {
        Self { kind: Kind::Bound { limit }, ..Self::compare(steps) }
    }

    /// Means compared, with the defaults.
    pub fn mean(steps: usize) -> Self {
        let kind = Kind::Mean { dearest: None, frozen: false };
        Self { kind, tolerance: Tolerance::MEAN, grey: budget::GREY_MEAN, ..Self::compare(steps) }
    }
}

/// Where the rollout is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Step {
    pub(super) index: usize,
    pub(super) share: f64,
    pub(super) next: f64,
}

/// What a gate knows at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// The log of the evidence that green is worse than harmless, since the rollout began.
    pub fail: f64,
    /// The log of the evidence that green is better than intolerable, since the step began.
    pub pass: f64,
    /// What `pass` must reach when the step is left.
    pub needed_pass: f64,
    /// Blue breaks the limit of a bound too: no fault of the release.
    pub environment: bool,
    /// Green does not get the share that it should.
    pub split_wrong: bool,
    /// What is wrong with the data.
    pub health: Health,
    /// Green's requests in this step.
    pub green: Count,
    /// Blue's.
    pub blue: Count,
    /// Green's rate as far as the step's counts bound it; for people, never evidence. None for means.
    pub green_interval: Option<(f64, f64)>,
    /// Blue's.
    pub blue_interval: Option<(f64, f64)>,
    /// Requests of green that a Pass still takes if green is as good as blue; none for means and where nothing is known.
    pub needed: Option<f64>,
}

/// The evidence of one gate, from a rollout's first step to its last.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    pub(super) config: Config,
    pub(super) memory: Memory,
    pub(super) moments: Moments,
    /// Processes of Fail by the step with which they began.
    pub(super) fail: Vec<(usize, Wealth)>,
    pub(super) pass: Wealth,
    pub(super) environment: Wealth,
    pub(super) split: Split,
    pub(super) step: Option<Step>,
    pub(super) green: Count,
    pub(super) blue: Count,
    /// What a mean has gathered since its last bet.
    pub(super) open: Stratum,
    pub(super) as_of: f64,
    /// A stratum said what cannot be.
    pub(super) odd: bool,
}

impl Gate {
    /// A gate that has seen nothing but blue's hour before the release: its increments, scrape by scrape or in one.
    pub fn new(config: Config, before: &[Count]) -> Self {
        let mut all = Count::default();
        before.iter().filter(|count| count.is_sound()).for_each(|count| all += *count);
        Self {
            config,
            memory: Memory::of(all),
            moments: Moments::of(before),
            fail: Vec::new(),
            pass: Wealth::default(),
            environment: Wealth::default(),
            split: Split::default(),
            step: None,
            green: Count::default(),
            blue: Count::default(),
            open: Stratum::default(),
            as_of: f64::NEG_INFINITY,
            odd: false,
        }
    }

    /// Step `index`, counted from 0, has begun: green gets `share`, and would get `next` after it. A step that has begun
    /// begins only once.
    pub fn begin_step(&mut self, index: usize, share: f64, next: f64) {
        if self.step.is_some_and(|step| step.index == index) {
            return;
        }
        // The first process counts as the one from the start, wherever the rollout began.
        let process = if self.fail.is_empty() { 0 } else { index };
        self.fail.push((process, Wealth::default()));
        (self.pass, self.split, self.open) = (Wealth::default(), Split::default(), Stratum::default());
        (self.green, self.blue, self.odd) = (Count::default(), Count::default(), false);
        self.step = Some(Step { index, share, next });
    }

    /// Takes in a stratum that has ended. One that ended before the last is left out.
    pub fn close(&mut self, stratum: &Stratum) {
        let Some(step) = self.step else { return };
        if stratum.until <= self.as_of || !stratum.until.is_finite() {
            return;
        }
        let mean = matches!(self.config.kind, Kind::Mean { .. });
        let sound = |count: Count| count.is_sound() && (mean || count.x <= count.n);
        if !sound(stratum.green) || !sound(stratum.blue) {
            self.odd = true;
            return;
        }
        self.as_of = stratum.until;
        self.green += stratum.green;
        self.blue += stratum.blue;
        // A limit for green alone is kept or not, whatever share it was asked for.
        if !matches!(self.config.kind, Kind::Bound { .. }) {
            self.split.add(step.share, stratum.green.n, stratum.blue.n);
        }
        match self.config.kind {
            Kind::Compare(form) => self.compare(form, step, stratum),
            Kind::Bound { limit } => self.bound(limit, step, stratum),
            Kind::Mean { dearest, frozen } => self.mean(dearest, frozen, step, stratum),
        }
    }

    fn compare(&mut self, form: Form, step: Step, stratum: &Stratum) {
        let p = self.memory.rate();
        let (good, bad) = (self.good_line(), self.bad_line(step, p));
        let log_e = |side, line, green| halfplane::log_e(form, side, line, stratum, Alternative { green, blue: p });
        self.bet_on_fail(&halfplane::fail_rates(good.at(p)).map(|a| log_e(Side::Fail, good, a)));
        self.pass.add(&halfplane::pass_rates(bad.at(p), p).map(|a| log_e(Side::Pass, bad, a)));
        self.memory.learn(stratum.blue, stratum.seconds);
    }

    fn bound(&mut self, limit: f64, step: Step, stratum: &Stratum) {
        let (good, bad) = (self.good_line().at(limit), self.bad_line(step, limit).at(limit));
        let rates = halfplane::fail_rates(good);
        self.bet_on_fail(&rates.map(|a| bound::log_e(Side::Fail, good, stratum.green, a)));
        self.environment.add(&rates.map(|a| bound::log_e(Side::Fail, good, stratum.blue, a)));
        let expected = self.memory.rate().min(limit);
        let bets = halfplane::pass_rates(bad, expected).map(|a| bound::log_e(Side::Pass, bad, stratum.green, a));
        self.pass.add(&bets);
        self.memory.learn(stratum.blue, stratum.seconds);
    }

    fn mean(&mut self, dearest: Option<f64>, frozen: bool, step: Step, stratum: &Stratum) {
        self.open.green += stratum.green;
        self.open.blue += stratum.blue;
        let open = self.open;
        if !means::is_full(&open, frozen) {
            return;
        }
        self.open = Stratum::default();
        let (good, bad) = (self.good_line().rho, self.bad_line(step, 0.0).rho);
        self.bet_on_fail(&means::fail(self.moments, good, &open, frozen));
        self.pass.add(&means::pass(self.moments, bad, dearest, &open, frozen));
        if !frozen {
            self.moments.learn(open.blue);
        }
    }

    fn bet_on_fail(&mut self, ells: &[f64]) {
        self.fail.iter_mut().for_each(|(_, wealth)| wealth.add(ells));
    }

    fn good_line(&self) -> Line {
        budget::good_line(self.config.tolerance, self.config.grey)
    }

    fn bad_line(&self, step: Step, blue: f64) -> Line {
        let next = if self.config.harm_budget { step.next } else { 1.0 };
        budget::bad_line(self.config.tolerance, next, blue)
    }

    fn alpha_of_step(&self, step: Step) -> f64 {
        let Config { alpha_pass, steps, harm_budget, .. } = self.config;
        if harm_budget { budget::alpha_of_step(alpha_pass, step.index, steps) } else { alpha_pass }
    }

    /// The log of the evidence of Fail: one process from the start, one from each later step, each without its best
    /// stratum. A process that has not begun counts as 1.
    pub fn ln_fail(&self) -> f64 {
        let Config { steps, leave_best_out, .. } = self.config;
        let weights = self.fail_weights();
        let ln = |w: &Wealth| if leave_best_out { w.ln_without_best(weights) } else { w.ln(weights) };
        let begun = self.fail.iter().map(|(index, wealth)| (budget::weight_of_process(*index, steps), ln(wealth)));
        let here = self.step.map_or(0, |step| step.index);
        let ahead: f64 = (here + 1..steps).map(|index| budget::weight_of_process(index, steps)).sum();
        mix(begun.chain(std::iter::once((ahead, 0.0))))
    }

    /// The log of the evidence of Pass in this step.
    pub fn ln_pass(&self) -> f64 {
        match self.config.kind {
            Kind::Mean { .. } => self.pass.ln(&means::PASS_WEIGHTS),
            _ => self.pass.ln(&halfplane::PASS_WEIGHTS),
        }
    }

    fn fail_weights(&self) -> &'static [f64] {
        match self.config.kind {
            Kind::Mean { .. } => &means::FAIL_WEIGHTS,
            _ => &halfplane::FAIL_WEIGHTS,
        }
    }

    /// What is known now; `health` is the feed's.
    pub fn evidence(&self, health: Health) -> Evidence {
        let mean = matches!(self.config.kind, Kind::Mean { .. });
        let interval = |count: Count| (!mean).then(|| bound::interval(count, 0.05));
        let alpha = self.step.map_or(self.config.alpha_pass, |step| self.alpha_of_step(step));
        Evidence {
            fail: self.ln_fail(),
            pass: if self.step.is_some() { self.ln_pass() } else { f64::NEG_INFINITY },
            needed_pass: -alpha.ln(),
            environment: self.environment.ln(&halfplane::FAIL_WEIGHTS) >= -self.config.alpha_fail.ln()
                || self.is_blue_ill(),
            split_wrong: self.split.is_wrong(),
            health: Health { inconsistent: health.inconsistent || self.odd, ..health },
            green: self.green,
            blue: self.blue,
            green_interval: interval(self.green),
            blue_interval: interval(self.blue),
            needed: self.needed(),
        }
    }

    /// Both break the limit so far and nothing tells them apart: which of them is proved first is chance. A few bad
    /// requests of a color that has hardly any do not count.
    fn is_blue_ill(&self) -> bool {
        let Kind::Bound { limit } = self.config.kind else { return false };
        let beyond = self.blue.x >= TELLING && self.blue.rate().is_some_and(|rate| rate > limit);
        beyond && bound::interval(self.green, 0.05).0 <= bound::interval(self.blue, 0.05).1
    }

    /// Requests of green that a Pass still takes if green is as good as blue.
    fn needed(&self) -> Option<f64> {
        let step = self.step.filter(|_| !matches!(self.config.kind, Kind::Mean { .. }))?;
        let outlook = self.outlook(step);
        let won = self.pass.logs.first().copied().unwrap_or_default();
        Some(((outlook.nats() - won) / outlook.nats_per_request()?).max(0.0).ceil())
    }

    fn outlook(&self, step: Step) -> budget::Outlook {
        budget::Outlook {
            blue: self.memory.rate(),
            limit: if let Kind::Bound { limit } = self.config.kind { Some(limit) } else { None },
            tolerance: self.config.tolerance,
            share: step.share,
            next: if self.config.harm_budget { step.next } else { 1.0 },
            alpha: self.alpha_of_step(step),
        }
    }

    /// The gate that goes on when green has all the traffic: against the upper end of what blue's rate can be after this
    /// step, or against blue's mean. None before blue was seen.
    pub fn frozen(&self, steps: usize) -> Option<Self> {
        let kind = match self.config.kind {
            Kind::Compare(_) => {
                self.blue.rate()?;
                Kind::Bound { limit: bound::interval(self.blue, 0.05).1 }
            }
            Kind::Bound { limit } => Kind::Bound { limit },
            Kind::Mean { dearest, .. } if self.moments.mean > 0.0 => Kind::Mean { dearest, frozen: true },
            Kind::Mean { .. } => return None,
        };
        let config = Config { kind, steps: steps.max(1), ..self.config };
        Some(Self { memory: self.memory, moments: self.moments, as_of: self.as_of, ..Self::new(config, &[]) })
    }
}

#[cfg(test)]
mod tests;
