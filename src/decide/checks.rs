//! The checks of an attempt: each once, in their order, before the candidate comes up or when it is up and has no traffic
//! yet. One that fails, with no try left, ends the attempt. Never waits in the way of a way back.

use std::time::Duration;

use super::{
    answer::Answer,
    checklist::{Expected, PlannedCheck, When},
    criterion::Test,
    intent::Intent,
    prepare, runs,
    say::{self, Said},
    snapshot::JobSeen,
    view::View,
};
use crate::{
    api::{
        LlmRolloutStatus, Moment, Phase, Reason,
        checked::{CheckState, Checked},
        labels,
        status::Attempt,
    },
    metrics::{JobNumber, NoData, k6},
};

/// So much later than it must have ended, a Job that nobody sees is gone.
const GRACE: Duration = Duration::from_secs(30);
/// What a message of a check holds at most.
const LONGEST: usize = 240;

/// How far a check is.
enum Look {
    /// It cannot begin.
    Waits(Said),
    /// It is under way; with what begins it, if it has not begun.
    Goes(Checked, Option<Intent>),
    /// It is as it has to be.
    Passed(Checked),
    /// It is not, and no try is left.
    Failed(Checked),
}

/// All checks of one turn.
struct Round {
    checks: Vec<Checked>,
    begun: Vec<Intent>,
    /// What is still to come.
    rest: Option<Said>,
    failed: Option<Said>,
    wake: Moment,
}

/// Before the candidate comes up.
pub(super) fn before(v: &View<'_>) -> Option<Answer> {
    let round = round(v, turn(v).filter(|when| *when == When::Before)?)?;
    let Round { checks, begun, rest, wake, .. } = round;
    if let Some(said) = rest {
        let answer = Answer::new(v, Phase::Preflight, said).doing(begun).by(wake);
        return Some(answer.changing(|s| put(s, checks)));
    }
    let go = Answer::new(v, Phase::Preparing, say::coming_up(v, v.candidate()?)).by(v.now());
    Some(go.changing(|s| {
        put(s, checks);
        if let Some(attempt) = s.attempt.as_mut() {
            attempt.checked_at = Some(v.now());
            attempt.clock_from = v.now();
        }
    }))
}

/// When the candidate is up, before it gets any traffic.
pub(super) fn of_candidate(v: &View<'_>) -> Option<Answer> {
    let round = round(v, turn(v).filter(|when| *when == When::Up)?)?;
    let known = v.running().is_some_and(|a| a.checks == round.checks);
    let Round { checks, begun, rest, wake, .. } = round;
    let said = match rest {
        Some(said) => said,
        None if known => return None,
        None => say::coming_up(v, v.candidate()?),
    };
    Some(Answer::new(v, Phase::Preparing, said).doing(begun).by(wake).changing(|s| put(s, checks)))
}

/// Whether checks come before the candidate, and have not passed yet: until then it is not late.
pub(super) fn come_first(v: &View<'_>) -> bool {
    turn(v) == Some(When::Before)
}

/// Why the attempt goes back: a check failed.
pub(super) fn failed(v: &View<'_>) -> Option<Said> {
    round(v, turn(v)?)?.failed
}

/// What became of the checks is written down with whatever ends the attempt.
pub(super) fn keep(v: &View<'_>, status: &mut LlmRolloutStatus) {
    if let Some(round) = turn(v).and_then(|when| round(v, when)).filter(|round| round.failed.is_some()) {
        put(status, round.checks);
    }
}

fn put(status: &mut LlmRolloutStatus, checks: Vec<Checked>) {
    if let Some(attempt) = status.attempt.as_mut() {
        attempt.checks = checks;
    }
}

/// Whose turn it is, if it is any check's. What was good recently is not asked again whether it may begin, but whether it
/// works.
fn turn(v: &View<'_>) -> Option<When> {
    let attempt = v.running().filter(|a| a.step_entered_at.is_none() && a.cleared_at.is_some())?;
    let plan = v.plan.ok().filter(|_| v.status.intent.is_none())?;
    let any = |when| plan.checks.iter().any(|c| c.when == when);
    if attempt.checked_at.is_none() && !attempt.fast_track && any(When::Before) {
        return Some(When::Before);
    }
    (any(When::Up) && prepare::is_up(v)).then_some(When::Up)
}

