//! Claims that are read from the API server's audit log: what the operator does not do, and what it may not do.
//! Nothing here looks at traffic.

#![expect(clippy::print_stdout, reason = "what is granted and never used is information, not a failure")]

use std::{collections::BTreeSet, time::Duration};

use kube::api::DeleteParams;
use serde_json::{Value, json};

use super::stand::{Stand, is_promoted};
use crate::kit::{
    Film, KitError, Wish,
    audit::{Audit, Request},
    claim,
    recipe::{self, ROLLOUT},
    space,
};

const SOON: Duration = Duration::from_secs(30);

/// A user's objects under another name than `chat`.
async fn install(stand: &Stand, name: &str, wish: &Wish) -> Result<Film, KitError> {
    let host = format!("chat.{}", stand.space.host());
    for object in [recipe::front(), recipe::route(&stand.space.ground.gateway, &host)] {
        stand.space.apply(&named(&object, name)?).await?;
    }
    stand.space.apply(&named(&wish.manifest(), name)?).await?;
    Film::start(stand.space.rollouts(), name).await
}

fn named(object: &Value, name: &str) -> Result<Value, KitError> {
    serde_json::from_str(&object.to_string().replace("chat", name)).map_err(KitError::failed(name.to_owned()))
}

async fn completed(stand: &Stand, wish: &Wish) -> Result<Film, KitError> {
    let film = install(stand, "done", wish).await?;
    film.until("serves", SOON, is_promoted).await?;
    Ok(film)
}

async fn rolled_back(stand: &Stand, wish: &Wish) -> Result<Film, KitError> {
    let film = install(stand, "back", wish).await?;
    film.until("serves", SOON, is_promoted).await?;
    let bad = Wish { replicas: 1, ..Wish::new("v2").with("SIM_LOAD_TIME_MS", "600000") };
    stand.space.apply(&named(&bad.manifest(), "back")?).await?;
    film.until("Preparing", SOON, |rollout| space::phase(rollout) == "Preparing").await?;
    stand.space.merge(ROLLOUT, "LlmRollout", "back", &json!({"spec": {"abort": true}})).await?;
    film.until("RolledBack", SOON, |rollout| space::phase(rollout) == "RolledBack").await?;
    Ok(film)
}

async fn idle(stand: &Stand, wish: &Wish) -> Result<Film, KitError> {
    let film = install(stand, "idle", wish).await?;
    film.until("serves", SOON, is_promoted).await?;
    let deleted = stand.space.rollouts().delete("idle", &DeleteParams::default()).await;
    deleted.map_err(KitError::api("deleting the rollout"))?;
    film.until_gone(SOON).await?;
    stand.space.apply(&named(&wish.manifest(), "idle")?).await?;
    film.until("Idle", SOON, |rollout| space::phase(rollout) == "Idle" && rollout["status"]["active"] == "blue")
        .await?;
    Ok(film)
}

async fn blocked(stand: &Stand, wish: &Wish) -> Result<Film, KitError> {
    stand.space.apply(&named(&wish.manifest(), "blocked")?).await?;
    let film = Film::start(stand.space.rollouts(), "blocked").await?;
    film.until("Blocked", SOON, |rollout| space::phase(rollout) == "Blocked").await?;
    Ok(film)
}

/// Done, taken back, idle, blocked: nothing is written, neither status nor event nor anything else.
pub(super) async fn nothing_is_written_at_rest(stand: &Stand) -> Result<(), KitError> {
    let wish = Wish { replicas: 1, ..Wish::new("v1") };
    let (a, b, c, d) = tokio::try_join!(
        completed(stand, &wish),
        rolled_back(stand, &wish),
        idle(stand, &wish),
        blocked(stand, &wish)
    )?;
    // What was still under way when the phases were reached: events, confirmations, endpoints of the pod that loads.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let audit = Audit::from_now(&stand.space.ground)?;
    tokio::time::sleep(stand.rest).await;
    let (user, namespace) = (stand.operator.user(), stand.space.name.clone());
    let writes = audit.requests(|r| r.user() == user && r.writes() && r.object_ref.namespace == namespace)?;
    let lines: Vec<_> = writes.iter().map(Request::line).collect();
    claim(lines.is_empty(), || format!("{} writes in {:?} of rest:\n{}", lines.len(), stand.rest, lines.join("\n")))?;
    let leases = audit.requests(|r| r.user() == user && r.object_ref.resource == "leases")?.len();
    claim(leases > 0, || "the operator did not even renew its lease: it was not there".to_owned())?;
    drop((a, b, c, d));
    Ok(())
}

