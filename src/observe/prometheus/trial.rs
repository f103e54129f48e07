//! Raw samples of both colors → the evidence of a statistical gate: what is to be read next, and what has come of it.
//! Holds the evidence while the process lives; a checkpoint and the provider's own history give it back to the next one.
//! Never sends anything and never judges.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    api::Moment,
    metrics::{
        NoData, Question, Sample,
        raw::{Demand, Part, Raw, Role, Series, View},
        reading::Weighed,
    },
    stats::{
        Arm, Count,
        checkpoint::{Checkpoint, smaller},
        counters,
        gate::{Evidence, Gate},
        strata::{Feed, Pace},
    },
};

/// The active color's past before the release.
const BEFORE: Duration = Duration::from_hours(1);
/// So much of the past is read at once.
const PIECE: Duration = Duration::from_mins(15);
/// Samples are read again so far back: a scrape may be told late.
const AGAIN: Duration = Duration::from_mins(2);

/// What is to be read of each part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fetch {
    /// For which instant; none: the provider's now.
    pub(super) at: Option<Moment>,
    /// How far back.
    pub(super) window: Duration,
    /// Only the active color's past is wanted.
    pub(super) before: bool,
    /// It is read once more, and nobody waits for it.
    pub(super) again: bool,
}

/// What has come of an answer.
pub(super) enum Progress {
    /// There is more of the past to be read.
    More,
    /// This is known now.
    Told(Result<(Sample, Weighed), NoData>),
}

/// The evidence of every statistical gate that is asked for.
#[derive(Default)]
pub(super) struct Trials(BTreeMap<Key, Trial>);

/// What makes two questions one trial, whatever share stands.
type Key = (Vec<View>, Demand, Moment);

fn key(question: &Question, raw: &Raw) -> Key {
    (raw.views.clone(), raw.demand, question.since)
}

impl Trials {
    /// Forgets what nobody wants to know any more.
    pub(super) fn keep(&mut self, wanted: &[Arc<Question>]) {
        let keys: Vec<Key> = wanted.iter().filter_map(|q| Some(key(q, q.raw.as_ref()?))).collect();
        self.0.retain(|key, _| keys.contains(key));
    }

    /// What is to be read next for a question, at `now`.
    pub(super) fn fetch(&mut self, question: &Question, raw: &Raw, now: Moment) -> Fetch {
        self.trial(question, raw).fetch(now)
    }

    /// Takes in what was read: the series of each part, view by view, the candidate's first.
    pub(super) fn take(
        &mut self,
        (question, raw): (&Question, &Raw),
        fetch: Fetch,
        parts: &[Vec<Series>],
        now: Moment,
    ) -> Progress {
        self.trial(question, raw).take(raw, fetch, parts, now)
    }

    fn trial(&mut self, question: &Question, raw: &Raw) -> &mut Trial {
        self.0.entry(key(question, raw)).or_insert_with(|| Trial::new(question, raw))
    }
}

/// One gate's evidence, and where another process had written it down the same once more, from the first sample on: what was
/// written down is never believed to be more than samples show.
struct Trial {
    told: Course,
    again: Option<Course>,
    /// Whether a piece of the past is next; the newest samples and those take turns.
    turn: bool,
    /// When evidence that was written down turned out to be too much.
    corrected: Option<Moment>,
}

impl Trial {
    fn new(question: &Question, raw: &Raw) -> Self {
        let told = Course::resumed(question, raw);
        let again = told.primed.then(|| Course::new(question, raw));
        Self { told, again, turn: false, corrected: None }
    }

    fn fetch(&mut self, now: Moment) -> Fetch {
        let past = self.again.as_ref().filter(|_| std::mem::take(&mut self.turn));
        past.map_or_else(|| self.told.fetch(now), |past| past.fetch_again(self.told.read))
    }

