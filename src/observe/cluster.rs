//! Objects → what a decision may know of them. The only place that looks inside Deployments, Services and
//! EndpointSlices; a new Kubernetes version touches this file. Pure translation: fetching is `observe::mod`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        core::v1::{ConfigMap, Service},
        discovery::v1::EndpointSlice,
    },
    jiff::Timestamp,
};
use kube::{Resource, ResourceExt};

use crate::{
    api::{LlmGateSet, LlmRollout, Moment, labels, status::Color},
    decide::{
        adopt, crossing, release,
        snapshot::{
            Adoptee, ColorSeen, DependencySeen, DeploymentSeen, GateSetSeen, Offers, OwnedSeen, PriceListSeen, Rival,
            Standing,
        },
    },
    routers::{Claim, Found, RouterSeen, grant::Grant},
};

/// Pods that requests are sent to at most.
const MOST: usize = 256;

/// The objects of one color as they were read.
#[derive(Default)]
pub(super) struct ColorObjects<'a> {
    pub(super) deployment: Option<&'a Deployment>,
    pub(super) service: Option<&'a Service>,
    pub(super) slices: Vec<&'a EndpointSlice>,
}

/// What was seen of one color.
pub(super) fn color(rollout: &LlmRollout, objects: &ColorObjects<'_>) -> ColorSeen {
    let addresses = ready_addresses(&objects.slices);
    ColorSeen {
        deployment: objects.deployment.map(|d| deployment(rollout, d)),
        service: objects.service.map(|s| owned(rollout, s)),
        ready: i32::try_from(addresses.len()).unwrap_or(i32::MAX),
        addresses: if is_asked(rollout) { addresses.into_iter().take(MOST).cloned().collect() } else { Vec::new() },
        changed_at: changed_at(&objects.slices),
        scales: Vec::new(),
        stuck: Vec::new(),
        scalers: BTreeMap::new(),
    }
}

pub(super) fn owned(rollout: &LlmRollout, object: &impl Resource) -> OwnedSeen {
    let meta = object.meta();
    let label = meta.labels.as_ref().and_then(|l| l.get(labels::ROLLOUT));
    let owners = meta.owner_references.as_deref().unwrap_or_default();
    OwnedSeen {
        ours: label == rollout.metadata.name.as_ref(),
        applied: meta.annotations.as_ref().and_then(|a| a.get(labels::APPLIED)).cloned(),
        version: meta.resource_version.clone().unwrap_or_default(),
        owner_index: owners.iter().position(|o| Some(&o.uid) == rollout.metadata.uid.as_ref()),
    }
}

fn deployment(rollout: &LlmRollout, d: &Deployment) -> DeploymentSeen {
    let wanted = d.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1);
    let status = d.status.clone().unwrap_or_default();
    let current = status.observed_generation >= d.metadata.generation;
    let updated = status.updated_replicas.unwrap_or(0);
    let ready = status.ready_replicas.unwrap_or(0);
    let total = status.replicas.unwrap_or(0);
    DeploymentSeen {
        object: owned(rollout, d),
        uid: d.metadata.uid.clone().unwrap_or_default(),
        revision: d.annotations().get(labels::REVISION).cloned(),
        template: d.annotations().get(labels::TEMPLATE).cloned(),
        wanted,
        ready: if current { ready.min(updated) } else { 0 },
        settled: current && total == updated,
    }
}

/// What is to be taken over. Compared as the API server tells it: what it added to what people wrote does not count.
pub(super) fn adoptee(rollout: &LlmRollout, d: &Deployment) -> Adoptee {
    let spec = d.spec.clone().unwrap_or_default();
    let by_labels = spec.selector.match_expressions.is_none_or(|e| e.is_empty());
    let running = serde_json::to_value(&spec.template).unwrap_or_default();
    Adoptee {
        object: owned(rollout, d),
        selector: spec.selector.match_labels.filter(|labels| by_labels && !labels.is_empty()),
        as_written: rollout.spec.release.made().is_some_and(|t| adopt::as_written(&running, &t.pod_template.0)),
        labelled: d.metadata.labels.is_some(),
    }
}

/// Ready addresses, each counted once however many slices name it.
fn ready_addresses<'a>(slices: &[&'a EndpointSlice]) -> BTreeSet<&'a String> {
    let ready = slices.iter().flat_map(|s| &s.endpoints).filter(|e| {
        let conditions = e.conditions.as_ref();
        conditions.and_then(|c| c.ready) != Some(false) && conditions.and_then(|c| c.terminating) != Some(true)
    });
    ready.flat_map(|e| &e.addresses).collect()
}

/// Whether the manifest wants requests sent to a candidate itself.
fn is_asked(rollout: &LlmRollout) -> bool {
    rollout.spec.warm_up.is_some() || rollout.spec.smoke.iter().any(|s| s.http.is_some())
}

