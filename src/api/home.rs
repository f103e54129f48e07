//! What a way back leaves in status: what was proved once traffic was home, and what was taken out of routers for it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Moment, Reason, status::Color};

/// Traffic is home, and what was proved of it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Home {
    /// Since when every router gives the candidate nothing, and has confirmed it.
    pub since: Moment,
    /// What came of the proof that nothing reaches the candidate: `Silent`, `SilenceUnproved` or `StillServed`; none while
    /// it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silence: Option<Reason>,
    /// The same for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Whether the references to the candidate were taken out meanwhile, since when the proof runs anew.
    #[serde(default, skip_serializing_if = "is_false")]
    pub detached: bool,
}

/// The way home takes long.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Late {
    /// When somebody was told.
    pub at: Moment,
    /// What stood in the way then.
    pub message: String,
}

/// How what serves fares since traffic is back.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Recovery {
    /// `Recovered` or `NotRecovered`.
    pub reason: Reason,
    /// When that was known.
    pub at: Moment,
    /// The same for people, with the figures.
    pub message: String,
}

/// A reference to a color that was taken out of a router by our own hand.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Detached {
    /// Kind and name of the router, with its rule where one is named: `httpRoute/chat`.
    #[schemars(length(max = 600))]
    pub router: String,
    /// The color.
    pub color: Color,
    /// Where in the list it stood.
    #[schemars(range(min = 0, max = 1000))]
    pub at: i32,
    /// The whole of it, as JSON.
    #[schemars(length(max = 1024))]
    pub backend: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}
