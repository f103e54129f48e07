//! `LlmRollout.spec`, what is checked before the steps and what is run beside them: `preflight` and `hooks`. Fields, bounds,
//! CEL rules; never any logic.

#![expect(
    unreachable_pub,
    reason = "the schema derive copies each struct, with its attributes, into a function where nothing is reachable"
)]

use kube::KubeSchema;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::smoke::{Answer, HeadersFrom};

/// Something that has to be true before any traffic moves.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.job), has(self.http), has(self.capacity), has(self.notification), has(self.k6), has(self.baseline), has(self.rehearsal)].filter(x, x).size() == 1").message("preflight: each item is exactly one of `job`, `http`, `capacity`, `notification`, `k6`, `baseline` and `rehearsal`; write for example `{name: backup, job: {cronJob: backup}}`"),
    validation = Rule::new("!has(self.expect) || has(self.job) || has(self.http) || has(self.k6)").message("preflight: `expect` is about the numbers that a Job leaves or an endpoint tells; write it beside `job`, `http` or `k6`, or leave it out"),
    validation = Rule::new("!has(self.retries) || has(self.job) || has(self.http) || has(self.notification) || has(self.k6)").message("preflight: only a Job or a request is tried again; write `retries` beside `job`, `http`, `notification` or `k6`, or leave it out"),
    validation = Rule::new("!has(self.maxAge) || has(self.job) && !has(self.expect)").message("preflight: `maxAge` lets an earlier run of the CronJob count, whose numbers nobody knows; it belongs to `job` without `expect`")
)]
pub struct Check {
    /// Its name, shown in `status.attempt.checks`.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), length(min = 1, max = 32))]
    pub name: String,
    /// A Job that has to end well, before the candidate comes up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Run>,
    /// A request to somebody else than the candidate, who has to answer, before the candidate comes up: whether a key works,
    /// whether a service that is needed is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<CheckHttp>,
    /// The candidate's pods have to find room on the nodes and in the namespace's quotas, before the first of them is made. What
    /// has none is looked at again until `timeout` is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Capacity>,
    /// People have to be reachable: a test is told on a channel, which has to take it, before the candidate comes up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification: Option<Test>,
    /// A load test against the candidate itself, when it is up. The Job has to end well, and no threshold in the summary
    /// that it leaves may be crossed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub k6: Option<Run>,
    /// What gates with `comparedTo: baseline` are compared with later has to be known, before the candidate comes up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Nothing>,
    /// The way back is walked once, before the candidate comes up: every router takes the old color's full share, which it
    /// has already, by the same guarded write that a rollback uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rehearsal: Option<Nothing>,
    /// A Job of the `CronJob` that ended well no longer ago than this counts, and none is run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "span")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1m') && duration(self) <= duration('720h')").message("maxAge: write a duration between 1m and 720h, for example 1h"))]
    pub max_age: Option<String>,
    /// How long one try may take. Default 15m, of a request 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "span")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('24h')").message("timeout: write a duration between 1s and 24h, for example 15m"))]
    pub timeout: Option<String>,
    /// How often it is tried again when it fails. A number that is not as expected is no reason to try again. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 5))]
    pub retries: Option<i32>,
    /// What the numbers have to be that the Job leaves as its termination message, or the endpoint answers: a JSON object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub expect: Vec<Expect>,
}

/// A GET to an endpoint of the operator's configuration.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CheckHttp {
    /// Name of an endpoint in the operator's configuration. Where it is, and how it is asked, stands there only.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), length(min = 1, max = 63))]
    pub name: String,
    /// More headers, that stand in a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers_from: Option<HeadersFrom>,
    /// What the answer has to be.
    #[serde(flatten)]
    pub answer: Answer,
}

/// How much room is asked for, beside the replicas of `release.template`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    /// On how many nodes at least one of the pods has to find room. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub nodes: Option<i32>,
}

/// Where a test is told.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct Test {
    /// Name of a channel in the operator's configuration.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), length(min = 1, max = 63))]
    pub channel: String,
}

/// Nothing more is to be said: write `{}`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct Nothing {}

/// Which Job is run.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Name of the `CronJob` of this namespace whose `jobTemplate` is run; it may be suspended.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"), length(min = 1, max = 52))]
    pub cron_job: String,
}

/// What a number has to be.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.max), has(self.min), has(self.between), has(self.equals), has(self.target)].filter(x, x).size() == 1").message("expect: exactly one of `max`, `min`, `between`, `equals` and `target` says what the number has to be; write for example `{value: accuracy, min: 95%}`"),
    validation = Rule::new("has(self.target) == has(self.tolerance)").message("expect: `target` and `tolerance` belong together; write for example `target: \"0.032\", tolerance: 20%`")
)]
pub struct Expect {
    /// Name of the number.
    #[schemars(regex(pattern = r"^[a-zA-Z0-9_.-]+$"), length(min = 1, max = 64))]
    pub value: String,
    /// The most that is good, with its unit: `1%`, `1.5s`, `$0.005`, `1200/s`, `"100"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::gates::limit")]
    pub max: Option<String>,
    /// The least that is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::gates::limit")]
    pub min: Option<String>,
    /// The least and the most that are good, for example `[60%, 80%]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::gates::limits")]
    pub between: Option<Vec<String>>,
    /// The only good count, for example `"0"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9]{1,9}$"), length(max = 9))]
    pub equals: Option<String>,
    /// The good value; how far from it is good too says `tolerance`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::gates::limit")]
    pub target: Option<String>,
    /// How far from `target` is good, in percent of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9]{1,2}(\.[0-9]{1,4})?%$"), length(max = 9))]
    pub tolerance: Option<String>,
}

/// What is run beside the steps. Nothing ever waits for a hook, and a hook that fails changes nothing but its own word.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Hooks {
    /// When a step has passed and the next one, or what comes after the last, begins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub after_step: Vec<Hook>,
    /// When the way back begins, beside its first write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub before_rollback: Vec<Hook>,
    /// When everything is back on the old color.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub after_rollback: Vec<Hook>,
    /// When the revision is live and its bakes are over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub after_promotion: Vec<Hook>,
}

/// One hook.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Hook {
    /// Its name, shown in `status.attempt.hooks`.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), length(min = 1, max = 32))]
    pub name: String,
    /// The Job.
    pub job: Run,
    /// How long it may take. Default 15m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "span")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('24h')").message("timeout: write a duration between 1s and 24h, for example 15m"))]
    pub timeout: Option<String>,
}

pub(super) fn span(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "pattern": r"^([0-9]{1,3}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?$", "minLength": 2, "maxLength": 17})
}
