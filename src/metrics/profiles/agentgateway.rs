//! agentgateway: HTTP by backend, generative AI by route and model, and its own account in dollars, which is 0 where its
//! catalog has no price. Never native histograms, which it writes only by a switch.

use crate::{
    api::exporters::Profile,
    metrics::table::{Account, Counter, Share, Table, Time, counter, counter_with, none, seconds},
};

const FINISHED: Counter = counter("agentgateway_requests_total");

pub(super) const TABLE: Table = Table {
    profile: Profile::Agentgateway,
    word: "agentgateway",
    in_front: true,
    finished: Ok(FINISHED),
    errors: Ok(&[Share { bad: counter_with("agentgateway_requests_total", r#"status=~"5..""#), all: FINISHED }]),
    aborts: none("the gateway does not count requests that clients gave up; vLLM does, with the profile `vllm`"),
    truncations: none("the gateway does not count why an answer ended; vLLM does, with the profile `vllm`"),
    latency: Ok(Time::Histogram(&[
        seconds("agentgateway_gen_ai_server_request_duration", 81.92),
        seconds("agentgateway_request_duration_seconds", 80.0),
    ])),
    first_token: Ok(Time::Histogram(&[seconds("agentgateway_gen_ai_server_time_to_first_token", 10.0)])),
    output_token: Ok(Time::Histogram(&[seconds("agentgateway_gen_ai_server_time_per_output_token", 2.5)])),
    queue: none("a gateway does not see the engine's queue; use the engine's own profile"),
    kv_cache: none("a gateway does not see the engine's KV cache; use the engine's own profile"),
    hits: none("the gateway does not count cached tokens; use the engine's own profile"),
    prompt_tokens: Ok(counter_with("agentgateway_gen_ai_client_token_usage_sum", r#"gen_ai_token_type="input""#)),
    cached_tokens: None,
    output_tokens: Ok(counter_with("agentgateway_gen_ai_client_token_usage_sum", r#"gen_ai_token_type="output""#)),
    account: Some(Account {
        dollars: counter("agentgateway_gen_ai_client_cost_usd_total"),
        unpriced: Some(counter_with("agentgateway_cost_catalog_lookups_total", r#"status!~"Exact|exact""#)),
    }),
};
