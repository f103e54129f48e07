//! Triton inference server, with the TensorRT-LLM backend's own gauge. Never tokens: it counts requests.

use crate::{
    api::exporters::Profile,
    metrics::table::{Counter, Fold, Gauge, Share, Table, Time, counter_with, milliseconds, none, series, series_with},
};

/// Successes and failures are counted apart.
const FINISHED: Counter =
    Counter::Sum(&[series("nv_inference_request_success"), series("nv_inference_request_failure")]);
const NO_TOKENS: &str = "Triton counts requests and no tokens; a gateway counts them, with the profile \
                         `envoy-ai-gateway`, `agentgateway` or `litellm`";

pub(super) const TABLE: Table = Table {
    profile: Profile::Triton,
    word: "triton",
    in_front: false,
    native: false,
    finished: Ok(FINISHED),
    errors: Ok(&[Share { bad: counter_with("nv_inference_request_failure", r#"reason!="CANCELED""#), all: FINISHED }]),
    aborts: Ok(Share { bad: counter_with("nv_inference_request_failure", r#"reason="CANCELED""#), all: FINISHED }),
    truncations: none("Triton does not count why an answer ended"),
    // Only with `--metrics-config summary_latencies=true`.
    latency: Ok(Time::Summary { name: "nv_inference_request_summary_us", per_second: 1e6 }),
    // Only of decoupled models.
    first_token: Ok(Time::Histogram(&[milliseconds("nv_inference_first_response_histogram_ms", 5.0)])),
    output_token: none(NO_TOKENS),
    queue: Ok(Gauge { names: &[series("nv_inference_pending_request_count")], fold: Fold::Sum }),
    kv_cache: Ok(Gauge {
        names: &[series_with("nv_trt_llm_kv_cache_block_metrics", r#"kv_cache_block_type="fraction""#)],
        fold: Fold::Max,
    }),
    hits: none("Triton counts hits of its response cache, not of a KV cache"),
    prompt_tokens: none(NO_TOKENS),
    cached_tokens: None,
    output_tokens: none(NO_TOKENS),
    account: None,
};
