//! A small server on loopback that answers as it is told, and the answers it is told.

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use futures::{FutureExt, future::BoxFuture};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::observe::clock::Clock;

pub(super) type Answer = Arc<dyn Fn(TcpStream, String) -> BoxFuture<'static, ()> + Send + Sync>;

/// A server that reads one request per connection, keeps it, and lets a closure answer.
pub(super) struct Server {
    pub(super) url: String,
    pub(super) seen: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(super) async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = seen.clone();
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (kept, answer) = (kept.clone(), answer.clone());
                tokio::spawn(async move {
                    let request = read_request(&mut stream).await;
                    kept.lock().unwrap().push(request.clone());
                    answer(stream, request).await;
                });
            }
        });
        Self { url, seen, task }
    }

    /// The same bytes for everyone.
    pub(super) async fn with(bytes: Vec<u8>) -> Self {
        Self::start(Arc::new(move |mut stream, _| {
            let bytes = bytes.clone();
            async move {
                // A client that has seen enough hangs up.
                let _ = stream.write_all(&bytes).await;
            }
            .boxed()
        }))
        .await
    }

    /// `bytes`, then a byte every 20 ms for ever.
    pub(super) async fn dripping(bytes: &'static str) -> Self {
        Self::start(Arc::new(move |mut stream, _| {
            async move {
                let mut alive = stream.write_all(bytes.as_bytes()).await.is_ok();
                while alive {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    alive = stream.write_all(b" ").await.is_ok();
                }
            }
            .boxed()
        }))
        .await
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// Waits until so many requests have come, at most ten seconds.
    pub(super) async fn poll_requests(&self, count: usize) {
        let started = Clock::start();
        while self.requests().len() < count {
            assert!(started.running() < Duration::from_secs(10), "{count} requests expected");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

pub(super) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).to_string();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .to_lowercase()
                .split("content-length: ")
                .nth(1)
                .map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
            if body.len() >= length {
                return text;
            }
        }
        let count = stream.read(&mut buffer).await.unwrap();
        assert!(count > 0, "the client hung up early: {text}");
        bytes.extend_from_slice(&buffer[..count]);
    }
}

pub(super) fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n", body.len())
            .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

pub(super) fn json(body: &str) -> Vec<u8> {
    response("200 OK", "content-type: application/json\r\n", body.as_bytes())
}

pub(super) fn value(text: &str) -> String {
    let at = Clock::start().now().unix();
    format!(
        r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{}},"value":[{at}.5,"{text}"]}}]}}}}"#
    )
}

pub(super) fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    let packed = encoder.finish().unwrap();
    response("200 OK", "content-type: application/json\r\ncontent-encoding: gzip\r\n", &packed)
}
