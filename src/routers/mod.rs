//! One pure file for each shape of router: what an object says about traffic, and the guarded patch that changes it.
//! `Claim` and `PatchKind` are the list of routers. Nothing here fetches or sends; `observe` fetches, `act` sends.

pub mod aside;
pub mod detach;
pub mod feature_flag;
pub mod grant;
mod kind;
pub mod llm_inference_service;
pub mod mirror;
pub mod model_rewrite;
pub mod route;
pub mod service;
pub mod split;
pub mod virtual_service;
pub mod webhook;
mod write;

use k8s_openapi::api::core::v1::Service;
use kube::core::DynamicObject;
use serde::Deserialize;
use serde_json::{Value, json};

use self::{
    aside::{Room, Wanted},
    grant::Reference,
    llm_inference_service::Member,
    mirror::ClassSeen,
    model_rewrite::Targets,
    split::Weights,
    webhook::Heard,
};
pub use self::{
    detach::{put_back, take_out},
    kind::{Names, PatchKind},
    split::Out,
    write::{Write, left_alone, write, write_beside},
};
use crate::api::{
    Percent, Reason,
    status::Color,
    traffic::{
        FeatureFlagRouter, GroupRouter, RewriteRouter, RouteRouter, Router, ServiceRouter, VirtualServiceRouter,
        WebhookRouter,
    },
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
    /// A flag of a `FeatureFlag`.
    FeatureFlag(&'a FeatureFlagRouter),
    /// Two `LLMInferenceService`s of a group.
    LlmInferenceService(&'a GroupRouter),
    /// A rule of an `InferenceModelRewrite`.
    ModelRewrite(&'a RewriteRouter),
    /// What stands behind an HTTP endpoint.
    Webhook(&'a WebhookRouter),
}

impl<'a> Claim<'a> {
    /// What an item of `spec.traffic` claims; `None` when it names no router or several, which the schema refuses.
    pub fn of(router: &'a Router) -> Option<Self> {
        let mut named = [
            router.service.as_ref().map(Self::Service),
            router.http_route.as_ref().map(Self::HttpRoute),
            router.grpc_route.as_ref().map(Self::GrpcRoute),
            router.virtual_service.as_ref().map(Self::VirtualService),
            router.feature_flag.as_ref().map(Self::FeatureFlag),
            router.llm_inference_service.as_ref().map(Self::LlmInferenceService),
            router.model_rewrite.as_ref().map(Self::ModelRewrite),
            router.webhook.as_ref().map(Self::Webhook),
        ]
        .into_iter()
        .flatten();
        named.next().filter(|_| named.next().is_none())
    }

    /// The object that it names: of which kind, and its name.
    pub fn object(self) -> (PatchKind, &'a str) {
        match self {
            Self::Service(s) => (PatchKind::Service, &s.name),
            Self::HttpRoute(r) => (PatchKind::HttpRoute, &r.name),
            Self::GrpcRoute(r) => (PatchKind::GrpcRoute, &r.name),
            Self::VirtualService(v) => (PatchKind::VirtualService, &v.name),
            Self::FeatureFlag(f) => (PatchKind::FeatureFlag, &f.name),
            Self::LlmInferenceService(g) => (PatchKind::LlmInferenceService, &g.blue),
            Self::ModelRewrite(r) => (PatchKind::ModelRewrite, &r.name),
            Self::Webhook(w) => (PatchKind::Webhook, &w.name),
        }
    }

    /// The second object of the same kind, where a router is two.
    pub fn second(self) -> Option<&'a str> {
        if let Self::LlmInferenceService(g) = self { Some(&g.green) } else { None }
    }

    /// The namespace of what it names; none is the rollout's.
    pub fn namespace(self) -> Option<&'a str> {
        if let Self::HttpRoute(r) | Self::GrpcRoute(r) = self { r.namespace.as_deref() } else { None }
    }

    /// Whether this object is, or is one of, what it names, if it is of one namespace.
    pub fn is(self, kind: PatchKind, name: &str) -> bool {
        let (of, first) = self.object();
        of == kind && (first == name || self.second() == Some(name))
    }

    /// `service/chat` or `httpRoute/chat`; of two objects `llmInferenceService/chat-v1+chat-v2`, of another namespace
    /// `httpRoute/chat@edge`.
    pub fn name(self) -> String {
        let (kind, name) = self.object();
        let second = self.second().map_or_else(String::new, |second| format!("+{second}"));
        let there = self.namespace().map_or_else(String::new, |namespace| format!("@{namespace}"));
        format!("{}/{name}{second}{there}", kind.names().word)
    }

    /// `httpRoute/chat`, with its rule where one is named: one of a kind among the claims of a rollout.
    pub fn place(self) -> String {
        self.rule().map_or_else(|| self.name(), |rule| format!("{}/{rule}", self.name()))
    }

    /// Whether two claims would write the same slice of the same object, if it is of one namespace.
    pub fn clashes(self, other: Self) -> bool {
        let (kind, first) = self.object();
        (other.is(kind, first) || self.second().is_some_and(|second| other.is(kind, second)))
            && match (self.rule(), other.rule()) {
                (Some(a), Some(b)) => a == b,
                _ => true,
            }
    }

    /// Whether two rollouts would. A webhook is told whose weights are meant, and may keep some for each.
    pub fn rivals(self, other: Self) -> bool {
        !matches!(self, Self::Webhook(_)) && self.clashes(other)
    }

    /// What of the object is named, where an object has several: a rule of a route, a flag, a model.
    fn rule(self) -> Option<&'a str> {
        match self {
            Self::Service(_) | Self::LlmInferenceService(_) | Self::Webhook(_) => None,
            Self::HttpRoute(r) | Self::GrpcRoute(r) => r.rule.as_deref(),
            Self::VirtualService(v) => v.http.as_deref(),
            Self::FeatureFlag(f) => Some(&f.flag),
            Self::ModelRewrite(r) => r.model.as_deref(),
        }
    }

    /// Whether it can give each color a part.
    pub const fn splits(self) -> bool {
        !matches!(self, Self::Service(_))
    }

    /// The share this router gives the candidate when the release stands at `weight`.
    pub fn share_at(self, weight: Percent) -> Percent {
        if self.splits() || weight >= Percent::ALL { weight } else { Percent::NONE }
    }

    /// Whether it takes no tenths of a percent, whatever the object says: a group's two writes would pass a share of neither
    /// step where its weights change their scale, and a webhook is told whole ones.
    pub const fn whole_only(self) -> bool {
        matches!(self, Self::LlmInferenceService(_) | Self::Webhook(_))
    }

    /// What the object that it names says about traffic between the Services `blue` and `green`, as they are called from
    /// where it stands: `chat-blue`, or `next/chat-blue` where that is of another namespace.
    pub fn read(self, [blue, green]: [&str; 2], found: Found<'_>) -> RouterSeen {
        let state = match self {
            Self::Service(s) => service::read(s, found.service),
            Self::HttpRoute(r) => route::read(PatchKind::HttpRoute, r, [blue, green], found),
            Self::GrpcRoute(r) => route::read(PatchKind::GrpcRoute, r, [blue, green], found),
            Self::VirtualService(v) => virtual_service::read(v, [blue, green], found),
            Self::FeatureFlag(f) => feature_flag::read(f, found.object),
            Self::LlmInferenceService(g) => llm_inference_service::read(g, [found.object, found.second]),
            Self::ModelRewrite(r) => model_rewrite::read(r, found.object),
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
    /// The second one, where the claim names two.
    pub second: Option<&'a DynamicObject>,
    /// What we have taken out of it ourselves.
    pub out: Option<&'a Out>,
    /// What it tells, if it is a webhook of the operator's configuration.
    pub heard: Option<&'a Heard>,
    /// What is known of the gateways.
    pub classes: &'a [ClassSeen],
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
    /// The object's resource version: the guard of every write. Of two objects each has its own in `place`.
    pub version: String,
    /// The shares it holds.
    pub shares: Shares,
    /// Whether both shares stand there explicitly, as we would write them.
    pub exact: bool,
    /// Whether the data plane says it follows.
    pub follows: Follows,
    /// Whether it keeps sessions where they began, whatever the shares are.
    pub pins: bool,
    /// Where it refers to a color of another namespace.
    pub crosses: Vec<(Color, Reference)>,
    /// Where in the object the shares stand.
    pub place: Place,
    /// What a dark step can put beside them, where it can put anything.
    pub room: Option<Box<Room>>,
}

impl Seen {
    /// Whether exactly this stands beside the shares. Where there is no room for it, it is not asked for.
    pub fn holds(&self, wanted: Wanted<'_>) -> bool {
        self.room.as_ref().is_none_or(|room| room.holds(wanted))
    }

    /// Why this share cannot be written there: what to write instead.
    pub fn refuses(&self, share: Percent) -> Option<String> {
        match &self.place {
            Place::Weights { weights, .. } => weights.scale.refuse(share),
            Place::Targets { targets, .. } => targets.scale.refuse(share),
            Place::Selector { .. } | Place::Members { .. } | Place::Webhook { .. } => None,
        }
    }

    /// Whether some of this is missing beside the shares.
    pub fn lacks(&self, wanted: Wanted<'_>) -> bool {
        self.room.as_ref().is_some_and(|room| room.lacks(wanted))
    }
}

/// What each color gets, adding up to everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Of blue.
    pub blue: Percent,
    /// Of green.
    pub green: Percent,
}

impl Shares {
    /// `share` for `color`, the rest for the other.
    pub const fn giving(color: Color, share: Percent) -> Self {
        match color {
            Color::Blue => Self { blue: share, green: share.rest() },
            Color::Green => Self { blue: share.rest(), green: share },
        }
    }

    /// In whole percents.
    pub const fn of_percent(blue: i32, green: i32) -> Self {
        Self { blue: Percent::of(blue), green: Percent::of(green) }
    }

    /// The share of one color.
    pub const fn of(self, color: Color) -> Percent {
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
        /// Its namespace; none is the rollout's.
        namespace: Option<String>,
        /// Its name.
        name: String,
        /// The weights.
        weights: Weights,
    },
    /// A weight in each of two objects.
    Members {
        /// Blue's.
        blue: Member,
        /// Green's.
        green: Member,
    },
    /// Targets that come and go.
    Targets {
        /// Name of the `InferenceModelRewrite`.
        name: String,
        /// The targets.
        targets: Targets,
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
    // Of two objects neither is called `name`.
    let field = if kind == PatchKind::LlmInferenceService { "" } else { ".name" };
    let Names { kind, word, .. } = kind.names();
    let object = found.ok_or_else(|| {
        let message = format!("{kind} {name} does not exist; create it, or correct `traffic[].{word}{field}`");
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
    /// Its namespace; none is the rollout's.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// The operations, the guard first.
    pub ops: Vec<Value>,
}

/// The guard that opens every patch: the write fails unless the object is still the one the decision was made on.
pub fn guard(version: &str) -> Value {
    json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version})
}

/// A name as a part of a path in a JSON patch.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
