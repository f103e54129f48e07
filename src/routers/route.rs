//! A rule of a user's HTTPRoute or GRPCRoute: the two weights. `rules` and `backendRefs` are atomic lists, so nothing is ever
//! applied; a JSON patch guarded by version and backend names changes two numbers and leaves every other byte.

use kube::core::DynamicObject;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Follows, PatchKind, Place, Seen, Shares, Trouble, guard};
use crate::api::{
    Reason,
    route::{BackendRef, Route, RouteRule},
    v1alpha1::RouteRouter,
};

/// What the route says about traffic between the Services `blue` and `green`.
pub fn read(
    kind: PatchKind,
    router: &RouteRouter,
    [blue, green]: [&str; 2],
    found: Option<&DynamicObject>,
) -> Result<Seen, Trouble> {
    let asked = Asked { kind, router, blue, green };
    let what = asked.what();
    let object = found.ok_or_else(|| {
        trouble(Reason::RouteNotFound, format!("{what} does not exist; create it, or correct `{}.name`", asked.field()))
    })?;
    let route = Route::deserialize(&object.data).map_err(|unknown| {
        let message =
            format!("{what} is written in a way that is not understood ({unknown}); nothing is written to it");
        trouble(Reason::RuleNotFound, message)
    })?;
    let (index, rule) = asked.find_rule(&route)?;
    let at = |name: &str| {
        rule.backend_refs.iter().position(|b| is_color(b, name)).ok_or_else(|| {
            trouble(Reason::BackendMissing, format!(
                "a rule of {what} lacks the backend {name}; both colors must stand there from the start, for example {}",
                asked.example()
            ))
        })
    };
    let (b, g) = (at(blue)?, at(green)?);
    let each = asked.one_percent(rule, b, g)?;
    let (shares, exact) = shares_of(&rule.backend_refs[b], &rule.backend_refs[g], each);
    Ok(Seen {
        version: object.metadata.resource_version.clone().unwrap_or_default(),
        shares,
        exact,
        follows: follows(&route, object.metadata.generation),
        place: Place::Rule {
            kind,
            route: router.name.clone(),
            rule: index,
            blue: (b, blue.to_owned()),
            green: (g, green.to_owned()),
            each,
        },
    })
}

const fn trouble(reason: Reason, message: String) -> Trouble {
    Trouble { reason, message }
}

/// Which rule is asked for, and whose backends.
#[derive(Clone, Copy)]
struct Asked<'a> {
    kind: PatchKind,
    router: &'a RouteRouter,
    blue: &'a str,
    green: &'a str,
}

impl Asked<'_> {
    /// `HTTPRoute chat`.
    fn what(self) -> String {
        format!("{} {}", self.kind.names().kind, self.router.name)
    }

    /// `traffic[].httpRoute`.
    fn field(self) -> String {
        format!("traffic[].{}", self.kind.names().word)
    }

    /// Both backends, as they may stand in a rule.
    fn example(self) -> String {
        let Self { blue, green, .. } = self;
        format!("`backendRefs: [{{name: {blue}, port: 80, weight: 100}}, {{name: {green}, port: 80, weight: 0}}]`")
    }

    fn find_rule(self, route: &Route) -> Result<(usize, &RouteRule), Trouble> {
        let Self { router, blue, green, .. } = self;
        let (what, field) = (self.what(), self.field());
        let refused = |reason, message| Err(trouble(reason, message));
        let rules = || route.spec.rules.iter().enumerate();
        if let Some(name) = &router.rule {
            let mut named = rules().filter(|(_, r)| r.name.as_ref() == Some(name));
            return match (named.next(), named.next()) {
                (Some(one), None) => Ok(one),
                (None, _) => refused(
                    Reason::RuleNotFound,
                    format!("{what} has no rule named {name}; give the rule that name, or correct `{field}.rule`"),
                ),
                (Some(_), Some(_)) => refused(
                    Reason::RuleNotFound,
                    format!("{what} has two rules named {name}; give each rule a name of its own"),
                ),
            };
        }
        let names_a_color = |r: &RouteRule| r.backend_refs.iter().any(|b| is_color(b, blue) || is_color(b, green));
        let mut fitting = rules().filter(|(_, r)| names_a_color(r));
        match (fitting.next(), fitting.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => refused(
                Reason::BackendMissing,
                format!("no rule of {what} has the backends {blue} and {green}; write {}", self.example()),
            ),
            (Some(_), Some(_)) => refused(
                Reason::RuleNotFound,
                format!("several rules of {what} send to {blue} or {green}; name the one meant with `{field}.rule`"),
            ),
        }
    }

    /// The weight of one percent of what both colors get. Others in the rule keep theirs, and so the two together keep
    /// what they have, which every share must be a whole part of.
    fn one_percent(self, rule: &RouteRule, b: usize, g: usize) -> Result<i32, Trouble> {
        let what = self.what();
        let refused = |message| Err(trouble(Reason::UnmanagedBackend, message));
        let [blue, green] = [b, g].map(|i| &rule.backend_refs[i]);
        let others =
            || rule.backend_refs.iter().enumerate().filter(|(i, _)| *i != b && *i != g).map(|(_, other)| other);
        if let Some(twice) = others().find(|other| is_color(other, &blue.name) || is_color(other, &green.name)) {
            return refused(format!("the rule of {what} names {} twice; leave one of the two out", twice.name));
        }
        let Some(third) = others().next() else { return Ok(1) };
        let both = blue.weight.zip(green.weight).and_then(|(b, g)| b.checked_add(g)).unwrap_or(0);
        if both > 0 && both % 100 == 0 {
            return Ok(both / 100);
        }
        refused(format!(
            "the rule of {what} also sends to {}, which keeps its weight; so that every share of the colors can be written, their two weights must add up to 100 or a multiple of it: for example {} 900, {} 0 and {} 100 for nine tenths of all requests",
            third.name, blue.name, green.name, third.name
        ))
    }
}

