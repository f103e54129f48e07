//! When each question of one provider is due: at once when it is new and its step old enough, then at its interval, each
//! at its own point of it; never faster than the provider's limit, never while it wants to be left alone, and never one
//! text twice at the same time. Time is a parameter; never sends anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use crate::{
    api::Moment,
    metrics::{NoData, Question, Sample},
};

/// How long a provider is left alone after a failure of its own, at first and at most.
const SHORTEST_REST: Duration = Duration::from_millis(250);
const LONGEST_REST: Duration = Duration::from_secs(5);

/// Questions with their due times. `now` is the running time of the operator's clock.
#[derive(Debug)]
pub(super) struct Schedule {
    turns: BTreeMap<Arc<Question>, Turn>,
    /// The least time between two requests; a question may be several.
    gap: Duration,
    /// Before this no question may be sent.
    free: Duration,
    /// Until then the provider rests.
    resting: Duration,
    /// Rests since it last gave an answer.
    rests: u32,
}

#[derive(Debug)]
struct Turn {
    due: Duration,
    /// It is being asked right now, since then.
    asking: Option<Duration>,
    /// Somebody still wants to know.
    wanted: bool,
    /// Since when it waits without a word.
    silent: Duration,
}

impl Schedule {
    pub(super) fn new(gap: Duration) -> Self {
        Self { turns: BTreeMap::new(), gap, free: Duration::ZERO, resting: Duration::ZERO, rests: 0 }
    }

    /// Takes over what is wanted now. `moment` is `now` as a point in time.
    pub(super) fn set(&mut self, questions: Vec<Arc<Question>>, moment: Moment, now: Duration) {
        let wanted: BTreeSet<Arc<Question>> = questions.into_iter().collect();
        // A question in flight stays until its answer, so that it is never asked twice at the same time.
        self.turns.retain(|question, turn| {
            turn.wanted = wanted.contains(question);
            turn.wanted || turn.asking.is_some()
        });
        for question in wanted {
            let due = now + wait(&question, moment);
            self.turns.entry(question).or_insert(Turn { due, asking: None, wanted: true, silent: due });
        }
    }

    /// The question to send now: what aborts before the rest, and of those the longest overdue.
    pub(super) fn take(&mut self, now: Duration) -> Option<Arc<Question>> {
        if now < self.free {
            return None;
        }
        let (question, _) =
            self.waiting().filter(|(_, turn)| turn.due <= now).min_by_key(|(q, turn)| (!q.urgent, turn.due))?;
        let question = question.clone();
        if let Some(turn) = self.turns.get_mut(&question) {
            turn.asking = Some(now);
        }
        self.free = now + self.gap * question.requests();
        Some(question)
    }

    /// Questions whose text is not being asked: for another window or step the same text is the same work.
    fn waiting(&self) -> impl Iterator<Item = (&Arc<Question>, &Turn)> {
        let asking = self.turns.iter().filter(|(_, turn)| turn.asking.is_some());
        let asking: Vec<&Question> = asking.map(|(question, _)| question.as_ref()).collect();
        let same = |a: &Question, b: &Question| a.value == b.value && a.samples == b.samples && a.about == b.about;
        let free = move |(question, _): &(&Arc<Question>, &Turn)| !asking.iter().any(|asked| same(asked, question));
        self.turns.iter().filter(free)
    }

    /// What an answer says about the provider: one that fails or wants fewer questions is left alone, as long as it asks
    /// or else a little longer each time, but never longer than the most urgent question may wait.
    pub(super) fn heed(&mut self, outcome: &Result<Sample, NoData>, rest: Option<Duration>, now: Duration) {
        let little = match outcome {
            Err(NoData::Throttled) => rest.is_none(),
            Err(NoData::Status(status)) => *status >= 500,
            _ => false,
        };
        if let Some(rest) = rest {
            self.resting = self.resting.max(now + rest);
        } else if !little {
            self.rests = 0;
        } else if now >= self.resting {
            // Those that were on the way together fail together: that is one failure.
            let urgent = self.turns.keys().map(|question| interval(question)).min().unwrap_or(LONGEST_REST);
            let rest = SHORTEST_REST.saturating_mul(2_u32.saturating_pow(self.rests));
            self.resting = now + rest.min(LONGEST_REST).min(urgent);
            self.rests = self.rests.saturating_add(1);
        }
        self.free = self.free.max(self.resting);
    }

