//! Who gets the page: only who knows its random address, only by this machine's own name for itself, and a word only
//! from the page itself. Never knows what is served.

use std::{fmt::Write, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue, Method, StatusCode,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::cli::error::CliError;

/// The page brings this with every word; no form and no link of another page can.
pub(super) const HEADER: &str = "x-llmrollout-token";

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The token, and the names under which the page is asked for.
#[derive(Debug)]
pub(super) struct Guard {
    token: String,
    hosts: [String; 2],
}

impl Guard {
    /// A new token for a page on this port.
    pub(super) fn new(port: u16) -> Result<Self, CliError> {
        let mut random = [0_u8; 16];
        getrandom::fill(&mut random).map_err(|e| CliError::NoToken(e.to_string()))?;
        let token = random.iter().fold(String::new(), |mut text, byte| {
            // A String takes everything.
            let _ = write!(text, "{byte:02x}");
            text
        });
        Ok(Self { token, hosts: ["127.0.0.1", "localhost"].map(|name| format!("{name}:{port}")) })
    }

    /// What stands before every path.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// The whole address.
    pub(super) fn url(&self) -> String {
        format!("http://{}/{}/", self.hosts[0], self.token)
    }

    /// Why a request gets nothing. A name of somebody else that leads to this machine is not ours (DNS rebinding), and
    /// what comes from another page is not the person's word.
    fn objects(&self, method: &Method, headers: &HeaderMap) -> Option<&'static str> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let host = text(HOST.as_str()).filter(|host| self.hosts.iter().any(|own| own == host));
        let Some(host) = host else { return Some("this page is asked for as 127.0.0.1 or localhost") };
        if text(ORIGIN.as_str()).is_some_and(|origin| origin != format!("http://{host}")) {
            return Some("another page may not ask");
        }
        let reads = [Method::GET, Method::HEAD].contains(method);
        (!reads && text(HEADER) != Some(&self.token)).then_some("a word is taken from the page alone")
    }
}

/// Lets a request through or not, and says with every answer what the browser may do with it.
pub(super) async fn guard(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let mut response = match guard.objects(request.method(), request.headers()) {
        Some(why) => (StatusCode::FORBIDDEN, why).into_response(),
        None => next.run(request).await,
    };
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-store"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
