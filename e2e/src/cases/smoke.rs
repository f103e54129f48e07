//! Claims about what is asked of the candidate itself: it is warmed up and looked at before it gets any traffic, with headers
//! of a Secret, after the way back was rehearsed; and one that answers wrongly gets none.

use std::time::Duration;

use serde_json::{Value, json};

use super::stand::{Service, Stand, is_promoted};
use crate::kit::{KitError, LoadPlan, Wish, claim, space::Weights};

const STEP: Duration = Duration::from_secs(40);

/// The message of a check that passed.
fn passed<'a>(rollout: &'a Value, name: &str) -> Option<&'a str> {
    let all = rollout["status"]["attempt"]["checks"].as_array()?;
    all.iter().find(|one| one["name"] == name && one["state"] == "Passed")?["message"].as_str()
}

/// A Secret with a header, which the operator may read.
pub(super) async fn headers(stand: &Stand, secret: &str) -> Result<(), KitError> {
    let meta = |name: &str| json!({"name": name, "labels": {"llmrollout.io/headers": "true"}});
    let (rbac, group) = ("rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io");
    let (name, account) = (stand.operator.full_name(), &stand.operator);
    let rule = json!({"apiGroups": [""], "resources": ["secrets"], "resourceNames": [secret], "verbs": ["get"]});
    let subject = json!({"kind": "ServiceAccount", "name": name, "namespace": account.namespace});
    let reads = json!({"apiGroup": group, "kind": "Role", "name": "keys"});
    for made in [
        json!({"apiVersion": rbac, "kind": "Role", "metadata": meta("keys"), "rules": [rule]}),
        json!({"apiVersion": rbac, "kind": "RoleBinding", "metadata": meta("keys"), "roleRef": reads, "subjects": [subject]}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": meta(secret), "stringData": {"authorization": "Bearer xyzzy"}}),
    ] {
        stand.space.apply(&made).await?;
    }
    Ok(())
}

fn looked_at(version: &str, contains: &str) -> Wish {
    let body = r#"{"model": "sim-model", "prompt": "2 + 2 =", "max_tokens": 4}"#;
    let more = json!({
        "preflight": [{"name": "way-back", "rehearsal": {}}],
        "warmUp": {
            "requests": 2, "path": "/v1/completions", "body": body, "model": "sim-model", "until": {"ttft": "150ms"},
            "headersFrom": {"secret": "keys"}, "timeout": "30s",
        },
        "smoke": [
            {"name": "models", "http": {"path": "/v1/models", "contains": contains}, "retries": 1, "timeout": "5s"},
            {"name": "answer", "http": {"path": "/v1/completions", "body": body, "status": 200, "within": "5s", "headersFrom": {"secret": "keys"}}},
        ],
    });
    // Its first answers take twenty times as long.
    let slow = Wish { replicas: 2, ..Wish::new(version) }.with("SIM_WARM_UP_REQUESTS", "3");
    slow.with("SIM_WARM_UP_FACTOR", "20").steps(&[(50, "3s"), (100, "3s")]).more(&more)
}

/// Warmed up and looked at, then promoted; then one that does not list what it should: it never gets a request.
pub(super) async fn a_candidate_is_looked_at_before_it_gets_traffic(stand: &Stand) -> Result<(), KitError> {
    headers(stand, "keys").await?;
    let service = stand.serve(&Wish { replicas: 1, ..Wish::new("v1") }, &LoadPlan::default()).await?;
    service.apply(stand, &looked_at("v2", "sim-model").manifest()).await?;
    let seen = service.rollout.until("v2 is promoted", STEP, is_promoted).await?;
    let rollout = seen.object.as_deref().cloned().unwrap_or_default();
    let said = |name: &str| passed(&rollout, name).unwrap_or_default().to_owned();
    let warm = said("warmUp");
    claim(warm.starts_with("2 pods are warm, the first token comes within "), || format!("warmUp said {warm:?}"))?;
    for (name, word) in [
        ("smoke/models", "answered 200 in "),
        ("smoke/answer", "answered 200 in "),
        ("way-back", "took the full share of blue again"),
    ] {
        claim(said(name).contains(word), || format!("{name} said {:?}", said(name)))?;
    }
    claim(!rollout.to_string().contains("xyzzy"), || "a header stands in the rollout".to_owned())?;
    let before = service.load.report().await?;
    gets_nothing(stand, &service).await?;
    let report = stand.end(service.load).await?;
    claim(!before.by_version.contains_key("v3") && !report.by_version.contains_key("v3"), || {
        format!("v3 was asked: {}", report.words())
    })?;
    claim(report.is_flawless(), || report.words())
}

async fn gets_nothing(stand: &Stand, service: &Service) -> Result<(), KitError> {
    service.apply(stand, &looked_at("v3", "another-model").manifest()).await?;
    let back = |r: &Value| r["status"]["phase"] == "RolledBack" && r["status"]["reason"] == "CheckFailed";
    let seen = service.rollout.until("v3 is taken back", STEP, back).await?;
    let message = seen.object.as_deref().map(|r| r["status"]["message"].clone()).unwrap_or_default();
    claim(message == "check smoke/models failed: its answer does not hold what `contains` says", || {
        format!("it said {message}")
    })?;
    let share = service.route.last().map_or(100, |route| Weights::of(&route).blue);
    claim(share == 0, || format!("blue, where v3 came up, has {share}%"))
}
