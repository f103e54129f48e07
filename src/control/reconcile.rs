//! The pipeline: observe → decide → act → record → look again. Everything else is elsewhere.

use std::{sync::Arc, time::Duration};

use kube::{
    ResourceExt,
    runtime::{controller::Action, reflector::ObjectRef},
};

use tracing::{Instrument, Span};

use super::{
    lane::{self, Entered, Lanes, Reach},
    retry::{self, Attempts},
    standby::{self, Overdue},
    traced,
};
use crate::{
    act::{self, Class},
    api::{LlmRollout, Moment},
    decide::{
        self, Decision, Intent, Snapshot,
        chronicle::{self, Page},
    },
    observe::{self, ObserveError, World},
    record::{self, RecordError, events::Herald, ledger::Desk, metrics::Metrics},
};

/// Even when nothing happens, each rollout is looked at this often; caches only, nothing is read or written.
pub(super) const AT_LEAST_EVERY: Duration = Duration::from_mins(5);

/// What a pass works with.
pub(super) struct Context {
    pub(super) world: World,
    pub(super) lanes: Lanes,
    pub(super) usual: Reach,
    pub(super) home: Reach,
    pub(super) herald: Herald,
    pub(super) desk: Desk,
    pub(super) metrics: Arc<Metrics>,
    pub(super) attempts: Attempts,
    /// What a replica without the lease keeps in mind; none where it only waits.
    pub(super) standby: Option<Overdue>,
}

impl Context {
    /// The way home has a client of its own.
    pub(super) const fn reach(&self, home: bool) -> &Reach {
        if home { &self.home } else { &self.usual }
    }

    /// A rollout is gone.
    pub(super) fn forget(&self, namespace: &str, name: &str) {
        self.attempts.forget(&format!("{namespace}/{name}"));
        self.standby.iter().for_each(|overdue| overdue.forget(&format!("{namespace}/{name}")));
        self.metrics.forget(namespace, name);
        self.desk.forget(namespace, name);
        let owner = ObjectRef::new(name).within(namespace);
        self.world.memory.keep(&owner, None);
        self.world.webhooks.forget(&owner);
        self.world.calls.want(&owner, std::collections::BTreeMap::new());
    }
}

impl Context {
    /// For the record. Nothing waits for it.
    fn hand_in(&self, rollout: &LlmRollout, pages: impl IntoIterator<Item = Page>) {
        for page in pages {
            if !self.desk.hand_in(rollout, page) {
                self.metrics.record_page_dropped();
            }
        }
    }
}

/// Why a pass ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum PassError {
    /// The world could not be read.
    #[error("observe")]
    Observe {
        /// Why.
        #[source]
        source: ObserveError,
        /// Whether it was looked at for traffic that is to go back.
        way_back: bool,
    },
    /// Status could not be written.
    #[error("record")]
    Record {
        /// Why.
        #[source]
        source: RecordError,
        /// Whether traffic is to go back. Status may not say so yet: it is what could not be written.
        way_back: bool,
    },
}

impl PassError {
    /// What it means for the next try; nothing when there is nothing left to try.
    fn class(&self) -> Option<Class> {
        match self {
            Self::Observe { source: ObserveError::Gone, .. } => None,
            Self::Observe { source: ObserveError::Moved, .. } => Some(Class::Stale),
            Self::Observe { source: ObserveError::Read { .. } | ObserveError::Late { .. }, .. } => {
                Some(Class::Transient)
            }
            Self::Record { source, .. } => Some(source.class()),
        }
    }

    /// Whether it stands in the way of traffic that goes back.
    const fn on_the_way_back(&self) -> bool {
        matches!(self, Self::Observe { way_back: true, .. } | Self::Record { way_back: true, .. })
    }
}

/// One pass over one rollout.
pub(super) async fn reconcile(rollout: Arc<LlmRollout>, ctx: Arc<Context>) -> Result<Action, PassError> {
    if !(ctx.usual.hands.may_write)() {
        return match &ctx.standby {
            Some(overdue) if overdue.sees_all() => standby::pass(&rollout, &ctx, overdue).await,
            Some(_) | None => Ok(Action::await_change()),
        };
    }
    let span = traced::pass(&rollout);
    let ended = Box::pin(pass(rollout, ctx, &span)).instrument(span.clone()).await;
    if let Err(error) = &ended {
        traced::failed(&span, error.class().map_or("gone", Class::word));
    }
    ended
}

