//! Raw samples of counters, as a matrix selector tells them, into requests and bad requests of one scrape target. Each
//! series is differenced by itself, before anything is added up, so the restart of one pod is a reset of its own series
//! only. Knows no other target and no step; a scrape of which a counter is missing waits for the next whole one.

use std::collections::{BTreeMap, VecDeque};

use super::{Arm, Count};

/// Two samples so close are of one scrape.
const SAME: f64 = 0.0005;
/// No counter is beyond what an f64 counts one by one.
const MOST: f64 = 9_007_199_254_740_992.0;
/// More samples than these of one counter wait for nothing that will come.
const MOST_PENDING: usize = 20_000;

/// What a counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// All requests.
    Total,
    /// Bad ones; such a series may begin with the first of them.
    Bad,
    /// Good ones, as the bucket of a histogram; the others are bad.
    Good,
    /// What a mean adds up.
    Sum,
}

/// One counter of one scrape target over some time. Samples are `(seconds, value)`, in any order, and may repeat what was
/// told before.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    /// Whose requests.
    pub arm: Arm,
    /// The pod, or the gateway that counted.
    pub target: &'a str,
    /// What it counts.
    pub role: Role,
    /// The other labels; without those that tell replicas of Prometheus apart.
    pub key: &'a str,
    /// What was sampled.
    pub samples: &'a [(f64, f64)],
}

/// One counter: what is counted already, and what waits.
#[derive(Clone, Debug, Default)]
struct Counter {
    /// The last value that was counted.
    last: Option<f64>,
    /// Samples after that; what is no number is none.
    pending: VecDeque<(f64, Option<f64>)>,
    /// When the newest sample was taken, and the newest that was counted.
    newest: Option<f64>,
    counted_at: Option<f64>,
}

impl Counter {
    /// Takes in what is newer than what it has. Two values at one time are no value.
    fn push(&mut self, samples: &[(f64, f64)]) {
        let after = self.newest.unwrap_or(f64::NEG_INFINITY);
        let mut fresh: Vec<(f64, f64)> = samples.iter().copied().filter(|(t, _)| *t > after + SAME).collect();
        fresh.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (at, value) in fresh {
            let value = (0.0..=MOST).contains(&value).then_some(value);
            match self.pending.back_mut() {
                Some(back) if at - back.0 <= SAME => {
                    if back.1 != value {
                        back.1 = None;
                    }
                }
                _ => self.pending.push_back((at, value)),
            }
            self.newest = Some(at);
        }
        while self.pending.len() > MOST_PENDING {
            self.pending.pop_front();
        }
    }

    /// The sample of a scrape.
    fn at(&self, at: f64) -> Option<(f64, Option<f64>)> {
        self.pending.iter().copied().find(|(t, _)| (t - at).abs() <= SAME)
    }

    /// What was counted up to and with `until`, and whether it fell on the way. `from_zero`: a first sample counts whole.
    fn take(&mut self, until: f64, from_zero: bool) -> (f64, bool) {
        let (mut grown, mut fell) = (0.0, false);
        while let Some((at, value)) = self.pending.front().copied().filter(|(at, _)| *at <= until + SAME) {
            self.pending.pop_front();
            let Some(value) = value else { continue };
            grown += match self.last {
                Some(last) if value >= last => value - last,
                // A reset: what was counted between the last scrape and the restart is lost.
                Some(_) => {
                    fell = true;
                    value
                }
                None if from_zero => value,
                None => 0.0,
            };
            (self.last, self.counted_at) = (Some(value), Some(at));
        }
        (grown, fell)
    }

    /// Its process began anew and has not made it yet.
    fn forget(&mut self, before: f64) {
        if self.counted_at.is_some_and(|at| at + SAME < before) {
            (self.last, self.counted_at) = (None, None);
        }
    }
}

/// What a target did between whole scrapes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Taken {
    pub(super) count: Count,
    /// More bad requests than requests; cut down to them.
    pub(super) inconsistent: bool,
}

/// One scrape target and its counters.
#[derive(Clone, Debug)]
pub(super) struct Target {
    counters: BTreeMap<(Role, String), Counter>,
    /// What `x` is made of.
    numerator: Role,
    /// When its pod was made and was ready, as far as known.
    pub(super) created: Option<f64>,
    pub(super) ready: Option<f64>,
    /// It will not be scraped any more.
    pub(super) gone: bool,
    /// Its last whole scrape that was counted.
    pub(super) anchor: Option<f64>,
}

impl Target {
    pub(super) fn new(numerator: Role) -> Self {
        Self { counters: BTreeMap::new(), numerator, created: None, ready: None, gone: false, anchor: None }
    }

    pub(super) fn push(&mut self, role: Role, key: &str, samples: &[(f64, f64)]) {
        let known = self.counters.iter_mut().find(|((r, k), _)| *r == role && k == key);
        match known {
            Some((_, counter)) => counter.push(samples),
            None => self.counters.entry((role, key.to_owned())).or_default().push(samples),
        }
    }

