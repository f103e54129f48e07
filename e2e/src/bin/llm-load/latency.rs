//! A histogram of times with bounds two percent apart: small, mergeable, good enough for quantiles.
//! Nothing here measures.

use std::time::Duration;

use serde::Serialize;

/// Distance between bounds.
const STEP: f64 = 1.02;
/// The lowest bound in seconds.
const LOWEST: f64 = 0.000_1;
/// Reaches beyond two hours.
const PLACES: usize = 920;

/// A histogram of times.
#[derive(Debug, Clone)]
pub(crate) struct Latency {
    counts: Vec<u64>,
    total: u64,
    max: Duration,
}

/// What is reported of it.
#[derive(Debug, Clone, Copy, Serialize)]
#[expect(clippy::struct_field_names, reason = "the unit is part of the name in every report")]
pub(crate) struct Quantiles {
    p50_ms: f64,
    p95_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

impl Default for Latency {
    fn default() -> Self {
        Self { counts: vec![0; PLACES], total: 0, max: Duration::ZERO }
    }
}

impl Latency {
    /// One more.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "clamped to the number of places"
    )]
    pub(crate) fn observe(&mut self, time: Duration) {
        let place = ((time.as_secs_f64() / LOWEST).ln() / STEP.ln()).ceil().clamp(0.0, (PLACES - 1) as f64) as usize;
        self.counts[place] += 1;
        self.total += 1;
        self.max = self.max.max(time);
    }

    /// The quantiles; none without observations.
    pub(crate) fn quantiles(&self) -> Option<Quantiles> {
        let max_ms = self.max.as_secs_f64() * 1000.0;
        (self.total > 0).then(|| Quantiles {
            p50_ms: round(self.quantile(50).min(max_ms)),
            p95_ms: round(self.quantile(95).min(max_ms)),
            p99_ms: round(self.quantile(99).min(max_ms)),
            max_ms: round(max_ms),
        })
    }

    /// The upper bound, in milliseconds, below which so many percent lie.
    fn quantile(&self, percent: u64) -> f64 {
        let rank = (self.total * percent).div_ceil(100);
        let mut below = 0;
        let mut bound = LOWEST * 1000.0;
        for count in &self.counts {
            below += count;
            if below >= rank {
                break;
            }
            bound *= STEP;
        }
        bound
    }
}

/// To a hundredth of a millisecond: more would only look exact.
fn round(ms: f64) -> f64 {
    (ms * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Latency;

    #[test]
    fn quantiles_are_within_two_percent() {
        let mut latency = Latency::default();
        assert!(latency.quantiles().is_none());
        for ms in 1..=1000 {
            latency.observe(Duration::from_millis(ms));
        }
        let quantiles = latency.quantiles().unwrap();
        for (found, true_value) in [(quantiles.p50_ms, 500.0), (quantiles.p95_ms, 950.0), (quantiles.p99_ms, 990.0)] {
            assert!(found >= true_value * 0.999 && found <= true_value * 1.021, "{found} for {true_value}");
        }
        assert!((quantiles.max_ms - 1000.0).abs() < 0.01);
    }

    #[test]
    fn the_ends_hold() {
        let mut latency = Latency::default();
        latency.observe(Duration::ZERO);
        latency.observe(Duration::from_hours(100));
        assert!(latency.quantiles().is_some());
    }
}
