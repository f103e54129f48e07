//! The write of status: server-side apply on the status subresource with the version it was decided on. A stale
//! reconciler gets a 409 and starts over. Skipped when nothing changed.

use std::time::Duration;

use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{
    act::Class,
    api::{LlmRollout, LlmRolloutStatus, labels},
};

/// Why status could not be written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The API server answered with an error.
    #[error("writing status failed")]
    Write(#[source] Box<kube::Error>),
    /// The deadline passed.
    #[error("writing status took longer than allowed")]
    Late,
}

impl RecordError {
    /// What it means for the next try.
    pub fn class(&self) -> Class {
        let Self::Write(error) = self else { return Class::Transient };
        let kube::Error::Api(answer) = error.as_ref() else { return Class::Transient };
        match answer.code {
            409 => Class::Stale,
            401 | 403 => Class::Denied,
            400 | 413 | 422 => Class::Bug,
            _ => Class::Transient,
        }
    }
}

/// Writes status.
#[derive(Clone)]
pub struct Pen {
    /// The client, without retries of its own.
    pub client: Client,
    /// The deadline of one call.
    pub deadline: Duration,
}

impl Pen {
    /// Writes `status`, decided on `rollout` as it was read. Says whether it wrote.
    pub async fn write(&self, rollout: &LlmRollout, status: &LlmRolloutStatus) -> Result<bool, RecordError> {
        if super::unchanged(rollout, status) {
            return Ok(false);
        }
        let meta = &rollout.metadata;
        let name = meta.name.as_deref().unwrap_or_default();
        let body = json!({
            "apiVersion": "llmrollout.io/v1alpha1",
            "kind": "LlmRollout",
            "metadata": {"name": name, "uid": meta.uid, "resourceVersion": meta.resource_version},
            "status": status,
        });
        let api: Api<LlmRollout> = Api::namespaced(self.client.clone(), meta.namespace.as_deref().unwrap_or_default());
        let params = PatchParams::apply(labels::MANAGER).force();
        let body = Patch::Apply(&body);
        #[expect(clippy::disallowed_methods, reason = "record is the room that writes status")]
        let call = api.patch_status(name, &params, &body);
        match tokio::time::timeout(self.deadline, call).await {
            Ok(Ok(_)) => Ok(true),
            // Gone: our finalizer was the last thing that held it.
            Ok(Err(kube::Error::Api(answer))) if answer.code == 404 => Ok(false),
            Ok(Err(error)) => Err(RecordError::Write(Box::new(error))),
            Err(_) => Err(RecordError::Late),
        }
    }
}
