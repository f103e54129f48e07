//! agentgateway: HTTP by backend, generative AI by route and model, and its own account in dollars, which is 0 where its
//! catalog has no price. Its histograms are native ones by a switch. Never a figure by user or key.

use super::envoy_ai_gateway::{FIRST_TOKEN, REQUEST};
use crate::{
    api::exporters::Profile,
    metrics::table::{Account, Counter, Share, Table, Time, counter, counter_with, exact, none, sum_of},
};

const FINISHED: Counter = counter("agentgateway_requests_total");

const HTTP: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 80.0];
const TOKEN: &[f64] = &[0.001, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5];

pub(super) const TABLE: Table = Table {
    profile: Profile::Agentgateway,
    word: "agentgateway",
    in_front: true,
    native: true,
    finished: Ok(FINISHED),
    errors: Ok(&[Share { bad: counter_with("agentgateway_requests_total", r#"status=~"5..""#), all: FINISHED }]),
    aborts: none("the gateway does not count requests that clients gave up; vLLM does, with the profile `vllm`"),
    truncations: none("the gateway does not count why an answer ended; vLLM does, with the profile `vllm`"),
    latency: Ok(Time::Histogram(&[
        exact("agentgateway_gen_ai_server_request_duration", REQUEST),
        exact("agentgateway_request_duration_seconds", HTTP),
    ])),
    first_token: Ok(Time::Histogram(&[exact("agentgateway_gen_ai_server_time_to_first_token", FIRST_TOKEN)])),
    output_token: Ok(Time::Histogram(&[exact("agentgateway_gen_ai_server_time_per_output_token", TOKEN)])),
    queue: none("a gateway does not see the engine's queue; use the engine's own profile"),
    kv_cache: none("a gateway does not see the engine's KV cache; use the engine's own profile"),
    hits: none("the gateway does not count cached tokens; use the engine's own profile"),
    prompt_tokens: Ok(Counter::One(sum_of("agentgateway_gen_ai_client_token_usage", r#"gen_ai_token_type="input""#))),
    cached_tokens: None,
    output_tokens: Ok(Counter::One(sum_of("agentgateway_gen_ai_client_token_usage", r#"gen_ai_token_type="output""#))),
    account: Some(Account {
        dollars: counter("agentgateway_gen_ai_client_cost_usd_total"),
        unpriced: Some(counter_with("agentgateway_cost_catalog_lookups_total", r#"status!~"Exact|exact""#)),
    }),
};
