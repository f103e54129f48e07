//! An endpoint that tells a number about each color, or whatever else it is told to say, and remembers what it was asked.
//! Nothing here knows what the operator makes of it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    KitError,
    listener::Listener,
    rogue::{head, request},
};

/// What is said when a color is asked about.
#[derive(Debug, Clone)]
pub(crate) enum Word {
    /// A document.
    Json(String),
    /// A status with headers, and a document that would be good.
    Status(&'static str, &'static str),
    /// Nothing at all.
    Silence,
}

impl Word {
    /// A score on so many samples, which is the last word.
    pub(crate) fn score(score: f64, count: u32) -> Self {
        Self::Json(format!(r#"{{"score":{score},"count":{count},"final":1}}"#))
    }

    /// The same while the last word is not spoken.
    pub(crate) fn so_far(score: f64, count: u32) -> Self {
        Self::Json(format!(r#"{{"score":{score},"count":{count}}}"#))
    }
}

/// What is said about each color.
type Words = Mutex<BTreeMap<String, Word>>;

/// The server, while it is held.
#[derive(Debug)]
pub(crate) struct Teller {
    /// Where it is.
    pub url: String,
    words: Arc<Words>,
    seen: Arc<Mutex<Vec<String>>>,
    _listener: Listener,
}

impl Teller {
    /// Begins with nothing to say: `404`.
    pub(crate) async fn start() -> Result<Self, KitError> {
        let (words, seen) = (Arc::new(Words::default()), Arc::new(Mutex::default()));
        let (told, heard) = (words.clone(), seen.clone());
        let listener = Listener::start(move |stream| {
            let (told, heard) = (told.clone(), heard.clone());
            async move { answer(stream, &told, &heard).await }
        })
        .await?;
        Ok(Self { url: format!("http://{}", listener.address), words, seen, _listener: listener })
    }

    /// From now on, about this color.
    pub(crate) fn say(&self, color: &str, word: Word) {
        self.words.lock().unwrap_or_else(PoisonError::into_inner).insert(color.to_owned(), word);
    }

    /// Every path that was asked for, with its query.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn answer(mut stream: TcpStream, words: &Words, seen: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let (path, _) = request(&mut stream).await?;
    let color = path.split(['?', '&']).find_map(|pair| pair.strip_prefix("color=")).unwrap_or_default().to_owned();
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(path);
    let word = words.lock().unwrap_or_else(PoisonError::into_inner).get(&color).cloned();
    let good = r#"{"score":1,"count":1000}"#.to_owned();
    let (status, headers, body) = match word.unwrap_or(Word::Status("404 Not Found", "")) {
        Word::Json(document) => ("200 OK", "", document),
        Word::Status(status, headers) => (status, headers, good),
        // Until the asker hangs up.
        Word::Silence => return stream.read_u8().await.map(drop),
    };
    stream.write_all(&head(status, headers, body.len())).await?;
    stream.write_all(body.as_bytes()).await
}
