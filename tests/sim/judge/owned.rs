//! The laws of what is ours: the old color keeps its pods until its time has come, what serves is never exchanged, and
//! nothing but our finalizer changes in the rollout itself.

use llmrollout::api::status::Color;
use serde_json::{Value, json};

use super::{
    super::cluster::{Sim, image_of},
    Write,
    eyes::{self, color, running},
    holds, long_dead, share_since,
};

fn of_name(name: &str) -> Color {
    if name.ends_with("green") { Color::Green } else { Color::Blue }
}

/// Objects of ours.
pub(super) fn owned(sim: &mut Sim, now: u64, w: &Write<'_>, before: Option<&Value>, after: &Value) {
    let (plural, name) = (w.change.key.0, w.change.key.1.as_str());
    let image = |d: &Value| image_of(&d["spec"]["template"]).to_owned();
    let deployment = plural == "deployments";
    let words = if deployment { format!(" {} x{}", image(after), after["spec"]["replicas"]) } else { String::new() };
    let spec_changed = before.is_none_or(|b| b["spec"] != after["spec"]);
    let only = if spec_changed { "" } else { " (only its bookkeeping)" };
    sim.tell(now, format_args!("operator {}: {plural}/{name}{words}{only}", w.op));
    if !spec_changed || !deployment {
        return;
    }
    let (mine, then) = (of_name(name), &w.then["status"]);
    let active = color(&then["active"]);
    let released = running(then) && active == Some(mine);
    holds(sim, now, "I9", !released, || format!("{name} is written during a release although it serves"));
    let template = before.is_some_and(|b| b["spec"]["template"] != after["spec"]["template"]);
    let share = sim.share(mine);
    let serves = share > 0 && active.is_some();
    holds(sim, now, "I9", !(template && serves), || format!("the pods of {name} are exchanged while it gets {share}%"));
    let under_way = running(then) || then["retiring"].is_object();
    let paused = sim.judge.paused_since.is_some_and(|since| w.issued > since + 60_000) && under_way;
    holds(sim, now, "I7", !paused, || format!("{name} is written although the release is paused"));
    let waits = running(then) && then["attempt"]["clearedAt"].is_null() && then["candidate"] == json!(mine.word());
    holds(sim, now, "approval", !waits, || format!("{name} is written before the release may start"));
    let scaled_away = before.is_some_and(|b| b["spec"]["replicas"] != 0) && after["spec"]["replicas"] == 0;
    if scaled_away || color(&then["retiring"]["color"]) == Some(mine) {
        retired(sim, now, w, mine);
    }
}

/// A Deployment is deleted.
pub(super) fn gone(sim: &mut Sim, now: u64, w: &Write<'_>, name: &str) {
    sim.tell(now, format_args!("operator {}: deployments/{name} is deleted", w.op));
    retired(sim, now, w, of_name(name));
}

/// The old color goes: after the last bake, its drain and the word of people, and not while it has traffic.
fn retired(sim: &mut Sim, now: u64, w: &Write<'_>, mine: Color) {
    let then = &w.then["status"];
    let named = color(&then["retiring"]["color"]) == Some(mine);
    holds(sim, now, "drain", named, || format!("the pods of {} go, and it is not being retired", mine.word()));
    let drain = eyes::text(w.then, "/spec/decommission/drain");
    let drain = u64::try_from(if drain.is_empty() { 60 } else { eyes::seconds(drain) }).unwrap() * 1000;
    // Instants in status are whole seconds, cut off.
    let served = w.issued + 1_000 >= sim.judge.retired + drain || sim.ops.iter().any(|o| o.skew != 0);
    let since = w.issued.saturating_sub(sim.judge.retired);
    holds(sim, now, "drain", served, || format!("{} was drained {since} of {drain} ms", mine.word()));
    let traffic = share_since(sim, mine).is_some_and(|since| since < w.known.began);
    holds(sim, now, "drain", !traffic, || format!("the pods of {} go while it gets traffic", mine.word()));
    let missing = eyes::unsigned(sim, w.then, &then["attempt"]["id"], &["Decommission".to_owned()]);
    holds(sim, now, "approval", missing.is_none(), || format!("the pods of {} go, nobody approved", mine.word()));
}

/// Joining and leaving: nothing but our finalizer changes.
pub(super) fn finalizers(sim: &mut Sim, now: u64, w: &Write<'_>, before: &Value, after: Option<&Value>) {
    let what = if after.is_some() { "takes the rollout up" } else { "lets the rollout go" };
    sim.tell(now, format_args!("operator {}: {what}", w.op));
    let bare = |v: &Value| {
        let mut v = v.clone();
        v["metadata"]["finalizers"] = Value::Null;
        v["metadata"]["resourceVersion"] = Value::Null;
        v
    };
    let same = after.is_none_or(|after| bare(before) == bare(after));
    holds(sim, now, "I24", same, || "more than the finalizer of the rollout changed".into());
    if after.is_none() && before["status"]["active"].is_string() {
        let dead = Color::BOTH
            .into_iter()
            .any(|c| sim.share(c) > 0 && long_dead(sim, w.issued, c) && sim.ready(c.other()) > 0);
        holds(sim, now, "I19", !dead, || "let go while traffic is on a dead color".into());
    }
}
