//! The same snapshot read from the API server: rollout, sets of gates, Services, routes, Deployments and endpoints by GET, each with a
//! deadline of its own. Taken before a write that raises the candidate, and before what a cache shows takes one back.

use std::{fmt::Debug, sync::Arc, time::Duration};

use futures::future;
use k8s_openapi::{
    NamespaceResourceScope,
    api::{apps::v1::Deployment, autoscaling::v1::Scale, core::v1::Service, discovery::v1::EndpointSlice},
};
use kube::{Api, Client, Resource, api::ListParams, core::DynamicObject, runtime::reflector::ObjectRef};
use serde::de::DeserializeOwned;

use super::{
    World,
    cluster::{self, ColorObjects},
    webhooks::Webhooks,
};
use crate::{
    api::{LlmGateSet, LlmRollout, release::Workload, status::Color},
    decide::{
        Snapshot, adopt, crossing, release,
        snapshot::{Adoptee, ColorSeen, GateSets, Offers, ScaleSeen},
        workload,
    },
    routers::{
        Claim, Found, PatchKind, RouterSeen,
        grant::{self, Grant},
        mirror::ClassSeen,
    },
};

/// Why the world could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// The API server answered with an error.
    #[error("reading {what} failed")]
    Read {
        /// What was read.
        what: String,
        /// Its answer.
        #[source]
        source: Box<kube::Error>,
    },
    /// The deadline passed.
    #[error("reading {what} took longer than allowed")]
    Late {
        /// What was read.
        what: String,
    },
    /// The manifest changed while it was read.
    #[error("the manifest changed while it was read")]
    Moved,
    /// The rollout is gone.
    #[error("the rollout is gone")]
    Gone,
}

/// A client with a deadline for each call.
#[derive(Clone)]
pub struct Eyes {
    /// The client.
    pub client: Client,
    /// The deadline of one call.
    pub deadline: Duration,
}

/// So often is looked again when status moved on meanwhile.
const LOOKS: usize = 3;

/// The snapshot, read from the API server.
///
/// The rollout last: whoever took the release back meanwhile either moved a router, which the guard of our write notices,
/// or only wrote status, which is read here. The other way round, a process that sleeps in between would raise a revision
/// that was taken back, with a guard that fits. Where status moved on while routers were read, these may be older than it,
/// and a share that another process has just raised would look like one that somebody took back: they are read again. A
/// new annotation is no such reason.
///
/// Webhooks are asked once more before a raise only: on the way back nobody waits for one, and what it told last counts.
pub async fn observe_live(
    rollout: &LlmRollout,
    world: &World,
    eyes: &Eyes,
    raises: bool,
) -> Result<Snapshot, ObserveError> {
    let namespace = rollout.metadata.namespace.as_deref().unwrap_or_default();
    let name = rollout.metadata.name.as_deref().unwrap_or_default();
    // What we have taken out of a router stands in status: routers are read beside the newest that is known.
    let mut known = rollout.clone();
    // What gateways can do changes with their version, not with a pass.
    let classes = world.stores.classes();
    for _ in 0..LOOKS {
        let grants = eyes.grants(rollout, &world.offers).await?;
        let look = async |claim| match cluster::forbidden(&known, claim, &world.offers, &grants) {
            Some(forbidden) => Ok(forbidden),
            None => eyes.router(&known, claim, &classes, (&world.webhooks, raises)).await,
        };
        // All at once: what stands in no cluster may keep us waiting.
        let routers = future::try_join_all(rollout.spec.traffic.iter().filter_map(Claim::of).map(look)).await?;
        let color = |color| eyes.color(&known, color, &world.offers, &grants);
        let (blue, green) = tokio::try_join!(color(Color::Blue), color(Color::Green))?;
        let fresh: LlmRollout = eyes.get(namespace, name).await?.ok_or(ObserveError::Gone)?;
        if fresh.metadata.uid != rollout.metadata.uid {
            return Err(ObserveError::Gone);
        }
        if fresh.spec.traffic != rollout.spec.traffic || fresh.spec.release.pair != rollout.spec.release.pair {
            return Err(ObserveError::Moved);
        }
        if fresh.status == known.status {
            let gate_sets = eyes.gate_sets(&fresh).await?;
            let adoptee = eyes.adoptee(&fresh).await?;
            let cached = super::observe(&Arc::new(fresh), world);
            // Why a pod does not come up is only said; and an autoscaler is written at the version that was seen.
            let [blue, green] = [(blue, &cached.blue), (green, &cached.green)].map(|(live, cached)| ColorSeen {
                stuck: cached.stuck.clone(),
                scalers: cached.scalers.clone(),
                ..live
            });
            return Ok(Snapshot { live: true, blue, green, routers, gate_sets, grants, adoptee, ..cached });
        }
        known = fresh;
    }
    Err(ObserveError::Moved)
}

