//! Claims about servers that speak otherwise than vLLM: the same releases, judged by the profile of their exporter on a
//! real Prometheus. Nothing here asks in words of its own: queries are the product's, and so is the reader of answers.

#![expect(clippy::print_stdout, reason = "the table is what the case is asked for")]

use std::{fmt::Write, time::Duration};

use k8s_openapi::jiff::Timestamp;
use llmrollout_core::{
    api::{
        Moment,
        exporters::{Metrics, Profile},
        gates::Metric,
        status::Color,
    },
    metrics::{Ask, Prices, Question, Source, Subject, answer, exporters, metric, question},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    promote::gets_nothing,
    rollback::figures_of,
    stand::{Service, Stand, is_promoted},
};
use crate::kit::{KitError, Load, LoadPlan, Report, Weights, Wish, claim, prometheus, space};

const STEP: Duration = Duration::from_secs(40);
const WINDOW: Duration = Duration::from_secs(10);
/// The dialects of the stub; their words are those of the profiles.
const SPOKEN: [Profile; 4] = [Profile::Vllm, Profile::Sglang, Profile::Tgi, Profile::Otel];
/// What the stub makes of every metric when a tenth of its requests fail, a fifth of its answers are cut off and a quarter
/// of each prompt is cached, as far as buckets can tell; and a limit that a sound version keeps.
const FIGURES: [(Metric, f64, f64, &str); 15] = [
    (Metric::ErrorRate, 0.02, 0.3, "1%"),
    (Metric::AbortRate, 0.0, 0.0, "5%"),
    (Metric::Latency, 0.03, 0.5, "1s"),
    (Metric::TimeToFirstToken, 0.005, 0.2, "900ms"),
    (Metric::TimePerOutputToken, 0.000_5, 0.02, "500ms"),
    (Metric::OutputTokensPerSecond, 200.0, 900.0, "100000/s"),
    (Metric::QueueDepth, 0.0, 5.0, "100"),
    (Metric::KvCacheUse, 0.0, 0.1, "90%"),
    (Metric::CacheHitRate, 0.2, 0.3, "90%"),
    (Metric::Requests, 100.0, 350.0, "1000000"),
    (Metric::TokensPerRequest, 24.0, 36.0, "100"),
    (Metric::TruncationRate, 0.05, 0.5, "90%"),
    (Metric::CostPerRequest, 0.000_03, 0.000_2, "$0.0005"),
    (Metric::CostPerHour, 1.0, 20.0, "$1000"),
    (Metric::CostPerMillionTokens, 1.5, 4.0, "$1000"),
];
const PRICES: Prices = Prices { input: 0.5, cached_input: 0.05, output: 1.5 };

/// `SGLang`: HTTP answers tell the errors, two ranks repeat each gauge.
pub(super) async fn sglang_is_promoted_and_errors_go_back(stand: &Stand) -> Result<(), KitError> {
    promoted_and_errors_go_back(stand, Profile::Sglang).await
}

/// TGI: no `_total`, no time to first token, no queue of its cache.
pub(super) async fn tgi_is_promoted_and_errors_go_back(stand: &Stand) -> Result<(), KitError> {
    promoted_and_errors_go_back(stand, Profile::Tgi).await
}

/// `OpenTelemetry`: an attribute that is absent on success tells the errors, and nothing tells a queue.
pub(super) async fn otel_is_promoted_and_errors_go_back(stand: &Stand) -> Result<(), KitError> {
    promoted_and_errors_go_back(stand, Profile::Otel).await
}

pub(super) async fn sglang_slow_goes_back(stand: &Stand) -> Result<(), KitError> {
    slow_goes_back(stand, Profile::Sglang).await
}

pub(super) async fn tgi_slow_goes_back(stand: &Stand) -> Result<(), KitError> {
    slow_goes_back(stand, Profile::Tgi).await
}

pub(super) async fn otel_slow_goes_back(stand: &Stand) -> Result<(), KitError> {
    slow_goes_back(stand, Profile::Otel).await
}

/// A sound v2 is promoted with every gate answered; a fifth of v3's answers are errors, and it goes back by that gate.
async fn promoted_and_errors_go_back(stand: &Stand, profile: Profile) -> Result<(), KitError> {
    let service = stand.serve(&wish(profile, "v1")?, &LoadPlan::default()).await?;
    service.apply(stand, &wish(profile, "v2")?.manifest()).await?;
    service.rollout.until("v2 is promoted", 2 * STEP, is_promoted).await?;
    went_by_every_gate(&service, gates(profile)?.as_array().map_or(0, Vec::len))?;
    service.apply(stand, &wish(profile, "v3")?.with("SIM_ERROR_SHARE", "0.2").manifest()).await?;
    let report = taken_back(stand, service, "errors", "v3", Weights { blue: 0, green: 100 }).await?;
    let others = report.failures.iter().filter(|failure| failure.version.as_deref() != Some("v3")).count();
    claim(others == 0 && report.failed > 0, || report.words())
}

