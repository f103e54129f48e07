//! GPUs whatever runs on them: how far they work, as the DCGM exporter tells it, and how many the pods hold, as
//! kube-state-metrics does. Never a metric of an engine, and never a price.

use super::{
    need::Texts,
    promql::either,
    question::WINDOW,
    scope::Scope,
    table::{series, series_with},
};

/// The share of time in which the GPUs of a color worked, averaged over GPUs and window.
pub(super) fn utilisation(namespace: &str, workload: &str) -> Texts {
    working(namespace, workload, "avg", over_window)
}

/// How many GPUs of a color worked, each as far as it did. Nothing while fewer of them tell it than its pods hold: a node
/// whose exporter is down must not make a color cheap.
pub(super) fn busy(namespace: &str, workload: &str, each: fn(&str) -> String) -> Texts {
    let Texts { value, samples } = working(namespace, workload, "sum", each);
    let held = allocated(namespace, workload, each).value;
    Texts { value: format!("({value} unless ({samples} < {held}))"), samples }
}

/// How many GPUs the pods of a color hold.
pub(super) fn allocated(namespace: &str, workload: &str, each: fn(&str) -> String) -> Texts {
    requested(namespace, workload, each, |_, told| format!("sum({told})"))
}

/// How many GPUs a pod of a color holds.
pub(super) fn by_pod(namespace: &str, workload: &str) -> Texts {
    let by = |pod: &str, each: &str| format!("max(sum by ({pod}) ({each}))");
    requested(namespace, workload, over_window, by)
}

/// The average of a window.
pub(super) fn over_window(selector: &str) -> String {
    format!("avg_over_time({selector}[{WINDOW}])")
}

/// One point in time.
pub(super) fn now(selector: &str) -> String {
    selector.to_owned()
}

/// `GR_ENGINE_ACTIVE` (0…1) is the better figure and not on by default; `GPU_UTIL` (percent) always is. Without
/// `honorLabels` the pod is `exported_pod`.
fn working(namespace: &str, workload: &str, fold: &str, each: fn(&str) -> String) -> Texts {
    let scopes = [Scope::pods(namespace, workload), Scope::exported_pods(namespace, workload)];
    let (mut values, mut samples) = (Vec::new(), Vec::new());
    for (name, unit) in [("DCGM_FI_PROF_GR_ENGINE_ACTIVE", ""), ("DCGM_FI_DEV_GPU_UTIL", " / 100")] {
        for scope in &scopes {
            let told = each(&scope.select(&series(name)));
            values.push(format!("{fold}({told}){unit}"));
            samples.push(format!("count({told})"));
        }
    }
    Texts { value: either(&values), samples: either(&samples) }
}

/// Requests of containers, each once however many replicas of kube-state-metrics tell it.
fn requested(namespace: &str, workload: &str, each: fn(&str) -> String, fold: impl Fn(&str, &str) -> String) -> Texts {
    let wanted = series_with("kube_pod_container_resource_requests", r#"resource="nvidia_com_gpu""#);
    let scopes = [
        (Scope::pods(namespace, workload), "pod", "container"),
        (Scope::exported_pods(namespace, workload), "exported_pod", "exported_container"),
    ];
    let once = scopes.map(|(scope, pod, container)| {
        (pod, format!("max by ({pod}, {container}) ({})", each(&scope.select(&wanted))))
    });
    Texts {
        value: either(&once.each_ref().map(|(pod, told)| fold(pod, told))),
        samples: either(&once.each_ref().map(|(_, told)| format!("count({told})"))),
    }
}
