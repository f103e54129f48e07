//! `spec.gates` of a rollout and of a set: what must hold of the candidate. Fields, bounds, CEL rules; never any logic.

#![expect(
    unreachable_pub,
    reason = "the schema derive copies each struct, with its attributes, into a function where nothing is reachable"
)]

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::sources::{Http, Job};

/// What must hold of the candidate.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.gateSet) != has(self.name)").message("gates: each item has a `name`, or takes over a set; write for example `{name: errors, metric: errorRate, max: 1%}` or `{gateSet: org-defaults}`"),
    validation = Rule::new("!has(self.gateSet) || self.severity == 'Rollback' && ![has(self.metric), has(self.query), has(self.alerts), has(self.http), has(self.job), has(self.quantile), has(self.max), has(self.min), has(self.between), has(self.equals), has(self.target), has(self.tolerance), has(self.comparedTo), has(self.maxRatio), has(self.minRatio), has(self.change), has(self.maxDelta), has(self.statistical), has(self.during), has(self.failures), has(self.interval), has(self.window), has(self.minSamples), has(self.noData), has(self.runbook), has(self.dashboard)].exists(x, x)").message("gates: beside `gateSet` nothing else is written; to replace a gate of the set, write a whole gate of the same `name` in an item of its own"),
    validation = Rule::new("has(self.gateSet) || [has(self.metric), has(self.query), has(self.alerts), has(self.http), has(self.job)].filter(x, x).size() == 1").message("gates: exactly one of `metric`, `query`, `alerts`, `http` and `job` says what is looked at; write for example `metric: errorRate, max: 1%`"),
    validation = Rule::new("!has(self.job) || ![has(self.window), has(self.interval), has(self.failures), has(self.minSamples), has(self.comparedTo)].exists(x, x)").message("gates: a Job is run once in each step, about the candidate, so `job` has no `window`, `interval`, `failures`, `minSamples` and `comparedTo`; leave them out"),
    validation = Rule::new("!has(self.http) || !has(self.window)").message("gates: an endpoint tells one number whenever it is asked, so `http` has no `window`; leave it out"),
    validation = Rule::new("!has(self.http) || !has(self.minSamples) || has(self.http.samples)").message("gates: with `http`, `minSamples` needs the path of their number; write for example `http: {name: eval, path: /score, samples: /count}, minSamples: 300`"),
    validation = Rule::new("has(self.quantile) ? has(self.metric) && self.metric in ['latency', 'timeToFirstToken', 'timePerOutputToken'] : !has(self.metric) || !(self.metric in ['latency', 'timeToFirstToken'])").message("gates: `quantile` belongs to `metric: latency` and is needed there, as for `timeToFirstToken`; `timePerOutputToken` may have one; write for example `metric: latency, quantile: \"0.95\", max: 1.5s`"),
    validation = Rule::new("has(self.gateSet) || [has(self.max), has(self.min), has(self.between), has(self.equals), has(self.target), has(self.maxRatio) || has(self.minRatio), has(self.change), has(self.maxDelta), has(self.statistical), has(self.alerts)].filter(x, x).size() == 1").message("gates: exactly one of `max`, `min`, `between`, `equals`, `target`, `maxRatio`/`minRatio`, `change`, `maxDelta` and `statistical`, and none for `alerts`; write for example `max: 1%`"),
    validation = Rule::new("has(self.target) == has(self.tolerance)").message("gates: `target` and `tolerance` belong together; write for example `target: $0.032, tolerance: 20%`"),
    validation = Rule::new("!has(self.statistical) || has(self.metric) && self.metric in ['errorRate', 'abortRate', 'truncationRate', 'latency', 'timeToFirstToken', 'timePerOutputToken', 'costPerRequest', 'tokensPerRequest'] && self.severity != 'Abort' && (!has(self.comparedTo) || self.comparedTo == 'active')").message("gates: `statistical` weighs `errorRate`, `abortRate`, `truncationRate`, `latency`, `timeToFirstToken`, `timePerOutputToken`, `costPerRequest` or `tokensPerRequest` of both colors, and is no `Abort` gate; write for example `metric: errorRate, statistical: {}`"),
    validation = Rule::new("has(self.statistical) || has(self.comparedTo) == (has(self.maxRatio) || has(self.minRatio) || has(self.change) || has(self.maxDelta))").message("gates: `maxRatio`, `minRatio`, `change` and `maxDelta` need `comparedTo`, and nothing else has it; write for example `comparedTo: active, maxRatio: \"1.2\"`"),
    validation = Rule::new("!has(self.equals) || has(self.query) || has(self.http) || has(self.job) || has(self.metric) && self.metric == 'requests'").message("gates: `equals` belongs to `metric: requests` and to what else counts: a query, an endpoint, a Job; write `max` with a limit in the metric's unit"),
    validation = Rule::new("!has(self.metric) || self.metric != 'requests' || !has(self.max) || self.max.matches('^[0-9]+$')").message("gates: the limit of `requests` is a count; write for example `equals: \"0\"`"),
    validation = Rule::new("!has(self.metric) || !(self.metric in ['errorRate', 'abortRate', 'kvCacheUse', 'cacheHitRate', 'truncationRate', 'gpuUtilisation']) || (has(self.max) ? [self.max] : has(self.min) ? [self.min] : has(self.between) ? self.between : has(self.target) ? [self.target] : []).all(l, l.endsWith('%')) && (!has(self.maxDelta) || self.maxDelta.endsWith('pp'))").message("gates: the limit of `errorRate` is a share; write for example `max: 1%` (or `maxDelta: 0.1pp`), and so for `abortRate`, `kvCacheUse`, `cacheHitRate`, `truncationRate` and `gpuUtilisation`"),
    validation = Rule::new("!has(self.metric) || !(self.metric in ['latency', 'timeToFirstToken', 'timePerOutputToken']) || (has(self.max) ? [self.max] : has(self.min) ? [self.min] : has(self.between) ? self.between : has(self.target) ? [self.target] : has(self.maxDelta) ? [self.maxDelta] : []).all(l, l.endsWith('s') && !l.endsWith('/s'))").message("gates: the limit of `latency` is a time; write for example `max: 1.5s` or `max: 800ms`, and so for `timeToFirstToken` and `timePerOutputToken`"),
    validation = Rule::new("!has(self.metric) || !(self.metric in ['costPerRequest', 'costPerHour', 'costPerMillionTokens', 'rolloutSpend']) || (has(self.max) ? [self.max] : has(self.min) ? [self.min] : has(self.between) ? self.between : has(self.target) ? [self.target] : has(self.maxDelta) ? [self.maxDelta] : []).all(l, l.startsWith('$'))").message("gates: the limit of `costPerRequest` is in dollars; write for example `max: $0.005`, and so for `costPerHour`, `costPerMillionTokens` and `rolloutSpend`"),
    validation = Rule::new("!has(self.metric) || self.metric != 'outputTokensPerSecond' || (has(self.max) ? [self.max] : has(self.min) ? [self.min] : has(self.between) ? self.between : has(self.target) ? [self.target] : has(self.maxDelta) ? [self.maxDelta] : []).all(l, l.endsWith('/s'))").message("gates: the limit of `outputTokensPerSecond` is a rate; write for example `min: 1200/s`"),
    validation = Rule::new("!has(self.metric) || !(self.metric in ['queueDepth', 'tokensPerRequest']) || (has(self.max) ? [self.max] : has(self.min) ? [self.min] : has(self.between) ? self.between : has(self.target) ? [self.target] : has(self.maxDelta) ? [self.maxDelta] : []).all(l, l.matches('^[0-9.]+$'))").message("gates: the limit of `queueDepth` is a plain number; write for example `max: \"12.5\"`, and so for `tokensPerRequest`")
)]
pub struct Gate {
    /// Name of an `LlmGateSet` of this namespace whose gates are taken over. Nothing else is written beside it; a gate
    /// of the same `name` as one of the set's takes its place, whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), length(max = 48))]
    pub gate_set: Option<String>,
    /// Name of the gate, shown wherever it speaks.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), length(max = 32))]
    pub name: String,
    /// What is measured, by the profile's own query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<Metric>,
    /// A query of your own in `PromQL`. `{{green}}` stands in a selector for the labels of the color that is being
    /// released, `{{window}}` in a range for the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub query: Option<String>,
    /// No alert with these labels may fire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alerts: Option<Alerts>,
    /// A number in the JSON that an endpoint of the operator's configuration tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<Http>,
    /// A number that a Job reports. It is made of a `CronJob`'s template, once in each step and bake, and told about the
    /// candidate by its environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Job>,
    /// Which quantile of a time, for example "0.95". Without one `timePerOutputToken` means the mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^0\.[0-9]{1,4}$"), length(max = 6))]
    pub quantile: Option<String>,
    /// The limit, with its unit: `1%`, `1.5s`, `800ms`, `$0.005`, `1200/s`, `100`, `12.5`. The gate fails above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "limit")]
    pub max: Option<String>,
    /// The gate fails below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "limit")]
    pub min: Option<String>,
    /// The gate fails outside, for example `[60%, 80%]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "limits")]
    pub between: Option<Vec<String>>,
    /// The only good value, for counts: `"0"` demands silence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9]{1,9}$"), length(max = 9))]
    pub equals: Option<String>,
    /// The good value; how far from it is good too says `tolerance`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "limit")]
    pub target: Option<String>,
    /// How far from `target` is good, in percent of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9]{1,2}(\.[0-9]{1,4})?%$"), length(max = 9))]
    pub tolerance: Option<String>,
    /// What the value is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared_to: Option<ComparedTo>,
    /// So many times the compared value at most, for example "1.2".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "factor")]
    pub max_ratio: Option<String>,
    /// So many times the compared value at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "factor")]
    pub min_ratio: Option<String>,
    /// How much more or less than the compared value, in percent of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
    /// So much more than the compared value at most: `0.1pp` for shares, else in the metric's unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^(\$[0-9]{0,6}(\.[0-9]{1,9})?|[0-9]{1,9}(\.[0-9]{1,9})?(pp|ms|s|/s)?)$"),
        length(min = 1, max = 24)
    )]
    pub max_delta: Option<String>,
    /// Evidence instead of a limit: the candidate is weighed beside the color that serves until it is proved to be as
    /// good, or worse. `{}` takes the defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistical: Option<Statistical>,
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
    /// How often the question is asked. Default 15s, and 5s with `severity: Abort`.
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
    /// `queueDepth`, `kvCacheUse`, `costPerHour`, `rolloutSpend` and `gpuUtilisation` the series that tell it are counted.
    /// Default 1.
    /// A query rests on the color's requests when this is written, else on its own series; a number of an endpoint on what
    /// stands at `http.samples`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub min_samples: Option<i32>,
    /// What happens while there is no usable data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_data: Option<NoDataPolicy>,
    /// What to do when it speaks: a link that stands in its reason when it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^https?://[^\s]+$"), length(max = 512))]
    pub runbook: Option<String>,
    /// Where to look when it speaks: a link that stands in its reason when it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^https?://[^\s]+$"), length(max = 512))]
    pub dashboard: Option<String>,
}

