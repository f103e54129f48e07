//! What a case stands on: a namespace of its own, the operator that drives it, and a count of the requests it sent.
//! Nothing here proves anything.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::Value;

use crate::kit::{
    Film, Frame, KitError, Load, LoadPlan, Report, Space, Wish, audit::Audit, operator::Install, process, space,
};

/// Longer than an installation ever took.
const INSTALLED: Duration = Duration::from_secs(30);

/// What a case has.
#[derive(Debug)]
pub(crate) struct Stand {
    /// Its namespace.
    pub space: Space,
    /// The operator that is there, or that the case will install.
    pub operator: Install,
    /// Whether every case is run, so that what none of them did can be told.
    pub whole: bool,
    /// How long to look at what must not happen.
    pub rest: Duration,
    /// The audit log from the begin of the run; none where there is no lab.
    pub audit: Option<Audit>,
    requests: AtomicU64,
    failed: AtomicU64,
    unanswered: AtomicU64,
    figures: Mutex<BTreeMap<&'static str, u64>>,
}

/// A service in operation, filmed.
#[derive(Debug)]
pub(crate) struct Service {
    /// The rollout.
    pub rollout: Film,
    /// The route.
    pub route: Film,
    /// The load on it.
    pub load: Load,
}

impl Stand {
    /// A stand in this namespace.
    pub(crate) fn new(space: Space, operator: Install, rest: Duration, audit: Option<Audit>) -> Self {
        let (requests, failed, unanswered) = (0.into(), 0.into(), 0.into());
        Self { space, operator, rest, audit, requests, failed, unanswered, figures: Mutex::default(), whole: false }
    }

    /// What was asked of the API server since the run began.
    pub(crate) fn since_start(&self) -> Result<&Audit, KitError> {
        self.audit.as_ref().ok_or(KitError::NoLab)
    }

    /// An operator for this namespace alone, not yet installed.
    pub(crate) fn own_operator(&self, replicas: u32, lease: Duration) -> Install {
        let (release, namespace) = ("own".to_owned(), self.space.name.clone());
        Install { release, namespace, replicas, own_namespace_only: true, lease, ..Install::default() }
    }

    /// The chart's account, with rights in the whole cluster and without a pod, for processes of the case's own; and a token of it.
    pub(crate) async fn account(&self) -> Result<(Install, String), KitError> {
        self.space.ground.lab()?;
        let lease = Duration::from_secs(4);
        let account = Install { release: self.short(), own_namespace_only: false, ..self.own_operator(0, lease) };
        account.install(&self.space.ground).await?;
        let token = process::token(&self.space.ground, &account).await?;
        Ok((account, token))
    }

    /// The begin of the namespace's name, for more names made of it.
    pub(crate) fn short(&self) -> String {
        self.space.name.chars().take(30).collect::<String>().trim_end_matches('-').to_owned()
    }

    /// A figure for the report, in milliseconds.
    pub(crate) fn note(&self, name: &'static str, took: Duration) {
        let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.figures.lock().unwrap_or_else(PoisonError::into_inner).insert(name, took);
    }

    /// A number for the report.
    pub(crate) fn count(&self, name: &'static str, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.figures.lock().unwrap_or_else(PoisonError::into_inner).insert(name, count);
    }

    /// All figures noted.
    pub(crate) fn figures(&self) -> BTreeMap<&'static str, u64> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Requests, failed ones, and those nobody answered, of all loads that ended.
    pub(crate) fn counts(&self) -> (u64, u64, u64) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (read(&self.requests), read(&self.failed), read(&self.unanswered))
    }

    /// Installs a first version, waits until it serves, and starts the load.
    pub(crate) async fn serve(&self, wish: &Wish, plan: &LoadPlan) -> Result<Service, KitError> {
        self.space.install(wish).await?;
        self.serve_installed(plan).await
    }

    /// Waits until what was installed serves, and starts the load.
    pub(crate) async fn serve_installed(&self, plan: &LoadPlan) -> Result<Service, KitError> {
        let (rollout, route) = (self.space.film().await?, self.space.film_route().await?);
        rollout.until("the first version serves", INSTALLED, serves).await?;
        self.space.poll_answers(Duration::from_secs(10)).await?;
        let load = Load::start(&self.space, plan).await?;
        Ok(Service { rollout, route, load })
    }

    /// Ends a load and counts its requests.
    pub(crate) async fn end(&self, load: Load) -> Result<Report, KitError> {
        let report = load.stop().await?;
        self.requests.fetch_add(report.requests, Ordering::Relaxed);
        self.failed.fetch_add(report.failed, Ordering::Relaxed);
        self.unanswered.fetch_add(report.failed_unanswered, Ordering::Relaxed);
        Ok(report)
    }
}

impl Service {
    /// Applies a rollout and waits until the film shows it.
    pub(crate) async fn apply(&self, stand: &Stand, manifest: &Value) -> Result<(), KitError> {
        let applied = stand.space.apply(manifest).await?;
        self.rollout.until_applied(&applied).await
    }

    /// Merges into the rollout's spec and waits until the film shows it.
    pub(crate) async fn change(&self, stand: &Stand, spec: &Value) -> Result<(), KitError> {
        let changed = stand.space.change(spec).await?;
        self.rollout.until_applied(&changed).await
    }

    /// Waits until a step is being measured, and marks it in the load as `N%`.
    pub(crate) async fn holding(&self, weight: i64, within: Duration) -> Result<Frame, KitError> {
        let what = format!("holding at {weight}%");
        let frame = self.rollout.until(&what, within, |rollout| is_holding(rollout, weight)).await?;
        self.load.mark(&format!("{weight}%")).await?;
        Ok(frame)
    }

    /// Waits until a step that comes next is being measured, and marks it and the way to it. Shares move with the route, and the
    /// status says so only once the gateway has: what comes between belongs to neither step.
    pub(crate) async fn moved_to(&self, weight: i64, within: Duration) -> Result<Frame, KitError> {
        let what = format!("green's weight is {weight} in the route");
        self.route.until(&what, within, |route| space::Weights::of(route).green == weight).await?;
        self.load.mark(&format!("to {weight}%")).await?;
        self.holding(weight, within).await
    }

    /// Waits for a phase in a status that speaks of the manifest as it stands.
    pub(crate) async fn phase(&self, phase: &str, within: Duration) -> Result<Frame, KitError> {
        self.rollout.until(phase, within, |rollout| space::phase(rollout) == phase && space::is_current(rollout)).await
    }
}

/// Whether the wanted revision serves.
pub(crate) fn is_promoted(rollout: &Value) -> bool {
    let promoted = space::condition(rollout, "Promoted").is_some_and(|condition| condition["status"] == "True");
    space::phase(rollout) == "Completed" && space::is_current(rollout) && promoted
}

/// Whether what is wanted serves: installed by the operator, or found serving.
pub(crate) fn serves(rollout: &Value) -> bool {
    let promoted = space::condition(rollout, "Promoted").is_some_and(|condition| condition["status"] == "True");
    ["Completed", "Idle"].contains(&space::phase(rollout)) && space::is_current(rollout) && promoted
}

/// Whether a step of this weight is being measured.
pub(crate) fn is_holding(rollout: &Value, weight: i64) -> bool {
    space::phase(rollout) == "Holding" && rollout["status"]["attempt"]["weight"] == weight && space::is_current(rollout)
}
