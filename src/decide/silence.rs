//! Traffic is home by what the routers say: whether nothing reaches the candidate any more, by its own counters. Never
//! keeps traffic from going back, nor a newer revision from starting.

use std::time::Duration;

use super::{plan::Plan, say_back, stage::Wanted, view::View};
use crate::{
    api::{Moment, gates::Metric, status::Home},
    metrics::{NoData, Question, Reading, Subject, ask},
};

/// An answer is on its way for so long at most.
const ANSWERED: Duration = Duration::from_secs(5);

/// What the counters say.
pub(super) enum Silence {
    /// Not enough yet; looked at again then.
    Listening(Moment),
    /// Nothing for as long as it takes.
    Proved,
    /// Requests that the candidate still answers, long after the last that was meant for it.
    Broken(i64),
    /// Nothing that could be told, and why.
    Unproved(String),
    /// No proof is asked for.
    NotAsked,
}

/// How many requests the candidate has answered since traffic is home, as long as that is to be proved.
pub(super) fn question(v: &View<'_>, plan: &Plan) -> Option<Question> {
    let home = running_proof(v)?;
    if plan.quiet_for.is_zero() || ask::counts_requests(&plan.source).is_err() {
        return None;
    }
    let subject = Subject::Metric(Metric::Requests, None);
    let interval = (plan.quiet_for / 8).clamp(Duration::from_secs(1), Duration::from_secs(15));
    let wanted = Wanted { subject: &subject, window: plan.quiet_for, interval, since: home.since, urgent: false };
    v.ask(plan, v.candidate()?, &wanted)
}

fn running_proof<'a>(v: &'a View<'_>) -> Option<&'a Home> {
    let home = v.running().filter(|_| v.going_back())?.home.as_ref()?;
    Some(home).filter(|home| home.silence.is_none())
}

/// Traffic is found at home: what can be known of the candidate's silence at all.
pub(super) fn begun(v: &View<'_>, home: &Home) -> Silence {
    let plan = match v.plan {
        Ok(plan) => plan,
        Err(wrong) => return Silence::Unproved(format!("the manifest is not understood ({})", wrong.reason)),
    };
    if plan.quiet_for.is_zero() {
        return Silence::NotAsked;
    }
    if ask::counts_requests(&plan.source).is_err() {
        return Silence::Unproved(say_back::nobody_counts(plan));
    }
    Silence::Listening(home.since.plus(plan.quiet_for))
}

/// What is known of it by now.
pub(super) fn heard(v: &View<'_>, home: &Home) -> Silence {
    match (&v.questions.silence, begun(v, home)) {
        (Some(question), Silence::Listening(_)) => {
            let newest = v.s.readings.get(question).and_then(|all| all.last());
            listen(question, newest, home.since.min(v.now()), v)
        }
        (_, cannot) => cannot,
    }
}

/// Whether what could be done about a candidate that still answers has had its time.
pub(super) fn given_up(v: &View<'_>, home: &Home) -> bool {
    v.questions.silence.as_ref().is_none_or(|q| v.now() >= home.since.plus(q.window.max(q.shortest) * 4))
}

/// One full window without a request is the proof. What was in flight when traffic went home ends in the first window;
/// whatever is counted in a whole later one has come since.
fn listen(question: &Question, newest: Option<&Reading>, since: Moment, v: &View<'_>) -> Silence {
    let window = question.window.max(question.shortest);
    let (first, second) = (since.plus(window), since.plus(window * 2));
    // An answer may be on its way, and an operator that was away has to ask first.
    let patience = question.interval * 2 + ANSWERED;
    let told_by = |end: Moment| end.max(v.s.watching_since).plus(patience);
    let newest = newest.filter(|r| r.at >= first && r.at <= v.now());
    let counted = newest.map(|r| r.outcome.as_ref().map(|s| (r.at, s.value, s.samples)));
    match counted {
        Some(Ok((_, count, series))) if count < 0.5 && series >= 1.0 => Silence::Proved,
        Some(Ok((at, count, _))) if at >= second && count.is_finite() => Silence::Broken(whole(count)),
        Some(Ok((_, count, _))) if count >= 0.5 && v.now() < told_by(second) => Silence::Listening(second),
        _ if v.now() < told_by(first) => Silence::Listening(first),
        Some(Err(NoData::Empty)) => Silence::Unproved("the provider has no series that count them".to_owned()),
        Some(Err(why)) => Silence::Unproved(why.to_string()),
        Some(Ok(_)) | None => Silence::Unproved("the provider has no fresh answer".to_owned()),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a count of requests; `as` saturates")]
fn whole(count: f64) -> i64 {
    count.round() as i64
}
