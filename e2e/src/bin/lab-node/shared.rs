//! What every pod's task needs: client, settings, addresses. Never anything that belongs to one pod.

use std::{
    path::{Path, PathBuf},
    sync::Mutex,
};

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, ResourceExt, config::NamedCluster};
use tokio::sync::{Semaphore, watch};

use crate::{address::Addresses, error::NodeError};

/// The node's own address, as pods see it.
pub(crate) const HOST_IP: &str = "172.31.0.1";

/// How many requests run at once: more would only queue on two cores and cost a TLS handshake each.
const REQUESTS: usize = 32;

/// Fixed for the life of the process.
pub(crate) struct Settings {
    pub(crate) node_name: String,
    pub(crate) gpus: i64,
    pub(crate) state: PathBuf,
    pub(crate) images: PathBuf,
    pub(crate) status_only: bool,
    /// Host and port of the Service `default/kubernetes`.
    pub(crate) api_service: (String, String),
}

/// Shared by all tasks.
pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) settings: Settings,
    /// Where the pods' kubeconfigs point to.
    pub(crate) cluster: NamedCluster,
    pub(crate) addresses: Mutex<Addresses>,
    pub(crate) requests: Semaphore,
    /// Turns true when the node ends.
    pub(crate) stopping: watch::Receiver<bool>,
    pub(crate) http: reqwest::Client,
}

impl Shared {
    pub(crate) fn new(
        client: Client,
        cluster: NamedCluster,
        stopping: watch::Receiver<bool>,
        settings: Settings,
    ) -> Result<Self, NodeError> {
        let http = reqwest::Client::builder()
            .user_agent("kube-probe/1.36")
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .no_proxy()
            .build()?;
        Ok(Self {
            client,
            settings,
            cluster,
            addresses: Mutex::new(Addresses::default()),
            requests: Semaphore::new(REQUESTS),
            stopping,
            http,
        })
    }

    /// Returns when the node ends.
    pub(crate) async fn stopped(&self) {
        let mut stopping = self.stopping.clone();
        // A lost sender means the same.
        let _ = stopping.wait_for(|&stopping| stopping).await;
    }

    /// The pods beside `pod`.
    pub(crate) fn pods(&self, pod: &Pod) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &namespace(pod))
    }

    /// Volumes and kubeconfig of `pod`; removed with it.
    pub(crate) fn directory(&self, pod: &Pod) -> PathBuf {
        self.settings.state.join("pods").join(uid(pod))
    }

    /// Logs of `pod`; they outlive it.
    pub(crate) fn logs(&self, pod: &Pod) -> PathBuf {
        let name = format!("{}_{}_{}", namespace(pod), pod.name_any(), uid(pod));
        self.settings.state.join("pods").join(name)
    }
}

/// Makes the state directory and its absolute path: programs get paths into it whatever their working directory.
pub(crate) fn prepare_state(path: &Path) -> Result<PathBuf, NodeError> {
    let pods = path.join("pods");
    std::fs::create_dir_all(&pods).map_err(NodeError::file(&pods))?;
    path.canonicalize().map_err(NodeError::file(path))
}

/// Namespace and name, for messages.
pub(crate) fn full_name(pod: &Pod) -> String {
    format!("{}/{}", namespace(pod), pod.name_any())
}

/// The namespace, which every pod read from the API server has.
pub(crate) fn namespace(pod: &Pod) -> String {
    pod.namespace().unwrap_or_default()
}

/// The uid, which every pod read from the API server has.
pub(crate) fn uid(pod: &Pod) -> String {
    pod.uid().unwrap_or_default()
}
