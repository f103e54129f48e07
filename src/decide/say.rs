//! The words people read, all of them: why something is done, or not done. Each is a reason and its sentence; the same
//! reason stands in conditions, events, metrics and docs. Never decides.

use std::time::Duration;

use super::{
    course::PlannedStep,
    orders,
    snapshot::Rival,
    stage::{Name, Starved},
    view::View,
};
use crate::{
    api::{
        Moment, Percent, Reason,
        aside::{self, Aside},
        gates::Gate,
        labels,
        status::{Asked, Attempt, Color, GateStatus, OrderHeard, StepIntent},
    },
    routers,
};

/// A reason with its sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) reason: Reason,
    pub(super) words: String,
}

pub(super) fn said(reason: Reason, words: impl Into<String>) -> Said {
    Said { reason, words: words.into() }
}

/// That sessions do not move with the weights, if that is so.
pub(super) fn pinned(v: &View<'_>) -> Option<String> {
    let (claim, _) = v.routers().find(|(_, seen)| seen.pins)?;
    Some(format!("{} pins sessions, and those it has pinned stay on their color, whatever its share", claim.name()))
}

// At rest.

pub(super) fn nothing_to_do() -> Said {
    said(Reason::UpToDate, "nothing to do")
}

pub(super) fn serves(reason: Reason, revision: &str, color: Color) -> Said {
    said(reason, format!("revision {revision} serves from {}", color.word()))
}

pub(super) fn found_serving(color: Color, revision: &str) -> Said {
    said(Reason::UpToDate, format!("{} was found serving revision {revision}", color.word()))
}

pub(super) fn abort_forbids() -> Said {
    said(Reason::Aborted, "`abort: true` is set; remove it to release")
}

pub(super) fn paused() -> Said {
    said(Reason::Paused, "`paused: true` is set; everything stands still except an abort")
}

pub(super) fn drifted() -> Said {
    said(Reason::Drifted, "somebody else changed the shares; putting them right")
}

pub(super) fn contended(times: i32, within: Duration, v: &View<'_>) -> Said {
    let who = "`kubectl get -o yaml --show-managed-fields` of what `traffic` names tells who";
    let leave = v.routers().flat_map(|(_, seen)| routers::left_alone(seen)).collect::<Vec<_>>().join(", ");
    let git =
        format!("to Argo CD write `ignoreDifferences: [{leave}]` and `syncOptions: [RespectIgnoreDifferences=true]`");
    let within = within.as_secs();
    let within = if within.is_multiple_of(60) { format!("{}m", within / 60) } else { format!("{within}s") };
    said(Reason::Contended, format!("somebody else changed the shares {times} times within {within}; {who}; {git}"))
}

// What is wrong.

pub(super) fn rival(rival: &Rival) -> Said {
    let what = format!("LlmRollout {} is older and already drives {}", rival.name, rival.router);
    said(Reason::Conflict, format!("{what}; remove it from `traffic` here or there"))
}

pub(super) fn name_taken(kind: &str, name: &str) -> Said {
    let what = format!("a {kind} named {name} exists and is not ours");
    said(Reason::NotOurs, format!("{what}; rename this rollout, or remove that object"))
}

// Joining and leaving.

pub(super) fn taking_up() -> Said {
    said(Reason::Valid, "taking the rollout up")
}

pub(super) fn leaving(words: &str) -> Said {
    said(Reason::Deleting, words)
}

// Before the start.

pub(super) fn coming_up(v: &View<'_>, color: Color) -> Said {
    let comes = if v.made().is_none() { "is about to begin" } else { "is coming up" };
    said(preparing(v), format!("revision {} {comes} on {}", v.wanted, color.word()))
}

pub(super) fn pods_to_come(v: &View<'_>, pods: i32, color: Color, stuck: Option<&str>) -> Said {
    let words = format!("{pods} pods of {} are to become ready", color.word());
    let Some(stuck) = stuck else { return said(preparing(v), words) };
    said(Reason::PodStuck, format!("{words}; {stuck}"))
}

pub(super) fn service_to_answer(v: &View<'_>, service: &str) -> Said {
    said(preparing(v), format!("Service {service} is to have ready endpoints"))
}

fn preparing(v: &View<'_>) -> Reason {
    if v.status.active.is_some() { Reason::Preparing } else { Reason::Installing }
}

