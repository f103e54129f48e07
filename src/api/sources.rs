//! What a gate may look at beside Prometheus: a number in the JSON of an endpoint, and one that a Job reports. Fields and
//! bounds; never any logic.

#![expect(
    unreachable_pub,
    reason = "the schema derive copies each struct, with its attributes, into a function where nothing is reachable"
)]

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A number in the JSON that an endpoint tells.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Http {
    /// Name of an endpoint in the operator's configuration. Where it is, and how it is asked, stands there only.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), length(min = 1, max = 63))]
    pub name: String,
    /// Where the number stands in the answer, as a JSON pointer: `/score`, `/checks/0/value`.
    #[schemars(schema_with = "pointer")]
    pub path: String,
    /// Where it stands on how many samples the number rests, as a JSON pointer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^(/([^/~]|~[01])*)+$"), length(min = 1, max = 256))]
    pub samples: Option<String>,
}

/// A number that a Job reports, which is run once in each step and bake.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// Name of the `CronJob` of this namespace whose `jobTemplate` is run; it may be suspended.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"), length(min = 1, max = 52))]
    pub cron_job: String,
    /// Which number counts, of the JSON object that the pod leaves as its termination message.
    #[schemars(regex(pattern = r"^[a-zA-Z0-9_.-]+$"), length(min = 1, max = 64))]
    pub value: String,
    /// How long it may run. Default 15m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9]{1,2}h)?([0-9]{1,4}m)?([0-9]{1,5}s)?$"), length(min = 2, max = 14))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('24h')").message("job.timeout: write a duration between 1s and 24h, for example 15m"))]
    pub timeout: Option<String>,
}

fn pointer(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "pattern": r"^(/([^/~]|~[01])*)*$", "maxLength": 256})
}
