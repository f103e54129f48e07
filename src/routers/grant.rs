//! References into another namespace, and the `ReferenceGrant`s of the Gateway API that allow them: the route's to a backend,
//! and ours to a route. Pure: says whether one is allowed, and what to write where none is.

use kube::core::{ApiResource, DynamicObject};
use serde::Deserialize;

/// Something refers to something of another namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// API group, kind and namespace of what refers.
    pub from: [String; 3],
    /// API group, kind, namespace and name of what it refers to.
    pub to: [String; 4],
}

/// What the owner of a namespace allows others to refer to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    namespace: String,
    spec: Spec,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Spec {
    from: Vec<From>,
    to: Vec<To>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct From {
    group: String,
    kind: String,
    namespace: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct To {
    group: String,
    kind: String,
    name: Option<String>,
}

/// The kind for those who fetch it: the version that every release of the Gateway API serves.
pub fn resource() -> ApiResource {
    ApiResource {
        group: "gateway.networking.k8s.io".to_owned(),
        version: "v1beta1".to_owned(),
        api_version: "gateway.networking.k8s.io/v1beta1".to_owned(),
        kind: KIND.to_owned(),
        plural: "referencegrants".to_owned(),
    }
}

/// What the kind is called.
pub const KIND: &str = "ReferenceGrant";

impl Grant {
    /// What an object allows; nothing where it cannot be understood.
    pub fn read(object: &DynamicObject) -> Self {
        let spec = object.data.get("spec").and_then(|spec| Spec::deserialize(spec).ok()).unwrap_or_default();
        Self { namespace: object.metadata.namespace.clone().unwrap_or_default(), spec }
    }

    fn allows(
        &self,
        Reference { from: [group, kind, namespace], to: [to_group, to_kind, there, name] }: &Reference,
    ) -> bool {
        let from = |f: &From| (&f.group, &f.kind, &f.namespace) == (group, kind, namespace);
        let to = |t: &To| (&t.group, &t.kind) == (to_group, to_kind) && t.name.as_ref().is_none_or(|only| only == name);
        self.namespace == *there && self.spec.from.iter().any(from) && self.spec.to.iter().any(to)
    }
}

impl Reference {
    /// Whether the owner of the other namespace allows it.
    pub fn granted(&self, grants: &[Grant]) -> bool {
        grants.iter().any(|grant| grant.allows(self))
    }

    /// That it is not, and what to write.
    pub fn to_write(&self) -> String {
        let Self { from: [group, kind, namespace], to: [to_group, to_kind, there, name] } = self;
        let to_group = if to_group.is_empty() { "\"\"" } else { to_group };
        // One name for each reference: a second grant of the same name would take the place of the first.
        let called = format!("{namespace}-{}-{name}", to_kind.to_lowercase());
        format!(
            "no {KIND} lets a {kind} of namespace {namespace} refer to {to_kind} {there}/{name}; its owner has to write \
             `{{apiVersion: gateway.networking.k8s.io/v1beta1, kind: {KIND}, metadata: {{name: {called}, namespace: {there}}}, \
             spec: {{from: [{{group: {group}, kind: {kind}, namespace: {namespace}}}], to: [{{group: {to_group}, kind: {to_kind}, name: {name}}}]}}}}`"
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Grant, Reference};

    fn reference() -> Reference {
        Reference {
            from: ["gateway.networking.k8s.io", "HTTPRoute", "llm"].map(ToOwned::to_owned),
            to: ["", "Service", "next", "chat-green"].map(ToOwned::to_owned),
        }
    }

    fn grant(namespace: &str, from: &Value, to: &Value) -> Grant {
        let object = json!({
            "apiVersion": "gateway.networking.k8s.io/v1beta1", "kind": "ReferenceGrant",
            "metadata": {"name": "any", "namespace": namespace}, "spec": {"from": [from], "to": [to]},
        });
        Grant::read(&serde_json::from_value(object).unwrap())
    }

    #[test]
    fn a_grant_allows_what_it_names_and_nothing_else() {
        let route = json!({"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "llm"});
        let service = json!({"group": "", "kind": "Service"});
        let named = |name: &str| json!({"group": "", "kind": "Service", "name": name});
        let other = |field: &str, value: &str| {
            let mut from = route.clone();
            from[field] = json!(value);
            from
        };
        for (allowed, grant) in [
            (true, grant("next", &route, &service)),
            (true, grant("next", &route, &named("chat-green"))),
            (false, grant("next", &route, &named("chat-blue"))),
            (false, grant("llm", &route, &service)),
            (false, grant("next", &other("kind", "GRPCRoute"), &service)),
            (false, grant("next", &other("namespace", "else"), &service)),
            (false, grant("next", &other("group", "llmrollout.io"), &service)),
            (false, grant("next", &route, &json!({"group": "", "kind": "Secret"}))),
            (false, grant("next", &json!(1), &json!(2))),
        ] {
            assert_eq!(reference().granted(std::slice::from_ref(&grant)), allowed, "{grant:?}");
        }
        assert!(!reference().granted(&[]));
    }

    #[test]
    fn what_is_to_be_written_would_allow_it() {
        let words = reference().to_write();
        let yaml = words.split('`').nth(1).unwrap();
        let object = serde_saphyr::from_str::<Value>(yaml).unwrap();
        assert!(reference().granted(&[Grant::read(&serde_json::from_value(object).unwrap())]), "{yaml}");
    }
}
