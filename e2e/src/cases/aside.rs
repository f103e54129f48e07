//! Claims about dark steps that send the candidate something beside every share: testers, and copies.
//! Nothing here makes a candidate bad.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    abort::abort,
    hands::{rest, rich_route},
    stand::{Service, Stand, is_promoted},
};
use crate::kit::{
    KitError, LoadPlan, Weights, Wish, claim,
    prometheus::{http, query},
    space::condition,
};

const STEP: Duration = Duration::from_mins(1);
const TESTERS: u64 = 10;

/// A service on a route that holds more than our two weights, at a dark step with this beside it; and the route before.
async fn dark(stand: &Stand, aside: &Value, hold: &str) -> Result<(Service, Value), KitError> {
    let (service, before) = served(stand).await?;
    service.apply(stand, &with_dark_step(Wish::new("v2"), aside, hold)).await?;
    service.holding(0, STEP).await?;
    Ok((service, before))
}

/// A service on a route that holds more than our two weights, and the route.
async fn served(stand: &Stand) -> Result<(Service, Value), KitError> {
    stand.space.install(&Wish::new("v1")).await?;
    stand.space.apply(&rich_route(stand)).await?;
    let service = stand.serve_installed(&LoadPlan::default()).await?;
    let before = route(stand).await?;
    Ok((service, before))
}

/// A release that begins with a dark step and this beside it.
fn with_dark_step(wish: Wish, aside: &Value, hold: &str) -> Value {
    let mut first = json!({"weight": 0, "hold": hold, "name": "dark"});
    if let (Some(step), Some(aside)) = (first.as_object_mut(), aside.as_object()) {
        step.extend(aside.clone());
    }
    let steps = json!([first, {"weight": 20, "hold": "4s"}, {"weight": 100, "hold": "3s"}]);
    wish.more(&json!({"steps": steps})).manifest()
}

async fn route(stand: &Stand) -> Result<Value, KitError> {
    stand.space.get("gateway.networking.k8s.io/v1", "HTTPRoute", "chat").await
}

async fn is_as_before(stand: &Stand, before: &Value) -> Result<(), KitError> {
    let (before, after) = (rest(before).to_string(), rest(&route(stand).await?).to_string());
    claim(before == after, || format!("the rest of the route was\n{before}\nand is\n{after}"))
}

fn rules(route: &Value) -> usize {
    route.pointer("/spec/rules").and_then(Value::as_array).map_or(0, Vec::len)
}

/// Which versions answered so many requests with this header.
async fn answered(stand: &Stand, name: &str, value: &str) -> Result<Vec<String>, KitError> {
    let client = http()?;
    let question = json!({"messages": [{"role": "user", "content": "who are you?"}]});
    let mut versions = Vec::new();
    for _ in 0..TESTERS {
        let request = client.post(format!("{}/v1/chat/completions", stand.space.ground.gateway_url));
        let request = request.header("host", stand.space.host()).header(name, value).json(&question);
        let answer = request.send().await.map_err(KitError::failed("a tester's request"))?;
        let version = answer.headers().get("x-sim-version").and_then(|v| v.to_str().ok());
        versions.push(format!("{} {}", answer.status().as_u16(), version.unwrap_or("nobody")));
    }
    versions.sort();
    versions.dedup();
    Ok(versions)
}

async fn goes_to(stand: &Stand, header: (&str, &str), version: &str) -> Result<(), KitError> {
    let seen = answered(stand, header.0, header.1).await?;
    claim(seen == [format!("200 {version}")], || format!("requests with {header:?} were answered by {seen:?}"))
}

/// Testers who go on until the route gives the candidate a share; before that nobody else has reached it.
async fn test_until_shared(stand: &Stand, service: &Service) -> Result<(), KitError> {
    let mut looks = 0;
    loop {
        answered(stand, "x-tester", "yes").await?;
        // What had ended before the route was seen without a share went there without one.
        let report = service.load.report().await?;
        if Weights::of(&route(stand).await?).green > 0 {
            return claim(looks > 0, || "the dark step was over before anybody looked".to_owned());
        }
        let green = report.by_version.get("v2").map_or(0, |side| side.requests);
        claim(green == 0, || format!("{green} answers of v2 at the dark step to somebody who is no tester"))?;
        looks += 1;
    }
}

fn by_header_or_cookie() -> Value {
    json!({"match": [{"header": {"name": "x-tester", "value": "yes"}}, {"cookie": {"name": "tester", "value": "v1.2"}}], "minRequests": 10})
}

