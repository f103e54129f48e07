//! The figures of each rollout, and which of them stand: none outlives what it speaks of, so that their number is bounded
//! by the rollouts and gates there are. Counts and sets; never decides.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
};

use kube::ResourceExt;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::metrics::Word;
use crate::{
    api::{
        LlmRollout, LlmRolloutStatus, Phase, Reason,
        status::{Attempt, GateStatus, VerdictWord},
    },
    decide::intent::Odds,
    metrics::Told,
};

/// One rollout.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct Rollout {
    namespace: String,
    name: String,
}

/// What is told of a rollout apart: a word out of a few, a gate, or both.
macro_rules! of_rollout {
    ($($name:ident { $($label:ident: $type:ty),+ })+) => {$(
        #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
        struct $name {
            namespace: String,
            name: String,
            $($label: $type,)+
        }
    )+};
}

of_rollout! {
    InPhase { phase: Word }
    WithOutcome { outcome: Word }
    OfGate { gate: String }
    OnSide { gate: String, side: Word }
    AtBound { gate: String, bound: Word }
    WithVerdict { gate: String, verdict: Word }
}

const SIDES: [Word; 2] = [Word("fail"), Word("pass")];
const BOUNDS: [Word; 2] = [Word("least"), Word("most")];

type Figure = Gauge<f64, AtomicU64>;

/// The figures; cheap to clone, every clone sets the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    phase: Family<InPhase, Gauge>,
    candidate_weight: Family<Rollout, Figure>,
    ended_at: Family<WithOutcome, Gauge>,
    attempts: Family<WithOutcome, Counter>,
    gate_value: Family<OfGate, Figure>,
    gate_limit: Family<AtBound, Figure>,
    gate_verdict: Family<WithVerdict, Gauge>,
    gate_sampled_at: Family<OfGate, Gauge>,
    gate_evidence: Family<OnSide, Figure>,
    gate_eta: Family<OfGate, Figure>,
    standing: Arc<Mutex<BTreeMap<Rollout, Standing>>>,
}

/// What is shown of a rollout now, so that the next look replaces it.
#[derive(Debug, Default)]
struct Standing {
    phase: Option<Phase>,
    ended: Option<Reason>,
    outcomes: BTreeSet<Reason>,
    gates: BTreeMap<String, VerdictWord>,
    weighed: BTreeSet<String>,
}

impl Shown {
    pub(super) fn register(&self, to: &mut Registry) {
        to.register("phase", "1 for the phase a rollout is in", self.phase.clone());
        to.register("candidate_weight", "Percent of traffic given to the candidate", self.candidate_weight.clone());
        let ended = "When the last attempt ended, and how; absent while one is under way";
        to.register("attempt_ended_timestamp_seconds", ended, self.ended_at.clone());
        to.register("attempts", "Attempts that ended, by outcome", self.attempts.clone());
        let value = "The newest value of a gate in its base unit: shares 0 to 1, seconds, dollars; absent without data";
        to.register("gate_value", value, self.gate_value.clone());
        let limit = "The least and the most that a gate's value may be, in its base unit";
        to.register("gate_limit", limit, self.gate_limit.clone());
        to.register("gate_verdict", "1 for the word a gate says", self.gate_verdict.clone());
        let sampled = "Time of the newest sample that a gate has judged";
        to.register("gate_sample_timestamp_seconds", sampled, self.gate_sampled_at.clone());
        let evidence =
            "Decimal logarithm of the evidence of a statistical gate: that the candidate fails it, and passes it";
        to.register("gate_evidence_log10", evidence, self.gate_evidence.clone());
        let eta = "Seconds until a statistical gate passes at today's traffic if the candidate is as good; absent if not known";
        to.register("gate_eta_seconds", eta, self.gate_eta.clone());
    }

    /// Where a rollout stands.
    pub(super) fn stands(&self, rollout: &LlmRollout, status: &LlmRolloutStatus) {
        let Some(phase) = status.phase else { return };
        let rollout = Rollout::of(rollout);
        let weight = status.weight.trim_end_matches('%').parse().unwrap_or(0.0);
        self.candidate_weight.get_or_create(&rollout).set(weight);
        let mut all = self.standing();
        let standing = all.entry(rollout.clone()).or_default();
        if let Some(before) = standing.phase.replace(phase).filter(|before| *before != phase) {
            self.phase.remove(&rollout.in_phase(before));
        }
        self.phase.get_or_create(&rollout.in_phase(phase)).set(1);
        self.last_end(&rollout, standing, status);
        self.gates(&rollout, standing, &status.gates);
    }

    fn last_end(&self, rollout: &Rollout, standing: &mut Standing, status: &LlmRolloutStatus) {
        let end = status.attempt.as_ref().and_then(|a| Some((outcome(a), a.ended_at?)));
        let before = std::mem::replace(&mut standing.ended, end.map(|(outcome, _)| outcome));
        if let Some(before) = before.filter(|before| standing.ended != Some(*before)) {
            self.ended_at.remove(&rollout.with_outcome(before));
        }
        if let Some((outcome, at)) = end {
            self.ended_at.get_or_create(&rollout.with_outcome(outcome)).set(at.unix());
        }
    }

    /// An attempt has come to its end.
    pub(super) fn ended(&self, rollout: &LlmRollout, attempt: &Attempt) {
        let (rollout, outcome) = (Rollout::of(rollout), outcome(attempt));
        self.standing().entry(rollout.clone()).or_default().outcomes.insert(outcome);
        self.attempts.get_or_create(&rollout.with_outcome(outcome)).inc();
    }