/// When a pod last became ready or stopped being it: what the slices were last changed for, in the words of Kubernetes.
fn changed_at(slices: &[&EndpointSlice]) -> Option<Moment> {
    let told = slices.iter().filter_map(|s| s.annotations().get(CHANGED_FOR)?.parse::<Timestamp>().ok());
    told.max().map(Moment::from)
}

/// The time of the pod's own condition that made the control plane write a slice anew; gone with the next write for
/// something else.
const CHANGED_FOR: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// What was seen of one router.
pub(super) fn router(rollout: &LlmRollout, claim: Claim<'_>, found: Found<'_>) -> RouterSeen {
    let own = rollout.metadata.namespace.as_deref().unwrap_or_default();
    let here = claim.namespace().unwrap_or(own);
    let [blue, green] = Color::BOTH.map(|color| release::called(rollout, color, here));
    let out = rollout.status.as_ref().and_then(|status| claim.out_of(&status.detached));
    claim.read([&blue, &green], Found { out: out.as_ref(), ..found })
}

/// A router of another namespace that may not be looked at.
pub(super) fn forbidden(
    rollout: &LlmRollout,
    claim: Claim<'_>,
    offers: &Offers,
    grants: &[Grant],
) -> Option<RouterSeen> {
    let trouble = crossing::forbidden(rollout, claim, offers, grants)?;
    Some(RouterSeen { name: claim.name(), state: Err(trouble) })
}

/// The rollouts that this one depends on, in the order of the manifest.
pub(super) fn dependencies(rollout: &LlmRollout, others: &[Arc<LlmRollout>]) -> Vec<DependencySeen> {
    let standing =
        |name: &str| others.iter().find(|o| o.name_any() == name).map_or(Standing::Missing, |o| Standing::of(o));
    let all = rollout.spec.depends_on.iter();
    all.map(|d| DependencySeen { name: d.name.clone(), standing: standing(&d.name) }).collect()
}

/// The sets of gates that a rollout takes over.
pub(super) fn named_sets(rollout: &LlmRollout) -> impl Iterator<Item = &str> {
    rollout.spec.gates.iter().filter_map(|item| item.gate_set.as_deref())
}

/// What was seen of a set of gates. One that is being deleted counts until it is gone, as a Service does.
pub(super) fn gate_set(set: Option<&LlmGateSet>) -> GateSetSeen {
    set.map_or(GateSetSeen::Missing, |set| GateSetSeen::There(set.spec.gates.clone()))
}

/// The price list that a rollout names, as far as it is about its model.
pub(super) fn price_list(rollout: &LlmRollout, named: impl FnOnce(&str) -> Option<Arc<ConfigMap>>) -> PriceListSeen {
    let prices = rollout.spec.metrics.prices.as_ref();
    let asked = prices.and_then(|p| p.config_map.as_deref().zip(p.model.as_deref()));
    let Some((list, model)) = asked.and_then(|(name, model)| Some((named(name)?, model))) else {
        return PriceListSeen::Missing;
    };
    let ours = |key: &str| {
        ["asOf", "currency"].contains(&key) || key.strip_prefix(model).is_some_and(|rest| rest.starts_with('.'))
    };
    let data = list.data.iter().flatten().filter(|(key, _)| ours(key));
    PriceListSeen::There(data.map(|(key, value)| (key.clone(), value.clone())).collect())
}

/// The namespace of what a rollout claims.
pub(super) fn home<'a>(rollout: &'a LlmRollout, claim: Claim<'a>) -> &'a str {
    claim.namespace().or(rollout.metadata.namespace.as_deref()).unwrap_or_default()
}

/// The oldest other rollout that drives one of our routers before us.
///
/// Whoever may not write to a route of another namespace drives nothing there, and is in nobody's way.
pub(super) fn rival<'a>(
    rollout: &LlmRollout,
    others: impl Iterator<Item = &'a LlmRollout>,
    may: impl Fn(&LlmRollout, Claim<'_>) -> bool,
) -> Option<Rival> {
    let age = |r: &LlmRollout| (r.metadata.creation_timestamp.as_ref().map(|t| t.0), r.metadata.uid.clone());
    let older = others.filter(|o| o.metadata.uid != rollout.metadata.uid && age(o) < age(rollout));
    let clash = |other: &LlmRollout| {
        let mut ours = rollout.spec.traffic.iter().filter_map(Claim::of);
        let theirs: Vec<Claim<'_>> = other.spec.traffic.iter().filter_map(Claim::of).collect();
        let same = |c: Claim<'_>, t: Claim<'_>| c.rivals(t) && home(rollout, c) == home(other, t) && may(other, t);
        ours.find(|c| theirs.iter().any(|t| same(*c, *t))).map(Claim::name)
    };
    let mut rivals: Vec<_> = older.filter_map(|o| Some((age(o), o.name_any(), clash(o)?))).collect();
    rivals.sort();
    rivals.into_iter().next().map(|(_, name, router)| Rival { name, router })
}
