//! The caches of one operator process and the watches that fill them: a little late, in no order between kinds, blind for
//! a while, or told anew by a list. Never asks the API server for anything else.

use std::{collections::BTreeMap, hash::Hash, sync::Arc};

use kube::{
    core::DynamicObject,
    runtime::{reflector::store::Writer, watcher::Event},
};
use llmrollout::{
    api::{LlmGateSet, LlmRollout, LlmRolloutOrder},
    observe::stores::{JobStores, Stores},
    routers::{PatchKind, grant},
};
use serde_json::Value;
use tokio::{
    sync::{Notify, mpsc},
    time::sleep_until,
};

use super::{
    cluster::{Cluster, Sim},
    store::Change,
};

/// A watch that lost an event is opened anew after this long at most.
const RELIST: u64 = 60_000;

/// The writers of the caches.
pub(crate) struct Caches {
    rollouts: Writer<LlmRollout>,
    deployments: Writer<k8s_openapi::api::apps::v1::Deployment>,
    services: Writer<k8s_openapi::api::core::v1::Service>,
    slices: Writer<k8s_openapi::api::discovery::v1::EndpointSlice>,
    routes: Writer<DynamicObject>,
    orders: Writer<LlmRolloutOrder>,
    gate_sets: Writer<LlmGateSet>,
}

pub(crate) fn stores() -> (Stores, Caches) {
    use kube::runtime::reflector::store;
    let (rollouts, deployments, services) = (store(), store(), store());
    let (slices, orders, gate_sets) = (store(), store(), store());
    // No rollout of these worlds claims another kind.
    let routes = Writer::new(PatchKind::HttpRoute.resource());
    (
        Stores {
            scalers: BTreeMap::new(),
            rollouts: rollouts.0,
            deployments: deployments.0,
            services: services.0,
            slices: slices.0,
            routers: BTreeMap::from([(PatchKind::HttpRoute, routes.as_reader())]),
            // No step of these worlds copies requests.
            gateway_classes: Writer::new(PatchKind::HttpRoute.resource()).as_reader(),
            orders: orders.0,
            gate_sets: gate_sets.0,
            // No rollout of these worlds names another namespace.
            grants: Writer::new(grant::resource()).as_reader(),
            // No rollout of these worlds names a price list.
            price_lists: store().0,
            // No gate of these worlds looks at a Job.
            of_jobs: JobStores { jobs: store().0, pods: store().0, cron_jobs: store().0 },
        },
        Caches {
            rollouts: rollouts.1,
            deployments: deployments.1,
            services: services.1,
            slices: slices.1,
            routes,
            orders: orders.1,
            gate_sets: gate_sets.1,
        },
    )
}

fn parsed<K: serde::de::DeserializeOwned>(object: &Value) -> K {
    K::deserialize(object).unwrap()
}

fn tell<K>(writer: &mut Writer<K>, before: Option<&Value>, after: Option<&Value>)
where
    K: kube::Resource<DynamicType: Eq + Hash + Clone> + Clone + serde::de::DeserializeOwned + 'static,
{
    match (before, after) {
        (_, Some(after)) => writer.apply_watcher_event(&Event::Apply(parsed(after))),
        (Some(before), None) => writer.apply_watcher_event(&Event::Delete(parsed(before))),
        (None, None) => {}
    }
}

impl Caches {
    fn apply(&mut self, plural: &str, before: Option<&Value>, after: Option<&Value>) {
        match plural {
            "llmrollouts" => tell(&mut self.rollouts, before, after),
            "deployments" => tell(&mut self.deployments, before, after),
            "services" => tell(&mut self.services, before, after),
            "endpointslices" => tell(&mut self.slices, before, after),
            "llmrolloutorders" => tell(&mut self.orders, before, after),
            "llmgatesets" => tell(&mut self.gate_sets, before, after),
            _ => tell(&mut self.routes, before, after),
        }
    }

    /// The whole world at once, as a list after a broken watch.
    pub(crate) fn list(&mut self, sim: &Sim) {
        fn relist<K>(writer: &mut Writer<K>, sim: &Sim, plural: &str)
        where
            K: kube::Resource<DynamicType: Eq + Hash + Clone> + Clone + serde::de::DeserializeOwned + 'static,
        {
            writer.apply_watcher_event(&Event::Init);
            for (_, object) in sim.store.all().filter(|(k, _)| k.0 == plural) {
                writer.apply_watcher_event(&Event::InitApply(parsed(object)));
            }
            writer.apply_watcher_event(&Event::InitDone);
        }
        relist(&mut self.rollouts, sim, "llmrollouts");
        relist(&mut self.deployments, sim, "deployments");
        relist(&mut self.services, sim, "services");
        relist(&mut self.slices, sim, "endpointslices");
        relist(&mut self.routes, sim, "httproutes");
        relist(&mut self.orders, sim, "llmrolloutorders");
        relist(&mut self.gate_sets, sim, "llmgatesets");
    }
}

/// Changes reach the caches a little later, in order within a kind and in no order between kinds; some only with the
/// next list.
pub(crate) async fn watch(
    cluster: Arc<Cluster>,
    op: usize,
    mut changes: mpsc::UnboundedReceiver<Change>,
    mut caches: Caches,
    wakes: [Arc<Notify>; 2],
) {
    let mut due: BTreeMap<(u64, u64), Change> = BTreeMap::new();
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    let mut relist = None;
    let mut number = 0;
    loop {
        let first = due.keys().next().map(|(at, _)| *at);
        let until = first.into_iter().chain(relist).min().unwrap_or(u64::from(u32::MAX));
        tokio::select! {
            biased;
            change = changes.recv() => {
                let Some(change) = change else { return };
                let now = cluster.now();
                let mut sim = cluster.sim();
                if sim.ops[op].unseen > 0 {
                    sim.ops[op].unseen -= 1;
                    relist = relist.or(Some(now + sim.rng.between(1_000, RELIST)));
                    sim.tell(now, format_args!("operator {op}: does not see a change of {}", change.key.0));
                    continue;
                }
                let at = (now + sim.rng.between(1, 30)).max(sim.ops[op].frozen_until);
                let at = at.max(last.get(change.key.0).copied().unwrap_or_default());
                last.insert(change.key.0, at);
                number += 1;
                due.insert((at, number), change);
            }
            () = sleep_until(cluster.at(until)) => {
                let now = cluster.now();
                if relist.is_some_and(|at| at <= now) {
                    relist = None;
                    due.clear();
                    caches.list(&cluster.sim());
                } else if let Some((_, change)) = due.pop_first() {
                    caches.apply(change.key.0, change.before.as_deref(), change.after.as_deref());
                }
                for wake in &wakes {
                    wake.notify_one();
                }
            }
        }
    }
}
