//! What a gate may look at beside Prometheus: a number in the JSON of an endpoint. Fields and bounds; never any logic.

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

fn pointer(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "pattern": r"^(/([^/~]|~[01])*)*$", "maxLength": 256})
}
