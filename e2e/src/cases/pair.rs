//! Claims about what others own: a pair of two namespaces, which a `ReferenceGrant` joins, a route of another namespace, and
//! Services that the operator knows nothing of. Deployments and Services are made here, as their owner would.

use std::time::Duration;

use kube::api::DeleteParams;
use serde_json::{Value, json};

use super::{
    promote::gets_nothing,
    stand::{Service, Stand, is_promoted, serves},
};
use crate::kit::{
    Film, KitError, Load, LoadPlan, Space, Wish, claim,
    recipe::{self, NAME, ROUTE},
    space::{Weights, condition},
};

const STEP: Duration = Duration::from_secs(40);
const HOME: Weights = Weights { blue: 100, green: 0 };

/// A color as its owner deploys it: two pods and a Service.
async fn deploy(space: &Space, color: &str, wish: &Wish) -> Result<(), KitError> {
    let mut template = wish.manifest()["spec"]["release"]["template"]["podTemplate"].clone();
    let (name, labels) = (json!({"name": format!("{NAME}-{color}")}), json!({"app": NAME, "half": color}));
    template["metadata"]["labels"] = labels.clone();
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": name,
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": template},
    });
    space.apply(&deployment).await?;
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": name, "spec": {"selector": labels, "ports": [{"port": 8000}]},
    });
    space.apply(&service).await.map(drop)
}

/// Blue here, green in a namespace of its own, and a route that sends to both. Without a grant nothing begins, and the
/// condition holds what to write; with exactly that, blue serves.
async fn two_namespaces(stand: &Stand, green: &Wish) -> Result<(Space, Service, Value), KitError> {
    let (space, next) = (&stand.space, Space::fresh(&stand.space.ground, &format!("{}-next", stand.space.name)).await?);
    deploy(space, "blue", &Wish::new("v1")).await?;
    deploy(&next, "green", green).await?;
    let mut route = recipe::route(&space.ground.gateway, &space.host());
    route["spec"]["rules"][0]["backendRefs"][1]["namespace"] = json!(next.name);
    space.apply(&route).await?;
    space.apply(&manifest(&next, "green", "g1")).await?;
    let grant = grant_asked_for(&space.film().await?, None).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let weights = space.weights().await?;
    claim(weights == HOME, || format!("without a grant the weights are {weights:?}"))?;
    space.apply(&manifest(&next, "blue", "g1")).await?;
    next.apply(&grant).await?;
    let service = stand.serve_installed(&LoadPlan::default()).await?;
    Ok((next, service, grant))
}

fn manifest(next: &Space, live: &str, revision: &str) -> Value {
    let half = |color: &str| {
        let workload = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": format!("{NAME}-{color}")});
        json!({"service": format!("{NAME}-{color}"), "workloads": [workload]})
    };
    let (blue, mut green) = (half("blue"), half("green"));
    (green["namespace"], green["revision"]) = (json!(next.name), json!(revision));
    let mut wish = Wish::new("any").steps(&[(5, "4s"), (50, "6s"), (100, "4s")]);
    wish.traffic = json!([{"httpRoute": {"name": NAME}}]);
    wish.more = json!({"release": {"pair": {"live": live, "blue": blue, "green": green}}});
    let mut all = wish.manifest();
    all["spec"]["metrics"]["match"] = json!({
        "blue": {"namespace": next.name.trim_end_matches("-next")}, "green": {"namespace": next.name},
    });
    all
}

/// What the rollout says of the manifest.
fn accepted(rollout: &Value) -> (String, String) {
    let said = condition(rollout, "Accepted").cloned().unwrap_or_default();
    let text = |field: &str| said[field].as_str().unwrap_or_default().to_owned();
    (text("reason"), text("message"))
}

/// Waits until the condition holds a grant that is missing, another one than before, and gives it back as it stands there.
async fn grant_asked_for(rollout: &Film, before: Option<&Value>) -> Result<Value, KitError> {
    let asks = |rollout: &Value| Some(accepted(rollout)).filter(|(reason, _)| reason == "GrantMissing").map(|(_, m)| m);
    let written = |message: &str| serde_saphyr::from_str::<Value>(message.split('`').nth(1)?).ok();
    let another = |rollout: &Value| asks(rollout).and_then(|m| written(&m)).is_some_and(|grant| Some(&grant) != before);
    let frame = rollout.until("a grant is asked for", STEP, another).await?;
    let message = frame.object.as_deref().and_then(asks).unwrap_or_default();
    written(&message).ok_or_else(|| KitError::Refuted(format!("no grant stands in: {message}")))
}

