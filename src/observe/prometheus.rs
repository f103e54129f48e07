//! One task per provider or endpoint: asks what the board wants to know, each question at its interval, and puts the readings up.
//! A provider that is down, slow or talks nonsense is a reading too; no other provider and no rollout waits for it.
//! Never judges, and never lets an address, a header or a text of the provider out.
//!
//! A client crate for Prometheus is left out on purpose: it would read a whole body before anyone can stop it, and be
//! as forgiving about shapes as a client should be. Sixty lines give the byte cap, the total deadline and the strictness.

mod line;
mod schedule;
#[cfg(test)]
mod tests;
mod trial;

use std::{fmt, future::Future, pin::pin, sync::Arc, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::time::{sleep, timeout};

use self::{
    line::{Asking, Fault},
    schedule::Schedule,
    trial::{Fetch, Progress, Trials},
};
use super::{board::Board, clock::Clock};
use crate::{
    api::Moment,
    line::{ProviderError, ProviderSettings},
    metrics::{
        NoData, Question, Reading, Sample, answer, probe,
        raw::{Raw, Series},
    },
};

/// A provider that can be asked.
pub struct Provider {
    settings: ProviderSettings,
    line: Asking,
}

/// As its settings: an endpoint is an address too.
impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}

impl Provider {
    /// A provider from its settings; reads the files with certificates.
    pub fn new(settings: ProviderSettings) -> Result<Self, ProviderError> {
        Ok(Self { line: Asking::new(&settings)?, settings })
    }

    /// One question whose answer is known, and how long it took; what is wrong in the words of gates.
    pub async fn ask(&self, clock: Clock) -> Result<Duration, NoData> {
        let began = clock.running();
        let asked = async {
            let client = self.line.client().await?;
            self.line.figure(&client, "vector(1)", None, clock.now()).await.map_err(|fault| fault.why)
        };
        timeout(self.settings.timeout(), asked).await.unwrap_or(Err(NoData::Late))?;
        Ok(clock.running().saturating_sub(began))
    }

    /// Asks until `stop` resolves; questions on the way are then dropped. Each answer is told with how long it took.
    pub async fn run(
        self,
        board: Board,
        clock: Clock,
        told: impl Fn(&str, &Reading, Duration),
        stop: impl Future<Output = ()>,
    ) {
        let mut stop = pin!(stop);
        let mut changes = board.changes();
        changes.mark_changed();
        let name = self.settings.asked_as();
        let mut schedule = Schedule::new(Duration::from_secs(1) / self.settings.max_per_second);
        let mut on_the_way = FuturesUnordered::new();
        let mut log = Log::default();
        let mut trials = Trials::default();
        loop {
            for question in schedule.starved(clock.running()) {
                let outcome = Err(NoData::Throttled);
                let reading =
                    Reading { at: clock.now(), window: Duration::ZERO, outcome, names: Vec::new(), weighed: None };
                board.publish(&question, reading);
            }
            while on_the_way.len() < self.settings.max_in_flight
                && let Some(question) = schedule.take(clock.running())
            {
                let fetch = question.raw.as_ref().map(|raw| trials.fetch(&question, raw, clock.now()));
                on_the_way.push(self.read(question, fetch, clock));
            }
            let room = on_the_way.len() < self.settings.max_in_flight;
            let next = schedule.wake().filter(|_| room).map(|at| at.saturating_sub(clock.running()));
            tokio::select! {
                () = &mut stop => return,
                outcome = changes.changed() => {
                    // The board lives as long as we hold it, so its sender does too.
                    if outcome.is_err() { return; }
                    let wanted = board.questions(&name);
                    trials.keep(&wanted);
                    schedule.set(wanted, clock.now(), clock.running());
                }
                Some((question, answered)) = on_the_way.next() => {
                    schedule.done(&question, clock.now(), clock.running());
                    let Some(answered) = answered else { continue };
                    let (rest, took) = (answered.rest, answered.took);
                    let Some(reading) = answered.reading(&mut trials, &question) else {
                        schedule.again(&question, clock.running());
                        continue;
                    };
                    schedule.heed(&reading.outcome, rest, clock.running());
                    log.tell(&name, &reading);
                    told(&name, &reading, took);
                    board.publish(&question, reading);
                }
                () = sleep(next.unwrap_or_default()), if next.is_some() => {}
            }
        }
    }

    /// One question with what came of it; none when its step is too young.
    async fn read(
        &self,
        question: Arc<Question>,
        fetch: Option<Fetch>,
        clock: Clock,
    ) -> (Arc<Question>, Option<Answered>) {
        let (at, began) = (clock.now(), clock.running());
        let Some(window) = question.window_at(at) else { return (question, None) };
        let deadline = self.settings.timeout();
        let ask = async {
            match (&question.raw, fetch) {
                (None, _) if question.asks_for_samples() => {
                    self.spacing(&question, window, at).await.map(Came::Figures)
                }
                (None, _) if !question.names.is_empty() => self.names(&question, window, at).await.map(Came::Names),
                (Some(raw), Some(fetch)) => self.samples(raw, fetch, at).await.map(|parts| Came::Samples(fetch, parts)),
                _ => self.sample(&question, window, at).await.map(Came::Figures),
            }
        };
        let (came, rest) = match timeout(deadline, ask).await.unwrap_or(Err(NoData::Late.into())) {
            Ok(came) => (Ok(came), None),
            Err(Fault { why, rest }) => (Err(why), rest),
        };
        let took = clock.running().saturating_sub(began);
        let again = fetch.is_some_and(|fetch| fetch.again);
        (question, Some(Answered { at, window, came, again, rest, took }))
    }

