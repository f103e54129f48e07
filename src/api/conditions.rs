//! Conditions and reasons: one enum of words for conditions, events, metrics, logs and docs. Pure; takes the time.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

use super::Moment;

/// What a condition speaks about. All are positive: `True` is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum ConditionType {
    /// The manifest is understood and everything it names exists.
    Accepted,
    /// Every gate passed when last asked.
    GatesHealthy,
    /// A release is under way and nothing stands in its way.
    Progressing,
    /// The wanted revision serves all traffic.
    Promoted,
    /// Traffic is on a healthy color.
    Ready,
    /// The old color is ready to take everything back.
    RollbackPossible,
    /// The routers hold, and have confirmed, the shares they should.
    TrafficConfirmed,
}

/// `True`, `False` or not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It cannot be said.
    Unknown,
}

/// One observation about the rollout, in the form every Kubernetes tool reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What is spoken about.
    #[serde(rename = "type")]
    pub type_: ConditionType,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// One word why.
    pub reason: Reason,
    /// The same for people, with what to do.
    pub message: String,
    /// When `status` last changed.
    pub last_transition_time: Moment,
    /// The generation of the manifest this was said of.
    pub observed_generation: i64,
}

/// Puts `new` into the ordered list; the transition time is kept unless the status flips.
pub fn set(conditions: &mut Vec<Condition>, mut new: Condition) {
    match conditions.iter_mut().find(|c| c.type_ == new.type_) {
        Some(old) => {
            if old.status == new.status {
                new.last_transition_time = old.last_transition_time;
            }
            *old = new;
        }
        None => conditions.push(new),
    }
    conditions.sort_by_key(|c| c.type_);
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident),+ $(,)?) => {
        /// Why something is as it is. The same word stands in conditions, events, metrics, logs and docs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub enum Reason { $($(#[doc = $doc])+ $name),+ }

        impl Reason {
            /// Every reason with its explanation, in order.
            pub const ALL: &[(Self, &'static str)] = &[$((Self::$name, concat!($($doc),+))),+];

            /// The word itself.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),+ }
            }
        }
    };
}

