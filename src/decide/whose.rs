//! Whose word each question of the metrics providers waits for: for whoever plays a provider, as `simulate` does. Nothing is
//! decided on it.

use std::sync::Arc;

use super::{meant::Meant, plan::PlannedGate, snapshot::Snapshot, sound, sources, stage::Questions, view::View};
use crate::{api::status::Color, metrics::Question};

/// What a question is asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Whose {
    /// A gate.
    Gate {
        /// Which one.
        gate: Arc<PlannedGate>,
        /// About this color.
        color: Color,
        /// What is shown instead of what is judged.
        shown: bool,
    },
    /// How many requests this color has seen.
    Requests(Color),
    /// What the provider has at all, before the first step.
    Series,
}

/// The questions of the stage that is being measured, each with whose it is. One that several wait for stands several times.
pub fn whose(snapshot: &Snapshot) -> Vec<(Question, Whose)> {
    let status = sound::sound(snapshot.rollout.status.clone().unwrap_or_default());
    let meant = Meant::of(snapshot, sources::found_out(&status));
    let view = View::of(snapshot, status, &meant);
    let Some(active) = view.status.active else { return Vec::new() };
    // Once a release has ended nobody is asked about its candidate.
    told(&view.questions, view.candidate().unwrap_or(active.other()), active)
}

fn told(questions: &Questions, candidate: Color, active: Color) -> Vec<(Question, Whose)> {
    let of = |q: &Question, gate: &Arc<PlannedGate>, color: Color, shown: bool| {
        (q.clone(), Whose::Gate { gate: Arc::clone(gate), color, shown })
    };
    let gates = questions.gates.iter().flat_map(|asked| {
        let about = std::iter::once(of(&asked.question, &asked.gate, candidate, false));
        let beside = asked.beside.iter().map(|q| of(q, &asked.gate, active, false));
        about.chain(beside).chain(asked.shown.iter().map(|q| of(q, &asked.gate, candidate, true)))
    });
    let kept = questions.kept.iter().chain(&questions.recovery).map(|(gate, q)| of(q, gate, active, false));
    let share = questions.share.iter().flat_map(|(own, other)| [(own, candidate), (other, active)]);
    let counts = share.chain(questions.count.iter().chain(&questions.silence).map(|q| (q, candidate)));
    let requests = counts.map(|(q, color)| (q.clone(), Whose::Requests(color)));
    let names = questions.names.iter().map(|q| (q.clone(), Whose::Series));
    gates.chain(kept).chain(requests).chain(names).collect()
}
