//! The Endpoint Picker of llm-d and of the Gateway API inference extension: requests by `target_model_name`, its pool by
//! `name`. Names changed twice. Never the scheduler's own timings.

use crate::{
    api::exporters::Profile,
    metrics::table::{Counter, Fold, Gauge, Hits, Share, Table, Time, none, seconds, series, sum_of},
};

const FINISHED: Counter = Counter::Either(&[
    series("llm_d_epp_request_total"),
    series("inference_objective_request_total"),
    series("inference_model_request_total"),
]);
const FAILED: Counter = Counter::Either(&[
    series("llm_d_epp_request_error_total"),
    series("inference_objective_request_error_total"),
    series("inference_model_request_error_total"),
]);
const CACHED: Counter = Counter::Either(&[
    sum_of("llm_d_epp_request_cached_tokens", ""),
    sum_of("inference_objective_prompt_cached_tokens", ""),
]);
const PROMPT: Counter = Counter::Either(&[
    sum_of("llm_d_epp_request_input_tokens", ""),
    sum_of("inference_objective_input_tokens", ""),
    sum_of("inference_model_input_tokens", ""),
]);

pub(super) const TABLE: Table = Table {
    profile: Profile::Epp,
    word: "epp",
    in_front: true,
    native: false,
    finished: Ok(FINISHED),
    errors: Ok(&[Share { bad: FAILED, all: FINISHED }]),
    aborts: none("the picker does not count requests that clients gave up; vLLM does, with the profile `vllm`"),
    truncations: none("the picker does not count why an answer ended; vLLM does, with the profile `vllm`"),
    latency: Ok(Time::Histogram(&[
        seconds("llm_d_epp_request_duration_seconds", 3600.0),
        seconds("inference_objective_request_duration_seconds", 3600.0),
        seconds("inference_model_request_duration_seconds", 3600.0),
    ])),
    first_token: Ok(Time::Histogram(&[
        seconds("llm_d_epp_request_ttft_seconds", 120.0),
        seconds("inference_objective_request_ttft_seconds", 3600.0),
    ])),
    output_token: Ok(Time::Histogram(&[seconds("llm_d_epp_request_streaming_tpot_seconds", 2.0)])),
    queue: Ok(Gauge {
        names: &[series("llm_d_epp_average_queue_size"), series("inference_pool_average_queue_size")],
        fold: Fold::Max,
    }),
    kv_cache: Ok(Gauge {
        names: &[
            series("llm_d_epp_average_kv_cache_utilization"),
            series("inference_pool_average_kv_cache_utilization"),
        ],
        fold: Fold::Max,
    }),
    hits: Ok(Hits::Counted { hits: CACHED, asked: PROMPT }),
    prompt_tokens: Ok(PROMPT),
    cached_tokens: Some(CACHED),
    output_tokens: Ok(Counter::Either(&[
        sum_of("llm_d_epp_request_output_tokens", ""),
        sum_of("inference_objective_output_tokens", ""),
        sum_of("inference_model_output_tokens", ""),
    ])),
    account: None,
};
