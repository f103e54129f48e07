//! What happens to a story besides the operators: faults, other writers, people. Drawn from a seed, told in words, and
//! carried out at their time.

use std::{fmt, sync::Arc, time::Duration};

use llmrollout::api::status::Color;
use serde_json::json;
use tokio::time::{sleep, sleep_until};

use super::{
    cluster::{Cluster, Happening, Point, Prom, Weather, share},
    manifest::Course,
    people::{self, Word},
    rng::Rng,
    store::key,
};

/// One happening, at its time in milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) at: u64,
    /// The first time after that at which the rollout is in this phase; or at once.
    pub(crate) when: Option<&'static str>,
    pub(crate) what: What,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = Duration::from_millis(self.at).as_secs_f64();
        match self.when {
            Some(phase) => write!(f, "from {seconds:.3}s, when {phase}: {}", self.what),
            None => write!(f, "at {seconds:.3}s {}", self.what),
        }
    }
}

/// Who leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lease {
    Other,
    Both,
    None,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Crash { op: usize, write: u64, point: Point },
    Restart { op: usize, skew: i64 },
    Away { op: usize, ms: u64 },
    Slow { most: u64, ms: u64 },
    Lost { op: usize },
    Repeated { op: usize },
    Refused { code: u16, ms: u64 },
    Down { hangs: bool, ms: u64 },
    Frozen { op: usize, ms: u64 },
    Unseen { op: usize, count: u32 },
    Lease { who: Lease, ms: u64 },
    Prometheus { what: Prom, ms: u64 },
    Route { green: i64 },
    Selector { color: Color },
    SelfHeal { ms: u64 },
    Dead { color: Color, ms: u64 },
    GatewayRefuses { ms: u64 },
    GatewaySilent { ms: u64 },
    Release { image: &'static str },
    Paused(bool),
    Abort(bool),
    Replicas(i64),
    Order(Word),
    Base { image: &'static str },
    Delete,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = |ms: &u64| Duration::from_millis(*ms).as_secs_f64();
        match self {
            Self::Crash { op, write, point } => {
                write!(f, "operator {op} will die around its write {write} from now: {point:?}")
            }
            Self::Restart { op, skew } => {
                write!(f, "operator {op} is killed; its wall clock is {skew}s off from now on")
            }
            Self::Away { op, ms } => write!(f, "operator {op} is killed and stays away for {}s", s(ms)),
            Self::Slow { most, ms } => write!(f, "requests take up to {most} ms for {}s", s(ms)),
            Self::Lost { op } => write!(f, "the reply to the next write of operator {op} will be lost"),
            Self::Repeated { op } => write!(f, "the next write of operator {op} will arrive twice"),
            Self::Refused { code, ms } => write!(f, "writes are answered {code} for {}s", s(ms)),
            Self::Down { hangs: true, ms } => write!(f, "the API server hangs for {}s", s(ms)),
            Self::Down { hangs: false, ms } => write!(f, "the API server cannot be reached for {}s", s(ms)),
            Self::Frozen { op, ms } => write!(f, "the caches of operator {op} stand still for {}s", s(ms)),
            Self::Unseen { op, count } => write!(f, "the next {count} changes are not seen by operator {op}"),
            Self::Lease { who, ms } => write!(f, "for {}s the lease is held by: {who:?}", s(ms)),
            Self::Prometheus { what, ms } => write!(f, "Prometheus for {}s: {what:?}", s(ms)),
            Self::Route { green } => write!(f, "somebody sets the route to {}/{green}", 100 - green),
            Self::Selector { color } => write!(f, "somebody points the selector to {}", color.word()),
            Self::SelfHeal { ms } => write!(f, "a controller keeps putting the route back to 100/0 for {}s", s(ms)),
            Self::Dead { color, ms } => write!(f, "the pods of {} are down for {}s", color.word(), s(ms)),
            Self::GatewayRefuses { ms } => write!(f, "the gateway refuses routes for {}s", s(ms)),
            Self::GatewaySilent { ms } => write!(f, "the gateway says nothing for {}s", s(ms)),
            Self::Release { image } => write!(f, "{image} is to be released"),
            Self::Paused(on) => write!(f, "paused: {on}"),
            Self::Abort(on) => write!(f, "abort: {on}"),
            Self::Replicas(n) => write!(f, "replicas: {n}"),
            Self::Order(word) => word.fmt(f),
            Self::Base { image } => write!(f, "{image} is to be released in base"),
            Self::Delete => write!(f, "the rollout is deleted"),
        }
    }
}

/// How much may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Only what a release must not be touched by.
    Machinery,
    /// And what people want.
    People,
    /// And what happens to pods, gateway, Prometheus and routes.
    Everything,
}

/// The time in which things happen.
pub(crate) const SPAN: u64 = 130_000;

const PHASES: [&str; 11] = [
    "Pending",
    "Preparing",
    "Shifting",
    "Holding",
    "AwaitingApproval",
    "Paused",
    "Baking",
    "Decommissioning",
    "RollingBack",
    "RolledBack",
    "Completed",
];

