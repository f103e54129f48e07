//! All pods: binds the pending ones and gives each of the node's own a task. Never what such a task does.

use std::{collections::BTreeMap, net::Ipv4Addr, pin::pin, sync::Arc, time::Duration};

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, watch as channel},
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{
    error::is_gone,
    schedule,
    shared::{self, Shared},
    status,
    watch::{self, Change},
    worker,
};

/// How often a pod that does not fit is tried again, beside every end of another pod.
const PLACE_RETRY: Duration = Duration::from_secs(2);
/// How long the node's own end waits for the pods' tasks.
const SHUTDOWN: Duration = Duration::from_secs(4);

/// Follows all pods until the node ends.
pub(crate) async fn run(shared: Arc<Shared>) {
    let (unbound, mut failed) = mpsc::unbounded_channel();
    let ending = shared.clone();
    let mut stopped = pin!(ending.stopped());
    let mut changes = pin!(watch::changes(Api::<Pod>::all(shared.client.clone())));
    let mut all = Pods::new(shared, unbound);
    let mut retry = interval(PLACE_RETRY);
    retry.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            Some(change) = changes.next() => all.take(change).await,
            Some(pod) = failed.recv() => all.unbound(pod),
            _ = retry.tick(), if !all.pending.is_empty() => all.place_all().await,
            Some(_) = all.tasks.join_next() => {}
            () = &mut stopped => break,
        }
    }
    if timeout(SHUTDOWN, all.tasks.join_all()).await.is_err() {
        eprintln!("lab-node: some pods did not end in time");
    }
}

struct Pods {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
    /// The node's own pods, by uid.
    workers: BTreeMap<String, channel::Sender<Arc<Pod>>>,
    /// GPUs in use, by uid.
    gpus: BTreeMap<String, i64>,
    /// Pods that do not fit yet, by uid.
    pending: BTreeMap<String, Arc<Pod>>,
    /// Brings back a pod whose binding failed.
    failed: mpsc::UnboundedSender<Arc<Pod>>,
    /// The first list is complete: pods that come now are not of an earlier run.
    listed: bool,
}

impl Pods {
    fn new(shared: Arc<Shared>, failed: mpsc::UnboundedSender<Arc<Pod>>) -> Self {
        Self {
            shared,
            tasks: JoinSet::new(),
            workers: BTreeMap::new(),
            gpus: BTreeMap::new(),
            pending: BTreeMap::new(),
            failed,
            listed: false,
        }
    }

    async fn take(&mut self, change: Change<Pod>) {
        match change {
            Change::Listed => self.listed = true,
            Change::Gone((_, _, uid)) => {
                self.pending.remove(&uid);
                // Dropping the sender tells the task.
                self.workers.remove(&uid);
                if self.gpus.remove(&uid).is_some_and(|gpus| gpus > 0) {
                    self.place_all().await;
                }
            }
            Change::Set(pod) => self.set(Arc::new(pod)).await,
        }
    }

    async fn set(&mut self, pod: Arc<Pod>) {
        let uid = shared::uid(&pod);
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default();
        if node == self.shared.settings.node_name {
            self.own(pod).await;
        } else if !schedule::is_pending(&pod) {
            self.pending.remove(&uid);
        } else if !self.gpus.contains_key(&uid) {
            // A pod with GPUs noted has its binding under way.
            self.place(pod).await;
        }
    }

    async fn own(&mut self, pod: Arc<Pod>) {
        let uid = shared::uid(&pod);
        let terminal = schedule::is_terminal(&pod);
        let gpus = if terminal { 0 } else { schedule::gpus(&pod) };
        let freed = self.gpus.insert(uid.clone(), gpus).is_some_and(|before| before > gpus);
        if let Some(worker) = self.workers.get(&uid) {
            worker.send_replace(pod);
        } else if !terminal && !self.is_leftover(&pod) {
            let (sender, receiver) = channel::channel(pod);
            self.workers.insert(uid, sender);
            self.tasks.spawn(worker::run(self.shared.clone(), receiver));
        }
        if freed {
            self.place_all().await;
        }
    }

