//! What a gate looks at, read: a metric that the profile can tell, a query, alerts, a number of an endpoint that the
//! operator's configuration has, or one of a Job. Never what it is held against: that is `criterion`.

use super::{
    plan::{Wrong, duration_or, invalid},
    snapshot::{EndpointOffer, Offers},
};
use crate::{
    api::{
        Reason,
        exporters::Profile,
        gates::{Gate, Metric},
        sources::{Http, Job},
    },
    metrics::{JobNumber, NO_GPU_PRICE, NO_PRICES, Number, Query, Source, Subject, ask, metric, subject},
};

/// What the gate looks at, if that can be had.
pub(super) fn subject(gate: &Gate, source: &Source, offers: &Offers) -> Result<Subject, Wrong> {
    let name = &gate.name;
    match (gate.metric, &gate.query, &gate.alerts, &gate.http, &gate.job) {
        (Some(metric), None, None, None, None) => {
            can_be_asked(gate, metric, source)?;
            Ok(Subject::Metric(metric, gate.quantile.clone()))
        }
        (None, Some(text), None, None, None) => query(gate, text, source),
        (None, None, Some(alerts), None, None) => match subject::wrong_alerts(alerts) {
            Some(wrong) => Err(invalid(format!("gates: {name}: {wrong}"))),
            None => Ok(Subject::Alerts(alerts.clone())),
        },
        (None, None, None, Some(http), None) => number(gate, http, offers),
        (None, None, None, None, Some(job)) => job_number(gate, job),
        (Some(_) | None, ..) => Err(invalid(format!(
            "gates: {name}: exactly one of `metric`, `query`, `alerts`, `http` and `job`; write for example `metric: errorRate, max: 1%`"
        ))),
    }
}

/// Whether the exporter tells it, with the quantile and the prices that it takes.
fn can_be_asked(gate: &Gate, metric: Metric, source: &Source) -> Result<(), Wrong> {
    let name = &gate.name;
    if source.profile() == Profile::None {
        return Err(invalid(format!(
            "gates: {name}: `profile: none` knows no exporter, so there is no `metric`; write a `query` of your own, or name the exporter: `metrics: {{profile: vllm}}`"
        )));
    }
    let fits = match metric::quantile(metric) {
        metric::Quantile::Foreign => gate.quantile.is_none(),
        metric::Quantile::Needed => gate.quantile.is_some(),
        metric::Quantile::OrMean => true,
    };
    if !fits {
        return Err(invalid(format!(
            "gates: {name}: `quantile` belongs to `metric: latency`, `timeToFirstToken` and `timePerOutputToken`; write `metric: latency, quantile: \"0.95\", max: 1.5s`"
        )));
    }
    ask::available(source, metric, gate.quantile.as_deref()).map_err(|why| {
        let (word, profile) = (metric::word(metric), source.word());
        let reason = if [NO_PRICES, NO_GPU_PRICE].contains(&why) { Reason::PricesMissing } else { Reason::InvalidSpec };
        Wrong { reason, message: format!("gates: {name}: {word} cannot be had with profile {profile}: {why}") }
    })
}

/// A query of the user's own.
fn query(gate: &Gate, text: &str, source: &Source) -> Result<Subject, Wrong> {
    let name = &gate.name;
    let counts = gate.min_samples.is_some();
    if counts && let Err(why) = ask::counts_requests(source) {
        let profile = source.word();
        return Err(invalid(format!(
            "gates: {name}: with profile {profile} requests cannot be counted, so a query has no `minSamples`: {why}"
        )));
    }
    Query::read(text, counts).map(Subject::Query).map_err(|e| invalid(format!("gates: {name}: {e}")))
}

/// An endpoint of the operator's configuration, for whoever names it there.
pub(super) fn endpoint<'a>(place: &str, name: &str, offers: &'a Offers) -> Result<&'a EndpointOffer, Wrong> {
    offers.endpoints.iter().find(|e| e.name == name).ok_or_else(|| {
        let known = offers.endpoints.iter().map(|e| e.name.as_str()).collect::<Vec<_>>().join(", ");
        let known = if known.is_empty() { "it has none".to_owned() } else { format!("it has: {known}") };
        let message = format!("{place}: the operator's configuration has no endpoint {name}; {known}");
        Wrong { reason: Reason::EndpointUnknown, message }
    })
}

/// A number of an endpoint. Where it is stands in the operator's configuration only.
fn number(gate: &Gate, http: &Http, offers: &Offers) -> Result<Subject, Wrong> {
    let name = &gate.name;
    let wrong = |words: &str| invalid(format!("gates: {name}: {words}"));
    let endpoint = endpoint(&format!("gates: {name}"), &http.name, offers)?;
    if gate.window.is_some() {
        return Err(wrong(
            "an endpoint tells one number whenever it is asked, so `http` has no `window`; leave it out",
        ));
    }
    if gate.min_samples.is_some() && http.samples.is_none() {
        return Err(wrong(
            "with `http`, `minSamples` needs the path of their number; write for example `http: {name: eval, path: /score, samples: /count}, minSamples: 300`",
        ));
    }
    if gate.compared_to.is_some() && !endpoint.tells_colors {
        return Err(wrong(&format!(
            "endpoint {} tells one number for both colors, so nothing can be compared; its `url` in the operator's configuration needs `{{{{color}}}}`, or write `max` or `min` here",
            http.name
        )));
    }
    Number::read(http).map(Subject::Number).map_err(|e| wrong(&e))
}

/// A number of a Job, which is run once in each stage.
fn job_number(gate: &Gate, job: &Job) -> Result<Subject, Wrong> {
    let written = [
        gate.window.is_some(),
        gate.interval.is_some(),
        gate.failures.is_some(),
        gate.min_samples.is_some(),
        gate.compared_to.is_some(),
    ];
    if written.contains(&true) {
        return Err(invalid(format!(
            "gates: {}: a Job is run once in each step, about the candidate, so `job` has no `window`, `interval`, `failures`, `minSamples` and `comparedTo`; leave them out",
            gate.name
        )));
    }
    let timeout = duration_or(job.timeout.as_ref(), 15 * 60, "job.timeout")?;
    Ok(Subject::Job(JobNumber { cron_job: job.cron_job.clone(), field: job.value.clone(), timeout }))
}
