//! The words about what is proved once traffic is home. Never decides.

use super::{
    detach,
    intent::News,
    narrate::{self, Word},
    plan::Plan,
    say::{self, Said, said},
    view::View,
};
use crate::api::{
    LlmRolloutStatus, Moment, Reason,
    conditions::ConditionStatus,
    status::{Color, Detached, GateStatus, VerdictWord},
};

/// What follows the cause while silence is to be proved.
pub(super) fn until_silent(v: &View<'_>, cause: &Said, candidate: Color) -> Said {
    said(cause.reason, format!("{}; traffic is home, {}", cause.words, listening(v, candidate)))
}

pub(super) fn listening(v: &View<'_>, candidate: Color) -> String {
    let quiet = v.plan.map_or(0, |p| p.quiet_for.as_secs());
    format!("and {} is to answer no request for {quiet}s", candidate.word())
}

pub(super) fn silent(v: &View<'_>, candidate: Color) -> Said {
    let quiet = v.plan.map_or(0, |p| p.quiet_for.as_secs());
    said(Reason::Silent, format!("{} has 0%, and has answered no request for {quiet}s", candidate.word()))
}

pub(super) fn unproved(candidate: Color, why: &str) -> Said {
    let words = format!("{} has 0%; that no request reaches it is not proved: {why}", candidate.word());
    said(Reason::SilenceUnproved, words)
}

pub(super) fn still_served(v: &View<'_>, candidate: Color, requests: i64, detached: bool) -> Said {
    let (quiet, color) = (v.plan.map_or(0, |p| p.quiet_for.as_secs()), candidate.word());
    let seen = format!("{color} has 0%, and has still answered {requests} requests in the last {quiet}s");
    let kept = if detached { "" } else { ", and no router has a reference that could be taken out" };
    let look = format!("look for clients that call {color} past the router, or pinned sessions");
    said(Reason::StillServed, format!("{seen}{kept}; {look}"))
}

pub(super) fn taking_out(cause: &Said, candidate: Color) -> Said {
    let color = candidate.word();
    said(cause.reason, format!("{}; {color} still answers requests, and its reference is taken out", cause.words))
}

/// What was taken out of routers and stands in status.
pub(super) fn taken_out(detached: &[Detached]) -> String {
    let all: Vec<String> = detached.iter().map(|d| format!("{} of {}", d.color.word(), d.router)).collect();
    format!("taken out until the next release: {}", all.join(", "))
}

pub(super) fn putting_back(candidate: Color) -> Said {
    said(Reason::Preparing, format!("putting back the reference to {}, with 0%", candidate.word()))
}

pub(super) fn cooling_down(until: Moment) -> Said {
    said(
        Reason::CoolingDown,
        format!("the last release was taken back; the next one starts at {until} (`rollback.coolDown`)"),
    )
}

pub(super) fn nobody_counts(plan: &Plan) -> String {
    format!("with profile {} requests are not counted", plan.source.word())
}

/// Why traffic is not home in its time: what the API server said to the last write stands in status, and in no decision.
pub(super) fn late(v: &View<'_>, cause: &str) -> String {
    let refused = matches!(v.status.reason, Some(Reason::Forbidden | Reason::Refused));
    let words = if refused { format!("{cause}; {}", v.status.message) } else { cause.to_owned() };
    narrate::clipped(words)
}

/// What serves is well again.
pub(super) fn recovered(active: Color, gates: &[GateStatus]) -> String {
    let all: Vec<String> = gates.iter().map(|g| format!("{} {}{}", g.name, g.value, say::within(g))).collect();
    narrate::clipped(format!("{} is well by its own figures: {}", active.word(), all.join(", ")))
}

/// What serves is not, or nobody can tell, for as long as it may take: it was not the candidate alone.
pub(super) fn not_recovered(active: Color, since: Moment, gates: &[GateStatus]) -> String {
    let bad = || gates.iter().filter(|g| g.verdict != VerdictWord::Pass);
    let all: Vec<String> =
        bad().map(|g| if g.verdict == VerdictWord::Fail { say::broken(g) } else { untold(g) }).collect();
    let known = bad().any(|g| g.verdict == VerdictWord::Fail);
    let (color, word) = (active.word(), if known { "is not well" } else { "is not known to be well" });
    narrate::clipped(format!("all traffic is on {color} since {since}, and it {word}: {}", all.join("; ")))
}

fn untold(g: &GateStatus) -> String {
    format!("{} has no usable data: {}", g.name, g.reason)
}

/// Traffic went home: whether it is proved that nothing reaches the candidate.
pub(super) fn silence(v: &View<'_>, next: &LlmRolloutStatus, other: Color) -> Word {
    let home = next.attempt.as_ref().and_then(|a| a.home.as_ref());
    let (reason, message) = match home.and_then(|h| Some((h.silence?, &h.message))) {
        Some((reason, message)) => (reason, message.clone()),
        None => (Reason::ProvingSilence, listening(v, other)),
    };
    let known = if detach::is_out(v, other) { next.detached.as_slice() } else { &[] };
    let out = if known.is_empty() { String::new() } else { format!("; {}", taken_out(known)) };
    let message = message + &out;
    let known = [(Reason::Silent, ConditionStatus::True), (Reason::StillServed, ConditionStatus::False)];
    let status = known.into_iter().find(|(word, _)| *word == reason).map_or(ConditionStatus::Unknown, |(_, is)| is);
    (status, reason, narrate::clipped(message))
}

/// Traffic is back: whether what serves is well by its own figures, once that is known.
pub(super) fn recovery(next: &LlmRolloutStatus) -> Option<Word> {
    let known = next.attempt.as_ref()?.recovery.as_ref()?;
    let well = known.reason == Reason::Recovered;
    let status = if well { ConditionStatus::True } else { ConditionStatus::False };
    Some((status, known.reason, known.message.clone()))
}

/// What was learned of silence after a way back, and what was done about the lack of it.
pub(super) fn news(v: &View<'_>, next: &LlmRolloutStatus) -> Vec<News> {
    let silence = |s: &LlmRolloutStatus| s.attempt.as_ref()?.home.as_ref()?.silence;
    let mut all = Vec::new();
    let mut tell = |warning, reason, message| all.push(News { warning, reason, message: narrate::clipped(message) });
    if let Some(reason @ Reason::StillServed) = silence(next).filter(|_| silence(&v.status).is_none()) {
        let home = next.attempt.as_ref().and_then(|a| a.home.as_ref());
        tell(true, reason, home.map_or_else(String::new, |home| home.message.clone()));
    }
    let late = |s: &LlmRolloutStatus| s.attempt.as_ref()?.late.clone();
    if let Some(known) = late(next).filter(|_| late(&v.status).is_none()) {
        tell(true, Reason::NotHomeInTime, known.message);
    }
    let fared = |s: &LlmRolloutStatus| s.attempt.as_ref()?.recovery.clone();
    if let Some(known) = fared(next).filter(|_| fared(&v.status).is_none()) {
        tell(known.reason == Reason::NotRecovered, known.reason, known.message);
    }
    let (old, new) = (&v.status.detached, &next.detached);
    if new.iter().any(|d| !old.contains(d)) {
        tell(true, Reason::BackendDetached, taken_out(new));
    }
    if let Some(back) = old.iter().find(|o| new.iter().all(|n| n.router != o.router)) {
        tell(false, Reason::BackendAttached, format!("{} stands in {} again", back.color.word(), back.router));
    }
    all
}
