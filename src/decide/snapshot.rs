//! What one decision is made on: plain data, gathered once by `observe`. Never a client and nothing that is read later.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::Value;

use super::{call::Called, intent::OwnedKind, meant::Meant};
use crate::{
    api::{LlmRollout, LlmRolloutOrderSpec, Moment, Phase, exporters::Profile, gates::Gate, status::Color},
    metrics::{Question, Reading},
    routers::{RouterSeen, grant::Grant},
};

/// Everything a decision may know.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The time, read once.
    pub now: Moment,
    /// Since when this process has watched: what it missed before is nobody's fault.
    pub watching_since: Moment,
    /// The rollout with its status.
    pub rollout: Arc<LlmRollout>,
    /// Whether rollout, routers and endpoints were read from the API server in this very pass.
    pub live: bool,
    /// The slot `<name>-blue`.
    pub blue: ColorSeen,
    /// The slot `<name>-green`.
    pub green: ColorSeen,
    /// The routers in the order of `spec.traffic`.
    pub routers: Vec<RouterSeen>,
    /// An older rollout that already drives one of our routers.
    pub rival: Option<Rival>,
    /// The newest readings of each question, oldest first.
    pub readings: BTreeMap<Question, Vec<Reading>>,
    /// Orders to this rollout, the oldest first.
    pub orders: Vec<OrderSeen>,
    /// The rollouts named in `dependsOn`, in its order.
    pub dependencies: Vec<DependencySeen>,
    /// The sets named in `gates`.
    pub gate_sets: GateSets,
    /// The price list that the manifest names.
    pub price_list: PriceListSeen,
    /// The Jobs that are run for it, by name.
    pub jobs: BTreeMap<String, JobSeen>,
    /// The templates of the `CronJobs` that its gates, checks and hooks name, as far as those are there.
    pub cron_jobs: BTreeMap<String, Value>,
    /// When a Job of these `CronJobs` last ended well, where one has.
    pub succeeded: BTreeMap<String, Moment>,
    /// How far the requests are that the last decision wanted.
    pub called: BTreeMap<String, Called>,
    /// What the owners of other namespaces allow, as far as the rollout names any.
    pub grants: Vec<Grant>,
    /// What the operator's configuration offers.
    pub offers: Arc<Offers>,
    /// What `adopt` names, as long as it is to be taken over; only seen live.
    pub adoptee: Option<Adoptee>,
    /// What the last decision understood of the manifest, if there was one.
    pub meant: Option<Arc<Meant>>,
}

impl Snapshot {
    /// One slot.
    pub const fn color(&self, color: Color) -> &ColorSeen {
        match color {
            Color::Blue => &self.blue,
            Color::Green => &self.green,
        }
    }

    /// What the manifest is read beside.
    pub fn around(&self) -> Around<'_> {
        Around { price_list: &self.price_list, now: self.now, ..Around::new(&self.gate_sets, &self.offers) }
    }
}

/// What a manifest is read beside.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// The sets named in `gates`.
    pub gate_sets: &'a GateSets,
    /// The price list that the manifest names.
    pub price_list: &'a PriceListSeen,
    /// What the operator's configuration offers.
    pub offers: &'a Offers,
    /// What was found out when the release began.
    pub found: FoundOut,
    /// The time, by which prices are old.
    pub now: Moment,
}

/// What was seen of one slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColorSeen {
    /// Its Deployment.
    pub deployment: Option<DeploymentSeen>,
    /// Its Service.
    pub service: Option<OwnedSeen>,
    /// Ready addresses behind its Service.
    pub ready: i32,
    /// The same addresses, where the manifest wants requests sent to them.
    pub addresses: Vec<String>,
    /// When a pod behind it last became ready, or stopped being it, where that is told.
    pub changed_at: Option<Moment>,
    /// The workloads that a pair lists, in its order. Only a live look sees them.
    pub scales: Vec<ScaleSeen>,
    /// Its pods that do not come up.
    pub stuck: Vec<Stuck>,
    /// What scales it, by kind.
    pub scalers: BTreeMap<OwnedKind, OwnedSeen>,
}

