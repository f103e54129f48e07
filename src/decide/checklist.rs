//! What the manifest wants checked before the steps and run beside them, read once: typed, defaulted, complete. Never looks at
//! status, time or the cluster.

use std::time::Duration;

use super::{
    call::{Call, Wants},
    criterion::{self, Test},
    plan::{Wrong, duration_or, invalid},
    room::Need,
    tidings::Notice,
};
use crate::{
    api::{
        LlmRolloutSpec,
        checks::{Capacity, Check, CheckHttp, Expect, Hook, Run},
        gates::Gate,
        smoke::{Answer, HttpMethod, Smoke, SmokeHttp, WarmUp},
        sources::Job,
    },
    metrics::{About, Limit},
};

/// How long a try may take unless the manifest says otherwise.
const TIMEOUT: u64 = 15 * 60;
/// The same of a request, and of the warm-up.
const OF_A_REQUEST: u64 = 30;
const OF_THE_WARM_UP: u64 = 10 * 60;

/// One check.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedCheck {
    /// Its name.
    pub name: String,
    /// When its turn is.
    pub when: When,
    /// What is done.
    pub what: What,
    /// How long one try may take.
    pub timeout: Duration,
    /// How many tries there are.
    pub tries: i32,
    /// What its numbers have to be.
    pub expect: Vec<Expected>,
}

/// What a check does.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A Job is run.
    Job {
        /// The `CronJob` whose template is run.
        cron_job: String,
        /// Whether its last words are a summary of k6, whose thresholds count.
        k6: bool,
        /// How old an earlier run may be that counts as well.
        max_age: Option<Duration>,
    },
    /// Requests are sent to the candidate or to an endpoint; whom exactly is filled in when it is done.
    Call(Call),
    /// Baselines are waited for.
    Baseline,
    /// The way back is walked once.
    Rehearsal,
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

/// The checks in the order in which they are asked, or the first thing that is wrong with them.
pub(super) fn checks(spec: &LlmRolloutSpec) -> Result<Vec<PlannedCheck>, Wrong> {
    let warm_up = spec.warm_up.iter().map(|w| warm_up(spec, w));
    warm_up
        .chain(spec.smoke.iter().map(|s| smoke(spec, s)))
        .chain(spec.preflight.iter().map(|c| check(spec, c)))
        .collect()
}

fn check(spec: &LlmRolloutSpec, c: &Check) -> Result<PlannedCheck, Wrong> {
    let max_age = c.max_age.as_ref().map(|age| duration_or(Some(age), 0, "preflight.maxAge")).transpose()?;
    let usual = if c.http.is_some() || c.notification.is_some() { OF_A_REQUEST } else { TIMEOUT };
    let timeout = duration_or(c.timeout.as_ref(), usual, "preflight.timeout")?;
    let expect = c.expect.iter().map(|e| expected("preflight", &c.name, e)).collect::<Result<Vec<_>, _>>()?;
    let asked = c.http.as_ref().map(|http| ask(http, &expect, timeout)).transpose()?;
    let room = c.capacity.as_ref().map(|capacity| room(spec, capacity, timeout)).transpose()?;
    let job = |run: &Run, k6| What::Job { cron_job: run.cron_job.clone(), k6, max_age };
    let all = [
        c.job.as_ref().map(|run| (When::Before, job(run, false))),
        asked.map(|call| (When::Before, What::Call(call))),
        room.map(|call| (When::Before, What::Call(call))),
        c.notification.as_ref().map(|test| (When::Before, What::Call(told(&test.channel, timeout)))),
        c.k6.as_ref().map(|run| (When::Up, job(run, true))),
        c.baseline.as_ref().map(|_| (When::Before, What::Baseline)),
        c.rehearsal.as_ref().map(|_| (When::Before, What::Rehearsal)),
    ];
    let mut written = all.into_iter().flatten();
    let (Some((when, what)), None) = (written.next(), written.next()) else {
        let kinds = "`job`, `http`, `capacity`, `notification`, `k6`, `baseline` and `rehearsal`";
        let example = "write for example `job: {cronJob: backup}`";
        return Err(invalid(format!("preflight: {}: each item is exactly one of {kinds}; {example}", c.name)));
    };
    Ok(PlannedCheck { name: c.name.clone(), when, what, timeout, tries: tries(c.retries), expect })
}

/// How many there are, and whose, is filled in when it is done.
fn room(spec: &LlmRolloutSpec, capacity: &Capacity, timeout: Duration) -> Result<Call, Wrong> {
    let elsewhere = || {
        invalid(
            "preflight: `capacity` looks for room for the pods of `release.template`; leave it out where somebody else makes them",
        )
    };
    let template = spec.release.made().ok_or_else(elsewhere)?;
    // A template that is none is refused by the API server's own words, when it is applied.
    let pod = template.pod_template.0.get("spec").cloned().and_then(|pod| serde_json::from_value(pod).ok());
    let (replicas, nodes) = (template.replicas.unwrap_or(1), capacity.nodes.unwrap_or(1));
    let need = Need { replicas, nodes, pod: pod.unwrap_or_default(), of: None };
    Ok(Call { wants: Wants::Room(Box::new(need)), ..nobody(timeout) })
}

