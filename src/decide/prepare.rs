//! The candidate comes up: its objects are applied, its pods become ready. No traffic moves here but, on the very
//! first release, to the only color there is.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    answer::{Answer, end_attempt},
    intent::{Intent, Owned},
    snapshot::OwnedSeen,
    view::View,
    workload::{self, Role},
};
use crate::api::{Phase, Reason, labels, status::Color};

/// The candidate is not ready yet.
pub(super) fn preparing(v: &View<'_>) -> Option<Answer> {
    let candidate = v.candidate()?;
    if v.running()?.step_entered_at.is_some() || v.status.intent.is_some() {
        return None;
    }
    let reason = if v.status.active.is_some() { Reason::Preparing } else { Reason::Installing };
    let answer = |message: String| Some(Answer::new(v, Phase::Preparing, reason, message).by(deadline(v)));
    // Nothing serves yet, so there is nothing to go back to: people are told, and it goes on when the pods are ready.
    let stuck = v.status.active.is_none() && v.now() >= deadline(v);
    let mut applies = services(v);
    applies.extend(candidate_deployment(v, candidate));
    if !applies.is_empty() {
        return answer(format!("revision {} is coming up on {}", v.wanted, candidate.word())).map(|a| a.doing(applies));
    }
    let seen = v.s.color(candidate).deployment.as_ref()?;
    let ready = seen.ready.min(v.ready(candidate));
    if (!seen.settled || ready < seen.wanted.max(1)) && stuck {
        let message = format!(
            "the pods of the first revision are not ready within readyTimeout; see `kubectl get pods -l {}`",
            labels::ROLLOUT
        );
        return Some(Answer::new(v, Phase::Blocked, Reason::NotReadyInTime, message));
    }
    if !seen.settled || ready < seen.wanted.max(1) {
        return answer(format!("{} pods of {} are to become ready", seen.wanted, candidate.word()));
    }
    None
}

fn deadline(v: &View<'_>) -> crate::api::Moment {
    let timeout = v.plan.as_ref().map_or(Duration::from_mins(30), |p| p.ready_timeout);
    v.running().map_or(v.now(), |a| a.clock_from).plus(timeout)
}

/// The first revision is ready and nothing served before: it gets the traffic, and that is all.
pub(super) fn installed(v: &View<'_>) -> Option<Answer> {
    let color = v.candidate().filter(|_| v.status.active.is_none())?;
    let writes = v.home(color);
    let answer = Answer::new(v, Phase::Preparing, Reason::Installing, "giving the first revision the traffic");
    if !writes.is_empty() && (!v.s.live || v.ready(color) == 0) {
        return Some(answer.after_a_live_look());
    }
    if !writes.is_empty() {
        return Some(answer.doing(writes).by(v.now().plus(Duration::from_secs(1))));
    }
    Some(live(v, color))
}

/// The release has arrived: the candidate is the active color now.
pub(super) fn live(v: &View<'_>, color: Color) -> Answer {
    let message = format!("revision {} serves from {}", v.wanted, color.word());
    Answer::new(v, Phase::Completed, Reason::Promoted, message.clone()).by(v.now()).changing(|s| {
        end_attempt(s, v.now(), Reason::Promoted, &message);
        s.active = Some(color);
        s.active_revision = Some(v.wanted.clone());
        s.candidate = None;
        s.aborted_revision = None;
    })
}

/// The applies that make both color Services as they should be; none when they are.
pub(super) fn services(v: &View<'_>) -> Vec<Intent> {
    let needed = Color::BOTH.into_iter().filter_map(|color| {
        let owned = workload::service(&v.s.rollout, color);
        unless_applied(owned, v.s.color(color).service.as_ref())
    });
    needed.collect()
}

/// The apply that makes the candidate's Deployment as the manifest wants it; none when it is.
fn candidate_deployment(v: &View<'_>, color: Color) -> Option<Intent> {
    let owned = workload::deployment(&v.s.rollout, color, &v.wanted, Role::Candidate);
    unless_applied(owned, v.s.color(color).deployment.as_ref().map(|d| &d.object))
}

/// The apply that gives what serves its replicas, its owner and its role. Never another pod template, whoever made the
/// one that runs: an operator that makes templates differently must not restart what serves.
pub(super) fn active_deployment(v: &View<'_>, color: Color) -> Option<Intent> {
    let owned = workload::deployment(&v.s.rollout, color, &v.wanted, Role::Active);
    let Some(seen) = v.s.color(color).deployment.as_ref() else { return Some(Intent::Apply(owned)) };
    let same_pods = seen.template.as_deref() == workload::note(&owned, labels::TEMPLATE);
    unless_applied(owned, Some(&seen.object)).filter(|_| same_pods)
}

/// The apply, unless it was done. An object that was seen is applied at the version that was seen: a process that slept
/// on an old decision must not bring an old template back.
fn unless_applied(mut owned: Owned, seen: Option<&OwnedSeen>) -> Option<Intent> {
    if workload::note(&owned, labels::APPLIED) == seen.and_then(|s| s.applied.as_deref()) {
        return None;
    }
    let meta = owned.body.get_mut("metadata").and_then(Value::as_object_mut);
    if let (Some(seen), Some(meta)) = (seen, meta) {
        meta.insert("resourceVersion".to_owned(), json!(seen.version));
    }
    Some(Intent::Apply(owned))
}
