//! Probes and their thresholds. They tell the board what they see; they never end a container themselves.

use std::{sync::Arc, time::Duration};

use k8s_openapi::{
    api::core::v1::{Container, HTTPGetAction, HTTPHeader, Probe},
    apimachinery::pkg::util::intstr::IntOrString,
};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use crate::{
    board::Board,
    mounts::Mounts,
    process::{self, Plan},
    shared::Shared,
};

/// A program needs a moment to listen. Until this is over, a refused connection does not count and is soon tried again.
const LISTEN_GRACE: Duration = Duration::from_secs(2);
const LISTEN_RETRY: Duration = Duration::from_millis(20);

/// What one attempt saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Good,
    Bad,
    /// Nothing listens.
    Refused,
}

/// Everything the probes of one run need.
pub(crate) struct Prober {
    pub(crate) shared: Arc<Shared>,
    pub(crate) board: Board,
    pub(crate) slot: usize,
    pub(crate) container: Container,
    pub(crate) address: String,
    pub(crate) mounts: Mounts,
    pub(crate) plan: Plan,
    pub(crate) log: std::path::PathBuf,
}

impl Prober {
    /// Watches one run; returns when a probe says that it must end, with that probe's name.
    pub(crate) async fn watch(&self) -> &'static str {
        let since = Instant::now();
        if let Some(probe) = &self.container.startup_probe
            && !self.until(probe, since, |good| good).await
        {
            return "startup";
        }
        let readiness = self.container.readiness_probe.as_ref();
        self.board.set(self.slot, |slot| {
            slot.started = true;
            slot.ready = readiness.is_none();
        });
        let live = async {
            match &self.container.liveness_probe {
                Some(probe) => self.until(probe, since, |_| false).await,
                None => std::future::pending().await,
            }
        };
        let ready = async {
            match readiness {
                Some(probe) => self.readiness(probe, since).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = live => "liveness",
            () = ready => "readiness",
        }
    }

    /// Probes until the verdict is settled: good as soon as `enough`, bad at the failure threshold.
    async fn until(&self, probe: &Probe, since: Instant, enough: impl Fn(bool) -> bool) -> bool {
        let mut count = Count::new(probe);
        sleep(seconds(probe.initial_delay_seconds, 0)).await;
        loop {
            let verdict = count.take(self.attempt(probe, since).await);
            match verdict {
                Some(true) if enough(true) => return true,
                Some(false) => return false,
                _ => sleep(seconds(probe.period_seconds, 10)).await,
            }
        }
    }

    async fn readiness(&self, probe: &Probe, since: Instant) {
        let mut count = Count::new(probe);
        sleep(seconds(probe.initial_delay_seconds, 0)).await;
        loop {
            if let Some(good) = count.take(self.attempt(probe, since).await) {
                self.board.set(self.slot, |slot| slot.ready = good);
            }
            sleep(seconds(probe.period_seconds, 10)).await;
        }
    }

    /// One attempt that counts.
    async fn attempt(&self, probe: &Probe, since: Instant) -> bool {
        let grace = since + LISTEN_GRACE + seconds(probe.initial_delay_seconds, 0);
        loop {
            match self.poll(probe).await {
                Seen::Good => return true,
                Seen::Refused if Instant::now() < grace => sleep(LISTEN_RETRY).await,
                Seen::Refused | Seen::Bad => return false,
            }
        }
    }

    async fn poll(&self, probe: &Probe) -> Seen {
        let limit = seconds(probe.timeout_seconds, 1);
        if let Some(get) = &probe.http_get {
            return timeout(limit, self.get(get)).await.unwrap_or(Seen::Bad);
        }
        if let Some(exec) = &probe.exec {
            let command = self.command(exec.command.as_deref());
            let code = timeout(limit, process::run_in(&self.plan, &command, &self.log)).await;
            return if matches!(code, Ok(Ok(0))) { Seen::Good } else { Seen::Bad };
        }
        // gRPC probes are only tried for a listener.
        let grpc = probe.grpc.as_ref().map(|grpc| IntOrString::Int(grpc.port));
        match probe.tcp_socket.as_ref().map(|tcp| tcp.port.clone()).or(grpc) {
            Some(port) => timeout(limit, self.connect(&port)).await.unwrap_or(Seen::Bad),
            None => Seen::Good,
        }
    }

