//! The ground: a lab, or a cluster of the user's, with its gateway and its Prometheus.
//! Nothing here creates anything.

use std::{env, path::PathBuf};

use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, ListParams},
    core::GroupVersionKind,
};

use super::KitError;
use crate::lab::{Description, VARIABLE};

/// Where traffic goes in when the cluster is the user's and its Gateway does not say.
const GATEWAY_URL: &str = "LLMROLLOUT_GATEWAY_URL";
/// Prometheus as the operator and this program reach it, when the cluster is the user's.
const PROMETHEUS_URL: &str = "LLMROLLOUT_PROMETHEUS_URL";

/// What a program inside has at hand.
#[derive(Clone)]
pub(crate) struct Ground {
    /// All rights.
    pub client: Client,
    /// The lab; none in a cluster of the user's.
    pub lab: Option<Description>,
    /// Namespace and name of the Gateway.
    pub gateway: (String, String),
    /// Where traffic goes in.
    pub gateway_url: String,
    /// Prometheus.
    pub prometheus_url: String,
}

/// The resource of a kind; the plural is guessed, which is right for every kind used here.
pub(crate) fn resource(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

impl std::fmt::Debug for Ground {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ground").field("gateway_url", &self.gateway_url).finish_non_exhaustive()
    }
}

impl Ground {
    /// The lab this program was entered into, or the cluster of `KUBECONFIG`.
    pub(crate) async fn find() -> Result<Self, KitError> {
        let client = Client::try_default().await.map_err(KitError::api("connecting to the cluster"))?;
        let Some(path) = env::var_os(VARIABLE) else {
            return Self::foreign(client).await;
        };
        let path = PathBuf::from(path);
        let text = std::fs::read_to_string(&path).map_err(KitError::failed(path.display().to_string()))?;
        let lab: Description = serde_json::from_str(&text).map_err(KitError::failed(path.display().to_string()))?;
        Ok(Self {
            client,
            gateway: ("gateway".to_owned(), "lab".to_owned()),
            gateway_url: lab.gateway_url.clone(),
            prometheus_url: lab.prometheus_url.clone(),
            lab: Some(lab),
        })
    }

    async fn foreign(client: Client) -> Result<Self, KitError> {
        let kind = resource("gateway.networking.k8s.io/v1", "Gateway");
        let all: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
        let gateways = all.list(&ListParams::default()).await.map_err(KitError::api("listing Gateways"))?;
        let address = |g: &DynamicObject| Some(g.data["status"]["addresses"][0]["value"].as_str()?.to_owned());
        let missing = |what: &str, detail: &str| KitError::Failed { what: what.to_owned(), detail: detail.to_owned() };
        let found =
            gateways.iter().find_map(|g| Some((g.metadata.namespace.clone()?, g.metadata.name.clone()?, address(g)?)));
        let (namespace, name, address) =
            found.ok_or_else(|| missing("the cluster", "it has no Gateway with an address; install one first"))?;
        let prometheus_url = env::var(PROMETHEUS_URL)
            .map_err(|_| missing("the cluster", "set LLMROLLOUT_PROMETHEUS_URL to its Prometheus"))?;
        let gateway_url = env::var(GATEWAY_URL).unwrap_or_else(|_| format!("http://{address}"));
        Ok(Self { client, lab: None, gateway: (namespace, name), gateway_url, prometheus_url })
    }

    /// The lab, for what only a lab can do.
    pub(crate) fn lab(&self) -> Result<&Description, KitError> {
        self.lab.as_ref().ok_or(KitError::NoLab)
    }

    /// Objects of a kind that has no namespace.
    pub(crate) fn all(&self, api_version: &str, kind: &str) -> Api<DynamicObject> {
        Api::all_with(self.client.clone(), &resource(api_version, kind))
    }

    /// Objects of a kind in a namespace.
    pub(crate) fn within(&self, namespace: &str, api_version: &str, kind: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &resource(api_version, kind))
    }
}
