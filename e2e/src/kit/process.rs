//! The operator as a process of the case's own, with the chart's account and its API server behind a proxy: it can be killed at a
//! request, and is there again in milliseconds. Nothing here is a pod.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::Stdio,
};

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{Api, api::PostParams};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::{
    Ground, KitError,
    operator::{Install, target},
    pods,
    proxy::{Proxy, kubeconfig},
};

const PROGRAM: &str = "llmrollout-operator";
const TOKEN_SECONDS: i64 = 3600;

/// How the process is started, as often as need be.
#[derive(Debug)]
pub(crate) struct Plan {
    dir: PathBuf,
    namespace: String,
    name: String,
    provider: Value,
    election: Value,
}

/// The process; it ends with this.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// Of the process.
    pub pid: i32,
}

/// A token of the account that the chart made; its pods need not run.
pub(crate) async fn token(ground: &Ground, install: &Install) -> Result<String, KitError> {
    let what = "a token for the operator";
    let spec = TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..TokenRequestSpec::default() };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    let api: Api<ServiceAccount> = Api::namespaced(ground.client.clone(), &install.namespace);
    let made = api.create_token_request(&install.full_name(), &PostParams::default(), &request).await;
    let status = made.map_err(KitError::api(what))?.status;
    status.map(|status| status.token).ok_or_else(|| KitError::Refuted(format!("{what}: none came")))
}

impl Plan {
    /// For one namespace, by this proxy, asking this provider; with `elects` it needs the lease to work.
    pub(crate) fn new(
        ground: &Ground,
        [namespace, name]: [&str; 2],
        proxy: &Proxy,
        token: &str,
        provider: &Value,
    ) -> Result<Self, KitError> {
        let dir = target()?.join("faults").join(namespace).join(name);
        let failed = |dir: &PathBuf| KitError::failed(dir.display().to_string());
        fs::create_dir_all(&dir).map_err(failed(&dir))?;
        for (file, text) in [("kubeconfig", kubeconfig(ground, proxy, namespace, token)?), ("log", String::new())] {
            fs::write(dir.join(file), text).map_err(failed(&dir))?;
        }
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        Ok(Self { dir, namespace, name, provider: provider.clone(), election: json!({"enabled": false}) })
    }

    /// With an election, for the one lease that the account may write.
    pub(crate) fn elects(mut self, account: &Install) -> Self {
        let (name, namespace) = (account.full_name(), &account.namespace);
        self.election = json!({"name": name, "namespace": namespace, "leaseDuration": "4s"});
        self
    }

    /// Starts the operator.
    pub(crate) fn start(&self) -> Result<Process, KitError> {
        let (config, file) =
            (json!({"providers": [self.provider], "leaderElection": self.election}), self.dir.join("config.yaml"));
        fs::write(&file, config.to_string()).map_err(KitError::failed(file.display().to_string()))?;
        let own = std::env::current_exe().map_err(KitError::failed("the running program"))?;
        let program = own.with_file_name(PROGRAM);
        let log = || File::options().append(true).open(self.dir.join("log")).map_err(KitError::failed("a log"));
        let child = Command::new(&program)
            .args(["--watch-namespace", &self.namespace, "--listen=127.0.0.1:0", "--identity", &self.name])
            .arg("--config")
            .arg(file)
            .env("KUBECONFIG", self.dir.join("kubeconfig"))
            .stdin(Stdio::null())
            .stdout(log()?)
            .stderr(log()?)
            .kill_on_drop(true)
            .spawn()
            .map_err(KitError::failed(program.display().to_string()))?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.ok_or_else(|| KitError::Refuted("an operator ended at once".to_owned()))?;
        Ok(Process { child, pid })
    }

    /// Everything it said so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }
}

impl Process {
    /// Waits until it has ended.
    pub(crate) async fn ended(&mut self) {
        // It is ours to wait for, so that there is nothing that could fail.
        let _ = self.child.wait().await;
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        pods::signal_one(self.pid, signal);
    }
}
