//! Where strata end. A feed takes raw series of both arms and cuts them at scrapes: a stratum ends at a tick at which every
//! living target of both arms was scraped, or is stale; a missed scrape makes it longer. Depends on when scrapes came,
//! never on what they said. Holds no evidence.

use std::collections::BTreeMap;

use super::{
    Arm, Stratum,
    counters::{Role, Series, Target},
};

/// A target that was not scraped for so many intervals is stale.
const STALE: f64 = 2.0;
/// Ticks of one call; a clock that jumped may not keep it busy.
const MOST_TICKS: usize = 20_000;
/// Share of a step's scrapes of green that must be there.
const ENOUGH: f64 = 0.75;
/// Arms scraped so many seconds apart are cut more coarsely.
const APART: f64 = 5.0;
const COARSE: f64 = 60.0;

/// How often targets are scraped, and how often a stratum may end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Seconds between scrapes.
    pub interval: f64,
    /// Seconds between ticks, a multiple of it.
    pub tick: f64,
}

impl Pace {
    /// A tick at every scrape.
    pub fn every(interval: f64) -> Self {
        let interval = if interval.is_finite() { interval.clamp(1.0, 600.0) } else { 15.0 };
        Self { interval, tick: interval }
    }

    /// What the spacing of samples says; a minute's ticks when the arms are scraped more than 5 s apart. None when no
    /// series has two samples.
    pub fn of(series: &[Series<'_>]) -> Option<Self> {
        let mut steps: Vec<f64> = series.iter().flat_map(|s| s.samples.windows(2)).filter_map(spacing).collect();
        steps.sort_by(f64::total_cmp);
        let pace = Self::every(*steps.get(steps.len() / 2)?);
        let (Some(green), Some(blue)) =
            (phase(series, Arm::Green, pace.interval), phase(series, Arm::Blue, pace.interval))
        else {
            return Some(pace);
        };
        let apart = (green - blue).abs();
        let apart = apart.min(pace.interval - apart);
        let coarse = (COARSE / pace.interval).ceil().max(1.0) * pace.interval;
        Some(if apart > APART { Self { tick: coarse, ..pace } } else { pace })
    }
}

fn spacing(pair: &[(f64, f64)]) -> Option<f64> {
    match pair {
        [(a, _), (b, _)] if b > a => Some(b - a),
        _ => None,
    }
}

/// When in an interval an arm is scraped: the mean direction, for 14 s and 1 s are close.
fn phase(series: &[Series<'_>], arm: Arm, interval: f64) -> Option<f64> {
    let turn = std::f64::consts::TAU / interval;
    let (mut sin, mut cos) = (0.0, 0.0);
    for (at, _) in series.iter().filter(|s| s.arm == arm).filter_map(|s| s.samples.last()) {
        let angle = at * turn;
        if angle.is_finite() {
            (sin, cos) = (sin + angle.sin(), cos + angle.cos());
        }
    }
    (f64::hypot(sin, cos) > 0.0).then(|| (sin.atan2(cos) / turn).rem_euclid(interval))
}

/// What is known to be wrong with a step's data. Either blocks Pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// More than a quarter of green's scrapes are missing.
    pub gap: bool,
    /// More bad requests than requests.
    pub inconsistent: bool,
}

/// How a target stands at a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Scraped,
    Missed,
    Stale,
    /// The scrape may still be told.
    Awaited,
    /// Never seen so far.
    Unborn,
}

/// Raw series in, strata out. One for each gate: each gate reads other counters.
#[derive(Clone, Debug)]
pub struct Feed {
    pace: Pace,
    numerator: Role,
    warm_up: f64,
    targets: BTreeMap<(Arm, String), Target>,
    /// When the rollout and the step began.
    began: f64,
    step: f64,
    /// Green has all the traffic; nobody waits for blue.
    alone: bool,
    /// The next tick of the step, and when the open stratum began.
    tick: u32,
    edge: f64,
    green_expected: f64,
    green_scraped: f64,
    inconsistent: bool,
}

impl Feed {
    /// A feed for counters whose `x` is made of `numerator` (for `Role::Total`, as for bad ones: none). Green's first
    /// `warm_up` seconds of a pod and of a step are left out.
    pub fn new(pace: Pace, numerator: Role, warm_up: f64) -> Self {
        Self {
            pace: Pace { interval: Pace::every(pace.interval).interval, tick: pace.tick.max(pace.interval).max(1.0) },
            numerator: if numerator == Role::Total { Role::Bad } else { numerator },
            warm_up: if warm_up.is_finite() { warm_up.max(0.0) } else { 60.0 },
            targets: BTreeMap::new(),
            began: f64::INFINITY,
            step: f64::INFINITY,
            alone: false,
            tick: 0,
            edge: f64::INFINITY,
            green_expected: 0.0,
            green_scraped: 0.0,
            inconsistent: false,
        }
    }

    /// Weights have changed at `at`. What was not cut yet is left out. `alone`: green has all the traffic.
    pub fn begin_step(&mut self, at: f64, alone: bool) {
        self.began = self.began.min(at);
        (self.step, self.edge, self.tick, self.alone) = (at, at, 0, alone);
        (self.green_expected, self.green_scraped, self.inconsistent) = (0.0, 0.0, false);
    }

