//! A limit of a quantile against the buckets it is measured in: judged by a count where it is the bound of one, and where
//! it lies between two, said so. Never a query and never a verdict.

use super::{criterion::Test, proof};
use crate::{
    api::gates::Gate,
    metrics::{Limit, Place, Source, Subject, ask},
};

/// What is shown instead of what is judged, what is judged, and by what.
pub(super) fn judged(gate: &Gate, source: &Source, subject: Subject, test: Test) -> (Option<Subject>, Subject, Test) {
    match exact(gate, source, test) {
        Some((counted, share)) => (Some(subject), counted, share),
        None => (None, subject, test),
    }
}

/// A quantile whose limit is the bound of a bucket is judged by what is counted: how much is above the bound.
fn exact(gate: &Gate, source: &Source, test: Test) -> Option<(Subject, Test)> {
    let (Test::Max(limit), Some(metric)) = (test, gate.metric) else { return None };
    let share = rest(gate.quantile.as_deref()?)?;
    let bound = ask::place(source, metric, limit.value()) == Place::Bound;
    bound.then(|| (Subject::Above(metric, limit.value()), Test::Above(share, limit)))
}

/// What is above a quantile: 5% above 0.95, to the last decimal.
fn rest(quantile: &str) -> Option<Limit> {
    let digits = quantile.strip_prefix("0.")?;
    let places = u32::try_from(digits.len()).ok().filter(|n| *n <= 9)?;
    let rest = 10_u32.pow(places).checked_sub(digits.parse().ok()?)?;
    format!("{rest}e-{places}").parse().ok().map(Limit::Share)
}

/// That a figure near the limit is interpolated, and which limit would be exact.
pub(super) fn note(gate: &Gate, source: &Source, test: Test) -> Option<String> {
    let (Test::Max(limit), Some(metric), Some(_)) = (test, gate.metric, &gate.quantile) else { return None };
    let limit = limit.value();
    let Place::Between(below, above) = ask::place(source, metric, limit) else { return None };
    let nearest = if limit - below < above - limit && below > 0.0 { below } else { above };
    let [below, above, nearest] = [below, above, nearest].map(Limit::Seconds);
    Some(format!("interpolated between {below} and {above}; a limit of {nearest} is judged exactly"))
}

/// Quantiles are never told above the exporter's last bucket, so a limit there would never be exceeded. A mean is. What
/// evidence is weighed of has to be counted.
pub(super) fn can_be_told(gate: &Gate, source: &Source, test: Test) -> Result<(), String> {
    if let Some(proof) = test.proof() {
        return proof::can_be_counted(gate, source, proof);
    }
    let bound = gate.metric.filter(|_| gate.quantile.is_some()).and_then(|m| ask::last_bound(source, m));
    let most = test.limit().and_then(|_| test.band(None)?.most());
    match (bound, most) {
        (Some(bound), Some(most)) if most > bound => Err(format!(
            "the exporter's last bucket ends at {bound}s, so that nothing above it can be told; write a limit below"
        )),
        (None | Some(_), None | Some(_)) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Limit, Test, note, rest};
    use crate::{
        api::{exporters::Metrics, gates::Gate},
        metrics::Source,
    };

    /// The exporter's bounds are 0.3s, 0.5s, 0.8s, 1s, 1.5s, 2s, 2.5s, 5s, 10s, …
    #[test]
    fn a_limit_between_two_bounds_is_told_the_nearer_one() {
        let source = Source::read(&Metrics::default(), None, None).unwrap();
        let note = |quantile: Option<&str>, limit: &str| {
            let gate = serde_json::json!({"name": "p95", "metric": "latency", "quantile": quantile, "max": limit});
            let gate: Gate = serde_json::from_value(gate).unwrap();
            note(&gate, &source, Test::Max(Limit::parse(limit).unwrap()))
        };
        for (limit, below, above, nearest) in [
            ("2.1s", "2s", "2.5s", "2s"),
            ("2.4s", "2s", "2.5s", "2.5s"),
            ("6s", "5s", "10s", "5s"),
            ("7.5s", "5s", "10s", "10s"),
            ("9s", "5s", "10s", "10s"),
            ("100ms", "0s", "300ms", "300ms"),
        ] {
            let said = format!("interpolated between {below} and {above}; a limit of {nearest} is judged exactly");
            assert_eq!(note(Some("0.95"), limit), Some(said), "{limit}");
        }
        assert_eq!(note(Some("0.95"), "2s"), None, "a bound itself is exact");
        assert_eq!(note(None, "2.1s"), None, "a mean is not interpolated");
    }

    #[test]
    fn what_is_above_a_quantile_is_exact() {
        for (quantile, share) in [("0.95", 0.05), ("0.9", 0.1), ("0.999", 0.001), ("0.5", 0.5)] {
            assert_eq!(rest(quantile), Some(Limit::Share(share)), "{quantile}");
        }
        assert_eq!(rest("1.5"), None);
    }
}