    fn gates(&self, rollout: &Rollout, standing: &mut Standing, gates: &[GateStatus]) {
        let now: BTreeMap<String, VerdictWord> = gates.iter().map(|g| (g.name.clone(), g.verdict)).collect();
        let before = std::mem::replace(&mut standing.gates, now);
        for (gate, verdict) in before {
            if standing.gates.get(&gate) != Some(&verdict) {
                self.gate_verdict.remove(&rollout.with_verdict(&gate, verdict));
            }
            if !standing.gates.contains_key(&gate) {
                self.take_out_figures(rollout, &gate);
            }
        }
        for gate in gates {
            self.gate_verdict.get_or_create(&rollout.with_verdict(&gate.name, gate.verdict)).set(1);
            let (told, of_gate) = (Told::of(gate), rollout.of_gate(&gate.name));
            set(&self.gate_value, &of_gate, told.value);
            for (bound, limit) in BOUNDS.into_iter().zip([told.least, told.most]) {
                set(&self.gate_limit, &rollout.at_bound(&gate.name, bound), limit);
            }
            if let Some(at) = gate.at {
                self.gate_sampled_at.get_or_create(&of_gate).set(at.unix());
            } else {
                self.gate_sampled_at.remove(&of_gate);
            }
        }
    }

    fn take_out_figures(&self, rollout: &Rollout, gate: &str) {
        let of_gate = rollout.of_gate(gate);
        self.gate_value.remove(&of_gate);
        self.gate_sampled_at.remove(&of_gate);
        for bound in BOUNDS {
            self.gate_limit.remove(&rollout.at_bound(gate, bound));
        }
    }

    /// How far the statistical gates of a rollout are. What is not among them any more is taken out: at most three lines
    /// a gate, and none of a rollout that weighs nothing.
    pub(super) fn weighs(&self, rollout: &LlmRollout, odds: &[Odds]) {
        let rollout = Rollout::of(rollout);
        let now: BTreeSet<String> = odds.iter().map(|o| o.gate.clone()).collect();
        let mut all = self.standing();
        let standing = all.entry(rollout.clone()).or_default();
        let before = std::mem::replace(&mut standing.weighed, now);
        before.difference(&standing.weighed).for_each(|gate| self.unweigh(&rollout, gate));
        for o in odds {
            for (side, log10) in SIDES.into_iter().zip([o.fail, o.pass]) {
                self.gate_evidence.get_or_create(&rollout.on_side(&o.gate, side)).set(log10);
            }
            set(&self.gate_eta, &rollout.of_gate(&o.gate), o.seconds);
        }
    }

    fn unweigh(&self, rollout: &Rollout, gate: &str) {
        self.gate_eta.remove(&rollout.of_gate(gate));
        for side in SIDES {
            self.gate_evidence.remove(&rollout.on_side(gate, side));
        }
    }

    /// A rollout is gone.
    pub(super) fn forget(&self, namespace: &str, name: &str) {
        let rollout = Rollout { namespace: namespace.to_owned(), name: name.to_owned() };
        self.candidate_weight.remove(&rollout);
        let Some(mut gone) = self.standing().remove(&rollout) else { return };
        if let Some(phase) = gone.phase {
            self.phase.remove(&rollout.in_phase(phase));
        }
        for outcome in gone.ended.iter().chain(&gone.outcomes) {
            self.ended_at.remove(&rollout.with_outcome(*outcome));
            self.attempts.remove(&rollout.with_outcome(*outcome));
        }
        gone.weighed.iter().for_each(|gate| self.unweigh(&rollout, gate));
        self.gates(&rollout, &mut gone, &[]);
    }

    fn standing(&self) -> MutexGuard<'_, BTreeMap<Rollout, Standing>> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How an attempt ended.
fn outcome(attempt: &Attempt) -> Reason {
    attempt.ended.unwrap_or(Reason::Promoted)
}

/// A figure that is known, or none.
fn set<L: Clone + Eq + Hash>(family: &Family<L, Figure>, labels: &L, value: Option<f64>) {
    if let Some(value) = value {
        family.get_or_create(labels).set(value);
    } else {
        family.remove(labels);
    }
}

const fn word(verdict: VerdictWord) -> Word {
    Word(match verdict {
        VerdictWord::Fail => "Fail",
        VerdictWord::NoData => "NoData",
        VerdictWord::Undecided => "Undecided",
        VerdictWord::Pass => "Pass",
    })
}

impl Rollout {
    fn of(rollout: &LlmRollout) -> Self {
        Self { namespace: rollout.namespace().unwrap_or_default(), name: rollout.name_any() }
    }

    fn in_phase(&self, phase: Phase) -> InPhase {
        let Self { namespace, name } = self.clone();
        InPhase { namespace, name, phase: Word(phase.word()) }
    }

    fn with_outcome(&self, outcome: Reason) -> WithOutcome {
        let Self { namespace, name } = self.clone();
        WithOutcome { namespace, name, outcome: Word(outcome.word()) }
    }

    fn of_gate(&self, gate: &str) -> OfGate {
        let Self { namespace, name } = self.clone();
        OfGate { namespace, name, gate: gate.to_owned() }
    }

    fn on_side(&self, gate: &str, side: Word) -> OnSide {
        let OfGate { namespace, name, gate } = self.of_gate(gate);
        OnSide { namespace, name, gate, side }
    }

    fn at_bound(&self, gate: &str, bound: Word) -> AtBound {
        let OfGate { namespace, name, gate } = self.of_gate(gate);
        AtBound { namespace, name, gate, bound }
    }

    fn with_verdict(&self, gate: &str, verdict: VerdictWord) -> WithVerdict {
        let OfGate { namespace, name, gate } = self.of_gate(gate);
        WithVerdict { namespace, name, gate, verdict: word(verdict) }
    }
}
