//! What will happen to a request: drawn from the seed and the request's number alone.
//! Nothing here waits, answers or counts.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::config::Config;

/// How a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// A whole answer.
    Answer(Finish),
    /// HTTP 500 before any token.
    Error,
    /// It breaks while the answer is generated.
    StreamError,
    /// Never answered.
    Hang,
    /// HTTP 429.
    Reject,
}

/// Why a whole answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    /// The model was done.
    Stop,
    /// The token limit was reached.
    Length,
}

impl Finish {
    /// The word of the protocol and of the metrics.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
        }
    }
}

/// One request's future.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// How it ends.
    pub(crate) fate: Fate,
    /// Until the first token.
    pub(crate) ttft: Duration,
    /// Until the last token.
    pub(crate) total: Duration,
    /// Tokens of the prompt.
    pub(crate) prompt_tokens: u64,
    /// Those of them found in the cache.
    pub(crate) cached_tokens: u64,
    /// Tokens of the answer.
    pub(crate) tokens: u64,
}

/// What the request itself says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask {
    /// Bytes of the prompt.
    pub(crate) prompt_bytes: usize,
    /// Its own limit of tokens.
    pub(crate) max_tokens: Option<u64>,
}

/// The future of request number `index`. The numbers are drawn in one fixed order,
/// so a knob changes what it names and nothing else.
pub(crate) fn draw(config: &Config, index: u64, ask: Ask) -> Plan {
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    rng.set_stream(index);
    let fate: f64 = rng.random();
    let length: f64 = rng.random();
    let spread: f64 = rng.random();
    let slow = if index < config.warm_up_requests { config.warm_up_factor } else { 1.0 };
    let total = config.latency.sample(&mut rng).mul_f64(slow);
    let ttft = config.ttft.sample(&mut rng).mul_f64(slow).min(total);
    let drawn = tokens(config, spread);
    let limit = ask.max_tokens.unwrap_or(u64::MAX).max(1);
    let finish = if drawn > limit || length < config.finish_length_share { Finish::Length } else { Finish::Stop };
    let prompt_tokens = match config.prompt_tokens {
        0 => (ask.prompt_bytes as u64).div_ceil(4).max(1),
        fixed => fixed,
    };
    Plan {
        fate: fate_of(config, fate, finish),
        ttft,
        total,
        prompt_tokens,
        cached_tokens: share_of(prompt_tokens, config.cached_share),
        tokens: drawn.min(limit),
    }
}

fn fate_of(config: &Config, draw: f64, finish: Finish) -> Fate {
    let mut edge = 0.0;
    for (share, fate) in [
        (config.error_share, Fate::Error),
        (config.stream_error_share, Fate::StreamError),
        (config.hang_share, Fate::Hang),
        (config.reject_share, Fate::Reject),
    ] {
        edge += share;
        if draw < edge {
            return fate;
        }
    }
    Fate::Answer(finish)
}

fn tokens(config: &Config, draw: f64) -> u64 {
    config.tokens_mean - config.tokens_spread
        + share_of(2 * config.tokens_spread + 1, draw).min(2 * config.tokens_spread)
}

/// The whole tokens of a share; tokens are few enough that nothing is lost.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "shares lie in 0..=1 and counts far below 2^52"
)]
fn share_of(count: u64, share: f64) -> u64 {
    (count as f64 * share).floor() as u64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Ask, Fate, Finish, Plan, draw};
    use crate::{config::Config, dist::Distribution};

    const ASK: Ask = Ask { prompt_bytes: 400, max_tokens: None };

    fn faulty() -> Config {
        Config {
            error_share: 0.05,
            stream_error_share: 0.02,
            hang_share: 0.01,
            reject_share: 0.03,
            finish_length_share: 0.1,
            latency: Distribution::Uniform { low: Duration::from_millis(10), high: Duration::from_millis(90) },
            ..Config::default()
        }
    }

    fn plans(config: &Config, count: u64) -> Vec<Plan> {
        (0..count).map(|index| draw(config, index, ASK)).collect()
    }

    #[test]
    fn the_seed_decides() {
        let config = faulty();
        assert_eq!(plans(&config, 500), plans(&config, 500));
        assert_ne!(plans(&config, 500), plans(&Config { seed: 2, ..config }, 500));
    }

    #[test]
    fn shares_are_met() {
        let plans = plans(&faulty(), 20_000);
        let count = |fate: Fate| plans.iter().filter(|plan| plan.fate == fate).count();
        assert!((900..1100).contains(&count(Fate::Error)), "{}", count(Fate::Error));
        assert!((330..470).contains(&count(Fate::StreamError)));
        assert!((150..250).contains(&count(Fate::Hang)));
        assert!((520..680).contains(&count(Fate::Reject)));
        assert!((1650..1910).contains(&count(Fate::Answer(Finish::Length))));
        assert!(plans.iter().all(|plan| (48..=80).contains(&plan.tokens) && plan.prompt_tokens == 100));
    }

    #[test]
    fn a_fault_leaves_the_other_draws() {
        let (calm, broken) = (Config::default(), Config { error_share: 1.0, ..Config::default() });
        for (left, right) in plans(&calm, 100).iter().zip(plans(&broken, 100)) {
            assert_eq!(Plan { fate: Fate::Error, ..left.clone() }, right);
        }
    }

    #[test]
    fn the_first_are_slower_and_limits_hold() {
        let config = Config { warm_up_requests: 2, warm_up_factor: 5.0, cached_share: 0.5, ..Config::default() };
        let short = Ask { max_tokens: Some(8), ..ASK };
        let [first, third] = [1, 2].map(|index| draw(&config, index, short));
        assert_eq!((first.total, third.total), (Duration::from_millis(600), Duration::from_millis(120)));
        assert_eq!((first.tokens, first.fate, first.cached_tokens), (8, Fate::Answer(Finish::Length), 50));
    }
}