/// The same look, with the rollout as it stands now: for a decision that was carried out and could not be written down,
/// because status had moved on since it was read.
pub async fn same_look(seen: &Snapshot, eyes: &Eyes) -> Result<Snapshot, ObserveError> {
    let meta = &seen.rollout.metadata;
    let (namespace, name) = (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default());
    let fresh: LlmRollout = eyes.get(namespace, name).await?.ok_or(ObserveError::Gone)?;
    if fresh.metadata.uid != meta.uid {
        return Err(ObserveError::Gone);
    }
    Ok(Snapshot { rollout: Arc::new(fresh), ..seen.clone() })
}

impl Eyes {
    async fn router(
        &self,
        rollout: &LlmRollout,
        claim: Claim<'_>,
        classes: &[ClassSeen],
        (webhooks, raises): (&Webhooks, bool),
    ) -> Result<RouterSeen, ObserveError> {
        let namespace = cluster::home(rollout, claim);
        let (kind, name) = claim.object();
        if kind == PatchKind::Service {
            let front: Option<Service> = self.get(namespace, name).await?;
            return Ok(cluster::router(rollout, claim, Found { service: front.as_ref(), ..Found::default() }));
        }
        if kind == PatchKind::Webhook {
            let heard = if raises {
                webhooks.hear_now(rollout, name).await
            } else {
                webhooks.heard(&ObjectRef::from_obj(rollout), name)
            };
            return Ok(cluster::router(rollout, claim, Found { heard: heard.as_ref(), ..Found::default() }));
        }
        let object = self.object(kind, namespace, name).await?;
        let second = match claim.second() {
            Some(name) => self.object(kind, namespace, name).await?,
            None => None,
        };
        let found = Found { object: object.as_ref(), second: second.as_ref(), classes, ..Found::default() };
        Ok(cluster::router(rollout, claim, found))
    }