pub(super) fn first_never_ready(stuck: Option<&str>) -> Said {
    let look = || format!("see `kubectl get pods -l {}`", labels::ROLLOUT);
    let look = stuck.map_or_else(look, ToOwned::to_owned);
    said(Reason::NotReadyInTime, format!("the pods of the first revision are not ready within readyTimeout; {look}"))
}

pub(super) fn first_traffic() -> Said {
    said(Reason::Installing, "giving the first revision the traffic")
}

pub(super) fn no_such_dependency(name: &str) -> Said {
    said(Reason::WaitingForDependency, format!("there is no LlmRollout {name} in this namespace"))
}

pub(super) fn dependency_under_way(name: &str, wanted: &str) -> Said {
    said(Reason::WaitingForDependency, format!("LlmRollout {name} is not {wanted} yet"))
}

pub(super) fn dependency_taken_back(name: &str) -> Said {
    said(Reason::DependencyRolledBack, format!("LlmRollout {name}, on which this one depends, was taken back"))
}

pub(super) fn outside_window(opens: Option<Moment>) -> Said {
    let words = opens.map_or_else(
        || "`window` does not open within a year; check its days and holidays".to_owned(),
        |at| format!("`window` is closed until {at}"),
    );
    said(Reason::OutsideWindow, words)
}

pub(super) fn approval_missing(v: &View<'_>, before: &str, role: &str, expired: bool) -> Said {
    let name = v.s.rollout.metadata.name.as_deref().unwrap_or_default();
    let why = if expired { "the approval has expired" } else { "an approval is missing" };
    let what = format!("`kubectl llmrollout approve {name} --before {before} --role {role}`");
    said(Reason::AwaitingApproval, format!("{why} before {before}, in the role {role}: {what}"))
}

pub(super) fn source_missing(gate: &str, why: &str) -> Said {
    said(Reason::SourceMissing, format!("{gate} has no source: {why}"))
}

pub(super) fn exporter_asked(provider: &str, why: &str) -> Said {
    said(Reason::SourceMissing, format!("provider {provider} is asked for the exporter's series: {why}"))
}

pub(super) fn no_exporter(provider: &str, hint: &str) -> Said {
    said(Reason::SourceMissing, format!("provider {provider} has no series of any known exporter; {hint}"))
}

pub(super) fn exporter_found(profile: &str) -> Said {
    said(Reason::Preparing, format!("the exporter is {profile}"))
}

// Steps.

/// `20%`, or `0%, copies of 10% and testers`.
fn given(weight: Percent, aside: &Aside) -> String {
    format!("{weight}%{}", aside::words(aside.mirror, !aside.testers.is_empty()))
}

pub(super) fn due(number: i32, of: usize, step: &PlannedStep) -> Said {
    said(Reason::Shifting, format!("step {number} of {of} is due: {}", given(step.weight, &step.aside)))
}

pub(super) fn raising(color: Color, intent: &StepIntent) -> Said {
    let given = given(intent.weight, &intent.aside);
    said(Reason::Shifting, format!("raising {} to {given}", color.word()))
}

pub(super) fn gateway_to_follow(intent: &StepIntent) -> Said {
    let given = given(intent.weight, &intent.aside);
    said(Reason::Shifting, format!("waiting until the gateway follows {given}"))
}

pub(super) fn endpoints_to_come(weight: Percent, needed: i64, color: Color) -> Said {
    said(Reason::Shifting, format!("{weight}% needs {needed} ready endpoints of {}", color.word()))
}

pub(super) fn no_way_back(v: &View<'_>, active: Color) -> Said {
    let name = v.s.rollout.metadata.name.as_deref().unwrap_or_default();
    let dead = format!("{} has no ready endpoint, so there is no way back and no step forward", active.word());
    said(Reason::ActiveUnready, format!("{dead}; if the release is the cure: `kubectl llmrollout promote {name}`"))
}

pub(super) fn gateway_refuses(words: &str) -> Said {
    said(Reason::Shifting, format!("the gateway does not take the route: {words}"))
}

pub(super) fn entered(intent: &StepIntent) -> Said {
    let given = given(intent.weight, &intent.aside);
    said(Reason::Holding, format!("step {} at {given}", intent.step))
}

