//! What the manifest wants checked before the steps and run beside them, read once: typed, defaulted, complete. Never looks at
//! status, time or the cluster.

use std::time::Duration;

use super::{
    criterion::{self, Test},
    plan::{Wrong, duration_or, invalid},
};
use crate::api::{
    LlmRolloutSpec,
    checks::{Check, Expect, Hook, Run},
    gates::Gate,
    sources::Job,
};

/// How long a try may take unless the manifest says otherwise.
const TIMEOUT: u64 = 15 * 60;

/// One check.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedCheck {
    /// Its name.
    pub name: String,
    /// When its turn is.
    pub when: When,
    /// The `CronJob` whose template is run.
    pub cron_job: String,
    /// Whether its last words are a summary of k6, whose thresholds count.
    pub k6: bool,
    /// How old an earlier run may be that counts as well.
    pub max_age: Option<Duration>,
    /// How long one try may take.
    pub timeout: Duration,
    /// How many tries there are.
    pub tries: i32,
    /// What its numbers have to be.
    pub expect: Vec<Expected>,
}

/// When a check's turn is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Before the candidate comes up.
    Before,
    /// When it is up and has no traffic yet.
    Up,
}

/// What a number has to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// Its name.
    pub field: String,
    /// What it is held against.
    pub test: Test,
}

/// One hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedHook {
    /// When it is run.
    pub point: Point,
    /// Its name.
    pub name: String,
    /// The `CronJob` whose template is run.
    pub cron_job: String,
    /// How long it may take.
    pub timeout: Duration,
}

/// When a hook is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// A step has passed.
    AfterStep,
    /// The way back begins.
    BeforeRollback,
    /// Everything is back.
    AfterRollback,
    /// The revision is live.
    AfterPromotion,
}

impl Point {
    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::AfterStep => "afterStep",
            Self::BeforeRollback => "beforeRollback",
            Self::AfterRollback => "afterRollback",
            Self::AfterPromotion => "afterPromotion",
        }
    }
}

/// The checks in their order, or the first thing that is wrong with them.
pub(super) fn checks(spec: &LlmRolloutSpec) -> Result<Vec<PlannedCheck>, Wrong> {
    spec.preflight.iter().map(check).collect()
}

fn check(c: &Check) -> Result<PlannedCheck, Wrong> {
    let one = |run: &Run, when, k6| (run.cron_job.clone(), when, k6);
    let job = c.job.as_ref().map(|run| one(run, When::Before, false));
    let Some((cron_job, when, k6)) = job.or_else(|| c.k6.as_ref().map(|run| one(run, When::Up, true))) else {
        return Err(invalid(format!(
            "preflight: {}: each item is exactly one of `job` and `k6`; write for example `job: {{cronJob: backup}}`",
            c.name
        )));
    };
    Ok(PlannedCheck {
        name: c.name.clone(),
        when,
        cron_job,
        k6,
        max_age: c.max_age.as_ref().map(|age| duration_or(Some(age), 0, "preflight.maxAge")).transpose()?,
        timeout: duration_or(c.timeout.as_ref(), TIMEOUT, "preflight.timeout")?,
        tries: 1 + c.retries.unwrap_or(0).clamp(0, 5),
        expect: c.expect.iter().map(|e| expected(&c.name, e)).collect::<Result<_, _>>()?,
    })
}

/// The words of gates mean the same here.
fn expected(check: &str, e: &Expect) -> Result<Expected, Wrong> {
    let gate = Gate {
        name: e.value.clone(),
        job: Some(Job { value: e.value.clone(), ..Job::default() }),
        max: e.max.clone(),
        min: e.min.clone(),
        between: e.between.clone(),
        equals: e.equals.clone(),
        target: e.target.clone(),
        tolerance: e.tolerance.clone(),
        ..Gate::default()
    };
    let (test, _) =
        criterion::read(&gate).map_err(|why| invalid(format!("preflight: {check}: expect: {}: {why}", e.value)))?;
    Ok(Expected { field: e.value.clone(), test })
}

/// The hooks in the order in which they are run.
pub(super) fn hooks(spec: &LlmRolloutSpec) -> Result<Vec<PlannedHook>, Wrong> {
    let Some(hooks) = &spec.hooks else { return Ok(Vec::new()) };
    let all = [
        (Point::AfterStep, &hooks.after_step),
        (Point::BeforeRollback, &hooks.before_rollback),
        (Point::AfterRollback, &hooks.after_rollback),
        (Point::AfterPromotion, &hooks.after_promotion),
    ];
    all.into_iter().flat_map(|(point, hooks)| hooks.iter().map(move |h| hook(point, h))).collect()
}

fn hook(point: Point, h: &Hook) -> Result<PlannedHook, Wrong> {
    let timeout = duration_or(h.timeout.as_ref(), TIMEOUT, "hooks.timeout")?;
    Ok(PlannedHook { point, name: h.name.clone(), cron_job: h.job.cron_job.clone(), timeout })
}
