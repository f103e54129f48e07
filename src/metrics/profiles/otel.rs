//! `OpenTelemetry`'s names for generative AI, as a collector writes them for Prometheus (dots are `_`). The server's own
//! view first, the client's where there is none. Exponential histograms are native ones. Never names with dots.

use crate::{
    api::exporters::Profile,
    metrics::table::{Counter, Hits, Share, Table, Time, count_of, none, seconds, series, sum_of},
};

const FINISHED: Counter = Counter::Either(&[
    count_of("gen_ai_server_request_duration_seconds", ""),
    count_of("gen_ai_client_operation_duration_seconds", ""),
]);
const FAILED: Counter = Counter::Either(&[
    count_of("gen_ai_server_request_duration_seconds", r#"error_type!="""#),
    count_of("gen_ai_client_operation_duration_seconds", r#"error_type!="""#),
]);
const INPUT: &str = r#"gen_ai_token_type="input""#;
const OUTPUT: &str = r#"gen_ai_token_type="output""#;
const PROMPT: Counter = Counter::Either(&[
    series("gen_ai_client_inference_usage_input_tokens_total"),
    sum_of("gen_ai_client_token_usage", INPUT),
    sum_of("gen_ai_client_token_usage_token", INPUT),
]);
const CACHED: Counter = Counter::Either(&[
    series("gen_ai_client_inference_usage_cache_read_input_tokens_total"),
    sum_of("gen_ai_client_token_usage", r#"gen_ai_token_type="cached_input""#),
]);

pub(super) const TABLE: Table = Table {
    profile: Profile::Otel,
    word: "otel",
    in_front: false,
    native: true,
    finished: Ok(FINISHED),
    errors: Ok(&[Share { bad: FAILED, all: FINISHED }]),
    aborts: none("OpenTelemetry has no name for requests that clients gave up; vLLM has, with the profile `vllm`"),
    truncations: none("OpenTelemetry does not count why an answer ended; vLLM does, with the profile `vllm`"),
    latency: Ok(Time::Histogram(&[
        seconds("gen_ai_server_request_duration_seconds", 81.92),
        seconds("gen_ai_client_operation_duration_seconds", 81.92),
    ])),
    first_token: Ok(Time::Histogram(&[
        seconds("gen_ai_server_time_to_first_token_seconds", 10.0),
        seconds("gen_ai_client_operation_time_to_first_chunk_seconds", 10.0),
    ])),
    output_token: Ok(Time::Histogram(&[
        seconds("gen_ai_server_time_per_output_token_seconds", 2.5),
        seconds("gen_ai_client_operation_time_per_output_chunk_seconds", 2.5),
    ])),
    queue: none("OpenTelemetry has no name for the engine's queue; use the engine's own profile"),
    kv_cache: none("OpenTelemetry has no name for the engine's KV cache; use the engine's own profile"),
    hits: Ok(Hits::Counted { hits: CACHED, asked: PROMPT }),
    prompt_tokens: Ok(PROMPT),
    cached_tokens: Some(CACHED),
    output_tokens: Ok(Counter::Either(&[
        series("gen_ai_client_inference_usage_output_tokens_total"),
        sum_of("gen_ai_client_token_usage", OUTPUT),
        sum_of("gen_ai_client_token_usage_token", OUTPUT),
    ])),
    account: None,
};
