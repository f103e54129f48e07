//! Notices → people elsewhere. A task for each channel with a queue that has an end: sent one after the other, tried again
//! with growing patience, and what became of each is told to whoever keeps the record. Nothing waits for it, one channel
//! never holds up another, and no address, key or answer of a receiver ever gets out.

mod body;
mod mail;
mod settings;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use reqwest::{StatusCode, header::CONTENT_TYPE};
use tokio::{sync::mpsc, time::sleep};

pub use self::{
    mail::MailSettings,
    settings::{ChannelError, ChannelSettings, Kind},
};
use crate::{api::notify::Happening, decide::tidings::Notice, line::careful};

/// Notices that may wait for a channel.
const MOST_WAITING: usize = 256;
/// Notices that are remembered as taken.
const MOST_KNOWN: usize = 8192;
/// From one notice of a channel to the next: receivers take about one in a second.
const GAP: Duration = Duration::from_secs(1);
/// How often one is tried: about a quarter of an hour in all.
const TRIES: u32 = 20;
const AGAIN_AT_MOST: Duration = Duration::from_mins(1);

/// What became of a notice: told, or why it was given up.
pub type Outcome = Result<(), String>;
/// Who wants to know.
pub type Heard = Arc<dyn Fn(&Notice, Outcome) + Send + Sync>;
/// Counts what became of tries, by channel.
pub type Tally = Arc<dyn Fn(&str, &'static str) + Send + Sync>;

/// Takes notices.
#[derive(Clone)]
pub struct Courier {
    queues: BTreeMap<String, mpsc::Sender<Notice>>,
    /// Taken by this process already, and the order in which they came.
    taken: Arc<Mutex<BTreeSet<String>>>,
    heard: Heard,
    tally: Tally,
}

impl Courier {
    /// A courier, and a task for each channel.
    pub fn start(
        channels: &[ChannelSettings],
        heard: Heard,
        tally: Tally,
    ) -> (Self, Vec<impl Future<Output = ()> + use<>>) {
        let mut queues = BTreeMap::new();
        let mut tasks = Vec::new();
        for channel in channels {
            let (queue, waiting) = mpsc::channel(MOST_WAITING);
            queues.insert(channel.name.clone(), queue);
            tasks.push(carry(channel.clone(), waiting, Arc::clone(&heard), Arc::clone(&tally)));
        }
        (Self { queues, taken: Arc::default(), heard, tally }, tasks)
    }

    /// Takes what is new among them. What finds no room is offered again with the next page of its record.
    pub fn take(&self, notices: Vec<Notice>) {
        for notice in notices {
            let key = format!("{} {}", notice.channel, notice.id);
            let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            if taken.contains(&key) {
                continue;
            }
            if taken.len() >= MOST_KNOWN {
                // Whatever is asked for again is marked as told in its record.
                taken.clear();
            }
            let Some(queue) = self.queues.get(&notice.channel) else {
                taken.insert(key);
                drop(taken);
                (self.tally)("unknown", "gaveUp");
                (self.heard)(&notice, Err("the operator's configuration has no such channel".to_owned()));
                continue;
            };
            let channel = notice.channel.clone();
            if queue.try_send(notice).is_ok() {
                taken.insert(key);
            } else {
                (self.tally)(&channel, "dropped");
            }
        }
    }
}

/// Carries what comes in, one after the other.
async fn carry(channel: ChannelSettings, mut waiting: mpsc::Receiver<Notice>, heard: Heard, tally: Tally) {
    while let Some(notice) = waiting.recv().await {
        let outcome = deliver(&channel, &notice, &tally).await;
        if let Err(why) = &outcome {
            tracing::warn!(channel = channel.name, notice = notice.id, "nobody was told: {why}");
        }
        let sent = outcome != Ok(false);
        heard(&notice, outcome.map(drop));
        if sent {
            sleep(GAP).await;
        }
    }
}

/// Tries until it is taken, refused for good, or has been tried often enough. Says whether anything was sent at all.
async fn deliver(channel: &ChannelSettings, notice: &Notice, tally: &Tally) -> Result<bool, String> {
    let Some(body) = body::of(channel.kind, notice) else { return Ok(false) };
    let mut why = String::new();
    for attempt in 0..TRIES {
        if attempt > 0 {
            sleep(Duration::from_secs(1 << attempt.min(6)).min(AGAIN_AT_MOST)).await;
        }
        let deadline = Duration::from_secs(channel.timeout_seconds);
        let sent =
            tokio::time::timeout(deadline, send(channel, notice, body.clone())).await.unwrap_or(Err(Refusal::Late));
        match sent {
            Ok(()) => {
                tally(&channel.name, "told");
                return Ok(true);
            }
            Err(refusal) => {
                tally(&channel.name, "failed");
                why = refusal.to_string();
                if !refusal.may_pass() {
                    break;
                }
            }
        }
    }
    tally(&channel.name, "gaveUp");
    Err(why)
}

/// Why a receiver did not take it. Nothing of what it answered.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("a file of its settings cannot be read")]
    File,
    #[error("its address is none that may be asked")]
    Address,
    #[error("it could not be reached")]
    Unreachable,
    #[error("no answer in time")]
    Late,
    #[error("it answered HTTP {0}")]
    Status(u16),
    #[error("it answered SMTP {0}")]
    Smtp(u16),
}

