//! The live timeline of one release: a line whenever something changed, and a mark in the load at every shift.
//! Nothing here decides whether it went well.

#![expect(clippy::print_stdout, reason = "the timeline is what the command is asked for")]

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;
use tokio::time::sleep;

use super::{DemoError, story::Scene};
use crate::kit::{
    Frame, KitError, Load, Weights,
    load::Report,
    space::{is_current, phase, weights_seen},
};

/// How often the films are looked at; they know their times themselves.
const LOOK: Duration = Duration::from_millis(25);
/// How often the load is asked.
const ASK: Duration = Duration::from_millis(500);
/// The stretch over which a share is measured for the timeline.
const STRETCH: Duration = Duration::from_secs(3);
/// Gate values alone make a new line no more often than this.
const QUIET: Duration = Duration::from_secs(1);
/// Longer than any release here may take.
const LONGEST: Duration = Duration::from_mins(5);

/// A color as it stands in names.
pub(super) fn candidate_of(rollout: &Value) -> &'static str {
    if rollout["status"]["active"] == "green" { "blue" } else { "green" }
}

/// The weight of a color.
pub(super) fn weight_of(weights: Weights, color: &str) -> i64 {
    if color == "blue" { weights.blue } else { weights.green }
}

/// What became of one release.
#[derive(Debug)]
pub(super) struct Timeline {
    /// What is released.
    pub version: String,
    /// The color it comes up on.
    pub candidate: &'static str,
    /// When it was applied.
    pub from: Timestamp,
    begun: Instant,
    /// Weights of the candidate, in the order in which they stood in the route, each with the frame that showed it first.
    pub weights: Vec<(i64, Frame)>,
    /// The rollout as it stood at the end.
    pub end: Value,
    /// How long it took.
    pub took: Duration,
}

/// What is shown of a moment.
#[derive(Debug, Clone, Default, PartialEq)]
struct Moment {
    phase: String,
    step: String,
    route: String,
    gates: String,
}

impl Timeline {
    /// Begins now.
    pub(super) fn new(version: &str, scene: &Scene) -> Self {
        let end = scene.rollout.last().map_or(Value::Null, |rollout| (*rollout).clone());
        Self {
            version: version.to_owned(),
            candidate: candidate_of(&end),
            from: Timestamp::now(),
            begun: Instant::now(),
            weights: Vec::new(),
            end,
            took: Duration::ZERO,
        }
    }

    /// Shows everything until the phase is `end`.
    pub(super) async fn follow(mut self, scene: &Scene, load: &Load, end: &str) -> Result<Self, DemoError> {
        println!("{:>8}  {:<11} {:<4} {:>10}  {:>9}  gates", "time", "phase", "step", "blue/green", self.version);
        let known = weights_seen(&scene.route).len();
        let mut shares = Shares::default();
        let mut shown = Moment::default();
        let mut next_line = Instant::now();
        loop {
            for (weights, frame) in weights_seen(&scene.route).into_iter().skip(known + self.weights.len()) {
                let weight = weight_of(weights, self.candidate);
                load.mark(&self.phase_name(weight)).await?;
                self.weights.push((weight, frame));
                shares.forget();
            }
            shares.ask(load, &self.version).await?;
            let rollout = scene.rollout.last().map_or(Value::Null, |rollout| (*rollout).clone());
            let now = Moment::of(&rollout, scene);
            let is_quiet =
                Moment { gates: String::new(), ..now.clone() } == Moment { gates: String::new(), ..shown.clone() };
            if now != shown && (!is_quiet || Instant::now() >= next_line) {
                println!("{}", now.line(scene.since.elapsed(), shares.newest()));
                next_line = Instant::now() + QUIET;
                shown = now;
            }
            if is_current(&rollout) && phase(&rollout) == end && self.is_over(&rollout) {
                (self.took, self.end) = (self.begun.elapsed(), rollout);
                return Ok(self);
            }
            self.check(&rollout, end)?;
            sleep(LOOK).await;
        }
    }