    /// There is more to be read for it at once.
    pub(super) fn again(&mut self, question: &Question, now: Duration) {
        if let Some(turn) = self.turns.get_mut(question) {
            turn.due = now;
        }
    }

    /// A question was answered, or could not be asked yet.
    pub(super) fn done(&mut self, question: &Question, moment: Moment, now: Duration) {
        let Some(turn) = self.turns.get_mut(question) else { return };
        if !turn.wanted {
            self.turns.remove(question);
            return;
        }
        let asked = turn.asking.take().unwrap_or(now);
        turn.due = next(question, asked).max(now + wait(question, moment));
        turn.silent = turn.due;
    }

    /// Questions that the limits have kept waiting for two intervals since they were due, or were last named here.
    pub(super) fn starved(&mut self, now: Duration) -> Vec<Arc<Question>> {
        let waiting = self.turns.iter_mut().filter(|(_, turn)| turn.asking.is_none());
        let starved = waiting.filter(|(question, turn)| now.saturating_sub(turn.silent) >= 2 * interval(question));
        starved
            .map(|(question, turn)| {
                turn.silent = now;
                question.clone()
            })
            .collect()
    }

    /// When `take` is worth calling again.
    pub(super) fn wake(&self) -> Option<Duration> {
        let due = self.waiting().map(|(_, turn)| turn.due).min();
        due.map(|due| due.max(self.free))
    }
}

/// How long a question must wait until its step is old enough for the shortest window.
fn wait(question: &Question, moment: Moment) -> Duration {
    let ready = question.since.plus(question.shortest);
    ready.since(moment)
}

fn interval(question: &Question) -> Duration {
    question.interval.max(Duration::from_secs(1))
}

