//! The protocol of docs/webhook-router.md as it goes over the wire: what a webhook is asked and told, and what is made of
//! each way in which it may answer. A real server on loopback, which does as it is bid.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::any,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Client, client::Body};
use llmrollout::{
    act::{self, Acted, Class, Hands, act},
    api::{LlmRollout, LlmRolloutStatus, Moment, Reason, status::Attempt},
    decide::{Decision, Intent},
    line::{ProviderSettings, Speaks},
    observe::{
        board::{Board, Owner},
        webhooks::Webhooks,
    },
    routers::{
        Shares,
        webhook::{Heard, Put},
    },
};
use serde_json::{Value, json};

/// What the server answers, and what it was asked.
#[derive(Default)]
struct Script {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    hangs: bool,
    asked: Vec<(Method, String, HeaderMap, String)>,
}

type Shared = Arc<Mutex<Script>>;

async fn answer(State(script): State<Shared>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let (hangs, response) = {
        let mut script = script.lock().unwrap();
        script.asked.push((method, uri.to_string(), headers, String::from_utf8_lossy(&body).into_owned()));
        let mut response = (StatusCode::from_u16(script.status).unwrap(), script.body.clone()).into_response();
        for (name, value) in &script.headers {
            response.headers_mut().insert(*name, value.parse().unwrap());
        }
        (script.hangs, response)
    };
    if hangs {
        std::future::pending::<()>().await;
    }
    response
}

/// A server, and how it is named in the operator's configuration.
async fn server() -> (Shared, Vec<ProviderSettings>) {
    let script = Shared::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().fallback(any(answer)).with_state(Arc::clone(&script));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let url = format!("http://{address}/weights?of={{{{namespace}}}}/{{{{name}}}}");
    let settings: ProviderSettings =
        serde_json::from_value(json!({"name": "lb", "url": url, "timeoutSeconds": 1})).unwrap();
    (script, vec![ProviderSettings { speaks: Speaks::Weights, ..settings }])
}