/// In the whole run the operator was refused nothing, and it ran under its own account.
pub(super) async fn operator_was_forbidden_nothing_under_its_own_account(stand: &Stand) -> Result<(), KitError> {
    let audit = stand.since_start()?;
    let ours =
        |r: &Request| r.user().starts_with("system:serviceaccount:") && r.user().ends_with("llmrollout-operator");
    let requests = audit.requests(ours)?;
    let user = stand.operator.user();
    claim(requests.iter().any(|r| r.user() == user), || format!("{user} asked for nothing"))?;
    let taken = audit.requests(|r| r.verb == "delete" && r.object_ref.resource.contains("role"))?;
    let refused = requests.iter().filter(|r| r.is_forbidden() && !was_leaving(r, &taken));
    let forbidden: Vec<_> = refused.map(Request::line).collect();
    claim(forbidden.is_empty(), || format!("forbidden:\n{}", forbidden.join("\n")))?;
    let needed: BTreeSet<_> = requests.iter().flat_map(rights).collect();
    let role =
        stand.space.ground.all("rbac.authorization.k8s.io/v1", "ClusterRole").get(&stand.operator.full_name()).await;
    let role = role.map_err(KitError::api("the operator's role"))?;
    let unused: Vec<_> = granted(&role.data["rules"]).into_iter().filter(|right| !needed.contains(right)).collect();
    println!("       granted and not used in this run: {}", unused.join(", "));
    let idle: Vec<_> = unused.iter().filter(|right| !HELD.iter().any(|(held, _)| right == held)).cloned().collect();
    if stand.whole && !idle.is_empty() {
        println!("       of these without a reason: {}", idle.join(", "));
    }
    Ok(())
}

/// Whether somebody took its rights away a moment before: whoever is uninstalled may ask for its lease once more.
fn was_leaving(request: &Request, taken: &[Request]) -> bool {
    let account = request.user().rsplit(':').next().unwrap_or_default();
    taken.iter().any(|gone| {
        let since = request.received.duration_since(gone.received).as_secs_f64();
        gone.object_ref.name.starts_with(account) && (0.0..10.0).contains(&since)
    })
}

/// What is granted though no case comes to need it.
const HELD: [(&str, &str); 5] = [
    ("update llmrollout.io/llmrollouts/finalizers", "a cluster that guards owner references asks for it"),
    ("patch apps/deployments/scale", "a pair's old workload is scaled away only when its manifest asks for it"),
    ("get apps/statefulsets/scale", "the same"),
    ("patch apps/statefulsets/scale", "the same"),
    ("delete /configmaps", "records go when there are more than are kept"),
];

/// `patch apps/deployments`: what a request needed. An apply that makes the object needs two rights.
fn rights(request: &Request) -> Vec<String> {
    let target = &request.object_ref;
    let sub = if target.subresource.is_empty() { String::new() } else { format!("/{}", target.subresource) };
    let made = if request.verb == "patch" && request.code() == 201 { Some("create") } else { None };
    let verbs = [Some(request.verb.as_str()), made].into_iter().flatten();
    verbs.map(|verb| format!("{verb} {}/{}{sub}", target.api_group, target.resource)).collect()
}

fn granted(rules: &Value) -> Vec<String> {
    let words = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned)).collect()
    };
    let mut all = Vec::new();
    for rule in rules.as_array().into_iter().flatten() {
        for group in words(&rule["apiGroups"]) {
            for resource in words(&rule["resources"]) {
                all.extend(words(&rule["verbs"]).iter().map(|verb| format!("{verb} {group}/{resource}")));
            }
        }
    }
    all
}
