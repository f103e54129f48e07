//! `trtllm-serve`, scraped at `/prometheus/metrics`, with its performance metrics switched on. Older servers count no
//! errors but timeouts. Never the JSON of `/metrics`.

use crate::{
    api::exporters::Profile,
    metrics::table::{
        Counter, Fold, Gauge, Hits, Share, Table, Time, counter, counter_with, seconds, series, series_with,
    },
};

const FINISHED: Counter = Counter::Sum(&[series("trtllm_request_success_total"), series("trtllm_request_error_total")]);
const FAILED: Counter = Counter::Sum(&[
    series_with("trtllm_request_success_total", r#"finished_reason="timeout""#),
    series("trtllm_request_error_total"),
]);

const fn finished(with: &'static str) -> Counter {
    counter_with("trtllm_request_success_total", with)
}

pub(super) const TABLE: Table = Table {
    profile: Profile::Trtllm,
    word: "trtllm",
    in_front: false,
    native: false,
    finished: Ok(FINISHED),
    errors: Ok(&[Share { bad: FAILED, all: FINISHED }]),
    aborts: Ok(Share { bad: finished(r#"finished_reason="cancelled""#), all: FINISHED }),
    truncations: Ok(Share { bad: finished(r#"finished_reason="length""#), all: FINISHED }),
    latency: Ok(Time::Histogram(&[seconds("trtllm_e2e_request_latency_seconds", 7680.0)])),
    first_token: Ok(Time::Histogram(&[seconds("trtllm_time_to_first_token_seconds", 2560.0)])),
    output_token: Ok(Time::Histogram(&[seconds("trtllm_time_per_output_token_seconds", 80.0)])),
    queue: Ok(Gauge { names: &[series("trtllm_num_requests_waiting")], fold: Fold::Sum }),
    kv_cache: Ok(Gauge { names: &[series("trtllm_kv_cache_utilization")], fold: Fold::Max }),
    hits: Ok(Hits::Told(Gauge { names: &[series("trtllm_kv_cache_hit_rate")], fold: Fold::Max })),
    prompt_tokens: Ok(counter("trtllm_prompt_tokens_total")),
    cached_tokens: Some(counter("trtllm_prompt_cached_tokens_total")),
    output_tokens: Ok(counter("trtllm_generation_tokens_total")),
    account: None,
};
