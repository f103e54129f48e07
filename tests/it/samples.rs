//! Manifests that people start from: each one parses strictly, passes the CRD, and fits together with what stands beside
//! it, so that the rollout could drive the routers as they are written. Never asks a cluster.

use std::path::Path;

use k8s_openapi::api::{
    batch::v1::CronJob,
    core::v1::{ConfigMap, Namespace, Service},
    rbac::v1::{Role, RoleBinding},
};
use kube::{ResourceExt, core::DynamicObject};
use llmrollout::{
    api::{LlmGateSet, LlmRollout, labels},
    cli::lint::schema::Schemas,
    decide::{
        plan::Plan,
        snapshot::{Around, EndpointOffer, GateSetSeen, GateSets, Offers, PriceListSeen},
    },
    line::{Line, ProviderSettings, Speaks},
    routers::{Claim, Found, Shares, webhook},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    files::{below, top},
    schema::complaints,
    yaml::yaml,
};

#[test]
fn samples_parse_strictly_and_pass_the_crd() {
    let files = [below(&top("config/samples"), ".yaml"), below(&top("examples"), ".yaml")].concat();
    assert!(!files.is_empty(), "there are no samples");
    let schemas = Schemas::ours();
    for file in files {
        for document in yaml(&file) {
            let wrong = judge(&schemas, &document);
            assert!(wrong.is_empty(), "{}: {}", file.display(), wrong.join("\n"));
        }
    }
}

#[test]
fn unknown_fields_are_refused() {
    let schemas = Schemas::ours();
    let typo: Value =
        serde_saphyr::from_str("{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {prots: []}}").unwrap();
    assert_eq!(judge(&schemas, &typo).len(), 1);
    let kind: Value = serde_saphyr::from_str("{apiVersion: v1, kind: Secret, metadata: {name: a}}").unwrap();
    assert_eq!(judge(&schemas, &kind).len(), 1);
}

/// What is wrong with one document.
fn judge(schemas: &Schemas, document: &Value) -> Vec<String> {
    match document["kind"].as_str().unwrap_or_default() {
        "LlmRollout" | "LlmRolloutOrder" | "LlmGateSet" => complaints(schemas, document),
        "Namespace" => lost::<Namespace>(document),
        "ConfigMap" => lost::<ConfigMap>(document),
        "Service" => lost::<Service>(document),
        "CronJob" => lost::<CronJob>(document),
        "Role" => lost::<Role>(document),
        "RoleBinding" => lost::<RoleBinding>(document),
        // Our view of a route is narrow; that it can be driven is tested below.
        "HTTPRoute"
        | "GRPCRoute"
        | "VirtualService"
        | "FeatureFlag"
        | "LLMInferenceService"
        | "InferenceModelRewrite"
        | "InferencePool" => {
            vec![]
        }
        // Values of the chart: what they offer has to be usable.
        "" if document["config"].is_object() => webhooks(document).err().into_iter().collect(),
        kind => vec![format!("kind {kind} is not expected in a sample; teach tests/it/samples.rs to check it")],
    }
}

/// The webhooks that values of the chart name.
fn webhooks(document: &Value) -> Result<Vec<String>, String> {
    let all = document["config"]["routers"].as_array().into_iter().flatten();
    let usable = |one: &Value| {
        let settings: ProviderSettings = serde_json::from_value(one.clone()).map_err(|e| e.to_string())?;
        let settings = ProviderSettings { speaks: Speaks::Weights, ..settings };
        Line::new(&settings).map(|_| settings.name).map_err(|e| e.to_string())
    };
    all.map(usable).collect()
}

/// What a type does not know of a document.
fn lost<T: Serialize + DeserializeOwned>(document: &Value) -> Vec<String> {
    match serde_json::from_value::<T>(document.clone()) {
        Ok(typed) if contains(&serde_json::to_value(&typed).unwrap(), document) => vec![],
        Ok(_) => vec![format!("a field of {} is unknown to its kind", document["kind"])],
        Err(e) => vec![e.to_string()],
    }
}

fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, value)| whole.get(key).is_some_and(|w| contains(w, value)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(w, p)| contains(w, p))
        }
        (whole, part) => whole == part,
    }
}

#[test]
fn the_examples_fit_together() {
    let folders: Vec<_> = std::fs::read_dir(top("examples")).unwrap().map(|e| e.unwrap().path()).collect();
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        let documents: Vec<Value> = below(folder, ".yaml").iter().flat_map(|file| yaml(file)).collect();
        let rollouts: Vec<LlmRollout> = of_kind(&documents, "LlmRollout");
        assert!(!rollouts.is_empty(), "{}: no LlmRollout", folder.display());
        for rollout in rollouts {
            fits(folder, &documents, &rollout);
        }
    }
}

fn fits(folder: &Path, documents: &[Value], rollout: &LlmRollout) {
    let endpoint = EndpointOffer { name: "models-api".into(), tells_colors: true };
    let offers = Offers { providers: vec!["default".into()], endpoints: vec![endpoint], ..Offers::default() };
    let (sets, price_list) = (gate_sets(documents), price_list(documents, rollout));
    let plan = Plan::read(&rollout.spec, Around { price_list: &price_list, ..Around::new(&sets, &offers) });
    assert!(plan.is_ok(), "{}: {plan:?}", folder.display());
    let name = rollout.metadata.name.as_deref().unwrap();
    let (blue, green) = (format!("{name}-blue"), format!("{name}-green"));
    let services: Vec<Service> = of_kind(documents, "Service");
    for claim in rollout.spec.traffic.iter().filter_map(Claim::of) {
        let (kind, name) = claim.object();
        let objects: Vec<DynamicObject> = of_kind(documents, kind.names().kind);
        let service = services.iter().find(|o| o.name_any() == name);
        let named = |name: &str| objects.iter().find(|o| o.name_any() == name);
        let offered = documents.iter().any(|d| webhooks(d).is_ok_and(|all| all.iter().any(|one| one == name)));
        let heard = offered.then(|| webhook::understand(name, Some("\"1\""), br#"{"weights":{"blue":100,"green":0}}"#));
        let second = claim.second().and_then(named);
        let found = Found { service, object: named(name), second, heard: heard.as_ref(), ..Found::default() };
        let seen = claim.read([&blue, &green], found).state;
        let seen = seen.unwrap_or_else(|t| panic!("{}: {}", folder.display(), t.message));
        assert_eq!((seen.shares, seen.exact), (Shares::of_percent(100, 0), true), "{}", folder.display());
    }
}

/// The sets of gates among some documents, as a rollout beside them sees them.
pub(crate) fn gate_sets(documents: &[Value]) -> GateSets {
    let sets: Vec<LlmGateSet> = of_kind(documents, "LlmGateSet");
    sets.into_iter().map(|s| (s.metadata.name.unwrap(), GateSetSeen::There(s.spec.gates))).collect()
}

/// The price list among some documents that a rollout beside them names.
pub(crate) fn price_list(documents: &[Value], rollout: &LlmRollout) -> PriceListSeen {
    let named = rollout.spec.metrics.prices.as_ref().and_then(|p| p.config_map.as_ref());
    let lists: Vec<ConfigMap> = of_kind(documents, "ConfigMap");
    let labeled = |list: &ConfigMap| list.metadata.labels.as_ref().is_some_and(|l| l.contains_key(labels::PRICES));
    let list = lists.into_iter().find(|list| labeled(list) && list.metadata.name.as_ref() == named);
    list.and_then(|list| list.data).map_or(PriceListSeen::Missing, PriceListSeen::There)
}

fn of_kind<T: DeserializeOwned>(documents: &[Value], kind: &str) -> Vec<T> {
    let fitting = documents.iter().filter(|d| d["kind"] == kind);
    fitting.map(|d| serde_json::from_value(d.clone()).unwrap()).collect()
}
