//! One container's life: prepare, run, end, restart. Never what its pod makes of it.

use std::{
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use futures::FutureExt;
use k8s_openapi::api::core::v1::{Container, Pod};
use tokio::time::{Instant, sleep};

use crate::{
    board::{Board, Ended, State},
    env::{self, Places, Sources},
    error::NodeError,
    images,
    mounts::Mounts,
    probe::Prober,
    process::{self, Plan, Running},
    shared::{self, Shared},
    status,
    stop::Order,
    volumes,
};

/// A kubelet waits 10 s to 5 min; the lab has no time for that. As there, the first restart is immediate.
const BACKOFF_FIRST: Duration = Duration::from_secs(1);
const BACKOFF_MOST: Duration = Duration::from_secs(30);
/// What a program or the log may leave as its last words.
const MESSAGE_BYTES: usize = 4096;
const LOG_BYTES: usize = 2048;

/// When a container runs again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restart {
    Always,
    OnFailure,
    Never,
}

impl Restart {
    /// The pod's policy for its main containers.
    pub(crate) fn of(pod: &Pod) -> Self {
        match pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()) {
            Some("Never") => Self::Never,
            Some("OnFailure") => Self::OnFailure,
            _ => Self::Always,
        }
    }

    fn again(self, code: i32) -> bool {
        match self {
            Self::Always => true,
            Self::OnFailure => code != 0,
            Self::Never => false,
        }
    }
}

/// Waits between runs: none, then doubling.
#[derive(Debug, Default)]
struct Backoff(Option<Duration>);

impl Backoff {
    fn next(&mut self) -> Duration {
        let wait = self.0.unwrap_or_default();
        self.0 = Some((wait * 2).clamp(BACKOFF_FIRST, BACKOFF_MOST));
        wait
    }
}

/// Why a container cannot start yet.
struct Wait {
    reason: &'static str,
    message: String,
}

impl From<NodeError> for Wait {
    fn from(error: NodeError) -> Self {
        let reason = match error {
            NodeError::Config(_) => "CreateContainerConfigError",
            _ => "CreateContainerError",
        };
        Self { reason, message: error.to_string() }
    }
}

/// Runs one container until it is told to stop or has nothing more to do.
pub(crate) struct Runner {
    pub(crate) shared: Arc<Shared>,
    pub(crate) pod: Arc<Pod>,
    pub(crate) container: Container,
    pub(crate) slot: usize,
    pub(crate) board: Board,
    pub(crate) order: Order,
    pub(crate) restart: Restart,
    pub(crate) address: String,
    pub(crate) kubeconfig: Option<PathBuf>,
}

impl Runner {
    /// The exit code of the last run, if there was one.
    pub(crate) async fn run(self) -> Option<i32> {
        let (mut restarts, mut code) = (0, None);
        let (mut crashes, mut waits) = (Backoff::default(), Backoff(Some(BACKOFF_FIRST)));
        while !self.order.is_given() {
            let plan = match self.prepare().await {
                Ok(plan) => plan,
                Err(wait) => {
                    self.wait_for(wait);
                    self.order.given_within(waits.next()).await;
                    continue;
                }
            };
            let began = Instant::now();
            let exit = self.once(&plan, restarts).await;
            code = Some(exit);
            restarts += 1;
            if self.order.is_given() || !self.restart.again(exit) {
                break;
            }
            if began.elapsed() > 2 * BACKOFF_MOST {
                crashes = Backoff::default();
            }
            self.back_off(crashes.next()).await;
        }
        code
    }

    fn wait_for(&self, wait: Wait) {
        self.board.set(self.slot, |slot| {
            let again = matches!(&slot.state, State::Waiting { reason, .. } if reason.contains("ImagePull"));
            let (reason, message) = if wait.reason == "ErrImagePull" && again {
                let image = self.image();
                ("ImagePullBackOff", format!("Back-off pulling image \"{image}\": ErrImagePull: {}", wait.message))
            } else {
                (wait.reason, wait.message)
            };
            if let State::Terminated(ended) = &slot.state {
                slot.last = Some(ended.clone());
            }
            slot.state = State::Waiting { reason, message: Some(message) };
        });
    }

