//! Two lanes. However many passes wait for a slow API server, one that takes traffic home does not wait behind them, and
//! has a connection of its own. Nothing here decides: what goes home is what the decision on the caches says.

use std::{sync::Arc, time::Duration};

use kube::{ResourceExt, runtime::reflector::ObjectRef};
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};

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

/// A place, as long as the pass lasts. None once the operator ends.
pub(super) type Place<'a> = Option<SemaphorePermit<'a>>;

/// A pass that has its place, with what it was decided on.
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
}

/// Whether this takes traffic home, or writes down that it does.
const fn goes_home(decision: &Decision) -> bool {
    decision.home || decision.latched
}

/// Waits for a place, in the order of coming; who has to go home meanwhile does not wait on.
pub(super) async fn enter(rollout: Arc<LlmRollout>, ctx: &Context) -> Entered<'_> {
    let (rollout, snapshot, decision) = seen(rollout, ctx);
    if goes_home(&decision) {
        return Entered { place: ctx.lanes.home().await, rollout, snapshot, decision };
    }
    if let Ok(place) = ctx.lanes.usual.try_acquire() {
        return Entered { place: Some(place), rollout, snapshot, decision };
    }
    wait(rollout, ctx).await
}

async fn wait(mut rollout: Arc<LlmRollout>, ctx: &Context) -> Entered<'_> {
    let mut turn = std::pin::pin!(ctx.lanes.usual.acquire());
    loop {
        let place: Option<Result<_, AcquireError>> = tokio::select! {
            place = &mut turn => Some(place),
            () = tokio::time::sleep(AGAIN) => None,
        };
        // It may have changed since.
        let owner = ObjectRef::new(&rollout.name_any()).within(&rollout.namespace().unwrap_or_default());
        let now = ctx.world.stores.rollouts.get(&owner).unwrap_or(rollout);
        let (now, snapshot, decision) = seen(now, ctx);
        match place {
            Some(place) => return Entered { place: place.ok(), rollout: now, snapshot, decision },
            None if goes_home(&decision) => {
                return Entered { place: ctx.lanes.home().await, rollout: now, snapshot, decision };
            }
            None => rollout = now,
        }
    }
}

fn seen(rollout: Arc<LlmRollout>, ctx: &Context) -> (Arc<LlmRollout>, Snapshot, Decision) {
    let snapshot = observe::observe(&rollout, &ctx.world);
    let decision = decide::decide(&snapshot);
    (rollout, snapshot, decision)
}
