//! The `OpenAI`-compatible endpoints: requests in, answers and event streams out.
//! Nothing here decides what happens to a request; its plan does.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Json,
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    clock::now,
    job::Job,
    plan::{self, Ask, Fate, Finish},
    protocol::{Answer, DONE, Shape, error_body, event, usage},
    sim::Sim,
};

/// What is read of a request; the rest of the protocol changes nothing here.
#[derive(Debug, Deserialize)]
struct Request {
    model: Option<String>,
    #[serde(default)]
    stream: bool,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
}

/// `POST /v1/chat/completions`.
pub(crate) async fn chat(State(sim): State<Arc<Sim>>, body: Bytes) -> Response {
    complete(sim, Shape::Chat, body).await
}

/// `POST /v1/completions`.
pub(crate) async fn text(State(sim): State<Arc<Sim>>, body: Bytes) -> Response {
    complete(sim, Shape::Text, body).await
}

/// `GET /v1/models`.
pub(crate) async fn models(State(sim): State<Arc<Sim>>) -> Response {
    let mut tally = Tally::new(&sim, "/v1/models");
    let data: Vec<Value> = sim
        .config()
        .models
        .iter()
        .map(|id| json!({"id": id, "object": "model", "created": 0, "owned_by": "llm-sim"}))
        .collect();
    tally.close(Json(json!({"object": "list", "data": data})).into_response())
}

async fn complete(sim: Arc<Sim>, shape: Shape, body: Bytes) -> Response {
    let mut tally = Tally::new(&sim, shape.handler());
    match admit(&sim, shape, &body) {
        Err((status, message)) => {
            sim.metrics().refused(status.as_u16(), tally.arrived.elapsed());
            tally.close(refusal(status, &message))
        }
        Ok((job, answer, true)) => streamed(job, answer, tally),
        Ok((job, answer, false)) => {
            let response = whole(&sim, job, &answer).await;
            tally.close(response)
        }
    }
}

/// A status and what is said with it.
pub(crate) type Refusal = (StatusCode, String);

/// The request in the engine, how its answer is written and whether it is streamed; or the refusal.
fn admit(sim: &Arc<Sim>, shape: Shape, body: &Bytes) -> Result<(Job, Answer, bool), Refusal> {
    if !sim.loaded() {
        return Err((StatusCode::SERVICE_UNAVAILABLE, "the model is being loaded".to_owned()));
    }
    let config = sim.config();
    let request: Request =
        serde_json::from_slice(body).map_err(|why| (StatusCode::BAD_REQUEST, format!("not a request: {why}")))?;
    let model = request.model.or_else(|| config.models.first().cloned()).unwrap_or_default();
    if !config.models.contains(&model) {
        return Err((StatusCode::NOT_FOUND, format!("The model `{model}` does not exist.")));
    }
    let ask = Ask { prompt_bytes: body.len(), max_tokens: request.max_completion_tokens.or(request.max_tokens) };
    let (index, job) = take_in(sim, ask)?;
    // A request that hangs must not even send the head of a stream.
    let streams = request.stream && job.plan().fate != Fate::Hang;
    Ok((job, Answer { shape, model, id: format!("cmpl-{index}") }, streams))
}

/// The request in the engine, with its number, unless its plan is to be refused.
pub(crate) fn take_in(sim: &Arc<Sim>, ask: Ask) -> Result<(u64, Job), Refusal> {
    let config = sim.config();
    let index = sim.arrive(&config);
    let plan = plan::draw(&config, index, ask);
    match plan.fate {
        Fate::Error => Err((StatusCode::INTERNAL_SERVER_ERROR, "simulated failure before the first token".to_owned())),
        Fate::Reject => Err((StatusCode::TOO_MANY_REQUESTS, "simulated limit of requests".to_owned())),
        _ => Ok((index, Job::new(Arc::clone(sim), plan))),
    }
}

