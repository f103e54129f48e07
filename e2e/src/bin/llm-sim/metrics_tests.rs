//! What the text of the metrics must hold. Nothing here runs the server.

use std::{collections::BTreeMap, time::Duration};

use super::{Load, Metrics, Times};

const IDLE: Load = Load { running: 3, waiting: 1, cache: 0.25 };

/// Series with their labels, as text, and their values.
fn series(text: &str) -> BTreeMap<String, f64> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(name.ends_with('}') && name.matches('{').count() == 1, "{line}");
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

fn worked() -> Metrics {
    let mut metrics = Metrics::default();
    for (number, reason) in ["stop", "length", "abort", "error", "stop"].into_iter().enumerate() {
        let unit = Duration::from_millis(200 * (number as u64 + 1));
        metrics.first_token(unit, 100, 40);
        metrics.tokens(9, unit);
        metrics.finished(reason, Times { whole: 3 * unit, queue: unit, prefill: unit, decode: unit }, 100, 10);
        metrics.http("/v1/chat/completions", if reason == "error" { 500 } else { 200 }, 3 * unit);
    }
    metrics
}

#[test]
fn every_series_has_a_type_and_a_number() {
    let text = worked().render("a \"quoted\" model", IDLE).unwrap();
    let types: Vec<(&str, &str)> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    for name in series(&text).keys() {
        let bare = name.split('{').next().unwrap();
        let known = types.iter().any(|(family, kind)| {
            if *kind == "histogram" {
                ["_bucket", "_sum", "_count"].iter().any(|end| bare.strip_suffix(end) == Some(family))
            } else {
                bare == *family
            }
        });
        assert!(known, "{name} has no TYPE line");
    }
    assert!(text.contains(r#"model_name="a \"quoted\" model""#));
}

#[test]
fn buckets_are_cumulative_and_agree_with_sum_and_count() {
    let text = worked().render("m", IDLE).unwrap();
    let mut last: Option<(String, f64)> = None;
    for line in text.lines().filter(|line| line.contains("_bucket{")) {
        let (name, rest) = line.split_once("_bucket{").unwrap();
        let value: f64 = rest.rsplit_once(' ').unwrap().1.parse().unwrap();
        if let Some((before, below)) = &last
            && before == name
        {
            assert!(*below <= value, "{line}");
        }
        last = (!line.contains("+Inf")).then(|| (name.to_owned(), value));
    }
    let found = series(&text);
    let labels = r#"engine="0",model_name="m""#;
    let get = |name: &str| found[name];
    let whole = "vllm:e2e_request_latency_seconds";
    assert!((get(&format!("{whole}_count{{{labels}}}")) - 5.0).abs() < 1e-9);
    assert!((get(&format!("{whole}_bucket{{{labels},le=\"+Inf\"}}")) - 5.0).abs() < 1e-9);
    // 0.6, 1.2, 1.8, 2.4 and 3.0 seconds.
    assert!((get(&format!("{whole}_sum{{{labels}}}")) - 9.0).abs() < 1e-9);
    assert!((get(&format!("{whole}_bucket{{{labels},le=\"1.5\"}}")) - 2.0).abs() < 1e-9);
    assert!((get(&format!("vllm:inter_token_latency_seconds_count{{{labels}}}")) - 45.0).abs() < 1e-9);
    assert!((get(&format!("vllm:inter_token_latency_seconds_sum{{{labels}}}")) - 3.0).abs() < 1e-9);
}

#[test]
fn counters_say_what_happened() {
    let found = series(&worked().render("m", IDLE).unwrap());
    let labels = r#"engine="0",model_name="m""#;
    for (name, value) in [
        (format!("vllm:request_success_total{{{labels},finished_reason=\"stop\"}}"), 2.0),
        (format!("vllm:request_success_total{{{labels},finished_reason=\"abort\"}}"), 1.0),
        (format!("vllm:request_success_total{{{labels},finished_reason=\"repetition\"}}"), 0.0),
        (format!("vllm:prompt_tokens_total{{{labels}}}"), 500.0),
        (format!("vllm:prompt_tokens_by_source_total{{{labels},source=\"local_compute\"}}"), 300.0),
        (format!("vllm:prefix_cache_hits_total{{{labels}}}"), 200.0),
        (format!("vllm:generation_tokens_total{{{labels}}}"), 50.0),
        (format!("vllm:kv_cache_usage_perc{{{labels}}}"), 0.25),
        (r#"http_requests_total{handler="/v1/chat/completions",method="POST",status="5xx"}"#.to_owned(), 1.0),
    ] {
        assert!((found[&name] - value).abs() < 1e-9, "{name}");
    }
}

#[test]
fn a_value_on_a_bound_counts_below_it() {
    let mut metrics = Metrics::default();
    metrics.finished("stop", Times { whole: Duration::from_millis(1500), ..Times::default() }, 1, 1);
    let found = series(&metrics.render("m", IDLE).unwrap());
    assert!(
        (found[r#"vllm:e2e_request_latency_seconds_bucket{engine="0",model_name="m",le="1.5"}"#] - 1.0).abs() < 1e-9
    );
}
