//! One story from a seed: what stands at the beginning, what happens, how it must end; and, when it ends badly, the
//! shortest list of happenings that still does.

use std::{collections::BTreeMap, sync::OnceLock, time::Duration};

use llmrollout::api::status::Color;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    cluster::{Cluster, Sim, image_of},
    faults::{self, Class, Event, SPAN, What},
    pods::{self, Fleet},
    process,
    rng::Rng,
    store::{Store, key},
};

/// By then everything is at rest, or something hangs.
const PATIENCE: u64 = SPAN + 1_800_000;
/// So long nothing may be written any more: four looks at everything by each operator.
const REST: Duration = Duration::from_secs(1_300);

/// How a story went.
pub(crate) struct Told {
    pub(crate) violations: Vec<(&'static str, String)>,
    pub(crate) story: Vec<String>,
    pub(crate) asked: BTreeMap<&'static str, u64>,
    pub(crate) end: String,
}

/// What a story begins with.
#[derive(Clone)]
struct Beginning {
    store: Store,
    fleets: BTreeMap<Color, Fleet>,
}

/// A seed, spelled out.
pub(crate) struct Plot {
    pub(crate) seed: u64,
    pub(crate) class: Class,
    shape: usize,
    /// Whether the first revision serves already.
    installed: bool,
    pub(crate) events: Vec<Event>,
}

impl Plot {
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let class = rng.pick(&[Class::Machinery, Class::People, Class::Everything, Class::Everything]);
        let shape = usize::try_from(rng.between(0, 2)).unwrap();
        let installed = !rng.chance(10);
        Self { seed, class, shape, installed, events: faults::draw(&mut rng, class) }
    }

    /// Tells the story, with all that happens in it or only some.
    pub(crate) fn tell(&self, events: &[Event]) -> Told {
        let beginning = if self.installed { installed(self.shape) } else { fresh(self.shape) };
        run(self.seed, beginning, async |cluster| {
            faults::play(&cluster, events).await;
            come_to_rest(&cluster).await;
            let mut sim = cluster.sim();
            let found = self.ends_well(&sim, events);
            for words in found {
                sim.judge.violations.push(("end", words));
            }
        })
    }

    /// Leaves out what does not matter: halves, quarters, single happenings.
    pub(crate) fn shrink(&self) -> (Vec<Event>, Told) {
        let mut events = self.events.clone();
        let mut told = self.tell(&events);
        let Some((id, _)) = told.violations.first().cloned() else { return (events, told) };
        let mut chunk = events.len().div_ceil(2);
        loop {
            let mut from = 0;
            while from < events.len() {
                let mut fewer = events.clone();
                fewer.drain(from..(from + chunk).min(events.len()));
                let again = self.tell(&fewer);
                if again.violations.iter().any(|(other, _)| *other == id) {
                    (events, told) = (fewer, again);
                } else {
                    from += chunk;
                }
            }
            if chunk == 1 {
                return (events, told);
            }
            chunk = chunk.div_ceil(2);
        }
    }

