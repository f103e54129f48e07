//! Claims about what people say to a release: who may say it, that it is heard, and what comes of it.
//! Nothing here makes the operator fail.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;

use super::stand::{Service, Stand, is_holding, is_promoted};
use crate::kit::{
    Film, KitError, LoadPlan, Weights, Wish, claim,
    recipe::{NAME, ROLLOUT},
    space,
};

const STEP: Duration = Duration::from_secs(40);
const SOON: Duration = Duration::from_secs(10);
const HOME: Weights = Weights { blue: 100, green: 0 };
const RBAC: &str = "rbac.authorization.k8s.io/v1";
/// Longer than any case.
const LONG: &str = "120s";

/// Ana and Ben may give orders; Ana may approve as `sre`, and nobody else in any role.
async fn people(stand: &Stand) -> Result<(), KitError> {
    let says = json!([
        {"apiGroups": ["llmrollout.io"], "resources": ["llmrollouts"], "verbs": ["get", "patch"]},
        {"apiGroups": ["llmrollout.io"], "resources": ["llmrolloutorders"], "verbs": ["create", "get", "list"]},
    ]);
    let approves = json!([
        {"apiGroups": ["llmrollout.io"], "resources": ["llmrolloutroles"], "resourceNames": ["sre"], "verbs": ["approve"]},
    ]);
    for (name, rules, users) in [("says", says, vec!["ana", "ben"]), ("approves-as-sre", approves, vec!["ana"])] {
        let subject = |user: &&str| json!({"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": user});
        let subjects: Vec<_> = users.iter().map(subject).collect();
        let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name});
        let named = json!({"name": name});
        stand.space.apply(&json!({"apiVersion": RBAC, "kind": "Role", "metadata": named, "rules": rules})).await?;
        let binding = json!({"apiVersion": RBAC, "kind": "RoleBinding", "metadata": named, "roleRef": role, "subjects": subjects});
        stand.space.apply(&binding).await?;
    }
    Ok(())
}

/// What a command answered: its exit code, and everything it printed.
async fn ran(mut command: Command) -> Result<(i32, String), KitError> {
    let output = command.kill_on_drop(true).output().await.map_err(KitError::failed(format!("{command:?}")))?;
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    Ok((output.status.code().unwrap_or(-1), said))
}

/// A word of the command line, by this person.
async fn says(stand: &Stand, user: &str, words: &[&str]) -> Result<(i32, String), KitError> {
    let mut command = Command::new("kubectl-llmrollout");
    command.args(["-n", &stand.space.name, "--as", user]).args(words);
    ran(command).await
}

/// A word that has to be followed.
async fn ordered(stand: &Stand, user: &str, words: &[&str]) -> Result<(), KitError> {
    let (code, said) = says(stand, user, words).await?;
    claim(code == 0 && said.contains(" taken"), || format!("{user}: {words:?} ended with {code}: {said}"))
}

/// A word that has to be refused, in these words.
async fn refused(stand: &Stand, user: &str, words: &[&str], why: &str) -> Result<(), KitError> {
    let (code, said) = says(stand, user, words).await?;
    claim(code == 1 && said.contains(why), || format!("{user}: {words:?} ended with {code}, without `{why}`: {said}"))
}

/// An order past the command line, by this person; gives the API server's answer.
async fn creates(stand: &Stand, user: &str, name: &str, spec: &Value) -> Result<(i32, String), KitError> {
    let order = json!({"apiVersion": ROLLOUT, "kind": "LlmRolloutOrder", "metadata": {"name": name}, "spec": spec});
    let path = std::env::temp_dir().join(format!("{}-{name}.json", stand.space.name));
    std::fs::write(&path, order.to_string()).map_err(KitError::failed(path.display().to_string()))?;
    let mut command = Command::new("kubectl");
    command.args(["create", "-n", &stand.space.name, "--as", user, "-f"]).arg(&path);
    let answered = ran(command).await;
    // It was for kubectl only.
    let _ = std::fs::remove_file(&path);
    answered
}

/// A service at 20 % of v2, with people who may speak.
async fn at_20(stand: &Stand, hold: &str, more: &Value) -> Result<Service, KitError> {
    people(stand).await?;
    let service = stand.serve(&Wish { replicas: 1, ..Wish::new("v1") }, &LoadPlan::default()).await?;
    let v2 = Wish { replicas: 1, ..Wish::new("v2") };
    let v2 = v2.steps(&[(20, hold), (50, LONG), (100, LONG)]).more(more);
    service.apply(stand, &v2.manifest()).await?;
    service.holding(20, STEP).await?;
    Ok(service)
}

