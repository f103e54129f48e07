//! `get`: one line for each rollout, in exactly the columns that `kubectl get llmrollouts` has, because both read them
//! from the CRD. Never words of its own for what the operator says.

use kube::{CustomResourceExt, api::DynamicObject};
use serde_json::Value;

use super::{
    Said,
    cluster::{Cluster, kind_name},
    document::{self, Form},
    error::CliError,
    table::{Table, age},
    wish::{Shape, Which},
};
use crate::api::{LlmRollout, Moment};

/// Asks for the rollouts and shapes the answer.
pub async fn get(cluster: &Cluster, which: &Which, shape: Shape, now: Moment) -> Result<Said, CliError> {
    let found = match which {
        Which::One(name) => vec![cluster.one(name).await?],
        Which::Namespace => cluster.all(false).await?,
        Which::Everywhere => cluster.all(true).await?,
    };
    let note = match which {
        _ if !found.is_empty() || matches!(shape, Shape::Objects(_)) => String::new(),
        Which::Everywhere => "No resources found".to_owned(),
        Which::One(_) | Which::Namespace => format!("No resources found in {} namespace.", cluster.namespace),
    };
    Ok(Said { note, ..Said::out(shaped(found, which, shape, now)?) })
}

fn shaped(mut found: Vec<DynamicObject>, which: &Which, shape: Shape, now: Moment) -> Result<String, CliError> {
    match (shape, which) {
        (Shape::Table | Shape::Wide, _) => table(found, *which == Which::Everywhere, shape == Shape::Wide, now),
        (Shape::Names, _) => {
            let name = |o: DynamicObject| format!("{}/{}\n", kind_name(), o.metadata.name.unwrap_or_default());
            Ok(found.into_iter().map(name).collect::<Vec<_>>().concat())
        }
        (Shape::Objects(form), Which::One(_)) => match found.pop() {
            Some(one) => document::write(&document::object(one)?, form),
            None => Ok(String::new()),
        },
        (Shape::Objects(form), Which::Namespace | Which::Everywhere) => objects(found, form),
    }
}

fn objects(found: Vec<DynamicObject>, form: Form) -> Result<String, CliError> {
    document::write(&document::list(found)?, form)
}

/// A column of the CRD.
struct Column {
    head: String,
    pointer: String,
    is_date: bool,
}

fn columns(wide: bool) -> Vec<Column> {
    let versions = LlmRollout::crd().spec.versions;
    let columns = versions.into_iter().flat_map(|v| v.additional_printer_columns.unwrap_or_default());
    columns
        .filter(|c| wide || c.priority.unwrap_or(0) == 0)
        .map(|c| Column {
            head: c.name.to_uppercase(),
            pointer: c.json_path.replace('.', "/"),
            is_date: c.type_ == "date",
        })
        .collect()
}

fn table(found: Vec<DynamicObject>, everywhere: bool, wide: bool, now: Moment) -> Result<String, CliError> {
    if found.is_empty() {
        return Ok(String::new());
    }
    let columns = columns(wide);
    let heads = everywhere.then_some("NAMESPACE").into_iter().chain(["NAME"]).map(str::to_owned);
    let mut table = Table::new(heads.chain(columns.iter().map(|c| c.head.clone())));
    for one in found {
        let object = document::object(one)?;
        let at = |pointer: &str| cell(object.pointer(pointer));
        let names = everywhere.then(|| at("/metadata/namespace")).into_iter().chain([at("/metadata/name")]);
        let rest = columns.iter().map(|c| if c.is_date { age_of(&at(&c.pointer), now) } else { at(&c.pointer) });
        table.row(names.chain(rest));
    }
    Ok(table.text())
}

/// A value as kubectl shows it in a column; what is not there is nothing.
fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn age_of(instant: &str, now: Moment) -> String {
    let parsed = serde_json::from_value::<Moment>(Value::String(instant.to_owned()));
    parsed.map_or_else(|_| "<unknown>".to_owned(), |then| age(now.since(then)))
}

#[cfg(test)]
mod tests {
    use kube::api::DynamicObject;
    use serde_json::{Value, json};

