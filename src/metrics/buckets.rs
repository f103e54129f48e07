//! Where a limit lies among the buckets of a histogram, and so whether the share above it can be told exactly. Bounds are
//! known where an exporter has them in its code; where they can be configured they are not. Never a query.

use super::table::{Histogram, Time};

/// Where a limit lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Place {
    /// On a bound: the share above it is counted.
    Bound,
    /// Between two bounds, in seconds: a quantile there is interpolated.
    Between(f64, f64),
    /// Nobody knows: no buckets, or not what bounds they have.
    Unknown,
}

/// Where a limit in seconds lies. Under several names only bounds count that all of them have, because nobody knows which
/// of them has series.
pub(super) fn place(time: &Time, limit: f64) -> Place {
    let Time::Histogram(names) = time else { return Place::Unknown };
    let bounds = || common(names);
    if bounds().any(|bound| is(bound, limit)) {
        return Place::Bound;
    }
    let below = bounds().filter(|bound| *bound < limit).last();
    bounds().find(|bound| *bound > limit).map_or(Place::Unknown, |above| Place::Between(below.unwrap_or(0.0), above))
}

/// The bounds that histograms under all names have, the smallest first.
pub(super) fn common(names: &'static [Histogram]) -> impl Iterator<Item = f64> {
    let (first, others) = names.split_first().map_or((&[][..], names), |(first, others)| (first.bounds, others));
    let everywhere = |bound: &f64| others.iter().all(|h| h.bounds.iter().any(|other| is(*other, *bound)));
    first.iter().copied().filter(everywhere)
}

/// Both were read from decimals; `800ms` and 0.8 are the same double.
fn is(bound: f64, limit: f64) -> bool {
    bound.total_cmp(&limit).is_eq()
}

/// A matcher of the bucket that ends at a bound, as exporters write it: `2`, or `2.0` as Python and Prometheus 3 do.
pub(super) fn ends_at(histogram: &Histogram, seconds: f64) -> String {
    let bound = (seconds * histogram.per_second).to_string();
    let spellings = if bound.contains('.') { bound.replace('.', r"\\.") } else { format!(r"{bound}|{bound}\\.0") };
    format!(r#"le=~"{spellings}""#)
}

#[cfg(test)]
mod tests {
    use super::{Place, ends_at, is, place};
    use crate::metrics::table::{Histogram, Time, exact, milliseconds, seconds};

    const FINE: &[f64] = &[0.5, 1.5, 2.0];
    const ONE: &[Histogram] = &[exact("a", FINE)];

    #[test]
    fn a_limit_is_on_a_bound_or_between_two() {
        let time = Time::Histogram(ONE);
        for (limit, at) in [
            (1.5, Place::Bound),
            (1.6, Place::Between(1.5, 2.0)),
            (0.2, Place::Between(0.0, 0.5)),
            (3.0, Place::Unknown),
        ] {
            assert_eq!(place(&time, limit), at, "{limit}");
        }
        assert!(ONE.iter().all(|h| is(h.last, 2.0)));
    }

    #[test]
    fn every_name_must_have_the_bound() {
        const BOTH: &[Histogram] = &[exact("a", FINE), exact("b", &[1.0, 2.0])];
        const OPEN: &[Histogram] = &[exact("a", FINE), seconds("c", 9.0)];
        for (limit, at) in [(2.0, Place::Bound), (1.5, Place::Between(0.0, 2.0)), (1.0, Place::Between(0.0, 2.0))] {
            assert_eq!(place(&Time::Histogram(BOTH), limit), at, "{limit}");
        }
        assert_eq!(place(&Time::Histogram(OPEN), 1.5), Place::Unknown);
        assert_eq!(place(&Time::Summary { name: "s", per_second: 1.0 }, 1.5), Place::Unknown);
    }

    #[test]
    fn a_bucket_is_found_however_its_bound_is_written() {
        let fine = exact("a", FINE);
        assert_eq!(ends_at(&fine, 1.5), r#"le=~"1\\.5""#);
        assert_eq!(ends_at(&fine, 2.0), r#"le=~"2|2\\.0""#);
        assert_eq!(ends_at(&milliseconds("m", 9.0), 1.5), r#"le=~"1500|1500\\.0""#);
    }
}
