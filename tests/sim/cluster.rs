//! The simulated cluster: storage, network, lease and people in one locked place, and the log of what happened. Every
//! change passes through `happened`, which tells caches and controllers and has each write of an operator judged.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use llmrollout::{
    api::{LlmRollout, Moment, status::Color},
    metrics::Reading,
};
use serde_json::{Value, json};
use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};

use super::{
    faults::What,
    judge::{self, Judge},
    pods::Fleet,
    prometheus::About,
    rng::Rng,
    store::{Change, Key, Store, key},
};

/// Unix time at which every story begins.
pub(crate) const BEGIN: u64 = 1_800_000_000_000;
/// The deadline of one call of an operator.
pub(crate) const DEADLINE: u64 = 2_000;

pub(crate) struct Cluster {
    state: Mutex<Sim>,
    began: Instant,
    pub(crate) pods: Notify,
    pub(crate) gateway: Notify,
    /// The rollout changed.
    pub(crate) moved: Notify,
}

/// Where a process dies around one of its writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    BeforeForwarding,
    AfterForwarding,
    AfterTheReply,
}

/// What Prometheus does instead of answering well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prom {
    Down,
    NotANumber,
    ManySeries,
    FewRequests,
    Bad,
}

/// What one pass of an operator knew when it wrote.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Counts passes; an answer that comes later is of an older one.
    pub(crate) pass: u64,
    /// When it began.
    pub(crate) began: u64,
    /// The rollout as its cache had it.
    pub(crate) cached: Option<Arc<LlmRollout>>,
    /// The rollout as it was read from the API server in this pass.
    pub(crate) live: Option<Arc<Value>>,
    /// Ready endpoints as they were read in this pass.
    pub(crate) ready: BTreeMap<Color, i64>,
    /// Readings that had been put on the board of the process when the pass began.
    pub(crate) readings: usize,
}

/// An answer of Prometheus that a process got.
#[derive(Clone, Debug)]
pub(crate) struct Logged {
    pub(crate) workload: &'static str,
    pub(crate) about: About,
    pub(crate) reading: Reading,
}

/// One operator, seen from outside.
#[derive(Default)]
pub(crate) struct Op {
    pub(crate) leads: bool,
    pub(crate) known: Known,
    pub(crate) log: Vec<Logged>,
    pub(crate) sink: Option<mpsc::UnboundedSender<Change>>,
    pub(crate) frozen_until: u64,
    pub(crate) away_until: u64,
    pub(crate) unseen: u32,
    pub(crate) lose: u32,
    pub(crate) repeat: u32,
    pub(crate) crash_at: Option<(u64, Point)>,
    pub(crate) skew: i64,
    pub(crate) crash: Arc<Notify>,
    /// Of the loop over `chat` and of the one over `base`.
    pub(crate) wakes: [Arc<Notify>; 2],
}

/// What is wrong around the cluster at the moment: each until its time.
#[derive(Default)]
pub(crate) struct Weather {
    pub(crate) slow: (u64, u64),
    pub(crate) down: u64,
    pub(crate) hangs: bool,
    pub(crate) refuse: (u64, u16),
    pub(crate) prom: Option<(u64, Prom)>,
    pub(crate) gateway_refuses: u64,
    pub(crate) gateway_silent: u64,
}

/// What happened, when it did.
#[derive(Clone, Debug)]
pub(crate) struct Happening {
    pub(crate) at: u64,
    pub(crate) what: What,
    /// The color that did not serve then.
    pub(crate) idle: Option<Color>,
    /// The order that was given.
    pub(crate) said: Value,
}

pub(crate) struct Sim {
    pub(crate) rng: Rng,
    pub(crate) store: Store,
    pub(crate) ops: [Op; 2],
    pub(crate) weather: Weather,
    /// By the name of the Deployment.
    pub(crate) fleets: BTreeMap<String, Fleet>,
    pub(crate) judge: Judge,
    pub(crate) story: Vec<String>,
    pub(crate) happenings: Vec<Happening>,
    /// Changes that operators made, and when the last one was.
    pub(crate) writes: u64,
    pub(crate) last_write: u64,
}

impl Cluster {
    pub(crate) fn new(seed: u64, store: Store, fleets: BTreeMap<String, Fleet>) -> Arc<Self> {
        let sim = Sim {
            rng: Rng::new(seed),
            store,
            ops: [Op { leads: true, ..Op::default() }, Op::default()],
            weather: Weather::default(),
            fleets,
            judge: Judge::default(),
            story: Vec::new(),
            happenings: Vec::new(),
            writes: 0,
            last_write: 0,
        };
        let (pods, gateway, moved) = (Notify::new(), Notify::new(), Notify::new());
        Arc::new(Self { state: Mutex::new(sim), began: Instant::now(), pods, gateway, moved })
    }

