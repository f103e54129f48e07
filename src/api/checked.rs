//! `LlmRollout.status`: how far checks and hooks of an attempt are. Written once when one begins and once when it ends.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Moment;

/// A check or a hook, and what became of it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// Its name; `warmUp`, `smoke/NAME`; of a hook `afterStep/2/NAME`, `beforeRollback/NAME`, `afterRollback/NAME` or `afterPromotion/NAME`.
    #[schemars(length(max = 64))]
    pub name: String,
    /// How far it is.
    pub state: CheckState,
    /// Since when.
    pub at: Moment,
    /// Which try it is, or was.
    #[serde(default, skip_serializing_if = "is_first")]
    #[schemars(range(min = 1, max = 100))]
    pub tries: i32,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    pub message: String,
}

/// How far a check or a hook is.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckState {
    /// It has begun.
    Running,
    /// It is as it has to be.
    Passed,
    /// It is not.
    Failed,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_first(tries: &i32) -> bool {
    *tries <= 1
}
