//! What the operator writes, done in the cluster as the API server does it. Never decides what is written.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{
    objects::{self, Key},
    scenario::{Ending, Hooked},
    world::{Run, World, replicas},
};
use crate::{
    api::{labels, status::Color},
    decide::{
        Decision, Intent,
        intent::{Owned, OwnedKind},
        snapshot::JobSeen,
        workload,
    },
    routers::{Claim, GuardedPatch, PatchKind, webhook::Put},
};

/// How long pods take to come up, a Job to end, and a request of a check to be answered.
pub(super) const A_WHILE: Duration = Duration::from_mins(1);

impl World {
    /// Carries a decision out as `act` and `record` do; says whether that changed anything.
    pub(super) fn obey(&mut self, decision: &Decision) -> bool {
        let mut stopped = false;
        for intent in &decision.intents {
            stopped |= !self.write(intent);
            if stopped && !decision.home {
                break;
            }
        }
        let may_record = !stopped || decision.latched;
        let changed = may_record && self.rollout.status.as_ref() != Some(&decision.next);
        if changed {
            for news in &decision.news {
                self.timeline.news(self.now, news);
            }
            self.record(&decision.next);
        }
        if may_record {
            for intent in &decision.beside {
                self.write(intent);
            }
        }
        self.call(&decision.calls);
        // Whoever is told without being heard is told again each time, and nobody can see that it did anything.
        let blind = |intent: &Intent| matches!(intent, Intent::Put(put) if put.version.is_none());
        changed || !decision.intents.iter().all(blind) && !stopped
    }

    fn write(&mut self, intent: &Intent) -> bool {
        match intent {
            Intent::Apply(owned) => {
                self.apply(owned);
                true
            }
            Intent::Patch(patch) => self.patch(patch),
            Intent::Put(put) => self.put(put),
            Intent::Delete { kind, name, .. } => {
                let Some(color) = self.color_of(name) else { return false };
                let slot = self.slot(color);
                if slot.scalers.remove(kind).is_some() {
                    self.told(format!("delete {} {name}", word(*kind)));
                    return true;
                }
                slot.ready = 0;
                slot.up_at = None;
                let done = slot.deployment.take().is_some();
                self.told(format!("delete Deployment {name}"));
                done
            }
            Intent::Scale { path, .. } => {
                let color = if path.starts_with("/scale/blue/") { Color::Blue } else { Color::Green };
                let slot = self.slot(color);
                (slot.size, slot.ready) = (0, 0);
                self.told(format!("scale {} to 0", path.rsplit('/').next().unwrap_or_default()));
                true
            }
        }
    }

    fn told(&mut self, text: String) {
        self.timeline.write(self.now, text);
    }

    /// The color whose Deployment or Service this is.
    fn color_of(&self, name: &str) -> Option<Color> {
        let rollout = self.rollout.metadata.name.as_deref().unwrap_or_default();
        Color::BOTH.into_iter().find(|color| workload::name_of(rollout, *color) == name)
    }

    fn apply(&mut self, Owned { kind, name, body }: &Owned) {
        if *kind == OwnedKind::Job {
            return self.run(name, body);
        }
        let Some(color) = self.color_of(name) else { return };
        let (version, now) = (self.next_version(), self.now);
        let mut body = body.clone();
        body["metadata"]["resourceVersion"] = json!(version);
        let revision = body["metadata"]["annotations"][labels::REVISION].as_str().unwrap_or_default().to_owned();
        let slot = self.slot(color);
        if *kind == OwnedKind::Service {
            slot.service = Some(body);
            return self.told(format!("apply Service {name}"));
        }
        if OwnedKind::SCALERS.contains(kind) {
            let bound =
                |names: [&str; 2]| names.iter().find_map(|name| body["spec"][*name].as_i64()).unwrap_or_default();
            let [min, max] = [["minReplicas", "minReplicaCount"], ["maxReplicas", "maxReplicaCount"]].map(bound);
            slot.scalers.insert(*kind, body);
            return self.told(format!("apply {} {name}, {min} to {max} pods", word(*kind)));
        }
        let template = |v: &Value| v["metadata"]["annotations"][labels::TEMPLATE].clone();
        let same = slot.deployment.as_ref().is_some_and(|old| template(old) == template(&body));
        let wanted = replicas(&body);
        slot.ready = if same { slot.ready.min(wanted) } else { 0 };
        slot.up_at = (slot.ready < wanted && !slot.fails).then(|| now.plus(A_WHILE));
        slot.deployment = Some(body);
        self.told(format!("apply Deployment {name} at {revision}, {wanted} pods"));
    }

    /// A Job is never made twice.
    fn run(&mut self, name: &str, body: &Value) {
        if self.jobs.contains_key(name) {
            return;
        }
        let of = |label: &str| body["metadata"]["labels"][label].as_str().map(ToOwned::to_owned);
        let kinds = [(labels::GATE, "gate"), (labels::CHECK, "check"), (labels::HOOK, "hook")];
        let about = kinds.into_iter().find_map(|(label, word)| Some((word, of(label)?)));
        let (word, about) = about.unwrap_or(("rollout", String::new()));
        let hangs = self.endings.get(&about) == Some(&Ending::Hangs);
        let ends = (!hangs).then(|| self.now.plus(A_WHILE));
        self.told(format!("create Job of {word} {about}"));
        self.jobs.insert(name.to_owned(), Run { about, ends, seen: JobSeen::Running });
    }

