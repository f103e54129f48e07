//! A service that runs before there is a rollout: its Deployment, and what a look at it tells.

use llmrollout::{
    api::{LlmRollout, labels},
    decide::{
        adopt,
        snapshot::{Adoptee, OwnedSeen},
    },
};
use serde_json::{Value, json};

use super::world::Slot;

/// Its name.
pub(crate) const NAME: &str = "legacy";

/// What runs.
#[derive(Clone, Debug)]
pub(crate) struct Legacy {
    pub(crate) deployment: Value,
    pub(crate) ready: i32,
}

impl Legacy {
    /// Two pods of an image, told by a label; or by expressions, where none is given.
    pub(crate) fn new(image: &str, label: Option<&str>) -> Self {
        let labels = label.map(|label| json!({"app": label}));
        let pod = json!({"metadata": {"labels": labels}, "spec": {"containers": [
            {"name": "server", "image": format!("registry.example/chat:{image}"), "imagePullPolicy": "IfNotPresent"},
        ], "dnsPolicy": "ClusterFirst"}});
        let deployment = json!({
            "metadata": {"name": NAME, "labels": {"team": "chat"}, "annotations": {}, "resourceVersion": "1"},
            "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": pod},
        });
        Self { deployment, ready: 2 }
    }

    /// What a live look tells of it, while it is to be taken over.
    pub(crate) fn seen(&self, rollout: &LlmRollout) -> Option<Adoptee> {
        adopt::wanted(rollout).filter(|name| *name == NAME)?;
        let template = &rollout.spec.release.made()?.pod_template.0;
        let meta = &self.deployment["metadata"];
        Some(Adoptee {
            object: OwnedSeen {
                ours: meta["labels"][labels::ROLLOUT] == "chat",
                version: meta["resourceVersion"].as_str()?.to_owned(),
                ..OwnedSeen::default()
            },
            selector: serde_json::from_value(self.deployment["spec"]["selector"]["matchLabels"].clone()).ok(),
            as_written: adopt::as_written(&self.deployment["spec"]["template"], template),
            labelled: meta["labels"].is_object(),
        })
    }

    /// The same as the color that it stands for.
    pub(crate) fn slot(&self, ours: &Slot) -> Slot {
        let serves = ours.service.as_ref().is_some_and(|s| s["spec"]["selector"]["app"].is_string());
        let wanted = self.deployment["spec"]["replicas"] != 0;
        let ready = if serves && wanted { self.ready } else { 0 };
        Slot { deployment: Some(self.deployment.clone()), ready, ..ours.clone() }
    }
}
