//! `spec.traffic`: the routers that carry traffic to the two colors, and what each of them claims. Fields and bounds only;
//! `routers` has a file for what each of them means. Every router but `service` can split.

#![expect(unreachable_pub, reason = "the schema derive copies each struct into a function where nothing is reachable")]

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// One router, exactly one field.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.service), has(self.httpRoute), has(self.grpcRoute), has(self.virtualService), has(self.webhook)].filter(x, x).size() == 1").message("traffic: each item names exactly one router; write `- service: {name: chat}`, or in its place `httpRoute`, `grpcRoute`, `virtualService` or `webhook`"))]
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
    /// Name of the route, in the namespace of the rollout.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"), length(max = 253))]
    pub name: String,
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

/// A router behind an HTTP endpoint. Both weights are told it, and nothing else is asked of it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct WebhookRouter {
    /// Name of the webhook in `routers` of the operator's configuration.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"), length(max = 63))]
    pub name: String,
}
