//! A provider that may go wrong: it hands questions on to the real Prometheus until it is told to answer badly, each
//! kind of question in a way of its own. Nothing here knows what the operator makes of it.

use std::{
    io::Write,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::OnceCell,
    time::sleep,
};

use super::{Ground, KitError, listener::Listener, prometheus};

/// A way to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As the real one does.
    Honest,
    /// The head, and then a byte now and then.
    Drip,
    /// Nothing at all.
    Silent,
    /// A page for people.
    Html,
    /// Half a document.
    BadJson,
    /// Lists in lists, ten thousand of them, in a document that is right otherwise.
    DeepJson,
    /// 200 MB.
    Huge,
    /// A hundred kilobytes that become a hundred megabytes.
    Bomb,
    /// So many series as fit below the cap.
    ManySeries,
    /// A million of them.
    MillionSeries,
    /// One value that is none.
    Value(&'static str),
    /// A value without its time.
    ShortPair,
    /// Good figures with a warning.
    Warning,
    /// Good figures of ten minutes ago.
    Stale,
    /// Good figures of another instant for every request.
    Restless,
    /// `302` to where a cloud keeps its metadata.
    Redirect,
    /// `429`, to be left alone for three seconds.
    Busy,
    /// `503`.
    Broken,
}

/// What is asked about a gate, as far as its text tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Errors,
    Latency,
    Cost,
}

impl Asked {
    fn of(body: &str) -> Self {
        match () {
            () if body.contains("e2e_request_latency") => Self::Latency,
            () if body.contains("finished_reason") || body.contains("http_requests") => Self::Errors,
            () => Self::Cost,
        }
    }
}

static BOMB: OnceCell<Arc<[u8]>> = OnceCell::const_new();

type Manners = Arc<Mutex<[Manner; 3]>>;

/// The server, while it is held.
#[derive(Debug)]
pub(crate) struct Rogue {
    /// Where it is.
    pub url: String,
    manners: Manners,
    _listener: Listener,
}

impl Rogue {
    /// Begins honest.
    pub(crate) async fn start(ground: &Ground) -> Result<Self, KitError> {
        // Packing takes seconds of work, which the tasks beside this one must not wait for; one is enough for all.
        let pack = || async { tokio::task::spawn_blocking(bomb).await.map(Arc::from) };
        let bomb = BOMB.get_or_try_init(pack).await.map_err(KitError::failed("packing a bomb"))?.clone();
        let manners: Manners = Arc::new(Mutex::new([Manner::Honest; 3]));
        let (told, real, client) = (manners.clone(), ground.prometheus_url.clone(), prometheus::http()?);
        let listener = Listener::start(move |stream| {
            let (told, real, client, bomb) = (told.clone(), real.clone(), client.clone(), bomb.clone());
            async move { answer(stream, &told, &bomb, &real, &client).await }
        })
        .await?;
        Ok(Self { url: format!("http://{}", listener.address), manners, _listener: listener })
    }

    /// From now on: about errors, about latency, about cost.
    pub(crate) fn be(&self, manners: [Manner; 3]) {
        *self.manners.lock().unwrap_or_else(PoisonError::into_inner) = manners;
    }
}

async fn answer(
    mut stream: TcpStream,
    manners: &Manners,
    bomb: &[u8],
    real: &str,
    client: &reqwest::Client,
) -> std::io::Result<()> {
    let (path, body) = request(&mut stream).await?;
    let manner = manners.lock().unwrap_or_else(PoisonError::into_inner)[Asked::of(&body) as usize];
    match manner {
        Manner::Silent => {
            // Until the asker hangs up.
            stream.read_u8().await.map(drop)
        }
        Manner::Drip => {
            stream.write_all(&head("200 OK", "", 1 << 20)).await?;
            loop {
                stream.write_all(b" ").await?;
                sleep(Duration::from_millis(50)).await;
            }
        }
        Manner::Huge => {
            stream.write_all(&head("200 OK", "", 200_000_000)).await?;
            let piece = vec![b' '; 100_000];
            for _ in 0..2000 {
                stream.write_all(&piece).await?;
            }
            Ok(())
        }
        Manner::Bomb => {
            stream.write_all(&head("200 OK", "content-encoding: gzip\r\n", bomb.len())).await?;
            stream.write_all(bomb).await
        }
        _ => {
            let (status, headers, body) = match of_few_words(manner) {
                Some(words) => words,
                None => hand_on(manner, &format!("{real}{path}"), body, client).await,
            };
            stream.write_all(&head(status, headers, body.len())).await?;
            stream.write_all(&body).await
        }
    }
}

