//! The rollout's own gates and those of the sets that it takes over, as one list: which of them count, and who wrote
//! each; and that steps and bakes name no others. What a gate means is read by `plan`; a set is never fetched here.

use std::sync::Arc;

use super::{
    course::Course,
    plan::{PlannedGate, Wrong, invalid},
    snapshot::{GateSetSeen, GateSets},
};
use crate::api::{Reason, gates::Gate};

/// As many as one rollout may write itself: status has a row for each.
const MOST: usize = 32;
/// What each of these has counted is kept in status, about 300 bytes a gate.
const MOST_STATISTICAL: usize = 8;

/// A gate that counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written<'a> {
    /// As it is written.
    pub(super) gate: &'a Gate,
    /// The set that it stands in; none is the rollout itself.
    pub(super) set: Option<&'a str>,
}

impl Written<'_> {
    /// Says in which set the mistake stands: the one who reads it looks at the rollout first.
    pub(super) fn blame(self, wrong: Wrong) -> Wrong {
        match self.set {
            Some(set) => {
                Wrong { message: format!("{} (this gate stands in LlmGateSet {set})", wrong.message), ..wrong }
            }
            None => wrong,
        }
    }
}

/// The gates that count, in the order of the manifest. The rollout's own takes the place of a set's of the same name.
pub(super) fn gather<'a>(items: &'a [Gate], sets: &'a GateSets) -> Result<Vec<Written<'a>>, Wrong> {
    let own = |name: &str| items.iter().any(|i| i.gate_set.is_none() && i.name == name);
    let mut all: Vec<Written<'a>> = Vec::new();
    for item in items {
        let Some(set) = item.gate_set.as_deref() else {
            all.push(Written { gate: item, set: None });
            continue;
        };
        alone(item, set)?;
        let kept = taken_over(set, sets)?.iter().filter(|g| !own(&g.name));
        all.extend(kept.map(|gate| Written { gate, set: Some(set) }));
    }
    let mut before = all.iter();
    while let Some(later) = before.next_back() {
        if let Some(first) = before.clone().find(|w| w.gate.name == later.gate.name) {
            return Err(twice(*first, *later));
        }
    }
    if all.len() > MOST {
        let count = all.len();
        return Err(invalid(format!("gates: with its sets the rollout has {count} gates; leave {MOST} at most")));
    }
    let weighed = all.iter().filter(|w| w.gate.statistical.is_some()).count();
    if weighed > MOST_STATISTICAL {
        return Err(invalid(format!(
            "gates: with its sets the rollout has {weighed} gates that are `statistical`; leave {MOST_STATISTICAL} at most, and write a limit such as `max` in the others"
        )));
    }
    Ok(all)
}

/// A step or a bake that names only gates that there are not would be left without any proof.
pub(super) fn known(course: &Course, gates: &[Arc<PlannedGate>]) -> Result<(), Wrong> {
    let steps = course.steps.iter().flat_map(|s| s.gates.iter().flatten().map(|name| ("steps", name)));
    let bakes = course.bakes.iter().flat_map(|b| b.gates.iter().flatten().map(|name| ("bake", name)));
    let unknown = steps.chain(bakes).find(|(_, name)| gates.iter().all(|g| g.name != **name));
    let Some((at, name)) = unknown else { return Ok(()) };
    Err(invalid(format!(
        "{at}: `gates` names {name}, which is a gate neither of this rollout nor of a set that it takes over; write the `name` of one of them"
    )))
}

/// Beside the name of a set nothing is written: it would look as if it counted.
fn alone(item: &Gate, set: &str) -> Result<(), Wrong> {
    let bare = Gate { gate_set: item.gate_set.clone(), ..Gate::default() };
    if *item == bare {
        return Ok(());
    }
    Err(invalid(format!(
        "gates: beside `gateSet: {set}` nothing else is written; to replace a gate of the set, write a whole gate of the same `name` in an item of its own"
    )))
}

/// The gates of a set, each with a name.
fn taken_over<'a>(set: &str, sets: &'a GateSets) -> Result<&'a [Gate], Wrong> {
    let Some(GateSetSeen::There(gates)) = sets.get(set) else {
        let message = format!(
            "gates: there is no LlmGateSet {set} in this namespace that can be read; apply it, or write its gates here"
        );
        return Err(Wrong { reason: Reason::GateSetMissing, message });
    };
    if gates.iter().any(|g| g.gate_set.is_some()) {
        return Err(invalid(format!(
            "gates: LlmGateSet {set} takes over another set; write the gates into it, or name both sets in the rollout"
        )));
    }
    Ok(gates)
}

fn twice(first: Written<'_>, later: Written<'_>) -> Wrong {
    let name = &first.gate.name;
    match (first.set, later.set) {
        (Some(one), Some(other)) if one != other => invalid(format!(
            "gates: {name} stands in LlmGateSet {one} and in LlmGateSet {other}, and neither comes first; write a gate {name} of your own, which takes the place of both, or take over only one of them"
        )),
        (Some(set), _) => invalid(format!("gates: {name} comes from LlmGateSet {set} twice; leave one of the two out")),
        (None, _) => invalid(format!("gates: {name} stands twice; give each gate a name of its own")),
    }
}
