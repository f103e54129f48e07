//! The first and the last question: joining (our finalizer) and leaving (deletion). On leaving, traffic is brought to a
//! healthy color, and the objects of both colors are let go, not deleted: nobody loses a pod to a deleted manifest.

use std::time::Duration;

use serde_json::{Value, json};

use super::{answer::Answer, detach, intent::Intent, say, snapshot::OwnedSeen, view::View, workload};
use crate::{
    api::{Phase, labels, status::Color},
    routers::{GuardedPatch, PatchKind, guard},
};

/// How long a deletion waits for a color to become healthy, or for a webhook to tell its weights, before it lets go anyway.
const PATIENCE: Duration = Duration::from_mins(1);

/// The rollout is being deleted.
pub(super) fn leaving(v: &View<'_>) -> Option<Answer> {
    let since = v.s.rollout.metadata.deletion_timestamp.as_ref()?;
    let phase = v.status.phase.unwrap_or(Phase::Idle);
    let answer = |words: &str| Answer::new(v, phase, say::leaving(words));
    if !has_finalizer(v) {
        return Some(answer("nothing left to do"));
    }
    let let_go = || answer("traffic is on a healthy color; letting go").doing(let_go(v));
    if v.s.rival.is_some() || v.status.active.is_none() {
        return Some(let_go());
    }
    let give_up = v.now().since(since.0.into()) >= PATIENCE;
    let Some(stay) = healthy(v) else {
        let wait =
            answer("no color has a ready endpoint; traffic stays where it is").by(v.now().plus(Duration::from_secs(5)));
        return Some(if give_up { let_go() } else { wait });
    };
    // A webhook that tells nothing is not waited for any longer either.
    let mut home = if give_up { v.known_home(stay) } else { v.home(stay) };
    if home.is_empty() {
        home = detach::writes(v);
    }
    if home.is_empty() || v.now().since(since.0.into()) >= PATIENCE && v.share(stay) == 100 {
        return Some(let_go());
    }
    let mut moving = answer("bringing traffic to a healthy color before letting go").doing(home);
    moving.home = true;
    Some(moving.by(v.now().plus(Duration::from_secs(2))))
}

/// Our finalizer is not there yet: nothing of anybody else's is touched before it is.
pub(super) fn joining(v: &View<'_>) -> Option<Answer> {
    if has_finalizer(v) || v.s.rival.is_some() {
        return None;
    }
    let phase = v.status.phase.unwrap_or(Phase::Idle);
    let (at, value) = if finalizers(v).is_empty() {
        ("/metadata/finalizers", json!([labels::FINALIZER]))
    } else {
        ("/metadata/finalizers/-", json!(labels::FINALIZER))
    };
    let add = own_patch(v, json!({"op": "add", "path": at, "value": value}));
    Some(Answer::new(v, phase, say::taking_up()).doing(vec![Intent::Patch(add)]))
}

fn finalizers<'a>(v: &'a View<'_>) -> &'a [String] {
    v.s.rollout.metadata.finalizers.as_deref().unwrap_or_default()
}

fn has_finalizer(v: &View<'_>) -> bool {
    finalizers(v).iter().any(|f| f == labels::FINALIZER)
}

/// The color that should keep the traffic: the active one if it lives, else the other if it does.
fn healthy(v: &View<'_>) -> Option<Color> {
    let active = v.status.active?;
    [active, active.other()].into_iter().find(|c| v.ready(*c) > 0)
}

/// Drops our owner references, then our finalizer.
fn let_go(v: &View<'_>) -> Vec<Intent> {
    let name = v.s.rollout.metadata.name.as_deref().unwrap_or_default();
    let mut patches = Vec::new();
    for color in Color::BOTH {
        let seen = v.s.color(color);
        let owned = [
            (PatchKind::Deployment, seen.deployment.as_ref().map(|d| &d.object)),
            (PatchKind::Service, seen.service.as_ref()),
        ];
        let orphaned =
            owned.into_iter().filter_map(|(kind, object)| orphan(kind, &workload::name_of(name, color), object?));
        patches.extend(orphaned.map(Intent::Patch));
    }
    let at = finalizers(v).iter().position(|f| f == labels::FINALIZER).unwrap_or_default();
    let path = format!("/metadata/finalizers/{at}");
    let test = json!({"op": "test", "path": path, "value": labels::FINALIZER});
    let mut last = own_patch(v, json!({"op": "remove", "path": path}));
    last.ops.insert(1, test);
    patches.push(Intent::Patch(last));
    patches
}

fn orphan(kind: PatchKind, name: &str, object: &OwnedSeen) -> Option<GuardedPatch> {
    let at = object.owner_index?;
    let remove = json!({"op": "remove", "path": format!("/metadata/ownerReferences/{at}")});
    Some(GuardedPatch { kind, namespace: None, name: name.to_owned(), ops: vec![guard(&object.version), remove] })
}

fn own_patch(v: &View<'_>, op: Value) -> GuardedPatch {
    let meta = &v.s.rollout.metadata;
    let version = meta.resource_version.as_deref().unwrap_or_default();
    GuardedPatch {
        kind: PatchKind::LlmRollout,
        namespace: None,
        name: meta.name.clone().unwrap_or_default(),
        ops: vec![guard(version), op],
    }
}