reasons! {
    /// Everything the manifest names was found and understood.
    Valid,
    /// A field of the manifest is wrong in a way the schema cannot see; the message says what to write instead.
    InvalidSpec,
    /// The pod template was refused by the API server; its own words are in the message.
    PodTemplateInvalid,
    /// An older rollout already drives this router; this one writes nothing.
    Conflict,
    /// The front Service does not exist.
    ServiceNotFound,
    /// The front Service is not of a kind whose selector can be switched, or lacks the color key.
    ServiceUnsupported,
    /// The route does not exist.
    RouteNotFound,
    /// The named rule does not exist in the route or stands there twice, none was named and several fit, or the route is not understood.
    RuleNotFound,
    /// The rule lacks the backend of one color.
    BackendMissing,
    /// The rule has a backend that is neither color, and the weights of the colors cannot be split beside it.
    UnmanagedBackend,
    /// The gateway has not accepted the route or cannot resolve a backend.
    RouteNotReady,
    /// A route or a Service of another namespace is named, and the operator's configuration does not allow that.
    NamespaceForbidden,
    /// A reference into another namespace is allowed by no `ReferenceGrant` there.
    GrantMissing,
    /// A step cannot be written into the route as it stands: `match` or `mirror`, or tenths of a percent beside a third backend; the message says what to write instead.
    StepUnsupported,
    /// `metrics.provider` names a provider that the operator's configuration does not have.
    ProviderUnknown,
    /// A gate's `http.name` names an endpoint that the operator's configuration does not have.
    EndpointUnknown,
    /// `traffic` names a webhook that the operator's configuration does not have.
    WebhookUnknown,
    /// A webhook that drives a router does not answer, or not with its weights.
    WebhookUnreachable,
    /// A webhook that drives a router tells weights that cannot be: the message says what to mend in it.
    WebhookInvalid,
    /// `gates` takes over an `LlmGateSet` that is not there, or that cannot be read.
    GateSetMissing,
    /// A cost gate has no prices to work with, or the `ConfigMap` of `metrics.prices` or its model is not there.
    PricesMissing,
    /// The `ConfigMap` of `metrics.prices` has no day, or a day, a price or a currency that cannot be read.
    PricesUnreadable,
    /// The provider has none of the series that a gate rests on; the message names them and what would give them.
    SourceMissing,
    /// A Deployment or Service of a color's name exists and is not ours.
    NotOurs,
    /// What runs already is being taken over.
    Adopting,
    /// What runs already was taken over as it stands.
    Adopted,
    /// What `adopt` names cannot be taken over; the message says why and what to write.
    NotAdoptable,
    /// Nothing to release.
    UpToDate,
    /// A check of `preflight`, `warmUp` or `smoke` is under way.
    Checking,
    /// A check cannot begin: what it names is not there.
    CheckWaits,
    /// A check of `preflight`, `warmUp` or `smoke` failed, and no try is left.
    CheckFailed,
    /// A hook failed; nothing waits for it.
    HookFailed,
    /// The candidate is coming up.
    Preparing,
    /// The candidate gets the pods that its next share needs.
    Growing,
    /// A pod of the candidate does not come up; the message says why.
    PodStuck,
    /// The candidate was not ready within `readyTimeout`.
    NotReadyInTime,
    /// A weight is being written and confirmed.
    Shifting,
    /// A step is being measured.
    Holding,
    /// The hold is served, but a gate does not say Pass.
    WaitingForGate,
    /// `paused` is set.
    Paused,
    /// `abort` is set.
    Aborted,
    /// A gate failed.
    GateFailed,
    /// A gate had no usable data for longer than its budget.
    NoDataBudgetSpent,
    /// The candidate has no ready endpoint left.
    CandidateUnready,
    /// Somebody else moved traffic back to the old color; taken as an abort of this revision.
    MovedBack,
    /// A newer revision was asked for.
    Superseded,
    /// The gateway refused the route after a weight was written.
    RouteRefused,
    /// Neither color has a ready endpoint; traffic stays where it is.
    NoHealthyBackend,
    /// The old color has no ready endpoint; going back is not possible until it has.
    ActiveUnready,
    /// Traffic is on its way back.
    RollingBack,
    /// Back on the old color; this revision gets no traffic again.
    RolledBack,
    /// Traffic is not home `rollback.deadline` after it was to go back: the message says what stands in its way.
    NotHomeInTime,
    /// Traffic is home, and the candidate's own counters are to show that no request reaches it any more.
    ProvingSilence,
    /// Traffic is home, and no request has reached the candidate for `rollback.verify.quietFor`.
    Silent,
    /// Traffic is home by what the routers say; that nothing reaches the candidate any more is not proved.
    SilenceUnproved,
    /// Traffic is home by what the routers say, and the candidate still answers requests.
    StillServed,
    /// After a way back the old color's own figures are good again, by the gates of the steps.
    Recovered,
    /// `rollback.verify.recoverWithin` after a way back the old color's own figures are not good: somebody has to look.
    NotRecovered,
    /// The candidate answered requests without a share: its reference was taken out of a router, and is kept in status.
    BackendDetached,
    /// What was taken out of a router stands there again, with a share of nothing.
    BackendAttached,
    /// The revision serves all traffic.
    Promoted,
    /// The first revision is coming up.
    Installing,
    /// Routers hold the shares they should.
    Confirmed,
    /// A router holds other shares than it should.
    Drifted,
    /// Somebody else keeps changing the shares; the operator has stopped arguing.
    Contended,
    /// All gates pass.
    AllPass,
    /// No gate is being asked now.
    NotMeasuring,
    /// A gate has no usable data.
    NoData,
    /// The old color is ready.
    ActiveReady,
    /// The API server forbids a write; the message names verb and kind.
    Forbidden,
    /// The API server refused a write; its words are in the message.
    Refused,
    /// The rollout is being deleted.
    Deleting,
    /// A rollout named in `dependsOn` is not there, or not far enough.
    WaitingForDependency,
    /// A rollout named in `dependsOn` was taken back.
    DependencyRolledBack,
    /// `window` is closed; steps go on when it opens.
    OutsideWindow,
    /// The last release was taken back, and `rollback.coolDown` is not over.
    CoolingDown,
    /// The old color's open connections go on until `decommission.drain` is over.
    Draining,
    /// The old color is being scaled down or deleted.
    Retiring,
    /// The old color was scaled to zero or deleted: going back is a new release.
    Retired,
    /// An approval is missing; the message names what for and in which role.
    AwaitingApproval,
    /// `manual: true`: a person decides how a step ends.
    AwaitingPerson,
    /// A gate with `severity: Pause` failed: a person decides how to go on.
    GateAsks,
    /// The step has not seen `minRequests` yet.
    TooFewRequests,
    /// Far fewer of the requests reached the candidate than were meant to: its figures prove nothing.
    ShareMissed,
    /// The evidence of a statistical gate suffices for neither word yet.
    Undecided,
    /// The evidence stayed undecided for `maxHold`.
    UndecidedTooLong,
    /// Everything is on the candidate, the old color is warm and gates still watch.
    Baking,
    /// A person refused it.
    Rejected,
    /// An order was followed.
    OrderTaken,
    /// An order could not be followed; the message says why.
    OrderRefused,
    /// An abort came after the old color was gone.
    AbortTooLate,
    /// A gate with `severity: Warn` failed; nothing waits for it.
    GateWarns,
    /// A router pins sessions to a color: those do not move with the weights, and not back either.
    SessionsPinned,
    /// After a restart samples showed less evidence than had been written down; the smaller one counts.
    EvidenceCorrected,
    /// A word that another version of the operator has written, and this one does not know.
    OtherVersion,
}

