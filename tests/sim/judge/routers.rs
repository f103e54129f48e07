//! The laws of routers: what a write of shares may do, and what must have been known before it.

use llmrollout::api::status::Color;
use serde_json::{Value, json};

use super::{
    super::cluster::{Sim, share},
    Write, eyes, holds, long_dead,
};

/// I24: outside of what is ours to write, nothing changed.
fn frame(mut object: Value, plural: &str) -> Value {
    for field in ["resourceVersion", "generation", "managedFields"] {
        object["metadata"].as_object_mut().map(|m| m.remove(field));
    }
    if plural == "services" {
        object["spec"]["selector"]["llmrollout.io/color"] = Value::Null;
    } else {
        for backend in object["spec"]["rules"][1]["backendRefs"].as_array_mut().into_iter().flatten() {
            backend["weight"] = Value::Null;
        }
    }
    object
}

pub(super) fn router(sim: &mut Sim, now: u64, w: &Write<'_>, before: &Value, after: &Value) {
    let plural = w.change.key.0;
    let of = |object: &Value| Color::BOTH.map(|c| share(plural, object, c));
    let (old, new) = (of(before), of(after));
    sim.tell(now, format_args!("operator {}: {plural} {}/{} -> {}/{}", w.op, old[0], old[1], new[0], new[1]));
    let exact = new[0] >= 0 && new[1] >= 0 && new[0] + new[1] == 100;
    holds(sim, now, "I1", exact, || format!("{plural}: {}/{}", new[0], new[1]));
    let same = frame(before.clone(), plural) == frame(after.clone(), plural);
    holds(sim, now, "I24", same, || format!("{plural}: more than the shares changed"));
    let knew = w.known.rollout();
    for (i, raised) in Color::BOTH.into_iter().enumerate().filter(|(i, _)| new[*i] > old[*i]) {
        let leaving = knew["metadata"]["deletionTimestamp"].is_string();
        let retiring = eyes::color(&knew["status"]["retiring"]["color"]) == Some(raised);
        match eyes::color(&knew["status"]["active"]) {
            Some(active) if active == raised || leaving => homeward(sim, now, w, raised),
            Some(_) if retiring => taken_up_again(sim, now, w, raised, &knew),
            Some(_) => forward(sim, now, w, raised, plural, new[i]),
            None => {
                let ready = w.known.ready.get(&raised).copied().unwrap_or_default();
                holds(sim, now, "I2", ready > 0 || leaving, || {
                    format!("first traffic to {}, of which {ready} are ready", raised.word())
                });
            }
        }
    }
}

/// Back to the color that serves: needs no proof, but not for a color that has long been dead while the other lives.
fn homeward(sim: &mut Sim, now: u64, w: &Write<'_>, raised: Color) {
    let dead = long_dead(sim, w.issued, raised) && sim.ready(raised.other()) > 0;
    holds(sim, now, "I2", !dead, || format!("all traffic to {}, which has long been dead", raised.word()));
}

/// Back to the color that is being retired: only when somebody says so, and never to pods that are gone.
fn taken_up_again(sim: &mut Sim, now: u64, w: &Write<'_>, raised: Color, knew: &Value) {
    let said = sim
        .orders(&knew["status"]["attempt"]["id"])
        .any(|o| o["spec"]["verb"] == "Abort" || o["spec"]["verb"] == "Reject");
    let said = said || knew["spec"]["abort"] == json!(true);
    holds(sim, now, "order", said, || format!("{} is taken up again, and nobody said so", raised.word()));
    homeward(sim, now, w, raised);
}

/// A step up.
fn forward(sim: &mut Sim, now: u64, w: &Write<'_>, raised: Color, plural: &str, new: i64) {
    let Some(live) = w.known.live.as_deref() else {
        return holds(sim, now, "I2", false, || "a raise without a live look in the same pass".into());
    };
    let (spec, status) = (&live["spec"], &live["status"]);
    let intent = &status["intent"];
    let to = intent["weight"].as_i64().unwrap_or(-1);
    let here = if plural == "services" && to < 100 { 0 } else { to };
    holds(sim, now, "I21", here == new, || format!("{plural} raised to {new}, but the intent on record is {intent}"));
    let stopped = spec["paused"] == json!(true) || spec["abort"] == json!(true);
    holds(sim, now, "I7", !stopped, || "a raise although `paused` or `abort` was read".into());
    let answers = ["Resume", "Skip", "Promote"];
    let answered = sim.orders(&status["attempt"]["id"]).any(|o| answers.contains(&eyes::text(o, "/spec/verb")));
    let asked = status["attempt"]["asked"].is_object() && !answered;
    holds(sim, now, "asked", !asked, || "a raise although a person was asked".into());
    let aborted = !intent["revision"].is_null() && intent["revision"] == status["abortedRevision"];
    holds(sim, now, "I5", !aborted, || "an aborted revision gets traffic".into());
    // A request that was on its way when the revision was aborted; that it is put right is for the end of the story.
    if sim.status()["abortedRevision"] == intent["revision"] && !intent["revision"].is_null() {
        *sim.judge.asked.entry("raises that arrived late").or_default() += 1;
    }
    let replicas = spec["release"]["template"]["replicas"].as_i64().unwrap_or(1);
    let ready = w.known.ready.get(&raised).copied().unwrap_or_default();
    let needed = ((replicas * to + 99) / 100).max(1);
    // While replicas are being changed, the Deployment's own number counts.
    holds(sim, now, "I2", ready >= needed.min(2), || format!("{to}% to {}, of which {ready} are ready", raised.word()));
    let next = eyes::next_weight(live) == Some(to) || (to == 100 && may_jump(status));
    holds(sim, now, "I8", next, || format!("from {}% to {to}%", status["attempt"]["weight"]));
}

/// By order, or because the revision was good lately, the next step is the last.
pub(super) fn may_jump(status: &Value) -> bool {
    status["attempt"]["fastTrack"] == json!(true) || eyes::taken(status, &["Promote"]).next().is_some()
}
