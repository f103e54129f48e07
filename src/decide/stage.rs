//! What is being measured now, a step or a bake: how long, on how many requests, and which gates speak. Never decides
//! what follows.

use std::{collections::BTreeSet, time::Duration};

use super::{
    plan::{Plan, PlannedGate, Test},
    view::View,
    workload,
};
use crate::{
    api::{around::OnUndecided, gates::Metric},
    metrics::{self, Question},
};

/// A count of requests looks back to the start of its stage, however long ago.
const WHOLE_STAGE: Duration = Duration::from_hours(30 * 24);
const COUNT_EVERY: Duration = Duration::from_secs(15);

/// A step or a bake that is being measured.
#[derive(Clone, Debug, Default)]
pub(super) struct Stage<'a> {
    pub(super) hold: Duration,
    pub(super) min_requests: Option<i64>,
    pub(super) max_requests: Option<i64>,
    pub(super) max_hold: Option<Duration>,
    pub(super) on_undecided: OnUndecided,
    pub(super) gates: Option<&'a [String]>,
    /// `step 2`, `step 2 (half)` or `bake day`.
    pub(super) name: String,
}

/// The questions of the stage that is being measured.
#[derive(Default)]
pub(super) struct Questions {
    /// Each gate that speaks, with its question.
    pub(super) gates: Vec<(PlannedGate, Question)>,
    /// How many requests the stage has seen, if that matters.
    pub(super) count: Option<Question>,
}

impl Questions {
    /// All of them.
    pub(super) fn all(&self) -> BTreeSet<Question> {
        self.gates.iter().map(|(_, q)| q).chain(&self.count).cloned().collect()
    }
}

/// What is wanted to be known of the candidate.
struct Wanted<'a> {
    metric: Metric,
    quantile: Option<&'a str>,
    above: Option<f64>,
    window: Duration,
    interval: Duration,
}

impl View<'_> {
    /// The stage that is being measured, as the manifest means it now.
    pub(super) fn stage<'a>(&self, plan: &'a Plan) -> Stage<'a> {
        let Some(attempt) = self.running() else { return Stage::default() };
        let bake = usize::try_from(attempt.bake - 1).ok();
        if let Some(bake) = bake {
            let Some(b) = plan.bakes.get(bake) else { return Stage { name: "bake".to_owned(), ..Stage::default() } };
            let name = format!("bake {}", b.name);
            return Stage { hold: b.hold, gates: b.gates.as_deref(), name, ..Stage::default() };
        }
        let number = format!("step {}", attempt.step);
        let Some(s) = plan.steps.iter().find(|s| s.weight == attempt.weight) else {
            return Stage { name: number, ..Stage::default() };
        };
        Stage {
            hold: s.hold,
            min_requests: s.min_requests,
            max_requests: s.max_requests,
            max_hold: s.max_hold,
            on_undecided: s.on_undecided,
            gates: s.gates.as_deref(),
            name: s.name.as_ref().map_or(number.clone(), |n| format!("{number} ({n})")),
        }
    }

    /// The gates that speak about the stage.
    fn gates<'a>(&self, plan: &'a Plan) -> Vec<&'a PlannedGate> {
        let Some(attempt) = self.running() else { return Vec::new() };
        let only = self.stage(plan).gates;
        // The traffic that a step up brings is ours: nobody can demand silence of it any more.
        let rising = self.status.intent.as_ref().is_some_and(|i| i.weight > 0);
        let chosen = |g: &PlannedGate| match only {
            Some(names) => names.contains(&g.name),
            None => during(g, attempt.bake > 0) && can_speak(g, attempt.weight),
        };
        let speaks = |g: &&PlannedGate| chosen(g) && !(rising && demands_silence(g));
        plan.gates.iter().filter(speaks).collect()
    }

    /// What the provider is to be asked, made once for each decision.
    pub(super) fn ask_all(&self) -> Questions {
        let Ok(plan) = &self.plan else { return Questions::default() };
        let gates = self.gates(plan).into_iter();
        Questions {
            gates: gates.filter_map(|g| Some((g.clone(), self.question(plan, g)?))).collect(),
            count: self.count_question(plan),
        }
    }

    /// The question of a gate, while a step is being measured.
    fn question(&self, plan: &Plan, g: &PlannedGate) -> Option<Question> {
        self.ask(
            plan,
            &Wanted {
                metric: g.metric,
                quantile: g.quantile.as_deref(),
                above: g.test.above(),
                window: g.window,
                interval: g.interval,
            },
        )
    }

    /// The question how many requests the stage has seen, if that matters.
    fn count_question(&self, plan: &Plan) -> Option<Question> {
        let stage = self.stage(plan);
        stage.min_requests.or(stage.max_requests)?;
        let (metric, window, interval) = (Metric::Requests, WHOLE_STAGE, COUNT_EVERY);
        self.ask(plan, &Wanted { metric, quantile: None, above: None, window, interval })
    }

    /// A question about the candidate since the stage began.
    fn ask(&self, plan: &Plan, wanted: &Wanted<'_>) -> Option<Question> {
        let candidate = self.candidate()?;
        let (attempt, entered) = (self.running()?, self.running()?.step_entered_at?);
        // What a release has cost is added up from its start; everything else is of the stage.
        let whole = wanted.metric == Metric::RolloutSpend;
        let (since, window) = if whole { (attempt.started_at, WHOLE_STAGE) } else { (entered, wanted.window) };
        let meta = &self.s.rollout.metadata;
        let name = meta.name.as_deref().unwrap_or_default();
        let [workload, other] = [candidate, candidate.other()].map(|color| workload::name_of(name, color));
        let ask = metrics::Ask {
            provider: &plan.provider,
            namespace: meta.namespace.as_deref().unwrap_or_default(),
            workload: &workload,
            other: (attempt.weight < 100).then_some(&other),
            replicas: plan.replicas,
            color: candidate,
            metric: wanted.metric,
            quantile: wanted.quantile,
            above: wanted.above,
            since,
            window,
            interval: wanted.interval,
        };
        // A plan is only made of what can be asked.
        metrics::question(&plan.source, &ask).ok()
    }

    /// Requests that the candidate has answered in this stage; counted numbers only grow, so the largest counts.
    pub(super) fn requests(&self) -> Option<i64> {
        let question = self.questions.count.as_ref()?;
        let since = question.since;
        let readings = self.s.readings.get(question)?.iter().filter(|r| r.at >= since && r.at <= self.now());
        let counts = readings.filter_map(|r| r.outcome.as_ref().ok()).map(|s| s.value).filter(|n| n.is_finite());
        counts.max_by(f64::total_cmp).map(whole)
    }
}

/// A gate is watched in this kind of stage.
const fn during(g: &PlannedGate, bake: bool) -> bool {
    if bake { g.in_bakes } else { g.in_steps }
}

/// Without traffic only the number of requests can be judged; with traffic nobody can demand silence.
fn can_speak(g: &PlannedGate, weight: i32) -> bool {
    if weight == 0 { g.metric == Metric::Requests } else { !demands_silence(g) }
}

fn demands_silence(g: &PlannedGate) -> bool {
    matches!(g.test, Test::Equals(limit) if limit.value() < 0.5)
}

#[expect(clippy::cast_possible_truncation, reason = "a count of requests; `as` saturates")]
fn whole(count: f64) -> i64 {
    count.floor() as i64
}
