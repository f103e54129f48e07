//! What the text of each dialect must hold: that it can be read, that it agrees with itself and with what happened, and
//! that it has what the product asks an exporter of this kind for. Nothing here runs the server.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use llmrollout_core::{
    api::{
        Moment,
        exporters::{Metrics as Written, Profile},
        gates::Metric,
        status::Color,
    },
    metrics::{Ask, Prices, Source, Subject, ask, metric, question},
};

use super::Dialect;
use crate::metrics::{Load, Metrics, Sizes, Times};

const IDLE: Load = Load { running: 3, waiting: 1, cache: 0.25 };
const ALL: [(Dialect, Profile); 4] = [
    (Dialect::Vllm, Profile::Vllm),
    (Dialect::Sglang, Profile::Sglang),
    (Dialect::Tgi, Profile::Tgi),
    (Dialect::Otel, Profile::Otel),
];

/// Series with their labels, as text, and their values.
fn series(text: &str) -> BTreeMap<String, f64> {
    let mut found = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        let braces = name.matches(['{', '}']).count();
        assert!(braces == 0 || braces == 2 && name.ends_with('}'), "{line}");
        assert!(found.insert(name.to_owned(), value.parse().unwrap()).is_none(), "twice: {line}");
    }
    found
}

/// Two answers, one of them cut off; one client that left; one failure in the middle and one before the engine.
fn worked(dialect: Dialect) -> Metrics {
    let mut metrics = Metrics::new(dialect);
    for (number, reason) in ["stop", "length", "abort", "error", "stop"].into_iter().enumerate() {
        let unit = Duration::from_millis(200 * (number as u64 + 1));
        metrics.first_token(unit, 100, 40);
        metrics.tokens(9, unit);
        let times = Times { whole: 3 * unit, queue: unit, prefill: unit, decode: unit };
        metrics.finished(reason, times, Sizes { prompt: 100, cached: 40, generated: 10 });
        metrics.http("/v1/chat/completions", if reason == "error" { 500 } else { 200 }, 3 * unit);
    }
    metrics.refused(503, Duration::from_millis(2));
    metrics.http("/v1/chat/completions", 503, Duration::from_millis(2));
    metrics
}

fn found(dialect: Dialect) -> BTreeMap<String, f64> {
    series(&worked(dialect).render("m", IDLE).unwrap())
}

