//! What a rollout refers to in other namespaces, and who has to allow it: the operator's configuration, and the owner of the
//! other namespace by a `ReferenceGrant`. Without both nothing goes forward. Never fetches anything.

use std::collections::BTreeSet;

use super::{
    release,
    say::{self, Said},
    snapshot::Offers,
    view::View,
};
use crate::{
    api::{LlmRollout, Reason, labels, status::Color},
    routers::{
        Claim, Trouble,
        grant::{Grant, Reference},
    },
};

/// The namespaces in which grants count for a rollout: all that it names, if one is not its own.
pub fn namespaces(rollout: &LlmRollout) -> BTreeSet<&str> {
    let own = rollout.metadata.namespace.as_deref().unwrap_or_default();
    let routes = rollout.spec.traffic.iter().filter_map(Claim::of).filter_map(Claim::namespace);
    let colors = Color::BOTH.into_iter().map(|color| release::namespace_of(rollout, color));
    let all: BTreeSet<&str> = routes.chain(colors).chain([own]).collect();
    if all.len() > 1 { all } else { BTreeSet::new() }
}

/// Our own reference to something of a namespace, if that is another one.
pub fn reference(rollout: &LlmRollout, to: [&str; 4]) -> Option<Reference> {
    let own = rollout.metadata.namespace.as_deref().unwrap_or_default();
    let [_, _, there, _] = to;
    let from = [labels::GROUP, "LlmRollout", own].map(ToOwned::to_owned);
    (there != own).then(|| Reference { from, to: to.map(ToOwned::to_owned) })
}

/// Our own reference to the route of another namespace that a claim names.
fn to_route(rollout: &LlmRollout, claim: Claim<'_>) -> Option<Reference> {
    let (kind, name) = claim.object();
    reference(rollout, [kind.names().group, kind.names().kind, claim.namespace()?, name])
}

/// Whether a release has written to routers, or is about to, and is not over.
fn has_begun(rollout: &LlmRollout) -> bool {
    let Some(status) = &rollout.status else { return false };
    let running = status.attempt.as_ref().filter(|attempt| attempt.ended_at.is_none());
    running.is_some_and(|a| a.step_entered_at.is_some() || a.ended.is_some() || status.intent.is_some())
}

/// Why a route of another namespace may not be looked at. One in which a release of ours stands is looked at until that is
/// over, whatever has become of the grant: what the candidate was given there can be taken back.
pub fn forbidden(rollout: &LlmRollout, claim: Claim<'_>, offers: &Offers, grants: &[Grant]) -> Option<Trouble> {
    let reference = to_route(rollout, claim)?;
    if !offers.cross_namespace {
        let [_, kind, there, name] = &reference.to;
        return Some(Trouble { reason: Reason::NamespaceForbidden, message: shut(&format!("{kind} {there}/{name}")) });
    }
    let missing = !has_begun(rollout) && !reference.granted(grants);
    missing.then(|| Trouble { reason: Reason::GrantMissing, message: reference.to_write() })
}

/// Whether the endpoints of a color may be looked at.
pub fn may_see(rollout: &LlmRollout, color: Color, offers: &Offers) -> bool {
    offers.cross_namespace
        || release::namespace_of(rollout, color) == rollout.metadata.namespace.as_deref().unwrap_or_default()
}

fn shut(what: &str) -> String {
    format!(
        "{what} is of another namespace, and the operator's configuration keeps every rollout in its own; set `allowCrossNamespace: true` there, or move it here"
    )
}

/// Why nothing may be raised, as far as it is for other namespaces.
pub(super) fn trouble(v: &View<'_>) -> Option<Said> {
    let rollout = &v.s.rollout;
    if let Some(color) = Color::BOTH.into_iter().find(|color| !may_see(rollout, *color, &v.s.offers)) {
        let what = format!("Service {}/{}", release::namespace_of(rollout, color), release::service_of(rollout, color));
        return Some(say::said(Reason::NamespaceForbidden, shut(&what)));
    }
    let ours = v.routers().filter_map(|(claim, _)| to_route(rollout, claim));
    let theirs = v.routers().flat_map(|(_, seen)| &seen.crosses).map(|(_, reference)| reference.clone());
    let missing = ours.chain(theirs).find(|reference| !reference.granted(&v.s.grants))?;
    Some(say::said(Reason::GrantMissing, missing.to_write()))
}

/// That nobody allows a route to send to this color any more: the gateway answers for its share with errors.
pub(super) fn revoked(v: &View<'_>, color: Color) -> Option<String> {
    let crosses = v.routers().flat_map(|(_, seen)| &seen.crosses);
    let of_color = crosses.filter(|(of, _)| *of == color).map(|(_, reference)| reference);
    of_color.into_iter().find(|reference| !reference.granted(&v.s.grants)).map(Reference::to_write)
}
