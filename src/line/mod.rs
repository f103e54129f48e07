//! The line to whom the operator's configuration names: a metrics provider, an endpoint, a webhook that drives a router.
//! Its client, made anew when the files with its certificates change, its credentials, the addresses it may have, and the
//! cap of what is read. Never decides when to send or what, and never lets an address, a header or a secret out.

mod address;
mod settings;
mod url;
mod weights;

use std::{
    error::Error,
    io,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use reqwest::{Client, RequestBuilder, Response, Url, header::CONTENT_TYPE};

use self::{address::Refused, settings::Files};
pub use self::{
    address::is_refused,
    settings::{BasicAuth, ProviderError, ProviderSettings, Speaks, careful, is_forbidden},
    url::about,
    weights::Whose,
};
use crate::metrics::NoData;

/// The largest answer that is read, after decompression.
pub const LARGEST: usize = 1 << 20;

/// A line to one address.
pub struct Line {
    settings: ProviderSettings,
    endpoint: Url,
    live: Mutex<Live>,
}

/// A client, and the files that it was made of.
struct Live {
    files: Files,
    client: Client,
}

impl Line {
    /// Reads the files with certificates.
    pub fn new(settings: &ProviderSettings) -> Result<Self, ProviderError> {
        let endpoint = settings.endpoint()?;
        settings.check()?;
        let files = Files::read(settings)?;
        let client = settings.client(&files)?;
        Ok(Self { settings: settings.clone(), endpoint, live: Mutex::new(Live { files, client }) })
    }

    /// Where requests go.
    pub const fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    /// What it was made of.
    pub const fn settings(&self) -> &ProviderSettings {
        &self.settings
    }

    /// The client for one request: certificates are rotated in their files, as tokens are.
    pub async fn client(&self) -> Result<Client, NoData> {
        if !self.settings.has_files() {
            return Ok(self.live().client.clone());
        }
        let files = Files::read_again(&self.settings)
            .await
            .map_err(|_| NoData::Unreachable("a file with its certificates cannot be read"))?;
        let mut live = self.live();
        if live.files != files {
            let client = self.settings.client(&files);
            live.client = client.map_err(|_| NoData::Unreachable("its new certificates cannot be used"))?;
            live.files = files;
        }
        Ok(live.client.clone())
    }

    /// Nothing in here can be left half changed.
    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request with our credentials.
    pub async fn send(&self, mut request: RequestBuilder) -> Result<Response, NoData> {
        if let Some(host) = self.settings.host_header(&self.endpoint) {
            request = request.header("host", host);
        }
        self.authorized(request).await?.send().await.map_err(|e| failure(&e))
    }

    async fn authorized(&self, request: RequestBuilder) -> Result<RequestBuilder, NoData> {
        if let Some(file) = &self.settings.bearer_token_file {
            Ok(request.bearer_auth(secret(file).await?))
        } else if let Some(basic) = &self.settings.basic_auth {
            Ok(request.basic_auth(&basic.username, Some(secret(&basic.password_file).await?)))
        } else {
            Ok(request)
        }
    }
}

async fn secret(file: &Path) -> Result<String, NoData> {
    let text = tokio::fs::read_to_string(file)
        .await
        .map_err(|_| NoData::Unreachable("the file with its credentials cannot be read"))?;
    Ok(text.trim_end().to_owned())
}

/// Whether an answer says that it is of one of these media types.
pub fn is_of(response: &Response, kinds: &[&str]) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()?.split(';').next());
    kind.is_some_and(|kind| kinds.iter().any(|known| kind.trim().eq_ignore_ascii_case(known)))
}

/// The body, piece by piece, so that one that never ends is dropped at the cap.
pub async fn body(mut response: Response, most: usize) -> Result<Vec<u8>, NoData> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|e| failure(&e))? {
        if body.len() + piece.len() > most {
            return Err(NoData::TooBig);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// What went wrong, in our words: the client's own hold the address.
fn failure(error: &reqwest::Error) -> NoData {
    let causes = |found: &dyn Fn(&(dyn Error + 'static)) -> bool| {
        let mut cause = error.source();
        while let Some(this) = cause {
            if found(this) {
                return true;
            }
            cause = this.source();
        }
        false
    };
    // What the TLS library refuses, or is told by the other side that it refuses, comes as invalid data.
    let of_tls = |cause: &(dyn Error + 'static)| cause.downcast_ref().is_some_and(is_invalid_data);
    if causes(&|cause| cause.is::<Refused>()) {
        NoData::Unreachable("its name leads to an address that is refused")
    } else if !error.is_decode() && causes(&of_tls) {
        NoData::Unreachable("no TLS: see its caFile, serverName and certFile")
    } else if error.is_connect() {
        NoData::Unreachable("no connection")
    } else if error.is_timeout() {
        NoData::Late
    } else if error.is_builder() {
        NoData::Unreachable("its credentials are no HTTP header")
    } else {
        NoData::Unreachable("the connection broke off")
    }
}

/// The error or one that it wraps: `source` passes over those.
fn is_invalid_data(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    error.kind() == io::ErrorKind::InvalidData || inner.is_some_and(is_invalid_data)
}

#[cfg(test)]
mod tests {
    use crate::metrics::NoData;

    #[tokio::test]
    async fn a_name_that_leads_to_a_refused_address_is_not_dialed() {
        let resolver = super::address::Resolver { host: "169.254.169.254".into() };
        let refused = reqwest::dns::Resolve::resolve(&resolver, "prometheus.example".parse().unwrap()).await;
        assert!(refused.is_err_and(|error| error.is::<super::address::Refused>()));
        // As the client hands it on, and as it is told.
        let client = reqwest::Client::builder().no_proxy().dns_resolver(resolver).tls_certs_only([]).build().unwrap();
        let error = client.get("http://prometheus.example:9090").send().await.unwrap_err();
        assert_eq!(super::failure(&error), NoData::Unreachable("its name leads to an address that is refused"));
    }
}
