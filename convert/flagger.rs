//! Flagger: the analysis of a Canary, with the `MetricTemplate`s beside it, as gates. Fields as in its API, v1beta1.

use serde_json::{Map, Value};

use super::{Carried, query};
use crate::decide::plan::duration;

/// Whether any Canary names a template.
pub fn is_named(template: &str, documents: &[Value]) -> bool {
    let metrics = documents.iter().filter_map(|d| d["spec"]["analysis"]["metrics"].as_array()).flatten();
    metrics.into_iter().any(|metric| metric["templateRef"]["name"] == template)
}

/// Each metric of an analysis, and what else stands in it.
pub fn canary(name: &str, analysis: &Value, documents: &[Value], carried: &mut Carried) {
    let of = format!("Canary {name}");
    for metric in analysis["metrics"].as_array().into_iter().flatten() {
        let metric_name = metric["name"].as_str().unwrap_or("unnamed");
        let of = format!("{of}, metric {metric_name}");
        if let Some(mut gate) = of_metric(&of, metric, documents, carried) {
            rhythm(analysis, &mut gate);
            carried.gate(metric_name, gate);
        }
    }
    around(&of, analysis, carried);
}

fn of_metric(of: &str, metric: &Value, documents: &[Value], carried: &mut Carried) -> Option<Map<String, Value>> {
    match metric["name"].as_str() {
        Some("request-success-rate") => success_rate(of, metric, carried),
        Some("request-duration") => request_duration(of, metric, carried),
        _ => own(of, metric, documents, carried),
    }
}

/// What may pass, in percent: the rest may fail.
fn success_rate(of: &str, metric: &Value, carried: &mut Carried) -> Option<Map<String, Value>> {
    let least = range(metric, "min").or_else(|| metric["threshold"].as_f64()).filter(|least| (0.0..100.0).contains(least));
    let Some(least) = least else {
        carried.lose(of, "it has no `thresholdRange.min` below 100; write for example `metric: errorRate, max: 1%`");
        return None;
    };
    let mut gate = Map::new();
    gate.insert("metric".to_owned(), "errorRate".into());
    gate.insert("max".to_owned(), format!("{}%", rounded(100.0 - least)).into());
    window(metric, &mut gate);
    Some(gate)
}

/// The 99th percentile in milliseconds.
fn request_duration(of: &str, metric: &Value, carried: &mut Carried) -> Option<Map<String, Value>> {
    let Some(most) = range(metric, "max").or_else(|| metric["threshold"].as_f64()).filter(|most| *most > 0.0) else {
        carried.lose(of, "it has no `thresholdRange.max`; write for example `metric: latency, quantile: \"0.99\", max: 500ms`");
        return None;
    };
    let mut gate = Map::new();
    gate.insert("metric".to_owned(), "latency".into());
    gate.insert("quantile".to_owned(), "0.99".into());
    gate.insert("max".to_owned(), format!("{}ms", rounded(most)).into());
    window(metric, &mut gate);
    carried.lose(of, "the mesh's latency of a request becomes the exporter's: for streamed answers that is until the last token; `timeToFirstToken` may be meant");
    Some(gate)
}

fn own(of: &str, metric: &Value, documents: &[Value], carried: &mut Carried) -> Option<Map<String, Value>> {
    let template = metric["templateRef"]["name"].as_str();
    let spec = template.and_then(|name| {
        documents.iter().find(|d| d["kind"] == "MetricTemplate" && d["metadata"]["name"] == name).map(|d| &d["spec"])
    });
    if let (Some(name), None) = (template, spec) {
        carried.lose(of, format!("the MetricTemplate {name} is not in these files; name its file too"));
        return None;
    }
    let kind = spec.map_or("prometheus", |spec| spec["provider"]["type"].as_str().unwrap_or("none"));
    if kind != "prometheus" {
        carried.lose(of, format!("the provider `{kind}`: only Prometheus is asked; let an endpoint tell the number, and write `http: {{name: NAME, path: /PATH}}`"));
        return None;
    }
    let Some(text) = spec.map_or(&metric["query"], |spec| &spec["query"]).as_str() else {
        carried.lose(of, "it has no query and is none of the built-in metrics");
        return None;
    };
    let found = match query::carry(&valued(text, metric), &|matcher| matcher.contains("{{")) {
        Ok(found) => found,
        Err(why) => {
            carried.lose(of, format!("its query cannot be asked: {why}"));
            return None;
        }
    };
    let mut gate = Map::new();
    gate.insert("query".to_owned(), found.text.into());
    match (range(metric, "min"), range(metric, "max").or_else(|| metric["threshold"].as_f64())) {
        (Some(min), Some(max)) => drop(gate.insert("between".to_owned(), vec![rounded(min), rounded(max)].into())),
        (Some(min), None) => drop(gate.insert("min".to_owned(), rounded(min).into())),
        (None, Some(max)) => drop(gate.insert("max".to_owned(), rounded(max).into())),
        (None, None) => {
            carried.lose(of, "it has no `thresholdRange`; write a limit, for example `max: \"5\"`");
            return None;
        }
    }
    if let Some(window) = found.window.filter(|window| duration(window).is_some()) {
        gate.insert("window".to_owned(), window.into());
    }
    found.remarks.into_iter().for_each(|remark| carried.lose(of, remark));
    Some(gate)
}

