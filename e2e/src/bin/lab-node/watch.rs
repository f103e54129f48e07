//! Turns a watch into plain changes, also over a new list after a lost watch. Never what a change means.

use std::collections::BTreeSet;

use futures::{Stream, StreamExt, stream};
use k8s_openapi::serde::de::DeserializeOwned;
use kube::{
    Api, Resource, ResourceExt,
    runtime::{WatchStreamExt, watcher, watcher::Event},
};

/// Namespace, name and uid: an object made anew under the same name is another one.
pub(crate) type Key = (String, String, String);

/// One change.
#[derive(Debug, PartialEq)]
pub(crate) enum Change<K> {
    Set(K),
    Gone(Key),
    /// The first list is complete.
    Listed,
}

/// Objects known so far, and those of the list being read.
#[derive(Debug, Default)]
struct Known {
    known: BTreeSet<Key>,
    fresh: BTreeSet<Key>,
}

pub(crate) fn key<K: ResourceExt>(object: &K) -> Key {
    (object.namespace().unwrap_or_default(), object.name_any(), object.uid().unwrap_or_default())
}

impl Known {
    fn take<K: ResourceExt>(&mut self, event: Event<K>) -> Vec<Change<K>> {
        match event {
            Event::Apply(object) => {
                self.known.insert(key(&object));
                vec![Change::Set(object)]
            }
            Event::Delete(object) => {
                self.known.remove(&key(&object));
                vec![Change::Gone(key(&object))]
            }
            Event::Init => {
                self.fresh.clear();
                Vec::new()
            }
            Event::InitApply(object) => {
                self.fresh.insert(key(&object));
                vec![Change::Set(object)]
            }
            Event::InitDone => {
                let gone = self.known.difference(&self.fresh).cloned().map(Change::Gone).collect::<Vec<_>>();
                self.known = std::mem::take(&mut self.fresh);
                gone.into_iter().chain([Change::Listed]).collect()
            }
        }
    }
}

/// All changes of the objects behind `api`, for ever.
pub(crate) fn changes<K>(api: Api<K>) -> impl Stream<Item = Change<K>>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    watcher(api, watcher::Config::default())
        .default_backoff()
        .scan(Known::default(), |known, event| {
            let changes = match event {
                Ok(event) => known.take(event),
                Err(error) => {
                    eprintln!("lab-node: watch: {error}");
                    Vec::new()
                }
            };
            std::future::ready(Some(stream::iter(changes)))
        })
        .flatten()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::json;

    use super::*;

    fn pod(name: &str, uid: &str) -> Pod {
        serde_json::from_value(json!({"metadata": {"namespace": "a", "name": name, "uid": uid}})).unwrap()
    }

    #[test]
    fn a_new_list_tells_what_went_missing() {
        let mut known = Known::default();
        known.take(Event::Apply(pod("x", "1")));
        known.take(Event::Apply(pod("y", "2")));
        known.take(Event::<Pod>::Init);
        known.take(Event::InitApply(pod("x", "3")));
        let changes = known.take(Event::<Pod>::InitDone);
        let gone = |name: &str, uid: &str| Change::Gone(("a".into(), name.into(), uid.into()));
        assert_eq!(changes, vec![gone("x", "1"), gone("y", "2"), Change::Listed]);
    }
}
