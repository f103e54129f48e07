//! How the operator's configuration names a metrics provider, or an endpoint that tells a number, and the HTTP client made
//! of it. Both come from here only, never from a rollout. Never shows an address, a header or a secret: errors name the provider and the field.

use std::{collections::BTreeMap, fmt, io, path::PathBuf, time::Duration};

use reqwest::{
    Certificate, Client, ClientBuilder, Identity, Url,
    header::{HeaderMap, HeaderName, HeaderValue},
    redirect::Policy,
};
use serde::Deserialize;

use super::{
    address::{Resolver, is_refused},
    url,
};
use crate::metrics::ask;

/// What is spoken with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Speaks {
    /// The Prometheus query API.
    #[default]
    Prometheus,
    /// One JSON document for each GET.
    Json,
    /// The protocol of docs/webhook-router.md.
    Weights,
}

/// A provider that speaks the Prometheus query API, or an endpoint.
#[derive(Clone, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProviderSettings {
    /// What is spoken with it; said by the list that it stands in.
    #[serde(skip)]
    pub speaks: Speaks,
    /// The name that rollouts give in `metrics.provider`, or in a gate's `http.name`.
    pub name: String,
    /// Where it is; a path in front of `/api/v1` is kept. Values in the query of an endpoint may hold `{{namespace}}`,
    /// `{{name}}`, `{{color}}` and `{{revision}}`.
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
    /// File with the certificates that are trusted instead of the system's. This and the next two are looked at before
    /// every question, because certificates are rotated.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// File with the certificate that we show, and those between it and its authority.
    #[serde(default)]
    pub cert_file: Option<PathBuf>,
    /// File with its private key.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// The name that the provider's certificate bears, where it is not the host of `url`.
    #[serde(default)]
    pub server_name: Option<String>,
    /// Seconds that a request may take in all; 5, for a webhook 3.
    #[serde(default)]
    pub timeout_seconds: Option<u64>,
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
    #[error("{whom} {name}: {problem}")]
    Invalid {
        /// A provider or an endpoint.
        whom: &'static str,
        /// Its name.
        name: String,
        /// The field and what to write.
        problem: &'static str,
    },
    /// A file with certificates could not be read.
    #[error("{whom} {name}: {field} cannot be read: {source}")]
    Unreadable {
        /// A provider or an endpoint.
        whom: &'static str,
        /// Its name.
        name: String,
        /// The field that names the file.
        field: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// What the files with certificates hold.
#[derive(PartialEq, Eq)]
pub(super) struct Files {
    ca: Option<Vec<u8>>,
    certificate: Option<Vec<u8>>,
    key: Option<Vec<u8>>,
}

impl Files {
    pub(super) fn read(settings: &ProviderSettings) -> Result<Self, ProviderError> {
        let read = |field: &'static str, path: &Option<PathBuf>| {
            let unreadable = |source| ProviderError::Unreadable {
                whom: settings.whom(),
                name: settings.name.clone(),
                field,
                source,
            };
            path.as_ref().map(std::fs::read).transpose().map_err(unreadable)
        };
        Ok(Self {
            ca: read("caFile", &settings.ca_file)?,
            certificate: read("certFile", &settings.cert_file)?,
            key: read("keyFile", &settings.key_file)?,
        })
    }

    /// The same without making anybody wait.
    pub(super) async fn read_again(settings: &ProviderSettings) -> io::Result<Self> {
        let read = async |path: &Option<PathBuf>| match path {
            Some(path) => tokio::fs::read(path).await.map(Some),
            None => Ok(None),
        };
        Ok(Self {
            ca: read(&settings.ca_file).await?,
            certificate: read(&settings.cert_file).await?,
            key: read(&settings.key_file).await?,
        })
    }
}

impl ProviderSettings {
    /// Where questions go. With a `serverName` that is its host, because a certificate is held against the URL's; the
    /// resolver sees to it that the configured host is dialed.
    pub(super) fn endpoint(&self) -> Result<Url, ProviderError> {
        let mut url = self.configured()?;
        if self.speaks == Speaks::Prometheus {
            let path = format!("{}/api/v1/query", url.path().trim_end_matches('/'));
            url.set_path(&path);
        }
        if let Some(name) = &self.server_name {
            let problem = "serverName: write a DNS name, for example prometheus.example";
            url.set_host(Some(name)).map_err(|_| self.invalid(problem))?;
            if url.scheme() != "https" || url.domain() != Some(name.as_str()) {
                return Err(self.invalid("serverName: write a DNS name, and a url that begins with https://"));
            }
        }
        Ok(url)
    }

