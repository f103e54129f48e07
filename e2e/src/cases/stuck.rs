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
