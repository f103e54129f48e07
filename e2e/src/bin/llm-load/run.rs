//! A run: starts requests when they are due, listens for its end, and writes the report.
//! Nothing here judges an answer.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use k8s_openapi::jiff::Timestamp;
use thiserror::Error;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};

use crate::{
    args::Args,
    client::Client,
    clock::now,
    control,
    report::{Report, Start},
    schedule::{Due, Schedule},
};

/// How often a line is written for whoever watches.
const LIVE: Duration = Duration::from_millis(500);
/// How long requests under way get when the run is ended from outside.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why there is no report.
#[derive(Debug, Error)]
pub(crate) enum LoadError {
    /// The client could not be built.
    #[error("the HTTP client cannot be built: {0}")]
    Client(#[from] reqwest::Error),
    /// The control address cannot be used.
    #[error("cannot listen on --control {address}: {source}; choose a free address of this machine")]
    Control { address: std::net::SocketAddr, source: io::Error },
    /// Signals cannot be received.
    #[error("signals cannot be received: {0}")]
    Signals(io::Error),
    /// A file cannot be written.
    #[error("cannot write {path}: {source}; give a path in a directory that exists")]
    Write { path: PathBuf, source: io::Error },
    /// The report cannot be put into words.
    #[error("the report cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// What the parts of a run share.
#[derive(Debug)]
pub(crate) struct Shared {
    report: Mutex<Report>,
    started: Instant,
    /// Why the run ends, once it does.
    stop: watch::Sender<Option<&'static str>>,
}

impl Shared {
    /// The report with its clock set to now.
    pub(crate) fn report(&self) -> MutexGuard<'_, Report> {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        if self.stop.borrow().is_none() {
            report.advance(self.at_ms());
        }
        report
    }

    /// Milliseconds since the start.
    pub(crate) fn at_ms(&self) -> u64 {
        millis(self.started.elapsed())
    }

    /// Ends the run; the first reason stays.
    pub(crate) fn stop(&self, why: &'static str) {
        self.stop.send_if_modified(|stop| {
            let first = stop.is_none();
            stop.get_or_insert(why);
            first
        });
    }
}

/// Runs to the end and writes the report.
pub(crate) async fn run(args: Args) -> Result<(), LoadError> {
    let client = Arc::new(Client::new(&args)?);
    let live = args.live.as_deref().map(open_live).transpose()?;
    let control = match args.control {
        Some(address) => {
            Some(TcpListener::bind(address).await.map_err(|source| LoadError::Control { address, source })?)
        }
        None => None,
    };
    let shared =
        Arc::new(Shared { report: Mutex::new(Report::new(wall())), started: now(), stop: watch::Sender::new(None) });
    spawn_signals(&shared)?;
    if let Some(listener) = control {
        tokio::spawn(control::serve(listener, Arc::clone(&shared)));
    }
    let watcher = live.map(|live| tokio::spawn(write_live(live, Arc::clone(&shared))));

    let requests = start_all(&args, &client, &shared).await;
    shared.report().advance(shared.at_ms());
    shared.stop("time");
    finish(requests, args.timeout, &shared).await;

    let why = shared.stop.borrow().unwrap_or("time");
    let json = {
        let mut report = shared.report();
        report.close(why);
        serde_json::to_vec_pretty(&*report)?
    };
    if let Some(watcher) = watcher {
        // It ends by itself after its last line; a panic there has been told on standard error.
        let _ = watcher.await;
    }
    write_report(args.report.as_deref(), &json)
}

/// Starts every request when it is due, whatever became of those before.
async fn start_all(args: &Args, client: &Arc<Client>, shared: &Arc<Shared>) -> JoinSet<()> {
    let mut requests = JoinSet::new();
    let mut stop = shared.stop.subscribe();
    for due in Schedule::new(args) {
        let at = shared.started + due.at;
        tokio::select! {
            biased;
            _ = stop.wait_for(Option::is_some) => break,
            () = sleep_until(at) => {}
        }
        while requests.try_join_next().is_some() {}
        start_one(due, args.max_in_flight, client, shared, &mut requests);
    }
    // The last request's due time is not the end of the time asked for.
    let _ =
        timeout((shared.started + args.length).saturating_duration_since(now()), stop.wait_for(Option::is_some)).await;
    requests
}

fn start_one(due: Due, most: usize, client: &Arc<Client>, shared: &Arc<Shared>, requests: &mut JoinSet<()>) {
    let at_ms = shared.at_ms();
    let begun = {
        let mut report = shared.report();
        if report.in_flight() >= most {
            report.skip();
            return;
        }
        report.begin(at_ms, at_ms.saturating_sub(millis(due.at)))
    };
    let (client, shared) = (Arc::clone(client), Arc::clone(shared));
    requests.spawn(async move {
        let outcome = client.send(due.stream, due.new_connection).await;
        shared.report().end(begun, &outcome);
    });
}

/// Waits for the requests under way; those that outlast the patience stay in `in_flight`.
async fn finish(mut requests: JoinSet<()>, limit: Duration, shared: &Shared) {
    let natural = *shared.stop.borrow() == Some("time");
    let limit = if natural { limit + Duration::from_secs(1) } else { limit.min(PATIENCE) };
    let _ = timeout(limit, async { while requests.join_next().await.is_some() {} }).await;
    requests.abort_all();
}

fn spawn_signals(shared: &Arc<Shared>) -> Result<(), LoadError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(LoadError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(LoadError::Signals)?;
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        shared.stop("signal");
    });
    Ok(())
}

fn open_live(path: &Path) -> Result<Box<dyn Write + Send>, LoadError> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdout()));
    }
    let file = File::create(path).map_err(|source| LoadError::Write { path: path.to_owned(), source })?;
    Ok(Box::new(file))
}

/// A line now and then, and a last one when no more requests are started.
async fn write_live(mut watcher: Box<dyn Write + Send>, shared: Arc<Shared>) {
    let mut stop = shared.stop.subscribe();
    let mut tick = interval(LIVE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let ended = tokio::select! {
            _ = tick.tick() => false,
            _ = stop.wait_for(Option::is_some) => true,
        };
        let line = serde_json::to_string(&shared.report().live());
        if let Ok(line) = line
            && let Err(why) = writeln!(watcher, "{line}").and_then(|()| watcher.flush())
        {
            eprintln!("--live ends early: {why}");
            return;
        }
        if ended {
            return;
        }
    }
}

/// Whole or not at all: whoever waits for the file must not read half of it.
fn write_report(path: Option<&Path>, json: &[u8]) -> Result<(), LoadError> {
    let Some(path) = path else {
        let to = |source| LoadError::Write { path: PathBuf::from("standard output"), source };
        let mut out = io::stdout().lock();
        return out.write_all(json).and_then(|()| out.write_all(b"\n")).map_err(to);
    };
    let mut half = path.as_os_str().to_owned();
    half.push(".part");
    fs::write(&half, json)
        .and_then(|()| fs::rename(&half, path))
        .map_err(|source| LoadError::Write { path: path.to_owned(), source })
}

fn wall() -> Start {
    let time = Timestamp::now();
    Start { text: time.to_string(), ms: time.as_millisecond() }
}

/// Two hours of milliseconds fit.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