/// A status that a newer version wrote must not blind an older one: its words are read as one that this one knows.
impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let word = Cow::<str>::deserialize(from)?;
        let known = Self::ALL.iter().find(|(reason, _)| reason.word() == word);
        Ok(known.map_or(Self::OtherVersion, |(reason, _)| *reason))
    }
}

/// Not a list of the words: the CRD of an older version would refuse what a newer one has to say.
impl JsonSchema for Reason {
    fn schema_name() -> Cow<'static, str> {
        "Reason".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "maxLength": 64, "pattern": "^[A-Z][A-Za-z]*$"})
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::{Condition, ConditionStatus, ConditionType, Reason, set};
    use crate::api::Moment;

    fn ready(status: ConditionStatus, at: i64) -> Condition {
        Condition {
            type_: ConditionType::Ready,
            status,
            reason: Reason::ActiveReady,
            message: String::new(),
            last_transition_time: Moment::from_unix(at),
            observed_generation: 1,
        }
    }

    #[test]
    fn a_word_of_another_version_is_read_all_the_same() {
        for (reason, _) in Reason::ALL {
            assert_eq!(serde_json::from_value::<Reason>(reason.word().into()).unwrap(), *reason);
        }
        assert_eq!(serde_json::from_value::<Reason>("Teleported".into()).unwrap(), Reason::OtherVersion);
        assert!(serde_json::from_value::<Reason>(7.into()).is_err());
    }

    #[test]
    fn transition_time_moves_only_when_the_status_flips() {
        let mut all = vec![];
        set(&mut all, ready(ConditionStatus::True, 1));
        set(&mut all, ready(ConditionStatus::True, 2));
        assert_eq!(all[0].last_transition_time.unix(), 1);
        set(&mut all, ready(ConditionStatus::False, 3));
        assert_eq!(all[0].last_transition_time.unix(), 3);
        assert_eq!(all.len(), 1);
    }
}
