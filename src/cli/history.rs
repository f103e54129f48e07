//! `history NAME`: what was tried before, how it ended, and who said what to it. Attempts come from the rollout's status,
//! words from the orders of the namespace.

use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::{
    Said,
    cluster::Cluster,
    document::{self, Form},
    error::CliError,
    status,
    table::{Table, age, ago, clean},
};
use crate::api::{
    LlmRollout, LlmRolloutOrder, LlmRolloutStatus, Moment,
    status::{Attempt, Past},
};

/// Asks for the rollout and the orders to it.
pub async fn history(cluster: &Cluster, name: &str, shape: Option<Form>, now: Moment) -> Result<Said, CliError> {
    let rollout = status::typed(cluster.one(name).await?, name)?;
    let (orders, note) = match cluster.orders().await {
        Ok(all) => (orders_to(all, name), String::new()),
        // Attempts are worth telling without the words that were said to them.
        Err(error @ (CliError::Forbidden { .. } | CliError::NoKind(_))) => {
            (Vec::new(), clean(&format!("orders are not shown: {error}")))
        }
        Err(error) => return Err(error),
    };
    let out = match shape {
        None => told(&rollout, &orders, now),
        Some(form) => document::write(&documented(&rollout, &orders), form)?,
    };
    Ok(Said { note, ..Said::out(out) })
}

/// The orders to one rollout, the newest first. One that this version does not understand is left out.
fn orders_to(all: Vec<DynamicObject>, name: &str) -> Vec<LlmRolloutOrder> {
    let typed = all.into_iter().filter_map(|o| o.try_parse::<LlmRolloutOrder>().ok());
    let mut ours: Vec<_> = typed.filter(|o| o.spec.rollout == name).collect();
    ours.sort_by_key(|o| std::cmp::Reverse((created(o), o.metadata.name.clone())));
    ours
}

fn created(order: &LlmRolloutOrder) -> Option<Moment> {
    order.metadata.creation_timestamp.as_ref().map(|at| at.0.into())
}

fn told(rollout: &LlmRollout, orders: &[LlmRolloutOrder], now: Moment) -> String {
    let none = LlmRolloutStatus::default();
    let status = rollout.status.as_ref().unwrap_or(&none);
    let running = status.attempt.as_ref().filter(|a| a.ended_at.is_none());
    let parts = [attempts(running, &status.history, now), words(status, orders, now)];
    let text = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n");
    if text.is_empty() { "Nothing was released yet.\n".to_owned() } else { text }
}

/// The attempts, the newest first.
pub(super) fn attempts(running: Option<&Attempt>, past: &[Past], now: Moment) -> String {
    let mut table = Table::new(["ATTEMPT", "REVISION", "OUTCOME", "BEGAN", "TOOK", "MESSAGE"]);
    if let Some(a) = running {
        let so_far = age(now.since(a.started_at));
        let row = [a.id.to_string(), a.revision.clone(), "under way".into(), ago(a.started_at, now), so_far];
        table.row(row);
    }
    for attempt in past {
        table.row([
            attempt.id.to_string(),
            attempt.revision.clone(),
            attempt.outcome.to_string(),
            ago(attempt.started_at, now),
            age(attempt.ended_at.since(attempt.started_at)),
            attempt.message.clone(),
        ]);
    }
    if running.is_none() && past.is_empty() { String::new() } else { table.text() }
}

fn words(status: &LlmRolloutStatus, orders: &[LlmRolloutOrder], now: Moment) -> String {
    let mut table = Table::new(["ORDER", "ATTEMPT", "VERB", "BY", "SAID", "REASON", "ANSWER"]);
    for order in orders {
        table.row([
            order.metadata.name.clone().unwrap_or_default(),
            order.spec.attempt.to_string(),
            verb(order),
            order.spec.approver.clone(),
            created(order).map(|at| ago(at, now)).unwrap_or_default(),
            order.spec.reason.clone().unwrap_or_default(),
            answer(status, order),
        ]);
    }
    if orders.is_empty() { String::new() } else { table.text() }
}

