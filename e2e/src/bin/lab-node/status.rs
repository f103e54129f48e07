//! A pod's status in the shapes a kubelet writes. Pure: never reads the API server or a process.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Pod, PodCondition},
    jiff::Timestamp,
};
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::{
    board::{Ended, Kind, Slot, State},
    container::Restart,
    images, shared,
};

/// `"false"` keeps a pod unready whatever its probes say.
pub(crate) const READY_ANNOTATION: &str = "lab.llmrollout.io/ready";

/// The time as Kubernetes writes it.
pub(crate) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// What a status is made of, beside the pod.
pub(crate) struct Facts<'a> {
    pub(crate) slots: &'a [Slot],
    pub(crate) address: &'a str,
    pub(crate) started_at: &'a str,
    /// No container will ever run again.
    pub(crate) over: bool,
    pub(crate) now: &'a str,
}

/// Since when each condition is as it is.
pub(crate) type Since = BTreeMap<&'static str, (bool, String)>;

/// One condition before it has a time.
struct Verdict {
    kind: &'static str,
    /// Reason and message of what is amiss.
    amiss: Option<(&'static str, Option<String>)>,
    /// Reason of a condition that is true all the same.
    reason: Option<&'static str>,
}

impl Verdict {
    fn new(kind: &'static str, amiss: Option<(&'static str, Option<String>)>) -> Self {
        Self { kind, amiss, reason: None }
    }
}

/// The strategic merge patch of the status; `since` remembers the conditions' times from one to the next.
pub(crate) fn patch(pod: &Pod, facts: &Facts<'_>, since: &mut Since) -> Value {
    let held = pod.annotations().get(READY_ANNOTATION).is_some_and(|ready| ready == "false");
    let phase = phase(Restart::of(pod), facts.slots, facts.over);
    let statuses = |init: bool| -> Vec<Value> {
        let of_kind = facts.slots.iter().filter(|slot| (slot.kind != Kind::Main) == init);
        of_kind.map(|slot| container_status(slot, held)).collect()
    };
    let conditions: Vec<_> = verdicts(pod, facts.slots, phase, held)
        .into_iter()
        .map(|verdict| condition(pod, verdict, facts.now, since))
        .collect();
    let mut status = json!({
        "phase": phase,
        "observedGeneration": pod.metadata.generation,
        "conditions": conditions,
        "hostIP": shared::HOST_IP,
        "hostIPs": [{"ip": shared::HOST_IP}],
        "podIP": facts.address,
        "podIPs": [{"ip": facts.address}],
        "startTime": facts.started_at,
        "containerStatuses": statuses(false),
    });
    let inits = statuses(true);
    if !inits.is_empty() {
        status["initContainerStatuses"] = Value::Array(inits);
    }
    // The uid makes the server refuse a write that is meant for an earlier pod of this name.
    json!({"metadata": {"uid": pod.metadata.uid}, "status": status})
}

fn initialized(slot: &Slot) -> bool {
    match slot.kind {
        Kind::Init => slot.exit_code() == Some(0),
        Kind::Sidecar => slot.started || slot.exit_code().is_some(),
        Kind::Main => true,
    }
}

/// The pod's phase, by the kubelet's rules.
pub(crate) fn phase(restart: Restart, slots: &[Slot], over: bool) -> &'static str {
    let failed_init = |slot: &&Slot| slot.kind == Kind::Init && slot.exit_code().is_some_and(|code| code != 0);
    if restart == Restart::Never && slots.iter().any(|slot| failed_init(&slot)) {
        return "Failed";
    }
    let mains = || slots.iter().filter(|slot| slot.kind == Kind::Main);
    let never_ran = |slot: &Slot| matches!(slot.state, State::Waiting { .. }) && slot.last.is_none();
    if !over && (slots.iter().any(|slot| !initialized(slot)) || mains().any(never_ran)) {
        return "Pending";
    }
    if mains().any(|slot| matches!(slot.state, State::Running { .. })) {
        return "Running";
    }
    let succeeded = mains().all(|slot| slot.exit_code() == Some(0));
    match restart {
        Restart::Always if !over => "Running",
        _ if succeeded => "Succeeded",
        Restart::OnFailure if !over => "Running",
        // One container may still wait for its restart while another has failed for good.
        _ if !over && mains().any(|slot| slot.exit_code().is_none()) => "Running",
        _ => "Failed",
    }
}

