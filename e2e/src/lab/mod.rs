//! The lab: real servers in namespaces of their own, and the handle everything else uses it by.
//! Nothing here knows what is tested in it.

pub(crate) mod cli;
mod cluster;
mod conf;
mod error;
mod front;
mod inspect;
mod parts;
mod process;
mod recipes;
mod siblings;
mod space;
mod state;
mod supervise;
mod tools;
mod up;

use std::{
    collections::BTreeMap,
    env,
    ffi::OsStr,
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    time::Duration,
};

pub(crate) use conf::API_URL;
pub(crate) use error::LabError;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
pub(crate) use siblings::own_program;
use state::State;
pub(crate) use tools::promtool;
pub(crate) use up::Options;

/// The name of the lab when none is given.
pub(crate) const DEFAULT: &str = "default";
/// Names the description of the lab to programs inside it.
pub(crate) const VARIABLE: &str = "LLMROLLOUT_LAB";
/// Longer than any orderly end takes.
const DOWN: Duration = Duration::from_secs(30);

/// The description of a lab, kept as `lab.json` in its directory.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Description {
    /// Its name.
    pub name: String,
    /// Its process 1, as seen from outside.
    pub pid: i32,
    /// Whether all parts came up.
    pub ready: bool,
    /// Its directory.
    pub state_dir: PathBuf,
    /// A kubeconfig with all rights.
    pub kubeconfig: PathBuf,
    /// Where traffic goes in.
    pub gateway_url: String,
    /// The address in the Gateway's status.
    pub gateway_address: String,
    /// Prometheus.
    pub prometheus_url: String,
    /// Envoy's counters.
    pub envoy_stats_url: String,
    /// All tools, and this workspace's binaries.
    pub bin_dir: PathBuf,
    /// One JSON document per request to the API server.
    pub audit_log: PathBuf,
    /// When it was started.
    pub started_at: String,
    /// The identity of its pid namespace; tells this lab from a later process with the same pid.
    pub pid_namespace: String,
    /// The identity of its network namespace.
    pub network_namespace: String,
    /// Whether it has a namespace for users too.
    pub user_namespace: bool,
}

/// A running lab. One held by its caller ends with the handle, and with the caller however that ends.
#[derive(Debug)]
pub(crate) struct Lab {
    /// What is where.
    pub description: Description,
    state: State,
    held: Option<Child>,
}

/// Where demo and cases run.
#[derive(Debug)]
pub(crate) enum Target {
    /// In a lab.
    Lab,
    /// In the cluster of this kubeconfig, which the user set.
    Foreign(PathBuf),
}

/// A lab unless the user set `KUBECONFIG`.
pub(crate) fn target() -> Target {
    match env::var_os("KUBECONFIG").filter(|path| !path.is_empty()) {
        Some(path) if env::var_os(VARIABLE).is_none() => Target::Foreign(path.into()),
        _ => Target::Lab,
    }
}

/// Runs this program again inside the lab with these arguments.
pub(crate) fn enter<S: AsRef<OsStr>>(
    lab: &Lab,
    arguments: impl IntoIterator<Item = S>,
) -> Result<ExitStatus, LabError> {
    let own = siblings::own_program()?;
    lab.run(&own, arguments)
}

impl Lab {
    /// The lab of this name, brought up if it is not there; it outlives the caller.
    pub(crate) fn ensure(name: &str, options: &Options) -> Result<Self, LabError> {
        let state = State::named(name)?;
        // Whoever comes second waits and finds the lab of the first.
        let path = state.dir().with_extension("lock");
        let lock = File::create(&path).map_err(LabError::file(&path))?;
        lock.lock().map_err(LabError::file(&path))?;
        match Self::find(name) {
            Err(LabError::Down { .. }) => up::up(state, name, options, false),
            found => found,
        }
    }

    /// A new lab that ends with the handle.
    pub(crate) fn ephemeral(options: &Options) -> Result<Self, LabError> {
        let name = format!("run-{}", std::process::id());
        up::up(State::named(&name)?, &name, options, true)
    }

    /// The lab of this name, ready for work.
    pub(crate) fn find(name: &str) -> Result<Self, LabError> {
        let lab = Self::find_any(name)?;
        if lab.description.ready { Ok(lab) } else { Err(LabError::Half { name: name.to_owned() }) }
    }

    /// The lab of this name, even one on its way up.
    fn find_any(name: &str) -> Result<Self, LabError> {
        let state = State::named(name)?;
        let down = || LabError::Down { name: name.to_owned() };
        let description: Description = state.read_json("lab.json").map_err(|_| down())?;
        let lab = Self { description, state, held: None };
        if lab.is_inside() || lab.lives() { Ok(lab) } else { Err(down()) }
    }

    /// What the supervisor says of a part.
    fn row(&self, part: &str) -> Option<process::Row> {
        let mut rows: BTreeMap<String, process::Row> = self.state.read_json("parts.json").ok()?;
        rows.remove(part)
    }

    /// Whether its process 1 is there.
    fn lives(&self) -> bool {
        space::namespace(&self.description.pid.to_string(), "pid").as_ref() == Some(&self.description.pid_namespace)
    }

    /// Whether the caller is in it.
    fn is_inside(&self) -> bool {
        space::namespace("self", "net").as_ref() == Some(&self.description.network_namespace)
    }

    /// The command that runs a program inside, with the lab's tools and kubeconfig.
    pub(crate) fn command(&self, program: &Path) -> Result<Command, LabError> {
        let mut command = if self.is_inside() {
            Command::new(program)
        } else {
            space::nsenter(self.description.pid, self.description.user_namespace, program)?
        };
        let path = env::var_os("PATH").unwrap_or_default();
        let paths = std::iter::once(self.description.bin_dir.clone()).chain(env::split_paths(&path));
        let path = env::join_paths(paths).map_err(LabError::document("PATH"))?;
        command.env("PATH", path).env("KUBECONFIG", &self.description.kubeconfig);
        command.env(VARIABLE, self.state.path("lab.json"));
        Ok(command)
    }

    /// Runs a program inside and waits for it.
    pub(crate) fn run<S: AsRef<OsStr>>(
        &self,
        program: &Path,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<ExitStatus, LabError> {
        let mut command = self.command(program)?;
        command.args(arguments);
        command.status().map_err(LabError::program(program.display().to_string()))
    }

    /// Ends the lab in order and proves that nothing of it is left.
    pub(crate) fn down(mut self) -> Result<(), LabError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), LabError> {
        // A held lab sees its caller hang up; any other is asked.
        let held = self.held.take().map(|mut child| {
            drop(child.stdin.take());
            child
        });
        let Description { pid, pid_namespace, name, .. } = &self.description;
        if held.is_none() && self.lives() {
            space::signal(*pid, Signal::TERM);
        }
        if !space::poll_until(DOWN, || !self.lives()) {
            space::signal(*pid, Signal::KILL);
        }
        if let Some(mut child) = held {
            child.wait().map_err(LabError::program("unshare"))?;
        }
        space::poll_until(Duration::from_secs(2), || space::members(pid_namespace).is_empty());
        let left = space::members(pid_namespace);
        if left.is_empty() { Ok(()) } else { Err(LabError::Left { name: name.clone(), pids: left }) }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.held.is_none() {
            return;
        }
        let ended = self.end().and_then(|()| tools::remove_dir(self.state.dir()));
        if let Err(error) = ended {
            eprintln!("{error}");
        }
    }
}
