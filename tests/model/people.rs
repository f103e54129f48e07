//! What people say: orders in the small world, as the code sees them, and the answers of the fair run. Never judges.

use llmrollout::{
    api::{
        Moment, Phase,
        order::{LlmRolloutOrderSpec, Verb},
        status::{Approved, OrderHeard},
    },
    decide::snapshot::OrderSeen,
};

use super::{
    setting::Setting,
    state::{Attempt, Signal, Status, World},
};

/// So many orders are given in one story.
pub(crate) const ORDERS: usize = 3;

/// The role that is asked for.
const ROLE: &str = "lead";

/// What an order says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Say {
    Promote,
    Skip {
        step: u8,
        bake: u8,
    },
    Resume,
    Abort,
    Reject,
    Retry,
    /// In the role that is asked for, or in another.
    Approve {
        sign: u8,
        role: bool,
    },
}

/// One order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Order {
    pub(crate) say: Say,
    /// Whether it is to the attempt in status; else to one before.
    pub(crate) current: bool,
}

/// Every order there is, the oldest first.
pub(crate) type Orders = [Option<Order>; ORDERS];

/// What stands in status of an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Heard {
    #[default]
    Not,
    Refused,
    Taken,
}

/// The attempt in status, and the one before.
pub(crate) const ATTEMPT: i64 = 2;

impl Say {
    pub(crate) const fn verb(self) -> Verb {
        match self {
            Self::Promote => Verb::Promote,
            Self::Skip { .. } => Verb::Skip,
            Self::Resume => Verb::Resume,
            Self::Abort => Verb::Abort,
            Self::Reject => Verb::Reject,
            Self::Retry => Verb::Retry,
            Self::Approve { .. } => Verb::Approve,
        }
    }

    /// Whether it takes traffic back.
    pub(crate) const fn goes_back(self) -> bool {
        matches!(self, Self::Abort | Self::Reject)
    }
}

fn spec(setting: &Setting, order: Order) -> LlmRolloutOrderSpec {
    let mut spec = LlmRolloutOrderSpec {
        rollout: "chat".to_owned(),
        attempt: if order.current { ATTEMPT } else { ATTEMPT - 1 },
        verb: order.say.verb(),
        approver: "ada".to_owned(),
        role: None,
        before: None,
        step: None,
        bake: None,
        reason: None,
    };
    match order.say {
        Say::Skip { step, bake } => {
            spec.step = Some(i32::from(step));
            spec.bake = (bake > 0).then_some(i32::from(bake));
        }
        Say::Approve { sign, role } => {
            spec.before = setting.signs.get(usize::from(sign)).map(|s| (*s).to_owned());
            spec.role = Some(if role { ROLE } else { "guest" }.to_owned());
        }
        Say::Reject => spec.reason = Some("no".to_owned()),
        Say::Promote | Say::Resume | Say::Abort | Say::Retry => {}
    }
    spec
}

fn uid(slot: usize) -> String {
    format!("order-{slot}")
}

/// The orders as the code sees them.
pub(crate) fn seen(setting: &Setting, orders: &Orders, at: Moment) -> Vec<OrderSeen> {
    let given = orders.iter().enumerate().filter_map(|(n, o)| Some((n, (*o)?)));
    given.map(|(n, o)| OrderSeen { name: uid(n), uid: uid(n), at, spec: spec(setting, o) }).collect()
}

/// `status.orders` as the code writes it.
pub(crate) fn concrete(orders: &Orders, heard: [Heard; ORDERS], at: Moment) -> Vec<OrderHeard> {
    let slots = orders.iter().zip(heard).enumerate();
    let known = slots.filter_map(|(n, (o, h))| Some((n, (*o)?, h))).filter(|(_, _, h)| *h != Heard::Not);
    known
        .map(|(n, order, heard)| OrderHeard {
            name: uid(n),
            uid: uid(n),
            verb: order.say.verb(),
            by: "ada".to_owned(),
            taken: heard == Heard::Taken,
            message: String::new(),
            at,
        })
        .collect()
}

/// What is small of `status.orders`.
pub(crate) fn heard(orders: &[OrderHeard]) -> [Heard; ORDERS] {
    std::array::from_fn(|n| match orders.iter().find(|o| o.uid == uid(n)) {
        None => Heard::Not,
        Some(o) if o.taken => Heard::Taken,
        Some(_) => Heard::Refused,
    })
}

/// `status.approvals` as the code writes it.
pub(crate) fn approvals(setting: &Setting, approved: u8, at: Moment) -> Vec<Approved> {
    let given = setting.signs.iter().enumerate().filter(|(n, _)| approved & (1 << n) != 0);
    given
        .map(|(_, before)| Approved { before: (*before).to_owned(), role: ROLE.to_owned(), by: "ada".to_owned(), at })
        .collect()
}

/// What is small of `status.approvals`.
pub(crate) fn approved(setting: &Setting, approvals: &[Approved]) -> u8 {
    let right = approvals.iter().filter(|a| a.role == ROLE);
    right.filter_map(|a| setting.sign(&a.before)).fold(0, |all, sign| all | 1 << sign)
}

/// Whether an order of this kind, to this attempt, is written down as followed in `next` and was not before.
pub(crate) fn newly(orders: &Orders, old: Option<&Status>, next: &Status, say: Say) -> bool {
    let before = old.map_or([Heard::Not; ORDERS], |s| s.heard);
    let fresh = |n: usize| before[n] == Heard::Not && next.heard[n] == Heard::Taken;
    (0..ORDERS).any(|n| fresh(n) && orders[n].is_some_and(|o| o.current && o.say == say))
}

