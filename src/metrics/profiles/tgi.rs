//! Text Generation Inference. Its counters have no `_total`. Never an approximation of a time to first token.

use crate::{
    api::exporters::Profile,
    metrics::table::{Counter, Fold, Gauge, Share, Table, Time, counter, counter_with, none, seconds, series, sum_of},
};

/// 0.0001 · 1.5³⁵, the last of its buckets, rounded down.
const LAST: f64 = 145.0;

pub(super) const TABLE: Table = Table {
    profile: Profile::Tgi,
    word: "tgi",
    in_front: false,
    native: false,
    finished: Ok(counter("tgi_request_count")),
    errors: Ok(&[Share {
        bad: counter_with("tgi_request_failure", r#"err!="validation""#),
        all: counter("tgi_request_count"),
    }]),
    aborts: none("TGI does not count requests that clients gave up"),
    truncations: none("TGI does not count why an answer ended"),
    latency: Ok(Time::Histogram(&[seconds("tgi_request_duration", LAST)])),
    first_token: none(
        "TGI does not measure it; a gateway does, with the profile `envoy-ai-gateway`, `agentgateway` or `litellm`",
    ),
    output_token: Ok(Time::Histogram(&[seconds("tgi_request_mean_time_per_token_duration", LAST)])),
    queue: Ok(Gauge { names: &[series("tgi_queue_size")], fold: Fold::Sum }),
    kv_cache: none("TGI does not tell how full its KV cache is"),
    hits: none("TGI does not count hits of its prefix cache"),
    prompt_tokens: Ok(Counter::One(sum_of("tgi_request_input_length", ""))),
    cached_tokens: None,
    output_tokens: Ok(Counter::One(sum_of("tgi_request_generated_tokens", ""))),
    account: None,
};
