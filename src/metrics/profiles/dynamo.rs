//! NVIDIA Dynamo: its frontend, and what its workers tell of their cache. Errors of the client are no errors. Never the
//! engines' own metrics, which pass through under the engines' names.

use crate::{
    api::exporters::Profile,
    metrics::table::{
        Counter, Fold, Gauge, Hits, Share, Table, Time, counter, counter_with, none, seconds, series, sum_of,
    },
};

const FINISHED: Counter = counter("dynamo_frontend_requests_total");
const CACHED: Counter = Counter::One(sum_of("dynamo_frontend_cached_tokens", ""));
const PROMPT: Counter = Counter::One(sum_of("dynamo_frontend_input_sequence_tokens", ""));

pub(super) const TABLE: Table = Table {
    profile: Profile::Dynamo,
    word: "dynamo",
    in_front: false,
    native: false,
    finished: Ok(FINISHED),
    errors: Ok(&[Share {
        bad: counter_with(
            "dynamo_frontend_requests_total",
            r#"status="error",error_type!~"validation|not_found|cancelled""#,
        ),
        all: FINISHED,
    }]),
    aborts: Ok(Share {
        bad: counter_with("dynamo_frontend_requests_total", r#"error_type="cancelled""#),
        all: FINISHED,
    }),
    truncations: none("Dynamo does not count why an answer ended; a vLLM worker does, with the profile `vllm`"),
    latency: Ok(Time::Histogram(&[seconds("dynamo_frontend_request_duration_seconds", 510.0)])),
    first_token: Ok(Time::Histogram(&[seconds("dynamo_frontend_time_to_first_token_seconds", 480.0)])),
    output_token: Ok(Time::Histogram(&[seconds("dynamo_frontend_inter_token_latency_seconds", 2.0)])),
    queue: Ok(Gauge { names: &[series("dynamo_frontend_queued_requests")], fold: Fold::Sum }),
    kv_cache: Ok(Gauge {
        names: &[
            series("dynamo_component_gpu_cache_usage_percent"),
            series("dynamo_component_kvstats_gpu_cache_usage_percent"),
        ],
        fold: Fold::Max,
    }),
    hits: Ok(Hits::Counted { hits: CACHED, asked: PROMPT }),
    prompt_tokens: Ok(PROMPT),
    cached_tokens: Some(CACHED),
    output_tokens: Ok(Counter::Either(&[
        series("dynamo_frontend_output_tokens_total"),
        sum_of("dynamo_frontend_output_sequence_tokens", ""),
    ])),
    account: None,
};
