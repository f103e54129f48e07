//! How a story may end: when faults have stopped and those who answer have answered, everything comes to rest, nothing is
//! written any more, and a release that nobody stopped has arrived.

use std::{sync::Arc, time::Duration};

use llmrollout::api::status::Color;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    cluster::{Cluster, Sim, image_of},
    faults::{self, Class, SPAN, What},
    people,
    store::key,
    story::Plot,
};

/// By then everything is at rest, or something hangs.
const PATIENCE: u64 = SPAN + 2_400_000;
/// So long nothing may be written any more: four looks at everything by each operator.
const REST: Duration = Duration::from_secs(1_300);
/// And so long while a stage is being measured, where every answer of Prometheus is looked at.
const SHORT_REST: Duration = Duration::from_secs(320);
/// So often people answer. Who is asked again and again says something else in the end.
const ANSWERS: usize = 80;

/// Waits until nothing moves.
pub(crate) async fn come_to_rest(cluster: &Arc<Cluster>, answer: bool) {
    let mut given = 0;
    loop {
        sleep(Duration::from_secs(5)).await;
        let now = cluster.now();
        let mut sim = cluster.sim();
        let back = sim.ops.iter().map(|o| o.away_until).max().unwrap_or_default();
        let asked =
            if answer && now > back + 5_000 && given < ANSWERS { people::answers(&mut sim) } else { Vec::new() };
        if !asked.is_empty() {
            drop(sim);
            given += 1;
            for what in &asked {
                faults::happen(cluster, what);
            }
            continue;
        }
        // Who has stopped arguing looks again after ten minutes; who missed a change sees it after one.
        let ended = ended(&sim) && sim.status()["reason"] != "Contended";
        // A clock that is behind sees a window open, or close, later.
        let behind = if sim.ops.iter().any(|o| o.skew != 0) { 300_000 } else { 0 };
        if ended && now > sim.last_write.max(SPAN).max(back) + 80_000 + behind {
            break;
        }
        if now > PATIENCE {
            let words = format!("no end: {}: {}", sim.status()["phase"], sim.status()["message"]);
            sim.judge.violations.push(("I12", words));
            return;
        }
    }
    let before = cluster.sim().writes;
    let measuring = cluster.sim().status()["attempt"]["endedAt"].is_null();
    sleep(if measuring { SHORT_REST } else { REST }).await;
    let mut sim = cluster.sim();
    *sim.judge.asked.entry("I13").or_default() += 1;
    if sim.writes != before {
        let words = format!("{} writes at rest", sim.writes - before);
        sim.judge.violations.push(("I13", words));
    }
}

/// Whether a release may stay as it stands.
fn ended(sim: &Sim) -> bool {
    let Some(rollout) = sim.rollout() else { return true };
    let status = &rollout["status"];
    let reason = status["reason"].as_str().unwrap_or_default();
    match status["phase"].as_str().unwrap_or_default() {
        "Completed" | "RolledBack" | "Idle" | "Paused" | "AwaitingApproval" => true,
        // It waits for something that does not come in this story.
        "Pending" | "Holding" => ["WaitingForDependency", "DependencyRolledBack", "OutsideWindow"].contains(&reason),
        // A person has to say what next, and the message says so.
        "Blocked" => reason == "AbortTooLate" || cannot_be_installed(sim),
        _ => false,
    }
}

/// A first revision whose pods never become ready is waited for, and said to be: there is nothing to go back to.
fn cannot_be_installed(sim: &Sim) -> bool {
    let wanted = sim.rollout().map(|r| image_of(&r["spec"]["release"]["template"]["podTemplate"]).contains("crash"));
    let status = sim.status();
    wanted == Some(true) && status["active"].is_null() && status["reason"] == "NotReadyInTime"
}

