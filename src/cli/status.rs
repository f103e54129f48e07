//! `status NAME`: the whole story of one rollout, for a person or as a document. The words are in `story`.

use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::{
    advice::advice,
    cluster::{Cluster, kind_name},
    document,
    error::CliError,
    story::story,
    wish::Shape,
};
use crate::api::{LlmRollout, Moment};

/// Asks for the rollout and tells its story.
pub async fn status(cluster: &Cluster, name: &str, shape: Shape, now: Moment) -> Result<String, CliError> {
    let found = cluster.one(name).await?;
    match shape {
        Shape::Table => Ok(story(&typed(found, name)?, false, now)),
        Shape::Wide => Ok(story(&typed(found, name)?, true, now)),
        Shape::Names => Ok(format!("{}/{name}\n", kind_name())),
        Shape::Objects(form) => document::write(&summary(found, name, now)?, form),
    }
}

/// The rollout as this version understands it.
pub(super) fn typed(found: DynamicObject, name: &str) -> Result<LlmRollout, CliError> {
    let object = document::object(found)?;
    serde_json::from_value(object).map_err(|source| CliError::NotUnderstood { name: name.to_owned(), source })
}

/// The status as it stands in the object, with what a person should do.
fn summary(found: DynamicObject, name: &str, now: Moment) -> Result<Value, CliError> {
    let status = found.data.get("status").cloned().unwrap_or_else(|| json!({}));
    let rollout = typed(found, name)?;
    Ok(json!({
        "name": rollout.metadata.name,
        "namespace": rollout.metadata.namespace,
        "generation": rollout.metadata.generation,
        "paused": rollout.spec.paused,
        "abort": rollout.spec.abort,
        "status": status,
        "toDo": advice(&rollout, now),
    }))
}
