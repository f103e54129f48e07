//! The Node object. Written when the program starts and never again, so that the lab is quiet at rest.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Service};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{error::NodeError, schedule::GPU, shared::HOST_IP, status};

const MANAGER: &str = "lab-node";
/// How long the API server may take to make its own Service.
const API_SERVICE_WAIT: Duration = Duration::from_secs(30);

/// Makes the Node, or renews it.
pub(crate) async fn register(client: &Client, name: &str, gpus: i64) -> Result<(), NodeError> {
    let api: Api<Node> = Api::all(client.clone());
    let node = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            "beta.kubernetes.io/os": "linux",
            "beta.kubernetes.io/arch": "amd64",
        }},
    });
    let parameters = PatchParams::apply(MANAGER).force();
    let made = api.patch(name, &parameters, &Patch::Apply(&node)).await?;
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(&node_status(name, gpus))).await?;
    // The admission of a new Node taints it until a controller, which the lab does not run, sees it ready.
    if made.spec.is_some_and(|spec| spec.taints.is_some_and(|taints| !taints.is_empty())) {
        let untaint = json!({"spec": {"taints": null}});
        api.patch(name, &PatchParams::default(), &Patch::Merge(&untaint)).await?;
    }
    Ok(())
}

fn node_status(name: &str, gpus: i64) -> Value {
    let now = status::now();
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({"type": kind, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": now, "lastTransitionTime": now})
    };
    let resources = json!({
        "cpu": "64", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "20000", GPU: gpus.to_string(),
    });
    json!({"status": {
        "capacity": resources,
        "allocatable": resources,
        "addresses": [{"type": "InternalIP", "address": HOST_IP}, {"type": "Hostname", "address": name}],
        "conditions": [
            condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
            condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
        ],
        "nodeInfo": {
            "architecture": "amd64", "operatingSystem": "linux", "osImage": "lab", "kernelVersion": "",
            "kubeletVersion": "v1.36.1", "kubeProxyVersion": "", "containerRuntimeVersion": "lab://1",
            "machineID": "", "systemUUID": "", "bootID": "",
        },
    }})
}

/// Waits for the Service `default/kubernetes` and tells its address and port.
pub(crate) async fn poll_api_service(client: &Client) -> Result<(String, String), NodeError> {
    let api: Api<Service> = Api::namespaced(client.clone(), "default");
    let deadline = Instant::now() + API_SERVICE_WAIT;
    while Instant::now() < deadline {
        if let Some(spec) = api.get_opt("kubernetes").await?.and_then(|service| service.spec) {
            let port = spec.ports.iter().flatten().next().map(|port| port.port.to_string());
            if let (Some(address), Some(port)) = (spec.cluster_ip, port) {
                return Ok((address, port));
            }
        }
        sleep(Duration::from_millis(50)).await;
    }
    Err(NodeError::NoApiService)
}
