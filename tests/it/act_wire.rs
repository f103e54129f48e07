//! What `act` sends: exact method, path, query and body, and what it makes of the answers. The API server here is a
//! function; the lab cases send the same writes to a real one.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Request, Response};
use kube::{Client, client::Body};
use llmrollout::{
    act::{Acted, Class, Hands, act},
    api::LlmRolloutStatus,
    decide::{
        Decision, Intent,
        intent::{Owned, OwnedKind},
    },
    routers::{GuardedPatch, PatchKind},
};
use serde_json::{Value, json};

/// What arrived: method, path with query, content type, body.
type Sent = (String, String, String, Value);

fn hands(answers: Vec<(u16, Value)>, may_write: bool) -> (Hands, Arc<Mutex<Vec<Sent>>>) {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&sent);
    let answers = Arc::new(Mutex::new(answers.into_iter()));
    let service = tower::service_fn(move |request: Request<Body>| {
        let (log, answers) = (Arc::clone(&log), Arc::clone(&answers));
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect_bytes().await.unwrap();
            let kind = head.headers.get("content-type").map_or("", |v| v.to_str().unwrap()).to_owned();
            let body = serde_json::from_slice(&body).unwrap();
            log.lock().unwrap().push((head.method.to_string(), head.uri.to_string(), kind, body));
            let (code, answer) = answers.lock().unwrap().next().unwrap_or((200, json!({})));
            if code == 0 {
                std::future::pending::<()>().await;
            }
            Ok::<_, std::io::Error>(
                Response::builder().status(code).body(Body::from(answer.to_string().into_bytes())).unwrap(),
            )
        }
    });
    let client = Client::new(service, "llm");
    (
        Hands {
            client,
            deadline: Duration::from_millis(100),
            may_write: Arc::new(move || may_write),
            webhooks: Arc::default(),
        },
        sent,
    )
}

fn weights() -> Intent {
    Intent::Patch(GuardedPatch {
        kind: PatchKind::HttpRoute,
        namespace: None,
        name: "chat".into(),
        ops: vec![
            json!({"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}),
            json!({"op": "add", "path": "/spec/rules/0/backendRefs/0/weight", "value": 80}),
        ],
    })
}

fn selector() -> Intent {
    let ops = vec![json!({"op": "replace", "path": "/metadata/resourceVersion", "value": "9"})];
    Intent::Patch(GuardedPatch { kind: PatchKind::Service, namespace: None, name: "chat".into(), ops })
}

fn deployment() -> Intent {
    let body = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "chat-green"}});
    Intent::Apply(Owned { kind: OwnedKind::Deployment, name: "chat-green".into(), body })
}

fn job() -> Intent {
    let body = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "chat-1"}, "spec": {}});
    Intent::Apply(Owned { kind: OwnedKind::Job, name: "chat-1".into(), body })
}

fn decision(intents: Vec<Intent>, home: bool) -> Decision {
    Decision {
        beside: Vec::new(),
        calls: BTreeMap::new(),
        intents,
        next: LlmRolloutStatus::default(),
        latched: home,
        home,
        wants_live: false,
        news: vec![],
        judged: vec![],
        wake: None,
        asks: std::collections::BTreeSet::new(),
        odds: vec![],
        meant: None,
    }
}

fn refusal(code: u16, message: &str) -> (u16, Value) {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": "x", "code": code});
    (code, status)
}

async fn run(intents: Vec<Intent>, home: bool, answers: Vec<(u16, Value)>) -> (Acted, Vec<Sent>) {
    let (hands, sent) = hands(answers, true);
    let acted = act(&decision(intents, home), ["llm", "chat"], &hands).await;
    let sent = sent.lock().unwrap().clone();
    (acted, sent)
}

