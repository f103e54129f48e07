//! What is asked for a statistical gate: the raw counters of both colors, since the candidate's first share. Never weighs
//! what comes back.

use std::sync::Arc;

use super::{
    criterion::Test,
    plan::{Plan, PlannedGate, mark},
    proof::Proof,
    reference, release,
    view::View,
};
use crate::{
    api::{Moment, Percent, gates::Metric, status::Attempt},
    metrics::{
        Question, Template, metric,
        question::LARGEST_WINDOW,
        raw::{self, Demand, Exact, Pods, Raw, Resume, Stage, What},
        unit::Unit,
    },
};

/// What a statistical gate keeps beside the figure of its metric: the share that was bad of the color that serves.
pub(super) fn share_of(gate: &str) -> String {
    format!("{gate} share")
}

/// What makes evidence that of one trial and of no other: what is counted, since when, and what it is to prove. What was
/// proved of one stage alone says nothing about the next.
pub(super) fn trial_of(question: &Question, demand: Demand) -> String {
    mark(&[&question.value.to_string(), &question.since.to_string(), &format!("{demand:?}")])
}

/// Without a color beside it a mean has nothing to be weighed against: it is compared with what was kept.
pub(super) fn standing_alone(gate: &Arc<PlannedGate>, attempt: &Attempt) -> Arc<PlannedGate> {
    let Some(proof) = gate.test.proof().filter(|proof| proof.mean && attempt.weight == 100) else {
        return Arc::clone(gate);
    };
    let test = Test::Ratio(None, Some(1.0 + proof.relative));
    Arc::new(PlannedGate { test, ..gate.as_ref().clone() })
}

impl View<'_> {
    /// The question of a statistical gate. Without anything to look at it is asked of nobody, and so is no data.
    pub(super) fn trial(&self, plan: &Plan, gate: &PlannedGate, proof: Proof) -> Option<Question> {
        let attempt = self.running()?;
        let entered = attempt.step_entered_at?;
        let demand = self.demand(gate, proof, attempt);
        let alone = attempt.weight == 100;
        let stages = stages(plan, attempt, entered);
        let since = stages.first().map_or(entered, |stage| stage.at);
        let views = demand.and_then(|_| self.views(plan, gate, proof)).unwrap_or_default();
        let series = views.iter().flat_map(|v| v.candidate.iter().chain(&v.active)).map(counted);
        let value = Template::new(series.collect::<Vec<_>>().join(" "));
        let demand = demand.unwrap_or_else(|| proof.demand(What::Share));
        let of = plan.steps.iter().filter(|step| step.weight > 0 && step.weight < 100).count();
        let mut question = Question {
            provider: plan.provider.clone(),
            about: None,
            value,
            samples: Template::new(String::new()),
            since,
            window: LARGEST_WINDOW,
            interval: gate.interval,
            shortest: Question::SHORTEST,
            urgent: false,
            names: Vec::new(),
            raw: None,
        };
        let trial = trial_of(&question, demand);
        let kept = attempt.evidence.iter().find(|k| k.gate == gate.name && k.trial == trial);
        let resume = Resume(kept.map(|kept| kept.state.as_str().into()));
        question.raw = Some(Arc::new(Raw {
            views,
            demand,
            stages,
            of: if alone { 1 } else { of },
            warm_up: plan.warm_up,
            resume,
        }));
        Some(question)
    }

    /// What is to be proved now. Once the other color has no traffic: that a share is not above what would have been
    /// intolerable beside it.
    fn demand(&self, gate: &PlannedGate, proof: Proof, attempt: &Attempt) -> Option<Demand> {
        if let Some(max) = proof.max {
            return Some(proof.demand(What::Bound(Exact::of(max))));
        }
        if attempt.weight < 100 {
            return Some(proof.demand(if proof.mean { What::Mean } else { What::Share }));
        }
        let seen = reference::kept(self, &share_of(&gate.name)).or_else(|| by_quantile(gate));
        let blue = seen.or_else(|| reference::kept(self, &gate.name)).filter(|share| (0.0..1.0).contains(share))?;
        Some(proof.demand(What::Bound(Exact::of(blue))))
    }

    /// The counters, as soon as it is known where a latency is to be cut.
    fn views(&self, plan: &Plan, gate: &PlannedGate, proof: Proof) -> Option<Vec<raw::View>> {
        let metric = gate.subject.metric()?;
        let above =
            if metric::unit(metric) == Unit::Seconds { Some(self.cut(plan, gate, metric, proof)?) } else { None };
        let candidate = self.candidate()?;
        let colors = [candidate, candidate.other()];
        let names = colors.map(|color| self.pods(color));
        let [first, second] = names;
        let pods = [Pods { color: candidate, workload: first }, Pods { color: candidate.other(), workload: second }];
        let namespace = release::namespace_of(&self.s.rollout, candidate);
        // A plan is only made of what can be counted.
        raw::views(&plan.source, metric, above, namespace, pods).ok()
    }

    /// What takes longer is bad: as written, or the bucket that holds the quantile of the color that serves.
    fn cut(&self, plan: &Plan, gate: &PlannedGate, metric: Metric, proof: Proof) -> Option<f64> {
        proof.above.or_else(|| raw::bound_above(&plan.source, metric, reference::kept(self, &gate.name)?))
    }
}

/// What is counted, with what each of it costs: at another price it is other evidence.
fn counted(part: &raw::Part) -> String {
    match part.role {
        raw::Role::Spent(price) => format!("{price:?} * {}", part.series),
        raw::Role::All | raw::Role::Bad | raw::Role::Good => part.series.to_string(),
    }
}

/// What is above a quantile, by its very meaning.
fn by_quantile(gate: &PlannedGate) -> Option<f64> {
    let crate::metrics::Subject::Metric(_, Some(quantile)) = &gate.subject else { return None };
    quantile.parse::<f64>().ok().map(|quantile| 1.0 - quantile)
}

/// The shares that were confirmed so far, each with the one that would come next. What was written down must end with the
/// one that is measured; else, and at 100 %, this one stands for itself.
fn stages(plan: &Plan, attempt: &Attempt, entered: Moment) -> Vec<Stage> {
    let stage = |weight, at| Stage { weight, next: next_after(plan, weight), at };
    let shown = attempt.shares.iter().filter(|share| share.weight > 0 && share.weight < 100);
    let stages: Vec<Stage> = shown.map(|share| stage(share.weight, share.at)).collect();
    let fits = stages.last().is_some_and(|last| (last.weight, last.at) == (attempt.weight, entered));
    if fits { stages } else { vec![stage(attempt.weight, entered)] }
}

fn next_after(plan: &Plan, weight: Percent) -> Percent {
    plan.steps.iter().map(|step| step.weight).find(|w| *w > weight).unwrap_or(Percent::ALL)
}