pub(super) fn measuring(stage: Name<'_>, attempt: &Attempt) -> Said {
    let reason = if attempt.bake > 0 { Reason::Baking } else { Reason::Holding };
    said(reason, format!("measuring {stage} at {}", given(attempt.weight, &attempt.aside)))
}

pub(super) fn baking(name: &str, number: i32, of: usize) -> Said {
    said(Reason::Baking, format!("bake {name}, {number} of {of}"))
}

pub(super) fn gate_to_pass(stage: Name<'_>, gate: &str) -> Said {
    said(Reason::WaitingForGate, format!("the hold of {stage} is served; waiting for {gate}"))
}

pub(super) fn too_few_requests(stage: Name<'_>, needed: i64) -> Said {
    said(Reason::TooFewRequests, format!("the hold of {stage} is served; {needed} requests are to be seen"))
}

pub(super) fn undecided_too_long(stage: Name<'_>, most: Duration) -> Said {
    let most = most.as_secs();
    said(Reason::UndecidedTooLong, format!("the evidence of {stage} is undecided after {most}s (`maxHold`)"))
}

pub(super) fn person_decides(v: &View<'_>, stage: Name<'_>) -> Said {
    let name = v.s.rollout.metadata.name.as_deref().unwrap_or_default();
    let words = format!(
        "the hold of {stage} is served and a person decides (`manual: true`): `kubectl llmrollout skip {name}` goes on, `promote {name}` goes to 100%, `abort {name}` goes back"
    );
    said(Reason::AwaitingPerson, words)
}

pub(super) fn gate_asks(v: &View<'_>, gate: &GateStatus) -> Said {
    let name = v.s.rollout.metadata.name.as_deref().unwrap_or_default();
    let words = format!(
        "{}; `kubectl llmrollout resume {name}` measures on, `skip` and `promote` go on, `abort` goes back",
        broken(gate)
    );
    said(Reason::GateAsks, words)
}

pub(super) fn asked(asked: &Asked) -> Said {
    said(asked.reason, asked.message.clone())
}

// The way back.

pub(super) fn abort_is_set() -> Said {
    said(Reason::Aborted, "`abort: true` was set")
}

pub(super) fn ordered_back(reason: Reason, order: &OrderHeard) -> Said {
    let why = order.message.strip_prefix(orders::GOES_BACK).unwrap_or(&order.message);
    let word = if reason == Reason::Rejected { "refused it" } else { "ordered it back" };
    said(reason, format!("{} {word}{why}", order.by))
}

pub(super) fn superseded(wanted: &str) -> Said {
    said(Reason::Superseded, format!("revision {wanted} was asked for instead"))
}

pub(super) fn candidate_dead(color: Color) -> Said {
    said(Reason::CandidateUnready, format!("no endpoint of {} is ready", color.word()))
}

pub(super) fn moved_back() -> Said {
    said(Reason::MovedBack, "somebody else moved traffic back; taken as an abort of this revision")
}

pub(super) fn route_refused(words: String) -> Said {
    said(Reason::RouteRefused, words)
}

pub(super) fn not_ready_in_time(timeout: Duration, stuck: Option<&str>) -> Said {
    let why = stuck.map_or_else(String::new, |why| format!("; {why}"));
    said(Reason::NotReadyInTime, format!("not ready within {}s{why}", timeout.as_secs()))
}

pub(super) fn gate_failed(reason: Reason, gate: &GateStatus) -> Said {
    if reason == Reason::GateFailed {
        return said(reason, broken(gate));
    }
    said(reason, format!("{} had no usable data for too long: {}", gate.name, gate.reason))
}

/// A gate's value beside the limit that it breaks.
pub(super) fn broken(g: &GateStatus) -> String {
    if g.value.is_empty() {
        return format!("{} has no usable data: {}", g.name, g.reason);
    }
    let beyond = beyond(g, " ");
    format!("{} {}{beyond}{}", g.name, g.value, rests_on(g, &g.compared))
}

/// What a value rests on, as far as anything says so: ` (300 samples, 1.2× of active 0.9)`.
pub(super) fn rests_on(g: &GateStatus, compared: &str) -> String {
    let samples = g.samples.map(|n| format!("{n} samples"));
    let all: Vec<String> = samples.into_iter().chain((!compared.is_empty()).then(|| compared.to_owned())).collect();
    if all.is_empty() { String::new() } else { format!(" ({})", all.join(", ")) }
}

