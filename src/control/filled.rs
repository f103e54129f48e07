//! Which caches are full, and which kinds a cluster need not know.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::sync::watch as cell;

use crate::{
    decide::intent::OwnedKind,
    routers::{PatchKind, grant},
};

/// They say what gateways can do, and belong to no namespace.
pub(super) const GATEWAY_CLASS: &str = "GatewayClass";

/// Kinds that a cluster need not know beside those of the routers (a missing route is a condition, not a reason to stand
/// still): grants; our own orders and sets of gates while only the operator was upgraded; and what only gates on Jobs and price
/// lists need.
const MAY_BE_MISSING: [&str; 8] =
    [GATEWAY_CLASS, "LlmRolloutOrder", "LlmGateSet", "Job", "Pod", "CronJob", "ConfigMap", grant::KIND];

pub(super) fn may_be_missing() -> impl Iterator<Item = &'static str> {
    let scalers = OwnedKind::SCALERS.into_iter().map(|kind| {
        let [_, _, word, _] = kind.names();
        word
    });
    MAY_BE_MISSING.into_iter().chain(PatchKind::WATCHED.map(|kind| kind.names().kind)).chain(scalers)
}

/// Which caches hold what the API server has. Told by the events themselves: a store's own `wait_until_ready` keeps a
/// single waker, and the loop over rollouts already waits there.
#[derive(Clone)]
pub(super) struct Filled(Arc<cell::Sender<BTreeSet<&'static str>>>);

impl Default for Filled {
    fn default() -> Self {
        Self(Arc::new(cell::channel(BTreeSet::new()).0))
    }
}

impl Filled {
    pub(super) fn filled(&self, kind: &'static str) -> bool {
        self.0.send_if_modified(|kinds| kinds.insert(kind))
    }

    /// Waits until the caches are full, for some only briefly.
    pub(super) async fn all(&self) {
        let mut seen = self.0.subscribe();
        let needed =
            |kinds: &BTreeSet<&'static str>| kinds.iter().filter(|k| may_be_missing().all(|m| m != **k)).count() == 4;
        let _ = seen.wait_for(needed).await;
        let rest = |kinds: &BTreeSet<&'static str>| may_be_missing().all(|k| kinds.contains(k));
        let _ = tokio::time::timeout(Duration::from_secs(3), seen.wait_for(rest)).await;
    }
}
