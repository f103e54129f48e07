//! Which endpoints stand behind which Service address. Pure: never opens a socket.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use k8s_openapi::api::{
    core::v1::Service,
    discovery::v1::{Endpoint, EndpointSlice},
};
use kube::ResourceExt;

use crate::watch::{Key, key};

const SERVICE_LABEL: &str = "kubernetes.io/service-name";

/// Namespace and name of a Service.
pub(crate) type Name = (String, String);

/// The endpoints behind each address.
pub(crate) type Fronts = BTreeMap<SocketAddr, Vec<SocketAddr>>;

/// All Services and `EndpointSlices`.
#[derive(Debug, Default)]
pub(crate) struct Table {
    services: BTreeMap<Name, Service>,
    slices: BTreeMap<Name, BTreeMap<Key, EndpointSlice>>,
}

impl Table {
    /// Takes a Service in and tells its name.
    pub(crate) fn set_service(&mut self, service: Service) -> Name {
        let (namespace, name, _) = key(&service);
        self.services.insert((namespace.clone(), name.clone()), service);
        (namespace, name)
    }

    /// Takes a slice in and tells the name of its Service.
    pub(crate) fn set_slice(&mut self, slice: EndpointSlice) -> Option<Name> {
        let service = slice.labels().get(SERVICE_LABEL)?.clone();
        let name = (slice.namespace().unwrap_or_default(), service);
        self.slices.entry(name.clone()).or_default().insert(key(&slice), slice);
        Some(name)
    }

    /// Drops a Service, unless another has taken its name.
    pub(crate) fn remove_service(&mut self, (namespace, name, uid): &Key) -> Name {
        let name = (namespace.clone(), name.clone());
        if self.services.get(&name).is_some_and(|service| service.metadata.uid.as_ref() == Some(uid)) {
            self.services.remove(&name);
        }
        name
    }

    /// Drops a slice and tells the name of its Service.
    pub(crate) fn remove_slice(&mut self, key: &Key) -> Option<Name> {
        let name = self.slices.iter().find(|(_, slices)| slices.contains_key(key)).map(|(name, _)| name.clone())?;
        if let Some(slices) = self.slices.get_mut(&name) {
            slices.remove(key);
            if slices.is_empty() {
                self.slices.remove(&name);
            }
        }
        Some(name)
    }

    /// The addresses of one Service.
    pub(crate) fn fronts(&self, name: &Name) -> Fronts {
        let Some(spec) = self.services.get(name).and_then(|service| service.spec.as_ref()) else {
            return Fronts::new();
        };
        // "None" (headless) and the empty address of ExternalName are no addresses.
        let Some(Ok(address)) = spec.cluster_ip.as_ref().map(|address| address.parse::<IpAddr>()) else {
            return Fronts::new();
        };
        let tcp = spec.ports.iter().flatten().filter(|port| port.protocol.as_deref().is_none_or(|name| name == "TCP"));
        tcp.filter_map(|port| {
            let front = SocketAddr::new(address, u16::try_from(port.port).ok()?);
            Some((front, self.endpoints(name, port.name.as_deref().unwrap_or_default())))
        })
        .collect()
    }

    fn endpoints(&self, name: &Name, port: &str) -> Vec<SocketAddr> {
        let all: Vec<_> = self.slices.get(name).into_iter().flat_map(BTreeMap::values).collect();
        let chosen = |wanted: fn(&Endpoint) -> bool| -> Vec<SocketAddr> {
            let mut found: Vec<_> = all.iter().flat_map(|slice| addresses(slice, port, wanted)).collect();
            found.sort_unstable();
            found.dedup();
            found
        };
        let ready = chosen(is_ready);
        if ready.is_empty() { chosen(is_draining) } else { ready }
    }
}

fn addresses(slice: &EndpointSlice, port: &str, wanted: fn(&Endpoint) -> bool) -> Vec<SocketAddr> {
    let found = slice.ports.iter().flatten().find(|given| given.name.as_deref().unwrap_or_default() == port);
    let Some(number) = found.and_then(|given| given.port).and_then(|number| u16::try_from(number).ok()) else {
        return Vec::new();
    };
    let endpoints = slice.endpoints.iter().filter(|endpoint| wanted(endpoint));
    endpoints
        .filter_map(|endpoint| endpoint.addresses.first()?.parse().ok())
        .map(|address| SocketAddr::new(address, number))
        .collect()
}

fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
}

/// On its way out, but still answering: better than nothing.
fn is_draining(endpoint: &Endpoint) -> bool {
    let conditions = endpoint.conditions.as_ref();
    conditions.is_some_and(|given| given.serving == Some(true) && given.terminating == Some(true))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn table(spec: &Value, endpoints: &Value) -> Fronts {
        let mut table = Table::default();
        let meta = json!({"namespace": "a", "name": "s", "uid": "1"});
        let service = serde_json::from_value(json!({"metadata": meta, "spec": spec})).unwrap();
        let name = table.set_service(service);
        let meta = json!({"namespace": "a", "name": "s-1", "uid": "2", "labels": {SERVICE_LABEL: "s"}});
        let slice = json!({"metadata": meta, "addressType": "IPv4", "endpoints": endpoints,
            "ports": [{"name": "http", "port": 8000, "protocol": "TCP"}]});
        assert_eq!(table.set_slice(serde_json::from_value(slice).unwrap()), Some(name.clone()));
        table.fronts(&name)
    }

    fn one() -> Value {
        json!({"clusterIP": "10.96.0.9", "ports": [
            {"name": "http", "port": 80, "targetPort": "x"},
            {"name": "dns", "port": 53, "protocol": "UDP"},
        ]})
    }

    fn endpoint(address: &str, ready: bool, serving: bool, terminating: bool) -> Value {
        json!({"addresses": [address], "conditions":
            {"ready": ready, "serving": serving, "terminating": terminating}})
    }

    fn behind(fronts: &Fronts) -> Vec<String> {
        fronts[&"10.96.0.9:80".parse().unwrap()].iter().map(ToString::to_string).collect()
    }

    #[test]
    fn ready_endpoints_come_first_and_draining_ones_only_alone() {
        let draining = endpoint("10.244.0.1", false, true, true);
        let both = table(&one(), &json!([draining, endpoint("10.244.0.2", true, true, false)]));
        assert_eq!(behind(&both), ["10.244.0.2:8000"]);
        let alone = table(&one(), &json!([draining, endpoint("10.244.0.3", false, false, false)]));
        assert_eq!(behind(&alone), ["10.244.0.1:8000"]);
        assert!(behind(&table(&one(), &json!([]))).is_empty());
        assert_eq!(both.len(), 1, "UDP is left out");
    }

    #[test]
    fn headless_and_external_services_have_no_front() {
        let ports = json!([{"port": 80}]);
        assert!(table(&json!({"clusterIP": "None", "ports": ports}), &json!([])).is_empty());
        assert!(table(&json!({"type": "ExternalName", "externalName": "x", "ports": ports}), &json!([])).is_empty());
    }

    #[test]
    fn removal_forgets_only_what_is_meant() {
        let mut table = Table::default();
        let service = |uid: &str| {
            serde_json::from_value::<Service>(json!({"metadata": {"namespace": "a", "name": "s", "uid": uid},
                "spec": {"clusterIP": "10.96.0.9", "ports": [{"port": 80}]}}))
            .unwrap()
        };
        let name = table.set_service(service("1"));
        table.set_service(service("2"));
        table.remove_service(&key(&service("1")));
        assert_eq!(table.fronts(&name).len(), 1);
        table.remove_service(&key(&service("2")));
        assert!(table.fronts(&name).is_empty());
    }
}