/// What was seen of a workload that somebody else owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScaleSeen {
    /// It is not there any more.
    Gone,
    /// It cannot be told, and why.
    Untold(String),
    /// Its `/scale`.
    There {
        /// Where it stands, from the root of the API server.
        path: String,
        /// Pods that are wanted.
        wanted: i32,
        /// The resource version that was read.
        version: String,
    },
}

/// A pod that does not come up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stuck {
    /// Its name.
    pub pod: String,
    /// The revision that it is of.
    pub revision: Option<String>,
    /// Why, in the words of the cluster.
    pub why: String,
}

/// What was seen of an object that should be ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnedSeen {
    /// Whether it carries our label with this rollout's name.
    pub ours: bool,
    /// Hash of what we last applied.
    pub applied: Option<String>,
    /// The resource version that was read.
    pub version: String,
    /// Where in its owner references this rollout stands.
    pub owner_index: Option<usize>,
}

/// What was seen of a colour's Deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeploymentSeen {
    /// The object itself.
    pub object: OwnedSeen,
    /// Which object of its name.
    pub uid: String,
    /// The revision it was made from.
    pub revision: Option<String>,
    /// Hash of its pod template as we made it.
    pub template: Option<String>,
    /// Pods that are wanted.
    pub wanted: i32,
    /// Pods of the newest template that are ready, once the controller has seen the newest template; else 0.
    pub ready: i32,
    /// Whether nothing but the newest template's pods is left.
    pub settled: bool,
}

/// A Deployment that is to be taken over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adoptee {
    /// The object itself.
    pub object: OwnedSeen,
    /// The labels of its pods' selector, if it selects by nothing else.
    pub selector: Option<BTreeMap<String, String>>,
    /// Whether its pods are what the manifest's template says.
    pub as_written: bool,
    /// Whether it has labels of its own already.
    pub labelled: bool,
}

/// An older rollout that drives a router we claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rival {
    /// Its name.
    pub name: String,
    /// The router, `httpRoute/chat`.
    pub router: String,
}

/// A person's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderSeen {
    /// Name of the object.
    pub name: String,
    /// Which object of that name.
    pub uid: String,
    /// When the API server took it.
    pub at: Moment,
    /// What it says.
    pub spec: LlmRolloutOrderSpec,
}

/// Sets of gates, by their names.
pub type GateSets = BTreeMap<String, GateSetSeen>;

/// A set of gates that the rollout takes over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateSetSeen {
    /// It is not there, or cannot be read.
    Missing,
    /// Its gates.
    There(Vec<Gate>),
}

/// What was found out of the provider when a release began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FoundOut {
    /// The exporter that `profile: auto` means.
    pub profile: Option<Profile>,
    /// How often is scraped.
    pub scraped: Option<Duration>,
}

impl<'a> Around<'a> {
    /// Nothing but sets and what the operator offers.
    pub const fn new(gate_sets: &'a GateSets, offers: &'a Offers) -> Self {
        Self {
            gate_sets,
            price_list: &PriceListSeen::Missing,
            offers,
            found: FoundOut { profile: None, scraped: None },
            now: Moment::from_unix(0),
        }
    }
}

/// The price list that the manifest names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PriceListSeen {
    /// It is not there, or none is named.
    #[default]
    Missing,
    /// What stands in it about the model and about the list itself.
    There(BTreeMap<String, String>),
}

/// How far a Job of ours is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobSeen {
    /// It has not ended.
    Running,
    /// It failed.
    Failed {
        /// Why.
        why: &'static str,
        /// What its last pod left as its termination message.
        words: Option<String>,
    },
    /// It ended well.
    Done {
        /// When.
        at: Moment,
        /// What its pod left as its termination message, or why nothing can be read.
        words: Result<String, &'static str>,
    },
}

/// A rollout that this one depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DependencySeen {
    /// Its name.
    pub name: String,
    /// How far it is.
    pub standing: Standing,
}

/// How far another rollout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is not there.
    Missing,
    /// Something is under way, or it has not been looked at yet.
    UnderWay,
    /// What it wants was taken back.
    TakenBack,
    /// What it wants serves; the old color is still being retired.
    Completed,
    /// What it wants serves, and nothing is left to do.
    Baked,
}

