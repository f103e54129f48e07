//! The counters, gauges and histograms, and their text: names, labels and bounds of vLLM's
//! V1 engine and of the HTTP layer in front of it. Nothing here decides when to count.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Write},
    time::Duration,
};

use crate::histogram::{COUNT, FIRST, HTTP, Histogram, REQUEST, TOKEN};

/// Every reason the engine knows; all exist from the start, as in the engine.
const REASONS: [&str; 5] = ["stop", "length", "abort", "error", "repetition"];

/// How long the parts of one request took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Times {
    /// From arrival to the end.
    pub(crate) whole: Duration,
    /// Waiting for a place.
    pub(crate) queue: Duration,
    /// From the place to the first token.
    pub(crate) prefill: Duration,
    /// From the first token to the end.
    pub(crate) decode: Duration,
}

/// What the engine holds right now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Requests worked on.
    pub(crate) running: usize,
    /// Requests waiting.
    pub(crate) waiting: usize,
    /// Share of the cache in use.
    pub(crate) cache: f64,
}

/// All that is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    finished: [u64; REASONS.len()],
    whole: Histogram,
    queue: Histogram,
    prefill: Histogram,
    decode: Histogram,
    inference: Histogram,
    first_token: Histogram,
    inter_token: Histogram,
    per_output_token: Histogram,
    prompt_sizes: Histogram,
    answer_sizes: Histogram,
    prompt_tokens: u64,
    cached_tokens: u64,
    generated_tokens: u64,
    http_requests: BTreeMap<(&'static str, &'static str), u64>,
    http_times: BTreeMap<&'static str, Histogram>,
}

impl Default for Metrics {
    fn default() -> Self {
        let [whole, queue, prefill, decode, inference] = std::array::from_fn(|_| Histogram::new(REQUEST));
        Self {
            finished: [0; REASONS.len()],
            whole,
            queue,
            prefill,
            decode,
            inference,
            first_token: Histogram::new(FIRST),
            inter_token: Histogram::new(TOKEN),
            per_output_token: Histogram::new(TOKEN),
            prompt_sizes: Histogram::new(COUNT),
            answer_sizes: Histogram::new(COUNT),
            prompt_tokens: 0,
            cached_tokens: 0,
            generated_tokens: 0,
            http_requests: BTreeMap::new(),
            http_times: BTreeMap::new(),
        }
    }
}

impl Metrics {
    /// The prompt has been read and the first token is there.
    pub(crate) fn first_token(&mut self, since_arrival: Duration, prompt: u64, cached: u64) {
        self.first_token.observe(since_arrival.as_secs_f64(), 1);
        self.prompt_tokens += prompt;
        self.cached_tokens += cached;
        self.generated_tokens += 1;
    }

    /// `count` more tokens, evenly over `time`.
    pub(crate) fn tokens(&mut self, count: u64, time: Duration) {
        if count > 0 {
            self.generated_tokens += count;
            self.inter_token.observe(time.as_secs_f64() / as_float(count), count);
        }
    }

    /// A request that the engine had taken is over.
    pub(crate) fn finished(&mut self, reason: &str, times: Times, prompt: u64, generated: u64) {
        if let Some(count) =
            REASONS.iter().position(|known| *known == reason).and_then(|place| self.finished.get_mut(place))
        {
            *count += 1;
        }
        self.whole.observe(times.whole.as_secs_f64(), 1);
        self.queue.observe(times.queue.as_secs_f64(), 1);
        self.prefill.observe(times.prefill.as_secs_f64(), 1);
        self.decode.observe(times.decode.as_secs_f64(), 1);
        self.inference.observe((times.prefill + times.decode).as_secs_f64(), 1);
        self.prompt_sizes.observe(as_float(prompt), 1);
        self.answer_sizes.observe(as_float(generated), 1);
        if generated > 1 {
            self.per_output_token.observe(times.decode.as_secs_f64() / as_float(generated - 1), 1);
        }
    }

    /// An HTTP request is over.
    pub(crate) fn http(&mut self, handler: &'static str, status: u16, time: Duration) {
        let class = match status {
            0..=199 => "1xx",
            200..=299 => "2xx",
            300..=399 => "3xx",
            400..=499 => "4xx",
            _ => "5xx",
        };
        *self.http_requests.entry((handler, class)).or_default() += 1;
        self.http_times.entry(handler).or_insert_with(|| Histogram::new(HTTP)).observe(time.as_secs_f64(), 1);
    }

    /// Everything, as Prometheus reads it.
    pub(crate) fn render(&self, model: &str, load: Load) -> Result<String, fmt::Error> {
        let labels = format!("engine=\"0\",model_name=\"{}\"", escape(model));
        let mut out = String::with_capacity(16 * 1024);
        Self::write_load(&mut out, &labels, load)?;
        self.write_tokens(&mut out, &labels)?;
        head(&mut out, "vllm:request_success", "counter", "Count of successfully processed requests.")?;
        for (reason, count) in REASONS.iter().zip(self.finished) {
            writeln!(out, "vllm:request_success_total{{{labels},finished_reason=\"{reason}\"}} {count}")?;
        }
        for (name, help, histogram) in self.histograms() {
            head(&mut out, name, "histogram", help)?;
            histogram.write(&mut out, name, &labels)?;
        }
        self.write_http(&mut out)?;
        Ok(out)
    }

