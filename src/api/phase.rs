//! What is going on with a rollout, in one word. Never any logic.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is going on.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Nothing to release.
    Idle,
    /// A release is wanted and has to wait: for another rollout, or for its window.
    Pending,
    /// Checks before anything moves.
    Preflight,
    /// The candidate is coming up, and is looked at before it gets any traffic.
    Preparing,
    /// A weight is being written and confirmed.
    Shifting,
    /// Measuring at a step.
    Holding,
    /// A person is asked; the message says who and what for.
    AwaitingApproval,
    /// `paused` is set, or a gate asks a person.
    Paused,
    /// 100 %, the old color is warm, gates still watch.
    Baking,
    /// The revision is live; the old color is drained and retired.
    Decommissioning,
    /// The revision is live.
    Completed,
    /// Traffic is on its way back.
    RollingBack,
    /// Back on the old color; the reason is kept.
    RolledBack,
    /// Needs a person; the condition says what to do.
    Blocked,
}

impl Phase {
    /// The word itself.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Idle => "Idle",
            Self::Pending => "Pending",
            Self::Preflight => "Preflight",
            Self::Preparing => "Preparing",
            Self::Shifting => "Shifting",
            Self::Holding => "Holding",
            Self::AwaitingApproval => "AwaitingApproval",
            Self::Paused => "Paused",
            Self::Baking => "Baking",
            Self::Decommissioning => "Decommissioning",
            Self::Completed => "Completed",
            Self::RollingBack => "RollingBack",
            Self::RolledBack => "RolledBack",
            Self::Blocked => "Blocked",
        }
    }
}