pub(crate) fn draw(rng: &mut Rng, class: Class, course: &Course) -> Vec<Event> {
    let image = rng.pick(&["chat:v2", "chat:v2", "chat:bad1", "chat:v2", "chat:crash1", "chat:v2"]);
    let mut events = vec![Event { at: rng.between(0, 3_000), when: None, what: What::Release { image } }];
    for _ in 0..rng.between(1, 9) {
        let at = rng.between(0, SPAN);
        let what = match (class, rng.between(0, 9)) {
            (Class::People | Class::Everything, 0..=3) => people::draw(rng, course.base),
            (Class::Everything, 4..=6) => world(rng),
            _ => machinery(rng),
        };
        let when = rng.chance(30).then(|| rng.pick(&PHASES));
        events.push(Event { at: if when.is_some() { at / 2 } else { at }, when, what });
    }
    if course.change["fastTrack"].is_object() && class != Class::Machinery && rng.chance(60) {
        // Back to what served before: known to be good, if all went well.
        events.push(Event { at: 5_000, when: Some("Completed"), what: What::Release { image: "chat:v1" } });
    }
    events.sort_by_key(|e| e.at);
    events
}

fn machinery(rng: &mut Rng) -> What {
    let op = usize::try_from(rng.between(0, 9) / 7).unwrap();
    let ms = rng.between(500, 9_000);
    match rng.between(0, 13) {
        0..=3 => {
            let point = rng.pick(&[Point::BeforeForwarding, Point::AfterForwarding, Point::AfterTheReply]);
            What::Crash { op, write: rng.between(0, 6), point }
        }
        4 => What::Away { op, ms: rng.pick(&[2_000, 30_000, 140_000]) },
        5 => What::Slow { most: rng.pick(&[200, 1_500, 4_000]), ms },
        6 => What::Lost { op },
        7 => What::Repeated { op },
        8 => What::Refused { code: rng.pick(&[409, 429, 500, 503, 403, 409]), ms },
        9 => What::Down { hangs: rng.chance(50), ms },
        10 => What::Frozen { op, ms: rng.between(500, 30_000) },
        11 => What::Unseen { op, count: u32::try_from(rng.between(1, 3)).unwrap() },
        _ => What::Lease {
            who: rng.pick(&[Lease::Other, Lease::Both, Lease::Both, Lease::None]),
            ms: rng.between(500, 40_000),
        },
    }
}

fn world(rng: &mut Rng) -> What {
    let ms = rng.between(500, 40_000);
    let color = rng.pick(&Color::BOTH);
    match rng.between(0, 11) {
        0..=2 => {
            let what = rng.pick(&[Prom::Down, Prom::NotANumber, Prom::ManySeries, Prom::FewRequests, Prom::Bad]);
            What::Prometheus { what, ms: if rng.chance(25) { 200_000 } else { ms } }
        }
        3..=4 => What::Route { green: rng.pick(&[0, 1, 5, 33, 50, 100]) },
        5 => What::Selector { color },
        6 => What::SelfHeal { ms },
        7..=8 => What::Dead { color, ms },
        9 => What::GatewayRefuses { ms },
        10 => What::GatewaySilent { ms },
        _ => What::Restart { op: 0, skew: rng.pick(&[-300, -20, 20, 300]) },
    }
}

/// Everything happens at its time; then the weather clears.
pub(crate) async fn play(cluster: &Arc<Cluster>, events: &[Event]) {
    for event in events {
        sleep_until(cluster.at(event.at)).await;
        match event.when {
            Some(phase) => drop(tokio::spawn(in_phase(Arc::clone(cluster), phase, event.what.clone()))),
            None => happen(cluster, &event.what),
        }
    }
    sleep_until(cluster.at(SPAN)).await;
    clear(cluster);
}

async fn in_phase(cluster: Arc<Cluster>, phase: &'static str, what: What) {
    let reached = async {
        while cluster.sim().status()["phase"] != phase {
            cluster.moved.notified().await;
        }
    };
    if tokio::time::timeout_at(cluster.at(SPAN), reached).await.is_ok() {
        let delay = cluster.sim().rng.between(0, 1_500);
        sleep(Duration::from_millis(delay)).await;
        if cluster.now() < SPAN {
            happen(&cluster, &what);
        }
    }
}

fn clear(cluster: &Arc<Cluster>) {
    cluster.tell("* nothing happens any more");
    let mut sim = cluster.sim();
    sim.weather = Weather::default();
    for op in &mut sim.ops {
        op.unseen = 0;
        op.lose = 0;
        op.repeat = 0;
        op.crash_at = None;
    }
    for fleet in sim.fleets.values_mut() {
        fleet.down_until = fleet.down_until.min(cluster.now());
    }
    drop(sim);
    lead(cluster, [true, false]);
    cluster.pods.notify_one();
    cluster.gateway.notify_one();
}

