//! Envoy AI Gateway: `OpenTelemetry`'s names for generative AI, without a backend; `gen_ai_response_model`, or a header
//! mapped to an attribute, tells the colors apart. Cached input is part of input. Never the proxy's own metrics.

use crate::{
    api::exporters::Profile,
    metrics::table::{Counter, Hits, Share, Table, Time, counter, counter_with, none, seconds, series_with},
};

const FINISHED: Counter = counter("gen_ai_server_request_duration_seconds_count");
const INPUT: &str = r#"gen_ai_token_type="input""#;
const CACHED_INPUT: &str = r#"gen_ai_token_type="cached_input""#;
const OUTPUT: &str = r#"gen_ai_token_type="output""#;
const PROMPT: Counter = Counter::Either(&[
    series_with("gen_ai_client_token_usage_sum", INPUT),
    series_with("gen_ai_client_token_usage_token_sum", INPUT),
]);
const CACHED: Counter = Counter::Either(&[
    series_with("gen_ai_client_token_usage_sum", CACHED_INPUT),
    series_with("gen_ai_client_token_usage_token_sum", CACHED_INPUT),
]);

pub(super) const TABLE: Table = Table {
    profile: Profile::EnvoyAiGateway,
    word: "envoy-ai-gateway",
    in_front: true,
    finished: Ok(FINISHED),
    errors: Ok(&[Share {
        bad: counter_with("gen_ai_server_request_duration_seconds_count", r#"error_type!="""#),
        all: FINISHED,
    }]),
    aborts: none("the gateway does not count requests that clients gave up; vLLM does, with the profile `vllm`"),
    truncations: none("the gateway does not count why an answer ended; vLLM does, with the profile `vllm`"),
    latency: Ok(Time::Histogram(&[seconds("gen_ai_server_request_duration_seconds", 81.92)])),
    first_token: Ok(Time::Histogram(&[seconds("gen_ai_server_time_to_first_token_seconds", 10.0)])),
    output_token: Ok(Time::Histogram(&[seconds("gen_ai_server_time_per_output_token_seconds", 2.5)])),
    queue: none("a gateway does not see the engine's queue; use the engine's own profile"),
    kv_cache: none("a gateway does not see the engine's KV cache; use the engine's own profile"),
    hits: Ok(Hits::Counted { hits: CACHED, asked: PROMPT }),
    prompt_tokens: Ok(PROMPT),
    cached_tokens: Some(CACHED),
    output_tokens: Ok(Counter::Either(&[
        series_with("gen_ai_client_token_usage_sum", OUTPUT),
        series_with("gen_ai_client_token_usage_token_sum", OUTPUT),
    ])),
    account: None,
};