/// What must be so when everything is at rest; what is not.
pub(crate) fn well(plot: &Plot, sim: &Sim) -> Vec<String> {
    let Some(rollout) = sim.rollout() else {
        let kept = ["chat-blue", "chat-green"].into_iter().any(|n| sim.store.get(&key("deployments", n)).is_some());
        let gone = plot.installed && !kept;
        return gone.then(|| "the pods went with the rollout".to_owned()).into_iter().collect();
    };
    let mut wrong = Vec::new();
    let (spec, status) = (&rollout["spec"], &rollout["status"]);
    let active = Color::BOTH.into_iter().find(|c| status["active"] == json!(c.word()));
    let under_way = status["attempt"].is_object() && status["attempt"]["endedAt"].is_null();
    // While `paused` stands, traffic is left where people put it.
    if let Some(active) = active.filter(|_| spec["paused"] != json!(true)) {
        let other = sim.share(active.other());
        if !under_way && (other != 0 || sim.share(active) != 100) {
            wrong.push(format!("{} serves, but {} has {other}%", active.word(), active.other().word()));
        }
        if sim.ready(active) == 0 {
            wrong.push(format!("{} serves and is dead", active.word()));
        }
        wrong.extend(retired(sim, rollout, active));
    }
    wrong.extend(arrived(plot, sim, rollout, active));
    wrong
}

/// What has become of the old color.
fn retired(sim: &Sim, rollout: &Value, active: Color) -> Option<String> {
    let (spec, status) = (&rollout["spec"], &rollout["status"]);
    let last = &status["history"][0]["outcome"];
    if status["phase"] != "Completed" || last != "Promoted" || status["history"].as_array().map_or(0, Vec::len) < 2 {
        return None;
    }
    let old = active.other().word();
    let pods = sim.store.get(&key("deployments", &format!("chat-{old}"))).map(|d| d["spec"]["replicas"].clone());
    let mode = spec["decommission"]["mode"].as_str().unwrap_or("ScaleToZero");
    let fine = match mode {
        "Delete" => pods.is_none(),
        "Keep" => true,
        _ => pods.as_ref().is_none_or(|p| *p == 0),
    };
    (!fine).then(|| format!("{old} was to be retired ({mode}) and has {pods:?} pods"))
}

/// A good release that nobody stopped serves; a bad one does not, unless somebody has vouched for it.
fn arrived(plot: &Plot, sim: &Sim, rollout: &Value, active: Option<Color>) -> Vec<String> {
    let (spec, status) = (&rollout["spec"], &rollout["status"]);
    let phase = status["phase"].as_str().unwrap_or_default();
    let wanted = image_of(&spec["release"]["template"]["podTemplate"]);
    let serves = active.map(|c| sim.image(c)).unwrap_or_default();
    let vouched = sim.judge.words.iter().any(|w| w == "Skip" || w == "Promote");
    let mut wrong = Vec::new();
    // The first revision of all is not measured: there is nothing it could take traffic from.
    if plot.installed && !vouched && (serves.contains("bad") || serves.contains("crash")) {
        wrong.push(format!("{serves} serves"));
    }
    let waits = ["Paused", "AwaitingApproval", "Pending", "Holding"].contains(&phase);
    let said = sim.judge.words.iter().any(|w| w != "Approve");
    let dependent = spec["dependsOn"].is_array();
    if plot.class == Class::Everything || waits || said || dependent || spec["abort"] == json!(true) || !plot.installed
    {
        return wrong;
    }
    let good = !wanted.contains("bad") && !wanted.contains("crash");
    if good && !aborted(sim, wanted) && serves != wanted {
        wrong.push(format!("{wanted} is good, nobody stopped it, and {serves} serves ({phase})"));
    }
    if !good && phase != "RolledBack" {
        wrong.push(format!("{wanted} is not taken back but {phase}"));
    }
    wrong
}

/// Whether somebody aborted while this image was wanted.
fn aborted(sim: &Sim, image: &str) -> bool {
    let mut spec = json!({"release": {"template": {"podTemplate": {"spec": {"containers": [{"image": "chat:v1"}]}}}}});
    sim.happenings.iter().any(|h| {
        if !matches!(h.what, What::Base { .. }) {
            people::wish(&mut spec, &h.what);
        }
        matches!(h.what, What::Abort(_) | What::Release { .. })
            && spec["abort"] == json!(true)
            && image_of(&spec["release"]["template"]["podTemplate"]) == image
    })
}
