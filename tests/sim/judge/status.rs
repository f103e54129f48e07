//! The laws of the rollout's status: one step at a time, nothing claimed that was not seen, and every stage left for a
//! reason.

use llmrollout::api::status::Color;
use serde_json::{Value, json};

use super::{
    super::cluster::Sim,
    Write,
    eyes::{self, color, moment, number, running, stage_of, text},
    holds, people, proof, routers,
};

/// Status before and after one write.
pub(super) struct Turn<'a> {
    /// The whole rollout before, and its status.
    pub(super) before: &'a Value,
    pub(super) old: &'a Value,
    pub(super) after: &'a Value,
    pub(super) new: &'a Value,
}

impl Turn<'_> {
    fn same_attempt(&self) -> bool {
        self.old["attempt"]["id"] == self.new["attempt"]["id"] && self.new["attempt"].is_object()
    }

    /// A step is written down that was not before.
    pub(super) fn intended(&self) -> bool {
        self.new["intent"].is_object() && self.new["intent"]["op"] != self.old["intent"]["op"]
    }

    fn promoted(&self) -> bool {
        let forward = text(self.new, "/phase") != "RollingBack" && running(self.old);
        self.old["active"].is_string() && self.new["active"] != self.old["active"] && forward
    }

    fn baked(&self) -> bool {
        self.same_attempt() && number(&self.new["attempt"]["bake"]) > number(&self.old["attempt"]["bake"])
    }
}

/// A change of the rollout's status.
pub(super) fn status(sim: &mut Sim, now: u64, w: &Write<'_>, before: &Value, after: &Value) {
    let t = Turn { before, old: &before["status"], after, new: &after["status"] };
    let words = format!(
        "operator {}: status {} {} step {}{} {}% intent {} | {}",
        w.op,
        text(t.new, "/phase"),
        text(t.new, "/reason"),
        t.new["attempt"]["step"],
        if number(&t.new["attempt"]["bake"]) > 0 { format!("+{}", t.new["attempt"]["bake"]) } else { String::new() },
        number(&t.new["attempt"]["weight"]),
        t.new["intent"]["weight"],
        text(t.new, "/message")
    );
    sim.tell(now, words);
    sim.judge.phases.insert(text(t.new, "/phase").to_owned());
    people::heard(sim, now, &t);
    moved(sim, now, w, &t);
    latched(sim, now, &t);
    people::started(sim, now, w, &t);
    let stage = t.old["attempt"]["stepEnteredAt"].is_string() && running(t.old);
    if stage && (t.intended() || t.promoted() || t.baked()) {
        left(sim, now, w, &t);
    }
    if t.intended() {
        people::may_raise(sim, now, w, &t);
    }
    if t.promoted() {
        arrived(sim, now, &t);
    }
    if t.new["retiring"].is_object() && t.old["retiring"].is_null() {
        sim.judge.retired = w.known.began;
    }
    let entered = t.new["attempt"]["stepEnteredAt"].as_str().map(moment).filter(|_| running(t.new));
    let stage = stage_of(t.new);
    match entered {
        Some(at) if sim.judge.entered.is_none_or(|(known, _)| known != stage) => sim.judge.entered = Some((stage, at)),
        Some(_) => {}
        None => sim.judge.entered = None,
    }
}

