//! Watches → caches and wake-ups. Each event names the rollouts it concerns; what happened is read from the caches when
//! their turn comes, so a lost or doubled event changes nothing.

use std::{collections::BTreeMap, fmt::Debug, hash::Hash};

use futures::{Stream, StreamExt, stream};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::Deployment,
        batch::v1::{CronJob, Job},
        core::v1::{ConfigMap, Pod, Service},
        discovery::v1::{Endpoint, EndpointSlice},
    },
};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::{ApiResource, DeserializeGuard, DynamicObject, GroupVersionKind},
    runtime::{
        WatchStreamExt,
        reflector::{self, ObjectRef, Store, store::Writer},
        watcher::{self, Event},
    },
};
use serde::de::DeserializeOwned;

use super::wakes::{claimed, crossing_into, dependents, paired, priced_by, taking_over, waiting_for};
use super::{
    filled::{Filled, GATEWAY_CLASS, may_be_missing},
    scalers,
};
use crate::{
    api::{LlmGateSet, LlmRollout, LlmRolloutOrder, labels},
    observe::stores::{JobStores, Stores, rollout_of},
    routers::{PatchKind, grant},
};

/// A silent watch is opened anew after this long; safety does not rest on watches, freshness does.
pub(super) const WATCH_FOR: u32 = 60;

/// Rollouts to look at.
pub(super) type Wakes = stream::BoxStream<'static, ObjectRef<LlmRollout>>;

/// The caches of one scope, the wake-ups that keep them fed, and when they are full.
pub(super) fn scope(client: &Client, namespace: Option<&str>) -> (Stores, Wakes, Filled) {
    let full = Filled::default();
    let (rollouts, rollout_writer) = reflector::store();
    let (deployments, deployment_writer) = reflector::store();
    let (services, service_writer) = reflector::store();
    let (slices, slice_writer) = reflector::store();
    let (orders, order_writer) = reflector::store();
    let (gate_sets, set_writer) = reflector::store();
    let (routers_wake, routers) = watch_routers(client, namespace, &full, &rollouts);
    let (classes_wake, gateway_classes) = watch_classes(client, namespace, &full);
    let (jobs_wake, of_jobs) = watch_jobs(client, namespace, &full, &rollouts);
    let (grants_wake, grants) = watch_grants(client, namespace, &full, &rollouts);
    let (scalers_wake, scalers) = scalers::watch(client, namespace, &full);
    let (prices_wake, price_lists) = watch_prices(client, namespace, &full, &rollouts);
    let stores = Stores {
        rollouts: rollouts.clone(),
        deployments,
        services,
        slices,
        routers,
        gateway_classes,
        grants,
        orders,
        gate_sets,
        price_lists,
        scalers,
        of_jobs,
    };
    let ours = watcher::Config::default().labels(labels::ROLLOUT).timeout(WATCH_FOR);
    let all = watcher::Config::default().timeout(WATCH_FOR);
    let fronts = rollouts.clone();
    let by_label_or_front = move |s: &Service| {
        let claimed = claimed(&fronts, PatchKind::Service, s);
        rollout_of(s).into_iter().chain(claimed).collect()
    };
    let by_rollout = {
        let rollouts = rollouts.clone();
        move |r: &LlmRollout| dependents(&rollouts, r).into_iter().chain([ObjectRef::from_obj(r)]).collect()
    };
    let of_sets = rollouts.clone();
    let by_set = move |s: &LlmGateSet| taking_over(&of_sets, s);
    let wakes = stream::select_all([
        watch_guarded(api(client, namespace), all.clone(), rollout_writer, &full, "LlmRollout", by_rollout),
        watch(api::<Deployment>(client, namespace), ours, deployment_writer, &full, "Deployment", |d| {
            rollout_of(d).into_iter().collect()
        }),
        watch_slices(client, namespace, slice_writer, &full, rollouts),
        watch(api::<Service>(client, namespace), all.clone(), service_writer, &full, "Service", by_label_or_front),
        watch_guarded(api(client, namespace), all.clone(), set_writer, &full, "LlmGateSet", by_set),
        watch(api::<LlmRolloutOrder>(client, namespace), all, order_writer, &full, "LlmRolloutOrder", |o| {
            o.metadata.namespace.iter().map(|ns| ObjectRef::new(&o.spec.rollout).within(ns)).collect()
        }),
        routers_wake,
        classes_wake,
        jobs_wake,
        grants_wake,
        prices_wake,
        scalers_wake,
    ]);
    (stores, wakes.boxed(), full)
}

