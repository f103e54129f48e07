//! What one gate and several say of made-up strata.

use super::*;
use crate::stats::ruling::{Block, Ruling, judge};

const ALPHA: f64 = 0.05;
const BEFORE: [Count; 1] = [Count { n: 3600.0, x: 36.0 }];

fn stratum(tick: u32, green: (f64, f64), blue: (f64, f64)) -> Stratum {
    let until = 15.0 * f64::from(tick);
    Stratum { seconds: 15.0, until, green: Count::new(green.0, green.1), blue: Count::new(blue.0, blue.1) }
}

/// A gate in its only step, after so many strata alike.
fn after(config: Config, ticks: u32, green: (f64, f64), blue: (f64, f64)) -> Gate {
    let mut gate = Gate::new(config, &BEFORE);
    gate.begin_step(0, green.0 / (green.0 + blue.0), 1.0);
    (1..=ticks).for_each(|tick| gate.close(&stratum(tick, green, blue)));
    gate
}

fn ruling(gate: &Gate) -> Ruling {
    judge(&[(1.0, gate.evidence(Health::default()))], 0.05)
}

#[test]
fn a_good_release_passes_and_a_bad_one_fails() {
    assert_eq!(ruling(&after(Config::compare(1), 40, (75.0, 0.75), (75.0, 0.75))), Ruling::Pass);
    assert!(matches!(ruling(&after(Config::compare(1), 40, (75.0, 4.0), (75.0, 0.75))), Ruling::Fail { gate: 0, .. }));
    assert_eq!(ruling(&after(Config::bound(1, 0.02), 60, (75.0, 0.75), (0.0, 0.0))), Ruling::Pass);
    assert!(matches!(ruling(&after(Config::bound(1, 0.02), 40, (75.0, 4.0), (75.0, 0.0))), Ruling::Fail { .. }));
    let mean = |green: f64| after(Config::mean(1), 60, (75.0, green), (75.0, 75.0));
    let dear: Vec<Count> = [0.9, 1.1].map(|m| Count::new(75.0, 75.0 * m)).to_vec();
    assert!((Moments::of(&dear).mean - 1.0).abs() < 1e-12);
    assert!(matches!(ruling(&mean(150.0)), Ruling::Fail { .. }));
}

#[test]
fn too_little_is_undecided_and_says_how_much_is_missing() {
    let young = after(Config::compare(1), 2, (75.0, 0.75), (75.0, 0.75));
    assert_eq!(ruling(&young), Ruling::Undecided(vec![(0, Block::Evidence)]));
    let later = after(Config::compare(1), 6, (75.0, 0.75), (75.0, 0.75));
    let (first, second) =
        (young.evidence(Health::default()).needed.unwrap(), later.evidence(Health::default()).needed.unwrap());
    assert!(first > second && second > 0.0, "{first} {second}");
    assert_eq!(ruling(&Gate::new(Config::compare(1), &BEFORE)), Ruling::Undecided(vec![(0, Block::Evidence)]));
    assert_eq!(judge(&[], 0.05), Ruling::Undecided(Vec::new()));
}

#[test]
fn one_bad_scrape_decides_nothing() {
    let mut gate = after(Config::compare(1), 20, (75.0, 0.0), (75.0, 0.0));
    gate.close(&stratum(21, (75.0, 70.0), (75.0, 0.0)));
    assert!(!matches!(ruling(&gate), Ruling::Fail { .. }));
    let hasty = Config { leave_best_out: false, ..Config::compare(1) };
    let mut gate = after(hasty, 20, (75.0, 0.0), (75.0, 0.0));
    gate.close(&stratum(21, (75.0, 70.0), (75.0, 0.0)));
    assert!(matches!(ruling(&gate), Ruling::Fail { .. }));
}

