use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use axum::body::to_bytes;
use http::{Request, Response, StatusCode, header};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tower::{ServiceExt, service_fn};

use super::{Desk, guard::Guard, router, shown};
use crate::{
    api::{LlmRollout, Moment},
    cli::cluster::Cluster,
};

const PORT: u16 = 4000;

fn rollout(phase: &str) -> Value {
    let file = format!("{}/tests/phases/{phase}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

fn now() -> Moment {
    Moment::from_unix(1_800_000_030)
}

/// The page before an API server that has one rollout and takes every order; what it was sent stands in the list.
fn page(phase: &str) -> (axum::Router, String, Arc<Mutex<Vec<Value>>>) {
    let (sent, rollout) = (Arc::new(Mutex::new(Vec::new())), rollout(phase));
    let told = Arc::clone(&sent);
    let service = service_fn(move |request: Request<Body>| {
        let (told, rollout) = (Arc::clone(&told), rollout.clone());
        async move {
            let (head, body) = request.into_parts();
            let body: Value = serde_json::from_slice(&body.collect_bytes().await.unwrap()).unwrap_or_default();
            let path = head.uri.path();
            let answer = if path.ends_with("selfsubjectreviews") {
                json!({"status": {"userInfo": {"username": "ada"}}})
            } else if head.method == http::Method::POST {
                told.lock().unwrap().push(body.clone());
                let mut order = body;
                (order["metadata"]["name"], order["metadata"]["uid"]) = (json!("chat-abort-x"), json!("uid-9"));
                order
            } else if path.ends_with("/llmrollouts") {
                json!({"apiVersion": "llmrollout.io/v1alpha1", "kind": "LlmRolloutList", "metadata": {}, "items": [rollout]})
            } else if path.ends_with("/events") {
                json!({"apiVersion": "v1", "kind": "EventList", "metadata": {}, "items": []})
            } else {
                let mut rollout = rollout;
                let order = json!({"name": "chat-abort-x", "uid": "uid-9", "verb": "Abort", "by": "ada", "taken": true, "message": "traffic goes back", "at": "2027-01-15T08:00:00Z"});
                rollout["status"]["orders"] = json!([order]);
                rollout
            };
            Ok::<_, Infallible>(Response::new(Body::from(answer.to_string().into_bytes())))
        }
    });
    let guard = Guard::new(PORT).unwrap();
    let token = guard.token().to_owned();
    let desk = Desk { cluster: Cluster::played(Client::new(service, "llm")), everywhere: true, now };
    (router(Arc::new(desk), guard), token, sent)
}

fn asked(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Request<axum::body::Body> {
    let all = [("host", "127.0.0.1:4000")].iter().filter(|(name, _)| headers.iter().all(|(own, _)| own != name));
    let request = Request::builder().method(method).uri(path);
    let request = all.chain(headers).fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(axum::body::Body::from(body.to_owned())).unwrap()
}

const ABORT: &str = r#"{"namespace":"llm","name":"chat","verb":"abort","reason":"bad answers"}"#;

#[tokio::test]
async fn only_who_knows_the_address_gets_anything() {
    let (page, token, _) = page("Holding");
    let code = async |request: Request<axum::body::Body>| page.clone().oneshot(request).await.unwrap().status();
    for path in ["/", "/events", "/page.js", "/00000000000000000000000000000000/"] {
        assert_eq!(code(asked("GET", path, &[], "")).await, StatusCode::NOT_FOUND, "{path}");
    }
    let own = format!("/{token}/");
    assert_eq!(code(asked("GET", &own, &[], "")).await, StatusCode::OK);
    assert_eq!(code(asked("GET", &own, &[("host", "localhost:4000")], "")).await, StatusCode::OK);
    for headers in [[("host", "evil.example:4000")], [("host", "127.0.0.1:4001")], [("origin", "http://evil.example")]]
    {
        assert_eq!(code(asked("GET", &own, &headers, "")).await, StatusCode::FORBIDDEN, "{headers:?}");
    }
    let answer = page.clone().oneshot(asked("GET", &own, &[], "")).await.unwrap();
    let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(answer.headers()[header::REFERRER_POLICY], "no-referrer");
}

#[test]
fn each_page_has_an_address_of_its_own() {
    let [one, two] = [Guard::new(PORT), Guard::new(PORT)].map(|guard| guard.unwrap().token().to_owned());
    assert!(one.len() == 32 && one != two);
}

#[tokio::test]
async fn a_word_is_taken_from_the_page_alone() {
    let (page, token, sent) = page("Holding");
    let path = format!("/{token}/words");
    let own = ("x-llmrollout-token", token.as_str());
    for headers in [vec![], vec![("x-llmrollout-token", "guess")], vec![own, ("origin", "http://evil.example")]] {
        let answer = page.clone().oneshot(asked("POST", &path, &headers, ABORT)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{headers:?}");
    }
    for body in ["", "{}", &ABORT.replace("abort", "delete")] {
        let answer = page.clone().oneshot(asked("POST", &path, &[own], body)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{body}");
    }
    assert!(sent.lock().unwrap().is_empty());
    let headers = [own, ("origin", "http://127.0.0.1:4000")];
    let answer = page.clone().oneshot(asked("POST", &path, &headers, ABORT)).await.unwrap();
    let answer: Value = serde_json::from_slice(&to_bytes(answer.into_body(), 4096).await.unwrap()).unwrap();
    assert_eq!(answer["taken"], true, "{answer}");
    let sent = sent.lock().unwrap();
    let spec = &sent[0]["spec"];
    assert_eq!(
        (&spec["verb"], &spec["approver"], &spec["reason"]),
        (&json!("Abort"), &json!("ada"), &json!("bad answers"))
    );
}

#[test]
fn every_phase_has_a_track_and_words() {
    let told = |phase: &str| {
        let rollout: LlmRollout = serde_json::from_value(rollout(phase)).unwrap();
        let story = shown::story(&rollout, &[], None, now());
        let words = |of: &Value, key: &str| {
            let all = of.as_array().unwrap().iter();
            all.map(|w| if key.is_empty() { w } else { &w[key] }.as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
                .join(" ")
        };
        format!("{} | {}", words(&story["steps"], "state"), words(&story["words"], ""))
    };
    for (phase, expected) in [
        ("Idle", "ahead ahead ahead ahead | pause"),
        ("Holding", "now ahead ahead ahead | abort pause promote skip"),
        ("AwaitingApproval", "ahead ahead ahead ahead | abort pause approve reject promote"),
        ("Completed", "done done done done | pause"),
        ("RolledBack", "back ahead ahead ahead | pause retry"),
        ("RollingBack", "ahead ahead ahead ahead | abort pause"),
        ("Baking", "done done done done now | abort pause skip"),
    ] {
        assert_eq!(told(phase), expected, "{phase}");
    }
}
