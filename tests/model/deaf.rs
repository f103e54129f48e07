//! Deciders that do not listen to people, or that end a release wrongly, each in one way: the checker must find every one
//! of them. Thin wrappers around the real one, so that what they break is all that is wrong.

use std::sync::Arc;

use llmrollout::{
    api::{LlmRollout, Phase, order::Verb, status::Color},
    decide::{Decision, Intent, Snapshot, decide, intent::OwnedKind, snapshot::Standing},
};

use super::{
    brain::Decide,
    broken::{Broken, with_status},
    chapters::CALM,
    laws::Law,
    moves::Budget,
    setting::{PEOPLE, RETURN, Setting},
};

const fn told(name: &'static str, decide: Decide, law: Law, setting: &'static Setting, budget: Budget) -> Broken {
    Broken { name, decide, law: Some(law), setting, budget }
}

const SILENT: Budget = CALM;
const ONE: Budget = Budget { orders: 1, ..CALM };
/// Somebody sets a field, or takes something away.
const FIELD: Budget = Budget { others: 1, total: 1, ..CALM };
const AGAIN: Budget = Budget { revisions: 2, ..CALM };

/// All of them.
pub(crate) const ALL: &[Broken] = &[
    told("a gate that asks is not waited for", heedless, Law::Ask, &PEOPLE, SILENT),
    told("an approval is not waited for", forward, Law::Approval, &PEOPLE, SILENT),
    told("the last approval counts for the next attempt", lasting, Law::Approval, &RETURN, AGAIN),
    told("the bake is left out", raw, Law::Bake, &PEOPLE, SILENT),
    told("the old color is scaled during the bake", hasty_end, Law::I9, &PEOPLE, SILENT),
    told("the old color is not drained", undrained, Law::I9, &PEOPLE, SILENT),
    told("a color that serves is retired", backwards, Law::I10, &PEOPLE, SILENT),
    told("an order is heard twice", forgetful, Law::Heard, &PEOPLE, ONE),
    told("an order is not answered", deaf, Law::Heard, &PEOPLE, ONE),
    told("an order to another attempt is heard", eager, Law::Heard, &PEOPLE, ONE),
    told("an attempt under way is tried again", restarting, Law::Retry, &PEOPLE, ONE),
    told("what was taken back is tried again unasked", stubborn, Law::Retry, &PEOPLE, SILENT),
    told("an abort by order is ignored", unstoppable, Law::Rank, &PEOPLE, ONE),
    told("promoted although it is paused", pushing, Law::Rank, &PEOPLE, Budget { orders: 1, ..FIELD }),
    told("a rollout that is being deleted goes on", undying, Law::Rank, &PEOPLE, SILENT),
    told("a promotion skips the evidence of a later step", promoting, Law::I3, &PEOPLE, ONE),
    told("a dependency taken back is not looked at", alone, Law::Depend, &PEOPLE, FIELD),
    told("objects of somebody else are taken for ours", greedy, Law::I15, &PEOPLE, FIELD),
    Broken {
        name: "an abort while retiring is ignored",
        decide: late,
        law: Some(Law::Home),
        setting: &PEOPLE,
        budget: FIELD,
    },
    Broken { name: "an approval is never taken", decide: unmoved, law: None, setting: &PEOPLE, budget: SILENT },
];

fn with_rollout(s: &Snapshot, change: impl FnOnce(&mut LlmRollout)) -> Snapshot {
    let mut rollout = s.rollout.as_ref().clone();
    change(&mut rollout);
    Snapshot { rollout: Arc::new(rollout), ..s.clone() }
}

fn heedless(s: &Snapshot) -> Decision {
    decide(&with_status(s, |status| {
        if let Some(attempt) = &mut status.attempt {
            attempt.asked = None;
            attempt.paused_at = None;
        }
    }))
}

fn forward(s: &Snapshot) -> Decision {
    decide(&with_rollout(s, |r| r.spec.approvals.clear()))
}

/// What was approved is kept when another attempt begins.
fn lasting(s: &Snapshot) -> Decision {
    let mut d = decide(s);
    let known = s.rollout.status.clone().unwrap_or_default();
    let begins = d.next.attempt.as_ref().map(|a| a.id) != known.attempt.as_ref().map(|a| a.id);
    if begins && !known.approvals.is_empty() {
        d.next.approvals.clone_from(&known.approvals);
        if let Some(attempt) = d.next.attempt.as_mut() {
            attempt.cleared_at = Some(s.now);
        }
        d.next.approvals.clear();
    }
    d
}

fn raw(s: &Snapshot) -> Decision {
    decide(&with_rollout(s, |r| r.spec.bake.clear()))
}