#[test]
fn evidence_of_pass_begins_anew_with_each_step_and_that_of_fail_does_not() {
    let mut gate = after(Config::compare(3), 40, (75.0, 2.0), (75.0, 0.75));
    let before = gate.ln_fail();
    gate.begin_step(1, 0.5, 1.0);
    assert!(gate.ln_pass().abs() < 1e-9 && gate.green.n.abs() < 1e-9);
    assert!((gate.ln_fail() - before).abs() < 1e-9, "a process that begins is worth 1");
    gate.begin_step(1, 0.5, 1.0);
    assert_eq!(gate.fail.len(), 2, "a step begins once");
}

#[test]
fn a_fault_that_comes_late_is_seen_in_spite_of_the_good_hours_before() {
    let mut gate = after(Config::compare(3), 200, (75.0, 0.75), (75.0, 0.75));
    gate.begin_step(1, 0.5, 1.0);
    for tick in 201..=230 {
        gate.close(&stratum(tick, (75.0, 5.0), (75.0, 0.75)));
    }
    assert!(matches!(ruling(&gate), Ruling::Fail { .. }), "{}", gate.ln_fail());
}

#[test]
fn what_is_wrong_with_the_data_blocks_pass_but_not_fail() {
    let good = after(Config::compare(1), 60, (75.0, 0.75), (75.0, 0.75));
    let gap = Health { gap: true, ..Health::default() };
    let says = |evidence: Evidence| judge(&[(1.0, evidence)], 0.05);
    assert_eq!(says(good.evidence(gap)), Ruling::Undecided(vec![(0, Block::Gap)]));
    let odd = Health { inconsistent: true, ..Health::default() };
    assert_eq!(says(good.evidence(odd)), Ruling::Undecided(vec![(0, Block::Inconsistent)]));
    let ahead = Health { ahead: true, ..Health::default() };
    assert_eq!(says(good.evidence(ahead)), Ruling::Undecided(vec![(0, Block::Ahead)]));
    let bad = after(Config::compare(1), 60, (75.0, 6.0), (75.0, 0.75));
    assert!(matches!(says(bad.evidence(gap)), Ruling::Fail { .. }));
    let mut skewed = Gate::new(Config::compare(1), &BEFORE);
    skewed.begin_step(0, 0.5, 1.0);
    (1..=400).for_each(|tick| skewed.close(&stratum(tick, (5.0, 0.05), (145.0, 1.45))));
    assert_eq!(ruling(&skewed), Ruling::Undecided(vec![(0, Block::Split)]));
}

#[test]
fn a_limit_that_blue_breaks_too_blames_nobody() {
    let gate = after(Config::bound(1, 0.02), 60, (75.0, 8.0), (75.0, 8.0));
    assert_eq!(ruling(&gate), Ruling::Undecided(vec![(0, Block::Environment)]));
    let cure = after(Config::bound(1, 0.02), 60, (75.0, 0.1), (75.0, 8.0));
    assert_eq!(ruling(&cure), Ruling::Pass, "blue breaks it, green does not");
    let between = after(Config::bound(1, 0.02), 60, (75.0, 2.0), (75.0, 8.0));
    assert_eq!(ruling(&between), Ruling::Undecided(vec![(0, Block::Evidence)]), "green is neither yet");
}

#[test]
fn gates_fail_together_and_pass_only_all() {
    let evidence = |fail: f64, pass: f64| Evidence {
        fail,
        pass,
        ..after(Config::compare(1), 1, (75.0, 0.75), (75.0, 0.75)).evidence(Health::default())
    };
    let both = [(0.5, evidence(25.0_f64.ln(), -9.0)), (0.5, evidence(30.0_f64.ln(), -9.0))];
    assert!(matches!(judge(&both, 0.05), Ruling::Fail { gate: 1, ln } if (ln - 27.5_f64.ln()).abs() < 1e-9));
    let one = [(0.5, evidence(25.0_f64.ln(), 9.0)), (0.5, evidence(0.0, 9.0))];
    assert_eq!(judge(&one, 0.05), Ruling::Pass, "half of 25:1 is not 20:1");
    let late = [(0.5, evidence(0.0, 9.0)), (0.5, evidence(0.0, 1.0))];
    assert_eq!(judge(&late, 0.05), Ruling::Undecided(vec![(1, Block::Evidence)]));
    for odd in [f64::NAN, f64::NEG_INFINITY] {
        assert!(matches!(judge(&[(1.0, evidence(odd, odd))], 0.05), Ruling::Undecided(_)));
    }
}

