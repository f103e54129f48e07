//! What a proxy does to which requests: after the n-th that fits, so many of them.
//! Nothing here is sent or answered.

use std::time::Duration;

use http::{Method, request::Parts};

/// A request as people name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// get, watch, create, update, patch, delete, post to who is no API server.
    pub verb: &'static str,
    /// Its path, without what is asked of it.
    pub path: String,
}

impl Asked {
    /// A list is a get here: only who waits for more is told apart.
    pub(super) fn of(head: &Parts) -> Self {
        let watches = head.uri.query().is_some_and(|query| query.contains("watch=true") || query.contains("watch=1"));
        let verb = match head.method {
            _ if watches => "watch",
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE => "delete",
            _ => "get",
        };
        Self { verb, path: head.uri.path().to_owned() }
    }
}

/// On which side of its effect a request is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum When {
    /// It is not forwarded.
    Before,
    /// It has its effect, and nobody is told.
    After,
    /// It has its effect, and the answer is there.
    Told,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection ends.
    Drop(When),
    /// The process that asked ends.
    Kill(When, i32),
    /// It is forwarded so much later.
    Delay(Duration),
    /// Nothing ever comes.
    Hang,
    /// A refusal that is not the API server's.
    Status {
        /// Its HTTP status.
        code: u16,
        /// Seconds to be left alone.
        retry_after: Option<u32>,
    },
    /// So many bytes of the answer, and the end of the connection.
    Truncate(usize),
}

/// All verbs that change nothing.
pub(crate) const READS: &[&str] = &["get", "watch"];

/// Harms requests of one kind.
#[derive(Debug)]
pub(crate) struct Rule {
    verbs: &'static [&'static str],
    /// Where the path ends; or, with a `/` at its own end, what stands in it.
    path: String,
    first: usize,
    times: usize,
    met: usize,
    fault: Fault,
}

impl Rule {
    /// Every request of these verbs, or of all when there are none, whose path ends so; with a `/` at the end, holds it.
    pub(crate) fn new(verbs: &'static [&'static str], path: impl Into<String>, fault: Fault) -> Self {
        Self { verbs, path: path.into(), first: 1, times: usize::MAX, met: 0, fault }
    }

    /// Only the n-th that fits, and so many in all.
    pub(crate) fn nth(self, first: usize, times: usize) -> Self {
        Self { first, times, ..self }
    }

    /// What is done to this request, if anything.
    pub(super) fn harm(&mut self, asked: &Asked) -> Option<Fault> {
        let there = asked.path.ends_with(&self.path) || self.path.ends_with('/') && asked.path.contains(&self.path);
        let fits = there && (self.verbs.is_empty() || self.verbs.contains(&asked.verb));
        self.met += usize::from(fits);
        (fits && self.met >= self.first && self.met - self.first < self.times).then_some(self.fault)
    }

    /// Whether it has met the first request it was for.
    pub(super) fn has_harmed(&self) -> bool {
        self.met >= self.first
    }
}

#[cfg(test)]
mod tests {
    use super::{Asked, Fault, Rule, When};

    #[test]
    fn a_rule_counts_what_fits() {
        let mut rule = Rule::new(&["patch"], "/httproutes/", Fault::Drop(When::Before)).nth(2, 2);
        let asked = |verb, path: &str| Asked { verb, path: path.to_owned() };
        let route = "/apis/gateway.networking.k8s.io/v1/namespaces/a/httproutes/chat";
        let harmed: Vec<_> =
            [("patch", route), ("get", route), ("patch", "/api"), ("patch", route), ("patch", route), ("patch", route)]
                .map(|(verb, path)| rule.harm(&asked(verb, path)).is_some())
                .into();
        assert_eq!(harmed, [false, false, false, true, true, false]);
        assert!(rule.has_harmed());
    }
}