    /// When whole scrapes were taken that are not counted yet, in order.
    pub(super) fn scrapes(&self) -> Vec<f64> {
        let mut times: Vec<f64> = self.counters.values().flat_map(|c| c.pending.iter().map(|(at, _)| *at)).collect();
        times.sort_by(f64::total_cmp);
        times.dedup_by(|a, b| *a - *b <= SAME);
        times.retain(|at| self.is_whole(*at));
        times
    }

    /// Every counter that should be there is, with a number.
    fn is_whole(&self, at: f64) -> bool {
        let present =
            |role: Role| self.counters.iter().any(|((r, _), c)| *r == role && matches!(c.at(at), Some((_, Some(_)))));
        let needed = self.numerator == Role::Bad || present(self.numerator);
        present(Role::Total)
            && needed
            && self.counters.iter().all(|((role, _), c)| self.is_there_or_excused(*role, c, at))
    }

    /// A counter may be missing before its first sample, and after a restart of its process; else a scrape without it says
    /// nothing: a hole in the bad requests would look like none.
    fn is_there_or_excused(&self, role: Role, counter: &Counter, at: f64) -> bool {
        if let Some((_, value)) = counter.at(at) {
            return value.is_some();
        }
        let before = counter.pending.iter().rev().map(|(t, _)| *t).find(|t| *t < at).or(counter.counted_at);
        match before {
            None => role == Role::Bad || role == Role::Total,
            Some(before) => self.restarted(before, at),
        }
    }

    /// A counter of all requests fell, or went away with another left, between two scrapes.
    fn restarted(&self, from: f64, to: f64) -> bool {
        self.counters.iter().filter(|((role, _), _)| *role == Role::Total).any(|(_, counter)| {
            let mut last = counter.last.filter(|_| counter.counted_at.is_some_and(|at| at + SAME >= from));
            counter.pending.iter().filter(|(at, _)| *at + SAME >= from && *at <= to + SAME).any(|(_, value)| {
                let fell = matches!((last, value), (Some(last), Some(value)) if *value < last);
                last = value.or(last);
                fell
            })
        })
    }

    /// Counts all whole scrapes up to `until`. Only what lies between two of them, the first at or after `warm_at`, counts;
    /// the first of a pod that was made after `began` is counted from zero.
    pub(super) fn take(&mut self, until: f64, warm_at: f64, began: f64) -> Taken {
        let (mut total, mut value) = (0.0, 0.0);
        for scrape in self.scrapes().into_iter().take_while(|at| *at <= until + SAME) {
            let young = self.created.filter(|at| *at >= began);
            let from = self.anchor.or(young);
            let counts = from.is_some_and(|from| from + SAME >= warm_at);
            let mut restarted = false;
            for ((role, _), counter) in &mut self.counters {
                let (grown, fell) = counter.take(scrape, from.is_some());
                restarted |= fell && *role == Role::Total;
                match role {
                    _ if !counts => {}
                    Role::Total => total += grown,
                    role if *role == self.numerator => value += grown,
                    _ => {}
                }
            }
            if restarted {
                self.counters.values_mut().for_each(|counter| counter.forget(scrape));
            }
            self.anchor = Some(scrape);
        }
        Self::settle(self.numerator, total, value)
    }

