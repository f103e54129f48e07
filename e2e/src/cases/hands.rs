//! Claims about other people's hands on the route: what is taken as an order, what is put right, what is left alone.
//! Nothing here touches the rollout itself.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::stand::{Service, Stand, is_promoted};
use crate::kit::{KitError, LoadPlan, Weights, Wish, claim, operator::Install, space::weights_seen};

const STEP: Duration = Duration::from_secs(40);
const SOON: Duration = Duration::from_secs(10);

/// A service at 20 % of v2 with so many requests a second, on a route that holds more than our two weights.
async fn at_20(stand: &Stand, rps: u32) -> Result<(Service, Value), KitError> {
    stand.space.install(&Wish::new("v1")).await?;
    stand.space.apply(&rich_route(stand)).await?;
    let service = stand.serve_installed(&LoadPlan { rps, at_most: FIGHT * 2, ..LoadPlan::default() }).await?;
    let before = stand.space.get("gateway.networking.k8s.io/v1", "HTTPRoute", "chat").await?;
    service.apply(stand, &Wish::new("v2").steps(&[(20, "120s"), (100, "5s")]).manifest()).await?;
    service.holding(20, STEP).await?;
    Ok((service, before))
}

/// Our rule in the middle of others, with everything a route may hold.
pub(super) fn rich_route(stand: &Stand) -> Value {
    let mut route = crate::kit::recipe::route(&stand.space.ground.gateway, &stand.space.host());
    route["metadata"]["labels"] = json!({"team": "search"});
    route["metadata"]["annotations"] = json!({"note": "kept by hand"});
    let backends = route["spec"]["rules"][0]["backendRefs"].clone();
    let ours = json!({
        "name": "chat",
        "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
        "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "x-team", "value": "search"}]}}],
        "backendRefs": backends,
        "timeouts": {"request": "60s"},
    });
    let old = json!({
        "matches": [{"path": {"type": "PathPrefix", "value": "/old"}, "headers": [{"name": "x-old", "value": "1"}]}],
        "filters": [{"type": "RequestRedirect", "requestRedirect": {"hostname": "old.example", "statusCode": 302}}],
    });
    route["spec"]["rules"] = json!([ours, old]);
    route
}

/// Everything of a route but what must change.
pub(super) fn rest(route: &Value) -> Value {
    let mut route = route.clone();
    route["status"] = Value::Null;
    for own in ["resourceVersion", "generation", "managedFields"] {
        route["metadata"][own] = Value::Null;
    }
    for backend in route.pointer_mut("/spec/rules/0/backendRefs").and_then(Value::as_array_mut).into_iter().flatten() {
        backend["weight"] = Value::Null;
    }
    route
}

async fn rest_is_untouched(stand: &Stand, before: &Value) -> Result<(), KitError> {
    let after = stand.space.get("gateway.networking.k8s.io/v1", "HTTPRoute", "chat").await?;
    let (before, after) = (rest(before).to_string(), rest(&after).to_string());
    claim(before == after, || format!("the rest of the route was\n{before}\nand is\n{after}"))
}

/// Somebody gives green less: that is an abort, and this revision gets nothing again.
pub(super) async fn foreign_edit_blueward_is_an_abort(stand: &Stand) -> Result<(), KitError> {
    let (service, before) = at_20(stand, 60).await?;
    stand.space.set_weights(Weights { blue: 95, green: 5 }).await?;
    let back = service.phase("RolledBack", SOON).await?;
    let rollout = back.object.as_deref().cloned().unwrap_or_default();
    claim(rollout["status"]["reason"] == "MovedBack", || format!("the reason is {}", rollout["status"]["reason"]))?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let weights = stand.space.weights().await?;
    claim(weights == Weights { blue: 100, green: 0 }, || format!("the route stands at {weights:?}"))?;
    rest_is_untouched(stand, &before).await?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())
}

