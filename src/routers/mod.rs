//! One pure file for each router: what an object says about traffic, and the guarded patch that changes it.
//! Nothing here fetches or sends; `observe` fetches, `act` sends.

pub mod http_route;
pub mod service;

use serde_json::{Value, json};

use crate::api::{
    Reason,
    status::Color,
    v1alpha1::{HttpRouteRouter, Router, ServiceRouter},
};

/// A router as the manifest names it: exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim<'a> {
    /// The front Service.
    Service(&'a ServiceRouter),
    /// A rule of an HTTPRoute.
    HttpRoute(&'a HttpRouteRouter),
}

impl<'a> Claim<'a> {
    /// What an item of `spec.traffic` claims; `None` when it names no router or several, which the schema refuses.
    pub const fn of(router: &'a Router) -> Option<Self> {
        match (&router.service, &router.http_route) {
            (Some(s), None) => Some(Self::Service(s)),
            (None, Some(r)) => Some(Self::HttpRoute(r)),
            _ => None,
        }
    }

    /// `service/chat` or `httpRoute/chat`.
    pub fn name(self) -> String {
        match self {
            Self::Service(s) => format!("service/{}", s.name),
            Self::HttpRoute(r) => format!("httpRoute/{}", r.name),
        }
    }

    /// Whether two claims would write the same slice of the same object.
    pub fn clashes(self, other: Self) -> bool {
        match (self, other) {
            (Self::Service(a), Self::Service(b)) => a.name == b.name,
            (Self::HttpRoute(a), Self::HttpRoute(b)) => {
                a.name == b.name && (a.rule == b.rule || a.rule.is_none() || b.rule.is_none())
            }
            (Self::Service(_), Self::HttpRoute(_)) | (Self::HttpRoute(_), Self::Service(_)) => false,
        }
    }

    /// The share this router gives the candidate when the release stands at `weight`.
    pub const fn share_at(self, weight: i32) -> i32 {
        match self {
            Self::Service(_) if weight < 100 => 0,
            Self::Service(_) | Self::HttpRoute(_) => weight,
        }
    }
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
    /// Where in the object the shares stand.
    pub place: Place,
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
    /// Two backends of a rule, by index, guarded by name.
    Rule {
        /// Name of the route.
        route: String,
        /// Index of the rule.
        rule: usize,
        /// Index and name of blue's backend.
        blue: (usize, String),
        /// Index and name of green's backend.
        green: (usize, String),
        /// The weight of one percent.
        each: i32,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchKind {
    /// Our own kind: only its finalizers.
    LlmRollout,
    /// apps/v1: only the owner reference, on leaving.
    Deployment,
    /// v1.
    Service,
    /// gateway.networking.k8s.io/v1.
    HttpRoute,
}

/// The guard that opens every patch: the write fails unless the object is still the one the decision was made on.
pub fn guard(version: &str) -> Value {
    json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version})
}

/// The write that gives `shares`.
pub fn write(seen: &Seen, shares: Shares) -> GuardedPatch {
    match &seen.place {
        Place::Selector { service, key } => service::write(&seen.version, service, key, shares),
        Place::Rule { route, rule, blue, green, each } => {
            http_route::write(&seen.version, route, *rule, blue, green, (shares, *each))
        }
    }
}
