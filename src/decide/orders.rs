//! Orders: what people say to the attempt under way. Each is heard once and answered in status, whether it is followed
//! or not; an order to another attempt is nobody's word here. The way back of an order is walked by `home`.

use std::time::Duration;

use super::{
    course::Before,
    plan::Plan,
    snapshot::{OrderSeen, Snapshot},
};
use crate::api::{
    LlmRolloutStatus, Moment, Percent, Phase, Reason,
    order::Verb,
    status::{Approved, Attempt, OrderHeard, Retiring},
};

/// So many orders to one attempt are heard.
const MOST: usize = 32;
/// So many more may ask for the way back: it is heard however much was said before.
const SPARE: usize = 4;

/// How the answer to an order that leads back begins; its reason follows.
pub(super) const GOES_BACK: &str = "traffic goes back";

/// What becomes of an order, for people.
type Outcome = Result<String, String>;

/// Hears every order to the attempt that was not heard yet. Those that are older than the rollout were said to another
/// one of its name.
pub(super) fn hear(status: &mut LlmRolloutStatus, s: &Snapshot, plan: Option<&Plan>) {
    let Some(attempt) = status.attempt.as_ref().map(|a| a.id) else { return };
    let born = s.rollout.metadata.creation_timestamp.as_ref().map_or(Moment::default(), |t| t.0.into());
    for order in s.orders.iter().filter(|o| o.spec.attempt == attempt && o.at >= born) {
        let forgotten = status.attempt.as_ref().and_then(|a| a.deaf_before).is_some_and(|until| order.at <= until);
        if forgotten || status.orders.iter().any(|h| h.uid == order.uid) || !room(status, s, order) {
            continue;
        }
        let outcome = if running(status) && ordered_back(status).is_some() {
            Err("traffic is on its way back already".to_owned())
        } else {
            follow(status, s, plan, order)
        };
        let (taken, message) = match outcome {
            Ok(done) => (true, done),
            Err(why) => (false, why),
        };
        status.orders.push(OrderHeard {
            name: order.name.clone(),
            uid: order.uid.clone(),
            verb: order.spec.verb,
            by: order.spec.approver.clone(),
            taken,
            message,
            at: s.now,
        });
    }
}

/// Whether one more answer fits. The oldest refusal makes room; what it refused, and what is older, is not heard again.
fn room(status: &mut LlmRolloutStatus, s: &Snapshot, order: &OrderSeen) -> bool {
    let goes_back = matches!(order.spec.verb, Verb::Abort | Verb::Reject);
    if status.orders.len() < if goes_back { MOST + SPARE } else { MOST } {
        return true;
    }
    let Some(refused) = status.orders.iter().position(|o| !o.taken) else { return false };
    let gone = status.orders.remove(refused);
    let given = s.orders.iter().find(|o| o.uid == gone.uid).map(|o| o.at);
    if let Some(attempt) = status.attempt.as_mut() {
        attempt.deaf_before = attempt.deaf_before.max(given);
    }
    true
}

fn running(status: &LlmRolloutStatus) -> bool {
    status.attempt.as_ref().is_some_and(|a| a.ended_at.is_none())
}

/// The order that takes the attempt back, if one was given.
pub(super) fn ordered_back(status: &LlmRolloutStatus) -> Option<(Reason, &OrderHeard)> {
    let order = status.orders.iter().find(|o| o.taken && matches!(o.verb, Verb::Abort | Verb::Reject))?;
    Some((if order.verb == Verb::Reject { Reason::Rejected } else { Reason::Aborted }, order))
}

fn follow(status: &mut LlmRolloutStatus, s: &Snapshot, plan: Option<&Plan>, order: &OrderSeen) -> Outcome {
    let running = running(status);
    let going_back = status.phase == Some(Phase::RollingBack);
    match order.spec.verb {
        Verb::Approve => approve(status, plan, order, running),
        Verb::Retry => retry(status, s, running),
        Verb::Abort | Verb::Reject => back(status, order, running),
        Verb::Promote | Verb::Skip | Verb::Resume if !running => Err("the attempt is over".to_owned()),
        Verb::Promote | Verb::Skip | Verb::Resume if going_back => Err("traffic is on its way back".to_owned()),
        Verb::Promote => promote(status, plan),
        Verb::Skip => skip(status, order),
        Verb::Resume => resume(status, s.now),
    }
}

