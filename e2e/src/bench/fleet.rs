//! Many rollouts at once, each with two Services, ten endpoints a color that only stand in status, and a route of its own.
//! Nothing here measures.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::watch::Watch;
use crate::kit::{Ground, KitError};

/// Where they live.
pub(super) const NAMESPACE: &str = "bench";
/// Objects that are written at the same time.
const AT_ONCE: usize = 16;
/// Endpoints of a color.
const ENDPOINTS: u32 = 10;
const PATIENCE: Duration = Duration::from_mins(5);

/// The rollouts.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) ground: Ground,
    pub(super) size: usize,
    pub(super) rollouts: Watch,
    pub(super) routes: Watch,
    /// How many releases each has begun.
    releases: u32,
}

pub(super) fn name(number: usize) -> String {
    format!("c{number}")
}

/// What a route gives green.
pub(super) fn green(route: &Value) -> Option<i64> {
    route["spec"]["rules"][0]["backendRefs"][1]["weight"].as_i64()
}

fn objects(number: usize, gates: usize, interval: &str) -> Vec<(&'static str, &'static str, Value)> {
    let name = name(number);
    let half = |color: &str| format!("{name}-{color}");
    let mut all = Vec::new();
    for (at, color) in ["blue", "green"].into_iter().enumerate() {
        let service = json!({"metadata": {"name": half(color)}, "spec": {"ports": [{"port": 8000}]}});
        let address = |n: u32| format!("10.{}.{}.{}", 100 + at, number % 250, n + 1);
        let endpoints: Vec<Value> =
            (0..ENDPOINTS).map(|n| json!({"addresses": [address(n)], "conditions": {"ready": true}})).collect();
        let slice = json!({
            "metadata": {"name": half(color), "labels": {"kubernetes.io/service-name": half(color)}},
            "addressType": "IPv4", "ports": [{"port": 8000}], "endpoints": endpoints,
        });
        all.push(("v1", "Service", service));
        all.push(("discovery.k8s.io/v1", "EndpointSlice", slice));
    }
    let backend = |color: &str, weight: u32| json!({"name": half(color), "port": 8000, "weight": weight});
    let rules = json!([{"backendRefs": [backend("blue", 100), backend("green", 0)]}]);
    let route = json!({"metadata": {"name": name}, "spec": {"parentRefs": [{"name": "none"}], "rules": rules}});
    all.push(("gateway.networking.k8s.io/v1", "HTTPRoute", route));
    let color = |color: &str| json!({"service": half(color), "revision": format!("{color}-0")});
    let of = |color: &str| json!({"app": name, "color": color});
    let gate = |n: usize| {
        json!({
            "name": format!("bad{n}"), "query": format!("bench_bad{n}{{ {{{{green}}}} }}"), "max": "0.5",
            "interval": interval, "window": "60s", "failures": "1 of 1",
            "noData": {"budget": "1h"},
        })
    };
    let rollout = json!({"metadata": {"name": name}, "spec": {
        "release": {"pair": {"live": "blue", "blue": color("blue"), "green": color("green")}},
        "traffic": [{"httpRoute": {"name": name}}],
        "metrics": {"match": {"blue": of("blue"), "green": of("green")}},
        "rollback": {"verify": {"quietFor": "0s", "recoverWithin": "0s"}},
        "steps": [{"weight": 5, "hold": "10h"}, {"weight": 100, "hold": "1h"}],
        "gates": (0..gates).map(gate).collect::<Vec<_>>(),
    }});
    all.push(("llmrollout.io/v1alpha1", "LlmRollout", rollout));
    all
}

impl Fleet {
    /// Makes them; blue serves.
    pub(super) async fn raise(ground: &Ground, size: usize, gates: usize) -> Result<Self, KitError> {
        let namespaces = ground.all("v1", "Namespace");
        let own = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
        let own: DynamicObject = serde_json::from_value(own).map_err(KitError::failed("a namespace"))?;
        drop(namespaces.create(&PostParams::default(), &own).await);
        // A provider is asked at most a thousand times a second.
        let interval = if size > 200 { "15s" } else { "2s" };
        let all = (0..size).flat_map(|number| objects(number, gates, interval));
        let make = |(api, kind, mut object): (&'static str, &'static str, Value)| {
            (object["apiVersion"], object["kind"]) = (json!(api), json!(kind));
            let within = ground.within(NAMESPACE, api, kind);
            async move {
                let object: DynamicObject = serde_json::from_value(object).map_err(KitError::failed(kind))?;
                within.create(&PostParams::default(), &object).await.map_err(KitError::api(kind)).map(drop)
            }
        };
        stream::iter(all).map(make).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
        let watch = |api: &str, kind: &str| Watch::start(ground.within(NAMESPACE, api, kind));
        let rollouts = watch("llmrollout.io/v1alpha1", "LlmRollout");
        let routes = watch("gateway.networking.k8s.io/v1", "HTTPRoute");
        routes.until("routes are seen", size, PATIENCE, |_, _| true).await?;
        Ok(Self { ground: ground.clone(), size, rollouts, routes, releases: 0 })
    }

    /// Waits until every rollout has this phase, in a status that speaks of its manifest.
    pub(super) async fn all_are(&self, phases: &[&str]) -> Result<(), KitError> {
        let fits = |_: &str, rollout: &Value| {
            rollout["status"]["observedGeneration"] == rollout["metadata"]["generation"]
                && phases.iter().any(|phase| rollout["status"]["phase"] == *phase)
        };
        self.rollouts.until(phases[0], self.size, PATIENCE, fits).await.map(drop)
    }

    /// Every one begins a release of a revision that is new, and waits in its first step.
    pub(super) async fn release(&mut self) -> Result<(), KitError> {
        self.releases += 1;
        let revision = format!("green-{}", self.releases);
        let spec = json!({"spec": {"release": {"pair": {"live": "green", "green": {"revision": revision}}}}});
        let rollouts = self.ground.within(NAMESPACE, "llmrollout.io/v1alpha1", "LlmRollout");
        let change = async |number: usize| {
            let patched = rollouts.patch(&name(number), &PatchParams::default(), &Patch::Merge(&spec)).await;
            patched.map_err(KitError::api("a release")).map(drop)
        };
        stream::iter(0..self.size).map(change).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
        self.all_are(&["Holding"]).await
    }

    /// Writes a share as the operator does: guarded by the version that was seen, and gives nothing before it stands.
    pub(super) async fn write(&self, number: usize, share: i64) -> Result<(), KitError> {
        let routes = self.ground.within(NAMESPACE, "gateway.networking.k8s.io/v1", "HTTPRoute");
        let name = name(number);
        let seen = self.routes.one(&name).map(|(_, route)| route).unwrap_or_default();
        let weight = |backend: usize| format!("/spec/rules/0/backendRefs/{backend}/weight");
        let patch: json_patch::Patch = serde_json::from_value(json!([
            {"op": "test", "path": "/metadata/resourceVersion", "value": seen["metadata"]["resourceVersion"]},
            {"op": "replace", "path": weight(0), "value": 100 - share},
            {"op": "replace", "path": weight(1), "value": share},
        ]))
        .map_err(KitError::failed("a patch"))?;
        let written = routes.patch(&name, &PatchParams::default(), &Patch::Json::<()>(patch)).await;
        written.map_err(KitError::api("a guarded patch")).map(drop)
    }
}