    /// The names that are there.
    async fn names(&self, question: &Question, window: Duration, at: Moment) -> Result<Vec<String>, Fault> {
        let client = self.line.client().await?;
        let body = self.line.ask(&client, &question.value.render(window), None, at).await?;
        Ok(answer::names(&body, &question.names, at)?)
    }

    /// How far samples are apart.
    async fn spacing(&self, question: &Question, window: Duration, at: Moment) -> Result<Sample, Fault> {
        let client = self.line.client().await?;
        let series = self.line.series(&client, &question.value.render(window), None, at).await?;
        Ok(probe::spacing(&series).ok_or(NoData::Empty)?)
    }

    /// The raw samples of each part, all of one instant; nothing of a part that is not wanted.
    async fn samples(&self, raw: &Raw, fetch: Fetch, at: Moment) -> Result<Vec<Vec<Series>>, Fault> {
        let client = self.line.client().await?;
        // Whole seconds of ours: a scrape that is told late is read with the next.
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit an f64 for millions of years")]
        let instant = fetch.at.unwrap_or(at).unix() as f64;
        let mut parts = Vec::new();
        for view in &raw.views {
            let candidate = view.candidate.iter().map(|part| (part, !fetch.before));
            for (part, wanted) in candidate.chain(view.active.iter().map(|part| (part, true))) {
                let query = format!("{}[{}s]", part.series, fetch.window.as_secs());
                let series =
                    if wanted { self.line.series(&client, &query, Some(instant), at).await? } else { Vec::new() };
                parts.push(series);
            }
        }
        Ok(parts)
    }

    /// Without requests there is nothing to ask a value of: it would be an empty vector or 0/0. The count is asked of the
    /// provider's own now, because its clock told the times of its series; the value for the instant that it names.
    async fn sample(&self, question: &Question, window: Duration, at: Moment) -> Result<Sample, Fault> {
        let client = self.line.client().await?;
        if let Some(about) = &question.about {
            return self.line.number(&client, question, about, at).await;
        }
        let samples = self.line.figure(&client, &question.samples.render(window), None, at).await?;
        if samples.value == 0.0 {
            return Err(NoData::Empty.into());
        }
        let value = self.line.figure(&client, &question.value.render(window), Some(samples.at), at).await?;
        Ok(answer::sample(samples, value)?)
    }
}

/// What a provider gave.
enum Came {
    /// A value with its count.
    Figures(Sample),
    /// Which of the names that were looked for are there.
    Names(Vec<String>),
    /// The series of each part.
    Samples(Fetch, Vec<Vec<Series>>),
}

/// What came of a question.
struct Answered {
    at: Moment,
    window: Duration,
    came: Result<Came, NoData>,
    /// Whether it was asked about a past that nobody waits for.
    again: bool,
    /// How long the provider wants to be left alone, if it said so.
    rest: Option<Duration>,
    took: Duration,
}

impl Answered {
    /// What it means; none as long as there is more of the past to be read.
    fn reading(self, trials: &mut Trials, question: &Question) -> Option<Reading> {
        let Self { at, window, came, .. } = self;
        let reading = |outcome, weighed| Some(Reading { at, window, outcome, names: Vec::new(), weighed });
        match (came, &question.raw) {
            (Ok(Came::Samples(fetch, parts)), Some(raw)) => match trials.take((question, raw), fetch, &parts, at) {
                Progress::More => None,
                Progress::Told(Ok((sample, weighed))) => reading(Ok(sample), Some(Arc::new(weighed))),
                Progress::Told(Err(why)) => reading(Err(why), None),
            },
            (Ok(Came::Figures(sample)), _) => reading(Ok(sample), None),
            // How many there are is a figure too, and none is one.
            (Ok(Came::Names(names)), _) => {
                let count = u32::try_from(names.len()).map_or(f64::MAX, f64::from);
                let outcome = Ok(Sample { value: count, samples: count });
                Some(Reading { at, window, outcome, names, weighed: None })
            }
            // Nobody reads samples for a question that has none.
            (Ok(Came::Samples(..)), None) => reading(Err(NoData::Empty), None),
            (Err(_), _) if self.again => None,
            (Err(why), _) => reading(Err(why), None),
        }
    }
}

/// Says in the log when a provider stops answering and when it answers again, not every time.
#[derive(Default)]
struct Log(Option<NoData>);

impl Log {
    fn tell(&mut self, provider: &str, reading: &Reading) {
        let down = match &reading.outcome {
            Err(why @ (NoData::Unreachable(_) | NoData::Status(_) | NoData::Late | NoData::Throttled)) => {
                Some(why.clone())
            }
            _ => None,
        };
        match (&down, &self.0) {
            (Some(why), before) if Some(why) != before.as_ref() => {
                tracing::warn!(provider, %why, "metrics provider does not answer");
            }
            (None, Some(_)) => tracing::info!(provider, "metrics provider answers again"),
            _ => {}
        }
        self.0 = down;
    }
}
