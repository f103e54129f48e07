//! Claims about how large the colors are: an autoscaler of each, with a floor while a release is under way, and a candidate
//! that grows with its share.

use std::time::Duration;

use serde_json::{Value, json};

use super::stand::{Service, Stand, is_holding, is_promoted};
use crate::kit::{Film, KitError, LoadPlan, Wish, claim, space::weights_seen};

const SOON: Duration = Duration::from_secs(30);
const HPA: (&str, &str) = ("autoscaling/v2", "HorizontalPodAutoscaler");
const KEDA: (&str, &str) = ("keda.sh/v1alpha1", "ScaledObject");

fn wish(version: &str, steps: &[(i32, &str)], template: &Value) -> Wish {
    let plain = Wish::new(version).steps(steps);
    let mut release = plain.manifest()["spec"]["release"].clone();
    if let (Some(all), Some(more)) = (release["template"].as_object_mut(), template.as_object()) {
        all.extend(more.clone());
    }
    plain.more(&json!({"release": release}))
}

async fn film(stand: &Stand, (api_version, kind): (&str, &str), name: &str) -> Result<Film, KitError> {
    Film::start(stand.space.api(api_version, kind), name).await
}

async fn deployment(stand: &Stand, name: &str) -> Result<Film, KitError> {
    film(stand, ("apps/v1", "Deployment"), name).await
}

/// Waits until a Deployment has so many pods, all ready.
async fn has(film: &Film, pods: i64) -> Result<(), KitError> {
    let all = |d: &Value| d["spec"]["replicas"] == pods && d["status"]["readyReplicas"].as_i64().unwrap_or(0) == pods;
    film.until(&format!("{pods} pods"), SOON, all).await.map(drop)
}

/// What an autoscaler does when it sees no load: fewer pods.
async fn shrink(stand: &Stand, name: &str, pods: i64) -> Result<(), KitError> {
    stand.space.merge("apps/v1", "Deployment", name, &json!({"spec": {"replicas": pods}})).await.map(drop)
}

/// The real autoscaler brings a color back to its floor, which is what served when the release began; after the way back,
/// and after the last bake, the manifest's own bounds count again, and what is retired is scaled by nobody.
pub(super) async fn an_autoscaler_of_each_color_keeps_what_serves(stand: &Stand) -> Result<(), KitError> {
    let scaled =
        json!({"replicas": 2, "autoscaler": {"horizontalPodAutoscaler": {"minReplicas": 1, "maxReplicas": 5}}});
    let (of_blue, of_green) = (film(stand, HPA, "chat-blue").await?, film(stand, HPA, "chat-green").await?);
    let (blue, green) = (deployment(stand, "chat-blue").await?, deployment(stand, "chat-green").await?);
    let service = stand.serve(&wish("v1", &[(50, "3s"), (100, "30s")], &scaled), &LoadPlan::default()).await?;
    bounds(&of_blue, "chat-blue", (1, 5)).await?;
    // Load asks for three, and nobody puts that right.
    shrink(stand, "chat-blue", 3).await?;
    has(&blue, 3).await?;
    service.apply(stand, &wish("v2", &[(50, "3s"), (100, "30s")], &scaled).manifest()).await?;
    service.rollout.until("half", SOON * 2, |r| is_holding(r, 50)).await?;
    has(&green, 3).await?;
    bounds(&of_green, "chat-green", (3, 5)).await?;
    bounds(&of_blue, "chat-blue", (3, 5)).await?;
    service.rollout.until("everything", SOON * 2, |r| is_holding(r, 100)).await?;
    shrink(stand, "chat-blue", 1).await?;
    blue.until("one pod is wanted", SOON, |d| d["spec"]["replicas"] == 1).await?;
    has(&blue, 3).await?;
    stand.space.change(&json!({"abort": true})).await?;
    service.phase("RolledBack", SOON).await?;
    bounds(&of_blue, "chat-blue", (1, 5)).await?;
    promoted(stand, &service, &scaled).await?;
    of_blue.until_gone(SOON).await?;
    blue.until("nothing is left of blue", SOON, |d| d["spec"]["replicas"] == 0).await?;
    bounds(&of_green, "chat-green", (1, 5)).await?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())
}

/// The next revision arrives.
async fn promoted(stand: &Stand, service: &Service, scaled: &Value) -> Result<(), KitError> {
    let mut next = wish("v3", &[(50, "2s"), (100, "2s")], scaled).manifest();
    next["spec"]["abort"] = json!(false);
    service.apply(stand, &next).await?;
    service.rollout.until("v3 is promoted", SOON * 2, is_promoted).await.map(drop)
}

async fn bounds(film: &Film, name: &str, (min, max): (i64, i64)) -> Result<(), KitError> {
    let what = format!("{name} is scaled from {min} to {max}");
    let so = |h: &Value| {
        let spec = &h["spec"];
        let target = &spec["scaleTargetRef"];
        spec["minReplicas"] == min && spec["maxReplicas"] == max && target["name"] == *name && owned(h, name)
    };
    film.until(&what, SOON, so).await.map(drop)
}

fn owned(object: &Value, deployment: &str) -> bool {
    let owner = &object["metadata"]["ownerReferences"][0];
    owner["kind"] == "Deployment" && owner["name"] == *deployment
}

