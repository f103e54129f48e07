//! How far one check is that has neither passed nor failed, by its kind: a Job, requests to the candidate, baselines, the way
//! back on trial. Never decides whose turn it is.

use std::time::Duration;

use super::{
    call::{Call, Called, Wants},
    checklist::{Expected, PlannedCheck, What},
    criterion::Test,
    intent::Intent,
    room::Need,
    runs,
    say::{self, Said},
    size,
    snapshot::JobSeen,
    view::View,
};
use crate::{
    api::{
        Reason,
        checked::{CheckState, Checked},
        gates::ComparedTo,
        labels,
        status::Attempt,
    },
    metrics::{About, JobNumber, NoData, k6},
};

/// So much later than it must have ended, what nobody sees is gone.
pub(super) const GRACE: Duration = Duration::from_secs(30);
/// How long a request waits before it is tried again.
const BREATH: Duration = Duration::from_secs(5);
/// What a message of a check holds at most.
const LONGEST: usize = 240;

/// How far a check is.
pub(super) enum Look {
    /// It cannot begin.
    Waits(Said),
    /// It is under way.
    Goes(Checked, Begins),
    /// It is as it has to be; with the writes that prove it.
    Passed(Checked, Vec<Intent>),
    /// It is not, and no try is left.
    Failed(Checked),
}

/// What begins a check, or keeps it going.
pub(super) enum Begins {
    /// Nothing more is to be done.
    Nothing,
    /// A Job.
    Job(Intent),
    /// Requests, by their name.
    Call(String, Box<Call>),
}

/// One look at a check.
pub(super) struct Looking<'a> {
    pub(super) v: &'a View<'a>,
    pub(super) attempt: &'a Attempt,
    pub(super) check: &'a PlannedCheck,
    pub(super) known: Option<&'a Checked>,
}