    async fn back_off(&self, wait: Duration) {
        if wait.is_zero() {
            return;
        }
        let pod = format!(
            "{}_{}({})",
            kube::ResourceExt::name_any(&*self.pod),
            shared::namespace(&self.pod),
            shared::uid(&self.pod)
        );
        let message =
            format!("back-off {}s restarting failed container={} pod={pod}", wait.as_secs(), self.container.name);
        self.board.set(self.slot, |slot| {
            let state = State::Waiting { reason: "CrashLoopBackOff", message: Some(message) };
            if let State::Terminated(ended) = std::mem::replace(&mut slot.state, state) {
                slot.last = Some(ended);
            }
        });
        self.order.given_within(wait).await;
    }

    fn image(&self) -> &str {
        self.container.image.as_deref().unwrap_or_default()
    }

    fn log(&self) -> PathBuf {
        self.shared.logs(&self.pod).join(format!("{}.log", self.container.name))
    }

    fn places(&self) -> Places {
        let home = self.shared.directory(&self.pod);
        let termination = home.join(format!("{}.termination", self.container.name));
        Places { home, kubeconfig: self.kubeconfig.clone(), termination }
    }

    fn mounts(&self, places: &Places) -> Mounts {
        let all = self.pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
        let volume = |name: &str| {
            let found = all.clone().find(|volume| volume.name == name);
            found.map(|volume| volumes::directory(&self.shared, &self.pod, volume)).unwrap_or_default()
        };
        Mounts::new(&self.container, volume, &places.termination)
    }

    async fn prepare(&self) -> Result<Plan, Wait> {
        let image = self.image();
        let Some(program) = images::program(&self.shared.settings.images, image)? else {
            let message = format!("failed to pull and unpack image \"{image}\": {image}: not found");
            return Err(Wait { reason: "ErrImagePull", message });
        };
        let places = self.places();
        let mounts = self.mounts(&places);
        let namespace = shared::namespace(&self.pod);
        let sources = Sources::read(&self.shared.client, &namespace, &self.container).await?;
        let mut variables = env::added(&self.pod, &self.address, &self.shared.settings.api_service, &places);
        variables.declare(&self.pod, &self.container, &self.address, &sources, &mounts)?;
        let text = |part: &String| mounts.rewrite(&variables.expand(part));
        let command: Vec<_> = self.container.command.iter().flatten().map(text).collect();
        let args = self.container.args.iter().flatten().map(text).collect();
        let (program, args) = choose(program, &command, args);
        let wanted = self.container.working_dir.as_ref().map(|path| PathBuf::from(mounts.rewrite(path)));
        let directory = wanted.filter(|path| path.is_dir()).unwrap_or(places.home);
        Ok(Plan { program, args, env: variables.into_pairs(), directory })
    }

    /// One run, from start to end.
    async fn once(&self, plan: &Plan, restarts: i32) -> i32 {
        let termination = self.places().termination;
        // A missing file only means that the last words of an earlier run would be read again.
        let _ = std::fs::write(&termination, b"");
        let container_id = images::container_id(&shared::uid(&self.pod), &self.container.name, restarts);
        let started_at = status::now();
        let log = self.log();
        let (exit_code, reason, message) = match process::start(plan, &log) {
            Ok(running) => {
                self.running(&started_at, &container_id, restarts);
                let code = self.supervise(running, plan).await;
                let reason = if code == 0 { "Completed" } else { "Error" };
                (code, reason, last_words(&self.container, &termination, &log, code))
            }
            Err(error) => (128, "StartError", Some(format!("cannot start {}: {error}", plan.program.display()))),
        };
        let finished_at = status::now();
        self.board.set(self.slot, |slot| {
            (slot.ready, slot.started, slot.restarts) = (false, false, restarts);
            slot.state = State::Terminated(Ended { exit_code, reason, message, started_at, finished_at, container_id });
        });
        exit_code
    }

    fn running(&self, since: &str, container_id: &str, restarts: i32) {
        let now = State::Running { since: since.to_owned(), container_id: container_id.to_owned() };
        self.board.set(self.slot, |slot| {
            slot.restarts = restarts;
            if let State::Terminated(ended) = std::mem::replace(&mut slot.state, now) {
                slot.last = Some(ended);
            }
        });
    }

