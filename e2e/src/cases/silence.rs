//! Claims about what is proved when a rollback is home: whoever still calls the candidate past the route keeps it from
//! ending, and the candidate's reference leaves the route until the next release; and what serves is looked at afterwards.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    abort::abort,
    stand::{Service, Stand, is_holding, is_promoted},
};
use crate::kit::{KitError, LoadPlan, Weights, Wish, claim, prometheus, space};

const BACK: Duration = Duration::from_mins(1);
const HOME: Weights = Weights { blue: 100, green: 0 };

/// A bad v2 goes back while somebody calls its pods themselves: green leaves the route, the rollback ends when it is silent,
/// and v3 finds green in the route again, with nothing, before it gets its first share.
pub(super) async fn a_leak_takes_green_out_of_the_route_until_the_next_release(stand: &Stand) -> Result<(), KitError> {
    let proved = json!({"rollback": {"verify": {"quietFor": "5s"}}});
    let service = stand.serve(&Wish::new("v1").more(&proved), &LoadPlan::default()).await?;
    let before = backends(service.route.last().as_deref());
    service.apply(stand, &Wish::new("v2").with("SIM_ERROR_SHARE", "0.2").more(&proved).manifest()).await?;
    service.phase("RollingBack", BACK).await?;
    let leak = leak_to_green(stand).await?;
    let out = service.route.until("green is out of the route", BACK, |route| Weights::of(route).green == -1).await?;
    let left = backends(out.object.as_deref());
    claim(Weights { green: 0, ..Weights::of(out.object.as_deref().unwrap_or(&Value::Null)) } == HOME, || {
        format!("what is left of the rule is {left}")
    })?;
    let kept = stand.space.rollout().await?["status"]["detached"].clone();
    claim(kept[0]["backend"].as_str().is_some_and(|text| text.contains("chat-green")), || format!("kept is {kept}"))?;
    leak.abort();
    let back = service.phase("RolledBack", BACK).await?;
    let said = back.object.as_deref().and_then(|rollout| space::condition(rollout, "TrafficConfirmed")).cloned();
    let said = said.unwrap_or_default();
    claim(said["reason"] == "Silent" && said["status"] == "True", || format!("TrafficConfirmed is {said}"))?;
    let steps = [(20, "3s"), (100, "3s")];
    service.apply(stand, &Wish::new("v3").steps(&steps).more(&proved).manifest()).await?;
    service.rollout.until("v3 serves", BACK * 2, is_promoted).await?;
    let seen: Vec<_> = space::weights_seen(&service.route).iter().map(|(weights, _)| *weights).collect();
    let at = seen.iter().position(|weights| weights.green == -1).unwrap_or_default();
    claim(seen.get(at + 1) == Some(&HOME), || format!("the weights in the route were {seen:?}"))?;
    let after = backends(service.route.last().as_deref());
    let unweighted = |list: &Value| {
        let mut list = list.clone();
        list.as_array_mut().into_iter().flatten().for_each(|backend| backend["weight"] = Value::Null);
        list
    };
    claim(unweighted(&before) == unweighted(&after), || format!("the backends were {before} and are {after}"))?;
    let report = stand.end(service.load).await?;
    let others = report.failures.iter().filter(|failure| failure.version.as_deref() != Some("v2")).count();
    claim(report.failed_unanswered == 0 && others == 0, || report.words())
}

/// A good v2 is called back to a v1 that was never well: that is said. Once v3 serves and v4 is called back, all is well, and
/// that is said too.
pub(super) async fn what_serves_is_looked_at_after_a_way_back(stand: &Stand) -> Result<(), KitError> {
    let looked_at = json!({"rollback": {"verify": {"quietFor": "0s", "recoverWithin": "15s"}}});
    let wish = |version: &str| Wish::new(version).more(&looked_at);
    let sick = wish("v1").with("SIM_ERROR_SHARE", "0.3");
    let service = stand.serve(&sick, &LoadPlan::default()).await?;
    let held = [(20, "120s"), (100, "3s")];
    service.apply(stand, &wish("v2").steps(&held).manifest()).await?;
    service.holding(20, BACK).await?;
    abort(stand, &service).await?;
    let said = told(&service, "NotRecovered").await?;
    claim(said["status"] == "False" && said["message"].as_str().is_some_and(|m| m.contains("errors")), || {
        format!("GatesHealthy is {said}")
    })?;
    service.apply(stand, &sick.manifest()).await?;
    let steps = [(20, "3s"), (100, "3s")];
    service.apply(stand, &wish("v3").steps(&steps).manifest()).await?;
    service.rollout.until("v3 serves", BACK * 2, is_promoted).await?;
    service.apply(stand, &wish("v4").steps(&held).manifest()).await?;
    service.rollout.until("holding again", BACK, |rollout| is_holding(rollout, 20)).await?;
    service.change(stand, &json!({"abort": true})).await?;
    let said = told(&service, "Recovered").await?;
    claim(said["status"] == "True", || format!("GatesHealthy is {said}"))?;
    let report = stand.end(service.load).await?;
    claim(report.failed_unanswered == 0, || report.words())
}

/// The condition as soon as it is known how what serves fares.
async fn told(service: &Service, reason: &str) -> Result<Value, KitError> {
    let known = |rollout: &Value| !rollout["status"]["attempt"]["recovery"].is_null();
    let frame = service.rollout.until(reason, BACK, known).await?;
    let said = frame.object.as_deref().and_then(|rollout| space::condition(rollout, "GatesHealthy")).cloned();
    let said = said.unwrap_or_default();
    claim(said["reason"] == reason, || format!("GatesHealthy is {said}"))?;
    Ok(said)
}

fn backends(route: Option<&Value>) -> Value {
    route.and_then(|route| route.pointer("/spec/rules/0/backendRefs")).cloned().unwrap_or_default()
}

/// Somebody who has green's address and asks it, and nobody else, five times a second.
async fn leak_to_green(stand: &Stand) -> Result<tokio::task::JoinHandle<()>, KitError> {
    let pods = stand.space.list("v1", "Pod").await?;
    let green = |pod: &&Value| pod["metadata"]["labels"]["llmrollout.io/color"] == "green";
    let address = pods.iter().filter(green).find_map(|pod| pod["status"]["podIP"].as_str());
    let url = format!("http://{}:8000/v1/chat/completions", address.unwrap_or_default());
    let client = prometheus::http()?;
    Ok(tokio::spawn(async move {
        loop {
            let words = json!({"messages": [{"role": "user", "content": "past the route"}]});
            let _ = client.post(&url).json(&words).send().await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }))
}
