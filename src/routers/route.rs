//! A rule of a user's HTTPRoute or GRPCRoute: the two weights. `rules` and `backendRefs` are atomic lists, so nothing is ever
//! applied; a JSON patch guarded by version and backend names changes two numbers and leaves every other byte.

use serde_json::Value;

use super::{
    Follows, Found, PatchKind, Place, Seen, Trouble,
    aside::{Room, is_made},
    grant::Reference,
    split::{Destination, Split, Weights, Words},
    trouble, understood,
};
use crate::api::{
    Reason,
    route::{BackendRef, Route, RouteRule},
    status::Color,
    traffic::RouteRouter,
};

/// What the route says about traffic between the Services `blue` and `green`.
pub fn read(
    kind: PatchKind,
    router: &RouteRouter,
    [blue, green]: [&str; 2],
    found: Found<'_>,
) -> Result<Seen, Trouble> {
    let (object, route): (_, Route) = understood(kind, &router.name, found.object)?;
    let here = object.metadata.namespace.as_deref().unwrap_or_default();
    let asked = Asked { kind, router, blue, green, here };
    let what = asked.what();
    let (index, rule) = asked.find_rule(&route)?;
    let destination = |b: &BackendRef| Destination {
        name: b.name.clone(),
        color: Color::BOTH.into_iter().find(|color| is_color(b, asked.name(*color), here)),
        weight: b.weight,
    };
    let all: Vec<_> = rule.backend_refs.iter().map(destination).collect();
    // An omitted weight means 1, not 0.
    let words = Words {
        of: format!("rule of {what}"),
        noun: "backend",
        example: asked.example(),
        colors: [blue, green],
        left_out: 1,
    };
    let Split { blue, green, scale, shares, exact, out } = Split::of(&words, &all, found.out)?;
    let list = format!("/spec/rules/{index}/backendRefs");
    let whole = |color: Color, at: usize| match found.out {
        Some(o) if out == Some(color) => (at, o.whole.clone()),
        _ => (at, object.data.pointer(&format!("{list}/{at}")).cloned().unwrap_or(Value::Null)),
    };
    let parents = || route.status.iter().flat_map(|s| &s.parents).map(|p| p.controller_name.as_str());
    let crosses = |(color, at): (Color, usize)| {
        let there = rule.backend_refs.get(at).filter(|_| out != Some(color));
        Some((color, asked.crossing(there?)?))
    };
    let crosses = [(Color::Blue, blue), (Color::Green, green)].into_iter().filter_map(crosses).collect();
    let (blue, green) = (whole(Color::Blue, blue), whole(Color::Green, green));
    let room = Room::of(object, index, words.colors, [&blue.1, &green.1]).filter(|_| kind == PatchKind::HttpRoute);
    let room = room.map(|room| room.beside(found.classes, parents()));
    let weights = Weights { list, field: "name", blue, green, scale, out };
    Ok(Seen {
        version: object.metadata.resource_version.clone().unwrap_or_default(),
        shares,
        exact,
        follows: follows(&route, object.metadata.generation),
        pins: rule.session_persistence.is_some(),
        crosses,
        place: Place::Weights { kind, namespace: router.namespace.clone(), name: router.name.clone(), weights },
        room: room.map(Box::new),
    })
}

/// Which rule is asked for, and whose backends.
#[derive(Clone, Copy)]
struct Asked<'a> {
    kind: PatchKind,
    router: &'a RouteRouter,
    blue: &'a str,
    green: &'a str,
    /// The namespace of the route.
    here: &'a str,
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

    /// The reference into another namespace that a backend is.
    fn crossing(self, backend: &BackendRef) -> Option<Reference> {
        let there = backend.namespace.as_deref().filter(|there| *there != self.here)?;
        let kinds = self.kind.names();
        let (group, kind) = (backend.group.as_deref().unwrap_or(""), backend.kind.as_deref().unwrap_or("Service"));
        Some(Reference {
            from: [kinds.group, kinds.kind, self.here].map(ToOwned::to_owned),
            to: [group, kind, there, &backend.name].map(ToOwned::to_owned),
        })
    }

    fn name(&self, color: Color) -> &str {
        match color {
            Color::Blue => self.blue,
            Color::Green => self.green,
        }
    }

    /// Both backends, as they may stand in a rule.
    fn example(self) -> String {
        let [blue, green] = [self.blue, self.green].map(|name| match name.split_once('/') {
            Some((namespace, name)) => format!("{name}, namespace: {namespace}"),
            None => name.to_owned(),
        });
        format!("`backendRefs: [{{name: {blue}, port: 80, weight: 100}}, {{name: {green}, port: 80, weight: 0}}]`")
    }

    fn find_rule(self, route: &Route) -> Result<(usize, &RouteRule), Trouble> {
        let Self { router, blue, green, here, .. } = self;
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
        let names_a_color =
            |r: &RouteRule| r.backend_refs.iter().any(|b| is_color(b, blue, here) || is_color(b, green, here));
        // A dark step's own rule names one too, and is nobody's to drive.
        let mut fitting = rules().filter(|(_, r)| names_a_color(r) && !is_made(r));
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
}

/// Its Service, or a pool of the Gateway API's inference extension, which stands for the same pods.
fn is_color(backend: &BackendRef, name: &str, here: &str) -> bool {
    let (namespace, name) = name.split_once('/').unwrap_or((here, name));
    let kind = backend.kind.as_deref().unwrap_or("Service");
    let known = match backend.group.as_deref().unwrap_or("") {
        "" => kind == "Service",
        "inference.networking.k8s.io" | "inference.networking.x-k8s.io" => kind == "InferencePool",
        _ => false,
    };
    known && backend.namespace.as_deref().unwrap_or(here) == namespace && backend.name == name
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
