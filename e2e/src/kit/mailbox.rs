//! A mail relay that takes everything and keeps it. Nothing here knows what was to be said.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use super::{KitError, listener::Listener};

/// The relay, while it is held.
#[derive(Debug)]
pub(crate) struct Mailbox {
    /// Where it is.
    pub url: String,
    mails: Arc<Mutex<Vec<String>>>,
    _listener: Listener,
}

impl Mailbox {
    /// Without TLS, on loopback.
    pub(crate) async fn start() -> Result<Self, KitError> {
        let mails = Arc::new(Mutex::default());
        let kept = Arc::clone(&mails);
        let listener = Listener::start(move |stream| {
            let kept = Arc::clone(&kept);
            async move { converse(stream, &kept).await }
        })
        .await?;
        Ok(Self { url: format!("smtp://{}", listener.address), mails, _listener: listener })
    }

    /// All mails, as they came: envelope, headers and text.
    pub(crate) fn mails(&self) -> Vec<String> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn converse(stream: TcpStream, kept: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let (mut stream, mut mail, mut inside) = (BufReader::new(stream), String::new(), false);
    stream.write_all(b"220 relay\r\n").await?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let word = line.trim_end();
        if inside && word != "." {
            mail += &line;
            continue;
        }
        let reply: &[u8] = if word == "DATA" { b"354 go\r\n" } else { b"250 ok\r\n" };
        if inside {
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(std::mem::take(&mut mail));
        } else if !word.starts_with("EHLO") {
            mail += &line;
        }
        inside = word == "DATA";
        stream.write_all(reply).await?;
    }
}
