//! One operator process: its caches, its board, its clock and its loop over the product's own rooms. The pass is the one
//! of `control::reconcile`, word for word; only the time comes from the simulation.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::StreamExt;
use kube::{
    ResourceExt,
    runtime::{
        reflector::{ObjectRef, store::Writer},
        watcher::Event,
    },
};
use llmrollout::{
    act::{self, Class, Hands},
    api::{LlmRollout, Moment, Phase},
    control::retry::{self, Attempts},
    decide::{self, Decision, Snapshot, snapshot::Offers},
    metrics::{NoData, Reading, Sample},
    observe::{self, ObserveError, World, board::Board, clock::Clock, live::Eyes, stores::Stores},
    record::{self, Pen, RecordError},
};
use serde_json::Value;
use tokio::{
    sync::{Notify, mpsc},
    time::{sleep, sleep_until, timeout},
};

use super::{
    cluster::{BEGIN, Cluster, DEADLINE, Prom, Sim},
    store::Change,
    wire,
};

/// As in `control::reconcile`.
const AT_LEAST_EVERY: Duration = Duration::from_mins(5);
/// A watch that lost an event is opened anew after this long at most.
const RELIST: u64 = 60_000;

/// The writers of the caches.
struct Caches {
    rollouts: Writer<LlmRollout>,
    deployments: Writer<k8s_openapi::api::apps::v1::Deployment>,
    services: Writer<k8s_openapi::api::core::v1::Service>,
    slices: Writer<k8s_openapi::api::discovery::v1::EndpointSlice>,
    routes: Writer<llmrollout::api::route::HttpRoute>,
}

struct Process {
    cluster: Arc<Cluster>,
    op: usize,
    skew: i64,
    began: Moment,
    world: World,
    eyes: Eyes,
    hands: Hands,
    pen: Pen,
    attempts: Attempts,
}

/// Why a pass ended early.
enum Ended {
    Observe(ObserveError),
    Record(RecordError),
}

/// Runs, dies and is started again, for ever.
pub(crate) async fn supervise(cluster: Arc<Cluster>, op: usize) {
    loop {
        let crash = Arc::clone(&cluster.sim().ops[op].crash);
        let life = run(Arc::clone(&cluster), op);
        tokio::select! {
            biased;
            () = crash.notified() => {}
            () = life => {}
        }
        let pause = {
            let mut sim = cluster.sim();
            sim.ops[op].sink = None;
            sim.ops[op].log.clear();
            let pause = sim.rng.between(300, 3_000);
            pause.max(sim.ops[op].away_until.saturating_sub(cluster.now()))
        };
        sleep(Duration::from_millis(pause)).await;
        cluster.tell(format_args!("operator {op}: starts"));
    }
}

/// One life of a process.
async fn run(cluster: Arc<Cluster>, op: usize) {
    let (sink, changes) = mpsc::unbounded_channel();
    let (stores, mut caches) = stores();
    let wake = Arc::new(Notify::new());
    let skew = {
        let mut sim = cluster.sim();
        sim.ops[op].sink = Some(sink);
        sim.ops[op].wake = Arc::clone(&wake);
        caches.list(&sim);
        sim.ops[op].skew
    };
    let client = wire::client(&cluster, op);
    let deadline = Duration::from_millis(DEADLINE);
    let lease = Arc::clone(&cluster);
    let process = Process {
        op,
        skew,
        began: moment(cluster.now(), skew),
        world: World {
            stores,
            board: Board::default(),
            clock: Clock::start(),
            offers: Arc::new(Offers { providers: vec!["default".into()], prices: None }),
        },
        eyes: Eyes { client: client.clone(), deadline },
        hands: Hands { client: client.clone(), deadline, may_write: Arc::new(move || lease.sim().ops[op].leads) },
        pen: Pen { client, deadline },
        attempts: Attempts::default(),
        cluster: Arc::clone(&cluster),
    };
    tokio::join!(
        watch(Arc::clone(&cluster), op, changes, caches, Arc::clone(&wake)),
        process.ask(),
        dial(process.world.board.clone(), Arc::clone(&wake)),
        process.work(&wake),
    );
}

/// A reading wakes the loop.
async fn dial(board: Board, wake: Arc<Notify>) {
    let mut wakes = std::pin::pin!(board.wakes());
    while wakes.next().await.is_some() {
        wake.notify_one();
    }
}

fn stores() -> (Stores, Caches) {
    use kube::runtime::reflector::store;
    let (rollouts, deployments, services, slices, routes) = (store(), store(), store(), store(), store());
    (
        Stores {
            rollouts: rollouts.0,
            deployments: deployments.0,
            services: services.0,
            slices: slices.0,
            routes: routes.0,
        },
        Caches {
            rollouts: rollouts.1,
            deployments: deployments.1,
            services: services.1,
            slices: slices.1,
            routes: routes.1,
        },
    )
}