    /// A pod of an earlier run has no process any more: it goes, and its controller makes another.
    fn is_leftover(&mut self, pod: &Arc<Pod>) -> bool {
        let status = pod.status.as_ref();
        let address = status.and_then(|status| status.pod_ip.as_ref()).and_then(|ip| ip.parse::<Ipv4Addr>().ok());
        if let (Some(address), Ok(mut addresses)) = (address, self.shared.addresses.lock()) {
            addresses.seen(address);
        }
        let leftover = !self.listed && status.is_some_and(|status| status.start_time.is_some());
        if leftover {
            let (shared, pod) = (self.shared.clone(), pod.clone());
            self.tasks.spawn(async move { worker::delete_with_backoff(&shared, &pod).await });
        }
        leftover
    }

    fn unbound(&mut self, pod: Arc<Pod>) {
        let uid = shared::uid(&pod);
        self.gpus.remove(&uid);
        self.pending.insert(uid, pod);
    }

    async fn place_all(&mut self) {
        for pod in std::mem::take(&mut self.pending).into_values() {
            self.place(pod).await;
        }
    }

    async fn place(&mut self, pod: Arc<Pod>) {
        let uid = shared::uid(&pod);
        let labels = if schedule::selects(&pod) { self.labels().await } else { BTreeMap::new() };
        let free = self.shared.settings.gpus - self.gpus.values().sum::<i64>();
        if let Some(message) = schedule::misfit(&pod, &labels, free) {
            self.tasks.spawn(tell(self.shared.clone(), pod.clone(), message));
            self.pending.insert(uid, pod);
        } else {
            self.pending.remove(&uid);
            self.gpus.insert(uid, schedule::gpus(&pod));
            self.tasks.spawn(bind(self.shared.clone(), pod, self.failed.clone()));
        }
    }

    async fn labels(&self) -> BTreeMap<String, String> {
        let api: Api<Node> = Api::all(self.shared.client.clone());
        let node = api.get_opt(&self.shared.settings.node_name).await;
        node.ok().flatten().and_then(|node| node.metadata.labels).unwrap_or_default()
    }
}

/// Binds the pod to the node.
async fn bind(shared: Arc<Shared>, pod: Arc<Pod>, failed: mpsc::UnboundedSender<Arc<Pod>>) {
    let binding = json!({
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": pod.name_any(), "uid": pod.metadata.uid},
        "target": {"apiVersion": "v1", "kind": "Node", "name": shared.settings.node_name},
    });
    let permit = shared.requests.acquire().await;
    let (api, name) = (shared.pods(&pod), pod.name_any());
    let answer = api.create_subresource::<_, Value>("binding", &name, &PostParams::default(), &binding).await;
    drop(permit);
    if let Err(error) = answer
        && !is_gone(&error)
    {
        eprintln!("lab-node: binding of {name}: {error}");
        // Nobody listens only when the node ends.
        let _ = failed.send(pod);
    }
}

/// Says why the pod is not bound, once.
async fn tell(shared: Arc<Shared>, pod: Arc<Pod>, message: String) {
    let mut conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    if conditions.any(|condition| condition.type_ == "PodScheduled" && condition.message.as_ref() == Some(&message)) {
        return;
    }
    let patch = json!({
        "metadata": {"uid": pod.metadata.uid},
        "status": {"conditions": [{
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
            "observedGeneration": pod.metadata.generation,
            "lastProbeTime": null,
            "lastTransitionTime": status::now(),
        }]},
    });
    let (api, name) = (shared.pods(&pod), pod.name_any());
    if let Err(error) = api.patch_status(&name, &PatchParams::default(), &Patch::Strategic(&patch)).await
        && !is_gone(&error)
    {
        eprintln!("lab-node: condition of {name}: {error}");
    }
}
