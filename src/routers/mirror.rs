//! The filter that copies requests to a color without anybody seeing the answers: what of it stands in a rule, whether the
//! gateways can, and the operations that add it and take it out. A filter has no name: whose it is, status knows.

use serde_json::{Map, Value, json};

/// The names of the Gateway API's features, as a `GatewayClass` announces them.
const MIRRORS: &str = "HTTPRouteRequestMirror";
const BY_PERCENT: &str = "HTTPRouteRequestPercentageMirror";
const SEVERAL: &str = "HTTPRouteRequestMultipleMirrors";
/// Announces nothing (1.33), copies every request whatever `percent` says, and takes several filters.
const CONTOUR: &str = "projectcontour.io/gateway-controller";
/// What the Gateway API allows in a rule.
const MOST_FILTERS: usize = 16;

/// What a `GatewayClass` says of its gateways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassSeen {
    /// Who sees to its gateways.
    pub controller: String,
    /// The features that it announces.
    pub features: Vec<String>,
}

impl ClassSeen {
    /// What a `GatewayClass` says, by everything in it but its metadata.
    pub fn of(class: &Value) -> Self {
        let features = class["status"]["supportedFeatures"].as_array().into_iter().flatten();
        // Once they were plain words.
        let named = features.filter_map(|f| f["name"].as_str().or_else(|| f.as_str()));
        let controller = class["spec"]["controllerName"].as_str().unwrap_or_default();
        Self { controller: controller.to_owned(), features: named.map(ToOwned::to_owned).collect() }
    }
}

/// What copies requests in the managed rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Copies {
    /// The rule's place: `/spec/rules/0`.
    at: String,
    /// Its filters, if it has a list of them.
    filters: Option<Vec<Value>>,
    /// The gateways that have answered for the route, with the features that are known of each.
    gateways: Vec<(String, Vec<String>)>,
}

impl Copies {
    pub(super) fn of(index: usize, rule: &Value) -> Self {
        let filters = rule["filters"].as_array().cloned();
        Self { at: format!("/spec/rules/{index}"), filters, gateways: Vec::new() }
    }

