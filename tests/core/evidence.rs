//! What counts as evidence, asked of `decide::gate` alone: readings of this step, fresh, finite, on enough requests.

use std::time::Duration;

use llmrollout::{
    api::{
        Moment,
        gates::{Alerts, ComparedTo, Metric, NoDataThen, Severity},
        status::VerdictWord,
    },
    decide::{
        criterion::Test,
        gate::{Beside, Measuring, Verdict, judge},
        plan::PlannedGate,
    },
    metrics::{Limit, NoData, Reading, Sample, Subject},
};

const ENTERED: i64 = 1_800_000_000;

fn gate() -> PlannedGate {
    PlannedGate {
        name: "errors".into(),
        subject: Subject::Metric(Metric::ErrorRate, None),
        shown: None,
        test: Test::Max(Limit::parse("1%").unwrap()),
        against: None,
        note: None,
        links: String::new(),
        unit: Limit::parse("1%").unwrap(),
        severity: Severity::Rollback,
        in_steps: true,
        in_bakes: true,
        bad: 2,
        of: 3,
        interval: Duration::from_secs(15),
        window: Duration::from_mins(5),
        min_samples: 50,
        budget: Duration::from_mins(15),
        then: NoDataThen::Rollback,
    }
}

/// A reading so many seconds after the step was entered.
fn reading(after: i64, outcome: Result<(f64, f64), NoData>) -> Reading {
    let outcome = outcome.map(|(value, samples)| Sample { value, samples });
    Reading {
        at: Moment::from_unix(ENTERED + after),
        window: Duration::from_mins(1),
        outcome,
        names: Vec::new(),
        weighed: None,
    }
}

fn says(after: i64, readings: &[Reading]) -> VerdictWord {
    beside(&gate(), after, readings, Beside::default()).status.verdict
}

fn beside(gate: &PlannedGate, after: i64, readings: &[Reading], beside: Beside<'_>) -> Verdict {
    let entered = Moment::from_unix(ENTERED);
    let m = Measuring {
        step: 2,
        entered,
        clock_from: entered,
        watching_since: Moment::from_unix(0),
        now: Moment::from_unix(ENTERED + after),
        color: None,
    };
    judge(gate, readings, beside, None, m)
}

/// What a gate says of two bad samples while the other color shows this.
fn blamed(gate: &PlannedGate, bad: f64, other: &[Reading], serves: bool) -> (VerdictWord, bool) {
    let bad = [reading(5, Ok((bad, 500.0))), reading(15, Ok((bad, 500.0)))];
    let verdict = beside(gate, 20, &bad, Beside { readings: other, serves, kept: None });
    (verdict.status.verdict, verdict.takes_back().is_some())
}

const BLAMED: (VerdictWord, bool) = (VerdictWord::Fail, true);
const NOBODY: (VerdictWord, bool) = (VerdictWord::NoData, false);

#[test]
fn what_both_colors_do_is_blamed_on_nobody() {
    let of = |value: f64| [reading(15, Ok((value, 500.0)))];
    let max = gate();
    assert_eq!(blamed(&max, 0.2, &of(0.2), true), NOBODY);
    assert_eq!(blamed(&max, 0.02, &of(0.9), true), NOBODY, "the candidate is the better one");
    assert_eq!(blamed(&max, 0.3, &of(0.2), true), NOBODY, "once and a half is not much worse");
    assert_eq!(blamed(&max, 0.301, &of(0.2), true), BLAMED, "more is");
    assert_eq!(blamed(&max, 0.2, &of(0.01), true), BLAMED, "the limit itself holds");
    assert_eq!(blamed(&max, 0.2, &of(0.2), false), BLAMED, "a color without traffic shows nothing");
    assert_eq!(blamed(&max, 0.2, &[], true), BLAMED, "nobody is waited for");
    assert_eq!(blamed(&max, 0.2, &[reading(-1, Ok((0.2, 500.0)))], true), BLAMED, "of the step before");
    assert_eq!(blamed(&max, 0.2, &[reading(21, Ok((0.2, 500.0)))], true), BLAMED, "of the future");
    assert_eq!(blamed(&max, 0.2, &[reading(15, Ok((0.2, 49.0)))], true), BLAMED, "on too few requests");
    let min = PlannedGate { test: Test::Min(Limit::Share(0.5)), ..gate() };
    assert_eq!(blamed(&min, 0.2, &of(0.3), true), NOBODY);
    assert_eq!(blamed(&min, 0.2, &of(0.301), true), BLAMED, "much less is much worse");
    assert_eq!(blamed(&min, 0.2, &of(0.1), true), NOBODY, "the candidate is the better one");
    let band = PlannedGate { test: Test::Between(Limit::Share(0.2), Limit::Share(0.3)), ..gate() };
    assert_eq!(blamed(&band, 0.31, &of(0.19), true), BLAMED, "the other side of a band is another failure");
    assert_eq!(blamed(&band, 0.19, &of(0.31), true), BLAMED, "and so it is the other way round");
    assert_eq!(blamed(&max, 0.012, &of(0.01), true), BLAMED, "one at the limit itself does not break it");
    let abort = PlannedGate { severity: Severity::Abort, ..gate() };
    assert_eq!(blamed(&abort, 0.2, &of(0.2), true), BLAMED, "one bad sample is enough for it");
    let alerts = PlannedGate { subject: Subject::Alerts(Alerts::default()), ..gate() };
    assert_eq!(blamed(&alerts, 0.2, &of(0.2), true), BLAMED, "only metrics are told of both colors");
}

