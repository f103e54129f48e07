//! `/metrics`, `/healthz` and `/readyz`. Knows neither the cluster nor the API server: a dead API server must not make
//! the kubelet kill us, since it is we who take traffic home when it comes back.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{StatusCode, header::CONTENT_TYPE},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
    serve::Listener,
};
use prometheus_client::{encoding::text, registry::Registry};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    time::{Sleep, sleep, timeout},
};

/// One answer takes at most this long.
const ANSWER: Duration = Duration::from_secs(5);
/// A connection lives at most this long, so that slow or forgotten ones cannot use up the file descriptors.
const CONNECTION: Duration = Duration::from_mins(1);
/// Open connections get this long to end when we stop.
const GRACE: Duration = Duration::from_secs(2);

/// Whether the caches are filled; shared by whoever fills them and `/readyz`.
#[derive(Clone, Debug, Default)]
pub struct Ready(Arc<AtomicBool>);

impl Ready {
    /// Says so.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    /// Whether they are.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Opens the port. The unspecified IPv6 address means every address, also where the kernel has no IPv6.
pub async fn bind(at: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(at).await {
        Err(_) if at.ip() == IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED) => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, at.port())).await
        }
        bound => bound,
    }
}

/// Answers until `stop` ends, then lets open connections finish for a moment.
pub async fn serve<S>(listener: TcpListener, registry: Arc<Registry>, ready: Ready, stop: S) -> io::Result<()>
where
    S: Future<Output = ()> + Send + 'static,
{
    let (stopping, stopped) = tokio::sync::oneshot::channel();
    let until = async move {
        stop.await;
        // Nobody waits any more when the server ended by itself.
        let _ = stopping.send(());
    };
    let server = axum::serve(Bounded(listener), router(registry, ready)).with_graceful_shutdown(until);
    let late = async {
        match stopped.await {
            Ok(()) => sleep(GRACE).await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = server => ended,
        () = late => Ok(()),
    }
}

fn router(registry: Arc<Registry>, ready: Ready) -> Router {
    Router::new()
        .route("/metrics", get(metrics).with_state(registry))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz).with_state(ready))
        .layer(middleware::from_fn(in_time))
        .layer(DefaultBodyLimit::max(0))
}

async fn metrics(State(registry): State<Arc<Registry>>) -> Response {
    let mut body = String::new();
    match text::encode(&mut body, &registry) {
        Ok(()) => {
            ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], body).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn readyz(State(ready): State<Ready>) -> (StatusCode, &'static str) {
    if ready.is_set() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "caches are being filled\n")
    }
}

async fn in_time(request: Request, next: Next) -> Response {
    timeout(ANSWER, next.run(request)).await.unwrap_or_else(|_| StatusCode::SERVICE_UNAVAILABLE.into_response())
}

/// A listener whose connections end by themselves.
struct Bounded(TcpListener);

impl Listener for Bounded {
    type Io = Mortal;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        // axum's own listener backs off when descriptors run out.
        let (stream, from) = Listener::accept(&mut self.0).await;
        (Mortal { stream, end: Box::pin(sleep(CONNECTION)) }, from)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

/// A connection that reads as closed once its time is over.
struct Mortal {
    stream: TcpStream,
    end: Pin<Box<Sleep>>,
}

impl AsyncRead for Mortal {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Mortal {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = Pin::new(&mut self.stream).poll_write(cx, buf) {
            return Poll::Ready(written);
        }
        // The peer does not read; waiting for it ends as well.
        ready!(self.end.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use prometheus_client::{metrics::counter::Counter, registry::Registry};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
        sync::oneshot,
        task::JoinHandle,
    };

    use super::{Ready, bind, serve};

    async fn up() -> (std::net::SocketAddr, Ready, oneshot::Sender<()>, JoinHandle<std::io::Result<()>>) {
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let at = listener.local_addr().unwrap();
        let mut registry = Registry::default();
        registry.register("things", "Things", Counter::<u64>::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let ready = Ready::default();
        let until = async move { drop(stopped.await) };
        let server = tokio::spawn(serve(listener, Arc::new(registry), ready.clone(), until));
        (at, ready, stop, server)
    }

    async fn ask(at: std::net::SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn answers_the_three_paths_and_no_other() {
        let (at, ready, stop, server) = up().await;
        assert!(ask(at, "/healthz").await.starts_with("HTTP/1.1 200"));
        assert!(ask(at, "/readyz").await.starts_with("HTTP/1.1 503"));
        ready.set(true);
        assert!(ask(at, "/readyz").await.starts_with("HTTP/1.1 200"));
        let metrics = ask(at, "/metrics").await;
        assert!(metrics.contains("application/openmetrics-text") && metrics.contains("things_total 0"), "{metrics}");
        assert!(ask(at, "/debug").await.starts_with("HTTP/1.1 404"));
        stop.send(()).unwrap();
        server.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn stops_though_a_connection_stays_open() {
        let (at, _ready, stop, server) = up().await;
        let mut idle = TcpStream::connect(at).await.unwrap();
        idle.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
        assert!(ask(at, "/healthz").await.starts_with("HTTP/1.1 200"));
        stop.send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(4), server).await.unwrap().unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_silent_connection_ends_by_itself() {
        let (at, _ready, _stop, _server) = up().await;
        let mut idle = TcpStream::connect(at).await.unwrap();
        assert!(ask(at, "/healthz").await.starts_with("HTTP/1.1 200"));
        tokio::time::pause();
        let mut rest = Vec::new();
        // With the clock paused this takes no time; the read ends when the server closes.
        idle.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty());
    }
}