/// Looks at the checks in their order, up to the first that has not passed.
fn round(v: &View<'_>, when: When) -> Option<Round> {
    let attempt = v.running()?;
    let planned = || v.plan.ok().into_iter().flat_map(|p| &p.checks).filter(|c| c.when == when);
    let of = planned().count();
    let mut round =
        Round { checks: attempt.checks.clone(), begun: Vec::new(), rest: None, failed: None, wake: v.now() };
    for (number, check) in (1..).zip(planned()) {
        let known = attempt.checks.iter().find(|c| c.name == check.name);
        let look = match known.map(|c| c.state) {
            Some(CheckState::Passed) => continue,
            Some(CheckState::Failed) => Look::Failed(known?.clone()),
            Some(CheckState::Running) | None => look(v, attempt, check, known),
        };
        match look {
            Look::Passed(passed) => {
                put_one(&mut round.checks, passed);
                continue;
            }
            Look::Waits(said) => {
                round.wake = v.now().plus(GRACE);
                round.rest = Some(said);
            }
            Look::Goes(goes, begins) => {
                round.wake = goes.at.plus(check.timeout + GRACE).max(v.now().plus(GRACE));
                round.rest = Some(running(check, number, of, &goes));
                round.begun.extend(begins);
                put_one(&mut round.checks, goes);
            }
            Look::Failed(failed) => {
                round.failed = Some(fails(&failed));
                round.rest.clone_from(&round.failed);
                put_one(&mut round.checks, failed);
            }
        }
        break;
    }
    Some(round)
}

fn put_one(checks: &mut Vec<Checked>, check: Checked) {
    match checks.iter_mut().find(|c| c.name == check.name) {
        Some(old) => *old = check,
        None => checks.push(check),
    }
}

/// How far a check is that has neither passed nor failed.
fn look(v: &View<'_>, attempt: &Attempt, check: &PlannedCheck, known: Option<&Checked>) -> Look {
    let tries = known.map_or(1, |c| c.tries.max(1));
    let now = |state, message: String| Checked { name: check.name.clone(), state, at: v.now(), tries, message };
    let again = |why: String| {
        if tries < check.tries {
            return start(v, attempt, check, tries + 1, format!("try {tries}: {why}"));
        }
        Look::Failed(now(CheckState::Failed, why))
    };
    match v.s.jobs.get(&job_name(v, attempt, check, tries)) {
        Some(JobSeen::Running) => {
            Look::Goes(known.cloned().unwrap_or_else(|| now(CheckState::Running, String::new())), None)
        }
        Some(JobSeen::Failed { why, words }) => again(with_words(why, words.as_deref())),
        Some(JobSeen::Done { at, words }) => match judged(check, words.as_deref()) {
            Ok(good) => Look::Passed(now(CheckState::Passed, good)),
            Err(Bad::Number(why)) => Look::Failed(now(CheckState::Failed, why)),
            // Its pod may be told of a little later than the Job itself.
            Err(Bad::Unreadable(_)) if v.now() < at.plus(GRACE) => {
                Look::Goes(known.cloned().unwrap_or_else(|| now(CheckState::Running, String::new())), None)
            }
            Err(Bad::Unreadable(why)) => again(why.to_owned()),
        },
        None => match known {
            // What is written down was begun: it is never begun again.
            Some(begun) if v.now() < begun.at.plus(check.timeout + GRACE) => Look::Goes(begun.clone(), None),
            Some(_) => again("its Job is gone".to_owned()),
            None => fresh(v, check).map_or_else(
                || start(v, attempt, check, 1, String::new()),
                |good| Look::Passed(now(CheckState::Passed, good)),
            ),
        },
    }
}

/// A try begins, if there is what it is made of.
fn start(v: &View<'_>, attempt: &Attempt, check: &PlannedCheck, tries: i32, message: String) -> Look {
    let Some(template) = v.s.cron_jobs.get(&check.cron_job) else {
        let (name, cron_job) = (&check.name, &check.cron_job);
        let words = format!("check {name} waits: there is no CronJob {cron_job} in this namespace");
        return Look::Waits(say::said(Reason::CheckWaits, words));
    };
    let run = runs::Run {
        job: job_name(v, attempt, check, tries),
        label: (labels::CHECK, &check.name),
        timeout: check.timeout,
        more: vec![("LLMROLLOUT_ATTEMPT", attempt.id.to_string())],
    };
    let begins = (!v.s.jobs.contains_key(&run.job)).then(|| runs::made(v, attempt, &run, template));
    let message = clipped(message);
    Look::Goes(Checked { name: check.name.clone(), state: CheckState::Running, at: v.now(), tries, message }, begins)
}

