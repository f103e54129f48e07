//! What a look at the cluster tells: a snapshot as `observe` gathers one, made of what stands in the world. Never changes
//! anything.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::api::core::v1::Service;
use kube::core::DynamicObject;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    objects,
    scenario::{Gateway, Hooked},
    world::{Balancer, Slot, World, replicas},
};
use crate::{
    api::{labels, release::Workload, status::Color},
    decide::{
        Snapshot,
        checklist::What,
        crossing,
        plan::Plan,
        release,
        snapshot::{ColorSeen, DependencySeen, DeploymentSeen, OwnedSeen, ScaleSeen, Standing},
    },
    metrics::Subject,
    routers::{Claim, Found, PatchKind, RouterSeen, webhook},
};

impl World {
    pub(super) fn snapshot(&self, live: bool) -> Snapshot {
        let told = self.readings.iter().filter(|(q, _)| self.asks.contains_key(q));
        let standing = |name: &String| self.others.get(name).copied().unwrap_or(Standing::Baked);
        let others = self.rollout.spec.depends_on.iter();
        Snapshot {
            now: self.now,
            watching_since: self.began,
            rollout: Arc::clone(&self.rollout),
            live,
            blue: self.color(Color::Blue, &self.blue, live),
            green: self.color(Color::Green, &self.green, live),
            routers: self.routers(),
            rival: None,
            readings: told.map(|(q, r)| (q.clone(), r.clone())).collect(),
            orders: self.orders.clone(),
            dependencies: others
                .map(|d| DependencySeen { name: d.name.clone(), standing: standing(&d.name) })
                .collect(),
            gate_sets: self.sets.clone(),
            price_list: self.price_list.clone(),
            jobs: self.jobs.iter().map(|(name, run)| (name.clone(), run.seen.clone())).collect(),
            cron_jobs: self.cron_jobs(),
            succeeded: BTreeMap::new(),
            called: self.called.iter().map(|(name, call)| (name.clone(), call.seen.clone())).collect(),
            grants: self.grants.clone(),
            offers: Arc::clone(&self.offers),
            adoptee: None,
            meant: self.meant.clone(),
        }
    }

    /// Every `CronJob` that the manifest names is there.
    fn cron_jobs(&self) -> BTreeMap<String, Value> {
        let Ok(plan) = self.plan_kept() else { return BTreeMap::new() };
        let of_gates = plan.gates.iter().filter_map(|gate| match &gate.subject {
            Subject::Job(job) => Some(&job.cron_job),
            _ => None,
        });
        let of_checks = plan.course.checks.iter().filter_map(|check| match &check.what {
            What::Job { cron_job, .. } => Some(cron_job),
            What::Call(_) | What::Baseline | What::Rehearsal => None,
        });
        let all = of_gates.chain(of_checks).chain(plan.course.hooks.iter().map(|hook| &hook.cron_job));
        let template = json!({"spec": {"template": {"spec": {"containers": [{"name": "job", "image": "simulated"}]}}}});
        all.map(|name| (name.clone(), template.clone())).collect()
    }

    /// The plan, where it is worth to be read for its Jobs.
    fn plan_kept(&self) -> Result<Plan, String> {
        let spec = &self.rollout.spec;
        let of_sets = || spec.gates.iter().any(|gate| gate.job.is_some() || gate.gate_set.is_some());
        if spec.preflight.is_empty() && spec.smoke.is_empty() && spec.hooks.is_none() && !of_sets() {
            return Err(String::new());
        }
        self.plan()
    }

    /// What the routers say.
    pub(super) fn routers(&self) -> Vec<RouterSeen> {
        self.rollout.spec.traffic.iter().filter_map(Claim::of).map(|claim| self.router(claim)).collect()
    }

