//! A model cluster: obeys the intents of `decide`, ages by ticks, and can be told to misbehave. Scenarios and
//! properties share it. It knows nothing of how `decide` decides.

use std::{cell::RefCell, collections::BTreeMap, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Service;
use kube::core::DynamicObject;
use llmrollout::{
    api::{
        LlmRollout, Moment,
        gates::Gate,
        labels,
        order::Verb,
        release::Workload,
        status::{Color, Detached},
        traffic::Router,
    },
    decide::{
        Decision, Intent, Meant, Snapshot, adopt,
        call::{Call, Called, Wants},
        crossing, decide,
        intent::{Odds, Owned, OwnedKind},
        release,
        snapshot::{
            ColorSeen, DependencySeen, DeploymentSeen, GateSetSeen, GateSets, JobSeen, OrderSeen, OwnedSeen,
            PriceListSeen, Rival, ScaleSeen, Standing, Stuck,
        },
    },
    metrics::{About, NoData, Question, Reading, Sample},
    routers::{Claim, Found, GuardedPatch, PatchKind, RouterSeen, grant::Grant, mirror::ClassSeen, webhook::Put},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    book::Book,
    counted::Counted,
    hook::Hook,
    json_patch::obeys,
    legacy::{self, Legacy},
    objects::{
        backends, color_of, feature_flag, front, grpc_route, member, offers, rewrite, route, status, virtual_service,
        weight,
    },
};

/// Readings of a question that are kept, as on the operator's board.
const KEPT: usize = 16;

/// What Prometheus would say of a metric.
#[derive(Clone, Debug)]
pub(crate) enum Signal {
    Value(f64, f64),
    Silent(NoData),
}

/// What the gateway says of the route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gateway {
    Follows,
    Silent,
    Refuses,
}

/// One color's objects.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slot {
    pub(crate) deployment: Option<Value>,
    pub(crate) service: Option<Value>,
    pub(crate) ready: i32,
    /// What the slices of its Service say of its pods, where they say it.
    pub(crate) changed_at: Option<Moment>,
    /// Pods that somebody else wants of it.
    pub(crate) size: i32,
    /// Why the pods of this revision do not come up.
    pub(crate) stuck: Option<(String, String)>,
    /// Pods come up by themselves unless told otherwise.
    pub(crate) comes_up: bool,
    /// What scales it.
    pub(crate) scalers: BTreeMap<OwnedKind, Value>,
}

/// The model cluster.
pub(crate) struct World {
    pub(crate) now: Moment,
    pub(crate) began: Moment,
    pub(crate) rollout: Arc<LlmRollout>,
    pub(crate) slots: BTreeMap<Color, Slot>,
    pub(crate) route: Option<Arc<Value>>,
    pub(crate) grpc_route: Option<Arc<Value>>,
    pub(crate) virtual_service: Option<Arc<Value>>,
    /// Routers of further kinds, by kind and name.
    pub(crate) more: BTreeMap<(PatchKind, String), Arc<Value>>,
    pub(crate) front: Option<Arc<Value>>,
    pub(crate) webhook: Hook,
    /// What ran before there was a rollout.
    pub(crate) legacy: Option<Legacy>,
    pub(crate) signals: BTreeMap<&'static str, Signal>,
    pub(crate) counted: Counted,
    pub(crate) readings: BTreeMap<Question, Vec<Reading>>,
    pub(crate) asks: std::collections::BTreeSet<Question>,
    /// What the last decision understood of the manifest.
    pub(crate) meant: Option<Arc<Meant>>,
    /// What the gateways say that they can.
    pub(crate) classes: Vec<ClassSeen>,
    pub(crate) rival: Option<Rival>,
    pub(crate) orders: Vec<OrderSeen>,
    pub(crate) others: BTreeMap<String, Standing>,
    pub(crate) gate_sets: BTreeMap<String, Vec<Gate>>,
    /// What the list that the manifest names says of its model.
    pub(crate) price_list: PriceListSeen,
    pub(crate) jobs: BTreeMap<String, JobSeen>,
    pub(crate) cron_jobs: BTreeMap<String, Value>,
    /// When a Job of a `CronJob` last ended well.
    pub(crate) succeeded: BTreeMap<String, Moment>,
    /// Requests to the candidate and what became of them.
    pub(crate) called: BTreeMap<String, Called>,
    /// The Jobs as they were made, the newest last.
    pub(crate) made: Vec<Value>,
    /// How far the samples of the color that serves are apart, where that is told.
    pub(crate) scraped: Option<f64>,
    /// What the pods of a color expose, where it is not all of vLLM.
    pub(crate) exposed: BTreeMap<Color, String>,
    pub(crate) gateway: Gateway,
    pub(crate) refuse_writes: bool,
    /// What the owners of other namespaces allow.
    pub(crate) grants: Vec<Grant>,
    /// Whether somebody else's workloads cannot be looked at.
    pub(crate) hidden_scales: bool,
    /// What caches still show of the ready pods of a color, where that is not so any more.
    pub(crate) stale: BTreeMap<Color, i32>,
    /// When the last decision wants to be asked again.
    pub(crate) wake: Option<Moment>,
    /// What the last decision tells of evidence.
    pub(crate) odds: Vec<Odds>,
    pub(crate) log: Vec<String>,
    /// The records of its attempts, where a script asks for them.
    pub(crate) book: Option<Book>,
    version: i64,
    read: RefCell<Option<Read>>,
}

