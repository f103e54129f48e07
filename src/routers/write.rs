//! What brings a router to its shares: a patch of an object, or a word to a webhook. Only data; `act` sends it.

use super::{GuardedPatch, Seen, Shares, webhook::Put, write};
use crate::api::{aside::Aside, status::Color};

/// What brings a router to its shares.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Of an object of the cluster.
    Patch(GuardedPatch),
    /// Of a webhook.
    Put(Put),
}

impl Write {
    /// The patch, if it is one.
    pub fn patch(self) -> Option<GuardedPatch> {
        match self {
            Self::Patch(patch) => Some(patch),
            Self::Put(_) => None,
        }
    }
}

/// The write that gives `shares`, and leaves beside them just what a dark step wants to be there for `color`.
pub fn write_beside(seen: &Seen, shares: Shares, aside: &Aside, color: Color) -> Write {
    let mut write = write(seen, shares);
    if let Write::Patch(patch) = &mut write {
        patch.ops.extend(seen.room.iter().flat_map(|room| room.write(aside, color)));
    }
    write
}
