//! Claims about what a provider is found to have before a release begins: `auto` finds the engine, and a gate that can
//! never speak keeps the release at its start. Nothing here makes a version bad.

use std::time::Duration;

use llmrollout_core::api::exporters::Profile;
use serde_json::{Value, json};

use super::{
    dialects::{wish, word},
    stand::{Stand, is_promoted},
};
use crate::kit::{KitError, LoadPlan, Wish, claim, space};

const SOON: Duration = Duration::from_secs(40);
const RELEASE: Duration = Duration::from_secs(80);

pub(super) async fn auto_finds_vllm(stand: &Stand) -> Result<(), KitError> {
    auto_finds(stand, Profile::Vllm, "vllm:request_success_total").await
}

pub(super) async fn auto_finds_sglang(stand: &Stand) -> Result<(), KitError> {
    auto_finds(stand, Profile::Sglang, "sglang:num_requests_total").await
}

/// The engine is named by nobody; every gate that it can answer is judged, and the release arrives.
async fn auto_finds(stand: &Stand, profile: Profile, name: &str) -> Result<(), KitError> {
    let auto = |version: &str| wish(profile, version).map(with_profile("auto"));
    let service = stand.serve(&auto("v1")?, &LoadPlan::default()).await?;
    // As long as a model loads there is time to find the engine, and then to see how far the samples of the old one are apart:
    // questions five seconds apart, on a machine that others use too.
    let v2 = auto("v2")?.with("SIM_LOAD_TIME_MS", "25000");
    service.apply(stand, &v2.manifest()).await?;
    service.rollout.until("v2 is promoted", RELEASE, is_promoted).await?;
    let found = stand.space.rollout().await?["status"]["metrics"].take();
    let names = found["found"].as_array().into_iter().flatten().any(|found| found == name);
    // The lab's Prometheus scrapes each second, and its samples say so.
    let spaced = found["scrapeInterval"] == "1s";
    let good = found["profile"] == word(profile) && names && found["missing"].is_null() && spaced;
    claim(good, || format!("status.metrics is {found}"))?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())
}

/// Nobody scrapes the pods: the release waits before its first share and says which flag to set; it begins when the
/// manifest names no such gate any more.
pub(super) async fn missing_exporter_holds_the_start_and_names_its_flag(stand: &Stand) -> Result<(), KitError> {
    let service = stand.serve(&unscraped("v1"), &LoadPlan::default()).await?;
    service.apply(stand, &unscraped("v2").manifest()).await?;
    let held = |r: &Value| r["status"]["reason"] == "SourceMissing" && space::phase(r) == "Preparing";
    let seen = service.rollout.until("the release is held at its start", SOON, held).await?;
    let status = seen.object.as_deref().map_or(Value::Null, |r| r["status"].clone());
    let words = status["message"].as_str().unwrap_or_default();
    claim(words.contains("`--enable-metrics`") && words.contains("sglang:"), || format!("the message is {words}"))?;
    let missing = status["metrics"]["missing"].as_array().map_or(0, Vec::len);
    claim(missing == 3, || format!("status.metrics is {}", status["metrics"]))?;
    tokio::time::sleep(stand.rest).await;
    let weights = stand.space.weights().await?;
    claim(weights.green == 0, || format!("the route stands at {weights:?}"))?;
    let none = json!({"metrics": {"profile": "none", "prices": null}, "gates": null, "manual": true});
    service.change(stand, &none).await?;
    service.holding(50, SOON).await?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())
}

/// A server that nobody scrapes. Its pods take their time, enough for an answer before the candidate is up.
fn unscraped(version: &str) -> Wish {
    let wish = with_profile("sglang")(Wish::new(version)).steps(&[(50, "60s"), (100, "3s")]);
    let mut release = wish.manifest()["spec"]["release"].take();
    let pods = &mut release["template"]["podTemplate"];
    pods["metadata"]["annotations"] = json!({});
    pods["spec"]["containers"][0]["readinessProbe"]["initialDelaySeconds"] = json!(4);
    wish.more(&json!({"release": release}))
}

/// The same wish with other words for the exporter.
fn with_profile(profile: &'static str) -> impl Fn(Wish) -> Wish {
    move |wish| {
        let mut metrics = wish.manifest()["spec"]["metrics"].take();
        metrics["profile"] = json!(profile);
        wish.more(&json!({"metrics": metrics}))
    }
}
