//! Where there is room for a candidate's pods, and what is missing where there is none.

use std::collections::BTreeMap;

use llmrollout_core::{
    api::status::Color,
    decide::room::{Need, found, held},
};
use serde_json::{Value, json};

fn need(replicas: i32, nodes: i32, pod: Value) -> Need {
    let pod = serde_json::from_value(pod).unwrap();
    Need { replicas, nodes, pod, of: Some(("chat".into(), Color::Green)) }
}

fn gpu_pod() -> Value {
    json!({
        "nodeSelector": {"gpu": "h100"}, "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
        "containers": [{"name": "server", "resources": {"limits": {"nvidia.com/gpu": "2", "memory": "64Gi"}}}],
    })
}

fn node(name: &str, change: &Value) -> Value {
    let mut node = json!({
        "metadata": {"name": name, "labels": {"gpu": "h100"}},
        "spec": {"taints": [{"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}]},
        "status": {
            "allocatable": {"nvidia.com/gpu": "8", "memory": "512Gi", "cpu": "64", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    });
    merge(&mut node, change);
    node
}

fn merge(into: &mut Value, change: &Value) {
    match change {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| merge(&mut into[name], value)),
        other => *into = other.clone(),
    }
}

fn said(need: &Need, nodes: Vec<Value>, pods: Vec<Value>, quotas: Vec<Value>) -> Result<String, String> {
    let nodes: Vec<_> = nodes.into_iter().map(|n| serde_json::from_value(n).unwrap()).collect();
    let pods: Vec<_> = pods.into_iter().map(|p| serde_json::from_value(p).unwrap()).collect();
    let quotas: Vec<_> = quotas.into_iter().map(|q| serde_json::from_value(q).unwrap()).collect();
    let mut on = BTreeMap::new();
    held(need, &pods, &mut on);
    found(need, &nodes, &on, &quotas)
}

fn running(labels: &Value, phase: &str, gpus: &str) -> Value {
    json!({
        "metadata": {"name": "p", "labels": labels}, "status": {"phase": phase},
        "spec": {"nodeName": "a", "containers": [{"name": "c", "resources": {"requests": {"nvidia.com/gpu": gpus}}}]},
    })
}

#[test]
fn free_nodes_are_those_that_take_such_pods() {
    let two = || vec![node("a", &json!({})), node("b", &json!({}))];
    assert_eq!(
        said(&need(8, 2, gpu_pod()), two(), vec![], vec![]),
        Ok("room for 8 pods on 2 of 2 nodes that its pods may run on".into())
    );
    let short = "room for 8 of 9 pods, on 2 of 2 nodes that its pods may run on";
    assert_eq!(said(&need(9, 1, gpu_pod()), two(), vec![], vec![]), Err(short.into()));
    for change in [
        json!({"metadata": {"labels": {"gpu": "a10"}}}),
        json!({"spec": {"unschedulable": true}}),
        json!({"spec": {"taints": [{"key": "other", "effect": "NoExecute"}]}}),
        json!({"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}),
        json!({"status": {"allocatable": {"nvidia.com/gpu": "1"}}}),
        json!({"status": {"allocatable": {"memory": "63Gi"}}}),
        json!({"status": {"allocatable": {"pods": "0"}}}),
    ] {
        let nodes = vec![node("a", &json!({})), node("b", &change)];
        let why = said(&need(1, 2, gpu_pod()), nodes, vec![], vec![]);
        assert!(why.as_ref().is_err_and(|w| w.ends_with("and 2 are asked for")), "{change}: {why:?}");
    }
    let soft = json!({"spec": {"taints": [{"key": "other", "effect": "PreferNoSchedule"}]}});
    assert!(said(&need(4, 1, gpu_pod()), vec![node("a", &soft)], vec![], vec![]).is_ok());
}

#[test]
fn what_others_hold_is_not_free_and_what_is_ours_or_over_is() {
    let one = || vec![node("a", &json!({}))];
    let ours = json!({"llmrollout.io/rollout": "chat", "llmrollout.io/color": "green"});
    let blue = json!({"llmrollout.io/rollout": "chat", "llmrollout.io/color": "blue"});
    let four = need(4, 1, gpu_pod());
    for (pod, fits) in [
        (running(&blue, "Running", "1"), false),
        (running(&json!({}), "Pending", "1"), false),
        (running(&ours, "Running", "8"), true),
        (running(&blue, "Succeeded", "8"), true),
    ] {
        assert_eq!(said(&four, one(), vec![pod.clone()], vec![]).is_ok(), fits, "{pod}");
    }
}

#[test]
fn a_quota_leaves_what_it_leaves() {
    let quota =
        |hard: Value, used: Value| json!({"metadata": {"name": "team"}, "status": {"hard": hard, "used": used}});
    let one = || vec![node("a", &json!({}))];
    let said = |quota: Value| said(&need(3, 1, gpu_pod()), one(), vec![], vec![quota]);
    for (name, hard, used, fits) in [
        ("requests.nvidia.com/gpu", "8", "2", Ok(())),
        ("requests.nvidia.com/gpu", "8", "3", Err(2)),
        ("limits.memory", "192Gi", "0", Ok(())),
        ("limits.memory", "191Gi", "0", Err(2)),
        ("pods", "4", "2", Err(2)),
        ("count/pods", "5", "2", Ok(())),
        ("memory", "64Gi", "1", Err(0)),
        ("services", "0", "0", Ok(())),
    ] {
        let why = said(quota(json!({name: hard}), json!({name: used})));
        let wanted = fits.map_err(|n| format!("ResourceQuota team leaves {name} for {n} of 3 pods"));
        assert_eq!(why.map(drop), wanted, "{name}");
    }
    let mut scoped = quota(json!({"pods": "0"}), json!({"pods": "0"}));
    scoped["spec"] = json!({"scopes": ["BestEffort"]});
    assert!(said(scoped).is_ok());
}

#[test]
fn a_pod_asks_for_its_containers_or_for_the_largest_before_them() {
    let gpus = |n: &str| json!({"name": "c", "resources": {"requests": {"nvidia.com/gpu": n}}});
    let mut beside = gpus("2");
    beside["restartPolicy"] = json!("Always");
    let fits = |containers: Value, before: Value| {
        let pod = json!({"containers": containers, "initContainers": before, "tolerations": [{"operator": "Exists"}]});
        said(&need(100, 0, pod), vec![node("a", &json!({}))], vec![], vec![]).unwrap_err()
    };
    for (containers, before, places) in [
        (json!([gpus("2"), gpus("2")]), json!([]), 2),
        (json!([gpus("1")]), json!([gpus("4")]), 2),
        (json!([gpus("4")]), json!([gpus("1")]), 2),
        (json!([gpus("2")]), json!([beside]), 2),
    ] {
        assert!(fits(containers, before).starts_with(&format!("room for {places} of 100")));
    }
}
