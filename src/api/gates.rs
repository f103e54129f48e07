//! `LlmRollout.spec.gates`: what must hold of the candidate. Fields, bounds, CEL rules; never any logic.

#![expect(
    unreachable_pub,
    reason = "the schema derive copies each struct, with its attributes, into a function where nothing is reachable"
)]

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What must hold of the candidate.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.quantile) ? self.metric in ['latency', 'timeToFirstToken', 'timePerOutputToken'] : !(self.metric in ['latency', 'timeToFirstToken'])").message("gates: `quantile` belongs to `metric: latency` and is needed there, as for `timeToFirstToken`; `timePerOutputToken` may have one; write for example `metric: latency, quantile: \"0.95\", max: 1.5s`"),
    validation = Rule::new("[has(self.max), has(self.equals)].filter(x, x).size() == 1").message("gates: exactly one of `max` and `equals`; write for example `max: 1%`"),
    validation = Rule::new("!has(self.equals) || self.metric == 'requests'").message("gates: `equals` belongs to `metric: requests`; write `max` with a limit in the metric's unit"),
    validation = Rule::new("self.metric != 'requests' || !has(self.max) || self.max.matches('^[0-9]+$')").message("gates: the limit of `requests` is a count; write for example `equals: \"0\"`"),
    validation = Rule::new("!(self.metric in ['errorRate', 'abortRate', 'kvCacheUse', 'cacheHitRate', 'truncationRate', 'gpuUtilisation']) || !has(self.max) || self.max.endsWith('%')").message("gates: the limit of `errorRate` is a share; write for example `max: 1%`, and so for `abortRate`, `kvCacheUse`, `cacheHitRate`, `truncationRate` and `gpuUtilisation`"),
    validation = Rule::new("!(self.metric in ['latency', 'timeToFirstToken', 'timePerOutputToken']) || !has(self.max) || self.max.endsWith('s') && !self.max.endsWith('/s')").message("gates: the limit of `latency` is a time; write for example `max: 1.5s` or `max: 800ms`, and so for `timeToFirstToken` and `timePerOutputToken`"),
    validation = Rule::new("!(self.metric in ['costPerRequest', 'costPerHour', 'costPerMillionTokens', 'rolloutSpend']) || !has(self.max) || self.max.startsWith('$')").message("gates: the limit of `costPerRequest` is in dollars; write for example `max: $0.005`, and so for `costPerHour`, `costPerMillionTokens` and `rolloutSpend`"),
    validation = Rule::new("self.metric != 'outputTokensPerSecond' || !has(self.max) || self.max.endsWith('/s')").message("gates: the limit of `outputTokensPerSecond` is a rate; write for example `max: 1200/s`"),
    validation = Rule::new("!(self.metric in ['queueDepth', 'tokensPerRequest']) || !has(self.max) || self.max.matches('^[0-9.]+$')").message("gates: the limit of `queueDepth` is a plain number; write for example `max: \"12.5\"`, and so for `tokensPerRequest`")
)]
pub struct Gate {
    /// Name of the gate, shown wherever it speaks.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), length(max = 32))]
    pub name: String,
    /// What is measured.
    pub metric: Metric,
    /// Which quantile of a time, for example "0.95". Without one `timePerOutputToken` means the mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^0\.[0-9]{1,4}$"), length(max = 6))]
    pub quantile: Option<String>,
    /// The limit, with its unit: `1%`, `1.5s`, `800ms`, `$0.005`, `1200/s`, `100`, `12.5`. The gate fails above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^(\$[0-9]{0,6}(\.[0-9]{1,9})?|[0-9]{1,9}(\.[0-9]{1,9})?(%|ms|s|/s)?)$"),
        length(min = 1, max = 24)
    )]
    pub max: Option<String>,
    /// The only good value, for counts: `"0"` demands silence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9]{1,9}$"), length(max = 9))]
    pub equals: Option<String>,
    /// What a failure leads to. Default `Rollback`.
    #[serde(default)]
    pub severity: Severity,
    /// When it is watched. Default: steps and bakes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2))]
    pub during: Option<Vec<During>>,
    /// How many of the last samples must be bad before the gate fails. Default `2 of 3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[1-9][0-9]? of [1-9][0-9]?$"), length(max = 8))]
    #[x_kube(validation = Rule::new("int(self.split(' of ')[0]) <= int(self.split(' of ')[1])").message("failures: the first number may not be above the second; write for example `2 of 3`"))]
    pub failures: Option<String>,
    /// How often the question is asked. Default 15s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9]{1,3}m)?([0-9]{1,4}s)?$"), length(min = 2, max = 9))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('1h')").message("interval: write a duration between 1s and 1h, for example 15s"))]
    pub interval: Option<String>,
    /// How far back a sample looks at most; never before the step began. Default 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9]{1,2}h)?([0-9]{1,4}m)?([0-9]{1,5}s)?$"), length(min = 2, max = 14))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('5s') && duration(self) <= duration('24h')").message("window: write a duration between 5s and 24h, for example 5m"))]
    pub window: Option<String>,
    /// Fewer requests than this in the window are no data. Default 50. For `requests`, `outputTokensPerSecond`,
    /// `queueDepth`, `kvCacheUse`, `costPerHour`, `rolloutSpend` and `gpuUtilisation` the series that tell it are counted. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub min_samples: Option<i32>,
    /// What happens while there is no usable data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_data: Option<NoDataPolicy>,
}