fn verdicts(pod: &Pod, slots: &[Slot], phase: &str, held: bool) -> [Verdict; 5] {
    let names = |wanted: &dyn Fn(&Slot) -> bool| -> Option<String> {
        let names: Vec<_> = slots.iter().filter(|slot| wanted(slot)).map(|slot| slot.name.as_str()).collect();
        (!names.is_empty()).then(|| format!("[{}]", names.join(" ")))
    };
    let completed = phase == "Succeeded";
    let uninitialized = names(&|slot| !initialized(slot))
        .map(|names| ("ContainersNotInitialized", Some(format!("containers with incomplete status: {names}"))));
    let unready = names(&|slot| slot.kind != Kind::Init && (held || !slot.ready))
        .map(|names| ("ContainersNotReady", Some(format!("containers with unready status: {names}"))));
    let containers = match phase {
        "Succeeded" => Some(("PodCompleted", None)),
        "Failed" => Some(("PodFailed", None)),
        _ => unready,
    };
    let ready = containers.clone().or_else(|| closed_gate(pod));
    let mut initialized = Verdict::new("Initialized", uninitialized.filter(|_| !completed));
    initialized.reason = completed.then_some("PodCompleted");
    [
        Verdict::new("PodReadyToStartContainers", matches!(phase, "Succeeded" | "Failed").then_some(("", None))),
        initialized,
        Verdict::new("Ready", ready),
        Verdict::new("ContainersReady", containers),
        Verdict::new("PodScheduled", None),
    ]
}

fn closed_gate(pod: &Pod) -> Option<(&'static str, Option<String>)> {
    let gates = pod.spec.iter().flat_map(|spec| spec.readiness_gates.iter().flatten());
    let mut closed = gates.filter(|gate| {
        let found = own(pod, &gate.condition_type);
        found.is_none_or(|condition| condition.status != "True")
    });
    closed.next().map(|gate| {
        let message = format!("the status of pod readiness gate \"{}\" is not \"True\"", gate.condition_type);
        ("ReadinessGatesNotReady", Some(message))
    })
}

fn own<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    let mut all = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    all.find(|condition| condition.type_ == kind)
}

fn condition(pod: &Pod, verdict: Verdict, now: &str, since: &mut Since) -> Value {
    let good = verdict.amiss.is_none();
    let status = if good { "True" } else { "False" };
    let entry = since.entry(verdict.kind).or_insert_with(|| {
        let own = own(pod, verdict.kind).filter(|own| own.status == status);
        let time = own.and_then(|own| own.last_transition_time.as_ref());
        (good, time.map_or_else(|| now.to_owned(), |time| time.0.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()))
    });
    if entry.0 != good {
        *entry = (good, now.to_owned());
    }
    let (reason, message) = verdict.amiss.unwrap_or((verdict.reason.unwrap_or_default(), None));
    // Conditions are merged by type: only null takes an old reason away.
    json!({
        "type": verdict.kind,
        "status": status,
        "observedGeneration": pod.metadata.generation,
        "lastProbeTime": null,
        "lastTransitionTime": entry.1,
        "reason": (!reason.is_empty()).then_some(reason),
        "message": message,
    })
}

fn container_status(slot: &Slot, held: bool) -> Value {
    let state = match &slot.state {
        State::Waiting { reason, message } => {
            json!({"waiting": present(json!({"reason": reason, "message": message}))})
        }
        State::Running { since, .. } => json!({"running": {"startedAt": since}}),
        State::Terminated(ended) => json!({"terminated": terminated(ended)}),
    };
    let container_id = match &slot.state {
        State::Running { container_id, .. } => Some(container_id),
        State::Terminated(ended) => Some(&ended.container_id),
        State::Waiting { .. } => slot.last.as_ref().map(|ended| &ended.container_id),
    };
    present(json!({
        "name": slot.name,
        "image": slot.image,
        "imageID": container_id.map(|_| images::image_id(&slot.image)).unwrap_or_default(),
        "containerID": container_id,
        // A finished init container counts as ready.
        "ready": if slot.kind == Kind::Init { slot.exit_code() == Some(0) } else { slot.ready && !held },
        "started": slot.started,
        "restartCount": slot.restarts,
        "state": state,
        "lastState": slot.last.as_ref().map_or(json!({}), |ended| json!({"terminated": terminated(ended)})),
    }))
}

fn terminated(ended: &Ended) -> Value {
    present(json!({
        "exitCode": ended.exit_code,
        "reason": ended.reason,
        "message": ended.message,
        "startedAt": ended.started_at,
        "finishedAt": ended.finished_at,
        "containerID": ended.container_id,
    }))
}

