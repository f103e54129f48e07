//! llama.cpp's server with `--metrics`: sums of tokens and seconds, and two gauges. Never a count of requests: it has none.

use crate::{
    api::exporters::Profile,
    metrics::table::{Fold, Gauge, Table, Time, counter, none, series},
};

const NO_REQUESTS: &str = "llama.cpp counts no requests and no errors; a gateway does, with the profile \
                           `envoy-ai-gateway`, `agentgateway`, `litellm`, `traefik`, `envoy` or `istio`";
const NO_TIMES: &str = "llama.cpp has no histograms; a gateway has, with the profile `envoy-ai-gateway`, \
                        `agentgateway` or `litellm`";

pub(super) const TABLE: Table = Table {
    profile: Profile::Llamacpp,
    word: "llamacpp",
    in_front: false,
    native: false,
    finished: none(NO_REQUESTS),
    errors: none(NO_REQUESTS),
    aborts: none(NO_REQUESTS),
    truncations: none(NO_REQUESTS),
    latency: none(NO_TIMES),
    first_token: none(NO_TIMES),
    output_token: Ok(Time::Mean {
        seconds: counter("llamacpp:tokens_predicted_seconds_total"),
        things: counter("llamacpp:tokens_predicted_total"),
    }),
    queue: Ok(Gauge { names: &[series("llamacpp:requests_deferred")], fold: Fold::Sum }),
    kv_cache: none("newer servers no longer tell how full the KV cache is"),
    hits: none("llama.cpp does not count hits of its cache"),
    prompt_tokens: Ok(counter("llamacpp:prompt_tokens_total")),
    cached_tokens: None,
    output_tokens: Ok(counter("llamacpp:tokens_predicted_total")),
    account: None,
};
