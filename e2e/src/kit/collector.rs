//! A collector of spans: takes OTLP over HTTP and remembers what it was told, or takes its time until nobody waits any more.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Router, body::Bytes, http::StatusCode, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
};
use prost::Message;
use tokio::{net::TcpListener, task::JoinHandle};

use super::KitError;

/// A span.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// Its name.
    pub name: String,
    /// Its own number, and that of the span it is a part of.
    pub id: Vec<u8>,
    /// Empty where it is a part of none.
    pub parent: Vec<u8>,
    /// What is said of it.
    pub says: BTreeMap<String, String>,
}

#[derive(Debug, Default)]
struct Inside {
    told: Mutex<Vec<Told>>,
    hangs: AtomicBool,
    asked: AtomicBool,
}

/// The collector, while it is held.
#[derive(Debug)]
pub(crate) struct Collector {
    /// Where it takes spans.
    pub url: String,
    inside: Arc<Inside>,
    task: JoinHandle<()>,
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Collector {
    /// Takes everything.
    pub(crate) async fn start() -> Result<Self, KitError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(KitError::failed("a collector"))?;
        let address = listener.local_addr().map_err(KitError::failed("a collector"))?;
        let inside = Arc::new(Inside::default());
        let shared = Arc::clone(&inside);
        let take = async move |body: Bytes| shared.take(body).await;
        let router = Router::new().route("/v1/traces", post(take));
        let task = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { url: format!("http://{address}/v1/traces"), inside, task })
    }

    /// From now on nobody gets an answer.
    pub(crate) fn hang(&self) {
        self.inside.hangs.store(true, Ordering::Release);
    }

    /// Whether somebody has waited for an answer in vain.
    pub(crate) fn was_asked_in_vain(&self) -> bool {
        self.inside.asked.load(Ordering::Acquire)
    }

    /// Waits until a span was told that is as it should be, and gives all that were told.
    pub(crate) async fn until(
        &self,
        what: &str,
        within: Duration,
        fits: impl Fn(&Told) -> bool,
    ) -> Result<Vec<Told>, KitError> {
        let since = Instant::now();
        loop {
            let told = self.inside.told.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if told.iter().any(&fits) {
                return Ok(told);
            }
            if since.elapsed() > within {
                return Err(KitError::Late { what: what.to_owned(), within, last: format!("{told:?}") });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Inside {
    async fn take(self: Arc<Self>, body: Bytes) -> StatusCode {
        if self.hangs.load(Ordering::Acquire) {
            self.asked.store(true, Ordering::Release);
            std::future::pending::<()>().await;
        }
        let Ok(request) = ExportTraceServiceRequest::decode(body) else { return StatusCode::BAD_REQUEST };
        let spans = request.resource_spans.into_iter().flat_map(|r| r.scope_spans).flat_map(|s| s.spans);
        let told = spans.map(|span| Told {
            name: span.name,
            id: span.span_id,
            parent: span.parent_span_id,
            says: span.attributes.into_iter().filter_map(said).collect(),
        });
        self.told.lock().unwrap_or_else(PoisonError::into_inner).extend(told);
        StatusCode::OK
    }
}

fn said(one: KeyValue) -> Option<(String, String)> {
    let value = match one.value?.value? {
        Value::StringValue(text) => text,
        Value::BoolValue(is) => is.to_string(),
        Value::IntValue(number) => number.to_string(),
        _ => return None,
    };
    Some((one.key, value))
}