    /// Takes down what the gateways can do: what all classes of a controller announce.
    pub(super) fn learn<'a>(&mut self, classes: &[ClassSeen], controllers: impl Iterator<Item = &'a str>) {
        for name in controllers {
            let of: Vec<_> = classes.iter().filter(|c| c.controller == name && !c.features.is_empty()).collect();
            let known = match of.split_first() {
                Some((first, rest)) => {
                    first.features.iter().filter(|f| rest.iter().all(|c| c.features.contains(f))).cloned().collect()
                }
                None if name == CONTOUR => vec![MIRRORS.to_owned(), SEVERAL.to_owned()],
                None => Vec::new(),
            };
            self.gateways.push((name.to_owned(), known));
        }
    }

    /// The filters that copy to a backend, by their index, with their percent.
    pub(super) fn to<'a>(&'a self, backend: &'a Value) -> impl Iterator<Item = (usize, i32)> + 'a {
        let filters = self.filters.iter().flatten().enumerate();
        filters.filter_map(move |(at, filter)| Some((at, copies_to(filter, backend)?)))
    }

    /// Why requests cannot be copied to this backend: what to write instead.
    pub(super) fn refuse(&self, percent: i32, backend: &Value, ours: bool) -> Option<String> {
        let name = backend["name"].as_str().unwrap_or_default();
        if backend["kind"].as_str().is_some_and(|kind| kind != "Service") {
            return Some(format!(
                "{name} is no Service, and the Gateway API copies requests to Services only; leave `mirror` out"
            ));
        }
        let own = if ours { self.to(backend).count() } else { 0 };
        if !ours && self.to(backend).next().is_some() {
            return Some(format!(
                "the rule copies requests to {name} already; take that filter out, or leave `mirror` out"
            ));
        }
        let all = self.filters.as_ref().map_or(0, Vec::len) - own;
        if all >= MOST_FILTERS {
            return Some(format!("the rule has {all} filters already, and there may be no more"));
        }
        let mirrors = self.filters.iter().flatten().filter(|f| f["type"] == "RequestMirror").count() - own;
        self.cannot(percent < 100, mirrors > 0)
    }

    /// What a gateway behind the route cannot do.
    fn cannot(&self, by_percent: bool, several: bool) -> Option<String> {
        if self.gateways.is_empty() {
            return Some(
                "no gateway has answered for it yet, so that nobody knows whether it copies requests".to_owned(),
            );
        }
        let lacks =
            |needed: &str| self.gateways.iter().find(|(_, can)| can.iter().all(|f| f != needed)).map(|(name, _)| name);
        if let Some(name) = lacks(MIRRORS) {
            return Some(format!(
                "the GatewayClass of {name} does not announce {MIRRORS}, or cannot be read; leave `mirror` out"
            ));
        }
        if let Some(name) = lacks(BY_PERCENT).filter(|_| by_percent) {
            return Some(format!(
                "{name} copies all requests or none ({BY_PERCENT} is not announced); write `mirror: 100%`, or leave it out"
            ));
        }
        let name = lacks(SEVERAL).filter(|_| several)?;
        Some(format!(
            "the rule copies requests elsewhere, and {name} does so to one place only ({SEVERAL} is not announced); leave `mirror` out"
        ))
    }

    /// The operations that leave just one filter for the backend, or none.
    pub(super) fn write(&self, backend: &Value, percent: Option<i32>) -> Vec<Value> {
        let filters = format!("{}/filters", self.at);
        let there: Vec<_> = self.to(backend).collect();
        let keep = there.iter().find(|(_, has)| Some(*has) == percent).map(|(at, _)| *at);
        let gone: Vec<usize> = there.iter().map(|(at, _)| *at).filter(|at| Some(*at) != keep).collect();
        let adds = percent.filter(|_| keep.is_none());
        let all = self.filters.as_deref().unwrap_or_default();
        let test = |at: usize| json!({"op": "test", "path": format!("{filters}/{at}"), "value": all.get(at)});
        let mut ops = Vec::new();
        if !gone.is_empty() && gone.len() == all.len() && adds.is_none() {
            // There was no list before ours.
            ops.extend(gone.into_iter().map(test));
            ops.push(json!({"op": "remove", "path": filters}));
            return ops;
        }
        for at in gone.into_iter().rev() {
            ops.push(test(at));
            ops.push(json!({"op": "remove", "path": format!("{filters}/{at}")}));
        }
        if let Some(percent) = adds {
            let filter = filter(backend, percent);
            ops.push(match self.filters {
                Some(_) => json!({"op": "add", "path": format!("{filters}/-"), "value": filter}),
                None => json!({"op": "add", "path": filters, "value": [filter]}),
            });
        }
        ops
    }

    /// Takes our filter out of a copy of the rule.
    pub(super) fn leave_out(&self, backend: &Value, rule: &mut Map<String, Value>) {
        let mut filters = self.filters.clone().unwrap_or_default();
        filters.retain(|filter| copies_to(filter, backend).is_none());
        if filters.is_empty() {
            rule.remove("filters");
        } else {
            rule.insert("filters".to_owned(), json!(filters));
        }
    }
}

/// The percent of which a filter copies to this backend. One without a word copies all.
fn copies_to(filter: &Value, backend: &Value) -> Option<i32> {
    let mirror = filter.get("requestMirror")?;
    let to = &mirror["backendRef"];
    let kind = to["kind"].as_str().unwrap_or("Service") == "Service" && to["group"].as_str().unwrap_or("").is_empty();
    if !kind || ["name", "namespace"].iter().any(|field| to[field] != backend[field]) {
        return None;
    }
    let percent = match (mirror["percent"].as_i64(), &mirror["fraction"]) {
        (Some(percent), _) => percent,
        (None, Value::Null) => 100,
        // We write none.
        (None, _) => 0,
    };
    i32::try_from(percent).ok()
}

fn filter(backend: &Value, percent: i32) -> Value {
    let mut mirror = json!({"backendRef": {"name": backend["name"], "port": backend["port"]}});
    if let Some(there) = backend.get("namespace") {
        mirror["backendRef"]["namespace"] = there.clone();
    }
    if percent < 100 {
        mirror["percent"] = json!(percent);
    }
    json!({"type": "RequestMirror", "requestMirror": mirror})
}
