//! Makes one unary gRPC call over HTTP/2 without TLS and reads its answer to the trailers.
//! Nothing here counts.

use std::time::Duration;

use http::{HeaderMap, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Bytes, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, sync::Mutex, time::timeout};

use crate::{
    args::Args,
    client::chain,
    outcome::{End, Head},
};

/// A frame around a message without a field that is set.
const EMPTY: &[u8] = &[0; 5];

type Sender = http2::SendRequest<Full<Bytes>>;

/// What makes calls.
#[derive(Debug)]
pub(crate) struct Caller {
    address: String,
    uri: String,
    timeout: Duration,
    /// The connection that is kept; calls run beside each other on it.
    kept: Mutex<Option<Sender>>,
}

/// What an attempt came to: the head of the answer, its end, and what the system said.
type Called = (Option<Head>, End, String);

impl Caller {
    /// A caller for one run.
    pub(crate) fn new(args: &Args) -> Self {
        let name = args.url.host_str().unwrap_or_default();
        let port = args.url.port_or_known_default().unwrap_or(80);
        let host = args.host.clone().unwrap_or_else(|| format!("{name}:{port}"));
        Self {
            address: format!("{name}:{port}"),
            uri: format!("http://{host}{}", args.url.path()),
            timeout: args.timeout,
            kept: Mutex::new(None),
        }
    }

    /// Makes one call.
    pub(crate) async fn call(&self, new_connection: bool) -> Called {
        let late = || (None, End::Late, format!("no end within {} ms", self.timeout.as_millis()));
        timeout(self.timeout, self.attempt(new_connection)).await.unwrap_or_else(|_| late())
    }

    async fn attempt(&self, new_connection: bool) -> Called {
        let connection = if new_connection { connect(&self.address).await } else { self.kept().await };
        let mut sender = match connection {
            Ok(sender) => sender,
            Err(why) => return (None, End::NoConnection, why),
        };
        let request = Request::post(&self.uri)
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .body(Full::new(Bytes::from_static(EMPTY)));
        let request = match request {
            Ok(request) => request,
            Err(why) => return (None, End::NoConnection, why.to_string()),
        };
        let response = match sender.send_request(request).await {
            Ok(response) => response,
            Err(why) => return (None, End::Lost, chain(&why)),
        };
        let head = Head::of(response.status(), response.headers());
        let early = response.headers().clone();
        match response.into_body().collect().await {
            Ok(body) => {
                let (end, detail) = judge(&early, body.trailers());
                (Some(head), end, detail)
            }
            Err(why) => (Some(head), End::Truncated, chain(&why)),
        }
    }

    /// The connection that is kept, made anew when the other side has closed it.
    async fn kept(&self) -> Result<Sender, String> {
        let mut kept = self.kept.lock().await;
        if let Some(sender) = kept.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        let sender = connect(&self.address).await?;
        *kept = Some(sender.clone());
        Ok(sender)
    }
}

async fn connect(address: &str) -> Result<Sender, String> {
    let stream = TcpStream::connect(address).await.map_err(|why| chain(&why))?;
    // Frames are small; a socket that cannot have this only answers later.
    let _ = stream.set_nodelay(true);
    let made = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (sender, connection) = made.map_err(|why| chain(&why))?;
    tokio::spawn(async move {
        // Whoever had a call on it hears of its end there.
        let _ = connection.await;
    });
    Ok(sender)
}

/// The trailers tell; an answer without a body tells in its headers.
fn judge(headers: &HeaderMap, trailers: Option<&HeaderMap>) -> (End, String) {
    let told = trailers.unwrap_or(headers);
    let text = |name: &str| told.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match text("grpc-status") {
        "0" => (End::Whole, String::new()),
        "" => (End::Truncated, "no grpc-status".to_owned()),
        code => (End::GrpcStatus, format!("grpc-status {code}: {}", text("grpc-message"))),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::{End, judge};

    fn status(code: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), HeaderValue::from_static(code))])
    }

    #[test]
    fn a_call_is_whole_only_when_its_trailers_say_so() {
        let none = HeaderMap::new();
        assert_eq!(judge(&none, Some(&status("0"))).0, End::Whole);
        assert_eq!(judge(&none, None).0, End::Truncated);
        assert_eq!(judge(&none, Some(&none)).0, End::Truncated);
        assert_eq!(judge(&status("14"), None).0, End::GrpcStatus, "a gateway's own answer has no body");
        let (end, words) = judge(&none, Some(&status("13")));
        assert!(end == End::GrpcStatus && words.starts_with("grpc-status 13"), "{words}");
    }
}
