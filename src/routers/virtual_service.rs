//! An HTTP route of a user's Istio VirtualService: the two weights. Colors are destinations by host, or subsets `blue` and
//! `green` of the host that is called as the rollout. A JSON patch guarded by version and destinations changes two numbers
//! and leaves every other byte.

use serde::Deserialize;
use serde_json::Value;

use super::{
    Follows, Found, PatchKind, Place, Seen, Trouble,
    split::{self, Split, Weights, Words},
    trouble, understood,
};
use crate::api::{Reason, status::Color, traffic::VirtualServiceRouter};

/// What we read of a VirtualService, beside its metadata.
#[derive(Deserialize, Default)]
#[serde(default)]
struct VirtualService {
    spec: Spec,
    status: Status,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Spec {
    http: Vec<HttpRoute>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct HttpRoute {
    name: Option<String>,
    route: Vec<Weighted>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Weighted {
    /// As it stands there, to be guarded whole.
    destination: Value,
    weight: Option<i32>,
}

/// What Istio says of it, where it is told to say anything.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    observed_generation: Value,
    conditions: Vec<Word>,
    validation_messages: Vec<Finding>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Word {
    #[serde(rename = "type")]
    type_: String,
    status: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Finding {
    level: String,
    #[serde(rename = "type")]
    kind: FindingKind,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct FindingKind {
    code: String,
    name: String,
}

/// What the VirtualService says about traffic between the Services `blue` and `green`.
pub fn read(router: &VirtualServiceRouter, colors: [&str; 2], found: Found<'_>) -> Result<Seen, Trouble> {
    let what = format!("VirtualService {}", router.name);
    let (object, read): (_, VirtualService) = understood(PatchKind::VirtualService, &router.name, found.object)?;
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let color = |weighted: &Weighted| color_of(&weighted.destination, colors, namespace);
    let (index, http) = find(router, &what, &read, &color, colors)?;
    let destination = |weighted: &Weighted| split::Destination {
        name: shown(&weighted.destination),
        color: color(weighted),
        weight: weighted.weight,
    };
    let all: Vec<_> = http.route.iter().map(destination).collect();
    // Beside others, a destination without a weight gets nothing.
    let words = Words {
        of: format!("HTTP route of {what}"),
        noun: "destination",
        example: example(colors),
        colors,
        left_out: 0,
    };
    let Split { blue, green, scale, shares, exact, out } = Split::of(&words, &all, found.out)?;
    let list = format!("/spec/http/{index}/route");
    let whole = |color: Color, at: usize| match found.out {
        Some(o) if out == Some(color) => (at, o.whole.clone()),
        _ => (at, object.data.pointer(&format!("{list}/{at}")).cloned().unwrap_or(Value::Null)),
    };
    let (blue, green) = (whole(Color::Blue, blue), whole(Color::Green, green));
    let weights = Weights { list, field: "destination", blue, green, scale, out };
    Ok(Seen {
        version: object.metadata.resource_version.clone().unwrap_or_default(),
        shares,
        exact,
        follows: follows(&read.status, object.metadata.generation),
        // Istio pins in DestinationRules, by a hash over the pods of one host.
        pins: false,
        // Istio asks nobody for a grant.
        crosses: Vec::new(),
        place: Place::Weights { kind: PatchKind::VirtualService, namespace: None, name: router.name.clone(), weights },
        room: None,
    })
}

fn example([blue, green]: [&str; 2]) -> String {
    format!("`route: [{{destination: {{host: {blue}}}, weight: 100}}, {{destination: {{host: {green}}}, weight: 0}}]`")
}

fn find<'a>(
    router: &VirtualServiceRouter,
    what: &str,
    read: &'a VirtualService,
    color: &impl Fn(&Weighted) -> Option<Color>,
    colors: [&str; 2],
) -> Result<(usize, &'a HttpRoute), Trouble> {
    let all = || read.spec.http.iter().enumerate();
    if let Some(name) = &router.http {
        let field = "traffic[].virtualService.http";
        let mut named = all().filter(|(_, http)| http.name.as_ref() == Some(name));
        return match (named.next(), named.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err(trouble(
                Reason::RuleNotFound,
                format!("{what} has no HTTP route named {name}; give the route that name, or correct `{field}`"),
            )),
            (Some(_), Some(_)) => Err(trouble(
                Reason::RuleNotFound,
                format!("{what} has two HTTP routes named {name}; give each a name of its own"),
            )),
        };
    }
    let mut fitting = all().filter(|(_, http)| http.route.iter().any(|weighted| color(weighted).is_some()));
    let [blue, green] = colors;
    match (fitting.next(), fitting.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(trouble(
            Reason::BackendMissing,
            format!("no HTTP route of {what} has the destinations {blue} and {green}; write {}", example(colors)),
        )),
        (Some(_), Some(_)) => Err(trouble(
            Reason::RuleNotFound,
            format!(
                "several HTTP routes of {what} send to {blue} or {green}; name the one meant with `traffic[].virtualService.http`"
            ),
        )),
    }
}

/// The color of a destination: its Service, or a subset of the host that is called as the rollout.
fn color_of(destination: &Value, colors: [&str; 2], namespace: &str) -> Option<Color> {
    let host = destination["host"].as_str()?;
    let pairs = Color::BOTH.into_iter().zip(colors);
    match destination.get("subset").and_then(Value::as_str).filter(|subset| !subset.is_empty()) {
        None => pairs.into_iter().find(|(_, name)| is_host(host, name, namespace)).map(|(color, _)| color),
        Some(subset) => {
            let of_all = |color: Color, name: &str| {
                let rollout = name.strip_suffix(color.word()).and_then(|name| name.strip_suffix('-'));
                rollout.is_some_and(|rollout| is_host(host, rollout, namespace))
            };
            pairs
                .into_iter()
                .find(|(color, name)| subset == color.word() && of_all(*color, name))
                .map(|(color, _)| color)
        }
    }
}

/// `chat`, `chat.llm`, `chat.llm.svc` and `chat.llm.svc.cluster.local` are one Service of the namespace `llm`.
fn is_host(host: &str, name: &str, namespace: &str) -> bool {
    let Some(rest) = host.strip_prefix(name) else { return false };
    let Some(rest) = rest.strip_prefix('.') else { return rest.is_empty() };
    let Some(rest) = rest.strip_prefix(namespace) else { return false };
    rest.is_empty() || rest == ".svc" || rest.starts_with(".svc.")
}

/// As people know a destination: its host, and its subset if it has one.
fn shown(destination: &Value) -> String {
    let part = |field: &str| destination[field].as_str().unwrap_or_default();
    let subset = part("subset");
    if subset.is_empty() { part("host").to_owned() } else { format!("{} ({subset})", part("host")) }
}

/// Istio says whether its proxies follow only where that is switched on; what it finds wrong it says of a generation.
fn follows(status: &Status, generation: Option<i64>) -> Follows {
    let observed = match &status.observed_generation {
        Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    };
    if observed < generation {
        return Follows::NotYet;
    }
    if let Some(wrong) = status.validation_messages.iter().find(|found| found.level == "ERROR") {
        return Follows::Refuses(format!("{} {}", wrong.kind.code, wrong.kind.name));
    }
    let reconciled = status.conditions.iter().any(|word| word.type_ == "Reconciled" && word.status == "True");
    if reconciled { Follows::Yes } else { Follows::NotYet }
}
