//! All that is counted, once for every dialect: what became of requests, how long they took, how many tokens they had.
//! Nothing here decides when to count, and nothing here writes a name.

use std::{collections::BTreeMap, time::Duration};

use crate::{dialect::Dialect, histogram::Histogram};

/// Every reason for which a request ends; all exist from the start, as in the engine.
pub(crate) const REASONS: [&str; 5] = ["stop", "length", "abort", "error", "repetition"];

/// How long the parts of one request took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Times {
    /// From arrival to the end.
    pub(crate) whole: Duration,
    /// Waiting for a place.
    pub(crate) queue: Duration,
    /// From the place to the first token.
    pub(crate) prefill: Duration,
    /// From the first token to the end.
    pub(crate) decode: Duration,
}

/// How many tokens one request had.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sizes {
    /// Of its prompt.
    pub(crate) prompt: u64,
    /// Those of them that a cache held.
    pub(crate) cached: u64,
    /// Of its answer.
    pub(crate) generated: u64,
}

/// What the engine holds right now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Requests worked on.
    pub(crate) running: usize,
    /// Requests waiting.
    pub(crate) waiting: usize,
    /// Share of the cache in use.
    pub(crate) cache: f64,
}

/// Where the buckets of a dialect end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Whole requests and their parts.
    pub(crate) request: &'static [f64],
    /// First tokens.
    pub(crate) first: &'static [f64],
    /// Single tokens.
    pub(crate) token: &'static [f64],
    /// Tokens of a prompt.
    pub(crate) prompt: &'static [f64],
    /// Tokens of an answer.
    pub(crate) answer: &'static [f64],
}

/// What is measured of requests, whichever of them are counted in.
#[derive(Debug)]
pub(crate) struct Measures {
    pub(crate) whole: Histogram,
    pub(crate) queue: Histogram,
    pub(crate) prefill: Histogram,
    pub(crate) decode: Histogram,
    /// Prefill and decode.
    pub(crate) inference: Histogram,
    /// Decode by token after the first.
    pub(crate) per_output_token: Histogram,
    /// Inference by token.
    pub(crate) mean_token: Histogram,
    pub(crate) prompt: Histogram,
    pub(crate) cached: Histogram,
    pub(crate) answer: Histogram,
}

/// All that is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    dialect: Dialect,
    /// Requests that the engine had taken, by reason.
    pub(crate) finished: [u64; REASONS.len()],
    /// Of all of those.
    pub(crate) all: Measures,
    /// Of those that ended as they should.
    pub(crate) answered: Measures,
    /// How long those took that failed, by HTTP status; 0 is a failure in the middle of an answer.
    pub(crate) failed: BTreeMap<u16, Histogram>,
    /// Requests that the engine never took, by HTTP status.
    pub(crate) refused: BTreeMap<u16, u64>,
    pub(crate) first_token: Histogram,
    pub(crate) inter_token: Histogram,
    pub(crate) prompt_tokens: u64,
    pub(crate) cached_tokens: u64,
    pub(crate) generated_tokens: u64,
    /// By handler and status.
    pub(crate) http_requests: BTreeMap<(&'static str, u16), u64>,
    pub(crate) http_times: BTreeMap<&'static str, Histogram>,
}

/// The HTTP layer's default.
const HTTP: &[f64] = &[0.1, 0.5, 1.0];

impl Metrics {
    /// Nothing has happened yet.
    pub(crate) fn new(dialect: Dialect) -> Self {
        let bounds = dialect.bounds();
        Self {
            dialect,
            finished: [0; REASONS.len()],
            all: Measures::new(&bounds),
            answered: Measures::new(&bounds),
            failed: BTreeMap::new(),
            refused: BTreeMap::new(),
            first_token: Histogram::new(bounds.first),
            inter_token: Histogram::new(bounds.token),
            prompt_tokens: 0,
            cached_tokens: 0,
            generated_tokens: 0,
            http_requests: BTreeMap::new(),
            http_times: BTreeMap::new(),
        }
    }

