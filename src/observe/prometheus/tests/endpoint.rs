//! An endpoint that tells a number, against the same small server: what it is asked, and what is made of its answers.

use std::{collections::BTreeSet, time::Duration};

use super::{
    poll, run,
    server::{Server, gzip, json, response},
    settings,
};
use crate::{
    api::{Moment, sources::Http, status::Color},
    line::{ProviderSettings, Speaks},
    metrics::{self, Ask, NoData, Number, Question, Sample, Source, Subject},
    observe::{
        board::{Board, Owner},
        clock::Clock,
        prometheus::Provider,
    },
};

fn endpoint(url: &str) -> ProviderSettings {
    ProviderSettings { speaks: Speaks::Json, ..settings("eval", url) }
}

/// What a gate asks about green.
fn question(http: &Http) -> Question {
    let subject = Subject::Number(Number::read(http).unwrap());
    let ask = Ask {
        provider: "default",
        rollout: "chat",
        revision: "abc123",
        namespace: "llm",
        workload: "chat-green",
        other: None,
        replicas: 1,
        color: Color::Green,
        subject: &subject,
        since: Moment::from_unix(Clock::start().now().unix() - 60),
        window: Duration::from_secs(30),
        urgent: false,
        interval: Duration::from_mins(10),
    };
    let source = Source::read(&crate::api::exporters::Metrics::default(), None, None).unwrap();
    metrics::question(&source, &ask).unwrap()
}

fn score() -> Http {
    Http { name: "eval".into(), path: "/score".into(), samples: None }
}

async fn ask(settings: ProviderSettings, http: &Http) -> Result<Sample, NoData> {
    let board = Board::default();
    let question = question(http);
    board.subscribe(&Owner::new("chat").within("llm"), BTreeSet::from([question.clone()]));
    let task = run(settings, &board);
    let reading = poll(&board, &question, 1).await.remove(0);
    task.abort();
    assert_eq!(reading.window, Duration::ZERO, "a number has no window");
    reading.outcome
}

#[tokio::test]
async fn asks_once_with_whom_it_is_about_in_the_query() {
    let server = Server::with(json(r#"{"score":0.97,"count":412}"#)).await;
    let url =
        format!("{}/v1/score?of={{{{namespace}}}}/{{{{name}}}}&color={{{{color}}}}&rev={{{{revision}}}}", server.url);
    let mut settings = endpoint(&url);
    settings.headers.insert("X-Team".into(), "a".into());
    let counted = Http { samples: Some("/count".into()), ..score() };
    assert_eq!(ask(settings, &counted).await, Ok(Sample { value: 0.97, samples: 412.0 }));
    let requests = server.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    let line = "GET /v1/score?of=llm%2Fchat&color=green&rev=abc123 HTTP/1.1\r\n";
    assert!(requests[0].starts_with(line), "{}", requests[0]);
    for header in ["\r\nx-team: a\r\n", "\r\naccept: application/json\r\n", "\r\ncache-control: no-cache\r\n"] {
        assert!(requests[0].contains(header), "{header}: {}", requests[0]);
    }
}

#[tokio::test]
async fn credentials_go_along() {
    let file = std::env::temp_dir().join(format!("llmrollout-endpoint-{}", std::process::id()));
    std::fs::write(&file, "secret-token\n").unwrap();
    let server = Server::with(json("1")).await;
    let settings = ProviderSettings { bearer_token_file: Some(file.clone()), ..endpoint(&server.url) };
    assert_eq!(ask(settings, &Http { path: String::new(), ..score() }).await, Ok(Sample { value: 1.0, samples: 1.0 }));
    std::fs::remove_file(file).unwrap();
    assert!(server.requests()[0].contains("\r\nauthorization: Bearer secret-token\r\n"));
}

#[tokio::test]
async fn odd_answers_are_no_data_each_for_its_reason() {
    let shape = NoData::WrongShape;
    for (bytes, expected) in [
        (response("200 OK", "content-type: text/html\r\n", b"<html>"), shape("content type is not application/json")),
        (json("<html>"), shape("not JSON")),
        (json("{}"), shape("nothing stands at `path`")),
        (json(r#"{"score":"0.97"}"#), shape("a string instead of a number")),
        (json(r#"{"score":[0.97]}"#), shape("a list instead of a number")),
        (json(r#"{"score":NaN}"#), shape("not JSON")),
        (json(r#"{"score":1e999}"#), NoData::NotFinite),
        (json(r#"{"score":0.97,"score":0.1}"#), shape("a field stands there twice")),
        (response("302 Found", "location: http://169.254.169.254/\r\n", b""), NoData::Status(302)),
        (response("404 Not Found", "content-type: application/json\r\n", b"{\"score\":1}"), NoData::Status(404)),
        (response("429 Too Many", "content-type: application/json\r\n", b"{}"), NoData::Throttled),
        (json(&format!("{{\"x\":\"{}\",\"score\":1}}", " ".repeat(2 << 20))), NoData::TooBig),
        (gzip(&vec![b' '; 64 << 20]), NoData::TooBig),
        (Vec::new(), NoData::Unreachable("the connection broke off")),
    ] {
        let said = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).to_string();
        let server = Server::with(bytes).await;
        assert_eq!(ask(endpoint(&server.url), &score()).await, Err(expected), "{said}");
        assert_eq!(server.requests().len(), 1, "nothing is followed or tried again: {said}");
    }
    let server =
        Server::dripping("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{").await;
    assert_eq!(ask(endpoint(&server.url), &score()).await, Err(NoData::Late));
}

#[tokio::test]
async fn a_provider_of_the_same_name_is_another() {
    let (number, provider) = (Server::with(json(r#"{"score":1}"#)).await, Server::with(json("{}")).await);
    let board = Board::default();
    let question = question(&score());
    board.subscribe(&Owner::new("chat").within("llm"), BTreeSet::from([question.clone()]));
    let tasks = [run(settings("eval", &provider.url), &board), run(endpoint(&number.url), &board)];
    assert!(poll(&board, &question, 1).await[0].outcome.is_ok());
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    assert_eq!((number.requests().len(), provider.requests().len()), (1, 0));
}

#[test]
fn an_address_where_nobody_is_asked_is_refused_in_an_endpoint_s_words() {
    for (url, words) in [
        ("http://169.254.169.254/latest?a={{name}}", "endpoint eval: url: nobody is asked at a link-local"),
        ("http://u:p@x/y", "endpoint eval: url: must not hold a user"),
        ("http://x/{{name}}", "endpoint eval: url: `{{…}}` may only stand in a value"),
        ("http://x/y#z", "endpoint eval: url: must not hold a #"),
        ("x", "endpoint eval: url: write for example https://"),
    ] {
        let said = Provider::new(endpoint(url)).unwrap_err().to_string();
        assert!(said.starts_with(words), "{said}");
    }
}
