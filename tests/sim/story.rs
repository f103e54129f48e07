//! One story from a seed: what stands at the beginning, what happens, and how it went; and, when it went badly, the
//! shortest list of happenings that still does.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    cluster::{Cluster, Happening},
    ends,
    faults::{self, Class, Event},
    manifest::{self, Course},
    pods::{self, Fleet},
    process,
    rng::Rng,
    store::{Store, key},
};

/// How a story went.
pub(crate) struct Told {
    pub(crate) violations: Vec<(&'static str, String)>,
    pub(crate) story: Vec<String>,
    pub(crate) asked: BTreeMap<&'static str, u64>,
    /// Every phase in which the rollout was.
    pub(crate) phases: BTreeSet<String>,
    /// What happened, when it did.
    pub(crate) happenings: Vec<Happening>,
    pub(crate) end: String,
}

/// What a story begins with.
#[derive(Clone)]
struct Beginning {
    store: Store,
    fleets: BTreeMap<String, Fleet>,
}

/// A seed, spelled out.
#[derive(Clone)]
pub(crate) struct Plot {
    pub(crate) seed: u64,
    pub(crate) class: Class,
    pub(crate) shape: usize,
    /// Whether the first revision serves already.
    pub(crate) installed: bool,
    /// Whether people answer when they are asked.
    pub(crate) answers: bool,
    pub(crate) course: Course,
    pub(crate) events: Vec<Event>,
}

impl Plot {
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let class = rng.pick(&[Class::Machinery, Class::People, Class::Everything, Class::Everything]);
        let shape = usize::try_from(rng.between(0, 2)).unwrap();
        let installed = !rng.chance(10);
        let answers = rng.chance(75);
        let course = Course::draw(&mut rng, shape);
        let events = faults::draw(&mut rng, class, &course);
        Self { seed, class, shape, installed, answers, course, events }
    }

    /// Tells the story, with all that happens in it.
    pub(crate) fn tell(&self) -> Told {
        let mut beginning = if self.installed { installed(self.shape, self.course.base) } else { fresh(self) };
        beginning.store.edit(&key("llmrollouts", "chat"), |r| manifest::merge(&mut r["spec"], &self.course.change));
        run(self.seed, beginning, async |cluster| {
            faults::play(&cluster, &self.events).await;
            ends::come_to_rest(&cluster, self.answers).await;
            let mut sim = cluster.sim();
            let found = ends::well(self, &sim);
            for words in found {
                sim.judge.violations.push(("end", words));
            }
        })
    }

    /// Leaves out what does not matter: happenings by halves, quarters, one by one; then what the manifest says.
    pub(crate) fn shrink(&self) -> (Self, Told) {
        let (mut plot, mut told) = (self.clone(), self.tell());
        let Some((id, _)) = told.violations.first().cloned() else { return (plot, told) };
        let mut chunk = plot.events.len().div_ceil(2);
        while chunk > 0 {
            let mut from = 0;
            while from < plot.events.len() {
                let mut fewer = plot.clone();
                fewer.events.drain(from..(from + chunk).min(plot.events.len()));
                if !keep(&mut plot, &mut told, fewer, id) {
                    from += chunk;
                }
            }
            chunk = if chunk == 1 { 0 } else { chunk.div_ceil(2) };
        }
        let said: Vec<String> = plot.course.change.as_object().unwrap().keys().cloned().collect();
        for word in said {
            let mut plainer = plot.clone();
            plainer.course.change.as_object_mut().unwrap().remove(&word);
            keep(&mut plot, &mut told, plainer, id);
        }
        (plot, told)
    }
}

/// Takes the smaller story if it breaks the same law.
fn keep(plot: &mut Plot, told: &mut Told, smaller: Plot, id: &str) -> bool {
    let again = smaller.tell();
    let same = again.violations.iter().any(|(other, _)| *other == id);
    if same {
        (*plot, *told) = (smaller, again);
    }
    same
}

fn run(seed: u64, beginning: Beginning, plot: impl AsyncFnOnce(Arc<Cluster>)) -> Told {
    let cluster = play(seed, beginning, plot);
    let mut sim = cluster.sim();
    let status = sim.status();
    let end = format!("{} {}", status["phase"], status["reason"]).replace('"', "");
    Told {
        violations: std::mem::take(&mut sim.judge.violations),
        story: std::mem::take(&mut sim.story),
        asked: std::mem::take(&mut sim.judge.asked),
        phases: std::mem::take(&mut sim.judge.phases),
        happenings: std::mem::take(&mut sim.happenings),
        end,
    }
}

fn play(seed: u64, beginning: Beginning, plot: impl AsyncFnOnce(Arc<Cluster>)) -> Arc<Cluster> {
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

fn fresh(plot: &Plot) -> Beginning {
    Beginning { store: manifest::fresh(plot.shape, plot.course.base), fleets: BTreeMap::new() }
}

/// The first revision serves. Made once for each shape, by the operator itself.
fn installed(shape: usize, base: bool) -> Beginning {
    static MADE: [OnceLock<Beginning>; 6] = [const { OnceLock::new() }; 6];
    let made = MADE[shape + 3 * usize::from(base)].get_or_init(|| {
        let fresh = Beginning { store: manifest::fresh(shape, base), fleets: BTreeMap::new() };
        let cluster = play(7, fresh, async |_| sleep(Duration::from_mins(1)).await);
        let sim = cluster.sim();
        for name in if base { &["chat", "base"][..] } else { &["chat"] } {
            let status = sim.store.get(&key("llmrollouts", name)).map_or(&Value::Null, |r| &r["status"]);
            assert_eq!(status["phase"], json!("Completed"), "{name} is installed: {:#?}", sim.story);
        }
        Beginning {
            store: sim.store.clone(),
            fleets: sim.fleets.iter().map(|(n, f)| (n.clone(), f.clone().aged())).collect(),
        }
    });
    made.clone()
}
