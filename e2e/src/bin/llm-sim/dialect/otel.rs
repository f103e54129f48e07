//! `OpenTelemetry`'s conventions for generative AI, as a collector writes them for Prometheus: dots are `_`, units are
//! suffixes, and an attribute that does not apply is absent. Never a queue, a reason, or a client that left.

use std::fmt;

use super::text::head;
use crate::{
    histogram::Histogram,
    metrics::{Bounds, Metrics},
};

const TOKENS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

pub(super) const BOUNDS: Bounds = Bounds {
    request: &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92],
    first: &[0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0],
    token: &[0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5],
    prompt: TOKENS,
    answer: TOKENS,
};

pub(super) fn write(out: &mut String, metrics: &Metrics, model: &str) -> fmt::Result {
    let labels = format!(
        "gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"llm-sim\",gen_ai_request_model=\"{model}\",\
         gen_ai_response_model=\"{model}\""
    );
    let mut failed: Vec<(String, &Histogram)> = Vec::new();
    for (status, histogram) in &metrics.failed {
        // In the middle of a stream the status has long been 200.
        let word = if *status == 0 { "_OTHER".to_owned() } else { status.to_string() };
        failed.push((format!("{labels},error_type=\"{word}\""), histogram));
    }
    let answered = &metrics.answered;
    let durations: Vec<_> = [(labels.clone(), &answered.whole)].into_iter().chain(failed).collect();
    family(out, "gen_ai_server_request_duration_seconds", "GenAI server request duration.", &durations)?;
    let first = [(labels.clone(), &metrics.first_token)];
    family(out, "gen_ai_server_time_to_first_token_seconds", "Time to generate first token.", &first)?;
    let token = [(labels.clone(), &answered.per_output_token)];
    let help = "Time per output token generated after the first token.";
    family(out, "gen_ai_server_time_per_output_token_seconds", help, &token)?;
    let usage =
        [("input", &metrics.all.prompt), ("cached_input", &metrics.all.cached), ("output", &metrics.all.answer)]
            .map(|(kind, histogram)| (format!("{labels},gen_ai_token_type=\"{kind}\""), histogram));
    family(out, "gen_ai_client_token_usage", "Number of input and output tokens used.", &usage)
}

/// The histograms of a family in which something was counted.
fn family(out: &mut String, name: &str, help: &str, all: &[(String, &Histogram)]) -> fmt::Result {
    let told: Vec<_> = all.iter().filter(|(_, histogram)| !histogram.is_empty()).collect();
    if !told.is_empty() {
        head(out, name, "histogram", help)?;
    }
    for (labels, histogram) in told {
        histogram.write(out, name, labels)?;
    }
    Ok(())
}