pub(super) fn limit(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "pattern": LIMIT, "minLength": 1, "maxLength": 24})
}

pub(super) fn limits(_: &mut SchemaGenerator) -> Schema {
    let one = json_schema!({"type": "string", "pattern": LIMIT, "minLength": 1, "maxLength": 24});
    json_schema!({"type": "array", "items": one, "minItems": 2, "maxItems": 2})
}

fn factor(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "pattern": r"^[0-9]{1,4}(\.[0-9]{1,6})?$", "maxLength": 11})
}

const LIMIT: &str = r"^(\$[0-9]{0,6}(\.[0-9]{1,9})?|[0-9]{1,9}(\.[0-9]{1,9})?(%|ms|s|/s)?)$";

/// Alerts that may not fire.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Alerts {
    /// Labels that all have these values, for example `severity: critical`. None: every alert.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "labels")]
    pub match_labels: BTreeMap<String, String>,
    /// Names of alerts that may fire, for example `Watchdog`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "names")]
    pub ignore: Vec<String>,
}

fn labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "maxProperties": 8, "additionalProperties": {"type": "string", "maxLength": 256}})
}

fn names(_: &mut SchemaGenerator) -> Schema {
    let one = json_schema!({"type": "string", "pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$", "maxLength": 128});
    json_schema!({"type": "array", "items": one, "maxItems": 16})
}

