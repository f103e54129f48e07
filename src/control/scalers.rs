//! The watch of what scales colors: names, labels and versions only, of all there are, so that one that is not ours is seen.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use kube::{
    Api, Client, ResourceExt,
    core::{ApiResource, DynamicObject, GroupVersionKind, PartialObjectMeta},
    runtime::{
        WatchStreamExt,
        reflector::{Store, store::Writer},
        watcher,
    },
};

use super::{
    filled::Filled,
    watch::{WATCH_FOR, Wakes, touched},
};
use crate::{decide::intent::OwnedKind, observe::stores::rollout_of};

/// The autoscalers of each kind.
pub(super) type Scalers = BTreeMap<OwnedKind, Store<PartialObjectMeta<DynamicObject>>>;

pub(super) fn watch(client: &Client, namespace: Option<&str>, full: &Filled) -> (Wakes, Scalers) {
    let mut stores = Scalers::new();
    let wakes = OwnedKind::SCALERS.map(|owned| {
        let [group, version, kind, plural] = owned.names();
        let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
        let writer = Writer::new(resource.clone());
        stores.insert(owned, writer.as_reader());
        let api: Api<PartialObjectMeta<DynamicObject>> = namespace.map_or_else(
            || Api::all_with(client.clone(), &resource),
            |ns| Api::namespaced_with(client.clone(), ns, &resource),
        );
        let all = watcher::Config::default().timeout(WATCH_FOR);
        let events = watcher::watcher(api, all).default_backoff().modify(|object| {
            object.managed_fields_mut().clear();
        });
        touched(events.reflect(writer), full, kind, |object| rollout_of(object).into_iter().collect())
    });
    (stream::select_all(wakes).boxed(), stores)
}
