//! Every figure the operator tells about itself, spelled once. Counts and sets; never decides and never reads a cluster.

use std::time::{Duration, Instant};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::Registry,
};

use super::shown::Shown;
use crate::{
    act::{Acted, Class},
    api::{LlmRollout, LlmRolloutStatus, Moment, Phase, Reason},
    decide::{Decision, Intent, intent::Odds},
    metrics::{NoData, Reading},
    routers::{GuardedPatch, Names, PatchKind, webhook::Put},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Decided {
    phase: Word,
    reason: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfClass {
    class: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ChannelOutcome {
    channel: String,
    outcome: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfOutcome {
    outcome: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfDirection {
    direction: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TrafficWrite {
    router_kind: Word,
    direction: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Provider {
    provider: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProviderOutcome {
    provider: String,
    outcome: Word,
}

/// A label value out of a closed set, spelled as the code spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Word(pub(super) &'static str);

impl EncodeLabelValue for Word {
    fn encode(&self, encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.0.encode(encoder)
    }
}

type Seconds<S> = Family<S, Histogram, fn() -> Histogram>;

/// The figures; cheap to clone, every clone counts into the same.
#[derive(Clone, Debug)]
pub struct Metrics {
    decisions: Family<Decided, Counter>,
    passes: Counter,
    pass_seconds: Histogram,
    pass_errors: Family<OfClass, Counter>,
    act_errors: Family<OfClass, Counter>,
    traffic_writes: Family<TrafficWrite, Counter>,
    status_writes: Counter,
    events_dropped: Counter,
    record_writes: Family<OfOutcome, Counter>,
    record_dropped: Counter,
    notifications: Family<ChannelOutcome, Counter>,
    decision_delay: Seconds<OfDirection>,
    rollback_seconds: Histogram,
    shown: Shown,
    leader: Gauge,
    provider_queries: Family<ProviderOutcome, Counter>,
    provider_seconds: Seconds<Provider>,
}

impl Metrics {
    /// New figures, all zero, and the registry that prints them.
    pub fn new() -> (Self, Registry) {
        let all = Self {
            decisions: Family::default(),
            passes: Counter::default(),
            pass_seconds: seconds(),
            pass_errors: Family::default(),
            act_errors: Family::default(),
            traffic_writes: Family::default(),
            status_writes: Counter::default(),
            events_dropped: Counter::default(),
            record_writes: Family::default(),
            record_dropped: Counter::default(),
            notifications: Family::default(),
            decision_delay: Family::new_with_constructor(minutes),
            rollback_seconds: minutes(),
            shown: Shown::default(),
            leader: Gauge::default(),
            provider_queries: Family::default(),
            provider_seconds: Family::new_with_constructor(seconds),
        };
        let mut registry = Registry::with_prefix("llmrollout");
        all.register(&mut registry);
        (all, registry)
    }

    /// The encoder adds `_total` to counters and the registry a full stop to each help text.
    fn register(&self, to: &mut Registry) {
        to.register("build", "The running program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        to.register("decisions", "Decisions by the phase and reason they led to", self.decisions.clone());
        to.register("passes", "Passes over rollouts", self.passes.clone());
        to.register("pass_seconds", "Duration of a pass", self.pass_seconds.clone());
        to.register("pass_errors", "Passes that ended early, by class of error", self.pass_errors.clone());
        to.register("act_errors", "Writes that failed, by class of error", self.act_errors.clone());
        to.register("traffic_writes", "Writes that moved traffic", self.traffic_writes.clone());
        to.register("status_writes", "Writes of a rollout's status", self.status_writes.clone());
        to.register("events_dropped", "Events that found no room in the queue", self.events_dropped.clone());
        to.register("record_writes", "Writes of the records of attempts, by outcome", self.record_writes.clone());
        to.register("record_dropped", "Pages for a record that found no room", self.record_dropped.clone());
        to.register("notifications", "Tries to tell people, by outcome", self.notifications.clone());
        let delay = "From the newest sample that a decision rested on to the write that moved traffic";
        to.register("decision_delay_seconds", delay, self.decision_delay.clone());
        let home = "From the decision to go back until every router gave the candidate nothing, and had confirmed it";
        to.register("rollback_seconds", home, self.rollback_seconds.clone());
        self.shown.register(to);
        to.register("leader", "1 while this replica leads", self.leader.clone());
        to.register("provider_queries", "Questions to metrics providers", self.provider_queries.clone());
        to.register("provider_seconds", "Time to the answer of a metrics provider", self.provider_seconds.clone());
    }

    /// A pass begins; it ends when what is returned is dropped.
    #[expect(clippy::disallowed_methods, reason = "a duration that nothing is decided on")]
    pub fn pass(&self) -> Pass<'_> {
        Pass { metrics: self, began: Instant::now() }
    }

    /// A pass ended early.
    pub fn pass_failed(&self, class: Class) {
        self.pass_errors.get_or_create(&OfClass { class: Word(class.word()) }).inc();
    }

    /// A decision was made.
    pub fn decided(&self, decision: &Decision) {
        let phase = decision.next.phase.map_or("", Phase::word);
        let reason = decision.next.reason.map_or("", Reason::word);
        self.decisions.get_or_create(&Decided { phase: Word(phase), reason: Word(reason) }).inc();
    }

    /// A decision of that moment was carried out, as far as that went.
    pub fn acted(&self, decision: &Decision, acted: &Acted, now: Moment) {
        let direction = Word(if decision.home { "back" } else { "forward" });
        let mut has_moved = false;
        for intent in &decision.intents {
            let moved = match intent {
                Intent::Patch(patch) => router_moved(patch, acted),
                Intent::Put(put) => told(put, acted),
                Intent::Apply(_) | Intent::Delete { .. } | Intent::Scale { .. } => None,
            };
            if let Some(router_kind) = moved {
                has_moved = true;
                self.traffic_writes.get_or_create(&TrafficWrite { router_kind, direction }).inc();
            }
        }
        let newest = decision.judged.iter().filter_map(|gate| gate.at).max().filter(|_| has_moved);
        if let Some(at) = newest {
            self.decision_delay.get_or_create(&OfDirection { direction }).observe(now.since(at).as_secs_f64());
        }
        if let Some(error) = acted.stopped() {
            self.act_errors.get_or_create(&OfClass { class: Word(error.class().word()) }).inc();
        }
    }

    /// A status was written over the one of `before`. Only one process succeeds with it, so each end counts once.
    pub fn recorded(&self, before: &LlmRollout, status: &LlmRolloutStatus) {
        self.status_writes.inc();
        let old = before.status.as_ref().and_then(|old| old.attempt.as_ref());
        let Some(attempt) = status.attempt.as_ref().filter(|new| new.ended_at.is_some()) else { return };
        if old.is_some_and(|old| old.id == attempt.id && old.ended_at.is_some()) {
            return;
        }
        self.shown.ended(before, attempt);
        if let (Some(_), Some(ended)) = (attempt.ended, attempt.ended_at) {
            let home = attempt.home.as_ref().map_or(ended, |home| home.since);
            self.rollback_seconds.observe(home.since(attempt.clock_from).as_secs_f64());
        }
    }

    /// An event found no room.
    pub fn event_dropped(&self) {
        self.events_dropped.inc();
    }

    /// The record of an attempt was written, or was not.
    pub fn record_written(&self, outcome: &'static str) {
        self.record_writes.get_or_create(&OfOutcome { outcome: Word(outcome) }).inc();
    }

    /// Somebody was told something, or was not.
    pub fn notified(&self, channel: &str, outcome: &'static str) {
        let labels = ChannelOutcome { channel: channel.to_owned(), outcome: Word(outcome) };
        self.notifications.get_or_create(&labels).inc();
    }

    /// A page for a record found no room.
    pub fn record_page_dropped(&self) {
        self.record_dropped.inc();
    }

    /// Where a rollout stands, also when nothing was written: after a restart nobody else would say.
    pub fn stands(&self, rollout: &LlmRollout, status: &LlmRolloutStatus) {
        self.shown.stands(rollout, status);
    }

    /// How far the statistical gates of a rollout are.
    pub fn weighs(&self, rollout: &LlmRollout, odds: &[Odds]) {
        self.shown.weighs(rollout, odds);
    }

    /// A rollout is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        self.shown.forget(namespace, name);
    }

    /// Whether this replica leads.
    pub fn leads(&self, leads: bool) {
        self.leader.set(leads.into());
    }

    /// A provider was asked.
    pub fn provider_asked(&self, provider: &str, reading: &Reading, took: Duration) {
        let outcome = match &reading.outcome {
            Ok(_) => "sample",
            Err(NoData::Unreachable(_) | NoData::Late | NoData::Status(_) | NoData::Throttled) => "failed",
            Err(_) => "noData",
        };
        let labels = ProviderOutcome { provider: provider.to_owned(), outcome: Word(outcome) };
        self.provider_queries.get_or_create(&labels).inc();
        self.provider_seconds.get_or_create(&Provider { provider: provider.to_owned() }).observe(took.as_secs_f64());
    }
}

/// Measures a pass until it is dropped.
#[derive(Debug)]
pub struct Pass<'a> {
    metrics: &'a Metrics,
    began: Instant,
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.metrics.passes.inc();
        self.metrics.pass_seconds.observe(self.began.elapsed().as_secs_f64());
    }
}

/// The kind of router whose shares a patch has changed; none if it was not sent or changed something else.
fn router_moved(patch: &GuardedPatch, acted: &Acted) -> Option<Word> {
    let Names { word, plural, .. } = patch.kind.names();
    if matches!(patch.kind, PatchKind::LlmRollout | PatchKind::Deployment) {
        return None;
    }
    let moves =
        |op: &serde_json::Value| op["op"] != "test" && op["path"].as_str().is_some_and(|p| p.starts_with("/spec/"));
    let (begin, end) = (format!("patch {plural} "), format!("/{}", patch.name));
    let sent = acted.done().iter().any(|what| what.starts_with(&begin) && what.ends_with(&end));
    (sent && patch.ops.iter().any(moves)).then_some(Word(word))
}

/// The same of a webhook.
fn told(put: &Put, acted: &Acted) -> Option<Word> {
    let begin = format!("tell webhook {} of ", put.webhook);
    acted.done().iter().any(|what| what.starts_with(&begin)).then_some(Word(PatchKind::Webhook.names().word))
}

/// From a call on the same machine to one that ran into its deadline.
fn seconds() -> Histogram {
    Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0])
}

/// From a sample that is fresh, or a router that follows at once, to a gateway that is waited for.
fn minutes() -> Histogram {
    Histogram::new([1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0])
}

#[cfg(test)]
mod tests;
