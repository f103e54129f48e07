//! A reference to a color that is taken out of a list by our own hand, and put back: what it was, and the two writes. Never
//! says when.

use serde_json::Value;

use super::{Claim, GuardedPatch, Out, PatchKind, Place, Seen, Shares, split};
use crate::api::{
    Percent,
    status::{Color, Detached},
};

impl Claim<'_> {
    /// What we have taken out of the object that it names.
    pub fn out_of(self, detached: &[Detached]) -> Option<Out> {
        let Detached { color, at, backend, .. } = detached.iter().find(|d| d.router == self.place())?;
        let whole = serde_json::from_str(backend).ok().filter(Value::is_object)?;
        Some(Out { color: *color, at: usize::try_from(*at).ok()?, whole })
    }
}

impl Seen {
    /// The color whose reference was taken out of it by our own hand.
    pub const fn out(&self) -> Option<Color> {
        match &self.place {
            Place::Weights { weights, .. } => weights.out,
            Place::Selector { .. } | Place::Members { .. } | Place::Targets { .. } | Place::Webhook { .. } => None,
        }
    }

    /// The reference to a color as it stands there, and its place in the list; a selector names only the one that it sends
    /// everything to.
    pub fn reference(&self, color: Color) -> Option<(usize, &Value)> {
        match &self.place {
            // Of a flag an entry without a weight is nothing that anybody could still reach.
            Place::Weights { kind, weights, .. } if weights.out.is_none() && *kind != PatchKind::FeatureFlag => {
                let (at, whole) = weights.of(color);
                Some((*at, whole))
            }
            Place::Selector { .. }
            | Place::Weights { .. }
            | Place::Members { .. }
            | Place::Targets { .. }
            | Place::Webhook { .. } => None,
        }
    }
}

/// The write that takes the reference to a color out of a list, and gives the other everything.
pub fn take_out(seen: &Seen, color: Color) -> Option<GuardedPatch> {
    seen.reference(color)?;
    let Place::Weights { kind, namespace, name, weights } = &seen.place else { return None };
    let ops = split::take_out(&seen.version, weights, color);
    Some(GuardedPatch { kind: *kind, namespace: namespace.clone(), name: name.clone(), ops })
}

/// The write that puts back, with a share of nothing, what was taken out.
pub fn put_back(seen: &Seen) -> Option<GuardedPatch> {
    let color = seen.out()?;
    let Place::Weights { kind, namespace, name, weights } = &seen.place else { return None };
    let ops = split::put_back(&seen.version, weights, Shares::giving(color, Percent::NONE));
    Some(GuardedPatch { kind: *kind, namespace: namespace.clone(), name: name.clone(), ops })
}
