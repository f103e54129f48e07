//! A histogram with fixed bounds, counted and written as Prometheus does, with the bounds of each kind
//! of measure. Nothing here measures.

use std::fmt::{self, Write};

/// Whole requests.
pub(crate) const REQUEST: &[f64] = &[
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0,
    1920.0, 7680.0,
];
/// First tokens.
pub(crate) const FIRST: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
    160.0, 640.0, 2560.0,
];
/// Single tokens.
pub(crate) const TOKEN: &[f64] =
    &[0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0];
/// Counts of tokens: 1, 2, 5 and so on up to a context of 32 768.
pub(crate) const COUNT: &[f64] =
    &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0, 20_000.0];
/// The HTTP layer's default.
pub(crate) const HTTP: &[f64] = &[0.1, 0.5, 1.0];

/// A histogram with fixed bounds.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    bounds: &'static [f64],
    /// One per bound and one above them all, not cumulative.
    counts: Vec<u64>,
    sum: f64,
}

impl Histogram {
    /// An empty one.
    pub(crate) fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    /// Counts `value` `times` times.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    pub(crate) fn observe(&mut self, value: f64, times: u64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get_mut(place) {
            *count += times;
            self.sum += value * times as f64;
        }
    }

    /// Its lines, as Prometheus reads them.
    pub(crate) fn write(&self, out: &mut String, name: &str, labels: &str) -> fmt::Result {
        let mut total = 0;
        let bounds = self.bounds.iter().map(|bound| format!("{bound:?}")).chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(&self.counts) {
            total += count;
            writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {total}")?;
        }
        writeln!(out, "{name}_sum{{{labels}}} {}", self.sum)?;
        writeln!(out, "{name}_count{{{labels}}} {total}")
    }
}
