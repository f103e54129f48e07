//! What is claimed of the statistics, by trying everything: no e-value of a stratum is worth more than 1 under its null, and
//! broken data of a bad release never passes. The benchmark (`benches/decisions`) measures how often verdicts are wrong.

use llmrollout::stats::{
    Arm, Count, Stratum,
    budget::{bad_line, good_line},
    counters::{Role, Series},
    gate::{Config, Gate},
    halfplane::{Alternative, Form, Line, Side, fail_rates, log_e, pass_rates},
    ruling::{Block, Ruling, judge},
    strata::{Feed, Pace},
};
use proptest::prelude::*;

/// The probabilities of 0…n bad requests of n.
fn binomial(n: u32, p: f64) -> Vec<f64> {
    let mut all = vec![1.0];
    for _ in 0..n {
        let mut next = vec![0.0; all.len() + 1];
        for (k, mass) in all.iter().enumerate() {
            next[k] += mass * (1.0 - p);
            next[k + 1] += mass * p;
        }
        all = next;
    }
    all
}

struct Case {
    form: Form,
    side: Side,
    line: Line,
    sizes: (u32, u32),
}

impl Case {
    /// The expectation of the e-value over all outcomes, when the true rates are these.
    fn expected(&self, bet: Alternative, green: f64, blue: f64) -> f64 {
        let (n_g, n_b) = self.sizes;
        let (of_green, of_blue) = (binomial(n_g, green), binomial(n_b, blue));
        let mut sum = 0.0;
        for (x_g, p_g) in (0..).zip(&of_green) {
            for (x_b, p_b) in (0..).zip(&of_blue) {
                let count = |n: u32, x: u32| Count::new(f64::from(n), f64::from(x));
                let green = count(n_g, x_g);
                let stratum = Stratum { seconds: 15.0, until: 15.0, green, blue: count(n_b, x_b) };
                sum += p_g * p_b * log_e(self.form, self.side, self.line, &stratum, bet).exp();
            }
        }
        sum
    }

    /// The largest expectation over alternatives for several expected rates, and over true rates on the boundary and in it.
    fn worst(&self) -> f64 {
        let mut worst = 0.0_f64;
        for p in [0.001, 0.01, 0.05, 0.2] {
            let rates = match self.side {
                Side::Fail => fail_rates(self.line.at(p)).to_vec(),
                Side::Pass => pass_rates(self.line.at(p), p).to_vec(),
            };
            for green in rates.into_iter().step_by(2) {
                let bet = Alternative { green, blue: p };
                for blue in [0.0, 1e-4, 0.003, 0.01, 0.03, 0.1, 0.3, 0.6, 0.9] {
                    let edge = self.line.at(blue);
                    let inside = match self.side {
                        Side::Fail => [edge, 0.5 * edge, 0.0],
                        Side::Pass => [edge, 0.5 * (1.0 + edge), 1.0],
                    };
                    // Where the line is above 1 nothing is on the side of Pass's null.
                    let none = self.side == Side::Pass && edge > 1.0;
                    for green in inside.into_iter().filter(|g| *g <= 1.0 && !none) {
                        worst = worst.max(self.expected(bet, green, blue));
                    }
                }
            }
        }
        worst
    }
}

#[test]
fn no_stratum_is_worth_more_than_one_under_the_null() {
    use llmrollout::stats::Tolerance;
    let lines = |side: Side| match side {
        Side::Fail => {
            vec![good_line(Tolerance::SHARE, 0.2), good_line(Tolerance::SHARE, 0.0), good_line(Tolerance::SHARE, 1.0)]
        }
        Side::Pass => [0.2, 0.5, 1.0].map(|next| bad_line(Tolerance::SHARE, next, 0.01)).to_vec(),
    };
    let mut all = 0;
    for side in [Side::Fail, Side::Pass] {
        for line in lines(side) {
            for sizes in [(1, 1), (3, 12), (10, 2), (5, 5), (10, 12)] {
                for form in [Form::Exact, Form::Poisson] {
                    let worst = Case { form, side, line, sizes }.worst();
                    assert!(worst < 1.0 + 1e-9, "{side:?} {form:?} {line:?} {sizes:?}: {worst}");
                    all += usize::from(worst > 0.9);
                }
            }
        }
    }
    assert!(all > 20, "most come close to 1, or nothing was tried: {all}");
}

/// What befalls the samples on their way.
#[derive(Clone, Debug)]
enum Harm {
    /// A sample becomes this.
    Value(usize, usize, f64),
    /// A sample is lost.
    Lost(usize, usize),
    /// It is told twice, the second time so much later.
    Again(usize, usize, f64),
    /// Another value is told for the same instant.
    Other(usize, usize),
    /// All samples of a series are told so many seconds off.
    Skew(usize, f64),
    /// A pod restarts: its counters begin anew.
    Restart(Arm, usize),
    /// Nothing of a series is told from here on.
    Silent(usize, usize),
}

