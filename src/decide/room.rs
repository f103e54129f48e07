//! Whether the pods of a candidate would find room, before any of them is made: nodes, what runs on them and the quotas of
//! the namespace → words. Coarser than a scheduler: it looks at requests, node selectors, taints and readiness. Never asks.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Node, Pod, PodSpec, ResourceQuota, Taint, Toleration},
    apimachinery::pkg::api::resource::Quantity,
};

use crate::api::{labels, status::Color};

/// Amounts of resources, in thousandths.
type Amounts = BTreeMap<String, i128>;

/// What has to find room.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Need {
    /// How many pods.
    pub replicas: i32,
    /// On how many nodes at least one of them has to find room.
    pub nodes: i32,
    /// One of them.
    pub pod: PodSpec,
    /// Whose they are: what this color of this rollout holds already counts as free.
    pub of: Option<(String, Color)>,
}

/// What pods of a page of a list hold on each node.
pub fn held(need: &Need, pods: &[Pod], on: &mut BTreeMap<String, (i64, Amounts)>) {
    for pod in pods.iter().filter(|pod| !is_own(need, pod)) {
        let Some(spec) = &pod.spec else { continue };
        let Some(node) = &spec.node_name else { continue };
        let over =
            pod.status.as_ref().and_then(|s| s.phase.as_deref()).is_some_and(|p| p == "Succeeded" || p == "Failed");
        if !over {
            let (count, amounts) = on.entry(node.clone()).or_default();
            *count += 1;
            add(amounts, &asked(spec, requests));
        }
    }
}

fn is_own(need: &Need, pod: &Pod) -> bool {
    let label = |name: &str| pod.metadata.labels.as_ref()?.get(name).map(String::as_str);
    need.of
        .as_ref()
        .is_some_and(|(name, color)| label(labels::ROLLOUT) == Some(name) && label(labels::COLOR) == Some(color.word()))
}

/// Where there is room, or what is missing.
pub fn found(
    need: &Need,
    nodes: &[Node],
    on: &BTreeMap<String, (i64, Amounts)>,
    quotas: &[ResourceQuota],
) -> Result<String, String> {
    quotas.iter().try_for_each(|quota| within(need, quota))?;
    let one = asked(&need.pod, requests);
    let fit: Vec<&Node> = nodes.iter().filter(|node| takes(node, &need.pod)).collect();
    let nothing = (0, Amounts::new());
    let room = |node: &&Node| {
        let name = node.metadata.name.as_deref().unwrap_or_default();
        places(node, on.get(name).unwrap_or(&nothing), &one)
    };
    let rooms: Vec<i64> = fit.iter().map(room).filter(|places| *places > 0).collect();
    let (places, wanted) = (rooms.iter().fold(0_i64, |all, n| all.saturating_add(*n)), i64::from(need.replicas));
    let what = format!("{} of {} nodes that its pods may run on", rooms.len(), fit.len());
    if places < wanted {
        return Err(format!("room for {places} of {wanted} pods, on {what}"));
    }
    if rooms.len() < usize::try_from(need.nodes).unwrap_or(0) {
        return Err(format!("room on {what}, and {} are asked for", need.nodes));
    }
    Ok(format!("room for {wanted} pods on {what}"))
}

/// How many such pods a node has room for.
fn places(node: &Node, (count, taken): &(i64, Amounts), one: &Amounts) -> i64 {
    let all = node.status.as_ref().and_then(|s| s.allocatable.clone()).unwrap_or_default();
    let has = |name: &str| all.get(name).and_then(thousandths).unwrap_or(0);
    let pods = i64::try_from(has("pods") / 1000).unwrap_or(i64::MAX).saturating_sub(*count);
    let by = one.iter().filter(|(_, amount)| **amount > 0).map(|(name, amount)| {
        let free = has(name) - taken.get(name).copied().unwrap_or(0);
        i64::try_from(free.max(0) / amount).unwrap_or(i64::MAX)
    });
    by.fold(pods, i64::min).max(0)
}

/// Whether pods like this may run there at all.
fn takes(node: &Node, pod: &PodSpec) -> bool {
    let spec = node.spec.clone().unwrap_or_default();
    let conditions = node.status.as_ref().and_then(|s| s.conditions.as_deref()).unwrap_or_default();
    let ready = conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True");
    let labels = node.metadata.labels.clone().unwrap_or_default();
    let selected = pod.node_selector.iter().flatten().all(|(name, value)| labels.get(name) == Some(value));
    let taints = spec.taints.unwrap_or_default();
    let hard = taints.iter().filter(|taint| taint.effect != "PreferNoSchedule");
    let tolerations = pod.tolerations.as_deref().unwrap_or_default();
    let tolerated = hard.into_iter().all(|taint| tolerations.iter().any(|t| tolerates(t, taint)));
    ready && spec.unschedulable != Some(true) && selected && tolerated
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let empty = |text: &Option<String>| text.as_deref().unwrap_or_default().to_owned();
    let (key, effect) = (empty(&toleration.key), empty(&toleration.effect));
    let exists = toleration.operator.as_deref() == Some("Exists");
    let same = exists || empty(&toleration.value) == empty(&taint.value);
    (effect.is_empty() || effect == taint.effect) && (key == taint.key && same || key.is_empty() && exists)
}

