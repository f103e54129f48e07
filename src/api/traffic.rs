//! `spec.traffic`: the routers that carry traffic to the two colors, and what each of them claims. Fields and bounds only;
//! `routers` has a file for what each of them means. Every router but `service` can split.

#![expect(unreachable_pub, reason = "the schema derive copies each struct into a function where nothing is reachable")]

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// What an item with no router, or with several, is told.
pub const ONE_ROUTER: &str = "traffic: each item names exactly one router; write `- service: {name: chat}`, or in its place `httpRoute`, `grpcRoute`, `virtualService`, `featureFlag`, `llmInferenceService`, `modelRewrite` or `webhook`";

/// What a flag that would choose between Deployments of ours is told.
pub const OF_A_TEMPLATE: &str = "traffic: a `featureFlag` chooses between two ways through what somebody else deploys, and whoever has no key gets `off` whichever color is released; write `release: {external: {revision: v2}}`, or another router for `release.template`";

/// One router, exactly one field.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.service), has(self.httpRoute), has(self.grpcRoute), has(self.virtualService), has(self.featureFlag), has(self.llmInferenceService), has(self.modelRewrite), has(self.webhook)].filter(x, x).size() == 1").message(ONE_ROUTER))]
pub struct Router {
    /// A Service whose selector points to one color. It cannot split: 0 or 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceRouter>,
    /// A Gateway API HTTPRoute: the weights of the two colors in one rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_route: Option<RouteRouter>,
    /// A Gateway API GRPCRoute: the weights of the two colors in one rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc_route: Option<RouteRouter>,
    /// An Istio VirtualService: the weights of the two colors in one of its HTTP routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub virtual_service: Option<VirtualServiceRouter>,
    /// A flag of an OpenFeature `FeatureFlag`: the weights of two variants. What it splits are targeting keys, not requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature_flag: Option<FeatureFlagRouter>,
    /// Two KServe `LLMInferenceService`s of one group: the weight of each. No write moves both at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub llm_inference_service: Option<GroupRouter>,
    /// An llm-d `InferenceModelRewrite`: the weights of two targets in one rule. A color without traffic is no target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_rewrite: Option<RewriteRouter>,
    /// Any other router, behind an HTTP endpoint of the operator's configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookRouter>,
}

/// The front Service. Only the color key of its selector is ever changed.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ServiceRouter {
    /// Name of the Service, in the namespace of the rollout.
    #[schemars(regex(pattern = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"), length(max = 63))]
    pub name: String,
    /// Selector key that tells the color. Default `llmrollout.io/color`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^([a-z0-9.-]{1,200}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"),
        length(max = 253)
    )]
    pub key: Option<String>,
}

/// One rule of a route. Only the two weights are ever changed.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RouteRouter {
    /// Name of the route.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"), length(max = 253))]
    pub name: String,
    /// Its namespace. Default: the rollout's. Another one needs the operator's `allowCrossNamespace` and a `ReferenceGrant`
    /// there, from this namespace's `LlmRollouts` to its routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), length(max = 63))]
    pub namespace: Option<String>,
    /// Name of the rule. May be left out when only one rule has both colors as backends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"), length(max = 253))]
    pub rule: Option<String>,
}

/// One HTTP route of a VirtualService. Only the two weights are ever changed.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct VirtualServiceRouter {
    /// Name of the VirtualService, in the namespace of the rollout.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"), length(max = 253))]
    pub name: String,
    /// Name of the HTTP route in it. May be left out when only one has the colors as destinations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"), length(max = 253))]
    pub http: Option<String>,
}

/// One flag of a `FeatureFlag`. Only the two weights of its `fractional` operation are ever changed.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.on) ? self.on : 'on') != (has(self.off) ? self.off : 'off')").message("traffic: `on` and `off` of a `featureFlag` are the same variant; name two"))]
pub struct FeatureFlagRouter {
    /// Name of the `FeatureFlag`, in the namespace of the rollout.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"), length(max = 253))]
    pub name: String,
    /// Key of the flag in it.
    #[schemars(regex(pattern = r"^\S+$"), length(max = 128))]
    pub flag: String,
    /// The variant that is green. Default `on`. YAML takes a bare `on` for `true`: write `"on": new`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^\S+$"), length(max = 128))]
    pub on: Option<String>,
    /// The variant that is blue. Default `off`; in quotes as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^\S+$"), length(max = 128))]
    pub off: Option<String>,
    /// Only callers whose context has these attributes get a share of green, for example `{workspace: test}`; all others get
    /// blue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "attributes")]
    #[x_kube(validation = Rule::new("self.all(k, k.matches('^[A-Za-z_$][-A-Za-z0-9_.$]{0,127}$'))").message("traffic: an attribute in `segment` has letters, digits, '-', '_' and '.'; write for example `{workspace: test}`"))]
    pub segment: Option<BTreeMap<String, String>>,
}

impl FeatureFlagRouter {
    /// The variant that is green.
    pub fn on(&self) -> &str {
        self.on.as_deref().unwrap_or("on")
    }

    /// The variant that is blue.
    pub fn off(&self) -> &str {
        self.off.as_deref().unwrap_or("off")
    }
}

/// Two `LLMInferenceService`s that share a `spec.router.route.group`. Only `spec.router.route.weight` of each is ever changed.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.blue != self.green").message("traffic: `blue` and `green` of an `llmInferenceService` are the same object; name the two members of the group"))]
pub struct GroupRouter {
    /// Name of the `LLMInferenceService` that is blue, in the namespace of the rollout.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"), length(max = 253))]
    pub blue: String,
    /// Name of the one that is green.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"), length(max = 253))]
    pub green: String,
}

/// One rule of an `InferenceModelRewrite`. Only the weights of two targets are ever changed, and whether they are there.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.blue != self.green").message("traffic: `blue` and `green` of a `modelRewrite` are the same model; name the two that requests are rewritten to"))]
pub struct RewriteRouter {
    /// Name of the `InferenceModelRewrite`, in the namespace of the rollout.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"), length(max = 253))]
    pub name: String,
    /// The model that the rule matches, as clients ask for it. May be left out when only one rule has a color as a target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^\S+$"), length(max = 256))]
    pub model: Option<String>,
    /// The model that is blue: `modelRewrite` of its target.
    #[schemars(regex(pattern = r"^\S+$"), length(max = 256))]
    pub blue: String,
    /// The model that is green.
    #[schemars(regex(pattern = r"^\S+$"), length(max = 256))]
    pub green: String,
}

fn attributes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": 4,
        "additionalProperties": {"type": "string", "maxLength": 128}
    })
}

/// A router behind an HTTP endpoint. Both weights are told it, and nothing else is asked of it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct WebhookRouter {
    /// Name of the webhook in `routers` of the operator's configuration.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"), length(max = 63))]
    pub name: String,
}
