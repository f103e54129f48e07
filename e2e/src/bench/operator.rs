//! The operator as a process of its own, with what the kernel says of it. Nothing here knows what it is doing.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::fleet::NAMESPACE;
use crate::{kit::KitError, lab::Description};

/// The account under which the audit log knows it.
pub(super) const ACCOUNT: &str = "bench-operator";

/// Of the kernel's clock, in a second.
const TICKS: f64 = 100.0;
const PAGE: u64 = 4096;
const READY: Duration = Duration::from_mins(2);

/// How it is started.
#[derive(Debug)]
pub(super) struct Program {
    path: PathBuf,
    dir: PathBuf,
    kubeconfig: PathBuf,
}

/// The process; it ends with this.
#[derive(Debug)]
pub(super) struct Operator {
    child: Child,
    at: SocketAddr,
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    pub(super) fn new(lab: &Description, path: &Path, provider: &str) -> Result<Self, KitError> {
        let dir = lab.state_dir.join("bench");
        fs::create_dir_all(&dir).map_err(KitError::failed(dir.display().to_string()))?;
        let settings = json!({
            "providers": [{"name": "default", "url": provider, "maxInFlight": 64, "maxPerSecond": 1000}], "watchNamespaces": [NAMESPACE],
            "leaderElection": {"namespace": NAMESPACE, "leaseDuration": "10s"},
        });
        let file = dir.join("config.yaml");
        fs::write(&file, settings.to_string()).map_err(KitError::failed(file.display().to_string()))?;
        let text = fs::read_to_string(&lab.kubeconfig).map_err(KitError::failed("the kubeconfig"))?;
        let mut config: Value = serde_saphyr::from_str(&text).map_err(KitError::failed("the kubeconfig"))?;
        (config["users"][0]["user"]["as"], config["users"][0]["user"]["as-groups"]) =
            (json!(ACCOUNT), json!(["system:masters"]));
        let kubeconfig = dir.join("kubeconfig");
        fs::write(&kubeconfig, config.to_string()).map_err(KitError::failed("the kubeconfig"))?;
        Ok(Self { path: path.to_owned(), dir, kubeconfig })
    }

    pub(super) fn start(&self, identity: &str) -> Result<Operator, KitError> {
        let log = self.dir.join(format!("{identity}.log"));
        let out = File::options().create(true).append(true).open(&log);
        let out = out.map_err(KitError::failed(log.display().to_string()))?;
        let mut command = Command::new(&self.path);
        command.arg(format!("--config={}", self.dir.join("config.yaml").display()));
        // Its own port: nobody else is here.
        let free = TcpListener::bind("127.0.0.1:0").and_then(|own| own.local_addr());
        let at = free.map_err(KitError::failed("a port"))?;
        command.args(["--identity", identity, "--listen", &at.to_string()]);
        command.env("KUBECONFIG", &self.kubeconfig).env("RUST_LOG", "warn").stderr(out);
        command.spawn().map(|child| Operator { child, at }).map_err(KitError::failed("the operator"))
    }
}

impl Operator {
    /// Ends it at once, or as a pod is ended.
    pub(super) fn signal(&self, signal: Signal) -> Result<(), KitError> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| KitError::Refuted("the operator has no number".to_owned()))?;
        kill_process(pid, signal).map_err(KitError::failed("a signal"))
    }

    /// Waits until its caches are filled.
    pub(super) async fn is_ready(&self) -> Result<(), KitError> {
        let since = std::time::Instant::now();
        let url = format!("http://{}/readyz", self.at);
        while since.elapsed() < READY {
            if reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(KitError::Late { what: "the operator is ready".to_owned(), within: READY, last: url })
    }

    fn proc(&self, file: &str) -> Result<String, KitError> {
        let path = format!("/proc/{}/{file}", self.child.id());
        fs::read_to_string(&path).map_err(KitError::failed(path))
    }

    /// Memory that it has, in bytes.
    pub(super) fn memory(&self) -> Result<u64, KitError> {
        let words = self.proc("statm")?;
        Ok(words.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default() * PAGE)
    }

    /// Processor time that it has had.
    pub(super) fn worked(&self) -> Result<Duration, KitError> {
        let words = self.proc("stat")?;
        // The name of the program may hold anything; what follows it does not.
        let fields: Vec<&str> = words.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks: f64 = [11, 12].iter().filter_map(|n| fields.get(*n)?.parse::<f64>().ok()).sum();
        Ok(Duration::from_secs_f64(ticks / TICKS))
    }
}
