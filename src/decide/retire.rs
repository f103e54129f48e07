//! The end of the old color, after the last bake: drained, then scaled to zero, deleted or kept. Until it is gone an abort
//! can still bring everything back to it.

use serde_json::json;

use super::{
    adopt::adopted,
    answer::Answer,
    awaiting, farewell,
    intent::{Intent, OwnedKind},
    orders, rest,
    say::{self, Said},
    scaler,
    snapshot::ScaleSeen,
    view::View,
    workload,
};
use crate::{
    api::{
        Phase, Reason,
        around::Mode,
        labels,
        status::{Color, Retiring},
    },
    routers::{GuardedPatch, PatchKind, guard},
};

/// An abort after the release was over: back, if the old color still stands.
pub(super) fn abort_while_finishing(v: &View<'_>) -> Option<Answer> {
    let retiring = v.status.retiring.as_ref()?;
    let cause = match orders::ordered_back(&v.status) {
        _ if v.spec().abort => say::abort_is_set(),
        Some((reason, order)) => say::ordered_back(reason, order),
        None => return None,
    };
    let old = retiring.color;
    if v.ready(old) == 0 {
        return None;
    }
    let mut answer = Answer::new(v, Phase::RollingBack, cause.clone()).doing(v.home(old)).by(v.now());
    answer.home = true;
    answer.latched = true;
    Some(answer.changing(|s| {
        orders::reopen(s, retiring, v.now());
        if let Some(attempt) = s.attempt.as_mut() {
            attempt.ended = Some(cause.reason);
            attempt.ended_message.clone_from(&cause.words);
            s.aborted_revision = Some(attempt.revision.clone());
        }
    }))
}

/// The abort came after the old color was gone: people are told.
pub(super) fn abort_too_late(v: &View<'_>) -> Option<Answer> {
    let old = v.status.retiring.as_ref()?.color;
    let aborted = v.spec().abort || orders::ordered_back(&v.status).is_some();
    (aborted && v.ready(old) == 0).then(|| Answer::new(v, Phase::Blocked, farewell::abort_too_late(old)))
}

/// The old color on its way out.
pub(super) fn retiring(v: &View<'_>) -> Option<Answer> {
    let retiring = v.status.retiring.as_ref()?;
    let plan = v.plan.ok()?;
    let old = retiring.color;
    let newer = v.status.active_revision.as_ref() != Some(&v.wanted);
    let drained = retiring.since.plus(plan.drain);
    if v.now() < drained {
        let phase = if newer { Phase::Pending } else { Phase::Decommissioning };
        let answer = Answer::new(v, phase, farewell::draining(old, newer)).until(drained);
        return Some(answer.doing(if newer { Vec::new() } else { rest::upkeep(v, old.other()) }));
    }
    // What was taken over makes room for good before its color is needed again.
    if newer && adopted(&v.s.rollout, old).is_none() {
        return None;
    }
    if plan.retire == Mode::Keep || gone(v, old) {
        return Some(over(v));
    }
    if let Some(wait) = awaiting::before_retiring(v) {
        return Some(wait);
    }
    Some(scale_away(v, retiring, plan.retire))
}

fn scale_away(v: &View<'_>, retiring: &Retiring, mode: Mode) -> Answer {
    let old = retiring.color;
    let answer = |said: Said| Answer::new(v, Phase::Decommissioning, said).soon();
    if !v.s.live {
        return answer(farewell::retiring(old)).after_a_live_look();
    }
    if v.share(old) > 0 || v.ready(old.other()) == 0 {
        return answer(farewell::not_retiring_yet(old));
    }
    if let Some(words) = untold(v, old) {
        return answer(farewell::scale_unknown(words));
    }
    answer(farewell::retiring(old))
        .doing(scales(v, old).chain(scaler::none_of(v, old)).chain(write(v, old, mode)).collect())
}

/// Why it cannot be told what still runs of somebody else's.
fn untold<'a>(v: &View<'a>, color: Color) -> Option<&'a str> {
    v.s.color(color).scales.iter().find_map(|scale| match scale {
        ScaleSeen::Untold(words) => Some(words.as_str()),
        ScaleSeen::Gone | ScaleSeen::There { .. } => None,
    })
}

/// The writes that take somebody else's workloads to zero, as `decommission` asks for.
fn scales(v: &View<'_>, color: Color) -> impl Iterator<Item = Intent> {
    let listed = v.s.color(color).scales.iter().filter(|_| v.pair().is_some());
    listed.filter_map(|scale| match scale {
        ScaleSeen::There { path, wanted: 1.., version } => {
            Some(Intent::Scale { path: path.clone(), version: version.clone() })
        }
        ScaleSeen::There { .. } | ScaleSeen::Gone | ScaleSeen::Untold(_) => None,
    })
}

/// Whether there is anything of a color for us to retire.
pub(super) fn retires(v: &View<'_>, color: Color) -> bool {
    let asked = v.plan.is_ok_and(|plan| plan.retire != Mode::Keep);
    let listed = v.pair().is_some_and(|pair| !pair.half(color).workloads.is_empty());
    v.deployment(color).is_some() || (asked && listed)
}

/// Whether nothing of it runs any more. Of what somebody else owns only a live look tells.
fn gone(v: &View<'_>, color: Color) -> bool {
    let away = |scale: &ScaleSeen| matches!(scale, ScaleSeen::Gone | ScaleSeen::There { wanted: ..=0, .. });
    match v.pair() {
        Some(_) => v.s.live && v.s.color(color).scales.iter().all(away),
        None => v.deployment(color).is_none_or(|d| d.wanted == 0),
    }
}

fn over(v: &View<'_>) -> Answer {
    let active = v.status.active.unwrap_or(Color::Blue);
    let revision = v.status.active_revision.as_deref().unwrap_or_default();
    let said = say::serves(Reason::Promoted, revision, active);
    Answer::new(v, Phase::Completed, said).by(v.now()).changing(|s| (s.retiring, s.adopted) = (None, None))
}

/// One guarded write. The note of what was applied goes too: whoever needs this color next applies it whole.
fn write(v: &View<'_>, color: Color, mode: Mode) -> Option<Intent> {
    let seen = v.deployment(color)?;
    let name = workload::deployment_of(&v.s.rollout, color);
    if mode == Mode::Delete {
        return Some(Intent::Delete { kind: OwnedKind::Deployment, name, version: seen.object.version.clone() });
    }
    let note = format!("/metadata/annotations/{}", labels::APPLIED.replace('/', "~1"));
    let ops = vec![
        guard(&seen.object.version),
        json!({"op": "replace", "path": "/spec/replicas", "value": 0}),
        json!({"op": "add", "path": note, "value": "retired"}),
    ];
    Some(Intent::Patch(GuardedPatch { kind: PatchKind::Deployment, namespace: None, name, ops }))
}