/// Its owner takes a grant back.
async fn revoke(space: &Space, grant: &Value) -> Result<(), KitError> {
    let name = grant["metadata"]["name"].as_str().unwrap_or_default();
    let grants = space.api("gateway.networking.k8s.io/v1beta1", "ReferenceGrant");
    grants.delete(name, &DeleteParams::default()).await.map(drop).map_err(KitError::api("deleting the grant"))
}

/// Without a grant nothing is raised, and the condition holds what to write; with exactly that, green is promoted from the other
/// namespace; a bad blue is taken back.
pub(super) async fn a_pair_of_two_namespaces_needs_a_grant(stand: &Stand) -> Result<(), KitError> {
    let (next, service, _) = two_namespaces(stand, &Wish::new("v2")).await?;
    service.apply(stand, &manifest(&next, "green", "g1")).await?;
    service.route.until("green has everything", STEP, |route| Weights::of(route).green == 100).await?;
    service.rollout.until("green is promoted", STEP, is_promoted).await?;
    let untouched = next.get("apps/v1", "Deployment", &format!("{NAME}-green")).await?;
    claim(untouched["metadata"]["ownerReferences"].is_null(), || "green's Deployment has an owner now".to_owned())?;
    service.load.mark("blue is bad").await?;
    deploy(&stand.space, "blue", &Wish::new("v3").with("SIM_ERROR_SHARE", "0.3")).await?;
    tokio::time::sleep(Duration::from_secs(4)).await;
    service.apply(stand, &manifest(&next, "blue", "g1")).await?;
    let back = service.phase("RolledBack", STEP).await?;
    let reason = back.object.as_deref().map(|r| r["status"]["reason"].clone()).unwrap_or_default();
    claim(reason == "GateFailed", || format!("blue went back for {reason}"))?;
    let weights = stand.space.weights().await?;
    claim(weights == Weights { blue: 0, green: 100 }, || format!("at last the weights are {weights:?}"))?;
    let report = stand.end(service.load).await?;
    claim(report.failed_unanswered == 0, || report.words())?;
    next.delete().await
}

/// The grant is taken away in the middle of a step: the gateway has nothing to send green's share to, and it goes home.
pub(super) async fn a_revoked_grant_brings_traffic_home(stand: &Stand) -> Result<(), KitError> {
    let (next, service, grant) = two_namespaces(stand, &Wish::new("v2")).await?;
    let mut wished = manifest(&next, "green", "g1");
    wished["spec"]["steps"] = json!([{"weight": 50, "hold": "120s"}, {"weight": 100, "hold": "5s"}]);
    service.apply(stand, &wished).await?;
    service.holding(50, STEP).await?;
    revoke(&next, &grant).await?;
    let revoked = std::time::Instant::now();
    service.route.until("traffic is home", STEP, |route| Weights::of(route) == HOME).await?;
    stand.note("f40_grant_revoked_to_blue_ms", revoked.elapsed());
    let back = service.phase("RolledBack", STEP).await?;
    let rollout = back.object.as_deref().cloned().unwrap_or_default();
    claim(rollout["status"]["reason"] == "RouteRefused", || {
        format!("it went back for {}", rollout["status"]["reason"])
    })?;
    claim(accepted(&rollout).0 == "GrantMissing", || format!("it says {:?}", accepted(&rollout)))?;
    service.load.mark("after").await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let report = stand.end(service.load).await?;
    gets_nothing(&report, "after", "v2")?;
    next.delete().await
}

