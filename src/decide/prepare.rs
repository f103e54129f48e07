//! The candidate comes up: its objects are applied, its pods become ready. No traffic moves here but, on the very
//! first release, to the only color there is.

use std::time::Duration;

use super::{
    adopt::adopted,
    answer::{Answer, end_attempt},
    intent::{Intent, Owned},
    narrate, retire,
    say::{self, Said},
    scaler, size,
    snapshot::OwnedSeen,
    view::View,
    workload::{self, Marks, Role},
};
use crate::api::{
    Moment, Phase, Reason,
    status::{Color, Retiring},
};

/// The candidate is not ready yet.
pub(super) fn preparing(v: &View<'_>) -> Option<Answer> {
    let candidate = v.candidate()?;
    if v.running()?.step_entered_at.is_some() || v.status.intent.is_some() {
        return None;
    }
    let answer = |said: Said| Some(Answer::new(v, Phase::Preparing, said).by(deadline(v)));
    let mut applies = services(v);
    let pods = size::needed(v).or_else(|| size::full(v)).unwrap_or(1);
    applies.extend(candidate_deployment(v, candidate, pods));
    applies.extend(scaler::due(v));
    if !applies.is_empty() {
        return answer(say::coming_up(v, candidate)).map(|a| a.doing(applies));
    }
    if is_up(v) {
        return None;
    }
    // Nothing serves yet, so there is nothing to go back to: people are told, and it goes on when the pods are ready.
    if v.status.active.is_none() && v.now() >= deadline(v) {
        return Some(Answer::new(v, Phase::Blocked, say::first_never_ready(stuck(v).as_deref())));
    }
    match v.pair() {
        Some(pair) => answer(say::service_to_answer(v, &pair.half(candidate).service)),
        None => answer(say::pods_to_come(v, wanted(v, candidate), candidate, stuck(v).as_deref())),
    }
}

/// The first pod of the candidate that does not come up, and why.
pub(super) fn stuck(v: &View<'_>) -> Option<String> {
    let (attempt, color) = (v.running()?, v.s.color(v.candidate()?));
    let own = color.stuck.iter().find(|pod| pod.revision.as_ref() == Some(&attempt.revision))?;
    Some(narrate::clipped(format!("{}: {}", own.pod, own.why)))
}

/// Whether every pod of the candidate is ready, and none of an older template is left.
pub(super) fn is_up(v: &View<'_>) -> bool {
    let Some(candidate) = v.candidate() else { return false };
    // Of what somebody else deploys nobody tells whether it is up: the first share begins with the routers' word.
    let answers = v.pair().is_some() && v.ready(candidate) > 0;
    let pods = wanted(v, candidate).max(1);
    v.unseen()
        || answers
        || v.deployment(candidate).is_some_and(|d| d.settled && d.ready.min(v.ready(candidate)) >= pods)
}

/// Pods of the candidate that are to be ready: what an autoscaler adds beyond what is needed is not waited for.
fn wanted(v: &View<'_>, candidate: Color) -> i32 {
    size::needed(v).unwrap_or_else(|| v.wanted_pods(candidate))
}

fn deadline(v: &View<'_>) -> Moment {
    let timeout = v.plan.map_or(Duration::from_mins(30), |p| p.ready_timeout);
    v.running().map_or(v.now(), |a| a.clock_from).plus(timeout)
}

/// The first revision is ready and nothing served before: it gets the traffic, and that is all.
pub(super) fn installed(v: &View<'_>) -> Option<Answer> {
    let color = v.candidate().filter(|_| v.status.active.is_none())?;
    let writes = v.home(color);
    if writes.is_empty() {
        return Some(live(v, color));
    }
    let answer = Answer::new(v, Phase::Preparing, say::first_traffic());
    Some(if v.s.live { answer.doing(writes).soon() } else { answer.after_a_live_look() })
}

/// The release has arrived: the candidate is the active color now, and the old one is on its way out.
pub(super) fn live(v: &View<'_>, color: Color) -> Answer {
    let said = say::serves(Reason::Promoted, &v.wanted, color);
    let words = said.words.clone();
    let old = v.status.active.filter(|c| retire::retires(v, *c));
    let retiring = old.map(|old| Retiring {
        color: old,
        revision: v.status.active_revision.clone().unwrap_or_default(),
        since: v.now(),
    });
    let phase = if retiring.is_some() { Phase::Decommissioning } else { Phase::Completed };
    Answer::new(v, phase, said).by(v.now()).changing(|s| {
        end_attempt(s, v.now(), Reason::Promoted, &words);
        s.active = Some(color);
        s.active_revision = Some(v.wanted.clone());
        s.candidate = None;
        s.aborted_revision = None;
        s.retiring = retiring;
    })
}

/// The applies that make both color Services as they should be; none when they are.
pub(super) fn services(v: &View<'_>) -> Vec<Intent> {
    let Some(made) = v.made() else { return Vec::new() };
    let needed = Color::BOTH.into_iter().filter_map(|color| {
        let marks = workload::marks_of_service(made, color);
        unless_applied(&marks, v.s.color(color).service.as_ref(), || workload::service(made, color))
    });
    needed.collect()
}

/// The apply that makes the candidate's Deployment as the manifest wants it, with so many pods; none when it is.
pub(super) fn candidate_deployment(v: &View<'_>, color: Color, pods: i32) -> Option<Intent> {
    let (made, seen) = (v.made()?, v.deployment(color));
    let marks = workload::marks_of_deployment(made, color, &v.wanted, Role::Candidate, pods);
    let object = seen.map(|d| &d.object);
    // Its mark says nothing of how many there are where somebody else scales.
    let few = made.template.autoscaler.is_some() && seen.is_some_and(|d| d.wanted < pods);
    let whole = || workload::deployment(made, color, &v.wanted, Role::Candidate, pods);
    if few { Some(Intent::Apply(whole().at(object))) } else { unless_applied(&marks, object, whole) }
}

/// The apply that gives what serves its replicas, its owner and its role. Never another pod template, whoever made the
/// one that runs: an operator that makes templates differently must not restart what serves.
pub(super) fn active_deployment(v: &View<'_>, color: Color) -> Option<Intent> {
    let (made, seen) = (v.made()?, v.deployment(color));
    // What was taken over stays as it stands.
    if adopted(&v.s.rollout, color).is_some() {
        return None;
    }
    // Who is scaled by somebody else keeps as many as there are.
    let scaled = seen.filter(|_| made.template.autoscaler.is_some()).map(|d| d.wanted);
    let pods = scaled.or_else(|| size::full(v)).unwrap_or(1);
    let marks = workload::marks_of_deployment(made, color, &v.wanted, Role::Active, pods);
    let same_pods = seen.is_none_or(|d| d.template.as_ref() == Some(&marks.template));
    let whole = || workload::deployment(made, color, &v.wanted, Role::Active, pods);
    if same_pods { unless_applied(&marks, seen.map(|d| &d.object), whole) } else { None }
}

/// The apply, unless it was done. It is made only when it is needed: most passes need none.
fn unless_applied(marks: &Marks, seen: Option<&OwnedSeen>, make: impl FnOnce() -> Owned) -> Option<Intent> {
    if seen.and_then(|s| s.applied.as_ref()) == Some(&marks.applied) {
        return None;
    }
    Some(Intent::Apply(make().at(seen)))
}
