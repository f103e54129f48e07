//! A container's environment: references, `$(VAR)` and what the node adds. Never how the program is started.

use std::{collections::BTreeMap, path::PathBuf};

use k8s_openapi::api::core::v1::{ConfigMap, Container, EnvVar, Pod, Secret};
use kube::{Api, Client, ResourceExt};

use crate::{error::NodeError, mounts::Mounts, shared};

/// The keys of one `ConfigMap` or Secret.
pub(crate) type Keys = BTreeMap<String, Vec<u8>>;

/// The kinds of object that hold values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Store {
    ConfigMap,
    Secret,
}

impl Store {
    /// The kubelet's word for it.
    fn word(self) -> &'static str {
        match self {
            Self::ConfigMap => "configmap",
            Self::Secret => "secret",
        }
    }

    /// Reads one; none when it does not exist.
    pub(crate) async fn read(self, client: &Client, namespace: &str, name: &str) -> Result<Option<Keys>, NodeError> {
        Ok(match self {
            Self::ConfigMap => {
                let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
                api.get_opt(name).await?.map(|map| {
                    let text = map.data.into_iter().flatten().map(|(key, value)| (key, value.into_bytes()));
                    let binary = map.binary_data.into_iter().flatten().map(|(key, value)| (key, value.0));
                    text.chain(binary).collect()
                })
            }
            Self::Secret => {
                let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
                let secret = api.get_opt(name).await?;
                secret.map(|secret| secret.data.into_iter().flatten().map(|(key, value)| (key, value.0)).collect())
            }
        })
    }

    /// Reads one that may be missing only when `optional`.
    pub(crate) async fn read_or(
        self,
        client: &Client,
        namespace: &str,
        name: &str,
        optional: bool,
    ) -> Result<Keys, NodeError> {
        match self.read(client, namespace, name).await? {
            Some(keys) => Ok(keys),
            None if optional => Ok(Keys::new()),
            None => Err(NodeError::Config(format!("{} \"{name}\" not found", self.word()))),
        }
    }
}

/// Everything a container's environment refers to.
#[derive(Debug, Default)]
pub(crate) struct Sources(BTreeMap<(Store, String), Keys>);

impl Sources {
    /// Reads what `container` refers to.
    pub(crate) async fn read(client: &Client, namespace: &str, container: &Container) -> Result<Self, NodeError> {
        let mut all = BTreeMap::new();
        for (store, name) in wanted(container) {
            if let Some(keys) = store.read(client, namespace, &name).await? {
                all.insert((store, name), keys);
            }
        }
        Ok(Self(all))
    }

    fn keys(&self, store: Store, name: &str, optional: bool) -> Result<Option<&Keys>, NodeError> {
        match self.0.get(&(store, name.to_owned())) {
            None if !optional => Err(NodeError::Config(format!("{} \"{name}\" not found", store.word()))),
            keys => Ok(keys),
        }
    }

    fn value(&self, store: Store, namespace: &str, name: &str, key: &str, optional: bool) -> Found {
        let kind = if store == Store::Secret { "Secret" } else { "ConfigMap" };
        match self.keys(store, name, optional)?.and_then(|keys| keys.get(key)) {
            Some(value) => Ok(Some(String::from_utf8_lossy(value).into_owned())),
            None if optional => Ok(None),
            None => Err(NodeError::Config(format!("couldn't find key {key} in {kind} {namespace}/{name}"))),
        }
    }
}

type Found = Result<Option<String>, NodeError>;

fn wanted(container: &Container) -> Vec<(Store, String)> {
    let mut all = Vec::new();
    for from in container.env_from.iter().flatten() {
        all.extend(from.config_map_ref.iter().map(|source| (Store::ConfigMap, source.name.clone())));
        all.extend(from.secret_ref.iter().map(|source| (Store::Secret, source.name.clone())));
    }
    for from in container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref()) {
        all.extend(from.config_map_key_ref.iter().map(|source| (Store::ConfigMap, source.name.clone())));
        all.extend(from.secret_key_ref.iter().map(|source| (Store::Secret, source.name.clone())));
    }
    all.sort();
    all.dedup();
    all
}

/// The variables of a container, later ones over earlier ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Variables(BTreeMap<String, String>);

