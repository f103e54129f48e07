//! The server: its routes, the headers on every answer, health, metrics, admin, and its end.
//! Nothing here answers a prompt.

use std::{io, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::ListenerExt,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time::sleep,
};

use crate::{
    grpc, openai,
    sim::{Sim, crash},
};

/// Serves until the process is told to end and everything taken in has been answered.
pub(crate) async fn serve(listener: TcpListener, sim: Arc<Sim>) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let watched = Arc::clone(&sim);
    tokio::spawn(async move { watched.poll_crash().await });
    let router = router(Arc::clone(&sim));
    let listener = listener.tap_io(|stream| {
        // Pieces of a stream are small; a socket that cannot have this only answers later.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router)
        .with_graceful_shutdown(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            sim.drain();
            // Whoever sends traffic here needs a moment to learn that it should not.
            sleep(Duration::from_millis(sim.config().shutdown_delay_ms)).await;
        })
        .await
}

/// Every route.
pub(crate) fn router(sim: Arc<Sim>) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(openai::chat))
        .route("/v1/completions", post(openai::text))
        .route("/v1/models", get(openai::models))
        .route(grpc::GENERATE, post(grpc::generate))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .route("/admin/config", get(knobs).patch(patch))
        .route("/admin/crash", post(crash_now))
        .route("/admin/stats", get(stats))
        .layer(middleware::map_response_with_state(Arc::clone(&sim), sign))
        .with_state(sim)
}

/// Says on every answer who gave it, and, near the end, that the connection is no longer good.
async fn sign(State(sim): State<Arc<Sim>>, mut response: Response) -> Response {
    let headers = response.headers_mut();
    let version = sim.config().version.clone();
    let color = sim.identity.color.as_deref();
    for (name, value) in [
        ("x-sim-version", Some(version.as_str())),
        ("x-sim-pod", Some(sim.identity.pod.as_str())),
        ("x-sim-color", color),
    ] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            headers.insert(name, value);
        }
    }
    // Over HTTP/2 the server leaves this header out and says the same with a frame.
    if sim.draining() {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn health(State(sim): State<Arc<Sim>>) -> Response {
    match (sim.loaded(), sim.draining()) {
        (_, true) => (StatusCode::SERVICE_UNAVAILABLE, "ending\n").into_response(),
        (false, false) => (StatusCode::SERVICE_UNAVAILABLE, "loading\n").into_response(),
        (true, false) => (StatusCode::OK, "ok\n").into_response(),
    }
}

async fn metrics(State(sim): State<Arc<Sim>>) -> Response {
    let config = sim.config();
    let model = config.models.first().map_or("", String::as_str);
    let load = sim.load();
    match sim.metrics().render(model, load) {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, why.to_string()).into_response(),
    }
}

async fn knobs(State(sim): State<Arc<Sim>>) -> Response {
    Json(&*sim.config()).into_response()
}

async fn patch(State(sim): State<Arc<Sim>>, body: Bytes) -> Response {
    let answer = serde_json::from_slice::<Map<String, Value>>(&body)
        .map_err(|why| format!("send a JSON object of knobs: {why}"))
        .and_then(|patch| sim.patch(patch).map_err(|why| why.to_string()));
    match answer {
        Ok(config) => Json(&*config).into_response(),
        Err(why) => (StatusCode::BAD_REQUEST, Json(json!({"error": why}))).into_response(),
    }
}

/// How to crash.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Crash {
    code: u8,
}

async fn crash_now(body: Bytes) -> Response {
    match serde_json::from_slice::<Crash>(&body) {
        Ok(Crash { code }) => crash(code, "asked to"),
        Err(why) => (StatusCode::BAD_REQUEST, Json(json!({"error": format!("send {{\"code\": 0 to 255}}: {why}")})))
            .into_response(),
    }
}

async fn stats(State(sim): State<Arc<Sim>>) -> Response {
    Json(sim.stats()).into_response()
}