/// Weights, steps and what is claimed of them.
fn moved(sim: &mut Sim, now: u64, w: &Write<'_>, t: &Turn<'_>) {
    let at = |s: &Value| number(&s["attempt"]["weight"]);
    if t.same_attempt() && at(t.new) != at(t.old) {
        let next = eyes::next_weight(t.before) == Some(at(t.new));
        let jump = at(t.new) == 100 && routers::may_jump(t.new);
        holds(sim, now, "I8", at(t.new) == 0 || next || jump, || format!("from {}% to {}%", at(t.old), at(t.new)));
    }
    let (old, new) = (&t.old["attempt"]["stepEnteredAt"], &t.new["attempt"]["stepEnteredAt"]);
    if stage_of(t.old) == stage_of(t.new) && old.is_string() {
        let resumed = t.old["attempt"]["asked"].is_object() && people::newly_taken(t, &["Resume"]);
        let once = old == new || resumed;
        holds(sim, now, "I8", once, || format!("step {} is entered a second time", t.new["attempt"]["step"]));
    } else if let (Some(new), true, false) = (new.as_str(), running(t.new), sim.ops.iter().any(|o| o.skew != 0)) {
        let settle = eyes::seconds(text(eyes::stage(t.after), "/settle"));
        let late = moment(new) >= eyes::second(w.known.began) + settle;
        holds(sim, now, "I23", late, || format!("measured from {new} on, before it has settled for {settle}s"));
    }
    if let (true, Some(candidate)) = (t.same_attempt() && at(t.new) > at(t.old), color(&t.new["candidate"])) {
        let stood = stood_lately(sim, now, candidate, at(t.new));
        let words = || format!("status claims {}% for {}, which no router showed", at(t.new), candidate.word());
        holds(sim, now, "I11", stood, words);
    }
    let generation = |v: &Value| number(&v["observedGeneration"]);
    let rises = generation(t.new) >= generation(t.old);
    let seen = rises && generation(t.new) <= number(&t.after["metadata"]["generation"]);
    holds(sim, now, "I11", seen, || "observedGeneration falls, or runs ahead".into());
}

/// I5: what was taken back stays taken back, unless somebody says so.
fn latched(sim: &mut Sim, now: u64, t: &Turn<'_>) {
    let (aborted, later) = (&t.old["abortedRevision"], &t.new["abortedRevision"]);
    if aborted.is_string() && aborted != later {
        let again = t.new["attempt"]["revision"] == *aborted && running(t.new) && !t.same_attempt();
        let said = sim.orders(&t.old["attempt"]["id"]).any(|o| o["spec"]["verb"] == "Retry");
        holds(sim, now, "I5", !again || said, || "an aborted revision begins again".into());
    }
}

/// A stage is left for the next one, or for good.
fn left(sim: &mut Sim, now: u64, w: &Write<'_>, t: &Turn<'_>) {
    let fast = t.old["attempt"]["fastTrack"] == json!(true);
    let early = people::skipped(sim, t) || (number(&t.old["attempt"]["weight"]) < 100 && promised(t));
    if fast || early {
        return;
    }
    let manual = t.before["spec"]["manual"] == json!(true) && number(&t.old["attempt"]["bake"]) == 0;
    holds(sim, now, "approval", !manual, || "a step is left, and nobody has said so".into());
    let rollout = Value::clone(t.before);
    proof::proof(sim, now, w, &rollout);
    proof::hold_served(sim, now, w, &rollout);
    let ill = color(&t.old["candidate"]).map(|c| sim.image(c)).unwrap_or_default();
    let vouched = eyes::taken(t.new, &["Skip", "Promote"]).next().is_some() || number(&t.old["attempt"]["weight"]) == 0;
    holds(sim, now, "I3", vouched || !ill.contains("bad"), || format!("{ill} goes on"));
}

fn promised(t: &Turn<'_>) -> bool {
    eyes::taken(t.new, &["Promote"]).next().is_some()
}

/// The candidate serves: after its last bake, or because it is known to be good.
fn arrived(sim: &mut Sim, now: u64, t: &Turn<'_>) {
    let bakes = t.before["spec"]["bake"].as_array().map_or(0, Vec::len);
    let fast = t.old["attempt"]["fastTrack"] == json!(true);
    let stands = usize::try_from(number(&t.old["attempt"]["bake"])).unwrap();
    holds(sim, now, "bake", fast || stands == bakes, || format!("promoted after bake {stands} of {bakes}"));
    let full = number(&t.old["attempt"]["weight"]) == 100;
    holds(sim, now, "I8", full, || format!("promoted at {}%", t.old["attempt"]["weight"]));
}

/// I11: the routers showed these shares in the last minutes.
fn stood_lately(sim: &Sim, now: u64, candidate: Color, weight: i64) -> bool {
    let only_selector = sim
        .rollout()
        .is_some_and(|r| r["spec"]["traffic"].as_array().is_some_and(|t| t.iter().all(|r| r["service"].is_object())));
    let share = if only_selector && weight < 100 { 0 } else { weight };
    let i = usize::from(candidate == Color::Green);
    let all = &sim.judge.shares;
    let until = |n: usize| all.get(n + 1).map_or(now, |(at, _)| *at);
    all.iter().enumerate().any(|(n, (_, shares))| shares[i] == share && until(n) + 90_000 >= now)
}
