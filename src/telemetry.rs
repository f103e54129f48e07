//! The tracing subscriber: where log lines and spans go and how they look. Never what is logged.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider, Tracer},
};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterExt, Targets, filter_fn},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::settings::{Log, Tracing};

/// The target of the spans that a collector is told of; in log lines they would only repeat what stands there.
pub const SPANS: &str = "llmrollout::spans";
/// A collector that is slower loses spans, and nobody waits.
const COLLECTOR: Duration = Duration::from_secs(5);

/// Why nothing can be logged.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is wrong.
    #[error("RUST_LOG is no filter; write for example `info` or `info,llmrollout=debug`")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Somebody was faster.
    #[error("log lines already go elsewhere")]
    Taken(#[from] tracing_subscriber::util::TryInitError),
    /// Spans cannot be sent.
    #[error("tracing: spans cannot be sent")]
    Spans(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// Sends the last spans when it ends.
#[derive(Debug, Default)]
pub struct Telemetry(Option<SdkTracerProvider>);

impl Drop for Telemetry {
    fn drop(&mut self) {
        // A collector that is away takes nothing, and the process ends all the same.
        let _ = self.0.take().map(|spans| spans.shutdown_with_timeout(COLLECTOR));
    }
}

/// Sends log lines to standard error, and spans to a collector where there is one, until what it gives is dropped; call it
/// once.
pub fn start(log: Log, filter: &str, tracing: Option<&Tracing>) -> Result<Telemetry, TelemetryError> {
    let chosen = EnvFilter::try_new(filter)?.and(filter_fn(|about| about.target() != SPANS));
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = match log {
        Log::Text => lines.with_ansi(io::stderr().is_terminal()).with_filter(chosen).boxed(),
        Log::Json => lines.json().flatten_event(true).with_filter(chosen).boxed(),
    };
    let spans = tracing.map(collector).transpose()?;
    let told = spans.as_ref().map(|spans| layer(spans.tracer("llmrollout")));
    tracing_subscriber::registry().with(told).with(lines).try_init()?;
    Ok(Telemetry(spans))
}

fn layer(tracer: Tracer) -> impl Layer<Registry> {
    let layer = tracing_opentelemetry::layer().with_tracer(tracer).with_location(false).with_threads(false);
    layer.with_filter(Targets::new().with_target(SPANS, tracing::Level::INFO))
}

/// Spans are sent by a thread of their own, in batches; what does not fit into its queue is lost.
fn collector(to: &Tracing) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_endpoint(&to.endpoint)
        .with_timeout(COLLECTOR)
        .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
        .build()?;
    let us = [KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))];
    let resource = Resource::builder().with_service_name("llmrollout-operator").with_attributes(us).build();
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(Sampler::TraceIdRatioBased(to.sample))
        .with_resource(resource)
        .build())
}

#[cfg(test)]
mod tests {
    use super::{TelemetryError, start};
    use crate::settings::Log;

    #[test]
    fn a_wrong_filter_is_an_error_that_says_what_to_write() {
        let error = start(Log::Text, "llmrollout=loud=er", None).unwrap_err();
        assert!(matches!(error, TelemetryError::Filter(_)));
        assert!(error.to_string().contains("info"));
    }
}