/// `; runbook https://…; dashboard https://…`, as far as they are written.
pub(super) fn links(gate: &Gate) -> String {
    let all = [("runbook", &gate.runbook), ("dashboard", &gate.dashboard)];
    all.iter().filter_map(|(word, link)| Some(format!("; {word} {}", link.as_ref()?))).collect()
}

/// A limit as it is written in status: what kind it is, and the figures.
enum Shape<'a> {
    Most(&'a str),
    Least(&'a str),
    Exactly(&'a str),
    Around(&'a str),
}

fn shape(limit: &str) -> Shape<'_> {
    match (limit.strip_prefix('≥'), limit.strip_prefix('=')) {
        (Some(least), _) => Shape::Least(least),
        (_, Some(count)) => Shape::Exactly(count),
        _ if limit.contains(['…', '±']) => Shape::Around(limit),
        _ => Shape::Most(limit),
    }
}

/// `>1%`, `<99%`, `≠0`, ` not in 60%…80%`: a limit that does not hold. Signs have `gap` on both sides.
pub(super) fn beyond(g: &GateStatus, gap: &str) -> String {
    match shape(&g.limit) {
        Shape::Most(limit) => format!("{gap}>{gap}{limit}"),
        Shape::Least(limit) => format!("{gap}<{gap}{limit}"),
        Shape::Exactly(count) => format!("{gap}≠{count}"),
        Shape::Around(limit) => format!(" not in {limit}"),
    }
}

/// `<1%`, `≥99%`, ` in 60%…80%`: a limit that holds. A count that is as it should be needs no second figure.
pub(super) fn within(g: &GateStatus) -> String {
    match shape(&g.limit) {
        Shape::Most(limit) if limit.split(' ').next() == Some(g.value.as_str()) => format!("≤{limit}"),
        Shape::Most(limit) => format!("<{limit}"),
        Shape::Least(limit) => format!("≥{limit}"),
        Shape::Exactly(_) => String::new(),
        Shape::Around(limit) => format!(" in {limit}"),
    }
}

/// `<1%` or `>1%`: on which side of the limit it happens to be.
pub(super) fn beside(g: &GateStatus) -> String {
    let number = |text: &str| text.trim_matches(|c: char| !c.is_ascii_digit() && c != '.').parse::<f64>().ok();
    let above = number(&g.value).zip(number(&g.limit)).is_some_and(|(value, limit)| value > limit);
    if above { beyond(g, "") } else { within(g) }
}

/// `above 1%`: the same as a sentence.
pub(super) fn where_it_is(g: &GateStatus) -> String {
    match shape(&g.limit) {
        Shape::Most(limit) => format!("above {limit}"),
        Shape::Least(limit) => format!("below {limit}"),
        Shape::Exactly(count) => format!("not {count}"),
        Shape::Around(limit) => format!("not in {limit}"),
    }
}

pub(super) fn starved(stage: Name<'_>, s: &Starved) -> Said {
    let words = format!(
        "{stage}: only {} of {} requests reached the candidate, {}% were meant to; look at the route and its clients",
        s.seen, s.of, s.weight
    );
    said(Reason::ShareMissed, words)
}

pub(super) fn until_gateway_follows(cause: &Said) -> Said {
    said(cause.reason, format!("{}; waiting until the gateway follows", cause.words))
}

pub(super) fn until_full_size(cause: &Said, active: Color) -> Said {
    said(cause.reason, format!("{}; waiting a moment until {} is at its full size", cause.words, active.word()))
}

pub(super) fn nowhere_to_go(reason: Reason, cause: &Said, active: Color) -> Said {
    let stays = format!("{} has no ready endpoint, traffic stays until it has", active.word());
    said(reason, format!("{}; {stays}", cause.words))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::beside;

    #[test]
    fn what_is_not_proved_stands_on_its_side_of_the_limit() {
        let word = |value: &str| {
            let gate = json!({"name": "errors", "verdict": "Undecided", "value": value, "limit": "1%", "step": 1});
            beside(&serde_json::from_value(gate).unwrap())
        };
        assert_eq!(["0.9%", "1%", "1.1%"].map(word), ["<1%", "≤1%", ">1%"]);
    }
}
