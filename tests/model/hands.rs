//! The API server of the small world, and a pass carried out against it: guarded writes, then the record, as `act` and
//! `record` do; the writer may die or fall asleep between any two. Laws of what takes effect are checked here.

use llmrollout::api::{Phase, Reason, status::Color};

use super::{
    brain::{Brain, Outcome},
    laws::{Breach, Law},
    look::Look,
    people::{self, Heard, Order, Say},
    state::{Deployed, HOLD, Signal, Slot, Status, World, index},
    writer::{Acting, Basis, Pending, WRITES, Write},
};

/// How far a pass comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// To its end.
    Done,
    /// The process dies before this write; the record is the last.
    Crash(u8),
    /// The writer falls asleep before this write.
    Sleep(u8),
    /// The writer falls asleep after it has read the rollout live.
    HalfRead,
}

/// What a pass sees and decides: from caches first, live when the decision wants it.
pub(crate) fn think(brain: &Brain, world: &World, signals: [Signal; 2]) -> (Outcome, bool) {
    let World { wish, status, things, orders, .. } = *world;
    let mut look = Look { wish, status, things, orders, live: false, signals };
    let cached = brain.decide(&look);
    if !cached.wants_live {
        return (cached, false);
    }
    look.live = true;
    (brain.decide(&look), true)
}

/// The rest of a pass whose writer wakes up.
pub(crate) fn resumed(brain: &Brain, world: &World, pending: Pending) -> Acting {
    match pending {
        Pending::Acting(acting) => acting,
        Pending::HalfRead(half) => {
            let signals = [Signal::Good; 2];
            let World { wish, status, orders, .. } = *world;
            let look = Look { wish, status, things: half.things, orders, live: true, signals };
            acting(&brain.decide(&look), world.status, half.basis)
        }
    }
}

/// The pass that a decision begins.
pub(crate) fn acting(outcome: &Outcome, status: Option<Status>, basis: Basis) -> Acting {
    let revision = status.and_then(|s| s.intent).map_or(0, |i| i.revision);
    let installs = status.is_none_or(|s| s.active.is_none());
    Acting {
        writes: outcome.writes,
        raises: outcome.raises.map(|r| r && !installs),
        guarded: outcome.guarded,
        at: 0,
        next: outcome.next,
        home: outcome.home,
        latched: outcome.latched,
        failed: false,
        fresh: outcome.fresh,
        basis,
        revision,
    }
}

/// How many writes a pass has.
pub(crate) fn length(acting: &Acting) -> u8 {
    u8::try_from(acting.writes.iter().flatten().count()).unwrap_or(0)
}

/// Carries a pass out as far as it comes.
pub(crate) fn carry_out(brain: &Brain, world: &mut World, mut acting: Acting, stop: Stop, found: &mut Vec<Breach>) {
    let mut desk = Desk { brain, world, found };
    while usize::from(acting.at) < WRITES {
        let n = usize::from(acting.at);
        let Some(write) = acting.writes[n] else { break };
        if desk.stops(&acting, stop) {
            return;
        }
        let done = desk.write(&acting, n, write);
        acting.failed |= !done;
        if acting.failed && !acting.home {
            // A list that stopped is never recorded, but for a rollback that was latched.
            acting.at = length(&acting);
            break;
        }
        acting.at += 1;
    }
    acting.at = length(&acting);
    if desk.stops(&acting, stop) || (acting.failed && !acting.latched) || !acting.basis.rollout {
        return;
    }
    desk.record(&acting);
}

struct Desk<'a> {
    brain: &'a Brain,
    world: &'a mut World,
    found: &'a mut Vec<Breach>,
}

