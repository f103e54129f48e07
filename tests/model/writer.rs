//! A pass under way: its writes, how far it has come, and which of the objects it read are still as they were. A writer
//! may stand still in the middle of it. Never decides and never carries anything out.

#![expect(clippy::struct_excessive_bools, reason = "a decision has them, and nothing is chosen by two of them at once")]

use llmrollout::api::status::Color;

use super::state::{Deployed, Status, Things, index};

/// A write of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Write {
    Route([u8; 2]),
    Front(Color),
    Deploy(Color, Deployed),
    Service(Color),
    /// The end of a color: scaled to zero or deleted.
    Retire(Color),
}

/// The most writes of one decision.
pub(crate) const WRITES: usize = 4;

/// A pass that has stopped before its next write: a writer that went to sleep holding an old view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Pending {
    /// Decided; the writes from `at` on and the record are still to come.
    Acting(Acting),
    /// Has read the first half of a live look.
    HalfRead(Half),
}

/// The first half of a live look: routers and endpoints. The rollout is read last, when the writer goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Half {
    pub(crate) things: Things,
    pub(crate) basis: Basis,
}

/// The rest of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Acting {
    pub(crate) writes: [Option<Write>; WRITES],
    /// Whether the write gives the candidate more.
    pub(crate) raises: [bool; WRITES],
    pub(crate) guarded: [bool; WRITES],
    pub(crate) at: u8,
    pub(crate) next: Status,
    pub(crate) home: bool,
    pub(crate) latched: bool,
    pub(crate) failed: bool,
    /// Whether another attempt begins.
    pub(crate) fresh: bool,
    pub(crate) basis: Basis,
    /// The revision that a raise of this pass is for.
    pub(crate) revision: u8,
}

/// Which objects are still as the pass read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Basis {
    pub(crate) rollout: bool,
    pub(crate) route: bool,
    pub(crate) front: bool,
    pub(crate) slots: [bool; 2],
}

impl Basis {
    pub(crate) const FRESH: Self = Self { rollout: true, route: true, front: true, slots: [true; 2] };
}

impl Acting {
    /// Whether nothing of it can take effect any more: every write left is refused, and so is the record.
    pub(crate) fn is_spent(&self) -> bool {
        let refused = |n: usize| match self.writes[n] {
            Some(Write::Route(_)) => self.guarded[n] && !self.basis.route,
            Some(Write::Front(_)) => self.guarded[n] && !self.basis.front,
            Some(Write::Deploy(color, _) | Write::Retire(color)) => self.guarded[n] && !self.basis.slots[index(color)],
            Some(Write::Service(_)) => false,
            None => true,
        };
        let at = usize::from(self.at);
        let stops = !self.home && at < WRITES && self.writes[at].is_some() && refused(at);
        !self.basis.rollout && (stops || (at..WRITES).all(refused))
    }
}
