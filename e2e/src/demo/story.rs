//! The story from the first pod to the last figure. What it does in the cluster is taken away at its end.
//! Nothing here prints a timeline or judges a figure.

#![expect(clippy::print_stdout, reason = "the story is what the command is asked for")]

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::time::sleep;

use super::{DemoError, figures, report::Report, timeline::Timeline};
use crate::kit::{
    Film, Ground, KitError, Load, LoadPlan, Space, Wish,
    operator::{Install, run},
    space::{is_current, phase},
};

/// The namespace.
const NAMESPACE: &str = "demo";
/// Enough for seven requests a second at the first step: the gates want 15 in 10 s.
const RPS: u32 = 150;
/// Longer than anything here takes when nothing is wrong.
const UP: Duration = Duration::from_mins(1);

/// Everything that the figures are made of.
#[derive(Debug)]
pub(super) struct Scene {
    /// The namespace.
    pub space: Space,
    /// The operator.
    pub operator: Install,
    /// Whether this program installed it.
    pub is_ours: bool,
    /// All versions of the rollout.
    pub rollout: Film,
    /// All versions of the route.
    pub route: Film,
    /// Since when the story is told.
    pub since: Instant,
}

/// Tells it and says whether everything was as it should be.
pub(super) async fn tell(fast: bool) -> Result<ExitCode, DemoError> {
    let scene = Scene::set(Ground::find().await?).await?;
    let told = scene.play(fast).await;
    if let Err(error) = &told {
        eprintln!("error: {error}");
        eprintln!("{}", scene.operator.log_of(&scene.space.ground, NAMESPACE, 20));
    }
    scene.strike().await?;
    told
}

fn hold(fast: bool) -> &'static str {
    if fast { "5s" } else { "15s" }
}

fn wish(version: &str, fast: bool) -> Wish {
    let hold = hold(fast);
    Wish::new(version).steps(&[(5, hold), (20, hold), (50, hold), (100, hold)])
}

impl Scene {
    /// The operator, the service's namespace, and eyes on it.
    async fn set(ground: Ground) -> Result<Self, DemoError> {
        let since = Instant::now();
        let operator = Install::default();
        let found = run("helm", &["status", &operator.release, "--namespace", &operator.namespace]).await;
        let is_ours = found.is_err();
        if is_ours {
            operator.install(&ground).await?;
        }
        let how = if is_ours { "installed by its chart" } else { "found" };
        part(since, &format!("CRD and operator, {} replicas, {how}", operator.replicas));
        let space = Space::create(&ground, NAMESPACE).await?;
        let (rollout, route) = (space.film().await?, space.film_route().await?);
        Ok(Self { space, operator, is_ours, rollout, route, since })
    }

    async fn play(&self, fast: bool) -> Result<ExitCode, DemoError> {
        let begun = Instant::now();
        self.space.install(&wish("v1", fast)).await?;
        let serves = |rollout: &Value| is_current(rollout) && phase(rollout) == "Completed";
        self.rollout.until("v1 serves", UP, serves).await?;
        self.space.poll_answers(UP).await?;
        part(begun, "v1 serves with 2 pods");

        let begun = Instant::now();
        let at_most = Duration::from_mins(20);
        let load = Load::start(&self.space, &LoadPlan { rps: RPS, at_most, ..LoadPlan::default() }).await?;
        part(begun, &format!("llm-load sends {RPS} requests/s through the gateway"));
        let before = self.kubectl().await?;

        let first = self.release(&load, wish("v2", fast), "Completed").await?;
        load.mark("between").await?;
        // Chosen to err within each pod's first ten requests: with others it may reach a later step first.
        let faulty = wish("v3", fast).with("SIM_ERROR_SHARE", "0.05").with("SIM_SEED", "4");
        let second = self.release(&load, faulty, "RolledBack").await?;
        // Enough to see that a version taken back gets nothing more.
        poll_requests(&load, u64::from(2 * RPS)).await?;

        let after = self.kubectl().await?;
        let said = load.stop().await?;
        let report = Report {
            promote: figures::promote(self, &first, &said),
            rollback: figures::rollback(self, &second, &said).await?,
            last: figures::last(self).await?,
            kubectl_before: before,
            kubectl_after: after,
        };
        report.write()?;
        Ok(report.print())
    }

    /// Releases one version and shows what becomes of it until its phase is `end`.
    async fn release(&self, load: &Load, wish: Wish, end: &str) -> Result<Timeline, DemoError> {
        let version = wish.version.clone();
        let faults = if wish.env.contains_key("SIM_ERROR_SHARE") { ", which answers 5% errors" } else { "" };
        println!("\n{version} is released{faults}");
        load.mark(&format!("{version} comes up")).await?;
        let timeline = Timeline::new(&version, self);
        self.space.apply(&wish.manifest()).await?;
        timeline.follow(self, load, end).await
    }

    async fn kubectl(&self) -> Result<String, KitError> {
        run("kubectl", &["get", "llmrollouts", "--namespace", NAMESPACE]).await
    }

    /// Takes everything away again; in a lab, whatever is left ends with it.
    async fn strike(&self) -> Result<(), DemoError> {
        if self.space.ground.lab.is_some() {
            return Ok(());
        }
        self.space.delete().await?;
        let gone = Film::start(self.space.ground.all("v1", "Namespace"), NAMESPACE).await?;
        // The operator lets go of the rollout first: it must outlive the namespace.
        gone.until_gone(UP).await?;
        if self.is_ours {
            self.operator.uninstall().await?;
            let space = Space { ground: self.space.ground.clone(), name: self.operator.namespace.clone() };
            space.delete().await?;
            eprintln!("the CRD stays: with it, rollouts of others would go");
        }
        Ok(())
    }
}

/// Waits for so many more answers.
async fn poll_requests(load: &Load, more: u64) -> Result<(), DemoError> {
    let wanted = load.report().await?.requests + more;
    let end = Instant::now() + UP;
    while Instant::now() < end {
        if load.report().await?.requests >= wanted {
            return Ok(());
        }
        sleep(Duration::from_millis(100)).await;
    }
    Err(KitError::Late { what: format!("{more} more answers"), within: UP, last: String::new() }.into())
}

fn part(since: Instant, words: &str) {
    println!("{:>6.1} s  {words}", since.elapsed().as_secs_f64());
}
