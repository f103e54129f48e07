//! What is being measured now, a step or a bake: how long, on how many requests, and which gates speak. Never decides
//! what follows.

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use super::{
    course::PlannedStep,
    criterion::Test,
    plan::{Plan, PlannedGate},
    recovery, reference, release, silence, size, sources, trial,
    view::View,
    warm,
};
use crate::{
    api::{
        Moment, Percent,
        around::OnUndecided,
        gates::{ComparedTo, Metric, Severity},
        status::Color,
    },
    metrics::{self, Question, Subject, ask},
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
    pub(super) name: Name<'a>,
}

/// What a stage is called, put into words only where it is said.
#[derive(Clone, Copy, Debug)]
pub(super) enum Name<'a> {
    /// `step 2` or `step 2 (half)`.
    Step(i32, Option<&'a str>),
    /// `bake day`, or `bake` where the manifest has it no more.
    Bake(Option<&'a str>),
}

impl Default for Name<'_> {
    fn default() -> Self {
        Self::Bake(None)
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(number, None) => write!(f, "step {number}"),
            Self::Step(number, Some(name)) => write!(f, "step {number} ({name})"),
            Self::Bake(None) => f.write_str("bake"),
            Self::Bake(Some(name)) => write!(f, "bake {name}"),
        }
    }
}

/// The questions of the stage that is being measured.
#[derive(Default)]
pub(super) struct Questions {
    /// Each gate that speaks.
    pub(super) gates: Vec<Asked>,
    /// What is kept for a comparison, before the first share: gate and question.
    pub(super) kept: Vec<(Arc<PlannedGate>, Question)>,
    /// Which names are told, before the first share.
    pub(super) names: Vec<Question>,
    /// How many requests either color has seen in this stage: the candidate and the other.
    pub(super) share: Option<(Question, Question)>,
    /// How many requests the stage has seen, if that matters.
    pub(super) count: Option<Question>,
    /// How many requests the candidate answers though traffic is home.
    pub(super) silence: Option<Question>,
    /// How what serves fares since traffic is back: gate and question.
    pub(super) recovery: Vec<(Arc<PlannedGate>, Question)>,
}

impl Questions {
    /// All of them.
    pub(super) fn all(&self) -> BTreeSet<Question> {
        let gates = self.gates.iter().flat_map(|g| std::iter::once(&g.question).chain(&g.beside).chain(&g.shown));
        let share = self.share.iter().flat_map(|(candidate, other)| [candidate, other]);
        let kept = self.kept.iter().map(|(_, q)| q);
        let all = gates.chain(kept).chain(&self.names).chain(share).chain(&self.count);
        // Raw counters of nothing are asked of nobody.
        all.filter(|q| q.raw.as_ref().is_none_or(|raw| !raw.views.is_empty())).cloned().collect()
    }
}

/// A gate that speaks, with what is asked for it.
pub(super) struct Asked {
    pub(super) gate: Arc<PlannedGate>,
    /// About the candidate.
    pub(super) question: Question,
    /// The same about the color that serves, if that matters.
    pub(super) beside: Option<Question>,
    /// What is shown instead of what is judged.
    pub(super) shown: Option<Question>,
}

/// What is wanted to be known of a color.
pub(super) struct Wanted<'a> {
    pub(super) subject: &'a Subject,
    pub(super) window: Duration,
    pub(super) interval: Duration,
    pub(super) since: Moment,
    pub(super) urgent: bool,
}

