//! A rule of a user's HTTPRoute: the two weights. `rules` and `backendRefs` are atomic lists, so nothing is ever
//! applied; a JSON patch guarded by version and backend names changes two numbers and leaves every other byte.

use serde_json::json;

use super::{Follows, GuardedPatch, PatchKind, Place, Seen, Shares, Trouble, guard};
use crate::api::{
    Reason,
    route::{BackendRef, HttpRoute, RouteRule},
    v1alpha1::HttpRouteRouter,
};

/// What the route says about traffic between the Services `blue` and `green`.
pub fn read(router: &HttpRouteRouter, blue: &str, green: &str, route: Option<&HttpRoute>) -> Result<Seen, Trouble> {
    let route = route.ok_or_else(|| Trouble {
        reason: Reason::RouteNotFound,
        message: format!("HTTPRoute {} does not exist; create it, or correct `traffic[].httpRoute.name`", router.name),
    })?;
    let (index, rule) = find_rule(router, blue, green, route)?;
    let at = |name: &str| {
        rule.backend_refs.iter().position(|b| is_color(b, name)).ok_or_else(|| Trouble {
            reason: Reason::BackendMissing,
            message: format!(
                "a rule of HTTPRoute {} lacks the backend {name}; both colors must stand there from the start, for example `backendRefs: [{{name: {blue}, port: 80, weight: 100}}, {{name: {green}, port: 80, weight: 0}}]`",
                router.name
            ),
        })
    };
    let (b, g) = (at(blue)?, at(green)?);
    let each = one_percent(router, rule, b, g)?;
    let (shares, exact) = shares_of(&rule.backend_refs[b], &rule.backend_refs[g], each);
    Ok(Seen {
        version: route.metadata.resource_version.clone().unwrap_or_default(),
        shares,
        exact,
        follows: follows(route),
        place: Place::Rule {
            route: router.name.clone(),
            rule: index,
            blue: (b, blue.to_owned()),
            green: (g, green.to_owned()),
            each,
        },
    })
}

/// The weight of one percent of what both colors get. Others in the rule keep theirs, and so the two together keep what
/// they have, which every share must be a whole part of.
fn one_percent(router: &HttpRouteRouter, rule: &RouteRule, b: usize, g: usize) -> Result<i32, Trouble> {
    let refused = |message| Err(Trouble { reason: Reason::UnmanagedBackend, message });
    let [blue, green] = [b, g].map(|i| &rule.backend_refs[i]);
    let others = || rule.backend_refs.iter().enumerate().filter(|(i, _)| *i != b && *i != g).map(|(_, other)| other);
    if let Some(twice) = others().find(|other| is_color(other, &blue.name) || is_color(other, &green.name)) {
        return refused(format!(
            "the rule of HTTPRoute {} names {} twice; leave one of the two out",
            router.name, twice.name
        ));
    }
    let Some(third) = others().next() else { return Ok(1) };
    let both = blue.weight.zip(green.weight).and_then(|(b, g)| b.checked_add(g)).unwrap_or(0);
    if both > 0 && both % 100 == 0 {
        return Ok(both / 100);
    }
    refused(format!(
        "the rule of HTTPRoute {} also sends to {}, which keeps its weight; so that every share of the colors can be written, their two weights must add up to 100 or a multiple of it: for example {} 900, {} 0 and {} 100 for nine tenths of all requests",
        router.name, third.name, blue.name, green.name, third.name
    ))
}

fn find_rule<'a>(
    router: &HttpRouteRouter,
    blue: &str,
    green: &str,
    route: &'a HttpRoute,
) -> Result<(usize, &'a RouteRule), Trouble> {
    let trouble = |reason, message| Err(Trouble { reason, message });
    let rules = || route.spec.rules.iter().enumerate();
    if let Some(name) = &router.rule {
        let found = rules().find(|(_, r)| r.name.as_ref() == Some(name));
        return found.map_or_else(
            || trouble(Reason::RuleNotFound, format!("HTTPRoute {} has no rule named {name}; give the rule that name, or correct `traffic[].httpRoute.rule`", router.name)),
            Ok,
        );
    }
    let names_a_color = |r: &RouteRule| r.backend_refs.iter().any(|b| is_color(b, blue) || is_color(b, green));
    let mut fitting = rules().filter(|(_, r)| names_a_color(r));
    match (fitting.next(), fitting.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => trouble(
            Reason::BackendMissing,
            format!(
                "no rule of HTTPRoute {} has the backends {blue} and {green}; write `backendRefs: [{{name: {blue}, port: 80, weight: 100}}, {{name: {green}, port: 80, weight: 0}}]`",
                router.name
            ),
        ),
        (Some(_), Some(_)) => trouble(
            Reason::RuleNotFound,
            format!(
                "several rules of HTTPRoute {} send to {blue} or {green}; name the one meant with `traffic[].httpRoute.rule`",
                router.name
            ),
        ),
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

fn follows(route: &HttpRoute) -> Follows {
    let generation = route.metadata.generation;
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
        answered += usize::from(current("Accepted").is_some());
    }
    if answered > 0 && answered >= route.spec.parent_refs.len() { Follows::Yes } else { Follows::NotYet }
}

/// The write that sets both weights, explicitly, in one patch.
pub(super) fn write(
    version: &str,
    route: &str,
    rule: usize,
    blue: &(usize, String),
    green: &(usize, String),
    (shares, each): (Shares, i32),
) -> GuardedPatch {
    let path = |(i, _): &(usize, String), field: &str| format!("/spec/rules/{rule}/backendRefs/{i}/{field}");
    GuardedPatch {
        kind: PatchKind::HttpRoute,
        name: route.to_owned(),
        ops: vec![
            guard(version),
            json!({"op": "test", "path": path(blue, "name"), "value": blue.1}),
            json!({"op": "test", "path": path(green, "name"), "value": green.1}),
            json!({"op": "add", "path": path(blue, "weight"), "value": shares.blue * each}),
            json!({"op": "add", "path": path(green, "weight"), "value": shares.green * each}),
        ],
    }
}
