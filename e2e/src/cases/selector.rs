//! Claims about a rollout that has only a front Service: no split, one step, the same care.
//! Nothing here has a route.

use std::time::Duration;

use serde_json::{Value, json};

use super::stand::{Stand, is_promoted};
use crate::kit::{Film, KitError, LoadPlan, Wish, claim, recipe::NAME};

const STEP: Duration = Duration::from_mins(1);

/// The colors the selector pointed to, in order.
fn colors_of(film: &Film) -> Vec<String> {
    let mut colors: Vec<String> = Vec::new();
    for object in film.frames().iter().filter_map(|frame| frame.object.clone()) {
        let color = object["spec"]["selector"]["llmrollout.io/color"].as_str().unwrap_or_default().to_owned();
        if colors.last() != Some(&color) {
            colors.push(color);
        }
    }
    colors
}

/// v2 is promoted, and v3, which fails, is taken back, for callers of the front Service's address.
pub(super) async fn selector_only_rollout_promotes_and_rolls_back(stand: &Stand) -> Result<(), KitError> {
    stand.space.ground.lab()?;
    let wish = |version: &str| Wish {
        traffic: json!([{"service": {"name": NAME}}]),
        ..Wish::new(version).steps(&[(100, "4s")])
    };
    stand.space.install(&wish("v1")).await?;
    let front = Film::start(stand.space.services(), NAME).await?;
    let address = front.last().as_deref().and_then(|service| service["spec"]["clusterIP"].as_str().map(str::to_owned));
    let url = format!("http://{}/v1/chat/completions", address.unwrap_or_default());
    // A connection that is there stays where it is: only new ones follow a selector.
    let plan = LoadPlan { url: Some(url), new_connection_share: 1.0, rps: 40, ..LoadPlan::default() };
    let service = stand.serve_installed(&plan).await?;
    service.apply(stand, &wish("v2").manifest()).await?;
    service.rollout.until("v2 is promoted", STEP, is_promoted).await?;
    service.load.mark("v2").await?;
    service.apply(stand, &wish("v3").with("SIM_ERROR_SHARE", "0.3").manifest()).await?;
    let back = service.phase("RolledBack", STEP).await?;
    let reason = back.object.as_deref().map_or(Value::Null, |rollout| rollout["status"]["reason"].clone());
    claim(reason == "GateFailed", || format!("the reason is {reason}"))?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    service.load.mark("back").await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let report = stand.end(service.load).await?;
    let others = report.failures.iter().filter(|failure| failure.version.as_deref() != Some("v3")).count();
    claim(report.failed_unanswered == 0 && others == 0, || report.words())?;
    let colors = colors_of(&front);
    claim(colors == ["blue", "green", "blue", "green"], || format!("the selector was {colors:?}"))?;
    let late = report.phase("back").by_version;
    claim(late.keys().eq(["v2"]), || format!("after the way back there answered {late:?}"))
}
