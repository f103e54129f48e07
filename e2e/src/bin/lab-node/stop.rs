//! The order to stop a pod's containers and the deadline that goes with it. Never a signal.

use std::sync::Arc;

use tokio::{sync::watch, time::Instant};

use crate::board::Kind;

#[derive(Clone, Copy, Debug, Default)]
struct Deadlines {
    mains: Option<Instant>,
    sidecars: Option<Instant>,
}

/// Gives the order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stopper(Arc<watch::Sender<Deadlines>>);

impl Stopper {
    /// Ends init and main containers by `deadline`; a later one never moves an earlier one.
    pub(crate) fn stop(&self, deadline: Instant) {
        self.0.send_modify(|all| {
            all.mains = Some(all.mains.map_or(deadline, |given| given.min(deadline)));
        });
    }

    /// Ends the sidecars, by the deadline of the main containers if they have one.
    pub(crate) fn stop_sidecars(&self, otherwise: Instant) {
        self.0.send_modify(|all| {
            all.sidecars.get_or_insert(all.mains.unwrap_or(otherwise));
        });
    }

    /// Kills everything now.
    pub(crate) fn kill(&self) {
        let now = Some(Instant::now());
        self.0.send_modify(|all| *all = Deadlines { mains: now, sidecars: now });
    }

    /// What a container of this kind obeys.
    pub(crate) fn order(&self, kind: Kind) -> Order {
        Order { deadlines: self.0.subscribe(), sidecar: kind == Kind::Sidecar }
    }
}

/// Tells one container when to stop.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    deadlines: watch::Receiver<Deadlines>,
    sidecar: bool,
}

impl Order {
    fn deadline(&self) -> Option<Instant> {
        let all = *self.deadlines.borrow();
        if self.sidecar { all.sidecars } else { all.mains }
    }

    pub(crate) fn is_given(&self) -> bool {
        self.deadline().is_some()
    }

    /// Returns when the order is given.
    pub(crate) async fn given(&self) {
        let mut changes = self.deadlines.clone();
        while self.deadline().is_none() && changes.changed().await.is_ok() {}
    }

    /// Returns when the deadline has passed, wherever it moves meanwhile.
    pub(crate) async fn expired(&self) {
        self.given().await;
        let mut changes = self.deadlines.clone();
        while let Some(deadline) = self.deadline() {
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => return,
                lost = changes.changed() => if lost.is_err() { return },
            }
        }
    }

    /// Waits; true when the order came first.
    pub(crate) async fn given_within(&self, wait: std::time::Duration) -> bool {
        tokio::time::timeout(wait, self.given()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_deadline_only_moves_earlier() {
        let stopper = Stopper::default();
        let order = stopper.order(Kind::Main);
        assert!(!order.is_given());
        let begin = Instant::now();
        stopper.stop(begin + Duration::from_millis(30));
        stopper.stop(begin + Duration::from_secs(50));
        order.expired().await;
        assert!(begin.elapsed() >= Duration::from_millis(30) && begin.elapsed() < Duration::from_secs(50));
    }

    #[tokio::test]
    async fn sidecars_wait_for_their_own_order() {
        let stopper = Stopper::default();
        stopper.stop(Instant::now());
        let order = stopper.order(Kind::Sidecar);
        assert!(!order.is_given());
        stopper.stop_sidecars(Instant::now());
        assert!(order.given_within(Duration::from_secs(1)).await);
    }
}