/// Whether an order of this kind, to this attempt, is written down as followed.
pub(crate) fn taken(orders: &Orders, heard: [Heard; ORDERS], fits: impl Fn(Say) -> bool) -> bool {
    orders.iter().zip(heard).any(|(o, h)| h == Heard::Taken && o.is_some_and(|o| o.current && fits(o.say)))
}

/// Whether somebody, or the past, has said that the stage where an attempt stands need not be measured to its end.
pub(crate) fn vouched(orders: &Orders, attempt: &Attempt, next: &Status) -> bool {
    let (step, bake) = (attempt.step, attempt.bake);
    let skipped = taken(orders, next.heard, |say| say == Say::Skip { step, bake });
    let promoted = attempt.weight < 100 && taken(orders, next.heard, |say| say == Say::Promote);
    skipped || promoted || attempt.fast
}

/// What people may say now: everything that fits, and what does not, each kind once.
pub(crate) fn sayings(setting: &Setting, world: &World) -> Vec<Order> {
    let Some(status) = world.status else { return Vec::new() };
    let Some(attempt) = status.attempt else { return Vec::new() };
    let mut all = vec![Say::Promote, Say::Abort, Say::Retry];
    if !attempt.over {
        let (step, bake) = (attempt.step, attempt.bake);
        all.extend([Say::Resume, Say::Reject, Say::Skip { step, bake }, Say::Skip { step: step + 1, bake }]);
    }
    for sign in (0..).take(setting.signs.len()) {
        all.push(Say::Approve { sign, role: true });
    }
    all.push(Say::Approve { sign: 0, role: false });
    let past = [Say::Abort, Say::Promote, Say::Approve { sign: 0, role: true }];
    let mut orders: Vec<Order> = all.into_iter().map(|say| Order { say, current: true }).collect();
    orders.extend(past.map(|say| Order { say, current: false }));
    orders
}

/// What is waiting to be approved.
fn awaited(setting: &Setting, status: &Status) -> Option<u8> {
    match status.running() {
        _ if status.phase != Some(Phase::AwaitingApproval) => None,
        Some(a) if !a.cleared => setting.sign("Start"),
        Some(_) => setting.sign("Full"),
        None => setting.sign("Decommission"),
    }
}

/// Whether this is an approval that is being waited for: whoever is asked gives it sooner or later.
pub(crate) fn is_awaited(setting: &Setting, world: &World, order: Order) -> bool {
    let awaited = world.status.as_ref().and_then(|s| awaited(setting, s));
    let given = world.orders.contains(&Some(order));
    !given && order.current && awaited.is_some_and(|sign| order.say == Say::Approve { sign, role: true })
}

/// Gives an order, if there is room for one more; an approval that was taken makes room.
pub(crate) fn say(world: &mut World, order: Order) {
    if let (Some(status), None, true) = (&mut world.status, world.pending, world.orders.iter().all(Option::is_some)) {
        let approved = |o: Order, h: Heard| h == Heard::Taken && o.say.verb() == Verb::Approve;
        let old = (0..ORDERS).find(|n| world.orders[*n].is_some_and(|o| approved(o, status.heard[*n])));
        if let Some(old) = old {
            (world.orders[old], status.heard[old]) = (None, Heard::Not);
        }
    }
    if let Some(free) = world.orders.iter_mut().find(|o| o.is_none()) {
        *free = Some(order);
    }
}

/// Who is asked answers: what is asked for is approved; a gate that asks is measured on, left out or taken back, by the
/// mood of Prometheus. Whether anything was said.
pub(crate) fn answer(setting: &Setting, world: &mut World, mood: Signal) -> bool {
    let Some(say) = world.status.as_ref().and_then(|status| reply(setting, status, mood)) else { return false };
    if world.wish.paused || world.wish.abort {
        return false;
    }
    self::say(world, Order { say, current: true });
    true
}

fn reply(setting: &Setting, status: &Status, mood: Signal) -> Option<Say> {
    if let Some(asked) = status.running().filter(|a| a.asked) {
        let (step, bake) = (asked.step, asked.bake);
        return Some(match mood {
            Signal::Good | Signal::Blip => Say::Resume,
            Signal::Bad => Say::Abort,
            Signal::Silent if status.intent.is_some() => Say::Resume,
            Signal::Silent if asked.weight < 100 => Say::Promote,
            Signal::Silent => Say::Skip { step, bake },
        });
    }
    awaited(setting, status).map(|sign| Say::Approve { sign, role: true })
}

/// Puts orders that have their answer first, in an order of no meaning: they are told apart by nothing else.
pub(crate) fn tidy(world: &mut World) {
    let (Some(status), None) = (&mut world.status, world.pending) else { return };
    if world.orders.iter().all(Option::is_none) {
        return;
    }
    let mut all: [_; ORDERS] = std::array::from_fn(|n| (world.orders[n], status.heard[n]));
    for (order, heard) in &mut all {
        // What was refused is refused, whatever it said.
        if let (Some(order), Heard::Refused) = (order, heard) {
            order.say = Say::Approve { sign: 0, role: false };
        }
    }
    all.sort_by_key(|(order, heard)| (order.is_none(), *heard == Heard::Not, order.filter(|_| *heard != Heard::Not)));
    for (n, (order, heard)) in all.into_iter().enumerate() {
        (world.orders[n], status.heard[n]) = (order, heard);
    }
}

/// Forgets the orders that can do nothing any more: no decision after this differs.
pub(crate) fn forget(world: &mut World) {
    let (Some(status), None) = (&mut world.status, world.pending) else { return };
    for (order, heard) in world.orders.iter_mut().zip(&mut status.heard) {
        let spent = order.is_some_and(|o| match heard {
            Heard::Not => !o.current,
            Heard::Refused => true,
            Heard::Taken => !o.say.goes_back(),
        });
        if spent {
            (*order, *heard) = (None, Heard::Not);
        }
    }
    tidy(world);
}