/// The routers as they were read last, and of what: a route that nobody has touched is not read again.
struct Read {
    of: ([Option<Arc<Value>>; 4], Gateway, Hook),
    more: BTreeMap<(PatchKind, String), Arc<Value>>,
    shut: Vec<bool>,
    traffic: Vec<Router>,
    detached: Vec<Detached>,
    seen: Vec<RouterSeen>,
}

impl World {
    pub(crate) fn new(manifest: &str) -> Self {
        Self::of(serde_saphyr::from_str(manifest).expect("the manifest parses"))
    }

    pub(crate) fn of(mut rollout: LlmRollout) -> Self {
        rollout.metadata.namespace = Some("llm".into());
        rollout.metadata.uid = Some("uid-1".into());
        rollout.metadata.generation = Some(1);
        rollout.metadata.resource_version = Some("1".into());
        let slot = Slot { comes_up: true, ..Slot::default() };
        let mut world = Self {
            now: Moment::from_unix(1_800_000_000),
            began: Moment::from_unix(1_800_000_000),
            rollout: Arc::new(rollout),
            slots: Color::BOTH.into_iter().map(|c| (c, slot.clone())).collect(),
            route: Some(route(100, 0).into()),
            grpc_route: Some(grpc_route(100, 0).into()),
            virtual_service: Some(virtual_service(100, 0).into()),
            more: of_others(),
            front: Some(front("blue").into()),
            webhook: Hook::default(),
            legacy: None,
            signals: BTreeMap::new(),
            counted: Counted::default(),
            readings: BTreeMap::new(),
            asks: std::collections::BTreeSet::new(),
            meant: None,
            classes: super::objects::all_features().into(),
            rival: None,
            orders: Vec::new(),
            others: BTreeMap::new(),
            gate_sets: BTreeMap::new(),
            price_list: PriceListSeen::Missing,
            jobs: BTreeMap::new(),
            cron_jobs: BTreeMap::new(),
            succeeded: BTreeMap::new(),
            called: BTreeMap::new(),
            made: Vec::new(),
            exposed: BTreeMap::new(),
            scraped: None,
            gateway: Gateway::Follows,
            refuse_writes: false,
            grants: Vec::new(),
            hidden_scales: false,
            stale: BTreeMap::new(),
            wake: None,
            odds: Vec::new(),
            log: Vec::new(),
            book: None,
            version: 1,
            read: RefCell::default(),
        };
        for name in ["errors", "active-errors"] {
            world.signals.insert(name, Signal::Value(0.001, 1000.0));
        }
        for (name, value) in [("p95", 0.8), ("cost", 0.002), ("active-p95", 0.8), ("active-cost", 0.002)] {
            world.signals.insert(name, Signal::Value(value, 1000.0));
        }
        world.signals.insert("requests", Signal::Value(1000.0, 2.0));
        world.signals.insert("alerts", Signal::Value(0.0, 1.0));
        world.signals.insert("score", Signal::Value(0.98, 400.0));
        world.signals.insert("active-score", Signal::Value(0.97, 400.0));
        world.signals.insert("active-requests", Signal::Value(1000.0, 2.0));
        world
    }

    fn next_version(&mut self) -> String {
        self.version += 1;
        self.version.to_string()
    }

    /// Somebody edits the manifest.
    pub(crate) fn edit(&mut self, change: impl FnOnce(&mut LlmRollout)) {
        let version = self.next_version();
        let rollout = Arc::make_mut(&mut self.rollout);
        change(rollout);
        rollout.metadata.generation = rollout.metadata.generation.map(|g| g + 1);
        rollout.metadata.resource_version = Some(version);
    }

    pub(crate) fn snapshot(&self, live: bool) -> Snapshot {
        let mut seen = self.seen(live);
        for (color, ready) in self.stale.iter().filter(|_| !live) {
            let slot = if *color == Color::Blue { &mut seen.blue } else { &mut seen.green };
            slot.ready = *ready;
        }
        seen
    }

    fn seen(&self, live: bool) -> Snapshot {
        Snapshot {
            now: self.now,
            watching_since: self.began,
            rollout: Arc::clone(&self.rollout),
            live,
            blue: self.color(Color::Blue, live),
            green: self.color(Color::Green, live),
            routers: self.routers(),
            rival: self.rival.clone(),
            readings: self
                .readings
                .iter()
                .filter(|(q, _)| self.asks.contains(q))
                .map(|(q, r)| (q.clone(), r.clone()))
                .collect(),
            orders: self.orders.clone(),
            dependencies: self.dependencies(),
            gate_sets: self.sets(),
            price_list: self.price_list.clone(),
            jobs: self.jobs.clone(),
            cron_jobs: self.cron_jobs.clone(),
            succeeded: self.succeeded.clone(),
            called: self.called.clone(),
            grants: self.grants.clone(),
            offers: Arc::new(offers()),
            adoptee: self.legacy.as_ref().filter(|_| live).and_then(|legacy| legacy.seen(&self.rollout)),
            meant: self.meant.clone(),
        }
    }

