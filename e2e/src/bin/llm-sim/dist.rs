//! Distributions of times: `fixed:120ms`, `lognormal:median,p95`, `uniform:a,b`.
//! Nothing here knows what the times are for.

use std::{fmt, time::Duration};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::duration;

/// The standard normal's 95th percentile.
const Z95: f64 = 1.644_853_626_951_472_6;

/// A distribution of times.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Distribution {
    /// Always the same.
    Fixed(Duration),
    /// Log-normal, given by its median and its 95th percentile.
    LogNormal {
        /// Half of the draws are below.
        median: Duration,
        /// Nineteen of twenty draws are below.
        p95: Duration,
    },
    /// Every time between the two equally likely.
    Uniform {
        /// The shortest.
        low: Duration,
        /// The longest.
        high: Duration,
    },
}

impl Distribution {
    /// One draw. Every kind consumes the same two numbers, so that a change of
    /// distribution at run time leaves the other choices of a request as they were.
    pub(crate) fn sample(&self, rng: &mut ChaCha8Rng) -> Duration {
        let (first, second): (f64, f64) = (rng.random(), rng.random());
        match *self {
            Self::Fixed(time) => time,
            Self::Uniform { low, high } => low + high.saturating_sub(low).mul_f64(first),
            Self::LogNormal { median, p95 } => {
                // Box-Muller; 1 - first lies in (0, 1], where the logarithm is finite.
                let normal = (-2.0 * (1.0 - first).ln()).sqrt() * (std::f64::consts::TAU * second).cos();
                let sigma = (p95.as_secs_f64() / median.as_secs_f64()).ln() / Z95;
                median.mul_f64((sigma * normal).exp())
            }
        }
    }
}

impl TryFrom<String> for Distribution {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let complaint = |why: &str| {
            format!(
                "`{text}` is not a distribution ({why}): write fixed:120ms, lognormal:MEDIAN,P95 or uniform:LOW,HIGH"
            )
        };
        let (kind, rest) = text.split_once(':').ok_or_else(|| complaint("no kind before a colon"))?;
        let times =
            rest.split(',').map(duration::parse).collect::<Result<Vec<_>, _>>().map_err(|why| complaint(&why))?;
        match (kind, times.as_slice()) {
            ("fixed", &[time]) => Ok(Self::Fixed(time)),
            ("lognormal", &[median, p95]) if !median.is_zero() && median <= p95 => Ok(Self::LogNormal { median, p95 }),
            ("lognormal", &[_, _]) => Err(complaint("the median must be above zero and not above the p95")),
            ("uniform", &[low, high]) if low <= high => Ok(Self::Uniform { low, high }),
            ("uniform", &[_, _]) => Err(complaint("the first bound must not be above the second")),
            ("fixed" | "lognormal" | "uniform", _) => Err(complaint("wrong number of times")),
            _ => Err(complaint("unknown kind")),
        }
    }
}

impl From<Distribution> for String {
    fn from(distribution: Distribution) -> Self {
        distribution.to_string()
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| format!("{}ms", time.as_secs_f64() * 1000.0);
        match *self {
            Self::Fixed(time) => write!(out, "fixed:{}", ms(time)),
            Self::LogNormal { median, p95 } => write!(out, "lognormal:{},{}", ms(median), ms(p95)),
            Self::Uniform { low, high } => write!(out, "uniform:{},{}", ms(low), ms(high)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::Distribution;

    fn parse(text: &str) -> Result<Distribution, String> {
        Distribution::try_from(text.to_owned())
    }

    #[test]
    fn each_kind_is_read_and_written() {
        for text in ["fixed:120ms", "lognormal:400ms,1200ms", "uniform:50ms,150ms"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
        assert_eq!(parse("fixed:1.5s").unwrap(), Distribution::Fixed(Duration::from_millis(1500)));
    }

    #[test]
    fn nonsense_says_what_to_write() {
        for text in [
            "120ms",
            "fixed:",
            "fixed:1s,2s",
            "normal:1s,2s",
            "lognormal:2s,1s",
            "lognormal:0s,1s",
            "uniform:2s,1s",
            "uniform:1s",
        ] {
            assert!(parse(text).unwrap_err().contains("fixed:120ms"), "{text}");
        }
    }

    #[test]
    fn draws_have_the_promised_quantiles() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let log_normal = parse("lognormal:400ms,1200ms").unwrap();
        let mut draws: Vec<f64> = (0..20_000).map(|_| log_normal.sample(&mut rng).as_secs_f64()).collect();
        draws.sort_by(f64::total_cmp);
        assert!((draws[10_000] - 0.4).abs() < 0.015, "median {}", draws[10_000]);
        assert!((draws[19_000] - 1.2).abs() < 0.06, "p95 {}", draws[19_000]);
        let uniform = parse("uniform:50ms,150ms").unwrap();
        for _ in 0..1000 {
            let draw = uniform.sample(&mut rng);
            assert!((Duration::from_millis(50)..=Duration::from_millis(150)).contains(&draw));
        }
    }
}
