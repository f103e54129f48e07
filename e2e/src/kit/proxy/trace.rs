//! What a proxy wrote down: each request with what was sent and what was answered.
//! Nothing here judges it.

use std::time::Instant;

use serde_json::Value;

use super::rule::Asked;

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// get, watch, create, update, patch, delete.
    pub verb: &'static str,
    /// Its path.
    pub path: String,
    /// When it came.
    pub at: Instant,
    /// What was sent, as far as it is JSON.
    pub sent: Value,
    /// The answer's HTTP status; 0 when there was none.
    pub code: u16,
    /// What was answered, as far as it is JSON; nothing of a stream.
    pub got: Value,
}

impl Seen {
    pub(super) fn asked(asked: &Asked, body: &[u8]) -> Self {
        let sent = serde_json::from_slice(body).unwrap_or_default();
        Self { verb: asked.verb, path: asked.path.clone(), at: Instant::now(), sent, code: 0, got: Value::Null }
    }

    /// Whether it changes something.
    pub(crate) fn writes(&self) -> bool {
        !super::READS.contains(&self.verb)
    }

    /// Whether it had its effect, as far as the proxy knows.
    pub(crate) fn took(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// Plural, name and subresource: what comes after the namespace.
    pub(crate) fn object(&self) -> &str {
        let after = self.path.split_once("/namespaces/").and_then(|(_, rest)| rest.split_once('/'));
        after.map_or(self.path.as_str(), |(_, object)| object)
    }

    /// One line for people.
    pub(crate) fn line(&self) -> String {
        format!("{} {} → {}", self.verb, self.object(), self.code)
    }
}