    /// A person's word to the attempt and step under way, or to others.
    pub(crate) fn order(&mut self, verb: Verb, right: bool) {
        let attempt = self.rollout.status.as_ref().and_then(|s| s.attempt.clone());
        let off = i64::from(!right);
        let mut spec = json!({
            "rollout": "chat", "verb": verb, "approver": "ada",
            "attempt": attempt.as_ref().map_or(1, |a| a.id) + off, "reason": "because",
        });
        if verb == Verb::Skip {
            spec["step"] = json!(attempt.as_ref().map_or(1, |a| a.step));
            spec["bake"] = attempt.filter(|a| a.bake > 0).map_or(Value::Null, |a| json!(a.bake));
        }
        if verb == Verb::Approve {
            (spec["role"], spec["before"]) = (json!("sre"), json!(if right { "Full" } else { "Decommission" }));
        }
        let name = format!("order-{}", self.orders.len() + 1);
        let spec = serde_json::from_value(spec).unwrap();
        self.orders.push(OrderSeen { uid: name.clone(), name, at: self.now, spec });
    }

    fn dependencies(&self) -> Vec<DependencySeen> {
        let standing = |name: &String| self.others.get(name).copied().unwrap_or(Standing::Missing);
        let all = self.rollout.spec.depends_on.iter();
        all.map(|d| DependencySeen { name: d.name.clone(), standing: standing(&d.name) }).collect()
    }

    fn sets(&self) -> GateSets {
        let named = self.rollout.spec.gates.iter().filter_map(|g| g.gate_set.clone());
        let seen = |name: &String| self.gate_sets.get(name).cloned().map_or(GateSetSeen::Missing, GateSetSeen::There);
        named.map(|name| (name.clone(), seen(&name))).collect()
    }

    /// The gateways say that they can this with requests, and no more.
    pub(crate) fn announce(&mut self, features: &[&str]) {
        self.classes[0].features = features.iter().map(|f| format!("HTTPRouteRequest{f}")).collect();
        *self.read.borrow_mut() = None;
    }

    fn routers(&self) -> Vec<RouterSeen> {
        let traffic = &self.rollout.spec.traffic;
        let now = [&self.front, &self.route, &self.grpc_route, &self.virtual_service];
        let mut read = self.read.borrow_mut();
        let detached = self.rollout.status.as_ref().map(|s| s.detached.clone()).unwrap_or_default();
        let forbidden = |claim| crossing::forbidden(&self.rollout, claim, &offers(), &self.grants).is_some();
        let shut: Vec<bool> = traffic.iter().filter_map(Claim::of).map(forbidden).collect();
        let same = |r: &Read| {
            let objects = r.of.0.each_ref() == now && r.more == self.more;
            let around = r.of.1 == self.gateway && r.of.2 == self.webhook && r.shut == shut;
            objects && around && r.traffic == *traffic && r.detached == detached
        };
        if let Some(read) = read.as_ref().filter(|read| same(read)) {
            return read.seen.clone();
        }
        let seen: Vec<_> = traffic.iter().filter_map(Claim::of).map(|claim| self.router(claim)).collect();
        let of = (now.map(Clone::clone), self.gateway, self.webhook.clone());
        let (more, traffic) = (self.more.clone(), traffic.clone());
        *read = Some(Read { of, more, shut, traffic, detached, seen: seen.clone() });
        seen
    }

    fn router(&self, claim: Claim<'_>) -> RouterSeen {
        if let Some(forbidden) = crossing::forbidden(&self.rollout, claim, &offers(), &self.grants) {
            return RouterSeen { name: claim.name(), state: Err(forbidden) };
        }
        let (kind, name) = claim.object();
        let mut route = match kind {
            PatchKind::HttpRoute => self.route.as_deref().cloned(),
            PatchKind::GrpcRoute => self.grpc_route.as_deref().cloned(),
            PatchKind::VirtualService => self.virtual_service.as_deref().cloned(),
            _ => self.more.get(&(kind, name.to_owned())).map(|object| (**object).clone()),
        };
        let first =
            route.as_mut().filter(|v| v["status"].is_object()).map(|v| &mut v["status"]["parents"][0]["conditions"][0]);
        match (first, self.gateway) {
            (Some(word), Gateway::Refuses) => word["status"] = json!("False"),
            (Some(word), Gateway::Silent) => word["observedGeneration"] = json!(0),
            _ => {}
        }
        let second = claim.second().and_then(|name| self.more.get(&(kind, name.to_owned())));
        let second = second.map(|v| DynamicObject::deserialize(&**v).expect("an object"));
        let [blue, green] =
            Color::BOTH.map(|color| release::called(&self.rollout, color, claim.namespace().unwrap_or("llm")));
        let front = self.front.as_deref().map(|v| Service::deserialize(v).expect("a Service"));
        let route: Option<DynamicObject> = route.map(|v| serde_json::from_value(v).expect("an object"));
        let heard = self.webhook.heard();
        let out = self.rollout.status.as_ref().and_then(|status| claim.out_of(&status.detached));
        let (service, object, second) = (front.as_ref(), route.as_ref(), second.as_ref());
        let found = Found { service, object, second, out: out.as_ref(), heard: heard.as_ref(), classes: &self.classes };
        claim.read([&blue, &green], found)
    }

