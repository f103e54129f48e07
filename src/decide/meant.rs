//! What a manifest means, kept from pass to pass as long as it is the same manifest: the plan, the revision, and the queries
//! of its gates once they were needed. A memo of pure readings: the same is decided with it and without it.

use std::sync::{Arc, OnceLock};

use super::{
    plan::{Plan, Wrong},
    release,
    snapshot::{Around, FoundOut, GateSets, Offers, PriceListSeen, Snapshot},
};
use crate::{
    api::{LlmRollout, gates::Metric, status::Color},
    metrics::{
        NotAvailable, Subject,
        ask::{self, Queries},
    },
};

/// What is made when it is needed, and then kept.
type Slot = OnceLock<Result<Queries, NotAvailable>>;

/// A manifest and what its questions rest on, understood.
#[derive(Debug)]
pub struct Meant {
    rollout: Arc<LlmRollout>,
    gate_sets: GateSets,
    price_list: PriceListSeen,
    offers: Arc<Offers>,
    found: FoundOut,
    /// Since 1970: prices are old from one day to the next.
    day: i64,
    pub(super) plan: Result<Plan, Wrong>,
    /// The revision that is wanted, where the manifest says it.
    pub(super) wanted: Option<String>,
    queries: Vec<(Subject, [Slot; 4])>,
}

/// What was needed until now makes no difference.
impl PartialEq for Meant {
    fn eq(&self, other: &Self) -> bool {
        (&self.plan, &self.wanted, self.found) == (&other.plan, &other.wanted, other.found)
    }
}

impl Meant {
    /// What the snapshot's manifest means; what was read of it before, if nothing has changed since.
    pub(super) fn of(s: &Snapshot, found: FoundOut) -> Arc<Self> {
        let known = s.meant.as_ref().filter(|known| known.still(s, found));
        known.map_or_else(|| Arc::new(Self::read(s, found)), Arc::clone)
    }

    fn read(s: &Snapshot, found: FoundOut) -> Self {
        let spec = &s.rollout.spec;
        let plan = Plan::read(spec, Around { found, ..s.around() });
        let gates = plan.iter().flat_map(|plan| &plan.gates);
        let subjects = gates.flat_map(|gate| std::iter::once(&gate.subject).chain(&gate.shown)).cloned();
        let requests = Subject::Metric(Metric::Requests, None);
        let lasting = subjects.chain([requests]).filter(ask::lasts);
        let queries = lasting.map(|subject| (subject, Default::default())).collect();
        Self {
            rollout: Arc::clone(&s.rollout),
            gate_sets: s.gate_sets.clone(),
            price_list: s.price_list.clone(),
            offers: Arc::clone(&s.offers),
            found,
            day: day(s),
            wanted: release::wanted(&spec.release),
            plan,
            queries,
        }
    }

    fn still(&self, s: &Snapshot, found: FoundOut) -> bool {
        let offers = Arc::ptr_eq(&self.offers, &s.offers) || self.offers == s.offers;
        let manifest = Arc::ptr_eq(&self.rollout, &s.rollout)
            || named(&self.rollout) == named(&s.rollout) && self.rollout.spec == s.rollout.spec;
        let beside = self.gate_sets == s.gate_sets && self.price_list == s.price_list && self.day == day(s);
        self.found == found && offers && manifest && beside
    }

    /// The queries about a color, alone or beside the other one.
    pub(super) fn queries(
        &self,
        (subject, color, alone): (&Subject, Color, bool),
        make: impl FnOnce() -> Result<Queries, NotAvailable>,
    ) -> Result<Queries, NotAvailable> {
        let slot = match (color, alone) {
            (Color::Blue, false) => 0,
            (Color::Blue, true) => 1,
            (Color::Green, false) => 2,
            (Color::Green, true) => 3,
        };
        let known = self.queries.iter().find(|(known, _)| known == subject).and_then(|(_, slots)| slots.get(slot));
        match known {
            Some(once) => once.get_or_init(make).clone(),
            None => make(),
        }
    }
}

fn named(rollout: &LlmRollout) -> [&Option<String>; 2] {
    [&rollout.metadata.namespace, &rollout.metadata.name]
}

fn day(s: &Snapshot) -> i64 {
    s.now.unix().div_euclid(24 * 3600)
}