impl Variables {
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(name.to_owned(), value.into());
    }

    pub(crate) fn into_pairs(self) -> Vec<(String, String)> {
        self.0.into_iter().collect()
    }

    /// Replaces `$(NAME)`; `$$` is one `$`; an unknown name stays as it stands.
    pub(crate) fn expand(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(dollar) = rest.find('$') {
            out.push_str(&rest[..dollar]);
            let after = &rest[dollar + 1..];
            if let Some(tail) = after.strip_prefix('$') {
                out.push('$');
                rest = tail;
            } else if let Some((name, tail)) = after.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
                match self.0.get(name) {
                    Some(value) => out.push_str(value),
                    None => out.extend(["$(", name, ")"]),
                }
                rest = tail;
            } else {
                out.push('$');
                rest = after;
            }
        }
        out.push_str(rest);
        out
    }

    /// Adds what the container itself declares.
    pub(crate) fn declare(
        &mut self,
        pod: &Pod,
        container: &Container,
        address: &str,
        sources: &Sources,
        mounts: &Mounts,
    ) -> Result<(), NodeError> {
        for from in container.env_from.iter().flatten() {
            let prefix = from.prefix.as_deref().unwrap_or_default();
            let config = from.config_map_ref.as_ref().map(|source| (Store::ConfigMap, &source.name, source.optional));
            let secret = from.secret_ref.as_ref().map(|source| (Store::Secret, &source.name, source.optional));
            for (store, name, optional) in config.into_iter().chain(secret) {
                for (key, value) in sources.keys(store, name, optional == Some(true))?.into_iter().flatten() {
                    self.set(&format!("{prefix}{key}"), mounts.rewrite(&String::from_utf8_lossy(value)));
                }
            }
        }
        for variable in container.env.iter().flatten() {
            if let Some(value) = self.value(pod, address, sources, variable)? {
                self.set(&variable.name, mounts.rewrite(&value));
            }
        }
        Ok(())
    }

    fn value(&self, pod: &Pod, address: &str, sources: &Sources, variable: &EnvVar) -> Found {
        let Some(from) = &variable.value_from else {
            return Ok(Some(self.expand(variable.value.as_deref().unwrap_or_default())));
        };
        let namespace = shared::namespace(pod);
        if let Some(source) = &from.config_map_key_ref {
            let optional = source.optional == Some(true);
            return sources.value(Store::ConfigMap, &namespace, &source.name, &source.key, optional);
        }
        if let Some(source) = &from.secret_key_ref {
            let optional = source.optional == Some(true);
            return sources.value(Store::Secret, &namespace, &source.name, &source.key, optional);
        }
        let path = from.field_ref.as_ref().map(|source| source.field_path.as_str());
        let found = path.and_then(|path| field(pod, address, path));
        found.map(Some).ok_or_else(|| {
            let what = path.unwrap_or("resourceFieldRef");
            NodeError::Config(format!("{}: the lab does not know the field {what}", variable.name))
        })
    }
}

/// A field of the pod, as the downward API names it.
pub(crate) fn field(pod: &Pod, address: &str, path: &str) -> Option<String> {
    if let Some((map, key)) = path.strip_suffix("']").and_then(|path| path.split_once("['")) {
        return match map {
            "metadata.labels" => pod.labels().get(key).cloned().or(Some(String::new())),
            "metadata.annotations" => pod.annotations().get(key).cloned().or(Some(String::new())),
            _ => None,
        };
    }
    let spec = pod.spec.as_ref();
    match path {
        "metadata.name" => Some(pod.name_any()),
        "metadata.namespace" => pod.namespace(),
        "metadata.uid" => pod.uid(),
        "metadata.labels" => Some(lines(pod.labels())),
        "metadata.annotations" => Some(lines(pod.annotations())),
        "spec.nodeName" => spec.and_then(|spec| spec.node_name.clone()),
        "spec.serviceAccountName" => spec.and_then(|spec| spec.service_account_name.clone()),
        "status.podIP" | "status.podIPs" => Some(address.to_owned()),
        "status.hostIP" | "status.hostIPs" => Some(shared::HOST_IP.to_owned()),
        _ => None,
    }
}

fn lines(map: &BTreeMap<String, String>) -> String {
    map.iter().map(|(key, value)| format!("{key}={value:?}")).collect::<Vec<_>>().join("\n")
}

