//! One task per provider: asks what the board wants to know, each question at its interval, and puts the readings up.
//! A provider that is down, slow or talks nonsense is a reading too; no other provider and no rollout waits for it.
//! Never judges, and never lets an address, a header or a text of the provider out.
//!
//! A client crate for Prometheus is left out on purpose: it would read a whole body before anyone can stop it, and be
//! as forgiving about shapes as a client should be. Sixty lines give the byte cap, the total deadline and the strictness.

mod schedule;
mod settings;
#[cfg(test)]
mod tests;

use std::{fmt, future::Future, path::Path, pin::pin, sync::Arc, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use reqwest::{
    Client, RequestBuilder, Response, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap},
};
use tokio::time::{sleep, timeout};

use self::schedule::Schedule;
pub use self::settings::{BasicAuth, ProviderError, ProviderSettings};
use super::{board::Board, clock::Clock};
use crate::metrics::{NoData, Question, Reading, Sample, answer};

/// The largest answer that is read, after decompression.
const LARGEST: usize = 1 << 20;

/// A provider that can be asked.
pub struct Provider {
    settings: ProviderSettings,
    endpoint: Url,
    client: Client,
}

/// As its settings: an endpoint is an address too.
impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}

impl Provider {
    /// A provider from its settings; reads the file of certificates.
    pub fn new(settings: ProviderSettings) -> Result<Self, ProviderError> {
        Ok(Self { endpoint: settings.endpoint()?, client: settings.client()?, settings })
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
                let reading = Reading { at: clock.now(), window: Duration::ZERO, outcome: Err(NoData::Throttled) };
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
                Some((question, reading)) = on_the_way.next() => {
                    schedule.done(&question, clock.now(), clock.running());
                    if let Some((reading, took)) = reading {
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
    async fn read(&self, question: Arc<Question>, clock: Clock) -> (Arc<Question>, Option<(Reading, Duration)>) {
        let (at, began) = (clock.now(), clock.running());
        let Some(window) = question.window_at(at) else { return (question, None) };
        let deadline = Duration::from_secs(self.settings.timeout_seconds);
        let asked = timeout(deadline, self.sample(&question, window, clock)).await;
        let outcome = asked.unwrap_or(Err(NoData::Late));
        let took = clock.running().saturating_sub(began);
        (question, Some((Reading { at, window, outcome }, took)))
    }

    /// Without requests there is nothing to ask a value of: it would be an empty vector or 0/0.
    async fn sample(&self, question: &Question, window: Duration, clock: Clock) -> Result<Sample, NoData> {
        let samples = self.figure(&question.samples.render(window), clock).await?;
        if samples == 0.0 {
            return Err(NoData::Empty);
        }
        let value = self.figure(&question.value.render(window), clock).await?;
        Ok(Sample { value, samples })
    }

    async fn figure(&self, query: &str, clock: Clock) -> Result<f64, NoData> {
        let deadline = format!("{}s", self.settings.timeout_seconds);
        let request = self.client.post(self.endpoint.clone()).form(&[("query", query), ("timeout", &deadline)]);
        let response = self.authorized(request).await?.send().await.map_err(|e| failure(&e))?;
        match response.status() {
            StatusCode::TOO_MANY_REQUESTS => return Err(NoData::Throttled),
            status if !status.is_success() => return Err(NoData::Status(status.as_u16())),
            _ => look_at(response.headers())?,
        }
        answer::figure(&body(response).await?, clock.now())
    }

    async fn authorized(&self, request: RequestBuilder) -> Result<RequestBuilder, NoData> {
        if let Some(file) = &self.settings.bearer_token_file {
            Ok(request.bearer_auth(secret(file).await?))
        } else if let Some(basic) = &self.settings.basic_auth {
            Ok(request.basic_auth(&basic.username, Some(secret(&basic.password_file).await?)))
        } else {
            Ok(request)
        }
    }
}

async fn secret(file: &Path) -> Result<String, NoData> {
    let text = tokio::fs::read_to_string(file)
        .await
        .map_err(|_| NoData::Unreachable("the file with its credentials cannot be read"))?;
    Ok(text.trim_end().to_owned())
}

/// Refuses what is not JSON, and what a proxy in between marks as partial.
fn look_at(headers: &HeaderMap) -> Result<(), NoData> {
    let json = headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    if !json {
        return Err(NoData::WrongShape("content type is not application/json"));
    }
    let partial = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
        name.as_str().ends_with("-partial") && value != "false"
    };
    if headers.iter().any(partial) { Err(NoData::Partial) } else { Ok(()) }
}

/// The body, piece by piece, so that one that never ends is dropped at the cap.
async fn body(mut response: Response) -> Result<Vec<u8>, NoData> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|e| failure(&e))? {
        if body.len() + piece.len() > LARGEST {
            return Err(NoData::TooBig);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// What went wrong, in our words: the client's own hold the address.
fn failure(error: &reqwest::Error) -> NoData {
    if error.is_connect() {
        NoData::Unreachable("no connection")
    } else if error.is_timeout() {
        NoData::Late
    } else if error.is_builder() {
        NoData::Unreachable("its credentials are no HTTP header")
    } else {
        NoData::Unreachable("the connection broke off")
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
