//! What must hold of every write that the API server took from an operator, and of every change it made to the rollout's
//! status. Written from the specification, not from the product: it has its own eyes for manifests, evidence, shares,
//! orders and frames. This file keeps what was seen; the laws stand beside it.

mod eyes;
mod owned;
mod people;
mod proof;
mod routers;
mod status;

use std::collections::{BTreeMap, BTreeSet};

use llmrollout::api::status::Color;
use serde_json::{Value, json};

use super::{
    cluster::{Known, Sim},
    store::{Change, Key, key},
};

/// What was seen so far.
#[derive(Default)]
pub(crate) struct Judge {
    pub(crate) violations: Vec<(&'static str, String)>,
    /// How often each law was asked.
    pub(crate) asked: BTreeMap<&'static str, u64>,
    /// The verbs of the orders that were followed.
    pub(crate) words: BTreeSet<String>,
    /// Every phase that status told of.
    pub(crate) phases: BTreeSet<String>,
    /// When which largest share of blue and green stood.
    shares: Vec<(u64, [i64; 2])>,
    paused_since: Option<u64>,
    dead_since: [Option<u64>; 2],
    /// How often each order was heard.
    heard: BTreeMap<String, u64>,
    /// Attempt, step and bake that is being measured, and its first second.
    entered: Option<([i64; 3], i64)>,
    /// When the pass began that let the old color go.
    retired: u64,
    /// Until when the other rollout was seen to serve what it wants.
    base_served: Option<u64>,
}

/// One write of an operator that changed something.
pub(crate) struct Write<'a> {
    pub(crate) op: usize,
    pub(crate) known: &'a Known,
    pub(crate) issued: u64,
    /// The rollout as it stood when the request left.
    pub(crate) then: &'a Value,
    pub(crate) status: bool,
    pub(crate) change: &'a Change,
}

fn holds(sim: &mut Sim, now: u64, id: &'static str, fine: bool, words: impl FnOnce() -> String) {
    *sim.judge.asked.entry(id).or_default() += 1;
    if !fine {
        let words = words();
        sim.tell(now, format_args!("VIOLATION {id}: {words}"));
        sim.judge.violations.push((id, words));
    }
}

/// Anybody's change: what later judgements look back at.
pub(crate) fn see(sim: &mut Sim, now: u64, change: &Change) {
    match (change.key.0, change.key.1.as_str(), &change.after) {
        ("llmrollouts", "chat", Some(after)) => {
            let paused = after["spec"]["paused"] == json!(true);
            sim.judge.paused_since = paused.then(|| sim.judge.paused_since.unwrap_or(now));
        }
        ("llmrollouts", "base", Some(after)) => {
            let before = change.before.as_ref().is_some_and(|b| eyes::serves_what_it_wants(b));
            if before || eyes::serves_what_it_wants(after) {
                sim.judge.base_served = Some(now);
            }
        }
        ("endpointslices", ..) => {
            for (i, color) in Color::BOTH.into_iter().enumerate() {
                let dead = sim.ready(color) == 0;
                sim.judge.dead_since[i] = dead.then(|| sim.judge.dead_since[i].unwrap_or(now));
            }
        }
        _ => {}
    }
    let shares = [sim.share(Color::Blue), sim.share(Color::Green)];
    if sim.judge.shares.last().is_none_or(|(_, last)| *last != shares) {
        sim.judge.shares.push((now, shares));
    }
}

/// I6: every JSON patch names the version it was decided on, before anything else; every deletion does.
pub(crate) fn guarded(sim: &mut Sim, now: u64, key: &Key, body: &Value) {
    let first = match body {
        Value::Array(ops) => {
            ops.first().is_some_and(|op| op["path"] == "/metadata/resourceVersion" && op["value"].is_string())
        }
        options => options["preconditions"]["resourceVersion"].is_string(),
    };
    holds(sim, now, "I6", first, || format!("a write of {} without the version it was decided on", key.1));
}

/// One write that was taken.
pub(crate) fn write(sim: &mut Sim, now: u64, w: &Write<'_>) {
    if !w.change.key.1.starts_with("chat") {
        return;
    }
    let (before, after) = (w.change.before.as_deref(), w.change.after.as_deref());
    match (w.change.key.0, w.change.key.1.as_str(), before, after) {
        ("llmrollouts", _, Some(before), Some(after)) if w.status => status::status(sim, now, w, before, after),
        ("llmrollouts", _, Some(before), after) => owned::finalizers(sim, now, w, before, after),
        ("httproutes" | "services", "chat", Some(before), Some(after)) => routers::router(sim, now, w, before, after),
        ("deployments" | "services", _, before, Some(after)) => owned::owned(sim, now, w, before, after),
        ("deployments", name, Some(_), None) => owned::gone(sim, now, w, name),
        _ => {}
    }
}

/// Whether a write of status tells new figures of gates and nothing else: once a minute, while a stage is being measured.
pub(crate) fn only_figures(changes: &[Change]) -> bool {
    let [Change { key: ("llmrollouts", _), before: Some(before), after: Some(after) }] = changes else { return false };
    let bare = |v: &Value| {
        let mut status = v["status"].clone();
        status["summary"] = Value::Null;
        for gate in status["gates"].as_array_mut().into_iter().flatten() {
            for field in ["value", "samples", "at", "noDataSince", "reason"] {
                gate[field] = Value::Null;
            }
        }
        status
    };
    before["status"]["gates"] != after["status"]["gates"] && bare(before) == bare(after)
}

/// Dead for longer than the oldest cache and the slowest network can hide it.
fn long_dead(sim: &Sim, at: u64, color: Color) -> bool {
    sim.judge.dead_since[usize::from(color == Color::Green)].is_some_and(|since| at > since + 95_000)
}

/// Since when a color has had a share, if it has one.
fn share_since(sim: &Sim, color: Color) -> Option<u64> {
    let i = usize::from(color == Color::Green);
    let some: Vec<u64> = sim.judge.shares.iter().rev().take_while(|(_, s)| s[i] > 0).map(|(at, _)| *at).collect();
    some.last().copied()
}

/// The rollout `base`, if there is one.
fn base(sim: &Sim) -> Option<&Value> {
    sim.store.get(&key("llmrollouts", "base"))
}
