//! Whether a pending pod fits the node. Pure: never binds it.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Container, Pod, PodSpec},
    apimachinery::pkg::api::resource::Quantity,
};

/// The one resource that is counted. CPU and memory never limit the lab.
pub(crate) const GPU: &str = "nvidia.com/gpu";

/// Waits for this scheduler: not bound, not gated, not on its way out.
pub(crate) fn is_pending(pod: &Pod) -> bool {
    pod.spec.as_ref().is_some_and(|spec| {
        spec.node_name.as_deref().unwrap_or_default().is_empty()
            && spec.scheduler_name.as_deref().is_none_or(|name| name == "default-scheduler")
            && spec.scheduling_gates.as_ref().is_none_or(Vec::is_empty)
    }) && pod.metadata.deletion_timestamp.is_none()
        && !is_terminal(pod)
}

/// Has run to its end.
pub(crate) fn is_terminal(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// The node's labels matter to this pod.
pub(crate) fn selects(pod: &Pod) -> bool {
    pod.spec.as_ref().and_then(|spec| spec.node_selector.as_ref()).is_some_and(|wanted| !wanted.is_empty())
}

/// GPUs the pod takes: those of its containers together, or of its hungriest init container.
pub(crate) fn gpus(pod: &Pod) -> i64 {
    let Some(spec) = &pod.spec else { return 0 };
    let of = |container: &Container| requests(container).get(GPU).map_or(0, whole);
    let together: i64 = spec.containers.iter().map(of).sum();
    let init = spec.init_containers.iter().flatten().map(of).max().unwrap_or(0);
    together.max(init)
}

/// Nothing, or why the pod does not fit, in the scheduler's words.
pub(crate) fn misfit(pod: &Pod, labels: &BTreeMap<String, String>, free_gpus: i64) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let mut wanted = spec.node_selector.iter().flatten();
    if !wanted.all(|(key, value)| labels.get(key) == Some(value)) {
        let why = "node(s) didn't match Pod's node affinity/selector";
        return Some(message(why, "Preemption is not helpful for scheduling."));
    }
    let short = if gpus(pod) > free_gpus { Some(GPU.to_owned()) } else { unknown(spec) };
    short.map(|resource| message(&format!("Insufficient {resource}"), "No preemption victims found for incoming pod."))
}

fn message(why: &str, preemption: &str) -> String {
    format!("0/1 nodes are available: 1 {why}. preemption: 0/1 nodes are available: 1 {preemption}")
}

/// An extended resource the node does not have.
fn unknown(spec: &PodSpec) -> Option<String> {
    let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let mut names = containers.flat_map(|container| requests(container).keys().cloned().collect::<Vec<_>>());
    names.find(|name| name.contains('/') && name != GPU)
}

fn requests(container: &Container) -> BTreeMap<String, Quantity> {
    let resources = container.resources.as_ref();
    let limits = resources.and_then(|resources| resources.limits.clone()).unwrap_or_default();
    let requests = resources.and_then(|resources| resources.requests.clone()).unwrap_or_default();
    limits.into_iter().chain(requests).collect()
}

/// Extended resources are whole numbers, sometimes with a decimal suffix.
fn whole(quantity: &Quantity) -> i64 {
    let text = quantity.0.as_str();
    let (number, factor) = text.strip_suffix('k').map_or((text, 1), |number| (number, 1000));
    number.parse::<i64>().map_or(i64::MAX, |number| number.saturating_mul(factor))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(spec: &serde_json::Value) -> Pod {
        serde_json::from_value(json!({"spec": spec})).unwrap()
    }

    fn with_gpus(count: &str) -> Pod {
        pod(&json!({"containers": [{"name": "a", "resources": {"limits": {GPU: count}}}]}))
    }

    #[test]
    fn a_pod_that_wants_more_than_is_free_does_not_fit() {
        let none = BTreeMap::new();
        assert_eq!(misfit(&with_gpus("8"), &none, 8), None);
        let message = misfit(&with_gpus("9"), &none, 8).unwrap();
        assert!(message.starts_with("0/1 nodes are available: 1 Insufficient nvidia.com/gpu."), "{message}");
        assert_eq!(gpus(&with_gpus("2k")), 2000);
    }

    #[test]
    fn selectors_and_unknown_resources_do_not_fit() {
        let labels = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
        let selecting = pod(&json!({"containers": [], "nodeSelector": {"a": "1"}}));
        assert!(selects(&selecting));
        assert_eq!(misfit(&selecting, &labels, 0), None);
        let message = misfit(&selecting, &BTreeMap::new(), 0).unwrap();
        assert!(message.contains("didn't match Pod's node affinity/selector"), "{message}");
        let odd = pod(&json!({"containers": [{"name": "a", "resources": {"requests": {"amd.com/gpu": "1"}}}]}));
        assert!(misfit(&odd, &labels, 0).unwrap().contains("Insufficient amd.com/gpu"));
    }

    #[test]
    fn only_free_unbound_pods_of_the_default_scheduler_are_pending() {
        assert!(is_pending(&pod(&json!({"containers": []}))));
        assert!(!is_pending(&pod(&json!({"containers": [], "nodeName": "n"}))));
        assert!(!is_pending(&pod(&json!({"containers": [], "schedulerName": "other"}))));
        assert!(!is_pending(&pod(&json!({"containers": [], "schedulingGates": [{"name": "g"}]}))));
    }
}
