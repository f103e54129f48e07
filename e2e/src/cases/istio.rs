//! Claims about a `VirtualService`, against Istio's own CRD in a real API server: two numbers move with the step, nothing else
//! of it ever changes, and what others do to it is put right or named. No Istio runs here, and so none says that it follows.

use std::time::Duration;

use kube::{
    Api,
    api::{DeleteParams, DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};

use super::stand::{Stand, is_promoted};
use crate::kit::{Film, KitError, LoadPlan, Wish, claim, space};

/// Each shift waits ten seconds for proxies that say nothing.
const STEP: Duration = Duration::from_mins(1);
const NAME: &str = "mesh";

/// A `VirtualService` as a platform team has it.
fn mesh(namespace: &str) -> Value {
    let host = |color: &str| format!("chat-{color}.{namespace}.svc.cluster.local");
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": NAME, "annotations": {"argocd.argoproj.io/tracking-id": "llm:networking.istio.io/VirtualService:llm/mesh"}},
        "spec": {
            "hosts": ["chat.example"], "gateways": ["mesh", "infra/public"],
            "http": [
                {"name": "health", "match": [{"uri": {"exact": "/healthz"}}], "directResponse": {"status": 200}},
                {
                    "name": "chat", "match": [{"headers": {"x-tier": {"exact": "gold"}}, "uri": {"prefix": "/v1"}}],
                    "timeout": "300s", "retries": {"attempts": 2, "perTryTimeout": "30s"},
                    "mirror": {"host": "shadow"}, "mirrorPercentage": {"value": 5.5},
                    "route": [
                        {"destination": {"host": host("green"), "port": {"number": 8000}}, "weight": 0, "headers": {"response": {"add": {"x-color": "green"}}}},
                        {"destination": {"host": host("blue"), "port": {"number": 8000}}, "weight": 100},
                    ],
                },
            ],
        },
    })
}

fn api(stand: &Stand) -> Api<DynamicObject> {
    stand.space.api("networking.istio.io/v1", "VirtualService")
}

/// The weights of blue and green.
fn weights(object: &Value) -> [i64; 2] {
    [1, 0].map(|n| object["spec"]["http"][1]["route"][n]["weight"].as_i64().unwrap_or(-1))
}

/// What nobody may change: the object without its weights and without what the API server counts.
fn frame(object: &Value) -> Value {
    let mut frame = json!({"spec": object["spec"], "annotations": object["metadata"]["annotations"]});
    for n in [0, 1] {
        frame["spec"]["http"][1]["route"][n]["weight"].take();
    }
    frame
}

fn seen(film: &Film) -> Vec<[i64; 2]> {
    let mut all: Vec<[i64; 2]> = film.frames().iter().filter_map(|f| f.object.as_deref().map(weights)).collect();
    all.dedup();
    all
}

/// 50 and 100 percent beside an `HTTPRoute`; then somebody else's hand, and the object gone.
pub(super) async fn a_virtual_service_moves_with_the_route(stand: &Stand) -> Result<(), KitError> {
    let first = stand.space.apply(&mesh(&stand.space.name)).await?;
    let traffic =
        json!([{"service": {"name": "chat"}}, {"httpRoute": {"name": "chat"}}, {"virtualService": {"name": NAME}}]);
    let wish = |version: &str| Wish { traffic: traffic.clone(), ..Wish::new(version) };
    let service = stand.serve(&wish("v1"), &LoadPlan::default()).await?;
    let film = Film::start(api(stand), NAME).await?;
    service.apply(stand, &wish("v2").steps(&[(50, "4s"), (100, "4s")]).manifest()).await?;
    service.holding(50, STEP).await?;
    service.rollout.until("v2 is promoted", STEP, is_promoted).await?;
    let report = stand.end(service.load).await?;
    claim(report.failed == 0, || report.words())?;
    film.until("all is green's", STEP, |object| weights(object) == [0, 100]).await?;
    claim(seen(&film) == [[100, 0], [50, 50], [0, 100]], || format!("the weights were {:?}", seen(&film)))?;

    let other = PatchParams { field_manager: Some("somebody".to_owned()), ..PatchParams::default() };
    let change: Patch<()> = Patch::Json(
        serde_json::from_value(json!([
            {"op": "replace", "path": "/spec/http/1/route/0/weight", "value": 60},
            {"op": "replace", "path": "/spec/http/1/route/1/weight", "value": 40},
        ]))
        .map_err(KitError::failed("the weights"))?,
    );
    api(stand).patch(NAME, &other, &change).await.map_err(KitError::api("somebody's weights"))?;
    film.until("somebody's weights", STEP, |object| weights(object) == [40, 60]).await?;
    film.until("they are put right", STEP, |object| weights(object) == [0, 100]).await?;
    let changed = film.frames().into_iter().filter_map(|f| f.object).find(|object| frame(object) != frame(&first));
    claim(changed.is_none(), || format!("it was {first}, and became {changed:?}"))?;

    api(stand).delete(NAME, &DeleteParams::default()).await.map_err(KitError::api("deleting it"))?;
    let named = |rollout: &Value| {
        let accepted = space::condition(rollout, "Accepted");
        let words = accepted.and_then(|c| c["message"].as_str()).unwrap_or_default().to_owned();
        accepted.is_some_and(|c| c["reason"] == "RouteNotFound")
            && words.starts_with("VirtualService mesh does not exist")
    };
    service.rollout.until("its absence is named", STEP, named).await.map(drop)
}