    use super::{shaped, table};
    use crate::{
        api::Moment,
        cli::{
            document::Form,
            wish::{Shape, Which},
        },
    };

    /// 2026-11-21T14:00:00Z.
    const NOW: Moment = Moment::from_unix(1_795_269_600);

    fn rollout(name: &str, born: &str, status: &Value) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "llmrollout.io/v1alpha1",
            "kind": "LlmRollout",
            "metadata": {
                "name": name, "namespace": "llm", "creationTimestamp": born,
                "managedFields": [{"manager": "someone", "operation": "Apply"}],
            },
            "spec": {"fieldOfTomorrow": true},
            "status": status,
        }))
        .unwrap()
    }

    fn three() -> Vec<DynamicObject> {
        vec![
            rollout(
                "chat",
                "2026-11-19T13:00:00Z",
                &json!({
                    "phase": "Holding", "step": "2/4", "weight": "20%", "next": "14:32Z",
                    "summary": "errors 0.4%<1% · p95 1.21s<1.5s · cost $.0041<.005",
                    "active": "blue", "candidate": "green", "reason": "Holding",
                    "attempt": {"id": 7, "revision": "3f2a9c771100"}, "traffic": "httpRoute/chat 80/20",
                }),
            ),
            rollout(
                "rag",
                "2026-11-12T14:00:00Z",
                &json!({
                    "phase": "RolledBack", "step": "3/4", "weight": "0%", "next": "-",
                    "summary": "p95 2.70s>1.5s (1 204 samples)", "active": "blue", "reason": "GateFailed",
                    "attempt": {"id": 2, "revision": "aa10bb20cc30"}, "traffic": "httpRoute/rag 100/0",
                }),
            ),
            rollout("vis", "2026-11-21T13:59:15Z", &json!(null)),
        ]
    }

    #[test]
    fn prints_the_columns_of_the_crd() {
        let expected = "\
NAME   PHASE        STEP   WEIGHT   GATES                                                NEXT     AGE
chat   Holding      2/4    20%      errors 0.4%<1% · p95 1.21s<1.5s · cost $.0041<.005   14:32Z   2d1h
rag    RolledBack   3/4    0%       p95 2.70s>1.5s (1 204 samples)                       -        9d
vis                                                                                               45s
";
        assert_eq!(table(three(), false, false, NOW).unwrap(), expected);
    }

    #[test]
    fn wide_adds_columns_and_everywhere_adds_the_namespace() {
        let expected = "\
NAMESPACE   NAME   PHASE        STEP   WEIGHT   GATES                            NEXT   ACTIVE   CANDIDATE   REVISION       ATTEMPT   TRAFFIC               REASON       AGE
llm         rag    RolledBack   3/4    0%       p95 2.70s>1.5s (1 204 samples)   -      blue                 aa10bb20cc30   2         httpRoute/rag 100/0   GateFailed   9d
";
        assert_eq!(table(three().split_off(1)[..1].to_vec(), true, true, NOW).unwrap(), expected);
    }

    #[test]
    fn names_are_ready_for_kubectl() {
        let names = shaped(three(), &Which::Namespace, Shape::Names, NOW).unwrap();
        assert_eq!(
            names,
            "llmrollout.llmrollout.io/chat\nllmrollout.llmrollout.io/rag\nllmrollout.llmrollout.io/vis\n"
        );
    }

    #[test]
    fn objects_keep_what_this_version_does_not_know() {
        let one = vec![three().remove(2)];
        let yaml = shaped(one, &Which::One("vis".into()), Shape::Objects(Form::Yaml), NOW).unwrap();
        assert!(yaml.contains("fieldOfTomorrow: true") && !yaml.contains("managedFields"), "{yaml}");
        let json = shaped(vec![], &Which::Everywhere, Shape::Objects(Form::Json), NOW).unwrap();
        let list: Value = serde_json::from_str(&json).unwrap();
        assert_eq!((list["kind"].as_str(), list["items"].as_array().map(Vec::len)), (Some("List"), Some(0)));
    }
}
