//! Claims about what the real helm does to the operator while a release is under way.
//! Nothing here kills anything.

use std::time::Duration;

use serde_json::Value;

use super::{
    operators::own_operator,
    stand::{Stand, is_promoted},
};
use crate::kit::{
    KitError, LoadPlan, Weights, Wish, claim,
    operator::{Install, root, run as tool},
    pods, space,
};

const STEP: Duration = Duration::from_mins(1);

/// `helm test` asks the provider; an upgrade and a rollback of the chart at 20 % lose no step; after an uninstall at 50 %
/// both colors go on serving, rollout and CRDs stay, and who installs again finishes the release.
pub(super) async fn helm_changes_the_operator_in_the_middle_of_a_release(stand: &Stand) -> Result<(), KitError> {
    let own = own_operator(stand, 2).await?;
    helm(&own, &["test", &own.release, "--timeout", "30s"]).await?;
    let said = pods::logs(&stand.space.ground, &own.namespace, &format!("{}-test-providers", own.full_name()))?;
    claim(said.contains("default: answers, "), || format!("the pod of helm test said\n{said}"))?;
    let service = stand.serve(&Wish::new("v1"), &LoadPlan::default()).await?;
    service.apply(stand, &Wish::new("v2").steps(&[(20, "8s"), (50, "20s"), (100, "3s")]).manifest()).await?;
    service.holding(20, STEP).await?;
    let chart = root().join("charts/llmrollout").display().to_string();
    let changed =
        ["upgrade", &own.release, &chart, "--skip-crds", "--reuse-values", "--set", "config.log=text", "--wait"];
    helm(&own, &changed).await?;
    helm(&own, &["rollback", &own.release, "1", "--wait"]).await?;
    service.holding(50, STEP).await?;
    helm(&own, &["uninstall", &own.release, "--wait", "--timeout", "60s"]).await?;
    service.load.mark("nobody there").await?;
    left_as_it_was(stand).await?;
    own.install(&stand.space.ground).await?;
    service.rollout.until("v2 is promoted", STEP, is_promoted).await?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())?;
    let greens: Vec<_> = space::weights_seen(&service.route).iter().map(|(weights, _)| weights.green).collect();
    claim(greens == [0, 20, 50, 100], || format!("green's weights in the route were {greens:?}"))?;
    own.uninstall().await
}

/// For longer than the hold has left: nobody is there to go on, and nobody to take anything away.
async fn left_as_it_was(stand: &Stand) -> Result<(), KitError> {
    tokio::time::sleep(Duration::from_secs(5)).await;
    let weights = stand.space.weights().await?;
    claim(weights == Weights { blue: 50, green: 50 }, || format!("{weights:?} after the uninstall"))?;
    let rollout: Value = stand.space.rollout().await?;
    claim(space::phase(&rollout) == "Holding", || format!("phase {} after the uninstall", space::phase(&rollout)))?;
    for kind in ["llmrollouts", "llmrolloutorders", "llmgatesets"] {
        tool("kubectl", &["get", "crd", &format!("{kind}.llmrollout.io")]).await?;
    }
    Ok(())
}

async fn helm(own: &Install, words: &[&str]) -> Result<String, KitError> {
    tool("helm", &[words, &["--namespace", &own.namespace]].concat()).await
}
