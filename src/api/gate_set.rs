//! `LlmGateSet`: gates with a name, written once and taken over by many rollouts. Fields, bounds, CEL rules; never any
//! logic. What it means in a rollout is read by `decide`.

#![expect(
    unreachable_pub,
    clippy::duplicated_attributes,
    reason = "the schema derive copies each struct, with its attributes, into a function where nothing is reachable"
)]

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::gates::Gate;

/// Gates that many rollouts take over.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[kube(
    group = "llmrollout.io",
    version = "v1alpha1",
    kind = "LlmGateSet",
    plural = "llmgatesets",
    singular = "llmgateset",
    shortname = "llmgs",
    namespaced,
    doc = "Gates that many rollouts of the namespace take over with `{gateSet: NAME}` in `spec.gates`.",
    derive = "PartialEq",
    printcolumn(name = "First", type_ = "string", description = "First gate", json_path = ".spec.gates[0].name"),
    printcolumn(name = "Second", type_ = "string", description = "Second gate", json_path = ".spec.gates[1].name"),
    printcolumn(name = "Third", type_ = "string", description = "Third gate", json_path = ".spec.gates[2].name"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[cfg_attr(test, kube(cel))]
#[kube(
    validation = Rule::new("size(self.metadata.name) <= 48 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')").message("metadata.name: at most 48 lower case letters, digits and '-', because `gateSet` of a rollout takes no other; write for example \"org-defaults\"")
)]
#[serde(rename_all = "camelCase")]
pub struct LlmGateSetSpec {
    /// What must hold of every candidate whose rollout names this set. A gate of the same name in the rollout itself
    /// takes the place of the one here.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(
        validation = Rule::new("self.all(g, !has(g.gateSet))").message("gates: a set has gates of its own and takes over no other; write the gates here, or name both sets in the rollout"),
        validation = Rule::new("self.all(a, !has(a.name) || self.exists_one(b, has(b.name) && a.name == b.name))").message("gates: a name stands twice; give each gate a name of its own")
    )]
    pub gates: Vec<Gate>,
}