    fn settle(numerator: Role, n: f64, value: f64) -> Taken {
        let x = if numerator == Role::Good { n - value } else { value };
        if numerator == Role::Sum {
            return Taken { count: Count::new(n, x), inconsistent: n <= 0.0 && x > 0.0 };
        }
        Taken { count: Count::new(n, x.clamp(0.0, n)), inconsistent: !(0.0..=n).contains(&x) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: f64 = f64::NEG_INFINITY;

    fn target(bad: &[(f64, f64)], total: &[(f64, f64)]) -> Target {
        let mut target = Target::new(Role::Bad);
        target.push(Role::Total, "", total);
        target.push(Role::Bad, "code=500", bad);
        target
    }

    fn taken(target: &mut Target) -> (f64, f64) {
        let Count { n, x } = target.take(1e9, OLD, 0.0).count;
        (n, x)
    }

    const TOTAL: [(f64, f64); 4] = [(15.0, 100.0), (30.0, 110.0), (45.0, 130.0), (60.0, 160.0)];

    #[test]
    fn counters_are_differenced_and_the_first_sample_is_the_baseline() {
        let mut target = target(&[(15.0, 7.0), (30.0, 7.0), (45.0, 8.0), (60.0, 9.0)], &TOTAL);
        assert_eq!(taken(&mut target), (60.0, 2.0));
        assert_eq!(taken(&mut target), (0.0, 0.0), "nothing is counted twice");
        target.push(Role::Total, "", &[(45.0, 130.0), (60.0, 160.0), (75.0, 170.0)]);
        target.push(Role::Bad, "code=500", &[(60.0, 9.0), (75.0, 10.0)]);
        assert_eq!(taken(&mut target), (10.0, 1.0), "told again, counted once");
    }

    #[test]
    fn the_first_error_of_a_pod_counts() {
        let mut born = target(&[(45.0, 1.0), (60.0, 1.0)], &TOTAL);
        assert_eq!(taken(&mut born), (60.0, 1.0));
        let mut young = target(&[(15.0, 3.0), (30.0, 3.0), (45.0, 3.0), (60.0, 3.0)], &TOTAL);
        young.created = Some(5.0);
        assert_eq!(taken(&mut young), (160.0, 3.0), "a pod that was made after the start began at zero");
        let mut old = target(&[(15.0, 3.0), (30.0, 3.0), (45.0, 3.0), (60.0, 3.0)], &TOTAL);
        old.created = Some(-5.0);
        assert_eq!(taken(&mut old), (60.0, 0.0));
    }

    #[test]
    fn a_restart_resets_all_counters_of_a_pod() {
        let total = [(15.0, 100.0), (30.0, 8.0), (45.0, 20.0)];
        let mut with = target(&[(15.0, 7.0), (30.0, 2.0), (45.0, 3.0)], &total);
        assert_eq!(taken(&mut with), (20.0, 3.0));
        let mut without = target(&[(15.0, 7.0), (45.0, 1.0)], &total);
        assert_eq!(taken(&mut without), (20.0, 1.0), "after a restart the errors begin anew");
        let mut silent = target(&[(15.0, 7.0)], &total[..2]);
        assert_eq!(taken(&mut silent), (8.0, 0.0));
        silent.push(Role::Total, "", &total[2..]);
        assert_eq!(taken(&mut silent), (12.0, 0.0), "no error since the restart is no hole");
    }

    #[test]
    fn a_hole_in_the_errors_is_not_read_as_none() {
        let holes: [&[(f64, f64)]; 3] = [
            &[(15.0, 7.0), (30.0, f64::NAN), (45.0, 9.0), (60.0, f64::NAN)],
            &[(15.0, 7.0), (45.0, 9.0)],
            &[(15.0, 7.0), (30.0, -1.0), (45.0, 9.0), (60.0, f64::INFINITY)],
        ];
        for bad in holes {
            assert_eq!(taken(&mut target(bad, &TOTAL)), (30.0, 2.0), "{bad:?}: counted up to the last whole scrape");
        }
        assert_eq!(taken(&mut target(&[(15.0, f64::NAN), (30.0, f64::NAN)], &TOTAL[..2])), (0.0, 0.0));
    }

    #[test]
    fn order_and_repetition_of_samples_change_nothing() {
        let mut shuffled = [(60.0, 160.0), (15.0, 100.0), (45.0, 130.0), (30.0, 110.0), (45.0, 130.0), (f64::NAN, 1.0)];
        shuffled.reverse();
        let bad = [(60.0, 9.0), (30.0, 7.0), (15.0, 7.0), (45.0, 8.0)];
        assert_eq!(taken(&mut target(&bad, &shuffled)), (60.0, 2.0));
        let two = [(15.0, 100.0), (30.0, 110.0), (30.0, 900.0), (45.0, 130.0), (60.0, 160.0)];
        assert_eq!(taken(&mut target(&bad, &two)), (60.0, 2.0), "two values at one time are none");
    }

    #[test]
    fn more_errors_than_requests_are_cut_and_told() {
        let mut target = target(&[(15.0, 0.0), (30.0, 50.0)], &TOTAL[..2]);
        let taken = target.take(1e9, OLD, 0.0);
        assert!(taken.inconsistent && taken.count == Count::new(10.0, 10.0));
    }

    #[test]
    fn good_buckets_and_sums_must_be_there() {
        let mut buckets = Target::new(Role::Good);
        buckets.push(Role::Total, "", &TOTAL);
        assert_eq!(taken(&mut buckets), (0.0, 0.0), "without the bucket nobody knows how many were slow");
        buckets.push(Role::Good, "le=1.5", &[(15.0, 90.0), (30.0, 99.0), (45.0, 117.0), (60.0, 144.0)]);
        assert_eq!(taken(&mut buckets), (60.0, 6.0));
        let mut sums = Target::new(Role::Sum);
        sums.push(Role::Total, "", &TOTAL);
        sums.push(Role::Sum, "", &[(15.0, 1.0), (30.0, 500.0), (45.0, 501.0), (60.0, 502.0)]);
        assert_eq!(taken(&mut sums), (60.0, 501.0));
    }

    #[test]
    fn what_a_cold_pod_did_is_not_counted() {
        let mut target = target(&[(15.0, 0.0), (30.0, 9.0), (45.0, 9.0), (60.0, 10.0)], &TOTAL);
        assert_eq!(target.take(1e9, 25.0, 0.0).count, Count::new(50.0, 1.0));
    }
}