/// What is known of a template's words is written out; what names the target is left for the selectors.
fn valued(text: &str, metric: &Value) -> String {
    let interval = metric["interval"].as_str().unwrap_or("1m");
    let mut text = text.replace("{{ interval }}", interval).replace("{{interval}}", interval);
    for (name, value) in metric["templateVariables"].as_object().into_iter().flatten() {
        if let Some(value) = value.as_str() {
            for spelled in [format!("{{{{ variables.{name} }}}}"), format!("{{{{variables.{name}}}}}")] {
                text = text.replace(&spelled, value);
            }
        }
    }
    text
}

fn range(metric: &Value, end: &str) -> Option<f64> {
    metric["thresholdRange"][end].as_f64()
}

/// What Flagger calls an interval of a metric is how far its query looks back.
fn window(metric: &Value, gate: &mut Map<String, Value>) {
    if let Some(window) = metric["interval"].as_str().filter(|text| duration(text).is_some()) {
        gate.insert("window".to_owned(), window.into());
    }
}

fn rhythm(analysis: &Value, gate: &mut Map<String, Value>) {
    if let Some(interval) = analysis["interval"].as_str().filter(|text| duration(text).is_some()) {
        gate.insert("interval".to_owned(), interval.into());
    }
    if let Some(failures) = analysis["threshold"].as_u64().map(|n| n.max(1)).filter(|n| *n <= 99) {
        gate.insert("failures".to_owned(), format!("{failures} of {failures}").into());
    }
}

/// What is no gate.
fn around(of: &str, analysis: &Value, carried: &mut Carried) {
    if let Some(threshold) = analysis["threshold"].as_u64() {
        carried.lose(of, format!("`threshold: {threshold}` counted the failed checks of the whole rollout; here {threshold} of the last {threshold} samples of one gate fail it"));
    }
    let weights: Vec<u64> = analysis["stepWeights"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
    let (step, most) = (analysis["stepWeight"].as_u64().filter(|n| *n > 0), analysis["maxWeight"].as_u64().unwrap_or(100));
    let weights = match step {
        Some(step) if weights.is_empty() => (1..=20).map(|n| n * step).take_while(|weight| *weight <= most).collect(),
        _ => weights,
    };
    if !weights.is_empty() {
        let hold = analysis["interval"].as_str().unwrap_or("5m");
        let full = weights.last() == Some(&100);
        let steps = weights.iter().copied().chain((!full).then_some(100));
        let steps: Vec<String> = steps.map(|weight| format!("{{weight: {weight}, hold: {hold}}}")).collect();
        carried.lose(of, format!("weights are steps of the rollout: `steps: [{}]`", steps.join(", ")));
    }
    for field in ["match", "iterations", "mirror", "sessionAffinity", "primaryReadyThreshold", "canaryReadyThreshold", "alerts"] {
        if !analysis[field].is_null() {
            carried.lose(of, format!("`{field}` is no gate and has nothing in its place here"));
        }
    }
    for hook in analysis["webhooks"].as_array().into_iter().flatten() {
        let (name, kind) = (hook["name"].as_str().unwrap_or("unnamed"), hook["type"].as_str().unwrap_or("rollout"));
        let instead = match kind {
            "confirm-rollout" => "write `approvals: [{before: Start, roles: [ROLE]}]`",
            "confirm-promotion" | "confirm-traffic-increase" => "write `approvals: [{before: Full, roles: [ROLE]}]`",
            "rollback" => "`kubectl llmrollout abort` takes traffic back",
            _ => "let a Job or an endpoint tell a number, and write a gate with `job` or `http`",
        };
        carried.lose(of, format!("the webhook {name} ({kind}): {instead}"));
    }
}

/// A number as a manifest may write it.
fn rounded(number: f64) -> String {
    let text = format!("{number:.6}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}
