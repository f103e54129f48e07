//! A word to a rollout, from what was typed to the operator's answer: read it, send it, wait until it was heard, tell what
//! became of it. What is sent is decided in `letter`, and sent in `post`.

use std::time::Duration;

use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::{
    Said,
    cluster::Cluster,
    document,
    error::CliError,
    letter::{Letter, letter},
    post, status,
    table::clean,
    wish::Order,
};
use crate::api::{LlmRolloutOrder, LlmRolloutOrderSpec, Moment};

/// Between two looks at the rollout.
const LOOK_AGAIN: Duration = Duration::from_millis(300);

/// Says it, and tells what became of it.
pub async fn order(cluster: &Cluster, order: &Order, now: Moment) -> Result<Said, CliError> {
    let rollout = status::typed(cluster.one(&order.name).await?, &order.name)?;
    let answer = match letter(&rollout, order, now)? {
        Letter::Order(spec) => ordered(cluster, order, spec).await?,
        Letter::Paused(paused) => set(cluster, order, paused).await?,
    };
    answer.said(order)
}

/// What became of it.
#[derive(Clone, Debug, PartialEq)]
struct Answer {
    /// The verb, or what was set.
    what: String,
    /// Whether it was followed, if that was waited for.
    taken: Option<bool>,
    /// The operator's words.
    message: String,
    /// The order, if it was one.
    order: Option<String>,
    /// The same for machines.
    document: Value,
}

impl Answer {
    fn said(self, order: &Order) -> Result<Said, CliError> {
        let became = match self.taken {
            None => "sent",
            Some(true) => "taken",
            Some(false) => "not taken",
        };
        let message = Some(self.message.as_str()).filter(|m| !m.is_empty()).map(|m| format!(": {m}"));
        let which = self.order.as_ref().map(|name| format!(" (order {name})"));
        let line = format!(
            "{}: {} {became}{}{}",
            order.name,
            self.what,
            message.unwrap_or_default(),
            which.unwrap_or_default()
        );
        let (line, refused) = (clean(&line), self.taken == Some(false));
        match order.shape {
            Some(form) => Ok(Said { out: document::write(&self.document, form)?, note: String::new(), refused }),
            None if refused => Ok(Said { out: String::new(), note: line, refused }),
            None => Ok(Said::out(format!("{line}\n"))),
        }
    }
}

async fn ordered(cluster: &Cluster, order: &Order, mut spec: LlmRolloutOrderSpec) -> Result<Answer, CliError> {
    spec.approver = post::whoami(cluster).await?;
    let sent = post::order(cluster, spec).await?;
    let (name, uid) = (sent.metadata.name.clone().unwrap_or_default(), sent.metadata.uid.clone().unwrap_or_default());
    let heard = match order.patience {
        None => None,
        Some(patience) => {
            let seen =
                until(cluster, &order.name, patience, |rollout| answered(rollout, &uid, sent.spec.attempt)).await?;
            Some(seen.ok_or_else(|| late(cluster, order, &name, patience))?)
        }
    };
    let (taken, message) = match heard {
        None => (None, String::new()),
        Some(Heard::Answered { taken, message }) => (Some(taken), message),
        Some(Heard::Newer(newer)) => {
            let attempt = sent.spec.attempt;
            let namespace = cluster.namespace.clone();
            return Err(CliError::Overtaken { namespace, name: order.name.clone(), order: name, attempt, newer });
        }
    };
    let document = document_of(cluster, &sent, &name, taken, &message);
    Ok(Answer { what: sent.spec.verb.word().to_owned(), taken, message, order: Some(name), document })
}

fn late(cluster: &Cluster, order: &Order, what: &str, patience: Duration) -> CliError {
    let namespace = cluster.namespace.clone();
    CliError::NoAnswer { namespace, name: order.name.clone(), order: what.to_owned(), seconds: patience.as_secs() }
}

fn document_of(cluster: &Cluster, sent: &LlmRolloutOrder, name: &str, taken: Option<bool>, message: &str) -> Value {
    let spec = &sent.spec;
    json!({
        "rollout": spec.rollout, "namespace": cluster.namespace, "order": name, "uid": sent.metadata.uid,
        "verb": spec.verb, "attempt": spec.attempt, "by": spec.approver, "before": spec.before, "role": spec.role,
        "step": spec.step, "bake": spec.bake, "reason": spec.reason, "taken": taken, "message": message,
    })
}

