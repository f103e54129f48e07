//! Which rollouts an object concerns: whoever names it, wherever. Read from the cache of rollouts when the event comes;
//! nothing is decided here.

use std::sync::Arc;

use k8s_openapi::api::{batch::v1::CronJob, core::v1::ConfigMap, discovery::v1::EndpointSlice};
use kube::{
    ResourceExt,
    core::DynamicObject,
    runtime::reflector::{ObjectRef, Store},
};

use crate::{
    api::{LlmGateSet, LlmRollout, status::Color},
    decide::{crossing, release},
    observe::stores::service_of,
    routers::{Claim, PatchKind},
};

/// The rollouts of the namespace in which a release is measured: a gate, a check or a hook may name this `CronJob`.
pub(super) fn waiting_for(rollouts: &Store<LlmRollout>, cron_job: &CronJob) -> Vec<ObjectRef<LlmRollout>> {
    let all: Vec<Arc<LlmRollout>> = rollouts.state();
    let here = all.iter().filter(|r| r.metadata.namespace == cron_job.metadata.namespace);
    let running =
        |r: &&Arc<LlmRollout>| r.status.as_ref().and_then(|s| s.attempt.as_ref()).is_some_and(|a| a.ended_at.is_none());
    here.filter(running).map(|r| ObjectRef::from_obj(r.as_ref())).collect()
}

/// The rollouts that wait for this one.
pub(super) fn dependents(rollouts: &Store<LlmRollout>, of: &LlmRollout) -> Vec<ObjectRef<LlmRollout>> {
    let (namespace, name) = (of.metadata.namespace.as_deref(), of.name_any());
    let all: Vec<Arc<LlmRollout>> = rollouts.state();
    let here = all.iter().filter(|r| r.metadata.namespace.as_deref() == namespace);
    let waiting = here.filter(|r| r.spec.depends_on.iter().any(|d| d.name == name));
    waiting.map(|r| ObjectRef::from_obj(r.as_ref())).collect()
}

/// The rollouts that take over this set's gates.
pub(super) fn taking_over(rollouts: &Store<LlmRollout>, set: &LlmGateSet) -> Vec<ObjectRef<LlmRollout>> {
    let (namespace, name) = (set.metadata.namespace.as_deref(), set.name_any());
    let all: Vec<Arc<LlmRollout>> = rollouts.state();
    let here = all.iter().filter(|r| r.metadata.namespace.as_deref() == namespace);
    let named = here.filter(|r| r.spec.gates.iter().any(|g| g.gate_set.as_ref() == Some(&name)));
    named.map(|r| ObjectRef::from_obj(r.as_ref())).collect()
}

/// The rollouts whose costs rest on this list.
pub(super) fn priced_by(rollouts: &Store<LlmRollout>, list: &ConfigMap) -> Vec<ObjectRef<LlmRollout>> {
    let (namespace, name) = (list.metadata.namespace.as_deref(), list.name_any());
    let all: Vec<Arc<LlmRollout>> = rollouts.state();
    let here = all.iter().filter(|r| r.metadata.namespace.as_deref() == namespace);
    let list_of = |r: &LlmRollout| r.spec.metrics.prices.as_ref().and_then(|p| p.config_map.clone());
    here.filter(|r| list_of(r).as_ref() == Some(&name)).map(|r| ObjectRef::from_obj(r.as_ref())).collect()
}

/// The rollouts that have this slice's Service for a color, and do not own it.
pub(super) fn paired(rollouts: &Store<LlmRollout>, slice: &EndpointSlice) -> Vec<ObjectRef<LlmRollout>> {
    let (namespace, Some(service)) = (slice.metadata.namespace.as_deref(), service_of(slice)) else { return vec![] };
    let color = |r: &LlmRollout, color| r.spec.release.pair.is_some() && release::service_of(r, color) == service;
    let named =
        |r: &LlmRollout| r.metadata.namespace.as_deref() == namespace && Color::BOTH.into_iter().any(|c| color(r, c));
    rollouts.state_filter(named).iter().map(|r| ObjectRef::from_obj(r.as_ref())).collect()
}

/// The rollouts that name this grant's namespace beside others.
pub(super) fn crossing_into(rollouts: &Store<LlmRollout>, grant: &DynamicObject) -> Vec<ObjectRef<LlmRollout>> {
    let namespace = grant.metadata.namespace.as_deref().unwrap_or_default();
    let named = rollouts.state_filter(|r| crossing::namespaces(r).contains(namespace));
    named.iter().map(|r| ObjectRef::from_obj(r.as_ref())).collect()
}

/// The rollouts that claim the object.
pub(super) fn claimed(
    rollouts: &Store<LlmRollout>,
    kind: PatchKind,
    object: &impl ResourceExt,
) -> Vec<ObjectRef<LlmRollout>> {
    let (namespace, name) = (object.meta().namespace.as_deref(), object.name_any());
    let claims = |r: &LlmRollout| {
        let home = |c: Claim<'_>| c.namespace().or(r.metadata.namespace.as_deref()) == namespace;
        r.spec.traffic.iter().filter_map(Claim::of).any(|c| c.is(kind, &name) && home(c))
    };
    rollouts.state_filter(claims).iter().map(|r| ObjectRef::from_obj(r.as_ref())).collect()
}
