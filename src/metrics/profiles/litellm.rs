//! `LiteLLM` proxy: `model_id` tells the deployments, and so the colors, apart. It keeps its own account in dollars. Never a
//! figure by key, user or team.

use crate::{
    api::exporters::Profile,
    metrics::table::{Account, Counter, Hits, Share, Table, Time, counter, none, seconds},
};

const FINISHED: Counter = counter("litellm_deployment_total_requests_total");
const CACHED: Counter = counter("litellm_cached_tokens_metric_total");
const PROMPT: Counter = counter("litellm_input_tokens_metric_total");
const LAST: f64 = 300.0;

pub(super) const TABLE: Table = Table {
    profile: Profile::Litellm,
    word: "litellm",
    in_front: true,
    native: false,
    finished: Ok(FINISHED),
    errors: Ok(&[Share { bad: counter("litellm_deployment_failure_responses_total"), all: FINISHED }]),
    aborts: none("LiteLLM does not count requests that clients gave up; vLLM does, with the profile `vllm`"),
    truncations: none("LiteLLM does not count why an answer ended; vLLM does, with the profile `vllm`"),
    latency: Ok(Time::Histogram(&[seconds("litellm_request_total_latency_metric", LAST)])),
    first_token: Ok(Time::Histogram(&[seconds("litellm_llm_api_time_to_first_token_metric", LAST)])),
    output_token: Ok(Time::Histogram(&[seconds("litellm_deployment_latency_per_output_token", LAST)])),
    queue: none("a proxy does not see the engine's queue; use the engine's own profile"),
    kv_cache: none("a proxy does not see the engine's KV cache; use the engine's own profile"),
    hits: Ok(Hits::Counted { hits: CACHED, asked: PROMPT }),
    prompt_tokens: Ok(PROMPT),
    cached_tokens: Some(CACHED),
    output_tokens: Ok(counter("litellm_output_tokens_metric_total")),
    account: Some(Account { dollars: counter("litellm_spend_metric_total"), unpriced: None }),
};
