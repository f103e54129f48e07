//! Writes down what was decided and done: status, then events, then metrics. Takes `Acted`, which only `act` makes, so
//! status never claims what was not done. Never decides and never touches anybody else's object.

pub mod events;
pub mod ledger;
pub mod metrics;
mod shown;
mod status;

use crate::{
    act::Acted,
    api::{
        Condition, ConditionType, LlmRollout, LlmRolloutStatus, Phase, Reason,
        conditions::{self, ConditionStatus},
    },
    decide::{Decision, Snapshot, intent::News},
};

pub use status::{Pen, RecordError};

/// The status and the news that a carried-out decision leaves.
pub fn outcome(snapshot: &Snapshot, decision: &Decision, acted: &Acted) -> (LlmRolloutStatus, Vec<News>) {
    let current = snapshot.rollout.status.clone().unwrap_or_default();
    let Some(error) = acted.stopped() else { return (decision.next.clone(), decision.news.clone()) };
    let (mut status, mut news) =
        if decision.latched { (decision.next.clone(), decision.news.clone()) } else { (current.clone(), Vec::new()) };
    if let Some((reason, message)) = error.for_people() {
        refuse(snapshot, &mut status, decision, reason, &message);
        if status.reason != current.reason || status.message != current.message {
            news.push(News { warning: true, reason, message });
        }
    }
    (status, news)
}

/// What a person must put right stands in the phase and in a condition, in the server's own words.
fn refuse(snapshot: &Snapshot, status: &mut LlmRolloutStatus, decision: &Decision, reason: Reason, message: &str) {
    let message: String = message.chars().take(1000).collect();
    status.observed_generation = snapshot.rollout.metadata.generation.unwrap_or_default();
    status.reason = Some(reason);
    status.message.clone_from(&message);
    if !decision.latched {
        status.phase = Some(Phase::Blocked);
    }
    let type_ = if reason == Reason::PodTemplateInvalid { ConditionType::Accepted } else { ConditionType::Progressing };
    let new = Condition {
        type_,
        status: ConditionStatus::False,
        reason,
        message,
        last_transition_time: snapshot.now,
        observed_generation: status.observed_generation,
    };
    conditions::set(&mut status.conditions, new);
}

/// Whether there is nothing to write.
pub fn unchanged(rollout: &LlmRollout, status: &LlmRolloutStatus) -> bool {
    rollout.status.as_ref() == Some(status)
}
