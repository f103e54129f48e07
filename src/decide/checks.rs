//! The checks of an attempt: each once, in their order, before the candidate comes up or when it is up and has no traffic
//! yet. One that fails, with no try left, ends the attempt. Never waits in the way of a way back.

use std::collections::BTreeMap;

use super::{
    answer::Answer,
    call::Call,
    checklist::{PlannedCheck, When},
    intent::Intent,
    look::{Begins, GRACE, Look, Looking},
    prepare,
    say::{self, Said},
    view::View,
};
use crate::api::{
    LlmRolloutStatus, Moment, Phase, Reason,
    checked::{CheckState, Checked},
};

/// All checks of one turn.
struct Round {
    checks: Vec<Checked>,
    begun: Vec<Intent>,
    calls: BTreeMap<String, Call>,
    /// What is still to come.
    rest: Option<Said>,
    failed: Option<Said>,
    wake: Moment,
}

/// Before the candidate comes up.
pub(super) fn before(v: &View<'_>) -> Option<Answer> {
    let mut round = round(v, turn(v).filter(|when| *when == When::Before)?)?;
    let rest = round.rest.take();
    let over = rest.is_none();
    let phase = if over { Phase::Preparing } else { Phase::Preflight };
    let said = rest.map_or_else(|| v.candidate().map(|color| say::coming_up(v, color)), Some)?;
    let answer = round.answer(v, phase, said);
    if !over || answer.wants_live {
        return Some(answer);
    }
    Some(answer.by(v.now()).changing(|s| {
        if let Some(attempt) = s.attempt.as_mut() {
            attempt.checked_at = Some(v.now());
            attempt.clock_from = v.now();
        }
    }))
}

/// When the candidate is up, before it gets any traffic.
pub(super) fn of_candidate(v: &View<'_>) -> Option<Answer> {
    let mut round = round(v, turn(v).filter(|when| *when == When::Up)?)?;
    let known = v.running().is_some_and(|a| a.checks == round.checks);
    let said = match round.rest.take() {
        Some(said) => said,
        None if known => return None,
        None => say::coming_up(v, v.candidate()?),
    };
    Some(round.answer(v, Phase::Preparing, said))
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

/// Whose turn it is, if it is any check's. Of what was good recently is not asked again whether it may begin, but whether
/// it works.
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
    let planned: Vec<&PlannedCheck> =
        v.plan.ok().into_iter().flat_map(|p| &p.checks).filter(|c| c.when == when).collect();
    let (checks, calls, begun) = (attempt.checks.clone(), BTreeMap::new(), Vec::new());
    let mut round = Round { checks, begun, calls, rest: None, failed: None, wake: v.now() };
    for (number, check) in (1..).zip(&planned) {
        let known = attempt.checks.iter().find(|c| c.name == check.name);
        let look = match known.map(|c| c.state) {
            Some(CheckState::Passed) => continue,
            Some(CheckState::Failed) => Look::Failed(known?.clone()),
            Some(CheckState::Running) | None => Looking { v, attempt, check, known }.look(),
        };
        if !round.takes(v, check, (number, planned.len()), look) {
            break;
        }
    }
    Some(round)
}

impl Round {
    /// Takes in how far a check is; says whether the next one has its turn.
    fn takes(&mut self, v: &View<'_>, check: &PlannedCheck, place: (usize, usize), look: Look) -> bool {
        let soon = v.now().plus(GRACE);
        match look {
            Look::Passed(passed, writes) => {
                self.begun.extend(writes);
                self.put(passed);
                return true;
            }
            Look::Waits(said) => {
                self.wake = soon;
                self.rest = Some(said);
            }
            Look::Goes(goes, begins) => {
                self.wake = goes.at.plus(check.timeout).max(soon);
                self.rest = Some(running(check, place, &goes));
                match begins {
                    Begins::Nothing => {}
                    Begins::Job(job) => self.begun.push(job),
                    Begins::Call(name, call) => drop(self.calls.insert(name, *call)),
                }
                self.put(goes);
            }
            Look::Failed(failed) => {
                self.failed = Some(fails(&failed));
                self.rest.clone_from(&self.failed);
                self.put(failed);
            }
        }
        false
    }

    fn put(&mut self, check: Checked) {
        match self.checks.iter_mut().find(|c| c.name == check.name) {
            Some(old) => *old = check,
            None => self.checks.push(check),
        }
    }

    /// What is to be done and written down. A router is only written after it was read from the API server.
    fn answer(self, v: &View<'_>, phase: Phase, said: Said) -> Answer {
        let writes = self.begun.iter().any(|intent| matches!(intent, Intent::Patch(_)));
        let mut answer = Answer::new(v, phase, said).doing(self.begun).by(self.wake);
        if writes && !v.s.live {
            return answer.after_a_live_look();
        }
        answer.calls = self.calls;
        answer.changing(|s| put(s, self.checks))
    }
}

fn running(check: &PlannedCheck, (number, of): (usize, usize), goes: &Checked) -> Said {
    let again = if goes.tries > 1 { format!(", try {} of {}", goes.tries, check.tries) } else { String::new() };
    say::said(Reason::Checking, format!("check {} is under way, {number} of {of}{again}", check.name))
}

fn fails(failed: &Checked) -> Said {
    say::said(Reason::CheckFailed, format!("check {} failed: {}", failed.name, failed.message))
}
