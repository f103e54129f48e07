//! What the page shows: lines of the list, and the story of one rollout. Pure; the page draws it and decides nothing.

use kube::{ResourceExt, api::DynamicObject};
use serde_json::{Value, json};

use crate::{
    api::{
        LlmRollout, LlmRolloutStatus, Moment, Percent, Phase,
        record::{Record, What},
    },
    cli::{advice::advice, signs::signs, watch::model::Happened},
    decide::course::Course,
    metrics::Told,
};

/// One line of the list.
pub(super) fn line(rollout: &DynamicObject) -> Value {
    let status = &rollout.data["status"];
    json!({
        "namespace": rollout.namespace(), "name": rollout.name_any(), "phase": status["phase"],
        "reason": status["reason"], "step": status["step"], "weight": status["weight"], "summary": status["summary"],
    })
}

/// Everything about one.
pub(super) fn story(rollout: &LlmRollout, events: &[Happened], record: Option<&Record>, now: Moment) -> Value {
    let none = LlmRolloutStatus::default();
    let status = rollout.status.as_ref().unwrap_or(&none);
    let told = |gate: &crate::api::status::GateStatus| {
        let Told { value, least, most } = Told::of(gate);
        json!({"gate": gate, "value": value, "least": least, "most": most})
    };
    let events = events.iter().map(|e| json!({"at": e.at, "reason": e.reason, "message": e.message}));
    json!({
        "namespace": rollout.namespace(), "name": rollout.name_any(), "status": status,
        "advice": advice(rollout, now), "steps": track(rollout, status), "gates": status.gates.iter().map(told).collect::<Vec<_>>(),
        "events": events.collect::<Vec<_>>(), "weights": record.map(weights), "course": record.map(course),
        "words": words(rollout, now),
    })
}

/// The steps and bakes with how far each is: `done`, `now`, `ahead`, or `back` once traffic was taken back.
fn track(rollout: &LlmRollout, status: &LlmRolloutStatus) -> Vec<Value> {
    let Ok(course) = Course::read(&rollout.spec) else { return Vec::new() };
    let attempt = status.attempt.as_ref();
    let over = attempt.is_some_and(|a| a.ended_at.is_some());
    let back = attempt.is_some_and(|a| a.ended.is_some()) || status.phase == Some(Phase::RollingBack);
    let far = |at: Option<i32>, number: i32| match at {
        Some(at) if back && number <= at => "back",
        Some(_) if over && !back => "done",
        Some(at) if at == number && !back => "now",
        Some(at) if at > number => "done",
        _ => "ahead",
    };
    // A bake comes after the last step.
    let step_at = attempt.map(|a| if a.bake > 0 { i32::MAX } else { a.step });
    let step = |(number, weight): (i32, Percent)| json!({"label": format!("{weight}%"), "state": far(step_at, number)});
    let bake_at = attempt.map(|a| a.bake);
    let steps = (1..).zip(course.steps.iter().map(|step| step.weight)).map(step);
    let bakes = (1..).zip(&course.bakes).map(|(n, bake)| json!({"label": bake.name, "state": far(bake_at, n)}));
    steps.chain(bakes).collect()
}

/// The shares that the routers were seen to hold, as far as the record goes.
fn weights(record: &Record) -> Vec<Value> {
    let share = |what: &What| match what {
        What::Began { .. } | What::TurnedBack { .. } => Some(Percent::NONE),
        What::Confirmed { weight, .. } => Some(*weight),
        _ => None,
    };
    record.entries.iter().filter_map(|e| Some(json!({"at": e.at, "weight": share(&e.what)?}))).collect()
}

/// Where it stood and why, what people said and what was written: the newest last.
fn course(record: &Record) -> Vec<Value> {
    let words = |what: &What| {
        Some(match what {
            What::Began { .. } => ("Began".to_owned(), String::new()),
            What::Stood { phase, message, .. } => (phase.word().to_owned(), message.clone()),
            What::Approved { before, role, by } => {
                ("Approved".to_owned(), format!("before {before} as {role}, by {by}"))
            }
            What::Ordered { verb, by, message, .. } => (verb.word().to_owned(), format!("{by}: {message}")),
            What::Confirmed { weight, .. } => ("Confirmed".to_owned(), format!("the candidate has {weight}%")),
            What::Asked { message, .. } => ("Asked".to_owned(), message.clone()),
            What::TurnedBack { reason, message } | What::Fared { reason, message } => {
                (reason.word().to_owned(), message.clone())
            }
            What::Ended { outcome, message } => (outcome.word().to_owned(), message.clone()),
            What::Wrote { what, set } => (
                "Wrote".to_owned(),
                [what.as_str()].into_iter().chain(set.iter().map(String::as_str)).collect::<Vec<_>>().join(" "),
            ),
            What::Judged { .. } | What::Promised { .. } => return None,
        })
    };
    let entries = record.entries.iter();
    entries.filter_map(|e| words(&e.what).map(|(word, text)| json!({"at": e.at, "word": word, "text": text}))).collect()
}

/// What can be said to it now; the operator refuses what it cannot follow all the same.
fn words(rollout: &LlmRollout, now: Moment) -> Vec<&'static str> {
    let none = LlmRolloutStatus::default();
    let status = rollout.status.as_ref().unwrap_or(&none);
    let attempt = status.attempt.as_ref();
    let running = attempt.filter(|a| a.ended_at.is_none());
    let forward = running.filter(|_| status.phase != Some(Phase::RollingBack));
    let waits = signs(rollout, now).iter().any(|sign| sign.due);
    let (paused, measured) = (rollout.spec.paused, forward.filter(|a| a.step_entered_at.is_some()));
    let retries = attempt.is_some_and(|a| running.is_none() && status.aborted_revision.as_ref() == Some(&a.revision));
    let all = [
        ("abort", running.is_some() || status.retiring.is_some()),
        ("pause", !paused),
        ("resume", paused || forward.is_some_and(|a| a.asked.is_some())),
        ("approve", waits),
        ("reject", waits),
        ("promote", forward.is_some() && measured.is_none_or(|a| a.weight < 100)),
        ("skip", measured.is_some_and(|a| a.step > 0) && status.intent.is_none()),
        ("retry", retries && !rollout.spec.abort),
    ];
    all.into_iter().filter(|(_, can)| *can).map(|(word, _)| word).collect()
}
