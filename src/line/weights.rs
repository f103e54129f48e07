//! The requests of docs/webhook-router.md: who asks, about whom, and until when. Never sends them.

use reqwest::{
    Client, Method, RequestBuilder,
    header::{ACCEPT, CACHE_CONTROL},
};

use super::{Line, url};
use crate::metrics::About;

/// The release that a request is about.
#[derive(Clone, Copy, Debug)]
pub struct Whose<'a> {
    /// Namespace of the rollout.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The number of its attempt; 0 before the first.
    pub attempt: i64,
}

impl Line {
    /// A request to the webhook at the other end.
    pub fn about_weights(&self, client: &Client, method: Method, whose: Whose<'_>) -> RequestBuilder {
        let Whose { namespace, name, attempt } = whose;
        let about = About { namespace: namespace.to_owned(), name: name.to_owned(), ..About::default() };
        client
            .request(method, url::about(self.endpoint(), &about))
            .header(ACCEPT, "application/json")
            .header(CACHE_CONTROL, "no-cache")
            .header("LlmRollout-Namespace", namespace)
            .header("LlmRollout-Name", name)
            .header("LlmRollout-Attempt", attempt)
            .header("LlmRollout-Deadline", self.settings().timeout().as_secs())
    }
}
