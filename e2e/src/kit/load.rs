//! Load: `llm-load` as a child process, its phases, and its report.
//! Nothing here judges the figures.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use serde::Deserialize;
use serde_json::json;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

use super::{KitError, Space, prometheus::http};

/// The gRPC method that the servers answer.
pub(crate) const METHOD: &str = "/llm.v1.Chat/Generate";

/// How much, for how long at most, and what else `llm-load` is to be told.
#[derive(Debug, Clone)]
pub(crate) struct LoadPlan {
    /// Requests a second.
    pub rps: u32,
    /// The end, if nobody stops it before.
    pub at_most: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Share of streams.
    pub stream_share: f64,
    /// Share of requests on new connections.
    pub new_connection_share: f64,
    /// Unary gRPC calls instead of requests.
    pub grpc: bool,
    /// Where to send; none means the gateway, under the host of the namespace.
    pub url: Option<String>,
}

impl Default for LoadPlan {
    fn default() -> Self {
        Self {
            rps: 60,
            at_most: Duration::from_mins(5),
            timeout: Duration::from_secs(30),
            stream_share: 0.2,
            new_connection_share: 0.1,
            grpc: false,
            url: None,
        }
    }
}

/// What one version answered.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Side {
    /// All of its answers.
    pub requests: u64,
    /// Of all requests that somebody answered.
    pub share: f64,
    /// When its last request started.
    pub last_ms: u64,
}

/// A stretch of the run.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Phase {
    /// As it was marked.
    pub name: String,
    /// Its begin in the time of the run.
    pub from_ms: u64,
    /// Requests that started in it.
    pub requests: u64,
    /// Those that failed.
    pub failed: u64,
    /// By version.
    pub by_version: BTreeMap<String, Side>,
}

/// One failed request.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Failure {
    /// When it started, in the time of the run.
    pub at_ms: u64,
    /// How long it took.
    pub took_ms: u64,
    /// In what way it failed.
    pub kind: String,
    /// Whether a version meant it.
    pub answered: bool,
    /// The HTTP status, if there was one.
    pub status: Option<u16>,
    /// Who answered.
    pub version: Option<String>,
    /// What the system said.
    pub detail: String,
}

/// The report of a run, finished or not.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Report {
    /// Milliseconds since 1970.
    pub started_at_ms: i64,
    /// How long it has run.
    pub seconds: f64,
    /// Requests that ended.
    pub requests: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that failed and that no version answered.
    pub failed_unanswered: u64,
    /// Requests not sent because too many were under way.
    pub skipped: u64,
    /// By version.
    pub by_version: BTreeMap<String, Side>,
    /// By HTTP status.
    pub by_status: BTreeMap<String, u64>,
    /// In order; the first is called `start`.
    pub phases: Vec<Phase>,
    /// The first thousand.
    pub failures: Vec<Failure>,
}

impl Report {
    /// The first phase of this name; an empty one when there is none.
    pub(crate) fn phase(&self, name: &str) -> Phase {
        self.phases.iter().find(|phase| phase.name == name).cloned().unwrap_or_default()
    }

    /// Failures for a message, the first few.
    pub(crate) fn words(&self) -> String {
        let lines = self.failures.iter().take(8).map(|f| {
            let version = f.version.as_deref().unwrap_or("nobody");
            format!("\n  at {} ms for {} ms: {} {:?} by {version}: {}", f.at_ms, f.took_ms, f.kind, f.status, f.detail)
        });
        let Self { requests, failed, failed_unanswered, skipped, by_status, .. } = self;
        let lines: Vec<_> = lines.collect();
        format!(
            "{failed} of {requests} failed, {failed_unanswered} answered by nobody, {skipped} not sent, {by_status:?}{}",
            lines.concat()
        )
    }

    /// Whether every request was sent and none failed.
    pub(crate) fn is_flawless(&self) -> bool {
        self.requests > 0 && self.failed == 0 && self.skipped == 0
    }
}

