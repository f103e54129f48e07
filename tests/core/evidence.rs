//! What counts as evidence, asked of `decide::gate` alone: readings of this step, fresh, finite, on enough requests.

use std::time::Duration;

use llmrollout::{
    api::{
        Moment,
        gates::{Metric, NoDataThen, Severity},
        status::VerdictWord,
    },
    decide::{
        criterion::Test,
        gate::{Beside, Measuring, judge},
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
    Reading { at: Moment::from_unix(ENTERED + after), window: Duration::from_mins(1), outcome }
}

fn says(after: i64, readings: &[Reading]) -> VerdictWord {
    let entered = Moment::from_unix(ENTERED);
    let m = Measuring {
        step: 2,
        entered,
        clock_from: entered,
        watching_since: Moment::from_unix(0),
        now: Moment::from_unix(ENTERED + after),
        color: None,
    };
    judge(&gate(), readings, Beside::default(), None, m).status.verdict
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
    assert_eq!(says(20, &[reading(15, Ok(BAD))]), VerdictWord::Fail, "the newest sample is above the limit");
    assert_eq!(says(20, &[reading(15, Ok((0.01, 500.0)))]), VerdictWord::Pass, "the limit itself holds");
}