    /// What must be so when everything is at rest.
    fn ends_well(&self, sim: &Sim, events: &[Event]) -> Vec<String> {
        let mut wrong = Vec::new();
        let Some(rollout) = sim.rollout() else {
            let kept = ["chat-blue", "chat-green"].into_iter().any(|n| sim.store.get(&key("deployments", n)).is_some());
            if self.installed && !kept {
                wrong.push("the pods went with the rollout".to_owned());
            }
            return wrong;
        };
        let (spec, status) = (&rollout["spec"], &rollout["status"]);
        let phase = status["phase"].as_str().unwrap_or_default();
        let active = Color::BOTH.into_iter().find(|c| status["active"] == json!(c.word()));
        let wanted = image_of(&spec["release"]["template"]["podTemplate"]);
        let serves = active.map(|c| sim.image(c)).unwrap_or_default();
        if phase == "Paused" {
            return wrong;
        }
        // While `paused` stands, traffic is left where people put it.
        if let Some(active) = active.filter(|_| spec["paused"] != json!(true)) {
            if sim.share(active.other()) != 0 || sim.share(active) != 100 {
                wrong.push(format!(
                    "{} serves, but {} has {}%",
                    active.word(),
                    active.other().word(),
                    sim.share(active.other())
                ));
            }
            if sim.ready(active) == 0 {
                wrong.push(format!("{} serves and is dead", active.word()));
            }
        }
        // The first revision of all is not measured: there is nothing it could take traffic from.
        if self.installed && (serves.contains("bad") || serves.contains("crash")) {
            wrong.push(format!("{serves} serves"));
        }
        if self.class != Class::Everything && spec["abort"] != json!(true) && self.installed {
            let good = !wanted.contains("bad") && !wanted.contains("crash");
            if good && !aborted(events, wanted) && serves != wanted {
                wrong.push(format!("{wanted} is good, nobody stopped it, and {serves} serves ({phase})"));
            }
            if !good && phase != "RolledBack" {
                wrong.push(format!("{wanted} is not taken back but {phase}"));
            }
        }
        wrong
    }
}

/// Whether somebody aborted while this image was wanted.
fn aborted(events: &[Event], image: &str) -> bool {
    let mut spec = json!({"release": {"template": {"podTemplate": {"spec": {"containers": [{"image": "chat:v1"}]}}}}});
    events.iter().any(|e| {
        faults::wish(&mut spec, &e.what);
        matches!(e.what, What::Abort(_) | What::Release { .. })
            && spec["abort"] == json!(true)
            && image_of(&spec["release"]["template"]["podTemplate"]) == image
    })
}

async fn come_to_rest(cluster: &Cluster) {
    loop {
        sleep(Duration::from_secs(5)).await;
        let now = cluster.now();
        let mut sim = cluster.sim();
        let phase = sim.status()["phase"].as_str().unwrap_or_default().to_owned();
        let ended = sim.rollout().is_none()
            || ["Completed", "RolledBack", "Idle", "Paused"].contains(&phase.as_str())
            || cannot_be_installed(&sim);
        // Who has stopped arguing looks again after ten minutes; who missed a change sees it after one.
        let ended = ended && sim.status()["reason"] != "Contended";
        let back = sim.ops.iter().map(|o| o.away_until).max().unwrap_or_default();
        if ended && now > sim.last_write.max(SPAN).max(back) + 80_000 {
            break;
        }
        if now > PATIENCE {
            let words = format!("no end: {phase}: {}", sim.status()["message"]);
            sim.judge.violations.push(("I12", words));
            return;
        }
    }
    let before = cluster.sim().writes;
    sleep(REST).await;
    let mut sim = cluster.sim();
    *sim.judge.asked.entry("I13").or_default() += 1;
    if sim.writes != before {
        let words = format!("{} writes at rest", sim.writes - before);
        sim.judge.violations.push(("I13", words));
    }
}

/// A first revision whose pods never become ready is waited for, and said to be: there is nothing to go back to.
fn cannot_be_installed(sim: &Sim) -> bool {
    let wanted = sim.rollout().map(|r| image_of(&r["spec"]["release"]["template"]["podTemplate"]).contains("crash"));
    let status = sim.status();
    wanted == Some(true) && status["active"].is_null() && status["reason"] == "NotReadyInTime"
}

fn run(seed: u64, beginning: Beginning, plot: impl AsyncFnOnce(std::sync::Arc<Cluster>)) -> Told {
    let cluster = play(seed, beginning, plot);
    let mut sim = cluster.sim();
    let status = sim.status();
    let end = format!("{} {}", status["phase"], status["reason"]).replace('"', "");
    Told {
        violations: std::mem::take(&mut sim.judge.violations),
        story: std::mem::take(&mut sim.story),
        asked: std::mem::take(&mut sim.judge.asked),
        end,
    }
}

