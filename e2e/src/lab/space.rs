//! The namespaces of a lab seen from outside: how they are made, entered, found again, and proved empty.
//! Nothing here knows the parts.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, geteuid, kill_process};

use super::{LabError, siblings};

/// Addresses on the loopback device: API server, Envoy, Prometheus.
pub(crate) const API_ADDRESS: &str = "172.31.0.1";
/// The address the gateway answers on.
pub(crate) const GATEWAY_ADDRESS: &str = "172.31.0.10";
/// The address of Prometheus.
pub(crate) const PROMETHEUS_ADDRESS: &str = "172.31.0.20";
/// All pod addresses.
pub(crate) const POD_RANGE: &str = "10.244.0.0/16";
/// All `ClusterIP`s.
pub(crate) const SERVICE_RANGE: &str = "10.96.0.0/16";

/// Whether namespaces need one for users too.
pub(crate) fn needs_user_namespace() -> bool {
    !geteuid().is_root()
}

/// The command that makes the namespaces and runs this program in them as pid 1.
/// It stands in a session of its own, so that Ctrl-C and a closing terminal reach the caller only.
pub(crate) fn unshare(arguments: &[&str]) -> Result<Command, LabError> {
    let own = siblings::own_program()?;
    let mut command = Command::new("setsid");
    command.arg("unshare");
    if needs_user_namespace() {
        command.arg("-Ur");
    }
    command.args(["-n", "-p", "-m", "--fork", "--kill-child", "--mount-proc"]).arg(own).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    Ok(command)
}

/// The command that runs another one inside, in the same working directory.
pub(crate) fn nsenter(pid: i32, user: bool, program: &Path) -> Result<Command, LabError> {
    let cwd = env::current_dir().map_err(LabError::file("the working directory"))?;
    let mut command = Command::new("nsenter");
    command.args(["-t", &pid.to_string()]);
    if user {
        command.args(["-U", "--preserve-credentials"]);
    }
    // Entering a mount namespace leaves the caller in its root.
    command.args(["-n", "-p", "-m", "--", "sh", "-c", r#"cd "$1" && shift && exec "$@""#, "sh"]);
    command.arg(cwd).arg(program);
    Ok(command)
}

/// Gives this network namespace its addresses; any process may then listen on any pod address.
pub(crate) fn give_addresses() -> Result<(), LabError> {
    let ip = |line: &str| {
        let mut command = Command::new("ip");
        command.args(line.split(' '));
        super::tools::run(command, &format!("ip {line}")).map(drop)
    };
    ip("link set lo up")?;
    for address in [API_ADDRESS, GATEWAY_ADDRESS, PROMETHEUS_ADDRESS] {
        ip(&format!("addr add {address}/32 dev lo"))?;
    }
    for range in [POD_RANGE, SERVICE_RANGE] {
        ip(&format!("-4 route add local {range} dev lo"))?;
    }
    Ok(())
}

/// The identity of a namespace of a process; none when the process is gone or not ours to see.
pub(crate) fn namespace(pid: &str, kind: &str) -> Option<String> {
    let link = fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok()?;
    Some(link.display().to_string())
}

/// The first child of a process.
pub(crate) fn child_of(parent: u32) -> Option<i32> {
    let line = format!("PPid:\t{parent}\n");
    processes().into_iter().find(|pid| status(*pid).is_some_and(|text| text.contains(&line)))
}

/// Whether a process is there and more than a zombie.
pub(crate) fn lives(pid: i32) -> bool {
    status(pid).is_some_and(|text| !text.contains("State:\tZ"))
}

/// Everything that lives in a pid namespace, as seen from outside.
pub(crate) fn members(pid_namespace: &str) -> Vec<i32> {
    let is_member = |pid: &i32| namespace(&pid.to_string(), "pid").as_deref() == Some(pid_namespace) && lives(*pid);
    processes().into_iter().filter(is_member).collect()
}

/// Sends a signal; a process that is gone already is fine.
pub(crate) fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        // The only other answers are "gone" and "not yours", and what follows looks at /proc anyway.
        let _ = kill_process(pid, signal);
    }
}

/// Waits until a condition holds or the deadline passes.
pub(crate) fn poll_until(deadline: Duration, holds: impl Fn() -> bool) -> bool {
    let end = Instant::now() + deadline;
    loop {
        if holds() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn status(pid: i32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/status")).ok()
}

/// All pids in the /proc of this process.
pub(crate) fn processes() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let name = |path: PathBuf| path.file_name()?.to_str()?.parse().ok();
    entries.filter_map(|entry| name(entry.ok()?.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_process_lives_in_its_own_namespace() {
        let own = namespace("self", "pid").unwrap();
        assert!(members(&own).contains(&i32::try_from(std::process::id()).unwrap()));
    }

    #[test]
    fn a_pid_that_cannot_be_is_not_alive() {
        assert!(!lives(i32::MAX));
    }
}
