//! How the operator's configuration names a metrics provider, and the HTTP client made of it. Providers come from here
//! only, never from a rollout. Never shows an address, a header or a secret: errors name the provider and the field.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use reqwest::{
    Certificate, Client, Url,
    header::{HeaderMap, HeaderName, HeaderValue},
    redirect::Policy,
};
use serde::Deserialize;

/// A provider that speaks the Prometheus query API.
#[derive(Clone, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProviderSettings {
    /// The name that rollouts give in `metrics.provider`.
    pub name: String,
    /// Where it is; a path in front of `/api/v1` is kept.
    pub url: String,
    /// Headers that go with every question, for example a tenant's. Secrets belong in files.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// File with a bearer token, read anew for every question because tokens are rotated.
    #[serde(default)]
    pub bearer_token_file: Option<PathBuf>,
    /// User name and file with a password, instead of a token.
    #[serde(default)]
    pub basic_auth: Option<BasicAuth>,
    /// File with the certificates that are trusted instead of the system's; read at start.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Seconds that a question may take in all.
    #[serde(default = "five")]
    pub timeout_seconds: u64,
    /// Questions on the way at the same time.
    #[serde(default = "four")]
    pub max_in_flight: usize,
    /// Requests per second; a question takes two.
    #[serde(default = "twenty")]
    pub max_per_second: u32,
}

/// A user name with a password from a file.
#[derive(Clone, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BasicAuth {
    /// The user's name.
    pub username: String,
    /// File with the password, read anew for every question.
    pub password_file: PathBuf,
}

const fn five() -> u64 {
    5
}

const fn four() -> usize {
    4
}

const fn twenty() -> u32 {
    20
}

/// Addresses and headers may hold secrets; the name is enough.
impl fmt::Debug for ProviderSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderSettings").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why a provider cannot be used as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// A field has a value that cannot be used.
    #[error("provider {name}: {problem}")]
    Invalid {
        /// The provider.
        name: String,
        /// The field and what to write.
        problem: &'static str,
    },
    /// The certificates could not be read.
    #[error("provider {name}: caFile cannot be read: {source}")]
    CaFile {
        /// The provider.
        name: String,
        /// Why.
        source: std::io::Error,
    },
}

impl ProviderSettings {
    pub(super) fn endpoint(&self) -> Result<Url, ProviderError> {
        let mut url = Url::parse(&self.url)
            .map_err(|_| self.invalid("url: write for example http://prometheus.monitoring:9090"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(self.invalid("url: must begin with http:// or https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(self.invalid("url: must not hold a user or a password; use basicAuth with a passwordFile"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(self.invalid("url: must end with its path, without ? or #"));
        }
        let path = format!("{}/api/v1/query", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(url)
    }

    pub(super) fn client(&self) -> Result<Client, ProviderError> {
        self.check()?;
        let client = Client::builder()
            .user_agent(concat!("llmrollout/", env!("CARGO_PKG_VERSION")))
            .default_headers(self.headers()?)
            .connect_timeout(Duration::from_secs(2))
            .redirect(Policy::none())
            .referer(false)
            .no_proxy();
        let client = if let Some(certificates) = self.certificates()? {
            client.tls_certs_only(certificates)
        } else if self.url.starts_with("https:") {
            client
        } else {
            // The system's certificates are not needed, and where there are none the client could not be built.
            client.tls_certs_only([])
        };
        client
            .build()
            .map_err(|_| self.invalid("no TLS client could be made; give caFile, or install the system's certificates"))
    }

    fn check(&self) -> Result<(), ProviderError> {
        if !(1..=60).contains(&self.timeout_seconds) {
            return Err(self.invalid("timeoutSeconds: write 1 to 60"));
        }
        if !(1..=64).contains(&self.max_in_flight) {
            return Err(self.invalid("maxInFlight: write 1 to 64"));
        }
        if !(1..=1000).contains(&self.max_per_second) {
            return Err(self.invalid("maxPerSecond: write 1 to 1000"));
        }
        if self.bearer_token_file.is_some() && self.basic_auth.is_some() {
            return Err(self.invalid("give bearerTokenFile or basicAuth, not both"));
        }
        Ok(())
    }

    fn headers(&self) -> Result<HeaderMap, ProviderError> {
        const OURS: [&str; 7] = [
            "authorization",
            "proxy-authorization",
            "host",
            "cookie",
            "content-type",
            "content-length",
            "transfer-encoding",
        ];
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name =
                HeaderName::try_from(name.as_str()).map_err(|_| self.invalid("headers: a name is no HTTP header"))?;
            if OURS.contains(&name.as_str()) {
                return Err(self.invalid(
                    "headers: this one is not free to set; for Authorization use bearerTokenFile or basicAuth",
                ));
            }
            let mut value = HeaderValue::try_from(value.as_str())
                .map_err(|_| self.invalid("headers: a value is no HTTP header"))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(headers)
    }

    fn certificates(&self) -> Result<Option<Vec<Certificate>>, ProviderError> {
        let Some(path) = &self.ca_file else { return Ok(None) };
        let pem = std::fs::read(path).map_err(|source| ProviderError::CaFile { name: self.name.clone(), source })?;
        match Certificate::from_pem_bundle(&pem) {
            Ok(certificates) if !certificates.is_empty() => Ok(Some(certificates)),
            _ => Err(self.invalid("caFile: holds no certificate in PEM form")),
        }
    }

    fn invalid(&self, problem: &'static str) -> ProviderError {
        ProviderError::Invalid { name: self.name.clone(), problem }
    }
}