impl Refusal {
    const fn may_pass(&self) -> bool {
        match self {
            Self::Status(code) => matches!(code, 408 | 409 | 425 | 429 | 500..=599),
            // What begins with a 4 is to be tried again.
            Self::Smtp(code) => *code < 500,
            Self::File | Self::Unreachable | Self::Late => true,
            Self::Address => false,
        }
    }
}

/// Tells tests: each by itself, since no record knows of it and it waits behind no other notice.
pub fn teller(channels: &[ChannelSettings]) -> Arc<dyn Fn(Notice) -> BoxFuture<'static, Outcome> + Send + Sync> {
    let channels: Arc<[ChannelSettings]> = channels.into();
    Arc::new(move |notice| {
        let channels = Arc::clone(&channels);
        Box::pin(async move { tell_once(&channels, &notice).await })
    })
}

/// Tells a notice once, and says what came of it. Where it stays until somebody ends it, it is ended.
async fn tell_once(channels: &[ChannelSettings], notice: &Notice) -> Outcome {
    let channel = channels.iter().find(|channel| channel.name == notice.channel);
    let channel = channel.ok_or_else(|| format!("the operator's configuration has no channel {}", notice.channel))?;
    try_once(channel, notice).await?;
    let ended = Notice { happening: Happening::Started, quiet: true, ..notice.clone() };
    try_once(channel, &ended).await
}

async fn try_once(channel: &ChannelSettings, notice: &Notice) -> Outcome {
    let Some(body) = body::of(channel.kind, notice) else { return Ok(()) };
    let deadline = Duration::from_secs(channel.timeout_seconds);
    let sent = tokio::time::timeout(deadline, send(channel, notice, body)).await.unwrap_or(Err(Refusal::Late));
    sent.map_err(|refusal| format!("channel {}: {refusal}", channel.name))
}

async fn send(channel: &ChannelSettings, notice: &Notice, body: body::Body) -> Result<(), Refusal> {
    if channel.kind == Kind::Mail { mail::send(channel, notice).await } else { post(channel, body).await }
}

async fn post(channel: &ChannelSettings, mut body: body::Body) -> Result<(), Refusal> {
    let secret = async |path: &Option<std::path::PathBuf>| match path {
        Some(path) => {
            tokio::fs::read_to_string(path).await.map(|t| Some(t.trim().to_owned())).map_err(|_| Refusal::File)
        }
        None => Ok(None),
    };
    let written = secret(&channel.url_file).await?.or_else(|| channel.url.clone()).unwrap_or_default();
    let url = settings::endpoint(channel.kind, &written).map_err(|_| Refusal::Address)?;
    if let Some(key) = secret(&channel.routing_key_file).await? {
        body.json["routing_key"] = key.into();
    }
    let ca = match &channel.ca_file {
        Some(path) => Some(tokio::fs::read(path).await.map_err(|_| Refusal::File)?),
        None => None,
    };
    let mut client = careful(&url);
    if let Some(ca) = ca {
        let trusted = reqwest::Certificate::from_pem_bundle(&ca).map_err(|_| Refusal::File)?;
        client = client.tls_certs_only(trusted);
    }
    let client = client.build().map_err(|_| Refusal::File)?;
    let mut request = client.post(url).header(CONTENT_TYPE, body.content_type).body(body.json.to_string());
    if let Some(token) = secret(&channel.bearer_token_file).await? {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await.map_err(|_| Refusal::Unreachable)?;
    match answer.status() {
        code if code.is_success() => Ok(()),
        code => Err(Refusal::Status(StatusCode::as_u16(&code))),
    }
}

#[cfg(test)]
mod tests;
