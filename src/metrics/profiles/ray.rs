//! Ray Serve LLM: vLLM's metrics as Ray renames them (`vllm:` becomes `ray_vllm_`, older Ray drops `_total`), and those of
//! the HTTP proxies. Never plain `vllm:` names.

use super::vllm::{FIRST_TOKEN, REQUEST, TOKEN};
use crate::{
    api::exporters::Profile,
    metrics::table::{Counter, Fold, Gauge, Hits, Share, Table, Time, exact, milliseconds, series, series_with},
};

const FINISHED: Counter =
    Counter::Either(&[series("ray_vllm_request_success_total"), series("ray_vllm_request_success")]);
const ERRORS: &str = r#"finished_reason="error""#;
const ABORTS: &str = r#"finished_reason="abort""#;
const LENGTH: &str = r#"finished_reason="length""#;
const HTTP: Counter =
    Counter::Either(&[series("ray_serve_num_http_requests_total"), series("ray_serve_num_http_requests")]);
const HTTP_FAILED: Counter = Counter::Either(&[
    series_with("ray_serve_num_http_error_requests_total", r#"error_code=~"5..""#),
    series_with("ray_serve_num_http_error_requests", r#"error_code=~"5..""#),
]);

const fn finished(all: &'static [crate::metrics::table::Series]) -> Share {
    Share { bad: Counter::Either(all), all: FINISHED }
}

pub(super) const TABLE: Table = Table {
    profile: Profile::Ray,
    word: "ray",
    in_front: false,
    native: false,
    finished: Ok(FINISHED),
    errors: Ok(&[
        finished(&[
            series_with("ray_vllm_request_success_total", ERRORS),
            series_with("ray_vllm_request_success", ERRORS),
        ]),
        Share { bad: HTTP_FAILED, all: HTTP },
    ]),
    aborts: Ok(finished(&[
        series_with("ray_vllm_request_success_total", ABORTS),
        series_with("ray_vllm_request_success", ABORTS),
    ])),
    truncations: Ok(finished(&[
        series_with("ray_vllm_request_success_total", LENGTH),
        series_with("ray_vllm_request_success", LENGTH),
    ])),
    latency: Ok(Time::Histogram(&[
        exact("ray_vllm_e2e_request_latency_seconds", REQUEST),
        milliseconds("ray_serve_http_request_latency_ms", 600.0),
    ])),
    first_token: Ok(Time::Histogram(&[exact("ray_vllm_time_to_first_token_seconds", FIRST_TOKEN)])),
    output_token: Ok(Time::Histogram(&[
        exact("ray_vllm_inter_token_latency_seconds", TOKEN),
        exact("ray_vllm_time_per_output_token_seconds", TOKEN),
    ])),
    queue: Ok(Gauge { names: &[series("ray_vllm_num_requests_waiting")], fold: Fold::Sum }),
    kv_cache: Ok(Gauge {
        names: &[series("ray_vllm_kv_cache_usage_perc"), series("ray_vllm_gpu_cache_usage_perc")],
        fold: Fold::Max,
    }),
    hits: Ok(Hits::Counted {
        hits: Counter::Either(&[series("ray_vllm_prefix_cache_hits_total"), series("ray_vllm_prefix_cache_hits")]),
        asked: Counter::Either(&[
            series("ray_vllm_prefix_cache_queries_total"),
            series("ray_vllm_prefix_cache_queries"),
        ]),
    }),
    prompt_tokens: Ok(Counter::Either(&[series("ray_vllm_prompt_tokens_total"), series("ray_vllm_prompt_tokens")])),
    cached_tokens: Some(Counter::Either(&[
        series_with("ray_vllm_prompt_tokens_by_source_total", r#"source!="local_compute""#),
        series("ray_vllm_prompt_tokens_cached_total"),
    ])),
    output_tokens: Ok(Counter::Either(&[
        series("ray_vllm_generation_tokens_total"),
        series("ray_vllm_generation_tokens"),
    ])),
    account: None,
};
