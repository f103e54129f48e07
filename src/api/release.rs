//! `LlmRollout.spec.release`: what is released, and who owns it. Exactly one of several; never any logic beyond telling
//! which one stands there.

#![expect(unreachable_pub, reason = "the schema derive copies each struct into a function where nothing is reachable")]

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What is released, exactly one field.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.template), has(self.external)].filter(x, x).size() == 1").message("release: exactly one of `template` and `external`; write `template: {port: 8000, podTemplate: {…}}` for Deployments that the operator makes, or `external: {revision: v2}` for what somebody else deploys, as behind a feature flag"),
    validation = Rule::new("has(self.template) == has(oldSelf.template)").message("release: who owns the colors cannot change under a rollout; delete this one, which leaves everything as it serves, and create another")
)]
pub struct Release {
    /// The operator owns Deployments and Services `<name>-blue` and `<name>-green`: the workload of one color. Changing
    /// `podTemplate` is a release; changing anything else is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
    /// Nothing is made or scaled: what both colors stand for is there already, and the routers choose between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<External>,
}

/// The one that stands there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Owner<'a> {
    /// The operator.
    Operator(&'a Template),
    /// Somebody else, of whom nothing is known but what is wanted.
    Nobody(&'a External),
}

impl Release {
    /// Who owns the colors; nobody knows where none or several fields stand, which the schema refuses.
    pub const fn owner(&self) -> Option<Owner<'_>> {
        match (&self.template, &self.external) {
            (Some(template), None) => Some(Owner::Operator(template)),
            (None, Some(external)) => Some(Owner::Nobody(external)),
            _ => None,
        }
    }

    /// The template, if the operator owns the colors.
    pub const fn made(&self) -> Option<&Template> {
        match self.owner() {
            Some(Owner::Operator(template)) => Some(template),
            _ => None,
        }
    }
}

/// The workload of one color.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Template {
    /// Pods of each color. Default 1. Changing it is no release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub replicas: Option<i32>,
    /// Port on which the pods answer; the color Services listen on the same port.
    #[schemars(range(min = 1, max = 65_535))]
    pub port: i32,
    /// The pod template, as in a Deployment. Labels of the color and the revision are added.
    pub pod_template: PodTemplate,
    /// How long the candidate may take until all its pods are ready. Default 30m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,7}s)?$"), length(min = 2, max = 20))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('168h')").message("readyTimeout: write a duration between 1s and 168h, for example 30m"))]
    pub ready_timeout: Option<String>,
}

/// A pod template exactly as it was written: fields that this operator's libraries do not know pass through unharmed.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(transparent)]
pub struct PodTemplate(pub Map<String, Value>);

impl JsonSchema for PodTemplate {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PodTemplate".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "required": ["spec"],
            "properties": {
                "metadata": {"type": "object", "description": "Labels and annotations of the pods.", "x-kubernetes-preserve-unknown-fields": true},
                "spec": {"type": "object", "description": "The pod's spec, checked by the API server when the Deployment is written.", "x-kubernetes-preserve-unknown-fields": true}
            },
            "x-kubernetes-preserve-unknown-fields": true
        })
    }
}

/// A release that only the routers carry out.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct External {
    /// What is wanted, in any words. Changing it is a release of the other color.
    #[schemars(regex(pattern = r"^[!-~]([ -~]*[!-~])?$"), length(max = 128))]
    pub revision: String,
}