/// v2 needs two seconds for an answer.
async fn slow_goes_back(stand: &Stand, profile: Profile) -> Result<(), KitError> {
    let service = stand.serve(&wish(profile, "v1")?, &LoadPlan::default()).await?;
    service.apply(stand, &wish(profile, "v2")?.with("SIM_LATENCY", "fixed:2s").manifest()).await?;
    let report = taken_back(stand, service, "latency", "v2", Weights { blue: 100, green: 0 }).await?;
    claim(report.is_flawless(), || report.words())
}

/// A bad version goes back by this gate, and then gets nothing.
async fn taken_back(stand: &Stand, service: Service, gate: &str, bad: &str, home: Weights) -> Result<Report, KitError> {
    let back = service.phase("RolledBack", STEP).await?;
    service.load.mark("after").await?;
    let figures = figures_of(&back.object.as_deref().cloned().unwrap_or_default(), gate)?;
    sleep(Duration::from_secs(2)).await;
    let weights = stand.space.weights().await?;
    claim(weights == home, || format!("the route stands at {weights:?}; {figures}"))?;
    let report = stand.end(service.load).await?;
    claim(report.failed_unanswered == 0, || report.words())?;
    gets_nothing(&report, "after", bad)?;
    Ok(report)
}

/// The release went through every step with every gate in force: no step is left before each of them had a figure.
fn went_by_every_gate(service: &Service, count: usize) -> Result<(), KitError> {
    let greens: Vec<_> = space::weights_seen(&service.route).iter().map(|(weights, _)| weights.green).collect();
    claim(greens == [0, 20, 50, 100], || format!("green's weights in the route were {greens:?}"))?;
    let status = service.rollout.last().map_or(Value::Null, |rollout| rollout["status"].clone());
    let judged = status["gates"].as_array().map_or(0, Vec::len);
    claim(count > 8 && judged == count, || format!("{judged} of {count} gates were in force: {}", status["gates"]))
}

/// A version whose server speaks so, on one pod, with every gate that its profile can answer.
pub(super) fn wish(profile: Profile, version: &str) -> Result<Wish, KitError> {
    let word = word(profile);
    let wish = Wish { replicas: 1, ..Wish::new(version) }.with("SIM_DIALECT", word).with("SIM_CACHED_SHARE", "0.25");
    let prices = json!({"input": "$0.50", "cachedInput": "$0.05", "output": "$1.50"});
    let metrics = json!({"profile": word, "prices": prices, "warmUp": "0s"});
    let wish = wish.steps(&[(20, "4s"), (50, "4s"), (100, "3s")]);
    Ok(wish.more(&json!({"metrics": metrics, "gates": gates(profile)?})))
}

pub(super) fn word(profile: Profile) -> &'static str {
    exporters().find(|(known, ..)| *known == profile).map_or("", |(_, word, _)| word)
}

/// A gate for each metric that the profile can answer, called like its metric; the error rate is called `errors`.
fn gates(profile: Profile) -> Result<Value, KitError> {
    let mut gates = Vec::new();
    for (metric, _, _, max) in FIGURES {
        if asked(profile, metric, "", "")?.is_none() {
            continue;
        }
        let word = metric::word(metric);
        let name = if metric == Metric::ErrorRate { "errors".to_owned() } else { word.to_lowercase() };
        let mut gate = json!({
            "name": name, "metric": word, "max": max, "interval": "1s", "window": "10s",
            "minSamples": metric::least_samples(metric).min(15), "failures": "2 of 3",
            "noData": {"budget": "60s", "then": "Rollback"},
        });
        if let Some(quantile) = quantile(metric) {
            gate["quantile"] = json!(quantile);
        }
        gates.push(gate);
    }
    Ok(Value::Array(gates))
}

fn quantile(metric: Metric) -> Option<&'static str> {
    (metric::quantile(metric) != metric::Quantile::Foreign).then_some("0.95")
}

/// The product's question about the pods of a Deployment; none where the profile has no answer.
fn asked(profile: Profile, metric: Metric, namespace: &str, workload: &str) -> Result<Option<Question>, KitError> {
    let written = Metrics { profile, ..Metrics::default() };
    let source = Source::read(&written, Some(PRICES), None).map_err(KitError::failed("the profile"))?;
    let subject = Subject::Metric(metric, quantile(metric).map(ToOwned::to_owned));
    let ask = Ask {
        provider: "default",
        rollout: "chat",
        revision: "",
        namespace,
        workload,
        other: None,
        replicas: 1,
        color: Color::Green,
        subject: &subject,
        since: Moment::from_unix(0),
        window: WINDOW,
        interval: Duration::from_secs(1),
        urgent: false,
    };
    Ok(question(&source, &ask).ok())
}

