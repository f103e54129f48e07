//! What a dark step puts into an HTTPRoute beside the weights: a filter that copies requests (`mirror`), and a rule of its
//! own for testers, at the end of the list, so that everything else keeps its place. The rule is found again by its name.
//! Precedence in the Gateway API is by how much a match asks for, not by order: the rule asks for what the managed rule asks
//! for and for a header more.

use kube::core::DynamicObject;
use serde_json::{Map, Value, json};

use super::mirror::{ClassSeen, Copies};
use crate::api::{
    aside::{Aside, Tester},
    route::RouteRule,
    status::Color,
};

/// How the names of our rules begin. What follows is the Service that the rule sends to and the managed rule's name.
const OURS: &str = "llmrollout-match.";
/// What the Gateway API allows.
const MOST_RULES: usize = 16;
const MOST_MATCHES: usize = 64;
const MOST_MATCHES_OF_ALL: usize = 128;
const MOST_HEADERS: usize = 16;
const LONGEST_NAME: usize = 253;

/// Whether a rule is one of those that dark steps make.
pub(super) fn is_made(rule: &RouteRule) -> bool {
    rule.name.as_deref().is_some_and(|name| name.starts_with(OURS))
}

/// What is wanted beside the shares.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// What a dark step puts there; nothing takes it out.
    pub aside: &'a Aside,
    /// The color that gets it.
    pub color: Color,
    /// Whether a filter that copies requests to that color is ours. It has no name: status knows.
    pub ours: bool,
}

/// The managed rule, and what stands beside it because of a dark step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// What the colors' Services are called from the route's namespace.
    colors: [String; 2],
    /// The rule as it was read, whole: what a rule for testers is made of.
    rule: Value,
    /// Blue's backend and green's: as they stand in the rule, or stood where one was taken out by our own hand.
    backends: [Value; 2],
    /// Rules of the route that are not ours, and matches in them.
    others: (usize, usize),
    /// Our rules, by their index.
    made: Vec<(usize, Value)>,
    /// What copies requests, or could.
    copies: Copies,
}

impl Room {
    /// What there is beside the rule at `index`, of which `backends` are blue's and green's.
    pub(super) fn of(object: &DynamicObject, index: usize, colors: [&str; 2], backends: [&Value; 2]) -> Option<Self> {
        let rules = object.data.pointer("/spec/rules")?.as_array()?;
        let rule = rules.get(index)?.clone();
        let there: Vec<&str> = rules.iter().filter_map(name_of).collect();
        let managed = name_of(&rule);
        let ours = |rule: &Value| {
            let of = name_of(rule).and_then(|name| name.strip_prefix(OURS)?.split_once('.'));
            // A rule that was made for one which has another name now is ours to take out as well.
            let ends_of = |to: &str| colors.iter().any(|color| in_a_name(color) == to);
            of.is_some_and(|(to, of)| ends_of(to) && (managed == Some(of) || !there.contains(&of)))
        };
        let (made, others): (Vec<_>, Vec<_>) = rules.iter().enumerate().partition(|(_, rule)| ours(rule));
        let matches = others.iter().map(|(_, rule)| matches_of(rule).len()).sum();
        Some(Self {
            colors: colors.map(ToOwned::to_owned),
            copies: Copies::of(index, &rule),
            rule,
            backends: backends.map(Clone::clone),
            others: (others.len(), matches),
            made: made.into_iter().map(|(at, rule)| (at, rule.clone())).collect(),
        })
    }