    /// Waits for the end of a run and brings it about when a probe or the pod's deletion asks for it.
    async fn supervise(&self, mut running: Running, plan: &Plan) -> i32 {
        let prober = Prober {
            shared: self.shared.clone(),
            board: self.board.clone(),
            slot: self.slot,
            container: self.container.clone(),
            address: self.address.clone(),
            mounts: self.mounts(&self.places()),
            plan: plan.clone(),
            log: self.log(),
        };
        let mut watch = pin!(prober.watch().fuse());
        let group = running.group;
        let unhealthy = tokio::select! {
            code = running.wait() => return code,
            probe = &mut watch => Some(probe),
            () = self.order.given() => None,
        };
        if let Some(probe) = unhealthy {
            eprintln!(
                "lab-node: {}: container {} failed its {probe} probe",
                shared::full_name(&self.pod),
                self.container.name
            );
        }
        let end = async {
            prober.pre_stop().await;
            group.terminate();
            std::future::pending::<()>().await;
        };
        // Readiness goes on while the pod drains, as with a kubelet; a container that failed is not probed any more.
        let readiness = async {
            if unhealthy.is_none() {
                watch.await;
            }
            std::future::pending::<()>().await;
        };
        let patience = async {
            match unhealthy {
                Some(_) => {
                    tokio::select! { () = sleep(grace(&self.pod)) => {}, () = self.order.expired() => {} }
                }
                None => self.order.expired().await,
            }
        };
        tokio::select! {
            code = running.wait() => return code,
            () = end => {}
            () = readiness => {}
            () = patience => {}
        }
        group.kill();
        running.wait().await
    }
}

/// How long the pod's containers may take to end.
pub(crate) fn grace(pod: &Pod) -> Duration {
    let given = pod.metadata.deletion_grace_period_seconds;
    let given = given.or_else(|| pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds));
    Duration::from_secs(given.and_then(|given| u64::try_from(given).ok()).unwrap_or(30))
}

/// A command takes the image's place only when it is the absolute path of a program here; else its image stands for it.
fn choose(image: PathBuf, command: &[String], args: Vec<String>) -> (PathBuf, Vec<String>) {
    match command.split_first() {
        Some((first, rest)) if Path::new(first).is_absolute() && Path::new(first).is_file() => {
            (PathBuf::from(first), rest.iter().cloned().chain(args).collect())
        }
        _ => (image, args),
    }
}

fn last_words(container: &Container, termination: &Path, log: &Path, code: i32) -> Option<String> {
    let mut words = std::fs::read(termination).unwrap_or_default();
    words.truncate(MESSAGE_BYTES);
    let fall_back = container.termination_message_policy.as_deref() == Some("FallbackToLogsOnError");
    if words.is_empty() && fall_back && code != 0 {
        let log = std::fs::read(log).unwrap_or_default();
        words = log[log.len().saturating_sub(LOG_BYTES)..].to_vec();
    }
    (!words.is_empty()).then(|| String::from_utf8_lossy(&words).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_restart_is_immediate_then_the_wait_doubles() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..8).map(|_| backoff.next().as_secs()).collect();
        assert_eq!(waits, [0, 1, 2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn policies_decide_by_exit_code() {
        let again = |restart: Restart| [restart.again(0), restart.again(1)];
        assert_eq!(again(Restart::Always), [true, true]);
        assert_eq!(again(Restart::OnFailure), [false, true]);
        assert_eq!(again(Restart::Never), [false, false]);
    }

    #[test]
    fn a_command_counts_only_as_an_existing_absolute_path() {
        let choose = |command: &[&str]| {
            let command: Vec<_> = command.iter().map(|&part| part.to_owned()).collect();
            choose(PathBuf::from("/image"), &command, vec!["b".to_owned()])
        };
        let image = (PathBuf::from("/image"), vec!["b".to_owned()]);
        assert_eq!(choose(&[]), image);
        assert_eq!(choose(&["vllm", "serve"]), image);
        assert_eq!(choose(&["/no/such/program"]), image);
        assert_eq!(choose(&["/bin/sh", "-c"]), (PathBuf::from("/bin/sh"), vec!["-c".to_owned(), "b".to_owned()]));
    }
}