    pub(crate) fn sim(&self) -> MutexGuard<'_, Sim> {
        self.state.lock().unwrap()
    }

    /// Milliseconds since the story began.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap()
    }

    pub(crate) fn at(&self, ms: u64) -> Instant {
        self.began + std::time::Duration::from_millis(ms)
    }

    pub(crate) fn tell(&self, words: impl std::fmt::Display) {
        let now = self.now();
        self.sim().tell(now, words);
    }

    /// Somebody who is no operator changes an object.
    pub(crate) fn edit(&self, key: &Key, words: &str, change: impl FnOnce(&mut Value)) {
        let now = self.now();
        let mut sim = self.sim();
        let changes = sim.store.edit(key, change);
        if !words.is_empty() {
            sim.tell(now, words);
        }
        self.happened(&mut sim, &changes);
    }

    /// Somebody who is no operator creates an object.
    pub(crate) fn create(&self, key: &Key, object: Value) {
        let mut sim = self.sim();
        let changes = sim.store.create(key, object);
        self.happened(&mut sim, &changes);
    }

    /// What a clock shows that is right.
    pub(crate) fn moment(&self) -> Moment {
        Moment::from_unix(i64::try_from((BEGIN + self.now()) / 1000).unwrap())
    }

    /// Caches, controllers and the judge learn of changes.
    pub(crate) fn happened(&self, sim: &mut Sim, changes: &[Change]) {
        let now = self.now();
        for change in changes {
            judge::see(sim, now, change);
            match change.key.0 {
                "deployments" => self.pods.notify_one(),
                "httproutes" => self.gateway.notify_one(),
                "llmrollouts" => self.moved.notify_waiters(),
                _ => {}
            }
            for op in &sim.ops {
                if let Some(sink) = &op.sink {
                    let _ = sink.send(change.clone());
                }
            }
        }
    }
}

impl Known {
    /// The rollout on which the pass decided.
    pub(crate) fn rollout(&self) -> Value {
        let cached = || serde_json::to_value(self.cached.as_deref()).unwrap();
        self.live.as_deref().cloned().unwrap_or_else(cached)
    }
}

impl Sim {
    pub(crate) fn tell(&mut self, now: u64, words: impl std::fmt::Display) {
        self.story.push(format!("{:>8.3}s  {words}", std::time::Duration::from_millis(now).as_secs_f64()));
    }

    pub(crate) fn rollout(&self) -> Option<&Value> {
        self.store.get(&key("llmrollouts", "chat"))
    }

    pub(crate) fn status(&self) -> &Value {
        self.rollout().map_or(&Value::Null, |r| &r["status"])
    }

    /// The orders that people have given to the attempt.
    pub(crate) fn orders(&self, attempt: &Value) -> impl Iterator<Item = &Value> {
        let all = self.store.all().filter(|(k, _)| k.0 == "llmrolloutorders").map(|(_, v)| v);
        all.filter(move |o| o["spec"]["attempt"] == *attempt)
    }

    pub(crate) fn ready(&self, color: Color) -> i64 {
        let slice = self.store.get(&key("endpointslices", &format!("chat-{}-1", color.word())));
        let endpoints = slice.and_then(|s| s["endpoints"].as_array());
        let ready = endpoints.into_iter().flatten().filter(|e| e["conditions"]["ready"] == json!(true));
        i64::try_from(ready.count()).unwrap()
    }

    pub(crate) fn image(&self, color: Color) -> String {
        self.image_of("chat", color)
    }

    pub(crate) fn image_of(&self, name: &str, color: Color) -> String {
        let deployment = self.store.get(&key("deployments", &format!("{name}-{}", color.word())));
        deployment.map_or_else(String::new, |d| image_of(&d["spec"]["template"]).to_owned())
    }

    pub(crate) fn share(&self, color: Color) -> i64 {
        self.share_of("chat", color)
    }

    /// The largest share that a router of a rollout gives a color.
    pub(crate) fn share_of(&self, name: &str, color: Color) -> i64 {
        let rollout = self.store.get(&key("llmrollouts", name));
        let routers = rollout.and_then(|r| r["spec"]["traffic"].as_array());
        let mut most = 0;
        for router in routers.into_iter().flatten() {
            let plural = if router["service"].is_object() { "services" } else { "httproutes" };
            if let Some(object) = self.store.get(&key(plural, name)) {
                most = most.max(share(plural, object, color));
            }
        }
        most
    }
}

pub(crate) fn image_of(template: &Value) -> &str {
    template["spec"]["containers"][0]["image"].as_str().unwrap_or_default()
}

/// The share that one router gives a color.
pub(crate) fn share(plural: &str, object: &Value, color: Color) -> i64 {
    if plural == "services" {
        return if object["spec"]["selector"]["llmrollout.io/color"] == json!(color.word()) { 100 } else { 0 };
    }
    let backend = usize::from(color == Color::Green);
    object["spec"]["rules"][1]["backendRefs"][backend]["weight"].as_i64().unwrap_or(-1)
}
