//! `SGLang` with `--enable-metrics`, on two tensor-parallel ranks: both repeat the scheduler's gauges. A failure is seen by
//! HTTP status only, so one in the middle of a stream is not seen at all. Never why an answer ended.

use std::fmt;

use super::text::{head, method, one, sample};
use crate::metrics::{Bounds, Load, Metrics};

/// 100, 300 and so on; only with `--collect-tokens-histogram`, which is off.
const COUNT: &[f64] = &[];

pub(super) const BOUNDS: Bounds = Bounds {
    request: &[
        0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 20.0, 40.0, 60.0, 80.0, 100.0, 200.0, 400.0, 600.0,
        1200.0, 1800.0, 2400.0,
    ],
    first: &[0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 20.0, 40.0, 60.0, 80.0, 100.0, 200.0, 400.0],
    token: &[
        0.002, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02, 0.025, 0.03, 0.035, 0.04, 0.06, 0.08, 0.1, 0.2, 0.4, 0.6, 0.8,
        1.0, 2.0, 4.0, 6.0, 8.0,
    ],
    prompt: COUNT,
    answer: COUNT,
};

const RANKS: [u8; 2] = [0, 1];

pub(super) fn write(out: &mut String, metrics: &Metrics, model: &str, load: Load) -> fmt::Result {
    let labels = format!("engine_type=\"unified\",model_name=\"{model}\"");
    write_gauges(out, &labels, load)?;
    write_counters(out, &labels, metrics)?;
    for (name, help, histogram) in [
        ("sglang:time_to_first_token_seconds", "Histogram of time to first token in seconds.", &metrics.first_token),
        ("sglang:inter_token_latency_seconds", "Histogram of inter-token latency in seconds.", &metrics.inter_token),
        (
            "sglang:e2e_request_latency_seconds",
            "Histogram of End-to-end request latency in seconds",
            &metrics.answered.whole,
        ),
    ] {
        // The Python client shows a family with labels only once something was told of it.
        if !histogram.is_empty() {
            head(out, name, "histogram", help)?;
            histogram.write(out, name, &labels)?;
        }
    }
    write_http(out, metrics)
}

fn write_gauges(out: &mut String, labels: &str, load: Load) -> fmt::Result {
    let gauges: [(&str, &str, &dyn fmt::Display); 3] = [
        ("sglang:num_running_reqs", "The number of running requests.", &load.running),
        ("sglang:num_queue_reqs", "The number of requests in the waiting queue.", &load.waiting),
        ("sglang:token_usage", "The token usage.", &load.cache),
    ];
    for (name, help, value) in gauges {
        head(out, name, "gauge", help)?;
        for rank in RANKS {
            sample(out, name, &format!("{labels},moe_ep_rank=\"0\",pp_rank=\"0\",tp_rank=\"{rank}\""), value)?;
        }
    }
    Ok(())
}

fn write_counters(out: &mut String, labels: &str, metrics: &Metrics) -> fmt::Result {
    let answered = metrics.ended("stop") + metrics.ended("length");
    for (name, help, value) in [
        ("sglang:prompt_tokens_total", "Number of prefill tokens processed.", metrics.prompt_tokens),
        ("sglang:generation_tokens_total", "Number of generation tokens processed.", metrics.generated_tokens),
        ("sglang:num_requests_total", "Number of requests processed.", answered),
        ("sglang:num_aborted_requests_total", "Number of requests aborted.", metrics.ended("abort")),
    ] {
        if value > 0 {
            one(out, labels, name, "counter", help, value)?;
        }
    }
    if metrics.cached_tokens > 0 {
        let (name, help) = ("sglang:cached_tokens_total", "Number of cached prompt tokens.");
        one(out, &format!("{labels},cache_source=\"device\""), name, "counter", help, metrics.cached_tokens)?;
    }
    Ok(())
}

fn write_http(out: &mut String, metrics: &Metrics) -> fmt::Result {
    let name = "sglang:http_responses_total";
    head(out, name, "counter", "Total number of HTTP responses by endpoint and status code")?;
    for ((handler, status), count) in &metrics.http_requests {
        let labels = format!("endpoint=\"{handler}\",method=\"{}\",status_code=\"{status}\"", method(handler));
        sample(out, name, &labels, count)?;
    }
    Ok(())
}