/// A Service of the route's own namespace, or a pool of the Gateway API's inference extension, which stands for the same
/// pods.
fn is_color(backend: &BackendRef, name: &str) -> bool {
    let kind = backend.kind.as_deref().unwrap_or("Service");
    let known = match backend.group.as_deref().unwrap_or("") {
        "" => kind == "Service",
        "inference.networking.k8s.io" | "inference.networking.x-k8s.io" => kind == "InferencePool",
        _ => false,
    };
    known && backend.namespace.is_none() && backend.name == name
}

/// Percent of each, and whether that is literally what stands there. An omitted weight means 1, not 0.
fn shares_of(blue: &BackendRef, green: &BackendRef, each: i32) -> (Shares, bool) {
    let (b, g) = (i64::from(blue.weight.unwrap_or(1)), i64::from(green.weight.unwrap_or(1)));
    let sum = (b + g).max(1);
    // Rounded so that a color which gets anything at all never reads as 0.
    let green_share = if b == 0 && g == 0 {
        0
    } else if b == 0 {
        100
    } else {
        ((g * 100 + sum - 1) / sum).min(99)
    };
    let green_share = i32::try_from(green_share).unwrap_or(100);
    let explicit = blue.weight.is_some() && green.weight.is_some();
    let each = i64::from(each);
    // 1/0 says the same as 100/0: a user's own way to write "all" is left alone.
    let exact = explicit && (b + g == 100 * each && g % each == 0 || (b == 0) != (g == 0));
    (Shares { blue: 100 - green_share, green: green_share }, exact)
}

fn follows(route: &Route, generation: Option<i64>) -> Follows {
    let parents = route.status.as_ref().map(|s| s.parents.as_slice()).unwrap_or_default();
    let mut answered = 0;
    for parent in parents {
        let current =
            |word: &str| parent.conditions.iter().find(|c| c.type_ == word && c.observed_generation >= generation);
        for word in ["Accepted", "ResolvedRefs"] {
            if let Some(c) = current(word).filter(|c| c.status == "False") {
                return Follows::Refuses(format!("{word}: {}: {}", c.reason, c.message));
            }
        }
        answered += usize::from(current("Accepted").is_some_and(|c| c.status == "True"));
    }
    if answered > 0 && answered >= route.spec.parent_refs.len() { Follows::Yes } else { Follows::NotYet }
}

/// The operations that set both weights, explicitly, in one patch.
pub(super) fn write(
    version: &str,
    rule: usize,
    [blue, green]: [&(usize, String); 2],
    shares: Shares,
    each: i32,
) -> Vec<Value> {
    let path = |(i, _): &(usize, String), field: &str| format!("/spec/rules/{rule}/backendRefs/{i}/{field}");
    vec![
        guard(version),
        json!({"op": "test", "path": path(blue, "name"), "value": blue.1}),
        json!({"op": "test", "path": path(green, "name"), "value": green.1}),
        json!({"op": "add", "path": path(blue, "weight"), "value": shares.blue * each}),
        json!({"op": "add", "path": path(green, "weight"), "value": shares.green * each}),
    ]
}