/// What is measured of the candidate.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
pub enum Metric {
    /// Share of requests that ended in an error, by the engine or by HTTP status, whichever is worse.
    ErrorRate,
    /// Share of requests that the client gave up.
    AbortRate,
    /// End-to-end latency, the given quantile.
    Latency,
    /// Time until the first token, the given quantile.
    TimeToFirstToken,
    /// Time between two tokens of an answer, the given quantile, or the mean.
    TimePerOutputToken,
    /// Tokens generated by second.
    OutputTokensPerSecond,
    /// Requests that wait in the engine now.
    QueueDepth,
    /// How full the KV cache is now, on the fullest pod.
    KvCacheUse,
    /// Share of prompt tokens that came from a cache.
    CacheHitRate,
    /// Finished requests in the window: the only metric a dark step can be judged by.
    Requests,
    /// Tokens generated per finished request.
    TokensPerRequest,
    /// Share of answers cut off at the longest length.
    TruncationRate,
    /// Dollars per finished request, from token counts and prices, or from the gateway's own account.
    CostPerRequest,
    /// Dollars per hour at the rate of the window.
    CostPerHour,
    /// Dollars per million tokens generated.
    CostPerMillionTokens,
    /// Dollars that the candidate has cost since the release began: what the rollout itself may spend.
    RolloutSpend,
    /// Share of time in which the GPUs worked, from the DCGM exporter.
    GpuUtilisation,
}

/// What a failed gate leads to.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// One bad sample takes traffic back.
    Abort,
    /// Enough bad samples (`failures`) take traffic back.
    #[default]
    Rollback,
    /// A person is asked; nothing moves until an order says how to go on.
    Pause,
    /// People are told; nothing waits for it.
    Warn,
}

/// When a gate is watched.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum During {
    /// In every step.
    Steps,
    /// In the windows after 100 %.
    Bake,
}

/// What happens while there is no usable data. Traffic never moves forward without.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct NoDataPolicy {
    /// How long the step waits for data. Default 15m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9]{1,3}h)?([0-9]{1,4}m)?([0-9]{1,5}s)?$"), length(min = 2, max = 15))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('168h')").message("noData.budget: write a duration between 1s and 168h, for example 15m"))]
    pub budget: Option<String>,
    /// What happens when it is spent. Default `Rollback`.
    #[serde(default)]
    pub then: NoDataThen,
}

/// What a spent no-data budget leads to.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoDataThen {
    /// Traffic goes back to the old color.
    #[default]
    Rollback,
    /// Traffic stays where it is, for as long as it takes.
    Hold,
}
