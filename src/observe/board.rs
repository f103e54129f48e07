//! The board: which questions are wanted by whom, the last readings of each, and whose turn it is to look at them.
//! Equal questions are held once. Never asks, never judges, never waits for a reader and never makes an asker wait.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{Stream, stream};
use kube::runtime::reflector::ObjectRef;
use tokio::sync::{Notify, watch};

use crate::{
    api::LlmRollout,
    metrics::{Question, Reading},
};

/// Readings that are kept of each question.
const KEPT: usize = 16;

/// One rollout.
pub type Owner = ObjectRef<LlmRollout>;

/// The board. Clones are the same board.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    /// Counts changes of what is wanted.
    wanted: watch::Sender<u64>,
    /// Somebody stands in the queue.
    queued: Notify,
}

#[derive(Debug, Default)]
struct State {
    owners: BTreeMap<Key, BTreeSet<Arc<Question>>>,
    entries: BTreeMap<Arc<Question>, Entry>,
    queue: VecDeque<Key>,
}

/// An owner in an order; a reference has none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    namespace: Option<String>,
    name: String,
}

impl From<&Owner> for Key {
    fn from(owner: &Owner) -> Self {
        Self { namespace: owner.namespace.clone(), name: owner.name.clone() }
    }
}

impl From<Key> for Owner {
    fn from(Key { namespace, name }: Key) -> Self {
        let owner = Self::new(&name);
        match namespace {
            Some(namespace) => owner.within(&namespace),
            None => owner,
        }
    }
}

#[derive(Debug, Default)]
struct Entry {
    owners: BTreeSet<Key>,
    readings: VecDeque<Reading>,
}