    fn take(&mut self, raw: &Raw, fetch: Fetch, parts: &[Vec<Series>], now: Moment) -> Progress {
        if !fetch.again {
            let more = self.told.take(raw, fetch, parts, now);
            self.turn = !more;
            return if more { Progress::More } else { Progress::Told(self.told.told(self.corrected)) };
        }
        if let Some(mut past) = self.again.take() {
            past.take(raw, fetch, parts, now);
            if past.primed && past.read >= self.told.read {
                self.corrected = self.told.held_against(past, raw).then_some(now).or(self.corrected);
            } else {
                self.again = Some(past);
            }
        }
        Progress::More
    }
}

/// Samples of all views, read from some instant on.
struct Course {
    views: Vec<Weighing>,
    /// Whether the past of the active color is known, or not needed.
    primed: bool,
    /// How far samples have been read.
    read: Moment,
}

/// One view of the thing.
struct Weighing {
    feed: Option<Feed>,
    gate: Gate,
    /// The share that has begun, and the first that is to begin here.
    begun: Option<usize>,
    first: usize,
    /// Until when another process has counted.
    known: f64,
    /// Of the candidate, and of the color that serves: when the first sample was taken that counts requests.
    counts: [Option<f64>; 2],
}

impl Course {
    /// From the first share on.
    fn new(question: &Question, raw: &Raw) -> Self {
        let views = raw.views.iter().map(|_| Weighing::new(raw, 0)).collect();
        Self { views, primed: false, read: question.since }
    }

    /// From what was written down on, if there is such a thing.
    fn resumed(question: &Question, raw: &Raw) -> Self {
        let kept =
            raw.resume.0.as_deref().and_then(|state| serde_json::from_str::<Vec<Option<Checkpoint>>>(state).ok());
        let kept = kept.filter(|kept| kept.len() == raw.views.len()).unwrap_or_default();
        let restored = |view: usize| {
            let checkpoint = kept.get(view)?.as_ref()?;
            let stage = raw.stages.get(checkpoint.step)?;
            Some((checkpoint, checkpoint.restore(raw.config(), stage.share(), stage.next_share())?))
        };
        let all: Vec<_> = (0..raw.views.len()).map(restored).collect();
        // All was written down in one moment: a view that is not there had counted nothing.
        let Some(step) = all.iter().flatten().map(|(checkpoint, _)| checkpoint.step).max() else {
            return Self::new(question, raw);
        };
        let weighing = |kept: Option<(&Checkpoint, Gate)>| match kept {
            Some((at, gate)) => Weighing { gate, known: at.as_of, ..Weighing::new(raw, at.step) },
            None => Weighing::new(raw, step),
        };
        let read = raw.stages.get(step).map_or(question.since, |stage| stage.at);
        Self { views: all.into_iter().map(weighing).collect(), primed: true, read }
    }

    fn fetch(&self, now: Moment) -> Fetch {
        if !self.primed {
            return Fetch { at: Some(self.read), window: BEFORE, before: true, again: false };
        }
        let behind = now.since(self.read);
        if behind > PIECE + AGAIN {
            return Fetch { at: Some(self.read.plus(PIECE)), window: PIECE + AGAIN, before: false, again: false };
        }
        Fetch { at: None, window: behind + AGAIN, before: false, again: false }
    }

    /// The next piece of a past that ends at `end`.
    fn fetch_again(&self, end: Moment) -> Fetch {
        let fetch = self.fetch(end);
        Fetch { at: fetch.at.or(Some(end)), again: true, ..fetch }
    }

    /// Whether there is more to be read.
    fn take(&mut self, raw: &Raw, fetch: Fetch, parts: &[Vec<Series>], now: Moment) -> bool {
        let until = fetch.at.unwrap_or(now);
        let mut parts = parts.iter();
        for (view, weighing) in raw.views.iter().zip(&mut self.views) {
            let mut all = read(Arm::Green, &view.candidate, &mut parts);
            let blue = read(Arm::Blue, &view.active, &mut parts);
            if fetch.before {
                weighing.prime(raw, &blue, until);
            } else {
                all.extend(blue);
                weighing.push(raw, &all, until);
            }
        }
        self.primed = true;
        if !fetch.before {
            self.read = self.read.max(until);
        }
        fetch.at.is_some()
    }

