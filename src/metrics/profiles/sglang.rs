//! `SGLang` with `--enable-metrics`. Failures are seen by HTTP status only, that is before a stream begins; gauges of the
//! scheduler are repeated by each tensor-parallel rank. Never the gauge `cache_hit_rate`, which is of one batch.

use crate::{
    api::exporters::Profile,
    metrics::table::{Counter, Fold, Gauge, Hits, Share, Table, Time, counter, counter_with, none, seconds, series},
};

const FINISHED: Counter = counter("sglang:num_requests_total");
const HTTP: Counter = counter_with("sglang:http_responses_total", r#"endpoint=~"/v1/.*""#);
const HTTP_FAILED: Counter = counter_with("sglang:http_responses_total", r#"endpoint=~"/v1/.*",status_code=~"5..""#);
const CACHED: Counter = counter("sglang:cached_tokens_total");
const PROMPT: Counter = counter("sglang:prompt_tokens_total");

pub(super) const TABLE: Table = Table {
    profile: Profile::Sglang,
    word: "sglang",
    in_front: false,
    native: false,
    finished: Ok(FINISHED),
    errors: Ok(&[Share { bad: HTTP_FAILED, all: HTTP }]),
    aborts: Ok(Share { bad: counter("sglang:num_aborted_requests_total"), all: FINISHED }),
    truncations: none("SGLang does not count why an answer ended; the gateways do not either"),
    latency: Ok(Time::Histogram(&[seconds("sglang:e2e_request_latency_seconds", 400.0)])),
    first_token: Ok(Time::Histogram(&[seconds("sglang:time_to_first_token_seconds", 400.0)])),
    output_token: Ok(Time::Histogram(&[
        seconds("sglang:inter_token_latency_seconds", 8.0),
        seconds("sglang:time_per_output_token_seconds", 2.5),
    ])),
    queue: Ok(Gauge { names: &[series("sglang:num_queue_reqs")], fold: Fold::SumWithoutRanks }),
    kv_cache: Ok(Gauge { names: &[series("sglang:token_usage")], fold: Fold::Max }),
    hits: Ok(Hits::Counted { hits: CACHED, asked: PROMPT }),
    prompt_tokens: Ok(PROMPT),
    cached_tokens: Some(CACHED),
    output_tokens: Ok(counter("sglang:generation_tokens_total")),
    account: None,
};
