//! The control endpoint: marks phases, shows the report, ends the run.
//! Nothing here is reached by the load itself.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;

use crate::run::Shared;

/// A phase to begin.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    name: String,
}

/// Serves until the process ends.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let router = Router::new()
        .route("/mark", post(mark))
        .route("/report", get(report))
        .route("/stop", post(stop))
        .with_state(shared);
    if let Err(why) = axum::serve(listener, router).await {
        eprintln!("--control ends early: {why}");
    }
}

async fn mark(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    match serde_json::from_slice::<Mark>(&body) {
        Ok(Mark { name }) => {
            let at_ms = shared.at_ms();
            shared.report().mark(at_ms, name);
            Json(json!({"at_ms": at_ms})).into_response()
        }
        Err(why) => (StatusCode::BAD_REQUEST, format!("send {{\"name\": \"…\"}}: {why}\n")).into_response(),
    }
}

async fn report(State(shared): State<Arc<Shared>>) -> Response {
    Json(&*shared.report()).into_response()
}

async fn stop(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.stop("control");
    StatusCode::ACCEPTED
}
