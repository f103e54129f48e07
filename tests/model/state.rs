//! A state of the small world: plain, small and hashable. Times are ages against a `now` that never moves, cut off
//! where no decision can tell them apart any more, so that the space is finite. Never decides and never writes.

#![expect(clippy::struct_excessive_bools, reason = "the status and the manifest have them")]

use llmrollout::api::{Phase, Reason, status::Color};

use super::{
    people::{Heard, ORDERS, Orders},
    writer::{Basis, Pending},
};

/// Seconds that a rollback or an intent waits for a gateway that says nothing; the code's own constant.
pub(crate) const SETTLE: i16 = 10;
/// Hold of every step and every bake in the model's manifests.
pub(crate) const HOLD: i16 = 3;
/// Budget for missing data.
pub(crate) const BUDGET: i16 = 5;
/// How long the old color is drained.
pub(crate) const DRAIN: i16 = 3;
/// So many ended attempts are remembered.
pub(crate) const PAST: usize = 4;
/// `readyTimeout`.
pub(crate) const READY_TIMEOUT: i16 = 4;
/// The window in which foreign edits are counted. In the model it passes only by a jump of its whole length.
pub(crate) const QUARREL: i16 = 600;

/// Everything that a successor depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) wish: Wish,
    pub(crate) status: Option<Status>,
    pub(crate) things: Things,
    pub(crate) orders: Orders,
    /// A second writer that stands still in the middle of its pass.
    pub(crate) pending: Option<Pending>,
    pub(crate) ghost: Ghost,
}

/// What the manifest and the operator's configuration say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Wish {
    pub(crate) revision: u8,
    pub(crate) paused: bool,
    pub(crate) abort: bool,
    /// Whether the configuration has the provider that the manifest names.
    pub(crate) known: bool,
    /// Whether the rollout that has to be done before is; else it was taken back.
    pub(crate) done: bool,
}

/// What stands in the cluster beside the rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Things {
    pub(crate) slots: [Slot; 2],
    /// Weights of blue and green in the route; none is an omitted weight.
    pub(crate) route: [Option<u8>; 2],
    /// The color the front Service selects.
    pub(crate) front: Color,
    pub(crate) gateway: Gateway,
}

/// One color.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Slot {
    pub(crate) deployment: Option<Deployed>,
    pub(crate) service: bool,
    pub(crate) ready: bool,
    /// Whether what has its names belongs to the rollout.
    pub(crate) ours: bool,
}

/// What was applied last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Deployed {
    pub(crate) revision: u8,
    pub(crate) active_role: bool,
    /// Scaled to zero.
    pub(crate) retired: bool,
}

/// What the gateway says of the route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Gateway {
    Follows,
    Silent,
    Refuses,
}

/// The durable status, without words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Status {
    pub(crate) phase: Option<Phase>,
    pub(crate) active: Option<Color>,
    pub(crate) active_revision: u8,
    pub(crate) candidate: Option<Color>,
    pub(crate) attempt: Option<Attempt>,
    pub(crate) intent: Option<Intent>,
    pub(crate) gates: [Option<Gate>; 2],
    pub(crate) aborted: u8,
    /// How many foreign edits were put right within the window.
    pub(crate) quarrel: u8,
    pub(crate) retiring: Option<Retiring>,
    /// What was approved, a bit for each.
    pub(crate) approved: u8,
    pub(crate) heard: [Heard; ORDERS],
    /// The ended attempts, newest first: twice the revision, and one more when it was promoted.
    pub(crate) past: [u8; PAST],
}

/// `status.retiring`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Retiring {
    pub(crate) color: Color,
    pub(crate) revision: u8,
    pub(crate) age: i16,
}

/// `status.attempt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Attempt {
    pub(crate) revision: u8,
    pub(crate) step: u8,
    pub(crate) weight: u8,
    /// Age; -1 is the next second.
    pub(crate) entered: Option<i16>,
    /// What remains of the hold; frozen while paused.
    pub(crate) remaining: i16,
    /// Age of `clockFrom`.
    pub(crate) clock: i16,
    pub(crate) paused: bool,
    pub(crate) over: bool,
    pub(crate) ended: Option<Reason>,
    pub(crate) cleared: bool,
    pub(crate) bake: u8,
    pub(crate) skipped: bool,
    pub(crate) promoted: bool,
    pub(crate) fast: bool,
    pub(crate) asked: bool,
}

/// `status.intent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Intent {
    pub(crate) revision: u8,
    pub(crate) step: u8,
    pub(crate) weight: u8,
    pub(crate) age: i16,
}

/// `status.gates[]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Gate {
    pub(crate) word: Word,
    pub(crate) at: Option<i16>,
    pub(crate) missing: Option<i16>,
    pub(crate) step: u8,
}

/// A verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Word {
    Pass,
    Fail,
    NoData,
}

/// What Prometheus says of a gate in a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Signal {
    Good,
    Bad,
    /// One bad sample after a good one: not enough to fail.
    Blip,
    Silent,
}