impl View<'_> {
    /// The stage that is being measured, as the manifest means it now.
    pub(super) fn stage<'a>(&self, plan: &'a Plan) -> Stage<'a> {
        let Some(attempt) = self.running() else { return Stage::default() };
        let bake = usize::try_from(attempt.bake - 1).ok();
        if let Some(bake) = bake {
            let Some(b) = plan.bakes.get(bake) else { return Stage::default() };
            return Stage { gates: b.gates.as_deref(), name: Name::Bake(Some(&b.name)), ..Stage::default() };
        }
        let Some(s) = plan.steps.iter().find(|s| s.weight == attempt.weight) else {
            return Stage { name: Name::Step(attempt.step, None), ..Stage::default() };
        };
        Stage {
            hold: s.hold,
            min_requests: s.min_requests,
            max_requests: s.max_requests,
            max_hold: s.max_hold,
            on_undecided: s.on_undecided,
            gates: s.gates.as_deref(),
            name: Name::Step(attempt.step, s.name.as_deref()),
        }
    }

    /// The gates that speak about the stage.
    pub(super) fn gates<'a>(&self, plan: &'a Plan) -> Vec<&'a Arc<PlannedGate>> {
        let Some(attempt) = self.running() else { return Vec::new() };
        let (only, bake) = (self.stage(plan).gates, attempt.bake > 0);
        // What aborts at once watches the first share from when it is given, not from when it is confirmed.
        let given = self.status.intent.as_ref().map_or(attempt.weight, |i| i.weight.max(attempt.weight));
        let copied = attempt.aside.mirror.is_some();
        let given_copies = copied || self.status.intent.as_ref().is_some_and(|i| i.aside.mirror.is_some());
        let heard = |g: &PlannedGate| match g.severity {
            Severity::Abort => Heard { weight: given, copies: given_copies },
            Severity::Rollback | Severity::Pause | Severity::Warn => Heard { weight: attempt.weight, copies: copied },
        };
        // Testers, and the traffic that a step up brings, are ours: nobody can demand silence of them any more.
        let ours = self.status.intent.is_some() || !attempt.aside.is_nothing();
        let speaks = |g: &&Arc<PlannedGate>| chosen(g, only, bake, heard(g)) && !(ours && demands_silence(g));
        plan.gates.iter().filter(speaks).collect()
    }

    /// What the provider is to be asked, made once for each decision.
    pub(super) fn ask_all(&self) -> Questions {
        let Ok(plan) = self.plan else { return Questions::default() };
        let gates = self.gates(plan).into_iter();
        Questions {
            gates: gates.filter_map(|g| self.asked(plan, g)).collect(),
            kept: reference::to_keep(self, plan),
            names: sources::to_ask(self, plan),
            share: self.share_questions(plan),
            count: self.count_question(plan),
            silence: silence::question(self, plan),
            recovery: recovery::questions(self, plan),
        }
    }

    /// A gate with its questions, while a step is being measured.
    fn asked(&self, plan: &Plan, g: &Arc<PlannedGate>) -> Option<Asked> {
        let g = &trial::standing_alone(g, self.running()?);
        if let Some(proof) = g.test.proof() {
            let question = self.trial(plan, g, proof)?;
            return Some(Asked { gate: Arc::clone(g), question, beside: None, shown: None });
        }
        let since = self.measured_since(plan, g)?;
        let urgent = g.severity == Severity::Abort;
        let wanted = Wanted { subject: &g.subject, window: g.window, interval: g.interval, since, urgent };
        let question = self.ask(plan, self.candidate()?, &wanted)?;
        let suspected = || self.s.readings.get(&question).is_some_and(|r| reference::suspicious(g, r));
        let beside = self.side_by_side() && (g.against == Some(ComparedTo::Active) || suspected());
        let beside = if beside { self.ask(plan, self.status.active?, &wanted) } else { None };
        let shown = g.shown.as_ref().map(|subject| Wanted { subject, ..wanted });
        let shown = if let Some(wanted) = shown { self.ask(plan, self.candidate()?, &wanted) } else { None };
        Some(Asked { gate: Arc::clone(g), question, beside, shown })
    }

    /// Since when a gate may look back: the stage's beginning, or the warmth of its newest pod. What aborts at once looks
    /// from the first share on, and whether a pod is warm or not.
    fn measured_since(&self, plan: &Plan, g: &PlannedGate) -> Option<Moment> {
        let attempt = self.running()?;
        let entered = attempt.step_entered_at;
        if g.severity != Severity::Abort {
            return entered.map(|at| warm::since(self, plan).map_or(at, |warm| at.max(warm)));
        }
        let given = self.status.intent.as_ref().filter(|i| i.weight > 0 || i.aside.mirror.is_some()).map(|i| i.at);
        let since = entered.map(|at| at.min(attempt.clock_from.max(attempt.started_at)));
        if attempt.weight == 0 { given.or(since) } else { since.or(given) }
    }

    /// Whether both colors have traffic, so that one can be held beside the other.
    pub(super) fn both_serve(&self) -> bool {
        self.running().is_some_and(|a| a.weight > 0 && a.weight < 100)
    }

    /// Whether one color's figures can be held beside the other's: both have traffic, or one has copies of the other's.
    pub(super) fn side_by_side(&self) -> bool {
        self.both_serve() || self.running().is_some_and(|a| a.weight == 0 && a.aside.mirror.is_some())
    }

    /// A question that is asked of the color that serves, before the release moves anything.
    pub(super) fn ask_before(&self, plan: &Plan, g: &PlannedGate) -> Option<Question> {
        let since = self.running()?.started_at.minus(g.window);
        let wanted = Wanted { subject: &g.subject, window: g.window, interval: g.interval, since, urgent: false };
        self.ask(plan, self.status.active?, &wanted)
    }

    /// The question how many requests the stage has seen, if that matters.
    fn count_question(&self, plan: &Plan) -> Option<Question> {
        let stage = self.stage(plan);
        stage.min_requests.or(stage.max_requests)?;
        self.requests_of(plan, self.candidate()?)
    }

    /// How many requests each color has seen, while both are to get some.
    fn share_questions(&self, plan: &Plan) -> Option<(Question, Question)> {
        let both = self.both_serve() && ask::counts_requests(&plan.source).is_ok();
        let (candidate, active) = (self.candidate().filter(|_| both)?, self.status.active?);
        Some((self.requests_of(plan, candidate)?, self.requests_of(plan, active)?))
    }

    fn requests_of(&self, plan: &Plan, color: Color) -> Option<Question> {
        let since = self.running().filter(|_| plan.told_apart)?.step_entered_at?;
        let subject = Subject::Metric(Metric::Requests, None);
        let wanted = Wanted { subject: &subject, window: WHOLE_STAGE, interval: COUNT_EVERY, since, urgent: false };
        self.ask(plan, color, &wanted)
    }

    /// A question about a color.
    pub(super) fn ask(&self, plan: &Plan, color: Color, wanted: &Wanted<'_>) -> Option<Question> {
        let meta = &self.s.rollout.metadata;
        // One that has ended still tells whom traffic was taken from.
        let attempt = self.status.attempt.as_ref()?;
        let alone = attempt.aside.is_nothing();
        let has_all =
            if self.candidate() == Some(color) { attempt.weight == 100 } else { attempt.weight == 0 && alone };
        // What a release has cost is added up from its start.
        let spend = wanted.subject.metric() == Some(Metric::RolloutSpend);
        let (since, window) = if spend { (attempt.started_at, WHOLE_STAGE) } else { (wanted.since, wanted.window) };
        let ask = metrics::Ask {
            provider: &plan.provider,
            rollout: meta.name.as_deref().unwrap_or_default(),
            revision: self.revision_of(color),
            namespace: release::namespace_of(&self.s.rollout, color),
            workload: self.pods(color),
            other: (!has_all).then(|| self.pods(color.other())),
            replicas: size::full(self).unwrap_or(plan.replicas),
            color,
            subject: wanted.subject,
            since,
            window,
            interval: wanted.interval,
            urgent: wanted.urgent,
        };
        // A plan is only made of what can be asked.
        let scaled = self.made().is_some_and(|made| made.template.autoscaler.is_some());
        if scaled || !ask::lasts(wanted.subject) {
            return metrics::question(&plan.source, &ask).ok();
        }
        let about = (wanted.subject, color, has_all);
        let queries = self.meant.queries(about, || ask::queries(&plan.source, &ask)).ok()?;
        Some(ask::asking(queries, &plan.source, &ask))
    }

    /// What a color stands for, where it is known.
    pub(super) fn revision_of(&self, color: Color) -> &str {
        let of_candidate = self.running().filter(|_| self.candidate() == Some(color)).map(|a| a.revision.as_str());
        let active = self.status.active_revision.as_deref().filter(|_| self.status.active == Some(color));
        of_candidate.or(active).unwrap_or_default()
    }

    /// Why the candidate's figures prove nothing: far less of the traffic reached it than was meant to.
    pub(super) fn starved(&self) -> Option<Starved> {
        let (candidate, active) = self.questions.share.as_ref()?;
        let (seen, other) = (self.counted(candidate)?, self.counted(active)?);
        let weight = self.running()?.weight;
        let meant = (seen + other) * i64::from(weight.tenths()) / 1000;
        // Half of what was meant, on so many requests, is no accident.
        (meant >= ENOUGH_TO_TELL && seen * 2 < meant).then_some(Starved { seen, of: seen + other, weight })
    }

    /// Requests that the candidate has answered in this stage; counted numbers only grow, so the largest counts.
    pub(super) fn requests(&self) -> Option<i64> {
        self.counted(self.questions.count.as_ref()?)
    }

    fn counted(&self, question: &Question) -> Option<i64> {
        let since = question.since;
        let readings = self.s.readings.get(question)?.iter().filter(|r| r.at >= since && r.at <= self.now());
        let counts = readings.filter_map(|r| r.outcome.as_ref().ok()).map(|s| s.value).filter(|n| n.is_finite());
        counts.max_by(f64::total_cmp).map(whole)
    }
}

