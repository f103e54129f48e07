//! A service that runs before there is a rollout: taken over, released, and left again.
//! Nothing here makes a candidate bad.

use std::time::Duration;

use kube::api::DeleteParams;
use serde_json::{Value, json};

use super::stand::{Service, Stand, is_promoted};
use crate::kit::{
    Film, KitError, Load, LoadPlan, Weights, Wish, claim,
    recipe::{self, NAME},
};

const STEP: Duration = Duration::from_secs(40);
const SOON: Duration = Duration::from_secs(15);
const LEGACY: &str = "legacy";

/// Deployment and Service as a team has them, and a route that leads to nothing else.
async fn running(stand: &Stand) -> Result<(), KitError> {
    let labels = json!({"app": LEGACY});
    let mut pod = Wish::new("v1").manifest()["spec"]["release"]["template"]["podTemplate"].take();
    pod["metadata"]["labels"] = labels.clone();
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": LEGACY},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": pod},
    });
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": LEGACY},
        "spec": {"selector": labels, "ports": [{"port": 8000}]},
    });
    let mut route = recipe::route(&stand.space.ground.gateway, &stand.space.host());
    route["spec"]["rules"][0]["backendRefs"] = json!([{"name": LEGACY, "port": 8000}]);
    for object in [&deployment, &service, &route] {
        stand.space.apply(object).await?;
    }
    stand.space.poll_answers(Duration::from_secs(30)).await
}

/// In three writes, as the docs say: a gateway that learns of a Service only when it needs it answers 503 meanwhile, and
/// so does one that forgets a Service before it has heard that nothing leads there.
async fn moved_over(stand: &Stand, film: &Film) -> Result<(), KitError> {
    let last = recipe::route(&stand.space.ground.gateway, &stand.space.host());
    for (generation, [old, blue]) in [(2, [1, 0]), (3, [0, 100])] {
        let mut both = last.clone();
        let backends = &mut both["spec"]["rules"][0]["backendRefs"];
        backends[0]["weight"] = json!(blue);
        backends
            .as_array_mut()
            .into_iter()
            .for_each(|all| all.push(json!({"name": LEGACY, "port": 8000, "weight": old})));
        stand.space.apply(&both).await?;
        let followed =
            |route: &Value| route["status"]["parents"][0]["conditions"][0]["observedGeneration"] == generation;
        film.until("the gateway has seen the weights", SOON, followed).await?;
        // Nobody types faster.
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    stand.space.apply(&last).await.map(drop)
}

/// Names of the pods that bear a label, with their uids.
async fn pods(stand: &Stand, key: &str, value: &str) -> Result<Vec<(String, String)>, KitError> {
    let text = |pod: &Value, field: &str| pod["metadata"][field].as_str().unwrap_or_default().to_owned();
    let all = stand.space.list("v1", "Pod").await?;
    let mut names: Vec<_> = all
        .iter()
        .filter(|pod| pod["metadata"]["labels"][key] == value)
        .map(|pod| (text(pod, "name"), text(pod, "uid")))
        .collect();
    names.sort();
    Ok(names)
}

/// Under load: taken over before the route names the colors, moved over by hand, released, retired, and let go. No pod
/// starts anew, and no request fails.
pub(super) async fn a_service_that_runs_comes_and_leaves_without_a_failed_request(
    stand: &Stand,
) -> Result<(), KitError> {
    running(stand).await?;
    let load = Load::start(&stand.space, &LoadPlan::default()).await?;
    let before = pods(stand, "app", LEGACY).await?;

    let more = json!({"traffic": [{"httpRoute": {"name": NAME}}]});
    let adopting = |version: &str| {
        let mut manifest = Wish::new(version).steps(&[(20, "5s"), (100, "3s")]).more(&more).manifest();
        manifest["spec"]["release"]["template"]["adopt"] = json!({"deployment": LEGACY});
        manifest
    };
    stand.space.apply(&adopting("v1")).await?;
    let (rollout, route) = (stand.space.film().await?, stand.space.film_route().await?);
    let waits = |rollout: &Value| {
        let status = &rollout["status"];
        status["active"] == "blue" && status["message"].as_str().is_some_and(|m| m.contains("chat-blue"))
    };
    rollout.until("it is taken over, and the route is asked for", SOON, waits).await?;
    moved_over(stand, &route).await?;
    let rests = |rollout: &Value| rollout["status"]["reason"] == "UpToDate";
    rollout.until("nothing is to be released", SOON, rests).await?;
    let after = pods(stand, "app", LEGACY).await?;
    claim(before == after && before.len() == 2, || format!("the pods were {before:?} and are {after:?}"))?;

    let service = Service { rollout, route, load };
    service.apply(stand, &adopting("v2")).await?;
    service.holding(20, STEP).await?;
    let after = pods(stand, "app", LEGACY).await?;
    claim(before == after, || format!("the pods were {before:?} and at 20% are {after:?}"))?;
    service.rollout.until("v2 is promoted, and the old Deployment retired", STEP, is_promoted).await?;
    let legacy = stand.space.get("apps/v1", "Deployment", LEGACY).await?;
    claim(legacy["spec"]["replicas"] == 0, || format!("the old Deployment is {}", legacy["spec"]["replicas"]))?;
    let rollout = stand.space.rollout().await?;
    claim(rollout["status"]["adopted"].is_null(), || format!("still taken over: {}", rollout["status"]))?;

    let green = pods(stand, "llmrollout.io/color", "green").await?;
    let deleted = stand.space.rollouts().delete(NAME, &DeleteParams::default()).await;
    deleted.map_err(KitError::api("deleting the rollout"))?;
    service.rollout.until_gone(SOON).await?;
    // Long enough for the garbage collector to take what is still owned.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let weights = stand.space.weights().await?;
    claim(weights == Weights { blue: 0, green: 100 }, || format!("the route stands at {weights:?}"))?;
    let left = pods(stand, "llmrollout.io/color", "green").await?;
    claim(green == left && green.len() == 2, || format!("green's pods were {green:?} and are {left:?}"))?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())
}
