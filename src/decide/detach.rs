//! References that are taken out of routers, because the candidate still answers requests though they give it nothing; and
//! put back before it gets a share again. What is taken out stands in status before it is gone. Never empties a list: the
//! other color is given everything in the same write.

use super::{answer::Answer, intent::Intent, say_back, view::View};
use crate::{
    api::{
        Phase,
        status::{Color, Detached},
    },
    routers::{self, Claim, Seen},
};

/// What is kept of a reference; a longer one stays where it is.
const LONGEST: usize = 1024;

/// How far the references to a color are.
pub(super) enum References {
    /// They stand in routers that could do without, and this is what they are.
    Stand(Vec<Detached>),
    /// What they are stands in status: they can be taken out.
    Kept(Vec<Intent>),
    /// No router has one that could be taken out.
    Gone,
}

/// The references to a color that still stand in a router.
pub(super) fn references(v: &View<'_>, color: Color) -> References {
    let kept: Vec<(Detached, &Seen)> =
        v.routers().filter_map(|(claim, seen)| Some((detached(claim, seen, color)?, seen))).collect();
    if kept.is_empty() {
        return References::Gone;
    }
    if kept.iter().all(|(reference, _)| v.status.detached.contains(reference)) {
        let writes = kept.iter().filter_map(|(_, seen)| routers::take_out(seen, color));
        return References::Kept(writes.map(Intent::Patch).collect());
    }
    References::Stand(kept.into_iter().map(|(reference, _)| reference).collect())
}

fn detached(claim: Claim<'_>, seen: &Seen, color: Color) -> Option<Detached> {
    let (at, whole) = seen.reference(color).filter(|_| seen.shares.of(color) == 0)?;
    let backend = whole.to_string();
    let fits = whole.is_object() && backend.len() <= LONGEST;
    let at = i32::try_from(at).ok().filter(|_| fits)?;
    Some(Detached { router: claim.place(), color, at, backend })
}

/// Whether a reference to this color is out by our own hand.
pub(super) fn is_out(v: &View<'_>, color: Color) -> bool {
    v.routers().any(|(_, seen)| seen.out() == Some(color))
}

/// The candidate is up: what was taken out of routers stands there again before it gets a share.
pub(super) fn put_back(v: &View<'_>) -> Option<Answer> {
    let candidate = v.candidate().filter(|_| !v.status.detached.is_empty())?;
    let writes = writes(v);
    let answer = Answer::new(v, Phase::Preparing, say_back::putting_back(candidate));
    if writes.is_empty() {
        // What we do not drive any more stays readable.
        let ours: Vec<String> = v.routers().map(|(claim, _)| claim.place()).collect();
        if v.status.detached.iter().all(|d| !ours.contains(&d.router)) {
            return None;
        }
        return Some(answer.changing(|s| s.detached.retain(|d| !ours.contains(&d.router))).by(v.now()));
    }
    Some(if v.s.live { answer.doing(writes).soon() } else { answer.after_a_live_look() })
}

/// The writes that put everything back, with a share of nothing.
pub(super) fn writes(v: &View<'_>) -> Vec<Intent> {
    v.routers().filter_map(|(_, seen)| routers::put_back(seen)).map(Intent::Patch).collect()
}
