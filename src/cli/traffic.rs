//! How much traffic a service gets, and how much of it is bad: as it was typed, or as the evidence in a rollout's status
//! tells. Never guesses: what is not known is asked for.

use std::collections::BTreeMap;

use super::wish::Given;
use crate::{
    api::{
        LlmRolloutStatus,
        status::{Attempt, Kept},
    },
    decide::{
        forecast::Traffic,
        plan::{PlannedGate, duration},
    },
    metrics::{Limit, Subject},
    stats::checkpoint::Checkpoint,
};

/// What is known of the traffic.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// Requests a second.
    pub rps: f64,
    /// The share that is bad of the serving color, for every gate without a figure of its own.
    pub rate: Option<f64>,
    /// The same by gate.
    pub rates: BTreeMap<String, f64>,
    /// Whether the requests are those of the status.
    pub seen: bool,
}

impl Known {
    /// What was typed comes first, then what the status tells. None without requests.
    pub fn of(given: &Given, status: Option<&LlmRolloutStatus>) -> Option<Self> {
        let attempt = status.and_then(|status| status.attempt.as_ref());
        let counted = attempt.map(counted).unwrap_or_default();
        let measured = || status?.requests_per_second.as_ref()?.parse().ok();
        let rps = given.rps.or_else(measured).or_else(|| status.and_then(in_windows));
        let rps = rps.filter(|rps| rps.is_finite() && *rps > 0.0)?;
        let mut rates: BTreeMap<String, f64> = BTreeMap::new();
        // A figure that was typed for all gates is meant for all of them.
        if given.rate.is_none() {
            rates.extend(counted);
        }
        rates.extend(given.rates.iter().cloned());
        Some(Self { rps, rate: given.rate, rates, seen: given.rps.is_none() })
    }

    /// `2 requests a second, 1% of them bad`.
    pub fn words(&self) -> String {
        let share = |rate: f64| Limit::Share(rate).plain();
        let all = self.rate.map(|rate| format!("{} of them bad", share(rate)));
        let of = self.rates.iter().map(|(gate, rate)| format!("{} bad by {gate}", share(*rate)));
        let seen = self.seen.then(|| "as status tells".to_owned());
        let rps = Limit::Number(self.rps).plain();
        let rps = if rps == "1" { "1 request a second".to_owned() } else { format!("{rps} requests a second") };
        [rps].into_iter().chain(all).chain(of).chain(seen).collect::<Vec<_>>().join(", ")
    }
}

impl Traffic for Known {
    fn rps(&self) -> f64 {
        self.rps
    }

    /// What is above a quantile, by its very meaning, where nothing else is said of the gate.
    fn rate(&self, gate: &PlannedGate) -> Option<f64> {
        let above = gate.test.proof().and_then(|proof| proof.above);
        let quantile = match &gate.subject {
            Subject::Metric(_, quantile) if above.is_none() => quantile.as_deref(),
            _ => None,
        };
        let by_quantile = quantile.and_then(|q| q.parse::<f64>().ok()).map(|q| 1.0 - q);
        self.rates.get(&gate.name).copied().or(by_quantile).or(self.rate)
    }
}

/// The share that is bad of the serving color, as each statistical gate has counted it in its step.
fn counted(attempt: &Attempt) -> Vec<(String, f64)> {
    attempt.evidence.iter().filter_map(|kept| Some((kept.gate.clone(), rate(kept)?))).collect()
}

fn rate(kept: &Kept) -> Option<f64> {
    let views: Vec<Option<Checkpoint>> = serde_json::from_str(&kept.state).ok()?;
    let [_, _, blue, bad] = views.into_iter().flatten().next()?.counts;
    (blue > 0.0).then(|| bad / blue).filter(|rate| (0.0..1.0).contains(rate))
}

/// What a gate has counted of the candidate in its window.
fn in_windows(status: &LlmRolloutStatus) -> Option<f64> {
    let weight = status.attempt.as_ref().map(|a| a.weight).filter(|weight| *weight > 0)?;
    let of = |gate: &crate::api::status::GateStatus| {
        let window = duration(&gate.window)?.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a count of requests is far below 2^53")]
        let samples = gate.samples? as f64;
        Some(samples / window / weight.part())
    };
    status.gates.iter().filter_map(of).max_by(f64::total_cmp)
}