/// `Approve Full as sre`, `Skip step 2`.
fn verb(order: &LlmRolloutOrder) -> String {
    let spec = &order.spec;
    let parts = [
        Some(spec.verb.word().to_owned()),
        spec.before.clone(),
        spec.role.as_ref().map(|role| format!("as {role}")),
        spec.step.filter(|_| spec.bake.is_none()).map(|step| format!("step {step}")),
        spec.bake.map(|bake| format!("bake {bake}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// Answers are kept as long as their attempt is the newest.
fn answer(status: &LlmRolloutStatus, order: &LlmRolloutOrder) -> String {
    let heard = status.orders.iter().find(|h| Some(&h.uid) == order.metadata.uid.as_ref());
    let newest = status.attempt.as_ref().is_some_and(|a| a.id == order.spec.attempt);
    match heard {
        Some(heard) if heard.taken => format!("taken: {}", heard.message),
        Some(heard) => format!("not taken: {}", heard.message),
        None if newest => "not heard".to_owned(),
        None => "-".to_owned(),
    }
}

fn documented(rollout: &LlmRollout, orders: &[LlmRolloutOrder]) -> Value {
    let none = LlmRolloutStatus::default();
    let status = rollout.status.as_ref().unwrap_or(&none);
    let orders = orders.iter().map(|order| {
        let heard = status.orders.iter().find(|h| Some(&h.uid) == order.metadata.uid.as_ref());
        json!({
            "name": order.metadata.name, "uid": order.metadata.uid, "at": created(order), "spec": order.spec,
            "taken": heard.map(|h| h.taken), "message": heard.map(|h| h.message.clone()),
        })
    });
    json!({
        "name": rollout.metadata.name, "namespace": rollout.metadata.namespace, "attempt": status.attempt,
        "history": status.history, "orders": orders.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::{Request, Response};
    use kube::{Client, api::DynamicObject, client::Body};
    use serde_json::{Value, json};
    use tower::service_fn;

    use super::{documented, history, orders_to, told};
    use crate::{
        api::{LlmRollout, Moment},
        cli::cluster::Cluster,
    };

    /// 2026-11-21T14:00:00Z.
    const NOW: Moment = Moment::from_unix(1_795_269_600);

    fn rollout(status: &Value) -> LlmRollout {
        serde_json::from_value(json!({
            "apiVersion": "llmrollout.io/v1alpha1", "kind": "LlmRollout", "metadata": {"name": "chat"},
            "spec": {
                "release": {"template": {"port": 8000, "podTemplate": {"spec": {}}}},
                "traffic": [{"httpRoute": {"name": "chat"}}], "gates": [],
            },
            "status": status,
        }))
        .unwrap()
    }

    fn order(name: &str, at: &str, spec: &Value) -> DynamicObject {
        let mut object = json!({
            "apiVersion": "llmrollout.io/v1alpha1", "kind": "LlmRolloutOrder",
            "metadata": {"name": name, "uid": format!("uid-of-{name}"), "creationTimestamp": at},
            "spec": {"rollout": "chat", "attempt": 7, "approver": "ana"},
        });
        for (key, value) in spec.as_object().unwrap() {
            object["spec"][key] = value.clone();
        }
        serde_json::from_value(object).unwrap()
    }

    fn said() -> Vec<DynamicObject> {
        vec![
            order("chat-abort-a", "2026-11-12T11:00:00Z", &json!({"attempt": 6, "verb": "Abort", "reason": "slow"})),
            order("other", "2026-11-21T13:59:00Z", &json!({"rollout": "rag", "verb": "Promote"})),
            order(
                "chat-approve-b",
                "2026-11-21T13:00:00Z",
                &json!({"verb": "Approve", "before": "Full", "role": "sre"}),
            ),
            order("chat-skip-c", "2026-11-21T13:30:00Z", &json!({"verb": "Skip", "step": 2, "approver": "ben"})),
            order("chat-skip-d", "2026-11-21T13:59:59Z", &json!({"verb": "Skip", "step": 4, "bake": 1})),
            order("of-tomorrow", "2026-11-21T13:59:59Z", &json!({"verb": "Levitate"})),
        ]
    }

    fn status() -> Value {
        let heard = |name: &str, taken: bool, message: &str| {
            json!({"name": name, "uid": format!("uid-of-{name}"), "verb": "Skip", "by": "ana", "taken": taken,
                   "message": message, "at": "2026-11-21T13:00:01Z"})
        };
        json!({
            "attempt": {"id": 7, "revision": "3f2a9c771100", "startedAt": "2026-11-21T12:00:00Z", "step": 2,
                        "weight": 20, "clockFrom": "2026-11-21T12:00:00Z"},
            "history": [{"id": 6, "revision": "0a1b2c3d4e5f", "outcome": "Aborted", "message": "ana ordered it back",
                         "startedAt": "2026-11-12T10:00:00Z", "endedAt": "2026-11-12T11:00:00Z"}],
            "orders": [heard("chat-approve-b", true, "approved"), heard("chat-skip-c", false, "step 1 is being measured")],
        })
    }

    #[test]
    fn tells_attempts_and_words_the_newest_first() {
        let expected = "\
ATTEMPT   REVISION       OUTCOME     BEGAN                             TOOK   MESSAGE
7         3f2a9c771100   under way   2026-11-21T12:00:00Z (120m ago)   120m
6         0a1b2c3d4e5f   Aborted     2026-11-12T10:00:00Z (9d ago)     60m    ana ordered it back

ORDER            ATTEMPT   VERB                  BY    SAID                             REASON   ANSWER
chat-skip-d      7         Skip bake 1           ana   2026-11-21T13:59:59Z (1s ago)             not heard
chat-skip-c      7         Skip step 2           ben   2026-11-21T13:30:00Z (30m ago)            not taken: step 1 is being measured
chat-approve-b   7         Approve Full as sre   ana   2026-11-21T13:00:00Z (60m ago)            taken: approved
chat-abort-a     6         Abort                 ana   2026-11-12T11:00:00Z (9d ago)    slow     -
";
        assert_eq!(told(&rollout(&status()), &orders_to(said(), "chat"), NOW), expected);
        assert_eq!(told(&rollout(&json!(null)), &[], NOW), "Nothing was released yet.\n");
    }

    #[tokio::test]
    async fn attempts_are_told_to_those_who_may_not_read_orders() {
        let service = service_fn(|request: Request<Body>| async move {
            let orders = request.uri().path().ends_with("llmrolloutorders");
            let refusal = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 403,
                                 "message": "User \"eve\" cannot list", "reason": "Forbidden"});
            let body = if orders { refusal } else { serde_json::to_value(rollout(&status())).unwrap() };
            let code = if orders { 403 } else { 200 };
            let answer = Response::builder().status(code).body(Body::from(body.to_string().into_bytes()));
            Ok::<_, Infallible>(answer.unwrap())
        });
        let said = history(&Cluster::played(Client::new(service, "llm")), "chat", None, NOW).await.unwrap();
        assert!(said.out.starts_with("ATTEMPT") && !said.out.contains("ORDER") && !said.refused, "{said:?}");
        assert!(said.note.contains("ask for the verb list on llmrolloutorders.llmrollout.io"), "{said:?}");
    }

    #[test]
    fn machines_get_the_whole_of_it() {
        let document = documented(&rollout(&status()), &orders_to(said(), "chat"));
        assert_eq!(document["attempt"]["id"], 7);
        assert_eq!(document["history"][0]["outcome"], "Aborted");
        let order = &document["orders"][1];
        assert_eq!((&order["spec"]["verb"], &order["taken"]), (&json!("Skip"), &json!(false)));
        assert_eq!(document["orders"][3]["taken"], Value::Null);
    }
}