impl Board {
    /// Replaces what a rollout wants to know; nothing ends it. What nobody wants any more is forgotten.
    pub fn subscribe(&self, owner: &Owner, questions: BTreeSet<Question>) {
        let changed = self.state().subscribe(owner.into(), questions);
        if changed {
            self.0.wanted.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    /// The rollout is gone.
    pub fn forget(&self, owner: &Owner) {
        self.subscribe(owner, BTreeSet::new());
        let owner = Key::from(owner);
        self.state().queue.retain(|queued| *queued != owner);
    }

    /// The last readings of a question, oldest first.
    pub fn readings(&self, question: &Question) -> Vec<Reading> {
        self.state().readings(question)
    }

    /// The last readings of all that one rollout wants to know.
    pub fn readings_of(&self, owner: &Owner) -> BTreeMap<Question, Vec<Reading>> {
        let state = self.state();
        let wanted = state.owners.get(&owner.into()).into_iter().flatten();
        wanted.map(|question| (question.as_ref().clone(), state.readings(question))).collect()
    }

    /// Puts a reading up and queues everyone who wants it. A reading that nobody wants any more is dropped.
    pub fn publish(&self, question: &Question, reading: Reading) {
        let queued = self.state().publish(question, reading);
        if queued {
            self.0.queued.notify_one();
        }
    }

    /// Queues a rollout of which something else than a reading is new.
    pub fn wake_up(&self, owner: &Owner) {
        self.state().queue(&owner.into());
        self.0.queued.notify_one();
    }

    /// Rollouts that have something new to look at, each queued at most once until it is taken.
    pub fn wakes(&self) -> impl Stream<Item = Owner> + Send + use<> {
        stream::unfold(self.clone(), |board| async move { Some((board.wake().await, board)) })
    }

    /// What one provider is to be asked.
    pub fn questions(&self, provider: &str) -> Vec<Arc<Question>> {
        self.state().entries.keys().filter(|question| question.provider == provider).cloned().collect()
    }

    /// Tells when what is wanted has changed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.wanted.subscribe()
    }

    async fn wake(&self) -> Owner {
        loop {
            let (first, more) = self.state().pop();
            if more {
                // Another reader may be waiting on the one permit that brought us here.
                self.0.queued.notify_one();
            }
            if let Some(owner) = first {
                return owner.into();
            }
            self.0.queued.notified().await;
        }
    }

    /// A panic elsewhere cannot leave the maps half changed in a way that matters: questions are subscribed anew.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether anything changed.
    fn subscribe(&mut self, owner: Key, questions: BTreeSet<Question>) -> bool {
        let known = |question: Question| match self.entries.get_key_value(&question) {
            Some((key, _)) => key.clone(),
            None => Arc::new(question),
        };
        let questions: BTreeSet<Arc<Question>> = questions.into_iter().map(known).collect();
        let before = self.owners.remove(&owner).unwrap_or_default();
        for gone in before.difference(&questions) {
            if let Some(entry) = self.entries.get_mut(gone) {
                entry.owners.remove(&owner);
                if entry.owners.is_empty() {
                    self.entries.remove(gone);
                }
            }
        }
        for new in questions.difference(&before) {
            self.entries.entry(new.clone()).or_default().owners.insert(owner.clone());
        }
        let changed = before != questions;
        if !questions.is_empty() {
            self.owners.insert(owner, questions);
        }
        changed
    }

    fn readings(&self, question: &Question) -> Vec<Reading> {
        self.entries.get(question).map(|entry| entry.readings.iter().cloned().collect()).unwrap_or_default()
    }

    /// Whether somebody was queued.
    fn publish(&mut self, question: &Question, reading: Reading) -> bool {
        let Some(entry) = self.entries.get_mut(question) else { return false };
        if entry.readings.len() == KEPT {
            entry.readings.pop_front();
        }
        entry.readings.push_back(reading);
        let before = self.queue.len();
        for owner in entry.owners.clone() {
            self.queue(&owner);
        }
        self.queue.len() > before
    }

    fn queue(&mut self, owner: &Key) {
        if !self.queue.contains(owner) {
            self.queue.push_back(owner.clone());
        }
    }

    /// The first in the queue, and whether there are more.
    fn pop(&mut self) -> (Option<Key>, bool) {
        let first = self.queue.pop_front();
        (first, !self.queue.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, pin::pin, time::Duration};

    use futures::{FutureExt, StreamExt};

    use super::{Board, KEPT, Owner};
    use crate::{
        api::Moment,
        metrics::{NoData, Question, Reading, Template},
    };

    fn question(text: &str) -> Question {
        Question {
            provider: "default".into(),
            about: None,
            value: Template::new(text.into()),
            samples: Template::new("n".into()),
            since: Moment::from_unix(0),
            window: Duration::from_mins(5),
            interval: Duration::from_secs(15),
            shortest: Question::SHORTEST,
            urgent: false,
            names: Vec::new(),
            raw: None,
        }
    }

    fn owner(name: &str) -> Owner {
        Owner::new(name).within("prod")
    }

    fn reading(at: i64) -> Reading {
        Reading {
            at: Moment::from_unix(at),
            window: Duration::from_secs(3),
            outcome: Err(NoData::Empty),
            names: Vec::new(),
            weighed: None,
        }
    }

    fn set(texts: &[&str]) -> BTreeSet<Question> {
        texts.iter().map(|text| question(text)).collect()
    }

    #[test]
    fn equal_questions_are_held_once_and_forgotten_with_the_last_owner() {
        let board = Board::default();
        let mut changes = board.changes();
        board.subscribe(&owner("a"), set(&["x", "y"]));
        board.subscribe(&owner("b"), set(&["x"]));
        assert_eq!(board.questions("default").len(), 2);
        assert_eq!(board.readings_of(&owner("a")).into_keys().collect::<BTreeSet<_>>(), set(&["x", "y"]));
        assert!(board.readings_of(&owner("c")).is_empty());
        assert!(board.questions("other").is_empty());
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        board.subscribe(&owner("b"), set(&["x"]));
        assert!(!changes.has_changed().unwrap(), "the same set is no change");

        board.publish(&question("x"), reading(1));
        board.forget(&owner("a"));
        assert_eq!(board.readings(&question("x")), [reading(1)]);
        assert_eq!(board.readings_of(&owner("b")), [(question("x"), vec![reading(1)])].into());
        board.subscribe(&owner("b"), set(&[]));
        assert!(board.readings(&question("x")).is_empty());
        assert!(board.questions("default").is_empty());
        board.publish(&question("x"), reading(2));
        assert!(board.readings(&question("x")).is_empty());
        let state = board.state();
        assert!(state.owners.is_empty() && state.entries.is_empty());
    }

    #[test]
    fn keeps_the_last_readings_oldest_first() {
        let board = Board::default();
        board.subscribe(&owner("a"), set(&["x"]));
        for at in 0..40 {
            board.publish(&question("x"), reading(at));
        }
        let kept: Vec<_> = board.readings(&question("x")).iter().map(|r| r.at.unix()).collect();
        assert_eq!(kept, (24..40).collect::<Vec<_>>());
        assert_eq!(kept.len(), KEPT);
    }

    #[tokio::test]
    async fn wakes_every_owner_once_until_it_is_taken() {
        let board = Board::default();
        let mut wakes = pin!(board.wakes());
        assert!(wakes.next().now_or_never().is_none());
        board.subscribe(&owner("a"), set(&["x", "y"]));
        board.subscribe(&owner("b"), set(&["x"]));
        for at in 0..1000 {
            board.publish(&question("x"), reading(at));
            board.publish(&question("y"), reading(at));
        }
        let mut woken: Vec<_> = [wakes.next().await.unwrap().name, wakes.next().await.unwrap().name].into();
        woken.sort();
        assert_eq!(woken, ["a", "b"]);
        assert!(wakes.next().now_or_never().is_none());

        board.publish(&question("y"), reading(7));
        board.publish(&question("x"), reading(7));
        board.forget(&owner("a"));
        assert_eq!(wakes.next().await.unwrap().name, "b");
        assert!(wakes.next().now_or_never().is_none());
    }
}
