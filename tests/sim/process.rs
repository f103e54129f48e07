//! One operator process: its caches, its board, its clock and its loop over the product's own rooms. The pass is the one
//! of `control::reconcile`, word for word; only the time comes from the simulation.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use kube::{ResourceExt, runtime::reflector::ObjectRef};
use llmrollout::{
    act::{self, Class, Hands},
    api::{LlmRollout, Moment, Phase},
    control::retry::{self, Attempts},
    decide::{self, Decision, Snapshot, snapshot::Offers},
    metrics::{Reading, Sample},
    observe::{
        self, ObserveError, World, board::Board, calls::Calls, clock::Clock, live::Eyes, memory::Memory,
        webhooks::Webhooks,
    },
    record::{self, Pen, RecordError},
};
use tokio::{
    sync::{Notify, mpsc},
    time::{sleep, timeout},
};

use super::{
    caches,
    cluster::{BEGIN, Cluster, DEADLINE, Logged},
    prometheus::{self, About},
    wire,
};

/// As in `control::reconcile`.
const AT_LEAST_EVERY: Duration = Duration::from_mins(5);
/// The rollouts of the namespace; only the first is judged.
const ROLLOUTS: [&str; 2] = ["chat", "base"];

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

/// Why a pass ended early, and whether traffic was to go back.
enum Ended {
    Observe(ObserveError, bool),
    Record(RecordError, bool),
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
    let (stores, mut caches) = caches::stores();
    let wakes = [Arc::new(Notify::new()), Arc::new(Notify::new())];
    let skew = {
        let mut sim = cluster.sim();
        sim.ops[op].sink = Some(sink);
        sim.ops[op].wakes = wakes.clone();
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
            offers: Arc::new(Offers { providers: vec!["default".into()], ..Offers::default() }),
            memory: Memory::default(),
            webhooks: Webhooks::default(),
            calls: Calls::new(
                Eyes { client: client.clone(), deadline },
                Board::default(),
                Clock::start(),
                Arc::default(),
                Arc::new(|_| Box::pin(std::future::ready(Ok(())))),
            ),
        },
        eyes: Eyes { client: client.clone(), deadline },
        hands: Hands {
            client: client.clone(),
            deadline,
            may_write: Arc::new(move || lease.sim().ops[op].leads),
            webhooks: Arc::default(),
        },
        pen: Pen { client, deadline },
        attempts: Attempts::default(),
        cluster: Arc::clone(&cluster),
    };
    tokio::join!(
        caches::watch(Arc::clone(&cluster), op, changes, caches, wakes.clone()),
        process.ask(),
        dial(process.world.board.clone(), wakes.clone()),
        process.work(ROLLOUTS[0], &wakes[0]),
        process.work(ROLLOUTS[1], &wakes[1]),
    );
}

/// A reading wakes the loops.
async fn dial(board: Board, wakes: [Arc<Notify>; 2]) {
    let mut told = std::pin::pin!(board.wakes());
    while told.next().await.is_some() {
        for wake in &wakes {
            wake.notify_one();
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

    async fn work(&self, name: &str, wake: &Notify) {
        loop {
            let rollout = self.world.stores.rollouts.get(&ObjectRef::new(name).within("llm"));
            let wait = match rollout {
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
        let (class, way_back) = match error {
            Ended::Observe(ObserveError::Gone, _) => return None,
            Ended::Observe(ObserveError::Moved, way_back) => (Class::Stale, way_back),
            Ended::Observe(ObserveError::Read { .. } | ObserveError::Late { .. }, way_back) => {
                (Class::Transient, way_back)
            }
            Ended::Record(error, way_back) => (error.class(), way_back),
        };
        let going_back = way_back
            || rollout.status.as_ref().is_some_and(|s| s.phase == Some(Phase::RollingBack))
            || rollout.spec.abort;
        Some(retry::wait(class, self.attempts.failed(&rollout.name_any()), going_back))
    }

    /// `control::reconcile`.
    async fn pass(&self, rollout: &Arc<LlmRollout>) -> Result<Duration, Ended> {
        self.begin(rollout);
        let mut snapshot = self.timed(observe::observe(rollout, &self.world));
        let mut decision = decide::decide(&snapshot);
        if decision.wants_live {
            // Nobody drives a webhook here: a look for the way back serves a raise as well.
            let way_back = decision.home;
            let live = observe::live::observe_live(rollout, &self.world, &self.eyes, !way_back);
            snapshot = self.timed(Box::pin(live).await.map_err(|error| Ended::Observe(error, way_back))?);
            decision = decide::decide(&snapshot);
        }
        let acted = act::act(&decision, ["llm", &rollout.name_any()], &self.hands).await;
        let (status, _) = record::outcome(&snapshot, &decision, &acted);
        let owner = ObjectRef::from_obj(rollout.as_ref());
        self.world.board.subscribe(&owner, decision.asks.clone());
        self.world.memory.keep(&owner, decision.meant.clone());
        let unwritten = |error| Ended::Record(error, decision.home || decision.latched);
        let written = self.pen.write(&snapshot.rollout, &status).await.map_err(unwritten)?;
        Ok(self.again(&rollout.name_any(), &decision, &acted, snapshot.now, written))
    }

    /// For the judge: from here on counts what this pass knows.
    fn begin(&self, rollout: &Arc<LlmRollout>) {
        if rollout.name_any() != ROLLOUTS[0] {
            return;
        }
        let now = self.cluster.now();
        let mut sim = self.cluster.sim();
        let op = &mut sim.ops[self.op];
        op.known.pass += 1;
        op.known.began = now;
        op.known.cached = Some(Arc::clone(rollout));
        op.known.live = None;
        op.known.ready.clear();
        op.known.readings = op.log.len();
    }

    fn again(&self, name: &str, decision: &Decision, acted: &act::Acted, now: Moment, written: bool) -> Duration {
        if let Some(error) = acted.stopped() {
            return retry::wait(error.class(), self.attempts.failed(name), decision.home);
        }
        self.attempts.forget(name);
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
                if !question.names.is_empty() {
                    // Every series is there: what is found by name is no figure.
                    let outcome = Ok(Sample { value: 1.0, samples: 1.0 });
                    let names = question.names.clone();
                    let reading = Reading { at: now, window: question.window, outcome, names, weighed: None };
                    board.publish(&question, reading);
                    continue;
                }
                let mut sim = self.cluster.sim();
                let outcome = prometheus::answer(&sim, self.cluster.now(), now, &question);
                let reading = Reading { at: now, window: question.window, outcome, names: Vec::new(), weighed: None };
                let (about, text) = (About::of(&question), question.value.to_string());
                let workload = ["chat-blue", "chat-green", "base"].into_iter().find(|w| text.contains(w)).unwrap();
                sim.ops[self.op].log.push(Logged { workload, about, reading: reading.clone() });
                drop(sim);
                board.publish(&question, reading);
            }
        }
    }
}
