//! The part of the screen that is about people: what they are asked, what they said, and what became of it. Only reads
//! the object; the time comes in as an argument.

use super::{
    signs::{Sign, signs},
    table::{Table, ago},
};
use crate::api::{
    LlmRollout, LlmRolloutSpec, Moment,
    status::{Asked, Attempt, OrderHeard, Retiring},
};

/// Approvals that the manifest asks for.
pub fn approvals(rollout: &LlmRollout, now: Moment) -> String {
    let all = signs(rollout, now);
    let mut table = Table::new(["APPROVAL BEFORE", "ROLE", "STATE", "BY", "GIVEN"]);
    for sign in &all {
        let given = sign.given.as_ref();
        table.row([
            sign.before.clone(),
            sign.role.clone(),
            state(sign).to_owned(),
            given.map_or_else(|| "-".to_owned(), |g| g.by.clone()),
            given.map_or_else(|| "-".to_owned(), |g| ago(g.at, now)),
        ]);
    }
    if all.is_empty() { String::new() } else { table.text() }
}

const fn state(sign: &Sign) -> &'static str {
    match (sign.due, sign.expired, sign.given.is_some()) {
        (true, true, _) => "expired, waited for",
        (true, false, _) => "waited for",
        (false, true, _) => "expired",
        (false, false, true) => "given",
        (false, false, false) => "to come",
    }
}

/// Orders to the attempt, as they were answered.
pub fn orders(heard: &[OrderHeard], now: Moment) -> String {
    let mut table = Table::new(["ORDER", "VERB", "BY", "HEARD", "ANSWER"]);
    for order in heard {
        let became = if order.taken { "taken" } else { "not taken" };
        let answer = if order.message.is_empty() { became.to_owned() } else { format!("{became}: {}", order.message) };
        let (name, by) = (order.name.clone(), order.by.clone());
        table.row([name, order.verb.word().to_owned(), by, ago(order.at, now), answer]);
    }
    if heard.is_empty() { String::new() } else { table.text() }
}

/// `GateAsks since 2026-11-21T13:55:00Z (5m ago)`.
pub fn asked(asked: &Asked, now: Moment) -> String {
    format!("{} since {}", asked.reason, ago(asked.at, now))
}

/// `day, 1/2, of 24h`; nothing outside a bake.
pub fn bake(spec: &LlmRolloutSpec, attempt: &Attempt) -> Option<String> {
    let index = usize::try_from(attempt.bake).ok()?.checked_sub(1)?;
    let bake = spec.bake.get(index)?;
    Some(format!("{}, {}/{}, of {}", bake.name, attempt.bake, spec.bake.len(), bake.duration))
}

/// `blue at revision 0a1b2c3d4e5f, without traffic since …`.
pub fn retiring(old: &Retiring, now: Moment) -> String {
    format!("{} at revision {}, without traffic since {}", old.color.word(), old.revision, ago(old.since, now))
}
