//! vLLM (V1 engine): what its pods expose. `request_success_total` counts every finished request, failed ones too. Never
//! names that Ray renames; those are in `ray`.

use crate::{
    api::exporters::Profile,
    metrics::table::{
        Counter, Fold, Gauge, Hits, Share, Table, Time, counter, counter_with, seconds, series, series_with,
    },
};

const FINISHED: Counter = counter("vllm:request_success_total");
/// The paths that users call; probes and scrapes are not requests.
const HTTP: Counter = counter_with("http_requests_total", r#"handler=~"/v1/.*""#);
const HTTP_FAILED: Counter = counter_with("http_requests_total", r#"handler=~"/v1/.*",status="5xx""#);

const fn finished(with: &'static str) -> Counter {
    counter_with("vllm:request_success_total", with)
}

pub(super) const TABLE: Table = Table {
    profile: Profile::Vllm,
    word: "vllm",
    in_front: false,
    finished: Ok(FINISHED),
    errors: Ok(&[
        Share { bad: finished(r#"finished_reason="error""#), all: FINISHED },
        Share { bad: HTTP_FAILED, all: HTTP },
    ]),
    aborts: Ok(Share { bad: finished(r#"finished_reason="abort""#), all: FINISHED }),
    truncations: Ok(Share { bad: finished(r#"finished_reason="length""#), all: FINISHED }),
    latency: Ok(Time::Histogram(&[seconds("vllm:e2e_request_latency_seconds", 7680.0)])),
    first_token: Ok(Time::Histogram(&[seconds("vllm:time_to_first_token_seconds", 2560.0)])),
    output_token: Ok(Time::Histogram(&[
        seconds("vllm:inter_token_latency_seconds", 80.0),
        seconds("vllm:time_per_output_token_seconds", 80.0),
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
