//! `LlmRollout.spec.notifications`: who is told of what. The channels themselves stand in the operator's configuration.
//! Fields, bounds; never any logic.

#![expect(
    unreachable_pub,
    reason = "the schema derive copies each struct, with its attributes, into a function where nothing is reachable"
)]

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One channel, and what is told there.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// Name of a channel in the operator's configuration.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), length(max = 63))]
    pub channel: String,
    /// What is told. Default: everything. YAML takes a bare `on` for `true`: write `"on": [RolledBack]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub on: Vec<Happening>,
    /// What weighs less is not told. Default `Info`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_severity: Option<Weight>,
}

/// What can be told.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Happening {
    /// A release began (`Info`).
    Started,
    /// A share was confirmed (`Info`).
    StepEntered,
    /// A hold is served and something is missing (`Warning`).
    Waiting,
    /// A person is asked (`Warning`).
    Asked,
    /// Nothing moves until a person puts something right (`Critical`).
    Blocked,
    /// Traffic goes back (`Critical`).
    RollingBack,
    /// Traffic is still not back after `rollback.deadline` (`Critical`).
    NotHomeInTime,
    /// Traffic is back on the old color, and the attempt is over (`Critical`).
    RolledBack,
    /// Traffic is back, and the old color is not well by its own figures either (`Critical`).
    NotRecovered,
    /// The revision serves all traffic (`Info`).
    Promoted,
    /// Nothing: somebody wants to know whether people are reached (`Warning`). A check asks for it, never a rule.
    #[serde(skip_deserializing)]
    #[schemars(skip)]
    Test,
}

impl Happening {
    /// The word itself.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Started => "Started",
            Self::StepEntered => "StepEntered",
            Self::Waiting => "Waiting",
            Self::Asked => "Asked",
            Self::Blocked => "Blocked",
            Self::RollingBack => "RollingBack",
            Self::NotHomeInTime => "NotHomeInTime",
            Self::RolledBack => "RolledBack",
            Self::NotRecovered => "NotRecovered",
            Self::Promoted => "Promoted",
            Self::Test => "Test",
        }
    }

    /// How much it weighs.
    pub const fn weight(self) -> Weight {
        match self {
            Self::Started | Self::StepEntered | Self::Promoted => Weight::Info,
            Self::Waiting | Self::Asked | Self::Test => Weight::Warning,
            Self::Blocked | Self::RollingBack | Self::NotHomeInTime | Self::RolledBack | Self::NotRecovered => {
                Weight::Critical
            }
        }
    }
}

/// How much something weighs.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// All is well.
    #[default]
    Info,
    /// Somebody should look.
    Warning,
    /// Somebody must look.
    Critical,
}

impl Weight {
    /// The word itself.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Info => "Info",
            Self::Warning => "Warning",
            Self::Critical => "Critical",
        }
    }
}
