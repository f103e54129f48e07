//! Claims about a provider that is no Prometheus but speaks as one. Nothing here is asked of Prometheus itself.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    operators::own_operator_asking,
    stand::{Stand, is_promoted},
};
use crate::kit::{KitError, LoadPlan, Wish, claim, victoria::Victoria};

const STEP: Duration = Duration::from_mins(1);

/// Limits, and one gate that weighs raw samples.
fn wish(version: &str) -> Wish {
    let mut wish = Wish { replicas: 1, ..Wish::new(version) };
    if let Some(gates) = wish.gates.as_array_mut() {
        gates.push(json!({
            "name": "weighed", "metric": "errorRate", "statistical": {"relative": "100%", "absolute": "5pp"}, "interval": "2s",
        }));
        for gate in gates {
            gate["noData"] = json!({"budget": "10m"});
        }
    }
    wish
}

/// With VictoriaMetrics as its only provider a release is judged, promoted, and the next one taken back: instant questions,
/// raw samples, and what is found out before the first step.
pub(super) async fn victoria_metrics_is_asked_as_well(stand: &Stand) -> Result<(), KitError> {
    let victoria = Victoria::start(&stand.space).await?;
    let own = own_operator_asking(stand, &json!({"url": victoria.url})).await?;
    let service = stand.serve(&wish("v1"), &LoadPlan::default()).await?;
    service.apply(stand, &wish("v2").steps(&[(50, "10s"), (100, "5s")]).manifest()).await?;
    let promoted = service.rollout.until("v2 is judged and promoted", STEP * 2, is_promoted).await?;
    let gates = promoted.object.as_deref().map(|rollout| rollout["status"]["gates"].clone()).unwrap_or_default();
    let passed = |gate: &Value| gate["verdict"] == "Pass" && gate["samples"].as_i64().is_some_and(|n| n > 0);
    let all = gates.as_array().is_some_and(|all| all.len() == 4 && all.iter().all(passed));
    claim(all, || format!("promoted with {gates}"))?;
    let worse = wish("v3").with("SIM_ERROR_SHARE", "0.3").steps(&[(50, "60s"), (100, "5s")]);
    service.apply(stand, &worse.manifest()).await?;
    let back = service.phase("RolledBack", STEP).await?;
    let status = back.object.as_deref().map(|rollout| rollout["status"].clone()).unwrap_or_default();
    claim(status["reason"] == "GateFailed", || format!("it was taken back for {status}"))?;
    stand.end(service.load).await?;
    own.uninstall().await
}