/// A route of another namespace: its owner has to let our rollouts write it, and ours has to let it send here. When the first of
/// the two is revoked in the middle of a step, nothing goes forward, and an abort still takes traffic home.
pub(super) async fn a_route_of_another_namespace_needs_its_owner(stand: &Stand) -> Result<(), KitError> {
    let space = &stand.space;
    let edge = Space::fresh(&space.ground, &format!("{}-edge", space.name)).await?;
    let mut route = recipe::route(&space.ground.gateway, &space.host());
    for backend in route.pointer_mut("/spec/rules/0/backendRefs").and_then(Value::as_array_mut).into_iter().flatten() {
        backend["namespace"] = json!(space.name);
    }
    edge.apply(&route).await?;
    let wished = |version: &str| {
        let mut wish = Wish::new(version).steps(&[(50, "4s"), (100, "2s")]);
        wish.traffic = json!([{"httpRoute": {"name": NAME, "namespace": edge.name}}]);
        wish.manifest()
    };
    space.apply(&wished("v1")).await?;
    let rollout = space.film().await?;
    let ours = grant_asked_for(&rollout, None).await?;
    edge.apply(&ours).await?;
    let blues = grant_asked_for(&rollout, Some(&ours)).await?;
    space.apply(&blues).await?;
    space.apply(&grant_asked_for(&rollout, Some(&blues)).await?).await?;
    rollout.until("the first version serves", STEP, serves).await?;
    space.poll_answers(Duration::from_secs(10)).await?;
    let load = Load::start(space, &LoadPlan::default()).await?;
    let service = Service { rollout, route: edge.film_route().await?, load };
    service.apply(stand, &wished("v2")).await?;
    service.rollout.until("v2 is promoted", STEP, is_promoted).await?;
    service.apply(stand, &wished("v3")).await?;
    service.holding(50, STEP).await?;
    revoke(&edge, &ours).await?;
    service.rollout.until("the grant is asked for again", STEP, |r| accepted(r).0 == "GrantMissing").await?;
    tokio::time::sleep(Duration::from_secs(8)).await;
    let held = Weights::of(&edge.get(ROUTE, "HTTPRoute", NAME).await?);
    claim(held == Weights { blue: 50, green: 50 }, || format!("without the grant the route went on to {held:?}"))?;
    service.change(stand, &json!({"abort": true})).await?;
    service.route.until("v3 has nothing", STEP, |route| Weights::of(route).blue == 0).await?;
    service.phase("RolledBack", STEP).await?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())?;
    edge.delete().await
}

/// Two Services that the operator knows nothing of, and a revision in any words: promoted, and the next one taken back.
pub(super) async fn what_somebody_else_deploys_is_promoted_and_taken_back(stand: &Stand) -> Result<(), KitError> {
    let space = &stand.space;
    for (color, version) in [("blue", "v1"), ("green", "v2")] {
        deploy(space, color, &Wish::new(version)).await?;
    }
    space.apply(&recipe::route(&space.ground.gateway, &space.host())).await?;
    let wished = |revision: &str| {
        let mut wish = Wish::new("any").steps(&[(20, "5s"), (100, "4s")]);
        wish.traffic = json!([{"httpRoute": {"name": NAME}}]);
        wish.more = json!({"release": {"external": {"revision": revision}}});
        let mut all = wish.manifest();
        let pods = |color: &str| json!({"namespace": space.name, "half": color});
        all["spec"]["metrics"]["match"] = json!({"blue": pods("blue"), "green": pods("green")});
        all["spec"]["gates"] = json!([{"name": "alerts", "alerts": {"matchLabels": {}}, "interval": "1s"}]);
        all
    };
    space.apply(&wished("the first")).await?;
    let service = stand.serve_installed(&LoadPlan::default()).await?;
    service.apply(stand, &wished("the second")).await?;
    service.rollout.until("the second is promoted", STEP, is_promoted).await?;
    let route = space.get(ROUTE, "HTTPRoute", NAME).await?;
    claim(Weights::of(&route).green == 100, || format!("the weights are {:?}", Weights::of(&route)))?;
    service.apply(stand, &wished("the third")).await?;
    service.route.until("blue has a share", STEP, |route| Weights::of(route).blue == 20).await?;
    service.change(stand, &json!({"abort": true})).await?;
    service.phase("RolledBack", STEP).await?;
    let weights = space.weights().await?;
    claim(weights == Weights { blue: 0, green: 100 }, || format!("at last the weights are {weights:?}"))?;
    let report = stand.end(service.load).await?;
    claim(report.failed == 0, || report.words())
}