    /// Goes on with what the past shows, view by view, but with no more evidence than was written down. Whether that had
    /// been too much. A past that nobody has any more shows nothing.
    fn held_against(&mut self, past: Self, raw: &Raw) -> bool {
        let began = raw.stages.first().map_or(f64::INFINITY, |stage| seconds(stage.at));
        let mut too_much = false;
        for (told, past) in self.views.iter_mut().zip(past.views) {
            let whole =
                told.counts.iter().zip(past.counts).all(|(told, past)| {
                    told.is_none() || past.is_some_and(|first| first <= began + AGAIN.as_secs_f64())
                });
            let same = if whole && past.begun == told.begun { smaller(past.gate, &told.gate) } else { None };
            if let Some((gate, less)) = same {
                too_much |= less;
                *told = Weighing { gate, feed: past.feed, counts: past.counts, ..*told };
            }
        }
        too_much
    }

    /// What is known now. A view in which nobody counts is none; one in which only one color does proves nothing, and its
    /// evidence says so: what the candidate does not tell could be the very thing that is wrong with it.
    fn told(&self, corrected: Option<Moment>) -> Result<(Sample, Weighed), NoData> {
        if !self.views.iter().any(|view| view.counts[0].is_some()) {
            return Err(NoData::Empty);
        }
        let counting = self.views.iter().filter(|view| view.counts.iter().any(Option::is_some));
        let views: Vec<Evidence> = counting.filter_map(|v| Some(v.gate.evidence(v.feed.as_ref()?.health()))).collect();
        let first = views.first().ok_or(NoData::Empty)?;
        let sample = Sample { value: first.green.rate().unwrap_or_default(), samples: first.green.n };
        let kept: Vec<Option<Checkpoint>> = self.views.iter().map(|view| Checkpoint::of(&view.gate)).collect();
        let state = serde_json::to_string(&kept).unwrap_or_default();
        Ok((sample, Weighed { views, state, corrected }))
    }
}

impl Weighing {
    fn new(raw: &Raw, first: usize) -> Self {
        let gate = Gate::new(raw.config(), &[]);
        Self { feed: None, gate, begun: None, first, known: f64::NEG_INFINITY, counts: [None; 2] }
    }

    /// The active color before the release: what is bet on rests on it, never what is proved.
    fn prime(&mut self, raw: &Raw, blue: &[OneSeries<'_>], until: Moment) {
        let alone: Vec<_> = blue.iter().map(|s| counters::Series { arm: Arm::Green, ..s.counter() }).collect();
        let mut feed = Feed::new(Pace::of(&alone).unwrap_or_else(|| Pace::every(15.0)), numerator(raw), 0.0);
        feed.begin_step(seconds(until.minus(BEFORE)), true);
        for series in &alone {
            feed.push(series, seconds(until));
        }
        let before: Vec<Count> = feed.close(seconds(until)).iter().map(|stratum| stratum.green).collect();
        self.gate = Gate::new(raw.config(), &before);
    }

    fn push(&mut self, raw: &Raw, all: &[OneSeries<'_>], until: Moment) {
        let series: Vec<_> = all.iter().map(OneSeries::counter).collect();
        for one in series.iter().filter(|s| s.role == counters::Role::Total) {
            let [candidate, active] = &mut self.counts;
            let first = if one.arm == Arm::Green { candidate } else { active };
            *first = one.samples.iter().map(|(at, _)| *at).chain(*first).reduce(f64::min);
        }
        let feed = match &mut self.feed {
            Some(feed) => feed,
            // Two samples of one series tell the pace. Before there is none, there is nothing to cut.
            None => match Pace::of(&series) {
                Some(pace) => {
                    let feed = self.feed.insert(Feed::new(pace, numerator(raw), raw.warm_up.as_secs_f64()));
                    feed.knew(self.known);
                    feed
                }
                None => return,
            },
        };
        for one in &series {
            feed.push(one, seconds(until));
        }
        let due = raw.stages.iter().enumerate().skip(self.begun.map_or(self.first, |begun| begun + 1));
        for (index, stage) in due.filter(|(_, stage)| stage.at <= until) {
            feed.close(seconds(stage.at)).iter().for_each(|stratum| self.gate.close(stratum));
            feed.begin_step(seconds(stage.at), stage.weight >= 100);
            self.gate.begin_step(index, stage.share(), stage.next_share());
            self.begun = Some(index);
        }
        feed.close(seconds(until)).iter().for_each(|stratum| self.gate.close(stratum));
    }
}

/// A series of one color in its role, its times and values as the arithmetic wants them.
struct OneSeries<'a> {
    arm: Arm,
    role: counters::Role,
    series: &'a Series,
    samples: Vec<(f64, f64)>,
}

impl OneSeries<'_> {
    fn counter(&self) -> counters::Series<'_> {
        let Self { arm, role, series, samples } = self;
        counters::Series { arm: *arm, target: &series.process, role: *role, key: &series.name, samples }
    }
}

