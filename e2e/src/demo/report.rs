//! The report of the story: what must hold of it, a table for people, `target/demo/report.json` for machines.
//! Nothing here measures.

#![expect(clippy::print_stdout, reason = "the table is what the command is asked for")]

use std::{fs, process::ExitCode};

use serde::Serialize;

use super::DemoError;
use crate::kit::operator::root;

/// A weight in the route and what the gateway made of it.
#[derive(Debug, Serialize)]
pub(super) struct Share {
    /// In percent.
    pub weight: i64,
    /// 0…1.
    pub measured: f64,
    /// Of so many requests.
    pub requests: u64,
}

/// The release that went through.
#[derive(Debug, Serialize)]
pub(super) struct Promote {
    /// Of the candidate, in the order in which they stood in the route.
    pub weights_seen: Vec<i64>,
    /// What the load saw at each.
    pub shares: Vec<Share>,
    /// From the release to its end.
    pub requests: u64,
    /// Whoever failed them.
    pub failed: u64,
    /// From the release to its end.
    pub seconds: f64,
    /// As they really were.
    pub requests_per_second: f64,
    /// Of the operator.
    pub replicas: u32,
}

/// The release that was taken back.
#[derive(Debug, Serialize)]
pub(super) struct Rollback {
    /// The gate that failed.
    pub gate: String,
    /// What it said.
    pub message: String,
    /// Of the candidate, in the order in which they stood in the route.
    pub weights_seen: Vec<i64>,
    /// From the first scrape that held an error to the route as a watch saw it.
    pub first_bad_scrape_to_blue_ms: Option<i64>,
    /// From the arrival of the write at the API server to its answer, by the audit log.
    pub decision_to_blue_ms: Option<f64>,
    /// From the route as a watch saw it to the start of the last request that reached the bad version; negative when that was before.
    pub last_request_after_blue_ms: Option<i64>,
    /// From the release to the end of the load.
    pub requests: u64,
    /// Whoever failed them.
    pub failed: u64,
    /// Those that the bad version did not answer itself.
    pub failed_not_by_green: u64,
    /// From the release to its end.
    pub seconds: f64,
}

/// Shares as they stand in the route.
#[derive(Debug, Serialize)]
pub(super) struct Route {
    /// Of blue.
    pub blue: i64,
    /// Of green.
    pub green: i64,
}

/// How everything stands at the end.
#[derive(Debug, Serialize)]
pub(super) struct Last {
    /// The route.
    pub route: Route,
    /// The color that the front Service selects.
    pub selector: String,
    /// The phase of the rollout.
    pub phase: String,
}

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The release that went through.
    pub promote: Promote,
    /// The release that was taken back.
    pub rollback: Rollback,
    /// How everything stands at the end.
    #[serde(rename = "final")]
    pub last: Last,
    /// `kubectl get llmrollouts` before the first release.
    pub kubectl_before: String,
    /// And after the second.
    pub kubectl_after: String,
}

impl Report {
    /// Everything that must hold, each with whether it does.
    fn claims(&self) -> Vec<(String, bool)> {
        let Self { promote, rollback, last, .. } = self;
        let shares_fit = promote.shares.iter().all(Share::fits);
        let on_the_way = rollback.weights_seen.iter().all(|weight| *weight < 100);
        vec![
            (format!("v2 went through {:?}", promote.weights_seen), promote.weights_seen == [5, 20, 50, 100]),
            ("the gateway split as the route says".to_owned(), shares_fit),
            (format!("no failed request while v2 was released, of {}", promote.requests), promote.failed == 0),
            (format!("v3 was taken back by gate {}", rollback.gate), rollback.gate == "errors"),
            (
                "v3 never had everything, and has nothing".to_owned(),
                on_the_way && rollback.weights_seen.last() == Some(&0),
            ),
            (
                format!("no failed request but v3's own {}, of {}", rollback.failed, rollback.requests),
                rollback.failed_not_by_green == 0 && rollback.failed > 0,
            ),
            ("the time from the first bad scrape is known".to_owned(), rollback.first_bad_scrape_to_blue_ms.is_some()),
            (
                format!("in the end {} serves: route {}/{}", last.selector, last.route.blue, last.route.green),
                last.selector == "green" && last.route.blue == 0 && last.route.green == 100,
            ),
            (format!("phase {}", last.phase), last.phase == "RolledBack"),
        ]
    }