    async fn object(
        &self,
        kind: PatchKind,
        namespace: &str,
        name: &str,
    ) -> Result<Option<DynamicObject>, ObserveError> {
        let what = format!("{} {namespace}/{name}", kind.names().kind);
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &kind.resource());
        self.within(what, there(api.get(name))).await
    }

    async fn color(
        &self,
        rollout: &LlmRollout,
        color: Color,
        offers: &Offers,
        grants: &[Grant],
    ) -> Result<ColorSeen, ObserveError> {
        if !crossing::may_see(rollout, color, offers) {
            return Ok(ColorSeen::default());
        }
        let namespace = rollout.metadata.namespace.as_deref().unwrap_or_default();
        let made = workload::deployment_of(rollout, color);
        let (there, of_color) = (release::namespace_of(rollout, color), release::service_of(rollout, color));
        let (deployment, service, slices): (Option<Deployment>, Option<Service>, Vec<EndpointSlice>) =
            tokio::try_join!(self.get(namespace, &made), self.get(there, &of_color), self.slices(there, &of_color))?;
        let objects = ColorObjects {
            deployment: deployment.as_ref(),
            service: service.as_ref(),
            slices: slices.iter().collect(),
        };
        let scales = self.scales(rollout, color, grants).await?;
        Ok(ColorSeen { scales, ..cluster::color(rollout, &objects) })
    }

    /// What the owners of other namespaces allow, as far as the rollout names any.
    async fn grants(&self, rollout: &LlmRollout, offers: &Offers) -> Result<Vec<Grant>, ObserveError> {
        let mut all = Vec::new();
        for namespace in crossing::namespaces(rollout).into_iter().filter(|_| offers.cross_namespace) {
            let what = format!("{}s of {namespace}", grant::KIND);
            let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &grant::resource());
            let found = self.within(what, there(api.list(&ListParams::default()))).await?;
            all.extend(found.into_iter().flat_map(|list| list.items).map(|object| Grant::read(&object)));
        }
        Ok(all)
    }

    /// What a pair lists of a color.
    async fn scales(
        &self,
        rollout: &LlmRollout,
        color: Color,
        grants: &[Grant],
    ) -> Result<Vec<ScaleSeen>, ObserveError> {
        let namespace = release::namespace_of(rollout, color);
        let mut all = Vec::new();
        for workload in rollout.spec.release.pair.iter().flat_map(|pair| &pair.half(color).workloads) {
            let group = workload.api_version.split_once('/').map_or("", |(group, _)| group);
            let reference = crossing::reference(rollout, [group, &workload.kind, namespace, &workload.name]);
            all.push(match reference.filter(|reference| !reference.granted(grants)) {
                Some(reference) => ScaleSeen::Untold(reference.to_write()),
                None => self.scale(namespace, workload).await?,
            });
        }
        Ok(all)
    }

    /// One of them. That the operator may not read it, or that it cannot be scaled, keeps nothing else from being seen.
    async fn scale(&self, namespace: &str, workload: &Workload) -> Result<ScaleSeen, ObserveError> {
        let Workload { api_version, kind, name } = workload;
        let what = format!("the /scale of {kind} {namespace}/{name}");
        let in_core = !api_version.contains('/');
        let listed = async {
            if in_core {
                self.client.list_core_api_resources(api_version).await
            } else {
                self.client.list_api_group_resources(api_version).await
            }
        };
        let Some(known) = self.within(what.clone(), there(listed)).await? else {
            return Ok(ScaleSeen::Untold(format!("the cluster does not know {api_version}")));
        };
        let plural = known.resources.iter().find(|r| r.kind == *kind && !r.name.contains('/')).map(|r| &r.name);
        let scalable = |plural: &&String| known.resources.iter().any(|r| r.name == format!("{plural}/scale"));
        let Some(plural) = plural.filter(scalable) else {
            return Ok(ScaleSeen::Untold(format!("{api_version} {kind} has no /scale")));
        };
        let root = if in_core { "api" } else { "apis" };
        let path = format!("/{root}/{api_version}/namespaces/{namespace}/{plural}/{name}/scale");
        let request = http::Request::get(&path).body(Vec::new());
        let Ok(request) = request else { return Ok(ScaleSeen::Untold(format!("{path} is no path"))) };
        let read = there(self.client.request::<Scale>(request));
        Ok(match self.within(what.clone(), read).await {
            Ok(None) => ScaleSeen::Gone,
            Ok(Some(scale)) => ScaleSeen::There {
                path,
                wanted: scale.spec.and_then(|s| s.replicas).unwrap_or(0),
                version: scale.metadata.resource_version.unwrap_or_default(),
            },
            Err(ObserveError::Read { source, .. }) if matches!(&*source, kube::Error::Api(s) if s.code == 403) => {
                ScaleSeen::Untold(format!(
                    "the operator may not read {what}; give its role {plural}/scale of {api_version}"
                ))
            }
            Err(other) => return Err(other),
        })
    }

    /// What is to be taken over, if anything is.
    async fn adoptee(&self, rollout: &LlmRollout) -> Result<Option<Adoptee>, ObserveError> {
        let Some(name) = adopt::wanted(rollout) else { return Ok(None) };
        let namespace = rollout.metadata.namespace.as_deref().unwrap_or_default();
        let deployment: Option<Deployment> = self.get(namespace, name).await?;
        Ok(deployment.map(|d| cluster::adoptee(rollout, &d)))
    }

    async fn gate_sets(&self, rollout: &LlmRollout) -> Result<GateSets, ObserveError> {
        let namespace = rollout.metadata.namespace.as_deref().unwrap_or_default();
        let mut all = GateSets::new();
        for name in cluster::named_sets(rollout) {
            let set: Option<LlmGateSet> = self.get(namespace, name).await?;
            all.insert(name.to_owned(), cluster::gate_set(set.as_ref()));
        }
        Ok(all)
    }

    async fn get<K>(&self, namespace: &str, name: &str) -> Result<Option<K>, ObserveError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let what = format!("{} {namespace}/{name}", K::kind(&()));
        let api: Api<K> = Api::namespaced(self.client.clone(), namespace);
        self.within(what, there(api.get(name))).await
    }

    async fn slices(&self, namespace: &str, service: &str) -> Result<Vec<EndpointSlice>, ObserveError> {
        let what = format!("EndpointSlices of {namespace}/{service}");
        let api: Api<EndpointSlice> = Api::namespaced(self.client.clone(), namespace);
        let params = ListParams::default().labels(&format!("kubernetes.io/service-name={service}"));
        Ok(self.within(what, api.list(&params)).await?.items)
    }

    async fn within<T>(&self, what: String, call: impl Future<Output = kube::Result<T>>) -> Result<T, ObserveError> {
        match tokio::time::timeout(self.deadline, call).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(source)) => Err(ObserveError::Read { what, source: Box::new(source) }),
            Err(_) => Err(ObserveError::Late { what }),
        }
    }
}