fn harm() -> impl Strategy<Value = Harm> {
    let odd =
        prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(-5.0), Just(0.0), Just(1e300)];
    prop_oneof![
        (0..4_usize, 0..80_usize, odd).prop_map(|(s, k, v)| Harm::Value(s, k, v)),
        (0..4_usize, 0..80_usize).prop_map(|(s, k)| Harm::Lost(s, k)),
        (0..4_usize, 0..80_usize, -40.0..40.0).prop_map(|(s, k, t)| Harm::Again(s, k, t)),
        (0..4_usize, 0..80_usize).prop_map(|(s, k)| Harm::Other(s, k)),
        (0..4_usize, prop_oneof![Just(-3600.0), Just(-7.0), Just(7.0), Just(3600.0)])
            .prop_map(|(s, t)| Harm::Skew(s, t)),
        (any::<bool>(), 0..80_usize)
            .prop_map(|(green, k)| Harm::Restart(if green { Arm::Green } else { Arm::Blue }, k)),
        (0..4_usize, 1..80_usize).prop_map(|(s, k)| Harm::Silent(s, k)),
    ]
}

const SERIES: [(Arm, Role); 4] =
    [(Arm::Green, Role::Total), (Arm::Green, Role::Bad), (Arm::Blue, Role::Total), (Arm::Blue, Role::Bad)];

/// Twenty minutes of a release whose green answers a fifth of its requests with errors, blue one in a hundred.
fn samples() -> [Vec<(f64, f64)>; 4] {
    let rate = |(arm, role): (Arm, Role)| match (arm, role) {
        (_, Role::Total) => 100.0,
        (Arm::Green, _) => 20.0,
        (Arm::Blue, _) => 1.0,
    };
    SERIES.map(|series| (0..80).map(|k| (15.0 * f64::from(k), 1000.0 + rate(series) * f64::from(k))).collect())
}

fn apply(all: &mut [Vec<(f64, f64)>; 4], harm: &Harm) {
    match *harm {
        Harm::Value(s, k, value) => {
            if let Some(sample) = all[s].get_mut(k) {
                sample.1 = value;
            }
        }
        Harm::Lost(s, k) => {
            if k < all[s].len() {
                all[s].remove(k);
            }
        }
        Harm::Again(s, k, later) => {
            if let Some((at, value)) = all[s].get(k).copied() {
                all[s].push((at + later, value));
            }
        }
        Harm::Other(s, k) => {
            if let Some((at, value)) = all[s].get(k).copied() {
                all[s].push((at, value + 7.0));
            }
        }
        Harm::Skew(s, seconds) => all[s].iter_mut().for_each(|(at, _)| *at += seconds),
        Harm::Restart(arm, k) => {
            for (series, samples) in SERIES.iter().zip(all) {
                let base = samples.get(k).map_or(0.0, |(_, value)| *value);
                if series.0 == arm {
                    samples.iter_mut().skip(k).for_each(|(_, value)| *value -= base);
                }
            }
        }
        Harm::Silent(s, k) => all[s].truncate(k),
    }
}

/// What the gate says at each moment, told what is there by then and whatever is from the future.
fn said(all: &[Vec<(f64, f64)>; 4], live: bool) -> Vec<Ruling> {
    let mut feed = Feed::new(Pace::every(15.0), Role::Bad, 0.0);
    feed.begin_step(0.0, false);
    let mut gate = Gate::new(Config::compare(3), &[Count::new(3600.0, 36.0)]);
    gate.begin_step(0, 0.5, 0.7);
    let mut rulings = Vec::new();
    for k in if live { 0..84 } else { 83..84 } {
        let now = 15.0 * f64::from(k);
        for ((arm, role), samples) in SERIES.into_iter().zip(all) {
            let told: Vec<(f64, f64)> =
                samples.iter().copied().filter(|(at, _)| *at <= now || at.is_nan() || *at > 2000.0).collect();
            feed.push(&Series { arm, target: "pod", role, key: "", samples: &told }, now);
        }
        feed.close(now).iter().for_each(|stratum| gate.close(stratum));
        rulings.push(judge(&[(1.0, gate.evidence(feed.health()))], 0.05));
    }
    rulings
}

/// Whether it would let the release go forward at any moment.
fn ever_passes(all: &[Vec<(f64, f64)>; 4], live: bool) -> bool {
    said(all, live).contains(&Ruling::Pass)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn broken_data_of_a_bad_release_never_passes(harms in prop::collection::vec(harm(), 0..12), live: bool) {
        // A pod that restarted and whose errors are told no more looks like one that has none since: nobody can know.
        let restarts = harms.iter().any(|harm| matches!(harm, Harm::Restart(Arm::Green, _)));
        let unknowable = |harm: &&Harm| restarts && matches!(harm, Harm::Silent(1, _) | Harm::Skew(1, _));
        let mut all = samples();
        harms.iter().filter(|harm| !unknowable(harm)).for_each(|harm| apply(&mut all, harm));
        prop_assert!(!ever_passes(&all, live), "{harms:?}");
    }
}