/// Of four pods one, two and four, and never a share before its pods; KEDA's objects are taken by their schema.
pub(super) async fn a_candidate_grows_with_its_share(stand: &Stand) -> Result<(), KitError> {
    let trigger = json!({"type": "prometheus", "metadata": {"serverAddress": "http://prometheus:9090", "query": "up", "threshold": "1"}});
    let scaled = json!({
        "replicas": 4, "capacity": "proportional",
        "autoscaler": {"scaledObject": {"minReplicaCount": 1, "maxReplicaCount": 4, "triggers": [trigger]}},
    });
    let steps = [(25, "3s"), (50, "3s"), (100, "3s")];
    let (of_green, green) = (film(stand, KEDA, "chat-green").await?, deployment(stand, "chat-green").await?);
    let service = stand.serve(&wish("v1", &steps, &scaled), &LoadPlan::default()).await?;
    service.apply(stand, &wish("v2", &steps, &scaled).manifest()).await?;
    service.rollout.until("v2 is promoted", SOON * 3, is_promoted).await?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())?;
    let seen = |film: &Film, field: &str| {
        let all = film.frames().into_iter().filter_map(|f| f.object.as_ref()?["spec"][field].as_i64());
        let mut numbers: Vec<i64> = all.collect();
        numbers.dedup();
        numbers
    };
    let (pods, floors) = (seen(&green, "replicas"), seen(&of_green, "minReplicaCount"));
    claim(pods == [1, 2, 4], || format!("green had {pods:?} pods"))?;
    claim(floors == [1, 2, 4, 1], || format!("green's floor was {floors:?}"))?;
    for (weights, frame) in weights_seen(&service.route) {
        let ready = green.frames().into_iter().filter(|f| f.at <= frame.at).filter_map(|f| f.object).next_back();
        let ready = ready.and_then(|d| d["status"]["readyReplicas"].as_i64()).unwrap_or(0);
        claim(ready * 25 >= weights.green, || format!("{}% of green stood on {ready} pods", weights.green))?;
    }
    Ok(())
}

/// Somebody shrinks what serves while it has nothing: the way home gives it its pods back before it has its traffic.
pub(super) async fn the_way_home_gives_blue_its_pods_back(stand: &Stand) -> Result<(), KitError> {
    let rollback =
        json!({"deadline": "1s", "verify": {"quietFor": "0s", "recoverWithin": "0s"}, "raiseBlueFloor": true});
    let wish = |version: &str| {
        let rollback = json!({"rollback": rollback});
        Wish { replicas: 3, ..Wish::new(version) }.steps(&[(50, "2s"), (100, "60s")]).more(&rollback)
    };
    let service = stand.serve(&wish("v1"), &LoadPlan::default()).await?;
    let blue = deployment(stand, "chat-blue").await?;
    service.apply(stand, &wish("v2").manifest()).await?;
    service.rollout.until("everything", SOON * 2, |r| is_holding(r, 100)).await?;
    shrink(stand, "chat-blue", 1).await?;
    has(&blue, 1).await?;
    stand.space.change(&json!({"abort": true})).await?;
    service.phase("RolledBack", SOON).await?;
    has(&blue, 3).await?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())
}

/// Nothing of blue is left when green is not wanted any more: traffic stays where some answer is, or, where the manifest says
/// so, goes back to where there is none.
pub(super) async fn no_answer_is_better_where_the_manifest_says_so(stand: &Stand) -> Result<(), KitError> {
    let wish = |version: &str, then: &str| {
        let verify = json!({"quietFor": "0s", "recoverWithin": "0s"});
        let rollback = json!({"rollback": {"deadline": "4s", "verify": verify, "onNoHealthyBlue": then}});
        Wish { replicas: 1, ..Wish::new(version) }.steps(&[(50, "2s"), (100, "60s")]).more(&rollback)
    };
    let service = stand.serve(&wish("v1", "Hold"), &LoadPlan::default()).await?;
    let blue = deployment(stand, "chat-blue").await?;
    service.apply(stand, &wish("v2", "Hold").manifest()).await?;
    service.rollout.until("everything", SOON * 2, |r| is_holding(r, 100)).await?;
    shrink(stand, "chat-blue", 0).await?;
    has(&blue, 0).await?;
    stand.space.change(&json!({"abort": true})).await?;
    let late = |r: &Value| !r["status"]["attempt"]["late"].is_null();
    let seen = service.rollout.until("it is told that it takes long", SOON, late).await?;
    let rollout = seen.object.as_deref().cloned().unwrap_or_default();
    claim(rollout["status"]["reason"] == "ActiveUnready", || format!("{}", rollout["status"]))?;
    let stood = stand.space.weights().await?;
    claim(stood.green == 100, || format!("the route stood at {stood:?}"))?;
    let Service { rollout, load, .. } = service;
    let report = stand.end(load).await?;
    claim(report.is_flawless(), || report.words())?;
    stand.space.change(&json!({"rollback": {"onNoHealthyBlue": "Return"}})).await?;
    rollout.until("RolledBack", SOON, |r| r["status"]["phase"] == "RolledBack").await?;
    let home = stand.space.weights().await?;
    claim(home.blue == 100, || format!("the route stands at {home:?}"))
}
