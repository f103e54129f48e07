//! The state of a pod's containers, written by their tasks and read by the one that reports it. Never the report itself.

use k8s_openapi::api::core::v1::{Container, Pod};
use tokio::sync::watch;

/// How a container counts for its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Must end before the next begins.
    Init,
    /// An init container that always restarts; ends after the main ones.
    Sidecar,
    Main,
}

/// One ended run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ended {
    pub(crate) exit_code: i32,
    pub(crate) reason: &'static str,
    pub(crate) message: Option<String>,
    pub(crate) started_at: String,
    pub(crate) finished_at: String,
    pub(crate) container_id: String,
}

/// What a container does now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum State {
    Waiting { reason: &'static str, message: Option<String> },
    Running { since: String, container_id: String },
    Terminated(Ended),
}

impl State {
    pub(crate) fn waiting(reason: &'static str) -> Self {
        Self::Waiting { reason, message: None }
    }
}

/// One container.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Slot {
    pub(crate) name: String,
    pub(crate) image: String,
    pub(crate) kind: Kind,
    pub(crate) state: State,
    pub(crate) last: Option<Ended>,
    pub(crate) restarts: i32,
    pub(crate) ready: bool,
    pub(crate) started: bool,
}

impl Slot {
    fn new(container: &Container, kind: Kind, reason: &'static str) -> Self {
        Self {
            name: container.name.clone(),
            image: container.image.clone().unwrap_or_default(),
            kind,
            state: State::waiting(reason),
            last: None,
            restarts: 0,
            ready: false,
            started: false,
        }
    }

    /// Ends a container that has no process.
    pub(crate) fn finish(&mut self, at: &str) {
        if let State::Running { since, container_id } = &self.state {
            self.state = State::Terminated(Ended {
                exit_code: 0,
                reason: "Completed",
                message: None,
                started_at: since.clone(),
                finished_at: at.to_owned(),
                container_id: container_id.clone(),
            });
        }
        (self.ready, self.started) = (false, false);
    }

    /// Ended, with nothing to follow unless its task starts it again.
    pub(crate) fn exit_code(&self) -> Option<i32> {
        match &self.state {
            State::Terminated(ended) => Some(ended.exit_code),
            State::Waiting { .. } | State::Running { .. } => None,
        }
    }
}

/// The containers of one pod, init containers first.
#[derive(Clone, Debug)]
pub(crate) struct Board(watch::Sender<Vec<Slot>>);

impl Board {
    pub(crate) fn new(pod: &Pod) -> Self {
        let spec = pod.spec.as_ref();
        let inits = spec.and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default();
        let mains = spec.map(|spec| spec.containers.as_slice()).unwrap_or_default();
        let reason = if inits.is_empty() { "ContainerCreating" } else { "PodInitializing" };
        let slots = inits
            .iter()
            .map(|container| Slot::new(container, kind_of_init(container), reason))
            .chain(mains.iter().map(|container| Slot::new(container, Kind::Main, reason)))
            .collect();
        Self(watch::Sender::new(slots))
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Vec<Slot>> {
        self.0.subscribe()
    }

    pub(crate) fn read(&self) -> Vec<Slot> {
        self.0.borrow().clone()
    }

    /// Changes one slot; readers wake only when something is different.
    pub(crate) fn set(&self, index: usize, change: impl FnOnce(&mut Slot)) {
        self.0.send_if_modified(|slots| {
            let Some(slot) = slots.get_mut(index) else {
                return false;
            };
            let before = slot.clone();
            change(slot);
            *slot != before
        });
    }

    /// Changes all slots.
    pub(crate) fn set_all(&self, change: impl Fn(&mut Slot)) {
        self.0.send_modify(|slots| slots.iter_mut().for_each(change));
    }

    /// Returns when the container has started, as its startup probe says.
    pub(crate) async fn started(&self, index: usize) {
        let mut slots = self.subscribe();
        // Ends with an error only when every sender is gone, and this is one.
        let _ = slots.wait_for(|slots| slots.get(index).is_none_or(|slot| slot.started)).await;
    }
}

/// An init container that always restarts is a sidecar.
pub(crate) fn kind_of_init(container: &Container) -> Kind {
    if container.restart_policy.as_deref() == Some("Always") { Kind::Sidecar } else { Kind::Init }
}