fn lead(cluster: &Cluster, leads: [bool; 2]) {
    let mut sim = cluster.sim();
    for (op, leads) in sim.ops.iter_mut().zip(leads) {
        op.leads = leads;
        op.wakes.iter().for_each(|w| w.notify_one());
    }
}

pub(crate) fn happen(cluster: &Arc<Cluster>, what: &What) {
    cluster.tell(format_args!("* {what}"));
    {
        let now = cluster.now();
        let mut sim = cluster.sim();
        let idle = Color::BOTH.into_iter().find(|c| sim.status()["active"] == json!(c.other().word()));
        sim.happenings.push(Happening { at: now, what: what.clone(), idle, said: json!(null) });
    }
    match what {
        What::Release { .. } | What::Paused(_) | What::Abort(_) | What::Replicas(_) => {
            cluster.edit(&key("llmrollouts", "chat"), "", |r| people::wish(&mut r["spec"], what));
        }
        What::Base { .. } => cluster.edit(&key("llmrollouts", "base"), "", |r| people::wish(&mut r["spec"], what)),
        What::Order(word) => people::give(cluster, word),
        What::Delete => delete(cluster),
        _ => disturb(cluster, what),
    }
}

/// What nobody wants.
fn disturb(cluster: &Arc<Cluster>, what: &What) {
    let until = |ms: u64| cluster.now() + ms;
    match *what {
        What::Crash { op, write, point } => cluster.sim().ops[op].crash_at = Some((write, point)),
        What::Restart { op, skew } => {
            let mut sim = cluster.sim();
            sim.ops[op].skew = skew;
            sim.ops[op].crash.notify_one();
        }
        What::Away { op, ms } => {
            let mut sim = cluster.sim();
            sim.ops[op].away_until = until(ms).max(sim.ops[op].away_until);
            sim.ops[op].crash.notify_one();
        }
        What::Slow { most, ms } => cluster.sim().weather.slow = (until(ms), most),
        What::Lost { op } => cluster.sim().ops[op].lose += 1,
        What::Repeated { op } => cluster.sim().ops[op].repeat += 1,
        What::Refused { code, ms } => cluster.sim().weather.refuse = (until(ms), code),
        What::Down { hangs, ms } => {
            let mut sim = cluster.sim();
            sim.weather.down = until(ms);
            sim.weather.hangs = hangs;
        }
        What::Frozen { op, ms } => cluster.sim().ops[op].frozen_until = until(ms),
        What::Unseen { op, count } => cluster.sim().ops[op].unseen = count,
        What::Lease { who, ms } => hand_over(cluster, who, ms),
        What::Prometheus { what, ms } => cluster.sim().weather.prom = Some((until(ms), what)),
        What::Dead { color, ms } => {
            if let Some(fleet) = cluster.sim().fleets.get_mut(&format!("chat-{}", color.word())) {
                fleet.down_until = until(ms);
            }
            cluster.pods.notify_one();
        }
        What::GatewayRefuses { ms } => cluster.sim().weather.gateway_refuses = until(ms),
        What::GatewaySilent { ms } => cluster.sim().weather.gateway_silent = until(ms),
        What::Route { green } => set_route(cluster, green, ""),
        What::Selector { color } => cluster.edit(&key("services", "chat"), "", |s| {
            s["spec"]["selector"]["llmrollout.io/color"] = json!(color.word());
        }),
        What::SelfHeal { ms } => drop(tokio::spawn(self_heal(Arc::clone(cluster), until(ms).min(SPAN)))),
        _ => {}
    }
}

fn hand_over(cluster: &Arc<Cluster>, who: Lease, ms: u64) {
    let leads = match who {
        Lease::Other => [false, true],
        Lease::Both => [true, true],
        Lease::None => [false, false],
    };
    lead(cluster, leads);
    let cluster = Arc::clone(cluster);
    tokio::spawn(async move {
        sleep(Duration::from_millis(ms)).await;
        lead(&cluster, [true, false]);
    });
}

/// What Argo CD does with a route that Git has at 100/0.
async fn self_heal(cluster: Arc<Cluster>, end: u64) {
    while cluster.now() < end {
        let moved = {
            let sim = cluster.sim();
            sim.store.get(&key("httproutes", "chat")).is_some_and(|r| share("httproutes", r, Color::Green) != 0)
        };
        if moved {
            set_route(&cluster, 0, "the other controller sets the route to 100/0");
        }
        sleep(Duration::from_secs(5)).await;
    }
}

fn delete(cluster: &Cluster) {
    let at = cluster.moment().to_string();
    let mut sim = cluster.sim();
    let changes = sim.store.delete(&key("llmrollouts", "chat"), &at);
    cluster.happened(&mut sim, &changes);
}

fn set_route(cluster: &Cluster, green: i64, words: &str) {
    cluster.edit(&key("httproutes", "chat"), words, |r| {
        r["spec"]["rules"][1]["backendRefs"][0]["weight"] = json!(100 - green);
        r["spec"]["rules"][1]["backendRefs"][1]["weight"] = json!(green);
    });
}