    /// With what the gateways behind it can do.
    pub(super) fn beside<'a>(mut self, classes: &[ClassSeen], controllers: impl Iterator<Item = &'a str>) -> Self {
        self.copies.learn(classes, controllers);
        self
    }

    /// Whether a rule for testers stands there.
    pub const fn sends_testers(&self) -> bool {
        !self.made.is_empty()
    }

    /// Of how many percent of all requests the color gets a copy.
    pub fn mirrors(&self, color: Color) -> Option<i32> {
        self.copies.to(self.backend(color)).map(|(_, percent)| percent).next()
    }

    /// Whether exactly this stands there.
    pub fn holds(&self, Wanted { aside, color, ours }: Wanted<'_>) -> bool {
        let copied = !ours || self.copies.to(self.backend(color)).map(|(_, percent)| percent).eq(aside.mirror);
        copied
            && match self.made.as_slice() {
                [] => aside.testers.is_empty(),
                [(_, rule)] => self.sends(rule, &aside.testers, color),
                _ => false,
            }
    }

    /// Whether some of this is missing.
    pub fn lacks(&self, Wanted { aside, color, .. }: Wanted<'_>) -> bool {
        let copied = aside.mirror.is_none() || self.mirrors(color).is_some();
        !copied || (!aside.testers.is_empty() && self.made.is_empty())
    }

    /// Why this cannot be written here: what to write instead.
    pub fn refuses(&self, Wanted { aside, color, ours }: Wanted<'_>) -> Option<String> {
        let copies = aside.mirror.and_then(|percent| self.copies.refuse(percent, self.backend(color), ours));
        copies.or_else(|| self.refuses_testers(aside))
    }

    fn refuses_testers(&self, aside: &Aside) -> Option<String> {
        let testers = aside.testers.len();
        if testers == 0 {
            return None;
        }
        let Some(name) = name_of(&self.rule) else {
            return Some("the rule has no name, and the rule for testers is found again by its own; give it one, for example `name: chat`".to_owned());
        };
        let own = matches_of(&self.rule);
        let (rules, matches) = self.others;
        let headers = |m: &Value| m["headers"].as_array().cloned().unwrap_or_default();
        let asked = own.iter().flat_map(headers).find(|h| aside.testers.iter().any(|t| same_name(h, t)));
        let longest = self.colors.iter().map(|to| OURS.len() + to.len() + 1 + name.len()).max().unwrap_or(0);
        match () {
            () if asked.is_some() => {
                let header = asked.as_ref().and_then(name_of).unwrap_or_default();
                Some(format!("the rule asks for the header {header} itself; send testers by another one"))
            }
            () if rules >= MOST_RULES => {
                Some(format!("it has {rules} rules, and the rule for testers would be one too many; join two of them"))
            }
            () if own.len() * testers > MOST_MATCHES || matches + own.len() * testers > MOST_MATCHES_OF_ALL => {
                Some("its matches, for each item of `match`, are more than a route may have; write fewer".to_owned())
            }
            () if own.iter().any(|m| headers(m).len() >= MOST_HEADERS) => {
                Some(format!("a match asks for {MOST_HEADERS} headers already, and there may be no more"))
            }
            () if own.len() * testers > 1 && self.replaces_a_prefix() => Some(
                "a filter replaces the prefix of its path, for which a rule may have one match only; write one item of `match`".to_owned(),
            ),
            () if longest > LONGEST_NAME => Some("the name of the rule is too long to name another one after it".to_owned()),
            () => None,
        }
    }

    /// The operations that bring it there, for the end of a patch: none when it stands there already.
    pub(super) fn write(&self, Wanted { aside, color, ours }: Wanted<'_>) -> Vec<Value> {
        let right = |rule: &Value| self.sends(rule, &aside.testers, color);
        let keep = self.made.iter().find(|(_, rule)| right(rule)).map(|(at, _)| *at);
        // Places were read before any rule comes or goes: filters first.
        let copying = ours || aside.mirror.is_some();
        let mut ops = if copying { self.copies.write(self.backend(color), aside.mirror) } else { Vec::new() };
        for (at, rule) in self.made.iter().rev().filter(|(at, _)| Some(*at) != keep) {
            ops.push(json!({"op": "test", "path": format!("/spec/rules/{at}/name"), "value": rule["name"]}));
            ops.push(json!({"op": "remove", "path": format!("/spec/rules/{at}")}));
        }
        if keep.is_none() && !aside.testers.is_empty() {
            ops.push(
                json!({"op": "add", "path": "/spec/rules/-", "value": self.rule_for(&aside.testers, color, copying)}),
            );
        }
        ops
    }

    fn service(&self, color: Color) -> &str {
        let [blue, green] = &self.colors;
        match color {
            Color::Blue => blue,
            Color::Green => green,
        }
    }

    /// The color's backend in the managed rule.
    fn backend(&self, color: Color) -> &Value {
        let [blue, green] = &self.backends;
        if color == Color::Blue { blue } else { green }
    }

    /// Whether a rule sends just these testers to the color, whatever the API server has added to it.
    fn sends(&self, rule: &Value, testers: &[Tester], color: Color) -> bool {
        let to = rule["backendRefs"].as_array().map(Vec::as_slice).unwrap_or_default();
        let matches = matches_of(rule);
        let asks = |m: &Value, t: &Tester| {
            let wanted = header(t);
            let headers = m["headers"].as_array().map(Vec::as_slice).unwrap_or_default();
            headers.iter().any(|h| same_name(h, t) && h["value"] == wanted["value"])
        };
        !testers.is_empty()
            && matches!(to, [one] if self.is(one, color))
            && matches.iter().all(|m| testers.iter().any(|t| asks(m, t)))
            && testers.iter().all(|t| matches.iter().any(|m| asks(m, t)))
    }

    /// Whether a backend is a color's, in its namespace.
    fn is(&self, backend: &Value, color: Color) -> bool {
        let own = self.backend(color);
        ["name", "namespace"].iter().all(|field| backend[field] == own[field])
    }

    /// The managed rule again, for testers and one color only. Without sessions: a tester's must not outlive the step.
    fn rule_for(&self, testers: &[Tester], color: Color, copying: bool) -> Value {
        let mut rule = self.rule.as_object().cloned().unwrap_or_default();
        let name = format!("{OURS}{}.{}", in_a_name(self.service(color)), name_of(&self.rule).unwrap_or_default());
        let mut backend = self.backend(color).clone();
        backend["weight"] = json!(100);
        let own = matches_of(&self.rule);
        let matches: Vec<Value> = own.iter().flat_map(|m| testers.iter().map(|t| asking(m, t))).collect();
        if copying {
            self.copies.leave_out(self.backend(color), &mut rule);
        }
        rule.remove("sessionPersistence");
        rule.insert("name".to_owned(), json!(name));
        rule.insert("matches".to_owned(), json!(matches));
        rule.insert("backendRefs".to_owned(), json!([backend]));
        Value::Object(rule)
    }

    fn replaces_a_prefix(&self) -> bool {
        let backends = self.rule["backendRefs"].as_array().into_iter().flatten();
        let all = std::iter::once(&self.rule).chain(backends).filter_map(|x| x["filters"].as_array()).flatten();
        all.into_iter().any(|filter| filter["urlRewrite"]["path"]["type"] == "ReplacePrefixMatch")
    }
}

