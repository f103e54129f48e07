//! The other controllers of the cluster: Deployments get pods, pods become ready or never do, EndpointSlices follow, and
//! a gateway says that it follows a route. Each in its own time.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::time::{sleep, sleep_until};

use super::{
    cluster::{Cluster, Sim, image_of},
    store::{Change, key},
};

/// Every Deployment there may be.
const NAMES: [&str; 4] = ["chat-blue", "chat-green", "base-blue", "base-green"];

/// The pods of one Deployment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fleet {
    pods: Vec<Pod>,
    count: u64,
    told: Option<(i64, usize, usize, usize)>,
    /// All pods are down until then.
    pub(crate) down_until: u64,
}

#[derive(Clone, Debug)]
struct Pod {
    number: u64,
    template: Value,
    ready_at: u64,
}

impl Fleet {
    /// The same pods at the beginning of another story: all ready.
    pub(crate) fn aged(mut self) -> Self {
        self.pods.iter_mut().for_each(|p| p.ready_at = p.ready_at.min(1));
        self.down_until = 0;
        self
    }
}

pub(crate) async fn run_deployments(cluster: Arc<Cluster>) {
    loop {
        let now = cluster.now();
        let next = {
            let mut sim = cluster.sim();
            let mut changes = Vec::new();
            let next = NAMES.into_iter().filter_map(|n| step(&mut sim, n, now, &mut changes)).min();
            cluster.happened(&mut sim, &changes);
            next
        };
        let until = cluster.at(next.unwrap_or(u64::from(u32::MAX)).max(now + 1));
        tokio::select! {
            biased;
            () = cluster.pods.notified() => sleep(Duration::from_millis(50)).await,
            () = sleep_until(until) => {}
        }
    }
}

/// Brings a Deployment's pods nearer to it; says when to look again.
fn step(sim: &mut Sim, name: &str, now: u64, changes: &mut Vec<Change>) -> Option<u64> {
    let Some(deployment) = sim.store.held(&key("deployments", name)) else {
        // Its pods go with it, and so do their addresses.
        if sim.fleets.remove(name).is_some() {
            changes
                .extend(sim.store.edit(&key("endpointslices", &format!("{name}-1")), |s| s["endpoints"] = json!([])));
        }
        return None;
    };
    let mut fleet = sim.fleets.remove(name).unwrap_or_default();
    let template = &deployment["spec"]["template"];
    let wanted = usize::try_from(deployment["spec"]["replicas"].as_u64().unwrap_or(1)).unwrap();
    let at_once = deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == json!("100%");
    let ready = |p: &Pod| p.ready_at <= now;
    let fresh_ready = fleet.pods.iter().filter(|p| p.template == *template && ready(p)).count();
    if at_once || fresh_ready >= wanted {
        fleet.pods.retain(|p| p.template == *template);
    }
    while fleet.pods.iter().filter(|p| p.template == *template).count() > wanted {
        let last = fleet.pods.iter().rposition(|p| p.template == *template).unwrap();
        fleet.pods.remove(last);
    }
    while fleet.pods.iter().filter(|p| p.template == *template).count() < wanted {
        fleet.count += 1;
        let never = image_of(template).contains("crash");
        let ready_at = if never { u64::MAX } else { now + sim.rng.between(500, 4_000) };
        fleet.pods.push(Pod { number: fleet.count, template: template.clone(), ready_at });
    }
    tell(sim, name, &deployment, &mut fleet, now, changes);
    let down = (fleet.down_until > now).then_some(fleet.down_until);
    let next = fleet.pods.iter().map(|p| p.ready_at).filter(|at| *at > now && *at < u64::MAX).chain(down).min();
    sim.fleets.insert(name.to_owned(), fleet);
    next
}

/// Deployment status and EndpointSlice say what the pods are.
fn tell(sim: &mut Sim, name: &str, deployment: &Value, fleet: &mut Fleet, now: u64, changes: &mut Vec<Change>) {
    let template = &deployment["spec"]["template"];
    let up = |p: &&Pod| p.ready_at <= now && fleet.down_until <= now;
    let generation = deployment["metadata"]["generation"].as_i64().unwrap_or(1);
    let updated = fleet.pods.iter().filter(|p| p.template == *template).count();
    let ready = fleet.pods.iter().filter(up).count();
    let told = Some((generation, fleet.pods.len(), updated, ready));
    if fleet.told == told {
        return;
    }
    let status = json!({
        "observedGeneration": generation, "replicas": fleet.pods.len(), "updatedReplicas": updated, "readyReplicas": ready,
    });
    changes.extend(sim.store.edit(&key("deployments", name), |d| d["status"] = status));
    let net = NAMES.iter().position(|n| *n == name).unwrap();
    let endpoint =
        |p: &Pod| json!({"addresses": [format!("10.0.{net}.{}", p.number)], "conditions": {"ready": up(&p)}});
    let endpoints: Vec<Value> = fleet.pods.iter().map(endpoint).collect();
    let slice = key("endpointslices", &format!("{name}-1"));
    if sim.store.get(&slice).is_none() {
        let labels = json!({"kubernetes.io/service-name": name, "llmrollout.io/rollout": name[..4]});
        changes.extend(
            sim.store
                .create(&slice, json!({"addressType": "IPv4", "metadata": {"labels": labels}, "endpoints": endpoints})),
        );
    } else {
        changes.extend(sim.store.edit(&slice, |s| s["endpoints"] = json!(endpoints)));
    }
    fleet.told = told;
}

/// The gateway follows the route a little later, refuses it, or says nothing.
pub(crate) async fn run_gateway(cluster: Arc<Cluster>) {
    loop {
        let delay = cluster.sim().rng.between(50, 1_500);
        sleep(Duration::from_millis(delay)).await;
        let now = cluster.now();
        {
            let mut sim = cluster.sim();
            if sim.weather.gateway_silent <= now {
                let accepted = if sim.weather.gateway_refuses > now { "False" } else { "True" };
                let changes = sim.store.edit(&key("httproutes", "chat"), |route| {
                    let generation = route["metadata"]["generation"].clone();
                    let condition = |word: &str, status: &str| json!({"type": word, "status": status, "reason": "Simulated", "message": "", "observedGeneration": generation});
                    let conditions = [condition("Accepted", accepted), condition("ResolvedRefs", "True")];
                    route["status"] = json!({"parents": [{"parentRef": {"name": "gw"}, "conditions": conditions}]});
                });
                cluster.happened(&mut sim, &changes);
            }
        }
        cluster.gateway.notified().await;
    }
}
