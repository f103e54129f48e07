//! vLLM (V1 engine): what its pods expose. `request_success_total` counts every finished request, failed ones too. Never
//! names that Ray renames; those are in `ray`.

use crate::{
    api::exporters::Profile,
    metrics::table::{
        Counter, Fold, Gauge, Hits, Share, Table, Time, counter, counter_with, exact, series, series_with,
    },
};

const FINISHED: Counter = counter("vllm:request_success_total");
/// The paths that users call; probes and scrapes are not requests.
const HTTP: Counter = counter_with("http_requests_total", r#"handler=~"/v1/.*""#);
const HTTP_FAILED: Counter = counter_with("http_requests_total", r#"handler=~"/v1/.*",status="5xx""#);

/// The bounds of vLLM's histograms stand in its code.
pub(super) const REQUEST: &[f64] = &[
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0,
    1920.0, 7680.0,
];
pub(super) const FIRST_TOKEN: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
    160.0, 640.0, 2560.0,
];
pub(super) const TOKEN: &[f64] =
    &[0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0];

const fn finished(with: &'static str) -> Counter {
    counter_with("vllm:request_success_total", with)
}

pub(super) const TABLE: Table = Table {
    profile: Profile::Vllm,
    word: "vllm",
    in_front: false,
    native: false,
    finished: Ok(FINISHED),
    errors: Ok(&[
        Share { bad: finished(r#"finished_reason="error""#), all: FINISHED },
        Share { bad: HTTP_FAILED, all: HTTP },
    ]),
    aborts: Ok(Share { bad: finished(r#"finished_reason="abort""#), all: FINISHED }),
    truncations: Ok(Share { bad: finished(r#"finished_reason="length""#), all: FINISHED }),
    latency: Ok(Time::Histogram(&[exact("vllm:e2e_request_latency_seconds", REQUEST)])),
    first_token: Ok(Time::Histogram(&[exact("vllm:time_to_first_token_seconds", FIRST_TOKEN)])),
    output_token: Ok(Time::Histogram(&[
        exact("vllm:inter_token_latency_seconds", TOKEN),
        exact("vllm:time_per_output_token_seconds", TOKEN),
    ])),
    queue: Ok(Gauge { names: &[series("vllm:num_requests_waiting")], fold: Fold::Sum }),
    kv_cache: Ok(Gauge {
        names: &[series("vllm:kv_cache_usage_perc"), series("vllm:gpu_cache_usage_perc")],
        fold: Fold::Max,
    }),
    hits: Ok(Hits::Counted {
        hits: Counter::Either(&[series("vllm:prefix_cache_hits_total"), series("vllm:gpu_prefix_cache_hits_total")]),
        asked: Counter::Either(&[
            series("vllm:prefix_cache_queries_total"),
            series("vllm:gpu_prefix_cache_queries_total"),
        ]),
    }),
    prompt_tokens: Ok(counter("vllm:prompt_tokens_total")),
    cached_tokens: Some(Counter::Either(&[
        series_with("vllm:prompt_tokens_by_source_total", r#"source!="local_compute""#),
        series("vllm:prompt_tokens_cached_total"),
    ])),
    output_tokens: Ok(counter("vllm:generation_tokens_total")),
    account: None,
};
