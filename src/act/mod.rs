//! Carries a decision out: the only writer of the world. Whole objects of ours are applied, slices of others' objects
//! are patched with a guard. In order, stopping at the first failure; on the way home each write is tried on its own, and
//! webhooks are told beside the others, since they may hang.
//! Doing a list twice equals doing it once. Never decides, never retries: the next pass does.

mod error;
mod webhook;

use std::time::Duration;

use http::{Method, Request, header::CONTENT_TYPE};
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, Preconditions},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::json;

pub use error::{ActError, Class};
pub use webhook::Webhooks;

use crate::{
    api::labels,
    decide::{
        Decision, Intent,
        intent::{Owned, OwnedKind},
    },
    line::Whose,
    routers::{GuardedPatch, Names, guard},
};

/// What a write needs: a client that does not retry by itself, a deadline for each call, and the right to write.
#[derive(Clone)]
pub struct Hands {
    /// The client; `default_retry` is off, since a retried write is a write decided on an old view.
    pub client: Client,
    /// The deadline of one call.
    pub deadline: Duration,
    /// Whether the lease is held, asked before every single write.
    pub may_write: std::sync::Arc<dyn Fn() -> bool + Send + Sync>,
    /// The lines to webhooks that drive routers.
    pub webhooks: std::sync::Arc<Webhooks>,
}

/// What was carried out. Only `act` makes one, so `record` cannot claim what was not done.
#[derive(Debug)]
pub struct Acted {
    done: Vec<String>,
    stopped: Option<ActError>,
}

impl Acted {
    /// The writes that succeeded, in words for the log.
    pub fn done(&self) -> &[String] {
        &self.done
    }

    /// The failure that ended the list, if one did.
    pub const fn stopped(&self) -> Option<&ActError> {
        self.stopped.as_ref()
    }
}

/// Carries out the writes of a decision about the rollout of this namespace and name.
pub async fn act(decision: &Decision, [namespace, name]: [&str; 2], hands: &Hands) -> Acted {
    let whose = whose(decision, namespace, name);
    let mut acted = Acted { done: Vec::new(), stopped: None };
    for intent in decision.intents.iter().filter(|intent| !(decision.home && intent.is_told())) {
        match hands.one(intent, whose).await {
            Ok(what) => acted.done.push(what),
            Err(error) => {
                acted.stopped.get_or_insert(error);
                // On the way home one refused object does not keep the others from going.
                if !decision.home {
                    break;
                }
            }
        }
    }
    acted
}

/// Carries out what nothing waits for, each by itself.
pub async fn beside(decision: &Decision, place: [&str; 2], hands: &Hands) -> Acted {
    each(decision.beside.iter(), decision, place, hands).await
}

/// Tells webhooks that traffic goes home. Nothing waits for them: the next look finds what came of it.
pub async fn tell_home(decision: &Decision, place: [&str; 2], hands: &Hands) -> Acted {
    let told = decision.intents.iter().filter(|intent| decision.home && intent.is_told());
    each(told, decision, place, hands).await
}

async fn each(
    intents: impl Iterator<Item = &Intent>,
    decision: &Decision,
    [namespace, name]: [&str; 2],
    hands: &Hands,
) -> Acted {
    let whose = whose(decision, namespace, name);
    let mut acted = Acted { done: Vec::new(), stopped: None };
    for intent in intents {
        match hands.one(intent, whose).await {
            Ok(what) => acted.done.push(what),
            Err(error) => drop(acted.stopped.get_or_insert(error)),
        }
    }
    acted
}

fn whose<'a>(decision: &Decision, namespace: &'a str, name: &'a str) -> Whose<'a> {
    Whose { namespace, name, attempt: decision.next.attempt.as_ref().map_or(0, |a| a.id) }
}

fn resource(owned: OwnedKind) -> (ApiResource, &'static str) {
    let [group, version, kind, plural] = owned.names();
    (ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural), kind)
}

impl Hands {
    async fn one(&self, intent: &Intent, whose: Whose<'_>) -> Result<String, ActError> {
        let namespace = whose.namespace;
        match intent {
            _ if !(self.may_write)() => Err(ActError::NotLeading),
            Intent::Apply(owned) => self.apply(namespace, owned).await,
            Intent::Patch(patch) => self.patch(namespace, patch).await,
            Intent::Put(put) => self.webhooks.put(put, whose).await,
            Intent::Delete { kind, name, version } => self.delete(namespace, *kind, name, version).await,
            Intent::Scale { path, version } => self.scale_to_zero(path, version).await,
        }
    }

