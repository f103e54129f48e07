//! A proxy between an operator and those it asks: TLS before the API server, plain before a provider. It hands everything
//! on and writes it down, and harms what its rules say. Nothing here knows what the operator makes of it.

mod rule;
mod trace;

use std::{
    convert::Infallible,
    fs, io,
    sync::{Arc, Mutex, PoisonError},
};

use futures::stream;
use http::{Request, Response, header::RETRY_AFTER};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Bytes, Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use kube::{Client, Config, client::Body};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::watch,
    task::JoinHandle,
    time::sleep,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

pub(crate) use rule::{Asked, Fault, READS, Rule, When};
pub(crate) use trace::Seen;

use super::{Ground, KitError, pods};

/// The API server's own address: its certificate, which the proxy shows as well, is for no other.
const ADDRESS: &str = "172.31.0.1:0";
/// What is left of the process that was told a thing and is to die of it.
const TOLD: std::time::Duration = std::time::Duration::from_millis(2);

type Failure = io::Error;
type Answer = Response<UnsyncBoxBody<Bytes, Failure>>;

/// The proxy, while it is held.
#[derive(Debug)]
pub(crate) struct Proxy {
    /// Where it is.
    pub url: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Shared {
    upstream: Client,
    rules: Mutex<Vec<Rule>>,
    seen: Mutex<Vec<Seen>>,
    frozen: watch::Sender<bool>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Proxy {
    /// Before the API server, whose name and key it has; who asks is told by their own token.
    pub(crate) async fn before_the_api_server(ground: &Ground) -> Result<Self, KitError> {
        let certs = ground.lab()?.state_dir.join("certs");
        let (cert, key) = (certs.join("apiserver.crt"), certs.join("apiserver.key"));
        let what = "the API server's certificate";
        let chain = CertificateDer::pem_file_iter(&cert).map_err(KitError::failed(what))?;
        let chain = chain.collect::<Result<Vec<_>, _>>().map_err(KitError::failed(what))?;
        let trusted = chain.iter().map(|one| one.to_vec()).collect();
        let key = PrivateKeyDer::from_pem_file(&key).map_err(KitError::failed(what))?;
        let server = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(KitError::failed(what))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(KitError::failed(what))?;
        let listener = TcpListener::bind(ADDRESS).await.map_err(KitError::failed("a proxy's address"))?;
        let address = listener.local_addr().map_err(KitError::failed("a proxy's address"))?;
        let shared = Shared::to(crate::lab::API_URL, Some(trusted))?;
        let (tls, told) = (TlsAcceptor::from(Arc::new(server)), shared.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, told) = (tls.clone(), told.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, told).await;
                    }
                });
            }
        });
        Ok(Self { url: format!("https://{address}"), shared, task })
    }

    /// Before somebody who speaks without TLS.
    pub(crate) async fn before(url: &str) -> Result<Self, KitError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(KitError::failed("a proxy's address"))?;
        let address = listener.local_addr().map_err(KitError::failed("a proxy's address"))?;
        let shared = Shared::to(url, None)?;
        let told = shared.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, told.clone()));
            }
        });
        Ok(Self { url: format!("http://{address}"), shared, task })
    }

    /// One rule more; of those that fit a request the first harms it.
    pub(crate) fn rule(&self, rule: Rule) {
        self.shared.rules.lock().unwrap_or_else(PoisonError::into_inner).push(rule);
    }

    /// No rules any more; what is being delayed stays so.
    pub(crate) fn forgive(&self) {
        self.shared.rules.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.shared.frozen.send_replace(false);
    }

    /// From now on, or no longer, streams that are open say nothing.
    pub(crate) fn freeze(&self, frozen: bool) {
        self.shared.frozen.send_replace(frozen);
    }

    /// Whether a rule has done what it was told.
    pub(crate) fn harmed(&self) -> bool {
        self.harms() > 0
    }

    /// How many rules have met a request.
    pub(crate) fn harms(&self) -> usize {
        let rules = self.shared.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules.iter().filter(|rule| rule.has_harmed()).count()
    }

    /// Everything asked so far, in order.
    pub(crate) fn trace(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What came back: a watch goes on.
enum Forwarded {
    Stream(Response<Body>),
    Whole(http::response::Parts, Bytes),
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, shared: Arc<Shared>) {
    let answer = service_fn(move |request| {
        let shared = shared.clone();
        async move { shared.answer(request).await }
    });
    // A connection that was cut is what was asked for.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}

impl Shared {
    fn to(url: &str, trusted: Option<Vec<Vec<u8>>>) -> Result<Arc<Self>, KitError> {
        let mut config = Config::new(url.parse().map_err(KitError::failed("a proxy's upstream"))?);
        config.root_cert = trusted;
        config.default_retry = false;
        let upstream = Client::try_from(config).map_err(KitError::api("a proxy's upstream"))?;
        let (frozen, _) = watch::channel(false);
        Ok(Arc::new(Self { upstream, rules: Mutex::default(), seen: Mutex::default(), frozen }))
    }

    fn harm(&self, asked: &Asked) -> Option<Fault> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).iter_mut().find_map(|rule| rule.harm(asked))
    }

    fn note(&self, seen: Seen) -> usize {
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(seen);
        all.len() - 1
    }

    fn note_answer(&self, at: usize, code: u16, body: &[u8]) {
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = all.get_mut(at) {
            seen.code = code;
            seen.got = serde_json::from_slice(body).unwrap_or_default();
        }
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Answer, Failure> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let asked = Asked::of(&head);
        let at = self.note(Seen::asked(&asked, &body));
        let fault = self.harm(&asked);
        match fault {
            Some(Fault::Drop(When::Before)) => return Err(io::Error::other("dropped")),
            Some(Fault::Kill(When::Before, pid)) => {
                pods::signal_one(pid, Signal::KILL);
                return Err(io::Error::other("killed"));
            }
            Some(Fault::Delay(by)) => sleep(by).await,
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Status { code, retry_after }) => {
                self.note_answer(at, code, b"");
                return canned(code, retry_after);
            }
            _ => {}
        }
        let (head, body) =
            match self.forward(at, asked.verb == "watch", Request::from_parts(head, Body::from(body))).await? {
                Forwarded::Stream(answer) => return Ok(self.flowing(answer)),
                Forwarded::Whole(head, body) => (head, body),
            };
        match fault {
            Some(Fault::Drop(_)) => Err(io::Error::other("dropped")),
            Some(Fault::Kill(When::After, pid)) => {
                pods::signal_one(pid, Signal::KILL);
                Err(io::Error::other("killed"))
            }
            Some(Fault::Kill(_, pid)) => {
                tokio::spawn(async move {
                    sleep(TOLD).await;
                    pods::signal_one(pid, Signal::KILL);
                });
                Ok(Response::from_parts(head, whole(body)))
            }
            Some(Fault::Truncate(length)) => {
                let piece = body.slice(..length.min(body.len()));
                let frames = [Ok(Frame::data(piece)), Err(io::Error::other("cut"))];
                Ok(Response::from_parts(head, StreamBody::new(stream::iter(frames)).boxed_unsync()))
            }
            _ => Ok(Response::from_parts(head, whole(body))),
        }
    }

    /// What is sent on arrives, and is written down, also when nobody waits for it any more.
    async fn forward(self: &Arc<Self>, at: usize, streams: bool, request: Request<Body>) -> Result<Forwarded, Failure> {
        let shared = self.clone();
        let sent = tokio::spawn(async move {
            let answer = shared.upstream.send(request).await.map_err(io::Error::other)?;
            if streams {
                shared.note_answer(at, answer.status().as_u16(), b"");
                return Ok(Forwarded::Stream(answer));
            }
            let (head, body) = answer.into_parts();
            let body = body.collect_bytes().await.map_err(io::Error::other)?;
            shared.note_answer(at, head.status.as_u16(), &body);
            Ok(Forwarded::Whole(head, body))
        });
        sent.await.map_err(io::Error::other)?
    }

    /// A watch, which stops and goes on as it is told.
    fn flowing(&self, answer: Response<Body>) -> Answer {
        let frozen = self.frozen.subscribe();
        answer.map(|body| {
            let frames = stream::unfold((body, frozen), |(mut body, mut frozen)| async move {
                let frame = body.frame().await?;
                // Who is gone freezes nothing.
                let _ = frozen.wait_for(|frozen| !frozen).await;
                Some((frame.map_err(io::Error::other), (body, frozen)))
            });
            StreamBody::new(frames).boxed_unsync()
        })
    }
}

fn whole(body: Bytes) -> UnsyncBoxBody<Bytes, Failure> {
    Full::new(body).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// A refusal in the API server's own words.
fn canned(code: u16, retry_after: Option<u32>) -> Result<Answer, Failure> {
    let status: Value = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Made", "message": "made by the proxy", "code": code,
    });
    let mut answer = Response::builder().status(code).header("content-type", "application/json");
    if let Some(seconds) = retry_after {
        answer = answer.header(RETRY_AFTER, seconds);
    }
    answer.body(whole(status.to_string().into())).map_err(io::Error::other)
}

/// A kubeconfig for whoever is to come by the proxy with this token.
pub(crate) fn kubeconfig(ground: &Ground, proxy: &Proxy, namespace: &str, token: &str) -> Result<String, KitError> {
    let certificate = ground.lab()?.state_dir.join("certs/apiserver.crt");
    fs::metadata(&certificate).map_err(KitError::failed(certificate.display().to_string()))?;
    let all = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
        "clusters": [{"name": "proxy", "cluster": {"server": proxy.url, "certificate-authority": certificate}}],
        "users": [{"name": "operator", "user": {"token": token}}],
        "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "operator", "namespace": namespace}}],
    });
    Ok(all.to_string())
}