/// Sets `paused`, and waits until the operator has seen that manifest.
async fn set(cluster: &Cluster, order: &Order, paused: bool) -> Result<Answer, CliError> {
    let changed = post::paused(cluster, &order.name, paused).await?;
    let generation = changed.metadata.generation.unwrap_or_default();
    let what = format!("`paused: {paused}`");
    let (taken, message) = match order.patience {
        None => (None, String::new()),
        Some(patience) => {
            let seen = until(cluster, &order.name, patience, |rollout| decided(rollout, generation)).await?;
            (Some(true), seen.ok_or_else(|| late(cluster, order, &what, patience))?)
        }
    };
    let document = json!({
        "rollout": order.name, "namespace": cluster.namespace, "paused": paused, "taken": taken, "message": message,
    });
    Ok(Answer { what, taken, message, order: None, document })
}

/// Looks at the rollout until something is seen in it; nothing when that takes too long.
async fn until<T>(
    cluster: &Cluster,
    name: &str,
    patience: Duration,
    seen: impl Fn(&DynamicObject) -> Option<T>,
) -> Result<Option<T>, CliError> {
    let look = async {
        loop {
            match cluster.one(name).await {
                Ok(rollout) => {
                    if let Some(found) = seen(&rollout) {
                        return Ok(found);
                    }
                }
                // What was said stands; the server may answer the next time.
                Err(CliError::TooLate { .. } | CliError::Unreachable { .. }) => {}
                Err(other) => return Err(other),
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    tokio::time::timeout(patience, look).await.ok().transpose()
}

/// What the operator did with an order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Heard {
    /// It answered.
    Answered {
        /// Whether it followed.
        taken: bool,
        /// In its words.
        message: String,
    },
    /// It never will: this attempt has begun.
    Newer(i64),
}

fn answered(rollout: &DynamicObject, uid: &str, attempt: i64) -> Option<Heard> {
    let status = &rollout.data["status"];
    let heard = status["orders"].as_array().into_iter().flatten().find(|heard| heard["uid"] == uid);
    if let Some(heard) = heard {
        let message = heard["message"].as_str().unwrap_or_default().to_owned();
        return Some(Heard::Answered { taken: heard["taken"] == true, message });
    }
    status["attempt"]["id"].as_i64().filter(|now| *now > attempt).map(Heard::Newer)
}

/// The operator's word on a manifest of this generation.
fn decided(rollout: &DynamicObject, generation: i64) -> Option<String> {
    let status = &rollout.data["status"];
    let seen = status["observedGeneration"].as_i64().is_some_and(|seen| seen >= generation);
    let word = |key: &str| status[key].as_str().unwrap_or_default().to_owned();
    seen.then(|| format!("{}, {}", word("phase"), word("message")))
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{Arc, Mutex},
        time::Duration,
    };

    use http::{Request, Response};
    use kube::{Client, client::Body};
    use serde_json::{Value, json};
    use tower::service_fn;

    use super::order;
    use crate::{
        api::Moment,
        cli::{
            Said,
            cluster::Cluster,
            document::Form,
            error::CliError,
            wish::{Order, Say},
        },
    };

    const AT: &str = "2026-11-21T13:00:00Z";

    fn rollout(attempt: i64, orders: &Value) -> Value {
        json!({
            "apiVersion": "llmrollout.io/v1alpha1", "kind": "LlmRollout",
            "metadata": {"name": "chat", "namespace": "llm", "generation": 4},
            "spec": {
                "release": {"template": {"port": 8000, "podTemplate": {"spec": {}}}},
                "traffic": [{"httpRoute": {"name": "chat"}}],
                "gates": [{"name": "errors", "metric": "errorRate", "max": "1%"}],
            },
            "status": {
                "observedGeneration": 4, "phase": "Paused", "message": "stands still", "orders": orders,
                "attempt": {"id": attempt, "revision": "r", "startedAt": AT, "step": 1, "weight": 5,
                            "stepEnteredAt": AT, "clockFrom": AT},
            },
        })
    }

    /// A server that takes every order, and shows the rollout as each look finds it, the last one for good.
    fn server(looks: Vec<Value>) -> (Cluster, Arc<Mutex<Vec<String>>>) {
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (told, looks) = (asked.clone(), Arc::new(Mutex::new(looks)));
        let service = service_fn(move |request: Request<Body>| {
            let (told, looks) = (told.clone(), looks.clone());
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect_bytes().await.unwrap();
                let path = head.uri.path().rsplit('/').next().unwrap_or_default().to_owned();
                told.lock().unwrap().push(format!("{} {path} {}", head.method, String::from_utf8_lossy(&body)));
                let mut looks = looks.lock().unwrap();
                let answer = match (head.method.as_str(), path.as_str()) {
                    ("POST", "selfsubjectreviews") => json!({
                        "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview",
                        "status": {"userInfo": {"username": "ana"}},
                    }),
                    ("POST", _) => {
                        let mut order: Value = serde_json::from_slice(&body).unwrap();
                        order["metadata"]["name"] = json!("chat-promote-x7k2p");
                        order["metadata"]["uid"] = json!("u1");
                        order
                    }
                    _ if looks.len() > 1 => looks.remove(0),
                    _ => looks[0].clone(),
                };
                Ok::<_, Infallible>(Response::new(Body::from(answer.to_string().into_bytes())))
            }
        });
        (Cluster::played(Client::new(service, "llm")), asked)
    }

    fn promote(patience: Option<u64>) -> Order {
        let patience = patience.map(Duration::from_secs);
        Order { name: "chat".into(), say: Say::Promote, reason: None, patience, shape: None }
    }

    async fn say(looks: Vec<Value>, word: &Order) -> Result<Said, CliError> {
        order(&server(looks).0, word, Moment::from_unix(1_795_269_600)).await
    }

    fn heard(uid: &str, taken: bool) -> Value {
        json!([{"name": "chat-promote-x7k2p", "uid": uid, "verb": "Promote", "by": "ana", "taken": taken,
                "message": "the operator's words", "at": AT}])
    }

    #[tokio::test(start_paused = true)]
    async fn an_order_says_who_and_waits_until_its_uid_is_answered() {
        let looks = vec![rollout(7, &json!([])), rollout(7, &heard("another", false)), rollout(7, &heard("u1", true))];
        let (cluster, asked) = server(looks);
        let said = order(&cluster, &promote(Some(30)), Moment::from_unix(0)).await.unwrap();
        assert_eq!(said, Said::out("chat: Promote taken: the operator's words (order chat-promote-x7k2p)\n".into()));
        let asked = asked.lock().unwrap().clone();
        let sent = asked.iter().find(|line| line.starts_with("POST llmrolloutorders")).unwrap();
        let sent: Value = serde_json::from_str(sent.splitn(3, ' ').nth(2).unwrap()).unwrap();
        assert_eq!(sent["metadata"], json!({"generateName": "chat-promote-"}));
        assert_eq!(sent["spec"], json!({"rollout": "chat", "attempt": 7, "verb": "Promote", "approver": "ana"}));
        assert_eq!(asked.iter().filter(|line| line.starts_with("GET")).count(), 3, "{asked:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_told_and_ends_with_1() {
        let refused = say(vec![rollout(7, &heard("u1", false))], &promote(Some(30))).await.unwrap();
        let note = "chat: Promote not taken: the operator's words (order chat-promote-x7k2p)".to_owned();
        assert_eq!(refused, Said { out: String::new(), note, refused: true });
        let shape = Some(Form::Json);
        let json = say(vec![rollout(7, &heard("u1", false))], &Order { shape, ..promote(Some(30)) }).await.unwrap();
        let document: Value = serde_json::from_str(&json.out).unwrap();
        assert_eq!((&document["taken"], json.refused), (&json!(false), true));
        assert_eq!((&document["by"], &document["uid"]), (&json!("ana"), &json!("u1")));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_and_a_newer_attempt_are_told_apart() {
        let silent = say(vec![rollout(7, &json!([]))], &promote(Some(30))).await.unwrap_err().to_string();
        assert!(
            silent.starts_with("the operator has not answered chat-promote-x7k2p within 30s; it stands"),
            "{silent}"
        );
        let newer = vec![rollout(7, &json!([])), rollout(8, &json!([]))];
        let newer = say(newer, &promote(Some(30))).await.unwrap_err().to_string();
        assert!(newer.starts_with("attempt 7 was over before chat-promote-x7k2p was heard"), "{newer}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_patience_nothing_is_waited_for() {
        let sent = say(vec![rollout(7, &json!([]))], &promote(None)).await.unwrap();
        assert_eq!(sent.out, "chat: Promote sent (order chat-promote-x7k2p)\n");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_a_field_of_the_manifest() {
        let (cluster, asked) = server(vec![rollout(7, &json!([]))]);
        let word = Order { say: Say::Pause, ..promote(Some(30)) };
        let said = order(&cluster, &word, Moment::from_unix(0)).await.unwrap();
        assert_eq!(said.out, "chat: `paused: true` taken: Paused, stands still\n");
        let asked = asked.lock().unwrap().clone();
        assert!(asked.contains(&r#"PATCH chat {"spec":{"paused":true}}"#.to_owned()), "{asked:?}");
        assert!(asked.iter().all(|line| !line.starts_with("POST")), "{asked:?}");
    }
}