#[test]
fn a_comparison_needs_what_it_is_compared_with() {
    let good = [reading(15, Ok((1.0, 500.0)))];
    let ratio = |against| PlannedGate { test: Test::Ratio(None, Some(1.2)), against: Some(against), ..gate() };
    let of = |value: f64| [reading(15, Ok((value, 500.0)))];
    let says = |against, readings: &[Reading], serves, kept| {
        beside(&ratio(against), 20, &good, Beside { readings, serves, kept }).status.verdict
    };
    assert_eq!(says(ComparedTo::Active, &of(1.0), true, None), VerdictWord::Pass);
    assert_eq!(says(ComparedTo::Active, &of(0.5), true, Some(1.0)), VerdictWord::Fail, "what serves now counts");
    assert_eq!(
        says(ComparedTo::Active, &of(0.5), false, Some(1.0)),
        VerdictWord::Pass,
        "without traffic, what was kept"
    );
    assert_eq!(says(ComparedTo::Active, &[], true, Some(1.0)), VerdictWord::NoData, "never what was, while it serves");
    assert_eq!(says(ComparedTo::Active, &of(0.0), true, None), VerdictWord::NoData, "nothing is no measure");
    assert_eq!(says(ComparedTo::Baseline, &of(1.0), true, None), VerdictWord::NoData);
    assert_eq!(says(ComparedTo::Baseline, &of(0.5), true, Some(1.0)), VerdictWord::Pass);
}

const GOOD: (f64, f64) = (0.001, 500.0);
const BAD: (f64, f64) = (0.2, 500.0);

#[test]
fn only_readings_of_this_step_count() {
    assert_eq!(says(20, &[reading(15, Ok(GOOD))]), VerdictWord::Pass);
    assert_eq!(says(20, &[reading(0, Ok(GOOD))]), VerdictWord::Pass, "the first instant belongs to the step");
    assert_eq!(says(20, &[reading(-1, Ok(GOOD))]), VerdictWord::NoData, "of the step before");
    assert_eq!(says(20, &[reading(21, Ok(GOOD))]), VerdictWord::NoData, "of the future");
    let old = [reading(-30, Ok(BAD)), reading(-15, Ok(BAD)), reading(15, Ok(GOOD))];
    assert_eq!(says(20, &old), VerdictWord::Pass, "bad samples of the step before do not fail this one");
}

#[test]
fn only_a_fresh_reading_passes() {
    assert_eq!(says(65, &[reading(15, Ok(GOOD))]), VerdictWord::Pass);
    assert_eq!(says(66, &[reading(15, Ok(GOOD))]), VerdictWord::NoData, "three intervals and five seconds old");
    assert_eq!(says(50, &[reading(30, Ok(GOOD)), reading(45, Err(NoData::Late))]), VerdictWord::NoData);
}

#[test]
fn only_finite_figures_on_enough_requests_pass() {
    for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(says(20, &[reading(15, Ok((odd, 500.0)))]), VerdictWord::NoData, "value {odd}");
        assert_eq!(says(20, &[reading(15, Ok((0.0, odd)))]), VerdictWord::NoData, "samples {odd}");
    }
    assert_eq!(says(20, &[reading(15, Ok((0.0, 50.0)))]), VerdictWord::Pass);
    assert_eq!(says(20, &[reading(15, Ok((0.0, 49.0)))]), VerdictWord::NoData);
    let few = [reading(1, Ok((1.0, 49.0))), reading(16, Ok((1.0, 49.0))), reading(31, Ok(GOOD))];
    assert_eq!(says(35, &few), VerdictWord::Pass, "bad samples on few requests prove nothing either");
}

#[test]
fn two_of_three_bad_samples_fail_and_one_does_not_pass() {
    assert_eq!(says(50, &[reading(15, Ok(BAD)), reading(30, Ok(GOOD)), reading(45, Ok(BAD))]), VerdictWord::Fail);
    assert_eq!(says(50, &[reading(15, Ok(BAD)), reading(30, Ok(GOOD)), reading(45, Ok(GOOD))]), VerdictWord::Pass);
    let two = [reading(15, Ok(BAD)), reading(30, Ok(BAD))];
    assert_eq!(says(50, &[two.as_slice(), &[reading(45, Ok(GOOD))]].concat()), VerdictWord::Fail, "a good one later");
    assert_eq!(
        says(50, &[two.as_slice(), &[reading(45, Err(NoData::Late))]].concat()),
        VerdictWord::Fail,
        "nor silence"
    );
    assert_eq!(says(20, &[reading(15, Ok(BAD))]), VerdictWord::Fail, "the newest sample is above the limit");
    assert_eq!(says(20, &[reading(15, Ok((0.01, 500.0)))]), VerdictWord::Pass, "the limit itself holds");
}