/// The answer in one piece.
async fn whole(sim: &Sim, job: Job, answer: &Answer) -> Response {
    match run(sim, job).await {
        Ok((generated, finish, usage)) => Json(answer.whole(generated, finish, &usage)).into_response(),
        Err((status, message)) => refusal(status, &message),
    }
}

/// Runs a request to its end: how many tokens came, why it ended, and what it used.
pub(crate) async fn run(sim: &Sim, mut job: Job) -> Result<(u64, Finish, Value), Refusal> {
    job.start().await;
    if job.plan().fate == Fate::Hang {
        // A process that is told to end lets go even of these; until then only the client can.
        sim.drained().await;
        return Err((StatusCode::SERVICE_UNAVAILABLE, "the server is ending".to_owned()));
    }
    let last = job.pieces().saturating_sub(1);
    job.piece(0).await;
    let Fate::Answer(finish) = job.plan().fate else {
        if last > 0 {
            job.piece(last.div_ceil(2)).await;
        }
        job.finish("error");
        return Err((StatusCode::INTERNAL_SERVER_ERROR, "simulated failure in the middle of the answer".to_owned()));
    };
    if last > 0 {
        job.piece(last).await;
    }
    let usage = usage(job.plan());
    Ok((job.finish(finish.word()), finish, usage))
}

/// A stream of events under way. Dropped by a client that leaves, its job counts as aborted.
struct Stream {
    job: Option<Job>,
    answer: Answer,
    piece: u64,
    _tally: Tally,
}

fn streamed(job: Job, answer: Answer, mut tally: Tally) -> Response {
    tally.status = Some(StatusCode::OK);
    let events = stream::unfold(Stream { job: Some(job), answer, piece: 0, _tally: tally }, |mut stream| async {
        let text = stream.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(text)), stream))
    });
    ([(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")], Body::from_stream(events))
        .into_response()
}

impl Stream {
    /// The next piece; with the last one come the usage and the end. `None` after that.
    async fn next(&mut self) -> Option<String> {
        let job = self.job.as_mut()?;
        if self.piece == 0 {
            job.start().await;
        }
        let pieces = job.pieces();
        let Fate::Answer(finish) = job.plan().fate else {
            if self.piece > 0 && self.piece >= pieces / 2 {
                self.job.take()?.finish("error");
                return Some(format!("{}{}", event(&error_body(500, "simulated failure within the stream")), DONE));
            }
            return self.next_piece(None).await.map(|piece| event(&piece));
        };
        let ends = self.piece + 1 >= pieces;
        let piece = self.next_piece(ends.then_some(finish)).await?;
        if !ends {
            return Some(event(&piece));
        }
        let job = self.job.take()?;
        let usage = usage(job.plan());
        job.finish(finish.word());
        Some(format!("{}{}{DONE}", event(&piece), event(&self.answer.last(&usage))))
    }

    async fn next_piece(&mut self, finish: Option<Finish>) -> Option<Value> {
        let tokens = self.job.as_mut()?.piece(self.piece).await;
        self.piece += 1;
        Some(self.answer.piece(tokens, finish))
    }
}

fn refusal(status: StatusCode, message: &str) -> Response {
    (status, Json(error_body(status.as_u16(), message))).into_response()
}

/// Counts one HTTP request when it is over: a stream when its last byte has been taken.
/// One whose client left before any answer has no status and is not counted.
pub(crate) struct Tally {
    sim: Arc<Sim>,
    handler: &'static str,
    pub(crate) arrived: Instant,
    pub(crate) status: Option<StatusCode>,
}

impl Tally {
    pub(crate) fn new(sim: &Arc<Sim>, handler: &'static str) -> Self {
        Self { sim: Arc::clone(sim), handler, arrived: now(), status: None }
    }

    fn close(&mut self, response: Response) -> Response {
        self.status = Some(response.status());
        response
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        if let Some(status) = self.status {
            self.sim.metrics().http(self.handler, status.as_u16(), self.arrived.elapsed());
        }
    }
}