    fn color(&self, color: Color, live: bool) -> ColorSeen {
        let taken_over = adopt::adopted(&self.rollout, color).and(self.legacy.as_ref());
        let slot = &self.slots[&color];
        let old = taken_over.map(|legacy| legacy.slot(slot));
        let slot = old.as_ref().unwrap_or(slot);
        let owned = |v: &Value| OwnedSeen {
            ours: v["metadata"]["labels"][labels::ROLLOUT] == "chat",
            applied: v["metadata"]["annotations"][labels::APPLIED].as_str().map(ToOwned::to_owned),
            version: v["metadata"]["resourceVersion"].as_str().unwrap_or("1").to_owned(),
            owner_index: v["metadata"]["ownerReferences"].as_array().filter(|o| !o.is_empty()).map(|_| 0),
        };
        ColorSeen {
            deployment: slot.deployment.as_ref().map(|v| DeploymentSeen {
                object: owned(v),
                uid: format!("of {}", color.word()),
                template: v["metadata"]["annotations"][labels::TEMPLATE].as_str().map(ToOwned::to_owned),
                revision: v["metadata"]["annotations"][labels::REVISION].as_str().map(ToOwned::to_owned),
                wanted: i32::try_from(v["spec"]["replicas"].as_i64().unwrap_or(1)).unwrap(),
                ready: slot.ready,
                settled: true,
            }),
            service: slot.service.as_ref().map(owned),
            ready: slot.ready,
            addresses: (1..=slot.ready).map(|n| format!("10.0.0.{n}")).collect(),
            changed_at: slot.changed_at,
            scales: if live { self.scales(color) } else { Vec::new() },
            stuck: slot.stuck.iter().map(stuck).collect(),
            scalers: slot.scalers.iter().map(|(kind, v)| (*kind, owned(v))).collect(),
        }
    }

    /// What a pair lists of a color: its pods, all in the first workload.
    fn scales(&self, color: Color) -> Vec<ScaleSeen> {
        let listed = self.rollout.spec.release.pair.iter().flat_map(|pair| &pair.half(color).workloads);
        let one = |(n, workload): (usize, &Workload)| {
            if self.hidden_scales {
                return ScaleSeen::Untold(format!("the operator may not read the /scale of {}", workload.name));
            }
            let path = format!("/scale/{}/{}", color.word(), workload.name);
            let wanted = if n == 0 { self.slots[&color].size } else { 0 };
            ScaleSeen::There { path, wanted, version: "1".into() }
        };
        listed.enumerate().map(one).collect()
    }

    /// Somebody else's pods go away.
    fn scale(&mut self, path: &str) -> bool {
        let color = if path.contains("/blue/") { Color::Blue } else { Color::Green };
        let slot = self.slots.get_mut(&color).unwrap();
        (slot.size, slot.ready) = (0, 0);
        self.log.push(format!("  {path} to 0"));
        true
    }

    /// Passes until nothing changes any more.
    pub(crate) fn settle(&mut self) {
        for _ in 0..40 {
            if !self.pass() {
                return;
            }
        }
        panic!("no rest after 40 passes; last words: {:?}", self.rollout.status);
    }

    /// One pass; says whether it changed anything.
    pub(crate) fn pass(&mut self) -> bool {
        let mut decision = decide(&self.snapshot(false));
        if decision.wants_live {
            decision = decide(&self.snapshot(true));
            assert!(!decision.wants_live, "a live snapshot must be enough");
        } else if !decision.home {
            assert!(!decision.intents.iter().any(moves), "moved by what caches show: {:?}", decision.intents);
        }
        self.obey(&decision)
    }

    /// Carries a decision out as `act` and `record` do.
    pub(crate) fn obey(&mut self, decision: &Decision) -> bool {
        self.wake = decision.wake;
        self.odds.clone_from(&decision.odds);
        self.meant.clone_from(&decision.meant);
        let before = self.book.is_some().then(|| self.snapshot(false));
        let stopped = self.write(decision);
        let changed = self.record(decision, stopped);
        if let (Some(book), Some(before)) = (&mut self.book, before) {
            book.keep(&before, decision, self.rollout.status.as_ref(), stopped, changed);
        }
        if !stopped || decision.latched {
            self.begin_beside(decision);
        }
        self.want(&decision.calls);
        let idle = !changed && !stopped && !decision.wants_live;
        assert!(!idle || decision.wake.is_none_or(|at| at > self.now), "nothing to do, and no rest either");
        changed
    }