/// Somebody gives green more: put right three times, then left alone and said.
pub(super) async fn foreign_edit_greenward_is_put_right(stand: &Stand) -> Result<(), KitError> {
    let (service, before) = at_20(stand, 60).await?;
    let right = Weights { blue: 80, green: 20 };
    for round in 1..=3 {
        let wrong = Weights { blue: 60 - round * 10, green: 40 + round * 10 };
        let written = stand.space.set_weights(wrong).await?;
        let version = written["metadata"]["generation"].as_i64();
        let put_right =
            |route: &Value| Weights::of(route) == right && route["metadata"]["generation"].as_i64() > version;
        service.route.until(&format!("put right, round {round}"), SOON, put_right).await?;
        // A hand that is quicker than the status would be the same round of the quarrel.
        let counted = |rollout: &Value| rollout["status"]["quarrel"]["count"] == round;
        service.rollout.until(&format!("round {round} is counted"), SOON, counted).await?;
    }
    stand.space.set_weights(Weights { blue: 20, green: 80 }).await?;
    service.rollout.until("Contended", SOON, |rollout| rollout["status"]["reason"] == "Contended").await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let weights = stand.space.weights().await?;
    claim(weights == Weights { blue: 20, green: 80 }, || format!("after the quarrel the route stands at {weights:?}"))?;
    rest_is_untouched(stand, &before).await?;
    // A quarrel does not stand before an order.
    let took = super::abort::abort(stand, &service).await?;
    stand.note("abort_to_blue_ms", took);
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())
}

const FIGHT: Duration = Duration::from_mins(5);
const PATIENCE: Duration = Duration::from_secs(5);

/// Somebody who gives green half of the requests whenever it has less, as a tool does that holds a route to its Git: three
/// times it is put right, then both rest, nothing goes forward for the whole fight, and who asks is told what to write. After
/// an abort green never wins, however often it is given something.
pub(super) async fn a_writer_that_fights_is_left_alone_and_never_wins(stand: &Stand) -> Result<(), KitError> {
    let (service, before) = at_20(stand, 30).await?;
    let (half, home) = (Weights { blue: 50, green: 50 }, Weights { blue: 100, green: 0 });
    let (end, mut written) = (Instant::now() + FIGHT, 0);
    while Instant::now() < end {
        if stand.space.weights().await? != half {
            stand.space.set_weights(half).await?;
            written += 1;
        }
        tokio::time::sleep(PATIENCE).await;
    }
    let rollout = stand.space.rollout().await?;
    let said = rollout["status"]["message"].as_str().unwrap_or_default();
    let rests = written == 4 && rollout["status"]["reason"] == "Contended" && rollout["status"]["attempt"]["step"] == 1;
    claim(rests && said.contains("ignoreDifferences"), || {
        format!("after {written} writes of somebody else the status is {}", rollout["status"])
    })?;
    let took = super::abort::abort(stand, &service).await?;
    stand.note("abort_to_blue_ms", took);
    for round in 1..=3 {
        let version = stand.space.set_weights(half).await?["metadata"]["generation"].as_i64();
        let back = |route: &Value| Weights::of(route) == home && route["metadata"]["generation"].as_i64() > version;
        service.route.until(&format!("home again, round {round}"), SOON * 2, back).await?;
    }
    rest_is_untouched(stand, &before).await?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())
}

/// How long the operator of the next case rests after a quarrel; everybody else's rests for ten minutes.
const REST: Duration = Duration::from_secs(20);

/// A quarrel ends by itself: while it lasts nothing goes forward, and what was left is put right when the operator has rested, and
/// from then on the release goes to its end without anybody's word.
pub(super) async fn a_quarrel_that_ends_lets_the_release_go_on(stand: &Stand) -> Result<(), KitError> {
    let own = stand.own_operator(1, Duration::from_secs(4));
    let own = Install { limits: json!({"quarrel": format!("{}s", REST.as_secs())}), ..own };
    own.install(&stand.space.ground).await?;
    let service = stand.serve(&Wish::new("v1"), &LoadPlan::default()).await?;
    service.apply(stand, &Wish::new("v2").steps(&[(20, "6s"), (100, "2s")]).manifest()).await?;
    service.holding(20, STEP).await?;
    let half = Weights { blue: 50, green: 50 };
    let contended = |rollout: &Value| rollout["status"]["reason"] == "Contended";
    while !contended(&stand.space.rollout().await?) {
        if stand.space.weights().await? != half {
            stand.space.set_weights(half).await?;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let given_up = Instant::now();
    let right = |route: &Value| Weights::of(route) == Weights { blue: 80, green: 20 };
    service.route.until("put right after the rest", REST * 2, right).await?;
    stand.note("contended_to_put_right_ms", given_up.elapsed());
    service.rollout.until("v2 is promoted by itself", STEP, is_promoted).await?;
    let greens: Vec<_> = weights_seen(&service.route).iter().map(|(weights, _)| weights.green).collect();
    claim(greens.iter().filter(|green| **green == 100).count() == 1, || format!("green's weights were {greens:?}"))?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())?;
    own.uninstall().await
}
