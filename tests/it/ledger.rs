//! What becomes of pages: `ConfigMaps` of a cluster that is a map in memory, with versions, and that can refuse.
//! The lab sends the same to a real API server.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Request, Response};
use kube::{Client, client::Body};
use llmrollout::{
    api::{
        LlmRollout, Moment, Reason,
        record::{Entry, Record, What},
    },
    decide::chronicle::Page,
    record::{
        ledger::{Desk, Ledger},
        metrics::Metrics,
    },
};
use serde_json::{Value, json};

#[derive(Debug, Default)]
struct Cluster {
    maps: BTreeMap<String, Value>,
    log: Vec<String>,
    /// So many writes from now on are refused with a conflict.
    conflicts: u32,
    version: u32,
}

impl Cluster {
    fn answer(&mut self, method: &str, name: &str, mut body: Value) -> (u16, Value) {
        self.log.push(format!("{method} {name}"));
        let refusal = |code: u16| {
            let reason = if code == 404 { "NotFound" } else { "Conflict" };
            (code, json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": "no"}))
        };
        let there = self.maps.get(name).cloned();
        match (method, there) {
            ("GET", Some(map)) => (200, map),
            ("GET" | "DELETE" | "PUT", None) => refusal(404),
            ("DELETE", Some(_)) => (200, self.maps.remove(name).unwrap()),
            _ if self.conflicts > 0 => {
                self.conflicts -= 1;
                refusal(409)
            }
            ("POST", Some(_)) => refusal(409),
            ("PUT", Some(there)) if there["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"] => {
                refusal(409)
            }
            _ => {
                self.version += 1;
                body["metadata"]["resourceVersion"] = json!(self.version.to_string());
                body["metadata"]["uid"] = json!(format!("uid-of-{name}"));
                self.maps.insert(name.to_owned(), body.clone());
                (200, body)
            }
        }
    }
}

struct Stand {
    cluster: Arc<Mutex<Cluster>>,
    desk: Desk,
}

impl Stand {
    fn new() -> Self {
        let cluster = Arc::new(Mutex::new(Cluster::default()));
        let server = Arc::clone(&cluster);
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = Arc::clone(&server);
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect_bytes().await.unwrap();
                let body: Value = serde_json::from_slice(&body).unwrap_or_default();
                let last = head.uri.path().rsplit('/').next().unwrap().to_owned();
                let name = if head.method == "POST" { body["metadata"]["name"].as_str().unwrap() } else { &last };
                let (code, answer) = server.lock().unwrap().answer(head.method.as_str(), name, body.clone());
                let body = Body::from(answer.to_string().into_bytes());
                Ok::<_, Infallible>(Response::builder().status(code).body(body).unwrap())
            }
        });
        let desk = Desk::default();
        let metrics = Arc::new(Metrics::new().0);
        let client = Client::new(service, "llm");
        tokio::spawn(
            Ledger { client, deadline: Duration::from_secs(1), desk: desk.clone(), metrics, tell: Arc::new(|_| ()) }
                .keep(),
        );
        Self { cluster, desk }
    }

    /// The record of an attempt, once `fits` holds of it.
    async fn until(&self, attempt: i64, fits: impl Fn(&Record) -> bool) -> Record {
        let look = async {
            loop {
                let text = self.cluster.lock().unwrap().maps.get(&format!("chat-attempt-{attempt}")).cloned();
                let text = text.and_then(|map| map["data"]["record.json"].as_str().map(str::to_owned));
                let record = text.and_then(|text| serde_json::from_str::<Record>(&text).ok());
                if let Some(record) = record.filter(&fits) {
                    return record;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let found = tokio::time::timeout(Duration::from_mins(10), look).await;
        found.unwrap_or_else(|_| panic!("no such record; {:?}", self.cluster.lock().unwrap()))
    }

    fn log(&self) -> Vec<String> {
        self.cluster.lock().unwrap().log.clone()
    }
}

fn rollout() -> LlmRollout {
    serde_json::from_value(json!({
        "apiVersion": "llmrollout.io/v1alpha1", "kind": "LlmRollout",
        "metadata": {"name": "chat", "namespace": "llm", "uid": "u-1"},
        "spec": {"manual": true, "traffic": [], "release": {"template": {"port": 8000, "podTemplate": {}}}},
    }))
    .unwrap()
}

fn page(attempt: i64, second: i64) -> Page {
    let what = What::Asked { reason: Reason::GateAsks, message: format!("at {second}") };
    let entry = Entry { at: Moment::from_unix(1_800_000_000 + second), step: 1, bake: 0, tell: vec![], what };
    Page { attempt, revision: "r".into(), entries: vec![entry], ..Page::default() }
}

#[tokio::test(start_paused = true)]
async fn a_record_is_owned_and_holds_each_entry_once() {
    let stand = Stand::new();
    assert!(stand.desk.hand_in(&rollout(), page(3, 1)));
    let record = stand.until(3, |_| true).await;
    assert_eq!((record.rollout.as_str(), record.namespace.as_str(), record.attempt), ("chat", "llm", 3));
    let map = stand.cluster.lock().unwrap().maps["chat-attempt-3"].clone();
    assert_eq!(map["metadata"]["ownerReferences"][0]["uid"], "u-1");
    assert_eq!(map["metadata"]["labels"]["llmrollout.io/rollout"], "chat");
    // The next process tells what stands in status once more.
    stand.desk.hand_in(&rollout(), page(3, 1));
    stand.desk.hand_in(&rollout(), page(3, 2));
    let record = stand.until(3, |record| record.entries.len() > 1).await;
    assert_eq!(record.entries.len(), 2);
    let puts = stand.log().iter().filter(|line| line.starts_with("PUT")).count();
    assert_eq!(puts, 1, "{:?}", stand.log());
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_written_is_tried_again_and_nothing_is_lost() {
    let stand = Stand::new();
    stand.cluster.lock().unwrap().conflicts = 3;
    for second in 1..=4 {
        stand.desk.hand_in(&rollout(), page(1, second));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let record = stand.until(1, |record| record.entries.len() == 4).await;
    let told: Vec<_> = record.entries.iter().map(|e| e.at.unix() - 1_800_000_000).collect();
    assert_eq!(told, [1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_ours_or_of_another_time_stays_as_it_is() {
    let stand = Stand::new();
    let ours = json!({"name": "chat-attempt-2", "resourceVersion": "1", "labels": {"llmrollout.io/rollout": "chat"},
                      "ownerReferences": [{"apiVersion": "x", "kind": "x", "name": "chat", "uid": "u-1"}]});
    let newer = json!({"metadata": ours, "data": {"record.json": "{\"schema\": \"llmrollout.io/record/v9\"}"}});
    let foreign = json!({"metadata": {"name": "chat-attempt-1", "resourceVersion": "1"}, "data": {"mine": "1"}});
    let maps = BTreeMap::from([("chat-attempt-1".to_owned(), foreign), ("chat-attempt-2".to_owned(), newer)]);
    stand.cluster.lock().unwrap().maps = maps.clone();
    stand.desk.hand_in(&rollout(), page(1, 1));
    stand.desk.hand_in(&rollout(), page(2, 1));
    stand.desk.hand_in(&rollout(), page(3, 1));
    stand.until(3, |_| true).await;
    let now = stand.cluster.lock().unwrap().maps.clone();
    assert!(maps.iter().all(|(name, map)| now[name] == *map), "{now:?}");
    assert!(!stand.log().iter().any(|line| line.starts_with("PUT")), "{:?}", stand.log());
}

#[tokio::test(start_paused = true)]
async fn ten_attempts_are_kept() {
    let stand = Stand::new();
    for attempt in 1..=13 {
        stand.desk.hand_in(&rollout(), page(attempt, attempt));
        stand.until(attempt, |_| true).await;
    }
    stand.desk.hand_in(&rollout(), page(13, 14));
    stand.until(13, |record| record.entries.len() == 2).await;
    let kept: Vec<_> = stand.cluster.lock().unwrap().maps.keys().cloned().collect();
    let mut expected: Vec<_> = (4..=13).map(|attempt| format!("chat-attempt-{attempt}")).collect();
    expected.sort();
    assert_eq!(kept, expected);
}

#[tokio::test]
async fn a_desk_has_an_end_and_knows_whom_it_was_told_of() {
    let desk = Desk::default();
    let taken = (0..600).filter(|second| desk.hand_in(&rollout(), page(1, *second))).count();
    assert_eq!(taken, 512);
    assert!(!desk.knows(&rollout()) && desk.knows(&rollout()));
    desk.forget("llm", "chat");
    assert!(!desk.knows(&rollout()) && desk.hand_in(&rollout(), page(1, 0)));
}
