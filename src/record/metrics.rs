//! Every figure the operator tells about itself, spelled once. Counts and sets; never decides and never reads a cluster.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    time::{Duration, Instant},
};

use kube::ResourceExt;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::Registry,
};

use crate::{
    act::{Acted, Class},
    api::{LlmRollout, LlmRolloutStatus, Phase, Reason},
    decide::{Decision, Intent, intent::Odds},
    metrics::{NoData, Reading},
    routers::{GuardedPatch, Names, PatchKind, webhook::Put},
};

/// One rollout.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct Rollout {
    namespace: String,
    name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RolloutPhase {
    namespace: String,
    name: String,
    phase: Word,
}

/// A statistical gate of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfGate {
    namespace: String,
    name: String,
    gate: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GateSide {
    namespace: String,
    name: String,
    gate: String,
    side: Word,
}

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
struct OfOutcome {
    outcome: Word,
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
struct Word(&'static str);

impl EncodeLabelValue for Word {
    fn encode(&self, encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.0.encode(encoder)
    }
}

const FAIL: Word = Word("fail");
const PASS: Word = Word("pass");

type Figure = Gauge<f64, AtomicU64>;
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
    phase: Family<RolloutPhase, Gauge>,
    candidate_weight: Family<Rollout, Gauge>,
    gate_evidence: Family<GateSide, Figure>,
    gate_eta: Family<OfGate, Figure>,
    leader: Gauge,
    provider_queries: Family<ProviderOutcome, Counter>,
    provider_seconds: Seconds<Provider>,
    /// The phase each rollout is shown in, so that the next one replaces it.
    shown: Arc<Mutex<BTreeMap<Rollout, Phase>>>,
    /// The gates whose evidence is shown: none stays when it is no longer weighed.
    weighed: Arc<Mutex<BTreeMap<Rollout, BTreeSet<String>>>>,
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
            phase: Family::default(),
            candidate_weight: Family::default(),
            gate_evidence: Family::default(),
            gate_eta: Family::default(),
            leader: Gauge::default(),
            provider_queries: Family::default(),
            provider_seconds: Family::new_with_constructor(seconds),
            shown: Arc::default(),
            weighed: Arc::default(),
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
        to.register("phase", "1 for the phase a rollout is in", self.phase.clone());
        to.register("candidate_weight", "Percent of traffic given to the candidate", self.candidate_weight.clone());
        let evidence =
            "Decimal logarithm of the evidence of a statistical gate: that the candidate fails it, and passes it";
        to.register("gate_evidence_log10", evidence, self.gate_evidence.clone());
        let eta = "Seconds until a statistical gate passes at today's traffic if the candidate is as good; absent if not known";
        to.register("gate_eta_seconds", eta, self.gate_eta.clone());
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

    /// A decision was carried out, as far as that went.
    pub fn acted(&self, decision: &Decision, acted: &Acted) {
        let direction = Word(if decision.home { "back" } else { "forward" });
        for intent in &decision.intents {
            let moved = match intent {
                Intent::Patch(patch) => router_moved(patch, acted),
                Intent::Put(put) => told(put, acted),
                Intent::Apply(_) | Intent::Delete { .. } => None,
            };
            if let Some(router_kind) = moved {
                self.traffic_writes.get_or_create(&TrafficWrite { router_kind, direction }).inc();
            }
        }
        if let Some(error) = acted.stopped() {
            self.act_errors.get_or_create(&OfClass { class: Word(error.class().word()) }).inc();
        }
    }

    /// A status was written.
    pub fn recorded(&self) {
        self.status_writes.inc();
    }

    /// An event found no room.
    pub fn event_dropped(&self) {
        self.events_dropped.inc();
    }

    /// The record of an attempt was written, or was not.
    pub fn record_written(&self, outcome: &'static str) {
        self.record_writes.get_or_create(&OfOutcome { outcome: Word(outcome) }).inc();
    }

    /// A page for a record found no room.
    pub fn record_page_dropped(&self) {
        self.record_dropped.inc();
    }

    /// Where a rollout stands, also when nothing was written: after a restart nobody else would say.
    pub fn stands(&self, rollout: &LlmRollout, status: &LlmRolloutStatus) {
        let Some(phase) = status.phase else { return };
        let rollout = Rollout::of(&rollout.namespace().unwrap_or_default(), &rollout.name_any());
        let weight = status.weight.trim_end_matches('%').parse().unwrap_or(0);
        self.candidate_weight.get_or_create(&rollout).set(weight);
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let before = shown.insert(rollout.clone(), phase);
        if let Some(before) = before.filter(|before| *before != phase) {
            self.phase.remove(&rollout.in_phase(before));
        }
        self.phase.get_or_create(&rollout.in_phase(phase)).set(1);
    }

    /// How far the statistical gates of a rollout are. What is not among them any more is taken out: at most three lines
    /// a gate, and none of a rollout that weighs nothing.
    pub fn weighs(&self, rollout: &LlmRollout, odds: &[Odds]) {
        let rollout = Rollout::of(&rollout.namespace().unwrap_or_default(), &rollout.name_any());
        let mut weighed = self.weighed.lock().unwrap_or_else(PoisonError::into_inner);
        let now: BTreeSet<String> = odds.iter().map(|o| o.gate.clone()).collect();
        let before = if now.is_empty() { weighed.remove(&rollout) } else { weighed.insert(rollout.clone(), now) };
        let gone = before.into_iter().flatten().filter(|gate| odds.iter().all(|o| o.gate != *gate));
        gone.for_each(|gate| self.unweigh(&rollout, &gate));
        for o in odds {
            for (side, log10) in [(FAIL, o.fail), (PASS, o.pass)] {
                self.gate_evidence.get_or_create(&rollout.on_side(&o.gate, side)).set(log10);
            }
            match o.seconds {
                Some(seconds) => {
                    self.gate_eta.get_or_create(&rollout.of_gate(&o.gate)).set(seconds);
                }
                None => {
                    self.gate_eta.remove(&rollout.of_gate(&o.gate));
                }
            }
        }
    }

    fn unweigh(&self, rollout: &Rollout, gate: &str) {
        self.gate_eta.remove(&rollout.of_gate(gate));
        for side in [FAIL, PASS] {
            self.gate_evidence.remove(&rollout.on_side(gate, side));
        }
    }

    /// A rollout is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        let rollout = Rollout::of(namespace, name);
        let weighed = self.weighed.lock().unwrap_or_else(PoisonError::into_inner).remove(&rollout);
        weighed.into_iter().flatten().for_each(|gate| self.unweigh(&rollout, &gate));
        self.candidate_weight.remove(&rollout);
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(phase) = shown.remove(&rollout) {
            self.phase.remove(&rollout.in_phase(phase));
        }
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

impl Rollout {
    fn of(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned() }
    }

    fn of_gate(&self, gate: &str) -> OfGate {
        OfGate { namespace: self.namespace.clone(), name: self.name.clone(), gate: gate.to_owned() }
    }

    fn on_side(&self, gate: &str, side: Word) -> GateSide {
        let OfGate { namespace, name, gate } = self.of_gate(gate);
        GateSide { namespace, name, gate, side }
    }

    fn in_phase(&self, phase: Phase) -> RolloutPhase {
        RolloutPhase { namespace: self.namespace.clone(), name: self.name.clone(), phase: Word(phase.word()) }
    }
}

/// From a call on the same machine to one that ran into its deadline.
fn seconds() -> Histogram {
    Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0])
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, sync::Arc, time::Duration};

    use kube::client::Body;
    use prometheus_client::{encoding::text::encode, registry::Registry};
    use serde_json::json;

    use super::Metrics;
    use crate::{
        act::{Class, Hands, act},
        api::{LlmRollout, LlmRolloutStatus, Phase, Reason},
        decide::{Decision, Intent, intent::Odds},
        routers::{GuardedPatch, PatchKind},
    };

    fn printed(registry: &Registry) -> String {
        let mut text = String::new();
        encode(&mut text, registry).unwrap();
        text
    }

    fn rollout(name: &str) -> LlmRollout {
        let spec =
            json!({"release": {"template": {"port": 8000, "podTemplate": {"spec": {}}}}, "traffic": [], "gates": []});
        let mut rollout = LlmRollout::new(name, serde_json::from_value(spec).unwrap());
        rollout.metadata.namespace = Some("llm".into());
        rollout
    }

    fn status(phase: Phase, weight: &str) -> LlmRolloutStatus {
        LlmRolloutStatus {
            phase: Some(phase),
            reason: Some(Reason::WaitingForGate),
            weight: weight.into(),
            ..LlmRolloutStatus::default()
        }
    }

    fn odds(gate: &str, seconds: Option<f64>) -> Odds {
        Odds { gate: gate.into(), fail: -0.25, pass: 1.5, seconds }
    }

    fn patch(kind: PatchKind, name: &str, path: &str) -> Intent {
        let ops = vec![crate::routers::guard("7"), json!({"op": "add", "path": path, "value": 1})];
        Intent::Patch(GuardedPatch { kind, name: name.into(), ops })
    }

    /// Answers every write with success, except those to `broken`.
    fn hands() -> Hands {
        let service = tower::service_fn(|request: http::Request<Body>| async move {
            let code = if request.uri().path().ends_with("/broken") { 409 } else { 200 };
            let status = json!({"kind": "Status", "status": "Failure", "code": code, "reason": "", "message": ""});
            Ok::<_, Infallible>(
                http::Response::builder().status(code).body(Body::from(status.to_string().into_bytes())).unwrap(),
            )
        });
        let client = kube::Client::new(service, "llm");
        Hands { client, deadline: Duration::from_secs(1), may_write: Arc::new(|| true), webhooks: Arc::default() }
    }

    fn decision(home: bool, intents: Vec<Intent>) -> Decision {
        Decision {
            intents,
            beside: Vec::new(),
            next: status(Phase::Holding, "20%"),
            latched: false,
            home,
            wants_live: false,
            news: vec![],
            judged: vec![],
            wake: None,
            asks: std::collections::BTreeSet::default(),
            odds: vec![],
            meant: None,
        }
    }

    #[tokio::test]
    async fn every_family_is_printed_under_its_name() {
        let (metrics, registry) = Metrics::new();
        drop(metrics.pass());
        metrics.pass_failed(Class::Transient);
        let decision = decision(
            true,
            vec![
                patch(PatchKind::HttpRoute, "chat", "/spec/rules/0/backendRefs/0/weight"),
                patch(PatchKind::Service, "broken", "/spec/selector/llmrollout.io~1color"),
                patch(PatchKind::Service, "chat", "/spec/selector/llmrollout.io~1color"),
                patch(PatchKind::Service, "chat-blue", "/metadata/ownerReferences/0"),
                patch(PatchKind::LlmRollout, "chat", "/metadata/finalizers"),
            ],
        );
        metrics.decided(&decision);
        metrics.acted(&decision, &act(&decision, ["llm", "chat"], &hands()).await);
        metrics.recorded();
        metrics.stands(&rollout("chat"), &decision.next);
        metrics.weighs(&rollout("chat"), &[odds("errors", Some(90.5))]);
        metrics.event_dropped();
        metrics.record_written("written");
        metrics.record_page_dropped();
        metrics.leads(true);
        let reading = crate::metrics::Reading {
            at: crate::api::Moment::from_unix(1),
            window: Duration::from_secs(30),
            outcome: Ok(crate::metrics::Sample { value: 0.0, samples: 100.0 }),
            names: Vec::new(),
            weighed: None,
        };
        metrics.provider_asked("default", &reading, Duration::from_millis(3));
        let text = printed(&registry);
        for line in [
            concat!("llmrollout_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
            "llmrollout_passes_total 1",
            "llmrollout_pass_seconds_count 1",
            "llmrollout_pass_errors_total{class=\"transient\"} 1",
            "llmrollout_decisions_total{phase=\"Holding\",reason=\"WaitingForGate\"} 1",
            "llmrollout_act_errors_total{class=\"stale\"} 1",
            "llmrollout_traffic_writes_total{router_kind=\"httpRoute\",direction=\"back\"} 1",
            "llmrollout_traffic_writes_total{router_kind=\"service\",direction=\"back\"} 1",
            "llmrollout_status_writes_total 1",
            "llmrollout_events_dropped_total 1",
            "llmrollout_record_writes_total{outcome=\"written\"} 1",
            "llmrollout_record_dropped_total 1",
            "llmrollout_phase{namespace=\"llm\",name=\"chat\",phase=\"Holding\"} 1",
            "llmrollout_candidate_weight{namespace=\"llm\",name=\"chat\"} 20",
            "llmrollout_gate_evidence_log10{namespace=\"llm\",name=\"chat\",gate=\"errors\",side=\"fail\"} -0.25",
            "llmrollout_gate_evidence_log10{namespace=\"llm\",name=\"chat\",gate=\"errors\",side=\"pass\"} 1.5",
            "llmrollout_gate_eta_seconds{namespace=\"llm\",name=\"chat\",gate=\"errors\"} 90.5",
            "llmrollout_leader 1",
            "llmrollout_provider_queries_total{provider=\"default\",outcome=\"sample\"} 1",
            "llmrollout_provider_seconds_bucket{le=\"0.005\",provider=\"default\"} 1",
        ] {
            assert!(text.lines().any(|printed| printed == line), "{line} is missing in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn a_rollout_is_in_one_phase_and_leaves_nothing_behind() {
        let (metrics, registry) = Metrics::new();
        metrics.stands(&rollout("chat"), &status(Phase::Holding, "20%"));
        metrics.stands(&rollout("chat"), &status(Phase::RolledBack, "0%"));
        metrics.stands(&rollout("rag"), &status(Phase::Idle, ""));
        let text = printed(&registry);
        assert!(text.contains("RolledBack") && !text.contains("Holding"), "{text}");
        metrics.forget("llm", "chat");
        let text = printed(&registry);
        assert!(!text.contains("chat") && text.contains("rag"), "{text}");
    }

    #[test]
    fn evidence_is_shown_as_long_as_it_is_weighed() {
        let lines = |registry: &Registry| {
            let text = printed(registry);
            let of_gates = text.lines().filter(|line| line.starts_with("llmrollout_gate_")).map(str::to_owned);
            of_gates.collect::<Vec<_>>()
        };
        let (metrics, registry) = Metrics::new();
        for _ in 0..3 {
            metrics.weighs(&rollout("chat"), &[odds("errors", Some(60.0)), odds("cost", None)]);
            metrics.weighs(&rollout("rag"), &[odds("errors", Some(0.0))]);
        }
        assert_eq!(lines(&registry).len(), 3 + 2 + 3, "{:?}", lines(&registry));
        metrics.weighs(&rollout("chat"), &[odds("errors", None)]);
        let left = lines(&registry);
        assert!(left.len() == 2 + 3 && left.iter().all(|line| !line.contains("cost")), "{left:?}");
        metrics.weighs(&rollout("rag"), &[]);
        assert!(lines(&registry).iter().all(|line| line.contains("chat")), "{:?}", lines(&registry));
        metrics.forget("llm", "chat");
        assert_eq!(lines(&registry), Vec::<String>::new());
    }

    #[test]
    fn phases_are_spelled_as_in_status() {
        for phase in [
            Phase::Idle,
            Phase::Pending,
            Phase::Preflight,
            Phase::Preparing,
            Phase::Shifting,
            Phase::Holding,
            Phase::AwaitingApproval,
            Phase::Paused,
            Phase::Baking,
            Phase::Decommissioning,
            Phase::Completed,
            Phase::RollingBack,
            Phase::RolledBack,
            Phase::Blocked,
        ] {
            assert_eq!(serde_json::json!(phase), phase.word());
        }
    }
}