    fn configured(&self) -> Result<Url, ProviderError> {
        let example = match self.speaks {
            Speaks::Prometheus => "url: write for example http://prometheus.monitoring:9090",
            Speaks::Json => "url: write for example https://eval.example/score?revision={{revision}}",
            Speaks::Weights => "url: write for example https://balancer.example/weights?of={{namespace}}/{{name}}",
        };
        // Before it is parsed: a `{` of a path is encoded then.
        if let Some(problem) = url::wrong(&self.url).filter(|_| self.speaks != Speaks::Prometheus) {
            return Err(self.invalid(problem));
        }
        if self.speaks == Speaks::Weights && (self.url.contains("{{color}}") || self.url.contains("{{revision}}")) {
            return Err(
                self.invalid("url: a webhook is asked about both colors; it knows `{{namespace}}` and `{{name}}`")
            );
        }
        let url = Url::parse(&self.url).map_err(|_| self.invalid(example))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(self.invalid("url: must begin with http:// or https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(self.invalid("url: must not hold a user or a password; use basicAuth with a passwordFile"));
        }
        if url.query().is_some() && self.speaks == Speaks::Prometheus || url.fragment().is_some() {
            return Err(self.invalid(match self.speaks {
                Speaks::Prometheus => "url: must end with its path, without ? or #",
                Speaks::Json | Speaks::Weights => "url: must not hold a #",
            }));
        }
        if is_forbidden(&url) {
            return Err(self.invalid(
                "url: nobody is asked at a link-local address or where a cloud keeps its metadata; write another",
            ));
        }
        Ok(url)
    }

    /// The `Host` that the provider is to see, where it is not the endpoint's.
    pub(super) fn host_header(&self, endpoint: &Url) -> Option<String> {
        self.server_name.as_ref()?;
        let url = self.configured().ok()?;
        let host = url.host_str()?;
        Some(endpoint.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
    }

    /// Whether there are files that may change.
    pub(super) const fn has_files(&self) -> bool {
        self.ca_file.is_some() || self.cert_file.is_some() || self.key_file.is_some()
    }

    pub(super) fn client(&self, files: &Files) -> Result<Client, ProviderError> {
        let url = self.configured()?;
        let mut client = careful(&url).default_headers(self.headers()?);
        if let Some(ca) = &files.ca {
            client = client.tls_certs_only(self.certificates(ca)?);
        }
        if let (Some(certificate), Some(key)) = (&files.certificate, &files.key) {
            let both = [certificate.as_slice(), key.as_slice()].join(&b'\n');
            let identity = Identity::from_pem(&both).map_err(|_| {
                self.invalid("certFile and keyFile: write the files of a certificate and its key in PEM form")
            })?;
            client = client.identity(identity);
        }
        client.build().map_err(|_| {
            self.invalid(
                "no TLS client could be made; give caFile, or install the system's certificates; \
                 the key in keyFile must be that of certFile",
            )
        })
    }

    pub(super) fn check(&self) -> Result<(), ProviderError> {
        let longest = if self.speaks == Speaks::Weights { 10 } else { 60 };
        if !(1..=longest).contains(&self.timeout().as_secs()) {
            return Err(self.invalid(match self.speaks {
                Speaks::Prometheus | Speaks::Json => "timeoutSeconds: write 1 to 60",
                Speaks::Weights => "timeoutSeconds: write 1 to 10; the way back must not wait longer for a webhook",
            }));
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
        if self.cert_file.is_some() != self.key_file.is_some() {
            return Err(self.invalid("certFile and keyFile: give both or neither"));
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

    fn certificates(&self, pem: &[u8]) -> Result<Vec<Certificate>, ProviderError> {
        match Certificate::from_pem_bundle(pem) {
            Ok(certificates) if !certificates.is_empty() => Ok(certificates),
            _ => Err(self.invalid("caFile: holds no certificate in PEM form")),
        }
    }

    fn invalid(&self, problem: &'static str) -> ProviderError {
        ProviderError::Invalid { whom: self.whom(), name: self.name.clone(), problem }
    }

    /// What it is, in a word.
    const fn whom(&self) -> &'static str {
        match self.speaks {
            Speaks::Prometheus => "provider",
            Speaks::Json => "endpoint",
            Speaks::Weights => "router",
        }
    }

    /// As questions name it.
    pub fn asked_as(&self) -> String {
        match self.speaks {
            Speaks::Prometheus => self.name.clone(),
            Speaks::Json => ask::endpoint(&self.name),
            Speaks::Weights => format!("router {}", self.name),
        }
    }

    /// How long a request may take in all.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds.unwrap_or(if self.speaks == Speaks::Weights { 3 } else { 5 }))
    }

    /// Whether it can be asked about one color.
    pub fn tells_colors(&self) -> bool {
        self.speaks == Speaks::Json && url::tells_colors(&self.url)
    }
}

/// What every client of ours has in common: no redirects, no proxy, and no address that is refused.
pub fn careful(url: &Url) -> ClientBuilder {
    let client = Client::builder()
        .user_agent(concat!("llmrollout/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(2))
        .dns_resolver(Resolver { host: bare_host(url).to_owned() })
        .redirect(Policy::none())
        .referer(false)
        .no_proxy();
    // The system's certificates are not needed then, and where there are none the client could not be built.
    if url.scheme() == "http" { client.tls_certs_only([]) } else { client }
}

/// Whether its host is an address that is refused.
pub fn is_forbidden(url: &Url) -> bool {
    bare_host(url).parse().is_ok_and(is_refused)
}

/// The host as an address is parsed and as a name is looked up: without the brackets of an URL.
fn bare_host(url: &Url) -> &str {
    url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
}