/// Where the files that the node makes for a container lie.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    pub(crate) home: PathBuf,
    pub(crate) kubeconfig: Option<PathBuf>,
    pub(crate) termination: PathBuf,
}

/// What the node adds to every container.
pub(crate) fn added(pod: &Pod, address: &str, api_service: &(String, String), places: &Places) -> Variables {
    let mut all = Variables::default();
    if let Ok(path) = std::env::var("PATH") {
        all.set("PATH", path);
    }
    all.set("HOME", places.home.display().to_string());
    all.set("HOSTNAME", pod.name_any());
    all.set("KUBERNETES_SERVICE_HOST", &*api_service.0);
    all.set("KUBERNETES_SERVICE_PORT", &*api_service.1);
    all.set("POD_IP", address);
    all.set("POD_NAME", pod.name_any());
    all.set("POD_NAMESPACE", shared::namespace(pod));
    all.set("TERMINATION_MESSAGE_PATH", places.termination.display().to_string());
    if let Some(kubeconfig) = &places.kubeconfig {
        all.set("KUBECONFIG", kubeconfig.display().to_string());
    }
    all
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    fn resolve(container: serde_json::Value, sources: &Sources) -> Result<Variables, NodeError> {
        let pod: Pod = serde_json::from_value(json!({"metadata": {
            "name": "web-0", "namespace": "shop", "labels": {"app": "web"}}, "spec": {"containers": [], "nodeName": "n"}}))
        .unwrap();
        let container: Container = serde_json::from_value(container).unwrap();
        let mounts = Mounts::new(&container, |name| Path::new("/real").join(name), Path::new("/real/message"));
        let mut all = Variables::default();
        all.declare(&pod, &container, "10.244.0.7", sources, &mounts).map(|()| all)
    }

    #[test]
    fn expansion_follows_the_kubelet() {
        let mut all = Variables::default();
        all.set("A", "1");
        for (text, want) in [
            ("$(A)", "1"),
            ("x$(A)y$(A)", "x1y1"),
            ("$$(A)", "$(A)"),
            ("$(B)", "$(B)"),
            ("$A", "$A"),
            ("$(A", "$(A"),
            ("cost: 5$", "cost: 5$"),
            ("ä$(A)ö", "ä1ö"),
        ] {
            assert_eq!(all.expand(text), want, "{text}");
        }
    }

    #[test]
    fn variables_see_earlier_ones_fields_and_mounts() {
        let container = json!({"name": "c", "volumeMounts": [{"name": "data", "mountPath": "/data"}], "env": [
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "URL", "value": "http://$(IP):$(PORT)"},
            {"name": "PORT", "value": "80"},
            {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
            {"name": "FILE", "value": "/data/x"},
        ]});
        let pairs: BTreeMap<_, _> = resolve(container, &Sources::default()).unwrap().into_pairs().into_iter().collect();
        assert_eq!(pairs["URL"], "http://10.244.0.7:$(PORT)");
        assert_eq!(pairs["APP"], "web");
        assert_eq!(pairs["FILE"], "/real/data/x");
    }

    #[test]
    fn a_missing_object_or_key_is_told_in_the_kubelets_words() {
        let one = |optional: bool| {
            json!({"name": "c", "env": [{"name": "A", "valueFrom": {"configMapKeyRef":
                {"name": "m", "key": "k", "optional": optional}}}]})
        };
        let empty = Sources::default();
        assert_eq!(resolve(one(false), &empty).unwrap_err().to_string(), "configmap \"m\" not found");
        assert_eq!(resolve(one(true), &empty).unwrap(), Variables::default());
        let present = Sources([((Store::ConfigMap, "m".to_owned()), Keys::new())].into());
        let error = resolve(one(false), &present).unwrap_err().to_string();
        assert_eq!(error, "couldn't find key k in ConfigMap shop/m");
    }

    #[test]
    fn env_from_takes_all_keys_with_the_prefix() {
        let keys = Keys::from([("k".to_owned(), b"v".to_vec())]);
        let sources = Sources([((Store::Secret, "s".to_owned()), keys)].into());
        let container = json!({"name": "c", "envFrom": [{"prefix": "P_", "secretRef": {"name": "s"}}]});
        assert_eq!(resolve(container, &sources).unwrap().into_pairs(), [("P_k".to_owned(), "v".to_owned())]);
    }
}