/// What a rule asks for. One without matches takes everything, and the API server writes so.
fn matches_of(rule: &Value) -> Vec<Value> {
    match rule["matches"].as_array() {
        Some(all) if !all.is_empty() => all.clone(),
        _ => vec![json!({"path": {"type": "PathPrefix", "value": "/"}})],
    }
}

/// The same match with one header more.
fn asking(a_match: &Value, tester: &Tester) -> Value {
    let mut asks: Map<String, Value> = a_match.as_object().cloned().unwrap_or_default();
    let mut headers = asks.get("headers").and_then(Value::as_array).cloned().unwrap_or_default();
    headers.push(header(tester));
    asks.insert("headers".to_owned(), json!(headers));
    Value::Object(asks)
}

/// A tester as a match of the Gateway API. Some gateways hold an expression against the whole header and some look for it
/// anywhere: with both ends marked it means the same.
fn header(tester: &Tester) -> Value {
    let (name, kind, value) = match (&tester.header, &tester.cookie) {
        (_, Some(cookie)) => {
            let [name, value] = [&cookie.name, &cookie.value].map(|text| text.replace('.', r"\."));
            ("Cookie", "RegularExpression", format!("^(.*; ?)?{name}={value}(;.*)?$"))
        }
        (Some(header), None) => (header.name.as_str(), "Exact", header.value.clone()),
        (None, None) => ("", "Exact", String::new()),
    };
    json!({"name": name, "type": kind, "value": value})
}

/// What a color is called within the name of a rule, which has no slash.
fn in_a_name(called: &str) -> String {
    called.replace('/', "-")
}

fn same_name(header_match: &Value, tester: &Tester) -> bool {
    let (ours, theirs) = (header(tester), name_of(header_match).unwrap_or_default());
    name_of(&ours).is_some_and(|name| name.eq_ignore_ascii_case(theirs))
}

fn name_of(value: &Value) -> Option<&str> {
    value["name"].as_str()
}
