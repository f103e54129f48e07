//! One namespace and what a user does in it: applies manifests, reads the route, patches the rollout.
//! Nothing here waits longer than it is told.

use std::time::Duration;

use kube::{
    Api,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{
    Film, Frame, Ground, KitError, Wish,
    load::METHOD,
    recipe::{self, NAME, ROLLOUT, ROUTE},
};

/// Our name as a writer.
const MANAGER: &str = "e2e";

/// Shares of the two colors as they stand in the route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Weights {
    /// Of `chat-blue`.
    pub blue: i64,
    /// Of `chat-green`.
    pub green: i64,
}

impl Weights {
    /// Reads a route.
    pub(crate) fn of(route: &Value) -> Self {
        let backends = route.pointer("/spec/rules/0/backendRefs").and_then(Value::as_array);
        let weight = |color: &str| {
            let name = format!("{NAME}-{color}");
            let backend = backends.into_iter().flatten().find(|backend| backend["name"] == *name);
            backend.map_or(-1, |backend| backend["weight"].as_i64().unwrap_or(1))
        };
        Self { blue: weight("blue"), green: weight("green") }
    }
}

/// Every weight written to a filmed route, in order, each with the frame that showed it first.
pub(crate) fn weights_seen(film: &Film) -> Vec<(Weights, Frame)> {
    let mut seen: Vec<(Weights, Frame)> = Vec::new();
    for frame in film.frames() {
        let Some(object) = &frame.object else { continue };
        let weights = Weights::of(object);
        if seen.last().is_none_or(|(last, _)| *last != weights) {
            seen.push((weights, frame));
        }
    }
    seen
}

/// The phase of a filmed or read rollout.
pub(crate) fn phase(rollout: &Value) -> &str {
    rollout.pointer("/status/phase").and_then(Value::as_str).unwrap_or("")
}

/// One condition of a rollout.
pub(crate) fn condition<'a>(rollout: &'a Value, kind: &str) -> Option<&'a Value> {
    rollout.pointer("/status/conditions")?.as_array()?.iter().find(|condition| condition["type"] == kind)
}

/// Whether the status speaks of the manifest as it stands.
pub(crate) fn is_current(rollout: &Value) -> bool {
    rollout.pointer("/status/observedGeneration") == rollout.pointer("/metadata/generation")
}

/// A namespace of one's own.
#[derive(Debug, Clone)]
pub(crate) struct Space {
    /// The ground it is on.
    pub ground: Ground,
    /// Its name.
    pub name: String,
}

impl Space {
    /// Makes the namespace; one that is there already is taken.
    pub(crate) async fn create(ground: &Ground, name: &str) -> Result<Self, KitError> {
        let space = Self { ground: ground.clone(), name: name.to_owned() };
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let api = ground.all("v1", "Namespace");
        let parameters = PatchParams::apply(MANAGER).force();
        api.patch(name, &parameters, &Patch::Apply(&namespace))
            .await
            .map_err(KitError::api(format!("namespace {name}")))?;
        Ok(space)
    }

    /// The namespace without anything of an earlier run.
    pub(crate) async fn fresh(ground: &Ground, name: &str) -> Result<Self, KitError> {
        let space = Self { ground: ground.clone(), name: name.to_owned() };
        let namespaces = ground.all("v1", "Namespace");
        if namespaces.get_opt(name).await.map_err(KitError::api(format!("namespace {name}")))?.is_some() {
            space.delete().await?;
            Film::start(namespaces, name).await?.until_gone(Duration::from_secs(40)).await?;
        }
        Self::create(ground, name).await
    }

    /// Deletes the namespace, and the finalizers of its rollouts with it: nobody may be there to see to them. Does not
    /// wait until everything is gone.
    pub(crate) async fn delete(&self) -> Result<(), KitError> {
        let deleted = self.ground.all("v1", "Namespace").delete(&self.name, &DeleteParams::default()).await;
        deleted.map(drop).map_err(KitError::api(format!("deleting namespace {}", self.name)))?;
        for rollout in self.list(ROLLOUT, "LlmRollout").await.unwrap_or_default() {
            let name = rollout["metadata"]["name"].as_str().unwrap_or_default();
            // A rollout that is gone by itself is as good.
            let _ = self.rollouts().delete(name, &DeleteParams::default()).await;
            let _ = self.merge(ROLLOUT, "LlmRollout", name, &json!({"metadata": {"finalizers": null}})).await;
        }
        Ok(())
    }

