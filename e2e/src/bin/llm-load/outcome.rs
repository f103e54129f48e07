//! What became of a request, judged from the head of its answer and from how it ended.
//! Nothing here sends.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde::Serialize;

/// The head of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Head {
    /// The HTTP status.
    pub(crate) status: u16,
    /// Which version says it answers.
    pub(crate) version: Option<String>,
    /// Which side of a rollout it says it is on.
    pub(crate) color: Option<String>,
    /// Which pod it says it is.
    pub(crate) pod: Option<String>,
}

impl Head {
    /// Reads it from status and headers.
    pub(crate) fn of(status: StatusCode, headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Self {
            status: status.as_u16(),
            version: text("x-sim-version"),
            color: text("x-sim-color"),
            pod: text("x-sim-pod"),
        }
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The answer came to its end.
    Whole,
    /// It came to its end and said within the stream that it had failed.
    ErrorEvent,
    /// It came to its end and said in its trailers that it had failed.
    GrpcStatus,
    /// It broke off.
    Truncated,
    /// No connection.
    NoConnection,
    /// The connection was lost before the head.
    Lost,
    /// Time ran out.
    Late,
}

/// Why a request counts as failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// No connection.
    Connect,
    /// The connection was lost before an answer began.
    Reset,
    /// Time ran out.
    Timeout,
    /// A status that is not a success.
    Status,
    /// An error event in a stream that began well.
    StreamError,
    /// A call whose `grpc-status` is not 0.
    GrpcStatus,
    /// An answer that broke off.
    Truncated,
}

/// What became of a request.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// The head of the answer, if one came.
    pub(crate) head: Option<Head>,
    /// Why it failed, if it did.
    pub(crate) failure: Option<Kind>,
    /// What the system said of the failure.
    pub(crate) detail: String,
    /// From its start to its end.
    pub(crate) took: Duration,
}

impl Outcome {
    /// Judges one request.
    pub(crate) fn new(head: Option<Head>, end: End, detail: String, took: Duration) -> Self {
        let failure = match (end, &head) {
            (End::NoConnection, _) => Some(Kind::Connect),
            (End::Late, _) => Some(Kind::Timeout),
            (End::Lost, _) | (_, None) => Some(Kind::Reset),
            (End::Truncated, Some(_)) => Some(Kind::Truncated),
            (_, Some(head)) if !(200..300).contains(&head.status) => Some(Kind::Status),
            (End::ErrorEvent, Some(_)) => Some(Kind::StreamError),
            (End::GrpcStatus, Some(_)) => Some(Kind::GrpcStatus),
            (End::Whole, Some(_)) => None,
        };
        Self { head, failure, detail, took }
    }

    /// The version that answered, were it only with the beginning of an answer.
    pub(crate) fn version(&self) -> Option<&str> {
        self.head.as_ref()?.version.as_deref()
    }

    /// Whether a server of ours gave this answer and meant it: it signed the head, and the answer
    /// came to its end. An answer cut off is nobody's: the server may have died, or the way to it.
    pub(crate) fn answered(&self) -> bool {
        self.version().is_some()
            && matches!(self.failure, None | Some(Kind::Status | Kind::StreamError | Kind::GrpcStatus))
    }
}

/// Watches a stream of events for its end and for errors, however its bytes are cut.
#[derive(Debug, Default)]
pub(crate) struct Events {
    line: Vec<u8>,
    done: bool,
    error: bool,
}

impl Events {
    /// Reads on.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' {
                self.done |= self.line == b"data: [DONE]";
                self.error |= self.line.starts_with(b"data: {\"error\"");
                self.line.clear();
            } else {
                self.line.push(byte);
            }
        }
    }

    /// How the stream ended, now that there is no more of it.
    pub(crate) fn end(&self) -> End {
        match (self.error, self.done) {
            (true, _) => End::ErrorEvent,
            (false, true) => End::Whole,
            (false, false) => End::Truncated,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{End, Events, Head, Kind, Outcome};

    fn judge(head: Option<(u16, Option<&str>)>, end: End) -> (Option<Kind>, bool) {
        let head =
            head.map(|(status, version)| Head { status, version: version.map(str::to_owned), ..Head::default() });
        let outcome = Outcome::new(head, end, String::new(), Duration::ZERO);
        (outcome.failure, outcome.answered())
    }

    #[test]
    fn failures_have_a_kind_and_an_owner() {
        let (green, gateway) = (Some("v2"), None);
        for (head, end, kind, answered) in [
            (Some((200, green)), End::Whole, None, true),
            (Some((500, green)), End::Whole, Some(Kind::Status), true),
            (Some((429, green)), End::Whole, Some(Kind::Status), true),
            (Some((200, green)), End::ErrorEvent, Some(Kind::StreamError), true),
            (Some((200, green)), End::GrpcStatus, Some(Kind::GrpcStatus), true),
            (Some((200, gateway)), End::GrpcStatus, Some(Kind::GrpcStatus), false),
            (Some((503, gateway)), End::Whole, Some(Kind::Status), false),
            (Some((200, green)), End::Truncated, Some(Kind::Truncated), false),
            (Some((200, green)), End::Late, Some(Kind::Timeout), false),
            (None, End::Late, Some(Kind::Timeout), false),
            (None, End::NoConnection, Some(Kind::Connect), false),
            (None, End::Lost, Some(Kind::Reset), false),
        ] {
            assert_eq!(judge(head, end), (kind, answered), "{head:?} {end:?}");
        }
    }

    #[test]
    fn streams_are_read_however_they_are_cut() {
        let whole = b"data: {\"choices\":[]}\n\ndata: [DONE]\n\n";
        for cut in 0..whole.len() {
            let mut events = Events::default();
            events.feed(&whole[..cut]);
            let early = events.end();
            events.feed(&whole[cut..]);
            assert_eq!(events.end(), End::Whole);
            assert!(cut > whole.len() - 2 || early == End::Truncated, "{cut}");
        }
        let mut events = Events::default();
        events.feed(b"data: {\"choices\":[]}\n\ndata: {\"error\":{\"code\":500}}\n\ndata: [DONE]\n\n");
        assert_eq!(events.end(), End::ErrorEvent);
    }
}
