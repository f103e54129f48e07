//! Wires everything together: clients, caches, providers, the lease, the loop over rollouts, and a clean stop. The
//! pipeline itself is `reconcile`; nothing here decides.

pub mod ask;
pub mod claim;
mod filled;
mod lane;
pub mod lease;
mod reconcile;
pub mod retry;
mod scalers;
mod standby;
mod traced;
mod wakes;
mod watch;

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{FutureExt, StreamExt, future, stream};
use kube::{
    Client, Config,
    runtime::{
        controller::{self, ReconcileReason, ReconcileRequest},
        reflector::{ObjectRef, Store},
    },
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch as cell},
    task::JoinSet,
};

use self::{
    lane::{Lanes, Reach},
    lease::{LeaseError, LeaseHandle},
    reconcile::{Context, after_error, reconcile},
    retry::Attempts,
    standby::Overdue,
};
use crate::{
    act::{self, Hands},
    api::LlmRollout,
    decide::{
        snapshot::{EndpointOffer, Offers},
        tidings::Told,
    },
    line::{Line, ProviderError, ProviderSettings},
    metrics::Reading,
    notify,
    notify::{Courier, Heard},
    observe::{
        World, board::Board, calls::Calls, clock::Clock, live::Eyes, memory::Memory, prometheus::Provider,
        webhooks::Webhooks,
    },
    record::{
        Pen,
        events::Herald,
        ledger::{Desk, Ledger},
        metrics::Metrics,
    },
    serve::{self, Ready},
    settings::Settings,
};

/// Connections that are not answered are given up after this.
const CONNECT: Duration = Duration::from_secs(3);

