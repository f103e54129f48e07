//! The line to one provider: its client, made anew when the files with its certificates change, and one request on it.
//! Never decides when to ask, and never lets an address, a header or a text of the provider out.

use std::{
    error::Error,
    io,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use k8s_openapi::jiff::fmt::rfc2822;
use reqwest::{
    Client, RequestBuilder, Response, StatusCode, Url,
    header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
};

use super::{ProviderError, ProviderSettings, address::Refused, settings::Files, url};
use crate::{
    api::Moment,
    metrics::{
        About, NoData, Question, Sample,
        answer::{self, Figure, matrix},
        number,
        raw::Series,
    },
};

/// The largest answer that is read, after decompression.
const LARGEST: usize = 1 << 20;
/// However long a provider asks to be left alone: longer would make one odd header a blindness.
const LONGEST_REST: Duration = Duration::from_mins(5);

/// Why there is no figure, and how long the provider wants to be left alone, if it says so.
#[derive(Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) why: NoData,
    pub(super) rest: Option<Duration>,
}

impl From<NoData> for Fault {
    fn from(why: NoData) -> Self {
        Self { why, rest: None }
    }
}

/// A line to a provider.
pub(super) struct Line {
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
    pub(super) fn new(settings: &ProviderSettings) -> Result<Self, ProviderError> {
        let endpoint = settings.endpoint()?;
        settings.check()?;
        let files = Files::read(settings)?;
        let client = settings.client(&files)?;
        Ok(Self { settings: settings.clone(), endpoint, live: Mutex::new(Live { files, client }) })
    }

    /// The client for one question: certificates are rotated in their files, as tokens are.
    pub(super) async fn client(&self) -> Result<Client, NoData> {
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

    /// One figure, asked for at `asked`; of the instant `at`, or of the provider's own now.
    pub(super) async fn figure(
        &self,
        client: &Client,
        query: &str,
        at: Option<f64>,
        asked: Moment,
    ) -> Result<Figure, Fault> {
        Ok(answer::figure(&self.ask(client, query, at, asked).await?, asked)?)
    }

    /// The raw samples of some series.
    pub(super) async fn series(
        &self,
        client: &Client,
        query: &str,
        at: Option<f64>,
        asked: Moment,
    ) -> Result<Vec<Series>, Fault> {
        Ok(matrix::series(&self.ask(client, query, at, asked).await?)?)
    }

    /// One request.
    pub(super) async fn ask(
        &self,
        client: &Client,
        query: &str,
        at: Option<f64>,
        asked: Moment,
    ) -> Result<Vec<u8>, Fault> {
        let deadline = format!("{}s", self.settings.timeout_seconds);
        let instant = at.map(|at| format!("{at:.3}"));
        // Who does not know a word passes over it. Thanos is to fail rather than to leave out a store, and to count
        // replicas once; VictoriaMetrics is not to look 30 seconds back and say that it did not.
        let mut form = vec![
            ("query", query),
            ("timeout", &deadline),
            ("partial_response", "false"),
            ("dedup", "true"),
            ("nocache", "1"),
        ];
        form.extend(instant.as_deref().map(|at| ("time", at)));
        let request = client.post(self.endpoint.clone()).form(&form);
        self.document(request, asked).await
    }

    /// A number of an endpoint, asked at `asked`. What somebody in between keeps is of another time.
    pub(super) async fn number(
        &self,
        client: &Client,
        question: &Question,
        about: &About,
        asked: Moment,
    ) -> Result<Sample, Fault> {
        let request = client.get(url::about(&self.endpoint, about)).header(CACHE_CONTROL, "no-cache");
        let document = self.document(request.header(ACCEPT, "application/json"), asked).await?;
        Ok(number::sample(&document, &question.value.to_string(), &question.samples.to_string())?)
    }

    /// The JSON that answers a request.
    async fn document(&self, mut request: RequestBuilder, asked: Moment) -> Result<Vec<u8>, Fault> {
        if let Some(host) = self.settings.host_header(&self.endpoint) {
            request = request.header("host", host);
        }
        let response = self.authorized(request).await?.send().await.map_err(|e| failure(&e))?;
        match response.status() {
            StatusCode::TOO_MANY_REQUESTS => {
                let rest = rest(response.headers(), asked);
                return Err(Fault { why: NoData::Throttled, rest });
            }
            status if !status.is_success() => return Err(NoData::Status(status.as_u16()).into()),
            _ => look_at(response.headers())?,
        }
        Ok(body(response).await?)
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

/// `Retry-After` in seconds or as a date; an odd one is none.
fn rest(headers: &HeaderMap, now: Moment) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    let asked = if text.bytes().all(|b| b.is_ascii_digit()) {
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        Moment::from(rfc2822::parse(text).ok()?.timestamp()).since(now)
    };
    Some(asked.min(LONGEST_REST))
}

/// Refuses what is not JSON, and what a proxy in between marks as partial.
fn look_at(headers: &HeaderMap) -> Result<(), NoData> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()?.split(';').next());
    // VictoriaMetrics streams raw samples, one document all the same.
    let json = ["application/json", "application/stream+json"];
    if !kind.is_some_and(|kind| json.iter().any(|json| kind.trim().eq_ignore_ascii_case(json))) {
        return Err(NoData::WrongShape("content type is not application/json"));
    }
    let partial = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().ends_with("-partial") && value != "false";
    if headers.iter().any(partial) { Err(NoData::Partial) } else { Ok(()) }
}

/// The body, piece by piece, so that one that never ends is dropped at the cap.
async fn body(mut response: Response) -> Result<Vec<u8>, NoData> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|e| failure(&e))? {
        if body.len() + piece.len() > LARGEST {
            return Err(NoData::TooBig);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// What went wrong, in our words: the client's own hold the address.
pub(super) fn failure(error: &reqwest::Error) -> NoData {
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
    use std::time::Duration;

    use reqwest::header::{HeaderMap, RETRY_AFTER};

    use super::{LONGEST_REST, rest};
    use crate::api::Moment;

    #[test]
    fn a_provider_is_left_alone_as_long_as_it_asks_within_reason() {
        let now = Moment::from_unix(1_790_000_000);
        let asked = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            rest(&headers, now)
        };
        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        assert_eq!(asked("0"), Some(Duration::ZERO));
        assert_eq!(asked("Mon, 21 Sep 2026 14:13:50 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(asked("Mon, 21 Sep 2026 14:13:00 GMT"), Some(Duration::ZERO), "that is over");
        for long in ["86400", "99999999999999999999999999", "Mon, 21 Sep 2037 14:13:50 GMT"] {
            assert_eq!(asked(long), Some(LONGEST_REST), "{long}");
        }
        for odd in ["soon", "-1", "1.5"] {
            assert_eq!(asked(odd), None, "{odd}");
        }
        assert_eq!(rest(&HeaderMap::new(), now), None);
    }
}
