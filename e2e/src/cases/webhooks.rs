//! Claims about a router behind a webhook: the example server is promoted through and taken back, and while it lies, hangs or
//! says no, nothing moves forward and everything else goes home without it. Nothing here makes a candidate bad.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::stand::{Service, Stand, is_promoted};
use crate::kit::{
    Frame, KitError, LoadPlan, Wish,
    balancer::{Balancer, Mood},
    claim,
    operator::Install,
    space,
};

const SOON: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_mins(1);
const LEASE: Duration = Duration::from_secs(4);
/// How long the operator waits for an answer; the way home must not.
const DEADLINE: Duration = Duration::from_secs(3);

fn wish(version: &str, steps: &[(i32, &str)]) -> Wish {
    let traffic = json!([{"service": {"name": "chat"}}, {"httpRoute": {"name": "chat"}}, {"webhook": {"name": "lb"}}]);
    Wish { traffic, ..Wish::new(version) }.steps(steps)
}

/// What `Accepted` says.
fn accepted(rollout: &Value) -> (&str, &str) {
    let found = space::condition(rollout, "Accepted");
    let text = |field: &str| found.and_then(|c| c[field].as_str()).unwrap_or_default();
    (text("reason"), text("message"))
}

async fn refused(service: &Service, reason: &str, words: &str) -> Result<Frame, KitError> {
    let said = |rollout: &Value| accepted(rollout).0 == reason && accepted(rollout).1.contains(words);
    service.rollout.until(&format!("{reason}: {words}"), SOON, said).await
}

/// The shares stay where they are, in the route and behind the webhook.
async fn stays(stand: &Stand, balancer: &Balancer, green: i64) -> Result<(), KitError> {
    let route = stand.space.weights().await?.green;
    let behind = balancer.green(&stand.space.name, "chat").await?;
    claim((route, behind) == (green, green), || format!("the route gives green {route}, the balancer {behind}"))
}

/// Promoted behind the open door; held while it lies, says no and hangs; and home without it.
pub(super) async fn a_webhook_is_promoted_and_taken_back_whatever_it_says(stand: &Stand) -> Result<(), KitError> {
    stand.space.ground.lab()?;
    let balancer = Balancer::start().await?;
    let routers = json!([{"name": "lb", "url": format!("{}/weights?of={{{{namespace}}}}/{{{{name}}}}", balancer.url)}]);
    let own = Install { routers, ..stand.own_operator(1, LEASE) };
    own.install(&stand.space.ground).await?;
    let service = stand.serve(&wish("v1", &[(100, "2s")]), &LoadPlan::default()).await?;
    service.apply(stand, &wish("v2", &[(20, "3s"), (100, "3s")]).manifest()).await?;
    service.rollout.until("v2 is promoted", STEP, is_promoted).await?;
    stays(stand, &balancer, 100).await?;
    // Blue is the candidate now. Its first step lies, its second is refused.
    service.apply(stand, &wish("v3", &[(20, "12s"), (50, "120s"), (100, "3s")]).manifest()).await?;
    service.holding(20, STEP).await?;
    balancer.be(Mood::Lies(r#"{"weights": {"blue": 60, "green": 50}}"#));
    refused(&service, "WebhookInvalid", "write two whole numbers that add up to 100").await?;
    stays(stand, &balancer, 80).await?;
    balancer.be(Mood::Moved);
    service.holding(20, SOON).await?;
    let shifting = |rollout: &Value| space::phase(rollout) == "Shifting";
    service.rollout.until("the second step is due", STEP, shifting).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    stays(stand, &balancer, 80).await?;
    balancer.be(Mood::Open);
    service.holding(50, STEP).await?;
    stays(stand, &balancer, 50).await?;
    home_without_it(stand, &service, &balancer).await?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())?;
    own.uninstall().await
}

/// It hangs: the route is home long before anybody has given it up; it is over when the webhook says so.
async fn home_without_it(stand: &Stand, service: &Service, balancer: &Balancer) -> Result<(), KitError> {
    balancer.be(Mood::Shut);
    let since = Instant::now();
    service.change(stand, &json!({"abort": true})).await?;
    let home = |route: &Value| space::Weights::of(route).green == 100;
    let seen = service.route.until("home", SOON, home).await?;
    let took = seen.at.saturating_duration_since(since);
    stand.note("abort_to_blue_ms", took);
    claim(took < DEADLINE, || format!("the route was home after {} ms", took.as_millis()))?;
    let waits = |rollout: &Value| {
        let message = rollout["status"]["message"].as_str().unwrap_or_default();
        space::phase(rollout) == "RollingBack" && message.contains("webhook lb")
    };
    service.rollout.until("it waits for the webhook", SOON, waits).await?;
    refused(service, "WebhookUnreachable", "did not answer in time").await?;
    let behind = balancer.green(&stand.space.name, "chat").await?;
    claim(behind == 50, || format!("the balancer has {behind} though its door is shut"))?;
    balancer.be(Mood::Open);
    service.phase("RolledBack", SOON).await?;
    stays(stand, balancer, 100).await
}