    /// The prompt has been read and the first token is there.
    pub(crate) fn first_token(&mut self, since_arrival: Duration, prompt: u64, cached: u64) {
        self.first_token.observe(since_arrival.as_secs_f64(), 1);
        self.prompt_tokens += prompt;
        self.cached_tokens += cached;
        self.generated_tokens += 1;
    }

    /// `count` more tokens, evenly over `time`.
    pub(crate) fn tokens(&mut self, count: u64, time: Duration) {
        if count > 0 {
            self.generated_tokens += count;
            self.inter_token.observe(time.as_secs_f64() / as_float(count), count);
        }
    }

    /// A request that the engine had taken is over.
    pub(crate) fn finished(&mut self, reason: &str, times: Times, sizes: Sizes) {
        if let Some(count) =
            REASONS.iter().position(|known| *known == reason).and_then(|place| self.finished.get_mut(place))
        {
            *count += 1;
        }
        self.all.observe(times, sizes);
        match reason {
            "error" => self.fail(0, times.whole),
            "abort" => {}
            _ => self.answered.observe(times, sizes),
        }
    }

    /// A request that the engine never took is over.
    pub(crate) fn refused(&mut self, status: u16, time: Duration) {
        *self.refused.entry(status).or_default() += 1;
        self.fail(status, time);
    }

    fn fail(&mut self, status: u16, time: Duration) {
        let bounds = self.dialect.bounds().request;
        self.failed.entry(status).or_insert_with(|| Histogram::new(bounds)).observe(time.as_secs_f64(), 1);
    }

    /// How many ended for this reason.
    pub(crate) fn ended(&self, reason: &str) -> u64 {
        REASONS.iter().zip(self.finished).find(|(known, _)| **known == reason).map_or(0, |(_, count)| count)
    }

    /// An HTTP request is over.
    pub(crate) fn http(&mut self, handler: &'static str, status: u16, time: Duration) {
        *self.http_requests.entry((handler, status)).or_default() += 1;
        self.http_times.entry(handler).or_insert_with(|| Histogram::new(HTTP)).observe(time.as_secs_f64(), 1);
    }

    /// Everything, as Prometheus reads it.
    pub(crate) fn render(&self, model: &str, load: Load) -> Result<String, std::fmt::Error> {
        self.dialect.render(self, model, load)
    }
}

impl Measures {
    fn new(bounds: &Bounds) -> Self {
        let [whole, queue, prefill, decode, inference] = std::array::from_fn(|_| Histogram::new(bounds.request));
        let [per_output_token, mean_token] = std::array::from_fn(|_| Histogram::new(bounds.token));
        let [prompt, cached] = std::array::from_fn(|_| Histogram::new(bounds.prompt));
        let answer = Histogram::new(bounds.answer);
        Self { whole, queue, prefill, decode, inference, per_output_token, mean_token, prompt, cached, answer }
    }

    fn observe(&mut self, times: Times, sizes: Sizes) {
        let inference = times.prefill + times.decode;
        self.whole.observe(times.whole.as_secs_f64(), 1);
        self.queue.observe(times.queue.as_secs_f64(), 1);
        self.prefill.observe(times.prefill.as_secs_f64(), 1);
        self.decode.observe(times.decode.as_secs_f64(), 1);
        self.inference.observe(inference.as_secs_f64(), 1);
        self.prompt.observe(as_float(sizes.prompt), 1);
        self.answer.observe(as_float(sizes.generated), 1);
        if sizes.cached > 0 {
            self.cached.observe(as_float(sizes.cached), 1);
        }
        if sizes.generated > 0 {
            self.mean_token.observe(inference.as_secs_f64() / as_float(sizes.generated), 1);
        }
        if sizes.generated > 1 {
            self.per_output_token.observe(times.decode.as_secs_f64() / as_float(sizes.generated - 1), 1);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "token counts stay far below 2^52")]
fn as_float(count: u64) -> f64 {
    count as f64
}