fn retire(s: &Snapshot, color: Color) -> Option<Intent> {
    let seen = s.color(color).deployment.as_ref()?;
    Some(Intent::Delete {
        kind: OwnedKind::Deployment,
        name: format!("chat-{}", color.word()),
        version: seen.object.version.clone(),
    })
}

fn hasty_end(s: &Snapshot) -> Decision {
    let mut d = decide(s);
    let baking = d.next.phase == Some(Phase::Baking) && d.intents.is_empty();
    if let Some(old) = d.next.active.filter(|_| baking) {
        d.intents.extend(retire(s, old));
    }
    d
}

fn undrained(s: &Snapshot) -> Decision {
    decide(&with_rollout(s, |r| {
        if let Some(end) = &mut r.spec.decommission {
            end.drain = Some("0s".to_owned());
        }
    }))
}

fn backwards(s: &Snapshot) -> Decision {
    let mut d = decide(s);
    let active = d.next.active;
    for intent in &mut d.intents {
        if let (Intent::Delete { .. }, Some(active)) = (&intent, active) {
            *intent = retire(s, active).unwrap_or_else(|| intent.clone());
        }
    }
    d
}

/// The orders of the attempt are written down, and not looked up again.
fn forgetful(s: &Snapshot) -> Decision {
    decide(&with_status(s, |status| status.orders.clear()))
}

fn deaf(s: &Snapshot) -> Decision {
    decide(&Snapshot { orders: Vec::new(), ..s.clone() })
}

fn eager(s: &Snapshot) -> Decision {
    let id = s.rollout.status.as_ref().and_then(|s| s.attempt.as_ref()).map_or(1, |a| a.id);
    let mut s = s.clone();
    for order in &mut s.orders {
        order.spec.attempt = id;
    }
    decide(&s)
}

fn restarting(s: &Snapshot) -> Decision {
    let mut d = decide(s);
    for order in d.next.orders.iter_mut().filter(|o| o.verb == Verb::Retry) {
        order.taken = true;
    }
    d
}

fn stubborn(s: &Snapshot) -> Decision {
    let at_rest = s.rollout.status.as_ref().is_some_and(|s| s.phase == Some(Phase::RolledBack));
    if !at_rest {
        return decide(s);
    }
    decide(&with_status(s, |status| status.aborted_revision = None))
}

fn unstoppable(s: &Snapshot) -> Decision {
    let mut d = decide(&with_status(s, |status| status.orders.retain(|o| o.verb != Verb::Abort)));
    let ordered = d.next.orders.iter().any(|o| o.verb == Verb::Abort && o.taken);
    if ordered && d.next.phase == Some(Phase::RollingBack) {
        let heard = d.next.orders.clone();
        let orders = s.orders.iter().filter(|o| o.spec.verb != Verb::Abort).cloned().collect();
        d = decide(&Snapshot { orders, ..s.clone() });
        d.next.orders = heard;
    }
    d
}

fn pushing(s: &Snapshot) -> Decision {
    let promoted = s.rollout.status.as_ref().and_then(|s| s.attempt.as_ref()).is_some_and(|a| a.promoted);
    if promoted { decide(&with_rollout(s, |r| r.spec.paused = false)) } else { decide(s) }
}

fn undying(s: &Snapshot) -> Decision {
    decide(&with_rollout(s, |r| r.metadata.deletion_timestamp = None))
}

fn promoting(s: &Snapshot) -> Decision {
    decide(&with_status(s, |status| {
        if let Some(attempt) = status.attempt.as_mut().filter(|a| a.promoted && a.weight == 100) {
            attempt.skipped = true;
        }
    }))
}

fn alone(s: &Snapshot) -> Decision {
    let mut s = s.clone();
    for other in &mut s.dependencies {
        other.standing = Standing::Baked;
    }
    decide(&s)
}

fn greedy(s: &Snapshot) -> Decision {
    let mut s = s.clone();
    for seen in [&mut s.blue, &mut s.green] {
        if let Some(deployment) = &mut seen.deployment {
            deployment.object.ours = true;
        }
        if let Some(service) = &mut seen.service {
            service.ours = true;
        }
    }
    decide(&s)
}

fn late(s: &Snapshot) -> Decision {
    let retiring = s.rollout.status.as_ref().is_some_and(|s| s.retiring.is_some());
    if !retiring {
        return decide(s);
    }
    decide(&with_rollout(s, |r| r.spec.abort = false))
}

fn unmoved(s: &Snapshot) -> Decision {
    let mut s = s.clone();
    for order in &mut s.orders {
        order.spec.role = Some("nobody".to_owned());
    }
    decide(&s)
}
