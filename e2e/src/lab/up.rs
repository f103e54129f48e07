//! Starts a lab from outside: lays out its directory, starts its supervisor, waits until that says it is up.
//! What happens inside is the supervisor's.

use std::{
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::Child,
    time::Instant,
};

use k8s_openapi::jiff::Timestamp;

use super::{
    Description, Lab, LabError, parts, siblings,
    space::{self, GATEWAY_ADDRESS},
    state::State,
    supervise::{DETACH, Event},
    tools,
};

/// What a caller may choose about a lab.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Options {
    /// Play an image repository by this program (repository=path)
    #[arg(long = "image", value_parser = super::conf::parse_image)]
    pub images: Vec<(String, PathBuf)>,
    /// Use the binaries of this workspace as they are, do not build them first
    #[arg(long)]
    pub no_build: bool,
}

fn say(line: impl AsRef<str>) {
    eprintln!("{}", line.as_ref());
}

/// Brings a lab up. A held one ends with the handle.
pub(crate) fn up(state: State, name: &str, options: &Options, is_held: bool) -> Result<Lab, LabError> {
    if !options.no_build {
        siblings::build()?;
    }
    let toolbox = tools::provide(&mut |line| say(line))?;
    let since = Instant::now();
    lay_out(&state, &toolbox, options)?;
    let mut command = space::unshare(&["lab", "supervise", "--state", &state.text("")])?;
    let log = state.log("supervisor");
    command.stderr(std::fs::File::create(&log).map_err(LabError::file(log))?);
    let mut supervisor = command.spawn().map_err(LabError::program("setsid"))?;
    let described = follow(&state, name, &mut supervisor);
    let description = match described {
        Ok(description) => description,
        Err(error) => {
            // It takes itself down, seeing that nobody listens.
            drop(supervisor.stdin.take());
            supervisor.wait().map_err(LabError::program("unshare"))?;
            return Err(error);
        }
    };
    state.write_json("lab.json", &description)?;
    say(format!("lab {name} is up after {} ms: {}", since.elapsed().as_millis(), state.text("lab.json")));
    let mut lab = Lab { description, state, held: Some(supervisor) };
    if !is_held {
        lab.let_go()?;
    }
    Ok(lab)
}

impl Lab {
    /// Lets the lab outlive its caller.
    fn let_go(&mut self) -> Result<(), LabError> {
        if let Some(mut stdin) = self.held.take().and_then(|mut child| child.stdin.take()) {
            writeln!(stdin, "{DETACH}").map_err(LabError::file("the supervisor's standard input"))?;
        }
        Ok(())
    }
}

fn lay_out(state: &State, toolbox: &tools::Toolbox, options: &Options) -> Result<(), LabError> {
    state.create()?;
    for (name, path) in toolbox.tools.iter().chain(&siblings::on_path()?) {
        state.link(&format!("bin/{name}"), path)?;
    }
    for (index, dir) in toolbox.manifests.iter().enumerate() {
        state.link(&format!("manifests/{index}"), dir)?;
    }
    state.write_yaml("images.yaml", &siblings::images(&options.images)?)
}

/// Reads what the supervisor says until it is up or gives up.
fn follow(state: &State, name: &str, supervisor: &mut Child) -> Result<Description, LabError> {
    let silent = || LabError::Supervisor(format!("its supervisor ended\n{}", state.tail("supervisor", 20)));
    let out = supervisor.stdout.take().ok_or_else(silent)?;
    let mut description = None;
    for line in BufReader::new(out).lines() {
        let line = line.map_err(LabError::file("the supervisor's words"))?;
        match serde_json::from_str(&line).map_err(LabError::document("the supervisor's words"))? {
            Event::Started => {
                let described = describe(state, name, supervisor.id())?;
                // Written before anything runs, so that `down` finds a lab whose caller was lost.
                state.write_json("lab.json", &described)?;
                description = Some(described);
            }
            Event::Ready { part, ms } => say(format!("  {part:<26}{ms:>6} ms")),
            Event::Failed(why) => return Err(LabError::Supervisor(why)),
            Event::Up => {
                let description = description.ok_or_else(silent)?;
                return Ok(Description { ready: true, ..description });
            }
        }
    }
    Err(silent())
}

fn describe(state: &State, name: &str, unshare: u32) -> Result<Description, LabError> {
    let lost = || LabError::Supervisor("its process 1 cannot be found in /proc".to_owned());
    let pid = space::child_of(unshare).ok_or_else(lost)?;
    let namespace = |kind| space::namespace(&pid.to_string(), kind).ok_or_else(lost);
    Ok(Description {
        name: name.to_owned(),
        pid,
        ready: false,
        state_dir: state.dir().to_path_buf(),
        kubeconfig: state.path("kubeconfig"),
        gateway_url: parts::gateway_url(),
        gateway_address: GATEWAY_ADDRESS.to_owned(),
        prometheus_url: parts::prometheus_url(),
        envoy_stats_url: parts::envoy_stats_url(),
        bin_dir: state.path("bin"),
        audit_log: state.path("audit.log"),
        started_at: Timestamp::now().to_string(),
        pid_namespace: namespace("pid")?,
        network_namespace: namespace("net")?,
        user_namespace: space::needs_user_namespace(),
    })
}