fn read<'a>(arm: Arm, view: &[Part], parts: &mut impl Iterator<Item = &'a Vec<Series>>) -> Vec<OneSeries<'a>> {
    let role = |role: Role| match role {
        Role::All => (counters::Role::Total, 1.0),
        Role::Bad => (counters::Role::Bad, 1.0),
        Role::Good => (counters::Role::Good, 1.0),
        Role::Spent(each) if each.value() < 0.0 => (counters::Role::Less, -each.value()),
        Role::Spent(each) => (counters::Role::Sum, each.value()),
    };
    let one = |part: &Part, all: &'a Vec<Series>| {
        let (role, each) = role(part.role);
        let samples = |series: &Series| series.points.iter().map(|p| (p.at, p.value * each)).collect();
        all.iter().map(|series| OneSeries { arm, role, series, samples: samples(series) }).collect::<Vec<_>>()
    };
    view.iter().zip(parts).flat_map(|(part, all)| one(part, all)).collect()
}

fn numerator(raw: &Raw) -> counters::Role {
    let roles = raw.views.iter().flat_map(|view| &view.candidate).map(|part| part.role);
    let others = roles.filter(|role| *role != Role::All).map(|role| match role {
        Role::Good => counters::Role::Good,
        Role::Spent(_) => counters::Role::Sum,
        Role::All | Role::Bad => counters::Role::Bad,
    });
    others.into_iter().next().unwrap_or(counters::Role::Bad)
}

