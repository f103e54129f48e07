//! What comes out of a decision: the writes, the status to record, and when to look again. Plain data.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;

use super::{call::Call, meant::Meant};
use crate::{
    api::{LlmRolloutStatus, Moment, Reason, status::GateStatus},
    metrics::Question,
    routers::{GuardedPatch, Write, webhook::Put},
};

/// A decision, complete: `act` and `record` have no choice left.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The writes, in order.
    pub intents: Vec<Intent>,
    /// Writes that nothing waits for and that change nothing else when they fail: hooks.
    pub beside: Vec<Intent>,
    /// Requests that are to be under way, by their names: one that is new is begun, one that is missing is given up.
    pub calls: BTreeMap<String, Call>,
    /// The status after the writes.
    pub next: LlmRolloutStatus,
    /// Whether `next` is recorded even if a write failed: a latched rollback is, a step is not.
    pub latched: bool,
    /// Whether the writes take traffic home: each is tried whatever happens to the others.
    pub home: bool,
    /// Whether it rests on something that must be read from the API server first; then decide again on what was read.
    pub wants_live: bool,
    /// What happened, for people.
    pub news: Vec<News>,
    /// The words of gates that it rested on, if it left a stage, asked a person or went back; for the record.
    pub judged: Vec<GateStatus>,
    /// When to look again at the latest.
    pub wake: Option<Moment>,
    /// What the metrics providers should be asked from now on.
    pub asks: BTreeSet<Question>,
    /// How far each statistical gate with usable data is.
    pub odds: Vec<Odds>,
    /// What was understood of the manifest, for the next pass.
    pub meant: Option<Arc<Meant>>,
}

/// How far a statistical gate is, for whoever draws curves. Nothing is decided on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Odds {
    /// The gate.
    pub gate: String,
    /// The decimal logarithm of the evidence that the candidate is worse, in the view that shows most of it.
    pub fail: f64,
    /// The same that it is not too much worse, in the view that is furthest from it.
    pub pass: f64,
    /// Seconds until it passes at today's traffic if the candidate is as good; 0 when it passes, none when that is not
    /// known or no longer to be expected.
    pub seconds: Option<f64>,
}

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum Intent {
    /// Server-side apply of an object that is ours.
    Apply(Owned),
    /// A guarded patch of a slice of an object that is not, or not only, ours.
    Patch(GuardedPatch),
    /// Both weights, told to a webhook.
    Put(Put),
    /// Deletion of an object of ours, if it is still the one that was seen.
    Delete {
        /// Its kind.
        kind: OwnedKind,
        /// Its name.
        name: String,
        /// The resource version that was seen.
        version: String,
    },
    /// Somebody else's workload goes to zero, if it is still as it was seen.
    Scale {
        /// Its `/scale`, from the root of the API server.
        path: String,
        /// The resource version that was seen.
        version: String,
    },
}

/// An object of ours, whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Owned {
    /// Its kind.
    pub kind: OwnedKind,
    /// Its name; the namespace is the rollout's.
    pub name: String,
    /// The object as it is to be.
    pub body: Value,
}

impl Intent {
    /// Whether it is a word to somebody outside the cluster, who may keep us waiting.
    pub const fn is_told(&self) -> bool {
        matches!(self, Self::Put(_))
    }
}

impl From<Write> for Intent {
    fn from(write: Write) -> Self {
        match write {
            Write::Patch(patch) => Self::Patch(patch),
            Write::Put(put) => Self::Put(put),
        }
    }
}

/// The kinds we own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnedKind {
    /// apps/v1.
    Deployment,
    /// v1.
    Service,
    /// batch/v1; only ever created, so that none is run twice.
    Job,
    /// autoscaling/v2.
    HorizontalPodAutoscaler,
    /// keda.sh/v1alpha1.
    ScaledObject,
}

impl OwnedKind {
    /// What can scale a color.
    pub const SCALERS: [Self; 2] = [Self::HorizontalPodAutoscaler, Self::ScaledObject];

    /// Group, version, kind and plural.
    pub const fn names(self) -> [&'static str; 4] {
        match self {
            Self::Deployment => ["apps", "v1", "Deployment", "deployments"],
            Self::Service => ["", "v1", "Service", "services"],
            Self::Job => ["batch", "v1", "Job", "jobs"],
            Self::HorizontalPodAutoscaler => {
                ["autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"]
            }
            Self::ScaledObject => ["keda.sh", "v1alpha1", "ScaledObject", "scaledobjects"],
        }
    }

    /// How it is written in an object.
    pub fn api_version(self) -> String {
        let [group, version, ..] = self.names();
        if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
    }
}

/// Something worth an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Whether somebody should look.
    pub warning: bool,
    /// The word.
    pub reason: Reason,
    /// The same for people.
    pub message: String,
}
