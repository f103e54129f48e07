//! The caches of one scope (a namespace, or the whole cluster), filled by `control`. Looked up by name, never listed on
//! a decision's path except for the rollouts of a namespace.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use k8s_openapi::api::{
    apps::v1::Deployment,
    batch::v1::{CronJob, Job},
    core::v1::{ConfigMap, Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Resource,
    core::{ApiResource, DynamicObject, GroupVersionKind, PartialObjectMeta},
    runtime::reflector::{ObjectRef, Store},
};

use crate::{
    api::{LlmGateSet, LlmRollout, LlmRolloutOrder, Moment, labels},
    decide::{intent::OwnedKind, snapshot::OrderSeen},
    routers::{
        PatchKind,
        grant::{self, Grant},
        mirror::ClassSeen,
    },
};

/// The caches of one scope.
#[derive(Clone)]
pub struct Stores {
    /// All rollouts.
    pub rollouts: Store<LlmRollout>,
    /// Deployments with our label.
    pub deployments: Store<Deployment>,
    /// All Services: front Services are the users'.
    pub services: Store<Service>,
    /// All EndpointSlices, without what nobody here reads: a pair names Services of others.
    pub slices: Store<EndpointSlice>,
    /// Whatever else than Services may carry traffic, of each kind all.
    pub routers: BTreeMap<PatchKind, Store<DynamicObject>>,
    /// What the gateways say of themselves; nothing where only some namespaces are watched, for they belong to none.
    pub gateway_classes: Store<DynamicObject>,
    /// All `ReferenceGrant`s.
    pub grants: Store<DynamicObject>,
    /// All orders.
    pub orders: Store<LlmRolloutOrder>,
    /// All sets of gates.
    pub gate_sets: Store<LlmGateSet>,
    /// `ConfigMaps` with the label of price lists.
    pub price_lists: Store<ConfigMap>,
    /// Whatever scales Deployments, of each kind all; what it is only, not how it scales.
    pub scalers: BTreeMap<OwnedKind, Store<PartialObjectMeta<DynamicObject>>>,
    /// What is run for rollouts.
    pub of_jobs: JobStores,
}

/// What is run for rollouts.
#[derive(Clone)]
pub struct JobStores {
    /// Jobs with our label.
    pub jobs: Store<Job>,
    /// Pods with our label, those of Jobs and of colors, without what they were made of.
    pub pods: Store<Pod>,
    /// All `CronJobs`: gates, checks and hooks name those of the users.
    pub cron_jobs: Store<CronJob>,
}

impl Stores {
    /// The rollouts of a namespace.
    pub fn rollouts_in(&self, namespace: &str) -> Vec<Arc<LlmRollout>> {
        let mut all = self.rollouts.state();
        all.retain(|r| r.metadata.namespace.as_deref() == Some(namespace));
        all
    }

    /// The orders to one rollout, the oldest first.
    pub fn orders_to(&self, namespace: &str, rollout: &str) -> Vec<OrderSeen> {
        let all = self.orders.state();
        let ours =
            all.iter().filter(|o| o.metadata.namespace.as_deref() == Some(namespace) && o.spec.rollout == rollout);
        let mut seen: Vec<OrderSeen> = ours.map(|o| order(o)).collect();
        seen.sort_by(|a, b| (a.at, &a.name).cmp(&(b.at, &b.name)));
        seen
    }

    /// The Jobs that bear a rollout's name.
    pub fn jobs_of(&self, rollout: &LlmRollout) -> Vec<Arc<Job>> {
        let mut all = self.of_jobs.jobs.state();
        all.retain(|job| rollout_of(job.as_ref()).is_some_and(|of| of == ObjectRef::from_obj(rollout)));
        all
    }

    /// What carries traffic and is no Service, by name.
    pub fn router(&self, kind: PatchKind, namespace: &str, name: &str) -> Option<Arc<DynamicObject>> {
        self.routers.get(&kind)?.get(&ObjectRef::new_with(name, kind.resource()).within(namespace))
    }

    /// What the gateways can do.
    pub fn classes(&self) -> Vec<ClassSeen> {
        self.gateway_classes.state().iter().map(|class| ClassSeen::of(&class.data)).collect()
    }

    /// What the owners of these namespaces allow others to refer to.
    pub fn grants_in(&self, namespaces: &BTreeSet<&str>) -> Vec<Grant> {
        if namespaces.is_empty() {
            return Vec::new();
        }
        let here = |g: &DynamicObject| g.metadata.namespace.as_deref().is_some_and(|ns| namespaces.contains(ns));
        let mut all: Vec<_> = self.grants.state_filter(here);
        all.sort_by_key(|grant| ObjectRef::from_obj_with(grant.as_ref(), grant::resource()).to_string());
        all.iter().map(|object| Grant::read(object)).collect()
    }

    /// What scales a color, by its name.
    pub fn scaler(
        &self,
        kind: OwnedKind,
        namespace: &str,
        name: &str,
    ) -> Option<Arc<PartialObjectMeta<DynamicObject>>> {
        let [group, version, word, plural] = kind.names();
        let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, word), plural);
        self.scalers.get(&kind)?.get(&ObjectRef::new_with(name, resource).within(namespace))
    }

    /// The slices of one colour's Service.
    pub fn slices_of(&self, namespace: &str, service: &str) -> Vec<Arc<EndpointSlice>> {
        let of =
            |s: &EndpointSlice| s.metadata.namespace.as_deref() == Some(namespace) && service_of(s) == Some(service);
        self.slices.state_filter(of)
    }
}

fn order(o: &LlmRolloutOrder) -> OrderSeen {
    let meta = &o.metadata;
    OrderSeen {
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
        at: meta.creation_timestamp.as_ref().map_or_else(Moment::default, |t| t.0.into()),
        spec: o.spec.clone(),
    }
}

/// The Service that a slice belongs to.
pub fn service_of(slice: &EndpointSlice) -> Option<&str> {
    slice.metadata.labels.as_ref()?.get("kubernetes.io/service-name").map(String::as_str)
}

/// An object by name.
pub fn named<K>(store: &Store<K>, namespace: &str, name: &str) -> Option<Arc<K>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    store.get(&ObjectRef::new(name).within(namespace))
}

/// The rollout that our label on an object names.
pub fn rollout_of(object: &impl Resource) -> Option<ObjectRef<LlmRollout>> {
    let name = object.meta().labels.as_ref()?.get(labels::ROLLOUT)?;
    Some(ObjectRef::new(name).within(object.meta().namespace.as_deref()?))
}
