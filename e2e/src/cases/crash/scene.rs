//! One release from its manifest to its end, through a proxy, by an operator that is started again whenever it dies.
//! Nothing here says what is right.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{
    super::stand::{is_promoted, serves},
    end,
};
use crate::kit::{
    Film, Ground, KitError, Space, Wish,
    process::{Plan, Process},
    proxy::{Fault, Proxy, Rule, Seen, When},
    recipe::{self, NAME},
    rogue::{Manner, Rogue},
    space::phase,
};

/// A phase is reached within this, crash included.
const SOON: Duration = Duration::from_mins(2);
/// What is told beside a release may come so much later.
const SETTLED: Duration = Duration::from_secs(30);
/// So long nothing was asked for: it is over.
const QUIET: Duration = Duration::from_secs(1);
/// The second route.
pub(super) const OTHER: &str = "chat-two";

/// What is released, and what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scene {
    /// Promoted: the selector and both routes go over.
    Promote,
    /// Taken back in the bake, when everything has gone over.
    Rollback,
}

/// A write of the operator's, and on which side of it the operator dies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Point {
    pub(super) scene: Scene,
    pub(super) verb: &'static str,
    /// Plural, name and subresource.
    pub(super) object: String,
    /// Which of those.
    pub(super) nth: usize,
    pub(super) when: When,
}

/// What was seen.
#[derive(Debug)]
pub(super) struct Played {
    /// Everything written since the release, or since the figures went bad.
    pub(super) writes: Vec<Seen>,
    /// How things stand at the end, without what differs from run to run.
    pub(super) end: Value,
    /// How often the operator died.
    pub(super) deaths: usize,
    /// From the first death to the end of the release.
    pub(super) seconds: f64,
    /// What it said.
    pub(super) log: String,
}

/// What all runs share.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) ground: Ground,
    pub(super) token: String,
    pub(super) prefix: String,
}

fn wish(scene: Scene, version: &str) -> Wish {
    let gate = json!([{
        "name": "good", "query": "max(figure{ {{green}} })", "max": "1.5", "interval": "1s", "window": "10s", "minSamples": 1,
        "failures": "1 of 1",
    }]);
    let bake = if scene == Scene::Rollback { json!([{"name": "look", "for": "120s"}]) } else { json!([]) };
    let routers = json!([{"service": {"name": NAME}}, {"httpRoute": {"name": NAME}}, {"httpRoute": {"name": OTHER}}]);
    let wish =
        Wish { replicas: 1, traffic: routers, gates: gate, ..Wish::new(version).steps(&[(50, "1s"), (100, "1s")]) };
    wish.more(&json!({"bake": bake, "metrics": {"warmUp": "0s"}}))
}

