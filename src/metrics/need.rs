//! From a need of a profile to two texts: the value, and what it rests on. Every text gives one sample without labels, or
//! none. Never knows an exporter.
//!
//! Rules that all of them keep: a ratio is `a / (b > 0)`, so that no traffic is no data; `or vector(0)` stands only in a
//! numerator whose counter may not have a series yet; a quantile is guarded by a count; windows are left open.

use super::{
    promql::{either, folded, or_zero, ratio},
    scope::{self, Scope},
    table::{Account, Counter, Fold, Gauge, Histogram, Hits, NotAvailable, Share, Time},
};

/// The value, and what it rests on.
pub(super) struct Texts {
    pub(super) value: String,
    pub(super) samples: String,
}

impl Counter {
    /// One figure of all its series: `by` makes one of a selector.
    pub(super) fn text(&self, scope: &Scope<'_>, by: impl Fn(&str) -> String) -> String {
        let each = |all: &[_]| all.iter().map(|s| by(&scope.select(s))).collect::<Vec<_>>();
        match self {
            Self::One(series) => by(&scope.select(series)),
            Self::Either(names) => either(&each(names)),
            Self::Sum(parts) => folded("sum", &each(parts)),
        }
    }

    /// What was counted in the window, and how many series counted it.
    pub(super) fn count(&self, scope: &Scope<'_>) -> Texts {
        Texts { value: self.text(scope, scope::events), samples: self.text(scope, scope::present) }
    }

    /// What is counted by second, and how many series count it.
    pub(super) fn rate(&self, scope: &Scope<'_>) -> Texts {
        Texts { value: self.text(scope, scope::rate), samples: self.text(scope, scope::present) }
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
    /// The quantile, or the mean without one.
    pub(super) fn texts(&self, scope: &Scope<'_>, quantile: Option<f64>) -> Result<Texts, NotAvailable> {
        match (self, quantile) {
            (Self::Histogram(names), quantile) => {
                let values: Vec<_> = names.iter().map(|h| h.value(scope, quantile)).collect();
                let counts: Vec<_> = names.iter().map(|h| h.count(scope)).collect();
                Ok(Texts { value: either(&values), samples: either(&counts) })
            }
            (Self::Summary { name, per_second }, quantile) => Ok(summary(scope, name, *per_second, quantile)),
            (Self::Mean { .. }, Some(_)) => {
                Err(NotAvailable("only the mean is told; leave out `quantile`, or measure it at a gateway"))
            }
            (Self::Mean { seconds, things }, None) => Ok(Texts {
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
fn summary(scope: &Scope<'_>, name: &str, per_second: f64, quantile: Option<f64>) -> Texts {
    let part = |suffix| scope.matched(&format!("{name}{suffix}"), "");
    let samples = scope::increase(&part("_count"));
    let value = match quantile {
        Some(quantile) => {
            let told = scope.matched(name, &format!(r#"quantile="{quantile}""#));
            format!("max({told}) / {per_second} and ({samples} > 0)")
        }
        None => ratio(&format!("{} / {per_second}", scope::rate(&part("_sum"))), &scope::rate(&part("_count"))),
    };
    Texts { value, samples }
}

impl Histogram {
    fn value(&self, scope: &Scope<'_>, quantile: Option<f64>) -> String {
        let part = |suffix| scope.suffixed(&self.series, suffix);
        let in_seconds = |text: String| match self.per_second {
            1.0 => text,
            n => format!("{text} / {n}"),
        };
        match quantile {
            Some(quantile) => {
                let buckets = scope::rate(&part("_bucket")).replacen("sum(", "sum by (le) (", 1);
                let value = in_seconds(format!("histogram_quantile({quantile}, {buckets})"));
                format!("{value} and ({} > 0)", self.count(scope))
            }
            None => ratio(&in_seconds(scope::rate(&part("_sum"))), &scope::rate(&part("_count"))),
        }
    }

    fn count(&self, scope: &Scope<'_>) -> String {
        scope::increase(&scope.suffixed(&self.series, "_count"))
    }
}

impl Gauge {
    /// What is read off, and how many series tell it.
    pub(super) fn texts(&self, scope: &Scope<'_>) -> Texts {
        let fold = |selector: &str| match self.fold {
            Fold::Max => format!("max({selector})"),
            Fold::Sum => format!("sum({selector})"),
            Fold::SumWithoutRanks => format!("sum(max by (pod, dp_rank) ({selector}))"),
        };
        let each = |by: &dyn Fn(&str) -> String| {
            either(&self.names.iter().map(|series| by(&scope.select(series))).collect::<Vec<_>>())
        };
        Texts { value: each(&fold), samples: each(&|selector| format!("count({selector})")) }
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
