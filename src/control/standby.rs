//! Beside a leader: a replica without the lease asks what the leader asks, and takes traffic home where the leader has had
//! its time to and has not. The way home needs no lease: it is guarded by the versions of what was seen, and whoever comes
//! second finds them moved. Steps forward, objects, hooks and webhooks are the leader's alone.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use kube::{
    ResourceExt,
    runtime::{controller::Action, reflector::ObjectRef},
};
use tokio::time::Instant;

use super::reconcile::{AT_LEAST_EVERY, Context, PassError, key, tell_log};
use crate::{
    act::{self, Hands},
    api::{LlmRollout, Reason},
    decide::{self, Decision, Intent},
    observe, record,
};

/// A leader that lives has taken traffic home by then.
const PATIENCE: Duration = Duration::from_secs(1);

/// Since when traffic should have been on its way home, by rollout.
#[derive(Debug)]
pub(super) struct Overdue {
    full: Arc<AtomicBool>,
    since: Mutex<BTreeMap<String, Instant>>,
}

impl Overdue {
    /// Nothing yet, of caches that may still be filling.
    pub(super) fn new(full: Arc<AtomicBool>) -> Self {
        Self { full, since: Mutex::default() }
    }

    /// Whether the caches are full: of half of them nothing is decided.
    pub(super) fn sees_all(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    /// For how long it has been; from now on, if it is new.
    #[expect(clippy::disallowed_methods, reason = "how long the leader has had is no decision about the release")]
    fn waited(&self, rollout: &str) -> Duration {
        let mut all = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(rollout.to_owned()).or_insert_with(Instant::now).elapsed()
    }

    /// It is not, or not any more.
    pub(super) fn forget(&self, rollout: &str) {
        self.since.lock().unwrap_or_else(PoisonError::into_inner).remove(rollout);
    }
}

/// A pass of a replica that does not lead.
pub(super) async fn pass(rollout: &Arc<LlmRollout>, ctx: &Context, overdue: &Overdue) -> Result<Action, PassError> {
    let key = key(rollout);
    let decision = decide::decide(&observe::observe(rollout, &ctx.world));
    // What is seen in caches is looked at live before anything is written, so that it holds no writes yet.
    let due = decision.home && decision.wants_live && !is_blind(&decision);
    if !due && homeward(&decision).is_none() {
        let owner = ObjectRef::from_obj(rollout.as_ref());
        // Whoever goes home asks nothing more; until it is begun, what was heard is not to be forgotten.
        ctx.world.board.subscribe(&owner, decision.asks.clone());
        ctx.world.memory.keep(&owner, decision.meant.clone());
        overdue.forget(&key);
        return Ok(Action::requeue(AT_LEAST_EVERY));
    }
    let left = PATIENCE.saturating_sub(overdue.waited(&key));
    if !left.is_zero() {
        return Ok(Action::requeue(left));
    }
    overdue.forget(&key);
    take_home(rollout, ctx).await.map(|()| Action::requeue(PATIENCE))
}

/// That a provider told nothing for too long may be the fault of our own line to it: it is left to the leader.
fn is_blind(decision: &Decision) -> bool {
    decision.next.reason == Some(Reason::NoDataBudgetSpent)
}

/// What of a decision takes traffic home, if that is what it does.
fn homeward(decision: &Decision) -> Option<Decision> {
    let patches = decision.intents.iter().filter(|intent| matches!(intent, Intent::Patch(_)));
    let intents: Vec<Intent> = patches.filter(|_| decision.home && !is_blind(decision)).cloned().collect();
    (!intents.is_empty()).then(|| Decision { intents, ..decision.clone() })
}

/// Decided once more on what the API server has now.
async fn take_home(rollout: &Arc<LlmRollout>, ctx: &Context) -> Result<(), PassError> {
    let _place = ctx.lanes.home().await;
    let looked = Box::pin(observe::live::observe_live(rollout, &ctx.world, &ctx.home.eyes, false)).await;
    let seen = looked.map_err(|source| PassError::Observe { source, way_back: true })?;
    let Some(decision) = homeward(&decide::decide(&seen)) else { return Ok(()) };
    tracing::warn!(rollout = %key(rollout), "the leader has not taken traffic home; doing it without the lease");
    let hands = Hands { may_write: Arc::new(|| true), ..ctx.home.hands.clone() };
    let (namespace, name) = (rollout.namespace().unwrap_or_default(), rollout.name_any());
    let acted = act::act(&decision, [&namespace, &name], &hands).await;
    tell_log(&seen, &decision, &acted);
    ctx.metrics.acted(&decision, &acted, seen.now);
    let (status, news) = record::outcome(&seen, &decision, &acted);
    let written = ctx.home.pen.write(&seen.rollout, &status).await;
    if written.map_err(|source| PassError::Record { source, way_back: true })? {
        for item in news {
            if !ctx.herald.tell(rollout, item) {
                ctx.metrics.event_dropped();
            }
        }
    }
    Ok(())
}
