//! A cluster, as far as a rollout can tell: what stands in it, what a look at it tells, and how time passes. The operator
//! looks when it is woken as in life. It knows nothing of how `decide` decides.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::Value;

use super::{
    calls::Ringing,
    figures::{Figures, Of},
    objects::{self, Key},
    scenario::{Ending, Gateway, Hooked},
    timeline::{State, Timeline},
};
use crate::{
    api::{LlmRollout, LlmRolloutStatus, Moment, status::Color},
    cli::manifest::Manifest,
    decide::{
        Meant, decide,
        intent::OwnedKind,
        plan::Plan,
        snapshot::{Around, GateSets, JobSeen, Offers, OrderSeen, PriceListSeen, Standing},
        whose::{Whose, whose},
    },
    metrics::{Question, Reading},
    routers::{Claim, RouterSeen, grant::Grant, mirror::ClassSeen},
};

/// Readings of a question that are kept.
const KEPT: usize = 100;
/// Passes after which nothing may change any more.
const REST: usize = 60;
/// Pods of a color that somebody else owns.
const PODS: i32 = 2;
/// What testers send of all requests.
const TESTERS: f64 = 0.02;

/// One color's objects.
#[derive(Clone, Debug, Default)]
pub(super) struct Slot {
    pub(super) deployment: Option<Value>,
    pub(super) service: Option<Value>,
    pub(super) ready: i32,
    /// When pods that were begun are ready, unless new ones fail.
    pub(super) up_at: Option<Moment>,
    pub(super) fails: bool,
    /// Pods that somebody else wants of it.
    pub(super) size: i32,
    /// What scales it: only its floor counts, for nothing here tells what load asks for.
    pub(super) scalers: BTreeMap<OwnedKind, Value>,
}

/// A Job of ours.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// The gate, check or hook that it is run for.
    pub(super) about: String,
    /// When it ends, if it does.
    pub(super) ends: Option<Moment>,
    pub(super) seen: JobSeen,
}

/// What stands behind a webhook.
#[derive(Clone, Debug)]
pub(super) struct Balancer {
    pub(super) weights: (i64, i64),
    pub(super) version: u64,
}

/// The cluster.
pub(super) struct World {
    pub(super) now: Moment,
    pub(super) began: Moment,
    pub(super) rollout: Arc<LlmRollout>,
    pub(super) blue: Slot,
    pub(super) green: Slot,
    pub(super) objects: BTreeMap<Key, Value>,
    pub(super) webhooks: BTreeMap<String, Balancer>,
    pub(super) hooked: Hooked,
    pub(super) gateway: Gateway,
    pub(super) orders: Vec<OrderSeen>,
    pub(super) others: BTreeMap<String, Standing>,
    pub(super) jobs: BTreeMap<String, Run>,
    pub(super) called: BTreeMap<String, Ringing>,
    pub(super) endings: BTreeMap<String, Ending>,
    pub(super) figures: Figures,
    pub(super) timeline: Timeline,
    /// Looks so far.
    pub(super) looks: usize,
    /// Somebody agrees to whatever waits for it.
    pub(super) agrees: bool,
    /// It did not come to rest.
    pub(super) restless: bool,
    pub(super) sets: GateSets,
    pub(super) offers: Arc<Offers>,
    pub(super) price_list: PriceListSeen,
    pub(super) grants: Vec<Grant>,
    pub(super) classes: [ClassSeen; 1],
    pub(super) readings: BTreeMap<Question, Vec<Reading>>,
    pub(super) asks: BTreeMap<Question, Vec<Whose>>,
    wake: Option<Moment>,
    pub(super) meant: Option<Arc<Meant>>,
    version: i64,
}

impl World {
    /// What there is before anybody has looked.
    pub(super) fn new(manifest: &Manifest, namespace: &str, began: Moment) -> Self {
        let mut rollout = manifest.rollout.clone();
        rollout.metadata.namespace = Some(namespace.to_owned());
        rollout.metadata.uid = Some("simulated".to_owned());
        rollout.metadata.generation = Some(1);
        rollout.metadata.resource_version = Some("1".to_owned());
        rollout.status = None;
        let mut price_list = manifest.price_list();
        if let PriceListSeen::There(list) = &mut price_list {
            list.insert("asOf".to_owned(), began.to_string().chars().take(10).collect());
        }
        let somebodys = rollout.spec.release.pair.is_some();
        let slot = if somebodys { Slot { ready: PODS, size: PODS, ..Slot::default() } } else { Slot::default() };
        let hooks = rollout.spec.traffic.iter().filter_map(|router| router.webhook.as_ref());
        let balancer = |name: &String| (name.clone(), Balancer { weights: (100, 0), version: 1 });
        Self {
            now: began,
            began,
            blue: slot.clone(),
            green: slot,
            objects: objects::routers(&rollout),
            webhooks: hooks.map(|w| balancer(&w.name)).collect(),
            hooked: Hooked::Well,
            gateway: Gateway::Follows,
            orders: Vec::new(),
            others: BTreeMap::new(),
            jobs: BTreeMap::new(),
            called: BTreeMap::new(),
            endings: BTreeMap::new(),
            figures: Figures::default(),
            timeline: Timeline::new(began),
            looks: 0,
            agrees: false,
            restless: false,
            sets: manifest.sets.clone(),
            offers: Arc::new(manifest.offers()),
            price_list,
            grants: objects::grants(&rollout),
            classes: objects::classes(),
            readings: BTreeMap::new(),
            asks: BTreeMap::new(),
            wake: None,
            meant: None,
            version: 1,
            rollout: Arc::new(rollout),
        }
    }

    pub(super) fn next_version(&mut self) -> String {
        self.version += 1;
        self.version.to_string()
    }