/// What a value is compared with.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum ComparedTo {
    /// The color that serves, at the same time. Once it has no traffic any more: its value when it still had.
    Active,
    /// The color that served, before the release began.
    Baseline,
}

impl ComparedTo {
    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Baseline => "baseline",
        }
    }
}

/// How much more or less, in percent.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// So much at least; `-60%` is a fall.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "part")]
    pub min: Option<String>,
    /// So much at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "part")]
    pub max: Option<String>,
}

fn part(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "pattern": r"^-?[0-9]{1,4}(\.[0-9]{1,4})?%$", "maxLength": 11})
}

/// How much worse than the color that serves is too much, and how sure one must be.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.max) || !has(self.relative) && !has(self.absolute)").message("statistical: `max` is a bound by itself; `relative` and `absolute` say how much worse than the color that serves is too much; write for example `statistical: {relative: 50%, absolute: 0.5pp}`"))]
pub struct Statistical {
    /// So much more than the color that serves is too much, in percent of its figure. Default 50%, and 20% of means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "tolerated")]
    pub relative: Option<String>,
    /// And so many points more, for shares. Default 0.5pp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9]{1,2}(\.[0-9]{1,4})?pp$"), length(max = 9))]
    pub absolute: Option<String>,
    /// The share may not be above, whatever the color that serves shows; for shares, in place of a comparison.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "tolerated")]
    pub max: Option<String>,
    /// For a latency: what takes longer is bad, for example `1.5s`. Default: the smallest bucket that holds the `quantile`
    /// of the color that serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9]{1,6}(\.[0-9]{1,6})?(ms|s)$"), length(max = 16))]
    pub above: Option<String>,
    /// How sure a word must be, either way. Default 95%.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[5-9][0-9](\.[0-9]{1,3})?%$"), length(max = 7))]
    pub confidence: Option<String>,
}

fn tolerated(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "pattern": r"^[0-9]{1,3}(\.[0-9]{1,4})?%$", "maxLength": 9})
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