    /// The host by which the gateway knows it.
    pub(crate) fn host(&self) -> String {
        format!("{}.example", self.name)
    }

    /// Objects of a kind in it.
    pub(crate) fn api(&self, api_version: &str, kind: &str) -> Api<DynamicObject> {
        self.ground.within(&self.name, api_version, kind)
    }

    /// Our kind.
    pub(crate) fn rollouts(&self) -> Api<DynamicObject> {
        self.api(ROLLOUT, "LlmRollout")
    }

    /// Routes.
    pub(crate) fn routes(&self) -> Api<DynamicObject> {
        self.api(ROUTE, "HTTPRoute")
    }

    /// Services.
    pub(crate) fn services(&self) -> Api<DynamicObject> {
        self.api("v1", "Service")
    }

    /// Applies a manifest strictly: an unknown field is an error.
    pub(crate) async fn apply(&self, manifest: &Value) -> Result<Value, KitError> {
        let mut parameters = PatchParams::apply(MANAGER).force();
        parameters.field_validation = Some(kube::api::ValidationDirective::Strict);
        let text = |pointer: &str| manifest.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (kind, name) = (text("/kind"), text("/metadata/name"));
        let api = self.api(text("/apiVersion"), kind);
        let applied = api.patch(name, &parameters, &Patch::Apply(manifest)).await;
        json_of(applied, format!("applying {kind} {}/{name}", self.name))
    }

    /// Applies front Service, route and rollout.
    pub(crate) async fn install(&self, wish: &Wish) -> Result<(), KitError> {
        self.apply(&recipe::front()).await?;
        self.apply(&recipe::route(&self.ground.gateway, &self.host())).await?;
        self.apply(&wish.manifest()).await.map(drop)
    }

    /// Reads an object.
    pub(crate) async fn get(&self, api_version: &str, kind: &str, name: &str) -> Result<Value, KitError> {
        let got = self.api(api_version, kind).get(name).await;
        json_of(got, format!("reading {kind} {}/{name}", self.name))
    }

    /// Reads all objects of a kind.
    pub(crate) async fn list(&self, api_version: &str, kind: &str) -> Result<Vec<Value>, KitError> {
        let what = format!("listing {kind} in {}", self.name);
        let all = self.api(api_version, kind).list(&ListParams::default()).await.map_err(KitError::api(&what))?;
        all.items.into_iter().map(|object| serde_json::to_value(object).map_err(KitError::failed(&what))).collect()
    }

    /// Merges into an object.
    pub(crate) async fn merge(
        &self,
        api_version: &str,
        kind: &str,
        name: &str,
        patch: &Value,
    ) -> Result<Value, KitError> {
        let parameters = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let merged = self.api(api_version, kind).patch(name, &parameters, &Patch::Merge(patch)).await;
        json_of(merged, format!("patching {kind} {}/{name}", self.name))
    }

    /// Merges into the spec of the rollout.
    pub(crate) async fn change(&self, spec: &Value) -> Result<Value, KitError> {
        self.merge(ROLLOUT, "LlmRollout", NAME, &json!({"spec": spec})).await
    }

    /// The rollout.
    pub(crate) async fn rollout(&self) -> Result<Value, KitError> {
        self.get(ROLLOUT, "LlmRollout", NAME).await
    }

    /// The weights as the API server has them.
    pub(crate) async fn weights(&self) -> Result<Weights, KitError> {
        self.get(ROUTE, "HTTPRoute", NAME).await.map(|route| Weights::of(&route))
    }

    /// Somebody else's hand: gives the route other weights.
    pub(crate) async fn set_weights(&self, weights: Weights) -> Result<Value, KitError> {
        let at = |index: usize| format!("/spec/rules/0/backendRefs/{index}/weight");
        let ops = json!([
            {"op": "replace", "path": at(0), "value": weights.blue},
            {"op": "replace", "path": at(1), "value": weights.green},
        ]);
        let patch: Patch<()> = Patch::Json(serde_json::from_value(ops).map_err(KitError::failed("the weights"))?);
        let parameters = PatchParams { field_manager: Some("somebody".to_owned()), ..PatchParams::default() };
        let patched = self.routes().patch(NAME, &parameters, &patch).await;
        json_of(patched, format!("patching HTTPRoute {}/{NAME}", self.name))
    }

