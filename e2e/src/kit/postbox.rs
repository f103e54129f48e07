//! A receiver of notices: one server with a slot for each path, which takes, refuses or never answers, and remembers what
//! was posted and whether it was taken. Nothing here knows what is told.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    KitError,
    listener::Listener,
    rogue::{head, request},
};

/// How a slot answers. One of which nothing is said takes everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    /// Takes it.
    Takes,
    /// Refuses it, as one does that is down for a while.
    Down,
    /// Refuses so many, then takes.
    DownFor(u32),
    /// Never says a word.
    Hangs,
}

/// What was posted.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    /// Where to.
    pub path: String,
    /// Whether it was taken.
    pub taken: bool,
    /// What it said.
    pub body: Value,
}

#[derive(Debug, Default)]
struct Inside {
    slots: BTreeMap<String, Slot>,
    letters: Vec<Letter>,
}

/// The server, while it is held.
#[derive(Debug)]
pub(crate) struct Postbox {
    /// Where it is.
    pub url: String,
    inside: Arc<Mutex<Inside>>,
    _listener: Listener,
}

impl Postbox {
    /// Takes everything.
    pub(crate) async fn start() -> Result<Self, KitError> {
        let inside = Arc::new(Mutex::default());
        let shared = Arc::clone(&inside);
        let listener = Listener::start(move |stream| {
            let shared = Arc::clone(&shared);
            async move { take(stream, &shared).await }
        })
        .await?;
        Ok(Self { url: format!("http://{}", listener.address), inside, _listener: listener })
    }

    /// From now on, at this path.
    pub(crate) fn set(&self, path: &str, slot: Slot) {
        lock(&self.inside).slots.insert(path.to_owned(), slot);
    }

    /// What came to this path.
    pub(crate) fn at(&self, path: &str) -> Vec<Letter> {
        lock(&self.inside).letters.iter().filter(|letter| letter.path == path).cloned().collect()
    }

    /// Waits until what came to a path is as it should be.
    pub(crate) async fn until(
        &self,
        what: &str,
        path: &str,
        within: Duration,
        fits: impl Fn(&[Letter]) -> bool,
    ) -> Result<Vec<Letter>, KitError> {
        let since = Instant::now();
        loop {
            let letters = self.at(path);
            if fits(&letters) {
                return Ok(letters);
            }
            if since.elapsed() > within {
                return Err(KitError::Late { what: what.to_owned(), within, last: format!("{letters:?}") });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn lock(inside: &Mutex<Inside>) -> std::sync::MutexGuard<'_, Inside> {
    inside.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn take(mut stream: TcpStream, inside: &Mutex<Inside>) -> std::io::Result<()> {
    let (path, body) = request(&mut stream).await?;
    let body = serde_json::from_str(&body).unwrap_or_default();
    let slot = {
        let mut inside = lock(inside);
        let slot = inside.slots.entry(path.clone()).or_insert(Slot::Takes);
        let now = *slot;
        if let Slot::DownFor(left) = slot {
            *slot = if *left > 1 { Slot::DownFor(*left - 1) } else { Slot::Takes };
        }
        inside.letters.push(Letter { path, taken: now == Slot::Takes, body });
        now
    };
    match slot {
        Slot::Takes => stream.write_all(&head("202 Accepted", "", 0)).await,
        Slot::Down | Slot::DownFor(_) => stream.write_all(&head("500 Internal Server Error", "", 0)).await,
        // Until the sender hangs up.
        Slot::Hangs => stream.read_u8().await.map(drop),
    }
}