fn parsed<K: serde::de::DeserializeOwned>(object: &Value) -> K {
    serde_json::from_value(object.clone()).unwrap()
}

fn tell<K>(writer: &mut Writer<K>, before: Option<&Value>, after: Option<&Value>)
where
    K: kube::Resource<DynamicType = ()> + Clone + serde::de::DeserializeOwned + 'static,
{
    match (before, after) {
        (_, Some(after)) => writer.apply_watcher_event(&Event::Apply(parsed(after))),
        (Some(before), None) => writer.apply_watcher_event(&Event::Delete(parsed(before))),
        (None, None) => {}
    }
}

impl Caches {
    fn apply(&mut self, plural: &str, before: Option<&Value>, after: Option<&Value>) {
        match plural {
            "llmrollouts" => tell(&mut self.rollouts, before, after),
            "deployments" => tell(&mut self.deployments, before, after),
            "services" => tell(&mut self.services, before, after),
            "endpointslices" => tell(&mut self.slices, before, after),
            _ => tell(&mut self.routes, before, after),
        }
    }

    /// The whole world at once, as a list after a broken watch.
    fn list(&mut self, sim: &Sim) {
        fn relist<K>(writer: &mut Writer<K>, sim: &Sim, plural: &str)
        where
            K: kube::Resource<DynamicType = ()> + Clone + serde::de::DeserializeOwned + 'static,
        {
            writer.apply_watcher_event(&Event::Init);
            for (_, object) in sim.store.all().filter(|(k, _)| k.0 == plural) {
                writer.apply_watcher_event(&Event::InitApply(parsed(object)));
            }
            writer.apply_watcher_event(&Event::InitDone);
        }
        relist(&mut self.rollouts, sim, "llmrollouts");
        relist(&mut self.deployments, sim, "deployments");
        relist(&mut self.services, sim, "services");
        relist(&mut self.slices, sim, "endpointslices");
        relist(&mut self.routes, sim, "httproutes");
    }
}

/// Changes reach the caches a little later, in order within a kind and in no order between kinds; some only with the
/// next list.
async fn watch(
    cluster: Arc<Cluster>,
    op: usize,
    mut changes: mpsc::UnboundedReceiver<Change>,
    mut caches: Caches,
    wake: Arc<Notify>,
) {
    let mut due: BTreeMap<(u64, u64), Change> = BTreeMap::new();
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    let mut relist = None;
    let mut number = 0;
    loop {
        let first = due.keys().next().map(|(at, _)| *at);
        let until = first.into_iter().chain(relist).min().unwrap_or(u64::from(u32::MAX));
        tokio::select! {
            biased;
            change = changes.recv() => {
                let Some(change) = change else { return };
                let now = cluster.now();
                let mut sim = cluster.sim();
                if sim.ops[op].unseen > 0 {
                    sim.ops[op].unseen -= 1;
                    relist = relist.or(Some(now + sim.rng.between(1_000, RELIST)));
                    sim.tell(now, format_args!("operator {op}: does not see a change of {}", change.key.0));
                    continue;
                }
                let at = (now + sim.rng.between(1, 30)).max(sim.ops[op].frozen_until);
                let at = at.max(last.get(change.key.0).copied().unwrap_or_default());
                last.insert(change.key.0, at);
                number += 1;
                due.insert((at, number), change);
            }
            () = sleep_until(cluster.at(until)) => {
                let now = cluster.now();
                if relist.is_some_and(|at| at <= now) {
                    relist = None;
                    due.clear();
                    caches.list(&cluster.sim());
                } else if let Some((_, change)) = due.pop_first() {
                    caches.apply(change.key.0, change.before.as_ref(), change.after.as_ref());
                }
                wake.notify_one();
            }
        }
    }
}

/// What a clock shows that is `skew` seconds off.
fn moment(ms: u64, skew: i64) -> Moment {
    Moment::from_unix(i64::try_from((BEGIN + ms).saturating_add_signed(skew * 1000) / 1000).unwrap())
}

impl Process {
    /// The process's own clock: wall time at its start, then the monotonic clock.
    fn clock(&self) -> Moment {
        moment(self.cluster.now(), self.skew)
    }

    fn timed(&self, snapshot: Snapshot) -> Snapshot {
        Snapshot { now: self.clock(), watching_since: self.began, ..snapshot }
    }

    async fn work(&self, wake: &Notify) {
        loop {
            let wait = match self.world.stores.rollouts.state().into_iter().next() {
                Some(rollout) => self.turn(rollout).await,
                None => None,
            };
            let _ = timeout(wait.unwrap_or(Duration::from_hours(10_000)), wake.notified()).await;
        }
    }

