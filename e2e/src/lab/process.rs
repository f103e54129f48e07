//! Runs the parts of the lab: starts them, keeps them, holds them down on request, ends them.
//! Nothing here knows what the parts are.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tokio::{
    process::{Child, Command},
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{LabError, space, state::State};

/// How long a part may take to end before it is killed.
const GRACE: Duration = Duration::from_secs(5);
/// How long a part that ended stays away before it is started again.
const BACKOFF: Duration = Duration::from_millis(200);

/// What to run.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    /// The name of the part.
    pub name: &'static str,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
}

/// What is known of a part.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Row {
    /// Its pid inside the lab, while it runs.
    pub pid: Option<u32>,
    /// How often it has ended.
    pub ends: u32,
}

/// All parts; every change is written to `parts.json`.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    state: State,
    rows: Arc<Mutex<BTreeMap<String, Row>>>,
}

impl Table {
    /// An empty table.
    pub(crate) fn new(state: State) -> Self {
        Self { state, rows: Arc::default() }
    }

    /// How often a part has ended.
    pub(crate) fn ends(&self, part: &str) -> u32 {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).get(part).map_or(0, |row| row.ends)
    }

    /// Whether this is the pid of a part.
    pub(crate) fn has_pid(&self, pid: u32) -> bool {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).values().any(|row| row.pid == Some(pid))
    }

    fn change(&self, part: &str, change: impl FnOnce(&mut Row)) {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        change(rows.entry(part.to_owned()).or_default());
        if let Err(error) = self.state.write_json("parts.json", &*rows) {
            eprintln!("{error}");
        }
    }
}

/// A part that is kept running until it is stopped.
#[derive(Debug)]
pub(crate) struct Part {
    /// Its name.
    pub name: &'static str,
    stop: watch::Sender<bool>,
    keeper: JoinHandle<()>,
}

impl Part {
    /// Starts a part and keeps it: a part that ends is started again, as a node would do.
    pub(crate) fn start(spec: Spec, table: &Table) -> Self {
        let (stop, stopped) = watch::channel(false);
        let name = spec.name;
        let keeper = tokio::spawn(keep(spec, table.clone(), stopped));
        Self { name, stop, keeper }
    }

    /// Ends the part and waits until it is gone.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.keeper.await {
            eprintln!("{}: {error}", self.name);
        }
    }
}

async fn keep(spec: Spec, table: Table, mut stop: watch::Receiver<bool>) {
    let held = table.state.held(spec.name);
    while !*stop.borrow() {
        if !held.exists() {
            match spawn(&spec, &table.state) {
                Ok(mut child) => {
                    table.change(spec.name, |row| row.pid = child.id());
                    tokio::select! {
                        status = child.wait() => eprintln!("{} ended: {status:?}", spec.name),
                        _ = stop.changed() => end(&mut child).await,
                        () = poll_exists(&held) => end(&mut child).await,
                    }
                }
                Err(error) => eprintln!("{error}"),
            }
            table.change(spec.name, |row| {
                row.pid = None;
                row.ends += 1;
            });
        }
        tokio::select! {
            () = sleep(BACKOFF) => {}
            _ = stop.changed() => {}
        }
    }
}

async fn poll_exists(path: &std::path::Path) {
    while !path.exists() {
        sleep(Duration::from_millis(50)).await;
    }
}

fn spawn(spec: &Spec, state: &State) -> Result<Child, LabError> {
    let path = state.log(spec.name);
    let log = OpenOptions::new().create(true).append(true).open(&path).map_err(LabError::file(&path))?;
    let errors = log.try_clone().map_err(LabError::file(&path))?;
    let mut command = Command::new(&spec.program);
    command
        .args(&spec.args)
        .current_dir(state.dir())
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .kill_on_drop(true);
    command.spawn().map_err(LabError::program(spec.program.display().to_string()))
}

async fn end(child: &mut Child) {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        space::signal(pid, Signal::TERM);
    }
    if timeout(GRACE, child.wait()).await.is_err()
        && let Err(error) = child.kill().await
    {
        eprintln!("killing a part: {error}");
    }
}
