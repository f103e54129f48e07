//! The laws of evidence: every gate that speaks at a stage has fresh, good readings of that stage on the board of the
//! process that goes on, and the stage was measured for its hold, by true time or by requests.

use llmrollout::metrics::Reading;
use serde_json::Value;

use super::{
    super::{cluster::Sim, prometheus::About},
    Write,
    eyes::{self, breaks, moment, number, stage_of, text},
    holds,
};

const INTERVAL: i64 = 3;

/// The readings of one kind that the process has of the stage.
fn readings<'a>(sim: &'a Sim, w: &Write<'_>, rollout: &Value, about: About, upto: usize) -> Vec<&'a Reading> {
    let entered = moment(text(rollout, "/status/attempt/stepEnteredAt"));
    let workload = format!("chat-{}", text(rollout, "/status/candidate"));
    let log = sim.ops[w.op].log.iter().take(upto);
    let here = log.filter(|l| l.about == about && l.workload == workload && l.reading.at.unix() >= entered);
    here.map(|l| &l.reading).collect()
}

/// I3.
pub(super) fn proof(sim: &mut Sim, now: u64, w: &Write<'_>, rollout: &Value) {
    let here = |ms: u64| eyes::second(ms) + sim.ops[w.op].skew;
    let (decided, sent) = (here(w.issued.saturating_sub(4_000)), here(w.issued));
    let length = sim.ops[w.op].log.len();
    let mut wrong = Vec::new();
    for gate in eyes::needed(rollout) {
        let about = eyes::about(gate);
        let passes = |upto: usize| good(&readings(sim, w, rollout, about, upto), gate, decided, sent);
        if !(w.known.readings..=length).any(passes) {
            wrong.push(text(gate, "/name"));
        }
    }
    let (wrong, step) = (wrong.join(", "), &rollout["status"]["attempt"]["step"]);
    holds(sim, now, "I3", wrong.is_empty(), || format!("goes on from step {step} without proof of {wrong}"));
    enough(sim, now, w, rollout);
}

/// `minRequests`.
fn enough(sim: &mut Sim, now: u64, w: &Write<'_>, rollout: &Value) {
    let Some(needed) = eyes::stage(rollout)["minRequests"].as_i64() else { return };
    let seen = requests(sim, w, rollout);
    holds(sim, now, "I3", seen >= needed, || format!("goes on after {seen} of {needed} requests"));
}

#[expect(clippy::cast_possible_truncation, reason = "a count of requests")]
fn requests(sim: &Sim, w: &Write<'_>, rollout: &Value) -> i64 {
    let all = readings(sim, w, rollout, About::Requests, usize::MAX);
    let counts = all.iter().filter_map(|r| r.outcome.as_ref().ok()).map(|s| s.value).filter(|v| v.is_finite());
    counts.fold(0.0_f64, f64::max) as i64
}

fn good(readings: &[&Reading], gate: &Value, decided: i64, sent: i64) -> bool {
    let least = gate["minSamples"].as_f64().unwrap_or(1.0);
    let usable: Vec<f64> = readings
        .iter()
        .filter_map(|r| r.outcome.as_ref().ok().filter(|s| s.value.is_finite() && s.samples >= least))
        .map(|s| s.value)
        .collect();
    let bad = usable.iter().rev().take(3).filter(|v| breaks(gate, **v)).count();
    let newest = readings.last().is_some_and(|r| {
        let fresh = r.at.unix() >= decided - (3 * INTERVAL + 5) && r.at.unix() <= sent + 1;
        fresh && r.outcome.as_ref().is_ok_and(|s| !breaks(gate, s.value) && s.samples >= least)
    });
    bad < 2 && newest
}

/// I23: the stage was measured for its hold, by true time, or by as many requests as the manifest says. A process that
/// was started with a wrong wall clock is let off: nothing it can read tells it so.
pub(super) fn hold_served(sim: &mut Sim, now: u64, w: &Write<'_>, rollout: &Value) {
    if sim.ops.iter().any(|o| o.skew != 0) {
        return;
    }
    let Some((_, entered)) = sim.judge.entered.filter(|(stage, _)| *stage == stage_of(&rollout["status"])) else {
        return holds(sim, now, "I23", false, || "a stage is left that was never entered".into());
    };
    let served = eyes::second(w.issued) - entered;
    let hold = eyes::hold(rollout);
    let most = eyes::stage(rollout)["maxRequests"].as_i64();
    let enough = most.is_some_and(|most| requests(sim, w, rollout) >= most);
    let stage = number(&rollout["status"]["attempt"]["weight"]);
    holds(sim, now, "I23", served >= hold || enough, || format!("{stage}% was held {served}s of {hold}s"));
    if number(&rollout["status"]["attempt"]["bake"]) > 0 {
        holds(sim, now, "bake", served >= hold, || format!("baked {served}s of {hold}s"));
    }
}