    fn put(&mut self, put: &Put) -> bool {
        let deaf = self.hooked != Hooked::Well;
        let body = put.body();
        let weight = |color: &str| body["weights"][color].as_i64().unwrap_or_default();
        let weights = (weight("blue"), weight("green"));
        let Some(balancer) = self.webhooks.get_mut(&put.webhook) else { return false };
        let known = put.version.as_ref().is_none_or(|version| *version == format!("\"{}\"", balancer.version));
        let done = known && !deaf;
        if done {
            balancer.weights = weights;
            balancer.version += 1;
        }
        let failed = if done { "" } else { ": nothing came of it" };
        self.told(format!("webhook/{} {}/{}{failed}", put.webhook, weights.0, weights.1));
        done
    }

    fn patch(&mut self, patch: &GuardedPatch) -> bool {
        if patch.kind == PatchKind::LlmRollout {
            return self.patch_self(patch);
        }
        let namespace = patch.namespace.clone().unwrap_or_else(|| self.own().to_owned());
        let key = (patch.kind, namespace, patch.name.clone());
        if self.objects.contains_key(&key) {
            let done = self.change(&key, &patch.ops);
            if done {
                self.tell_router(&key);
            }
            return done;
        }
        let Some(color) = self.color_of(&patch.name) else { return false };
        let version = self.next_version();
        let slot = self.slot(color);
        let object = if patch.kind == PatchKind::Service { &mut slot.service } else { &mut slot.deployment };
        let Some(object) = object.as_mut() else { return false };
        if !obeys(object, &patch.ops) {
            return false;
        }
        object["metadata"]["resourceVersion"] = json!(version);
        let wanted = replicas(object);
        let scaled = patch.ops.iter().any(|op| op["path"] == "/spec/replicas");
        if scaled {
            slot.ready = slot.ready.min(wanted);
        }
        let kind = patch.kind.names().kind;
        let what = if scaled {
            format!("scale {kind} {} to {wanted}", patch.name)
        } else {
            format!("let go {kind} {}", patch.name)
        };
        self.told(what);
        true
    }

    /// Changes an object of a router; says whether that was possible.
    pub(super) fn change(&mut self, key: &Key, ops: &[Value]) -> bool {
        let version = self.next_version();
        let Some(object) = self.objects.get_mut(key) else { return false };
        if !obeys(object, ops) {
            return false;
        }
        object["metadata"]["resourceVersion"] = json!(version);
        let generation = object["metadata"]["generation"].as_i64().unwrap_or(1) + 1;
        object["metadata"]["generation"] = json!(generation);
        object["status"] = objects::status(key.0, generation);
        true
    }

    /// What a router holds after it was written to.
    fn tell_router(&mut self, key: &Key) {
        let claims = self.rollout.spec.traffic.iter().filter_map(Claim::of);
        let own = self.own();
        let of = claims.filter(|claim| objects::keys(*claim, own).contains(key)).map(|claim| self.router(claim));
        let shares = |seen: &crate::routers::RouterSeen| match &seen.state {
            Ok(state) => format!("{} {}/{}", seen.name, state.shares.blue, state.shares.green),
            Err(trouble) => format!("{}: {}", seen.name, trouble.message),
        };
        let told: Vec<String> = of.map(|seen| shares(&seen)).collect();
        let aside = self.objects.get(key).map(beside).unwrap_or_default();
        self.told(format!("{}{aside}", told.join(", ")));
    }

    fn patch_self(&mut self, patch: &GuardedPatch) -> bool {
        let Ok(metadata) = serde_json::to_value(&self.rollout.metadata) else { return false };
        let mut object = json!({"metadata": metadata});
        if !obeys(&mut object, &patch.ops) {
            return false;
        }
        let Ok(metadata) = serde_json::from_value(object["metadata"].take()) else { return false };
        let version = self.next_version();
        let rollout = Arc::make_mut(&mut self.rollout);
        rollout.metadata = metadata;
        rollout.metadata.resource_version = Some(version);
        true
    }
}

/// JSON patch as the API server does it: the guard compares versions, and what fails changes nothing.
fn obeys(object: &mut Value, ops: &[Value]) -> bool {
    let stale =
        |op: &Value| op["path"] == "/metadata/resourceVersion" && op["value"] != object["metadata"]["resourceVersion"];
    if ops.iter().any(stale) {
        return false;
    }
    let read = serde_json::from_value::<json_patch::Patch>(Value::from(ops.to_vec()));
    read.is_ok_and(|patch| json_patch::patch(object, &patch).is_ok())
}

/// What stands beside the shares of a route.
fn beside(object: &Value) -> String {
    let rules = || object["spec"]["rules"].as_array().into_iter().flatten();
    let made = |rule: &Value| rule["name"].as_str().is_some_and(|name| name.starts_with("llmrollout-match."));
    let copies = |rule: &Value| {
        rule["filters"].as_array().is_some_and(|all| all.iter().any(|f| f.get("requestMirror").is_some()))
    };
    let alone = |rule: &Value| !made(rule) && rule["backendRefs"].as_array().is_some_and(|refs| refs.len() == 1);
    let testers = if rules().any(made) { ", with a rule for testers" } else { "" };
    let mirrored = if rules().any(copies) { ", with copies to the candidate" } else { "" };
    let one = if rules().any(alone) { ", the other color is named no more" } else { "" };
    format!("{testers}{mirrored}{one}")
}

fn word(kind: OwnedKind) -> &'static str {
    let [_, _, word, _] = kind.names();
    word
}
