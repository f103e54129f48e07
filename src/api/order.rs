//! `LlmRolloutOrder`: one immutable word of a person (or a pipeline) to one attempt. Fields, bounds, CEL rules; never any
//! logic. What became of an order stands in `LlmRollout.status.orders`.

#![expect(
    unreachable_pub,
    clippy::duplicated_attributes,
    reason = "the schema derive copies each struct, with its attributes, into a function where nothing is reachable"
)]

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One word to one attempt of a rollout.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[kube(
    group = "llmrollout.io",
    version = "v1alpha1",
    kind = "LlmRolloutOrder",
    plural = "llmrolloutorders",
    singular = "llmrolloutorder",
    shortname = "llmro",
    namespaced,
    doc = "One immutable word of a person to one attempt of a rollout: approve, reject, promote, skip, resume, retry, abort. The audit trail of who said what.",
    derive = "PartialEq",
    printcolumn(name = "Rollout", type_ = "string", json_path = ".spec.rollout"),
    printcolumn(name = "Attempt", type_ = "integer", json_path = ".spec.attempt"),
    printcolumn(name = "Verb", type_ = "string", json_path = ".spec.verb"),
    printcolumn(name = "Approver", type_ = "string", json_path = ".spec.approver"),
    printcolumn(name = "Role", type_ = "string", json_path = ".spec.role"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[cfg_attr(test, kube(cel))]
#[kube(
    validation = Rule::new("self.spec == oldSelf.spec").message("an order is never changed; create another one")
)]
#[x_kube(
    validation = Rule::new("self.verb == 'Approve' ? has(self.role) && has(self.before) : !has(self.role) && !has(self.before)").message("`role` and `before` belong to `verb: Approve` and are needed there; write for example `verb: Approve, before: Full, role: sre`"),
    validation = Rule::new("(self.verb == 'Skip') == has(self.step)").message("`step` belongs to `verb: Skip` and is needed there: the number of the step that is left out, so that a late word skips nothing else"),
    validation = Rule::new("!has(self.bake) || self.verb == 'Skip'").message("`bake` belongs to `verb: Skip`"),
    validation = Rule::new("self.verb != 'Reject' || has(self.reason)").message("`verb: Reject` needs a `reason`; write what speaks against it")
)]
#[serde(rename_all = "camelCase")]
pub struct LlmRolloutOrderSpec {
    /// Name of the rollout, in the namespace of the order.
    #[schemars(regex(pattern = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"), length(max = 48))]
    pub rollout: String,
    /// Number of the attempt that is meant (`status.attempt.id`): a late word never reaches another one.
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_i64))]
    pub attempt: i64,
    /// What is to be done.
    pub verb: Verb,
    /// Who says so: the name by which the API server knows the caller.
    #[schemars(regex(pattern = r"^[^\x00-\x1f\x7f]+$"), length(min = 1, max = 253))]
    pub approver: String,
    /// In which role, for `Approve`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), length(max = 63))]
    pub role: Option<String>,
    /// What is approved, for `Approve`: `Start`, `Step/2`, `Full` or `Decommission`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^(Start|Step/[1-9][0-9]?|Full|Decommission)$"), length(max = 16))]
    pub before: Option<String>,
    /// Number of the step that is left out, for `Skip`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 20))]
    pub step: Option<i32>,
    /// Number of the bake window that is left out, for `Skip` after 100 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 8))]
    pub bake: Option<i32>,
    /// Why, for the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[^\x00-\x1f\x7f]+$"), length(min = 1, max = 512))]
    pub reason: Option<String>,
}

/// What an order says.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// Take traffic back now.
    Abort,
    /// Agree in a role to what waits for it.
    Approve,
    /// Give the candidate everything with the next step; readiness is still asked for, and gates still watch.
    Promote,
    /// Refuse: traffic goes back, the reason is kept.
    Reject,
    /// Go on measuring after a gate, or undecided evidence, has asked a person.
    Resume,
    /// Try the revision that was taken back once more.
    Retry,
    /// Leave out the rest of this step: the next begins, or the release is over.
    Skip,
}

impl Verb {
    /// The word itself.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Abort => "Abort",
            Self::Approve => "Approve",
            Self::Promote => "Promote",
            Self::Reject => "Reject",
            Self::Resume => "Resume",
            Self::Retry => "Retry",
            Self::Skip => "Skip",
        }
    }
}