/// A running load. It ends with the handle.
#[derive(Debug)]
pub(crate) struct Load {
    child: Child,
    control: String,
    http: reqwest::Client,
    report: PathBuf,
}

impl Load {
    /// Starts to load the namespace's service and waits until the first request is answered.
    pub(crate) async fn start(space: &Space, plan: &LoadPlan) -> Result<Self, KitError> {
        let what = "starting llm-load";
        let control = free_address()?;
        let report = std::env::temp_dir().join(format!("llm-load-{}-{}.json", std::process::id(), control.port()));
        let path = if plan.grpc { METHOD } else { "/v1/chat/completions" };
        let url = plan.url.clone().unwrap_or_else(|| format!("{}{path}", space.ground.gateway_url));
        let stream_share = plan.stream_share.to_string();
        let kind = if plan.grpc { vec!["--grpc"] } else { vec!["--stream-share", &stream_share] };
        let child = Command::new(sibling("llm-load")?)
            .args(kind)
            .args(["--url", &url, "--host", &space.host()])
            .args(["--rps", &plan.rps.to_string(), "--for", &format!("{}s", plan.at_most.as_secs())])
            .args(["--timeout", &format!("{}s", plan.timeout.as_secs())])
            .args(["--new-connection-share", &plan.new_connection_share.to_string()])
            .args(["--control", &control.to_string()])
            .arg("--report")
            .arg(&report)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .map_err(KitError::failed(what))?;
        let load = Self { child, control: format!("http://{control}"), http: http()?, report };
        load.poll_first(Duration::from_secs(10)).await?;
        Ok(load)
    }

    async fn poll_first(&self, within: Duration) -> Result<(), KitError> {
        let end = Instant::now() + within;
        loop {
            let seen = self.report().await;
            if seen.as_ref().is_ok_and(|report| report.requests > 0) {
                return Ok(());
            }
            if Instant::now() >= end {
                let last = seen.map_or_else(|error| error.to_string(), |report| report.words());
                return Err(KitError::Late { what: "the first answer of the load".to_owned(), within, last });
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// A new phase begins now.
    pub(crate) async fn mark(&self, name: &str) -> Result<(), KitError> {
        let what = "marking a phase of the load";
        let request = self.http.post(format!("{}/mark", self.control)).json(&json!({"name": name}));
        let answer = request.send().await.map_err(KitError::failed(what))?;
        answer.error_for_status().map(drop).map_err(KitError::failed(what))
    }

    /// The figures up to now.
    pub(crate) async fn report(&self) -> Result<Report, KitError> {
        let what = "the report of the load";
        let answer = self.http.get(format!("{}/report", self.control)).send().await.map_err(KitError::failed(what))?;
        answer.json().await.map_err(KitError::failed(what))
    }

    /// Ends the load, lets requests under way finish, and gives the whole report.
    pub(crate) async fn stop(mut self) -> Result<Report, KitError> {
        let what = "ending the load";
        // It may have come to its own end.
        let _ = self.http.post(format!("{}/stop", self.control)).send().await;
        let ended = tokio::time::timeout(Duration::from_secs(40), self.child.wait()).await;
        ended.map_err(KitError::failed(what))?.map_err(KitError::failed(what))?;
        let text =
            std::fs::read_to_string(&self.report).map_err(KitError::failed(self.report.display().to_string()))?;
        // A file in the way of nobody.
        let _ = std::fs::remove_file(&self.report);
        serde_json::from_str(&text).map_err(KitError::failed("the report of the load"))
    }
}

/// A program that stands beside this one.
pub(crate) fn sibling(name: &str) -> Result<PathBuf, KitError> {
    let own = std::env::current_exe().map_err(KitError::failed("the running program"))?;
    Ok(own.with_file_name(name))
}

pub(super) fn free_address() -> Result<SocketAddr, KitError> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(KitError::failed("a free port"))?;
    listener.local_addr().map_err(KitError::failed("a free port"))
}