/// On whose behalf is filled in when it is told.
fn told(channel: &str, timeout: Duration) -> Call {
    Call { wants: Wants::Told(Box::new(Notice::test(channel))), ..nobody(timeout) }
}

/// A request of which nothing is known yet.
fn nobody(timeout: Duration) -> Call {
    Call {
        to: Vec::new(),
        endpoint: None,
        port: 0,
        path: String::new(),
        body: None,
        method: None,
        headers: None,
        wants: Wants::Answer { status: None, contains: None, within: None, numbers: Vec::new() },
        timeout,
        after: Duration::ZERO,
    }
}

/// A GET; whom it is about is filled in when it is done.
fn ask(http: &CheckHttp, expect: &[Expected], timeout: Duration) -> Result<Call, Wrong> {
    Ok(Call {
        endpoint: Some(Box::new((http.name.clone(), About::default()))),
        headers: http.headers_from.as_ref().map(|from| from.secret.clone()),
        wants: answer(&http.answer, expect, "preflight.http.within")?,
        ..nobody(timeout)
    })
}

fn answer(answer: &Answer, expect: &[Expected], field: &str) -> Result<Wants, Wrong> {
    Ok(Wants::Answer {
        status: answer.status.and_then(|s| u16::try_from(s).ok()),
        contains: answer.contains.clone(),
        within: answer.within.as_ref().map(|w| moment(w, field)).transpose()?,
        numbers: expect.iter().map(|e| e.field.clone()).collect(),
    })
}

fn tries(retries: Option<i32>) -> i32 {
    1 + retries.unwrap_or(0).clamp(0, 5)
}

fn smoke(spec: &LlmRolloutSpec, s: &Smoke) -> Result<PlannedCheck, Wrong> {
    let expect = s.expect.iter().map(|e| expected("smoke", &s.name, e)).collect::<Result<Vec<_>, _>>()?;
    let usual = if s.http.is_some() { OF_A_REQUEST } else { TIMEOUT };
    let timeout = duration_or(s.timeout.as_ref(), usual, "smoke.timeout")?;
    let what = match (&s.http, &s.job) {
        (Some(http), None) => What::Call(request(spec, http, &expect, timeout)?),
        (None, Some(run)) => What::Job { cron_job: run.cron_job.clone(), k6: false, max_age: None },
        _ => {
            let example = "write for example `http: {path: /health}`";
            return Err(invalid(format!("smoke: {}: each item is exactly one of `http` and `job`; {example}", s.name)));
        }
    };
    let name = format!("smoke/{}", s.name);
    Ok(PlannedCheck { name, when: When::Up, what, timeout, tries: tries(s.retries), expect })
}

fn request(spec: &LlmRolloutSpec, http: &SmokeHttp, expect: &[Expected], timeout: Duration) -> Result<Call, Wrong> {
    Ok(Call {
        port: port(spec, http.port, "smoke.http")?,
        path: http.path.clone(),
        body: http.body.clone(),
        method: http.method.map(HttpMethod::word),
        headers: http.headers_from.as_ref().map(|from| from.secret.clone()),
        wants: answer(&http.answer, expect, "smoke.http.within")?,
        ..nobody(timeout)
    })
}

fn warm_up(spec: &LlmRolloutSpec, w: &WarmUp) -> Result<PlannedCheck, Wrong> {
    let timeout = duration_or(w.timeout.as_ref(), OF_THE_WARM_UP, "warmUp.timeout")?;
    let ttft = w.until.as_ref().map(|u| moment(&u.ttft, "warmUp.until.ttft"));
    let requests = w.requests.and_then(|n| u32::try_from(n).ok()).unwrap_or(1).max(1);
    let wants = Wants::Warmth { model: w.model.clone(), requests, first: ttft.transpose()? };
    let call = Call {
        port: port(spec, w.port, "warmUp")?,
        path: w.path.clone(),
        body: w.body.clone(),
        headers: w.headers_from.as_ref().map(|from| from.secret.clone()),
        wants,
        ..nobody(timeout)
    };
    let (name, expect) = ("warmUp".to_owned(), Vec::new());
    Ok(PlannedCheck { name, when: When::Up, what: What::Call(call), timeout, tries: 1, expect })
}

/// Where pods answer.
fn port(spec: &LlmRolloutSpec, own: Option<i32>, field: &str) -> Result<i32, Wrong> {
    let made = spec.release.made().map(|template| template.port);
    let missing = || {
        invalid(format!(
            "{field}: only with `release.template` is it known where pods answer; write for example `port: 8000` with \
             `release.pair`, or a `job` in place of the request"
        ))
    };
    own.filter(|_| spec.release.external.is_none()).or(made).ok_or_else(missing)
}

/// `2s`, `800ms` or `1.5s`.
fn moment(text: &str, field: &str) -> Result<Duration, Wrong> {
    match Limit::parse(text) {
        Ok(Limit::Seconds(most)) => Duration::try_from_secs_f64(most).ok(),
        _ => None,
    }
    .ok_or_else(|| invalid(format!("{field}: {text} is no time; write for example 2s or 800ms")))
}

/// The words of gates mean the same here.
fn expected(field: &str, check: &str, e: &Expect) -> Result<Expected, Wrong> {
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
        criterion::read(&gate).map_err(|why| invalid(format!("{field}: {check}: expect: {}: {why}", e.value)))?;
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
