//! `LlmRollout.spec.release`: what is released, and who owns it. Exactly one of several; never any logic beyond telling
//! which one stands there.

#![expect(unreachable_pub, reason = "the schema derive copies each struct into a function where nothing is reachable")]

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::status::Color;

/// What is released, exactly one field.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.template), has(self.pair), has(self.external)].filter(x, x).size() == 1").message("release: exactly one of `template`, `pair` and `external`; write `template: {port: 8000, podTemplate: {…}}` for Deployments that the operator makes, `pair: {live: blue, blue: {service: chat-blue}, green: {service: chat-green}}` for Services that somebody else made, or `external: {revision: v2}` for what is no Service of its own, as behind a feature flag"),
    validation = Rule::new("has(self.template) == has(oldSelf.template) && has(self.pair) == has(oldSelf.pair)").message("release: who owns the colors cannot change under a rollout; delete this one, which leaves everything as it serves, and create another")
)]
pub struct Release {
    /// The operator owns Deployments and Services `<name>-blue` and `<name>-green`: the workload of one color. Changing
    /// `podTemplate` is a release; changing anything else is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
    /// Somebody else owns both colors, each behind a Service: Helm, `KServe`, Ray, or people. Nothing is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pair: Option<Pair>,
    /// Nothing is made or scaled: what both colors stand for is there already, and the routers choose between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<External>,
}