/// Why the operator ended.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// No cluster is configured.
    #[error("no cluster: neither a service account nor a kubeconfig was found")]
    NoCluster(#[source] kube::config::InferConfigError),
    /// The client could not be made.
    #[error("the client could not be made")]
    Client(#[source] kube::Error),
    /// The settings of a provider, an endpoint or a webhook are wrong.
    #[error("the operator's configuration")]
    Provider(#[from] ProviderError),
    /// The address for probes and metrics could not be opened.
    #[error("cannot listen for probes and metrics")]
    Listen(#[source] std::io::Error),
    /// Signals could not be listened for.
    #[error("cannot listen for signals")]
    Signals(#[source] std::io::Error),
    /// The lease was lost: another replica leads now.
    #[error("the lease was lost")]
    Lost(#[source] LeaseError),
}

/// One scope and how to wake its rollouts from outside.
type Dial = (Option<String>, mpsc::Sender<ObjectRef<LlmRollout>>);

/// Runs until a signal, or until the lease is lost.
pub async fn run(settings: Settings) -> Result<(), ControlError> {
    let config = quiet_config().await?;
    let client = |config: &Config| Client::try_from(config.clone()).map_err(ControlError::Client);
    let (stopping, stop) = cell::channel(false);
    let (metrics, registry) = Metrics::new();
    let (metrics, ready) = (Arc::new(metrics), Ready::default());
    let listener = serve::bind(settings.listen).await.map_err(ControlError::Listen)?;
    let mut tasks = JoinSet::new();
    let probes = serve::serve(listener, Arc::new(registry), ready.clone(), stopped(stop.clone()));
    tasks.spawn(async move { drop(probes.await) });

    let (last_write, written) = cell::channel(false);
    let (lease, election): (_, future::BoxFuture<'_, _>) = match settings.election.clone() {
        Some(election) => {
            let (handle, run) = lease::elect(client(&config)?, election, stopped(written));
            (handle, Box::pin(run))
        }
        None => (LeaseHandle::without_election(), Box::pin(future::pending())),
    };
    let (clock, board) = (Clock::start(), Board::default());
    let webhooks = webhooks(&settings, &board)?;
    tasks.spawn(webhooks.0.clone().run(stopped(stop.clone())));
    let (herald, speak) = Herald::start(client(&config)?, identity(&settings));
    tasks.spawn(speak);
    let (desk, keeping) = ledger(client(&config)?, &settings, &metrics, clock);
    let asking = providers(&settings, &board, clock, &metrics, &stop)?.into_iter().map(FutureExt::boxed);
    asking.chain(keeping).for_each(|task| drop(tasks.spawn(task)));
    let parts = Parts {
        clients: Clients::new(&config)?,
        board: board.clone(),
        clock,
        metrics,
        herald,
        desk,
        lease,
        webhooks,
        endpoints: lines(&settings)?,
        settings,
    };
    let (dials, loops): (Vec<Dial>, Vec<_>) = parts.loops(&stop, &ready).into_iter().unzip();
    tasks.spawn(dispatch(board, dials, stopped(stop)));
    let mut working = std::pin::pin!(future::join_all(loops));
    let mut election = std::pin::pin!(election);
    let mut signalled = std::pin::pin!(signalled());
    tokio::select! {
        _ = &mut working => Ok(()),
        lost = &mut election => lost.map_err(ControlError::Lost),
        signal = &mut signalled => {
            signal?;
            tracing::info!("stopping: finishing what is under way");
            stopping.send_replace(true);
            // The lease is renewed while the last passes end, and given back only after them.
            tokio::select! {
                lost = &mut election => return lost.map_err(ControlError::Lost),
                _ = working => drop(last_write.send_replace(true)),
            }
            // Without an election there is nothing to give back, and the future never ends.
            let _ = tokio::time::timeout(Duration::from_secs(5), election).await;
            Ok(())
        }
    }
}

/// To the endpoints, for checks.
fn lines(settings: &Settings) -> Result<Arc<Vec<Line>>, ProviderError> {
    settings.endpoints.iter().map(Line::new).collect::<Result<_, _>>().map(Arc::new)
}

/// As whom events are told.
fn identity(settings: &Settings) -> String {
    settings.election.as_ref().map_or_else(|| "alone".to_owned(), |election| election.identity.clone())
}

/// Where pages for the records of attempts are handed in, and the tasks that write them and tell people of them.
fn ledger(
    client: Client,
    settings: &Settings,
    metrics: &Arc<Metrics>,
    clock: Clock,
) -> (Desk, Vec<future::BoxFuture<'static, ()>>) {
    let (desk, deadline) = (Desk::default(), settings.limits.call_timeout);
    let (back, tally) = (desk.clone(), Arc::clone(metrics));
    let heard: Heard = Arc::new(move |notice, outcome| {
        let (entry, channel) = (notice.entry.clone(), notice.channel.clone());
        back.heard(notice, Told { entry, channel, at: clock.now(), gave_up: outcome.err() });
    });
    let count = Arc::new(move |channel: &str, outcome| tally.notified(channel, outcome));
    let (courier, carrying) = Courier::start(&settings.channels, heard, count);
    let tell = Arc::new(move |notices| courier.take(notices));
    let ledger = Ledger { client, deadline, desk: desk.clone(), metrics: Arc::clone(metrics), tell };
    let tasks = carrying.into_iter().map(FutureExt::boxed).chain([ledger.keep().boxed()]);
    (desk, tasks.collect())
}

/// Who asks webhooks, and who tells them.
fn webhooks(settings: &Settings, board: &Board) -> Result<(Webhooks, Arc<act::Webhooks>), ProviderError> {
    Ok((Webhooks::new(&settings.routers, board)?, Arc::new(act::Webhooks::new(&settings.routers)?)))
}

/// One task for each provider and endpoint.
fn providers(
    settings: &Settings,
    board: &Board,
    clock: Clock,
    metrics: &Arc<Metrics>,
    stop: &cell::Receiver<bool>,
) -> Result<Vec<future::BoxFuture<'static, ()>>, ControlError> {
    let one = |provider: &ProviderSettings| {
        let provider = Provider::new(provider.clone())?;
        let tally = Arc::clone(metrics);
        let told = move |name: &str, reading: &Reading, took| tally.provider_asked(name, reading, took);
        Ok(provider.run(board.clone(), clock, told, stopped(stop.clone())).boxed())
    };
    settings.providers.iter().chain(&settings.endpoints).map(one).collect()
}

/// A client configuration that never retries by itself: each room has its own deadline and its own next pass.
async fn quiet_config() -> Result<Config, ControlError> {
    let mut config = Config::infer().await.map_err(ControlError::NoCluster)?;
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT);
    Ok(config)
}

async fn stopped(mut stop: cell::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        future::pending::<()>().await;
    }
}

async fn signalled() -> Result<(), ControlError> {
    let mut term = signal(SignalKind::terminate()).map_err(ControlError::Signals)?;
    let mut int = signal(SignalKind::interrupt()).map_err(ControlError::Signals)?;
    tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
    Ok(())
}

/// A reading wakes the rollout that waits for it, in whichever scope it lives.
async fn dispatch(board: Board, dials: Vec<Dial>, stop: impl Future<Output = ()>) {
    let mut wakes = std::pin::pin!(board.wakes().take_until(stop));
    while let Some(owner) = wakes.next().await {
        let dial = dials.iter().find(|(scope, _)| scope.is_none() || *scope == owner.namespace);
        if let Some((_, dial)) = dial {
            let _ = dial.send(owner).await;
        }
    }
}

/// Each has its own connections: the way home never waits for one that others have filled.
struct Clients {
    eyes: Client,
    hands: Client,
    home: Client,
}

impl Clients {
    fn new(config: &Config) -> Result<Self, ControlError> {
        let one = || Client::try_from(config.clone()).map_err(ControlError::Client);
        Ok(Self { eyes: one()?, hands: one()?, home: one()? })
    }
}

/// What the loops of all scopes share.
struct Parts {
    settings: Settings,
    clients: Clients,
    board: Board,
    clock: Clock,
    metrics: Arc<Metrics>,
    herald: Herald,
    desk: Desk,
    lease: LeaseHandle,
    webhooks: (Webhooks, Arc<act::Webhooks>),
    /// For checks; gates have a task for each.
    endpoints: Arc<Vec<Line>>,
}

impl Parts {
    /// One loop for each scope: the namespaces that are watched, or the whole cluster.
    fn loops(&self, stop: &cell::Receiver<bool>, ready: &Ready) -> Vec<(Dial, future::BoxFuture<'static, ()>)> {
        let named = self.settings.watch_namespaces.iter().cloned().map(Some);
        let scopes: Vec<_> = if self.settings.watch_namespaces.is_empty() { vec![None] } else { named.collect() };
        let one = |scope: Option<String>| {
            let (dial, dialled) = mpsc::channel(64);
            let work = self.one_loop(scope.as_deref(), dialled, stop.clone(), ready.clone());
            ((scope, dial), work)
        };
        scopes.into_iter().map(one).collect()
    }

    fn one_loop(
        &self,
        scope: Option<&str>,
        dialled: mpsc::Receiver<ObjectRef<LlmRollout>>,
        stop: cell::Receiver<bool>,
        ready: Ready,
    ) -> future::BoxFuture<'static, ()> {
        let (stores, wakes, filled) = watch::scope(&self.clients.eyes, scope);
        let full = Arc::new(AtomicBool::new(false));
        let context = Arc::new(self.context(stores.clone(), Arc::clone(&full)));
        let rollouts = stores.rollouts.clone();
        let (lease, metrics) = (self.lease.clone(), Arc::clone(&self.metrics));
        // Nothing is decided before the caches are full; then everything is looked at once, and again when the lease is held.
        let all = |of: &Store<LlmRollout>| stream::iter(of.state()).map(|r| ObjectRef::from_obj(r.as_ref()));
        let (filling, later) = (stores.rollouts.clone(), stores.rollouts);
        let begin = async move {
            filled.all().await;
            full.store(true, Ordering::Release);
            ready.set(true);
            all(&filling)
        };
        let lead = async move {
            lease.won().await;
            metrics.leads(true);
            all(&later)
        };
        let begin = stream::once(begin).chain(stream::once(lead)).flatten();
        let dialled = stream::unfold(dialled, |mut d| async move { d.recv().await.map(|owner| (owner, d)) });
        let queue = stream::select_all([wakes, dialled.boxed(), begin.boxed()]);
        let queue = queue.take_until(stopped(stop)).map(|obj_ref| Ok::<_, Infallible>(request(obj_ref)));
        // Bounded by the lanes.
        let config = controller::Config::default().concurrency(0);
        let board = self.board.clone();
        let policy = |of: Arc<LlmRollout>, error: &_, context: Arc<Context>| after_error(&of, error, &context);
        let run = controller::applier(
            |rollout, context| Box::pin(reconcile(rollout, context)),
            policy,
            Arc::clone(&context),
            rollouts,
            queue,
            config,
        );
        Box::pin(run.for_each(move |done| {
            if let Err(controller::Error::ObjectNotFound(gone)) = done {
                let name = gone.name.clone();
                let gone = ObjectRef::<LlmRollout>::new(&name).within(gone.namespace.as_deref().unwrap_or_default());
                board.forget(&gone);
                context.forget(gone.namespace.as_deref().unwrap_or_default(), &name);
            }
            future::ready(())
        }))
    }

    fn context(&self, stores: crate::observe::stores::Stores, full: Arc<AtomicBool>) -> Context {
        let deadline = self.settings.limits.call_timeout;
        let providers = self.settings.providers.iter().map(|p| p.name.clone()).collect();
        let endpoint = |e: &ProviderSettings| EndpointOffer { name: e.name.clone(), tells_colors: e.tells_colors() };
        let endpoints = self.settings.endpoints.iter().map(endpoint).collect();
        let Settings { prices, gpu_price, .. } = self.settings.clone();
        // A scope of one namespace has caches of that one only.
        let cross_namespace = self.settings.allow_cross_namespace && self.settings.watch_namespaces.is_empty();
        let quarrel = Some(self.settings.limits.quarrel);
        let offers = Arc::new(Offers { providers, endpoints, prices, gpu_price, cross_namespace, quarrel });
        let lease = self.lease.clone();
        let acts = self.settings.election.as_ref().is_some_and(|election| election.standby_acts);
        let standby = acts.then(|| Overdue::new(Arc::clone(&full)));
        let may_write: Arc<dyn Fn() -> bool + Send + Sync> =
            Arc::new(move || lease.is_leader() && full.load(Ordering::Acquire));
        let reach = |read: &Client, write: &Client| Reach {
            eyes: Eyes { client: read.clone(), deadline },
            hands: Hands {
                client: write.clone(),
                deadline,
                may_write: Arc::clone(&may_write),
                webhooks: Arc::clone(&self.webhooks.1),
            },
            pen: Pen { client: write.clone(), deadline },
        };
        Context {
            world: World {
                stores,
                board: self.board.clone(),
                clock: self.clock,
                offers,
                memory: Memory::default(),
                webhooks: self.webhooks.0.clone(),
                calls: Calls::new(
                    Eyes { client: self.clients.eyes.clone(), deadline },
                    self.board.clone(),
                    self.clock,
                    Arc::clone(&self.endpoints),
                    notify::teller(&self.settings.channels),
                ),
            },
            lanes: Lanes::new(self.settings.limits.concurrency),
            usual: reach(&self.clients.eyes, &self.clients.hands),
            home: reach(&self.clients.home, &self.clients.home),
            herald: self.herald.clone(),
            desk: self.desk.clone(),
            metrics: Arc::clone(&self.metrics),
            attempts: Attempts::default(),
            standby,
        }
    }
}

fn request(obj_ref: ObjectRef<LlmRollout>) -> ReconcileRequest<LlmRollout> {
    ReconcileRequest { obj_ref, reason: ReconcileReason::Unknown }
}