/// The endpoints of all Services. Of each slice is kept what tells how many are ready, and since when.
fn watch_slices(
    client: &Client,
    namespace: Option<&str>,
    writer: Writer<EndpointSlice>,
    full: &Filled,
    rollouts: Store<LlmRollout>,
) -> Wakes {
    let all = watcher::Config::default().timeout(WATCH_FOR);
    let events = watcher::watcher(api::<EndpointSlice>(client, namespace), all).default_backoff().modify(|slice| {
        slice.managed_fields_mut().clear();
        slice.ports = None;
        for endpoint in &mut slice.endpoints {
            let told = (std::mem::take(&mut endpoint.addresses), endpoint.conditions.take());
            *endpoint = Endpoint { addresses: told.0, conditions: told.1, ..Endpoint::default() };
        }
    });
    let wakes = move |slice: &EndpointSlice| rollout_of(slice).into_iter().chain(paired(&rollouts, slice)).collect();
    touched(events.reflect(writer), full, "EndpointSlice", wakes)
}

/// Whatever else than Services may carry traffic.
fn watch_routers(
    client: &Client,
    namespace: Option<&str>,
    full: &Filled,
    rollouts: &Store<LlmRollout>,
) -> (Wakes, BTreeMap<PatchKind, Store<DynamicObject>>) {
    let all = watcher::Config::default().timeout(WATCH_FOR);
    let mut stores = BTreeMap::new();
    let wakes = PatchKind::WATCHED.map(|kind| {
        let resource = kind.resource();
        let writer = Writer::new(resource.clone());
        stores.insert(kind, writer.as_reader());
        let api = namespace.map_or_else(
            || Api::all_with(client.clone(), &resource),
            |ns| Api::namespaced_with(client.clone(), ns, &resource),
        );
        let rollouts = rollouts.clone();
        let by_name = move |object: &DynamicObject| claimed(&rollouts, kind, object);
        watch(api, all.clone(), writer, full, kind.names().kind, by_name)
    });
    (stream::select_all(wakes).boxed(), stores)
}

/// What the gateways say of themselves. Who may look into some namespaces only may not ask, and does not.
fn watch_classes(client: &Client, namespace: Option<&str>, full: &Filled) -> (Wakes, Store<DynamicObject>) {
    let kind = GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", GATEWAY_CLASS);
    let resource = ApiResource::from_gvk_with_plural(&kind, "gatewayclasses");
    let writer = Writer::new(resource.clone());
    let store = writer.as_reader();
    if namespace.is_some() {
        full.filled(GATEWAY_CLASS);
        return (stream::empty().boxed(), store);
    }
    let all = watcher::Config::default().timeout(WATCH_FOR);
    // It changes with the gateway's version: whoever waits for it finds it on the next look.
    let wakes = watch(Api::all_with(client.clone(), &resource), all, writer, full, GATEWAY_CLASS, |_| Vec::new());
    (wakes, store)
}

/// What the owners of namespaces allow others to refer to.
fn watch_grants(
    client: &Client,
    namespace: Option<&str>,
    full: &Filled,
    rollouts: &Store<LlmRollout>,
) -> (Wakes, Store<DynamicObject>) {
    let resource = grant::resource();
    let writer = Writer::new(resource.clone());
    let grants = writer.as_reader();
    let api = namespace.map_or_else(
        || Api::all_with(client.clone(), &resource),
        |ns| Api::namespaced_with(client.clone(), ns, &resource),
    );
    let rollouts = rollouts.clone();
    let named = move |grant: &DynamicObject| crossing_into(&rollouts, grant);
    let all = watcher::Config::default().timeout(WATCH_FOR);
    (watch(api, all, writer, full, grant::KIND, named), grants)
}