/// The first of the question's own points at least a quarter of its interval after it was asked. Points of different
/// questions differ, so that many with the same interval spread over it.
fn next(question: &Question, asked: Duration) -> Duration {
    let interval = interval(question);
    let mut hasher = DefaultHasher::new();
    question.hash(&mut hasher);
    let millis = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
    let point = hasher.finish() % millis;
    let from = u64::try_from((asked + interval / 4).as_millis()).unwrap_or(u64::MAX);
    let ahead = (point + millis - from % millis) % millis;
    Duration::from_millis(from.saturating_add(ahead))
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::{SHORTEST_REST, Schedule};
    use crate::{
        api::Moment,
        metrics::{NoData, Question, Sample, Template},
    };

    /// A plain question is two requests: 100 ms.
    const GAP: Duration = Duration::from_millis(50);
    const SECOND: Duration = Duration::from_secs(1);
    const START: Moment = Moment::from_unix(1_790_000_000);

    fn question(text: &str, since: i64) -> Arc<Question> {
        Arc::new(Question {
            provider: "default".into(),
            about: None,
            value: Template::new(text.into()),
            samples: Template::new("n".into()),
            since: Moment::from_unix(START.unix() + since),
            window: Duration::from_mins(5),
            interval: 15 * SECOND,
            shortest: Question::SHORTEST,
            urgent: false,
            names: Vec::new(),
            raw: None,
        })
    }

    #[test]
    fn a_new_question_is_due_at_once_unless_its_step_is_too_young() {
        let mut schedule = Schedule::new(GAP);
        assert_eq!(schedule.wake(), None);
        schedule.set(vec![question("old", -60), question("young", -1), question("future", 5)], START, SECOND);
        assert_eq!(schedule.take(SECOND), Some(question("old", -60)));
        assert_eq!(schedule.take(SECOND), None, "the gap");
        assert_eq!(schedule.wake(), Some(3 * SECOND));
        assert_eq!(schedule.take(3 * SECOND), Some(question("young", -1)));
        assert_eq!(schedule.wake(), Some(9 * SECOND));
    }

    #[test]
    fn asks_at_the_interval_and_never_twice_at_once() {
        let mut schedule = Schedule::new(GAP);
        let x = question("x", -60);
        schedule.set(vec![x.clone()], START, Duration::ZERO);
        let mut now = Duration::ZERO;
        let mut asked = Vec::new();
        for _ in 0..10 {
            now = schedule.wake().unwrap().max(now);
            assert_eq!(schedule.take(now), Some(x.clone()));
            assert_eq!((schedule.take(now + 3600 * SECOND), schedule.wake()), (None, None), "in flight");
            asked.push(now);
            schedule.done(&x, START, now + SECOND);
        }
        let first = asked[1].checked_sub(asked[0]).unwrap();
        assert!((15 * SECOND / 4..=15 * SECOND * 5 / 4).contains(&first), "{first:?}");
        for pair in asked[1..].windows(2) {
            assert_eq!(pair[1].checked_sub(pair[0]), Some(15 * SECOND), "a slow answer delays nothing");
        }
    }

    #[test]
    fn questions_with_the_same_interval_spread_over_it() {
        let mut schedule = Schedule::new(Duration::ZERO);
        let all: Vec<_> = (0..300).map(|i| question(&i.to_string(), -60)).collect();
        schedule.set(all.clone(), START, Duration::ZERO);
        while let Some(question) = schedule.take(Duration::ZERO) {
            schedule.done(&question, START, Duration::ZERO);
        }
        let within =
            |from: Duration| schedule.turns.values().filter(|t| (from..from + SECOND).contains(&t.due)).count();
        let most = (0..30).map(|second| within(second * SECOND)).max().unwrap();
        assert!(most <= 40, "{most} of 300 in one of 15 seconds");
    }

    /// Twice as many questions as the provider takes: what aborts is never late for it, and nobody else is forgotten.
    #[test]
    fn what_aborts_goes_first_where_few_may_be_asked() {
        let mut schedule = Schedule::new(SECOND / 2);
        let aborts: Vec<_> = (0..2)
            .map(|i| {
                let calm = question(&format!("abort {i}"), -60).as_ref().clone();
                Arc::new(Question { urgent: true, interval: 5 * SECOND, ..calm })
            })
            .collect();
        let calm: Vec<_> = (0..20).map(|i| question(&i.to_string(), -60)).collect();
        schedule.set(calm.iter().chain(&aborts).cloned().collect(), START, Duration::ZERO);
        let mut asked = std::collections::BTreeMap::<_, Vec<u64>>::new();
        for second in 0..60 {
            let now = second * SECOND;
            let question = schedule.take(now).unwrap();
            schedule.done(&question, START, now);
            asked.entry(question).or_default().push(u64::from(second));
        }
        for abort in &aborts {
            let times = &asked[abort];
            assert!(times[0] <= 1, "{times:?}");
            // Its interval, a quarter more until it stands at its own point, and a second each for what goes before it.
            assert!(times.windows(2).all(|pair| pair[1] - pair[0] <= 8), "{times:?}");
        }
        assert!(calm.iter().all(|question| asked.contains_key(question)), "{asked:?}");
    }

    #[test]
    fn one_text_is_on_the_way_once_whatever_its_step() {
        let mut schedule = Schedule::new(GAP);
        let (old, new, other) = (question("x", -60), question("x", -30), question("y", -30));
        schedule.set(vec![old.clone()], START, Duration::ZERO);
        assert_eq!(schedule.take(Duration::ZERO), Some(old.clone()));
        schedule.set(vec![new.clone(), other.clone()], START, SECOND);
        assert_eq!(schedule.take(SECOND), Some(other.clone()));
        assert_eq!((schedule.take(2 * SECOND), schedule.wake()), (None, None), "its text is on the way");
        schedule.done(&old, START, 3 * SECOND);
        assert_eq!(schedule.take(3 * SECOND), Some(new));
    }

    #[test]
    fn a_provider_that_asks_for_it_is_left_alone() {
        let mut schedule = Schedule::new(GAP);
        schedule.set(vec![question("x", -60)], START, Duration::ZERO);
        schedule.heed(&Err(NoData::Throttled), Some(60 * SECOND), Duration::ZERO);
        schedule.heed(&Err(NoData::Throttled), Some(7 * SECOND), SECOND);
        assert_eq!((schedule.take(59 * SECOND), schedule.wake()), (None, Some(60 * SECOND)), "the longer one counts");
        assert_eq!(schedule.starved(31 * SECOND).len(), 1, "and who waits is told");
        assert!(schedule.take(60 * SECOND).is_some());
    }

    #[test]
    fn a_failing_provider_is_left_alone_a_little_longer_each_time() {
        let rests = |interval: Duration| {
            let mut schedule = Schedule::new(Duration::ZERO);
            let x = Question { interval, ..question("x", -60).as_ref().clone() };
            schedule.set(vec![Arc::new(x), question("y", -60)], START, Duration::ZERO);
            let mut now = SECOND;
            let mut rests = Vec::new();
            for _ in 0..40 {
                let failed = Err(NoData::Status(503));
                schedule.heed(&failed, None, now);
                // Another that was on the way with it.
                schedule.heed(&failed, None, now);
                let next = schedule.wake().unwrap();
                rests.push(next.checked_sub(now).unwrap().as_millis());
                now = next;
            }
            let good = Ok(Sample { value: 1.0, samples: 1.0 });
            for harmless in [good, Err(NoData::Empty), Err(NoData::Status(422)), Err(NoData::Late)] {
                schedule.heed(&Err(NoData::Throttled), None, now);
                now = schedule.wake().unwrap();
                schedule.heed(&harmless, None, now);
                schedule.heed(&Err(NoData::Status(500)), None, now);
                assert_eq!(schedule.wake().unwrap().checked_sub(now), Some(SHORTEST_REST), "{harmless:?} ends a row");
                now = schedule.wake().unwrap();
                schedule.heed(&harmless, None, now);
            }
            rests
        };
        let long = rests(15 * SECOND);
        assert_eq!((&long[..6], long[39]), (&[250, 500, 1000, 2000, 4000, 5000][..], 5000));
        assert_eq!(rests(SECOND)[..4], [250, 500, 1000, 1000], "a question for each second stays one");
    }

    #[test]
    fn an_unwanted_question_in_flight_ends_with_its_answer() {
        let mut schedule = Schedule::new(GAP);
        let x = question("x", -60);
        schedule.set(vec![x.clone()], START, Duration::ZERO);
        schedule.take(Duration::ZERO).unwrap();
        schedule.set(vec![], START, SECOND);
        schedule.set(vec![x.clone()], START, 2 * SECOND);
        assert_eq!(schedule.take(2 * SECOND), None, "still in flight");
        schedule.set(vec![], START, 3 * SECOND);
        schedule.done(&x, START, 4 * SECOND);
        assert!(schedule.turns.is_empty());
    }

    #[test]
    fn names_what_has_to_wait_too_long() {
        let mut schedule = Schedule::new(GAP);
        let (x, y) = (question("x", -60), question("y", -60));
        schedule.set(vec![x.clone(), y.clone()], START, Duration::ZERO);
        let taken = schedule.take(Duration::ZERO).unwrap();
        let other = if taken == x { y } else { x };
        assert!(schedule.starved(29 * SECOND).is_empty());
        assert_eq!(schedule.starved(30 * SECOND), std::slice::from_ref(&other));
        assert!(schedule.starved(31 * SECOND).is_empty(), "said once");
        assert_eq!(schedule.starved(60 * SECOND), std::slice::from_ref(&other));
        assert_eq!(schedule.take(61 * SECOND), Some(other));
    }
}