    pub(super) fn router(&self, claim: Claim<'_>) -> RouterSeen {
        if let Some(forbidden) = crossing::forbidden(&self.rollout, claim, &self.offers, &self.grants) {
            return RouterSeen { name: claim.name(), state: Err(forbidden) };
        }
        let keys = objects::keys(claim, self.own());
        let object = |n: usize| keys.get(n).and_then(|key| self.objects.get(key)).map(|o| self.as_gateways_say(o));
        let [first, second] = [0, 1].map(|n| object(n).and_then(|o| DynamicObject::deserialize(o).ok()));
        let service =
            keys.first().filter(|(kind, ..)| *kind == PatchKind::Service).and_then(|key| self.objects.get(key));
        let service = service.and_then(|o| Service::deserialize(o).ok());
        let namespace = claim.namespace().unwrap_or(self.own());
        let [blue, green] = Color::BOTH.map(|color| release::called(&self.rollout, color, namespace));
        let heard = self.heard(claim);
        let out = self.rollout.status.as_ref().and_then(|status| claim.out_of(&status.detached));
        let found = Found {
            service: service.as_ref(),
            object: first.as_ref(),
            second: second.as_ref(),
            out: out.as_ref(),
            heard: heard.as_ref(),
            classes: &self.classes,
        };
        claim.read([&blue, &green], found)
    }

    /// An object with the last word of the gateways about it.
    fn as_gateways_say(&self, object: &Value) -> Value {
        let mut object = object.clone();
        if let Some(word) = object.pointer_mut("/status/parents/0/conditions/0") {
            match self.gateway {
                Gateway::Follows => {}
                Gateway::Silent => word["observedGeneration"] = json!(0),
                Gateway::Refuses => word["status"] = json!("False"),
            }
        }
        object
    }

    fn heard(&self, claim: Claim<'_>) -> Option<webhook::Heard> {
        let Claim::Webhook(router) = claim else { return None };
        let Balancer { weights: (blue, green), version } = self.webhooks.get(&router.name)?;
        if self.hooked == Hooked::Hangs {
            return Some(Err(webhook::unreachable(&router.name, "it did not answer in time")));
        }
        let body = json!({"weights": {"blue": blue, "green": green}}).to_string();
        Some(webhook::understand(&router.name, Some(&format!("\"{version}\"")), body.as_bytes()))
    }

    fn color(&self, color: Color, slot: &Slot, live: bool) -> ColorSeen {
        let text = |v: &Value| v.as_str().map(ToOwned::to_owned);
        let owned = |v: &Value| OwnedSeen {
            ours: v["metadata"]["labels"][labels::ROLLOUT].is_string(),
            applied: text(&v["metadata"]["annotations"][labels::APPLIED]),
            version: text(&v["metadata"]["resourceVersion"]).unwrap_or_default(),
            owner_index: v["metadata"]["ownerReferences"].as_array().filter(|o| !o.is_empty()).map(|_| 0),
        };
        let deployment = slot.deployment.as_ref().map(|v| DeploymentSeen {
            object: owned(v),
            uid: color.word().to_owned(),
            template: text(&v["metadata"]["annotations"][labels::TEMPLATE]),
            revision: text(&v["metadata"]["annotations"][labels::REVISION]),
            wanted: replicas(v),
            ready: slot.ready,
            settled: true,
        });
        ColorSeen {
            deployment,
            service: slot.service.as_ref().map(owned),
            ready: slot.ready,
            addresses: (1..=slot.ready).map(|n| format!("192.0.2.{n}")).collect(),
            changed_at: None,
            scales: if live { self.scales(color, slot) } else { Vec::new() },
            stuck: Vec::new(),
            scalers: slot.scalers.iter().map(|(kind, v)| (*kind, owned(v))).collect(),
        }
    }

    /// What a pair lists of a color: its pods, all in the first workload.
    fn scales(&self, color: Color, slot: &Slot) -> Vec<ScaleSeen> {
        let listed = self.rollout.spec.release.pair.iter().flat_map(|pair| &pair.half(color).workloads);
        let one = |(n, workload): (usize, &Workload)| ScaleSeen::There {
            path: format!("/scale/{}/{}", color.word(), workload.name),
            wanted: if n == 0 { slot.size } else { 0 },
            version: "1".to_owned(),
        };
        listed.enumerate().map(one).collect()
    }
}
