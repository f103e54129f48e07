//! One pure file for each shape of router: what an object says about traffic, and the guarded patch that changes it.
//! `Claim` and `PatchKind` are the list of routers. Nothing here fetches or sends; `observe` fetches, `act` sends.

pub mod aside;
pub mod detach;
pub mod route;
pub mod service;
pub mod split;
pub mod virtual_service;
pub mod webhook;
mod write;

use k8s_openapi::api::core::v1::Service;
use kube::core::{ApiResource, DynamicObject};
use serde::Deserialize;
use serde_json::{Value, json};

use self::{
    aside::Room,
    split::Weights,
    webhook::{Heard, Put},
};
pub use self::{
    detach::{put_back, take_out},
    split::Out,
    write::{Write, write_beside},
};
use crate::api::{
    Reason,
    aside::Aside,
    status::Color,
    traffic::{RouteRouter, Router, ServiceRouter, VirtualServiceRouter, WebhookRouter},
};

/// A router as the manifest names it: exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim<'a> {
    /// The front Service.
    Service(&'a ServiceRouter),
    /// A rule of an HTTPRoute.
    HttpRoute(&'a RouteRouter),
    /// A rule of a GRPCRoute.
    GrpcRoute(&'a RouteRouter),
    /// An HTTP route of a VirtualService.
    VirtualService(&'a VirtualServiceRouter),
    /// What stands behind an HTTP endpoint.
    Webhook(&'a WebhookRouter),
}

impl<'a> Claim<'a> {
    /// What an item of `spec.traffic` claims; `None` when it names no router or several, which the schema refuses.
    pub fn of(router: &'a Router) -> Option<Self> {
        let all = [
            router.service.as_ref().map(Self::Service),
            router.http_route.as_ref().map(Self::HttpRoute),
            router.grpc_route.as_ref().map(Self::GrpcRoute),
            router.virtual_service.as_ref().map(Self::VirtualService),
            router.webhook.as_ref().map(Self::Webhook),
        ];
        let mut named = all.into_iter().flatten();
        named.next().filter(|_| named.next().is_none())
    }

    /// The object that it names: of which kind, and its name.
    pub fn object(self) -> (PatchKind, &'a str) {
        match self {
            Self::Service(s) => (PatchKind::Service, &s.name),
            Self::HttpRoute(r) => (PatchKind::HttpRoute, &r.name),
            Self::GrpcRoute(r) => (PatchKind::GrpcRoute, &r.name),
            Self::VirtualService(v) => (PatchKind::VirtualService, &v.name),
            Self::Webhook(w) => (PatchKind::Webhook, &w.name),
        }
    }

    /// `service/chat` or `httpRoute/chat`.
    pub fn name(self) -> String {
        let (kind, name) = self.object();
        format!("{}/{name}", kind.names().word)
    }

    /// `httpRoute/chat`, with its rule where one is named: one of a kind among the claims of a rollout.
    pub fn place(self) -> String {
        self.rule().map_or_else(|| self.name(), |rule| format!("{}/{rule}", self.name()))
    }

    /// Whether two claims would write the same slice of the same object.
    pub fn clashes(self, other: Self) -> bool {
        self.object() == other.object()
            && match (self.rule(), other.rule()) {
                (Some(a), Some(b)) => a == b,
                _ => true,
            }
    }

    /// Whether two rollouts would. A webhook is told whose weights are meant, and may keep some for each.
    pub fn rivals(self, other: Self) -> bool {
        !matches!(self, Self::Webhook(_)) && self.clashes(other)
    }

    /// The rule of a route that is named.
    fn rule(self) -> Option<&'a str> {
        match self {
            Self::Service(_) | Self::Webhook(_) => None,
            Self::HttpRoute(r) | Self::GrpcRoute(r) => r.rule.as_deref(),
            Self::VirtualService(v) => v.http.as_deref(),
        }
    }

    /// Whether it can give each color a part.
    pub const fn splits(self) -> bool {
        match self {
            Self::Service(_) => false,
            Self::HttpRoute(_) | Self::GrpcRoute(_) | Self::VirtualService(_) | Self::Webhook(_) => true,
        }
    }

    /// The share this router gives the candidate when the release stands at `weight`.
    pub const fn share_at(self, weight: i32) -> i32 {
        if self.splits() || weight >= 100 { weight } else { 0 }
    }

    /// What the object that it names says about traffic between the Services `blue` and `green`.
    pub fn read(self, [blue, green]: [&str; 2], found: Found<'_>) -> RouterSeen {
        let state = match self {
            Self::Service(s) => service::read(s, found.service),
            Self::HttpRoute(r) => route::read(PatchKind::HttpRoute, r, [blue, green], found),
            Self::GrpcRoute(r) => route::read(PatchKind::GrpcRoute, r, [blue, green], found),
            Self::VirtualService(v) => virtual_service::read(v, [blue, green], found),
            Self::Webhook(w) => webhook::read(w, found.heard),
        };
        RouterSeen { name: self.name(), state }
    }
}

/// The object that a claim names, as far as there is one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found<'a> {
    /// If it is a Service.
    pub service: Option<&'a Service>,
    /// If it is of one of `PatchKind::WATCHED`.
    pub object: Option<&'a DynamicObject>,
    /// What we have taken out of it ourselves.
    pub out: Option<&'a Out>,
    /// What it tells, if it is a webhook of the operator's configuration.
    pub heard: Option<&'a Heard>,
}

/// What was seen of one router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterSeen {
    /// `service/chat` or `httpRoute/chat`.
    pub name: String,
    /// What it holds, or what is wrong with it.
    pub state: Result<Seen, Trouble>,
}

/// A router that can be driven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The object's resource version: the guard of every write.
    pub version: String,
    /// The shares it holds.
    pub shares: Shares,
    /// Whether both shares stand there explicitly and add up to 100.
    pub exact: bool,
    /// Whether the data plane says it follows.
    pub follows: Follows,
    /// Whether it keeps sessions where they began, whatever the shares are.
    pub pins: bool,
    /// Where in the object the shares stand.
    pub place: Place,
    /// What a dark step can put beside them, where it can put anything.
    pub room: Option<Box<Room>>,
}