    /// The writes of a decision; says whether one was refused.
    pub(crate) fn write(&mut self, decision: &Decision) -> bool {
        let mut stopped = false;
        for intent in &decision.intents {
            let done = match intent {
                _ if self.refuse_writes => false,
                Intent::Apply(owned) => {
                    self.apply(owned.kind, &owned.name, &owned.body);
                    true
                }
                Intent::Patch(patch) => self.patch(patch),
                Intent::Put(put) => self.put(put),
                Intent::Delete { kind, name, version } => self.delete(*kind, name, version),
                Intent::Scale { path, .. } => self.scale(path),
            };
            stopped |= !done;
            if stopped && !decision.home {
                break;
            }
        }
        stopped
    }

    /// What is wanted no more is forgotten; what is new goes out.
    fn want(&mut self, calls: &BTreeMap<String, Call>) {
        self.called.retain(|name, _| calls.contains_key(name));
        for (name, call) in calls.iter().filter(|(name, _)| !self.called.contains_key(*name)).collect::<Vec<_>>() {
            let Call { to, endpoint, path, body, headers, after, wants, .. } = call;
            if let Wants::Told(notice) = wants {
                self.log.push(format!("  tell {}: {} {}", notice.channel, notice.happening.word(), notice.incident));
                self.called.insert(name.clone(), Called::Going);
                continue;
            }
            if let Wants::Room(need) = wants {
                let of = need.of.as_ref().map(|(name, color)| format!("{name} {}", color.word()));
                self.log.push(format!(
                    "  look for room for {} pods of {} on {} nodes",
                    need.replicas,
                    of.unwrap_or_default(),
                    need.nodes
                ));
                self.called.insert(name.clone(), Called::Going);
                continue;
            }
            let endpoint = endpoint.as_deref().map_or_else(String::new, |(name, about)| {
                format!("endpoint {name} about {}/{} {} {}", about.namespace, about.name, about.color, about.revision)
            });
            let body = body.as_ref().map_or_else(String::new, |body| format!(" with {body}"));
            let headers = headers.as_ref().map_or_else(String::new, |secret| format!(" and headers of {secret}"));
            let after = if after.is_zero() { String::new() } else { format!(" after {}s", after.as_secs()) };
            self.log.push(format!("  call {endpoint}{}{path}{body}{headers}{after}", to.join(" ")));
            self.called.insert(name.clone(), Called::Going);
        }
    }

    /// All requests that are under way are answered.
    pub(crate) fn answer(&mut self, told: &Called) {
        let going = self.called.values_mut().filter(|called| **called == Called::Going);
        going.for_each(|called| called.clone_from(told));
    }

    /// What nothing waits for; a Job that is there already is done.
    fn begin_beside(&mut self, decision: &Decision) {
        let refused = self.refuse_writes;
        for intent in decision.beside.iter().filter(|_| !refused) {
            let Intent::Apply(Owned { kind: OwnedKind::Job, name, body }) = intent else {
                panic!("only Jobs are begun beside: {intent:?}")
            };
            if !self.jobs.contains_key(name) {
                self.run(name, body);
            }
        }
    }

    fn record(&mut self, decision: &Decision, stopped: bool) -> bool {
        self.asks.clone_from(&decision.asks);
        let may_record = !stopped || decision.latched;
        let changed = may_record && self.rollout.status.as_ref() != Some(&decision.next);
        if changed {
            for news in &decision.news {
                self.log.push(format!("{} {}: {}", if news.warning { "!" } else { "-" }, news.reason, news.message));
            }
            let version = self.next_version();
            let rollout = Arc::make_mut(&mut self.rollout);
            rollout.status = Some(decision.next.clone());
            rollout.metadata.resource_version = Some(version);
        }
        // Whoever is told without being heard is told again each time, and nobody can see that it did anything.
        let blind = |intent: &Intent| matches!(intent, Intent::Put(put) if put.version.is_none());
        changed || !decision.intents.iter().all(blind) && !stopped
    }

    fn apply(&mut self, kind: OwnedKind, name: &str, body: &Value) {
        if kind == OwnedKind::Job {
            return self.run(name, body);
        }
        let version = self.next_version();
        let slot = self.slots.get_mut(&color_of(name)).unwrap();
        let mut body = body.clone();
        body["metadata"]["resourceVersion"] = json!(version);
        let count = |body: &Value, field: &str| body["spec"][field].as_i64().map(|n| i32::try_from(n).unwrap());
        if OwnedKind::SCALERS.contains(&kind) {
            let bound =
                |word: &str| count(&body, &format!("{word}Replicas")).or(count(&body, &format!("{word}ReplicaCount")));
            let (min, max) = (bound("min").unwrap(), bound("max").unwrap());
            self.log.push(format!("  apply {kind:?} {name}: {min} to {max}"));
            slot.scalers.insert(kind, body);
            return self.scaled(color_of(name), 0);
        }
        self.log.push(format!("  apply {kind:?} {name}"));
        match kind {
            OwnedKind::Job | OwnedKind::HorizontalPodAutoscaler | OwnedKind::ScaledObject => {}
            OwnedKind::Service => slot.service = Some(body),
            OwnedKind::Deployment => {
                let wanted = count(&body, "replicas").unwrap();
                let template = |v: &Value| v["metadata"]["annotations"][labels::TEMPLATE].clone();
                let same = slot.deployment.as_ref().is_some_and(|old| template(old) == template(&body));
                let stay = if same { slot.ready.min(wanted) } else { 0 };
                slot.ready = if slot.comes_up { wanted } else { stay };
                slot.deployment = Some(body);
            }
        }
    }

