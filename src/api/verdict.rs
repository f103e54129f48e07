//! What gates say, as it stands in `LlmRollout.status`. Fields; never any logic.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Moment, Percent, status::Color};

/// The last word of one gate.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct GateStatus {
    /// Name of the gate.
    pub name: String,
    /// What it says.
    pub verdict: VerdictWord,
    /// The value, with its unit; absent without data.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// The limit, with its unit: `1%`, `≥99%`, `60%…80%`, `=0`.
    pub limit: String,
    /// What it was compared with: `1.2× of active 0.7s`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub compared: String,
    /// The color it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<Color>,
    /// How far back the newest sample looks.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub window: String,
    /// Which question was asked: the same eight digits wherever it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub query: String,
    /// Requests in the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<i64>,
    /// Time of the newest sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Moment>,
    /// Since when there has been no usable data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_data_since: Option<Moment>,
    /// Why there is no data, or what failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The step at which this was said.
    pub step: i32,
}

/// The words of a verdict.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum VerdictWord {
    /// The limit is broken often enough.
    Fail,
    /// There is no usable data.
    NoData,
    /// There is data, but neither word is proved by it yet.
    Undecided,
    /// The limit holds.
    Pass,
}

/// A value of the color that serves, kept for a comparison.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Reference {
    /// The gate that is compared with it.
    pub gate: String,
    /// The value in the metric's base unit, as a decimal number.
    pub value: String,
    /// When it was read.
    pub at: Moment,
}

/// A share of the candidate, since it was confirmed.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "camelCase")]
pub struct Stood {
    /// In percent.
    pub weight: Percent,
    /// Since when.
    pub at: Moment,
}

/// The evidence of a gate as it was last written down.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// The gate.
    pub gate: String,
    /// Which trial it belongs to: another question, another demand, or another time since which is counted starts anew.
    pub trial: String,
    /// How far it goes.
    pub at: Moment,
    /// The figures of it, for the operator alone.
    #[schemars(length(max = 2048))]
    pub state: String,
}