async fn pass(rollout: Arc<LlmRollout>, ctx: Arc<Context>, span: &Span) -> Result<Action, PassError> {
    let _timed = ctx.metrics.pass();
    let met = ctx.world.webhooks.met(&rollout);
    let Entered { place: _place, rollout, snapshot, decision } =
        lane::enter(rollout, &ctx).instrument(traced::part("wait")).await;
    let (snapshot, decision) = look(&rollout, &ctx, snapshot, decision).instrument(traced::part("look")).await?;
    let owner = ObjectRef::from_obj(rollout.as_ref());
    ctx.world.board.subscribe(&owner, decision.asks.clone());
    ctx.world.memory.keep(&owner, decision.meant.clone());
    // Who has not said its first word is no reason yet for anything but the way back. That word wakes us.
    if !met && !decision.home {
        return Ok(Action::requeue(AT_LEAST_EVERY));
    }
    ctx.metrics.decided(&decision);
    ctx.metrics.weighs(&rollout, &decision.odds);
    let (namespace, name) = (rollout.namespace().unwrap_or_default(), rollout.name_any());
    let acted =
        act::act(&decision, [&namespace, &name], &ctx.reach(decision.home).hands).instrument(traced::part("act")).await;
    traced::decided(span, &decision, &acted);
    look_at_those_told(&ctx, &decision);
    tell_home_beside(&ctx, &snapshot, &decision);
    tell_log(&snapshot, &decision, &acted);
    ctx.metrics.acted(&decision, &acted, snapshot.now);
    ctx.hand_in(&rollout, Page::of_writes(&snapshot, &decision, acted.done()));
    let (status, news) = record::outcome(&snapshot, &decision, &acted);
    ctx.world.webhooks.follow(&rollout, &status);
    let unwritten = |source| PassError::Record { source, way_back: decision.home || decision.latched };
    let pen = &ctx.reach(decision.home || decision.latched).pen;
    let written = match pen.write(&snapshot.rollout, &status).instrument(traced::part("record")).await {
        Err(error) if decision.latched && error.class() == Class::Stale => {
            tell_the_cause(&ctx, &snapshot, &acted).await?.ok_or(unwritten(error))?
        }
        written => written.map_err(unwritten)?,
    };
    // What was found is forgotten only once it is written down.
    ctx.world.calls.want(&owner, decision.calls.clone());
    if acted.stopped().is_none() || decision.latched {
        begin_beside(&ctx, &namespace, &snapshot.rollout, &decision);
    }
    ctx.metrics.stands(&snapshot.rollout, &status);
    if written {
        ctx.metrics.recorded(&snapshot.rollout, &status);
        for item in news {
            if !ctx.herald.tell(&rollout, item) {
                ctx.metrics.event_dropped();
            }
        }
    }
    let told = ctx.desk.knows(&rollout) || !chronicle::is_fresh(&status, snapshot.now);
    if written || !told {
        ctx.hand_in(&rollout, Page::of_status(&snapshot, &decision, &status));
    }
    Ok(again(&rollout, &ctx, &decision, &acted, snapshot.now, written))
}

fn look_at_those_told(ctx: &Context, decision: &Decision) {
    for intent in &decision.intents {
        if let Intent::Put(put) = intent {
            ctx.world.webhooks.look_at(&put.webhook);
        }
    }
}

/// What is decided of what was seen: of caches, and of the API server where a decision may not rest on caches.
async fn look(
    rollout: &Arc<LlmRollout>,
    ctx: &Context,
    snapshot: Snapshot,
    decision: Decision,
) -> Result<(Snapshot, Decision), PassError> {
    if !decision.wants_live {
        return Ok((snapshot, decision));
    }
    let live = async |way_back: bool| {
        let seen = observe::live::observe_live(rollout, &ctx.world, &ctx.reach(way_back).eyes, !way_back);
        let seen = Box::pin(seen).await.map_err(|source| PassError::Observe { source, way_back })?;
        let decision = decide::decide(&seen);
        Ok((seen, decision))
    };
    let (seen, looked) = live(decision.home).await?;
    // What looked like a way back and is none may be a raise, and before one webhooks are asked in the same pass.
    let may_raise = decision.home && !looked.home && !looked.intents.is_empty();
    if may_raise { live(false).await } else { Ok((seen, looked)) }
}

