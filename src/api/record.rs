//! The record of one attempt, as it stands in a `ConfigMap` of its own: what was released, what decided, what was written
//! and what people said. Fields and the keys that tell entries apart; what becomes an entry is `decide::chronicle`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Moment, Percent, Phase, Reason,
    order::Verb,
    status::{Color, GateStatus, ObservedWeights},
};

/// The version of this format. A reader that knows another one says so instead of guessing.
pub const SCHEMA: &str = "llmrollout.io/record/v1";
/// The key of the `ConfigMap` under which the record stands.
pub const KEY: &str = "record.json";
/// So many attempts of a rollout keep their record.
pub const KEPT: i64 = 10;
/// The record as text is never larger.
pub const LARGEST: usize = 64 * 1024;

/// Name of the `ConfigMap` that holds the record of an attempt.
pub fn name(rollout: &str, attempt: i64) -> String {
    format!("{rollout}-attempt-{attempt}")
}

/// Everything that is kept of one attempt.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Record {
    /// The version of the format.
    pub schema: String,
    /// Namespace of the rollout.
    pub namespace: String,
    /// Name of the rollout.
    pub rollout: String,
    /// Which object of that name.
    pub uid: String,
    /// Number of the attempt.
    pub attempt: i64,
    /// What was released.
    pub revision: String,
    /// The images of its containers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// The queries behind the gates, by the eight digits that stand beside each verdict.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub queries: BTreeMap<String, String>,
    /// What happened, the oldest first.
    pub entries: Vec<Entry>,
    /// What no longer fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folded: Option<Folded>,
}

/// Detail that had to make room.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Folded {
    /// How many entries.
    pub count: i64,
    /// The newest of them is of this instant.
    pub until: Moment,
}

/// One thing that happened.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// When.
    pub at: Moment,
    /// The confirmed step then; 0 before the first.
    pub step: i32,
    /// The bake window then; 0 outside one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bake: i32,
    /// Who is to be told, and who was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tell: Vec<Telling>,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// That an entry is told on a channel.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Telling {
    /// Name of the channel.
    pub channel: String,
    /// Only to say that earlier trouble is over.
    #[serde(default, skip_serializing_if = "is_false")]
    pub quiet: bool,
    /// When it was told, or given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Moment>,
    /// Why nobody was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gave_up: Option<String>,
}

/// What happened.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(tag = "kind", rename_all_fields = "camelCase")]
pub enum What {
    /// The attempt began.
    Began {
        /// The slot of what is released.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        candidate: Option<Color>,
        /// What served then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        active_revision: Option<String>,
    },
    /// The rollout came to stand elsewhere, or for another reason.
    Stood {
        /// What was going on from then on.
        phase: Phase,
        /// Why, in one word.
        reason: Reason,
        /// The same for people.
        message: String,
    },
    /// A person agreed.
    Approved {
        /// What for.
        before: String,
        /// In which role.
        role: String,
        /// Who.
        by: String,
    },
    /// A person's word, and what became of it.
    Ordered {
        /// What was said.
        verb: Verb,
        /// Who said it.
        by: String,
        /// Name of the order.
        order: String,
        /// Which object of that name.
        uid: String,
        /// Whether it was followed.
        taken: bool,
        /// What became of it.
        message: String,
    },
    /// The word of a gate on which something was decided.
    Judged {
        /// The gate with its value, limit, samples, time and query.
        gate: GateStatus,
        /// What a failure leads to.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        severity: String,
        /// Links of the gate: `runbook` and `dashboard`.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        links: BTreeMap<String, String>,
    },
    /// A share was decided on, and is written down before it is written to a router.
    Promised {
        /// Names the write.
        op: String,
        /// The step that is to be entered.
        to: i32,
        /// The share of the candidate.
        weight: Percent,
    },
    /// Something was written to the cluster.
    Wrote {
        /// Verb, kind and name.
        what: String,
        /// What was set, as far as it is not an object of the operator's own.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        set: Vec<String>,
    },
    /// The routers were seen to hold the share: a stage began.
    Confirmed {
        /// The share of the candidate.
        weight: Percent,
        /// What each router held.
        routers: Vec<ObservedWeights>,
        /// Until when it is measured at least.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hold_until: Option<Moment>,
    },
    /// A person was asked.
    Asked {
        /// Why, in one word.
        reason: Reason,
        /// The same for people.
        message: String,
    },
    /// It was decided that traffic goes back.
    TurnedBack {
        /// Why, in one word.
        reason: Reason,
        /// The same for people.
        message: String,
    },
    /// How the way home fared, and what serves since then.
    Fared {
        /// `NotHomeInTime`, `Recovered` or `NotRecovered`.
        reason: Reason,
        /// The same for people.
        message: String,
    },
    /// The attempt was over.
    Ended {
        /// How, in one word.
        outcome: Reason,
        /// The same for people.
        message: String,
    },
}

impl Entry {
    /// Two entries with one key are one: the process that made the first may have died before it knew.
    pub fn key(&self) -> String {
        let (kind, subject) = match &self.what {
            What::Began { .. } => ("Began", ""),
            What::Stood { phase, reason, .. } => {
                return format!("Stood {}.{} {} {reason} {}", self.step, self.bake, phase.word(), self.at);
            }
            What::Ended { outcome, .. } => return format!("Ended {outcome} {}", self.at),
            What::Approved { before, role, by } => {
                return format!("Approved {before} {role} {by} {}", self.at);
            }
            What::Ordered { uid, .. } => return format!("Ordered {uid}"),
            What::Judged { gate, .. } => return format!("Judged {} {} {}", self.step, gate.name, self.at),
            What::Fared { reason, .. } => return format!("Fared {reason} {}", self.at),
            What::TurnedBack { reason, .. } => return format!("TurnedBack {reason} {}", self.at),
            What::Promised { op, .. } => ("Promised", op.as_str()),
            What::Wrote { what, .. } => ("Wrote", what.as_str()),
            What::Confirmed { .. } => ("Confirmed", ""),
            What::Asked { .. } => ("Asked", ""),
        };
        format!("{kind} {}.{} {subject} {}", self.step, self.bake, self.at)
    }

    /// Whether it may make room for what is newer: what people said and how it ended stays.
    pub fn is_detail(&self) -> bool {
        // It is an outbox too.
        if self.tell.iter().any(|telling| telling.at.is_none()) {
            return false;
        }
        match &self.what {
            What::Judged { gate, .. } => gate.verdict == super::status::VerdictWord::Pass,
            What::Stood { .. } | What::Wrote { .. } => true,
            What::Began { .. }
            | What::Approved { .. }
            | What::Ordered { .. }
            | What::Promised { .. }
            | What::Confirmed { .. }
            | What::Asked { .. }
            | What::TurnedBack { .. }
            | What::Fared { .. }
            | What::Ended { .. } => false,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_zero(number: &i32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}
