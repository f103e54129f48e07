//! The raw counters behind a statistical gate: which series of either color are read, and what their increments mean.
//! Never a rate and never a window: those are reckoned from samples, and a share of nothing is no evidence.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use super::{
    NoData, NotAvailable, Source, buckets,
    cost::{self, Basis},
    question::Template,
    scope::Scope,
    table::{Counter, Histogram, Share, Time},
};
use crate::{
    api::{Moment, Percent, gates::Metric, status::Color},
    stats::{Tolerance, gate::Config},
};

/// What the increments of a series mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Requests.
    All,
    /// Those of them that were bad.
    Bad,
    /// Those of them that were not.
    Good,
    /// What is added up, so much for each; below zero it is taken off.
    Spent(Exact),
}

/// Series of one color in one role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Part {
    /// What their increments mean.
    pub role: Role,
    /// A selector without a range.
    pub series: Template,
}

/// One view of the thing: an engine sees failures after a stream began, HTTP those before it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct View {
    /// Of the candidate.
    pub candidate: Vec<Part>,
    /// Of the color that serves.
    pub active: Vec<Part>,
}

/// The pods of a color.
#[derive(Clone, Copy, Debug)]
pub struct Pods<'a> {
    /// The color.
    pub color: Color,
    /// Its workload.
    pub workload: &'a str,
}

/// What is counted of a metric; for a time, how much took longer than so many seconds.
pub fn views(
    source: &Source,
    metric: Metric,
    above: Option<f64>,
    namespace: &str,
    [candidate, active]: [Pods<'_>; 2],
) -> Result<Vec<View>, NotAvailable> {
    let of = |pods: Pods<'_>| parts(source, metric, above, &source.scope(pods.color, namespace, pods.workload));
    let (candidate, active) = (of(candidate)?, of(active)?);
    Ok(candidate.into_iter().zip(active).map(|(candidate, active)| View { candidate, active }).collect())
}

/// Whether a metric is a mean of something that is added up, and not a share.
pub const fn is_mean(metric: Metric) -> bool {
    matches!(metric, Metric::CostPerRequest | Metric::TokensPerRequest)
}

/// The smallest bound of a bucket at or above a time in seconds.
pub fn bound_above(source: &Source, metric: Metric, seconds: f64) -> Option<f64> {
    let Time::Histogram(names) = time(source, metric).ok()? else { return None };
    buckets::common(names).find(|bound| *bound >= seconds)
}

fn time(source: &Source, metric: Metric) -> Result<Time, NotAvailable> {
    let table = source.table();
    match metric {
        Metric::Latency => table.latency,
        Metric::TimeToFirstToken => table.first_token,
        Metric::TimePerOutputToken => table.output_token,
        _ => Err(NOT_A_SHARE),
    }
}

const NOT_A_SHARE: NotAvailable = NotAvailable(
    "evidence is weighed of `errorRate`, `abortRate`, `truncationRate`, `latency`, `timeToFirstToken`, \
     `timePerOutputToken`, `costPerRequest` and `tokensPerRequest`; write a limit, for example `max`",
);

/// Each view's parts for one color.
fn parts(
    source: &Source,
    metric: Metric,
    above: Option<f64>,
    scope: &Scope<'_>,
) -> Result<Vec<Vec<Part>>, NotAvailable> {
    let table = source.table();
    let share = |share: &Share| [of(Role::All, &share.all, scope), of(Role::Bad, &share.bad, scope)].concat();
    match metric {
        Metric::ErrorRate => Ok(table.errors?.iter().map(share).collect()),
        Metric::AbortRate => Ok(vec![share(&table.aborts?)]),
        Metric::TruncationRate => Ok(vec![share(&table.truncations?)]),
        Metric::TokensPerRequest => {
            let (all, tokens) = (table.finished?, table.output_tokens?);
            Ok(vec![[of(Role::All, &all, scope), of(Role::Spent(Exact::of(1.0)), &tokens, scope)].concat()])
        }
        Metric::CostPerRequest => Ok(vec![dollars(source, scope)?]),
        _ => {
            let Time::Histogram(names) = time(source, metric)? else {
                return Err(NotAvailable("it has no buckets, so that no share above a time is counted"));
            };
            let seconds = above.ok_or(NotAvailable("nothing is known yet of the color that serves"))?;
            Ok(vec![names.iter().flat_map(|h| slower(h, seconds, scope)).collect()])
        }
    }
}

/// Tokens at their prices, by finished request.
fn dollars(source: &Source, scope: &Scope<'_>) -> Result<Vec<Part>, NotAvailable> {
    let table = source.table();
    let Basis::TokenPrice(prices) = source.basis() else {
        return Err(NotAvailable("evidence is weighed of costs with `costBasis: tokenPrice`; write `target` or `max`"));
    };
    if table.account.is_some() {
        return Err(NotAvailable("the exporter counts dollars itself, but not by request; write `target` or `max`"));
    }
    let prices = prices.ok_or(cost::NO_PRICES)?;
    let each = |dollars: f64| Role::Spent(Exact::of(dollars / 1e6));
    let mut all = of(Role::All, &table.finished?, scope);
    all.extend(of(each(prices.input), &table.prompt_tokens?, scope));
    if let Some(cached) = table.cached_tokens.as_ref().filter(|_| prices.cached_input < prices.input) {
        all.extend(of(each(prices.cached_input - prices.input), cached, scope));
    }
    all.extend(of(each(prices.output), &table.output_tokens?, scope));
    Ok(all)
}

fn of(role: Role, counter: &Counter, scope: &Scope<'_>) -> Vec<Part> {
    let one = |series| Part { role, series: Template::new(scope.select(series)) };
    match counter {
        Counter::One(series) => vec![one(series)],
        Counter::Either(names) | Counter::Sum(names) => names.iter().map(one).collect(),
    }
}

/// What was counted at all, and what was not slower than the bound of a bucket.
fn slower(histogram: &Histogram, seconds: f64, scope: &Scope<'_>) -> [Part; 2] {
    let comma = if histogram.series.with.is_empty() { "" } else { "," };
    let with = format!("{}{comma}{}", histogram.series.with, buckets::ends_at(histogram, seconds));
    let all = Template::new(scope.suffixed(&histogram.series, "_count"));
    let good = Template::new(scope.matched(&format!("{}_bucket", histogram.series.name), &with));
    [Part { role: Role::All, series: all }, Part { role: Role::Good, series: good }]
}

/// What is asked of raw counters: the views, what they are to prove, and since when each share has stood.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Raw {
    /// The views of the thing; none while it is not known what to look at.
    pub views: Vec<View>,
    /// What is to be proved.
    pub demand: Demand,
    /// The shares of the candidate so far, the first of them first.
    pub stages: Vec<Stage>,
    /// How many there will be.
    pub of: usize,
    /// How long the candidate's figures are left out at the start of each: only fast answers have finished.
    pub warm_up: Duration,
    /// What an earlier process knew.
    pub resume: Resume,
}

