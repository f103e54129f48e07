//! The webhook of `examples/webhook-router`, really run, behind a door that may be bent. Nothing here knows what the operator
//! makes of it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    task::JoinHandle,
    time::sleep,
};

use super::{
    KitError,
    operator::root,
    prometheus::http,
    rogue::{head, request_text},
};

/// What the door does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Hands everything on.
    Open,
    /// Answers nothing, whoever asks.
    Shut,
    /// Hands on what is told, and tells this whatever is so.
    Lies(&'static str),
    /// Tells what is so, and says of everything that it was told that something else had moved before.
    Moved,
}

/// Server and door, while they are held.
#[derive(Debug)]
pub(crate) struct Balancer {
    /// Where the door is.
    pub url: String,
    mood: Arc<Mutex<Mood>>,
    server: String,
    task: JoinHandle<()>,
    _process: Child,
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Balancer {
    /// Begins with the door open.
    pub(crate) async fn start() -> Result<Self, KitError> {
        let listen = async || TcpListener::bind("127.0.0.1:0").await.map_err(KitError::failed("a server of one's own"));
        let free = listen().await?.local_addr().map_err(KitError::failed("a free port"))?;
        let script = root().join("examples/webhook-router/server.py");
        let mut process = Command::new("python3");
        let process = process.arg(&script).arg(free.port().to_string()).stderr(std::process::Stdio::null());
        let process = process.kill_on_drop(true).spawn().map_err(KitError::failed(script.display().to_string()))?;
        for _ in 0..100 {
            if TcpStream::connect(free).await.is_ok() {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
        let listener = listen().await?;
        let door = listener.local_addr().map_err(KitError::failed("a server of one's own"))?;
        let mood = Arc::new(Mutex::new(Mood::Open));
        let (told, server) = (mood.clone(), free.to_string());
        let behind = server.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (told, behind) = (told.clone(), behind.clone());
                // Who asks hangs up when it likes; that is what is tried here.
                tokio::spawn(async move { drop(answer(stream, &told, &behind).await) });
            }
        });
        Ok(Self { url: format!("http://{door}"), mood, server, task, _process: process })
    }

    /// From now on.
    pub(crate) fn be(&self, mood: Mood) {
        *self.mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
    }

    /// Green's weight of a rollout, as the server itself has it.
    pub(crate) async fn green(&self, namespace: &str, name: &str) -> Result<i64, KitError> {
        let ask = http()?.get(format!("http://{}/weights", self.server));
        let ask = ask.header("LlmRollout-Namespace", namespace).header("LlmRollout-Name", name);
        let answer = ask.send().await.map_err(KitError::failed("the example server"))?;
        let told: Value = answer.json().await.map_err(KitError::failed("the example server"))?;
        Ok(told["weights"]["green"].as_i64().unwrap_or(-1))
    }
}

async fn answer(mut stream: TcpStream, mood: &Mutex<Mood>, behind: &str) -> std::io::Result<()> {
    let asked = request_text(&mut stream).await?;
    let mood = *mood.lock().unwrap_or_else(PoisonError::into_inner);
    let asks = asked.starts_with("GET ");
    match mood {
        // Until who asked hangs up.
        Mood::Shut => return stream.read_u8().await.map(drop),
        Mood::Lies(document) if asks => {
            stream.write_all(&head("200 OK", "etag: \"bent\"\r\n", document.len())).await?;
            return stream.write_all(document.as_bytes()).await;
        }
        Mood::Moved if !asks => return stream.write_all(&head("412 Precondition Failed", "", 0)).await,
        Mood::Open | Mood::Lies(_) | Mood::Moved => {}
    }
    let once = |text: &str| text.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    let mut server = TcpStream::connect(behind).await?;
    server.write_all(once(&asked).as_bytes()).await?;
    let mut told = String::new();
    server.read_to_string(&mut told).await?;
    stream.write_all(once(&told).as_bytes()).await
}