impl Desk<'_> {
    fn must(&mut self, law: Law, holds: bool, what: impl FnOnce() -> String) {
        self.brain.check(law);
        if !holds {
            self.found.push(Breach::new(law, what()));
        }
    }

    fn stops(&mut self, acting: &Acting, stop: Stop) -> bool {
        match stop {
            Stop::Sleep(at) if at == acting.at => {
                self.world.pending = Some(Pending::Acting(*acting));
                true
            }
            Stop::Crash(at) => at == acting.at,
            Stop::Sleep(_) | Stop::Done | Stop::HalfRead => false,
        }
    }

    /// One write; whether the API server took it.
    fn write(&mut self, acting: &Acting, n: usize, write: Write) -> bool {
        let (router, current) = match write {
            Write::Route(_) => (1, acting.basis.route),
            Write::Front(_) => (0, acting.basis.front),
            Write::Deploy(color, _) if acting.guarded[n] && !acting.basis.slots[index(color)] => return false,
            Write::Retire(color) if acting.guarded[n] && !acting.basis.slots[index(color)] => return false,
            Write::Deploy(color, deployed) => return self.deploy(acting, color, deployed),
            Write::Retire(color) => return self.retire(acting, color),
            Write::Service(color) => {
                self.world.things.slots[index(color)].service = true;
                return true;
            }
        };
        if acting.guarded[n] && !current {
            return false;
        }
        self.must(Law::I6, current, || format!("{write:?} was decided on an object that has moved"));
        if acting.raises[n] {
            self.raised(acting, router, write);
        } else if !acting.home {
            self.reasserted(acting);
        } else {
            self.world.ghost.raised[router] = false;
        }
        match write {
            Write::Route([blue, green]) => {
                self.world.things.route = [Some(blue), Some(green)];
                self.world.moved(|b| b.route = false);
            }
            Write::Front(color) => {
                self.world.things.front = color;
                self.world.moved(|b| b.front = false);
            }
            Write::Deploy(..) | Write::Service(_) | Write::Retire(_) => {}
        }
        true
    }

    fn raised(&mut self, acting: &Acting, router: usize, write: Write) {
        let ghost = self.world.ghost;
        let status = self.world.status;
        self.must(Law::I6, !ghost.raised[router], || format!("{write:?} for the second time on one intent"));
        let revision = acting.revision;
        let durable = status.is_some_and(|s| s.intent.is_some_and(|i| i.revision == revision));
        if let Some(candidate) = status.filter(|_| acting.basis.rollout).and_then(|s| s.candidate) {
            self.runs(candidate, revision, "is raised");
        }
        let banned = ghost.banned == revision || status.is_some_and(|s| s.aborted == revision);
        if acting.basis.rollout {
            self.must(Law::I6, durable, || format!("{write:?} takes effect although its intent no longer stands"));
            self.must(Law::I5, !banned, || format!("{write:?} for revision {revision}, which was taken back"));
        } else {
            // In flight when its release was taken back, on a router that nobody had to write since: no guard sees it.
            self.must(Law::Late, durable && !banned, || format!("{write:?} for revision {revision}"));
        }
        // Between two writes of one pass nobody looks again.
        let unseen = !(acting.basis.route && acting.basis.front);
        self.must(Law::I22, unseen || !ghost.moved_back, || {
            format!("{write:?} although somebody took the traffic back")
        });
        self.world.ghost.raised[router] = true;
        if acting.basis.rollout {
            self.world.ghost.served = 0;
        }
    }

    fn reasserted(&mut self, acting: &Acting) {
        let installs = self.world.status.is_none_or(|s| s.active.is_none());
        if installs {
            return;
        }
        let banned = self.world.ghost.banned != 0;
        self.world.ghost.fought = if acting.at == 0 { self.world.ghost.fought + 1 } else { self.world.ghost.fought };
        let fought = self.world.ghost.fought;
        self.must(Law::I22, fought <= 3 || banned, || format!("re-assert number {fought} within the window"));
        self.world.ghost.fought = fought.min(4);
    }

    fn deploy(&mut self, acting: &Acting, color: Color, deployed: Deployed) -> bool {
        let slot = self.world.things.slots[index(color)];
        let other = slot.deployment.is_none_or(|d| d.revision != deployed.revision);
        let active = self.world.status.and_then(|s| s.active);
        let dead = active.is_some_and(|c| !self.world.things.slots[index(c)].ready);
        // An object that was not there has no version to be guarded by, and one that nobody wrote since still has its own.
        let stale = !(acting.basis.slots[index(color)] && acting.basis.rollout) && other;
        // Traffic that somebody sent there since the look is nothing this writer could know of.
        let seen = acting.basis.route && acting.basis.front;
        let killed = other && seen && active.is_some() && slot.ready && self.world.things.serves(color);
        let law = match (stale, dead) {
            (true, _) => Law::Stale,
            (false, true) => Law::Dead,
            (false, false) => Law::I10,
        };
        self.must(law, !killed, || {
            format!("pods of {color:?} are exchanged for revision {} while they serve", deployed.revision)
        });
        self.world.ghost.exchanged |= stale;
        let ready = slot.ready && !other;
        self.world.things.slots[index(color)] = Slot { deployment: Some(deployed), ready, ..slot };
        self.world.moved(|b| b.slots[index(color)] = false);
        true
    }

    /// A color goes: its pods end at once.
    fn retire(&mut self, acting: &Acting, color: Color) -> bool {
        let slot = self.world.things.slots[index(color)];
        let other = self.world.things.slots[index(color.other())];
        let status = self.world.status;
        let over = status.is_some_and(|s| s.running().is_none() && s.active != Some(color));
        // What changed since the look, and moved no version of this color's, is nothing this writer could know of.
        let known = acting.basis.rollout;
        let law = |law| if known { law } else { Law::Gone };
        self.must(law(Law::I9), over, || format!("{color:?} is scaled while a release may still go back to it"));
        let seen = known && acting.basis.route && acting.basis.front && acting.basis.slots[index(color.other())];
        let killed = slot.ready && (self.world.things.serves(color) || !other.ready);
        let law = if seen { Law::I10 } else { Law::Gone };
        self.must(law, !killed, || format!("{color:?} is scaled although a request may need it"));
        let deployment = slot.deployment.filter(|_| !self.brain.table.setting.deletes);
        let deployment = deployment.map(|d| Deployed { retired: true, active_role: false, ..d });
        self.world.things.slots[index(color)] = Slot { deployment, ready: false, ..slot };
        self.world.moved(|b| b.slots[index(color)] = false);
        true
    }

    /// I3: what is raised or goes on runs the revision that is meant.
    fn runs(&mut self, color: Color, revision: u8, what: &str) {
        let runs = self.world.things.slots[index(color)].deployment.map(|d| d.revision);
        let law = if self.world.ghost.exchanged { Law::Stale } else { Law::I3 };
        self.must(law, runs == Some(revision), || format!("revision {revision} {what}, but {color:?} runs {runs:?}"));
    }

    fn record(&mut self, acting: &Acting) {
        let next = &acting.next;
        let old = self.world.status;
        if old == Some(*next) {
            return;
        }
        self.steps(old.as_ref(), next);
        let retried = people::newly(&self.world.orders, old.as_ref(), next, Say::Retry);
        let ghost = &mut self.world.ghost;
        if retried {
            ghost.banned = 0;
        }
        let id = |s: Option<&Status>| s.and_then(|s| s.intent).map(|i| (i.revision, i.step));
        if id(old.as_ref()) != id(Some(next)) && next.intent.is_some() {
            ghost.raised = [false; 2];
        }
        if next.intent.is_none() {
            ghost.raised = [false; 2];
        }
        let stage = |s: Option<&Status>| s.and_then(|s| s.running().map(|a| (a.revision, a.bake)));
        if id(old.as_ref()) != id(Some(next)) && next.intent.is_some() {
            ghost.served = 0;
        } else if stage(old.as_ref()) != stage(Some(next)) {
            // The window has lasted since it was decided, which may be a while ago.
            ghost.served = next.running().and_then(|a| a.entered).map_or(0, |age| (age + 1).clamp(0, HOLD));
        }
        let stand = |s: Option<&Status>| s.and_then(|s| s.running().map(|a| (a.revision, a.step)));
        if stand(old.as_ref()) != stand(Some(next)) {
            ghost.fought = 0;
        }
        if stand(old.as_ref()) != stand(Some(next)) && !(acting.basis.route && acting.basis.front) {
            // Entered on routers that have moved since they were read: the hold counts from the read.
            ghost.served = HOLD;
        }
        if stand(old.as_ref()).is_none() || stand(Some(next)).is_none() {
            ghost.moved_back = false;
            ghost.exchanged = false;
            ghost.served = 0;
        }
        let was_over = old.as_ref().and_then(Status::running).is_none();
        let taken = next.attempt.filter(|a| {
            let back = matches!(next.phase, Some(Phase::RollingBack | Phase::RolledBack));
            back && a.ended.is_some_and(|why| why != Reason::Superseded)
        });
        let taken = taken.filter(|a| !(a.over && was_over));
        if let Some(attempt) = taken.filter(|a| a.revision == self.world.wish.revision) {
            ghost.banned = attempt.revision;
        }
        if acting.fresh {
            // What nobody heard is to an attempt that is no more; `moves` gives such orders as well.
            for (order, heard) in self.world.orders.iter_mut().zip(next.heard) {
                *order = order.filter(|_| heard != Heard::Not).map(|o| Order { current: false, ..o });
            }
        }
        self.world.status = Some(*next);
        self.world.moved(|b| b.rollout = false);
    }

    /// The laws of a stage that is left for good.
    fn steps(&mut self, old: Option<&Status>, next: &Status) {
        let Some((old, attempt)) = old.and_then(|o| Some((o, o.running()?))) else { return };
        let fresh =
            next.intent.is_some_and(|i| old.intent.is_none_or(|o| o.step != i.step || o.revision != i.revision));
        let promoted = next.active != old.active && old.active.is_some();
        let bakes = next.running().is_some_and(|a| a.bake > attempt.bake);
        if !(promoted || bakes || fresh && attempt.step > 0) {
            return;
        }
        let served = self.world.ghost.served;
        let vouched = people::vouched(&self.world.orders, attempt, next);
        self.must(Law::I23, served >= HOLD || vouched, || {
            format!("step {} bake {} was left after {served}s of {HOLD}s", attempt.step, attempt.bake)
        });
        let Some(candidate) = old.candidate else { return };
        self.runs(candidate, attempt.revision, "goes on");
    }
}
