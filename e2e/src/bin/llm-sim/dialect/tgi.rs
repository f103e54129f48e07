//! Text Generation Inference: no `_total`, hardly a label, and what never happened has no series. Requests are counted when
//! they come and measured when they were answered. Never a time to first token, and nobody who left.

use std::{collections::BTreeMap, fmt};

use super::text::{head, one, sample};
use crate::metrics::{Bounds, Load, Metrics};

/// 0.0001 times 1.5, 1.5² … 1.5³⁵ seconds.
const DURATION: [f64; 35] = {
    let mut bounds = [0.0; 35];
    let (mut at, mut value) = (0, 0.0001);
    while at < bounds.len() {
        value *= 1.5;
        bounds[at] = value;
        at += 1;
    }
    bounds
};
/// Hundredths of the longest prompt.
const PROMPT: [f64; 100] = hundredths(4095.0);
/// Hundredths of the longest prompt and answer.
const TOTAL: [f64; 100] = hundredths(4096.0);

const fn hundredths(whole: f64) -> [f64; 100] {
    let mut bounds = [0.0; 100];
    let (mut at, mut count) = (0, 0.0);
    while at < bounds.len() {
        count += 1.0;
        bounds[at] = whole / 100.0 * count;
        at += 1;
    }
    bounds
}

pub(super) const BOUNDS: Bounds =
    Bounds { request: &DURATION, first: &DURATION, token: &DURATION, prompt: &PROMPT, answer: &TOTAL };

pub(super) fn write(out: &mut String, metrics: &Metrics, load: Load) -> fmt::Result {
    one(out, "", "tgi_queue_size", "gauge", "Current queue size", load.waiting)?;
    one(out, "", "tgi_batch_current_size", "gauge", "Current batch size", load.running)?;
    let (taken, refused) = (metrics.finished.iter().sum::<u64>(), metrics.refused.values().sum::<u64>());
    let answered = metrics.ended("stop") + metrics.ended("length");
    for (name, help, count) in [
        ("tgi_request_count", "Total number of requests", taken + refused),
        ("tgi_request_success", "Number of successful requests", answered),
    ] {
        if count > 0 {
            one(out, "", name, "counter", help, count)?;
        }
    }
    let failures = failures(metrics);
    if !failures.is_empty() {
        head(out, "tgi_request_failure", "counter", "Number of failed requests")?;
    }
    for (err, count) in failures {
        sample(out, "tgi_request_failure", &format!("err=\"{err}\""), count)?;
    }
    let told = &metrics.answered;
    for (name, help, histogram) in [
        ("tgi_request_duration", "Total time spent processing the request", &told.whole),
        ("tgi_request_queue_duration", "Time spent in the queue per request", &told.queue),
        ("tgi_request_inference_duration", "Request inference duration", &told.inference),
        ("tgi_request_mean_time_per_token_duration", "Mean time per token per request", &told.mean_token),
        ("tgi_request_generated_tokens", "Generated tokens per request", &told.answer),
        ("tgi_request_input_length", "Input token length per request", &metrics.all.prompt),
    ] {
        if !histogram.is_empty() {
            head(out, name, "histogram", help)?;
            histogram.write(out, name, "")?;
        }
    }
    Ok(())
}

/// Failures by the router's words for them.
fn failures(metrics: &Metrics) -> BTreeMap<&'static str, u64> {
    let mut by_word = BTreeMap::new();
    for (status, count) in &metrics.refused {
        let word = match status {
            429 => "overloaded",
            400..=499 => "validation",
            _ => "generation",
        };
        *by_word.entry(word).or_default() += count;
    }
    *by_word.entry("generation").or_default() += metrics.ended("error");
    by_word.retain(|_, count| *count > 0);
    by_word
}