fn job_name(v: &View<'_>, attempt: &Attempt, check: &PlannedCheck, tries: i32) -> String {
    runs::name(v, attempt, &["check", &check.name, &tries.to_string()])
}

/// An earlier run of the `CronJob` that is recent enough to count.
fn fresh(v: &View<'_>, check: &PlannedCheck) -> Option<String> {
    let (most, at) = (check.max_age?, *v.s.succeeded.get(&check.cron_job)?);
    (at <= v.now() && v.now().since(at) <= most).then(|| format!("CronJob {} ended well at {at}", check.cron_job))
}

/// Why what a Job left is not good enough.
enum Bad {
    /// There is nothing to read.
    Unreadable(&'static str),
    /// A number is not as it has to be.
    Number(String),
}

/// What a Job that ended well left, held against what is expected; the good numbers in words.
fn judged(check: &PlannedCheck, words: Result<&str, &&'static str>) -> Result<String, Bad> {
    if check.expect.is_empty() && !check.k6 {
        return Ok(String::new());
    }
    let words = words.map_err(|why| Bad::Unreadable(why))?;
    if check.k6 {
        let crossed = k6::crossed(words).map_err(|why| Bad::Number(why.to_owned()))?;
        if !crossed.is_empty() {
            return Err(Bad::Number(clipped(format!("k6 crossed {}", crossed.join(", ")))));
        }
    }
    let held = check.expect.iter().map(|e| held(check, e, words)).collect::<Result<Vec<_>, _>>();
    held.map(|good| clipped(good.join(", "))).map_err(|why| Bad::Number(clipped(why)))
}

fn held(check: &PlannedCheck, e: &Expected, words: &str) -> Result<String, String> {
    let number = JobNumber { cron_job: check.cron_job.clone(), field: e.field.clone(), timeout: check.timeout };
    let value = match number.told(words) {
        Ok(sample) => sample.value,
        Err(NoData::Job(why)) => return Err(format!("{}: {why}", e.field)),
        Err(why) => return Err(format!("{}: {why}", e.field)),
    };
    let shown = e.test.limit().map_or_else(|| value.to_string(), |unit| unit.show(value));
    if e.test.band(None).is_some_and(|band| !band.breaks(value)) {
        return Ok(format!("{} {shown}", e.field));
    }
    Err(format!("{} is {shown}, which has to be {}", e.field, wanted(e.test)))
}

/// `at least 95%`
fn wanted(test: Test) -> String {
    let word = test.limit().map_or_else(String::new, |unit| test.word(unit, None));
    match test {
        Test::Max(_) => format!("at most {word}"),
        Test::Min(_) => format!("at least {}", word.trim_start_matches('≥')),
        Test::Above(..)
        | Test::Between(..)
        | Test::Equals(_)
        | Test::Target(..)
        | Test::Ratio(..)
        | Test::Change(..)
        | Test::Delta(_)
        | Test::Proved(_) => word.trim_start_matches('=').to_owned(),
    }
}

fn running(check: &PlannedCheck, number: usize, of: usize, goes: &Checked) -> Said {
    let again = if goes.tries > 1 { format!(", try {} of {}", goes.tries, check.tries) } else { String::new() };
    say::said(Reason::Checking, format!("check {} is under way, {number} of {of}{again}", check.name))
}

fn fails(failed: &Checked) -> Said {
    say::said(Reason::CheckFailed, format!("check {} failed: {}", failed.name, failed.message))
}

/// Why a Job failed, with what it said itself.
pub(super) fn with_words(why: &str, words: Option<&str>) -> String {
    let said = words.map(|w| w.split_whitespace().collect::<Vec<_>>().join(" ")).filter(|w| !w.is_empty());
    clipped(said.map_or_else(|| why.to_owned(), |said| format!("{why}: {said}")))
}

/// Somebody else's words, as far as they fit and can be shown.
fn clipped(words: String) -> String {
    if words.chars().count() <= LONGEST && !words.contains(char::is_control) {
        return words;
    }
    let shown: String = words.chars().filter(|c| !c.is_control()).take(LONGEST - 1).collect();
    format!("{shown}…")
}