    /// An autoscaler wants so many pods of a color, and gets them between its bounds.
    pub(crate) fn scaled(&mut self, color: Color, pods: i64) {
        let slot = self.slots.get_mut(&color).unwrap();
        let (Some(scaler), Some(deployment)) = (slot.scalers.values().next(), slot.deployment.as_mut()) else { return };
        let bound = |names: [&str; 2]| names.iter().find_map(|name| scaler["spec"][*name].as_i64()).unwrap();
        let now = deployment["spec"]["replicas"].as_i64().unwrap();
        let wanted = if pods == 0 { now } else { pods };
        let wanted = wanted.clamp(bound(["minReplicas", "minReplicaCount"]), bound(["maxReplicas", "maxReplicaCount"]));
        if wanted != now {
            deployment["spec"]["replicas"] = json!(wanted);
            slot.ready = if slot.comes_up { i32::try_from(wanted).unwrap() } else { slot.ready };
            self.log.push(format!("  {} has {wanted} pods", color.word()));
        }
    }

    /// A Job is never made twice.
    fn run(&mut self, name: &str, body: &Value) {
        assert!(!self.jobs.contains_key(name), "{name} is there already");
        self.jobs.insert(name.to_owned(), JobSeen::Running);
        self.made.push(body.clone());
        let environment = body["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
        let told: Vec<_> = environment.iter().filter_map(|e| e["value"].as_str()).collect();
        self.log.push(format!("  create Job {name} about {}", told.join(" ")));
    }

    /// The newest Job ends.
    pub(crate) fn end(&mut self, end: JobSeen) {
        let name = self.made.last().expect("a Job")["metadata"]["name"].as_str().unwrap().to_owned();
        self.jobs.insert(name, end);
    }

    /// Somebody deletes the newest Job.
    pub(crate) fn lose(&mut self) {
        let name = self.made.last().expect("a Job")["metadata"]["name"].as_str().unwrap().to_owned();
        self.jobs.remove(&name);
    }

    fn delete(&mut self, kind: OwnedKind, name: &str, version: &str) -> bool {
        if name == legacy::NAME {
            self.log.push(format!("  delete Deployment {name}"));
            return self.legacy.take().is_some();
        }
        let slot = self.slots.get_mut(&color_of(name)).unwrap();
        if OwnedKind::SCALERS.contains(&kind) {
            self.log.push(format!("  delete {kind:?} {name}"));
            return slot.scalers.remove(&kind).is_some_and(|s| s["metadata"]["resourceVersion"] == version);
        }
        let fits = slot.deployment.as_ref().is_some_and(|d| d["metadata"]["resourceVersion"] == version);
        if fits {
            slot.deployment = None;
            slot.ready = 0;
            self.log.push(format!("  delete Deployment {name}"));
        }
        fits
    }

    fn put(&mut self, put: &Put) -> bool {
        let done = self.webhook.obeys(put);
        let blind = if put.version.is_none() { ", whatever it has" } else { "" };
        let failed = if done { "" } else { ": nothing came of it" };
        self.log.push(format!("  webhook {}/{}{blind}{failed}", put.shares.blue, put.shares.green));
        done
    }

    fn patch(&mut self, patch: &GuardedPatch) -> bool {
        let version = self.next_version();
        let (what, object) = match patch.kind {
            PatchKind::HttpRoute => ("route", self.route.as_mut().map(Arc::make_mut)),
            PatchKind::GrpcRoute => ("grpc route", self.grpc_route.as_mut().map(Arc::make_mut)),
            PatchKind::VirtualService => ("virtual service", self.virtual_service.as_mut().map(Arc::make_mut)),
            PatchKind::Service if patch.name == "chat" => ("selector", self.front.as_mut().map(Arc::make_mut)),
            PatchKind::FeatureFlag | PatchKind::LlmInferenceService | PatchKind::ModelRewrite => {
                let what = match patch.kind {
                    PatchKind::FeatureFlag => "feature flag",
                    PatchKind::ModelRewrite => "rewrite",
                    _ => "member",
                };
                (what, self.more.get_mut(&(patch.kind, patch.name.clone())).map(Arc::make_mut))
            }
            PatchKind::Deployment if patch.name == legacy::NAME => {
                ("legacy", self.legacy.as_mut().map(|legacy| &mut legacy.deployment))
            }
            PatchKind::LlmRollout => return self.patch_self(patch),
            PatchKind::Webhook => panic!("a webhook is told, not patched"),
            PatchKind::Service | PatchKind::Deployment => {
                let slot = self.slots.get_mut(&color_of(&patch.name)).unwrap();
                let object =
                    if patch.kind == PatchKind::Service { slot.service.as_mut() } else { slot.deployment.as_mut() };
                ("owner of", object)
            }
        };
        let Some(object) = object else { return false };
        if !obeys(object, &patch.ops) {
            return false;
        }
        object["metadata"]["resourceVersion"] = json!(version);
        let generation = object["metadata"]["generation"].as_i64().unwrap_or(1) + 1;
        object["metadata"]["generation"] = json!(generation);
        if what.ends_with("route") {
            object["status"] = status(generation);
        }
        let told = match what {
            "route" | "grpc route" | "virtual service" | "feature flag" | "rewrite" => {
                let alone = if backends(object).len() == 1 { ", one backend" } else { "" };
                let beside = super::objects::beside(object);
                format!("  {what} {}/{}{alone}{beside}", weight(object, 0), weight(object, 1))
            }
            "member" => format!("  weight of {} {}", patch.name, object["spec"]["router"]["route"]["weight"]),
            "selector" => format!("  selector {}", object["spec"]["selector"][labels::COLOR].as_str().unwrap_or("?")),
            _ if patch.ops.iter().any(|op| op["path"] == "/spec/replicas") => {
                let replicas = &object["spec"]["replicas"];
                let told = format!("  scale {} to {replicas}", patch.name);
                if *replicas == 0 && what != "legacy" {
                    self.slots.get_mut(&color_of(&patch.name)).unwrap().ready = 0;
                }
                told
            }
            "legacy" => format!("  label Deployment {}", patch.name),
            _ => format!("  let go {:?} {}", patch.kind, patch.name),
        };
        self.log.push(told);
        true
    }

    fn patch_self(&mut self, patch: &GuardedPatch) -> bool {
        let mut value = serde_json::to_value(&self.rollout.metadata).unwrap();
        let mut object = json!({"metadata": value.take()});
        if !obeys(&mut object, &patch.ops) {
            return false;
        }
        let version = self.next_version();
        let metadata = &mut Arc::make_mut(&mut self.rollout).metadata;
        *metadata = serde_json::from_value(object["metadata"].take()).unwrap();
        metadata.resource_version = Some(version);
        self.log.push(format!("  finalizers {:?}", self.rollout.metadata.finalizers.clone().unwrap_or_default()));
        true
    }

    /// Time passes. The operator looks when it is woken as in life: at once after what was done before, by an answer of
    /// Prometheus, or at the time it asked for itself.
    pub(crate) fn tick(&mut self, by: Duration) {
        for second in 0..by.as_secs() {
            self.now = self.now.plus(Duration::from_secs(1));
            let answered = self.ask();
            if second == 0 || answered || self.wake.is_some_and(|at| at <= self.now) {
                self.settle();
            }
        }
    }

    /// The board keeps the last of each question.
    fn publish(&mut self, question: Question, reading: Reading) {
        let readings = self.readings.entry(question).or_default();
        if readings.len() == KEPT {
            readings.remove(0);
        }
        readings.push(reading);
    }

    /// Prometheus answers what is due; says whether anything was.
    pub(crate) fn ask(&mut self) -> bool {
        let mut answered = false;
        for question in self.asks.clone() {
            let age = self.now.since(question.since).as_secs();
            if age < question.interval.max(question.shortest).as_secs()
                || !age.is_multiple_of(question.interval.as_secs())
            {
                continue;
            }
            let text = question.value.to_string();
            if question.asks_for_samples() {
                let outcome = self.scraped.map(|every| Sample { value: every, samples: 20.0 }).ok_or(NoData::Empty);
                let reading =
                    Reading { at: self.now, window: question.window, outcome, names: Vec::new(), weighed: None };
                self.publish(question, reading);
                answered = true;
                continue;
            }
            if !question.names.is_empty() {
                let reading = self.exposed(&question, &text);
                self.publish(question, reading);
                answered = true;
                continue;
            }
            let gate = self.signal_of(&question);
            if let Some(raw) = question.raw.clone() {
                let reading = self.counted.weigh(&question, &raw, gate, self.now);
                self.publish(question, reading);
                answered = true;
                continue;
            }
            let outcome = match self.signals[gate].clone() {
                Signal::Value(value, samples) => Ok(Sample { value: told(&text, value), samples }),
                Signal::Silent(why) => Err(why),
            };
            let reading = Reading { at: self.now, window: question.window, outcome, names: Vec::new(), weighed: None };
            self.publish(question, reading);
            answered = true;
        }
        answered
    }

    /// Whose word a question waits for. What is asked about the color that serves has a signal of its own.
    fn signal_of(&self, question: &Question) -> &'static str {
        let text = question.value.to_string();
        let serving = self.rollout.status.as_ref().and_then(|s| s.active).map(Color::word);
        let taken_over = text.contains(&format!("{}-", legacy::NAME));
        let serves = |color| taken_over || text.contains(&format!("chat-{color}-"));
        let beside = question.raw.is_none() && serving.is_some_and(serves);
        match () {
            () if question.about.as_ref().is_some_and(|a| Some(a.color) == serving) => "active-score",
            () if question.about.is_some() => "score",
            () if text.contains("ALERTS") => "alerts",
            () if beside && question.samples.to_string().contains("max_over_time") => "active-requests",
            () if beside && text.contains("_latency_seconds") => "active-p95",
            () if beside && text.contains("generation_tokens") => "active-cost",
            () if beside => "active-errors",
            () if question.samples.to_string().contains("max_over_time") => "requests",
            () if text.contains("_latency_seconds") => "p95",
            () if text.contains("generation_tokens") => "cost",
            () => "errors",
        }
    }

