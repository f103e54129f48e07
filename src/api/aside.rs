//! What a dark step sends to the candidate without giving it a share: the requests of testers, and copies of those of
//! everybody. Fields, bounds, CEL rules, and the words of every line that tells shares; never any logic.

#![expect(
    unreachable_pub,
    reason = "the schema derive copies each struct, with its attributes, into a function where nothing is reachable"
)]

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Requests that reach the candidate at a dark step: exactly one field.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.header) != has(self.cookie)").message("match: each item names exactly one of `header` and `cookie`; write for example `{header: {name: x-tester, value: \"yes\"}}`"))]
pub struct Tester {
    /// Those with this header, exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<TesterHeader>,
    /// Those with this cookie, exactly. The gateway has to understand regular expressions of headers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<TesterCookie>,
}

/// A header and its value.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct TesterHeader {
    /// Its name, in any case.
    #[schemars(regex(pattern = r"^[A-Za-z0-9][-A-Za-z0-9_.]*$"), length(max = 64))]
    pub name: String,
    /// Its whole value.
    #[schemars(regex(pattern = r"^[!-~]([ -~]*[!-~])?$"), length(max = 128))]
    pub value: String,
}

/// A cookie and its value.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct TesterCookie {
    /// Its name.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_][-A-Za-z0-9_.]*$"), length(max = 64))]
    pub name: String,
    /// Its whole value.
    #[schemars(regex(pattern = r"^[-A-Za-z0-9_.]+$"), length(max = 128))]
    pub value: String,
}

/// What a dark step has put, or is about to put, into the routes beside the shares.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct Aside {
    /// Whose requests reach the candidate.
    #[serde(rename = "match", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub testers: Vec<Tester>,
    /// Of how many percent of all requests the candidate gets a copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub mirror: Option<i32>,
}

impl Aside {
    /// Whether it is nothing at all.
    pub const fn is_nothing(&self) -> bool {
        self.testers.is_empty() && self.mirror.is_none()
    }
}

/// What stands beside a share: `, copies of 10% and testers`.
pub fn words(mirror: Option<i32>, testers: bool) -> String {
    let mut words = mirror.map_or_else(String::new, |percent| format!(", copies of {percent}%"));
    words.push_str(if testers { " and testers" } else { "" });
    words
}
