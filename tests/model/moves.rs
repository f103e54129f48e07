//! Everything that can happen in a state, and what it costs: passes are free, disturbances come out of a budget.
//! Never judges.

use llmrollout::api::{Phase, status::Color};

use super::{
    brain::Brain,
    hands::{self, Stop},
    laws::Breach,
    people::{self, ORDERS, Order},
    state::{
        BUDGET, DRAIN, Gateway, Ghost, QUARREL, READY_TIMEOUT, SETTLE, Signal, Slot, Status, Things, Wish, Word, World,
        index,
    },
    table::REVISIONS,
    writer::{Basis, Half, Pending},
};

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Start,
    Pass([Signal; 2], Stop),
    Wake(Stop),
    Tick(i16),
    Revision(u8),
    Paused(bool),
    Abort(bool),
    Provider(bool),
    Pods(Color, bool),
    Gateway(Gateway),
    Route([Option<u8>; 2]),
    Front(Color),
    /// What has the names of a color belongs to somebody else, or is the rollout's again.
    Ours(Color, bool),
    Dependency(bool),
    Says(Order),
}

/// How often each kind of disturbance may still happen, and all of them together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    pub(crate) crashes: u8,
    pub(crate) sleeps: u8,
    pub(crate) edits: u8,
    pub(crate) revisions: u8,
    pub(crate) orders: u8,
    pub(crate) others: u8,
    pub(crate) total: u8,
    /// Whether Prometheus says everything it can, or only what differs most.
    pub(crate) rich: bool,
}

/// What a move is paid from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cost {
    Free,
    Crash,
    Sleep,
    Edit,
    Revision,
    Order,
    Other,
}

impl Budget {
    fn pay(mut self, cost: Cost) -> Option<Self> {
        let from = match cost {
            Cost::Free => return Some(self),
            Cost::Revision => {
                self.revisions = self.revisions.checked_sub(1)?;
                return Some(self);
            }
            Cost::Order => {
                self.orders = self.orders.checked_sub(1)?;
                return Some(self);
            }
            Cost::Crash => &mut self.crashes,
            Cost::Sleep => &mut self.sleeps,
            Cost::Edit => &mut self.edits,
            Cost::Other => &mut self.others,
        };
        *from = from.checked_sub(1)?;
        self.total = self.total.checked_sub(1)?;
        Some(self)
    }

    /// Whether everything that can be paid from `other` can be paid from this.
    pub(crate) fn covers(self, other: Self) -> bool {
        self.crashes >= other.crashes
            && self.sleeps >= other.sleeps
            && self.edits >= other.edits
            && self.revisions >= other.revisions
            && self.orders >= other.orders
            && self.others >= other.others
            && self.total >= other.total
    }
}

/// The first state: nothing is there but a manifest, a route and a front Service.
pub(crate) fn start() -> World {
    let slot = Slot { deployment: None, service: false, ready: false, ours: true };
    World {
        wish: Wish { revision: 1, paused: false, abort: false, known: true, done: true },
        status: None,
        things: Things { slots: [slot; 2], route: [Some(100), Some(0)], front: Color::Blue, gateway: Gateway::Follows },
        orders: [None; ORDERS],
        pending: None,
        ghost: Ghost::default(),
    }
}

/// A state that follows.
pub(crate) struct Move {
    pub(crate) action: Action,
    pub(crate) to: World,
    pub(crate) budget: Budget,
    pub(crate) breaches: Vec<Breach>,
}

/// All moves of a state.
pub(crate) struct Moves<'a> {
    brain: &'a Brain,
    from: &'a World,
    budget: Budget,
    found: Vec<Move>,
}

/// Everything that can happen now.
pub(crate) fn moves(brain: &Brain, from: &World, budget: Budget) -> Vec<Move> {
    let mut all = Moves { brain, from, budget, found: Vec::new() };
    all.passes();
    all.wakes();
    all.time();
    all.people();
    all.orders();
    all.cluster();
    all.edits();
    all.found
}

