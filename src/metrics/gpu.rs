//! GPUs as the DCGM exporter tells them, whatever runs on them. Never a metric of an engine.

use super::{need::Texts, promql::either, question::WINDOW, scope::Scope, table::series};

/// The share of time in which the GPUs of a color worked, averaged over GPUs and window. `GR_ENGINE_ACTIVE` (0…1) is the
/// better figure and not on by default; `GPU_UTIL` (percent) always is. Without `honorLabels` the pod is `exported_pod`.
pub(super) fn utilisation(namespace: &str, workload: &str) -> Texts {
    let scopes = [Scope::pods(namespace, workload), Scope::exported_pods(namespace, workload)];
    let (mut values, mut samples) = (Vec::new(), Vec::new());
    for (name, unit) in [("DCGM_FI_PROF_GR_ENGINE_ACTIVE", ""), ("DCGM_FI_DEV_GPU_UTIL", " / 100")] {
        for scope in &scopes {
            let over = format!("avg_over_time({}[{WINDOW}])", scope.select(&series(name)));
            values.push(format!("avg({over}){unit}"));
            samples.push(format!("count({over})"));
        }
    }
    Texts { value: either(&values), samples: either(&samples) }
}
