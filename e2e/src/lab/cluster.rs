//! What the lab asks of its API server: CRDs, rules, the Gateway, and tokens for the parts.
//! Nothing here starts a part.

use std::{fs, time::Duration};

use futures::future::try_join_all;
use k8s_openapi::{
    api::{
        authentication::v1::{TokenRequest, TokenRequestSpec},
        core::v1::ServiceAccount,
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Config,
    api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::GroupVersionKind,
};
use tokio::time::{Instant, sleep};

use super::{LabError, conf, state::State, tools};

const MANAGER: &str = "llmrollout-lab";
/// Longer than any lab lives: nobody renews the parts' tokens.
const TOKEN_SECONDS: i64 = 30 * 24 * 3600;

/// A client with all rights.
pub(crate) async fn client(state: &State) -> Result<Client, LabError> {
    let what = "the lab's kubeconfig";
    let kubeconfig = Kubeconfig::read_from(state.path("kubeconfig")).map_err(LabError::document(what))?;
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(LabError::document(what))?;
    Client::try_from(config).map_err(LabError::api(what))
}

/// Asks the API server whether it is ready.
pub(crate) async fn readyz(client: &Client) -> Result<(), String> {
    let request = http::Request::get("/readyz").body(Vec::new()).map_err(|error| error.to_string())?;
    client.request_text(request).await.map(drop).map_err(|error| error.to_string())
}

/// The resource of a kind; the plural is guessed, which is right for all kinds applied here.
pub(crate) fn resource(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

/// Kinds whose owners do not run here: what is read and written of them is taken and kept as their schemas demand.
const FOREIGN: [&str; 5] = [
    include_str!("crds/openfeature.yaml"),
    include_str!("crds/kserve.yaml"),
    include_str!("crds/llm-d.yaml"),
    include_str!("crds/inference.yaml"),
    include_str!("crds/keda.yaml"),
];

/// Reads everything the lab applies.
pub(crate) fn objects(state: &State) -> Result<Vec<DynamicObject>, LabError> {
    let mut objects = parse("objects.yaml", include_str!("objects.yaml"))?;
    for crd in FOREIGN {
        objects.extend(parse("a CRD of others", crd)?);
    }
    for dir in tools::list(&state.path("manifests"))? {
        for file in tools::list(&dir)? {
            let text = fs::read_to_string(&file).map_err(LabError::file(&file))?;
            objects.extend(parse(&file.display().to_string(), &text)?);
        }
    }
    Ok(objects)
}

/// Applies everything and writes the kubeconfigs of the parts that have a service account.
pub(crate) async fn install(client: &Client, state: &State, objects: Vec<DynamicObject>) -> Result<(), LabError> {
    let is_first = |object: &DynamicObject| matches!(kind(object), "CustomResourceDefinition" | "Namespace");
    let (first, rest): (Vec<_>, Vec<_>) = objects.into_iter().partition(is_first);
    try_join_all(first.iter().map(|object| apply(client, object))).await?;
    poll_established(client, Duration::from_secs(15)).await?;
    try_join_all(rest.iter().map(|object| apply(client, object))).await?;
    for (namespace, name) in [("projectcontour", "contour"), ("monitoring", "prometheus")] {
        let token = token(client, namespace, name).await?;
        conf::write_kubeconfig(state, &format!("conf/{name}.kubeconfig"), name, &token)?;
    }
    Ok(())
}

fn parse(what: &str, text: &str) -> Result<Vec<DynamicObject>, LabError> {
    let documents: Vec<serde_json::Value> = serde_saphyr::from_multiple(text).map_err(LabError::document(what))?;
    let objects = documents.into_iter().filter(|document| !document.is_null());
    objects.map(|document| serde_json::from_value(document).map_err(LabError::document(what))).collect()
}

fn kind(object: &DynamicObject) -> &str {
    object.types.as_ref().map_or("", |types| &types.kind)
}

async fn apply(client: &Client, object: &DynamicObject) -> Result<(), LabError> {
    let types = object.types.clone().unwrap_or_default();
    let name = object.metadata.name.clone().unwrap_or_default();
    let resource = resource(&types.api_version, &types.kind);
    let api: Api<DynamicObject> = match &object.metadata.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let parameters = PatchParams::apply(MANAGER).force();
    let applied = api.patch(&name, &parameters, &Patch::Apply(object)).await;
    applied.map(drop).map_err(LabError::api(format!("applying {} {name}", types.kind)))
}

/// Polls until every CRD is served.
async fn poll_established(client: &Client, deadline: Duration) -> Result<(), LabError> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let end = Instant::now() + deadline;
    let is_established = |crd: &CustomResourceDefinition| {
        let conditions = crd.status.as_ref().and_then(|status| status.conditions.as_ref());
        conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "Established" && c.status == "True"))
    };
    loop {
        let crds = api.list(&ListParams::default()).await.map_err(LabError::api("listing the CRDs"))?;
        let open: Vec<_> = crds.iter().filter(|crd| !is_established(crd)).collect();
        if open.is_empty() {
            return Ok(());
        }
        if Instant::now() >= end {
            let names: Vec<_> = open.iter().filter_map(|crd| crd.metadata.name.clone()).collect();
            let detail = format!("not established: {}", names.join(", "));
            return Err(LabError::Failed { what: "waiting for the CRDs".to_owned(), detail });
        }
        sleep(Duration::from_millis(20)).await;
    }
}

async fn token(client: &Client, namespace: &str, name: &str) -> Result<String, LabError> {
    let api: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let spec = TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..Default::default() };
    let request = TokenRequest { spec, ..Default::default() };
    let what = format!("a token for {namespace}/{name}");
    let answer =
        api.create_token_request(name, &PostParams::default(), &request).await.map_err(LabError::api(&what))?;
    let status = answer.status.ok_or(LabError::Failed { what, detail: "the answer holds none".to_owned() })?;
    Ok(status.token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_objects_parse_and_have_names() {
        let objects = parse("objects.yaml", include_str!("objects.yaml")).unwrap();
        assert_eq!(objects.len(), 7);
        assert!(objects.iter().all(|object| object.metadata.name.is_some() && !kind(object).is_empty()));
    }

    #[test]
    fn plurals_of_the_applied_kinds_are_right() {
        assert_eq!(resource("gateway.networking.k8s.io/v1", "GatewayClass").plural, "gatewayclasses");
        assert_eq!(resource("v1", "Namespace").plural, "namespaces");
        assert_eq!(
            resource("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy").plural,
            "validatingadmissionpolicies"
        );
    }
}
