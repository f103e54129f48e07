//! vLLM's V1 engine and the HTTP layer in front of it. A request that the engine never took is seen by HTTP only.

use std::{collections::BTreeMap, fmt};

use super::text::{head, method, one, sample};
use crate::{
    histogram::Histogram,
    metrics::{Bounds, Load, Metrics, REASONS},
};

/// 1, 2, 5 and so on up to a context of 32 768.
const COUNT: &[f64] =
    &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0, 20_000.0];

pub(super) const BOUNDS: Bounds = Bounds {
    request: &[
        0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0,
        1920.0, 7680.0,
    ],
    first: &[
        0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
        160.0, 640.0, 2560.0,
    ],
    token: &[0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0],
    prompt: COUNT,
    answer: COUNT,
};

pub(super) fn write(out: &mut String, metrics: &Metrics, model: &str, load: Load) -> fmt::Result {
    let labels = format!("engine=\"0\",model_name=\"{model}\"");
    write_load(out, &labels, load)?;
    write_tokens(out, &labels, metrics)?;
    let name = "vllm:request_success_total";
    head(out, name, "counter", "Count of successfully processed requests.")?;
    for (reason, count) in REASONS.iter().zip(metrics.finished) {
        sample(out, name, &format!("{labels},finished_reason=\"{reason}\""), count)?;
    }
    for (name, help, histogram) in histograms(metrics) {
        head(out, name, "histogram", help)?;
        histogram.write(out, name, &labels)?;
    }
    write_http(out, metrics)
}

fn histograms(metrics: &Metrics) -> [(&'static str, &'static str, &Histogram); 10] {
    let all = &metrics.all;
    [
        ("vllm:time_to_first_token_seconds", "Histogram of time to first token in seconds.", &metrics.first_token),
        ("vllm:inter_token_latency_seconds", "Histogram of inter-token latency in seconds.", &metrics.inter_token),
        (
            "vllm:request_time_per_output_token_seconds",
            "Histogram of time per output token in seconds per request.",
            &all.per_output_token,
        ),
        ("vllm:e2e_request_latency_seconds", "Histogram of e2e request latency in seconds.", &all.whole),
        ("vllm:request_queue_time_seconds", "Histogram of time spent in WAITING phase for request.", &all.queue),
        (
            "vllm:request_inference_time_seconds",
            "Histogram of time spent in RUNNING phase for request.",
            &all.inference,
        ),
        ("vllm:request_prefill_time_seconds", "Histogram of time spent in PREFILL phase for request.", &all.prefill),
        ("vllm:request_decode_time_seconds", "Histogram of time spent in DECODE phase for request.", &all.decode),
        ("vllm:request_prompt_tokens", "Number of prefill tokens processed.", &all.prompt),
        ("vllm:request_generation_tokens", "Number of generation tokens processed.", &all.answer),
    ]
}

fn write_load(out: &mut String, labels: &str, load: Load) -> fmt::Result {
    let mut gauge = |name, help, value: &dyn fmt::Display| one(out, labels, name, "gauge", help, value);
    gauge("vllm:num_requests_running", "Number of requests in model execution batches.", &load.running)?;
    gauge("vllm:num_requests_waiting", "Number of requests waiting to be processed.", &load.waiting)?;
    gauge("vllm:kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.", &load.cache)?;
    let help = "Cumulative number of preemptions from the engine.";
    one(out, labels, "vllm:num_preemptions_total", "counter", help, 0)
}

fn write_tokens(out: &mut String, labels: &str, metrics: &Metrics) -> fmt::Result {
    let Metrics { prompt_tokens: prompt, cached_tokens: cached, generated_tokens: generated, .. } = metrics;
    let mut counter = |name, help, value: &u64| one(out, labels, name, "counter", help, value);
    counter("vllm:prefix_cache_queries_total", "Prefix cache queries, in tokens.", prompt)?;
    counter("vllm:prefix_cache_hits_total", "Prefix cache hits, in tokens.", cached)?;
    counter("vllm:prompt_tokens_total", "Number of prefill tokens processed.", prompt)?;
    counter("vllm:generation_tokens_total", "Number of generation tokens processed.", generated)?;
    counter("vllm:prompt_tokens_cached_total", "Number of cached prompt tokens.", cached)?;
    let name = "vllm:prompt_tokens_by_source_total";
    head(out, name, "counter", "Number of prompt tokens by source.")?;
    for (source, count) in
        [("local_compute", prompt - cached), ("local_cache_hit", *cached), ("external_kv_transfer", 0)]
    {
        sample(out, name, &format!("{labels},source=\"{source}\""), count)?;
    }
    Ok(())
}

fn write_http(out: &mut String, metrics: &Metrics) -> fmt::Result {
    let mut by_class: BTreeMap<(&str, u16), u64> = BTreeMap::new();
    for ((handler, status), count) in &metrics.http_requests {
        *by_class.entry((handler, status / 100)).or_default() += count;
    }
    let name = "http_requests_total";
    head(out, name, "counter", "Total number of requests by method, status and handler.")?;
    for ((handler, class), count) in by_class {
        let labels = format!("handler=\"{handler}\",method=\"{}\",status=\"{class}xx\"", method(handler));
        sample(out, name, &labels, count)?;
    }
    let name = "http_request_duration_seconds";
    head(out, name, "histogram", "Latency with only few buckets by handler.")?;
    for (handler, histogram) in &metrics.http_times {
        histogram.write(out, name, &format!("handler=\"{handler}\",method=\"{}\"", method(handler)))?;
    }
    Ok(())
}
