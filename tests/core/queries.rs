//! Golden queries: every text in `PromQL` that a profile can produce stands in `tests/metrics/<profile>.txt`, parses, and
//! looks only at its own color and window. The tables in `docs/metrics.md` are those of the profiles.
//! `UPDATE=1 cargo test` rewrites both; the diff is the change. Never asks a Prometheus.

#![expect(clippy::disallowed_methods, reason = "UPDATE=1 asks for new golden files")]

use std::{collections::BTreeMap, fmt::Write, fs, path::Path, time::Duration};

use kube::CustomResourceExt;
use llmrollout::{
    api::{
        LlmRollout, Moment,
        exporters::{CostBasis, Matchers, Metrics, Profile},
        gates::Metric,
        status::Color,
    },
    decide::{
        plan::{Plan, Wrong},
        snapshot::{Around, GateSets, Offers},
    },
    metrics::{
        Ask, NotAvailable, Place, Prices, Question, Source, Subject, ask, exporters, metric, question, unit::Unit,
    },
};
use promql_parser::parser::{self, Expr, Offset, value::ValueType};
use serde_json::{Value, json};

use crate::files::{read, top};

const WINDOW: Duration = Duration::from_mins(5);
const PRICES: Prices = Prices { input: 0.5, cached_input: 0.05, output: 1.5 };

/// A file of golden queries: what the manifest says of the metrics.
pub(crate) struct Case {
    pub(crate) file: String,
    pub(crate) written: Metrics,
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect()
}

pub(crate) fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for (profile, word, in_front) in exporters() {
        let matchers = in_front.then(|| Matchers {
            blue: labels(&[("backend", "chat-blue")]),
            green: labels(&[("backend", "chat-green")]),
        });
        all.push(Case { file: word.to_owned(), written: Metrics { profile, matchers, ..Metrics::default() } });
    }
    let odd =
        Matchers { blue: labels(&[("llm", "b")]), green: labels(&[("llm", "a\"} or vector(1) #\\"), ("team", "x")]) };
    let written = Metrics { prefix: Some("kserve_".into()), matchers: Some(odd), ..Metrics::default() };
    all.push(Case { file: "prefix-and-match".into(), written });
    let written = Metrics { native_histograms: Some(true), ..Metrics::default() };
    all.push(Case { file: "vllm-native".into(), written });
    for (file, cost_basis) in [
        ("gpu-busy", CostBasis::GpuBusy),
        ("gpu-allocated", CostBasis::GpuAllocated),
        ("gpu-projected", CostBasis::GpuProjected),
    ] {
        all.push(Case { file: file.into(), written: Metrics { cost_basis, ..Metrics::default() } });
    }
    all
}

pub(crate) fn source(case: &Case) -> Source {
    Source::read(&case.written, Some(PRICES), Some(2.5)).unwrap_or_else(|e| panic!("{}: {e}", case.file))
}

fn asked(source: &Source, metric: Metric, quantile: Option<&str>) -> Result<Question, NotAvailable> {
    asked_above(source, metric, quantile, None)
}

fn asked_above(
    source: &Source,
    metric: Metric,
    quantile: Option<&str>,
    above: Option<f64>,
) -> Result<Question, NotAvailable> {
    let subject = match above {
        Some(seconds) => Subject::Above(metric, seconds),
        None => Subject::Metric(metric, quantile.map(ToOwned::to_owned)),
    };
    let ask = Ask {
        provider: "default",
        rollout: "chat",
        revision: "",
        namespace: "prod-1",
        workload: "chat-green",
        other: Some("chat-blue"),
        replicas: 3,
        color: Color::Green,
        subject: &subject,
        since: Moment::from_unix(1_790_000_000),
        window: WINDOW,
        interval: Duration::from_secs(15),
        urgent: false,
    };
    question(source, &ask)
}

/// A metric once for each way in which a gate may ask for it.
fn ways(source: &Source) -> impl Iterator<Item = (Metric, &'static str, Option<&'static str>, Option<f64>)> {
    metric::ALL.into_iter().flat_map(|(m, word)| {
        let quantile = (m, word, Some("0.95"), None);
        let bound = [2.0, 2.56, 1.0].into_iter().find(|limit| ask::place(source, m, *limit) == Place::Bound);
        let above = bound.map(|bound| (m, word, Some("0.95"), Some(bound)));
        match metric::quantile(m) {
            metric::Quantile::Foreign => vec![(m, word, None, None)],
            metric::Quantile::Needed => [quantile].into_iter().chain(above).collect(),
            metric::Quantile::OrMean => [quantile, (m, word, None, None)].into_iter().chain(above).collect(),
        }
    })
}

