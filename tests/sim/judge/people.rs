//! The laws of people: every order is answered once, flags in status go back to an order that was given, nothing passes a
//! missing approval, a closed window or another rollout, and whoever was asked answers first.

use serde_json::{Value, json};

use super::{
    super::cluster::Sim,
    Write, base,
    eyes::{self, number, running, text},
    holds,
    status::Turn,
};

/// So long ago a cache may have been right: frozen, then listed anew.
const STALE: u64 = 125_000;

fn newly<'a>(t: &'a Turn<'_>) -> impl Iterator<Item = &'a Value> {
    let known: Vec<&Value> = t.old["orders"].as_array().into_iter().flatten().map(|o| &o["uid"]).collect();
    t.new["orders"].as_array().into_iter().flatten().filter(move |o| !known.contains(&&o["uid"]))
}

/// Whether one of these verbs was followed in this very write.
pub(super) fn newly_taken(t: &Turn<'_>, verbs: &[&str]) -> bool {
    newly(t).any(|o| o["taken"] == json!(true) && verbs.contains(&text(o, "/verb")))
}

/// What was heard, and what it changed.
pub(super) fn heard(sim: &mut Sim, now: u64, t: &Turn<'_>) {
    let heard: Vec<Value> = newly(t).cloned().collect();
    for one in heard {
        let what = format!("{} of {}", text(&one, "/verb"), text(&one, "/name"));
        let taken = one["taken"] == json!(true);
        sim.tell(
            now,
            format_args!("    {what} is {}: {}", if taken { "followed" } else { "refused" }, text(&one, "/message")),
        );
        let times = sim.judge.heard.entry(text(&one, "/uid").to_owned()).or_default();
        *times += 1;
        let times = *times;
        holds(sim, now, "once", times == 1, || format!("{what} is heard {times} times"));
        let attempt = eyes::order(sim, &one).map(|o| o["spec"]["attempt"].clone()).unwrap_or_default();
        let meant = [&t.old["attempt"]["id"], &t.new["attempt"]["id"]].contains(&&attempt);
        holds(sim, now, "order", meant, || format!("{what} was said to attempt {attempt}"));
        if taken {
            sim.judge.words.insert(text(&one, "/verb").to_owned());
        }
    }
    flags(sim, now, t);
}

/// Nothing is skipped, promoted or gone on with that nobody has ordered so.
fn flags(sim: &mut Sim, now: u64, t: &Turn<'_>) {
    let (old, new) = (&t.old["attempt"], &t.new["attempt"]);
    if old["id"] != new["id"] {
        return;
    }
    let rises = |flag: &str| new[flag] == json!(true) && old[flag] != json!(true);
    if rises("skipped") {
        let said = skipped(sim, t);
        holds(sim, now, "order", said, || "the rest of a stage is left out, and nobody said so".into());
    }
    if rises("promoted") {
        let said = newly_taken(t, &["Promote"]);
        holds(sim, now, "order", said, || "the next step is the last, and nobody said so".into());
    }
    if old["asked"].is_object() && new["asked"].is_null() {
        let back = ["RollingBack", "RolledBack", "Idle"].contains(&text(t.new, "/phase"));
        let said = back || newly_taken(t, &["Resume", "Skip", "Promote", "Abort", "Reject"]);
        holds(sim, now, "asked", said, || "a person was asked, and nobody answered".into());
    }
    if old["asked"].is_object() && new["asked"].is_object() {
        holds(sim, now, "asked", !t.intended(), || "a step is due although a person was asked".into());
    }
    let forgotten =
        t.old["approvals"].as_array().map_or(0, Vec::len) > t.new["approvals"].as_array().map_or(0, Vec::len);
    holds(sim, now, "approval", !forgotten, || "an approval is forgotten".into());
}

/// Whether somebody has said Skip to exactly the stage that is being measured.
pub(super) fn skipped(sim: &Sim, t: &Turn<'_>) -> bool {
    let attempt = &t.old["attempt"];
    eyes::taken(t.new, &["Skip"]).filter_map(|heard| eyes::order(sim, heard)).any(|o| {
        let spec = &o["spec"];
        spec["attempt"] == attempt["id"]
            && number(&spec["step"]) == number(&attempt["step"])
            && number(&spec["bake"]) == number(&attempt["bake"])
    })
}

/// An attempt may start: its approvals, its window and what it depends on.
pub(super) fn started(sim: &mut Sim, now: u64, w: &Write<'_>, t: &Turn<'_>) {
    let (old, new) = (&t.old["attempt"], &t.new["attempt"]);
    let another = old["id"] != new["id"];
    if another && new["fastTrack"] == json!(true) {
        known_good(sim, now, t);
    }
    let cleared = new["clearedAt"].is_string() && (another || old["clearedAt"].is_null()) && running(t.new);
    if !cleared {
        return;
    }
    let missing = eyes::unsigned(sim, t.before, &new["id"], &["Start".to_owned()]);
    holds(sim, now, "approval", missing.is_none(), || "started, and nobody approved".into());
    let fast = new["fastTrack"] == json!(true);
    window(sim, now, w, t, fast || eyes::taken(t.new, &["Promote"]).next().is_some());
    if t.before["spec"]["dependsOn"].is_array() && base(sim).is_some() {
        let served = sim.judge.base_served.is_some_and(|at| at + STALE > now);
        let stands = base(sim).is_some_and(eyes::serves_what_it_wants);
        holds(sim, now, "depends", served || stands, || "started, and base does not serve what it wants".into());
    }
}

/// A fast track is for what has served before and was not taken back since.
fn known_good(sim: &mut Sim, now: u64, t: &Turn<'_>) {
    let tries = t.old["history"].as_array().into_iter().flatten();
    let last = tries.clone().find(|past| past["revision"] == t.new["attempt"]["revision"]);
    let fine = last.is_some_and(|past| past["outcome"] == "Promoted") && t.before["spec"]["fastTrack"].is_object();
    holds(sim, now, "fast", fine, || "a fast track for a revision that is not known".into());
}

fn window(sim: &mut Sim, now: u64, w: &Write<'_>, t: &Turn<'_>, any_hour: bool) {
    if t.before["spec"]["window"].is_object() && sim.ops.iter().all(|o| o.skew == 0) {
        let open = eyes::open(&t.before["spec"], eyes::second(w.known.began), eyes::second(w.issued));
        holds(sim, now, "window", open || any_hour, || "the window is closed".into());
    }
}

/// A step is written down: approved, at a time at which it may be.
pub(super) fn may_raise(sim: &mut Sim, now: u64, w: &Write<'_>, t: &Turn<'_>) {
    let intent = &t.new["intent"];
    let mut before = vec![format!("Step/{}", intent["step"])];
    if intent["weight"] == 100 {
        before.push("Full".to_owned());
    }
    let missing = eyes::unsigned(sim, t.before, &t.new["attempt"]["id"], &before);
    let words = || format!("step {} is due, and nobody approved {:?}", intent["step"], missing);
    let fine = missing.is_none();
    holds(sim, now, "approval", fine, words);
    let any_hour = t.new["attempt"]["fastTrack"] == json!(true)
        || skipped(sim, t)
        || eyes::taken(t.new, &["Promote"]).next().is_some();
    window(sim, now, w, t, any_hour);
}