#[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit an f64 for millions of years")]
fn seconds(at: Moment) -> f64 {
    at.unix() as f64
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::{Fetch, Progress, Trials};
    use crate::{
        api::{Moment, Percent},
        metrics::{
            NoData, Question, Sample, Template,
            raw::{Demand, Exact, Part, Point, Raw, Resume, Role, Series, Stage, View, What},
            reading::Weighed,
        },
    };

    const BEGAN: i64 = 1_790_000_000;
    /// Requests of a color by scrape, of fifteen seconds.
    const EACH: f64 = 150.0;

    fn part(role: Role) -> Part {
        Part { role, series: Template::new(format!("{role:?}")) }
    }

    fn question(stages: &[i64], state: Option<&str>) -> Question {
        let view = || vec![part(Role::All), part(Role::Bad)];
        let weights = [20, 50, 100].map(Percent::of);
        let one = |(n, at): (usize, &i64)| Stage {
            weight: weights[n],
            next: weights[n + 1],
            at: Moment::from_unix(BEGAN + at),
        };
        let [relative, absolute, alpha] = [0.5, 0.005, 0.05].map(Exact::of);
        Question {
            provider: "default".into(),
            about: None,
            value: Template::new("x".into()),
            samples: Template::new(String::new()),
            since: Moment::from_unix(BEGAN),
            window: Duration::from_hours(1),
            interval: Duration::from_secs(15),
            shortest: Question::SHORTEST,
            urgent: false,
            names: Vec::new(),
            raw: Some(Arc::new(Raw {
                views: vec![View { candidate: view(), active: view() }],
                demand: Demand { what: What::Share, relative, absolute, alpha },
                stages: stages.iter().enumerate().map(one).collect(),
                of: 2,
                warm_up: Duration::from_mins(1),
                resume: Resume(state.map(Into::into)),
            })),
        }
    }

    /// What a provider holds of a counter between two instants: a sample every fifteen seconds.
    fn counter(each: f64, from: i64, until: i64) -> Vec<Point> {
        let first = BEGAN - 7200;
        let all = (0..).map(|n| (first + 15 * n, each * f64::from(i32::try_from(n).unwrap())));
        let inside = all.skip_while(|(at, _)| *at <= from).take_while(|(at, _)| *at <= until);
        #[expect(clippy::cast_precision_loss, reason = "seconds")]
        inside.map(|(at, value)| Point { at: at as f64, value }).collect()
    }

    fn series(process: &str, points: Vec<Point>) -> Vec<Series> {
        vec![Series { name: process.into(), process: process.into(), points }]
    }

    /// A provider with so many bad ones of the candidate by scrape, that has forgotten everything before an instant.
    struct Provider {
        bad: f64,
        forgotten: i64,
        asked: usize,
    }

    impl Provider {
        fn new(bad: f64) -> Self {
            Self { bad, forgotten: i64::MIN, asked: 0 }
        }

        fn answer(&mut self, fetch: Fetch, now: i64) -> Vec<Vec<Series>> {
            self.asked += 1;
            let until = fetch.at.map_or(now, Moment::unix);
            let from = (until - i64::try_from(fetch.window.as_secs()).unwrap()).max(self.forgotten);
            let of = |process: &str, each: f64| series(process, counter(each, from, until));
            let candidate =
                if fetch.before { vec![Vec::new(), Vec::new()] } else { vec![of("g", EACH / 4.0), of("g", self.bad)] };
            candidate.into_iter().chain([of("b", EACH), of("b", EACH / 100.0)]).collect()
        }

        /// Asks until everything up to `now` is read.
        fn ask(&mut self, trials: &mut Trials, question: &Question, now: i64) -> Result<(Sample, Weighed), NoData> {
            let (raw, at) = (question.raw.as_deref().unwrap(), Moment::from_unix(now));
            for _ in 0..100 {
                let fetch = trials.fetch(question, raw, at);
                let parts = self.answer(fetch, now);
                if let Progress::Told(told) = trials.take((question, raw), fetch, &parts, at) {
                    return told;
                }
            }
            panic!("never done");
        }

        /// Asks every fifteen seconds from the start on.
        fn follow(&mut self, trials: &mut Trials, question: &Question, until: i64) -> (Sample, Weighed) {
            let asked = (1..=(until - BEGAN) / 15).map(|n| BEGAN + 15 * n);
            asked.fold(None, |_, now| Some(self.ask(trials, question, now))).unwrap().unwrap()
        }
    }

    fn nats(weighed: &Weighed) -> (f64, f64) {
        (weighed.views[0].fail, weighed.views[0].pass)
    }

    fn alike(a: &Weighed, b: &Weighed) -> bool {
        (nats(a).0 - nats(b).0).abs() < 0.1 && (nats(a).1 - nats(b).1).abs() < 0.1
    }

    #[test]
    fn a_good_candidate_gathers_evidence_for_it_and_a_bad_one_against() {
        let good = Provider::new(EACH / 400.0).follow(&mut Trials::default(), &question(&[0], None), BEGAN + 600);
        let (fail, pass) = nats(&good.1);
        assert!(pass > 1.0 && fail < 1.0, "{fail} {pass}");
        assert!((good.0.value - 0.01).abs() < 1e-9, "{:?}", good.0);
        let bad = Provider::new(EACH / 40.0).follow(&mut Trials::default(), &question(&[0], None), BEGAN + 600);
        assert!(nats(&bad.1).0 > 3.0 && nats(&bad.1).1 < 0.0, "{:?}", nats(&bad.1));
    }

    #[test]
    fn what_was_not_followed_is_read_from_the_past_piece_by_piece() {
        let mut provider = Provider::new(EACH / 200.0);
        let followed = provider.follow(&mut Trials::default(), &question(&[0, 3600], None), BEGAN + 7200).1;
        let mut late = Provider::new(EACH / 200.0);
        let told = late.ask(&mut Trials::default(), &question(&[0, 3600], None), BEGAN + 7200).unwrap().1;
        assert!(alike(&followed, &told), "{:?} {:?}", nats(&followed), nats(&told));
        assert!(late.asked > 5 && late.asked < 15, "{} questions", late.asked);
    }

    #[test]
    fn the_next_process_goes_on_from_what_was_written_down() {
        let mut trials = Trials::default();
        let mut provider = Provider::new(EACH / 200.0);
        let kept = provider.follow(&mut trials, &question(&[0, 900], None), BEGAN + 1500).1.state;
        let followed = provider.ask(&mut trials, &question(&[0, 900], None), BEGAN + 1800).unwrap().1;
        let next = question(&[0, 900], Some(&kept));
        assert_eq!(next, question(&[0, 900], None), "what was written down tells no two questions apart");
        let mut again = Provider::new(EACH / 200.0);
        let resumed = again.ask(&mut Trials::default(), &next, BEGAN + 1800).unwrap().1;
        assert!(alike(&followed, &resumed), "{:?} {:?}", nats(&followed), nats(&resumed));
        assert!(again.asked < 4, "the first share's past is not read again: {}", again.asked);
    }

    #[test]
    fn a_provider_that_lost_its_data_takes_nothing_away_and_gives_nothing() {
        let mut provider = Provider::new(EACH / 200.0);
        let kept = provider.follow(&mut Trials::default(), &question(&[0], None), BEGAN + 1500).1;
        let mut emptied = Provider { forgotten: BEGAN + 1790, ..Provider::new(EACH / 200.0) };
        let told = emptied.ask(&mut Trials::default(), &question(&[0], Some(&kept.state)), BEGAN + 1795);
        assert_eq!(told.map(|(_, w)| w), Err(NoData::Empty), "no sample, no word");
        let mut trials = Trials::default();
        let next = question(&[0], Some(&kept.state));
        let resumed = emptied.ask(&mut trials, &next, BEGAN + 1830).unwrap().1;
        let apart = (nats(&kept).0 - nats(&resumed).0).abs();
        assert!(apart < 0.2 && nats(&kept).0 > 1.0, "{:?} {:?}", nats(&kept), nats(&resumed));
        let later = emptied.ask(&mut trials, &next, BEGAN + 2400).unwrap().1;
        assert!(nats(&later).0 > nats(&kept).0, "and it goes on");
        let told = emptied.ask(&mut trials, &next, BEGAN + 2800).unwrap().1;
        assert_eq!(told.corrected, None, "a past that is gone shows nothing");
        assert!(!told.views[0].health.gap, "what was counted before is not missing, what nobody counted is: {told:?}");
    }

    /// What the next process says, once at first and then whenever it is asked, fifteen seconds apart, until `until`.
    fn resumed(provider: &mut Provider, kept: &Weighed, from: i64, until: i64) -> Vec<Weighed> {
        let (question, mut trials) = (question(&[0], Some(&kept.state)), Trials::default());
        let asked = (0..=(until - from) / 15).map(|n| from + 15 * n);
        asked.map(|now| provider.ask(&mut trials, &question, now).unwrap().1).collect()
    }

    #[test]
    fn what_was_written_down_is_held_against_the_samples_and_the_smaller_evidence_counts() {
        let [good, bad] = [EACH / 400.0, EACH / 100.0];
        let one = question(&[0], None);
        let kept = |each: f64| Provider::new(each).follow(&mut Trials::default(), &one, BEGAN + 3000).1;
        let whole = |each: f64| Provider::new(each).ask(&mut Trials::default(), &one, BEGAN + 3300).unwrap().1;
        let all = resumed(&mut Provider::new(bad), &kept(good), BEGAN + 3030, BEGAN + 3300);
        assert!(nats(&all[0]).1 > 1.0 && all[0].corrected.is_none(), "what was written down at first: {:?}", all[0]);
        let (last, alone) = (all.last().unwrap(), whole(bad));
        assert!(last.corrected.is_some_and(|at| at.unix() > BEGAN + 3030), "{last:?}");
        assert!((nats(last).1 - nats(&alone).1).abs() < 0.1, "what proved it good is gone: {last:?} {alone:?}");
        assert!(nats(last).0 < nats(&alone).0, "and what proves it bad was not written down: {last:?}");
        let all = resumed(&mut Provider::new(good), &kept(good), BEGAN + 3030, BEGAN + 3300);
        assert!(all.iter().all(|w| w.corrected.is_none()) && alike(all.last().unwrap(), &whole(good)));
    }

    #[test]
    fn a_past_that_is_read_again_costs_one_piece_each_time_and_ends() {
        let mut provider = Provider::new(EACH / 200.0);
        let kept = provider.follow(&mut Trials::default(), &question(&[0, 900], None), BEGAN + 7200).1;
        let (question, mut trials) = (question(&[0, 900], Some(&kept.state)), Trials::default());
        let mut again = Provider::new(EACH / 200.0);
        let mut asked = |now: i64| {
            let before = again.asked;
            again.ask(&mut trials, &question, now).unwrap();
            again.asked - before
        };
        let first = asked(BEGAN + 7200);
        let then: Vec<usize> = (1..=15).map(|n| asked(BEGAN + 7200 + 15 * n)).collect();
        assert!(first > 1 && then[..9].iter().all(|n| *n == 2), "{first} {then:?}");
        assert_eq!(then[11..], [1; 4], "{then:?}");
    }

    #[test]
    fn state_of_somebody_else_is_none() {
        for odd in [
            "",
            "[",
            "[]",
            "[null,null]",
            r#"[{"asOf":1}]"#,
            r#"[{"asOf":1e99,"step":7,"counts":[0,0,0,0],"blue":[0,0],"logs":""}]"#,
        ] {
            let mut provider = Provider::new(EACH / 400.0);
            let fresh = provider.ask(&mut Trials::default(), &question(&[0], None), BEGAN + 600).unwrap().1;
            let told = provider.ask(&mut Trials::default(), &question(&[0], Some(odd)), BEGAN + 600).unwrap().1;
            assert_eq!(told, fresh, "{odd}");
        }
    }

    #[test]
    fn a_view_that_only_the_other_color_has_proves_nothing() {
        let mut provider = Provider::new(EACH / 400.0);
        let mut two = question(&[0], None);
        let raw = Arc::make_mut(two.raw.as_mut().unwrap());
        raw.views.push(raw.views[0].clone());
        let (raw, mut trials, mut told) = (two.raw.clone().unwrap(), Trials::default(), None);
        for now in (1..=80).map(|n| BEGAN + 15 * n) {
            let fetch = trials.fetch(&two, &raw, Moment::from_unix(now));
            let (engine, mut http) = (provider.answer(fetch, now), provider.answer(fetch, now));
            http[0].clear();
            http[1].clear();
            let parts = [engine, http].concat();
            if let Progress::Told(now) = trials.take((&two, &raw), fetch, &parts, Moment::from_unix(now)) {
                told = Some(now.unwrap().1);
            }
        }
        let views = told.unwrap().views;
        assert_eq!(views.len(), 2);
        assert!(views[0].pass > 1.0 && !views[0].health.gap, "{:?}", views[0]);
        assert!(views[1].health.gap, "what the candidate does not tell could be what is wrong with it: {:?}", views[1]);
    }

    #[test]
    fn a_color_that_counts_nothing_is_no_data_and_one_that_nobody_wants_is_forgotten() {
        let mut trials = Trials::default();
        let question = question(&[0], None);
        let raw = question.raw.as_deref().unwrap();
        let fetch = Fetch { at: None, window: Duration::from_mins(10), before: false, again: false };
        let blue = series("b", counter(EACH, BEGAN, BEGAN + 600));
        let parts = [Vec::new(), Vec::new(), blue.clone(), blue];
        let told = trials.take((&question, raw), fetch, &parts, Moment::from_unix(BEGAN + 600));
        assert!(matches!(told, Progress::Told(Err(NoData::Empty))));
        assert_eq!(trials.0.len(), 1);
        trials.keep(&[Arc::new(question)]);
        assert_eq!(trials.0.len(), 1);
        trials.keep(&[]);
        assert_eq!(trials.0.len(), 0);
    }
}
