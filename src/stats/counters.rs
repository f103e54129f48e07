//! Raw samples of counters, as a matrix selector tells them, into requests and bad requests of one scrape target. Each
//! series is differenced by itself, before anything is added up, so the restart of one pod is a reset of its own series
//! only. Knows no other target and no step; a scrape of which a counter is missing waits for the next whole one.

use std::collections::{BTreeMap, VecDeque};

use super::{Arm, Count};

/// Two samples so close are of one scrape.
const SAME: f64 = 0.0005;
/// No counter is beyond what an f64 counts one by one.
const MOST: f64 = 9_007_199_254_740_992.0;
/// A process that began anew has counted less than this share of what it had.
const RESTART: f64 = 0.5;
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
    /// What is taken off that again; such a series may begin late.
    Less,
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
    /// Its value at the last whole scrape; none before its first, and after a restart until it is made again.
    last: Option<f64>,
    /// It was told at all since its process began, in whole scrapes or others.
    known: bool,
    /// Samples after that; what is no number is none.
    pending: VecDeque<(f64, Option<f64>)>,
    /// When the newest sample was taken.
    newest: Option<f64>,
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
    fn at(&self, at: f64) -> Told {
        let place = self.pending.partition_point(|(t, _)| *t < at - SAME);
        match self.pending.get(place).filter(|(t, _)| *t <= at + SAME) {
            Some((_, Some(value))) => Told::Value(*value),
            Some((_, None)) => Told::Odd,
            None => Told::Absent,
        }
    }
}

/// What a scrape says of one counter.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    Value(f64),
    Absent,
    Odd,
}

