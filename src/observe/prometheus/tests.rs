//! A provider's task against a small server on loopback that answers badly in every way it can.

mod endpoint;
mod names;
mod server;
mod tls;

use std::{collections::BTreeSet, time::Duration};

use tokio::{net::TcpListener, task::JoinHandle};

use self::server::{Server, gzip, json, response, value};
use super::Provider;
use crate::{
    api::Moment,
    line::ProviderSettings,
    metrics::{NoData, Question, Reading, Sample, Template},
    observe::{
        board::{Board, Owner},
        clock::Clock,
    },
};

fn settings(name: &str, url: &str) -> ProviderSettings {
    serde_json::from_value(serde_json::json!({"name": name, "url": url, "timeoutSeconds": 1, "maxPerSecond": 1000}))
        .unwrap()
}

/// Settings with a deadline that no test waits for.
fn patient(name: &str, url: &str) -> ProviderSettings {
    ProviderSettings { timeout_seconds: Some(60), ..settings(name, url) }
}

fn question(provider: &str, text: &str) -> Question {
    Question {
        provider: provider.into(),
        about: None,
        value: Template::new(format!("value_{text}[{}]", crate::metrics::question::WINDOW)),
        samples: Template::new(format!("samples_{text}[{}]", crate::metrics::question::WINDOW)),
        since: Moment::from_unix(Clock::start().now().unix() - 60),
        window: Duration::from_secs(30),
        interval: Duration::from_mins(10),
        shortest: Question::SHORTEST,
        urgent: false,
        names: Vec::new(),
        raw: None,
    }
}

