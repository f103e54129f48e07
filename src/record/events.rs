//! News → Kubernetes events. Never awaited on the traffic path: a bounded queue, dropped when full and counted.

use kube::{
    Client, Resource,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use tokio::sync::mpsc;

use crate::{
    api::{LlmRollout, labels},
    decide::intent::News,
};

/// News on its way out, with the rollout it is about.
type Item = (k8s_openapi::api::core::v1::ObjectReference, News);

/// Where news is handed in.
#[derive(Clone)]
pub struct Herald(mpsc::Sender<Item>);

impl Herald {
    /// A herald and the task that speaks for it.
    pub fn start(client: Client, instance: String) -> (Self, impl Future<Output = ()> + Send) {
        let (queue, waiting) = mpsc::channel(256);
        (Self(queue), speak(client, instance, waiting))
    }

    /// Hands news in; says whether there was room.
    pub fn tell(&self, rollout: &LlmRollout, news: News) -> bool {
        self.0.try_send((rollout.object_ref(&()), news)).is_ok()
    }
}

async fn speak(client: Client, instance: String, mut waiting: mpsc::Receiver<Item>) {
    let reporter = Reporter { controller: labels::MANAGER.to_owned(), instance: Some(instance) };
    // Made once: the recorder folds equal events together only within its own memory.
    let recorder = Recorder::new(client, reporter);
    while let Some((about, news)) = waiting.recv().await {
        let event = Event {
            type_: if news.warning { EventType::Warning } else { EventType::Normal },
            reason: news.reason.word().to_owned(),
            note: Some(news.message.chars().take(1000).collect()),
            // Part of the key by which the recorder folds events together; the note is not. With the words in it, step 2
            // does not disappear behind step 1.
            action: news.message.chars().take(120).collect(),
            secondary: None,
        };
        if let Err(error) = recorder.publish(&event, &about).await {
            tracing::warn!(%error, "an event could not be written");
        }
    }
}