    /// The color the front Service selects.
    pub(crate) async fn selector(&self) -> Result<String, KitError> {
        let service = self.get("v1", "Service", NAME).await?;
        Ok(service["spec"]["selector"]["llmrollout.io/color"].as_str().unwrap_or_default().to_owned())
    }

    /// A film of the rollout.
    pub(crate) async fn film(&self) -> Result<Film, KitError> {
        Film::start(self.rollouts(), NAME).await
    }

    /// A film of the route.
    pub(crate) async fn film_route(&self) -> Result<Film, KitError> {
        Film::start(self.routes(), NAME).await
    }

    /// Waits until the gateway answers 200 for this namespace.
    pub(crate) async fn poll_answers(&self, within: Duration) -> Result<(), KitError> {
        self.poll(within, |client, gateway| client.get(format!("{gateway}/v1/models"))).await
    }

    /// Waits until the gateway passes calls on to the servers of this namespace. It does so for whoever speaks HTTP/1.1 as
    /// well, who only misses the trailers.
    pub(crate) async fn poll_calls(&self, within: Duration) -> Result<(), KitError> {
        let call = |client: &reqwest::Client, gateway: &str| {
            let request = client.post(format!("{gateway}{METHOD}")).header("content-type", "application/grpc");
            request.header("te", "trailers").body(vec![0_u8; 5])
        };
        self.poll(within, call).await
    }

    async fn poll(
        &self,
        within: Duration,
        request: impl Fn(&reqwest::Client, &str) -> reqwest::RequestBuilder,
    ) -> Result<(), KitError> {
        let client = super::prometheus::http()?;
        let mut last = "nothing".to_owned();
        let answers = async {
            loop {
                let request = request(&client, &self.ground.gateway_url);
                let request = request.header("host", self.host()).timeout(Duration::from_secs(2));
                match request.send().await {
                    Ok(answer) if answer.status() == 200 && answer.headers().contains_key("x-sim-version") => return,
                    Ok(answer) => last = format!("{} {:?}", answer.status(), answer.headers()),
                    Err(error) => last = error.to_string(),
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let done = tokio::time::timeout(within, answers).await;
        done.map_err(|_| KitError::Late { what: format!("the gateway for {}", self.host()), within, last })
    }

    /// The pods of a color: name and uid, in order.
    pub(crate) async fn pods(&self, color: &str) -> Result<Vec<(String, String)>, KitError> {
        let selector = ListParams::default().labels(&format!("app={NAME},llmrollout.io/color={color}"));
        let pods = self.api("v1", "Pod").list(&selector).await.map_err(KitError::api("listing pods"))?;
        let mut names: Vec<_> =
            pods.items.into_iter().filter_map(|pod| Some((pod.metadata.name?, pod.metadata.uid?))).collect();
        names.sort();
        Ok(names)
    }
}

fn json_of(result: kube::Result<DynamicObject>, what: String) -> Result<Value, KitError> {
    let object = result.map_err(KitError::api(what.clone()))?;
    serde_json::to_value(object).map_err(KitError::failed(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_found_by_name_and_default_to_one() {
        let backends =
            json!([{"name": "chat-green"}, {"name": "other", "weight": 7}, {"name": "chat-blue", "weight": 95}]);
        let route = json!({"spec": {"rules": [{"backendRefs": backends}]}});
        assert_eq!(Weights::of(&route), Weights { blue: 95, green: 1 });
        assert_eq!(Weights::of(&json!({})), Weights { blue: -1, green: -1 }, "no backend, no weight");
    }

    #[test]
    fn a_status_of_an_older_manifest_is_not_current() {
        let rollout = |seen: i64| json!({"metadata": {"generation": 2}, "status": {"observedGeneration": seen}});
        assert!(is_current(&rollout(2)));
        assert!(!is_current(&rollout(1)));
    }
}
