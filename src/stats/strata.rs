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

/// How many of the times, which are in order, are not after `end`.
fn up_to(times: &[f64], end: f64) -> usize {
    times.partition_point(|at| *at <= end)
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
    /// Samples bear times that are yet to come.
    pub ahead: bool,
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
    /// When samples from the future were told last, and whether that was in this step.
    future: f64,
    ahead: bool,
    /// Until when evidence was kept that this feed has not seen the samples of.
    known: f64,
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
            future: f64::NEG_INFINITY,
            ahead: false,
            known: f64::NEG_INFINITY,
        }
    }

    /// What was cut until then was counted by another feed: whether its samples can still be told is all the same.
    pub fn knew(&mut self, until: f64) {
        self.known = until;
    }

    /// Weights have changed at `at`. What was not cut yet is left out. `alone`: green has all the traffic.
    pub fn begin_step(&mut self, at: f64, alone: bool) {
        self.began = self.began.min(at);
        (self.step, self.edge, self.tick, self.alone) = (at, at, 0, alone);
        // What was told of the future since the step began is no less odd when the step is heard of late.
        (self.green_expected, self.green_scraped, self.inconsistent) = (0.0, 0.0, false);
        self.ahead = self.future >= at;
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

    /// Takes in what is new of a series. Samples from the future are left out, and
    /// block Pass. Push all series of an answer, then `close`.
    pub fn push(&mut self, series: &Series<'_>, now: f64) {
        let until = now + STALE * self.pace.interval;
        let target = self.target(series.arm, series.target);
        if series.samples.iter().all(|(at, _)| *at <= until) {
            target.push(series.role, series.key, series.samples);
        } else {
            let past: Vec<_> = series.samples.iter().copied().filter(|(at, _)| *at <= until).collect();
            target.push(series.role, series.key, &past);
            self.ahead = true;
            self.future = self.future.max(now);
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
        let scrapes: Vec<Vec<f64>> = self.targets.values().map(Target::scrapes).collect();
        for _ in 0..MOST_TICKS {
            let end = self.step + f64::from(self.tick.saturating_add(1)) * self.pace.tick;
            if end > now {
                break;
            }
            let each = self.targets.iter().zip(&scrapes);
            let standings: Vec<(Arm, Standing)> =
                each.map(|(((arm, _), target), scrapes)| (*arm, self.standing(target, scrapes, end, now))).collect();
            if standings.iter().any(|(_, standing)| *standing == Standing::Awaited) {
                break;
            }
            self.tick = self.tick.saturating_add(1);
            self.note_scrapes(end, &scrapes, &standings);
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
        let gap = self.green_scraped < ENOUGH * self.green_expected;
        Health { gap, inconsistent: self.inconsistent, ahead: self.ahead }
    }

    fn standing(&self, target: &Target, scrapes: &[f64], end: f64, now: f64) -> Standing {
        let (before, after) = scrapes.split_at(up_to(scrapes, end));
        let Some(last) = before.last().copied().or(target.anchor) else { return Standing::Unborn };
        let interval = self.pace.interval;
        if last > end - interval {
            Standing::Scraped
        } else if target.gone || end - last > STALE * interval {
            Standing::Stale
        } else if !after.is_empty() || now >= end + STALE * interval {
            Standing::Missed
        } else {
            Standing::Awaited
        }
    }

    /// Counts what came of green's scrapes and what should have.
    fn note_scrapes(&mut self, end: f64, scrapes: &[Vec<f64>], standings: &[(Arm, Standing)]) {
        let each = (self.pace.tick / self.pace.interval).round().max(1.0);
        let mut nobody = true;
        for ((target, scrapes), (arm, standing)) in self.targets.values().zip(scrapes).zip(standings) {
            // Who has been silent for long is gone: nobody misses its scrapes as long as another is there, and the split
            // tells when it answers requests all the same.
            if *arm == Arm::Blue || matches!(standing, Standing::Unborn | Standing::Stale) {
                continue;
            }
            nobody = false;
            if !target.gone {
                let inside = up_to(scrapes, end) - up_to(scrapes, end - self.pace.tick);
                self.green_expected += each;
                self.green_scraped += f64::from(u32::try_from(inside).unwrap_or(u32::MAX)).min(each);
            }
        }
        if nobody && end > self.known {
            self.green_expected += each;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds a step that begins at 0 with scrapes each 15 s: 10 requests of green and 100 of blue at each.
    struct Rig {
        feed: Feed,
        strata: Vec<Stratum>,
    }

    impl Rig {
        fn new() -> Self {
            let mut feed = Feed::new(Pace::every(15.0), Role::Bad, 0.0);
            feed.begin_step(0.0, false);
            Self { feed, strata: Vec::new() }
        }

        fn scrape(&mut self, arm: Arm, target: &str, at: f64, each: f64, now: f64) {
            let k = (at / 15.0).floor();
            for (role, value) in [(Role::Total, k * each), (Role::Bad, k)] {
                self.feed.push(&Series { arm, target, role, key: "", samples: &[(at, value)] }, now);
            }
        }

        fn ticks(&mut self, ticks: std::ops::RangeInclusive<u32>, scraped: impl Fn(u32) -> (bool, bool)) {
            for k in ticks {
                let (green, blue) = scraped(k);
                self.tick(k, green, blue);
            }
        }

        /// One tick; which arms are scraped is asked.
        fn tick(&mut self, k: u32, green: bool, blue: bool) -> usize {
            let at = f64::from(k) * 15.0;
            if green {
                self.scrape(Arm::Green, "green-1", at, 10.0, at);
            }
            if blue {
                self.scrape(Arm::Blue, "blue-1", at, 100.0, at);
            }
            let closed = self.feed.close(at);
            self.strata.extend(&closed);
            closed.len()
        }
    }

    #[test]
    fn a_stratum_ends_when_both_arms_were_scraped() {
        let mut rig = Rig::new();
        let closed: Vec<usize> = (0..=4).map(|k| rig.tick(k, true, true)).collect();
        assert_eq!(closed, [0, 1, 1, 1, 1]);
        let last = rig.strata.last().unwrap();
        assert_eq!((last.seconds, last.until), (15.0, 60.0));
        assert_eq!((last.green.n, last.blue.n, last.green.x), (10.0, 100.0, 1.0));
    }

    #[test]
    fn a_missed_scrape_makes_a_stratum_longer_and_loses_nothing() {
        let mut rig = Rig::new();
        rig.ticks(0..=2, |_| (true, true));
        assert_eq!(rig.tick(3, false, true), 0, "it may still be told");
        assert_eq!(rig.tick(4, true, true), 1);
        let last = rig.strata.last().unwrap();
        assert_eq!((last.seconds, last.green.n, last.blue.n), (30.0, 20.0, 200.0));
    }

    #[test]
    fn a_target_that_is_gone_does_not_hold_up_the_others() {
        let mut rig = Rig::new();
        for k in 0..=9 {
            if k < 3 {
                rig.scrape(Arm::Green, "green-2", f64::from(k) * 15.0, 10.0, f64::from(k) * 15.0);
            }
            rig.tick(k, true, true);
        }
        let ends: Vec<f64> = rig.strata.iter().map(|s| s.until).collect();
        assert_eq!(ends, [15.0, 30.0, 75.0, 90.0, 105.0, 120.0, 135.0], "stale after two intervals");
        let all: f64 = rig.strata.iter().map(|s| s.green.n).sum();
        assert!((all - 110.0).abs() < 1e-9, "{all}");
        rig.feed.gone(Arm::Green, "green-2");
        rig.ticks(10..=12, |_| (true, true));
        assert!((rig.strata.last().unwrap().until - 180.0).abs() < 1e-9, "nobody waits for what is known to be gone");
    }

    #[test]
    fn a_pod_that_was_replaced_is_no_gap_and_silence_of_all_is_one() {
        let mut rig = Rig::new();
        rig.ticks(0..=4, |_| (true, true));
        for k in 5..=60 {
            rig.scrape(Arm::Green, "green-2", f64::from(k) * 15.0, 10.0, f64::from(k) * 15.0);
            rig.tick(k, false, true);
        }
        assert!(!rig.feed.health().gap, "the next pod tells everything");
        rig.ticks(61..=90, |_| (false, true));
        assert!(rig.feed.health().gap, "nobody tells anything any more");
    }

    #[test]
    fn without_one_arm_no_stratum_ends() {
        for (green, blue) in [(true, false), (false, true), (false, false)] {
            let mut rig = Rig::new();
            rig.ticks(0..=20, |_| (green, blue));
            assert!(rig.strata.is_empty());
            assert_eq!(rig.feed.health().gap, !green);
        }
        let mut alone = Rig::new();
        alone.feed.begin_step(0.0, true);
        alone.ticks(0..=20, |_| (true, false));
        assert_eq!(alone.strata.len(), 20);
    }

    #[test]
    fn a_quarter_of_missing_scrapes_is_a_gap() {
        for (each, gap) in [(3, true), (10, false)] {
            let mut rig = Rig::new();
            rig.ticks(0..=60, |k| (k % each != 0, true));
            assert_eq!(rig.feed.health().gap, gap);
            rig.feed.begin_step(900.0, false);
            assert!(!rig.feed.health().gap, "each step counts anew");
        }
    }

    #[test]
    fn what_was_counted_before_and_is_lost_is_no_gap() {
        let gap = |known: Option<f64>| {
            let mut rig = Rig::new();
            if let Some(until) = known {
                rig.feed.knew(until);
            }
            rig.ticks(0..=40, |k| (k > 20, k > 20));
            rig.feed.health().gap
        };
        assert!(gap(None) && !gap(Some(300.0)));
        assert!(gap(Some(120.0)), "what nobody counted is missing");
    }

    #[test]
    fn the_future_is_not_forgotten_when_a_step_is_heard_of_late() {
        let told_at = |now: f64| {
            let mut rig = Rig::new();
            rig.scrape(Arm::Green, "green-1", now + 31.0, 10.0, now);
            assert!(rig.feed.health().ahead);
            rig.feed.begin_step(300.0, false);
            rig.feed.health().ahead
        };
        assert!(told_at(450.0) && told_at(300.0), "it was told in this step");
        assert!(!told_at(299.0), "each step counts anew");
    }

    #[test]
    fn what_is_cold_is_left_out() {
        let mut rig = Rig::new();
        rig.feed.warm_up = 60.0;
        rig.feed.pod(Arm::Green, "green-1", Some(-10.0), Some(0.0));
        rig.ticks(0..=8, |_| (true, true));
        assert_eq!(rig.strata.len(), 4);
        let mut restarted = Rig::new();
        restarted.feed.warm_up = 60.0;
        restarted.feed.pod(Arm::Green, "green-1", Some(20.0), Some(30.0));
        restarted.ticks(0..=8, |_| (true, true));
        let green: f64 = restarted.strata.iter().map(|s| s.green.n).sum();
        assert!((green - 20.0).abs() < 1e-9, "warm from 90 on: {green}");
    }

    #[test]
    fn told_late_or_in_one_go_the_strata_are_the_same() {
        let mut live = Rig::new();
        live.ticks(0..=40, |k| (k % 7 != 3, k % 11 != 5));
        let mut late = Rig::new();
        for k in 0..=40 {
            let at = f64::from(k) * 15.0;
            if k % 7 != 3 {
                late.scrape(Arm::Green, "green-1", at, 10.0, 600.0);
            }
            if k % 11 != 5 {
                late.scrape(Arm::Blue, "blue-1", at, 100.0, 600.0);
            }
        }
        assert_eq!(late.feed.close(600.0), live.strata);
    }

    #[test]
    fn clocks_that_are_apart_end_no_stratum() {
        for skew in [-3600.0, -60.0, 60.0, 3600.0, 1e18] {
            let mut rig = Rig::new();
            for k in 0..=40 {
                let at = f64::from(k) * 15.0;
                rig.scrape(Arm::Green, "green-1", at + skew, 10.0, at);
                rig.tick(k, false, true);
            }
            assert!(rig.strata.is_empty(), "{skew}: {:?}", rig.strata.first());
        }
        let mut wild = Rig::new();
        assert_eq!(wild.feed.close(1e18).len(), 0);
        assert_eq!(wild.feed.close(f64::NAN).len(), 0);
    }

    #[test]
    fn the_pace_is_read_from_the_samples() {
        let samples = |phase: f64| -> Vec<(f64, f64)> { (0..20).map(|k| (f64::from(k) * 15.0 + phase, 0.0)).collect() };
        let pace = |green: f64, blue: f64| {
            let (green, blue) = (samples(green), samples(blue));
            let of = |arm, samples| Series { arm, target: "", role: Role::Total, key: "", samples };
            Pace::of(&[of(Arm::Green, &green), of(Arm::Blue, &blue)]).unwrap()
        };
        assert_eq!(pace(1.0, 14.0), Pace::every(15.0), "two seconds apart, over the edge");
        assert_eq!(pace(1.0, 8.0), Pace { interval: 15.0, tick: 60.0 });
        assert_eq!(Pace::of(&[]), None);
    }
}
