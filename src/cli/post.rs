//! The one place of the command line that writes: an order is made, or `spec.paused` is set. Never anything else, and
//! never twice.

#![expect(clippy::disallowed_methods, reason = "a person's word is written here, and nowhere else on the command line")]

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::json;

use super::{
    cluster::{Asked, Cluster},
    error::CliError,
};
use crate::api::{LlmRolloutOrder, LlmRolloutOrderSpec};

/// Our name as a writer of fields.
const MANAGER: &str = "kubectl-llmrollout";

/// The name by which the API server knows the caller.
pub async fn whoami(cluster: &Cluster) -> Result<String, CliError> {
    let api: Api<SelfSubjectReview> = Api::all(cluster.client.clone());
    let (params, question) = (PostParams::default(), SelfSubjectReview::default());
    let review = cluster.in_time(Asked::Whoami, api.create(&params, &question)).await?;
    review.status.and_then(|s| s.user_info).and_then(|u| u.username).ok_or(CliError::Nobody)
}

/// Makes the order; it has its name and uid then.
pub async fn order(cluster: &Cluster, spec: LlmRolloutOrderSpec) -> Result<LlmRolloutOrder, CliError> {
    let mut order = LlmRolloutOrder::new("", spec);
    let prefix = format!("{}-{}-", order.spec.rollout, order.spec.verb.word().to_lowercase());
    (order.metadata.name, order.metadata.generate_name) = (None, Some(prefix));
    let api: Api<LlmRolloutOrder> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    cluster.in_time(Asked::Order, api.create(&params, &order)).await
}

/// Sets `spec.paused`.
pub async fn paused(cluster: &Cluster, name: &str, paused: bool) -> Result<DynamicObject, CliError> {
    let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    let patch = Patch::Merge(json!({"spec": {"paused": paused}}));
    cluster.in_time(Asked::Change(name), cluster.rollouts().patch(name, &params, &patch)).await
}