impl Seen {
    /// Whether exactly this stands beside the shares. Where there is no room for it, it is not asked for.
    pub fn holds(&self, aside: &Aside, color: Color) -> bool {
        self.room.as_ref().is_none_or(|room| room.holds(aside, color))
    }

    /// Whether some of this is missing beside the shares.
    pub fn lacks(&self, aside: &Aside) -> bool {
        self.room.as_ref().is_some_and(|room| room.lacks(aside))
    }
}

/// Percent for each color, adding up to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Of blue.
    pub blue: i32,
    /// Of green.
    pub green: i32,
}

impl Shares {
    /// `share` for `color`, the rest for the other.
    pub const fn giving(color: Color, share: i32) -> Self {
        match color {
            Color::Blue => Self { blue: share, green: 100 - share },
            Color::Green => Self { blue: 100 - share, green: share },
        }
    }

    /// The share of one color.
    pub const fn of(self, color: Color) -> i32 {
        match color {
            Color::Blue => self.blue,
            Color::Green => self.green,
        }
    }
}

/// Whether the data plane says it follows the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Follows {
    /// Yes, at this generation.
    Yes,
    /// Not yet said at this generation.
    NotYet,
    /// It refuses, in its own words.
    Refuses(String),
}

/// Where in the object the shares stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A key of the selector.
    Selector {
        /// Name of the Service.
        service: String,
        /// The key.
        key: String,
    },
    /// Two weights of a list.
    Weights {
        /// Kind of the object.
        kind: PatchKind,
        /// Its name.
        name: String,
        /// The weights.
        weights: Weights,
    },
    /// Whatever the webhook of this name drives.
    Webhook {
        /// Its name.
        name: String,
    },
}

/// Why a router cannot be driven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The word.
    pub reason: Reason,
    /// What to write instead.
    pub message: String,
}

const fn trouble(reason: Reason, message: String) -> Trouble {
    Trouble { reason, message }
}

/// An object that was found, and what we read of it.
fn understood<'a, T: Deserialize<'a>>(
    kind: PatchKind,
    name: &str,
    found: Option<&'a DynamicObject>,
) -> Result<(&'a DynamicObject, T), Trouble> {
    let Names { kind, word, .. } = kind.names();
    let object = found.ok_or_else(|| {
        let message = format!("{kind} {name} does not exist; create it, or correct `traffic[].{word}.name`");
        trouble(Reason::RouteNotFound, message)
    })?;
    let read = T::deserialize(&object.data).map_err(|unknown| {
        let message =
            format!("{kind} {name} is written in a way that is not understood ({unknown}); nothing is written to it");
        trouble(Reason::RuleNotFound, message)
    })?;
    Ok((object, read))
}