    /// One turn, and when the next one is due if nothing happens.
    async fn turn(&self, rollout: Arc<LlmRollout>) -> Option<Duration> {
        if !(self.hands.may_write)() {
            return None;
        }
        let error = match self.pass(&rollout).await {
            Ok(next) => return Some(next),
            Err(error) => error,
        };
        let class = match error {
            Ended::Observe(ObserveError::Gone) => return None,
            Ended::Observe(ObserveError::Moved) => Class::Stale,
            Ended::Observe(ObserveError::Read { .. } | ObserveError::Late { .. }) => Class::Transient,
            Ended::Record(error) => error.class(),
        };
        let going_back =
            rollout.status.as_ref().is_some_and(|s| s.phase == Some(Phase::RollingBack)) || rollout.spec.abort;
        Some(retry::wait(class, self.attempts.failed("chat"), going_back))
    }

    /// `control::reconcile`.
    async fn pass(&self, rollout: &Arc<LlmRollout>) -> Result<Duration, Ended> {
        {
            let mut sim = self.cluster.sim();
            let op = &mut sim.ops[self.op];
            op.known.pass += 1;
            op.known.cached = Some(Arc::clone(rollout));
            op.known.live = None;
            op.known.ready.clear();
            op.known.readings = op.log.len();
        }
        let mut snapshot = self.timed(observe::observe(rollout, &self.world));
        let mut decision = decide::decide(&snapshot);
        if decision.wants_live {
            let live = observe::live::observe_live(rollout, &self.world, &self.eyes);
            snapshot = self.timed(Box::pin(live).await.map_err(Ended::Observe)?);
            decision = decide::decide(&snapshot);
        }
        let acted = act::act(&decision, &rollout.namespace().unwrap_or_default(), &self.hands).await;
        let (status, _) = record::outcome(&snapshot, &decision, &acted);
        self.world.board.subscribe(&ObjectRef::from_obj(rollout.as_ref()), decision.asks.clone());
        let written = self.pen.write(&snapshot.rollout, &status).await.map_err(Ended::Record)?;
        Ok(self.again(&decision, &acted, snapshot.now, written))
    }

    fn again(&self, decision: &Decision, acted: &act::Acted, now: Moment, written: bool) -> Duration {
        if let Some(error) = acted.stopped() {
            return retry::wait(error.class(), self.attempts.failed("chat"), decision.home);
        }
        self.attempts.forget("chat");
        let wake = decision.wake.map_or(AT_LEAST_EVERY, |at| at.since(now));
        let floor = if written { Duration::from_millis(200) } else { Duration::from_millis(500) };
        wake.clamp(floor, AT_LEAST_EVERY)
    }

    /// Asks Prometheus what the board wants to know, second by second.
    async fn ask(&self) {
        let board = &self.world.board;
        let mut changes = board.changes();
        loop {
            let questions = board.questions("default");
            if questions.is_empty() {
                let _ = changes.changed().await;
                continue;
            }
            sleep(Duration::from_secs(1)).await;
            for question in questions {
                let now = self.clock();
                let age = now.since(question.since).as_secs();
                if question.window_at(now).is_none() || !age.is_multiple_of(question.interval.as_secs()) {
                    continue;
                }
                let mut sim = self.cluster.sim();
                let outcome = prometheus(&mut sim, self.cluster.now(), &question.value.to_string());
                let reading = Reading { at: now, window: question.window, outcome };
                sim.ops[self.op].log.push(((*question).clone(), reading.clone()));
                drop(sim);
                board.publish(&question, reading);
            }
        }
    }
}

/// What Prometheus says of a color: figures of what runs there, if it gets requests.
fn prometheus(sim: &mut Sim, now: u64, query: &str) -> Result<Sample, NoData> {
    use llmrollout::api::status::Color;
    let color = if query.contains("chat-green") { Color::Green } else { Color::Blue };
    let metric =
        usize::from(query.contains("histogram_quantile")) + 2 * usize::from(query.contains("generation_tokens"));
    let share = sim.share(color);
    let samples = if share > 0 { 1000.0 } else { 0.0 };
    let good = [0.001, 0.4, 0.002][metric];
    let bad = [0.2, 4.0, 0.05][metric];
    let ill = sim.image(color).contains("bad") && metric != 2;
    let outcome = Ok(Sample { value: if ill { bad } else { good }, samples });
    match sim.weather.prom.filter(|(until, _)| *until > now).map(|(_, what)| what) {
        _ if share == 0 => Err(NoData::Empty),
        None => outcome,
        Some(Prom::Down) => Err(NoData::Unreachable("connection refused")),
        Some(Prom::NotANumber) => Ok(Sample { value: f64::NAN, samples }),
        Some(Prom::ManySeries) => Err(NoData::ManySeries(2)),
        Some(Prom::FewRequests) => outcome.map(|s| Sample { samples: 5.0, ..s }),
        Some(Prom::Bad) => Ok(Sample { value: bad, samples }),
    }
}