async fn flawless(stand: &Stand, service: Service) -> Result<(), KitError> {
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())
}

/// The API server itself refuses who speaks for another and who lacks the role; the right word lets the release go on.
pub(super) async fn approval_is_given_by_the_right_person_only(stand: &Stand) -> Result<(), KitError> {
    let asked = json!({"approvals": [{"before": "Step/2", "roles": ["sre"]}]});
    let service = at_20(stand, "2s", &asked).await?;
    let waits = service.phase("AwaitingApproval", STEP).await?;
    let attempt = waits.object.as_deref().map_or(Value::Null, |rollout| rollout["status"]["attempt"]["id"].clone());
    let spec = |approver: &str, role: &str| json!({"rollout": NAME, "attempt": attempt, "verb": "Approve", "before": "Step/2", "role": role, "approver": approver});
    for (user, approver, role, why) in [
        ("ben", "ana", "sre", "write `approver: ben`"),
        ("ben", "ben", "sre", "ben may not approve in the role sre"),
        ("ana", "ana", "owner", "ana may not approve in the role owner"),
    ] {
        let (code, said) = creates(stand, user, "forged", &spec(approver, role)).await?;
        claim(code != 0 && said.contains(why), || format!("{user} as {approver} in {role} ended with {code}: {said}"))?;
    }
    refused(stand, "ben", &["approve", NAME], "ben may not approve in the role sre").await?;
    refused(stand, "ana", &["approve", NAME, "--role", "owner"], "--before Step/2 --role sre").await?;
    let weights = stand.space.weights().await?;
    claim(weights.green == 20, || format!("before it was approved the route stands at {weights:?}"))?;
    ordered(stand, "ana", &["approve", NAME]).await?;
    service.holding(50, SOON).await?;
    let rollout = stand.space.rollout().await?;
    let given = &rollout["status"]["approvals"][0];
    claim(given["by"] == "ana" && given["role"] == "sre", || format!("the approval is {given}"))?;
    flawless(stand, service).await
}

/// A refusal takes traffic back and keeps its reason; the revision is tried again by order; words to the old attempt are
/// nobody's.
pub(super) async fn reject_takes_back_and_retry_tries_again(stand: &Stand) -> Result<(), KitError> {
    let service = at_20(stand, LONG, &json!({})).await?;
    let first = stand.space.rollout().await?["status"]["attempt"]["id"].as_i64().unwrap_or_default();
    refused(stand, "ben", &["retry", NAME], "the attempt is still under way").await?;
    ordered(stand, "ben", &["reject", NAME, "--reason", "answers in the wrong language"]).await?;
    let back = service.phase("RolledBack", SOON).await?;
    let status = back.object.as_deref().map_or(Value::Null, |rollout| rollout["status"].clone());
    let told = status["message"].as_str().is_some_and(|words| words.contains("answers in the wrong language"));
    claim(status["reason"] == "Rejected" && told, || format!("{}: {}", status["reason"], status["message"]))?;
    let weights = stand.space.weights().await?;
    claim(weights == HOME, || format!("after the refusal the route stands at {weights:?}"))?;
    ordered(stand, "ben", &["retry", NAME]).await?;
    let again = |rollout: &Value| is_holding(rollout, 20) && rollout["status"]["attempt"]["id"] == first + 1;
    service.rollout.until("the second attempt at 20 %", STEP, again).await?;
    let late = json!({"rollout": NAME, "attempt": first, "verb": "Abort", "approver": "ben"});
    let (code, said) = creates(stand, "ben", "late", &late).await?;
    claim(code == 0, || format!("the late order was not taken by the server: {said}"))?;
    let rewritten =
        stand.space.merge(ROLLOUT, "LlmRolloutOrder", "late", &json!({"spec": {"attempt": first + 1}})).await;
    let words = rewritten.map_or_else(|error| error.to_string(), |order| order.to_string());
    claim(words.contains("an order is never changed"), || format!("an order was changed: {words}"))?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let rollout = stand.space.rollout().await?;
    let heard = rollout["status"]["orders"].as_array().into_iter().flatten().any(|order| order["name"] == "late");
    claim(is_holding(&rollout, 20) && !heard, || format!("a late order was heard: {}", rollout["status"]))?;
    flawless(stand, service).await
}

