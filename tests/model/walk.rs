//! The walk: breadth first over a hash set of states, level by level, on all cores, so that the first path to a breach
//! is a shortest one. A state seen with less left to disturb it than before is not walked again.

#![expect(clippy::disallowed_types, reason = "looked up by key only; nothing depends on its order")]

use std::{
    collections::{BTreeMap, HashMap, hash_map},
    thread,
};

use llmrollout::api::{order::Verb, status::Color};

use super::{
    brain::Brain,
    hands::Stop,
    hash::Build,
    laws::{Breach, Law},
    moves::{self, Action, Budget, Move},
    state::World,
};

/// What the walk keeps of a state: how it was reached first, and with which budgets.
struct Entry {
    id: u32,
    budget: Budget,
    /// Others that neither cover the first nor are covered by it: seldom any.
    more: Vec<Budget>,
}

/// A breach with the way to it.
pub(crate) struct Found {
    pub(crate) from: u32,
    pub(crate) action: Action,
}

/// A walk, finished.
pub(crate) struct Walked {
    states: HashMap<World, Entry, Build>,
    parents: Vec<(u32, Action)>,
    pub(crate) transitions: u64,
    pub(crate) levels: usize,
    /// The breaches of each law by their words: the first, and how many there were.
    pub(crate) breaches: BTreeMap<Law, BTreeMap<String, (Found, u64)>>,
    /// How often each kind of thing happened.
    pub(crate) happened: BTreeMap<&'static str, u64>,
}

/// A state to be walked from.
type Open = (World, u32, Budget);

/// Walks everything within a budget; ends early at the first breach when told to.
pub(crate) fn walk(brain: &Brain, budget: Budget, stop_at: Option<Law>) -> Walked {
    let mut walked = Walked {
        states: HashMap::default(),
        parents: vec![(0, Action::Start)],
        transitions: 0,
        levels: 0,
        breaches: BTreeMap::new(),
        happened: BTreeMap::new(),
    };
    let start = moves::start();
    walked.states.insert(start, Entry { id: 0, budget, more: Vec::new() });
    let mut open: Vec<Open> = vec![(start, 0, budget)];
    while !open.is_empty() && stop_at.is_none_or(|law| !walked.breaches.contains_key(&law)) {
        walked.levels += 1;
        open = level(brain, &mut walked, &open, stop_at);
    }
    walked
}

/// States that are expanded at once before their successors are put away: bounds the memory that waits.
const BATCH: usize = 40_000;
/// The same for a walk that ends at the first breach.
const HASTY: usize = 200;

fn level(brain: &Brain, walked: &mut Walked, open: &[Open], stop_at: Option<Law>) -> Vec<Open> {
    let mut next = Vec::new();
    for batch in open.chunks(if stop_at.is_some() { HASTY } else { BATCH }) {
        if stop_at.is_some_and(|law| walked.breaches.contains_key(&law)) {
            break;
        }
        let cores = thread::available_parallelism().map_or(2, usize::from);
        let share = batch.len().div_ceil(cores).max(1);
        let found: Vec<Vec<(u32, Move)>> = thread::scope(|scope| {
            let expand = |part: &[Open]| {
                let all = part.iter().flat_map(|(w, id, b)| moves::moves(brain, w, *b).into_iter().map(|m| (*id, m)));
                all.collect::<Vec<_>>()
            };
            let parts: Vec<_> = batch.chunks(share).map(|part| scope.spawn(move || expand(part))).collect();
            parts.into_iter().map(|part| part.join().expect("a walker never fails")).collect()
        });
        for (from, step) in found.into_iter().flatten() {
            walked.put(from, step, &mut next);
        }
    }
    next
}

impl Walked {
    fn put(&mut self, from: u32, step: Move, next: &mut Vec<Open>) {
        self.transitions += 1;
        let Move { action, to, budget, breaches } = step;
        *self.happened.entry(kind(action)).or_default() += 1;
        for breach in breaches {
            let Breach { law, what } = breach;
            self.breaches.entry(law).or_default().entry(what).or_insert((Found { from, action }, 0)).1 += 1;
        }
        let fresh = u32::try_from(self.parents.len()).expect("fewer states than that");
        let entry = match self.states.entry(to) {
            hash_map::Entry::Vacant(vacant) => {
                self.parents.push((from, action));
                vacant.insert(Entry { id: fresh, budget, more: Vec::new() })
            }
            hash_map::Entry::Occupied(known) => {
                let known = known.into_mut();
                if known.budget.covers(budget) || known.more.iter().any(|b| b.covers(budget)) {
                    return;
                }
                if budget.covers(known.budget) {
                    known.budget = budget;
                    known.more.retain(|b| !budget.covers(*b));
                } else {
                    known.more.retain(|b| !budget.covers(*b));
                    known.more.push(budget);
                }
                known
            }
        };
        next.push((to, entry.id, budget));
    }