/// A webhook that hangs keeps neither the other routers from going home nor the next pass.
fn tell_home_beside(ctx: &Arc<Context>, snapshot: &Snapshot, decision: &Decision) {
    if !decision.home || !decision.intents.iter().any(Intent::is_told) {
        return;
    }
    let (ctx, snapshot, decision) = (Arc::clone(ctx), snapshot.clone(), decision.clone());
    tokio::spawn(async move {
        let (namespace, name) = (snapshot.rollout.namespace().unwrap_or_default(), snapshot.rollout.name_any());
        let acted = act::tell_home(&decision, [&namespace, &name], &ctx.home.hands).await;
        look_at_those_told(&ctx, &decision);
        tell_log(&snapshot, &decision, &acted);
        ctx.metrics.acted(&decision, &acted, snapshot.now);
        ctx.hand_in(&snapshot.rollout, Page::of_writes(&snapshot, &decision, acted.done()));
    });
}

/// Traffic is on its way back, and status had moved on: the same is decided of the same look once more, on the status as
/// it stands. Without, the next pass would find traffic moved back and take its own step for somebody else's.
async fn tell_the_cause(ctx: &Context, seen: &Snapshot, acted: &act::Acted) -> Result<Option<bool>, PassError> {
    let looked = Box::pin(observe::live::same_look(seen, &ctx.home.eyes)).await;
    let snapshot = looked.map_err(|source| PassError::Observe { source, way_back: true })?;
    let decision = decide::decide(&snapshot);
    if !decision.latched {
        return Ok(None);
    }
    let (status, _) = record::outcome(&snapshot, &decision, acted);
    let written = ctx.home.pen.write(&snapshot.rollout, &status).await;
    written.map(Some).map_err(|source| PassError::Record { source, way_back: true })
}

/// Hooks are begun once they are written down, beside everything else: not even an API server that hangs may make the
/// next pass wait. What could not be begun is tried again by the next pass.
fn begin_beside(ctx: &Arc<Context>, namespace: &str, rollout: &LlmRollout, decision: &Decision) {
    if decision.beside.is_empty() {
        return;
    }
    let (ctx, decision) = (Arc::clone(ctx), decision.clone());
    let (namespace, name, rollout) = (namespace.to_owned(), rollout.name_any(), key(rollout));
    tokio::spawn(async move {
        let acted = act::beside(&decision, [&namespace, &name], &ctx.usual.hands).await;
        for what in acted.done() {
            tracing::info!(%rollout, "{what}");
        }
        if let Some(error) = acted.stopped() {
            tracing::warn!(%rollout, class = error.class().word(), "a hook could not be begun: {error}");
        }
    });
}

/// When to look again.
fn again(
    rollout: &LlmRollout,
    ctx: &Context,
    decision: &Decision,
    acted: &act::Acted,
    now: Moment,
    written: bool,
) -> Action {
    let key = key(rollout);
    if let Some(error) = acted.stopped() {
        return Action::requeue(retry::wait(error.class(), ctx.attempts.failed(&key), decision.home));
    }
    ctx.attempts.forget(&key);
    let wake = decision.wake.map_or(AT_LEAST_EVERY, |at| at.since(now));
    // Our own status write comes back as an event; a wake-up of "now" need not be faster than that.
    let floor = if written { Duration::from_millis(200) } else { Duration::from_millis(500) };
    Action::requeue(wake.clamp(floor, AT_LEAST_EVERY))
}

/// What to do about a pass that ended early.
pub(super) fn after_error(rollout: &LlmRollout, error: &PassError, ctx: &Context) -> Action {
    let Some(class) = error.class() else { return Action::await_change() };
    let attempts = ctx.attempts.failed(&key(rollout));
    ctx.metrics.pass_failed(class);
    if class != Class::Stale || attempts > 5 {
        let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        tracing::warn!(rollout = %key(rollout), class = class.word(), attempts, "{error}: {cause}");
    }
    let going_back = error.on_the_way_back()
        || rollout.status.as_ref().is_some_and(|s| s.phase == Some(crate::api::Phase::RollingBack))
        || rollout.spec.abort;
    Action::requeue(retry::wait(class, attempts, going_back))
}

pub(super) fn key(rollout: &LlmRollout) -> String {
    format!("{}/{}", rollout.namespace().unwrap_or_default(), rollout.name_any())
}

pub(super) fn tell_log(snapshot: &Snapshot, decision: &Decision, acted: &act::Acted) {
    let rollout = key(&snapshot.rollout);
    for what in acted.done() {
        tracing::info!(%rollout, phase = ?decision.next.phase, live = snapshot.live, "{what}: {}", decision.next.message);
    }
    if let Some(error) = acted.stopped() {
        let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        tracing::warn!(%rollout, class = error.class().word(), "{error} {cause}");
    }
}
