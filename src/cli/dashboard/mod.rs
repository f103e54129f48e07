//! `dashboard`: a page about rollouts, served to this machine alone. Every look and every word goes to the API server with
//! the caller's own rights. Who does not know the address with its random token gets nothing, and neither does a page of
//! somebody else in the same browser. What is shown is `shown`'s; the page itself is in `page`.

mod guard;
mod shown;

use std::{convert::Infallible, io::Write, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{StatusCode, header::CONTENT_TYPE},
    middleware,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::{get, post},
};
use futures::{Stream, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use self::guard::Guard;
use super::{
    cluster::Cluster,
    error::CliError,
    order, report, status,
    watch::model::Happened,
    wish::{Order, Say},
};
use crate::api::Moment;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// How long the operator's answer to a word is waited for.
const PATIENCE: Duration = Duration::from_secs(15);
/// A word to a rollout is a few hundred bytes.
const LARGEST: usize = 4096;

/// What the page is served from.
struct Desk {
    cluster: Cluster,
    everywhere: bool,
    now: fn() -> Moment,
}

/// Serves until it is interrupted.
pub async fn dashboard(cluster: Cluster, port: u16, everywhere: bool, now: fn() -> Moment) -> Result<(), CliError> {
    // What cannot be read at all is said in the terminal, not in a browser.
    cluster.all(everywhere).await?;
    let cannot = |source| CliError::Port { port, source };
    let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(cannot)?;
    let port = listener.local_addr().map_err(cannot)?.port();
    let guard = Guard::new(port)?;
    let mut stdout = std::io::stdout();
    writeln!(
        stdout,
        "{}\nIt is for you alone: whoever has this address acts in your name. Ctrl-C ends it.",
        guard.url()
    )
    .and_then(|()| stdout.flush())
    .map_err(CliError::Write)?;
    let desk = Arc::new(Desk { cluster, everywhere, now });
    let served = axum::serve(listener, router(desk, guard));
    tokio::select! {
        ended = served => ended.map_err(CliError::Write),
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

fn router(desk: Arc<Desk>, guard: Guard) -> Router {
    let below = |rest: &str| format!("/{}/{rest}", guard.token());
    let file = |kind: &'static str, text: &'static str| get(move || async move { ([(CONTENT_TYPE, kind)], text) });
    Router::new()
        .route(&below(""), file("text/html; charset=utf-8", include_str!("page/index.html")))
        .route(&below("page.css"), file("text/css; charset=utf-8", include_str!("page/page.css")))
        .route(&below("page.js"), file("text/javascript; charset=utf-8", include_str!("page/page.js")))
        .route(&below("events"), get(events))
        .route(&below("events/{namespace}/{name}"), get(events_of))
        .route(&below("words"), post(word))
        .layer(DefaultBodyLimit::max(LARGEST))
        .layer(middleware::from_fn_with_state(Arc::new(guard), guard::guard))
        .with_state(desk)
}

async fn events(State(desk): State<Arc<Desk>>) -> Response {
    Sse::new(looks(desk, None)).keep_alive(KeepAlive::default()).into_response()
}

async fn events_of(State(desk): State<Arc<Desk>>, Path(of): Path<(String, String)>) -> Response {
    Sse::new(looks(desk, Some(of))).keep_alive(KeepAlive::default()).into_response()
}

/// What is seen, each time it is something else.
fn looks(desk: Arc<Desk>, of: Option<(String, String)>) -> impl Stream<Item = Result<Event, Infallible>> + Send {
    stream::unfold((desk, of, String::new()), |(desk, of, told)| async move {
        loop {
            let seen = seen(&desk, of.as_ref()).await.to_string();
            if seen != told {
                return Some((Ok(Event::default().data(&seen)), (desk, of, seen)));
            }
            tokio::time::sleep(EVERY).await;
        }
    })
}

/// The list, and the story of one.
async fn seen(desk: &Desk, of: Option<&(String, String)>) -> Value {
    let list = desk.cluster.all(desk.everywhere).await.map(|all| all.iter().map(shown::line).collect::<Vec<_>>());
    let story = match of {
        Some((namespace, name)) => story(desk, &desk.cluster.within(namespace), name).await.map(Some),
        None => Ok(None),
    };
    let trouble = list.as_ref().err().or(story.as_ref().err()).map(ToString::to_string);
    json!({"rollouts": list.ok(), "story": story.unwrap_or_default(), "trouble": trouble})
}

async fn story(desk: &Desk, cluster: &Cluster, name: &str) -> Result<Value, CliError> {
    let rollout = status::typed(cluster.one(name).await?, name)?;
    // Who may not list events, or read records, sees the rollout all the same.
    let events = cluster.events(name).await.map(|events| Happened::all(&events)).unwrap_or_default();
    let attempt = rollout.status.as_ref().and_then(|s| s.attempt.as_ref()).map(|a| a.id);
    let record = match attempt {
        Some(attempt) => report::recorded(cluster, name, attempt).await.ok(),
        None => None,
    };
    Ok(shown::story(&rollout, &events, record.as_ref(), (desk.now)()))
}

/// A word to a rollout, as the page sends it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Word {
    namespace: String,
    name: String,
    verb: String,
    reason: String,
}

async fn word(State(desk): State<Arc<Desk>>, body: Bytes) -> Response {
    let word = serde_json::from_slice::<Word>(&body).ok().and_then(|word| Some((say(&word.verb)?, word)));
    let Some((say, word)) = word else {
        return (StatusCode::BAD_REQUEST, "not a word to a rollout").into_response();
    };
    let reason = Some(word.reason.trim()).filter(|reason| !reason.is_empty() && !matches!(say, Say::Pause));
    let order =
        Order { name: word.name, say, reason: reason.map(str::to_owned), patience: Some(PATIENCE), shape: None };
    let (taken, message) = match order::order(&desk.cluster.within(&word.namespace), &order, (desk.now)()).await {
        Ok(said) if said.refused => (false, said.note),
        Ok(said) => (true, said.out),
        Err(error) => (false, error.to_string()),
    };
    let answer = json!({"taken": taken, "message": message.trim_end()}).to_string();
    ([(CONTENT_TYPE, "application/json")], answer).into_response()
}

fn say(verb: &str) -> Option<Say> {
    Some(match verb {
        "abort" => Say::Abort,
        "approve" => Say::Approve { role: None, before: None },
        "pause" => Say::Pause,
        "promote" => Say::Promote,
        "reject" => Say::Reject,
        "resume" => Say::Resume,
        "retry" => Say::Retry,
        "skip" => Say::Skip,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