/// What is run for rollouts: our Jobs, and the `CronJobs` that they are made of; and every pod of ours.
fn watch_jobs(
    client: &Client,
    namespace: Option<&str>,
    full: &Filled,
    rollouts: &Store<LlmRollout>,
) -> (Wakes, JobStores) {
    let (jobs, job_writer) = reflector::store();
    let (pods, pod_writer) = reflector::store();
    let (cron_jobs, cron_job_writer) = reflector::store();
    let ours = watcher::Config::default().labels(labels::ROLLOUT).timeout(WATCH_FOR);
    let all = watcher::Config::default().timeout(WATCH_FOR);
    let by_name = {
        let rollouts = rollouts.clone();
        move |c: &CronJob| waiting_for(&rollouts, c)
    };
    let wakes = stream::select_all([
        watch(api::<Job>(client, namespace), ours.clone(), job_writer, full, "Job", |j| {
            rollout_of(j).into_iter().collect()
        }),
        watch_pods(api(client, namespace), ours, pod_writer, full),
        watch(api::<CronJob>(client, namespace), all, cron_job_writer, full, "CronJob", by_name),
    ]);
    (wakes.boxed(), JobStores { jobs, pods, cron_jobs })
}

/// The price lists: of the `ConfigMaps` only those that bear their label.
fn watch_prices(
    client: &Client,
    namespace: Option<&str>,
    full: &Filled,
    rollouts: &Store<LlmRollout>,
) -> (Wakes, Store<ConfigMap>) {
    let (price_lists, writer) = reflector::store();
    let labeled = watcher::Config::default().labels(labels::PRICES).timeout(WATCH_FOR);
    let rollouts = rollouts.clone();
    let by_list = move |list: &ConfigMap| priced_by(&rollouts, list);
    (watch(api::<ConfigMap>(client, namespace), labeled, writer, full, "ConfigMap", by_list), price_lists)
}

fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    namespace.map_or_else(|| Api::all(client.clone()), |ns| Api::namespaced(client.clone(), ns))
}

fn watch<K, F>(
    api: Api<K>,
    config: watcher::Config,
    writer: Writer<K>,
    full: &Filled,
    kind: &'static str,
    wakes: F,
) -> Wakes
where
    K: Resource<DynamicType: Eq + Hash + Clone + Send + Sync>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
    F: Fn(&K) -> Vec<ObjectRef<LlmRollout>> + Send + Sync + 'static,
{
    let events = watcher::watcher(api, config).default_backoff().modify(|object| {
        // Bookkeeping of the API server that nobody here reads; the larger half of many objects.
        object.managed_fields_mut().clear();
    });
    touched(events.reflect(writer), full, kind, wakes)
}

/// Pods without what they were made of: there are many, and only how they are is looked at.
fn watch_pods(api: Api<Pod>, config: watcher::Config, writer: Writer<Pod>, full: &Filled) -> Wakes {
    let events = watcher::watcher(api, config).default_backoff().modify(|pod| {
        pod.metadata.managed_fields = None;
        pod.metadata.annotations = None;
        pod.spec = None;
    });
    touched(events.reflect(writer), full, "Pod", |pod| rollout_of(pod).into_iter().collect())
}

/// Objects whose schema is ours are decoded one by one, so that a broken one cannot blind the watch for all.
fn watch_guarded<K, F>(
    api: Api<DeserializeGuard<K>>,
    config: watcher::Config,
    writer: Writer<K>,
    full: &Filled,
    kind: &'static str,
    wakes: F,
) -> Wakes
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    F: Fn(&K) -> Vec<ObjectRef<LlmRollout>> + Send + Sync + 'static,
{
    let known = writer.as_reader();
    let events = watcher::watcher(api, config).default_backoff().filter_map(move |event| {
        let event = event.map(|e| decoded(e, &known, kind)).transpose();
        async move { event }
    });
    touched(events.reflect(writer), full, kind, wakes)
}