impl Moves<'_> {
    fn happen(&mut self, cost: Cost, action: Action, change: impl FnOnce(&mut World, &mut Vec<Breach>)) {
        let Some(budget) = self.budget.pay(cost) else { return };
        let mut to = *self.from;
        let mut breaches = Vec::new();
        change(&mut to, &mut breaches);
        people::tidy(&mut to);
        if to != *self.from || !breaches.is_empty() {
            self.found.push(Move { action, to, budget, breaches });
        }
    }

    fn passes(&mut self) {
        let brain = self.brain;
        for &signals in signals(self.from, self.budget.rich, self.brain.table.setting.asks) {
            let (outcome, live) = hands::think(brain, self.from, signals);
            let acting = hands::acting(&outcome, self.from.status, Basis::FRESH);
            let length = hands::length(&acting);
            self.happen(Cost::Free, Action::Pass(signals, Stop::Done), |to, found| {
                found.extend(outcome.breaches.iter().flat_map(|b| b.iter().cloned()));
                hands::carry_out(brain, to, acting, Stop::Done, found);
            });
            if length == 0 && self.from.status == Some(acting.next) {
                continue;
            }
            for at in 1..=length {
                self.happen(Cost::Crash, Action::Pass(signals, Stop::Crash(at)), |to, found| {
                    hands::carry_out(brain, to, acting, Stop::Crash(at), found);
                });
            }
            if self.from.pending.is_some() {
                continue;
            }
            for at in 0..=length {
                self.happen(Cost::Sleep, Action::Pass(signals, Stop::Sleep(at)), |to, found| {
                    hands::carry_out(brain, to, acting, Stop::Sleep(at), found);
                });
            }
            if live {
                let half = Pending::HalfRead(Half { things: self.from.things, basis: Basis::FRESH });
                self.happen(Cost::Sleep, Action::Pass(signals, Stop::HalfRead), |to, _| to.pending = Some(half));
            }
        }
    }

    fn wakes(&mut self) {
        let Some(pending) = self.from.pending else { return };
        let brain = self.brain;
        let acting = hands::resumed(brain, self.from, pending);
        let ends = (acting.at + 1..=hands::length(&acting)).map(Stop::Crash);
        for (cost, stop) in std::iter::once((Cost::Free, Stop::Done)).chain(ends.map(|stop| (Cost::Crash, stop))) {
            self.happen(cost, Action::Wake(stop), |to, found| {
                to.pending = None;
                hands::carry_out(brain, to, acting, stop, found);
            });
        }
    }

    fn time(&mut self) {
        let next = next_instant(self.from);
        if let Some(by) = next {
            self.happen(Cost::Free, Action::Tick(by), |to, _| to.age(by));
        }
        if next.is_some_and(|by| by > 1) {
            self.happen(Cost::Other, Action::Tick(1), |to, _| to.age(1));
        }
    }

    fn people(&mut self) {
        let wish = self.from.wish;
        for revision in 1..=REVISIONS {
            // The third is only reached over the second: the two are alike.
            let reachable = revision < REVISIONS || wish.revision == 2;
            if revision != wish.revision && reachable {
                self.happen(Cost::Revision, Action::Revision(revision), |to, _| {
                    to.wish.revision = revision;
                    to.ghost.banned = 0;
                    to.moved(|b| b.rollout = false);
                });
            }
        }
        let cost = |on: bool| if on { Cost::Other } else { Cost::Free };
        self.happen(cost(!wish.paused), Action::Paused(!wish.paused), |to, _| {
            to.wish.paused = !wish.paused;
            to.moved(|b| b.rollout = false);
        });
        self.happen(cost(!wish.abort), Action::Abort(!wish.abort), |to, _| {
            to.wish.abort = !wish.abort;
            to.moved(|b| b.rollout = false);
        });
        self.happen(cost(wish.known), Action::Provider(!wish.known), |to, _| to.wish.known = !wish.known);
        if self.brain.table.setting.others {
            self.happen(cost(wish.done), Action::Dependency(!wish.done), |to, _| to.wish.done = !wish.done);
        }
    }

    fn orders(&mut self) {
        for order in people::sayings(self.brain.table.setting, self.from) {
            let cost =
                if people::is_awaited(self.brain.table.setting, self.from, order) { Cost::Free } else { Cost::Order };
            self.happen(cost, Action::Says(order), |to, _| people::say(to, order));
        }
    }

    fn cluster(&mut self) {
        for color in Color::BOTH {
            let slot = self.from.things.slots[index(color)];
            if self.brain.table.setting.others {
                let cost = if slot.ours { Cost::Other } else { Cost::Free };
                self.happen(cost, Action::Ours(color, !slot.ours), |to, _| {
                    to.things.slots[index(color)].ours = !slot.ours;
                    to.moved(|b| b.slots[index(color)] = false);
                });
            }
            if slot.deployment.is_some_and(|d| !d.retired) {
                let cost = if slot.ready { Cost::Other } else { Cost::Free };
                self.happen(cost, Action::Pods(color, !slot.ready), |to, _| {
                    to.things.slots[index(color)].ready = !slot.ready;
                    // The Deployment's status tells of it, which moves its version.
                    to.moved(|b| b.slots[index(color)] = false);
                });
            }
        }
        for gateway in [Gateway::Follows, Gateway::Silent, Gateway::Refuses] {
            let cost = if gateway == Gateway::Follows { Cost::Free } else { Cost::Other };
            self.happen(cost, Action::Gateway(gateway), |to, _| to.things.gateway = gateway);
        }
    }

    /// Somebody else writes the route or the front Service.
    fn edits(&mut self) {
        for route in [[Some(100), Some(0)], [Some(0), Some(100)], [None, None]] {
            self.happen(Cost::Edit, Action::Route(route), |to, _| {
                if to.things.route != route {
                    to.things.route = route;
                    to.moved(|b| b.route = false);
                    meddled(to);
                }
            });
        }
        let front = self.from.things.front.other();
        self.happen(Cost::Edit, Action::Front(front), |to, _| {
            to.things.front = front;
            to.moved(|b| b.front = false);
            meddled(to);
        });
    }
}