/// A scrape in which everything is there that should be.
#[derive(Clone, Debug)]
struct Whole {
    at: f64,
    /// The process began anew since the last.
    restarted: bool,
    /// What each counter said, in their order, and which were ever told.
    values: Vec<Option<f64>>,
    known: Vec<bool>,
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
        self.whole(f64::INFINITY).into_iter().map(|scrape| scrape.at).collect()
    }

    /// The whole scrapes up to `until` that are not counted yet, in order.
    fn whole(&self, until: f64) -> Vec<Whole> {
        let pending = |c: &Counter| -> Vec<f64> {
            c.pending.iter().map(|(at, _)| *at).take_while(|at| *at <= until + SAME).collect()
        };
        let mut times: Vec<f64> = self.counters.values().flat_map(pending).collect();
        times.sort_by(f64::total_cmp);
        times.dedup_by(|a, b| *a - *b <= SAME);
        let mut last: Vec<Option<f64>> = self.counters.values().map(|counter| counter.last).collect();
        let mut known: Vec<bool> = self.counters.values().map(|counter| counter.known).collect();
        let mut whole = Vec::new();
        for at in times {
            let told: Vec<Told> = self.counters.values().map(|counter| counter.at(at)).collect();
            let scrape = self.read(at, &told, &last, &known);
            let restarted = scrape.as_ref().is_some_and(|scrape| scrape.restarted);
            for (known, told) in known.iter_mut().zip(&told) {
                *known = (*known && !restarted) || *told != Told::Absent;
            }
            let Some(scrape) = scrape else { continue };
            for (last, value) in last.iter_mut().zip(&scrape.values) {
                *last = value.or(last.filter(|_| !restarted));
            }
            whole.push(Whole { known: known.clone(), ..scrape });
        }
        whole
    }

    /// The scrape at `at`, if it is whole. Counters of one process only grow, or fall together when it begins anew; one may
    /// be missing before its first sample and after a restart. Anything else is a hole, and a hole in the bad requests must
    /// not look like none.
    fn read(&self, at: f64, told: &[Told], last: &[Option<f64>], known: &[bool]) -> Option<Whole> {
        let all = || self.counters.keys().map(|(role, _)| *role).zip(told.iter().zip(last.iter().zip(known)));
        let present = |wanted: Role| all().any(|(role, (told, _))| role == wanted && matches!(told, Told::Value(_)));
        if !present(Role::Total) || (self.numerator != Role::Bad && !present(self.numerator)) {
            return None;
        }
        let restarted = all().any(|(role, (told, (last, _)))| match (told, last) {
            (Told::Value(now), Some(last)) => role == Role::Total && *now < *last && *now <= RESTART * last,
            _ => false,
        });
        let fits = |(told, (last, known)): (&Told, (&Option<f64>, &bool))| match (told, last) {
            (Told::Odd, _) => false,
            (Told::Absent, _) => restarted || !known,
            (Told::Value(_), None) => true,
            (Told::Value(now), Some(last)) if restarted => now <= last,
            (Told::Value(now), Some(last)) => now >= last,
        };
        all().all(|(_, pair)| fits(pair)).then(|| Whole {
            at,
            restarted,
            values: told.iter().map(|told| if let Told::Value(v) = told { Some(*v) } else { None }).collect(),
            known: Vec::new(),
        })
    }

    /// Counts all whole scrapes up to `until`. Only what lies between two of them, the first at or after `warm_at`, counts;
    /// the first of a pod that was made after `began` is counted from zero.
    pub(super) fn take(&mut self, until: f64, warm_at: f64, began: f64) -> Taken {
        let (mut total, mut value) = (0.0, 0.0);
        for scrape in self.whole(until) {
            let young = self.created.filter(|at| *at >= began);
            let from = self.anchor.or(young);
            let counts = from.is_some_and(|from| from + SAME >= warm_at);
            for (((role, _), counter), (now, known)) in
                self.counters.iter_mut().zip(scrape.values.into_iter().zip(scrape.known))
            {
                // What was counted between the last scrape and a restart is lost; a first sample is all new if its target
                // was scraped before.
                let base = counter.last.filter(|_| !scrape.restarted).or(from.map(|_| 0.0));
                let grown = now.zip(base).map_or(0.0, |(now, base)| now - base);
                counter.last = now.or(counter.last.filter(|_| !scrape.restarted));
                counter.known = known;
                match role {
                    _ if !counts => {}
                    Role::Total => total += grown,
                    role if *role == self.numerator => value += grown,
                    Role::Less => value -= grown,
                    _ => {}
                }
            }
            self.anchor = Some(scrape.at);
        }
        self.forget(until);
        Self::settle(self.numerator, total, value)
    }

    /// What is not newer than the last whole scrape is not asked for again, nor what came too late for it.
    fn forget(&mut self, until: f64) {
        let Some(anchor) = self.anchor.filter(|anchor| *anchor <= until + SAME) else { return };
        for counter in self.counters.values_mut() {
            while counter.pending.front().is_some_and(|(at, _)| *at <= anchor + SAME) {
                counter.pending.pop_front();
            }
        }
    }

    fn settle(numerator: Role, n: f64, value: f64) -> Taken {
        let x = if numerator == Role::Good { n - value } else { value };
        if numerator == Role::Sum {
            return Taken { count: Count::new(n, x.max(0.0)), inconsistent: n <= 0.0 && x > 0.0 || x < 0.0 };
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
    fn what_is_taken_off_a_sum_is_never_more_than_it() {
        let sums = |less: &[(f64, f64)]| {
            let mut target = Target::new(Role::Sum);
            target.push(Role::Total, "", &TOTAL);
            target.push(Role::Sum, "", &[(15.0, 100.0), (30.0, 200.0), (45.0, 300.0), (60.0, 400.0)]);
            target.push(Role::Less, "", less);
            target.take(1e9, OLD, 0.0)
        };
        let late = sums(&[(45.0, 30.0), (60.0, 60.0)]);
        assert_eq!((late.count.x, late.inconsistent), (240.0, false), "it may begin late");
        let odd = sums(&[(15.0, 0.0), (30.0, 0.0), (45.0, 0.0), (60.0, 900.0)]);
        assert_eq!((odd.count.x, odd.inconsistent), (0.0, true));
    }

    #[test]
    fn what_a_cold_pod_did_is_not_counted() {
        let mut target = target(&[(15.0, 0.0), (30.0, 9.0), (45.0, 9.0), (60.0, 10.0)], &TOTAL);
        assert_eq!(target.take(1e9, 25.0, 0.0).count, Count::new(50.0, 1.0));
    }
}
