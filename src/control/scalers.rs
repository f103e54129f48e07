//! The watch of what scales colors: names, labels and versions only, of all there are, so that one that is not ours is seen.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{StreamExt, stream};
use kube::{
    Api, Client, ResourceExt,
    core::{ApiResource, DynamicObject, GroupVersionKind, PartialObjectMeta},
    runtime::{
        WatchStreamExt,
        reflector::{ObjectRef, Store, store::Writer},
        watcher,
    },
};

use super::{
    filled::Filled,
    watch::{WATCH_FOR, Wakes, touched},
};
use crate::{api::labels, decide::intent::OwnedKind, observe::stores::rollout_of};

/// The autoscalers of each kind.
pub(super) type Scalers = BTreeMap<OwnedKind, Store<Scaler>>;
type Scaler = PartialObjectMeta<DynamicObject>;

pub(super) fn watch(client: &Client, namespace: Option<&str>, full: &Filled) -> (Wakes, Scalers) {
    let mut stores = Scalers::new();
    let wakes = OwnedKind::SCALERS.map(|owned| {
        let [group, version, kind, plural] = owned.names();
        let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
        let writer = Writer::new(resource.clone());
        stores.insert(owned, writer.as_reader());
        let api: Api<Scaler> = namespace.map_or_else(
            || Api::all_with(client.clone(), &resource),
            |ns| Api::namespaced_with(client.clone(), ns, &resource),
        );
        let all = watcher::Config::default().timeout(WATCH_FOR);
        let events = watcher::watcher(api, all).default_backoff().modify(|object| {
            object.managed_fields_mut().clear();
        });
        let (reader, known) = (writer.as_reader(), Mutex::new(BTreeMap::new()));
        let wakes = move |object: &Scaler| {
            let of = ObjectRef::from_obj_with(object, resource.clone());
            let changed =
                is_news(&mut known.lock().unwrap_or_else(PoisonError::into_inner), of.to_string(), reader.get(&of));
            rollout_of(object).filter(|_| changed).into_iter().collect()
        };
        touched(events.reflect(writer), full, kind, wakes)
    });
    (stream::select_all(wakes).boxed(), stores)
}

/// What an autoscaler has found out of load is written into it every few seconds, and wakes nobody.
fn is_news(known: &mut BTreeMap<String, Option<String>>, of: String, now: Option<Arc<Scaler>>) -> bool {
    let Some(now) = now else { return known.remove(&of).is_some() };
    let applied = now.annotations().get(labels::APPLIED).cloned();
    known.insert(of, applied.clone()).is_none_or(|old| old != applied)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use super::{Scaler, is_news};

    #[test]
    fn only_what_we_have_written_of_an_autoscaler_is_news() {
        let mut known = BTreeMap::new();
        let scaler = |applied: &str, version: &str| {
            let meta = serde_json::json!({"metadata": {"resourceVersion": version, "annotations": {"llmrollout.io/applied": applied}}});
            Some(Arc::new(serde_json::from_value::<Scaler>(meta).unwrap()))
        };
        let mut news = |now| is_news(&mut known, "llm/chat-blue".to_owned(), now);
        assert!(news(scaler("a", "1")), "it is new");
        assert!(!news(scaler("a", "2")), "it has looked at the load");
        assert!(news(scaler("b", "3")), "it is another one");
        assert!(news(None), "it is gone");
        assert!(!news(None), "it was gone");
    }
}