/// What the checker remembers and no decision sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Ghost {
    /// Model time at the step's share, pauses not counted.
    pub(crate) served: i16,
    /// The revision that was taken back, until another one is wanted.
    pub(crate) banned: u8,
    /// Whether this intent's raise has reached each router.
    pub(crate) raised: [bool; 2],
    /// Re-asserts within the window.
    pub(crate) fought: u8,
    /// Somebody took the attempt's traffic back by hand.
    pub(crate) moved_back: bool,
    /// A stale writer has exchanged a slot's pods.
    pub(crate) exchanged: bool,
}

/// The index of a color.
pub(crate) const fn index(color: Color) -> usize {
    match color {
        Color::Blue => 0,
        Color::Green => 1,
    }
}

impl World {
    /// Model time passes.
    pub(crate) fn age(&mut self, seconds: i16) {
        // A writer that stands still may have set the clocks going again.
        let goes_on = match &self.pending {
            Some(Pending::Acting(acting)) => acting.next.running().is_some_and(|a| !a.paused),
            Some(Pending::HalfRead(_)) | None => false,
        };
        let stopped = |a: &Attempt| a.paused && (self.wish.paused || a.asked && !goes_on);
        let counts = self.status.as_ref().and_then(Status::running).is_some_and(|a| !stopped(a));
        if counts {
            self.ghost.served = (self.ghost.served + seconds).min(HOLD + 1);
        }
        if seconds >= QUARREL {
            self.ghost.fought = 0;
        }
        if let Some(status) = &mut self.status {
            status.age(seconds);
        }
        match &mut self.pending {
            Some(Pending::Acting(acting)) => acting.next.age(seconds),
            Some(Pending::HalfRead(_)) | None => {}
        }
    }

    /// Tells a writer that stands still which of its objects have moved.
    pub(crate) fn moved(&mut self, change: impl FnOnce(&mut Basis)) {
        match &mut self.pending {
            Some(Pending::Acting(acting)) => change(&mut acting.basis),
            Some(Pending::HalfRead(half)) => {
                change(&mut half.basis);
                half.basis.rollout = true;
            }
            None => {}
        }
        if matches!(&self.pending, Some(Pending::Acting(acting)) if acting.is_spent()) {
            self.pending = None;
        }
    }
}

impl Things {
    /// Percent of a color in the route as the code reads it.
    pub(crate) fn share(&self, color: Color) -> i32 {
        match self.route {
            [Some(b), Some(g)] if b + g == 100 => i32::from(if color == Color::Blue { b } else { g }),
            _ => 50,
        }
    }

    /// Whether a color gets any request.
    pub(crate) fn serves(&self, color: Color) -> bool {
        self.front == color || self.share(color) > 0
    }
}

impl Status {
    /// The attempt, unless it is over.
    pub(crate) fn running(&self) -> Option<&Attempt> {
        self.attempt.as_ref().filter(|a| !a.over)
    }

    fn age(&mut self, seconds: i16) {
        if let Some(a) = &mut self.attempt {
            a.entered = a.entered.map(|e| e.saturating_add(seconds));
            a.clock = a.clock.saturating_add(seconds);
            if !a.paused {
                a.remaining = a.remaining.saturating_sub(seconds);
            }
        }
        if let Some(i) = &mut self.intent {
            i.age = i.age.saturating_add(seconds);
        }
        for gate in self.gates.iter_mut().flatten() {
            gate.at = gate.at.map(|a| a.saturating_add(seconds));
            gate.missing = gate.missing.map(|a| a.saturating_add(seconds));
        }
        if let Some(r) = &mut self.retiring {
            r.age = r.age.saturating_add(seconds);
        }
        if seconds >= QUARREL {
            self.quarrel = 0;
        }
        self.cut();
    }

    /// Cuts off what no decision can tell apart any more.
    pub(crate) fn cut(&mut self) {
        let going_back = self.phase == Some(Phase::RollingBack);
        let running = self.running().is_some();
        if let Some(a) = &mut self.attempt {
            if a.over || going_back {
                *a = Attempt {
                    entered: None,
                    remaining: 0,
                    skipped: false,
                    promoted: false,
                    fast: false,
                    bake: 0,
                    ..*a
                };
            }
            if a.over {
                *a = Attempt { clock: 0, paused: false, asked: false, cleared: true, ..*a };
            }
            // An abort that comes before the old color is gone takes the attempt up where it stood.
            if a.over && self.retiring.is_none() {
                *a = Attempt { step: 0, weight: 0, ..*a };
            }
            a.cleared |= a.entered.is_some();
            let longest = match a.entered {
                _ if going_back => SETTLE,
                Some(_) => BUDGET + 1,
                None => READY_TIMEOUT,
            };
            a.clock = a.clock.min(longest);
            a.entered = a.entered.map(|e| e.min(BUDGET + 1));
            a.remaining = if a.entered.is_some() { a.remaining.max(0) } else { 0 };
        }
        if let Some(i) = &mut self.intent {
            i.age = i.age.min(SETTLE);
        }
        if let Some(r) = &mut self.retiring {
            r.age = r.age.min(DRAIN);
        }
        if !running || going_back {
            self.gates = [None; 2];
        }
        for gate in self.gates.iter_mut().flatten() {
            gate.at = gate.at.map(|a| a.min(BUDGET + 1));
            gate.missing = gate.missing.map(|a| a.min(BUDGET + 1));
        }
    }
}