/// Testers reach green while everybody else gets blue; with the first share the rule is gone, and the route is as it was.
pub(super) async fn testers_reach_the_candidate_and_nobody_else_does(stand: &Stand) -> Result<(), KitError> {
    let (service, before) = dark(stand, &by_header_or_cookie(), "15s").await?;
    goes_to(stand, ("x-tester", "yes"), "v2").await?;
    goes_to(stand, ("X-Tester", "no"), "v1").await?;
    goes_to(stand, ("cookie", "a=b; tester=v1.2; c=d"), "v2").await?;
    goes_to(stand, ("cookie", "a=b; tester=v1.23"), "v1").await?;
    goes_to(stand, ("cookie", "not-a-tester=v1.2"), "v1").await?;
    let with = route(stand).await?;
    let last = with.pointer("/spec/rules/2/name").cloned();
    claim(last == Some(json!("llmrollout-match.chat-green.chat")), || format!("the third rule is named {last:?}"))?;
    // They go on: what green had answered before it was first scraped counts as nothing.
    let shared = tokio::time::timeout(STEP, test_until_shared(stand, &service)).await;
    shared.map_err(KitError::failed("the first share"))??;
    is_as_before(stand, &before).await?;
    service.rollout.until("v2 is promoted", STEP, is_promoted).await?;
    goes_to(stand, ("x-tester", "yes"), "v2").await?;
    is_as_before(stand, &before).await?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())
}

/// An abort takes the rule out with its first write, and testers get what everybody gets.
pub(super) async fn abort_takes_testers_home_at_once(stand: &Stand) -> Result<(), KitError> {
    let (service, before) = dark(stand, &by_header_or_cookie(), "120s").await?;
    goes_to(stand, ("x-tester", "yes"), "v2").await?;
    let since = std::time::Instant::now();
    abort(stand, &service).await.map(drop)?;
    let gone = service.route.until("the rule is gone", Duration::from_secs(10), |route| rules(route) == 2).await?;
    stand.note("abort_to_rule_gone_ms", gone.at.saturating_duration_since(since));
    is_as_before(stand, &before).await?;
    service.phase("RolledBack", Duration::from_secs(15)).await?;
    goes_to(stand, ("x-tester", "yes"), "v1").await?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())?;
    claim(!report.by_version.contains_key("v2"), || "v2 has answered somebody who is no tester".to_owned())
}

/// Requests that blue and green have finished, by their servers' own count.
async fn finished(stand: &Stand) -> Result<[f64; 2], KitError> {
    let text = format!("sum by (color) (vllm:request_success_total{{namespace=\"{}\"}})", stand.space.name);
    let found = query(&stand.space.ground, &text).await?;
    let of = |color: &str| {
        let series = found.iter().find(|series| series["metric"]["color"] == color);
        series.and_then(|series| series["value"][1].as_str()?.parse().ok()).unwrap_or(0.0)
    };
    Ok([of("blue"), of("green")])
}

/// A gateway that copies all or nothing is told so for a tenth. With all of them green answers what blue answers, and nobody
/// sees it; the filter goes with the first share.
pub(super) async fn copies_reach_the_candidate_and_their_answers_nobody(stand: &Stand) -> Result<(), KitError> {
    let (service, before) = served(stand).await?;
    service.apply(stand, &with_dark_step(Wish::new("v2"), &json!({"mirror": "10%"}), "8s")).await?;
    let refused = |rollout: &Value| {
        condition(rollout, "Accepted").is_some_and(|c| c["reason"] == "StepUnsupported" && c["status"] == "False")
    };
    let frame = service.rollout.until("StepUnsupported", STEP, refused).await?;
    let said = frame.object.as_deref().and_then(|r| condition(r, "Accepted")).map(|c| c["message"].to_string());
    let said = said.unwrap_or_default();
    claim(said.contains("write `mirror: 100%`"), || format!("the condition says {said}"))?;
    is_as_before(stand, &before).await?;
    service.apply(stand, &with_dark_step(Wish::new("v2"), &json!({"mirror": "100%"}), "12s")).await?;
    service.holding(0, STEP).await?;
    let [blue, green] = finished(stand).await?;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let [more_blue, more_green] = finished(stand).await?;
    let (blue, green) = (more_blue - blue, more_green - green);
    claim(blue > 100.0 && (0.85..1.15).contains(&(green / blue)), || {
        format!("blue has finished {blue} requests and green {green}")
    })?;
    // They go on: what green had answered before it was first scraped counts as nothing.
    let shared = tokio::time::timeout(STEP, test_until_shared(stand, &service)).await;
    shared.map_err(KitError::failed("the first share"))??;
    is_as_before(stand, &before).await?;
    service.rollout.until("v2 is promoted", STEP, is_promoted).await?;
    is_as_before(stand, &before).await?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())
}

/// A candidate that answers copies badly goes back, and nobody has had a failed request.
pub(super) async fn bad_answers_to_copies_go_back_unseen(stand: &Stand) -> Result<(), KitError> {
    let (service, before) = served(stand).await?;
    let bad = Wish::new("v2").with("SIM_ERROR_SHARE", "0.3");
    service.apply(stand, &with_dark_step(bad, &json!({"mirror": "100%"}), "60s")).await?;
    let back = service.phase("RolledBack", STEP).await?;
    let reason = back.object.as_deref().map(|rollout| rollout["status"]["reason"].clone());
    claim(reason == Some(json!("GateFailed")), || format!("the reason is {reason:?}"))?;
    is_as_before(stand, &before).await?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())?;
    claim(!report.by_version.contains_key("v2"), || "v2 has answered somebody".to_owned())
}
