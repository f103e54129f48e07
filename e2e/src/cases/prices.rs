//! Claims about prices that stand in a `ConfigMap`: one that is missing or wrong stops a step, and one that changes counts
//! without a word to the rollout. Nothing here makes a candidate answer more, or longer.

use std::time::Duration;

use serde_json::{Value, json};

use super::stand::{Stand, is_promoted};
use crate::kit::{KitError, LoadPlan, Wish, claim, recipe::NAME, space::condition};

const LIST: &str = "price-list";
const SOON: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_secs(40);

fn wish(version: &str, steps: &[(i32, &str)]) -> Wish {
    let metrics = json!({"profile": "vllm", "prices": {"configMap": LIST, "model": NAME}, "warmUp": "0s"});
    Wish { replicas: 1, ..Wish::new(version) }.steps(steps).more(&json!({"metrics": metrics}))
}

async fn list(stand: &Stand, labeled: bool, output: &str) -> Result<(), KitError> {
    let labels = if labeled { json!({"llmrollout.io/prices": "true"}) } else { json!({"team": "finance"}) };
    let list = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": LIST, "labels": labels},
        "data": {"asOf": "2026-08-01", "chat.input": "$0.50", "chat.output": output},
    });
    stand.space.apply(&list).await.map(drop)
}

fn refused<'a>(reason: &'a str, words: &'a str) -> impl Fn(&Value) -> bool + 'a {
    move |rollout| {
        condition(rollout, "Accepted").is_some_and(|accepted| {
            let says = accepted["message"].as_str().is_some_and(|message| message.contains(words));
            accepted["status"] == "False" && accepted["reason"] == reason && says
        })
    }
}

fn gate(rollout: &Value) -> Option<&Value> {
    rollout["status"]["gates"].as_array()?.iter().find(|gate| gate["name"] == "cost")
}

/// Without its label and with a price that cannot be read nothing moves, in words; the day of the list stands beside the
/// cost, and at a hundred times the price both colors are too dear, which is nobody's fault.
pub(super) async fn a_list_that_changes_is_seen_without_touching_the_rollout(stand: &Stand) -> Result<(), KitError> {
    list(stand, true, "$1.50").await?;
    let service = stand.serve(&wish("v1", &[(50, "5s"), (100, "5s")]), &LoadPlan::default()).await?;
    service.apply(stand, &wish("v2", &[(50, "10m"), (100, "5s")]).manifest()).await?;
    service.holding(50, STEP).await?;
    let passes = |rollout: &Value| {
        gate(rollout).is_some_and(|cost| {
            cost["verdict"] == "Pass"
                && cost["reason"].as_str().is_some_and(|day| day.starts_with("prices of 2026-08-01"))
        })
    };
    service.rollout.until("the cost passes, with the day of its prices", STEP, passes).await?;
    let before = stand.space.rollout().await?["metadata"]["generation"].clone();
    list(stand, false, "$1.50").await?;
    service
        .rollout
        .until("the list has lost its label", SOON, refused("PricesMissing", "llmrollout.io/prices"))
        .await?;
    list(stand, true, "-$1.50").await?;
    service.rollout.until("its price is none", SOON, refused("PricesUnreadable", "`-$1.50` is no price")).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let weights = stand.space.weights().await?;
    claim(weights.green == 50, || format!("the route stands at {weights:?}"))?;
    list(stand, true, "$1.50").await?;
    service.holding(50, SOON).await?;
    service.rollout.until("the cost passes again", STEP, passes).await?;
    list(stand, true, "$150.00").await?;
    let dear = |rollout: &Value| {
        gate(rollout).and_then(|cost| cost["reason"].as_str()).is_some_and(|why| why.starts_with("both colors fail it"))
    };
    service.rollout.until("the cost is that of the new price", STEP, dear).await?;
    list(stand, true, "$1.50").await?;
    let seen = service.rollout.until("the cost passes once more", STEP, passes).await?;
    let after = seen.object.as_deref().map(|rollout| rollout["metadata"]["generation"].clone());
    claim(after.as_ref() == Some(&before), || {
        format!("the rollout was touched: generation {before} became {after:?}")
    })?;
    service.apply(stand, &wish("v3", &[(50, "5s"), (100, "5s")]).manifest()).await?;
    service.rollout.until("v3 is promoted", Duration::from_secs(90), is_promoted).await?;
    stand.end(service.load).await.map(drop)
}