fn golden(case: &Case) -> String {
    let source = source(case);
    let mut out = String::new();
    let all = case.written.cost_basis == CostBasis::TokenPrice;
    for (metric, word, quantile, above) in ways(&source).filter(|(m, ..)| all || metric::unit(*m) == Unit::Dollars) {
        let of = match (metric::quantile(metric), quantile) {
            (_, Some(quantile)) if above.is_some() => format!(" {quantile} of {}s", above.unwrap()),
            (_, Some(quantile)) => format!(" {quantile}"),
            (metric::Quantile::OrMean, None) => " (mean)".to_owned(),
            (_, None) => String::new(),
        };
        writeln!(out, "{word}{of}").unwrap();
        match asked_above(&source, metric, quantile, above) {
            Ok(q) => writeln!(out, "  value:   {}\n  samples: {}", q.value, q.samples).unwrap(),
            Err(why) => writeln!(out, "  not available: {why}").unwrap(),
        }
    }
    out
}

/// Compares a file with what it should be, or rewrites it.
fn keep(path: &Path, expected: &str) -> Result<(), String> {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, expected).unwrap();
    }
    let kept = fs::read_to_string(path).unwrap_or_default();
    let first = kept.lines().zip(expected.lines()).find(|(kept, expected)| kept != expected);
    if kept == expected { Ok(()) } else { Err(format!("{}: {first:?}", path.display())) }
}

#[test]
fn queries_are_what_they_were() {
    let wrong: Vec<String> = cases()
        .iter()
        .filter_map(|case| keep(&top(&format!("tests/metrics/{}.txt", case.file)), &golden(case)).err())
        .collect();
    assert!(wrong.is_empty(), "changed; run with UPDATE=1 and read the diff\n{}", wrong.join("\n"));
}

