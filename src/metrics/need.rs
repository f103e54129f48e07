//! From a need of a profile to two texts: the value, and what it rests on. Every text gives one sample without labels, or
//! none. Never knows an exporter.
//!
//! Rules that all of them keep: a ratio is `a / (b > 0)`, so that no traffic is no data; `or vector(0)` stands only in a
//! numerator whose counter may not have a series yet; a quantile is guarded by a count; windows are left open.

use super::{
    buckets,
    promql::{either, folded, or_zero, ratio},
    scope::{self, Scope},
    table::{Account, Counter, Fold, Gauge, Histogram, Hits, NotAvailable, Part, Series, Share, Time},
};

/// The value, and what it rests on.
pub(super) struct Texts {
    pub(super) value: String,
    pub(super) samples: String,
}

/// What is asked of a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wanted {
    Mean,
    Quantile(f64),
    /// The share of what took longer than so many seconds.
    Above(f64),
}

impl Counter {
    /// One figure of all its series: `by` makes one of a selector.
    pub(super) fn text(&self, scope: &Scope<'_>, by: impl Fn(&str) -> String) -> String {
        self.each(scope, &by, |part, whole| format!("{}({})", part.function(), by(whole)))
    }

    /// How many series count it.
    pub(super) fn present(&self, scope: &Scope<'_>) -> String {
        self.each(scope, scope::present, |_, whole| scope::present_native(whole))
    }

    /// `classic` makes a figure of a selector; `native` of that of the native histogram whose part it would be.
    fn each(
        &self,
        scope: &Scope<'_>,
        classic: impl Fn(&str) -> String,
        native: impl Fn(Part, &str) -> String,
    ) -> String {
        let one = |series: &Series| {
            let told = classic(&scope.select(series));
            match series.part.filter(|_| scope.native()) {
                Some(part) => either(&[told, native(part, &scope.whole(series))]),
                None => told,
            }
        };
        match self {
            Self::One(series) => one(series),
            Self::Either(names) => either(&names.iter().map(one).collect::<Vec<_>>()),
            Self::Sum(parts) => folded("sum", &parts.iter().map(one).collect::<Vec<_>>()),
        }
    }

    /// What was counted in the window, and how many series counted it.
    pub(super) fn count(&self, scope: &Scope<'_>) -> Texts {
        Texts { value: self.text(scope, scope::events), samples: self.present(scope) }
    }

    /// What is counted by second, and how many series count it.
    pub(super) fn rate(&self, scope: &Scope<'_>) -> Texts {
        Texts { value: self.text(scope, scope::rate), samples: self.present(scope) }
    }
}

/// The worst of several views of one thing: an engine sees failures after a stream began, HTTP those before it.
pub(super) fn worst(shares: &[Share], scope: &Scope<'_>) -> Texts {
    let values: Vec<_> = shares.iter().map(|s| s.value(scope)).collect();
    let samples: Vec<_> = shares.iter().map(|s| s.all.text(scope, scope::events)).collect();
    Texts { value: folded("max", &values), samples: folded("max", &samples) }
}

impl Share {
    fn value(&self, scope: &Scope<'_>) -> String {
        ratio(&or_zero(&self.bad.text(scope, scope::events)), &self.all.text(scope, scope::events))
    }
}

impl Time {
    /// The quantile, the mean, or the share above a bound.
    pub(super) fn texts(&self, scope: &Scope<'_>, wanted: Wanted) -> Result<Texts, NotAvailable> {
        match (self, wanted) {
            (Self::Histogram(names), wanted) => {
                let values: Vec<_> = names.iter().flat_map(|h| h.values(scope, wanted)).collect();
                let counts: Vec<_> = names.iter().flat_map(|h| h.counts(scope)).collect();
                Ok(Texts { value: either(&values), samples: either(&counts) })
            }
            (_, Wanted::Above(_)) => Err(NotAvailable("it has no buckets, so that no share above a time is counted")),
            (Self::Summary { name, per_second }, wanted) => Ok(summary(scope, name, *per_second, wanted)),
            (Self::Mean { .. }, Wanted::Quantile(_)) => {
                Err(NotAvailable("only the mean is told; leave out `quantile`, or measure it at a gateway"))
            }
            (Self::Mean { seconds, things }, Wanted::Mean) => Ok(Texts {
                value: ratio(&seconds.text(scope, scope::rate), &things.text(scope, scope::rate)),
                samples: things.text(scope, scope::increase),
            }),
        }
    }

    /// The largest quantile in seconds that can be told, if there is a bound.
    pub(super) fn last(&self) -> Option<f64> {
        match self {
            Self::Histogram(names) => names.iter().map(|h| h.last).reduce(f64::min),
            Self::Summary { .. } | Self::Mean { .. } => None,
        }
    }
}