impl Looking<'_> {
    pub(super) fn look(&self) -> Look {
        match &self.check.what {
            What::Job { cron_job, .. } => self.job(cron_job),
            What::Call(call) => self.call(call),
            What::Baseline => self.baseline(),
            What::Rehearsal => self.rehearsal(),
        }
    }

    fn tries(&self) -> i32 {
        self.known.map_or(1, |c| c.tries.max(1))
    }

    fn now(&self, state: CheckState, message: String) -> Checked {
        let (name, at, tries) = (self.check.name.clone(), self.v.now(), self.tries());
        Checked { name, state, at, tries, message: clipped(message) }
    }

    fn passed(&self, message: String) -> Look {
        Look::Passed(self.now(CheckState::Passed, message), Vec::new())
    }

    fn failed(&self, message: String) -> Look {
        Look::Failed(self.now(CheckState::Failed, message))
    }

    fn goes(&self, begins: Begins) -> Look {
        Look::Goes(self.known.cloned().unwrap_or_else(|| self.now(CheckState::Running, String::new())), begins)
    }

    /// Whether what was begun must have ended by now, and some more.
    fn over(&self) -> bool {
        self.known.is_some_and(|begun| self.v.now() >= begun.at.plus(self.check.timeout + GRACE))
    }

    /// It failed: the next try, if there is one.
    fn again(&self, why: String) -> Look {
        let tries = self.tries();
        if tries >= self.check.tries {
            return self.failed(why);
        }
        let next = Checked { tries: tries + 1, ..self.now(CheckState::Running, format!("try {tries}: {why}")) };
        Looking { known: Some(&next), ..*self }.begin()
    }

    /// The name of this try.
    fn name(&self) -> String {
        runs::name(self.v, self.attempt, &["check", &self.check.name, &self.tries().to_string()])
    }

    /// A try begins, if there is what it is made of.
    fn begin(&self) -> Look {
        match &self.check.what {
            What::Job { cron_job, .. } => self.begin_job(cron_job),
            What::Call(call) => self.begin_call(call),
            What::Baseline | What::Rehearsal => self.goes(Begins::Nothing),
        }
    }

    fn job(&self, cron_job: &str) -> Look {
        match self.v.s.jobs.get(&self.name()) {
            Some(JobSeen::Running) => self.goes(Begins::Nothing),
            Some(JobSeen::Failed { why, words }) => self.again(with_words(why, words.as_deref())),
            Some(JobSeen::Done { at, words }) => match self.judged(words.as_deref()) {
                Ok(good) => self.passed(good),
                Err(Bad::Number(why)) => self.failed(why),
                // Its pod may be told of a little later than the Job itself.
                Err(Bad::Unreadable(_)) if self.v.now() < at.plus(GRACE) => self.goes(Begins::Nothing),
                Err(Bad::Unreadable(why)) => self.again(why.to_owned()),
            },
            None if self.over() => self.again("its Job is gone".to_owned()),
            // What is written down was begun: it is never begun again.
            None if self.known.is_some() => self.goes(Begins::Nothing),
            None => self.fresh(cron_job).map_or_else(|| self.begin(), |good| self.passed(good)),
        }
    }

    fn begin_job(&self, cron_job: &str) -> Look {
        let Some(template) = self.v.s.cron_jobs.get(cron_job) else {
            let name = &self.check.name;
            let words = format!("check {name} waits: there is no CronJob {cron_job} in this namespace");
            return Look::Waits(say::said(Reason::CheckWaits, words));
        };
        let label = self.check.name.rsplit('/').next().unwrap_or_default();
        let run = runs::Run {
            job: self.name(),
            label: (labels::CHECK, label),
            timeout: self.check.timeout,
            more: vec![("LLMROLLOUT_ATTEMPT", self.attempt.id.to_string())],
        };
        let there = self.v.s.jobs.contains_key(&run.job);
        let made = || Begins::Job(runs::made(self.v, self.attempt, &run, template));
        self.goes(if there { Begins::Nothing } else { made() })
    }

    /// An earlier run of the `CronJob` that is recent enough to count.
    fn fresh(&self, cron_job: &str) -> Option<String> {
        let What::Job { max_age: Some(most), .. } = self.check.what else { return None };
        let at = *self.v.s.succeeded.get(cron_job)?;
        let recent = at <= self.v.now() && self.v.now().since(at) <= most;
        recent.then(|| format!("CronJob {cron_job} ended well at {at}"))
    }

    /// What a Job that ended well left, held against what is expected; the good numbers in words.
    fn judged(&self, words: Result<&str, &&'static str>) -> Result<String, Bad> {
        let of_k6 = matches!(self.check.what, What::Job { k6: true, .. });
        if self.check.expect.is_empty() && !of_k6 {
            return Ok(String::new());
        }
        let words = words.map_err(|why| Bad::Unreadable(why))?;
        if of_k6 {
            let crossed = k6::crossed(words).map_err(|why| Bad::Number(why.to_owned()))?;
            if !crossed.is_empty() {
                return Err(Bad::Number(format!("k6 crossed {}", crossed.join(", "))));
            }
        }
        let told = |e: &Expected| {
            let (cron_job, timeout) = (String::new(), self.check.timeout);
            match (JobNumber { cron_job, field: e.field.clone(), timeout }).told(words) {
                Ok(sample) => held(e, sample.value),
                Err(NoData::Job(why)) => Err(format!("{}: {why}", e.field)),
                Err(why) => Err(format!("{}: {why}", e.field)),
            }
        };
        let held = self.check.expect.iter().map(told).collect::<Result<Vec<_>, _>>();
        held.map(|good| good.join(", ")).map_err(Bad::Number)
    }

    fn call(&self, call: &Call) -> Look {
        match self.v.s.called.get(&self.name()) {
            Some(Called::Bad(why)) => self.again(why.clone()),
            Some(Called::Good { words, numbers }) => {
                let told = |e: &Expected| {
                    let found =
                        numbers.get(&e.field).ok_or_else(|| format!("{}: its answer holds no such number", e.field));
                    found.and_then(|value| held(e, *value))
                };
                match self.check.expect.iter().map(told).collect::<Result<Vec<_>, _>>() {
                    Ok(good) => self.passed([vec![words.clone()], good].concat().join(", ")),
                    Err(why) => self.failed(why),
                }
            }
            // An operator that has begun anew asks once more: a look changes nothing.
            Some(Called::Going) | None => self.begin_call(call),
        }
    }

    fn begin_call(&self, call: &Call) -> Look {
        let Some(color) = self.v.candidate() else { return self.goes(Begins::Nothing) };
        let after = if self.tries() > 1 { BREATH } else { Duration::ZERO };
        if let Some((name, _)) = call.endpoint.as_deref() {
            let meta = &self.v.s.rollout.metadata;
            let about = About {
                namespace: meta.namespace.clone().unwrap_or_default(),
                name: meta.name.clone().unwrap_or_default(),
                color: color.word(),
                revision: self.attempt.revision.clone(),
            };
            let endpoint = Some(Box::new((name.clone(), about)));
            return self.goes(Begins::Call(self.name(), Box::new(Call { endpoint, after, ..call.clone() })));
        }
        if let Wants::Told(test) = &call.wants {
            let wants = Wants::Told(Box::new(test.of(&self.v.s.rollout, self.attempt, self.v.now())));
            return self.goes(Begins::Call(self.name(), Box::new(Call { wants, after, ..call.clone() })));
        }
        if let Wants::Room(need) = &call.wants {
            let name = self.v.s.rollout.metadata.name.clone().unwrap_or_default();
            let replicas = size::full(self.v).unwrap_or(need.replicas);
            let wants = Wants::Room(Box::new(Need { of: Some((name, color)), replicas, ..(**need).clone() }));
            return self.goes(Begins::Call(self.name(), Box::new(Call { wants, after, ..call.clone() })));
        }
        // The candidate is up, so whoever answers behind its Service is of this revision.
        let to: Vec<String> = self.v.s.color(color).addresses.iter().map(|ip| at(ip, call.port)).collect();
        if to.is_empty() {
            let words = format!("check {} waits: no ready pod of {} has an address", self.check.name, color.word());
            return Look::Waits(say::said(Reason::CheckWaits, words));
        }
        self.goes(Begins::Call(self.name(), Box::new(Call { to, after, ..call.clone() })))
    }

    fn baseline(&self) -> Look {
        let Ok(plan) = self.v.plan else { return self.goes(Begins::Nothing) };
        if self.v.status.active.is_none() {
            return self.passed("nothing serves that anything could be compared with".to_owned());
        }
        let known = |gate: &str| self.attempt.references.iter().find(|r| r.gate == gate);
        let mut wanted = plan.gates.iter().filter(|g| g.against == Some(ComparedTo::Baseline));
        let missing = wanted.clone().find(|g| known(&g.name).is_none());
        match missing {
            None => {
                let all: Vec<String> = wanted
                    .by_ref()
                    .filter_map(|g| Some(format!("{} {}", g.name, g.unit.show(known(&g.name)?.value.parse().ok()?))))
                    .collect();
                self.passed(all.join(", "))
            }
            Some(gate) if self.known.is_some_and(|c| self.v.now() >= c.at.plus(self.check.timeout)) => {
                self.again(format!("{} has no figure to be compared with later", gate.name))
            }
            Some(_) => self.goes(Begins::Nothing),
        }
    }

    /// Every router takes the share that it has by the write that a way back uses. One that is refused stops the pass, and
    /// nothing is written down.
    fn rehearsal(&self) -> Look {
        let Some(active) = self.v.status.active else {
            return self.passed("nothing serves to go back to".to_owned());
        };
        if self.v.ready(active) == 0 {
            let words = format!("check {} waits: no pod of {} is ready to go back to", self.check.name, active.word());
            return Look::Waits(say::said(Reason::CheckWaits, words));
        }
        let routers: Vec<_> = self.v.routers().map(|(claim, _)| claim.name()).collect();
        let words = format!("{} took the full share of {} again", routers.join(" and "), active.word());
        let writes = self.v.rewrites(active);
        Look::Passed(self.now(CheckState::Passed, words), writes)
    }
}

/// Why what a Job left is not good enough.
enum Bad {
    /// There is nothing to read.
    Unreadable(&'static str),
    /// A number is not as it has to be.
    Number(String),
}

/// A number held against what is expected; in words either way.
fn held(e: &Expected, value: f64) -> Result<String, String> {
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

/// `10.0.0.1:8000` or `[fd00::1]:8000`.
fn at(ip: &str, port: i32) -> String {
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}

/// Why a Job failed, with what it said itself.
pub(super) fn with_words(why: &str, words: Option<&str>) -> String {
    let said = words.map(|w| w.split_whitespace().collect::<Vec<_>>().join(" ")).filter(|w| !w.is_empty());
    clipped(said.map_or_else(|| why.to_owned(), |said| format!("{why}: {said}")))
}

/// Somebody else's words, as far as they fit and can be shown.
pub(super) fn clipped(words: String) -> String {
    if words.chars().count() <= LONGEST && !words.contains(char::is_control) {
        return words;
    }
    let shown: String = words.chars().filter(|c| !c.is_control()).take(LONGEST - 1).collect();
    format!("{shown}…")
}