#[test]
fn strata_that_repeat_or_make_no_sense_are_left_out() {
    let mut gate = after(Config::compare(1), 30, (75.0, 0.75), (75.0, 0.75));
    let before = gate.clone();
    gate.close(&stratum(30, (75.0, 0.0), (75.0, 0.75)));
    gate.close(&Stratum { until: f64::NAN, ..stratum(31, (75.0, 0.0), (75.0, 0.0)) });
    assert_eq!(gate, before);
    for odd in [(f64::NAN, 0.0), (75.0, f64::NAN), (75.0, 80.0), (-1.0, 0.0), (f64::INFINITY, 0.0)] {
        for (green, blue) in [(odd, (75.0, 0.75)), ((75.0, 0.75), odd)] {
            let mut gate = before.clone();
            gate.close(&stratum(31, green, blue));
            assert_eq!((gate.ln_fail(), gate.ln_pass()), (before.ln_fail(), before.ln_pass()));
            assert!(matches!(ruling(&gate), Ruling::Undecided(_)), "{odd:?}");
        }
    }
}

#[test]
fn at_full_traffic_green_is_held_against_what_blue_was() {
    let gate = after(Config::compare(1), 100, (75.0, 0.75), (75.0, 0.75));
    let mut alone = gate.frozen(1).unwrap();
    assert!(matches!(alone.config.kind, Kind::Bound { limit } if limit > 0.01 && limit < 0.02));
    alone.begin_step(0, 1.0, 1.0);
    (101..140).for_each(|tick| alone.close(&stratum(tick, (150.0, 9.0), (0.0, 0.0))));
    assert!(matches!(ruling(&alone), Ruling::Fail { .. }));
    assert_eq!(Gate::new(Config::compare(1), &[]).frozen(1), None);
    let mut dear = after(Config::mean(1), 100, (75.0, 75.0), (75.0, 75.0)).frozen(1).unwrap();
    dear.begin_step(0, 1.0, 1.0);
    (101..200).for_each(|tick| dear.close(&stratum(tick, (150.0, 300.0), (0.0, 0.0))));
    assert!(matches!(ruling(&dear), Ruling::Fail { .. }));
}

#[test]
fn what_both_break_is_nobodys_fault_before_it_is_proved_of_both() {
    // Five strata each: 12 of 34 bad ones of green are a proof against 5 %, and 5 of 25 of blue are none yet.
    let of = |green: (f64, f64), blue: (f64, f64)| {
        let each = |(n, x): (f64, f64)| (n / 5.0, x / 5.0);
        after(Config::bound(1, 0.05), 5, each(green), each(blue))
    };
    let both = of((34.0, 12.0), (25.0, 5.0));
    assert!(both.ln_fail() >= -ALPHA.ln() && both.environment.ln(&halfplane::FAIL_WEIGHTS) < -ALPHA.ln());
    assert!(both.evidence(Health::default()).environment);
    let blamed = [((34.0, 12.0), (25.0, 1.0)), ((34.0, 12.0), (4.0, 2.0)), ((340.0, 300.0), (25.0, 5.0))];
    for (green, blue) in blamed {
        assert!(matches!(ruling(&of(green, blue)), Ruling::Fail { .. }), "{green:?} {blue:?}");
    }
    assert!(!of((34.0, 12.0), (0.0, 0.0)).evidence(Health::default()).environment, "nobody is asked any more");
}
