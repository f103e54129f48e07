//! Deciders that are broken on purpose, each in one way: the checker must find every one of them. Thin wrappers around
//! the real one, so that what they break is all that is wrong.

use std::sync::Arc;

use llmrollout::{
    api::{LlmRolloutStatus, Percent, Phase, Reason, status::Color},
    decide::{
        Decision, Intent, Snapshot, decide,
        snapshot::DeploymentSeen,
        workload::{self, Made, Role},
    },
    metrics::Sample,
    routers::{PatchKind, Shares},
};
use serde_json::json;

use super::{
    brain::Decide,
    chapters::CALM,
    laws::Law,
    moves::Budget,
    setting::{MACHINE, Setting},
};

/// A broken decider and the law that tells on it; without a law it is the fair run that does.
pub(crate) struct Broken {
    pub(crate) name: &'static str,
    pub(crate) decide: Decide,
    pub(crate) law: Option<Law>,
    pub(crate) setting: &'static Setting,
    pub(crate) budget: Budget,
}

/// With what the machinery is caught.
const BUDGET: Budget = Budget { edits: 1, others: 1, total: 1, rich: true, ..CALM };

const fn told(name: &'static str, decide: Decide, law: Law) -> Broken {
    Broken { name, decide, law: Some(law), setting: &MACHINE, budget: BUDGET }
}

const fn stuck(name: &'static str, decide: Decide) -> Broken {
    Broken { name, decide, law: None, setting: &MACHINE, budget: Budget { rich: true, ..CALM } }
}

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static Broken> {
    MACHINERY.iter().chain(super::deaf::ALL)
}

const MACHINERY: &[Broken] = &[
    told("weights add up to 99", short_sum, Law::I1),
    told("readiness is not asked", blind, Law::I2),
    told("a raise on cached endpoints", cached, Law::I2),
    told("no data counts as good", credulous, Law::I3),
    told("the abort latch is cleared", forgetful, Law::I5),
    told("writes without a guard", unguarded, Law::I6),
    told("paused is ignored", restless, Law::I7),
    told("two steps at once", hasty, Law::I8),
    told("the active color is applied with the release", meddling, Law::I9),
    told("home to a dead color", headlong, Law::I10),
    told("status before traffic", boastful, Law::I11),
    told("a raise without its intent", bold, Law::I21),
    told("a way back by hand is fought", stubborn, Law::I22),
    told("the hold is not waited for", impatient, Law::I23),
    told("another field is set as well", untidy, Law::I24),
    stuck("a rollback never ends", endless),
    stuck("a hold never ends", frozen),
];

pub(crate) fn with_status(s: &Snapshot, change: impl FnOnce(&mut LlmRolloutStatus)) -> Snapshot {
    let mut rollout = s.rollout.as_ref().clone();
    change(rollout.status.get_or_insert_default());
    Snapshot { rollout: Arc::new(rollout), ..s.clone() }
}

fn patches(d: &mut Decision) -> impl Iterator<Item = &mut llmrollout::routers::GuardedPatch> {
    d.intents.iter_mut().filter_map(|i| match i {
        Intent::Patch(p) => Some(p),
        Intent::Put(_) | Intent::Apply(_) | Intent::Delete { .. } | Intent::Scale { .. } => None,
    })
}

fn active(s: &Snapshot) -> Option<Color> {
    s.rollout.status.as_ref()?.active
}

fn short_sum(s: &Snapshot) -> Decision {
    let mut d = decide(s);
    for patch in patches(&mut d).filter(|p| p.kind == PatchKind::HttpRoute) {
        let blue = patch.ops[3]["value"].as_i64().unwrap_or(0);
        patch.ops[3]["value"] = json!((blue - 1).max(0));
    }
    d
}

fn pretend_ready(s: &Snapshot, color: Option<Color>) -> Snapshot {
    let mut s = s.clone();
    let seen = match color {
        Some(Color::Blue) => &mut s.blue,
        Some(Color::Green) => &mut s.green,
        None => return s,
    };
    seen.ready = 1;
    if let Some(DeploymentSeen { ready, settled, .. }) = &mut seen.deployment {
        (*ready, *settled) = (1, true);
    }
    s
}

fn blind(s: &Snapshot) -> Decision {
    decide(&pretend_ready(s, active(s).map(Color::other)))
}

fn cached(s: &Snapshot) -> Decision {
    decide(&Snapshot { live: true, ..s.clone() })
}

fn credulous(s: &Snapshot) -> Decision {
    let mut s = s.clone();
    for reading in s.readings.values_mut().flatten() {
        if reading.outcome.is_err() {
            reading.outcome = Ok(Sample { value: 0.0, samples: 1000.0 });
        }
    }
    decide(&s)
}

