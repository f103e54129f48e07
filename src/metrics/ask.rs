//! What a gate asks, and the question that follows from it: one row of one table. Never sends a question and never judges
//! an answer.

use std::time::Duration;

use super::{
    About, NotAvailable, Number, Question, Source, Subject, Template,
    buckets::{self, Place},
    cost::Bill,
    gpu,
    need::{self, Texts, Wanted},
    scope::{self, Scope},
    subject,
    table::Time,
};
use crate::api::{Moment, gates::Metric, status::Color};

/// What a gate asks about one color.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ask<'a> {
    /// Name of the provider.
    pub provider: &'a str,
    /// Name of the rollout.
    pub rollout: &'a str,
    /// Revision of the color, where it is known.
    pub revision: &'a str,
    /// Namespace of the pods.
    pub namespace: &'a str,
    /// The Deployment whose pods are meant.
    pub workload: &'a str,
    /// That of the other color, while it has a part of the traffic.
    pub other: Option<&'a str>,
    /// Pods of the color at its final size.
    pub replicas: i32,
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
    /// Whether it goes before others.
    pub urgent: bool,
}

/// What a provider is asked for a figure, and for how many requests it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queries {
    value: Template,
    samples: Template,
}

/// The question behind a gate, or why it cannot be asked.
pub fn question(source: &Source, ask: &Ask<'_>) -> Result<Question, NotAvailable> {
    match ask.subject {
        Subject::Number(number) => Ok(number_question(number, ask)),
        Subject::Metric(..) | Subject::Above(..) | Subject::Query(_) | Subject::Alerts(_) | Subject::Job(_) => {
            Ok(asking(queries(source, ask)?, source, ask))
        }
    }
}

/// Whether the queries stay the same whenever they are asked: others have an instant in them, or are none.
pub fn lasts(subject: &Subject) -> bool {
    match subject {
        Subject::Metric(metric, _) | Subject::Above(metric, _) => *metric != Metric::RolloutSpend,
        Subject::Query(_) | Subject::Alerts(_) => true,
        Subject::Number(_) | Subject::Job(_) => false,
    }
}

/// The question that queries are the text of.
pub fn asking(queries: Queries, source: &Source, ask: &Ask<'_>) -> Question {
    Question {
        provider: ask.provider.to_owned(),
        about: None,
        value: queries.value,
        samples: queries.samples,
        since: ask.since,
        window: ask.window,
        interval: ask.interval,
        shortest: source.shortest(),
        urgent: ask.urgent,
        names: Vec::new(),
        raw: None,
    }
}

/// The queries of a provider, or why there are none.
pub fn queries(source: &Source, ask: &Ask<'_>) -> Result<Queries, NotAvailable> {
    let scope = source.scope(ask.color, ask.namespace, ask.workload);
    let bill = Bill {
        table: source.table(),
        basis: source.basis(),
        scope: &scope,
        other: ask.other.map(|other| source.scope(ask.color.other(), ask.namespace, other)),
        namespace: ask.namespace,
        workload: ask.workload,
        replicas: ask.replicas,
        since: ask.since,
    };
    let texts = match ask.subject {
        Subject::Metric(metric, text) => {
            let wanted = quantile(text.as_deref())?.map_or(Wanted::Mean, Wanted::Quantile);
            texts(*metric, wanted, &bill)?
        }
        Subject::Above(metric, seconds) => texts(*metric, Wanted::Above(*seconds), &bill)?,
        Subject::Query(query) => {
            let own = query.texts(&scope);
            let requests = if query.counts_requests() { Some(requests(source, &scope)?) } else { None };
            Texts { samples: requests.unwrap_or(own.samples), ..own }
        }
        Subject::Alerts(alerts) => subject::alerts(alerts),
        Subject::Number(_) => return Err(NotAvailable("a number is no query")),
        Subject::Job(_) => return Err(NotAvailable("a Job is run, and nobody is asked")),
    };
    Ok(Queries { value: Template::new(texts.value), samples: Template::new(texts.samples) })
}

