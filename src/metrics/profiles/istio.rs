//! Istio by destination. A request is reported by its source, by a waypoint and by its destination; one of them is
//! listened to, the source first, because only it sees what never arrived. Never anything about tokens.

use crate::{
    api::exporters::Profile,
    metrics::table::{Counter, Histogram, Series, Share, Table, Time, none, series_with},
};

const FINISHED: Counter = Counter::Either(&[
    series_with("istio_requests_total", r#"reporter="source""#),
    series_with("istio_requests_total", r#"reporter="waypoint""#),
    series_with("istio_requests_total", r#"reporter="destination""#),
]);
const FAILED: Counter = Counter::Either(&[
    series_with("istio_requests_total", r#"reporter="source",response_code=~"5..""#),
    series_with("istio_requests_total", r#"reporter="waypoint",response_code=~"5..""#),
    series_with("istio_requests_total", r#"reporter="destination",response_code=~"5..""#),
]);
/// `DC`: the client closed the connection.
const LEFT: Counter = Counter::Either(&[
    series_with("istio_requests_total", r#"reporter="source",response_flags=~"(.*,)?DC(,.*)?""#),
    series_with("istio_requests_total", r#"reporter="waypoint",response_flags=~"(.*,)?DC(,.*)?""#),
    series_with("istio_requests_total", r#"reporter="destination",response_flags=~"(.*,)?DC(,.*)?""#),
]);
const HTTP_ONLY: &str = "Istio sees HTTP and no tokens; use the engine's own profile, or a gateway for AI: \
                         `envoy-ai-gateway`, `agentgateway` or `litellm`";
const NO_ENGINE: &str = "Istio does not see into the engine; use the engine's own profile";

const fn duration(with: &'static str) -> Histogram {
    let series = Series { name: "istio_request_duration_milliseconds", with, part: None };
    Histogram { series, per_second: 1000.0, last: 3600.0, bounds: &[] }
}

pub(super) const TABLE: Table = Table {
    profile: Profile::Istio,
    word: "istio",
    in_front: true,
    native: false,
    finished: Ok(FINISHED),
    errors: Ok(&[Share { bad: FAILED, all: FINISHED }]),
    aborts: Ok(Share { bad: LEFT, all: FINISHED }),
    truncations: none(HTTP_ONLY),
    latency: Ok(Time::Histogram(&[
        duration(r#"reporter="source""#),
        duration(r#"reporter="waypoint""#),
        duration(r#"reporter="destination""#),
    ])),
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
