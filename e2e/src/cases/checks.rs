//! Claims about what is checked before the steps and run beside them, on the lab's node: a check that fails keeps the candidate
//! from coming up, hooks run once and nothing waits for them, and an operator that dies meanwhile runs nothing twice.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{
    jobs::cron_job,
    operators::own_operator,
    stand::{Stand, is_promoted},
};
use crate::kit::{KitError, LoadPlan, Wish, claim, pods, recipe::never_holds};

const STEP: Duration = Duration::from_mins(1);

/// What a check or a hook of the attempt says in status: `checks` or `hooks`.
fn word<'a>(rollout: &'a Value, list: &str, name: &str) -> Option<&'a Value> {
    rollout["status"]["attempt"][list].as_array()?.iter().find(|one| one["name"] == name)
}

fn is(rollout: &Value, list: &str, name: &str, state: &str) -> bool {
    word(rollout, list, name).is_some_and(|one| one["state"] == state)
}

/// How many Jobs there are; each is ours and was run once.
async fn each_once(stand: &Stand) -> Result<usize, KitError> {
    let all = stand.space.list("batch/v1", "Job").await?;
    for job in &all {
        let ran = ["succeeded", "failed", "active"].iter().filter_map(|end| job["status"][end].as_i64()).sum::<i64>();
        let owned = job["metadata"]["ownerReferences"][0]["kind"] == "LlmRollout";
        claim(owned && ran == 1, || format!("a Job ran {ran} times: {job}"))?;
    }
    Ok(all.len())
}