#[test]
fn every_query_is_a_vector_of_its_color_and_window() {
    for case in cases() {
        let source = source(&case);
        let own: &[&str] = match (&case.written.matchers, case.file.as_str()) {
            (Some(_), "prefix-and-match") => &[r#"llm="a\"} or vector(1) #\\",team="x""#],
            (Some(_), _) => &[r#"backend="chat-green""#],
            (None, _) => &[r#"namespace="prod-1""#, r#"pod=~"chat-green-[a-z0-9]+-[a-z0-9]+""#],
        };
        for (metric, word, quantile, above) in ways(&source) {
            let Ok(q) = asked_above(&source, metric, quantile, above) else { continue };
            let pods: &[&str] = &[r#"namespace="prod-1""#, r#"pod=~"chat-green-[a-z0-9]+-[a-z0-9]+""#];
            let own = if metric == Metric::GpuUtilisation { pods } else { own };
            // The only figure that looks at the other color is what the whole service does for the money.
            let of_both = case.written.cost_basis == CostBasis::GpuProjected;
            for text in [q.value.render(WINDOW), q.samples.render(WINDOW)] {
                let expr = parser::parse(&text).unwrap_or_else(|e| panic!("{} {word}: {text}: {e}", case.file));
                assert_eq!(expr.value_type(), ValueType::Vector, "{} {word}: {text}", case.file);
                let found = selectors(&text);
                assert!(!found.is_empty(), "{} {word}: {text}", case.file);
                for selector in found {
                    let mine = if of_both { selector.replace("chat-blue", "chat-green") } else { selector.clone() };
                    assert!(own.iter().all(|label| mine.contains(label)), "{} {word}: {selector}", case.file);
                }
                looks_no_further(&expr, &text);
            }
        }
    }
}

/// What stands in the braces of a query that is known to parse.
fn selectors(text: &str) -> Vec<String> {
    let (mut found, mut open, mut quoted, mut escaped) = (Vec::new(), None, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '{' if !quoted => open = Some(at),
            '}' if !quoted => found.extend(open.take().map(|from| text[from..=at].to_owned())),
            _ => {}
        }
    }
    found
}

/// Every range and every offset is the window.
fn looks_no_further(expr: &Expr, text: &str) {
    match expr {
        Expr::Aggregate(e) => looks_no_further(&e.expr, text),
        Expr::Unary(e) => looks_no_further(&e.expr, text),
        Expr::Paren(e) => looks_no_further(&e.expr, text),
        Expr::Binary(e) => {
            looks_no_further(&e.lhs, text);
            looks_no_further(&e.rhs, text);
        }
        Expr::Call(e) => e.args.args.iter().for_each(|arg| looks_no_further(arg, text)),
        Expr::Subquery(e) => {
            assert!(e.range == WINDOW && e.offset.is_none() && e.at.is_none(), "{text}");
            looks_no_further(&e.expr, text);
        }
        Expr::MatrixSelector(e) => assert!(e.range == WINDOW && e.vs.offset.is_none(), "{text}"),
        Expr::VectorSelector(e) => {
            let back = e.offset.as_ref().is_none_or(|offset| *offset == Offset::Pos(WINDOW));
            assert!(back && e.at.is_none(), "{text}");
        }
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) => {}
        other @ Expr::Extension(_) => panic!("not used by any profile: {other}"),
    }
}

#[test]
fn what_is_no_quantile_is_never_asked() {
    let source = source(&cases()[0]);
    for text in ["1, up) or vector(0", "1.5", "0.", "0.0", "NaN", "0.9e1", ""] {
        assert!(asked(&source, Metric::Latency, Some(text)).is_err(), "{text}");
    }
    let without = Source::read(&Metrics::default(), None, None).unwrap();
    assert_eq!(asked(&without, Metric::CostPerRequest, None), Err(llmrollout::metrics::NO_PRICES));
    for cost_basis in [CostBasis::GpuBusy, CostBasis::GpuAllocated, CostBasis::GpuProjected] {
        let written = Metrics { cost_basis, ..Metrics::default() };
        let without = Source::read(&written, Some(PRICES), None).unwrap();
        for metric in [Metric::CostPerRequest, Metric::CostPerHour, Metric::CostPerMillionTokens, Metric::RolloutSpend]
        {
            assert_eq!(asked(&without, metric, None), Err(llmrollout::metrics::NO_GPU_PRICE));
        }
    }
    let own_account =
        Metrics { profile: Profile::Litellm, matchers: cases()[6].written.matchers.clone(), ..Metrics::default() };
    let own_account = Source::read(&own_account, None, None).unwrap();
    assert!(asked(&own_account, Metric::CostPerRequest, None).is_ok(), "LiteLLM keeps its own account");
}

#[test]
fn a_gate_that_cannot_be_answered_is_refused_with_what_would_help() {
    let apart = json!({"blue": {"service": "b"}, "green": {"service": "g"}});
    let table = [
        (
            json!({"profile": "tgi"}),
            json!({"metric": "timeToFirstToken", "quantile": "0.9", "max": "1s"}),
            "a gateway does",
        ),
        (
            json!({"profile": "llamacpp"}),
            json!({"metric": "timePerOutputToken", "quantile": "0.9", "max": "1s"}),
            "leave out",
        ),
        (
            json!({"profile": "traefik", "match": apart}),
            json!({"metric": "latency", "quantile": "0.9", "max": "6s"}),
            "at 5s",
        ),
        (json!({"profile": "vllm"}), json!({"metric": "costPerHour", "max": "$10"}), "prices: {input:"),
        (json!({"profile": "triton"}), json!({"metric": "costPerHour", "max": "$10"}), "no tokens"),
        (json!({"costBasis": "gpuBusy"}), json!({"metric": "rolloutSpend", "max": "$10"}), "gpuPrice: $2.50"),
        (
            json!({"costBasis": "gpuBusy", "gpuPrice": "2"}),
            json!({"metric": "errorRate", "max": "1%"}),
            "for example `$2.50`",
        ),
        (json!({"profile": "envoy"}), json!({"metric": "errorRate", "max": "1%"}), "metrics.match"),
        (json!({"profile": "vllm"}), json!({"metric": "kvCacheUse", "max": "5s"}), "for example `1%`"),
    ];
    for (metrics, gate, words) in table {
        let said = plan(&metrics, &gate).unwrap_err().message;
        assert!(said.contains(words), "{said} does not say {words}");
    }
    let good = [
        (json!({"profile": "llamacpp"}), json!({"metric": "timePerOutputToken", "max": "50ms"})),
        (json!({"profile": "litellm", "match": apart}), json!({"metric": "costPerRequest", "max": "$1"})),
        (
            json!({"profile": "triton", "costBasis": "gpuProjected", "gpuPrice": "$2"}),
            json!({"metric": "costPerRequest", "max": "$1"}),
        ),
        (json!({"profile": "sglang", "prefix": "kserve_"}), json!({"metric": "queueDepth", "max": "12.5"})),
    ];
    for (metrics, gate) in good {
        let plan = plan(&metrics, &gate).unwrap();
        assert_eq!(plan.gates[0].min_samples, metric::least_samples(plan.gates[0].subject.metric().unwrap()));
    }
    let (metrics, gate) = (json!({"profile": "llamacpp"}), json!({"metric": "queueDepth", "max": "5"}));
    let said = plan_with(&metrics, &gate, Some(500)).unwrap_err().message;
    assert!(said.contains("requests cannot be counted"), "{said}");
}

fn plan(metrics: &Value, gate: &Value) -> Result<Plan, Wrong> {
    plan_with(metrics, gate, None)
}

fn plan_with(metrics: &Value, gate: &Value, min_requests: Option<i64>) -> Result<Plan, Wrong> {
    let mut manifest: Value = serde_saphyr::from_str(include_str!("../scenarios/manifest.yaml")).unwrap();
    let spec = &mut manifest["spec"];
    spec["metrics"] = metrics.clone();
    spec["gates"] = json!([gate]);
    spec["gates"][0]["name"] = json!("a");
    if let Some(least) = min_requests {
        spec["steps"][0]["minRequests"] = json!(least);
    }
    let rollout: LlmRollout = serde_json::from_value(manifest).unwrap();
    let offers = Offers { providers: vec!["default".into()], ..Offers::default() };
    Plan::read(&rollout.spec, Around::new(&GateSets::new(), &offers))
}

#[test]
fn a_limit_on_a_bound_is_judged_by_what_is_counted_above_it() {
    let apart = json!({"blue": {"model": "b"}, "green": {"model": "g"}});
    let gate = |metric, quantile, max| json!({"metric": metric, "quantile": quantile, "max": max});
    for (metrics, gate, test, note) in [
        (json!({}), gate("latency", "0.95", "1.5s"), "5% over 1.5s", None),
        (json!({}), gate("latency", "0.99", "10s"), "1% over 10s", None),
        (json!({}), gate("timeToFirstToken", "0.9", "750ms"), "10% over 750ms", None),
        (json!({}), gate("latency", "0.95", "1.8s"), "1.8s", Some("between 1.5s and 2s; a limit of 2s")),
        (json!({}), gate("latency", "0.95", "200ms"), "200ms", Some("between 0s and 300ms; a limit of 300ms")),
        (
            json!({"profile": "envoy-ai-gateway", "match": apart}),
            gate("latency", "0.95", "1.5s"),
            "1.5s",
            Some("between 1.28s and 2.56s; a limit of 1.28s"),
        ),
        (json!({"profile": "sglang"}), gate("latency", "0.95", "1.5s"), "1.5s", None),
        (json!({}), json!({"metric": "timePerOutputToken", "max": "50ms"}), "50ms", None),
    ] {
        let plan = plan(&metrics, &gate).unwrap();
        assert_eq!(plan.gates[0].test.word(plan.gates[0].unit, None), test);
        assert_eq!(plan.gates[0].note.is_some(), note.is_some(), "{test}");
        assert!(plan.gates[0].note.as_deref().unwrap_or_default().contains(note.unwrap_or_default()));
    }
    let exact = plan(&json!({}), &gate("latency", "0.95", "1.5s")).unwrap().gates[0].test;
    let band = exact.band(None).unwrap();
    assert!(!band.breaks(1.0 - 0.95) && band.breaks(0.050_001), "5 of 100 are 5%, whatever a double makes of it");
}

#[test]
fn the_schema_knows_the_same_words() {
    let crd = serde_json::to_value(LlmRollout::crd()).unwrap();
    let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
    let words = |at: &Value| at["enum"].as_array().unwrap().iter().map(|w| w.as_str().unwrap().to_owned()).collect();
    let metrics: Vec<String> = words(&spec["gates"]["items"]["properties"]["metric"]);
    assert_eq!(metrics, metric::ALL.map(|(_, word)| word));
    let profiles: Vec<String> = words(&spec["metrics"]["properties"]["profile"]);
    assert_eq!(profiles, exporters().map(|(_, word, _)| word).chain(["none", "auto"]).collect::<Vec<_>>());
    // The rule lists the profiles that need labels; the tables say which those are.
    let rules = spec["metrics"]["x-kubernetes-validations"].to_string();
    for (_, word, in_front) in exporters() {
        assert_eq!(rules.contains(&format!("'{word}'")), in_front, "{word}");
    }
}

#[test]
fn the_book_has_the_tables_of_the_profiles() {
    let path = top("docs/metrics.md");
    let page = read(&path);
    let (before, rest) = page.split_once(BEGIN).expect("the page says where the tables begin");
    let (_, after) = rest.split_once(END).expect("the page says where the tables end");
    let expected = format!("{before}{BEGIN}\n{}{END}{after}", tables());
    let kept = keep(&path, &expected);
    assert!(kept.is_ok(), "changed; run with UPDATE=1 and read the diff\n{kept:?}");
}

const BEGIN: &str = "<!-- tables of the profiles: begin -->";
const END: &str = "<!-- tables of the profiles: end -->";

fn tables() -> String {
    let profiles: Vec<(String, Source)> = cases().iter().take(16).map(|c| (c.file.clone(), source(c))).collect();
    let heads = profiles.iter().map(|(word, _)| word.as_str()).collect::<Vec<_>>().join(" | ");
    let mut out = format!("\n| metric | {heads} |\n|---|{}\n", "---|".repeat(profiles.len()));
    let mut reasons = String::from("\n| profile | metric | not available, because |\n|---|---|---|\n");
    for (metric, word) in metric::ALL {
        let cells: Vec<_> = profiles.iter().map(|(_, source)| cell(source, metric)).collect();
        writeln!(out, "| `{word}` | {} |", cells.join(" | ")).unwrap();
    }
    for (profile, source) in &profiles {
        let mut by_reason: Vec<(NotAvailable, Vec<&str>)> = Vec::new();
        for (metric, word) in metric::ALL.into_iter().filter(|(m, _)| cell(source, *m) == "–") {
            let Err(why) = asked(source, metric, some_quantile(metric)) else { continue };
            match by_reason.iter_mut().find(|(reason, _)| *reason == why) {
                Some((_, words)) => words.push(word),
                None => by_reason.push((why, vec![word])),
            }
        }
        for (why, words) in by_reason {
            writeln!(reasons, "| {profile} | `{}` | {why} |", words.join("`, `")).unwrap();
        }
    }
    let mut bounds =
        String::from("\n| profile | `latency` | `timeToFirstToken` | `timePerOutputToken` |\n|---|---|---|---|\n");
    for (profile, source) in &profiles {
        let bound = |m| match (ask::last_bound(source, m), ask::place(source, m, 1.0)) {
            (None, _) => "–".to_owned(),
            (Some(last), Place::Unknown) => format!("{last}s"),
            (Some(last), _) => format!("{last}s, exact"),
        };
        let all = [Metric::Latency, Metric::TimeToFirstToken, Metric::TimePerOutputToken].map(bound);
        writeln!(bounds, "| {profile} | {} |", all.join(" | ")).unwrap();
    }
    format!(
        "{out}{reasons}\nThe largest limit of a quantile, which is where the exporter's last bucket ends:\n{bounds}\n"
    )
}

fn some_quantile(metric: Metric) -> Option<&'static str> {
    (metric::quantile(metric) != metric::Quantile::Foreign).then_some("0.95")
}

fn cell(source: &Source, metric: Metric) -> &'static str {
    match (asked(source, metric, some_quantile(metric)), asked(source, metric, None)) {
        (Ok(_), _) => "yes",
        (Err(_), Ok(_)) => "mean",
        (Err(_), Err(_)) => "–",
    }
}