fn decoded<K>(event: Event<DeserializeGuard<K>>, known: &Store<K>, kind: &'static str) -> Option<Event<K>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let good = |guard: DeserializeGuard<K>| match guard.0 {
        Ok(mut object) => {
            object.managed_fields_mut().clear();
            Ok(object)
        }
        Err(broken) => {
            let (namespace, name) =
                (broken.metadata.namespace.unwrap_or_default(), broken.metadata.name.unwrap_or_default());
            tracing::warn!(kind, %namespace, %name, error = %broken.error, "an object cannot be decoded and does not count until it can");
            Err(ObjectRef::<K>::new(&name).within(&namespace))
        }
    };
    match event {
        Event::Init => Some(Event::Init),
        Event::InitDone => Some(Event::InitDone),
        Event::InitApply(guard) => good(guard).ok().map(Event::InitApply),
        Event::Delete(guard) => good(guard).ok().map(Event::Delete),
        // What was known of it is no longer what stands there: nothing is decided on it.
        Event::Apply(guard) => match good(guard) {
            Ok(object) => Some(Event::Apply(object)),
            Err(name) => known.get(&name).map(|old| Event::Delete(old.as_ref().clone())),
        },
    }
}

pub(super) fn touched<K, S, F>(events: S, full: &Filled, kind: &'static str, wakes: F) -> Wakes
where
    K: Debug + Send + Sync + 'static,
    S: Stream<Item = Result<Event<K>, watcher::Error>> + Send + 'static,
    F: Fn(&K) -> Vec<ObjectRef<LlmRollout>> + Send + Sync + 'static,
{
    let full = full.clone();
    let named = events.filter_map(move |event| {
        let found = match event {
            Ok(Event::Apply(object) | Event::InitApply(object) | Event::Delete(object)) => wakes(&object),
            Ok(Event::InitDone) => {
                full.filled(kind);
                Vec::new()
            }
            Ok(Event::Init) => Vec::new(),
            Err(error) if may_be_missing().any(|k| k == kind) && unknown_here(&error) => {
                // Nothing of a kind that there is not: that is all there is, until it is asked for again.
                if full.filled(kind) {
                    tracing::info!(kind, "this cluster does not know the kind; what needs it says so");
                }
                Vec::new()
            }
            Err(error) => {
                tracing::warn!(%error, "a watch was interrupted and is opened again");
                Vec::new()
            }
        };
        async move { (!found.is_empty()).then_some(found) }
    });
    named.flat_map(stream::iter).boxed()
}

/// Whether the API server answers that there is no such kind, which it does in plain words without a reason.
fn unknown_here(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.code == 404)
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, time::Duration};

    use futures::StreamExt;
    use http::{Request, Response};
    use kube::{Client, client::Body};
    use tokio::time::timeout;

    use super::scope;

    /// Whether the caches are full within a second when lists of routes are answered so, and all others are empty.
    async fn full_at_once(code: u16, words: &'static str) -> bool {
        let answer = move |request: Request<Body>| async move {
            if request.uri().query().is_some_and(|query| query.contains("watch=true")) {
                return std::future::pending().await;
            }
            let empty = r#"{"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "1"}, "items": []}"#;
            let of_routes = request.uri().path().ends_with("routes");
            let (code, words) = if of_routes { (code, words) } else { (200, empty) };
            Ok::<_, Infallible>(Response::builder().status(code).body(Body::from(words.as_bytes().to_vec())).unwrap())
        };
        let (_stores, mut wakes, filled) = scope(&Client::new(tower::service_fn(answer), "default"), None);
        tokio::select! {
            full = timeout(Duration::from_secs(1), filled.all()) => full.is_ok(),
            ended = wakes.next() => panic!("nothing is there to wake: {ended:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_kind_that_the_cluster_does_not_know_is_not_waited_for() {
        assert!(full_at_once(404, "404 page not found").await);
        assert!(!full_at_once(500, "{}").await, "what cannot be told now may be told soon");
    }
}
