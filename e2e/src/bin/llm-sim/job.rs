//! One request in the engine: it waits, takes a slot, makes tokens, and is counted when over.
//! Nothing here speaks HTTP.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};

use crate::{
    clock::now,
    metrics::{Sizes, Times},
    plan::Plan,
    sim::{Sim, Slot},
};

/// Into how many pieces an answer is streamed at most: a timer per token would cost more
/// than all the rest, and a reader of the stream sees the same.
const PIECES: u64 = 8;

/// One request in the engine. Dropped before its end, it counts as aborted.
#[derive(Debug)]
pub(crate) struct Job {
    sim: Arc<Sim>,
    plan: Plan,
    arrived: Instant,
    slot: Option<(Slot, Instant)>,
    first: Option<Instant>,
    newest: Instant,
    generated: u64,
    reason: &'static str,
}

impl Job {
    /// Takes the request in; nothing happens yet.
    pub(crate) fn new(sim: Arc<Sim>, plan: Plan) -> Self {
        let now = now();
        Self { sim, plan, arrived: now, slot: None, first: None, newest: now, generated: 0, reason: "abort" }
    }

    /// What will happen.
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Waits for a slot.
    pub(crate) async fn start(&mut self) {
        let slot = self.sim.slot(self.plan.prompt_tokens + self.plan.tokens).await;
        self.slot = Some((slot, now()));
    }

    /// How many pieces the answer has.
    pub(crate) fn pieces(&self) -> u64 {
        self.plan.tokens.min(PIECES)
    }

    /// Waits for piece number `piece` (the first is 0 and holds one token); says how many
    /// tokens it brought.
    pub(crate) async fn piece(&mut self, piece: u64) -> u64 {
        let last = self.pieces().saturating_sub(1).max(1);
        let part = fraction(piece, last);
        let ready = self.plan.ttft + self.plan.total.saturating_sub(self.plan.ttft).mul_f64(part);
        let begun = self.slot.as_ref().map_or(self.arrived, |(_, begun)| *begun);
        sleep_until(begun + ready).await;
        let now = now();
        if self.first.is_none() {
            self.first = Some(now);
            self.sim.metrics().first_token(now - self.arrived, self.plan.prompt_tokens, self.plan.cached_tokens);
            self.newest = now;
            self.generated = 1;
            return 1;
        }
        let count = (1 + (self.plan.tokens - 1) * piece / last).saturating_sub(self.generated);
        self.sim.metrics().tokens(count, now - self.newest);
        self.newest = now;
        self.generated += count;
        count
    }

    /// Counts the request as over, for this reason.
    pub(crate) fn finish(mut self, reason: &'static str) -> u64 {
        self.reason = reason;
        self.generated
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let now = now();
        let begun = self.slot.as_ref().map_or(now, |(_, begun)| *begun);
        let first = self.first.unwrap_or(now);
        let times = Times {
            whole: now - self.arrived,
            queue: begun - self.arrived,
            prefill: first.saturating_duration_since(begun),
            decode: self.first.map_or(Duration::ZERO, |first| now - first),
        };
        let Plan { prompt_tokens: prompt, cached_tokens: cached, .. } = self.plan;
        self.sim.metrics().finished(self.reason, times, Sizes { prompt, cached, generated: self.generated });
    }
}

#[expect(clippy::cast_precision_loss, reason = "both are at most PIECES")]
fn fraction(part: u64, whole: u64) -> f64 {
    (part as f64 / whole as f64).min(1.0)
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::Job;
    use crate::{
        clock::now,
        config::Config,
        plan::{Fate, Finish, Plan},
        sim::{Identity, Sim},
    };

    fn job(tokens: u64) -> (Arc<Sim>, Job) {
        let sim = Arc::new(Sim::new(Config::default(), Identity { pod: "p".to_owned(), color: None }));
        let plan = Plan {
            fate: Fate::Answer(Finish::Stop),
            ttft: Duration::from_millis(20),
            total: Duration::from_millis(80),
            prompt_tokens: 10,
            cached_tokens: 5,
            tokens,
        };
        (Arc::clone(&sim), Job::new(sim, plan))
    }

    #[tokio::test]
    async fn pieces_bring_every_token_in_the_planned_time() {
        for tokens in [1, 2, 7, 8, 64] {
            let (sim, mut job) = job(tokens);
            let begun = now();
            job.start().await;
            let mut brought = 0;
            for piece in 0..job.pieces() {
                brought += job.piece(piece).await;
            }
            assert_eq!(brought, tokens);
            assert_eq!(job.finish("stop"), tokens);
            let least = if tokens == 1 { 20 } else { 80 };
            assert!(begun.elapsed() >= Duration::from_millis(least));
            let text = sim.metrics().render("m", sim.load()).unwrap();
            assert!(
                text.contains(&format!("vllm:generation_tokens_total{{engine=\"0\",model_name=\"m\"}} {tokens}\n"))
            );
            assert!(text.contains("finished_reason=\"stop\"} 1\n"));
            assert_eq!(sim.load().running, 0);
        }
    }

    #[tokio::test]
    async fn whoever_leaves_is_an_abort() {
        let (sim, mut job) = job(64);
        job.start().await;
        job.piece(0).await;
        drop(job);
        let text = sim.metrics().render("m", sim.load()).unwrap();
        assert!(text.contains("finished_reason=\"abort\"} 1\n"));
    }
}
