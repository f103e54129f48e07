//! `LlmRollout.status`: what people and the next process read. Nothing in it changes by itself: no ages, no counters.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Condition, Moment, Percent, Reason, aside::Aside, checked::Checked, found::MetricsFound, order::Verb};
pub use super::{
    home::{Detached, Home, Late, Recovery},
    phase::Phase,
    verdict::{GateStatus, Kept, Reference, Stood, VerdictWord},
};

/// What is going on with the rollout.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct LlmRolloutStatus {
    /// The generation of the manifest that this status speaks of.
    pub observed_generation: i64,
    /// What is going on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Why it is so, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The same for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Step of the attempt and number of steps, `2/4`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub step: String,
    /// Share that the routers give the candidate, `20%`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub weight: String,
    /// Each gate's value against its limit, the failing one first.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// When the next decision is due, `14:32Z`, or `-`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub next: String,
    /// Shares as read from the routers, for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub traffic: String,
    /// The color that serves; the other is the candidate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<Color>,
    /// The revision that serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_revision: Option<String>,
    /// The color of the release under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Color>,
    /// The release under way, or the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Attempt>,
    /// A step up that is about to be written to the routers: durable before effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intent: Option<StepIntent>,
    /// What each router was seen to hold, in the order of `spec.traffic`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub observed_weights: Vec<ObservedWeights>,
    /// The last word of each gate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<GateStatus>,
    /// What the provider was found to have when the release began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsFound>,
    /// Requests a second of both colors together, as the newest evidence that was written down has counted them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9]{1,9}(\.[0-9]{1,9})?$"), length(max = 19))]
    pub requests_per_second: Option<String>,
    /// The revision that was taken back and gets no traffic again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aborted_revision: Option<String>,
    /// How often somebody else's changes were put right lately.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarrel: Option<Quarrel>,
    /// What was approved in the attempt, by whom.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Approved>,
    /// Orders to the attempt and what became of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub orders: Vec<OrderHeard>,
    /// References that were taken out of routers, because the candidate still answered requests though it had no share; put
    /// back before it gets one again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub detached: Vec<Detached>,
    /// What served before there was a rollout, while it is the color blue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adopted: Option<Adopted>,
    /// The color that served before the last release, while it is drained and retired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retiring: Option<Retiring>,
    /// When the operator will look again at the latest, if nothing happens before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_decision_at: Option<Moment>,
    /// The last ten attempts, newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Past>,
    /// The same in the form that `kubectl wait` and Argo CD read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// A slot: one Deployment and one Service.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "lowercase")]
pub enum Color {
    /// The slot `<name>-blue`.
    Blue,
    /// The slot `<name>-green`.
    Green,
}

impl Color {
    /// Both, in the order in which they are always written.
    pub const BOTH: [Self; 2] = [Self::Blue, Self::Green];

    /// The other slot.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Blue => Self::Green,
            Self::Green => Self::Blue,
        }
    }

    /// `blue` or `green`, as in names, labels and selectors.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Blue => "blue",
            Self::Green => "green",
        }
    }
}

