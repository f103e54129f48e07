//! Process 1 of the lab: brings the parts up in order, keeps them, and takes them down in order.
//! When it dies, the kernel ends everything else in its pid namespace.

use std::{
    fs,
    io::{BufRead, Write},
    time::{Duration, Instant},
};

use rustix::process::{Pid, WaitOptions, waitpid};
use serde::{Deserialize, Serialize};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::spawn_blocking,
    time::sleep,
};

use super::{
    LabError, cluster, conf, front,
    parts::{self, poll_ready, spec},
    process::{Part, Table},
    siblings::NODE,
    space,
    state::State,
};

/// The word on standard input that lets the lab outlive its caller.
pub(crate) const DETACH: &str = "detach";
const DEADLINE: Duration = Duration::from_mins(1);

/// What the supervisor tells its caller, one JSON document per line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Event {
    /// The namespaces are there.
    Started,
    /// Something is ready.
    Ready {
        /// What.
        part: String,
        /// After how many milliseconds of its own.
        ms: u128,
    },
    /// Everything is ready.
    Up,
    /// The lab gives up.
    Failed(String),
}

/// Tells the caller; a caller that is gone is seen on standard input.
fn tell(event: &Event) {
    if let Ok(line) = serde_json::to_string(event) {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }
}

/// Runs the lab until it is asked to end.
pub(crate) async fn supervise(state: State) -> Result<(), LabError> {
    tell(&Event::Started);
    let mut lab = Running { table: Table::new(state.clone()), state, parts: Vec::new() };
    let mut leave = leave()?;
    let result = tokio::select! {
        result = lab.bring_up() => result,
        _ = leave.changed() => Err(LabError::Supervisor("its caller ended first".to_owned())),
    };
    match &result {
        Ok(()) => {
            tell(&Event::Up);
            tokio::select! {
                _ = leave.changed() => {}
                () = poll_orphans(&lab.table) => {}
            }
        }
        Err(error) => tell(&Event::Failed(error.to_string())),
    }
    lab.take_down().await;
    result
}

/// Becomes true when the lab is to end: a signal, or a caller that hung up without a word.
fn leave() -> Result<watch::Receiver<bool>, LabError> {
    let (leave, left) = watch::channel(false);
    let by_caller = leave.clone();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        if read.is_err() || line.trim() != DETACH {
            by_caller.send_replace(true);
        }
    });
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut asked = signal(kind).map_err(LabError::file("a signal handler"))?;
        let leave = leave.clone();
        tokio::spawn(async move {
            asked.recv().await;
            leave.send_replace(true);
        });
    }
    Ok(left)
}

struct Running {
    state: State,
    table: Table,
    parts: Vec<Part>,
}

impl Running {
    fn start(&mut self, name: &'static str) {
        self.parts.push(Part::start(spec(name, &self.state), &self.table));
    }

    async fn ready(&self, name: &str, client: Option<&kube::Client>, since: Instant) -> Result<(), LabError> {
        poll_ready(name, &self.state, &self.table, client, DEADLINE).await?;
        tell(&Event::Ready { part: name.to_owned(), ms: since.elapsed().as_millis() });
        Ok(())
    }

    async fn bring_up(&mut self) -> Result<(), LabError> {
        let since = Instant::now();
        space::give_addresses()?;
        conf::write(&self.state)?;
        self.start("etcd");
        conf::write_envoy(&self.state)?;
        self.ready("etcd", None, since).await?;

        let since = Instant::now();
        self.start("kube-apiserver");
        let state = self.state.clone();
        let objects = spawn_blocking(move || cluster::objects(&state));
        self.ready("kube-apiserver", None, since).await?;

        let since = Instant::now();
        let client = cluster::client(&self.state).await?;
        self.start("kube-controller-manager");
        self.start(NODE);
        let objects = objects.await.map_err(LabError::document("the manifests"))??;
        cluster::install(&client, &self.state, objects).await?;
        tell(&Event::Ready { part: "CRDs, rules and Gateway".to_owned(), ms: since.elapsed().as_millis() });

        let late = Instant::now();
        front::open().await?;
        for name in ["contour", "envoy", "prometheus"] {
            self.start(name);
        }
        let client = Some(&client);
        tokio::try_join!(
            self.ready("kube-controller-manager", client, since),
            self.ready(NODE, client, since),
            self.ready("contour", client, late),
            self.ready("envoy", client, late),
            self.ready("prometheus", client, late),
        )
        .map(drop)
    }

    /// Clients first, then the API server, etcd last: an API server without its etcd hangs until it is killed.
    async fn take_down(&mut self) {
        let (servers, clients): (Vec<_>, Vec<_>) =
            self.parts.drain(..).partition(|part| parts::ALL[..2].contains(&part.name));
        futures::future::join_all(clients.into_iter().map(Part::stop)).await;
        for part in servers.into_iter().rev() {
            part.stop().await;
        }
    }
}

/// Collects processes whose parents ended before them; as process 1 they are ours. Never returns.
async fn poll_orphans(table: &Table) {
    loop {
        let orphans = space::processes().into_iter().filter(|pid| is_orphan(*pid, table));
        for pid in orphans.filter_map(Pid::from_raw) {
            // Gone already is as good.
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
        sleep(Duration::from_secs(1)).await;
    }
}

fn is_orphan(pid: i32, table: &Table) -> bool {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let is_part = u32::try_from(pid).is_ok_and(|pid| table.has_pid(pid));
    text.contains("State:\tZ") && text.contains("PPid:\t1\n") && !is_part
}
