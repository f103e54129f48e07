//! One task per provider: asks what the board wants to know, each question at its interval, and puts the readings up.
//! A provider that is down, slow or talks nonsense is a reading too; no other provider and no rollout waits for it.
//! Never judges, and never lets an address, a header or a text of the provider out.
//!
//! A client crate for Prometheus is left out on purpose: it would read a whole body before anyone can stop it, and be
//! as forgiving about shapes as a client should be. Sixty lines give the byte cap, the total deadline and the strictness.

mod address;
mod line;
mod schedule;
mod settings;
#[cfg(test)]
mod tests;

use std::{fmt, future::Future, pin::pin, sync::Arc, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::time::{sleep, timeout};

pub use self::settings::{BasicAuth, ProviderError, ProviderSettings};
use self::{
    line::{Fault, Line},
    schedule::Schedule,
};
use super::{board::Board, clock::Clock};
use crate::{
    api::Moment,
    metrics::{NoData, Question, Reading, Sample, answer},
};

/// A provider that can be asked.
pub struct Provider {
    settings: ProviderSettings,
    line: Line,
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
        Ok(Self { line: Line::new(&settings)?, settings })
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
        // A question is two requests, one after the other.
        let mut schedule = Schedule::new(Duration::from_secs(2) / self.settings.max_per_second);
        let mut on_the_way = FuturesUnordered::new();
        let mut log = Log::default();
        loop {
            for question in schedule.starved(clock.running()) {
                let outcome = Err(NoData::Throttled);
                let reading = Reading { at: clock.now(), window: Duration::ZERO, outcome, names: Vec::new() };
                board.publish(&question, reading);
            }
            while on_the_way.len() < self.settings.max_in_flight
                && let Some(question) = schedule.take(clock.running())
            {
                on_the_way.push(self.read(question, clock));
            }
            let room = on_the_way.len() < self.settings.max_in_flight;
            let next = schedule.wake().filter(|_| room).map(|at| at.saturating_sub(clock.running()));
            tokio::select! {
                () = &mut stop => return,
                outcome = changes.changed() => {
                    // The board lives as long as we hold it, so its sender does too.
                    if outcome.is_err() { return; }
                    schedule.set(board.questions(&self.settings.name), clock.now(), clock.running());
                }
                Some((question, answered)) = on_the_way.next() => {
                    schedule.done(&question, clock.now(), clock.running());
                    if let Some(Answered { reading, rest, took }) = answered {
                        schedule.heed(&reading.outcome, rest, clock.running());
                        log.tell(&self.settings.name, &reading);
                        told(&self.settings.name, &reading, took);
                        board.publish(&question, reading);
                    }
                }
                () = sleep(next.unwrap_or_default()), if next.is_some() => {}
            }
        }
    }

    /// One question with its reading; none when its step is too young.
    async fn read(&self, question: Arc<Question>, clock: Clock) -> (Arc<Question>, Option<Answered>) {
        let (at, began) = (clock.now(), clock.running());
        let Some(window) = question.window_at(at) else { return (question, None) };
        let deadline = Duration::from_secs(self.settings.timeout_seconds);
        let asked = timeout(deadline, self.told(&question, window, at)).await;
        let (outcome, names, rest) = match asked.unwrap_or(Err(NoData::Late.into())) {
            Ok((sample, names)) => (Ok(sample), names, None),
            Err(Fault { why, rest }) => (Err(why), Vec::new(), rest),
        };
        let took = clock.running().saturating_sub(began);
        (question, Some(Answered { reading: Reading { at, window, outcome, names }, rest, took }))
    }

    /// A figure, or the names that are there; how many those are is a figure too, and none is one.
    async fn told(&self, question: &Question, window: Duration, at: Moment) -> Result<(Sample, Vec<String>), Fault> {
        if question.names.is_empty() {
            return Ok((self.sample(question, window, at).await?, Vec::new()));
        }
        let client = self.line.client().await?;
        let body = self.line.answer(&client, &question.value.render(window), None, at).await?;
        let names = answer::names(&body, &question.names, at)?;
        let count = u32::try_from(names.len()).map_or(f64::MAX, f64::from);
        Ok((Sample { value: count, samples: count }, names))
    }

    /// Without requests there is nothing to ask a value of: it would be an empty vector or 0/0. The count is asked of the
    /// provider's own now, because its clock told the times of its series; the value for the instant that it names.
    async fn sample(&self, question: &Question, window: Duration, at: Moment) -> Result<Sample, Fault> {
        let client = self.line.client().await?;
        let samples = self.line.figure(&client, &question.samples.render(window), None, at).await?;
        if samples.value == 0.0 {
            return Err(NoData::Empty.into());
        }
        let value = self.line.figure(&client, &question.value.render(window), Some(samples.at), at).await?;
        Ok(answer::sample(samples, value)?)
    }
}

/// What came of a question.
struct Answered {
    reading: Reading,
    /// How long the provider wants to be left alone, if it said so.
    rest: Option<Duration>,
    took: Duration,
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