    pub(crate) fn states(&self) -> impl Iterator<Item = &World> {
        self.states.keys()
    }

    pub(crate) fn len(&self) -> usize {
        self.states.len()
    }

    /// The way to a state: what happened, and the state after it.
    pub(crate) fn path(&self, to: u32) -> Vec<(Action, World)> {
        let mut ids = vec![to];
        while let Some(&last) = ids.last().filter(|id| **id != 0) {
            ids.push(self.parents[last as usize].0);
        }
        ids.reverse();
        let known: BTreeMap<u32, World> =
            self.states.iter().filter(|(_, e)| ids.contains(&e.id)).map(|(w, e)| (e.id, *w)).collect();
        ids.iter().map(|id| (self.parents[*id as usize].1, known[id])).collect()
    }

    /// The number of a state.
    pub(crate) fn id(&self, world: &World) -> Option<u32> {
        self.states.get(world).map(|e| e.id)
    }
}

/// Every kind of thing that happens.
pub(crate) const KINDS: &[&str] = &[
    "pass",
    "crash between two writes",
    "writer falls asleep holding a decision",
    "writer falls asleep in the middle of a live read",
    "stale writer wakes",
    "time passes",
    "new revision",
    "paused",
    "resumed",
    "abort",
    "abort taken back",
    "provider lost",
    "provider back",
    "pods die",
    "pods become ready",
    "gateway follows",
    "gateway falls silent",
    "gateway refuses",
    "route edited: weights removed",
    "route edited: all to green",
    "route edited: all to blue",
    "selector edited: green",
    "selector edited: blue",
];

/// What others do where they have a say.
pub(crate) const OTHERS: &[&str] = &[
    "a name belongs to somebody else",
    "a name is ours again",
    "the rollout before is taken back",
    "the rollout before is done",
];

/// What people say.
pub(crate) const SAID: &[&str] = &[
    "order: Abort",
    "order: Approve",
    "order: Promote",
    "order: Reject",
    "order: Resume",
    "order: Retry",
    "order: Skip",
    "order to another attempt",
];

fn kind(action: Action) -> &'static str {
    match action {
        Action::Start => "start",
        Action::Pass(_, Stop::Done) => "pass",
        Action::Pass(_, Stop::Crash(_)) | Action::Wake(Stop::Crash(_)) => "crash between two writes",
        Action::Pass(_, Stop::Sleep(_)) => "writer falls asleep holding a decision",
        Action::Pass(_, Stop::HalfRead) => "writer falls asleep in the middle of a live read",
        Action::Wake(_) => "stale writer wakes",
        Action::Tick(_) => "time passes",
        Action::Revision(_) => "new revision",
        Action::Paused(true) => "paused",
        Action::Paused(false) => "resumed",
        Action::Abort(true) => "abort",
        Action::Abort(false) => "abort taken back",
        Action::Provider(false) => "provider lost",
        Action::Provider(true) => "provider back",
        Action::Pods(_, false) => "pods die",
        Action::Pods(_, true) => "pods become ready",
        Action::Gateway(super::state::Gateway::Follows) => "gateway follows",
        Action::Gateway(super::state::Gateway::Silent) => "gateway falls silent",
        Action::Gateway(super::state::Gateway::Refuses) => "gateway refuses",
        Action::Route([None, _]) => "route edited: weights removed",
        Action::Route([Some(0), _]) => "route edited: all to green",
        Action::Route(_) => "route edited: all to blue",
        Action::Front(Color::Green) => "selector edited: green",
        Action::Front(Color::Blue) => "selector edited: blue",
        Action::Ours(_, false) => "a name belongs to somebody else",
        Action::Ours(_, true) => "a name is ours again",
        Action::Dependency(false) => "the rollout before is taken back",
        Action::Dependency(true) => "the rollout before is done",
        Action::Says(order) if !order.current => "order to another attempt",
        Action::Says(order) => match order.say.verb() {
            Verb::Abort => "order: Abort",
            Verb::Approve => "order: Approve",
            Verb::Promote => "order: Promote",
            Verb::Reject => "order: Reject",
            Verb::Resume => "order: Resume",
            Verb::Retry => "order: Retry",
            Verb::Skip => "order: Skip",
        },
    }
}
