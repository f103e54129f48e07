//! Two lanes. However many passes wait for a slow API server, one that takes traffic home does not wait behind them, and
//! has a connection of its own; it only waits for others that go home, where more of them hang than have room. Nothing here
//! decides: what goes home is what the decision on the caches says.

use std::{sync::Arc, time::Duration};

use kube::runtime::reflector::ObjectRef;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::reconcile::Context;
use crate::{
    act::Hands,
    api::LlmRollout,
    decide::{self, Decision, Snapshot},
    observe::{self, live::Eyes},
    record::Pen,
};

/// So many times more passes may take traffic home at once.
const WIDER: usize = 4;
/// Who waits for a place looks this often whether it has to go home by now.
const AGAIN: Duration = Duration::from_millis(200);

/// How the API server is reached, over one client.
pub(super) struct Reach {
    pub(super) eyes: Eyes,
    pub(super) hands: Hands,
    pub(super) pen: Pen,
}

/// Places for passes under way.
pub(super) struct Lanes {
    usual: Semaphore,
    home: Semaphore,
}

/// A place, as long as the pass lasts. Nobody closes a lane, so that there always is one.
pub(super) type Place<'a> = Option<SemaphorePermit<'a>>;

/// A pass that has its place, with what it was decided on then.
pub(super) struct Entered<'a> {
    pub(super) place: Place<'a>,
    pub(super) rollout: Arc<LlmRollout>,
    pub(super) snapshot: Snapshot,
    pub(super) decision: Decision,
}

impl Lanes {
    pub(super) fn new(usual: u16) -> Self {
        let usual = usize::from(usual);
        Self { usual: Semaphore::new(usual), home: Semaphore::new(usual * WIDER) }
    }

    /// A place on the way home.
    pub(super) async fn home(&self) -> Place<'_> {
        self.home.acquire().await.ok()
    }

    /// Its lane.
    const fn of(&self, decision: &Decision) -> &Semaphore {
        if goes_home(decision) { &self.home } else { &self.usual }
    }
}

/// Whether this takes traffic home, or writes down that it does.
const fn goes_home(decision: &Decision) -> bool {
    decision.home || decision.latched
}

/// Waits for a place, in the order of coming; who has to go home meanwhile does not wait on in the other lane.
pub(super) async fn enter(rollout: Arc<LlmRollout>, ctx: &Context) -> Entered<'_> {
    let (snapshot, decision) = seen(&rollout, ctx);
    if let Ok(place) = ctx.lanes.of(&decision).try_acquire() {
        return Entered { place: Some(place), rollout, snapshot, decision };
    }
    let mut turn = std::pin::pin!(ctx.lanes.usual.acquire());
    let place = loop {
        let (_, decision) = seen(&newest(&rollout, ctx), ctx);
        if goes_home(&decision) {
            break ctx.lanes.home().await;
        }
        tokio::select! {
            place = &mut turn => break place.ok(),
            () = tokio::time::sleep(AGAIN) => {}
        }
    };
    // Much may have changed while it waited.
    let rollout = newest(&rollout, ctx);
    let (snapshot, decision) = seen(&rollout, ctx);
    Entered { place, rollout, snapshot, decision }
}

fn newest(rollout: &Arc<LlmRollout>, ctx: &Context) -> Arc<LlmRollout> {
    let owner = ObjectRef::from_obj(rollout.as_ref());
    ctx.world.stores.rollouts.get(&owner).unwrap_or_else(|| Arc::clone(rollout))
}

fn seen(rollout: &Arc<LlmRollout>, ctx: &Context) -> (Snapshot, Decision) {
    let snapshot = observe::observe(rollout, &ctx.world);
    let decision = decide::decide(&snapshot);
    (snapshot, decision)
}
