//! Envoy AI Gateway: `OpenTelemetry`'s names for generative AI, without a backend; `gen_ai_response_model`, or a header
//! mapped to an attribute, tells the colors apart. Cached input is part of input. Never the proxy's own metrics.

use crate::{
    api::exporters::Profile,
    metrics::table::{Counter, Hits, Share, Table, Time, count_of, exact, none, sum_of},
};

const FINISHED: Counter = Counter::One(count_of("gen_ai_server_request_duration_seconds", ""));
const INPUT: &str = r#"gen_ai_token_type="input""#;
const CACHED_INPUT: &str = r#"gen_ai_token_type="cached_input""#;
const OUTPUT: &str = r#"gen_ai_token_type="output""#;
const PROMPT: Counter =
    Counter::Either(&[sum_of("gen_ai_client_token_usage", INPUT), sum_of("gen_ai_client_token_usage_token", INPUT)]);
const CACHED: Counter = Counter::Either(&[
    sum_of("gen_ai_client_token_usage", CACHED_INPUT),
    sum_of("gen_ai_client_token_usage_token", CACHED_INPUT),
]);

/// The bounds that OpenTelemetry proposes; both gateways for AI have them in their code.
pub(super) const REQUEST: &[f64] =
    &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
pub(super) const FIRST_TOKEN: &[f64] =
    &[0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
const TOKEN: &[f64] = &[0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5];

pub(super) const TABLE: Table = Table {
    profile: Profile::EnvoyAiGateway,
    word: "envoy-ai-gateway",
    in_front: true,
    native: true,
    finished: Ok(FINISHED),
    errors: Ok(&[Share {
        bad: Counter::One(count_of("gen_ai_server_request_duration_seconds", r#"error_type!="""#)),
        all: FINISHED,
    }]),
    aborts: none("the gateway does not count requests that clients gave up; vLLM does, with the profile `vllm`"),
    truncations: none("the gateway does not count why an answer ended; vLLM does, with the profile `vllm`"),
    latency: Ok(Time::Histogram(&[exact("gen_ai_server_request_duration_seconds", REQUEST)])),
    first_token: Ok(Time::Histogram(&[exact("gen_ai_server_time_to_first_token_seconds", FIRST_TOKEN)])),
    output_token: Ok(Time::Histogram(&[exact("gen_ai_server_time_per_output_token_seconds", TOKEN)])),
    queue: none("a gateway does not see the engine's queue; use the engine's own profile"),
    kv_cache: none("a gateway does not see the engine's KV cache; use the engine's own profile"),
    hits: Ok(Hits::Counted { hits: CACHED, asked: PROMPT }),
    prompt_tokens: Ok(PROMPT),
    cached_tokens: Some(CACHED),
    output_tokens: Ok(Counter::Either(&[
        sum_of("gen_ai_client_token_usage", OUTPUT),
        sum_of("gen_ai_client_token_usage_token", OUTPUT),
    ])),
    account: None,
};
