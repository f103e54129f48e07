//! All objects of a kind in a namespace as a watch shows them, with the moment of each change.
//! Nothing here changes them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::StreamExt;
use kube::{
    Api, ResourceExt,
    api::DynamicObject,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event},
    },
};
use serde_json::Value;
use tokio::{sync::watch, task::JoinHandle, time::timeout};

use crate::kit::KitError;

/// An object as it was last seen, and when.
pub(super) type Seen = (Instant, Arc<Value>);
type All = Arc<Mutex<BTreeMap<String, Seen>>>;

/// The watch, while it is held.
#[derive(Debug)]
pub(super) struct Watch {
    all: All,
    changes: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watch {
    pub(super) fn start(api: Api<DynamicObject>) -> Self {
        let all = All::default();
        let (count, changes) = watch::channel(0);
        let shown = Arc::clone(&all);
        let task = tokio::spawn(async move {
            let mut events = watcher::watcher(api, watcher::Config::default()).default_backoff().boxed();
            while let Some(event) = events.next().await {
                if let Ok(Event::Apply(object) | Event::InitApply(object)) = event {
                    let (name, at) = (object.name_any(), Instant::now());
                    let value = Arc::new(serde_json::to_value(object).unwrap_or_default());
                    shown.lock().unwrap_or_else(PoisonError::into_inner).insert(name, (at, value));
                    count.send_modify(|n| *n += 1);
                }
            }
        });
        Self { all, changes, task }
    }

    /// What is seen of one.
    pub(super) fn one(&self, name: &str) -> Option<Seen> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Waits until so many are as they should be, and gives the moment at which the last of them was seen to be.
    pub(super) async fn until(
        &self,
        what: &str,
        many: usize,
        within: Duration,
        fits: impl Fn(&str, &Value) -> bool,
    ) -> Result<Instant, KitError> {
        let mut changes = self.changes.clone();
        let wait = async {
            loop {
                changes.mark_unchanged();
                let met: Vec<Instant> = {
                    let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
                    all.iter().filter(|(name, (_, value))| fits(name, value)).map(|(_, (at, _))| *at).collect()
                };
                if met.len() >= many
                    && let Some(last) = met.into_iter().max()
                {
                    return last;
                }
                if changes.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        timeout(within, wait).await.map_err(|_| {
            let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
            let met = all.iter().filter(|(name, (_, value))| fits(name, value)).count();
            let other = all.iter().find(|(name, (_, value))| !fits(name, value));
            let last = other.map_or_else(String::new, |(name, (_, value))| format!("{name}: {}", value["status"]));
            KitError::Late { what: what.to_owned(), within, last: format!("{met} of {many} are; {last}") }
        })
    }
}
