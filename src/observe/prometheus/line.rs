//! What is asked on the line to one provider, one request at a time. Never decides when to ask, and never lets a text of
//! the provider out.

use std::time::Duration;

use k8s_openapi::jiff::fmt::rfc2822;
use reqwest::{
    Client, RequestBuilder, Response, StatusCode,
    header::{ACCEPT, CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
};

use crate::{
    api::Moment,
    line::{self, ProviderError, ProviderSettings},
    metrics::{
        About, NoData, Question, Sample,
        answer::{self, Figure, matrix},
        number,
        raw::Series,
    },
};

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

/// The line to a provider, with what is asked on it.
pub(super) struct Asking(line::Line);

impl Asking {
    /// Reads the files with certificates.
    pub(super) fn new(settings: &ProviderSettings) -> Result<Self, ProviderError> {
        line::Line::new(settings).map(Self)
    }

    /// The client for one question.
    pub(super) async fn client(&self) -> Result<Client, NoData> {
        self.0.client().await
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
        let deadline = format!("{}s", self.0.settings().timeout().as_secs());
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
        let request = client.post(self.0.endpoint().clone()).form(&form);
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
        let request = client.get(line::about(self.0.endpoint(), about)).header(CACHE_CONTROL, "no-cache");
        let document = self.document(request.header(ACCEPT, "application/json"), asked).await?;
        Ok(number::sample(&document, &question.value.to_string(), &question.samples.to_string())?)
    }

    /// The JSON that answers a request.
    async fn document(&self, request: RequestBuilder, asked: Moment) -> Result<Vec<u8>, Fault> {
        let response = self.0.send(request).await?;
        match response.status() {
            StatusCode::TOO_MANY_REQUESTS => {
                let rest = rest(response.headers(), asked);
                return Err(Fault { why: NoData::Throttled, rest });
            }
            status if !status.is_success() => return Err(NoData::Status(status.as_u16()).into()),
            _ => look_at(&response)?,
        }
        Ok(line::body(response, line::LARGEST).await?)
    }
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
fn look_at(response: &Response) -> Result<(), NoData> {
    // VictoriaMetrics streams raw samples, one document all the same.
    if !line::is_of(response, &["application/json", "application/stream+json"]) {
        return Err(NoData::WrongShape("content type is not application/json"));
    }
    let partial = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().ends_with("-partial") && value != "false";
    if response.headers().iter().any(partial) { Err(NoData::Partial) } else { Ok(()) }
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