fn finds(accuracy: &str) -> Value {
    cron_job("eval", &format!(r#"printf '{{"accuracy":{accuracy}}}' > "$1""#))
}

/// What k6 leaves when a threshold was kept, or crossed.
fn load_test(kept: bool) -> Value {
    let summary = format!(r#"{{"metrics":{{"http_req_duration":{{"thresholds":{{"p(95)<5000":{{"ok":{kept}}}}}}}}}}}"#);
    cron_job("load", &format!(r#"printf '{summary}' > "$1""#))
}

fn checked(version: &str) -> Wish {
    let preflight = json!([
        {"name": "load", "k6": {"cronJob": "load"}, "timeout": "30s"},
        {"name": "backup", "job": {"cronJob": "backup"}, "timeout": "30s", "retries": 1},
        {"name": "accuracy", "job": {"cronJob": "eval"}, "timeout": "30s", "expect": [{"value": "accuracy", "min": "95%"}]},
    ]);
    let hook = |name: &str, cron_job: &str| json!([{"name": name, "job": {"cronJob": cron_job}, "timeout": "50s"}]);
    let hooks = json!({
        "afterStep": hook("tell", "backup"), "afterPromotion": hook("done", "backup"),
        "beforeRollback": hook("hang", "hang"), "afterRollback": hook("undo", "backup"),
    });
    let more = json!({"preflight": preflight, "hooks": hooks});
    Wish { replicas: 1, ..Wish::new(version) }.steps(&[(50, "3s"), (100, "3s")]).more(&more)
}

/// A bad number, then good ones, then a crossed threshold, then a gate that fails while a hook hangs.
pub(super) async fn checks_come_first_and_hooks_beside(stand: &Stand) -> Result<(), KitError> {
    stand.space.ground.lab()?;
    for made in [cron_job("backup", "exit 0"), cron_job("hang", "sleep 45"), finds("0.93"), load_test(true)] {
        stand.space.apply(&made).await?;
    }
    let first = Wish { replicas: 1, ..Wish::new("v1") };
    let service = stand.serve(&first, &LoadPlan::default()).await?;
    let back =
        |reason: &'static str| move |r: &Value| r["status"]["phase"] == "RolledBack" && r["status"]["reason"] == reason;
    service.apply(stand, &checked("v2").manifest()).await?;
    let seen = service.rollout.until("the number keeps v2 away", STEP, back("CheckFailed")).await?;
    let message = seen.object.as_deref().map(|r| r["status"]["message"].clone()).unwrap_or_default();
    claim(message == "check accuracy failed: accuracy is 93%, which has to be at least 95%", || {
        format!("it said {message}")
    })?;
    let colors = stand.space.list("apps/v1", "Deployment").await?;
    claim(colors.iter().all(|d| d["metadata"]["name"] != "chat-green"), || {
        "green came up before it was checked".to_owned()
    })?;

    stand.space.apply(&finds("0.97")).await?;
    service.apply(stand, &checked("v3").manifest()).await?;
    let done = |r: &Value| {
        is_promoted(r)
            && is(r, "hooks", "afterPromotion/done", "Passed")
            && is(r, "hooks", "afterStep/2/tell", "Passed")
    };
    let seen = service.rollout.until("v3 is promoted and its hooks have run", STEP, done).await?;
    let rollout = seen.object.as_deref().cloned().unwrap_or_default();
    let passed = ["load", "backup", "accuracy"].iter().all(|name| is(&rollout, "checks", name, "Passed"));
    claim(passed && is(&rollout, "hooks", "afterStep/1/tell", "Passed"), || {
        format!("{}", rollout["status"]["attempt"])
    })?;

    stand.space.apply(&load_test(false)).await?;
    service.apply(stand, &checked("v4").manifest()).await?;
    service.rollout.until("a threshold keeps v4 away", STEP, back("CheckFailed")).await?;

    stand.space.apply(&load_test(true)).await?;
    let wish = Wish { gates: json!([never_holds("never")]), ..checked("v5") };
    service.apply(stand, &wish.manifest()).await?;
    let hangs = |r: &Value| back("GateFailed")(r) && is(r, "hooks", "beforeRollback/hang", "Running");
    service.rollout.until("home while the hook hangs", STEP, hangs).await?;
    service.rollout.until("and the one after it", STEP, |r| is(r, "hooks", "afterRollback/undo", "Passed")).await?;
    // v2: two checks, two hooks. v3: three checks, three hooks. v4: three and two. v5: three and two.
    let ran = each_once(stand).await?;
    claim(ran == 4 + 6 + 5 + 5, || format!("{ran} Jobs were run"))?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())
}

/// SIGKILL while a check runs and while a hook runs: neither is run again, and the release goes on.
pub(super) async fn operator_killed_during_a_check_and_a_hook(stand: &Stand) -> Result<(), KitError> {
    let own = own_operator(stand, 1).await?;
    stand.space.apply(&cron_job("slow", "sleep 4")).await?;
    let service = stand.serve(&Wish { replicas: 1, ..Wish::new("v1") }, &LoadPlan::default()).await?;
    let run = |name: &str| json!([{"name": name, "job": {"cronJob": "slow"}, "timeout": "40s"}]);
    let more = json!({"preflight": run("backup"), "hooks": {"afterStep": run("tell")}});
    let wish = Wish { replicas: 1, ..Wish::new("v2") }.steps(&[(50, "3s"), (100, "8s")]).more(&more);
    let kill = async || {
        for (name, uid) in own.pods(&stand.space.ground).await? {
            claim(pods::signal(&uid, Signal::KILL) > 0, || format!("no process of {name} was there to kill"))?;
        }
        Ok::<_, KitError>(())
    };
    service.apply(stand, &wish.manifest()).await?;
    service.rollout.until("the check runs", STEP, |r| is(r, "checks", "backup", "Running")).await?;
    kill().await?;
    service.rollout.until("a hook runs", STEP, |r| is(r, "hooks", "afterStep/1/tell", "Running")).await?;
    kill().await?;
    let done = |r: &Value| {
        is_promoted(r) && is(r, "hooks", "afterStep/1/tell", "Passed") && is(r, "hooks", "afterStep/2/tell", "Passed")
    };
    service.rollout.until("v2 is promoted and its hooks have run", STEP, done).await?;
    let ran = each_once(stand).await?;
    claim(ran == 3, || format!("{ran} Jobs were run, not 3"))?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())?;
    own.uninstall().await
}
