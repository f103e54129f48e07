//! A rollout with what it takes over, out of a file, of standard input, or of the cluster. Never judges it.

use std::{
    io::{self, Read},
    path::Path,
};

use kube::{Resource, ResourceExt};
use serde_json::Value;

use super::{
    cluster::{Asked, Cluster},
    error::CliError,
    status::typed,
};
use crate::{
    api::{LlmGateSet, LlmRollout},
    decide::snapshot::{EndpointOffer, GateSetSeen, GateSets, Offers, PriceListSeen},
};

/// A rollout and the sets of gates that it names.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The rollout, with its status if it comes from the cluster.
    pub rollout: LlmRollout,
    /// The sets.
    pub sets: GateSets,
}

/// Reads a file, or standard input for `-`.
pub fn read(path: &Path) -> Result<Manifest, CliError> {
    parse(&text(path)?).map_err(|words| CliError::NoManifest { file: path.display().to_string(), words })
}

/// The text of a file, or of standard input for `-`.
pub fn text(path: &Path) -> Result<String, CliError> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    text.map_err(|source| CliError::Unreadable { file: path.display().to_string(), source })
}

/// One rollout, and any number of sets beside it; other objects may stand in the same file.
pub fn parse(text: &str) -> Result<Manifest, String> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|e| e.to_string())?;
    let of = |kind: &str, api: &str| {
        let (kind, api) = (kind.to_owned(), api.to_owned());
        documents.iter().filter(move |d| d["kind"] == kind.as_str() && d["apiVersion"] == api.as_str()).cloned()
    };
    let mut rollouts = of(&LlmRollout::kind(&()), &LlmRollout::api_version(&()));
    let (Some(rollout), None) = (rollouts.next(), rollouts.next()) else {
        let count = of(&LlmRollout::kind(&()), &LlmRollout::api_version(&())).count();
        return Err(format!(
            "it holds {count} objects of kind LlmRollout ({}), and one is planned at a time",
            LlmRollout::api_version(&())
        ));
    };
    let rollout = serde_json::from_value(rollout).map_err(|e| format!("its LlmRollout cannot be read: {e}"))?;
    let mut sets = GateSets::new();
    for set in of(&LlmGateSet::kind(&()), &LlmGateSet::api_version(&())) {
        let set: LlmGateSet =
            serde_json::from_value(set).map_err(|e| format!("an LlmGateSet of it cannot be read: {e}"))?;
        sets.insert(set.name_any(), GateSetSeen::There(set.spec.gates));
    }
    Ok(Manifest { rollout, sets })
}

/// Asks the cluster.
pub async fn fetch(cluster: &Cluster, name: &str) -> Result<Manifest, CliError> {
    let rollout = typed(cluster.one(name).await?, name)?;
    let mut sets = GateSets::new();
    for set in rollout.spec.gates.iter().filter_map(|gate| gate.gate_set.clone()) {
        let seen = cluster.gate_set(&set).await?.map_or(GateSetSeen::Missing, |s| GateSetSeen::There(s.spec.gates));
        sets.insert(set, seen);
    }
    Ok(Manifest { rollout, sets })
}

impl Cluster {
    /// A set of gates, if it is there.
    async fn gate_set(&self, name: &str) -> Result<Option<LlmGateSet>, CliError> {
        let api: kube::Api<LlmGateSet> = kube::Api::namespaced(self.client.clone(), &self.namespace);
        self.in_time(Asked::GateSet, api.get_opt(name)).await
    }
}

impl Manifest {
    /// An operator whose configuration has all that the manifest names: what it really has is not for this command to know.
    pub fn offers(&self) -> Offers {
        let spec = &self.rollout.spec;
        let of_sets = self.sets.values().filter_map(|set| match set {
            GateSetSeen::There(gates) => Some(gates),
            GateSetSeen::Missing => None,
        });
        let gates = spec.gates.iter().chain(of_sets.flatten());
        let asked = spec.preflight.iter().filter_map(|check| Some(check.http.as_ref()?.name.clone()));
        let endpoint = |name: String| EndpointOffer { name, tells_colors: true };
        let some = "$1".to_owned();
        let prices = crate::api::v1alpha1::Prices { input: some.clone(), output: some.clone(), ..Default::default() };
        Offers {
            providers: vec![spec.metrics.provider.clone().unwrap_or_else(|| "default".to_owned())],
            endpoints: gates
                .filter_map(|gate| Some(gate.http.as_ref()?.name.clone()))
                .chain(asked)
                .map(endpoint)
                .collect(),
            prices: Some(prices),
            gpu_price: Some(some),
            cross_namespace: true,
            quarrel: None,
        }
    }

    /// A price list in which the model stands: no price changes how long anything takes.
    pub fn price_list(&self) -> PriceListSeen {
        let model = self.rollout.spec.metrics.prices.as_ref().and_then(|prices| prices.model.as_deref());
        let price = |model: &str, what: &str| (format!("{model}.{what}"), "$1".to_owned());
        let all =
            |model: &str| [price(model, "input"), price(model, "output"), ("asOf".to_owned(), "2026-01-01".to_owned())];
        model.map_or(PriceListSeen::Missing, |model| PriceListSeen::There(all(model).into()))
    }
}
