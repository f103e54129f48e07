//! What a gate asks, and the question that follows from it: one row of one table. Never sends a question and never judges
//! an answer.

use std::time::Duration;

use super::{
    NotAvailable, Question, Source, Subject, Template, cost, gpu,
    need::{self, Texts},
    scope::{self, Scope},
    subject,
    table::Table,
};
use crate::api::{Moment, gates::Metric, status::Color};

/// What a gate asks about one color.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ask<'a> {
    /// Name of the provider.
    pub provider: &'a str,
    /// Namespace of the pods.
    pub namespace: &'a str,
    /// The Deployment whose pods are meant.
    pub workload: &'a str,
    /// The color it is.
    pub color: Color,
    /// What is looked at.
    pub subject: &'a Subject,
    /// Nothing before this may be looked at.
    pub since: Moment,
    /// The window at most.
    pub window: Duration,
    /// How often it is asked.
    pub interval: Duration,
}

/// The question behind a gate, or why it cannot be asked.
pub fn question(source: &Source, ask: &Ask<'_>) -> Result<Question, NotAvailable> {
    let scope = source.scope(ask.color, ask.namespace, ask.workload);
    let texts = match ask.subject {
        Subject::Metric(Metric::GpuUtilisation, _) => gpu::utilisation(ask.namespace, ask.workload),
        Subject::Metric(metric, quantile_text) => texts(source, *metric, quantile(quantile_text.as_deref())?, &scope)?,
        Subject::Query(query) => {
            let own = query.texts(&scope);
            let requests = if query.counts_requests() { Some(requests(source, &scope)?) } else { None };
            Texts { samples: requests.unwrap_or(own.samples), ..own }
        }
        Subject::Alerts(alerts) => subject::alerts(alerts),
    };
    Ok(Question {
        provider: ask.provider.to_owned(),
        value: Template::new(texts.value),
        samples: Template::new(texts.samples),
        since: ask.since,
        window: ask.window,
        interval: ask.interval,
    })
}

/// Finished requests of the window, for what rests on them.
fn requests(source: &Source, scope: &Scope<'_>) -> Result<String, NotAvailable> {
    source.table().finished.map(|finished| finished.text(scope, scope::increase))
}

/// Whether requests can be counted, for what rests on them.
pub fn counts_requests(source: &Source) -> Result<(), NotAvailable> {
    source.table().finished.map(|_| ())
}

/// Whether this can be asked at all, and why not.
pub fn available(source: &Source, metric: Metric, quantile_text: Option<&str>) -> Result<(), NotAvailable> {
    let nobody = Scope::pods("", "");
    match metric {
        Metric::GpuUtilisation => Ok(()),
        metric => texts(source, metric, quantile(quantile_text)?, &nobody).map(|_| ()),
    }
}

/// The largest figure in seconds that can be told, if there is a bound: a limit above it would never be exceeded.
pub fn last_bound(source: &Source, metric: Metric) -> Option<f64> {
    let table = source.table();
    let time = match metric {
        Metric::Latency => table.latency,
        Metric::TimeToFirstToken => table.first_token,
        Metric::TimePerOutputToken => table.output_token,
        _ => return None,
    };
    time.ok()?.last()
}

/// A quantile as it is written in a manifest, and nothing else.
fn quantile(text: Option<&str>) -> Result<Option<f64>, NotAvailable> {
    let Some(text) = text else { return Ok(None) };
    let digits = text.strip_prefix("0.").filter(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()));
    let read = digits.and_then(|_| text.parse().ok()).filter(|q: &f64| *q > 0.0 && *q < 1.0);
    read.map(Some).ok_or(NotAvailable("a quantile lies between 0 and 1; write for example `quantile: \"0.95\"`"))
}

fn texts(source: &Source, metric: Metric, quantile: Option<f64>, scope: &Scope<'_>) -> Result<Texts, NotAvailable> {
    let table: &Table = source.table();
    let basis = source.basis();
    match metric {
        Metric::ErrorRate => table.errors.map(|views| need::worst(views, scope)),
        Metric::AbortRate => table.aborts.map(|share| need::worst(&[share], scope)),
        Metric::TruncationRate => table.truncations.map(|share| need::worst(&[share], scope)),
        Metric::Latency => table.latency?.texts(scope, quantile),
        Metric::TimeToFirstToken => table.first_token?.texts(scope, quantile),
        Metric::TimePerOutputToken => table.output_token?.texts(scope, quantile),
        Metric::OutputTokensPerSecond => table.output_tokens.map(|tokens| tokens.rate(scope)),
        Metric::QueueDepth => table.queue.map(|gauge| gauge.texts(scope)),
        Metric::KvCacheUse => table.kv_cache.map(|gauge| gauge.texts(scope)),
        Metric::CacheHitRate => table.hits.map(|hits| hits.texts(scope, table.finished.as_ref().ok())),
        // A count of nothing is a figure too, as long as somebody counts: then it rests on the series that do.
        Metric::Requests => table.finished.map(|finished| finished.count(scope)),
        Metric::TokensPerRequest => {
            let (tokens, finished) = (table.output_tokens?, table.finished?);
            let value = super::promql::ratio(&tokens.text(scope, scope::rate), &finished.text(scope, scope::rate));
            Ok(Texts { value, samples: finished.text(scope, scope::increase) })
        }
        Metric::CostPerRequest => cost::per_request(table, scope, basis),
        Metric::CostPerHour => cost::per_hour(table, scope, basis),
        Metric::CostPerMillionTokens => cost::per_million(table, scope, basis),
        Metric::GpuUtilisation => Err(NotAvailable("no exporter of an engine tells it")),
    }
}
