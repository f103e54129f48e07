//! `report NAME`: the sign-off sheet of one attempt, out of its record. Reads one `ConfigMap`, and the rollout only to know
//! which attempt is the newest. Never tells what the record does not.

mod html;
mod markdown;
mod sheet;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, ResourceExt};

use self::sheet::Sheet;
use super::{
    args::ReportOutput,
    cluster::{Asked, Cluster},
    document::{self, Form},
    error::CliError,
    status,
};
use crate::api::record::{self, KEY, Record, SCHEMA};

/// Asks for the record and writes it in the wanted shape.
pub async fn report(
    cluster: &Cluster,
    name: &str,
    attempt: Option<i64>,
    shape: ReportOutput,
) -> Result<String, CliError> {
    let attempt = match attempt {
        Some(attempt) => attempt,
        None => newest(cluster, name).await?,
    };
    let record = recorded(cluster, name, attempt).await?;
    match shape {
        ReportOutput::Md => Ok(markdown::write(&Sheet::of(&record))),
        ReportOutput::Html => Ok(html::write(&Sheet::of(&record))),
        ReportOutput::Json => {
            let value = serde_json::to_value(&record);
            let value = value.map_err(|e| CliError::Form { form: "json", words: e.to_string() })?;
            document::write(&value, Form::Json)
        }
    }
}

/// The record of an attempt.
pub(super) async fn recorded(cluster: &Cluster, name: &str, attempt: i64) -> Result<Record, CliError> {
    let api: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let call = cluster.in_time(Asked::Record { name, attempt }, async { api.get(&record::name(name, attempt)).await });
    read(&call.await?)
}

async fn newest(cluster: &Cluster, name: &str) -> Result<i64, CliError> {
    let rollout = status::typed(cluster.one(name).await?, name)?;
    let attempt = rollout.status.and_then(|status| status.attempt).map(|attempt| attempt.id);
    attempt.ok_or_else(|| CliError::NoRecord {
        namespace: cluster.namespace.clone(),
        name: name.to_owned(),
        attempt: "an attempt".to_owned(),
    })
}