/// The operator, which is there again whenever it was killed.
struct Kept {
    task: JoinHandle<()>,
    deaths: Arc<std::sync::Mutex<Vec<Instant>>>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Kept {
    fn keep(plan: Arc<Plan>, mut process: Process) -> Self {
        let deaths = Arc::new(std::sync::Mutex::<Vec<Instant>>::default());
        let count = deaths.clone();
        let task = tokio::spawn(async move {
            loop {
                process.ended().await;
                count.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(Instant::now());
                match plan.start() {
                    Ok(next) => process = next,
                    // Whoever waits for it will say that nothing came.
                    Err(_) => return,
                }
            }
        });
        Self { task, deaths }
    }

    fn deaths(&self) -> Vec<Instant> {
        self.deaths.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

impl Point {
    fn rule(&self, namespace: &str, pid: i32) -> Rule {
        let verbs: &'static [&'static str] = match self.verb {
            "create" => &["create"],
            "update" => &["update"],
            "delete" => &["delete"],
            _ => &["patch"],
        };
        let path = format!("/namespaces/{namespace}/{}", self.object);
        Rule::new(verbs, path, Fault::Kill(self.when, pid)).nth(self.nth, 1)
    }
}

impl Stage {
    /// Plays a scene in a namespace of its own; with a point the operator dies there.
    pub(super) async fn play(
        &self,
        scene: Scene,
        name: &str,
        point: Option<(&Point, &Value)>,
    ) -> Result<Played, KitError> {
        let space = Space::fresh(&self.ground, &format!("{}-{name}", self.prefix)).await?;
        let played = self.play_in(&space, scene, point).await;
        end::clear(&space).await;
        played
    }

    async fn play_in(&self, space: &Space, scene: Scene, point: Option<(&Point, &Value)>) -> Result<Played, KitError> {
        let rogue = Rogue::start(&self.ground).await?;
        rogue.be([Manner::Value("1"); 3]);
        let proxy = Proxy::before_the_api_server(&self.ground).await?;
        let provider = json!({"name": "default", "url": rogue.url, "timeoutSeconds": 2});
        let plan = Arc::new(Plan::new(&self.ground, [&space.name, "one"], &proxy, &self.token, &provider)?);
        space.install(&wish(scene, "v1")).await?;
        let host = format!("two.{}", space.host());
        let mut second = recipe::route(&self.ground.gateway, &host);
        second["metadata"]["name"] = json!(OTHER);
        space.apply(&second).await?;
        let process = plan.start()?;
        let pid = process.pid;
        let kept = Kept::keep(plan.clone(), process);
        let film = space.film().await?;
        let arm = |from: &mut usize| {
            *from = proxy.trace().len();
            if let Some((point, _)) = point {
                proxy.rule(point.rule(&space.name, pid));
            }
        };
        film.until("v1 serves", SOON, serves).await?;
        quiet(&proxy).await;
        let mut from = 0;
        if scene == Scene::Promote {
            arm(&mut from);
        }
        let applied = space.apply(&wish(scene, "v2").manifest()).await?;
        film.until_applied(&applied).await?;
        if scene == Scene::Rollback {
            film.until("the bake", SOON, |rollout| phase(rollout) == "Baking").await?;
            quiet(&proxy).await;
            arm(&mut from);
            rogue.be([Manner::Value("2"); 3]);
        }
        over(scene, &film).await?;
        quiet(&proxy).await;
        let deaths = kept.deaths();
        let seconds = deaths.first().map_or(0.0, |death| death.elapsed().saturating_sub(QUIET).as_secs_f64());
        let writes = proxy.trace().split_off(from).into_iter().filter(Seen::writes).collect();
        let end = settled(space, point.map(|(_, wanted)| wanted)).await?;
        Ok(Played { writes, end, deaths: deaths.len(), seconds, log: plan.log() })
    }
}

/// How things stand, once they stand as wanted; or at last.
async fn settled(space: &Space, wanted: Option<&Value>) -> Result<Value, KitError> {
    let since = Instant::now();
    loop {
        let end = end::of(space).await?;
        let same = wanted.is_none_or(|wanted| end::differences(wanted, &end).is_empty());
        if same || since.elapsed() > SETTLED {
            return Ok(end);
        }
        tokio::time::sleep(QUIET / 2).await;
    }
}

async fn over(scene: Scene, film: &Film) -> Result<(), KitError> {
    let done = match scene {
        Scene::Promote => film.until("v2 is promoted", SOON, is_promoted).await,
        Scene::Rollback => film.until("v2 is taken back", SOON, |rollout| phase(rollout) == "RolledBack").await,
    };
    done.map(drop)
}

/// Until nothing was written for a while: what is told beside the release comes after it.
async fn quiet(proxy: &Proxy) {
    loop {
        let last = proxy.trace().iter().rfind(|seen| seen.writes()).map(|seen| seen.at.elapsed());
        match last {
            Some(since) if since < QUIET => tokio::time::sleep(QUIET.saturating_sub(since)).await,
            _ => return,
        }
    }
}
