//! The words about what is proved once traffic is home. Never decides.

use super::{
    intent::News,
    narrate,
    plan::Plan,
    say::{Said, said},
    view::View,
};
use crate::api::{
    LlmRolloutStatus, Moment, Reason,
    status::{Color, Detached},
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

/// What was learned of silence after a way back, and what was done about the lack of it.
pub(super) fn news(v: &View<'_>, next: &LlmRolloutStatus) -> Vec<News> {
    let silence = |s: &LlmRolloutStatus| s.attempt.as_ref()?.home.as_ref()?.silence;
    let mut all = Vec::new();
    let mut tell = |warning, reason, message| all.push(News { warning, reason, message: narrate::clipped(message) });
    if let Some(reason @ Reason::StillServed) = silence(next).filter(|_| silence(&v.status).is_none()) {
        let home = next.attempt.as_ref().and_then(|a| a.home.as_ref());
        tell(true, reason, home.map_or_else(String::new, |home| home.message.clone()));
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