/// What the checker keeps of an edit by somebody else: whether it takes the release's traffic back.
fn meddled(to: &mut World) {
    to.ghost.raised = [false; 2];
    let Some(status) = to.status else { return };
    let (Some(attempt), Some(color)) = (status.running(), status.active.map(Color::other)) else { return };
    let below =
        to.things.share(color) < i32::from(attempt.weight) || (attempt.weight == 100 && to.things.front != color);
    to.ghost.moved_back = attempt.weight > 0 && below;
}

/// What Prometheus may say in this state: it matters only while a step is measured.
fn signals(world: &World, rich: bool, asks: bool) -> &'static [[Signal; 2]] {
    use Signal::{Bad, Blip, Good, Silent};
    let measuring = world.status.is_some_and(|s| {
        s.phase != Some(Phase::RollingBack) && s.running().is_some_and(|a| a.entered.is_some() && a.weight > 0)
    });
    match (measuring, rich) {
        (true, false) if asks => &[[Good, Good], [Silent, Good], [Bad, Good], [Good, Bad]],
        (false, _) => &[[Good, Good]],
        (true, false) => &[[Good, Good], [Silent, Good], [Good, Bad]],
        (true, true) => &[
            [Good, Good],
            [Good, Silent],
            [Silent, Good],
            [Silent, Silent],
            [Bad, Good],
            [Good, Bad],
            [Bad, Silent],
            [Silent, Bad],
            [Bad, Bad],
            [Blip, Good],
            [Good, Blip],
        ],
    }
}

/// Seconds until the next instant at which a decision may change.
pub(crate) fn next_instant(world: &World) -> Option<i16> {
    let status = world.status?;
    let going_back = status.phase == Some(Phase::RollingBack);
    let mut waits: Vec<i16> = Vec::new();
    if let Some(a) = status.running() {
        if going_back {
            waits.push(SETTLE - a.clock);
        } else if a.entered.is_none() {
            waits.push(READY_TIMEOUT - a.clock);
        } else {
            waits.push(-a.entered.unwrap_or(0));
            waits.push(if a.paused { 0 } else { a.remaining });
            waits.extend(deadlines(&status, a.clock));
        }
        if let Some(i) = status.intent {
            waits.push(SETTLE - i.age);
        }
    }
    if let Some(r) = status.retiring {
        waits.push(DRAIN - r.age);
    }
    let next = waits.into_iter().filter(|w| *w > 0).min();
    next.or_else(|| (status.quarrel >= 3).then_some(QUARREL))
}

/// When a budget for missing data ends.
fn deadlines(status: &Status, clock: i16) -> impl Iterator<Item = i16> {
    let missing = status.gates.into_iter().flatten().filter(|g| g.word == Word::NoData);
    missing.map(move |g| BUDGET - g.missing.unwrap_or(0).min(clock))
}
