//! The operator as its chart installs it: in the cluster's scope, or for one namespace only.
//! Nothing here looks into it but its logs, its lease and its metrics.

use std::{
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use serde_json::{Value, json};
use tokio::process::Command;

use super::{Ground, KitError, Space, film::Film, pods, prometheus::http, space::condition};

/// How the chart is installed.
#[derive(Debug, Clone)]
pub(crate) struct Install {
    /// Name of the release; it stands in all names.
    pub release: String,
    /// Its namespace.
    pub namespace: String,
    /// Replicas.
    pub replicas: u32,
    /// Watches, and may touch, its own namespace only.
    pub own_namespace_only: bool,
    /// How long a silent lease is respected.
    pub lease: Duration,
    /// Fields of the provider's settings that differ from the ground's Prometheus.
    pub provider: Value,
    /// The endpoints in its configuration.
    pub endpoints: Value,
    /// The channels in its configuration.
    pub channels: Value,
    /// Its limits, where they differ.
    pub limits: Value,
    /// The webhooks in its configuration.
    pub routers: Value,
    /// Where its spans go.
    pub tracing: Value,
}

impl Default for Install {
    fn default() -> Self {
        Self {
            release: "llmrollout".to_owned(),
            namespace: "llmrollout-system".to_owned(),
            replicas: 2,
            own_namespace_only: false,
            lease: Duration::from_secs(10),
            provider: json!({}),
            endpoints: json!([]),
            channels: json!([]),
            limits: json!({}),
            routers: json!([]),
            tracing: Value::Null,
        }
    }
}

impl Install {
    /// The name of Deployment, `ServiceAccount` and Lease.
    pub(crate) fn full_name(&self) -> String {
        if self.release.contains("llmrollout") {
            format!("{}-operator", self.release)
        } else {
            format!("{}-llmrollout-operator", self.release)
        }
    }

    /// The user under which it appears in the audit log.
    pub(crate) fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.full_name())
    }

    fn values(&self, ground: &Ground) -> Value {
        let scope = if self.own_namespace_only { "namespace" } else { "cluster" };
        let mut provider = json!({"name": "default", "url": ground.prometheus_url});
        if let (Some(all), Some(own)) = (provider.as_object_mut(), self.provider.as_object()) {
            all.extend(own.clone());
        }
        let watched: &[&String] = if self.own_namespace_only { &[&self.namespace] } else { &[] };
        json!({
            "replicas": self.replicas,
            "rbac": {"scope": scope, "capacity": !self.own_namespace_only},
            "config": {
                "providers": [provider],
                "endpoints": self.endpoints,
                "channels": self.channels,
                "limits": self.limits,
                "routers": self.routers,
                "tracing": self.tracing,
                "watchNamespaces": watched,
                "allowCrossNamespace": !self.own_namespace_only,
                "leaderElection": {"leaseDuration": format!("{}s", self.lease.as_secs())},
            },
        })
    }

    /// Installs or upgrades and waits until it is ready.
    pub(crate) async fn install(&self, ground: &Ground) -> Result<(), KitError> {
        self.apply_crds(ground).await?;
        let values =
            std::env::temp_dir().join(format!("{}-{}-{}.json", self.namespace, self.full_name(), std::process::id()));
        let text = self.values(ground).to_string();
        std::fs::write(&values, text).map_err(KitError::failed(values.display().to_string()))?;
        let (values_text, chart) =
            (values.display().to_string(), root().join("charts/llmrollout").display().to_string());
        let installed = run(
            "helm",
            &[
                "upgrade",
                "--install",
                &self.release,
                &chart,
                "--namespace",
                &self.namespace,
                "--create-namespace",
                "--skip-crds",
                "--values",
                &values_text,
                "--wait",
                "--timeout",
                "60s",
            ],
        )
        .await;
        // It was for helm only.
        let _ = std::fs::remove_file(&values);
        installed.map(drop)
    }

    /// The CRDs as the chart has them; helm never updates one that is there. Not by `kubectl wait`: a new CRD has no list of
    /// conditions for a moment, and kubectl ends with an error instead of waiting for one.
    async fn apply_crds(&self, ground: &Ground) -> Result<(), KitError> {
        let crds = root().join("charts/llmrollout/crds").display().to_string();
        run("kubectl", &["apply", "--server-side", "--force-conflicts", "-f", &crds]).await?;
        for plural in ["llmrollouts", "llmrolloutorders", "llmgatesets"] {
            let all = ground.all("apiextensions.k8s.io/v1", "CustomResourceDefinition");
            let film = Film::start(all, &format!("{plural}.llmrollout.io")).await?;
            let served = |crd: &Value| condition(crd, "Established").is_some_and(|c| c["status"] == "True");
            film.until("the CRD is served", Duration::from_secs(20), served).await?;
        }
        Ok(())
    }

    /// Takes it away: first the pods, so that none of them outlives its rights.
    pub(crate) async fn uninstall(&self) -> Result<(), KitError> {
        let (name, namespace) = (self.full_name(), &self.namespace);
        let selector =
            format!("app.kubernetes.io/name=llmrollout-operator,app.kubernetes.io/instance={}", self.release);
        run("kubectl", &["scale", "deployment", &name, "-n", namespace, "--replicas=0"]).await?;
        run("kubectl", &["wait", "--for=delete", "pod", "-n", namespace, "-l", &selector, "--timeout=40s"]).await?;
        run("helm", &["uninstall", &self.release, "--namespace", &self.namespace, "--wait", "--timeout", "60s"])
            .await
            .map(drop)
    }

    /// Its running pods: name and uid.
    pub(crate) async fn pods(&self, ground: &Ground) -> Result<Vec<(String, String)>, KitError> {
        let space = Space { ground: ground.clone(), name: self.namespace.clone() };
        let pods = space.list("v1", "Pod").await?;
        let begin = format!("{}-", self.full_name());
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let ours = pods.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        let named = ours.filter_map(|pod| Some((text(&pod["metadata"]["name"])?, text(&pod["metadata"]["uid"])?)));
        Ok(named.filter(|(name, _)| name.starts_with(&begin)).collect())
    }

    /// What the one that leads tells of itself at `/metrics`.
    pub(crate) async fn metrics(&self, ground: &Ground) -> Result<String, KitError> {
        let space = Space { ground: ground.clone(), name: self.namespace.clone() };
        for (name, _) in self.pods(ground).await? {
            let pod = space.get("v1", "Pod", &name).await?;
            let url = format!("http://{}:8080/metrics", pod["status"]["podIP"].as_str().unwrap_or_default());
            let answer = http()?.get(&url).send().await.map_err(KitError::failed(&url))?;
            let text = answer.text().await.map_err(KitError::failed(&url))?;
            if text.lines().any(|line| line == "llmrollout_leader 1") {
                return Ok(text);
            }
        }
        Err(KitError::Failed {
            what: "the operator's metrics".to_owned(),
            detail: "none says that it leads".to_owned(),
        })
    }

    /// Who holds the lease; the word is empty when nobody does.
    pub(crate) async fn leader(&self, ground: &Ground) -> Result<String, KitError> {
        let space = Space { ground: ground.clone(), name: self.namespace.clone() };
        let lease = space.get("coordination.k8s.io/v1", "Lease", &self.full_name()).await?;
        Ok(lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned())
    }

    /// The last lines of its logs that speak of a namespace.
    pub(crate) fn log_of(&self, ground: &Ground, namespace: &str, lines: usize) -> String {
        let all = pods::logs(ground, &self.namespace, &self.full_name()).unwrap_or_else(|error| error.to_string());
        let mut ours: Vec<_> = all.lines().filter(|line| line.contains(namespace)).collect();
        // Several replicas wrote them; each line begins with its time.
        ours.sort_unstable();
        ours[ours.len().saturating_sub(lines)..].join("\n")
    }
}

/// The workspace this program was built from.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_path_buf()
}

/// Runs a tool of the ground to its end and gives what it printed.
pub(crate) async fn run(program: &str, arguments: &[&str]) -> Result<String, KitError> {
    run_to_end(program, arguments).await.map(|(stdout, _)| stdout)
}

/// What it printed, and what it said beside it.
pub(crate) async fn run_to_end(program: &str, arguments: &[&str]) -> Result<(String, String), KitError> {
    let what = || format!("{program} {}", arguments.join(" "));
    let Output { status, stdout, stderr } =
        Command::new(program).args(arguments).kill_on_drop(true).output().await.map_err(KitError::failed(what()))?;
    let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    if status.success() {
        return Ok((stdout, stderr));
    }
    Err(KitError::Failed { what: what(), detail: format!("{}{}", stdout.trim(), stderr.trim()) })
}

/// Where reports go: `target/debug/e2e` → `target`.
pub(crate) fn target() -> Result<PathBuf, KitError> {
    let own = std::env::current_exe().map_err(KitError::failed("the running program"))?;
    Ok(own.ancestors().nth(2).unwrap_or(Path::new(".")).to_path_buf())
}
