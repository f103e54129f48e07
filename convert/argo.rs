//! Argo Rollouts: an `AnalysisTemplate` as gates. Fields as in its API, v1alpha1.

use serde_json::{Map, Value};

use super::{Carried, condition, query};
use crate::decide::plan::duration;

/// Argo measures on through so many errors in a row.
const ERRORS: u64 = 4;

/// Each metric of a template.
pub fn template(name: &str, spec: &Value, carried: &mut Carried) {
    let dry: Vec<&str> =
        spec["dryRun"].as_array().into_iter().flatten().filter_map(|dry| dry["metricName"].as_str()).collect();
    for metric in spec["metrics"].as_array().into_iter().flatten() {
        let metric_name = metric["name"].as_str().unwrap_or("unnamed");
        let of = format!("AnalysisTemplate {name}, metric {metric_name}");
        if let Some(mut gate) = of_metric(&of, metric, &spec["args"], carried) {
            if dry.contains(&metric_name) {
                gate.insert("severity".to_owned(), "Warn".into());
            }
            carried.gate(metric_name, gate);
        }
    }
}

fn of_metric(of: &str, metric: &Value, args: &Value, carried: &mut Carried) -> Option<Map<String, Value>> {
    let query = of_provider(of, &metric["provider"], carried)?;
    let known = valued(query, args);
    let found = match query::carry(&known, &|matcher| matcher.contains("{{")) {
        Ok(found) => found,
        Err(why) => {
            carried.lose(of, format!("its query cannot be asked: {why}"));
            return None;
        }
    };
    let mut gate = Map::new();
    gate.insert("query".to_owned(), found.text.into());
    limits(of, metric, args, &mut gate, carried)?;
    found.remarks.into_iter().for_each(|remark| carried.lose(of, remark));
    if let Some(window) = found.window.filter(|window| duration(window).is_some()) {
        gate.insert("window".to_owned(), window.into());
    }
    rhythm(of, metric, args, &mut gate, carried);
    Some(gate)
}

fn of_provider<'a>(of: &str, provider: &'a Value, carried: &mut Carried) -> Option<&'a str> {
    let kind = provider.as_object().and_then(|provider| provider.keys().next()).map_or("none", String::as_str);
    if let Some(query) = provider["prometheus"]["query"].as_str() {
        for field in ["address", "headers", "authentication", "insecure", "timeout"] {
            if !provider["prometheus"][field].is_null() {
                carried.lose(of, format!("`{field}` of the provider: where and how is asked stands in the operator's configuration; name it in `metrics.provider`"));
            }
        }
        return Some(query);
    }
    let instead = match kind {
        "job" => "keep it as a CronJob that reports its number, and write `job: {cronJob: NAME, value: PATH}`",
        "web" => "name the endpoint in the operator's configuration, and write `http: {name: NAME, path: /PATH}`",
        "kayenta" => "compare with the color that serves: `comparedTo: active, maxRatio: \"1.2\"`, or `statistical: {}`",
        _ => "only Prometheus is asked; let an endpoint tell the number, and write `http: {name: NAME, path: /PATH}`",
    };
    carried.lose(of, format!("the provider `{kind}`: {instead}"));
    None
}

/// What the arguments have values for is written out.
fn valued(text: &str, args: &Value) -> String {
    let mut text = text.to_owned();
    for arg in args.as_array().into_iter().flatten() {
        if let (Some(name), Some(value)) = (arg["name"].as_str(), arg["value"].as_str()) {
            for spelled in [format!("{{{{args.{name}}}}}"), format!("{{{{ args.{name} }}}}")] {
                text = text.replace(&spelled, value);
            }
        }
    }
    text
}

fn limits(of: &str, metric: &Value, args: &Value, gate: &mut Map<String, Value>, carried: &mut Carried) -> Option<()> {
    let [good, bad] = ["successCondition", "failureCondition"].map(|field| metric[field].as_str().map(|text| valued(text, args)));
    let read = match (&good, &bad) {
        (Some(good), _) => condition::read(good, false),
        (None, Some(bad)) => condition::read(bad, true),
        (None, None) => None,
    };
    let text = good.clone().or_else(|| bad.clone());
    let Some(demand) = read else {
        let text = text.map_or_else(|| "it has no condition".to_owned(), |text| format!("`{text}` is no limit of one number"));
        carried.lose(of, format!("{text}; write the gate by hand, for example `max: \"0.05\"`"));
        return None;
    };
    if good.is_some() && bad.is_some() {
        carried.lose(of, "what is neither good nor bad (Inconclusive) is bad here: the gate holds what `successCondition` says");
    }
    if demand.about_missing {
        carried.lose(of, "missing data counted as an answer; here it is no data, holds the step, and goes back after `noData.budget`");
    }
    match (demand.min, demand.max, demand.equals) {
        (Some(min), Some(max), _) => gate.insert("between".to_owned(), vec![min, max].into()),
        (Some(min), None, _) => gate.insert("min".to_owned(), min.into()),
        (None, Some(max), _) => gate.insert("max".to_owned(), max.into()),
        (None, None, equals) => gate.insert("equals".to_owned(), equals.into()),
    };
    Some(())
}

/// How often is asked, how many bad samples fail, and how long nothing may be known.
fn rhythm(of: &str, metric: &Value, args: &Value, gate: &mut Map<String, Value>, carried: &mut Carried) {
    let text = |field: &str| match &metric[field] {
        Value::String(text) => Some(valued(text, args)),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let number = |field: &str| text(field).and_then(|text| text.parse::<u64>().ok());
    let interval = text("interval").filter(|text| duration(text).is_some());
    match &interval {
        Some(interval) => drop(gate.insert("interval".to_owned(), interval.clone().into())),
        None => carried.lose(of, "it was measured once; a gate is asked every 15s for as long as its step lasts"),
    }
    let failures = number("failureLimit").unwrap_or(0) + 1;
    let of_last = number("count").unwrap_or(failures).max(failures);
    if of_last <= 99 {
        gate.insert("failures".to_owned(), format!("{failures} of {of_last}").into());
    }
    if let Some(count) = text("count") {
        carried.lose(of, format!("`count: {count}`: a step is measured for its `hold`; make that long enough for {count} samples"));
    }
    for (field, instead) in [
        ("initialDelay", "write `settle` in the step"),
        ("inconclusiveLimit", "write `maxHold` and `onUndecided` in the step"),
        ("consecutiveSuccessLimit", "write `hold` and `minRequests` in the step"),
    ] {
        if let Some(value) = text(field) {
            carried.lose(of, format!("`{field}: {value}`: {instead}"));
        }
    }
    let every = interval.as_deref().and_then(duration);
    let budget = every.map(|every| every.as_secs() * (number("consecutiveErrorLimit").unwrap_or(ERRORS) + 1));
    if let Some(seconds) = budget.filter(|seconds| (60..=86_400).contains(seconds)) {
        gate.insert("noData".to_owned(), serde_json::json!({"budget": format!("{seconds}s")}));
    }
}