    /// What is asked now: about what, how far back at most and since which second of the story, how often.
    pub(crate) fn questions(&mut self) {
        for question in &self.asks {
            let since = question.since.unix() - 1_800_000_000;
            let (window, interval) = (question.window.as_secs(), question.interval.as_secs());
            let what = if question.names.is_empty() { self.signal_of(question) } else { "names" };
            let text = question.value.to_string();
            let both = ["chat-blue-", "chat-green-"].iter().all(|color| text.contains(color));
            let (both, first) =
                (if both { ", of both" } else { "" }, if question.urgent { ", first of all" } else { "" });
            let about: Vec<&str> = question.about.iter().flat_map(About::words).map(|(_, text)| text).collect();
            let about = if about.is_empty() { String::new() } else { format!(", about {}", about.join(" ")) };
            self.log.push(format!("  asks {what} of {window}s since {since} every {interval}s{both}{first}{about}"));
        }
    }

    /// The names that a color's pods expose, by the words they begin with: unless told otherwise, vLLM's.
    fn exposed(&self, question: &Question, text: &str) -> Reading {
        let color = Color::BOTH.into_iter().find(|c| text.contains(&format!("chat-{}-", c.word())));
        let begin = color.and_then(|c| self.exposed.get(&c)).map_or("vllm: http_", String::as_str);
        let (names, outcome) = if begin == "silent" {
            (Vec::new(), Err(NoData::Late))
        } else {
            let told = |name: &&String| begin.split(' ').any(|begin| name.starts_with(begin));
            let names: Vec<String> = question.names.iter().filter(told).cloned().collect();
            (names, Ok(Sample { value: 1.0, samples: 1.0 }))
        };
        Reading { at: self.now, window: question.window, outcome, names, weighed: None }
    }

