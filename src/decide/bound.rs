//! A limit of a quantile against the buckets it is measured in: judged by a count where it is the bound of one, and where
//! it lies between two, said so. Never a query and never a verdict.

use super::plan::Test;
use crate::{
    api::gates::Gate,
    metrics::{Limit, Place, Source, ask},
};

/// A quantile whose limit is the bound of a bucket is judged by what is counted: how much is above the bound.
pub(super) fn exact(gate: &Gate, source: &Source, limit: Limit) -> Option<Test> {
    let share = rest(gate.quantile.as_deref()?)?;
    (ask::place(source, gate.metric, limit.value()) == Place::Bound).then_some(Test::Above { share, time: limit })
}

/// What is above a quantile: 5% above 0.95, to the last decimal.
fn rest(quantile: &str) -> Option<Limit> {
    let digits = quantile.strip_prefix("0.")?;
    let places = u32::try_from(digits.len()).ok().filter(|n| *n <= 9)?;
    let rest = 10_u32.pow(places).checked_sub(digits.parse().ok()?)?;
    format!("{rest}e-{places}").parse().ok().map(Limit::Share)
}

/// That a figure near the limit is interpolated, and which limit would be exact.
pub(super) fn note(gate: &Gate, test: Test, source: &Source) -> Option<String> {
    let (Test::Max(limit), Some(_)) = (test, &gate.quantile) else { return None };
    let limit = limit.value();
    let Place::Between(below, above) = ask::place(source, gate.metric, limit) else { return None };
    let nearest = if limit - below < above - limit && below > 0.0 { below } else { above };
    let [below, above, nearest] = [below, above, nearest].map(Limit::Seconds);
    Some(format!("interpolated between {below} and {above}; a limit of {nearest} is judged exactly"))
}

#[cfg(test)]
mod tests {
    use super::{Limit, rest};

    #[test]
    fn what_is_above_a_quantile_is_exact() {
        for (quantile, share) in [("0.95", 0.05), ("0.9", 0.1), ("0.999", 0.001), ("0.5", 0.5)] {
            assert_eq!(rest(quantile), Some(Limit::Share(share)), "{quantile}");
        }
        assert_eq!(rest("1.5"), None);
    }
}
