//! Pods of a color → which of them do not come up, and why. Pure translation: fetching is `observe::mod`.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt;

use crate::{
    api::{LlmRollout, labels, status::Color},
    decide::snapshot::Stuck,
};

/// Pods that are told at most.
const MOST: usize = 8;
/// Why a container waits that will not begin by waiting.
const STUCK: [&str; 6] = [
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
];

/// The pods of one color that do not come up, in the order of their names.
pub(super) fn stuck(rollout: &LlmRollout, color: Color, pods: &[Arc<Pod>]) -> Vec<Stuck> {
    let (name, namespace) = (rollout.metadata.name.as_deref(), rollout.metadata.namespace.as_deref());
    let own = |pod: &&Arc<Pod>| {
        let label = |label: &str| pod.labels().get(label).map(String::as_str);
        let here = pod.metadata.namespace.as_deref() == namespace && pod.metadata.deletion_timestamp.is_none();
        here && label(labels::ROLLOUT) == name && label(labels::COLOR) == Some(color.word())
    };
    let mut all: Vec<Stuck> = pods.iter().filter(own).filter_map(|pod| seen(pod)).collect();
    all.sort_by(|a, b| a.pod.cmp(&b.pod));
    all.truncate(MOST);
    all
}

fn seen(pod: &Pod) -> Option<Stuck> {
    let status = pod.status.as_ref()?;
    let conditions = || status.conditions.iter().flatten();
    if conditions().any(|c| c.type_ == "Ready" && c.status == "True") {
        return None;
    }
    let unschedulable =
        conditions().find(|c| c.type_ == "PodScheduled" && c.reason.as_deref() == Some("Unschedulable"));
    let containers = status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten());
    let why = match unschedulable {
        Some(c) => format!("Unschedulable: {}", c.message.as_deref().unwrap_or_default()),
        None => containers.filter(|c| !c.ready).find_map(trouble)?,
    };
    Some(Stuck { pod: pod.name_any(), revision: pod.labels().get(labels::REVISION).cloned(), why })
}

/// Why a container does not run. A crash is told by how it ended, which stays while it waits, starts and ends again.
fn trouble(c: &ContainerStatus) -> Option<String> {
    let waiting = c.state.as_ref().and_then(|s| s.waiting.as_ref());
    let stuck = waiting.filter(|w| w.reason.as_deref().is_some_and(|r| STUCK.contains(&r)));
    if let Some(w) = stuck {
        // The kubelet turns from pulling to waiting and back; the word for it stays.
        let reason = w.reason.as_deref().unwrap_or_default();
        let pulls = ["ErrImagePull", "ImagePullBackOff"].contains(&reason);
        let reason = if pulls { "ImagePullBackOff" } else { reason };
        let image = if pulls { &c.image } else { w.message.as_deref().unwrap_or_default() };
        return Some(format!("{reason}: container {}: {image}", c.name));
    }
    let ends = [c.last_state.as_ref(), c.state.as_ref()];
    let ended = ends.into_iter().flatten().find_map(|s| s.terminated.as_ref()).filter(|t| t.exit_code != 0)?;
    let why = ended.reason.as_deref().filter(|r| *r != "Error").map_or_else(String::new, |r| format!(" ({r})"));
    Some(format!("CrashLoopBackOff: container {} ended with {}{why}", c.name, ended.exit_code))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use k8s_openapi::api::core::v1::Pod;
    use serde_json::{Value, json};

    use super::stuck;
    use crate::{
        api::{LlmRollout, labels, status::Color},
        decide::snapshot::Stuck,
    };

    fn seen(status: &Value, labels: &Value) -> Vec<Stuck> {
        let mut rollout: LlmRollout =
            serde_saphyr::from_str(include_str!("../../tests/scenarios/manifest.yaml")).unwrap();
        rollout.metadata.namespace = Some("llm".into());
        let metadata = json!({"name": "chat-green-1", "namespace": "llm", "labels": labels});
        let pod: Pod = serde_json::from_value(json!({"metadata": metadata, "status": status})).unwrap();
        stuck(&rollout, Color::Green, &[Arc::new(pod)])
    }

    fn green() -> Value {
        json!({labels::ROLLOUT: "chat", labels::COLOR: "green", labels::REVISION: "r2"})
    }

    fn trouble(status: &Value) -> Option<String> {
        seen(status, &green()).pop().map(|stuck| stuck.why)
    }

    fn container(ready: bool, last: &Value, state: &Value) -> Value {
        let of = json!({
            "name": "server", "image": "chat:v2", "imageID": "", "ready": ready, "restartCount": 3,
            "lastState": last, "state": state,
        });
        json!({"containerStatuses": [of]})
    }

    #[test]
    fn only_pods_of_the_color_that_are_not_ready_are_told() {
        let crashed = container(false, &json!({}), &json!({"terminated": {"exitCode": 1}}));
        let stuck = &seen(&crashed, &green())[0];
        assert_eq!((stuck.pod.as_str(), stuck.revision.as_deref()), ("chat-green-1", Some("r2")));
        let of_a_job = json!({labels::ROLLOUT: "chat", labels::GATE: "accuracy"});
        assert_eq!(seen(&crashed, &of_a_job), []);
        let mut ready = crashed;
        ready["conditions"] = json!([{"type": "Ready", "status": "True"}]);
        assert_eq!(seen(&ready, &green()), []);
    }

    #[test]
    fn why_a_pod_does_not_come_up_is_told_in_words_that_stay() {
        let full = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.";
        let condition = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": full});
        assert_eq!(trouble(&json!({"conditions": [condition]})), Some(format!("Unschedulable: {full}")));
        let none = json!({});
        let ended = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}});
        let waits = |reason: &str| json!({"waiting": {"reason": reason, "message": "back-off 10s"}});
        let crashed = Some("CrashLoopBackOff: container server ended with 137 (OOMKilled)".to_owned());
        for (last, state) in
            [(&ended, waits("CrashLoopBackOff")), (&ended, json!({"running": {}})), (&none, ended.clone())]
        {
            assert_eq!(trouble(&container(false, last, &state)), crashed, "{state}");
        }
        let pulls = Some("ImagePullBackOff: container server: chat:v2".to_owned());
        for reason in ["ErrImagePull", "ImagePullBackOff"] {
            assert_eq!(trouble(&container(false, &none, &waits(reason))), pulls);
        }
        let ended_well = json!({"terminated": {"exitCode": 0}});
        assert_eq!(trouble(&container(false, &ended_well, &waits("PodInitializing"))), None);
        assert_eq!(trouble(&container(true, &ended, &json!({"running": {}}))), None, "it is well again");
    }
}