/// The path and the body of a request.
pub(super) async fn request(stream: &mut TcpStream) -> std::io::Result<(String, String)> {
    let text = request_text(stream).await?;
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
    Ok((head.split(' ').nth(1).unwrap_or_default().to_owned(), body.to_owned()))
}

/// The whole of a request.
pub(super) async fn request_text(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
            if body.len() >= length {
                return Ok(text.into_owned());
            }
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

pub(super) fn head(status: &str, headers: &str, length: usize) -> Vec<u8> {
    let kind = if headers.contains("content-type") { "" } else { "content-type: application/json\r\n" };
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{kind}{headers}\r\n").into_bytes()
}

fn vector(result: &str) -> Vec<u8> {
    format!(r#"{{"status":"success","data":{{"resultType":"vector","result":{result}}}}}"#).into_bytes()
}

type Words = (&'static str, &'static str, Vec<u8>);

/// Answers that need nobody else.
fn of_few_words(manner: Manner) -> Option<Words> {
    let now = k8s_openapi::jiff::Timestamp::now().as_second();
    let one = |value: &str| vector(&format!(r#"[{{"metric":{{}},"value":[{now},"{value}"]}}]"#));
    Some(match manner {
        Manner::Html => ("200 OK", "content-type: text/html\r\n", b"<html>Please log in.</html>".to_vec()),
        Manner::BadJson => ("200 OK", "", br#"{"status":"success","data":{"#.to_vec()),
        Manner::DeepJson => {
            let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
            ("200 OK", "", vector(&format!(r#"[{{"metric":{deep},"value":{deep}}}]"#)))
        }
        Manner::ManySeries => ("200 OK", "", vector(&format!("[{}{{}}]", "{},".repeat(340_000)))),
        Manner::MillionSeries => ("200 OK", "", vector(&format!("[{}{{}}]", r#"{"metric":{}},"#.repeat(1_000_000)))),
        Manner::Value(value) => ("200 OK", "", one(value)),
        Manner::ShortPair => ("200 OK", "", vector(&format!(r#"[{{"metric":{{}},"value":[{now}]}}]"#))),
        Manner::Redirect => ("302 Found", "location: http://169.254.169.254/latest/meta-data/\r\n", Vec::new()),
        Manner::Busy => ("429 Too Many Requests", "retry-after: 3\r\n", b"{}".to_vec()),
        Manner::Broken => ("503 Service Unavailable", "", b"{}".to_vec()),
        _ => return None,
    })
}

/// What the real one says, or that a little changed.
async fn hand_on(manner: Manner, url: &str, body: String, client: &reqwest::Client) -> Words {
    let request = client.post(url).header("content-type", "application/x-www-form-urlencoded").body(body);
    let asked = async { request.send().await?.error_for_status()?.text().await };
    let Ok(text) = asked.await else { return ("502 Bad Gateway", "", Vec::new()) };
    let text = match manner {
        Manner::Warning => text.replacen('{', r#"{"warnings":["a store did not answer"],"#, 1),
        Manner::Stale => earlier(&text, 600),
        Manner::Restless => earlier(&text, i64::from(rand::random::<u8>() % 20) + 2),
        _ => text,
    };
    ("200 OK", "", text.into_bytes())
}

/// The same with its time of evaluation so many seconds ago.
fn earlier(text: &str, seconds: i64) -> String {
    let Ok(mut answer) = serde_json::from_str::<serde_json::Value>(text) else { return text.to_owned() };
    if let Some(at) = answer.pointer_mut("/data/result/0/value/0") {
        #[expect(clippy::cast_precision_loss, reason = "some minutes")]
        let before = at.as_f64().unwrap_or_default() - seconds as f64;
        *at = before.into();
    }
    answer.to_string()
}

/// A hundred megabytes of blanks.
fn bomb() -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    let piece = vec![b' '; 1 << 20];
    for _ in 0..100 {
        // Nothing fails that writes into memory.
        let _ = packer.write_all(&piece);
    }
    packer.finish().unwrap_or_default()
}
