//! The shape of a profile: which series of an exporter answer which need. Every profile fills every field, with series or
//! with the reason why there are none, so that a new need breaks the build of each. Only data, never any text of a query.

use std::fmt;

use crate::api::exporters::Profile;

/// Why a metric cannot be had, and what would give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAvailable(pub &'static str);

impl fmt::Display for NotAvailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Something an exporter tells, or why it does not.
pub(super) type Known<T> = Result<T, NotAvailable>;

/// One exporter.
pub(super) struct Table {
    pub(super) profile: Profile,
    /// Its word in a manifest.
    pub(super) word: &'static str,
    /// Whether the figures are those of something in front of the pods, so that only labels tell the colors apart.
    pub(super) in_front: bool,
    /// Whether its histograms are often native ones, so that those are asked for unless the manifest says otherwise.
    pub(super) native: bool,
    /// Requests that came to an end.
    pub(super) finished: Known<Counter>,
    /// Views of the errors; the worst of them counts.
    pub(super) errors: Known<&'static [Share]>,
    /// Requests that the client gave up.
    pub(super) aborts: Known<Share>,
    /// Answers cut off at the longest length.
    pub(super) truncations: Known<Share>,
    pub(super) latency: Known<Time>,
    pub(super) first_token: Known<Time>,
    pub(super) output_token: Known<Time>,
    /// Requests that wait.
    pub(super) queue: Known<Gauge>,
    /// The KV cache, 0…1.
    pub(super) kv_cache: Known<Gauge>,
    pub(super) hits: Known<Hits>,
    /// All tokens of prompts, those from a cache included.
    pub(super) prompt_tokens: Known<Counter>,
    /// Those of them that came from a cache.
    pub(super) cached_tokens: Option<Counter>,
    pub(super) output_tokens: Known<Counter>,
    /// Dollars that the exporter itself counts. Then our prices are not used.
    pub(super) account: Option<Account>,
}

/// Series of one name.
#[derive(Clone, Copy)]
pub(super) struct Series {
    pub(super) name: &'static str,
    /// Matchers beside those of the color, as they stand between the braces.
    pub(super) with: &'static str,
    /// Which part of a histogram it is, if it is one: a native histogram has no series of its own for it.
    pub(super) part: Option<Part>,
}

/// What is counted by a histogram besides its buckets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// How many there were.
    Count,
    /// How much they were together.
    Sum,
}

impl Part {
    /// What a classic histogram puts after its name.
    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::Count => "_count",
            Self::Sum => "_sum",
        }
    }

    /// The function that reads it from a native histogram.
    pub(super) const fn function(self) -> &'static str {
        match self {
            Self::Count => "histogram_count",
            Self::Sum => "histogram_sum",
        }
    }
}

/// Something that only grows.
#[derive(Clone, Copy)]
pub(super) enum Counter {
    One(Series),
    /// The same thing under names that changed, the newest first; only one of them has series.
    Either(&'static [Series]),
    /// What is counted in parts.
    Sum(&'static [Series]),
}

/// A part of what is counted.
#[derive(Clone, Copy)]
pub(super) struct Share {
    pub(super) bad: Counter,
    pub(super) all: Counter,
}

/// How long something takes.
#[derive(Clone, Copy)]
pub(super) enum Time {
    /// Buckets, under names that changed, the newest first.
    Histogram(&'static [Histogram]),
    /// Quantiles that the exporter reckons itself; they cannot be merged, so the worst pod counts.
    Summary { name: &'static str, per_second: f64 },
    /// Only sums: seconds spent, by how many things.
    Mean { seconds: Counter, things: Counter },
}

/// A histogram, with classic buckets or a native one.
#[derive(Clone, Copy)]
pub(super) struct Histogram {
    /// Without `_bucket`.
    pub(super) series: Series,
    /// Its unit: 1 for seconds, 1000 for milliseconds.
    pub(super) per_second: f64,
    /// Its last finite bound in seconds: a quantile of classic buckets is never reported above it.
    pub(super) last: f64,
    /// All its finite bounds in seconds, where the exporter has them in its code. Empty where they can be configured.
    pub(super) bounds: &'static [f64],
}

/// Something that is read off.
#[derive(Clone, Copy)]
pub(super) struct Gauge {
    /// Under names that changed, the newest first.
    pub(super) names: &'static [Series],
    pub(super) fold: Fold,
}

/// How the gauges of several pods become one figure.
#[derive(Clone, Copy)]
pub(super) enum Fold {
    Max,
    Sum,
    /// Each tensor-parallel rank repeats its pod's figure; data-parallel ranks have their own.
    SumWithoutRanks,
}

/// How a cache is judged.
#[derive(Clone, Copy)]
pub(super) enum Hits {
    Counted {
        hits: Counter,
        asked: Counter,
    },
    /// 0…1.
    Told(Gauge),
}

/// Dollars counted by the exporter.
#[derive(Clone, Copy)]
pub(super) struct Account {
    pub(super) dollars: Counter,
    /// What it counted without knowing a price: then there is no figure rather than a low one.
    pub(super) unpriced: Option<Counter>,
}

pub(super) const fn series(name: &'static str) -> Series {
    Series { name, with: "", part: None }
}

pub(super) const fn series_with(name: &'static str, with: &'static str) -> Series {
    Series { name, with, part: None }
}

/// What a histogram counts; its name without `_count`.
pub(super) const fn count_of(name: &'static str, with: &'static str) -> Series {
    Series { name, with, part: Some(Part::Count) }
}

/// What a histogram adds up; its name without `_sum`.
pub(super) const fn sum_of(name: &'static str, with: &'static str) -> Series {
    Series { name, with, part: Some(Part::Sum) }
}

pub(super) const fn counter(name: &'static str) -> Counter {
    Counter::One(series(name))
}

pub(super) const fn counter_with(name: &'static str, with: &'static str) -> Counter {
    Counter::One(series_with(name, with))
}

pub(super) const fn seconds(name: &'static str, last: f64) -> Histogram {
    Histogram { series: series(name), per_second: 1.0, last, bounds: &[] }
}

/// Seconds, with bounds that are fixed in the exporter's code.
pub(super) const fn exact(name: &'static str, bounds: &'static [f64]) -> Histogram {
    let last = match bounds {
        [.., last] => *last,
        [] => 0.0,
    };
    Histogram { series: series(name), per_second: 1.0, last, bounds }
}

pub(super) const fn milliseconds(name: &'static str, last: f64) -> Histogram {
    Histogram { series: series(name), per_second: 1000.0, last, bounds: &[] }
}

pub(super) const fn none<T: Copy>(why: &'static str) -> Known<T> {
    Err(NotAvailable(why))
}