/// Waits until the board holds so many readings of a question, at most ten seconds.
async fn poll(board: &Board, question: &Question, count: usize) -> Vec<Reading> {
    let started = Clock::start();
    loop {
        let readings = board.readings(question);
        if readings.len() >= count {
            return readings;
        }
        assert!(started.running() < Duration::from_secs(10), "{count} readings expected, {} came", readings.len());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn run(settings: ProviderSettings, board: &Board) -> JoinHandle<()> {
    let provider = Provider::new(settings).unwrap();
    tokio::spawn(provider.run(board.clone(), Clock::start(), |_, _, _| {}, std::future::pending()))
}

/// What one provider with these settings makes of one question.
async fn ask(settings: ProviderSettings) -> Result<Sample, NoData> {
    let board = Board::default();
    let question = question(&settings.name, "x");
    board.subscribe(&Owner::new("chat").within("prod"), BTreeSet::from([question.clone()]));
    let task = run(settings, &board);
    let reading = poll(&board, &question, 1).await.remove(0);
    task.abort();
    assert_eq!(reading.window, Duration::from_secs(30));
    reading.outcome
}

#[tokio::test]
async fn asks_with_a_form_below_the_prefix() {
    let server = Server::with(json(&value("0.25"))).await;
    let mut settings = settings("default", &format!("{}/prom/tenant/", server.url));
    settings.headers.insert("X-Scope-OrgID".into(), "team-a".into());
    assert_eq!(ask(settings).await, Ok(Sample { value: 0.25, samples: 0.25 }));
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests[0].starts_with("POST /prom/tenant/api/v1/query HTTP/1.1\r\n"), "{}", requests[0]);
    let always = "&timeout=1s&partial_response=false&dedup=true&nocache=1";
    let (samples, value) = (format!("query=samples_x%5B30s%5D{always}"), format!("query=value_x%5B30s%5D{always}"));
    let body = |n: usize| requests[n].split_once("\r\n\r\n").unwrap().1;
    assert_eq!(body(0), samples, "for the provider's own now");
    let instant = body(1).strip_prefix(&value).and_then(|rest| rest.strip_prefix("&time=")).unwrap();
    assert!(instant.ends_with(".500"), "the value for the instant of the samples: {instant}");
    assert!(requests[0].contains("\r\nx-scope-orgid: team-a\r\n"), "{}", requests[0]);
    assert!(requests[0].contains("\r\ncontent-type: application/x-www-form-urlencoded\r\n"), "{}", requests[0]);
}

#[tokio::test]
async fn odd_answers_have_distinct_reasons() {
    let shape = NoData::WrongShape;
    let one = value("1");
    let body =
        |result: &str| json(&format!(r#"{{"status":"success","data":{{"resultType":"vector","result":{result}}}}}"#));
    let at = Clock::start().now().unix();
    let html = b"<html>login</html>";
    let cases = [
        (response("200 OK", "content-type: text/html\r\n", html), shape("content type is not application/json")),
        (json("<html>login</html>"), shape("not JSON")),
        (json(r#"{"status":"success"}"#), shape("no data")),
        (body("null"), shape("result is not a list")),
        (body("[]"), NoData::Empty),
        (body(r#"[{"metric":{},"value":[1]}]"#), shape("a value is not a pair")),
        (body(&format!(r#"[{{"metric":{{}},"value":[{at},1]}}]"#)), shape("a value is not a string")),
        (body(&format!(r#"[{{"value":[{at},"1"]}},{{"value":[{at},"1"]}}]"#)), NoData::ManySeries(2)),
        (json(&value("NaN")), NoData::NotFinite),
        (json(&value("0x1p3")), shape("a value is not a decimal number")),
        (json(&one.replacen('{', r#"{"warnings":["only half of the stores"],"#, 1)), NoData::Partial),
        (response("302 Found", "location: http://169.254.169.254/\r\n", b""), NoData::Status(302)),
        (response("429 Too Many Requests", "content-type: application/json\r\n", one.as_bytes()), NoData::Throttled),
        (response("500 Oops", "content-type: application/json\r\n", one.as_bytes()), NoData::Status(500)),
        (json(&" ".repeat(2 << 20)), NoData::TooBig),
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9999\r\n\r\n{}".to_vec(),
            NoData::Unreachable("the connection broke off"),
        ),
    ];
    let mut reasons = BTreeSet::new();
    for (bytes, expected) in cases {
        let said = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).to_string();
        let server = Server::with(bytes).await;
        assert_eq!(ask(settings("default", &server.url)).await, Err(expected.clone()), "{said}");
        assert_eq!(server.requests().len(), 1, "nothing is followed or tried again: {said}");
        assert!(reasons.insert(expected), "a reason of its own: {said}");
    }
}

#[tokio::test]
async fn more_of_the_same_kinds() {
    for (bytes, expected) in [
        (json(&value("+Inf")), NoData::NotFinite),
        (json(&value("1e999")), NoData::NotFinite),
        (json(&value("0")), NoData::Empty),
        (
            response("200 OK", "content-type: application/json\r\nx-store-partial: true\r\n", value("1").as_bytes()),
            NoData::Partial,
        ),
        (gzip(&vec![b' '; 64 << 20]), NoData::TooBig),
        (gzip(&vec![b'['; 100_000]), NoData::WrongShape("not JSON")),
        (
            response("200 OK", "content-type: application/json\r\ncontent-encoding: gzip\r\n", b"no gzip"),
            NoData::Unreachable("the connection broke off"),
        ),
        (response("200 OK", &"x-a: b\r\n".repeat(100_000), b""), NoData::Unreachable("the connection broke off")),
        (Vec::new(), NoData::Unreachable("the connection broke off")),
    ] {
        let said = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).to_string();
        let server = Server::with(bytes).await;
        assert_eq!(ask(settings("default", &server.url)).await, Err(expected), "{said}");
    }
    let packed = Server::with(gzip(value("3").as_bytes())).await;
    assert_eq!(ask(settings("default", &packed.url)).await, Ok(Sample { value: 3.0, samples: 3.0 }));
    let streamed =
        response("200 OK", "content-type: application/stream+json; charset=utf-8\r\n", value("3").as_bytes());
    let streamed = Server::with(streamed).await;
    assert_eq!(ask(settings("default", &streamed.url)).await, Ok(Sample { value: 3.0, samples: 3.0 }));
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert_eq!(ask(settings("default", &format!("http://{closed}"))).await, Err(NoData::Unreachable("no connection")));
}

#[tokio::test]
async fn a_drip_feed_ends_at_the_total_deadline() {
    for start in [
        "",
        "HTTP/1.1 200 OK\r\nx-a: ",
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999999\r\n\r\n{",
    ] {
        let server = Server::dripping(start).await;
        let started = Clock::start();
        let outcome = ask(settings("default", &server.url)).await;
        if start.is_empty() {
            // Blanks are no status line, so the client may give up before the deadline.
            assert!(matches!(outcome, Err(NoData::Late | NoData::Unreachable(_))), "{outcome:?}");
        } else {
            assert_eq!(outcome, Err(NoData::Late), "{start}");
        }
        assert!(started.running() < Duration::from_secs(3), "{start}");
    }
}

#[tokio::test]
async fn equal_questions_are_asked_once_and_new_ones_at_once() {
    let server = Server::with(json(&value("5"))).await;
    let board = Board::default();
    let task = run(settings("default", &server.url), &board);
    let shared = question("default", "shared");
    for name in ["a", "b", "c"] {
        board.subscribe(&Owner::new(name).within("prod"), BTreeSet::from([shared.clone()]));
    }
    poll(&board, &shared, 1).await;
    let own = question("default", "own");
    board.subscribe(
        &Owner::new("a").within("prod"),
        BTreeSet::from([shared.clone(), own.clone(), question("other", "x")]),
    );
    poll(&board, &own, 1).await;
    let requests = server.requests();
    assert_eq!(requests.len(), 4, "two questions of two requests, each once: {requests:?}");
    assert_eq!(board.readings(&shared).len(), 1);
    task.abort();
}

#[tokio::test]
async fn asks_again_at_the_interval_with_a_growing_window() {
    let server = Server::with(json(&value("5"))).await;
    let board = Board::default();
    let young = Question { since: Clock::start().now(), interval: Duration::from_secs(1), ..question("default", "x") };
    board.subscribe(&Owner::new("a").within("prod"), BTreeSet::from([young.clone()]));
    let task = run(settings("default", &server.url), &board);
    let readings = poll(&board, &young, 3).await;
    task.abort();
    let windows: Vec<_> = readings.iter().map(|r| r.window.as_secs()).collect();
    assert!(windows[0] >= 3 && windows.is_sorted() && windows[2] > windows[0], "{windows:?}");
    for reading in &readings {
        assert_eq!(reading.window, reading.at.since(young.since), "a window never reaches back before its step");
    }
}

#[tokio::test]
async fn never_more_on_the_way_than_allowed() {
    let server = Server::dripping("HTTP/1.1 200 OK\r\n").await;
    let board = Board::default();
    let all: BTreeSet<_> = (0..20).map(|i| question("default", &i.to_string())).collect();
    board.subscribe(&Owner::new("a").within("prod"), all);
    let mut settings = patient("default", &server.url);
    settings.max_in_flight = 3;
    let task = run(settings, &board);
    server.poll_requests(3).await;
    // The deadline is a minute: until then there must be no fourth.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(server.requests().len(), 3);
    task.abort();
}

#[tokio::test]
async fn a_provider_that_hangs_delays_no_other() {
    let hanging = Server::dripping("HTTP/1.1 200 OK\r\n").await;
    let good = Server::with(json(&value("5"))).await;
    let board = Board::default();
    let stuck: BTreeSet<_> = (0..20).map(|i| question("hanging", &i.to_string())).collect();
    board.subscribe(&Owner::new("a").within("prod"), stuck);
    let tasks = [run(patient("hanging", &hanging.url), &board), run(settings("good", &good.url), &board)];
    hanging.poll_requests(4).await;
    let mine = question("good", "x");
    board.subscribe(&Owner::new("b").within("prod"), BTreeSet::from([mine.clone()]));
    poll(&board, &mine, 1).await;
    assert_eq!(hanging.requests().len(), 4, "still the first ones");
    tasks.iter().for_each(JoinHandle::abort);
}

#[tokio::test]
async fn stops_at_once_with_questions_on_the_way() {
    let server = Server::dripping("HTTP/1.1 200 OK\r\n").await;
    let board = Board::default();
    board.subscribe(&Owner::new("a").within("prod"), BTreeSet::from([question("default", "x")]));
    let provider = Provider::new(patient("default", &server.url)).unwrap();
    let started = Clock::start();
    provider.run(board, started, |_, _, _| {}, server.poll_requests(1)).await;
    assert!(started.running() < Duration::from_secs(10));
}

#[tokio::test]
async fn credentials_come_from_files_and_stay_secret() {
    let file = std::env::temp_dir().join(format!("llmrollout-token-{}", std::process::id()));
    std::fs::write(&file, "canary-1\n").unwrap();
    let server = Server::with(json(&value("5"))).await;
    let mut with_token = settings("default", &server.url);
    with_token.bearer_token_file = Some(file.clone());
    ask(with_token.clone()).await.unwrap();
    std::fs::write(&file, "canary-2").unwrap();
    ask(with_token.clone()).await.unwrap();
    let mut basic = settings("default", &server.url);
    basic.basic_auth = Some(crate::line::BasicAuth { username: "me".into(), password_file: file.clone() });
    ask(basic).await.unwrap();
    let requests = server.requests();
    assert!(requests[0].contains("\r\nauthorization: Bearer canary-1\r\n"), "{}", requests[0]);
    assert!(requests[2].contains("\r\nauthorization: Bearer canary-2\r\n"), "{}", requests[2]);
    assert!(requests[4].contains("\r\nauthorization: Basic bWU6Y2FuYXJ5LTI=\r\n"), "{}", requests[4]);

    std::fs::write(&file, "canary\n\u{1}canary").unwrap();
    let outcome = ask(with_token.clone()).await.unwrap_err();
    assert_eq!(outcome, NoData::Unreachable("its credentials are no HTTP header"));
    std::fs::remove_file(&file).unwrap();
    let outcome = ask(with_token.clone()).await.unwrap_err();
    assert_eq!(outcome, NoData::Unreachable("the file with its credentials cannot be read"));
    with_token.headers.insert("x-key".into(), "canary".into());
    let shown = format!("{with_token:?} {:?}", Provider::new(with_token.clone()).unwrap());
    assert!(!shown.contains("canary") && !shown.contains("127.0.0.1"), "{shown}");
}

#[tokio::test]
async fn a_value_of_another_instant_is_none() {
    let at = Clock::start().now().unix();
    let server = Server::start(std::sync::Arc::new(move |mut stream, request| {
        let apart = if request.contains("time=1") { 10 } else { 0 };
        let body = value("5").replace(&format!("[{at}"), &format!("[{}", at - apart));
        futures::FutureExt::boxed(async move {
            tokio::io::AsyncWriteExt::write_all(&mut stream, &json(&body)).await.unwrap();
        })
    }))
    .await;
    let outcome = ask(settings("default", &server.url)).await;
    assert_eq!(outcome, Err(NoData::WrongShape("a value of another instant than its samples")));
}

#[tokio::test]
async fn a_provider_that_asks_for_a_rest_gets_it() {
    let busy = response("429 Too Many Requests", "content-type: application/json\r\nretry-after: 60\r\n", b"{}");
    let server = Server::with(busy).await;
    let board = Board::default();
    let all: BTreeSet<_> = ["x", "y", "z"].into_iter().map(|text| question("default", text)).collect();
    board.subscribe(&Owner::new("a").within("prod"), all.clone());
    let mut settings = settings("default", &server.url);
    settings.max_in_flight = 1;
    let task = run(settings, &board);
    let told = async {
        loop {
            let told: Vec<Reading> = all.iter().flat_map(|question| board.readings(question)).collect();
            if let [one] = told.as_slice() {
                return one.clone();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(10), told).await.unwrap();
    assert_eq!(told.outcome, Err(NoData::Throttled));
    // Time enough for the other two.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(server.requests().len(), 1, "and nobody asks on");
    task.abort();
}

#[test]
fn settings_that_cannot_be_used_are_refused() {
    let refused = |field: &str, value: serde_json::Value| {
        let mut settings = serde_json::json!({"name": "default", "url": "http://canary.example:9090"});
        settings[field] = value;
        let read: Result<ProviderSettings, _> = serde_json::from_value(settings);
        let error = match read {
            Ok(settings) => Provider::new(settings).err().unwrap_or_else(|| panic!("{field} was accepted")).to_string(),
            Err(unknown) => unknown.to_string(),
        };
        assert!(!error.contains("canary"), "{error}");
        error
    };
    for url in [
        "",
        "canary",
        "ftp://canary/",
        "http://",
        "http://canary:canary@x/",
        "https://canary@x",
        "http://x/?canary=1",
        "http://x/#canary",
        "file:///canary",
        "http://169.254.169.254/latest",
        "http://2852039166",
        "https://[fe80::1]:9090",
        "http://[::ffff:169.254.169.254]",
        "http://0.0.0.0:9090",
    ] {
        assert!(refused("url", url.into()).starts_with("provider default: url: "));
    }
    for name in ["Authorization", "Host", "Cookie", "bad name", "Content-Type"] {
        assert!(refused("headers", serde_json::json!({name: "canary"})).starts_with("provider default: headers: "));
    }
    assert!(
        refused("headers", serde_json::json!({"x-a": "canary\r\nHost: y"})).starts_with("provider default: headers: ")
    );
    assert!(refused("timeoutSeconds", 0.into()).contains("1 to 60"));
    assert!(refused("maxInFlight", 0.into()).contains("1 to 64"));
    assert!(refused("maxPerSecond", 0.into()).contains("1 to 1000"));
    assert!(refused("caFile", "/nowhere".into()).contains("caFile cannot be read"));
    assert!(refused("certFile", "/nowhere".into()).contains("give both or neither"));
    for name in ["127.0.0.1", "", "canary/x", "x.canary"] {
        assert!(refused("serverName", name.into()).contains("serverName: write a DNS name"), "{name}");
    }
    assert!(refused("timeout", 5.into()).contains("unknown field"));
}

#[tokio::test]
async fn a_question_whose_answer_is_known_tells_whether_it_answers() {
    let server = Server::with(json(&value("1"))).await;
    let provider = Provider::new(settings("default", &server.url)).unwrap();
    assert!(provider.ask(Clock::start()).await.is_ok());
    assert!(server.requests()[0].contains("query=vector%281%29&"), "{:?}", server.requests());
    let refuses = Server::with(response("401 Unauthorized", "content-type: application/json\r\n", b"{}")).await;
    let provider = Provider::new(settings("default", &refuses.url)).unwrap();
    assert_eq!(provider.ask(Clock::start()).await, Err(NoData::Status(401)));
}
