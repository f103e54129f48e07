//! Envoy by cluster (`envoy_cluster_name`), where each color has its own cluster: Contour does so, Envoy Gateway does not
//! (envoyproxy/gateway#6742). Never anything about tokens.

use crate::{
    api::exporters::Profile,
    metrics::table::{Counter, Share, Table, Time, counter, counter_with, milliseconds, none},
};

const FINISHED: Counter = counter("envoy_cluster_upstream_rq_xx");
const HTTP_ONLY: &str = "Envoy sees HTTP and no tokens; use the engine's own profile, or a gateway for AI: \
                         `envoy-ai-gateway`, `agentgateway` or `litellm`";
const NO_ENGINE: &str = "Envoy does not see into the engine; use the engine's own profile";

pub(super) const TABLE: Table = Table {
    profile: Profile::Envoy,
    word: "envoy",
    in_front: true,
    native: false,
    finished: Ok(FINISHED),
    errors: Ok(&[Share {
        bad: counter_with("envoy_cluster_upstream_rq_xx", r#"envoy_response_code_class="5""#),
        all: FINISHED,
    }]),
    aborts: none(
        "Envoy counts clients that left by listener and not by cluster; vLLM counts them, with the profile `vllm`",
    ),
    truncations: none(HTTP_ONLY),
    latency: Ok(Time::Histogram(&[milliseconds("envoy_cluster_upstream_rq_time", 3600.0)])),
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
