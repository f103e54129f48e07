//! Sends one request and reads its answer to the end.
//! Nothing here counts.

use std::time::Duration;

use futures::StreamExt;
use reqwest::{Response, header, redirect::Policy};
use serde_json::json;

use crate::{
    args::Args,
    clock::now,
    grpc,
    outcome::{End, Events, Head, Outcome},
};

/// What sends requests.
#[derive(Debug)]
pub(crate) struct Client {
    /// Keeps its connections.
    pooled: reqwest::Client,
    /// Takes a new one each time.
    fresh: reqwest::Client,
    /// Sends calls instead, if that is asked for.
    grpc: Option<grpc::Caller>,
    args: Args,
    bodies: [String; 2],
}

impl Client {
    /// A client for one run.
    pub(crate) fn new(args: &Args) -> Result<Self, reqwest::Error> {
        // Nothing is repeated in silence: a request that failed is a finding.
        let build = |idle: usize| {
            reqwest::Client::builder()
                .no_proxy()
                .http1_only()
                .redirect(Policy::none())
                .retry(reqwest::retry::never())
                .timeout(args.timeout)
                .pool_max_idle_per_host(idle)
                // Given up before the gateway does (Contour: after 60 s), or a request meets a connection just closed.
                .pool_idle_timeout(Duration::from_secs(30))
                .build()
        };
        Ok(Self {
            pooled: build(args.max_in_flight)?,
            fresh: build(0)?,
            grpc: args.grpc.then(|| grpc::Caller::new(args)),
            bodies: [false, true].map(|stream| body(args, stream)),
            args: args.clone(),
        })
    }

    /// Sends one request.
    pub(crate) async fn send(&self, stream: bool, new_connection: bool) -> Outcome {
        let begun = now();
        if let Some(grpc) = &self.grpc {
            let (head, end, detail) = grpc.call(new_connection).await;
            return Outcome::new(head, end, detail, begun.elapsed());
        }
        let client = if new_connection { &self.fresh } else { &self.pooled };
        let mut request = client
            .post(self.args.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .body(self.bodies[usize::from(stream)].clone());
        if let Some(host) = &self.args.host {
            request = request.header(header::HOST, host);
        }
        let (head, end, detail) = match request.send().await {
            Ok(response) => read(response, stream).await,
            Err(why) => (None, before_the_head(&why), chain(&why)),
        };
        Outcome::new(head, end, detail, begun.elapsed())
    }
}

fn body(args: &Args, stream: bool) -> String {
    let text = "Say in a few words what a rollout is, and why it should be undone when it hurts.";
    let mut body = if args.url.path().ends_with("/chat/completions") {
        json!({"messages": [{"role": "user", "content": text}], "stream": stream})
    } else {
        json!({"prompt": text, "stream": stream})
    };
    if let Some(model) = &args.model {
        body["model"] = json!(model);
    }
    body.to_string()
}

async fn read(response: Response, stream: bool) -> (Option<Head>, End, String) {
    let head = Head::of(response.status(), response.headers());
    let events_expected = stream && response.status().is_success();
    let mut events = Events::default();
    let mut pieces = response.bytes_stream();
    while let Some(piece) = pieces.next().await {
        match piece {
            Ok(bytes) if events_expected => events.feed(&bytes),
            Ok(_) => {}
            Err(why) => {
                let end = if why.is_timeout() { End::Late } else { End::Truncated };
                return (Some(head), end, chain(&why));
            }
        }
    }
    let end = if events_expected { events.end() } else { End::Whole };
    (Some(head), end, String::new())
}

fn before_the_head(why: &reqwest::Error) -> End {
    if why.is_timeout() {
        End::Late
    } else if why.is_connect() {
        End::NoConnection
    } else {
        End::Lost
    }
}

/// An error with its causes: the outermost alone only repeats the URL.
pub(crate) fn chain(why: &dyn std::error::Error) -> String {
    std::iter::successors(Some(why), |why| why.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
