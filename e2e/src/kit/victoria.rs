//! A VictoriaMetrics of one's own, for one namespace: it takes over what the lab's Prometheus knows of it, second by second.
//! Nothing here asks it anything.

use std::{path::PathBuf, process::Stdio, time::Duration};

use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

use super::{KitError, Space, load::free_address, prometheus};

/// The running server. It ends with the handle, and what it stored goes with it.
#[derive(Debug)]
pub(crate) struct Victoria {
    /// Where it is.
    pub url: String,
    child: Child,
    dir: PathBuf,
}

impl Drop for Victoria {
    fn drop(&mut self) {
        // Both are gone with the lab at the latest.
        let _ = self.child.start_kill();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// `victoria-metrics` of the PATH, as Debian and others package it, or what `LLMROLLOUT_LAB_VICTORIA_METRICS` names.
fn binary() -> Result<PathBuf, KitError> {
    let named = std::env::var_os("LLMROLLOUT_LAB_VICTORIA_METRICS").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join("victoria-metrics")).find(|file| file.is_file());
    named.or(found).ok_or(KitError::NotInstalled("victoria-metrics"))
}

impl Victoria {
    /// Starts it and waits until it answers.
    pub(crate) async fn start(space: &Space) -> Result<Self, KitError> {
        let what = "starting victoria-metrics";
        let (binary, address) = (binary()?, free_address()?);
        let dir = std::env::temp_dir().join(format!("victoria-{}-{}", std::process::id(), address.port()));
        std::fs::create_dir_all(&dir).map_err(KitError::failed(what))?;
        let prometheus = space.ground.prometheus_url.trim_start_matches("http://").trim_end_matches('/');
        let config = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: prometheus\n  honor_labels: true\n  \
             honor_timestamps: true\n  metrics_path: /federate\n  params: {{'match[]': ['{{namespace=\"{}\"}}']}}\n  \
             static_configs: [{{targets: ['{prometheus}']}}]\n",
            space.name
        );
        let file = dir.join("scrape.yaml");
        std::fs::write(&file, config).map_err(KitError::failed(what))?;
        let log = std::fs::File::create(dir.join("log")).map_err(KitError::failed(what))?;
        let child = Command::new(&binary)
            .arg(format!("-httpListenAddr={address}"))
            .arg(format!("-storageDataPath={}", dir.join("data").display()))
            .arg(format!("-promscrape.config={}", file.display()))
            .arg("-memory.allowedBytes=64MiB")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(KitError::failed(what))?;
        let server = Self { url: format!("http://{address}"), child, dir };
        server.poll(Duration::from_secs(20)).await?;
        Ok(server)
    }

    async fn poll(&self, within: Duration) -> Result<(), KitError> {
        let (http, end) = (prometheus::http()?, Instant::now() + within);
        let health = format!("{}/health", self.url);
        while Instant::now() < end {
            if http.get(&health).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            sleep(Duration::from_millis(100)).await;
        }
        let last = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        Err(KitError::Late { what: "victoria-metrics".to_owned(), within, last })
    }
}