/// A pod without requests tells NaN, which `max` passes over.
fn summary(scope: &Scope<'_>, name: &str, per_second: f64, wanted: Wanted) -> Texts {
    let part = |suffix| scope.matched(&format!("{name}{suffix}"), "");
    let samples = scope::increase(&part("_count"));
    let value = match wanted {
        Wanted::Quantile(quantile) => {
            let told = scope::fresh(&scope.matched(name, &format!(r#"quantile="{quantile}""#)));
            format!("max{told} / {per_second} and ({samples} > 0)")
        }
        _ => ratio(&format!("{} / {per_second}", scope::rate(&part("_sum"))), &scope::rate(&part("_count"))),
    };
    Texts { value, samples }
}

impl Histogram {
    /// The figure of classic buckets, and behind it that of a native histogram, if those are asked for.
    fn values(&self, scope: &Scope<'_>, wanted: Wanted) -> Vec<String> {
        std::iter::once(self.classic(scope, wanted)).chain(scope.native().then(|| self.native(scope, wanted))).collect()
    }

    fn classic(&self, scope: &Scope<'_>, wanted: Wanted) -> String {
        let part = |suffix| scope.suffixed(&self.series, suffix);
        match wanted {
            Wanted::Quantile(quantile) => {
                let buckets = scope::rate(&part("_bucket")).replacen("sum(", "sum by (le) (", 1);
                let value = self.in_seconds(format!("histogram_quantile({quantile}, {buckets})"));
                format!("{value} and ({} > 0)", scope::increase(&part("_count")))
            }
            Wanted::Above(seconds) => {
                let comma = if self.series.with.is_empty() { "" } else { "," };
                let with = format!("{}{comma}{}", self.series.with, buckets::ends_at(self, seconds));
                let below = scope::rate(&scope.matched(&format!("{}_bucket", self.series.name), &with));
                format!("1 - {}", ratio(&below, &scope::rate(&part("_count"))))
            }
            Wanted::Mean => ratio(&self.in_seconds(scope::rate(&part("_sum"))), &scope::rate(&part("_count"))),
        }
    }

    fn native(&self, scope: &Scope<'_>, wanted: Wanted) -> String {
        let rate = scope::rate(&scope.whole(&self.series));
        match wanted {
            Wanted::Quantile(quantile) => {
                let value = self.in_seconds(format!("histogram_quantile({quantile}, {rate})"));
                format!("{value} and ({} > 0)", self.native_count(scope))
            }
            Wanted::Above(seconds) => {
                let below = format!("histogram_fraction(-Inf, {}, {rate})", seconds * self.per_second);
                format!("1 - {below} and ({} > 0)", self.native_count(scope))
            }
            Wanted::Mean => {
                ratio(&self.in_seconds(format!("histogram_sum({rate})")), &format!("histogram_count({rate})"))
            }
        }
    }

    fn in_seconds(&self, text: String) -> String {
        match self.per_second {
            1.0 => text,
            n => format!("{text} / {n}"),
        }
    }

    fn counts(&self, scope: &Scope<'_>) -> Vec<String> {
        let classic = scope::increase(&scope.suffixed(&self.series, "_count"));
        std::iter::once(classic).chain(scope.native().then(|| self.native_count(scope))).collect()
    }

    fn native_count(&self, scope: &Scope<'_>) -> String {
        format!("histogram_count({})", scope::increase(&scope.whole(&self.series)))
    }
}

impl Gauge {
    /// What is read off, and how many series tell it.
    pub(super) fn texts(&self, scope: &Scope<'_>) -> Texts {
        let fold = |told: &str| match self.fold {
            Fold::Max => format!("max{told}"),
            Fold::Sum => format!("sum{told}"),
            Fold::SumWithoutRanks => format!("sum(max by (pod, dp_rank) {told})"),
        };
        let each = |by: &dyn Fn(&str) -> String| {
            either(&self.names.iter().map(|series| by(&scope::fresh(&scope.select(series)))).collect::<Vec<_>>())
        };
        Texts { value: each(&fold), samples: each(&|told| format!("count{told}")) }
    }
}

impl Hits {
    /// The share of hits. It rests on the requests of the window, or on what was looked up where none are counted.
    pub(super) fn texts(&self, scope: &Scope<'_>, finished: Option<&Counter>) -> Texts {
        let (value, looked_up) = match self {
            Self::Counted { hits, asked } => {
                (Share { bad: *hits, all: *asked }.value(scope), asked.text(scope, scope::events))
            }
            Self::Told(gauge) => {
                let told = gauge.texts(scope);
                (told.value, told.samples)
            }
        };
        Texts { value, samples: finished.map_or(looked_up, |f| f.text(scope, scope::events)) }
    }
}

impl Account {
    /// Dollars, by second or in the window; nothing while something has no price.
    pub(super) fn text(&self, scope: &Scope<'_>, by: fn(&str) -> String) -> String {
        let dollars = self.dollars.text(scope, by);
        match &self.unpriced {
            Some(unpriced) => format!("({dollars} unless ({} > 0))", unpriced.text(scope, scope::events)),
            None => dollars,
        }
    }
}
