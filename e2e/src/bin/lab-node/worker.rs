//! One pod: its containers, its status at the API server, its end. Never another pod.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use serde_json::Value;
use tokio::{sync::watch, time::Instant};

use crate::{
    board::Board,
    container::grace,
    driver::Driver,
    error::is_gone,
    shared::{self, HOST_IP, Shared},
    status::{self, Facts, Since},
    status_only,
    stop::Stopper,
};

/// What is left to programs when the node itself ends.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);
/// Between attempts at a write the API server did not take.
const WRITE_RETRY: Duration = Duration::from_millis(200);

/// Runs the pod until it is gone; the sender of `pod` is dropped when the API server no longer has it.
pub(crate) async fn run(shared: Arc<Shared>, pod: watch::Receiver<Arc<Pod>>) {
    let first = pod.borrow().clone();
    let own = if host_network(&first) { None } else { take_address(&shared) };
    let worker = Worker {
        address: own.map_or_else(|| HOST_IP.to_owned(), |address| address.to_string()),
        started_at: status::now(),
        api: shared.pods(&first),
        board: Board::new(&first),
        stopper: Stopper::default(),
        since: Since::new(),
        written: None,
        lost: false,
        shared: shared.clone(),
        pod,
    };
    worker.live().await;
    if let (Some(address), Ok(mut addresses)) = (own, shared.addresses.lock()) {
        addresses.give_back(address);
    }
    // Nothing was made for a pod that never started.
    let _ = std::fs::remove_dir_all(shared.directory(&first));
}

fn host_network(pod: &Pod) -> bool {
    pod.spec.as_ref().and_then(|spec| spec.host_network) == Some(true)
}

fn take_address(shared: &Shared) -> Option<Ipv4Addr> {
    shared.addresses.lock().ok().and_then(|mut addresses| addresses.take())
}

struct Worker {
    shared: Arc<Shared>,
    pod: watch::Receiver<Arc<Pod>>,
    api: Api<Pod>,
    address: String,
    started_at: String,
    board: Board,
    stopper: Stopper,
    since: Since,
    written: Option<Value>,
    /// The API server no longer has this pod.
    lost: bool,
}

impl Worker {
    async fn live(mut self) {
        let mut board = self.board.subscribe();
        let shared = self.shared.clone();
        let mut driver = tokio::spawn(self.drive());
        let (mut over, mut ending) = (false, false);
        self.obey();
        loop {
            if over && (self.lost || ending) {
                return;
            }
            board.mark_unchanged();
            let retry = !self.lost && !ending && !self.write(over).await;
            if over && self.deleting() && !self.lost {
                self.delete().await;
                return;
            }
            tokio::select! {
                _ = board.changed() => {}
                changed = self.pod.changed(), if !self.lost => {
                    if changed.is_ok() {
                        self.obey();
                    } else {
                        self.lost = true;
                        self.stopper.kill();
                    }
                }
                () = shared.stopped(), if !ending => {
                    ending = true;
                    self.stopper.stop(Instant::now() + SHUTDOWN_GRACE);
                }
                result = &mut driver, if !over => {
                    over = true;
                    if let Err(error) = result {
                        eprintln!("lab-node: {}: {error}", shared::full_name(&self.pod.borrow()));
                    }
                }
                () = tokio::time::sleep(WRITE_RETRY), if retry => {}
            }
        }
    }

    fn drive(&self) -> impl Future<Output = ()> + Send + use<> {
        let (board, stopper) = (self.board.clone(), self.stopper.clone());
        let driver = Driver {
            shared: self.shared.clone(),
            pod: self.pod.borrow().clone(),
            board: board.clone(),
            stopper: stopper.clone(),
            address: self.address.clone(),
        };
        async move {
            if driver.shared.settings.status_only {
                status_only::run(board, stopper).await;
            } else {
                driver.run().await;
            }
        }
    }

    fn deleting(&self) -> bool {
        self.pod.borrow().metadata.deletion_timestamp.is_some()
    }

    /// Stops the containers when the pod is to be deleted; a later, shorter grace counts too.
    fn obey(&self) {
        if self.deleting() {
            let grace = grace(&self.pod.borrow());
            self.stopper.stop(Instant::now() + grace);
        }
    }

    /// Writes the status if it is new; false when that must be tried again.
    async fn write(&mut self, over: bool) -> bool {
        let pod = self.pod.borrow().clone();
        let (slots, now) = (self.board.read(), status::now());
        let facts = Facts { slots: &slots, address: &self.address, started_at: &self.started_at, over, now: &now };
        let patch = status::patch(&pod, &facts, &mut self.since);
        if self.written.as_ref() == Some(&patch) {
            return true;
        }
        let permit = self.shared.requests.acquire().await;
        let parameters = PatchParams::default();
        let answer = self.api.patch_status(&pod.name_any(), &parameters, &Patch::Strategic(&patch)).await;
        drop(permit);
        match answer {
            Ok(_) => self.written = Some(patch),
            // Its containers are stopped when the watch says so.
            Err(error) if is_gone(&error) => self.written = Some(patch),
            Err(error) => {
                eprintln!("lab-node: status of {}: {error}", shared::full_name(&pod));
                return false;
            }
        }
        true
    }

    /// Takes the pod off the API server.
    async fn delete(&self) {
        let pod = self.pod.borrow().clone();
        delete_with_backoff(&self.shared, &pod).await;
    }
}

/// Deletes exactly this pod without grace, as often as it takes.
pub(crate) async fn delete_with_backoff(shared: &Shared, pod: &Pod) {
    let parameters = DeleteParams {
        grace_period_seconds: Some(0),
        preconditions: Some(Preconditions { uid: Some(shared::uid(pod)), resource_version: None }),
        ..DeleteParams::default()
    };
    let mut stopping = shared.stopping.clone();
    while !*stopping.borrow_and_update() {
        let permit = shared.requests.acquire().await;
        let answer = shared.pods(pod).delete(&pod.name_any(), &parameters).await;
        drop(permit);
        match answer {
            Ok(_) => return,
            Err(error) if is_gone(&error) => return,
            Err(error) => eprintln!("lab-node: deletion of {}: {error}", shared::full_name(pod)),
        }
        tokio::time::sleep(WRITE_RETRY).await;
    }
}
