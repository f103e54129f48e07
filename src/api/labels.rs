//! Every label, annotation, finalizer and field-manager string, each spelled once. Never any logic.

/// Group of all our kinds.
pub const GROUP: &str = "llmrollout.io";
/// Name of the owning `LlmRollout` on colour Deployments, Services and pods.
pub const ROLLOUT: &str = "llmrollout.io/rollout";
/// Color of a pod (`blue` or `green`); also the default selector key of the front Service.
pub const COLOR: &str = "llmrollout.io/color";
/// Revision (hash of the pod template) on Deployments and pods.
pub const REVISION: &str = "llmrollout.io/revision";
/// Name of the gate on the Jobs that are run for it, and on their pods.
pub const GATE: &str = "llmrollout.io/gate";
/// Name of the check on the Jobs that are run for it, and on their pods.
pub const CHECK: &str = "llmrollout.io/check";
/// Name of the hook on the Jobs that are run for it, and on their pods.
pub const HOOK: &str = "llmrollout.io/hook";
/// On the `ConfigMaps` that hold price lists: no other is looked at.
pub const PRICES: &str = "llmrollout.io/prices";
/// On the Secrets that hold headers for requests: no other is read.
pub const HEADERS: &str = "llmrollout.io/headers";
/// Annotation: hash of what we last applied, so that an unchanged object costs no request.
pub const APPLIED: &str = "llmrollout.io/applied";
/// Annotation: hash of the pod template as we made it. What serves is never applied again with another one.
pub const TEMPLATE: &str = "llmrollout.io/template";
/// Finalizer on `LlmRollout`: traffic is brought to a healthy color before the object may go.
pub const FINALIZER: &str = "llmrollout.io/traffic";
/// Field manager of every write of the operator.
pub const MANAGER: &str = "llmrollout-operator";
/// Field manager of the command line's writes.
pub const CLI_MANAGER: &str = "kubectl-llmrollout";
