//! gRPC beside HTTP, on the same port: one unary call over HTTP/2, its message framed, its outcome told in trailers.
//! Nothing here decides what happens to a call; its plan does.

use std::{convert::Infallible, sync::Arc};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;

use crate::{
    job::Job,
    openai::{Refusal, Tally, run, take_in},
    plan::Ask,
    sim::Sim,
};

/// The one method; its path is its name in the metrics too.
pub(crate) const GENERATE: &str = "/llm.v1.Chat/Generate";
/// A frame around a message without a field that is set.
const EMPTY: &[u8] = &[0; 5];

/// `llm.v1.Chat/Generate`: whatever is asked, the answer is an empty message, late and failing as planned.
pub(crate) async fn generate(State(sim): State<Arc<Sim>>, body: Bytes) -> Response {
    let mut tally = Tally::new(&sim, GENERATE);
    let outcome = match admit(&sim, &body) {
        Ok(job) => run(&sim, job).await.map(drop),
        Err(refusal) => {
            sim.metrics().refused(refusal.0.as_u16(), tally.arrived.elapsed());
            Err(refusal)
        }
    };
    tally.status = Some(outcome.as_ref().map_or_else(|(status, _)| *status, |()| StatusCode::OK));
    told(outcome)
}

fn admit(sim: &Arc<Sim>, body: &[u8]) -> Result<Job, Refusal> {
    if !sim.loaded() {
        return Err((StatusCode::SERVICE_UNAVAILABLE, "the model is being loaded".to_owned()));
    }
    if !is_one_message(body) {
        return Err((StatusCode::BAD_REQUEST, "send one message, uncompressed, in its frame of five bytes".to_owned()));
    }
    take_in(sim, Ask { prompt_bytes: body.len(), max_tokens: None }).map(|(_, job)| job)
}

/// A flag that says it is not compressed, its length, and so many bytes.
fn is_one_message(body: &[u8]) -> bool {
    body.split_first_chunk::<5>().is_some_and(|([flag, length @ ..], message)| {
        *flag == 0 && usize::try_from(u32::from_be_bytes(*length)).is_ok_and(|length| length == message.len())
    })
}

/// Always 200: gRPC tells in the trailers what became of the call.
fn told(outcome: Result<(), Refusal>) -> Response {
    let mut trailers = HeaderMap::new();
    let mut frames = Vec::new();
    let code = match outcome {
        Ok(()) => {
            frames.push(Frame::data(Bytes::from_static(EMPTY)));
            "0"
        }
        Err((status, words)) => {
            // Words of our own, without a byte that would have to be escaped.
            trailers.extend(HeaderValue::from_str(&words).map(|words| (GRPC_MESSAGE, words)));
            code_of(status)
        }
    };
    trailers.insert("grpc-status", HeaderValue::from_static(code));
    frames.push(Frame::trailers(trailers));
    let body = StreamBody::new(stream::iter(frames.into_iter().map(Ok::<_, Infallible>)));
    ([(header::CONTENT_TYPE, "application/grpc")], Body::new(body)).into_response()
}

const GRPC_MESSAGE: header::HeaderName = header::HeaderName::from_static("grpc-message");

/// As gRPC calls what HTTP would have said.
fn code_of(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "3",
        StatusCode::TOO_MANY_REQUESTS => "8",
        StatusCode::INTERNAL_SERVER_ERROR => "13",
        StatusCode::SERVICE_UNAVAILABLE => "14",
        _ => "2",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::{body::Bytes, extract::State};
    use http_body_util::BodyExt;

    use super::{EMPTY, generate, is_one_message};
    use crate::{
        config::Config,
        sim::{Identity, Sim},
    };

    async fn call(env: &[(&str, &str)], body: &'static [u8]) -> (Vec<u8>, String, String) {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let config = Config::from_env(env).unwrap();
        let sim = Arc::new(Sim::new(config, Identity { pod: "p".to_owned(), color: None }));
        let response = generate(State(Arc::clone(&sim)), Bytes::from_static(body)).await;
        assert_eq!(
            (response.status().as_u16(), response.headers()["content-type"].as_bytes()),
            (200, &b"application/grpc"[..])
        );
        let whole = response.into_body().collect().await.unwrap();
        let status = whole.trailers().unwrap()["grpc-status"].to_str().unwrap().to_owned();
        let text = sim.metrics().render("m", sim.load()).unwrap();
        (whole.to_bytes().to_vec(), status, text)
    }

    #[tokio::test]
    async fn a_call_is_answered_with_a_frame_and_trailers_and_counted() {
        let quick = [("SIM_LATENCY", "fixed:2ms"), ("SIM_TTFT", "fixed:1ms")];
        let (body, status, text) = call(&quick, EMPTY).await;
        assert_eq!((body.as_slice(), status.as_str()), (EMPTY, "0"));
        let counted = "http_requests_total{handler=\"/llm.v1.Chat/Generate\",method=\"POST\",status=\"2xx\"} 1\n";
        assert!(text.contains(counted), "{text}");
    }

    #[tokio::test]
    async fn a_call_that_fails_says_so_in_its_trailers() {
        let (body, status, text) = call(&[("SIM_ERROR_SHARE", "1")], EMPTY).await;
        assert_eq!((body.len(), status.as_str()), (0, "13"));
        assert!(text.contains("status=\"5xx\"} 1\n"), "{text}");
        let (_, status, _) = call(&[], b"{}").await;
        assert_eq!(status, "3");
    }

    #[test]
    fn a_frame_holds_as_much_as_it_says() {
        assert!(is_one_message(EMPTY) && is_one_message(&[0, 0, 0, 0, 2, 8, 1]));
        for bad in [&[][..], &[0; 4], &[1, 0, 0, 0, 0], &[0, 0, 0, 0, 1], &[0, 0, 0, 0, 0, 9]] {
            assert!(!is_one_message(bad), "{bad:?}");
        }
    }
}