fn read(map: &ConfigMap) -> Result<Record, CliError> {
    let text = map.data.as_ref().and_then(|data| data.get(KEY));
    let record = text.and_then(|text| serde_json::from_str::<Record>(text).ok());
    record.filter(|record| record.schema == SCHEMA).ok_or_else(|| CliError::OtherRecord(map.name_any()))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::{Request, Response};
    use kube::{Client, client::Body};
    use serde_json::{Value, json};
    use tower::service_fn;

    use super::report;
    use crate::cli::{args::ReportOutput, cluster::Cluster};

    fn record() -> Value {
        let at = |minute: u32| format!("2027-01-15T08:{minute:02}:00Z");
        let gate = |name: &str, verdict: &str, minute: u32, step: i32| {
            json!({"at": at(minute), "step": step, "kind": "Judged", "severity": "Rollback",
                   "links": {"runbook": "https://wiki.example/errors", "dashboard": "javascript:alert(1)"},
                   "gate": {"name": name, "verdict": verdict, "value": "0.1%", "limit": "1%", "window": "300s",
                            "query": "19d6773e", "samples": 1000, "at": at(minute), "step": step}})
        };
        json!({
            "schema": "llmrollout.io/record/v1", "namespace": "llm", "rollout": "chat", "uid": "u-1", "attempt": 3,
            "revision": "4e3918f6c6e5", "images": ["registry.example/chat:v2"],
            "queries": {"19d6773e": "sum(rate(x[{{window}}])) > 0"},
            "folded": {"count": 2, "until": at(1)},
            "entries": [
                {"at": at(0), "step": 0, "kind": "Began", "candidate": "green", "activeRevision": "fffee858540c"},
                {"at": at(1), "step": 0, "kind": "Promised", "op": "3-1", "to": 1, "weight": 5},
                {"at": at(1), "step": 0, "kind": "Wrote", "what": "patch httproutes llm/chat",
                 "set": ["/spec/rules/0/backendRefs/0/weight=95", "/spec/rules/0/backendRefs/1/weight=5"]},
                {"at": at(1), "step": 1, "kind": "Confirmed", "weight": 5, "holdUntil": at(31),
                 "routers": [{"router": "httpRoute/chat", "blue": 95, "green": 5}]},
                gate("errors", "Pass", 31, 1),
                {"at": at(30), "step": 1, "kind": "Approved", "before": "Full", "role": "sre", "by": "ada"},
                {"at": at(31), "step": 1, "kind": "Ordered", "verb": "Skip", "by": "ben <b>|x", "order": "o-1",
                 "uid": "o-1", "taken": true, "message": "the rest of it is left out"},
                {"at": at(31), "step": 1, "kind": "Confirmed", "weight": 100, "bake": 1,
                 "routers": [{"router": "httpRoute/chat", "blue": 0, "green": 100}]},
                {"at": at(32), "step": 1, "bake": 1, "kind": "Stood", "phase": "Baking", "reason": "Baking",
                 "message": "bake day, 1 of 1"},
                {"at": at(33), "step": 1, "kind": "Asked", "reason": "GateAsks", "message": "look <script>"},
                {"at": at(40), "step": 1, "kind": "TurnedBack", "reason": "GateFailed", "message": "errors 5% > 1%"},
                {"at": at(41), "step": 0, "kind": "Ended", "outcome": "GateFailed", "message": "errors 5% > 1%"},
            ],
        })
    }

    /// A cluster with this record as attempt 3, and none other.
    fn cluster(record: Value) -> Cluster {
        let service = service_fn(move |request: Request<Body>| {
            let there = request.uri().path().ends_with("/configmaps/chat-attempt-3");
            let map = json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "chat-attempt-3"},
                             "data": {"record.json": record.to_string()}});
            let missing = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404,
                                 "message": "configmaps \"x\" not found", "reason": "NotFound"});
            let (code, body) = if there { (200, map) } else { (404, missing) };
            async move {
                let body = Body::from(body.to_string().into_bytes());
                Ok::<_, Infallible>(Response::builder().status(code).body(body).unwrap())
            }
        });
        Cluster::played(Client::new(service, "llm"))
    }

    async fn told(shape: ReportOutput) -> String {
        report(&cluster(record()), "chat", Some(3), shape).await.unwrap()
    }

    /// The whole sheet stands in `tests/reports`; `UPDATE=1` writes it anew.
    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "UPDATE=1 asks for new golden files")]
    async fn sheets_are_as_they_were() {
        for (shape, file) in [(ReportOutput::Md, "sheet.md"), (ReportOutput::Html, "sheet.html")] {
            let path = format!("{}/tests/reports/{file}", env!("CARGO_MANIFEST_DIR"));
            let text = told(shape).await;
            if std::env::var_os("UPDATE").is_some() {
                std::fs::write(&path, &text).unwrap();
            }
            assert_eq!(text, std::fs::read_to_string(&path).unwrap_or_default(), "{path}; UPDATE=1 and read the diff");
        }
    }

    #[tokio::test]
    async fn what_people_wrote_is_text_and_nothing_else() {
        let html = told(ReportOutput::Html).await;
        for raw in ["<script>", "<b>|x", "href=\"javascript", "http-equiv", "src="] {
            assert!(!html.contains(raw), "{raw} stands in\n{html}");
        }
        assert!(
            html.contains("look &lt;script&gt;") && html.contains("href=\"https://wiki.example/errors\""),
            "{html}"
        );
        let md = told(ReportOutput::Md).await;
        assert!(md.contains("ben &lt;b&gt;\\|x") && !md.contains("<script>"), "{md}");
    }

    #[tokio::test]
    async fn json_is_the_record_itself() {
        let text = told(ReportOutput::Json).await;
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&value["attempt"], &value["schema"]), (&json!(3), &json!("llmrollout.io/record/v1")));
    }

    #[tokio::test]
    async fn what_is_not_there_or_of_another_time_is_said() {
        let error = report(&cluster(record()), "chat", Some(4), ReportOutput::Md).await.unwrap_err().to_string();
        assert!(error.starts_with("there is no record of attempt 4 of chat; the last ten"), "{error}");
        let mut newer = record();
        newer["schema"] = json!("llmrollout.io/record/v2");
        let error = report(&cluster(newer), "chat", Some(3), ReportOutput::Md).await.unwrap_err().to_string();
        assert!(error.contains("as new as the operator"), "{error}");
    }
}