/// A JSON patch that fails if the object moved since it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardedPatch {
    /// Which kind of object.
    pub kind: PatchKind,
    /// Its name; the namespace is the rollout's.
    pub name: String,
    /// The operations, the guard first.
    pub ops: Vec<Value>,
}

/// The kinds of which we change a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PatchKind {
    /// Our own kind: only its finalizers.
    LlmRollout,
    /// Only the owner reference, on leaving, and the size of an old color.
    Deployment,
    /// Only the color key of a front Service's selector, and the owner reference of a color's, on leaving.
    Service,
    /// Only two weights, and the reference to a color that gets none.
    HttpRoute,
    /// Only two weights.
    GrpcRoute,
    /// Only two weights.
    VirtualService,
    /// Both weights, told over HTTP: no object of the cluster.
    Webhook,
}

/// What a kind is called.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    /// The field of `spec.traffic` that names it, if one does, else its kind.
    pub word: &'static str,
    /// API group; empty is the core.
    pub group: &'static str,
    /// Version of the group.
    pub version: &'static str,
    /// Kind.
    pub kind: &'static str,
    /// Plural, as in a URL.
    pub plural: &'static str,
}

impl PatchKind {
    /// The kinds of router that are watched for their own sake; a cluster need not know them. Services are watched
    /// anyway, as the colors have some.
    pub const WATCHED: [Self; 3] = [Self::HttpRoute, Self::GrpcRoute, Self::VirtualService];

    /// What it is called.
    pub const fn names(self) -> Names {
        match self {
            Self::LlmRollout => named(["LlmRollout", "llmrollout.io", "v1alpha1", "LlmRollout", "llmrollouts"]),
            Self::Deployment => named(["Deployment", "apps", "v1", "Deployment", "deployments"]),
            Self::Service => named(["service", "", "v1", "Service", "services"]),
            Self::HttpRoute => named(["httpRoute", GATEWAY_API, "v1", "HTTPRoute", "httproutes"]),
            Self::GrpcRoute => named(["grpcRoute", GATEWAY_API, "v1", "GRPCRoute", "grpcroutes"]),
            Self::VirtualService => {
                named(["virtualService", "networking.istio.io", "v1", "VirtualService", "virtualservices"])
            }
            Self::Webhook => named(["webhook", "", "", "webhook", "webhooks"]),
        }
    }

    /// The same for those who fetch it.
    pub fn resource(self) -> ApiResource {
        let Names { group, version, kind, plural, .. } = self.names();
        let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
        ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version,
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        }
    }
}

const GATEWAY_API: &str = "gateway.networking.k8s.io";

const fn named([word, group, version, kind, plural]: [&'static str; 5]) -> Names {
    Names { word, group, version, kind, plural }
}

/// The guard that opens every patch: the write fails unless the object is still the one the decision was made on.
pub fn guard(version: &str) -> Value {
    json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version})
}

/// The write that gives `shares`.
pub fn write(seen: &Seen, shares: Shares) -> Write {
    match &seen.place {
        Place::Selector { service, key } => Write::Patch(service::write(&seen.version, service, key, shares)),
        Place::Weights { kind, name, weights } => {
            let ops = split::write(&seen.version, weights, shares);
            Write::Patch(GuardedPatch { kind: *kind, name: name.clone(), ops })
        }
        Place::Webhook { name } => {
            Write::Put(Put { webhook: name.clone(), version: Some(seen.version.clone()), shares })
        }
    }
}

/// What a tool that holds objects to a Git is told to leave alone, as an item of Argo CD's `ignoreDifferences`: exactly what
/// we write. Nothing of what stands in no Git.
pub fn left_alone(seen: &Seen) -> Option<String> {
    let GuardedPatch { kind, name, ops } = write(seen, seen.shares).patch()?;
    let Names { group, kind, .. } = kind.names();
    let group = if group.is_empty() { String::new() } else { format!("group: {group}, ") };
    let ours = ops.iter().filter(|op| op["op"] == "add").filter_map(|op| op["path"].as_str());
    Some(format!("{{{group}kind: {kind}, name: {name}, jsonPointers: [{}]}}", ours.collect::<Vec<_>>().join(", ")))
}