fn says(script: &Shared, status: u16, headers: &[(&'static str, &str)], body: &str) {
    let mut script = script.lock().unwrap();
    (script.status, script.body) = (status, body.to_owned());
    script.headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    script.asked.clear();
}

fn asked(script: &Shared) -> (Method, String, HeaderMap, String) {
    let asked = std::mem::take(&mut script.lock().unwrap().asked);
    assert_eq!(asked.len(), 1, "one request, and none is sent again by itself");
    asked.into_iter().next().unwrap()
}

fn rollout(attempt: Option<i64>) -> LlmRollout {
    let mut rollout: LlmRollout = serde_json::from_value(json!({
        "apiVersion": "llmrollout.io/v1alpha1", "kind": "LlmRollout", "metadata": {"name": "chat", "namespace": "llm"},
        "spec": {"traffic": [{"webhook": {"name": "lb"}}], "release": {"template": {"port": 1, "podTemplate": {}}}},
    }))
    .unwrap();
    rollout.metadata.creation_timestamp = Some(Time(k8s_openapi::jiff::Timestamp::UNIX_EPOCH));
    rollout.status = attempt.map(status);
    rollout
}

/// A release under way.
fn status(id: i64) -> LlmRolloutStatus {
    let at = Moment::from_unix(1_800_000_000);
    let attempt: Attempt = serde_json::from_value(
        json!({"id": id, "revision": "r2", "startedAt": at, "step": 1, "weight": 5, "clockFrom": at}),
    )
    .unwrap();
    LlmRolloutStatus { attempt: Some(attempt), ..LlmRolloutStatus::default() }
}

const JSON: (&str, &str) = ("content-type", "application/json");

/// Until each has said its first word; whoever waits for it is woken.
async fn meet(webhooks: &Webhooks, board: &Board, rollout: &LlmRollout) {
    let mut wakes = std::pin::pin!(board.wakes());
    while !webhooks.met(rollout) {
        let woken = tokio::time::timeout(Duration::from_secs(10), futures::StreamExt::next(&mut wakes)).await;
        assert_eq!(woken.expect("its word wakes").unwrap().name, "chat");
    }
}

async fn heard(settings: &[ProviderSettings]) -> Heard {
    let board = Board::default();
    let webhooks = Webhooks::new(settings, &board).unwrap();
    let rollout = rollout(Some(7));
    meet(&webhooks, &board, &rollout).await;
    webhooks.heard(&Owner::from_obj(&rollout), "lb").expect("it is configured")
}

#[tokio::test]
async fn a_webhook_is_asked_about_one_rollout_and_believed_when_it_makes_sense() {
    let (script, settings) = server().await;
    says(&script, 200, &[JSON, ("etag", "\"7\"")], r#"{"weights": {"blue": 95, "green": 5}, "since": "noon"}"#);
    let told = heard(&settings).await.unwrap();
    assert_eq!((told.version.as_str(), told.shares), ("\"7\"", Shares::of_percent(95, 5)));
    let (method, uri, headers, _) = asked(&script);
    assert_eq!((method, uri.as_str()), (Method::GET, "/weights?of=llm%2Fchat"));
    for (name, value) in [
        ("llmrollout-namespace", "llm"),
        ("llmrollout-name", "chat"),
        ("llmrollout-attempt", "7"),
        ("llmrollout-deadline", "1"),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_trouble_that_says_what_to_mend() {
    let (script, settings) = server().await;
    let good = r#"{"weights": {"blue": 100, "green": 0}}"#;
    let tag = ("etag", "\"7\"");
    let large = format!("{{\"weights\": {{\"blue\": 100, \"green\": 0}}, \"x\": \"{}\"}}", "y".repeat(1 << 20));
    for (status, headers, body, reason, words) in [
        (200, vec![JSON], good, Reason::WebhookInvalid, "no ETag"),
        (200, vec![JSON, ("etag", "W/\"7\"")], good, Reason::WebhookInvalid, "without `W/`"),
        (200, vec![JSON, ("etag", "7")], good, Reason::WebhookInvalid, "an ETag that no If-Match can hold"),
        (200, vec![JSON, tag], "{}", Reason::WebhookInvalid, "something else than two weights"),
        (200, vec![JSON, tag], "oops", Reason::WebhookInvalid, "something else than two weights"),
        (200, vec![JSON, tag], r#"{"weights": {"blue": 60, "green": 60}}"#, Reason::WebhookInvalid, "60 and 60"),
        (200, vec![JSON, tag], r#"{"weights": {"blue": 0, "green": 0}}"#, Reason::WebhookInvalid, "0 and 0"),
        (200, vec![JSON, tag], r#"{"weights": {"blue": 101, "green": -1}}"#, Reason::WebhookInvalid, "101 and -1"),
        (200, vec![JSON, tag], r#"{"weights": {"blue": "100", "green": "0"}}"#, Reason::WebhookInvalid, "two weights"),
        (
            200,
            vec![JSON, tag],
            r#"{"weights": {"blue": 90, "green": 5, "red": 5}}"#,
            Reason::WebhookInvalid,
            "something else than two weights",
        ),
        (
            200,
            vec![JSON, tag],
            r#"{"weights": {"blue": 100, "green": 0, "green": 50}}"#,
            Reason::WebhookInvalid,
            "something else than two weights",
        ),
        (200, vec![("content-type", "text/html"), tag], good, Reason::WebhookUnreachable, "content type"),
        (302, vec![JSON, tag, ("location", "http://127.0.0.1:1/")], good, Reason::WebhookUnreachable, "HTTP 302"),
        (500, vec![JSON, tag], good, Reason::WebhookUnreachable, "HTTP 500"),
        (404, vec![JSON, tag], good, Reason::WebhookUnreachable, "HTTP 404"),
        (200, vec![JSON, tag], large.as_str(), Reason::WebhookUnreachable, "larger than 1 MiB"),
    ] {
        says(&script, status, &headers, body);
        let trouble = heard(&settings).await.unwrap_err();
        assert_eq!(trouble.reason, reason, "{}", trouble.message);
        assert!(trouble.message.contains(words) && trouble.message.contains("webhook lb"), "{}", trouble.message);
    }
}

#[tokio::test]
async fn a_webhook_that_hangs_is_trouble_after_its_deadline_and_nobody_waits_for_it() {
    let (script, settings) = server().await;
    script.lock().unwrap().hangs = true;
    says(&script, 200, &[], "");
    let board = Board::default();
    let webhooks = Webhooks::new(&settings, &board).unwrap();
    let rollout = rollout(Some(1));
    for _ in 0..3 {
        // Who looks again meanwhile asks nobody again.
        assert!(!webhooks.met(&rollout));
        webhooks.heard(&Owner::from_obj(&rollout), "lb").unwrap().unwrap_err();
    }
    meet(&webhooks, &board, &rollout).await;
    let trouble = webhooks.heard(&Owner::from_obj(&rollout), "lb").unwrap().unwrap_err();
    assert_eq!(trouble.reason, Reason::WebhookUnreachable);
    assert!(trouble.message.contains("did not answer in time"), "{}", trouble.message);
    drop(asked(&script));
    webhooks.hear_now(&rollout, "lb").await.unwrap().unwrap_err();
    assert!(webhooks.met(&rollout));
    assert!(script.lock().unwrap().asked.is_empty(), "nobody waits for it a second time");
    assert!(webhooks.heard(&Owner::from_obj(&rollout), "other").is_none(), "nobody has configured that one");
}

/// While a release is under way what is new wakes the rollout; at rest nobody is asked.
#[tokio::test]
async fn news_of_a_release_under_way_wake_its_rollout_and_nobody_is_asked_at_rest() {
    let (script, settings) = server().await;
    let board = Board::default();
    let webhooks = Webhooks::new(&settings, &board).unwrap();
    let task = tokio::spawn(webhooks.clone().run(std::future::pending()));
    let (tag, weights) =
        (|n: &'static str| [JSON, ("etag", n)], |b: i32| json!({"weights": {"blue": b, "green": 100 - b}}).to_string());
    says(&script, 200, &tag("\"1\""), &weights(100));
    let running = rollout(Some(1));
    webhooks.follow(&running, &status(1));
    meet(&webhooks, &board, &running).await;
    says(&script, 200, &tag("\"2\""), &weights(40));
    webhooks.look_at("lb");
    let mut wakes = std::pin::pin!(board.wakes());
    let woken = tokio::time::timeout(Duration::from_secs(10), futures::StreamExt::next(&mut wakes)).await;
    assert_eq!(woken.unwrap().unwrap().name, "chat");
    let owner = Owner::from_obj(&running);
    assert_eq!(webhooks.heard(&owner, "lb").unwrap().unwrap().shares, Shares::of_percent(40, 60));
    // The release is over: what was heard last stays, and a look in vain asks nobody.
    webhooks.follow(&running, &LlmRolloutStatus::default());
    says(&script, 200, &tag("\"3\""), &weights(0));
    webhooks.look_at("lb");
    assert!(webhooks.met(&running));
    assert_eq!(webhooks.heard(&owner, "lb").unwrap().unwrap().version, "\"2\"");
    // The next one begins: what was heard is of another time.
    webhooks.follow(&running, &status(2));
    meet(&webhooks, &board, &running).await;
    assert_eq!(webhooks.heard(&owner, "lb").unwrap().unwrap().version, "\"3\"");
    task.abort();
}

fn hands(settings: &[ProviderSettings]) -> Hands {
    let nobody = |_: http::Request<Body>| async { Err::<http::Response<Body>, _>(std::io::Error::other("no cluster")) };
    Hands {
        client: Client::new(tower::service_fn(nobody), "llm"),
        deadline: Duration::from_secs(1),
        may_write: Arc::new(|| true),
        webhooks: Arc::new(act::Webhooks::new(settings).unwrap()),
    }
}

fn telling(put: Put) -> Decision {
    Decision {
        intents: vec![Intent::Put(put)],
        next: status(7),
        latched: false,
        home: false,
        wants_live: false,
        news: vec![],
        wake: None,
        asks: std::collections::BTreeSet::new(),
        odds: vec![],
        judged: vec![],
        meant: None,
        beside: vec![],
        calls: BTreeMap::new(),
    }
}

async fn tell(settings: &[ProviderSettings], put: Put) -> Acted {
    act(&telling(put), ["llm", "chat"], &hands(settings)).await
}

/// On the way home it is told beside the others: one that hangs is not even asked before they are home.
#[tokio::test]
async fn the_way_home_waits_for_no_webhook() {
    let (script, settings) = server().await;
    says(&script, 204, &[], "");
    let (hands, home) = (hands(&settings), Decision { home: true, ..telling(put(None, 0)) });
    let acted = act(&home, ["llm", "chat"], &hands).await;
    assert!(acted.done().is_empty() && acted.stopped().is_none() && script.lock().unwrap().asked.is_empty());
    let told = act::tell_home(&home, ["llm", "chat"], &hands).await;
    assert_eq!(told.done(), ["tell webhook lb of llm/chat 100/0"]);
    drop(asked(&script));
    let forward = act::tell_home(&telling(put(None, 0)), ["llm", "chat"], &hands).await;
    assert!(forward.done().is_empty() && script.lock().unwrap().asked.is_empty(), "that is told in its place");
}

fn put(version: Option<&str>, green: i32) -> Put {
    let shares = Shares::of_percent(100 - green, green);
    Put { webhook: "lb".to_owned(), version: version.map(ToOwned::to_owned), shares }
}

#[tokio::test]
async fn a_webhook_is_told_both_weights_of_the_version_that_was_seen() {
    let (script, settings) = server().await;
    says(&script, 204, &[], "");
    let acted = tell(&settings, put(Some("\"7\""), 20)).await;
    assert!(acted.stopped().is_none());
    assert_eq!(acted.done(), ["tell webhook lb of llm/chat 80/20"]);
    let (method, uri, headers, body) = asked(&script);
    assert_eq!((method, uri.as_str()), (Method::PUT, "/weights?of=llm%2Fchat"));
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body, json!({"weights": {"blue": 80, "green": 20}}));
    for (name, value) in [
        ("if-match", "\"7\""),
        ("content-type", "application/json"),
        ("llmrollout-name", "chat"),
        ("llmrollout-attempt", "7"),
        ("llmrollout-deadline", "1"),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
    let key = headers["idempotency-key"].clone();
    says(&script, 204, &[], "");
    tell(&settings, put(Some("\"7\""), 20)).await;
    assert_eq!(asked(&script).2["idempotency-key"], key, "the same write has the same key");
    for other in [put(Some("\"8\""), 20), put(Some("\"7\""), 50)] {
        says(&script, 204, &[], "");
        tell(&settings, other).await;
        assert_ne!(asked(&script).2["idempotency-key"], key, "and another has another");
    }
    says(&script, 204, &[], "");
    tell(&settings, put(None, 0)).await;
    let (_, _, headers, _) = asked(&script);
    assert_eq!((&headers["if-match"], headers.get("idempotency-key")), (&"*".parse().unwrap(), None));
}

#[tokio::test]
async fn each_answer_to_a_put_has_its_class() {
    let (script, settings) = server().await;
    let problem = ("content-type", "application/problem+json");
    for (status, headers, body, class, words) in [
        (412, vec![], "", Class::Stale, "moved"),
        (
            409,
            vec![problem],
            r#"{"title": "no", "detail": "frozen\nuntil Monday"}"#,
            Class::Refused,
            "409: frozen until",
        ),
        (422, vec![problem], r#"{"title": "only tenths"}"#, Class::Refused, "HTTP 422: only tenths"),
        (422, vec![JSON], r#"{"detail": "canary"}"#, Class::Refused, "HTTP 422"),
        (403, vec![], "canary", Class::Refused, "HTTP 403"),
        (302, vec![("location", "http://127.0.0.1:1/canary")], "", Class::Refused, "HTTP 302"),
        (429, vec![], "", Class::Transient, "HTTP 429"),
        (503, vec![], "canary", Class::Transient, "HTTP 503"),
    ] {
        says(&script, status, &headers, body);
        let acted = tell(&settings, put(Some("\"7\""), 20)).await;
        let error = acted.stopped().unwrap();
        assert_eq!(error.class(), class, "{error}");
        let said = error.to_string();
        assert!(said.contains(words) && !said.contains("canary"), "{said}");
        drop(asked(&script));
    }
    script.lock().unwrap().hangs = true;
    says(&script, 204, &[], "");
    let acted = tell(&settings, put(Some("\"7\""), 20)).await;
    assert_eq!(acted.stopped().unwrap().class(), Class::Transient);
    assert!(acted.stopped().unwrap().to_string().contains("did not answer in time"));
    let unknown = tell(&[], put(Some("\"7\""), 20)).await;
    assert!(unknown.stopped().unwrap().to_string().contains("`routers`"));
}