    async fn connect(&self, port: &IntOrString) -> Seen {
        match TcpStream::connect((self.address.as_str(), self.port(port))).await {
            Ok(_) => Seen::Good,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Seen::Refused,
            Err(_) => Seen::Bad,
        }
    }

    /// Asks over HTTP. HTTPS is only tried for a listener: the node has no TLS.
    async fn get(&self, get: &HTTPGetAction) -> Seen {
        if get.scheme.as_deref() == Some("HTTPS") {
            return self.connect(&get.port).await;
        }
        match self.send(get).await {
            Ok(answer) if answer.status().as_u16() < 400 => Seen::Good,
            Err(error) if error.is_connect() => Seen::Refused,
            _ => Seen::Bad,
        }
    }

    async fn send(&self, get: &HTTPGetAction) -> reqwest::Result<reqwest::Response> {
        let host = get.host.as_deref().unwrap_or(&self.address);
        let path = get.path.as_deref().unwrap_or("/").trim_start_matches('/');
        let mut request = self.shared.http.get(format!("http://{host}:{}/{path}", self.port(&get.port)));
        for HTTPHeader { name, value } in get.http_headers.iter().flatten() {
            request = request.header(name, value);
        }
        request.send().await
    }

    /// What a container does before it is told to end.
    pub(crate) async fn pre_stop(&self) {
        let Some(hook) = self.container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.as_ref()) else {
            return;
        };
        if let Some(pause) = &hook.sleep {
            sleep(Duration::from_secs(u64::try_from(pause.seconds).unwrap_or(0))).await;
        } else if let Some(get) = &hook.http_get {
            self.get(get).await;
        } else if let Some(exec) = &hook.exec {
            let command = self.command(exec.command.as_deref());
            if let Err(error) = process::run_in(&self.plan, &command, &self.log).await {
                eprintln!("lab-node: {}: preStop {command:?}: {error}", self.container.name);
            }
        }
    }

    fn command(&self, command: Option<&[String]>) -> Vec<String> {
        command.unwrap_or_default().iter().map(|part| self.mounts.rewrite(part)).collect()
    }

    fn port(&self, port: &IntOrString) -> u16 {
        port_number(&self.container, port)
    }
}

/// A port by number or name; 0, which nothing listens on, when the name is unknown.
fn port_number(container: &Container, port: &IntOrString) -> u16 {
    let number = match port {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(name) => container
            .ports
            .iter()
            .flatten()
            .find(|port| port.name.as_ref() == Some(name))
            .map(|port| port.container_port),
    };
    number.and_then(|number| u16::try_from(number).ok()).unwrap_or(0)
}

fn seconds(given: Option<i32>, default: u64) -> Duration {
    Duration::from_secs(given.and_then(|given| u64::try_from(given).ok()).unwrap_or(default))
}

/// Attempts of the same outcome in a row.
#[derive(Debug)]
struct Count {
    success: i32,
    failure: i32,
    last: Option<bool>,
    run: i32,
}

impl Count {
    fn new(probe: &Probe) -> Self {
        Self {
            success: probe.success_threshold.unwrap_or(1).max(1),
            failure: probe.failure_threshold.unwrap_or(3).max(1),
            last: None,
            run: 0,
        }
    }

    /// The verdict, once the threshold of this outcome is reached.
    fn take(&mut self, good: bool) -> Option<bool> {
        self.run = if self.last == Some(good) { self.run.saturating_add(1) } else { 1 };
        self.last = Some(good);
        (self.run >= if good { self.success } else { self.failure }).then_some(good)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_verdict_needs_its_threshold_in_a_row() {
        let probe: Probe = serde_json::from_value(json!({"successThreshold": 2, "failureThreshold": 3})).unwrap();
        let mut count = Count::new(&probe);
        let seen = [true, true, false, false, true, false, false, false, false];
        let verdicts: Vec<_> = seen.into_iter().map(|good| count.take(good)).collect();
        let no = Some(false);
        assert_eq!(verdicts, [None, Some(true), None, None, None, None, None, no, no]);
    }

    #[test]
    fn ports_go_by_number_or_name() {
        let container: Container =
            serde_json::from_value(json!({"name": "c", "ports": [{"name": "http", "containerPort": 8000}]})).unwrap();
        assert_eq!(port_number(&container, &IntOrString::Int(80)), 80);
        assert_eq!(port_number(&container, &IntOrString::String("http".to_owned())), 8000);
        assert_eq!(port_number(&container, &IntOrString::String("x".to_owned())), 0);
    }
}
