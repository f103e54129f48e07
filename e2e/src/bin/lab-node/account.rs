//! The pod's service account: token and kubeconfig. Never what the account may do.

use std::path::PathBuf;

use k8s_openapi::api::{
    authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec},
    core::v1::{Pod, ServiceAccount, ServiceAccountTokenProjection},
};
use kube::{
    Api, ResourceExt,
    api::PostParams,
    config::{Kubeconfig, NamedCluster},
};
use serde_json::json;

use crate::{
    error::NodeError,
    shared::{self, Shared},
};

/// A day: longer than any lab, so that nothing needs to be refreshed.
const TOKEN_SECONDS: i64 = 86_400;

/// The cluster of the current context.
pub(crate) fn cluster_of(kubeconfig: &Kubeconfig) -> Result<NamedCluster, NodeError> {
    let context = kubeconfig
        .contexts
        .iter()
        .find(|context| Some(&context.name) == kubeconfig.current_context.as_ref())
        .and_then(|context| context.context.as_ref());
    context
        .and_then(|context| kubeconfig.clusters.iter().find(|cluster| cluster.name == context.cluster))
        .cloned()
        .ok_or(NodeError::NoCluster)
}

/// The token volume that the API server adds when the token is to be mounted.
pub(crate) fn automounted(pod: &Pod) -> bool {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    volumes
        .filter_map(|volume| volume.projected.as_ref())
        .flat_map(|projected| projected.sources.iter().flatten())
        .any(|source| source.service_account_token.is_some())
}

/// A token for the pod's account that ends with the pod.
pub(crate) async fn token(
    shared: &Shared,
    pod: &Pod,
    projection: Option<&ServiceAccountTokenProjection>,
) -> Result<String, NodeError> {
    let account = pod.spec.as_ref().and_then(|spec| spec.service_account_name.clone());
    let audience = projection.and_then(|projection| projection.audience.clone());
    let request = TokenRequest {
        spec: TokenRequestSpec {
            audiences: audience.into_iter().collect(),
            bound_object_ref: Some(BoundObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Pod".to_owned()),
                name: Some(pod.name_any()),
                uid: pod.uid(),
            }),
            expiration_seconds: Some(TOKEN_SECONDS),
        },
        ..TokenRequest::default()
    };
    let api: Api<ServiceAccount> = Api::namespaced(shared.client.clone(), &shared::namespace(pod));
    let name = account.as_deref().unwrap_or("default");
    let answer = api.create_token_request(name, &PostParams::default(), &request).await?;
    Ok(answer.status.map(|status| status.token).unwrap_or_default())
}

/// Writes the pod's kubeconfig and tells where.
pub(crate) fn write_kubeconfig(shared: &Shared, pod: &Pod, token: &str) -> Result<PathBuf, NodeError> {
    let path = shared.directory(pod).join("kubeconfig");
    // JSON is YAML.
    let text = serde_json::to_vec_pretty(&json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [shared.cluster],
        "users": [{"name": "pod", "user": {"token": token}}],
        "contexts": [{"name": "pod", "context": {
            "cluster": shared.cluster.name, "user": "pod", "namespace": shared::namespace(pod),
        }}],
        "current-context": "pod",
    }))?;
    std::fs::write(&path, text).map_err(NodeError::file(&path))?;
    Ok(path)
}
