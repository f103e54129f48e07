//! What must hold of every write that the API server took from an operator, and of every change it made to the rollout's
//! status. Written from the specification, not from the product: it has its own eyes for evidence, shares and frames.

use std::collections::BTreeMap;

use llmrollout::{api::status::Color, metrics::Reading};
use serde_json::{Value, json};

use super::{
    cluster::{BEGIN, Known, Sim, image_of, share},
    store::{Change, Key},
};

/// Limits of the gates in the manifests of the simulation: errors, p95, cost.
const LIMITS: [f64; 3] = [0.01, 1.5, 0.005];
const MIN_SAMPLES: f64 = 20.0;
const INTERVAL: i64 = 3;

/// What was seen so far.
#[derive(Default)]
pub(crate) struct Judge {
    pub(crate) violations: Vec<(&'static str, String)>,
    /// How often each invariant was asked.
    pub(crate) asked: BTreeMap<&'static str, u64>,
    /// When which largest share of blue and green stood.
    shares: Vec<(u64, [i64; 2])>,
    paused_since: Option<u64>,
    dead_since: [Option<u64>; 2],
}

/// One write of an operator that changed something.
pub(crate) struct Write<'a> {
    pub(crate) op: usize,
    pub(crate) known: &'a Known,
    pub(crate) issued: u64,
    pub(crate) status_then: &'a Value,
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
    if let ("llmrollouts", Some(after)) = (change.key.0, &change.after) {
        let paused = after["spec"]["paused"] == json!(true);
        sim.judge.paused_since = paused.then(|| sim.judge.paused_since.unwrap_or(now));
    }
    for (i, color) in Color::BOTH.into_iter().enumerate() {
        let dead = sim.ready(color) == 0;
        sim.judge.dead_since[i] = dead.then(|| sim.judge.dead_since[i].unwrap_or(now));
    }
    let shares = [sim.share(Color::Blue), sim.share(Color::Green)];
    if sim.judge.shares.last().is_none_or(|(_, last)| *last != shares) {
        sim.judge.shares.push((now, shares));
    }
}

/// I6: every JSON patch names the version it was decided on, before anything else.
pub(crate) fn guarded(sim: &mut Sim, now: u64, key: &Key, ops: &[Value]) {
    let first = ops.first().is_some_and(|op| op["path"] == "/metadata/resourceVersion" && op["value"].is_string());
    holds(sim, now, "I6", first, || format!("a patch of {} without the version it was decided on", key.1));
}

/// One write that was taken.
pub(crate) fn write(sim: &mut Sim, now: u64, w: &Write<'_>) {
    match (w.change.key.0, w.change.key.1.as_str(), &w.change.before, &w.change.after) {
        ("llmrollouts", _, Some(before), Some(after)) if w.status => status(sim, now, w, before, after),
        ("llmrollouts", _, Some(before), after) => finalizers(sim, now, w, before, after.as_ref()),
        ("httproutes" | "services", "chat", Some(before), Some(after)) => router(sim, now, w, before, after),
        ("deployments" | "services", _, before, Some(after)) => owned(sim, now, w, before.as_ref(), after),
        _ => {}
    }
}

fn text<'a>(value: &'a Value, at: &str) -> &'a str {
    value.pointer(at).and_then(Value::as_str).unwrap_or_default()
}

fn color(word: &Value) -> Option<Color> {
    Color::BOTH.into_iter().find(|c| *word == json!(c.word()))
}

fn running(status: &Value) -> bool {
    status["attempt"].is_object() && status["attempt"]["endedAt"].is_null()
}

/// Weights of the steps in a manifest, rising.
fn weights(rollout: &Value) -> Vec<i64> {
    rollout["spec"]["steps"].as_array().into_iter().flatten().filter_map(|s| s["weight"].as_i64()).collect()
}

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

