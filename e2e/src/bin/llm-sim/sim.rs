//! What one simulated server is: its knobs, its counters, its place in life, and its slots.
//! Nothing here speaks HTTP.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde::Serialize;
use serde_json::{Map, Value};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::Instant,
};

use crate::{
    clock::now,
    config::{Config, ConfigError},
    metrics::{Load, Metrics},
};

/// Who answers.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Identity {
    /// The pod's name.
    pub(crate) pod: String,
    /// The side of a rollout it belongs to, if told.
    pub(crate) color: Option<String>,
}

/// What admin looks at.
#[derive(Debug, Serialize)]
pub(crate) struct Stats {
    #[serde(flatten)]
    identity: Identity,
    version: String,
    healthy: bool,
    draining: bool,
    uptime_ms: u128,
    requests: u64,
    running: usize,
    waiting: usize,
    leaked_bytes: usize,
}

/// One simulated server.
#[derive(Debug)]
pub(crate) struct Sim {
    /// Who it is.
    pub(crate) identity: Identity,
    config: Mutex<Arc<Config>>,
    metrics: Mutex<Metrics>,
    started: Instant,
    draining: watch::Sender<bool>,
    requests: AtomicU64,
    slots: Slots,
    running: AtomicUsize,
    waiting: AtomicUsize,
    held_tokens: AtomicU64,
    leak: Mutex<Vec<Vec<u8>>>,
}

impl Sim {
    /// A server that starts now.
    pub(crate) fn new(config: Config, identity: Identity) -> Self {
        Self {
            identity,
            slots: Slots::new(config.max_concurrency),
            metrics: Mutex::new(Metrics::new(config.dialect)),
            config: Mutex::new(Arc::new(config)),
            started: now(),
            draining: watch::Sender::new(false),
            requests: AtomicU64::new(0),
            running: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            held_tokens: AtomicU64::new(0),
            leak: Mutex::default(),
        }
    }

    /// The knobs as they are now.
    pub(crate) fn config(&self) -> Arc<Config> {
        Arc::clone(&lock(&self.config))
    }

    /// Turns some knobs.
    pub(crate) fn patch(&self, patch: Map<String, Value>) -> Result<Arc<Config>, ConfigError> {
        let mut place = lock(&self.config);
        let config = Arc::new(place.patched(patch)?);
        if config.dialect != place.dialect {
            return Err(ConfigError::Fixed("dialect"));
        }
        self.slots.resize(config.max_concurrency);
        *place = Arc::clone(&config);
        Ok(config)
    }

    /// The counters.
    pub(crate) fn metrics(&self) -> MutexGuard<'_, Metrics> {
        lock(&self.metrics)
    }

    /// Numbers a request, keeps what it leaks, and ends the process if it was the last.
    pub(crate) fn arrive(&self, config: &Config) -> u64 {
        let index = self.requests.fetch_add(1, Ordering::Relaxed);
        if config.crash_after_requests > 0 && index + 1 >= config.crash_after_requests {
            crash(config.crash_code, "crash_after_requests");
        }
        if config.leak_bytes_per_request > 0 {
            // Written, not only reserved: untouched pages would not count as used.
            lock(&self.leak).push(vec![1; config.leak_bytes_per_request]);
        }
        index
    }

    /// Whether requests are answered: loaded, whatever comes later.
    pub(crate) fn loaded(&self) -> bool {
        self.started.elapsed() >= Duration::from_millis(self.config().load_time_ms)
    }

    /// Whether traffic should come here.
    pub(crate) fn healthy(&self) -> bool {
        self.loaded() && !self.draining()
    }

    /// Whether the end has been announced.
    pub(crate) fn draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Announces the end.
    pub(crate) fn drain(&self) {
        self.draining.send_replace(true);
    }

    /// Returns when the end has been announced.
    pub(crate) async fn drained(&self) {
        // The sender lives as long as `self`: waiting cannot fail.
        let _ = self.draining.subscribe().wait_for(|draining| *draining).await;
    }

    /// Ends the process when its time has come; `crash_after_ms` may be turned at any time.
    pub(crate) async fn poll_crash(&self) {
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        loop {
            tick.tick().await;
            let config = self.config();
            if config.crash_after_ms > 0 && self.started.elapsed() >= Duration::from_millis(config.crash_after_ms) {
                crash(config.crash_code, "crash_after_ms");
            }
        }
    }

    /// Waits for a slot; counted as waiting meanwhile, and no longer if dropped.
    pub(crate) async fn slot(self: &Arc<Self>, tokens: u64) -> Slot {
        let waiting = Counted::new(self, |sim| &sim.waiting);
        let permit = self.slots.acquire().await;
        drop(waiting);
        self.held_tokens.fetch_add(tokens, Ordering::Relaxed);
        Slot { _running: Counted::new(self, |sim| &sim.running), sim: Arc::clone(self), permit, tokens }
    }

    /// What the engine holds.
    #[expect(clippy::cast_precision_loss, reason = "token counts stay far below 2^52")]
    pub(crate) fn load(&self) -> Load {
        let held = self.held_tokens.load(Ordering::Relaxed) as f64;
        Load {
            running: self.running.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed),
            cache: (held / self.config().kv_cache_tokens as f64).min(1.0),
        }
    }

    /// What admin looks at.
    pub(crate) fn stats(&self) -> Stats {
        let load = self.load();
        Stats {
            identity: self.identity.clone(),
            version: self.config().version.clone(),
            healthy: self.healthy(),
            draining: self.draining(),
            uptime_ms: self.started.elapsed().as_millis(),
            requests: self.requests.load(Ordering::Relaxed),
            running: load.running,
            waiting: load.waiting,
            leaked_bytes: lock(&self.leak).iter().map(Vec::len).sum(),
        }
    }
}