/// What a quota leaves. One that is about some pods only, by a scope, is not looked at.
fn within(need: &Need, quota: &ResourceQuota) -> Result<(), String> {
    let Some(status) = &quota.status else { return Ok(()) };
    if quota.spec.as_ref().is_some_and(|s| s.scopes.is_some() || s.scope_selector.is_some()) {
        return Ok(());
    }
    let (requested, limited) = (asked(&need.pod, requests), asked(&need.pod, limits));
    let replicas = i128::from(need.replicas.max(0));
    for (name, hard) in status.hard.iter().flatten() {
        let one = match (name.strip_prefix("requests."), name.strip_prefix("limits.")) {
            (Some(resource), _) => requested.get(resource).copied().unwrap_or(0),
            (_, Some(resource)) => limited.get(resource).copied().unwrap_or(0),
            _ if name == "pods" || name == "count/pods" => 1000,
            _ => requested.get(name).copied().unwrap_or(0),
        };
        let used = status.used.as_ref().and_then(|used| used.get(name)).and_then(thousandths).unwrap_or(0);
        let left = thousandths(hard).unwrap_or(0) - used;
        if one > 0 && left < one * replicas {
            let quota = quota.metadata.name.as_deref().unwrap_or_default();
            let fits = (left / one).max(0);
            return Err(format!("ResourceQuota {quota} leaves {name} for {fits} of {replicas} pods"));
        }
    }
    Ok(())
}

type Of = fn(&k8s_openapi::api::core::v1::ResourceRequirements) -> Amounts;

fn requests(r: &k8s_openapi::api::core::v1::ResourceRequirements) -> Amounts {
    // What is only limited is requested as well.
    let mut all = limits(r);
    all.extend(amounts(r.requests.as_ref()));
    all
}

fn limits(r: &k8s_openapi::api::core::v1::ResourceRequirements) -> Amounts {
    amounts(r.limits.as_ref())
}

fn amounts(written: Option<&BTreeMap<String, Quantity>>) -> Amounts {
    written.into_iter().flatten().filter_map(|(name, amount)| Some((name.clone(), thousandths(amount)?))).collect()
}

/// What a pod asks for: all of its containers together, or the largest that runs before them.
fn asked(pod: &PodSpec, of: Of) -> Amounts {
    let mut all = Amounts::new();
    let stays = |c: &k8s_openapi::api::core::v1::Container| c.restart_policy.as_deref() == Some("Always");
    let beside = pod.init_containers.iter().flatten().filter(|c| stays(c));
    for resources in pod.containers.iter().chain(beside).filter_map(|c| c.resources.as_ref()) {
        add(&mut all, &of(resources));
    }
    for resources in pod.init_containers.iter().flatten().filter(|c| !stays(c)).filter_map(|c| c.resources.as_ref()) {
        for (name, amount) in of(resources) {
            let largest = all.entry(name).or_default();
            *largest = amount.max(*largest);
        }
    }
    add(&mut all, &amounts(pod.overhead.as_ref()));
    all
}

fn add(all: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let sum = all.entry(name.clone()).or_default();
        *sum = sum.saturating_add(*amount);
    }
}

/// `100m`, `2`, `1.5`, `16Gi`, `1e3`: in thousandths, rounded up.
fn thousandths(quantity: &Quantity) -> Option<i128> {
    let text = quantity.0.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '+' | '-')).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let factor = match unit {
        "n" => 1e-6,
        "u" => 1e-3,
        "m" => 1.0,
        "" => 1e3,
        "k" => 1e6,
        "M" => 1e9,
        "G" => 1e12,
        "T" => 1e15,
        "P" => 1e18,
        "E" => 1e21,
        "Ki" => 1e3 * 1024.0,
        "Mi" => 1e3 * 1_048_576.0,
        "Gi" => 1e3 * 1_073_741_824.0,
        "Ti" => 1e3 * 1_099_511_627_776.0,
        "Pi" => 1e3 * 1_125_899_906_842_624.0,
        "Ei" => 1e3 * 1_152_921_504_606_846_976.0,
        exponent => {
            1e3 * 10_f64.powi(exponent.strip_prefix(['e', 'E'])?.parse().ok().filter(|e| (-30..30).contains(e))?)
        }
    };
    let amount = (number.parse::<f64>().ok()? * factor).ceil();
    amount.is_finite().then_some(whole(amount))
}

#[expect(clippy::cast_possible_truncation, reason = "an amount; `as` saturates")]
fn whole(amount: f64) -> i128 {
    amount as i128
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

    use super::thousandths;

    #[test]
    fn amounts_are_read_as_they_are_written() {
        let of = |text: &str| thousandths(&Quantity(text.into()));
        for (text, amount) in [
            ("100m", 100),
            ("2", 2000),
            ("1.5", 1500),
            ("1Ki", 1_024_000),
            ("16Gi", 17_179_869_184_000),
            ("1k", 1_000_000),
            ("1e3", 1_000_000),
            ("5n", 1),
            ("0", 0),
        ] {
            assert_eq!(of(text), Some(amount), "{text}");
        }
        for text in ["", "x", "1x", "1e999", "Gi"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