/// An object, or that there is none. An API server that does not know the kind says so in plain words, without the
/// reason that it gives for a missing object.
async fn there<K>(got: impl Future<Output = kube::Result<K>>) -> kube::Result<Option<K>> {
    match got.await {
        Ok(object) => Ok(Some(object)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, time::Duration};

    use http::{Request, Response};
    use kube::{Client, client::Body};
    use serde_json::json;

    use super::{Eyes, Webhooks};
    use crate::{
        api::{LlmRollout, Reason},
        routers::Claim,
    };

    #[tokio::test]
    async fn a_kind_that_the_cluster_does_not_know_is_a_route_that_is_missing() {
        let answer = |_: Request<Body>| async {
            let words = Body::from(b"404 page not found".to_vec());
            Ok::<_, Infallible>(Response::builder().status(404).body(words).unwrap())
        };
        let client = Client::new(tower::service_fn(answer), "llm");
        let eyes = Eyes { client, deadline: Duration::from_secs(1) };
        for word in ["httpRoute", "grpcRoute", "service"] {
            let rollout: LlmRollout = serde_json::from_value(json!({
                "apiVersion": "llmrollout.io/v1alpha1", "kind": "LlmRollout", "metadata": {"name": "chat", "namespace": "llm"},
                "spec": {"traffic": [{word: {"name": "chat"}}], "release": {"template": {"port": 1, "podTemplate": {}}}},
            }))
            .unwrap();
            let claim = Claim::of(&rollout.spec.traffic[0]).unwrap();
            let seen = eyes.router(&rollout, claim, &[], (&Webhooks::default(), true)).await.unwrap();
            assert_eq!(seen.name, format!("{word}/chat"));
            let reason = if word == "service" { Reason::ServiceNotFound } else { Reason::RouteNotFound };
            assert_eq!(seen.state.unwrap_err().reason, reason);
        }
    }
}