#[test]
fn one_kind_of_harm_at_a_time_never_passes_a_bad_release() {
    let everywhere = |harm: &dyn Fn(usize) -> Harm| -> Vec<Harm> { (0..80).map(harm).collect() };
    let mut all: Vec<(&str, Vec<Harm>)> = Vec::new();
    for series in 0..4 {
        for odd in [f64::NAN, f64::INFINITY, -1.0] {
            all.push(("each sample odd", everywhere(&|k| Harm::Value(series, k, odd))));
            all.push(("every other sample odd", (0..40).map(|k| Harm::Value(series, 2 * k, odd)).collect()));
        }
        all.push((
            "more bad requests than requests",
            everywhere(&|k| Harm::Value(series, k, 1e6 * f64::from(u32::try_from(k).unwrap()))),
        ));
        // Without one error series ever, nobody can tell a good release from one that does not export them.
        if series != 1 {
            all.push(("silent from the start", vec![Harm::Silent(series, 0)]));
        }
        all.push(("silent from then on", vec![Harm::Silent(series, 20)]));
        all.push(("told twice", everywhere(&|k| Harm::Again(series, k, 0.0))));
        all.push(("told late again", everywhere(&|k| Harm::Again(series, k, 22.0))));
        all.push(("an hour behind", vec![Harm::Skew(series, -3600.0)]));
        all.push(("an hour ahead", vec![Harm::Skew(series, 3600.0)]));
        all.push(("half an interval off", vec![Harm::Skew(series, 7.0)]));
    }
    all.push(("green restarts and restarts", (1..20).map(|k| Harm::Restart(Arm::Green, 4 * k)).collect()));
    all.push(("blue restarts and restarts", (1..20).map(|k| Harm::Restart(Arm::Blue, 4 * k)).collect()));
    for (what, harms) in all {
        let mut told = samples();
        for harm in &harms {
            apply(&mut told, harm);
        }
        for live in [true, false] {
            assert!(!ever_passes(&told, live), "{what}: {:?}", harms.first());
        }
    }
}

/// The same feed with the same gate does pass what is good: the tests above could fail.
#[test]
fn sound_data_of_a_good_release_passes() {
    let mut good = samples();
    good[1] = good[3].clone();
    assert!(ever_passes(&good, true), "live");
    assert!(ever_passes(&good, false), "in one go");
}

/// A good release whose samples are broken in one way: what stands in its way at the end is that, and no verdict.
#[test]
fn each_kind_of_bad_data_is_told_as_what_it_is() {
    let mut good = samples();
    good[1] = good[3].clone();
    let every = |harm: &dyn Fn(usize) -> Harm| -> Vec<Harm> { (0..80).map(harm).collect() };
    let kinds: [(&str, Vec<Harm>, Block); 9] = [
        ("NaN", every(&|k| Harm::Value(0, k, f64::NAN)), Block::Gap),
        ("NaN, every other sample", (0..40).map(|k| Harm::Value(0, 2 * k, f64::NAN)).collect(), Block::Gap),
        ("infinite", every(&|k| Harm::Value(1, k, f64::INFINITY)), Block::Gap),
        ("two series where one should be", every(&|k| Harm::Other(0, k)), Block::Gap),
        ("missing scrapes", (0..40).map(|k| Harm::Lost(0, k)).collect(), Block::Gap),
        // Once is enough to be odd, and too little to be blamed for.
        (
            "more bad requests than requests",
            (40..80).map(|k| Harm::Value(1, k, 1150.0 + at(k))).collect(),
            Block::Inconsistent,
        ),
        ("green's clock is ahead", vec![Harm::Skew(0, 3600.0), Harm::Skew(1, 3600.0)], Block::Ahead),
        ("green's clock is behind", vec![Harm::Skew(0, -3600.0), Harm::Skew(1, -3600.0)], Block::Gap),
        ("blue's clock is ahead", vec![Harm::Skew(2, 3600.0), Harm::Skew(3, 3600.0)], Block::Ahead),
    ];
    for (what, harms, block) in kinds {
        let mut told = good.clone();
        for harm in &harms {
            apply(&mut told, harm);
        }
        for live in [true, false] {
            let last = said(&told, live).pop();
            assert_eq!(last, Some(Ruling::Undecided(vec![(0, block)])), "{what}, live: {live}");
        }
    }
}

/// A counter that begins anew is no harm: what was counted since counts.
#[test]
fn a_good_release_whose_pods_restart_passes() {
    let mut good = samples();
    good[1] = good[3].clone();
    for arm in [Arm::Green, Arm::Blue] {
        let mut told = good.clone();
        [20, 40, 60].map(|k| Harm::Restart(arm, k)).iter().for_each(|harm| apply(&mut told, harm));
        assert!(ever_passes(&told, true), "{arm:?}");
    }
}

fn at(k: usize) -> f64 {
    f64::from(u32::try_from(k).unwrap())
}