/// Without the fields that are null.
fn present(mut value: Value) -> Value {
    if let Value::Object(fields) = &mut value {
        fields.retain(|_, field| !field.is_null());
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(spec: &Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p", "uid": "u", "generation": 1}, "spec": spec})).unwrap()
    }

    fn simple() -> Pod {
        pod(&json!({"containers": [{"name": "app", "image": "a:v1"}]}))
    }

    fn slot(kind: Kind, state: State) -> Slot {
        let (name, image) = ("app".to_owned(), "a:v1".to_owned());
        Slot { name, image, kind, state, last: None, restarts: 0, ready: false, started: false }
    }

    fn running() -> State {
        State::Running { since: "2026-01-01T00:00:00Z".to_owned(), container_id: "lab://1".to_owned() }
    }

    fn ended(exit_code: i32) -> State {
        let time = "2026-01-01T00:00:00Z".to_owned();
        let (started_at, finished_at, container_id) = (time.clone(), time, "lab://1".to_owned());
        State::Terminated(Ended { exit_code, reason: "Error", message: None, started_at, finished_at, container_id })
    }

    fn facts<'a>(slots: &'a [Slot], now: &'a str) -> Facts<'a> {
        Facts { slots, address: "10.244.0.1", started_at: "2026-01-01T00:00:00Z", over: false, now }
    }

    fn find<'a>(patch: &'a Value, kind: &str) -> &'a Value {
        let all = patch["status"]["conditions"].as_array().unwrap();
        all.iter().find(|condition| condition["type"] == kind).unwrap()
    }

    #[test]
    fn phases_follow_the_kubelet() {
        use Kind::{Init, Main, Sidecar};
        use Restart::{Always, Never, OnFailure};
        let waiting = || State::waiting("ContainerCreating");
        let one = |restart, state, over| phase(restart, &[slot(Main, state)], over);
        assert_eq!(one(Always, waiting(), false), "Pending");
        assert_eq!(one(Always, running(), false), "Running");
        assert_eq!(one(Always, ended(1), false), "Running");
        assert_eq!(one(Always, ended(143), true), "Failed");
        assert_eq!(one(Never, ended(0), false), "Succeeded");
        assert_eq!(one(Never, ended(1), false), "Failed");
        assert_eq!(one(OnFailure, ended(1), false), "Running");
        assert_eq!(one(OnFailure, ended(0), false), "Succeeded");
        let crashed = Slot {
            last: Some(match ended(1) {
                State::Terminated(ended) => ended,
                _ => unreachable!(),
            }),
            ..slot(Main, State::waiting("CrashLoopBackOff"))
        };
        assert_eq!(phase(Always, &[crashed], false), "Running");
        let with_init = |state| phase(Never, &[slot(Init, state), slot(Main, waiting())], false);
        assert_eq!(with_init(running()), "Pending");
        assert_eq!(with_init(ended(1)), "Failed");
        let sidecar = [slot(Sidecar, running()), slot(Main, ended(0))];
        assert_eq!(phase(Never, &sidecar, true), "Succeeded");
    }

    #[test]
    fn readiness_shows_in_conditions_and_containers() {
        let mut since = Since::new();
        let mut slots = [slot(Kind::Main, running())];
        let patch_1 = patch(&simple(), &facts(&slots, "t1"), &mut since);
        let ready = find(&patch_1, "Ready");
        assert_eq!((&ready["status"], &ready["reason"]), (&json!("False"), &json!("ContainersNotReady")));
        assert_eq!(ready["message"], "containers with unready status: [app]");
        slots[0].ready = true;
        let patch_2 = patch(&simple(), &facts(&slots, "t2"), &mut since);
        let ready = find(&patch_2, "Ready");
        assert_eq!((&ready["status"], &ready["lastTransitionTime"]), (&json!("True"), &json!("t2")));
        assert!(ready.as_object().unwrap()["reason"].is_null());
        assert_eq!(find(&patch_2, "Initialized")["lastTransitionTime"], "t1");
        assert_eq!(patch_2["status"]["containerStatuses"][0]["ready"], true);
        let patch_3 = patch(&simple(), &facts(&slots, "t3"), &mut since);
        assert_eq!(patch_2, patch_3, "nothing changed, nothing to write");
    }

    #[test]
    fn the_annotation_and_readiness_gates_hold_a_pod_back() {
        let slots = [Slot { ready: true, ..slot(Kind::Main, running()) }];
        let mut held = simple();
        held.annotations_mut().insert(READY_ANNOTATION.to_owned(), "false".to_owned());
        let patch_held = patch(&held, &facts(&slots, "t"), &mut Since::new());
        assert_eq!(find(&patch_held, "ContainersReady")["status"], "False");
        assert_eq!(patch_held["status"]["containerStatuses"][0]["ready"], false);
        let gated = pod(&json!({"containers": [], "readinessGates": [{"conditionType": "x/y"}]}));
        let patch_gated = patch(&gated, &facts(&slots, "t"), &mut Since::new());
        assert_eq!(find(&patch_gated, "ContainersReady")["status"], "True");
        assert_eq!(find(&patch_gated, "Ready")["reason"], "ReadinessGatesNotReady");
    }

    #[test]
    fn a_container_status_has_the_kubelets_shape() {
        let status = container_status(&slot(Kind::Main, State::waiting("ContainerCreating")), false);
        assert_eq!(
            status,
            json!({"name": "app", "image": "a:v1", "imageID": "", "ready": false, "started": false,
                "restartCount": 0, "state": {"waiting": {"reason": "ContainerCreating"}}, "lastState": {}})
        );
        let status = container_status(&slot(Kind::Main, ended(3)), false);
        assert_eq!(status["state"]["terminated"]["exitCode"], 3);
        assert_eq!(status["containerID"], "lab://1");
        let pod: Pod = serde_json::from_value(json!({"status": {"containerStatuses": [status]}})).unwrap();
        assert_eq!(pod.status.unwrap().container_statuses.unwrap().len(), 1);
    }
}
