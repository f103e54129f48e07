//! What is true of a metric whoever exposes it: its word, its unit, whether it has quantiles, what it rests on. Never a
//! query.

use super::unit::Unit;
use crate::api::gates::Metric;

/// Every metric, in the order of the book, with its word in a manifest.
pub const ALL: [(Metric, &str); 17] = [
    (Metric::ErrorRate, "errorRate"),
    (Metric::AbortRate, "abortRate"),
    (Metric::Latency, "latency"),
    (Metric::TimeToFirstToken, "timeToFirstToken"),
    (Metric::TimePerOutputToken, "timePerOutputToken"),
    (Metric::OutputTokensPerSecond, "outputTokensPerSecond"),
    (Metric::QueueDepth, "queueDepth"),
    (Metric::KvCacheUse, "kvCacheUse"),
    (Metric::CacheHitRate, "cacheHitRate"),
    (Metric::Requests, "requests"),
    (Metric::TokensPerRequest, "tokensPerRequest"),
    (Metric::TruncationRate, "truncationRate"),
    (Metric::CostPerRequest, "costPerRequest"),
    (Metric::CostPerHour, "costPerHour"),
    (Metric::CostPerMillionTokens, "costPerMillionTokens"),
    (Metric::RolloutSpend, "rolloutSpend"),
    (Metric::GpuUtilisation, "gpuUtilisation"),
];

/// Whether a gate names a quantile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantile {
    /// It has none.
    Foreign,
    /// It must.
    Needed,
    /// It may; without one the mean is meant.
    OrMean,
}

/// The word in a manifest.
pub fn word(metric: Metric) -> &'static str {
    ALL.iter().find(|(m, _)| *m == metric).map_or("", |(_, word)| word)
}

/// The unit of its limits.
pub const fn unit(metric: Metric) -> Unit {
    match metric {
        Metric::ErrorRate
        | Metric::AbortRate
        | Metric::KvCacheUse
        | Metric::CacheHitRate
        | Metric::TruncationRate
        | Metric::GpuUtilisation => Unit::Share,
        Metric::Latency | Metric::TimeToFirstToken | Metric::TimePerOutputToken => Unit::Seconds,
        Metric::CostPerRequest | Metric::CostPerHour | Metric::CostPerMillionTokens | Metric::RolloutSpend => {
            Unit::Dollars
        }
        Metric::OutputTokensPerSecond => Unit::PerSecond,
        Metric::QueueDepth | Metric::TokensPerRequest => Unit::Number,
        Metric::Requests => Unit::Count,
    }
}

/// Whether a gate names a quantile of it.
pub const fn quantile(metric: Metric) -> Quantile {
    match metric {
        Metric::Latency | Metric::TimeToFirstToken => Quantile::Needed,
        Metric::TimePerOutputToken => Quantile::OrMean,
        Metric::ErrorRate
        | Metric::AbortRate
        | Metric::OutputTokensPerSecond
        | Metric::QueueDepth
        | Metric::KvCacheUse
        | Metric::CacheHitRate
        | Metric::Requests
        | Metric::TokensPerRequest
        | Metric::TruncationRate
        | Metric::CostPerRequest
        | Metric::CostPerHour
        | Metric::CostPerMillionTokens
        | Metric::RolloutSpend
        | Metric::GpuUtilisation => Quantile::Foreign,
    }
}

/// How many samples are enough when a gate does not say. Shares, quantiles and means rest on requests and need some;
/// what is counted or read off rests on the series that tell it, and one is enough.
pub const fn least_samples(metric: Metric) -> i32 {
    match metric {
        Metric::ErrorRate
        | Metric::AbortRate
        | Metric::Latency
        | Metric::TimeToFirstToken
        | Metric::TimePerOutputToken
        | Metric::CacheHitRate
        | Metric::TokensPerRequest
        | Metric::TruncationRate
        | Metric::CostPerRequest
        | Metric::CostPerMillionTokens => 50,
        Metric::OutputTokensPerSecond
        | Metric::QueueDepth
        | Metric::KvCacheUse
        | Metric::Requests
        | Metric::CostPerHour
        | Metric::RolloutSpend
        | Metric::GpuUtilisation => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn words_are_those_of_the_manifest_and_in_order() {
        for (metric, word) in ALL {
            assert_eq!(serde_json::to_value(metric).unwrap(), word);
            assert_eq!(super::word(metric), word);
        }
        assert!(ALL.is_sorted_by(|a, b| a.0 < b.0), "each once");
    }
}
