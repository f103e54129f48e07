//! Every version of one object, filmed by a watch with the time at which it was seen.
//! Nothing here changes the object.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::StreamExt;
use k8s_openapi::jiff::Timestamp;
use kube::{
    Api,
    api::DynamicObject,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event},
    },
};
use serde_json::Value;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::KitError;

/// One version of the object; none when it was deleted.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// When it was seen, for distances.
    pub at: Instant,
    /// When it was seen, for comparison with what others wrote down.
    pub time: Timestamp,
    /// The object as JSON.
    pub object: Option<Arc<Value>>,
}

type Frames = Arc<Mutex<Vec<Frame>>>;

/// A running film of one object.
#[derive(Debug)]
pub(crate) struct Film {
    name: String,
    frames: Frames,
    count: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl Drop for Film {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Film {
    /// Starts filming and waits until the first look is through.
    pub(crate) async fn start(api: Api<DynamicObject>, name: &str) -> Result<Self, KitError> {
        let frames = Frames::default();
        let (count, counted) = watch::channel(0);
        let (ready, is_ready) = tokio::sync::oneshot::channel();
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let task = tokio::spawn(record(api, config, frames.clone(), count, ready));
        let film = Self { name: name.to_owned(), frames, count: counted, task };
        match timeout(Duration::from_secs(10), is_ready).await {
            Ok(Ok(())) => Ok(film),
            _ => {
                Err(KitError::Failed { what: format!("filming {name}"), detail: "the watch does not open".to_owned() })
            }
        }
    }

    /// Everything seen so far.
    pub(crate) fn frames(&self) -> Vec<Frame> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The newest version; none when there is no such object.
    pub(crate) fn last(&self) -> Option<Arc<Value>> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner).last().and_then(|frame| frame.object.clone())
    }

    /// Waits until the newest version, or one that comes, is as wanted; gives the frame that was.
    pub(crate) async fn until(
        &self,
        what: &str,
        within: Duration,
        mut holds: impl FnMut(&Value) -> bool,
    ) -> Result<Frame, KitError> {
        self.until_frame(what, within, |frame| frame.object.as_deref().is_some_and(&mut holds)).await
    }

    /// Waits until this version of the manifest, or a newer one, was seen: what is waited for next is no older news.
    pub(crate) async fn until_applied(&self, applied: &Value) -> Result<(), KitError> {
        let generation = applied["metadata"]["generation"].as_i64();
        let seen = |object: &Value| object["metadata"]["generation"].as_i64() >= generation;
        self.until("the manifest applied", Duration::from_secs(5), seen).await.map(drop)
    }

    /// Waits until the object is gone.
    pub(crate) async fn until_gone(&self, within: Duration) -> Result<Frame, KitError> {
        self.until_frame("gone", within, |frame| frame.object.is_none()).await
    }

    async fn until_frame(
        &self,
        what: &str,
        within: Duration,
        mut holds: impl FnMut(&Frame) -> bool,
    ) -> Result<Frame, KitError> {
        let mut count = self.count.clone();
        let mut next = self.frames().len().saturating_sub(1);
        let found = async {
            loop {
                count.mark_unchanged();
                let frames = self.frames();
                for frame in frames.iter().skip(next) {
                    if holds(frame) {
                        return frame.clone();
                    }
                }
                next = frames.len();
                if count.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        timeout(within, found).await.map_err(|_| KitError::Late {
            what: format!("{}: {what}", self.name),
            within,
            last: self.last().map_or("nothing".to_owned(), |object| brief(&object)),
        })
    }
}

/// The status for an error message, or all of it where there is none.
fn brief(object: &Value) -> String {
    let mut shown = object.get("status").unwrap_or(object).clone();
    if let Some(map) = shown.as_object_mut() {
        for long in ["history", "conditions", "gates", "metadata"] {
            map.remove(long);
        }
    }
    shown.to_string()
}

async fn record(
    api: Api<DynamicObject>,
    config: watcher::Config,
    frames: Frames,
    count: watch::Sender<usize>,
    ready: tokio::sync::oneshot::Sender<()>,
) {
    let mut ready = Some(ready);
    let mut seen_in_list = false;
    let push = |object: Option<DynamicObject>| {
        let object = object.and_then(|object| serde_json::to_value(object).ok()).map(Arc::new);
        let mut frames = frames.lock().unwrap_or_else(PoisonError::into_inner);
        let version = |object: Option<&Arc<Value>>| object.map(|o| o["metadata"]["resourceVersion"].clone());
        // A watch that is opened anew shows what was seen before.
        let same = frames.last().is_some_and(|last| version(last.object.as_ref()) == version(object.as_ref()));
        if !same {
            frames.push(Frame { at: Instant::now(), time: Timestamp::now(), object });
            count.send_replace(frames.len());
        }
    };
    let mut events = watcher::watcher(api, config).default_backoff().boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => seen_in_list = false,
            Ok(Event::InitApply(object)) => {
                seen_in_list = true;
                push(Some(object));
            }
            Ok(Event::InitDone) => {
                if !seen_in_list {
                    push(None);
                }
                if let Some(ready) = ready.take() {
                    // Whoever waited may have given up.
                    let _ = ready.send(());
                }
            }
            Ok(Event::Apply(object)) => push(Some(object)),
            Ok(Event::Delete(_)) => push(None),
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}
