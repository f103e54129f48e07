//! The schemas that the command line holds manifests against offline, and what they say: in the words that the real
//! server has for the same files.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use llmrollout::{
    api::{LlmGateSet, LlmRollout, LlmRolloutOrder},
    cli::lint::schema::Schemas,
};
use serde_json::Value;

/// The CRDs that the code generates, each with the name of its file.
pub(crate) fn crds() -> [(&'static str, CustomResourceDefinition); 3] {
    [
        ("llmrollouts.yaml", LlmRollout::crd()),
        ("llmrolloutorders.yaml", LlmRolloutOrder::crd()),
        ("llmgatesets.yaml", LlmGateSet::crd()),
    ]
}

/// Everything that is wrong with a new object, by the schema of its kind.
pub(crate) fn complaints(schemas: &Schemas, object: &Value) -> Vec<String> {
    complaints_after(schemas, object, None)
}

/// The same of an object that is to take the place of an `old` one.
pub(crate) fn complaints_after(schemas: &Schemas, object: &Value, old: Option<&Value>) -> Vec<String> {
    match schemas.complaints(object, old) {
        Some(complaints) => complaints.iter().map(ToString::to_string).collect(),
        None => vec![format!("kind {} is none of ours", object["kind"])],
    }
}