/// One try at one revision.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Counts up with each attempt of this rollout.
    #[schemars(range(min = 0))]
    pub id: i64,
    /// What is being released.
    pub revision: String,
    /// When it began.
    pub started_at: Moment,
    /// The confirmed step, 1 for the first; 0 before the first.
    #[schemars(range(min = 0, max = 100))]
    pub step: i32,
    /// The confirmed share of the candidate.
    pub weight: Percent,
    /// What stands in the routes beside the shares, because of a dark step.
    #[serde(default, skip_serializing_if = "Aside::is_nothing")]
    pub aside: Aside,
    /// When the confirmed step was entered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_entered_at: Option<Moment>,
    /// Until when the step is measured at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_until: Option<Moment>,
    /// Since when the deadlines of the current phase count; paused time does not.
    pub clock_from: Moment,
    /// Since when it is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_at: Option<Moment>,
    /// When a pod of the candidate last became ready, or stopped being it, as far as that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods_changed_at: Option<Moment>,
    /// When everything that had to come before the start had come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared_at: Option<Moment>,
    /// When the checks before the candidate had passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<Moment>,
    /// The checks that have begun, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Checked>,
    /// The hooks that have begun, the oldest first; the last sixteen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<Checked>,
    /// The bake window it is in, 1 for the first; 0 before.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(range(min = 0, max = 100))]
    pub bake: i32,
    /// The rest of the current step is left out, by order.
    #[serde(default, skip_serializing_if = "is_false")]
    pub skipped: bool,
    /// The next step is the last, by order.
    #[serde(default, skip_serializing_if = "is_false")]
    pub promoted: bool,
    /// The revision was good recently: its steps are not held.
    #[serde(default, skip_serializing_if = "is_false")]
    pub fast_track: bool,
    /// Orders given before this whose answers no longer fit into `orders` are not heard again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deaf_before: Option<Moment>,
    /// Pods of a color at full size: as many as served when it began. Where autoscalers scale, neither color has fewer until
    /// the release is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub size: Option<i32>,
    /// Since when the candidate grows to the size that the next step needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub growing_since: Option<Moment>,
    /// Since when each share was confirmed, as far as gates weigh evidence over several steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub shares: Vec<Stood>,
    /// The evidence of each statistical gate as it stood last, for the next process.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub evidence: Vec<Kept>,
    /// What gates are compared with that no longer, or not yet, can be read from the color that serves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub references: Vec<Reference>,
    /// A gate, or undecided evidence, has asked a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// That the way home took longer than `rollback.deadline`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late: Option<Late>,
    /// What is known since traffic is home, where the attempt went back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<Home>,
    /// How what serves fares since then, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
    /// When it ended, either way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Moment>,
    /// Why it ended badly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Reason>,
    /// The same for people, with the figures.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ended_message: String,
}

/// A person was asked how to go on; `Resume`, `Skip`, `Promote` or `Abort` answers.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// Why, in one word.
    pub reason: Reason,
    /// The same for people, with the figures.
    pub message: String,
    /// Since when.
    pub at: Moment,
}

/// An approval that was given.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Approved {
    /// What it is for: `Start`, `Step/2`, `Full` or `Decommission`.
    pub before: String,
    /// In which role.
    pub role: String,
    /// By whom.
    pub by: String,
    /// When it was given.
    pub at: Moment,
}

/// An order and what became of it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct OrderHeard {
    /// Its name.
    pub name: String,
    /// Which object of that name.
    pub uid: String,
    /// What it said.
    pub verb: Verb,
    /// Who said it.
    pub by: String,
    /// Whether it was followed.
    pub taken: bool,
    /// What became of it, for people.
    pub message: String,
    /// When it was heard.
    pub at: Moment,
}

/// A Deployment that somebody else made, taken over as it stood.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Adopted {
    /// Its name.
    #[schemars(length(max = 253))]
    pub deployment: String,
    /// The labels by which it tells its pods; the Service of its color tells them by the same.
    pub selector: BTreeMap<String, String>,
}

/// A color on its way out of service.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Retiring {
    /// The color.
    pub color: Color,
    /// What it serves until it is gone: the way back of an abort.
    pub revision: String,
    /// Since when it has had no traffic.
    pub since: Moment,
}

/// A step up, written down before it is written to the routers.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct StepIntent {
    /// Names this write in logs and events.
    pub op: String,
    /// The revision that gets the share.
    pub revision: String,
    /// The step to be entered.
    #[schemars(range(min = 0, max = 100))]
    pub step: i32,
    /// The share to be written.
    pub weight: Percent,
    /// What is to be written beside it.
    #[serde(default, skip_serializing_if = "Aside::is_nothing")]
    pub aside: Aside,
    /// When it was decided.
    pub at: Moment,
}

/// What one router was seen to hold.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ObservedWeights {
    /// Kind and name, `httpRoute/chat`.
    pub router: String,
    /// Share of blue in percent.
    pub blue: Percent,
    /// Share of green in percent.
    pub green: Percent,
    /// Of how many percent of all requests a color gets a copy by our filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub mirror: Option<i32>,
    /// Whether testers are sent to a color by a rule of their own.
    #[serde(default, skip_serializing_if = "is_false")]
    pub testers: bool,
}

/// How often somebody else's changes were put right lately.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Quarrel {
    /// When the first of them was put right.
    pub since: Moment,
    /// How many.
    #[schemars(range(min = 0))]
    pub count: i32,
}

/// One ended attempt.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Past {
    /// Number of the attempt.
    pub id: i64,
    /// What was released.
    pub revision: String,
    /// How it ended.
    pub outcome: Reason,
    /// The same for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When it began.
    pub started_at: Moment,
    /// When it ended.
    pub ended_at: Moment,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_zero(number: &i32) -> bool {
    *number == 0
}