/// A number is told of whenever it is asked for: it has no window.
fn number_question(number: &Number, ask: &Ask<'_>) -> Question {
    Question {
        provider: endpoint(&number.endpoint),
        about: Some(About {
            namespace: ask.namespace.to_owned(),
            name: ask.rollout.to_owned(),
            color: ask.color.word(),
            revision: ask.revision.to_owned(),
        }),
        value: Template::new(number.path.clone()),
        samples: Template::new(number.samples.clone().unwrap_or_default()),
        since: ask.since,
        window: Duration::ZERO,
        interval: ask.interval,
        shortest: Question::SHORTEST,
        urgent: ask.urgent,
        names: Vec::new(),
        raw: None,
    }
}

/// An endpoint as questions name it, so that a provider of the same name is another.
pub fn endpoint(name: &str) -> String {
    format!("endpoint/{name}")
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
pub fn available(source: &Source, metric: Metric, quantile: Option<&str>) -> Result<(), NotAvailable> {
    in_general(source, &Subject::Metric(metric, quantile.map(ToOwned::to_owned)), Duration::ZERO).map(|_| ())
}

/// How something would be asked for, of no rollout.
pub(super) fn in_general(source: &Source, subject: &Subject, window: Duration) -> Result<Question, NotAvailable> {
    let ask = Ask {
        provider: "",
        rollout: "",
        revision: "",
        namespace: "",
        workload: "",
        other: None,
        replicas: 1,
        color: Color::Green,
        subject,
        since: Moment::from_unix(0),
        window,
        interval: window,
        urgent: false,
    };
    question(source, &ask)
}

/// The largest figure in seconds that can be told, if there is a bound: a limit above it would never be exceeded.
pub fn last_bound(source: &Source, metric: Metric) -> Option<f64> {
    time(source, metric)?.last()
}

/// Where a limit in seconds lies among the exporter's buckets.
pub fn place(source: &Source, metric: Metric, limit: f64) -> Place {
    time(source, metric).map_or(Place::Unknown, |time| buckets::place(&time, limit))
}

fn time(source: &Source, metric: Metric) -> Option<Time> {
    let table = source.table();
    let time = match metric {
        Metric::Latency => table.latency,
        Metric::TimeToFirstToken => table.first_token,
        Metric::TimePerOutputToken => table.output_token,
        _ => return None,
    };
    time.ok()
}

/// A quantile as it is written in a manifest, and nothing else.
fn quantile(text: Option<&str>) -> Result<Option<f64>, NotAvailable> {
    let Some(text) = text else { return Ok(None) };
    let digits = text.strip_prefix("0.").filter(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()));
    let read = digits.and_then(|_| text.parse().ok()).filter(|q: &f64| *q > 0.0 && *q < 1.0);
    read.map(Some).ok_or(NotAvailable("a quantile lies between 0 and 1; write for example `quantile: \"0.95\"`"))
}

fn texts(metric: Metric, wanted: Wanted, bill: &Bill<'_>) -> Result<Texts, NotAvailable> {
    let Bill { table, scope, .. } = *bill;
    match metric {
        Metric::ErrorRate => table.errors.map(|views| need::worst(views, scope)),
        Metric::AbortRate => table.aborts.map(|share| need::worst(&[share], scope)),
        Metric::TruncationRate => table.truncations.map(|share| need::worst(&[share], scope)),
        Metric::Latency => table.latency?.texts(scope, wanted),
        Metric::TimeToFirstToken => table.first_token?.texts(scope, wanted),
        Metric::TimePerOutputToken => table.output_token?.texts(scope, wanted),
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
        Metric::CostPerRequest => bill.per_request(),
        Metric::CostPerHour => bill.per_hour(),
        Metric::CostPerMillionTokens => bill.per_million(),
        Metric::RolloutSpend => bill.spent(),
        Metric::GpuUtilisation => Ok(gpu::utilisation(bill.namespace, bill.workload)),
    }
}
