//! The decider under test: each different look is decided once, its decision turned into the small world, and held
//! against the laws of a single decision. Never changes a state.

#![expect(clippy::struct_excessive_bools, reason = "a decision has them")]
#![expect(clippy::disallowed_types, reason = "looked up by key only; nothing depends on its order")]

use std::{
    collections::HashMap,
    hash::BuildHasher,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use llmrollout::{
    api::{Phase, Reason, status::Color},
    decide::{Decision, Intent, Snapshot, workload},
    metrics::Question,
    routers::RouterSeen,
};

use super::{
    course,
    hash::Build,
    laws::{self, Breach, LAWS, Law},
    look::{self, Look, NOW},
    patch,
    people::{ATTEMPT, Heard, ORDERS},
    setting::Setting,
    state::{Attempt, Gateway, Signal, Slot, Status, Things, Wish, index},
    table::Table,
    writer::{WRITES, Write},
};

/// A decider.
pub(crate) type Decide = fn(&Snapshot) -> Decision;

const SHARDS: usize = 64;

/// The questions of a stage, by candidate, age and whether it is dark.
type Questions = HashMap<(Color, i16, bool), Arc<Vec<Question>>>;
/// The routers, by what they say.
type Routers = HashMap<([Option<u8>; 2], Color, Gateway), Vec<RouterSeen>>;

/// What a decision means in the small world.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) writes: [Option<Write>; WRITES],
    pub(crate) raises: [bool; WRITES],
    pub(crate) guarded: [bool; WRITES],
    pub(crate) next: Status,
    pub(crate) home: bool,
    pub(crate) latched: bool,
    /// Whether another attempt begins.
    pub(crate) fresh: bool,
    pub(crate) wants_live: bool,
    /// Seconds until the next look at the latest.
    pub(crate) wake: Option<i64>,
    pub(crate) reason: Option<Reason>,
    pub(crate) breaches: Option<Arc<Vec<Breach>>>,
}

/// The decider with everything it has decided.
pub(crate) struct Brain {
    pub(crate) table: Table,
    decide: Decide,
    hasher: Build,
    decided: Vec<Mutex<HashMap<Look, Outcome, Build>>>,
    questions: Mutex<Questions>,
    routers: Mutex<Routers>,
    checked: [AtomicU64; LAWS],
}

impl Brain {
    pub(crate) fn new(setting: &'static Setting, decide: Decide) -> Self {
        Self {
            table: Table::new(setting),
            decide,
            hasher: Build::default(),
            decided: (0..SHARDS).map(|_| Mutex::default()).collect(),
            questions: Mutex::default(),
            routers: Mutex::default(),
            checked: [const { AtomicU64::new(0) }; LAWS],
        }
    }

    /// What is decided on a look.
    pub(crate) fn decide(&self, look: &Look) -> Outcome {
        let hash = self.hasher.hash_one(look);
        let shard = &self.decided[usize::try_from((hash >> 40) % SHARDS as u64).unwrap()];
        if let Some(known) = shard.lock().unwrap().get(look) {
            return known.clone();
        }
        let made = self.think(look, hash);
        shard.lock().unwrap().insert(*look, made.clone());
        made
    }

    /// How many different looks were decided.
    pub(crate) fn decisions(&self) -> usize {
        self.decided.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }

    /// Counts a check of a law.
    pub(crate) fn check(&self, law: Law) {
        self.checked[law as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn checked(&self, law: Law) -> u64 {
        self.checked[law as usize].load(Ordering::Relaxed)
    }

    fn think(&self, look: &Look, hash: u64) -> Outcome {
        let questions = self.questions(look);
        let snapshot = look::snapshot(&self.table, look, &questions, self.routers(&look.things));
        let decision = (self.decide)(&snapshot);
        let mut breaches = Vec::new();
        let mut outcome = self.outcome(look, &decision, &mut breaches);
        let case =
            &mut laws::Case { brain: self, look, decision: &decision, outcome: &outcome, breaches: &mut breaches };
        laws::of_decision(case);
        if (hash >> 20).is_multiple_of(16) {
            course::of_deletion(case, &snapshot, self.decide);
        }
        if (hash >> 20).is_multiple_of(64) {
            self.faithful(look, &snapshot, &decision, &outcome, &mut breaches);
        }
        outcome.breaches = (!breaches.is_empty()).then(|| Arc::new(breaches));
        outcome
    }

    fn outcome(&self, look: &Look, decision: &Decision, breaches: &mut Vec<Breach>) -> Outcome {
        let mut outcome = Outcome {
            writes: [None; WRITES],
            raises: [false; WRITES],
            guarded: [false; WRITES],
            next: look::status_of(&self.table, &decision.next),
            home: decision.home,
            latched: decision.latched,
            fresh: decision.next.attempt.as_ref().is_some_and(|a| a.id != ATTEMPT),
            wants_live: decision.wants_live,
            wake: decision.wake.map(|at| at.unix() - NOW.unix()),
            reason: decision.next.reason,
            breaches: None,
        };
        assert!(decision.intents.len() <= WRITES, "more writes than the model has room for: {:?}", decision.intents);
        for (n, intent) in decision.intents.iter().enumerate() {
            let write = match intent {
                Intent::Apply(owned) => {
                    outcome.guarded[n] = owned.body["metadata"]["resourceVersion"] == "5";
                    self.applied(owned, breaches)
                }
                Intent::Delete { name, version, .. } => {
                    outcome.guarded[n] = version == "5";
                    self.deleted(name, breaches)
                }
                Intent::Put(put) => {
                    breaches.push(Breach::new(Law::I14, format!("a webhook that nobody named: {}", put.webhook)));
                    None
                }
                Intent::Scale { path, .. } => {
                    breaches.push(Breach::new(Law::I14, format!("{path} is nobody's of this world")));
                    None
                }
                Intent::Patch(p) => match patch::read(&look.things, p) {
                    Ok(read) => {
                        laws::of_patch(self, read, breaches);
                        outcome.guarded[n] = read.guarded;
                        outcome.raises[n] = !decision.home && laws::raises(look, read.write);
                        Some(read.write)
                    }
                    Err(why) => {
                        breaches.push(Breach::new(Law::I14, why));
                        None
                    }
                },
            };
            outcome.writes[n] = write;
        }
        outcome
    }

    fn applied(&self, owned: &llmrollout::decide::intent::Owned, breaches: &mut Vec<Breach>) -> Option<Write> {
        self.check(Law::I14);
        let hash = workload::note(owned, llmrollout::api::labels::APPLIED).unwrap_or_default();
        let known = self.table.applied(hash).filter(|_| owned.body["metadata"]["namespace"] == "llm");
        let Some((color, deployed)) = known else {
            breaches.push(Breach::new(Law::I14, format!("an object nobody asked for: {}", owned.name)));
            return None;
        };
        Some(deployed.map_or(Write::Service(color), |d| Write::Deploy(color, d)))
    }

    fn deleted(&self, name: &str, breaches: &mut Vec<Breach>) -> Option<Write> {
        self.check(Law::I14);
        let color = Color::BOTH.into_iter().find(|c| name == format!("chat-{}", c.word()));
        if color.is_none() || !self.table.setting.deletes {
            breaches.push(Breach::new(Law::I14, format!("deletes {name}")));
        }
        color.map(Write::Retire)
    }

    /// Whether the small status forgets nothing that matters: the next decision is the same on the real one.
    fn faithful(
        &self,
        look: &Look,
        snapshot: &Snapshot,
        decision: &Decision,
        outcome: &Outcome,
        breaches: &mut Vec<Breach>,
    ) {
        self.check(Law::Model);
        if outcome.fresh {
            // Numbers of attempts are not kept: the next one is again the same.
            return;
        }
        let again = |status: llmrollout::api::LlmRolloutStatus| {
            let mut rollout = snapshot.rollout.as_ref().clone();
            rollout.status = Some(status);
            let next = (self.decide)(&Snapshot { rollout: Arc::new(rollout), ..snapshot.clone() });
            (look::status_of(&self.table, &next.next), next.intents, next.wants_live)
        };
        let (real, small) =
            (again(decision.next.clone()), again(look::concrete(&self.table, &outcome.next, &look.orders)));
        if real != small {
            breaches.push(Breach::new(Law::Model, format!("real status {real:?}, small status {small:?}")));
        }
    }

    /// The routers as the code's readers see them.
    fn routers(&self, things: &Things) -> Vec<RouterSeen> {
        let key = (things.route, things.front, things.gateway);
        self.routers.lock().unwrap().entry(key).or_insert_with(|| look::routers(&self.table, things)).clone()
    }

    /// The questions of the step that is being measured, asked of the decider in a quiet hour.
    fn questions(&self, look: &Look) -> Arc<Vec<Question>> {
        let measuring = look.status.and_then(|s| Some((s.candidate?, s.running().copied()?, s)));
        let Some((candidate, attempt, status)) = measuring else { return Arc::default() };
        let Some(entered) = attempt.entered else { return Arc::default() };
        let key = (candidate, entered, attempt.weight == 0);
        if let Some(known) = self.questions.lock().unwrap().get(&key) {
            return Arc::clone(known);
        }
        let quiet = quiet_hour(
            look,
            candidate,
            Attempt {
                paused: false,
                asked: false,
                skipped: false,
                promoted: false,
                fast: false,
                ended: None,
                clock: 0,
                remaining: 1,
                ..attempt
            },
            status,
        );
        let asked =
            llmrollout::decide::decide(&look::snapshot(&self.table, &quiet, &[], self.routers(&quiet.things))).asks;
        let asked: Vec<Question> = asked.into_iter().filter(|q| look::of_a_gate(q, candidate)).collect();
        let speak = if attempt.weight == 0 { 0 } else { 2 };
        assert_eq!(asked.len(), speak, "two gates ask two questions, none in the dark: {quiet:?}");
        let made = Arc::new(asked);
        self.questions.lock().unwrap().insert(key, Arc::clone(&made));
        made
    }
}

fn quiet_hour(look: &Look, candidate: Color, attempt: Attempt, status: Status) -> Look {
    let mut things = look.things;
    let share = attempt.weight;
    things.route = match candidate {
        Color::Blue => [Some(share), Some(100 - share)],
        Color::Green => [Some(100 - share), Some(share)],
    };
    things.front = if share == 100 { candidate } else { candidate.other() };
    things.gateway = Gateway::Follows;
    things.slots = things.slots.map(|slot| Slot { ready: true, ours: true, ..slot });
    let old = &mut things.slots[index(candidate.other())];
    old.deployment = old.deployment.map(|d| super::state::Deployed { retired: false, ..d });
    let calm = Status {
        phase: Some(Phase::Holding),
        attempt: Some(attempt),
        intent: None,
        gates: [None; 2],
        active: Some(candidate.other()),
        aborted: 0,
        quarrel: 0,
        retiring: None,
        heard: [Heard::Not; ORDERS],
        ..status
    };
    let wish = Wish { revision: attempt.revision, paused: false, abort: false, known: true, done: true };
    Look { wish, status: Some(calm), things, orders: [None; ORDERS], live: false, signals: [Signal::Silent; 2] }
}