impl Raw {
    /// What the arithmetic is told.
    pub fn config(&self) -> Config {
        let Demand { what, relative, absolute, alpha } = self.demand;
        let config = match what {
            What::Share => Config::compare(self.of),
            What::Mean => Config::mean(self.of),
            What::Bound(limit) => Config::bound(self.of, limit.value()),
        };
        let tolerance = Tolerance { relative: relative.value(), absolute: absolute.value() };
        Config { tolerance, alpha_fail: alpha.value(), alpha_pass: alpha.value(), ..config }
    }
}

/// A share of the candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stage {
    /// How large it is.
    pub weight: Percent,
    /// The one that would come after it.
    pub next: Percent,
    /// Since when it has stood.
    pub at: Moment,
}

impl Stage {
    /// As a part of one.
    pub fn share(self) -> f64 {
        self.weight.part()
    }

    /// The next, as a part of one.
    pub fn next_share(self) -> f64 {
        self.next.part()
    }
}

/// What is to be proved, and how surely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Demand {
    /// Of what.
    pub what: What,
    /// So much more is too much, as a part of what it is held against …
    pub relative: Exact,
    /// … and so much more.
    pub absolute: Exact,
    /// The probability of a wrong word, either way.
    pub alpha: Exact,
}

/// What is weighed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    /// The candidate's share beside the other color's.
    Share,
    /// Its mean beside the other color's.
    Mean,
    /// Its share beside a limit.
    Bound(Exact),
}

/// A number that is the same or another, bit by bit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Exact(u64);

impl fmt::Debug for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.value())
    }
}

impl Exact {
    /// Of a number.
    pub const fn of(value: f64) -> Self {
        Self(value.to_bits())
    }

    /// The number.
    pub const fn value(self) -> f64 {
        f64::from_bits(self.0)
    }
}

/// What an earlier process had written down. It tells no two questions apart: who asks already knows better.
#[derive(Clone, Debug, Default)]
pub struct Resume(pub Option<Arc<str>>);

impl PartialEq for Resume {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Resume {}

impl PartialOrd for Resume {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Resume {
    fn cmp(&self, _: &Self) -> Ordering {
        Ordering::Equal
    }
}

impl Hash for Resume {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// One sample of a counter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Seconds since 1970, by the provider's clock.
    pub at: f64,
    /// What it stood at.
    pub value: f64,
}

/// One series with its samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its labels, all of them: no two series have the same.
    pub name: String,
    /// The process that it counts for.
    pub process: String,
    /// Its samples.
    pub points: Vec<Point>,
}

/// What came back for one part.
pub type Samples = Result<Vec<Series>, NoData>;