#[tokio::test]
async fn weights_go_out_as_one_guarded_json_patch() {
    let (acted, sent) = run(vec![weights()], false, vec![]).await;
    assert!(acted.stopped().is_none());
    let (method, uri, kind, body) = &sent[0];
    assert_eq!(method, "PATCH");
    assert_eq!(
        uri,
        "/apis/gateway.networking.k8s.io/v1/namespaces/llm/httproutes/chat?fieldManager=llmrollout-operator"
    );
    assert_eq!(kind, "application/json-patch+json");
    assert_eq!(body[0], json!({"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}));
}

#[tokio::test]
async fn our_objects_are_applied_with_our_name_and_force() {
    let (_, sent) = run(
        vec![deployment()],
        false,
        vec![(200, json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {}}))],
    )
    .await;
    let (method, uri, kind, _) = &sent[0];
    assert_eq!((method.as_str(), kind.as_str()), ("PATCH", "application/apply-patch+yaml"));
    assert_eq!(uri, "/apis/apps/v1/namespaces/llm/deployments/chat-green?&force=true&fieldManager=llmrollout-operator");
}

#[tokio::test]
async fn a_job_is_created_and_never_changed() {
    let (acted, sent) = run(vec![job()], false, vec![]).await;
    assert_eq!(acted.done(), ["create Job llm/chat-1"]);
    let (method, uri, kind, body) = &sent[0];
    assert_eq!((method.as_str(), kind.as_str()), ("POST", "application/json"));
    assert_eq!(uri, "/apis/batch/v1/namespaces/llm/jobs?fieldManager=llmrollout-operator");
    assert_eq!((&body["kind"], &body["metadata"]["name"]), (&json!("Job"), &json!("chat-1")));
    let (acted, sent) = run(vec![job(), deployment()], false, vec![refusal(409, "already exists")]).await;
    assert!(acted.stopped().is_none(), "one that is there already is done");
    assert_eq!(sent.len(), 2);
    for (code, class) in [(422, Class::Refused), (403, Class::Denied), (503, Class::Transient)] {
        let (acted, _) = run(vec![job()], false, vec![refusal(code, "no")]).await;
        assert_eq!(acted.stopped().map(llmrollout::act::ActError::class), Some(class), "{code}");
    }
}

#[tokio::test]
async fn answers_have_their_class() {
    for (answer, class) in [
        (refusal(409, "conflict"), Class::Stale),
        (refusal(422, "test failed"), Class::Stale),
        (refusal(404, "gone"), Class::Stale),
        (refusal(403, "no"), Class::Denied),
        (refusal(429, "slow down"), Class::Transient),
        (refusal(500, "boom"), Class::Transient),
        (refusal(503, "down"), Class::Transient),
        ((0, json!({})), Class::Transient),
    ] {
        let (acted, sent) = run(vec![weights()], false, vec![answer.clone()]).await;
        assert_eq!(acted.stopped().map(llmrollout::act::ActError::class), Some(class), "{answer:?}");
        assert_eq!(sent.len(), 1, "never sent twice in one pass: {answer:?}");
    }
    for (code, words) in [
        (422, "spec.containers: Required"),
        (500, "failed to create typed patch object (llm/chat-blue; apps/v1, Kind=Deployment): .image: expected string"),
    ] {
        let (acted, _) = run(vec![deployment()], false, vec![refusal(code, words)]).await;
        let error = acted.stopped().unwrap();
        assert_eq!(error.class(), Class::Refused);
        assert!(error.for_people().unwrap().1.contains(words), "the server's own words");
    }
}

#[tokio::test]
async fn forward_stops_at_the_first_failure_and_home_tries_everything() {
    let (acted, sent) = run(vec![weights(), selector()], false, vec![refusal(409, "moved")]).await;
    assert_eq!((sent.len(), acted.done().len()), (1, 0));
    let (acted, sent) = run(vec![weights(), selector()], true, vec![refusal(403, "no")]).await;
    assert_eq!((sent.len(), acted.done().len()), (2, 1));
    assert_eq!(acted.stopped().map(llmrollout::act::ActError::class), Some(Class::Denied));
}

#[tokio::test]
async fn without_the_lease_nothing_is_sent() {
    let (hands, sent) = hands(vec![], false);
    let acted = act(&decision(vec![weights()], true), ["llm", "chat"], &hands).await;
    assert_eq!(acted.stopped().map(llmrollout::act::ActError::class), Some(Class::Fatal));
    assert!(sent.lock().unwrap().is_empty());
}
