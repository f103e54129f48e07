//! Traefik: HTTP by service. The label `service` (or `exported_service`) is copied from the series, never built. Never
//! anything about tokens.

use crate::{
    api::exporters::Profile,
    metrics::table::{Counter, Share, Table, Time, counter, counter_with, none, seconds},
};

const FINISHED: Counter = counter("traefik_service_requests_total");
const HTTP_ONLY: &str = "Traefik sees HTTP and no tokens; use the engine's own profile, or a gateway for AI: \
                         `envoy-ai-gateway`, `agentgateway` or `litellm`";
const NO_ENGINE: &str = "Traefik does not see into the engine; use the engine's own profile";

pub(super) const TABLE: Table = Table {
    profile: Profile::Traefik,
    word: "traefik",
    in_front: true,
    native: false,
    finished: Ok(FINISHED),
    errors: Ok(&[Share { bad: counter_with("traefik_service_requests_total", r#"code=~"5..""#), all: FINISHED }]),
    aborts: Ok(Share { bad: counter_with("traefik_service_requests_total", r#"code="499""#), all: FINISHED }),
    truncations: none(HTTP_ONLY),
    // The default buckets; `metrics.prometheus.buckets` can only be seen by looking.
    latency: Ok(Time::Histogram(&[seconds("traefik_service_request_duration_seconds", 5.0)])),
    first_token: none(HTTP_ONLY),
    output_token: none(HTTP_ONLY),
    queue: none(NO_ENGINE),
    kv_cache: none(NO_ENGINE),
    hits: none(NO_ENGINE),
    prompt_tokens: none(HTTP_ONLY),
    cached_tokens: None,
    output_tokens: none(HTTP_ONLY),
    account: None,
};