    /// What is known of a pod: when it was made, and when it was ready.
    pub fn pod(&mut self, arm: Arm, name: &str, created: Option<f64>, ready: Option<f64>) {
        let target = self.target(arm, name);
        (target.created, target.ready) = (created, ready);
    }

    /// The pod is gone: nobody waits for it or misses its scrapes.
    pub fn gone(&mut self, arm: Arm, name: &str) {
        self.target(arm, name).gone = true;
    }

    /// Takes in what is new of a series. Samples from the future are left out. Push all series of an answer, then `close`.
    pub fn push(&mut self, series: &Series<'_>, now: f64) {
        let until = now + STALE * self.pace.interval;
        let target = self.target(series.arm, series.target);
        if series.samples.iter().all(|(at, _)| *at <= until) {
            target.push(series.role, series.key, series.samples);
        } else {
            let past: Vec<_> = series.samples.iter().copied().filter(|(at, _)| *at <= until).collect();
            target.push(series.role, series.key, &past);
        }
    }

    fn target(&mut self, arm: Arm, name: &str) -> &mut Target {
        let numerator = self.numerator;
        self.targets.entry((arm, name.to_owned())).or_insert_with(|| Target::new(numerator))
    }

    /// The strata that have ended by `now`, oldest first.
    pub fn close(&mut self, now: f64) -> Vec<Stratum> {
        let mut strata = Vec::new();
        if !self.step.is_finite() || !now.is_finite() {
            return strata;
        }
        for _ in 0..MOST_TICKS {
            let end = self.step + f64::from(self.tick.saturating_add(1)) * self.pace.tick;
            if end > now {
                break;
            }
            let standings: Vec<(Arm, Standing)> =
                self.targets.iter().map(|((arm, _), target)| (*arm, self.standing(target, end, now))).collect();
            if standings.iter().any(|(_, standing)| *standing == Standing::Awaited) {
                break;
            }
            self.tick = self.tick.saturating_add(1);
            self.note_scrapes(end, &standings);
            let has = |arm: Arm| standings.contains(&(arm, Standing::Scraped));
            let missed = standings.iter().any(|(_, standing)| *standing == Standing::Missed);
            if !missed && has(Arm::Green) && (self.alone || has(Arm::Blue)) {
                strata.extend(self.cut(end));
            }
        }
        strata
    }

    /// What is wrong with the data of this step.
    pub fn health(&self) -> Health {
        Health { gap: self.green_scraped < ENOUGH * self.green_expected, inconsistent: self.inconsistent }
    }

    fn standing(&self, target: &Target, end: f64, now: f64) -> Standing {
        let scrapes = target.scrapes();
        let last = scrapes.iter().copied().rfind(|at| *at <= end).or(target.anchor);
        let Some(last) = last else { return Standing::Unborn };
        let interval = self.pace.interval;
        if last > end - interval {
            Standing::Scraped
        } else if target.gone || end - last > STALE * interval {
            Standing::Stale
        } else if scrapes.iter().any(|at| *at > end) || now >= end + STALE * interval {
            Standing::Missed
        } else {
            Standing::Awaited
        }
    }

    /// Counts what came of green's scrapes and what should have.
    fn note_scrapes(&mut self, end: f64, standings: &[(Arm, Standing)]) {
        let each = (self.pace.tick / self.pace.interval).round().max(1.0);
        let alive = |(arm, standing): &&(Arm, Standing)| *arm == Arm::Green && *standing != Standing::Unborn;
        if !standings.iter().any(|s| alive(&s)) {
            self.green_expected += each;
        }
        for ((_, target), _) in self.targets.iter().zip(standings).filter(|(_, s)| alive(s)) {
            if target.gone {
                continue;
            }
            let inside = target.scrapes().iter().filter(|at| **at > end - self.pace.tick && **at <= end).count();
            self.green_expected += each;
            self.green_scraped += f64::from(u32::try_from(inside).unwrap_or(u32::MAX)).min(each);
        }
    }

    /// Ends the open stratum. None while the step warms up.
    fn cut(&mut self, end: f64) -> Option<Stratum> {
        let counts = self.edge >= self.step + self.warm_up;
        let mut stratum = Stratum { seconds: end - self.edge, until: end, ..Stratum::default() };
        let (step, warm_up, began, alone) = (self.step, self.warm_up, self.began, self.alone);
        for ((arm, _), target) in &mut self.targets {
            // Requests from before the step were sent by other weights.
            let warm_at = match (arm, target.ready) {
                (Arm::Green, Some(ready)) => ready.max(step) + warm_up,
                _ => step,
            };
            let taken = target.take(end, warm_at, began);
            if !counts {
                continue;
            }
            self.inconsistent |= taken.inconsistent;
            match arm {
                Arm::Green => stratum.green += taken.count,
                Arm::Blue if alone => {}
                Arm::Blue => stratum.blue += taken.count,
            }
        }
        self.edge = end;
        counts.then_some(stratum)
    }
}