/// Ends the process as a crash does: at once, with nothing said to anyone connected.
pub(crate) fn crash(code: u8, why: &str) -> ! {
    eprintln!("crash: {why}, exit code {code}");
    std::process::exit(i32::from(code))
}

/// A place among the requests worked on; given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    sim: Arc<Sim>,
    permit: Option<OwnedSemaphorePermit>,
    tokens: u64,
    _running: Counted,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.sim.held_tokens.fetch_sub(self.tokens, Ordering::Relaxed);
        if let Some(permit) = self.permit.take() {
            self.sim.slots.release(permit);
        }
    }
}

/// One more in a gauge for as long as it lives.
#[derive(Debug)]
struct Counted {
    sim: Arc<Sim>,
    gauge: fn(&Sim) -> &AtomicUsize,
}

impl Counted {
    fn new(sim: &Arc<Sim>, gauge: fn(&Sim) -> &AtomicUsize) -> Self {
        gauge(sim).fetch_add(1, Ordering::Relaxed);
        Self { sim: Arc::clone(sim), gauge }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.gauge)(&self.sim).fetch_sub(1, Ordering::Relaxed);
    }
}

/// A fair semaphore whose size may change while it is in use.
#[derive(Debug)]
struct Slots {
    semaphore: Arc<Semaphore>,
    /// Its size, and how many permits in use must not come back.
    size_and_debt: Mutex<(usize, usize)>,
}

impl Slots {
    fn new(size: usize) -> Self {
        Self { semaphore: Arc::new(Semaphore::new(size)), size_and_debt: Mutex::new((size, 0)) }
    }

    /// `None` only if the semaphore were closed, which nothing does.
    async fn acquire(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.semaphore).acquire_owned().await.ok()
    }

    fn release(&self, permit: OwnedSemaphorePermit) {
        let mut guard = lock(&self.size_and_debt);
        if guard.1 > 0 {
            guard.1 -= 1;
            permit.forget();
        }
    }

    fn resize(&self, size: usize) {
        let mut guard = lock(&self.size_and_debt);
        let (old, debt) = *guard;
        *guard = if size >= old {
            let paid = debt.min(size - old);
            self.semaphore.add_permits(size - old - paid);
            (size, debt - paid)
        } else {
            let forgotten = self.semaphore.forget_permits(old - size);
            (size, debt + (old - size - forgotten))
        };
    }
}

/// A lock whose holder panicked still holds sound counters here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Map, Value, json};

    use super::{Identity, Sim};
    use crate::config::Config;

    fn sim(max_concurrency: usize) -> Arc<Sim> {
        let identity = Identity { pod: "p".to_owned(), color: None };
        Arc::new(Sim::new(Config { max_concurrency, ..Config::default() }, identity))
    }

    fn resize(sim: &Sim, size: usize) {
        let patch: Map<String, Value> = serde_json::from_value(json!({"max_concurrency": size})).unwrap();
        sim.patch(patch).unwrap();
    }

    #[tokio::test]
    async fn slots_shrink_and_grow_while_in_use() {
        let sim = sim(3);
        let held = [sim.slot(1).await, sim.slot(1).await, sim.slot(1).await];
        resize(&sim, 1);
        assert_eq!(sim.load().running, 3);
        let [first, second, third] = held;
        drop((first, second));
        assert_eq!(sim.slots.semaphore.available_permits(), 0);
        resize(&sim, 2);
        assert_eq!(sim.slots.semaphore.available_permits(), 1);
        drop(third);
        assert_eq!(sim.slots.semaphore.available_permits(), 2);
        assert_eq!(sim.load().running, 0);
    }

    #[tokio::test]
    async fn a_server_keeps_its_dialect() {
        let sim = sim(1);
        let patch = |text: &str| sim.patch(serde_json::from_value(json!({"dialect": text})).unwrap());
        assert!(patch("vllm").is_ok());
        assert!(patch("tgi").unwrap_err().to_string().contains("read at the start"));
        assert!(sim.metrics().render("m", sim.load()).unwrap().contains("vllm:num_requests_running"));
    }

    #[tokio::test]
    async fn whoever_leaves_the_queue_is_no_longer_waiting() {
        let sim = sim(1);
        let _held = sim.slot(1).await;
        let mut queued = Box::pin(sim.slot(1));
        assert!(futures::poll!(&mut queued).is_pending());
        assert_eq!(sim.load().waiting, 1);
        drop(queued);
        assert_eq!(sim.load().waiting, 0);
    }
}
