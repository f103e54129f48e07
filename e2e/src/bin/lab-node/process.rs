//! Programs: started in their own process group, signaled and reaped as a group. Never why.

use std::{
    fs::OpenOptions,
    io,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, kill_process_group, setrlimit};
use tokio::process::{Child, Command};

/// What to start.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) directory: PathBuf,
}

/// The process group of a program and all its children.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group(Pid);

impl Group {
    pub(crate) fn terminate(self) {
        self.signal(Signal::TERM);
    }

    pub(crate) fn kill(self) {
        self.signal(Signal::KILL);
    }

    fn signal(self, signal: Signal) {
        // The group may be gone already, which is what the signal is for.
        let _ = kill_process_group(self.0, signal);
    }
}

/// A started program. Dropped before its end, its whole group dies.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    pub(crate) group: Group,
    ended: bool,
}

impl Running {
    /// Waits for the program and kills the children it leaves behind. The code is as a shell tells it.
    pub(crate) async fn wait(&mut self) -> i32 {
        let status = self.child.wait().await;
        self.ended = true;
        self.group.kill();
        status.map_or(255, code)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            self.group.kill();
        }
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(255)
}

/// Starts `plan` with both outputs appended to `log`.
pub(crate) fn start(plan: &Plan, log: &Path) -> io::Result<Running> {
    let out = OpenOptions::new().create(true).append(true).open(log)?;
    let errors = out.try_clone()?;
    let child = Command::new(&plan.program)
        .args(&plan.args)
        .env_clear()
        .envs(plan.env.iter().map(|(name, value)| (name, value)))
        .current_dir(&plan.directory)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(errors)
        .process_group(0)
        .spawn()?;
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let group = Group(pid.ok_or_else(|| io::Error::other("the program has no process id"))?);
    Ok(Running { child, group, ended: false })
}

/// Runs a probe's or hook's command to its end in the environment of `plan`.
pub(crate) async fn run_in(plan: &Plan, command: &[String], log: &Path) -> io::Result<i32> {
    let (program, args) = command.split_first().ok_or_else(|| io::Error::other("the command is empty"))?;
    let plan = Plan { program: PathBuf::from(program), args: args.to_vec(), ..plan.clone() };
    Ok(start(&plan, log)?.wait().await)
}

/// Kills what an earlier run of the node left behind, known by the variable every container gets.
pub(crate) fn kill_leftovers(pods: &Path) {
    let mark = format!("TERMINATION_MESSAGE_PATH={}/", pods.display());
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        let marked = environment.split(|&byte| byte == 0).any(|one| one.starts_with(mark.as_bytes()));
        if let (Some(pid), true) = (number, marked) {
            // It may end by itself meanwhile.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// Hundreds of pods and connections need more than the usual 1024 files.
pub(crate) fn raise_file_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        eprintln!("lab-node: cannot raise the limit of open files: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Plan {
        Plan {
            program: PathBuf::from("/bin/sh"),
            args: vec!["-c".to_owned(), script.to_owned()],
            env: Vec::new(),
            directory: PathBuf::from("/"),
        }
    }

    #[tokio::test]
    async fn the_code_is_the_shells() {
        let log = Path::new("/dev/null");
        assert_eq!(start(&shell("exit 3"), log).unwrap().wait().await, 3);
        assert_eq!(start(&shell("kill -TERM $$"), log).unwrap().wait().await, 143);
        assert_eq!(run_in(&shell(""), &["/bin/false".to_owned()], log).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn what_an_earlier_run_left_is_found_by_its_environment() {
        let marked = |path: &str| {
            let env = vec![("TERMINATION_MESSAGE_PATH".to_owned(), path.to_owned())];
            start(&Plan { env, ..shell("sleep 60") }, Path::new("/dev/null")).unwrap()
        };
        let mut ours = marked("/lab-node-test/pods/u/c.termination");
        let mut other = marked("/lab-node-test/pods2/u/c.termination");
        kill_leftovers(Path::new("/lab-node-test/pods"));
        assert_eq!(ours.wait().await, 137);
        assert!(other.child.try_wait().unwrap().is_none());
    }

    #[tokio::test]
    async fn children_die_with_their_program() {
        let (reader, writer) = std::os::unix::net::UnixStream::pair().unwrap();
        reader.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        // Both hold the socket as standard output; its end shows that neither is left.
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "sleep 60 & exit 0"]).stdout(std::os::fd::OwnedFd::from(writer)).process_group(0);
        let child = command.spawn().unwrap();
        drop(command);
        let group = Group(Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap());
        let mut running = Running { child, group, ended: false };
        assert_eq!(running.wait().await, 0);
        let mut rest = Vec::new();
        assert_eq!(io::Read::read_to_end(&mut &reader, &mut rest).unwrap(), 0);
    }
}