    pub(crate) fn shares(&self) -> (i64, i64) {
        let claims = |kind| self.rollout.spec.traffic.iter().filter_map(Claim::of).any(|c| c.object().0 == kind);
        let weight_of = |name: &str| {
            let member = self.more.get(&(PatchKind::LlmInferenceService, name.to_owned()));
            member.and_then(|m| m["spec"]["router"]["route"]["weight"].as_i64()).unwrap_or(0)
        };
        if claims(PatchKind::Webhook) {
            return self.webhook.weights;
        }
        if claims(PatchKind::LlmInferenceService) {
            return (weight_of("chat-v1"), weight_of("chat-v2"));
        }
        let more = self.more.iter().find(|((kind, _), _)| claims(*kind)).map(|(_, object)| object);
        let route = match () {
            () if claims(PatchKind::HttpRoute) => self.route.as_ref(),
            () if claims(PatchKind::GrpcRoute) => self.grpc_route.as_ref(),
            () if claims(PatchKind::VirtualService) => self.virtual_service.as_ref(),
            () => more.or(self.route.as_ref()),
        };
        route.map_or((0, 0), |r| (weight(r, 0), weight(r, 1)))
    }
}

/// What stands in the world of other kinds.
fn of_others() -> BTreeMap<(PatchKind, String), Arc<Value>> {
    BTreeMap::from([
        ((PatchKind::FeatureFlag, "chat".to_owned()), feature_flag(100, 0).into()),
        ((PatchKind::LlmInferenceService, "chat-v1".to_owned()), member("chat-v1", 100).into()),
        ((PatchKind::LlmInferenceService, "chat-v2".to_owned()), member("chat-v2", 0).into()),
        ((PatchKind::ModelRewrite, "chat".to_owned()), rewrite(100, 0).into()),
    ])
}

/// Whether it moves traffic or takes a color away.
fn moves(intent: &Intent) -> bool {
    let patch = match intent {
        Intent::Apply(_) => return false,
        Intent::Delete { kind, .. } => return *kind == OwnedKind::Deployment,
        Intent::Put(_) | Intent::Scale { .. } => return true,
        Intent::Patch(patch) => patch,
    };
    let scales = || patch.ops.iter().any(|op| op["path"] == "/spec/replicas");
    match patch.kind {
        PatchKind::Service => patch.name == "chat",
        PatchKind::Deployment => scales(),
        PatchKind::LlmRollout => false,
        _ => true,
    }
}

/// What a question about a latency gets for an answer when nearly all requests take as long as the slowest do: the share
/// above a bound of the buckets if that is asked for, else the seconds themselves.
fn told(text: &str, seconds: f64) -> f64 {
    let bound = text.split_once("le=~\"").and_then(|(_, rest)| rest.split(['|', '"']).next());
    let bound = bound.map(|bound| bound.replace("\\\\", "").parse::<f64>().expect("a bound"));
    match bound {
        Some(bound) if seconds.is_finite() => {
            if seconds > bound {
                0.5
            } else {
                0.004
            }
        }
        _ => seconds,
    }
}

fn stuck((revision, why): &(String, String)) -> Stuck {
    Stuck { pod: "chat-1".into(), revision: Some(revision.clone()), why: why.clone() }
}
