//! `LlmRollout.spec`, what is asked of the candidate itself before it gets any traffic: `warmUp` and `smoke`. Fields, bounds,
//! CEL rules; never any logic.

#![expect(
    unreachable_pub,
    reason = "the schema derive copies each struct, with its attributes, into a function where nothing is reachable"
)]

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::checks::{Expect, Run, span};

/// A look at the candidate itself, when it is up and has no traffic yet.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.http) != has(self.job)").message("smoke: each item is exactly one of `http` and `job`; write for example `{name: health, http: {path: /health}}`"))]
pub struct Smoke {
    /// Its name, shown in `status.attempt.checks` as `smoke/NAME`.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), length(min = 1, max = 32))]
    pub name: String,
    /// A request to a ready pod of the candidate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<SmokeHttp>,
    /// A Job that has to end well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Run>,
    /// How long one try may take. Default 30s, of a Job 15m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "span")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('24h')").message("timeout: write a duration between 1s and 24h, for example 30s"))]
    pub timeout: Option<String>,
    /// How often it is tried again when it fails. A number that is not as expected is no reason to try again. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 5))]
    pub retries: Option<i32>,
    /// What the numbers have to be that stand in the JSON object of the answer, or that the Job leaves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub expect: Vec<Expect>,
}

/// A request to one pod of the candidate.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SmokeHttp {
    /// The path, with a query if there is one.
    #[schemars(schema_with = "path")]
    pub path: String,
    /// The port of the pod. Default: `release.template.port`; with `release.pair` it is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_535))]
    pub port: Option<i32>,
    /// The method. Default: `POST` with a `body`, else `GET`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<HttpMethod>,
    /// What is sent, as `application/json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub body: Option<String>,
    /// Headers that stand in a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers_from: Option<HeadersFrom>,
    /// What the answer has to be.
    #[serde(flatten)]
    pub answer: Answer,
}

/// What an answer has to be.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The status of the answer. Default: any from 200 to 299.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 599))]
    pub status: Option<i32>,
    /// What has to stand somewhere in the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub contains: Option<String>,
    /// How fast the whole answer has to be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "moment")]
    pub within: Option<String>,
}

/// Requests to each pod of the candidate after it is ready: a model that is listed but does not answer is not ready.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct WarmUp {
    /// How many requests each pod gets at least, one after the other. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub requests: Option<i32>,
    /// The path, for example `/v1/completions`.
    #[schemars(schema_with = "path")]
    pub path: String,
    /// The port of the pods. Default: `release.template.port`; with `release.pair` it is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_535))]
    pub port: Option<i32>,
    /// What is sent, as `application/json`. With `"stream": true` in it the first token is told from the whole answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub body: Option<String>,
    /// Headers that stand in a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers_from: Option<HeadersFrom>,
    /// What `/v1/models` of each pod has to list before anything else is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub model: Option<String>,
    /// Until when requests go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Until>,
    /// How long the whole warm-up may take. Default 10m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "span")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('24h')").message("timeout: write a duration between 1s and 24h, for example 10m"))]
    pub timeout: Option<String>,
}

/// When a pod is warm.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Until {
    /// The first piece of its last answer came as fast as this, for example `2s` or `800ms`.
    #[schemars(schema_with = "moment")]
    pub ttft: String,
}

/// Headers that nobody may read here: each key of a Secret of the rollout's namespace is one. The Secret has to bear the
/// label `llmrollout.io/headers`, and the operator has to be allowed to read it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct HeadersFrom {
    /// Name of the Secret.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"), length(min = 1, max = 253))]
    pub secret: String,
}

/// A method.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    /// To look.
    Get,
    /// To have something done.
    Post,
    /// The same, where it may be done twice.
    Put,
}

impl HttpMethod {
    /// As it is sent.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

fn moment(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "pattern": r"^[0-9]{1,5}(\.[0-9]{1,3})?(ms|s)$", "maxLength": 12})
}

fn path(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "pattern": r"^/[A-Za-z0-9_./~%=&?:@!$,;+-]*$", "maxLength": 512})
}