/// On live traffic, every metric that a profile promises is one finite figure that rests on something, and the figures of
/// all dialects are those of the same requests.
pub(super) async fn every_promised_metric_is_one_figure(stand: &Stand) -> Result<(), KitError> {
    let mut loads = Vec::new();
    for profile in SPOKEN {
        let wish = Wish::new("v1").with("SIM_DIALECT", word(profile)).with("SIM_CACHED_SHARE", "0.25");
        let wish = wish.with("SIM_ERROR_SHARE", "0.1").with("SIM_FINISH_LENGTH_SHARE", "0.2");
        stand.space.apply(&deployment(word(profile), &wish)).await?;
    }
    for profile in SPOKEN {
        let url = format!("http://{}:8000/v1/chat/completions", address(stand, word(profile)).await?);
        loads.push(Load::start(&stand.space, &LoadPlan { rps: 20, url: Some(url), ..LoadPlan::default() }).await?);
    }
    // A whole window of traffic, and a scrape or two.
    sleep(WINDOW + Duration::from_secs(3)).await;
    let (mut table, mut wrong) = (head(), Vec::new());
    for (metric, least, most, _) in FIGURES {
        let _ = write!(table, "{:<24}", metric::word(metric));
        for profile in SPOKEN {
            let told = match asked(profile, metric, &stand.space.name, word(profile))? {
                None => "–".to_owned(),
                Some(question) => match figure(stand, &question, least, most).await {
                    Ok((value, samples)) => format!("{value:.6} ({samples:.0})"),
                    Err(why) => {
                        wrong.push(format!("{} of {}: {why}", metric::word(metric), word(profile)));
                        "?".to_owned()
                    }
                },
            };
            let _ = write!(table, "  {told:>20}");
        }
        table.push('\n');
    }
    println!("{table}");
    for load in loads {
        let report = stand.end(load).await?;
        claim(report.failed_unanswered == 0, || report.words())?;
    }
    claim(wrong.is_empty(), || wrong.join("\n"))
}

fn head() -> String {
    let words = SPOKEN.map(|profile| format!("  {:>20}", word(profile)));
    format!("\n{:<24}{}\n", "value (samples)", words.concat())
}

/// The value and what it rests on, as the operator would read them; asked again while they are out of bounds.
async fn figure(stand: &Stand, question: &Question, least: f64, most: f64) -> Result<(f64, f64), String> {
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        let read = one(stand, &question.value.render(WINDOW)).await;
        let rests_on = one(stand, &question.samples.render(WINDOW)).await;
        let why = match (read, rests_on) {
            (Ok(value), Ok(samples)) if samples > 0.0 && (least..=most).contains(&value) => {
                return Ok((value, samples));
            }
            (Ok(value), Ok(samples)) => format!("{value} on {samples} samples, not in {least}..={most}"),
            (value, samples) => format!("value {value:?}, samples {samples:?}"),
        };
        if Instant::now() >= end {
            return Err(why);
        }
        sleep(Duration::from_millis(500)).await;
    }
}

async fn one(stand: &Stand, query: &str) -> Result<f64, String> {
    let body = prometheus::answer(&stand.space.ground, query).await.map_err(|error| error.to_string())?;
    let now = Moment::from_unix(Timestamp::now().as_second());
    answer::figure(&body, now).map(|figure| figure.value).map_err(|why| why.to_string())
}

/// The server of a wish as a plain Deployment.
fn deployment(name: &str, wish: &Wish) -> Value {
    let mut template = wish.manifest()["spec"]["release"]["template"]["podTemplate"].take();
    template["metadata"]["labels"] = json!({"app": name});
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template},
    })
}

/// Where the one pod of a Deployment listens, once it is ready.
async fn address(stand: &Stand, name: &str) -> Result<String, KitError> {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let pods = stand.space.list("v1", "Pod").await?;
        let own = pods.iter().find(|pod| pod["metadata"]["labels"]["app"] == name);
        let status = own.map_or(&Value::Null, |pod| &pod["status"]);
        let conditions = status["conditions"].as_array().into_iter().flatten();
        let is_ready = conditions.into_iter().any(|c| c["type"] == "Ready" && c["status"] == "True");
        if let Some(address) = status["podIP"].as_str().filter(|_| is_ready) {
            return Ok(address.to_owned());
        }
        let last = status.to_string();
        if Instant::now() >= end {
            return Err(KitError::Late { what: format!("{name} is ready"), within: Duration::from_secs(30), last });
        }
        sleep(Duration::from_millis(200)).await;
    }
}
