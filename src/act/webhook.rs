//! Tells a webhook the weights, once: what it answers is a class of failure like any other. Never asks it anything.

use std::collections::BTreeMap;

use reqwest::{Method, Response, header::IF_MATCH};
use serde::Deserialize;
use tokio::{sync::Semaphore, time::timeout};

use super::ActError;
use crate::{
    decide::plan::digest,
    line::{self, Line, ProviderError, ProviderSettings, Whose},
    metrics::NoData,
    routers::webhook::Put,
};

/// The longest document about a refusal that is read, and how much of its words is shown.
const LARGEST: usize = 16 << 10;
const WORDS: usize = 200;

/// Lines to all webhooks of the operator's configuration.
#[derive(Default)]
pub struct Webhooks(BTreeMap<String, (Line, Semaphore)>);

/// What a refusal is told in: RFC 9457.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    title: String,
    detail: String,
}

impl Webhooks {
    /// Reads the files with certificates.
    pub fn new(all: &[ProviderSettings]) -> Result<Self, ProviderError> {
        let line = |s: &ProviderSettings| Ok((s.name.clone(), (Line::new(s)?, Semaphore::new(s.max_in_flight))));
        all.iter().map(line).collect::<Result<_, _>>().map(Self)
    }

    /// Tells one webhook. Where as many are on the way to it already as it takes, nobody waits: a webhook that hangs
    /// would keep those who want something of others.
    pub(super) async fn put(&self, put: &Put, whose: Whose<'_>) -> Result<String, ActError> {
        let shares = format!("{}/{}", put.shares.blue, put.shares.green);
        let what = format!("tell webhook {} of {}/{} {shares}", put.webhook, whose.namespace, whose.name);
        let unheard = |why: &NoData| ActError::Unheard { what: what.clone(), why: why.said_of("webhook") };
        let Some((line, room)) = self.0.get(&put.webhook) else {
            let words = "the operator's configuration does not name it in `routers`".to_owned();
            return Err(ActError::Refused { what, words, template: false });
        };
        let _room = room.try_acquire().map_err(|_| unheard(&NoData::Late))?;
        let told = timeout(line.settings().timeout(), send(line, put, whose)).await;
        match told.unwrap_or(Err(NoData::Late)).map_err(|why| unheard(&why))? {
            Told::Done => Ok(what),
            Told::Moved => Err(ActError::Moved { what }),
            Told::Fails(status) => Err(unheard(&NoData::Status(status))),
            Told::Refuses(words) => Err(ActError::Refused { what, words, template: false }),
        }
    }
}

/// What it answers.
enum Told {
    Done,
    Moved,
    Fails(u16),
    Refuses(String),
}

async fn send(line: &Line, put: &Put, whose: Whose<'_>) -> Result<Told, NoData> {
    let client = line.client().await?;
    let request = line.about_weights(&client, Method::PUT, whose).json(&put.body());
    let request = match &put.version {
        // The same write has the same key however often it is sent; a write of another moment has another.
        Some(version) => request.header(IF_MATCH, version).header("Idempotency-Key", key(put, version, whose)),
        // Nothing is known, and home is home: whatever it has, and as often as it is told.
        None => request.header(IF_MATCH, "*"),
    };
    let response = line.send(request).await?;
    Ok(match response.status().as_u16() {
        200..=299 => Told::Done,
        412 => Told::Moved,
        status @ (408 | 425 | 429 | 500..) => Told::Fails(status),
        status => Told::Refuses(words(status, response).await),
    })
}

fn key(put: &Put, version: &str, whose: Whose<'_>) -> String {
    let of = serde_json::json!([whose.namespace, whose.name, whose.attempt, version, put.body()]);
    format!("\"{}\"", digest(&of))
}

/// Its words about a refusal, if it speaks as RFC 9457 has it; no other text of an answer is shown to anybody.
async fn words(status: u16, response: Response) -> String {
    let told = line::is_of(&response, &["application/problem+json"]);
    let problem = if told { line::body(response, LARGEST).await.ok() } else { None };
    let Problem { title, detail } = problem.and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default();
    let said = if detail.is_empty() { title } else { detail };
    let plain = said.chars().map(|c| if c.is_control() { ' ' } else { c });
    let said = plain.take(WORDS).collect::<String>();
    let said = said.trim();
    if said.is_empty() { format!("HTTP {status}") } else { format!("HTTP {status}: {said}") }
}
