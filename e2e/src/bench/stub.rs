//! A metrics provider that answers at once and remembers when: each rollout's figure is good until it is told to be bad.
//! Nothing here knows what the operator makes of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use axum::{Form, Json, Router, extract::State, routing::post};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::kit::KitError;

/// What stands in a query before the number of the rollout.
const OF: &str = "app=\"c";

#[derive(Debug, Default)]
struct Inside {
    bad: BTreeSet<usize>,
    all_bad: bool,
    /// When each was first told a bad figure.
    told: BTreeMap<usize, Instant>,
    /// Which were told anything.
    asked: BTreeSet<usize>,
    answers: u64,
}

/// The provider, while it is held.
#[derive(Debug)]
pub(super) struct Stub {
    pub(super) url: String,
    inside: Arc<Mutex<Inside>>,
    task: JoinHandle<()>,
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Deserialize)]
struct Asked {
    query: String,
}

impl Stub {
    pub(super) async fn start() -> Result<Self, KitError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(KitError::failed("a provider"))?;
        let address = listener.local_addr().map_err(KitError::failed("a provider"))?;
        let inside = Arc::new(Mutex::default());
        let router =
            Router::new().route("/api/v1/query", post(answer)).with_state(Arc::<Mutex<Inside>>::clone(&inside));
        let task = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { url: format!("http://{address}"), inside, task })
    }

    fn with<T>(&self, look: impl FnOnce(&mut Inside) -> T) -> T {
        look(&mut self.inside.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// One figure is bad from now on.
    pub(super) fn spoil(&self, number: usize) {
        self.with(|inside| inside.bad.insert(number));
    }

    /// All figures are bad from now on.
    pub(super) fn spoil_all(&self) {
        self.with(|inside| inside.all_bad = true);
    }

    /// Everything is good again, and nobody was told anything.
    pub(super) fn heal(&self) {
        self.with(|inside| *inside = Inside::default());
    }

    /// When this one was first told a bad figure.
    pub(super) fn told(&self, number: usize) -> Option<Instant> {
        self.with(|inside| inside.told.get(&number).copied())
    }

    /// When the first of all was.
    pub(super) fn first_told(&self) -> Option<Instant> {
        self.with(|inside| inside.told.values().min().copied())
    }

    /// How many rollouts were told anything, and how many answers were given.
    pub(super) fn counts(&self) -> (usize, u64) {
        self.with(|inside| (inside.asked.len(), inside.answers))
    }
}

/// The number of the rollout that a query is about.
fn number(query: &str) -> Option<usize> {
    query.split_once(OF)?.1.split('"').next()?.parse().ok()
}

async fn answer(State(inside): State<Arc<Mutex<Inside>>>, Form(asked): Form<Asked>) -> Json<Value> {
    let number = number(&asked.query);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let mut inside = inside.lock().unwrap_or_else(PoisonError::into_inner);
    inside.answers += 1;
    let bad = inside.all_bad || number.is_some_and(|number| inside.bad.contains(&number));
    if let Some(number) = number {
        inside.asked.insert(number);
        // How many samples there are is asked for beside the figure, and is none.
        if bad && asked.query.starts_with("bench_bad") {
            inside.told.entry(number).or_insert_with(Instant::now);
        }
    }
    let value = if bad { "1" } else { "0.1" };
    Json(
        json!({"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [now, value]}]}}),
    )
}