fn approve(status: &mut LlmRolloutStatus, plan: Option<&Plan>, order: &OrderSeen, running: bool) -> Outcome {
    let (before, role) = (order.spec.before.clone().unwrap_or_default(), order.spec.role.clone().unwrap_or_default());
    let retires = before == Before::Decommission.word() && status.retiring.is_some();
    if !running && !retires {
        return Err("the attempt is over".to_owned());
    }
    if !plan.is_some_and(|p| p.asks_for(&before, &role)) {
        return Err(format!("nobody is asked before {before} in the role {role}; see `approvals` in the manifest"));
    }
    status.approvals.retain(|a| (&a.before, &a.role) != (&before, &role));
    let done = format!("approved before {before} in the role {role}");
    status.approvals.push(Approved { before, role, by: order.spec.approver.clone(), at: order.at });
    Ok(done)
}

fn retry(status: &mut LlmRolloutStatus, s: &Snapshot, running: bool) -> Outcome {
    if running {
        return Err("the attempt is still under way".to_owned());
    }
    if s.rollout.spec.abort {
        return Err("`abort: true` is set; remove it first".to_owned());
    }
    let revision = status.attempt.as_ref().map(|a| a.revision.clone());
    if revision.is_none() || status.aborted_revision != revision {
        return Err("nothing was taken back".to_owned());
    }
    status.aborted_revision = None;
    Ok("the revision is tried once more".to_owned())
}

fn back(status: &LlmRolloutStatus, order: &OrderSeen, running: bool) -> Outcome {
    if running || status.retiring.is_some() {
        let why = order.spec.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        return Ok(format!("{GOES_BACK}{why}"));
    }
    let why = if status.aborted_revision.is_some() {
        "traffic is back already"
    } else {
        "the attempt is over and the old color is retired; release the old revision anew"
    };
    Err(why.to_owned())
}

fn promote(status: &mut LlmRolloutStatus, plan: Option<&Plan>) -> Outcome {
    let last = plan.and_then(|p| p.steps.last()).map_or(Percent::ALL, |s| s.weight);
    let Some(attempt) = status.attempt.as_mut() else { return Err("nothing is under way".to_owned()) };
    if attempt.step_entered_at.is_some() && attempt.weight >= last {
        return Err("it has everything already; `skip` ends what is being measured".to_owned());
    }
    attempt.promoted = true;
    attempt.asked = None;
    Ok("the next step is the last; it begins when the candidate is ready".to_owned())
}

fn skip(status: &mut LlmRolloutStatus, order: &OrderSeen) -> Outcome {
    let writing = status.intent.is_some();
    let Some(attempt) = status.attempt.as_mut() else { return Err("nothing is under way".to_owned()) };
    let meant = (order.spec.step.unwrap_or_default(), order.spec.bake.unwrap_or_default());
    if attempt.step_entered_at.is_none() || writing {
        return Err("no step is being measured; a candidate that comes up is never skipped".to_owned());
    }
    if meant != (attempt.step, attempt.bake) {
        let now = if attempt.bake > 0 { format!("bake {}", attempt.bake) } else { format!("step {}", attempt.step) };
        return Err(format!("{now} is being measured, not the one that was meant"));
    }
    attempt.skipped = true;
    attempt.asked = None;
    Ok("the rest of it is left out".to_owned())
}

/// Goes on measuring. What made a gate ask is not looked at again; evidence that was only too little is kept.
fn resume(status: &mut LlmRolloutStatus, now: Moment) -> Outcome {
    let attempt = status.attempt.as_mut();
    let Some((attempt, asked)) = attempt.and_then(|a| a.asked.take().map(|asked| (a, asked))) else {
        return Err("nobody was asked; `paused` is a field of the manifest".to_owned());
    };
    if asked.reason == Reason::GateAsks {
        attempt.step_entered_at = attempt.step_entered_at.map(|_| now.plus(Duration::from_secs(1)));
    } else {
        // The hold was served when it asked: from here on it may stay undecided for as long as before. The pause is
        // taken off afterwards.
        attempt.hold_until = attempt.paused_at.or(attempt.hold_until);
    }
    Ok("it is measured on".to_owned())
}

/// The release is over and its old color not yet gone: takes the attempt up again, on its way back.
pub(super) fn reopen(status: &mut LlmRolloutStatus, retiring: &Retiring, now: Moment) {
    let Some(attempt) = status.attempt.as_mut() else { return };
    let id = attempt.id;
    *attempt = Attempt { ended_at: None, clock_from: now, ..attempt.clone() };
    status.history.retain(|past| past.id != id);
    status.candidate = Some(retiring.color.other());
    status.active = Some(retiring.color);
    status.active_revision = Some(retiring.revision.clone());
    status.retiring = None;
}