    async fn apply(&self, namespace: &str, owned: &Owned) -> Result<String, ActError> {
        if owned.kind == OwnedKind::Job {
            return self.create(namespace, owned).await;
        }
        let (resource, kind) = resource(owned.kind);
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &resource);
        let params = PatchParams::apply(labels::MANAGER).force();
        let what = format!("apply {kind} {namespace}/{}", owned.name);
        let body = Patch::Apply(&owned.body);
        #[expect(clippy::disallowed_methods, reason = "act is the room that writes")]
        let call = api.patch(&owned.name, &params, &body);
        self.within(&what, owned.kind == OwnedKind::Deployment, call).await?;
        Ok(what)
    }

    /// A Job is never changed and never made twice: one that is there already is done.
    async fn create(&self, namespace: &str, owned: &Owned) -> Result<String, ActError> {
        let what = format!("create Job {namespace}/{}", owned.name);
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("/apis/batch/v1/namespaces/{namespace}/jobs?fieldManager={}", labels::MANAGER))
            .header(CONTENT_TYPE, "application/json")
            .body(owned.body.to_string().into_bytes())
            .map_err(|source| ActError::Request { what: what.clone(), source })?;
        match self.within(&what, false, self.client.request::<serde_json::Value>(request)).await {
            Ok(_) | Err(ActError::Moved { .. }) => Ok(what),
            Err(other) => Err(other),
        }
    }

    /// Deletes an object that is still as it was seen; one that is gone already is done.
    async fn delete(&self, namespace: &str, owned: OwnedKind, name: &str, version: &str) -> Result<String, ActError> {
        let (resource, kind) = resource(owned);
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &resource);
        let seen = Preconditions { resource_version: Some(version.to_owned()), uid: None };
        let params = DeleteParams::background().preconditions(seen);
        let what = format!("delete {kind} {namespace}/{name}");
        #[expect(clippy::disallowed_methods, reason = "act is the room that writes")]
        let call = api.delete(name, &params);
        match self.within(&what, false, call).await {
            Ok(_) | Err(ActError::Gone { .. }) => Ok(what),
            Err(other) => Err(other),
        }
    }

    async fn patch(&self, namespace: &str, patch: &GuardedPatch) -> Result<String, ActError> {
        let Names { group, version, plural, .. } = patch.kind.names();
        let prefix = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        let namespace = patch.namespace.as_deref().unwrap_or(namespace);
        let what = format!("patch {plural} {namespace}/{}", patch.name);
        let at = format!("{prefix}/namespaces/{namespace}/{plural}/{}", patch.name);
        self.send(what, &at, &patch.ops).await
    }

    /// Scales what somebody else owns, by the subresource that every kind answers alike.
    async fn scale_to_zero(&self, path: &str, version: &str) -> Result<String, ActError> {
        let ops = [guard(version), json!({"op": "replace", "path": "/spec/replicas", "value": 0})];
        self.send(format!("scale {path} to 0"), path, &ops).await
    }

    async fn send(&self, what: String, path: &str, ops: &[serde_json::Value]) -> Result<String, ActError> {
        let uri = format!("{path}?fieldManager={}", labels::MANAGER);
        let request = Request::builder()
            .method(Method::PATCH)
            .uri(uri)
            .header(CONTENT_TYPE, "application/json-patch+json")
            .body(serde_json::Value::Array(ops.to_vec()).to_string().into_bytes())
            .map_err(|source| ActError::Request { what: what.clone(), source })?;
        let answer = self.within(&what, false, self.client.request::<serde_json::Value>(request)).await;
        match answer {
            Ok(_) => Ok(what),
            // The server's word for a failed `test` or guard: what was read has moved.
            Err(ActError::Refused { what, .. }) => Err(ActError::Moved { what }),
            Err(other) => Err(other),
        }
    }

    async fn within<T>(
        &self,
        what: &str,
        template: bool,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, ActError> {
        match tokio::time::timeout(self.deadline, call).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(source)) => Err(ActError::of(what, template, source)),
            Err(_) => Err(ActError::Late { what: what.to_owned() }),
        }
    }
}
