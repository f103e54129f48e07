//! Requests to the candidate and Jobs beside it: when they end, and what comes of them. Each ends well unless the scenario
//! says otherwise. Never decides what is sent or run.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{figures, hands::A_WHILE, scenario::Ending, world::World};
use crate::{
    api::Moment,
    decide::{
        call::{Call, Called, Wants},
        checklist::{PlannedCheck, What},
        plan::Plan,
        snapshot::JobSeen,
    },
};

/// Requests that are under way, or were answered.
#[derive(Clone, Debug)]
pub(super) struct Ringing {
    call: Call,
    /// The check that they are of.
    about: String,
    /// When they are answered, if they are.
    pub(super) ends: Option<Moment>,
    pub(super) seen: Called,
}

/// A check as its Jobs are labeled, and as a scenario calls it.
pub(super) fn short(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or_default()
}

impl World {
    /// What is wanted no more is forgotten; what is new goes out.
    pub(super) fn call(&mut self, calls: &BTreeMap<String, Call>) {
        self.called.retain(|name, _| calls.contains_key(name));
        if calls.keys().all(|name| self.called.contains_key(name)) {
            return;
        }
        let plan = self.plan().ok();
        for (name, call) in calls {
            if self.called.contains_key(name) {
                continue;
            }
            let about = plan.iter().find_map(|plan| check_of(plan, call)).unwrap_or_default();
            let hangs = self.endings.get(&about) == Some(&Ending::Hangs);
            let ends = (!hangs).then(|| self.now.plus(A_WHILE));
            let whom = match (&call.wants, &call.endpoint) {
                (Wants::Room(_), _) => "room",
                (Wants::Told(notice), _) => &notice.channel,
                (_, Some(asked)) => &asked.0,
                (_, None) => &call.path,
            };
            self.timeline.write(self.now, format!("call {whom} of check {about}"));
            self.called.insert(name.clone(), Ringing { call: call.clone(), about, ends, seen: Called::Going });
        }
    }

    /// Jobs and requests whose time has come end as they were told to, or well.
    pub(super) fn end_runs(&mut self) {
        let now = self.now;
        let over = |ends: Option<Moment>| ends.is_some_and(|at| at <= now);
        let jobs =
            self.jobs.iter().filter(|(_, run)| over(run.ends)).map(|(name, run)| (name.clone(), run.about.clone()));
        for (name, about) in jobs.collect::<Vec<_>>() {
            let seen = self.job_ends(&about);
            if let Some(run) = self.jobs.get_mut(&name) {
                (run.seen, run.ends) = (seen, None);
            }
        }
        let calls: Vec<_> =
            self.called.iter().filter(|(_, c)| over(c.ends)).map(|(n, c)| (n.clone(), c.clone())).collect();
        for (name, ringing) in calls {
            let seen = self.is_answered(&ringing);
            self.called.insert(name, Ringing { seen, ends: None, ..ringing });
        }
    }

    fn job_ends(&self, about: &str) -> JobSeen {
        let at = self.now;
        match self.endings.get(about) {
            Some(Ending::Fails(words)) => {
                let words = Some(words.clone()).filter(|words| !words.is_empty());
                JobSeen::Failed { why: "its pods failed too often", words }
            }
            Some(Ending::Says(words)) => JobSeen::Done { at, words: Ok(words.clone()) },
            Some(Ending::Hangs) | None => JobSeen::Done { at, words: Ok(self.good_words(about).to_string()) },
        }
    }

    fn is_answered(&self, Ringing { call, about, .. }: &Ringing) -> Called {
        let good = |told: &Value| {
            let wanted = match &call.wants {
                Wants::Answer { numbers, .. } => numbers.as_slice(),
                Wants::Warmth { .. } | Wants::Room(_) | Wants::Told(_) => &[],
            };
            let number = |name: &String| Some((name.clone(), told.get(name)?.as_f64()?));
            Called::Good { words: "answered as wanted".to_owned(), numbers: wanted.iter().filter_map(number).collect() }
        };
        match self.endings.get(about) {
            Some(Ending::Fails(words)) if words.is_empty() => Called::Bad("it answered HTTP 503".to_owned()),
            Some(Ending::Fails(words)) => Called::Bad(words.clone()),
            Some(Ending::Says(words)) => good(&serde_json::from_str(words).unwrap_or_default()),
            Some(Ending::Hangs) | None => good(&self.good_words(about)),
        }
    }

    /// What is said when all is well.
    fn good_words(&self, about: &str) -> Value {
        let Ok(plan) = self.plan() else { return Value::Null };
        let gate = plan.gates.iter().find(|gate| gate.name == about).and_then(|gate| self.figures.of_job(gate));
        let check = || plan.course.checks.iter().find(|check| short(&check.name) == about).map(figures::of_check);
        gate.or_else(check).unwrap_or_else(|| json!({}))
    }

    /// Those that run for this end now, or hang.
    pub(super) fn hurry(&mut self, about: &str, hangs: bool) {
        let ends = (!hangs).then_some(self.now);
        let jobs = self.jobs.values_mut().filter(|run| run.about == about && run.seen == JobSeen::Running);
        jobs.for_each(|run| run.ends = ends);
        let calls = self.called.values_mut().filter(|call| call.about == about && call.seen == Called::Going);
        calls.for_each(|call| call.ends = ends);
        self.end_runs();
    }
}

/// The check that a call is of: pods are filled in when it is made.
fn check_of(plan: &Plan, call: &Call) -> Option<String> {
    let is = |check: &&PlannedCheck| match &check.what {
        What::Call(of) => (&of.path, &of.body) == (&call.path, &call.body) && alike(&of.wants, &call.wants),
        What::Job { .. } | What::Baseline | What::Rehearsal => false,
    };
    plan.course.checks.iter().find(is).map(|check| short(&check.name).to_owned())
}

/// What is filled in when a call is made tells none from another.
fn alike(planned: &Wants, made: &Wants) -> bool {
    match (planned, made) {
        (Wants::Room(planned), Wants::Room(made)) => planned.nodes == made.nodes,
        (Wants::Told(planned), Wants::Told(made)) => planned.channel == made.channel,
        _ => planned == made,
    }
}