fn forgetful(s: &Snapshot) -> Decision {
    let mut d = decide(s);
    d.next.aborted_revision = None;
    d
}

fn unguarded(s: &Snapshot) -> Decision {
    let mut d = decide(s);
    for patch in patches(&mut d) {
        patch.ops.remove(0);
        patch.ops.insert(0, json!({"op": "test", "path": "/metadata/name", "value": "chat"}));
    }
    d
}

fn restless(s: &Snapshot) -> Decision {
    let mut rollout = s.rollout.as_ref().clone();
    rollout.spec.paused = false;
    decide(&Snapshot { rollout: Arc::new(rollout), ..s.clone() })
}

fn hasty(s: &Snapshot) -> Decision {
    let mut d = decide(s);
    let known = s.rollout.status.as_ref().and_then(|s| s.intent.clone());
    if let Some(intent) = d.next.intent.as_mut().filter(|i| known.is_none() && i.step == 2) {
        (intent.step, intent.weight) = (3, Percent::of(50));
    }
    d
}

fn meddling(s: &Snapshot) -> Decision {
    let mut d = decide(s);
    if let (Some(color), Some(Phase::Preparing), true) = (active(s), d.next.phase, d.intents.len() == 1) {
        let wanted = llmrollout::decide::release::wanted(&s.rollout.spec.release).unwrap();
        let made = Made::of(&s.rollout).unwrap();
        d.intents.push(Intent::Apply(workload::deployment(made, color, &wanted, Role::Active, 1)));
    }
    d
}

fn headlong(s: &Snapshot) -> Decision {
    decide(&pretend_ready(s, active(s)))
}

fn boastful(s: &Snapshot) -> Decision {
    let mut d = decide(s);
    let intent = d.next.intent.clone().filter(|_| !d.intents.is_empty() && !d.home);
    if let (Some(intent), Some(attempt)) = (intent, d.next.attempt.as_mut()) {
        (attempt.step, attempt.weight) = (intent.step, intent.weight);
    }
    d
}

fn bold(s: &Snapshot) -> Decision {
    let d = decide(s);
    let fresh = d.next.intent.is_some() && s.rollout.status.as_ref().is_none_or(|s| s.intent.is_none());
    if !fresh {
        return d;
    }
    let next = d.next.clone();
    let ahead = with_status(s, |status| *status = next);
    decide(&Snapshot { live: true, ..ahead })
}

fn stubborn(s: &Snapshot) -> Decision {
    let d = decide(s);
    let status = s.rollout.status.clone().unwrap_or_default();
    let begins = d.next.reason == Some(Reason::MovedBack) && status.phase != Some(Phase::RollingBack);
    let (Some(candidate), Some(attempt), true) = (status.candidate, status.attempt.clone(), begins && s.live) else {
        return d;
    };
    let mut again = d.clone();
    again.next.clone_from(&status);
    again.home = false;
    again.latched = false;
    again.intents = s
        .routers
        .iter()
        .filter_map(|r| r.state.as_ref().ok())
        .filter(|seen| matches!(seen.place, llmrollout::routers::Place::Weights { .. }))
        .flat_map(|seen| llmrollout::routers::write(seen, Shares::giving(candidate, attempt.weight)))
        .map(Intent::from)
        .collect();
    again
}

fn impatient(s: &Snapshot) -> Decision {
    let now = s.now;
    decide(&with_status(s, |status| {
        if let Some(attempt) = &mut status.attempt {
            attempt.hold_until = attempt.hold_until.map(|until| until.min(now));
        }
    }))
}

fn untidy(s: &Snapshot) -> Decision {
    let mut d = decide(s);
    for patch in patches(&mut d).filter(|p| p.kind == PatchKind::HttpRoute) {
        patch.ops.push(json!({"op": "add", "path": "/spec/rules/0/timeouts", "value": {"request": "10s"}}));
    }
    d
}

fn endless(s: &Snapshot) -> Decision {
    let d = decide(s);
    let status = s.rollout.status.clone().unwrap_or_default();
    if status.phase == Some(Phase::RollingBack) && d.next.phase != Some(Phase::RollingBack) {
        return Decision { next: status, intents: Vec::new(), ..d };
    }
    d
}

fn frozen(s: &Snapshot) -> Decision {
    let d = decide(s);
    let status = s.rollout.status.clone().unwrap_or_default();
    if d.next.intent.as_ref().is_some_and(|i| i.step == 2) && status.intent.is_none() {
        return Decision { next: status, intents: Vec::new(), wake: None, ..d };
    }
    d
}