/// The one that stands there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Owner<'a> {
    /// The operator.
    Operator(&'a Template),
    /// Somebody else, who tells which Services they are.
    Others(&'a Pair),
    /// Somebody else, of whom nothing is known but what is wanted.
    Nobody(&'a External),
}

impl Release {
    /// Who owns the colors; nobody knows where none or several fields stand, which the schema refuses.
    pub const fn owner(&self) -> Option<Owner<'_>> {
        match (&self.template, &self.pair, &self.external) {
            (Some(template), None, None) => Some(Owner::Operator(template)),
            (None, Some(pair), None) => Some(Owner::Others(pair)),
            (None, None, Some(external)) => Some(Owner::Nobody(external)),
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
    /// How large the candidate is while it has a part of the traffic. Default `full`: both colors have all pods from before
    /// the first step on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Capacity>,
    /// Who scales the colors: one autoscaler of each is kept, and `replicas` is only what the very first color starts with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaler: Option<Autoscaler>,
    /// What runs and serves already: taken over as it stands when the rollout begins, without a pod being started anew,
    /// and retired when the first release has replaced it. Means nothing afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopt: Option<Adopt>,
    /// How long the candidate may take until all its pods are ready. Default 30m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,7}s)?$"), length(min = 2, max = 20))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('168h')").message("readyTimeout: write a duration between 1s and 168h, for example 30m"))]
    pub ready_timeout: Option<String>,
}

/// How large the candidate is while it has a part of the traffic.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Capacity {
    /// As large as the color that serves, from before the first step on.
    #[default]
    Full,
    /// As large as its share: before each step so many pods as that share needs. The color that serves keeps all of its
    /// pods until the release is over.
    Proportional,
}

/// Who scales the colors, exactly one field.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.horizontalPodAutoscaler) != has(self.scaledObject)").message("autoscaler: exactly one of `horizontalPodAutoscaler` and `scaledObject`; write for example `horizontalPodAutoscaler: {minReplicas: 2, maxReplicas: 8, metrics: […]}`"))]
pub struct Autoscaler {
    /// The spec of an `autoscaling/v2` `HorizontalPodAutoscaler` without its `scaleTargetRef`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "pod_autoscaler")]
    pub horizontal_pod_autoscaler: Option<Map<String, Value>>,
    /// The spec of a `keda.sh/v1alpha1` `ScaledObject` without its `scaleTargetRef`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "scaled_object")]
    pub scaled_object: Option<Map<String, Value>>,
}

fn pod_autoscaler(_: &mut SchemaGenerator) -> Schema {
    bounded("minReplicas", "maxReplicas")
}

fn scaled_object(_: &mut SchemaGenerator) -> Schema {
    bounded("minReplicaCount", "maxReplicaCount")
}

/// Both bounds are ours to read; everything else goes to the API server as it was written, which has the last word on it.
fn bounded(min: &str, max: &str) -> Schema {
    let rule = format!("!has(self.{min}) || self.{min} <= self.{max}");
    let message = format!("autoscaler: `{min}` is larger than `{max}`; write them the other way round");
    json_schema!({
        "type": "object",
        "required": [max],
        "properties": {
            min: {"type": "integer", "format": "int32", "minimum": 1, "maximum": 10_000, "description": "Pods that a color has at the least. Default 1. While a release is under way no color has fewer than what served when it began."},
            max: {"type": "integer", "format": "int32", "minimum": 1, "maximum": 10_000, "description": "Pods that a color has at the most."}
        },
        "x-kubernetes-preserve-unknown-fields": true,
        "x-kubernetes-validations": [{"rule": rule, "message": message}]
    })
}

/// What runs before there is a rollout.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Adopt {
    /// Name of its Deployment, in the same namespace.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"), length(max = 253))]
    pub deployment: String,
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

/// Two colors that somebody else owns.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.blue.service != self.green.service || (has(self.blue.__namespace__) ? self.blue.__namespace__ : '') != (has(self.green.__namespace__) ? self.green.__namespace__ : '')").message("pair: blue and green are the same Service; write two, for example `chat-blue` and `chat-green`"))]
pub struct Pair {
    /// The color that is to serve. Changing it is a release.
    pub live: Color,
    /// What is called blue.
    pub blue: Half,
    /// What is called green.
    pub green: Half,
    /// How long the candidate may take until its Service has ready endpoints. Default 30m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,7}s)?$"), length(min = 2, max = 20))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('168h')").message("readyTimeout: write a duration between 1s and 168h, for example 30m"))]
    pub ready_timeout: Option<String>,
}

impl Pair {
    /// One of the two.
    pub const fn half(&self, color: Color) -> &Half {
        match color {
            Color::Blue => &self.blue,
            Color::Green => &self.green,
        }
    }
}

/// One color of a pair.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Half {
    /// Its Service: the backend that routers name, and whose endpoints tell whether it is up.
    #[schemars(regex(pattern = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"), length(max = 63))]
    pub service: String,
    /// Its namespace. Default: the rollout's. Another one needs the operator's `allowCrossNamespace`, and a `ReferenceGrant`
    /// there for the routes that send to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), length(max = 63))]
    pub namespace: Option<String>,
    /// What runs behind it, of any kind with a `/scale`. Read for how many pods there should be before traffic is raised, and
    /// scaled to zero where `decommission` asks for it; never otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub workloads: Vec<Workload>,
    /// Its revision, in any words. With the color it makes what is released: a color that was taken back gets traffic
    /// again when its revision changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[!-~]([ -~]*[!-~])?$"), length(max = 128))]
    pub revision: Option<String>,
}

/// Something that can be scaled.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Workload {
    /// `apps/v1`, `serving.kserve.io/v1alpha1`, …
    #[schemars(regex(pattern = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[0-9][a-z0-9]*$"), length(max = 128))]
    pub api_version: String,
    /// `Deployment`, `StatefulSet`, …
    #[schemars(regex(pattern = r"^[A-Z][A-Za-z0-9]*$"), length(max = 63))]
    pub kind: String,
    /// Its name, in the namespace of the color.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"), length(max = 253))]
    pub name: String,
}

/// A release that only the routers carry out.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct External {
    /// What is wanted, in any words. Changing it is a release of the other color.
    #[schemars(regex(pattern = r"^[!-~]([ -~]*[!-~])?$"), length(max = 128))]
    pub revision: String,
}