    /// The name of a phase of the load.
    pub(super) fn phase_name(&self, weight: i64) -> String {
        format!("{} at {weight}%", self.version)
    }

    /// Whether the status speaks of an attempt that began and ended since.
    fn is_over(&self, rollout: &Value) -> bool {
        let time =
            |name: &str| rollout["status"]["attempt"][name].as_str().and_then(|text| text.parse::<Timestamp>().ok());
        // Status times may be cut to seconds.
        let begun_since = time("startedAt").is_some_and(|at| at.as_second() >= self.from.as_second());
        begun_since && !self.weights.is_empty() && time("endedAt").is_some()
    }

    /// An end that is not the wanted one, or none at all, is an error.
    fn check(&self, rollout: &Value, end: &str) -> Result<(), DemoError> {
        let found = phase(rollout);
        let text = |name: &str| rollout["status"][name].as_str().unwrap_or_default();
        let is_wrong_end = is_current(rollout) && ["RolledBack", "Blocked"].contains(&found) && found != end;
        if is_wrong_end && (found == "Blocked" || self.is_over(rollout)) {
            let words =
                format!("{}: {found} ({}) instead of {end}: {}", self.version, text("summary"), text("message"));
            return Err(KitError::Refuted(words).into());
        }
        if self.begun.elapsed() > LONGEST {
            let last = format!("{found}, {}: {}", text("summary"), text("message"));
            return Err(KitError::Late { what: format!("{}: {end}", self.version), within: LONGEST, last }.into());
        }
        Ok(())
    }
}

impl Moment {
    fn of(rollout: &Value, scene: &Scene) -> Self {
        let text = |name: &str| rollout["status"][name].as_str().unwrap_or_default().to_owned();
        let route = scene.route.last().map_or(Weights { blue: -1, green: -1 }, |route| Weights::of(&route));
        Self {
            phase: text("phase"),
            step: text("step"),
            route: format!("{}/{}", route.blue, route.green),
            gates: text("summary"),
        }
    }

    fn line(&self, at: Duration, share: Option<f64>) -> String {
        let Self { phase, step, route, gates } = self;
        let share = share.map_or_else(|| "-".to_owned(), |share| format!("{:.1}%", share * 100.0));
        let line = format!("{:>6.1} s  {phase:<11} {step:<4} {route:>10}  {share:>9}  {gates}", at.as_secs_f64());
        line.trim_end().to_owned()
    }
}

/// Counts of the load over the last seconds.
#[derive(Debug, Default)]
struct Shares {
    seen: VecDeque<(Instant, u64, u64)>,
}

impl Shares {
    /// A shift: what was before says nothing about now.
    fn forget(&mut self) {
        self.seen.drain(..self.seen.len().saturating_sub(1));
    }

    async fn ask(&mut self, load: &Load, version: &str) -> Result<(), DemoError> {
        let now = Instant::now();
        if self.seen.back().is_some_and(|(at, ..)| now < *at + ASK) {
            return Ok(());
        }
        let (all, ours) = count(&load.report().await?, version);
        self.seen.push_back((now, all, ours));
        while self.seen.len() > 2 && self.seen.front().is_some_and(|(at, ..)| *at + STRETCH < now) {
            self.seen.pop_front();
        }
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    fn newest(&self) -> Option<f64> {
        let ((_, all_then, ours_then), (_, all_now, ours_now)) = (self.seen.front()?, self.seen.back()?);
        let all = all_now.checked_sub(*all_then).filter(|all| *all > 0)?;
        Some((ours_now - ours_then) as f64 / all as f64)
    }
}

fn count(report: &Report, version: &str) -> (u64, u64) {
    let by_version: &BTreeMap<_, _> = &report.by_version;
    let all = by_version.values().map(|side| side.requests).sum();
    (all, by_version.get(version).map_or(0, |side| side.requests))
}