    pub(super) fn own(&self) -> &str {
        self.rollout.metadata.namespace.as_deref().unwrap_or_default()
    }

    pub(super) fn slot(&mut self, color: Color) -> &mut Slot {
        match color {
            Color::Blue => &mut self.blue,
            Color::Green => &mut self.green,
        }
    }

    /// Somebody edits the manifest.
    pub(super) fn edit(&mut self, change: impl FnOnce(&mut LlmRollout)) {
        let version = self.next_version();
        let rollout = Arc::make_mut(&mut self.rollout);
        change(rollout);
        rollout.metadata.generation = rollout.metadata.generation.map(|g| g + 1);
        rollout.metadata.resource_version = Some(version);
        // A gate may mean something else by the same question.
        self.asks.clear();
    }

    /// What the manifest means now.
    pub(super) fn plan(&self) -> Result<Plan, String> {
        let around = Around { price_list: &self.price_list, now: self.now, ..Around::new(&self.sets, &self.offers) };
        Plan::read(&self.rollout.spec, around).map_err(|wrong| wrong.message)
    }

    /// Looks until nothing changes any more, and tells how it stands.
    pub(super) fn settle(&mut self) {
        self.restless = !(0..REST).any(|_| !(self.pass() || self.agrees && self.agree()));
        let name = |seen: &RouterSeen| match &seen.state {
            Ok(state) => format!("{} {}/{}", seen.name, state.shares.blue, state.shares.green),
            Err(_) => format!("{} ?", seen.name),
        };
        let routers = self.routers().iter().map(name).collect();
        if let Some(status) = &self.rollout.status {
            self.timeline.state(self.now, State::of(status, routers));
        }
    }

    /// One pass; says whether it changed anything.
    fn pass(&mut self) -> bool {
        self.looks += 1;
        let mut seen = self.snapshot(false);
        let mut decision = decide(&seen);
        if decision.wants_live {
            seen = self.snapshot(true);
            decision = decide(&seen);
        }
        self.wake = decision.wake;
        self.meant.clone_from(&decision.meant);
        if !self.asks.keys().eq(&decision.asks) {
            let all = whose(&seen);
            let of = |q: &Question| all.iter().filter(|(of, _)| of == q).map(|(_, whose)| whose.clone()).collect();
            self.asks = decision.asks.iter().map(|q| (q.clone(), of(q))).collect();
        }
        self.obey(&decision)
    }

    /// When something happens next, if anything does.
    pub(super) fn next(&self) -> Option<Moment> {
        let soon = self.now.plus(Duration::from_secs(1));
        let pods = self.blue.up_at.iter().chain(&self.green.up_at).copied();
        let jobs = self.jobs.values().filter_map(|run| run.ends);
        let calls = self.called.values().filter_map(|call| call.ends);
        let answers = self.asks.keys().map(|q| due(q, self.now));
        self.wake.into_iter().chain(pods).chain(jobs).chain(calls).chain(answers).map(|at| at.max(soon)).min()
    }

    /// It is later: pods come up, Jobs end, providers answer.
    pub(super) fn later(&mut self, now: Moment) {
        let before = std::mem::replace(&mut self.now, now);
        for color in Color::BOTH {
            let slot = self.slot(color);
            if slot.up_at.is_some_and(|at| at <= now) {
                slot.up_at = None;
                slot.ready = slot.deployment.as_ref().map_or(slot.size, replicas);
            }
        }
        self.end_runs();
        let due: Vec<Question> = self.asks.keys().filter(|q| due(q, before) <= now).cloned().collect();
        let Some(of) = self.of() else { return };
        for question in due {
            let whose = self.asks.get(&question).map(Vec::as_slice).unwrap_or_default();
            let reading = self.figures.answer(&question, whose, of);
            let readings = self.readings.entry(question).or_default();
            if readings.len() == KEPT {
                readings.remove(0);
            }
            readings.push(reading);
        }
    }

    fn of(&self) -> Option<Of> {
        let status = self.rollout.status.as_ref()?;
        let active = status.active?;
        let aside = status.attempt.as_ref().filter(|a| a.ended_at.is_none()).map(|a| &a.aside);
        let copies = aside.and_then(|aside| aside.mirror).map_or(0.0, |percent| f64::from(percent) / 100.0);
        let testers = if aside.is_some_and(|aside| !aside.testers.is_empty()) { TESTERS } else { 0.0 };
        let claims = self.rollout.spec.traffic.iter().filter_map(Claim::of);
        let part = |claim| Some(self.router(claim).state.ok()?.shares.of(active.other()).part());
        // One that cannot split follows those that can.
        let share = claims.filter_map(part).fold(0.0, f64::max);
        Some(Of { active, share: if share > 0.0 { share } else { copies.max(testers) }, now: self.now })
    }

    pub(super) fn record(&mut self, next: &LlmRolloutStatus) {
        let version = self.next_version();
        let rollout = Arc::make_mut(&mut self.rollout);
        rollout.status = Some(next.clone());
        rollout.metadata.resource_version = Some(version);
    }
}

/// Pods that a Deployment wants.
pub(super) fn replicas(deployment: &Value) -> i32 {
    deployment["spec"]["replicas"].as_i64().and_then(|n| i32::try_from(n).ok()).unwrap_or(1)
}

/// When a question is asked next, after this time.
fn due(question: &Question, after: Moment) -> Moment {
    let every = question.interval.as_secs().max(1);
    let rounds = |seconds: u64| seconds.div_ceil(every) * every;
    let age = after.since(question.since).as_secs();
    let first = rounds(question.interval.max(question.shortest).as_secs());
    question.since.plus(Duration::from_secs(((age / every + 1) * every).max(first)))
}
