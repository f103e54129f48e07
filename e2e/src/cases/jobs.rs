//! Claims about gates on the number of a Job, run on the lab's node: a good one ends each step, a bad one takes traffic
//! back, a Job that fails moves nothing; and none is run twice. Nothing here makes a candidate bad by its metrics.

use std::time::Duration;

use serde_json::{Value, json};

use super::stand::{Stand, is_promoted};
use crate::kit::{KitError, LoadPlan, Wish, claim};

const STEP: Duration = Duration::from_mins(1);

fn wish(version: &str) -> Wish {
    let job = json!({"cronJob": "eval", "value": "accuracy", "timeout": "30s"});
    let gates = json!([{"name": "accuracy", "job": job, "min": "90%", "noData": {"budget": "10m"}}]);
    Wish { replicas: 1, gates, ..Wish::new(version) }.steps(&[(50, "2s"), (100, "2s")])
}

/// A `CronJob` that never runs by itself, whose Jobs do this and may write their last words to `$1`.
pub(super) fn cron_job(name: &str, script: &str) -> Value {
    let container = json!({
        "name": name, "image": "llm-sim:v1",
        "command": ["/bin/sh", "-c", script, "sh", "/dev/termination-log"],
    });
    json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name},
        "spec": {
            "schedule": "0 0 1 1 *", "suspend": true,
            "jobTemplate": {"spec": {"backoffLimit": 0, "template": {
                // A label that would make it one of green's pods.
                "metadata": {"labels": {"llmrollout.io/color": "green"}},
                "spec": {"restartPolicy": "Never", "containers": [container]},
            }}},
        },
    })
}

fn finds(accuracy: &str) -> Value {
    cron_job("eval", &format!(r#"printf '{{"accuracy":{accuracy},"of":"%s"}}' "$LLMROLLOUT_SERVICE" > "$1""#))
}

fn attempt(rollout: &Value) -> Option<i64> {
    rollout["status"]["attempt"]["id"].as_i64()
}

/// A number that is good enough promotes, one that is not goes back, and a Job that fails holds until somebody aborts.
pub(super) async fn a_job_is_run_once_in_each_step_and_its_number_counts(stand: &Stand) -> Result<(), KitError> {
    stand.space.ground.lab()?;
    stand.space.apply(&finds("0.97")).await?;
    let service = stand.serve(&wish("v1"), &LoadPlan::default()).await?;
    service.apply(stand, &wish("v2").manifest()).await?;
    service.rollout.until("v2 is promoted", STEP, is_promoted).await?;
    let revision = stand.space.rollout().await?["status"]["activeRevision"].as_str().unwrap_or_default().to_owned();
    let told = jobs(stand).await?;
    let about = |weight: &str| [stand.space.name.as_str(), "chat", "green", "chat-green", &revision, weight].join(" ");
    claim(told == [about("100"), about("50")], || format!("the Jobs were about {told:?}"))?;

    stand.space.apply(&finds("0.5")).await?;
    service.apply(stand, &wish("v3").manifest()).await?;
    let back =
        |id: i64| move |rollout: &Value| rollout["status"]["phase"] == "RolledBack" && attempt(rollout) == Some(id);
    let seen = service.rollout.until("accuracy takes v3 back", STEP, back(3)).await?;
    let status = seen.object.as_deref().map(|rollout| rollout["status"].clone()).unwrap_or_default();
    let blamed = status["summary"].as_str().is_some_and(|s| s.starts_with("accuracy 50%<90%"));
    claim(blamed && status["reason"] == "GateFailed", || format!("accuracy was not blamed; the status is {status}"))?;

    stand.space.apply(&cron_job("eval", "exit 3")).await?;
    service.apply(stand, &wish("v4").manifest()).await?;
    let failed = |rollout: &Value| {
        attempt(rollout) == Some(4) && rollout["status"]["gates"][0]["reason"] == "Job: its pods failed too often"
    };
    service.rollout.until("the Job of v4 failed", STEP, failed).await?;
    // Long enough for a second one, if there were one.
    tokio::time::sleep(Duration::from_secs(8)).await;
    let (green, count) = (stand.space.weights().await?, jobs(stand).await?.len());
    claim((green.blue, count) == (50, 4), || {
        format!("with a failed Job the route stands at {green:?}, {count} Jobs ran")
    })?;
    service.change(stand, &json!({"abort": true})).await?;
    service.rollout.until("v4 is aborted", STEP, back(4)).await?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())
}

/// What the Jobs of the namespace were told, in an order; each has an owner, and none was run twice.
async fn jobs(stand: &Stand) -> Result<Vec<String>, KitError> {
    let mut told = Vec::new();
    for job in stand.space.list("batch/v1", "Job").await? {
        let pod = &job["spec"]["template"];
        let ran = ["succeeded", "failed"].iter().filter_map(|end| job["status"][end].as_i64()).sum::<i64>();
        let owned = job["metadata"]["ownerReferences"][0]["kind"] == "LlmRollout";
        let colored = pod["metadata"]["labels"].get("llmrollout.io/color").is_some();
        claim(owned && ran == 1 && !colored, || format!("a Job ran {ran} times: {job}"))?;
        let env = pod["spec"]["containers"][0]["env"].as_array().cloned().unwrap_or_default();
        told.push(env.iter().filter_map(|e| e["value"].as_str()).collect::<Vec<_>>().join(" "));
    }
    told.sort();
    Ok(told)
}