#[test]
fn every_series_has_a_type_and_a_number() {
    for (dialect, _) in ALL {
        for metrics in [worked(dialect), Metrics::new(dialect)] {
            let text = metrics.render("a \"quoted\" model", IDLE).unwrap();
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
        }
    }
    let text = worked(Dialect::Vllm).render("a \"quoted\" model", IDLE).unwrap();
    assert!(text.contains(r#"model_name="a \"quoted\" model""#));
}

#[test]
fn buckets_are_cumulative_and_agree_with_the_count() {
    for (dialect, _) in ALL {
        let text = worked(dialect).render("m", IDLE).unwrap();
        let (mut last, mut ends) = (0.0, 0);
        let mut buckets = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let value: f64 = value.parse().unwrap();
            if name.contains("_bucket{") {
                assert!(last <= value, "{line}");
                last = if name.contains("le=\"+Inf\"") { 0.0 } else { value };
                let name = name.replace("_bucket{", "_count{").replace(",le=\"+Inf\"", "");
                buckets.insert(name.replace("{le=\"+Inf\"}", ""), value);
            } else if let Some(all) = buckets.get(name) {
                assert!((all - value).abs() < 1e-9, "{line}");
                ends += 1;
            }
        }
        assert!(ends > 2, "{dialect:?} has histograms");
    }
}

#[test]
fn counters_say_what_happened() {
    let engine = r#"engine="0",model_name="m""#;
    let table: &[(Dialect, &str, f64)] = &[
        (Dialect::Vllm, r#"vllm:request_success_total{E,finished_reason="stop"}"#, 2.0),
        (Dialect::Vllm, r#"vllm:request_success_total{E,finished_reason="abort"}"#, 1.0),
        (Dialect::Vllm, r#"vllm:request_success_total{E,finished_reason="repetition"}"#, 0.0),
        (Dialect::Vllm, "vllm:prompt_tokens_total{E}", 500.0),
        (Dialect::Vllm, r#"vllm:prompt_tokens_by_source_total{E,source="local_compute"}"#, 300.0),
        (Dialect::Vllm, "vllm:prefix_cache_hits_total{E}", 200.0),
        (Dialect::Vllm, "vllm:generation_tokens_total{E}", 50.0),
        (Dialect::Vllm, "vllm:kv_cache_usage_perc{E}", 0.25),
        (Dialect::Vllm, r#"http_requests_total{handler="/v1/chat/completions",method="POST",status="5xx"}"#, 2.0),
        // 0.6, 1.2, 1.8, 2.4 and 3.0 seconds.
        (Dialect::Vllm, "vllm:e2e_request_latency_seconds_sum{E}", 9.0),
        (Dialect::Vllm, r#"vllm:e2e_request_latency_seconds_bucket{E,le="1.5"}"#, 2.0),
        (Dialect::Vllm, "vllm:inter_token_latency_seconds_count{E}", 45.0),
        (Dialect::Vllm, "vllm:inter_token_latency_seconds_sum{E}", 3.0),
        (Dialect::Sglang, r#"sglang:num_queue_reqs{S,moe_ep_rank="0",pp_rank="0",tp_rank="1"}"#, 1.0),
        (Dialect::Sglang, "sglang:num_requests_total{S}", 3.0),
        (Dialect::Sglang, "sglang:num_aborted_requests_total{S}", 1.0),
        (Dialect::Sglang, r#"sglang:cached_tokens_total{S,cache_source="device"}"#, 200.0),
        (
            Dialect::Sglang,
            r#"sglang:http_responses_total{endpoint="/v1/chat/completions",method="POST",status_code="503"}"#,
            1.0,
        ),
        (Dialect::Sglang, r#"sglang:e2e_request_latency_seconds_bucket{S,le="2.0"}"#, 2.0),
        (Dialect::Tgi, "tgi_request_count", 6.0),
        (Dialect::Tgi, "tgi_request_success", 3.0),
        (Dialect::Tgi, r#"tgi_request_failure{err="generation"}"#, 2.0),
        (Dialect::Tgi, "tgi_request_generated_tokens_sum", 30.0),
        // 0.04, 0.08 and 0.2 seconds by token.
        (Dialect::Tgi, "tgi_request_mean_time_per_token_duration_sum", 0.32),
        (Dialect::Tgi, "tgi_queue_size", 1.0),
        (Dialect::Otel, "gen_ai_server_request_duration_seconds_count{O}", 3.0),
        (Dialect::Otel, r#"gen_ai_server_request_duration_seconds_count{O,error_type="503"}"#, 1.0),
        (Dialect::Otel, r#"gen_ai_server_request_duration_seconds_count{O,error_type="_OTHER"}"#, 1.0),
        (Dialect::Otel, r#"gen_ai_client_token_usage_sum{O,gen_ai_token_type="output"}"#, 50.0),
        (Dialect::Otel, r#"gen_ai_client_token_usage_sum{O,gen_ai_token_type="cached_input"}"#, 200.0),
    ];
    let otel = r#"gen_ai_operation_name="chat",gen_ai_provider_name="llm-sim",gen_ai_request_model="m",gen_ai_response_model="m""#;
    for (dialect, name, value) in table {
        let name = name
            .replace("{E", &format!("{{{engine}"))
            .replace("{S", r#"{engine_type="unified",model_name="m""#)
            .replace("{O", &format!("{{{otel}"));
        let found = found(*dialect);
        let told = found.get(&name).unwrap_or_else(|| panic!("no {name} in {:#?}", found.keys()));
        assert!((told - value).abs() < 1e-9, "{name}: {told}");
    }
}

#[test]
fn a_value_on_a_bound_counts_below_it() {
    let mut metrics = Metrics::new(Dialect::Vllm);
    metrics.finished("stop", Times { whole: Duration::from_millis(1500), ..Times::default() }, Sizes::default());
    let found = series(&metrics.render("m", IDLE).unwrap());
    let on = found[r#"vllm:e2e_request_latency_seconds_bucket{engine="0",model_name="m",le="1.5"}"#];
    assert!((on - 1.0).abs() < 1e-9);
}

/// The last finite bound of each family of buckets.
fn last_bounds(text: &str) -> BTreeMap<String, f64> {
    let bound = |line: &str| {
        let (name, rest) = line.split_once("_bucket{")?;
        let bound: f64 = rest.split_once("le=\"")?.1.split_once('"')?.0.parse().ok()?;
        bound.is_finite().then(|| (name.to_owned(), bound))
    };
    text.lines().filter_map(bound).collect()
}

/// The names in a query, and for each what its labels have to match.
fn selectors(text: &str) -> BTreeSet<(String, String)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("{namespace=\"n\"") {
        let name = text[..at].rsplit(|c| !is_name(c)).next().unwrap();
        let rest = &text[at..=at + text[at..].find('}').unwrap()];
        let own = rest.trim_end_matches('}').split_once("-[a-z0-9]+-[a-z0-9]+\"").unwrap().1;
        found.insert((name.to_owned(), own.trim_start_matches(',').to_owned()));
    }
    found
}

fn source(profile: Profile) -> Source {
    let written = Written { profile, ..Written::default() };
    Source::read(&written, Some(Prices { input: 0.5, cached_input: 0.05, output: 1.5 }), None).unwrap()
}

/// The texts of a question, where the profile has an answer.
fn texts(profile: Profile, metric: Metric) -> Option<[String; 2]> {
    let needs = metric::quantile(metric) != metric::Quantile::Foreign;
    let subject = Subject::Metric(metric, needs.then(|| "0.95".to_owned()));
    let ask = Ask {
        provider: "default",
        rollout: "chat",
        revision: "",
        namespace: "n",
        workload: "w",
        other: None,
        replicas: 1,
        color: Color::Green,
        subject: &subject,
        since: Moment::from_unix(0),
        window: Duration::from_secs(10),
        interval: Duration::from_secs(1),
        urgent: false,
    };
    let question = question(&source(profile), &ask).ok()?;
    Some([question.value.to_string(), question.samples.to_string()])
}

/// Every selector in every query of a profile, the GPU exporter's aside.
fn asked(profile: Profile) -> BTreeSet<(String, String)> {
    let metrics = metric::ALL.into_iter().map(|(metric, _)| metric).filter(|metric| *metric != Metric::GpuUtilisation);
    metrics.filter_map(|metric| texts(profile, metric)).flatten().flat_map(|text| selectors(&text)).collect()
}

/// Whether a series has this name and the labels that the matchers ask for.
fn fits(series: &str, name: &str, matchers: &str) -> bool {
    let (bare, labels) = series.split_once('{').unwrap_or((series, ""));
    let of = |label: &str| {
        let at = format!("{labels},").find(&format!("{label}=\""))? + label.len() + 2;
        labels[at..].split('"').next()
    };
    bare == name
        && matchers.split("\",").filter(|one| !one.is_empty()).all(|one| {
            let (label, wanted) = one.split_once(['=', '!']).unwrap();
            let told = of(label).unwrap_or_default();
            let wanted = wanted.trim_matches('"');
            match one.as_bytes()[label.len()..] {
                [b'=', b'~', ..] => {
                    let prefix = wanted.trim_start_matches("~\"").trim_end_matches(".*").trim_end_matches("..");
                    told.starts_with(prefix)
                }
                [b'=', ..] => told == wanted,
                _ => told != wanted.trim_start_matches("=\""),
            }
        })
}

#[test]
fn each_has_what_its_profile_asks_for() {
    // Names that were given up, names that a client uses, and native histograms, which the text cannot hold: each is
    // asked for beside one that is there.
    let others: [&[&str]; 4] = [
        &["vllm:gpu_cache_usage_perc", "vllm:gpu_prefix_cache_", "vllm:time_per_output_token_seconds_"],
        &["sglang:time_per_output_token_seconds_"],
        &[],
        &[
            "gen_ai_client_operation_",
            "gen_ai_client_inference_usage_",
            "gen_ai_client_token_usage_token_sum",
            "gen_ai_client_token_usage_token{",
            "gen_ai_client_token_usage{",
            "gen_ai_server_request_duration_seconds{",
            "gen_ai_server_time_per_output_token_seconds{",
            "gen_ai_server_time_to_first_token_seconds{",
        ],
    ];
    for ((dialect, profile), others) in ALL.into_iter().zip(others) {
        let told = found(dialect);
        let mut missing = BTreeSet::new();
        for (name, matchers) in asked(profile) {
            if !told.keys().any(|series| fits(series, &name, &matchers)) {
                missing.insert(format!("{name}{{{matchers}}}"));
            }
        }
        for other in others {
            assert!(missing.iter().any(|name| name.starts_with(other)), "{dialect:?} has {other}");
        }
        missing.retain(|name| !others.iter().any(|other| name.starts_with(other)));
        // A native histogram has the bare name; the classic one that stands before it has its parts.
        let classic = |name: &str| {
            let bare = name.split('{').next().unwrap_or_default();
            told.keys().any(|series| series.starts_with(&format!("{bare}_count")))
        };
        missing.retain(|name| !classic(name) && !name.starts_with("gen_ai_client_token_usage_token{"));
        assert!(missing.is_empty(), "{dialect:?} lacks {missing:#?}");
    }
}

#[test]
fn no_limit_is_allowed_above_the_last_bucket() {
    for (dialect, profile) in ALL {
        let bounds = last_bounds(&worked(dialect).render("m", IDLE).unwrap());
        let source = source(profile);
        for metric in [Metric::Latency, Metric::TimeToFirstToken, Metric::TimePerOutputToken] {
            let Some(last) = ask::last_bound(&source, metric) else { continue };
            let told = bounds.iter().filter(|(name, _)| asked_by(profile, metric).contains(&format!("{name}_bucket")));
            let told: Vec<f64> = told.map(|(_, bound)| *bound).collect();
            assert!(
                !told.is_empty() && told.iter().all(|bound| last <= *bound),
                "{dialect:?} {metric:?}: {last} {told:?}"
            );
        }
    }
}

fn asked_by(profile: Profile, metric: Metric) -> BTreeSet<String> {
    let [value, _] = texts(profile, metric).unwrap();
    selectors(&value).into_iter().map(|(name, _)| name).collect()
}