/// `skip` ends a step, `promote` makes the next the last, `skip` ends that and the bake: nothing is waited for.
pub(super) async fn skip_and_promote_go_on_at_once(stand: &Stand) -> Result<(), KitError> {
    people(stand).await?;
    let service = stand.serve(&Wish { replicas: 1, ..Wish::new("v1") }, &LoadPlan::default()).await?;
    let v2 = Wish { replicas: 1, ..Wish::new("v2") }.steps(&[(5, LONG), (20, LONG), (50, LONG), (100, LONG)]);
    let v2 = v2.more(&json!({"bake": [{"name": "day", "for": LONG}]}));
    service.apply(stand, &v2.manifest()).await?;
    service.holding(5, STEP).await?;
    ordered(stand, "ana", &["skip", NAME, "--reason", "seen enough"]).await?;
    service.holding(20, SOON).await?;
    ordered(stand, "ana", &["promote", NAME]).await?;
    service.holding(100, SOON).await?;
    refused(stand, "ana", &["promote", NAME], "it has everything already").await?;
    ordered(stand, "ana", &["skip", NAME]).await?;
    service.phase("Baking", SOON).await?;
    ordered(stand, "ana", &["skip", NAME]).await?;
    service.rollout.until("v2 is promoted", SOON, is_promoted).await?;
    let greens: Vec<_> = space::weights_seen(&service.route).iter().map(|(weights, _)| weights.green).collect();
    claim(greens == [0, 5, 20, 100], || format!("green's weights in the route were {greens:?}"))?;
    let (code, said) = says(stand, "ana", &["history", NAME]).await?;
    claim(code == 0 && said.contains("seen enough"), || format!("the history ended with {code}: {said}"))?;
    flawless(stand, service).await
}

/// A gate that asks stops the release and leaves traffic alone; `resume` measures on, `pause` stands still, and an order to
/// go back is followed even then.
pub(super) async fn a_gate_that_asks_is_answered(stand: &Stand) -> Result<(), KitError> {
    let mut gates = crate::kit::recipe::gates();
    gates[1] = crate::kit::recipe::never_holds("p95");
    gates[1]["severity"] = json!("Pause");
    let service = at_20(stand, LONG, &json!({"gates": gates})).await?;
    let asks = |rollout: &Value| space::phase(rollout) == "Paused" && rollout["status"]["reason"] == "GateAsks";
    service.rollout.until("a person is asked", STEP, asks).await?;
    let weights = stand.space.weights().await?;
    claim(weights.green == 20, || format!("while a person is asked the route stands at {weights:?}"))?;
    ordered(stand, "ana", &["resume", NAME]).await?;
    service.holding(20, SOON).await?;
    ordered(stand, "ana", &["pause", NAME]).await?;
    let still = |rollout: &Value| space::phase(rollout) == "Paused" && rollout["spec"]["paused"] == true;
    service.rollout.until("it stands still", SOON, still).await?;
    ordered(stand, "ana", &["resume", NAME]).await?;
    service.rollout.until("it goes on", SOON, |rollout| rollout["spec"]["paused"] != true).await?;
    ordered(stand, "ana", &["pause", NAME]).await?;
    service.rollout.until("it stands still again", SOON, still).await?;
    ordered(stand, "ana", &["abort", NAME]).await?;
    service.route.until("home", SOON, |route| Weights::of(route) == HOME).await?;
    flawless(stand, service).await
}

/// The old color stands until somebody agrees to its end; then its Deployment is deleted and its Service stays.
pub(super) async fn old_color_is_deleted_when_somebody_agrees(stand: &Stand) -> Result<(), KitError> {
    people(stand).await?;
    let service = stand.serve(&Wish { replicas: 1, ..Wish::new("v1") }, &LoadPlan::default()).await?;
    let end = json!({
        "approvals": [{"before": "Decommission", "roles": ["sre"]}],
        "decommission": {"mode": "Delete", "drain": "1s"},
    });
    let v2 = Wish { replicas: 1, ..Wish::new("v2") }.steps(&[(100, "2s")]).more(&end);
    service.apply(stand, &v2.manifest()).await?;
    let waits = |rollout: &Value| {
        space::phase(rollout) == "AwaitingApproval" && rollout["status"]["retiring"]["color"] == "blue"
    };
    service.rollout.until("the end of blue is to be approved", STEP, waits).await?;
    let blue = format!("{NAME}-blue");
    stand.space.get("apps/v1", "Deployment", &blue).await?;
    let old = Film::start(stand.space.api("apps/v1", "Deployment"), &blue).await?;
    ordered(stand, "ana", &["approve", NAME]).await?;
    old.until_gone(SOON).await?;
    service.rollout.until("v2 is promoted", SOON, is_promoted).await?;
    stand.space.get("v1", "Service", &blue).await?;
    let v3 = Wish { replicas: 1, ..Wish::new("v3") }.steps(&[(100, "1s")]);
    service.apply(stand, &v3.manifest()).await?;
    service.rollout.until("v3 is promoted on a color made anew", STEP, is_promoted).await?;
    flawless(stand, service).await
}