    /// Writes the file.
    pub(super) fn write(&self) -> Result<(), DemoError> {
        let dir = root().join("target/demo");
        fs::create_dir_all(&dir).map_err(DemoError::file(&dir))?;
        let path = dir.join("report.json");
        let text = serde_json::to_vec_pretty(self).map_err(|error| DemoError::file(&path)(error.into()))?;
        fs::write(&path, text).map_err(DemoError::file(path))
    }

    /// Prints the table and says whether everything holds.
    pub(super) fn print(&self) -> ExitCode {
        let Self { promote, rollback, .. } = self;
        println!("\n{}\n{}", self.kubectl_before.trim_end(), self.kubectl_after.trim_end());
        println!("\n{:<34}{:>12}{:>12}{:>12}", "v2: weight in the route", "share", "requests", "fits");
        for share in &promote.shares {
            let percent = format!("{:.1}%", share.measured * 100.0);
            println!("{:<34}{percent:>12}{:>12}{:>12}", format!("{}%", share.weight), share.requests, share.fits());
        }
        let ms = |value: Option<f64>| value.map_or_else(|| "unknown".to_owned(), |value| format!("{value:.0} ms"));
        println!("\n{:<58}{:>12}{:>12}", "", "v2", "v3");
        let row = |name: &str, v2: String, v3: String| println!("{name:<58}{v2:>12}{v3:>12}");
        row("outcome", "promoted".to_owned(), "taken back".to_owned());
        row("seconds", format!("{:.1}", promote.seconds), format!("{:.1}", rollback.seconds));
        row("requests", promote.requests.to_string(), rollback.requests.to_string());
        row("failed", promote.failed.to_string(), rollback.failed.to_string());
        row("failed, not answered by v3 itself", "-".to_owned(), rollback.failed_not_by_green.to_string());
        let first_bad = rollback.first_bad_scrape_to_blue_ms.and_then(|ms| i32::try_from(ms).ok()).map(f64::from);
        row("first scrape with an error to route on the old color", "-".to_owned(), ms(first_bad));
        row("of that, the write at the API server", "-".to_owned(), ms(rollback.decision_to_blue_ms));
        println!();
        let claims = self.claims();
        for (claim, holds) in &claims {
            println!("{:<6} {claim}", if *holds { "ok" } else { "FAILED" });
        }
        println!("\ntarget/demo/report.json");
        println!("A lab that stays:  cargo run -p e2e -- lab up");
        println!("A shell in it:     cargo run -p e2e -- lab exec");
        println!("All claims, alone: cargo run -p e2e -- cases --list");
        if claims.iter().all(|(_, holds)| *holds) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

impl Share {
    /// Whether the measured share is what chance makes of the weight: within five standard deviations and a point for
    /// the moments around a shift.
    fn fits(&self) -> bool {
        let wanted = f64::from(i32::try_from(self.weight).unwrap_or(-1)) / 100.0;
        let requests = f64::from(u32::try_from(self.requests).unwrap_or(u32::MAX));
        let deviation = (wanted * (1.0 - wanted) / requests.max(1.0)).sqrt();
        requests > 0.0 && (self.measured - wanted).abs() <= 5.0 * deviation + 0.01
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(weight: i64, measured: f64, requests: u64) -> bool {
        Share { weight, measured, requests }.fits()
    }

    #[test]
    fn a_share_fits_within_what_chance_makes_of_it() {
        assert!(fits(5, 0.04, 500) && fits(50, 0.53, 500) && fits(100, 0.995, 500));
        assert!(!fits(5, 0.2, 500), "the share of the next step");
        assert!(!fits(100, 0.95, 500), "a shift that did not come through");
        assert!(!fits(5, 0.05, 0), "nothing was measured");
    }
}