    fn histograms(&self) -> [(&'static str, &'static str, &Histogram); 10] {
        [
            ("vllm:time_to_first_token_seconds", "Histogram of time to first token in seconds.", &self.first_token),
            ("vllm:inter_token_latency_seconds", "Histogram of inter-token latency in seconds.", &self.inter_token),
            (
                "vllm:request_time_per_output_token_seconds",
                "Histogram of time per output token in seconds per request.",
                &self.per_output_token,
            ),
            ("vllm:e2e_request_latency_seconds", "Histogram of e2e request latency in seconds.", &self.whole),
            ("vllm:request_queue_time_seconds", "Histogram of time spent in WAITING phase for request.", &self.queue),
            (
                "vllm:request_inference_time_seconds",
                "Histogram of time spent in RUNNING phase for request.",
                &self.inference,
            ),
            (
                "vllm:request_prefill_time_seconds",
                "Histogram of time spent in PREFILL phase for request.",
                &self.prefill,
            ),
            ("vllm:request_decode_time_seconds", "Histogram of time spent in DECODE phase for request.", &self.decode),
            ("vllm:request_prompt_tokens", "Number of prefill tokens processed.", &self.prompt_sizes),
            ("vllm:request_generation_tokens", "Number of generation tokens processed.", &self.answer_sizes),
        ]
    }

    fn write_load(out: &mut String, labels: &str, load: Load) -> fmt::Result {
        one(
            out,
            labels,
            "vllm:num_requests_running",
            "gauge",
            "Number of requests in model execution batches.",
            load.running,
        )?;
        one(
            out,
            labels,
            "vllm:num_requests_waiting",
            "gauge",
            "Number of requests waiting to be processed.",
            load.waiting,
        )?;
        one(
            out,
            labels,
            "vllm:kv_cache_usage_perc",
            "gauge",
            "KV-cache usage. 1 means 100 percent usage.",
            load.cache,
        )?;
        one(out, labels, "vllm:num_preemptions", "counter", "Cumulative number of preemptions from the engine.", 0)
    }

    fn write_tokens(&self, out: &mut String, labels: &str) -> fmt::Result {
        one(
            out,
            labels,
            "vllm:prefix_cache_queries",
            "counter",
            "Prefix cache queries, in tokens.",
            self.prompt_tokens,
        )?;
        one(out, labels, "vllm:prefix_cache_hits", "counter", "Prefix cache hits, in tokens.", self.cached_tokens)?;
        one(out, labels, "vllm:prompt_tokens", "counter", "Number of prefill tokens processed.", self.prompt_tokens)?;
        one(
            out,
            labels,
            "vllm:generation_tokens",
            "counter",
            "Number of generation tokens processed.",
            self.generated_tokens,
        )?;
        one(
            out,
            labels,
            "vllm:prompt_tokens_cached",
            "counter",
            "Number of cached prompt tokens.",
            self.cached_tokens,
        )?;
        head(out, "vllm:prompt_tokens_by_source", "counter", "Number of prompt tokens by source.")?;
        for (source, count) in [
            ("local_compute", self.prompt_tokens - self.cached_tokens),
            ("local_cache_hit", self.cached_tokens),
            ("external_kv_transfer", 0),
        ] {
            writeln!(out, "vllm:prompt_tokens_by_source_total{{{labels},source=\"{source}\"}} {count}")?;
        }
        Ok(())
    }

    fn write_http(&self, out: &mut String) -> fmt::Result {
        head(out, "http_requests", "counter", "Total number of requests by method, status and handler.")?;
        for ((handler, class), count) in &self.http_requests {
            writeln!(
                out,
                "http_requests_total{{handler=\"{handler}\",method=\"{}\",status=\"{class}\"}} {count}",
                method(handler)
            )?;
        }
        let name = "http_request_duration_seconds";
        head(out, name, "histogram", "Latency with only few buckets by handler.")?;
        for (handler, histogram) in &self.http_times {
            histogram.write(out, name, &format!("handler=\"{handler}\",method=\"{}\"", method(handler)))?;
        }
        Ok(())
    }
}

/// Each handler takes one method.
fn method(handler: &str) -> &'static str {
    if handler == "/v1/models" { "GET" } else { "POST" }
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    let suffix = if kind == "counter" { "_total" } else { "" };
    writeln!(out, "# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}")
}

fn one(out: &mut String, labels: &str, name: &str, kind: &str, help: &str, value: impl Display) -> fmt::Result {
    head(out, name, kind, help)?;
    let suffix = if kind == "counter" { "_total" } else { "" };
    writeln!(out, "{name}{suffix}{{{labels}}} {value}")
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[expect(clippy::cast_precision_loss, reason = "token counts stay far below 2^52")]
fn as_float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