fn play(seed: u64, beginning: Beginning, plot: impl AsyncFnOnce(std::sync::Arc<Cluster>)) -> std::sync::Arc<Cluster> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let cluster = Cluster::new(seed, beginning.store, beginning.fleets);
        tokio::spawn(pods::run_deployments(cluster.clone()));
        tokio::spawn(pods::run_gateway(cluster.clone()));
        tokio::spawn(process::supervise(cluster.clone(), 0));
        tokio::spawn(process::supervise(cluster.clone(), 1));
        plot(cluster.clone()).await;
        cluster
    })
}

/// The first revision serves. Made once for each shape, by the operator itself.
fn installed(shape: usize) -> Beginning {
    static MADE: [OnceLock<(Store, BTreeMap<Color, Fleet>)>; 3] = [const { OnceLock::new() }; 3];
    let (store, fleets) = MADE[shape].get_or_init(|| {
        let cluster = play(7, fresh(shape), async |_| sleep(Duration::from_mins(1)).await);
        let sim = cluster.sim();
        assert_eq!(sim.status()["phase"], "Completed", "the first revision is installed: {:#?}", sim.story);
        (sim.store.clone(), sim.fleets.iter().map(|(c, f)| (*c, f.clone().aged())).collect())
    });
    Beginning { store: store.clone(), fleets: fleets.clone() }
}

/// The user's objects and a new rollout, nothing of ours yet.
fn fresh(shape: usize) -> Beginning {
    let mut store = Store::default();
    store.create(&key("httproutes", "chat"), route());
    store.create(
        &key("services", "chat"),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"labels": {"team": "chat"}},
            "spec": {"selector": {"app": "chat", "llmrollout.io/color": "blue"}, "ports": [{"port": 80}], "type": "ClusterIP"}}),
    );
    store.create(&key("llmrollouts", "chat"), rollout(shape));
    Beginning { store, fleets: BTreeMap::new() }
}

fn rollout(shape: usize) -> Value {
    let (front, split) = (json!({"service": {"name": "chat"}}), json!({"httpRoute": {"name": "chat", "rule": "chat"}}));
    let traffic = [json!([front, split]), json!([split]), json!([front])][shape].clone();
    let step = |weight: i64, hold: &str| json!({"weight": weight, "hold": hold});
    let steps = if shape == 2 {
        json!([step(100, "15s")])
    } else {
        json!([step(5, "8s"), step(20, "7s"), step(50, "6s"), step(100, "9s")])
    };
    let gate = |name: &str, metric: &str, max: &str| json!({"name": name, "metric": metric, "max": max, "interval": "3s", "window": "30s", "minSamples": 20, "failures": "2 of 3", "noData": {"budget": "120s"}});
    let mut p95 = gate("p95", "latency", "1.5s");
    p95["quantile"] = json!("0.95");
    json!({
        "apiVersion": "llmrollout.io/v1alpha1", "kind": "LlmRollout", "metadata": {},
        "spec": {
            "release": {"template": {
                "replicas": 2, "port": 8000, "readyTimeout": "600s",
                "podTemplate": {"spec": {"containers": [{"name": "server", "image": "chat:v1"}]}},
            }},
            "traffic": traffic,
            "steps": steps,
            "metrics": {"prices": {"input": "$0.50", "output": "$1.50"}},
            "gates": [gate("errors", "errorRate", "1%"), p95, gate("cost", "costPerRequest", "$0.005")],
        },
    })
}

/// A route with a rule of somebody else's before ours, and much that nobody here knows.
fn route() -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"annotations": {"team": "chat"}},
        "spec": {
            "parentRefs": [{"name": "gw", "sectionName": "https"}],
            "hostnames": ["chat.example"],
            "rules": [
                {"name": "docs", "matches": [{"path": {"type": "Exact", "value": "/docs"}}], "backendRefs": [{"name": "docs", "port": 80, "weight": 3}]},
                {"name": "chat", "timeouts": {"request": "300s"}, "filters": [{"type": "RequestHeaderModifier"}], "backendRefs": [
                    {"name": "chat-blue", "port": 8000, "weight": 100},
                    {"name": "chat-green", "port": 8000, "weight": 0},
                ]},
            ],
        },
    })
}