fn router(sim: &mut Sim, now: u64, w: &Write<'_>, before: &Value, after: &Value) {
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
        match color(&knew["status"]["active"]) {
            Some(active) if active == raised || leaving => homeward(sim, now, w, raised),
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

/// Dead for longer than the oldest cache and the slowest network can hide it.
fn long_dead(sim: &Sim, at: u64, color: Color) -> bool {
    sim.judge.dead_since[usize::from(color == Color::Green)].is_some_and(|since| at > since + 95_000)
}

/// A step up.
fn forward(sim: &mut Sim, now: u64, w: &Write<'_>, raised: Color, plural: &str, new: i64) {
    let Some(live) = w.known.live.clone() else {
        return holds(sim, now, "I2", false, || "a raise without a live look in the same pass".into());
    };
    let (spec, status) = (&live["spec"], &live["status"]);
    let intent = &status["intent"];
    let to = intent["weight"].as_i64().unwrap_or(-1);
    let here = if plural == "services" && to < 100 { 0 } else { to };
    holds(sim, now, "I21", here == new, || format!("{plural} raised to {new}, but the intent on record is {intent}"));
    let stopped = spec["paused"] == json!(true) || spec["abort"] == json!(true);
    holds(sim, now, "I7", !stopped, || "a raise although `paused` or `abort` was read".into());
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
    let from = if status["attempt"]["stepEnteredAt"].is_null() {
        0
    } else {
        status["attempt"]["weight"].as_i64().unwrap_or(0)
    };
    let next = weights(&live).into_iter().find(|x| *x > from);
    holds(sim, now, "I8", next == Some(to), || format!("from {from}% to {to}%"));
}

/// Objects of ours.
fn owned(sim: &mut Sim, now: u64, w: &Write<'_>, before: Option<&Value>, after: &Value) {
    let (plural, name) = (w.change.key.0, w.change.key.1.as_str());
    let image = |d: &Value| image_of(&d["spec"]["template"]).to_owned();
    let words = if plural == "deployments" {
        format!(" {} x{}", image(after), after["spec"]["replicas"])
    } else {
        String::new()
    };
    let spec_changed = before.is_none_or(|b| b["spec"] != after["spec"]);
    sim.tell(
        now,
        format_args!(
            "operator {}: {plural}/{name}{words}{}",
            w.op,
            if spec_changed { "" } else { " (only its bookkeeping)" }
        ),
    );
    let mine = if name.ends_with("green") { Color::Green } else { Color::Blue };
    if !spec_changed || plural != "deployments" {
        return;
    }
    let active = color(&w.status_then["active"]);
    let released = running(w.status_then) && active == Some(mine);
    holds(sim, now, "I9", !released, || format!("{name} is written during a release although it serves"));
    let template = before.is_some_and(|b| b["spec"]["template"] != after["spec"]["template"]);
    let serves = sim.share(mine) > 0 && active.is_some();
    let share = sim.share(mine);
    holds(sim, now, "I9", !(template && serves), || format!("the pods of {name} are exchanged while it gets {share}%"));
    let paused = sim.judge.paused_since.is_some_and(|since| w.issued > since + 60_000) && running(w.status_then);
    holds(sim, now, "I7", !paused, || format!("{name} is written although the release is paused"));
}

/// Joining and leaving: nothing but our finalizer changes.
fn finalizers(sim: &mut Sim, now: u64, w: &Write<'_>, before: &Value, after: Option<&Value>) {
    sim.tell(
        now,
        format_args!(
            "operator {}: {}",
            w.op,
            if after.is_some() { "takes the rollout up" } else { "lets the rollout go" }
        ),
    );
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

/// A change of the rollout's status.
fn status(sim: &mut Sim, now: u64, w: &Write<'_>, before: &Value, after: &Value) {
    let (old, new) = (&before["status"], &after["status"]);
    let at = |s: &Value| s["attempt"]["weight"].as_i64().unwrap_or(0);
    sim.tell(
        now,
        format_args!(
            "operator {}: status {} {} step {} {}% intent {} | {}",
            w.op,
            text(new, "/phase"),
            text(new, "/reason"),
            new["attempt"]["step"],
            at(new),
            new["intent"]["weight"],
            text(new, "/message")
        ),
    );
    let same_attempt = old["attempt"]["id"] == new["attempt"]["id"] && new["attempt"].is_object();
    let up = same_attempt && at(new) > at(old);
    if same_attempt && at(new) != at(old) {
        let next = weights(before).into_iter().find(|x| *x > at(old));
        holds(sim, now, "I8", at(new) == 0 || next == Some(at(new)), || format!("from {}% to {}%", at(old), at(new)));
    }
    if same_attempt && old["attempt"]["step"] == new["attempt"]["step"] && old["attempt"]["stepEnteredAt"].is_string() {
        let once = old["attempt"]["stepEnteredAt"] == new["attempt"]["stepEnteredAt"];
        holds(sim, now, "I8", once, || format!("step {} is entered a second time", new["attempt"]["step"]));
    }
    if let (true, Some(candidate)) = (up, color(&new["candidate"])) {
        let stood = stood_lately(sim, now, candidate, at(new));
        holds(sim, now, "I11", stood, || {
            format!("status claims {}% for {}, which no router showed", at(new), candidate.word())
        });
    }
    let generation = |v: &Value| v["observedGeneration"].as_i64().unwrap_or(0);
    let seen =
        generation(new) >= generation(old) && generation(new) <= after["metadata"]["generation"].as_i64().unwrap_or(0);
    holds(sim, now, "I11", seen, || "observedGeneration falls, or runs ahead".into());
    let (aborted, later) = (&old["abortedRevision"], &new["abortedRevision"]);
    if aborted.is_string() && aborted != later {
        let again = new["attempt"]["revision"] == *aborted && running(new);
        let began = old["attempt"]["id"] != new["attempt"]["id"];
        holds(sim, now, "I5", !(again && began), || "an aborted revision begins again".into());
    }
    let intended = new["intent"].is_object()
        && new["intent"]["op"] != old["intent"]["op"]
        && old["attempt"]["stepEnteredAt"].is_string();
    let promoted = old["active"].is_string() && new["active"] != old["active"];
    if intended || promoted {
        proof(sim, now, w, before);
    }
    if let Some(active) = color(&new["active"]).filter(|_| promoted) {
        let image = sim.image(active);
        holds(sim, now, "I3", !image.contains("bad") && !image.contains("crash"), || format!("{image} is promoted"));
    }
    if intended {
        let image = color(&new["candidate"]).map(|c| sim.image(c)).unwrap_or_default();
        holds(sim, now, "I3", !image.contains("bad"), || format!("{image} is given more traffic"));
        hold_served(sim, now, w, before);
    }
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

/// I3: every gate has fresh, good readings of this step on the board of the process that goes on.
fn proof(sim: &mut Sim, now: u64, w: &Write<'_>, before: &Value) {
    let status = &w.known.rollout()["status"];
    let entered = moment(text(status, "/attempt/stepEnteredAt"));
    let here = |ms: u64| i64::try_from((BEGIN + ms).saturating_add_signed(sim.ops[w.op].skew * 1000) / 1000).unwrap();
    let (decided, sent) = (here(w.issued.saturating_sub(4_000)), here(w.issued));
    let log = &sim.ops[w.op].log;
    let workload = format!("chat-{}", text(status, "/candidate"));
    let mut wrong = Vec::new();
    for (gate, limit) in LIMITS.iter().enumerate() {
        let of = |upto: usize| -> Vec<&Reading> {
            log.iter()
                .take(upto)
                .filter(|(q, r)| {
                    let text = q.value.to_string();
                    let metric = usize::from(text.contains("histogram_quantile"))
                        + 2 * usize::from(text.contains("generation_tokens"));
                    metric == gate && text.contains(&workload) && r.at.unix() >= entered
                })
                .map(|(_, r)| r)
                .collect()
        };
        let judged = (w.known.readings..=log.len()).any(|upto| good(&of(upto), *limit, decided, sent));
        if !judged {
            wrong.push(["errors", "p95", "cost"][gate]);
        }
    }
    let step = &before["status"]["attempt"]["step"];
    holds(sim, now, "I3", wrong.is_empty(), || {
        format!("goes on from step {step} without proof of {}", wrong.join(", "))
    });
}

fn good(readings: &[&Reading], limit: f64, decided: i64, sent: i64) -> bool {
    let usable: Vec<f64> = readings
        .iter()
        .filter_map(|r| r.outcome.as_ref().ok().filter(|s| s.value.is_finite() && s.samples >= MIN_SAMPLES))
        .map(|s| s.value)
        .collect();
    let bad = usable.iter().rev().take(3).filter(|v| **v > limit).count();
    let newest = readings.last().is_some_and(|r| {
        let fresh = r.at.unix() >= decided - (3 * INTERVAL + 5) && r.at.unix() <= sent + 1;
        fresh && r.outcome.as_ref().is_ok_and(|s| s.value <= limit && s.samples >= MIN_SAMPLES)
    });
    bad < 2 && newest
}

/// I23: the step was measured for its hold, by true time. A process that was started with a wrong wall clock is let off:
/// nothing it can read tells it so.
fn hold_served(sim: &mut Sim, now: u64, w: &Write<'_>, before: &Value) {
    if sim.ops.iter().any(|o| o.skew != 0) {
        return;
    }
    let status = &before["status"];
    let entered = moment(text(status, "/attempt/stepEnteredAt"));
    let true_now = i64::try_from((BEGIN + w.issued) / 1000).unwrap();
    let weight = &status["attempt"]["weight"];
    let steps = before["spec"]["steps"].as_array().cloned().unwrap_or_default();
    let hold = steps.iter().find(|s| s["weight"] == *weight).map(|s| text(s, "/hold").trim_end_matches('s').to_owned());
    let hold: i64 = hold.and_then(|h| h.parse().ok()).unwrap_or(0);
    holds(sim, now, "I23", true_now - entered >= hold, || {
        format!("{weight}% was held {}s of {hold}s", true_now - entered)
    });
}

pub(crate) fn moment(text: &str) -> i64 {
    text.parse::<k8s_openapi::jiff::Timestamp>().map_or(i64::MAX, k8s_openapi::jiff::Timestamp::as_second)
}