impl Standing {
    /// How far a rollout is, by its own status.
    pub fn of(rollout: &LlmRollout) -> Self {
        let Some(status) = &rollout.status else { return Self::UnderWay };
        let Some(wanted) = super::release::wanted(&rollout.spec.release) else { return Self::UnderWay };
        let back = matches!(status.phase, Some(Phase::RollingBack | Phase::RolledBack));
        if back || status.aborted_revision.as_ref() == Some(&wanted) {
            return Self::TakenBack;
        }
        let running = status.attempt.as_ref().is_some_and(|a| a.ended_at.is_none());
        if running || status.active_revision.as_ref() != Some(&wanted) {
            return Self::UnderWay;
        }
        if status.retiring.is_some() { Self::Completed } else { Self::Baked }
    }
}

/// What the operator's configuration offers to every rollout.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Offers {
    /// Names of the metrics providers.
    pub providers: Vec<String>,
    /// The endpoints that tell numbers.
    pub endpoints: Vec<EndpointOffer>,
    /// Prices for rollouts that give none.
    pub prices: Option<crate::api::v1alpha1::Prices>,
    /// What a GPU costs by hour, for rollouts that do not say.
    pub gpu_price: Option<String>,
    /// Whether rollouts may name routes and Services of other namespaces.
    pub cross_namespace: bool,
    /// How long an argument about shares rests, if it is not `QUARREL`.
    pub quarrel: Option<Duration>,
}

/// How long an argument about shares rests.
pub const QUARREL: Duration = Duration::from_mins(10);

/// An endpoint that tells numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointOffer {
    /// Its name.
    pub name: String,
    /// Whether it can be asked about one color.
    pub tells_colors: bool,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Standing;
    use crate::{api::LlmRollout, decide::plan::revision};

    fn standing(status: &Value) -> Standing {
        let rollout: LlmRollout = serde_json::from_value(json!({
            "apiVersion": "llmrollout.io/v1alpha1", "kind": "LlmRollout", "metadata": {"name": "chat"}, "status": status,
            "spec": {"manual": true, "traffic": [], "release": {"template": {"port": 8000, "podTemplate": {"a": 1}}}},
        }))
        .unwrap();
        Standing::of(&rollout)
    }

    /// Only what serves the revision that is wanted now counts as done: nobody starts on what is under way, or was.
    #[test]
    fn a_rollout_is_as_far_as_its_wanted_revision() {
        let Value::Object(template) = json!({"a": 1}) else { panic!("an object") };
        let wanted = revision(&template);
        let attempt = |ended: Value| {
            let at = "2027-01-15T08:00:00Z";
            json!({"id": 2, "revision": wanted, "startedAt": at, "step": 1, "weight": 5, "clockFrom": at, "endedAt": ended})
        };
        let retiring = json!({"color": "blue", "revision": "r0", "since": "2027-01-15T08:00:00Z"});
        let over = attempt(json!("2027-01-15T09:00:00Z"));
        for (status, far) in [
            (Value::Null, Standing::UnderWay),
            (json!({}), Standing::UnderWay),
            (json!({"activeRevision": "other"}), Standing::UnderWay),
            (json!({"activeRevision": wanted}), Standing::Baked),
            (json!({"activeRevision": wanted, "attempt": over}), Standing::Baked),
            (json!({"activeRevision": wanted, "attempt": over, "retiring": retiring}), Standing::Completed),
            (json!({"activeRevision": wanted, "attempt": attempt(Value::Null)}), Standing::UnderWay),
            (json!({"activeRevision": "other", "abortedRevision": wanted}), Standing::TakenBack),
            (json!({"activeRevision": "other", "abortedRevision": "another"}), Standing::UnderWay),
            (json!({"activeRevision": wanted, "abortedRevision": "another"}), Standing::Baked),
            (json!({"activeRevision": wanted, "phase": "RollingBack"}), Standing::TakenBack),
            (json!({"activeRevision": wanted, "phase": "RolledBack"}), Standing::TakenBack),
        ] {
            assert_eq!(standing(&status), far, "{status}");
        }
    }
}
