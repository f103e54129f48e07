//! What the report must say of known requests. Nothing here sends.

use std::time::Duration;

use serde_json::{Value, json};

use super::{FAILURES, Report, Start};
use crate::outcome::{End, Head, Outcome};

fn outcome(version: Option<&str>, status: u16, end: End) -> Outcome {
    let head =
        Head { status, version: version.map(str::to_owned), color: version.map(|_| "green".to_owned()), pod: None };
    Outcome::new(Some(head), end, String::new(), Duration::from_millis(100))
}

fn report() -> Report {
    Report::new(Start { text: "2026-01-01T00:00:00Z".to_owned(), ms: 1 })
}

/// Three good answers, one 500 that green gave across a mark, one 503 that nobody gave, one skipped.
fn told() -> Value {
    let mut report = report();
    for (at, version) in [(0, "v1"), (10, "v1"), (20, "v2")] {
        let begun = report.begin(at, 0);
        report.end(begun, &outcome(Some(version), 200, End::Whole));
    }
    let across = report.begin(30, 4);
    report.mark(40, "promote-20".to_owned());
    report.end(across, &outcome(Some("v2"), 500, End::Whole));
    let begun = report.begin(50, 0);
    report.end(begun, &outcome(None, 503, End::Whole));
    report.skip();
    report.advance(60);
    serde_json::to_value(&report).unwrap()
}

/// These fields of an object, and no others are looked at.
fn holds(whole: &Value, part: &Value) {
    for (name, value) in part.as_object().unwrap() {
        assert_eq!(&whole[name], value, "{name}");
    }
}

#[test]
fn the_whole_run_is_told() {
    let told = told();
    holds(&told, &json!({"requests": 5, "ok": 3, "failed": 2, "failed_unanswered": 1, "skipped": 1}));
    holds(&told, &json!({"in_flight": 0, "worst_start_delay_ms": 4, "failures_not_listed": 0}));
    holds(&told, &json!({"by_status": {"2xx": 3, "5xx": 2}, "by_kind": {"status": 2}, "by_color": {"green": 4}}));
    holds(&told["by_version"]["v2"], &json!({"requests": 2, "failed": 1, "first_ms": 20, "last_ms": 30}));
    holds(&told["by_version"]["v1"], &json!({"requests": 2, "failed": 0, "share": 0.5}));
    holds(&told["failures"][0], &json!({"phase": "start", "answered": true, "version": "v2", "status": 500}));
    holds(&told["failures"][1], &json!({"phase": "promote-20", "answered": false, "version": null, "status": 503}));
}

#[test]
fn phases_add_up() {
    let told = told();
    let phases = told["phases"].as_array().unwrap();
    holds(&phases[0], &json!({"name": "start", "from_ms": 0, "to_ms": 40, "requests": 4, "failed": 1}));
    holds(&phases[1], &json!({"name": "promote-20", "from_ms": 40, "to_ms": 60, "failed_unanswered": 1, "skipped": 1}));
    for key in ["requests", "ok", "failed", "failed_unanswered", "skipped"] {
        let sum: u64 = phases.iter().map(|phase| phase[key].as_u64().unwrap()).sum();
        assert_eq!(told[key], sum, "{key}");
    }
}

#[test]
fn the_list_of_failures_is_bounded_and_the_counts_are_not() {
    let mut report = report();
    for _ in 0..FAILURES + 5 {
        let begun = report.begin(0, 0);
        report.end(begun, &outcome(None, 503, End::Whole));
    }
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["failures"].as_array().unwrap().len(), FAILURES);
    assert_eq!((&json["failed"], &json["failures_not_listed"]), (&json!(FAILURES + 5), &json!(5)));
}