/// A candidate that does not get its share.
pub(super) struct Starved {
    /// Requests that reached it.
    pub(super) seen: i64,
    /// Requests that reached either color.
    pub(super) of: i64,
    /// The share that was meant, in percent.
    pub(super) weight: Percent,
}

/// So many requests should have come before too few of them mean something.
const ENOUGH_TO_TELL: i64 = 50;

/// Whether a gate speaks about a step.
pub fn speaks(g: &PlannedGate, step: &PlannedStep) -> bool {
    chosen(g, step.gates.as_deref(), false, Heard { weight: step.weight, copies: step.aside.mirror.is_some() })
}

/// What the candidate gets to hear.
#[derive(Clone, Copy)]
struct Heard {
    weight: Percent,
    /// Of other people's requests, without a share.
    copies: bool,
}

fn chosen(g: &PlannedGate, only: Option<&[String]>, bake: bool, heard: Heard) -> bool {
    only.map_or_else(|| during(g, bake) && can_speak(g, heard), |names| names.contains(&g.name))
}

/// A gate is watched in this kind of stage.
const fn during(g: &PlannedGate, bake: bool) -> bool {
    if bake { g.in_bakes } else { g.in_steps }
}

/// Without traffic only the number of requests, alerts, and what an endpoint or a Job knows of the candidate can be judged; with
/// traffic nobody can demand silence. Copies are as good as traffic to whoever asks the candidate's own servers, but no
/// share: what is proved over the shares of a release begins with the first.
fn can_speak(g: &PlannedGate, heard: Heard) -> bool {
    match (&g.subject, heard) {
        (Subject::Alerts(_) | Subject::Number(_) | Subject::Job(_), _) => true,
        (_, Heard { weight: Percent::NONE, copies: true }) => g.test.proof().is_none() && !demands_silence(g),
        (subject, Heard { weight: Percent::NONE, copies: false }) => subject.metric() == Some(Metric::Requests),
        (Subject::Metric(..) | Subject::Above(..) | Subject::Query(_), _) => !demands_silence(g),
    }
}

fn demands_silence(g: &PlannedGate) -> bool {
    let counts = g.subject.metric() == Some(Metric::Requests);
    counts && matches!(g.test, Test::Equals(limit) if limit.value() < 0.5)
}

#[expect(clippy::cast_possible_truncation, reason = "a count of requests; `as` saturates")]
fn whole(count: f64) -> i64 {
    count.floor() as i64
}
