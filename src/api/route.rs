//! The narrow view of a Gateway API route (HTTPRoute or GRPCRoute, which agree in all of it): what we read of it. Nothing
//! here is ever written back whole; weights go out as a guarded JSON patch (`routers::route`), so that every other byte of
//! the user's route stays as it is. Our own view because the published bindings do not build against the pinned kube yet.

use serde::Deserialize;

/// The part of a route that we read, beside its metadata.
#[derive(Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(default)]
pub struct Route {
    /// What its owner wants.
    pub spec: RouteSpec,
    /// What the gateways say of it.
    pub status: Option<RouteStatus>,
}

/// The part of a route's `spec` that we read.
#[derive(Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct RouteSpec {
    /// The gateways that should accept the route.
    pub parent_refs: Vec<ParentRef>,
    /// The rules, in order.
    pub rules: Vec<RouteRule>,
}

/// A gateway that should accept the route.
#[derive(Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct ParentRef {
    /// Namespace of the gateway.
    pub namespace: Option<String>,
    /// Name of the gateway.
    pub name: String,
    /// Listener of the gateway.
    pub section_name: Option<String>,
}

/// One rule.
#[derive(Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct RouteRule {
    /// Name of the rule.
    pub name: Option<String>,
    /// Where its requests go.
    pub backend_refs: Vec<BackendRef>,
    /// Whether, and how, a session stays with the backend that it began with.
    pub session_persistence: Option<serde_json::Value>,
}

/// One backend of a rule.
#[derive(Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct BackendRef {
    /// API group; empty means core.
    pub group: Option<String>,
    /// Kind; none means Service.
    pub kind: Option<String>,
    /// Name.
    pub name: String,
    /// Namespace; none means the route's.
    pub namespace: Option<String>,
    /// Port of a Service.
    pub port: Option<i32>,
    /// Weight; none means 1, not 0.
    pub weight: Option<i32>,
}

/// What the gateways say of the route.
#[derive(Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct RouteStatus {
    /// One entry for each gateway.
    pub parents: Vec<ParentStatus>,
}

/// What one gateway says of the route.
#[derive(Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct ParentStatus {
    /// Which gateway.
    pub parent_ref: ParentRef,
    /// Whose word this is: `projectcontour.io/gateway-controller`.
    pub controller_name: String,
    /// Its conditions.
    pub conditions: Vec<RouteCondition>,
}

/// A condition of a route.
#[derive(Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct RouteCondition {
    /// `Accepted`, `ResolvedRefs`, …
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// One word why.
    pub reason: String,
    /// The same for people.
    pub message: String,
    /// The generation it speaks of.
    pub observed_generation: Option<i64>,
}
