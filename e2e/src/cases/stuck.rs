//! Claims about pods that cannot come up: the rollout says at once which and why, traffic stays, and a revision that can
//! takes their place.

use std::time::Duration;

use serde_json::{Value, json};

use super::stand::{Stand, is_promoted};
use crate::kit::{KitError, LoadPlan, Wish, claim};

const NAMED: Duration = Duration::from_secs(30);

/// A container that ends by itself, a machine that is not there, an image that is nowhere; then a sound revision.
pub(super) async fn pods_that_cannot_come_up_are_named_with_their_reason(stand: &Stand) -> Result<(), KitError> {
    let wish = |version: &str| Wish { replicas: 1, ..Wish::new(version) }.steps(&[(50, "3s"), (100, "3s")]);
    let service = stand.serve(&wish("v1"), &LoadPlan::default()).await?;
    // It ends before it is ready: one that was ready for a moment would have got its share, and lost it.
    let crashes = wish("v2").with("SIM_LOAD_TIME_MS", "60000").with("SIM_CRASH_AFTER_MS", "100");
    let crashes = crashes.with("SIM_CRASH_CODE", "3").manifest();
    let (mut nowhere, mut no_image) = (wish("v3").manifest(), wish("v4").manifest());
    let spec = |manifest: &mut Value, field: &str, value: Value| {
        manifest["spec"]["release"]["template"]["podTemplate"]["spec"][field] = value;
    };
    spec(&mut nowhere, "nodeSelector", json!({"gpu": "h100"}));
    let image = "registry.invalid/llm:v4";
    no_image["spec"]["release"]["template"]["podTemplate"]["spec"]["containers"][0]["image"] = json!(image);
    for (manifest, why) in [
        (crashes, "CrashLoopBackOff: container server ended with 3".to_owned()),
        (nowhere, "Unschedulable: ".to_owned()),
        (no_image, format!("ImagePullBackOff: container server: {image}")),
    ] {
        service.apply(stand, &manifest).await?;
        let named = |r: &Value| {
            let (status, message) = (&r["status"], r["status"]["message"].as_str().unwrap_or_default());
            status["phase"] == "Preparing" && status["reason"] == "PodStuck" && message.contains(&why)
        };
        let seen = service.rollout.until(&why, NAMED, named).await?;
        let message = seen.object.as_deref().map(|r| r["status"]["message"].clone()).unwrap_or_default();
        claim(message.as_str().is_some_and(|m| m.contains("chat-green-")), || format!("no pod is named: {message}"))?;
    }
    service.apply(stand, &wish("v5").manifest()).await?;
    service.rollout.until("v5 is promoted", NAMED * 2, is_promoted).await?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())
}

/// A candidate for which there is no room is not made; one that finds room is.
pub(super) async fn a_candidate_finds_room_before_it_is_made(stand: &Stand) -> Result<(), KitError> {
    stand.space.ground.lab()?;
    let wish = |version: &str| Wish { replicas: 1, ..Wish::new(version) }.steps(&[(50, "3s"), (100, "3s")]);
    let service = stand.serve(&wish("v1"), &LoadPlan::default()).await?;
    let asks = |version: &str, gpus: &str| {
        let preflight = json!([{"name": "room", "capacity": {}, "timeout": "6s"}]);
        let mut manifest = wish(version).more(&json!({"preflight": preflight})).manifest();
        let server = &mut manifest["spec"]["release"]["template"]["podTemplate"]["spec"]["containers"][0];
        server["resources"] = json!({"requests": {"cpu": "100m"}, "limits": {"nvidia.com/gpu": gpus}});
        manifest
    };
    service.apply(stand, &asks("v2", "9999")).await?;
    let kept_away = |rollout: &Value| rollout["status"]["phase"] == "RolledBack";
    let seen = service.rollout.until("no room for v2", NAMED, kept_away).await?;
    let said = seen.object.as_deref().map(|r| r["status"]["message"].clone()).unwrap_or_default();
    let wanted = "check room failed: no room within its `timeout`: room for 0 of 1 pods, on 0 of 1 nodes that its pods may run on";
    claim(said == wanted, || format!("it said {said}"))?;
    let made = stand.space.list("apps/v1", "Deployment").await?;
    claim(made.iter().all(|d| d["metadata"]["name"] != "chat-green"), || "green was made without room".to_owned())?;
    service.apply(stand, &asks("v3", "1")).await?;
    let seen = service.rollout.until("v3 is promoted", NAMED * 2, is_promoted).await?;
    let checks = seen.object.as_deref().map(|r| r["status"]["attempt"]["checks"].clone()).unwrap_or_default();
    claim(checks[0]["message"] == "room for 1 pods on 1 of 1 nodes that its pods may run on", || format!("{checks}"))?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())
}
