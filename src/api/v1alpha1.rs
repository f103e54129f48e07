//! `LlmRollout.spec`: what a user writes. Fields, bounds, CEL rules with messages that say what to write instead, and
//! the printer columns. Never defaults beyond the schema and never any logic: `decide::plan` reads these fields once.

#![expect(
    unreachable_pub,
    clippy::duplicated_attributes,
    reason = "the schema derive copies each struct, with its attributes, into a function where nothing is reachable"
)]

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::{
    around::{Approval, Bake, Decommission, Dependency, FastTrack, OnDependencyRollback, RollbackPolicy, Step, Window},
    checks::{Check, Hooks},
    exporters::Metrics,
    gates::Gate,
    notify::Notification,
    release::Release,
    smoke::{Smoke, WarmUp},
    status::LlmRolloutStatus,
    traffic::{OF_A_TEMPLATE, Router},
};

/// One service, its next release, how traffic moves, and what must hold.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "llmrollout.io",
    version = "v1alpha1",
    kind = "LlmRollout",
    plural = "llmrollouts",
    singular = "llmrollout",
    shortname = "llmr",
    category = "all",
    namespaced,
    status = "LlmRolloutStatus",
    doc = "One service, its next release, how traffic moves to it, and what must hold while it does.",
    derive = "PartialEq",
    printcolumn(name = "Phase", type_ = "string", description = "What is going on", json_path = ".status.phase"),
    printcolumn(name = "Step", type_ = "string", description = "Step of the release", json_path = ".status.step"),
    printcolumn(
        name = "Weight",
        type_ = "string",
        description = "Share of the candidate",
        json_path = ".status.weight"
    ),
    printcolumn(
        name = "Gates",
        type_ = "string",
        description = "Value against limit, the failing gate first",
        json_path = ".status.summary"
    ),
    printcolumn(
        name = "Next",
        type_ = "string",
        description = "When the next decision is due",
        json_path = ".status.next"
    ),
    printcolumn(
        name = "Active",
        type_ = "string",
        description = "Color that serves",
        json_path = ".status.active",
        priority = 1
    ),
    printcolumn(
        name = "Candidate",
        type_ = "string",
        description = "Color of the release under way",
        json_path = ".status.candidate",
        priority = 1
    ),
    printcolumn(
        name = "Revision",
        type_ = "string",
        description = "Revision of the last attempt",
        json_path = ".status.attempt.revision",
        priority = 1
    ),
    printcolumn(
        name = "Attempt",
        type_ = "integer",
        description = "Number of the last attempt",
        json_path = ".status.attempt.id",
        priority = 1
    ),
    printcolumn(
        name = "Traffic",
        type_ = "string",
        description = "Shares as read from the routers",
        json_path = ".status.traffic",
        priority = 1
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        description = "Why it is so",
        json_path = ".status.reason",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[cfg_attr(test, kube(cel))]
#[kube(
    validation = Rule::new("size(self.metadata.name) <= 48").message("metadata.name: at most 48 characters, because Deployments, Services and pods are named after it; choose a shorter name"),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')").message("metadata.name: lower case letters, digits and '-', beginning with a letter, because Services are named after it; write for example \"chat\""),
    validation = Rule::new("!has(self.spec.steps) || self.spec.traffic.exists(t, !has(t.service)) || self.spec.steps.all(s, double(string(s.weight)) in [0.0, 100.0])").message("steps: with only a `service` router the weight must be 0 or 100, because a selector cannot split; add a router that splits, for example `- httpRoute: {name: chat}`, to `traffic`"),
    validation = Rule::new("!has(self.spec.steps) || self.spec.traffic.all(t, !has(t.webhook) && !has(t.llmInferenceService)) || self.spec.steps.all(s, [double(string(s.weight))].all(w, w == double(int(w))))").message("steps: a `webhook` is told whole percents and an `llmInferenceService` is written in them; write a whole one, for example 1, or leave that router out"),
    validation = Rule::new("!has(self.spec.steps) || self.spec.traffic.exists(t, has(t.httpRoute)) || self.spec.steps.all(s, !has(s.match) && !has(s.mirror))").message("steps: `match` and `mirror` are written into an HTTPRoute; add `- httpRoute: {name: chat}` to `traffic`, or leave them out"),
    validation = Rule::new("!has(self.spec.metrics) || !has(self.spec.metrics.profile) || self.spec.metrics.profile != 'none' || !has(self.spec.gates) || self.spec.gates.all(g, !has(g.metric))").message("gates: `profile: none` knows no exporter, so there is no `metric`; write a `query` of your own, or name the exporter: `metrics: {profile: vllm}`"),
    validation = Rule::new("(has(self.spec.gates) && size(self.spec.gates) > 0) || (has(self.spec.manual) && self.spec.manual)").message("gates: at least one is needed; write `- {name: errors, metric: errorRate, max: 1%}`, or `manual: true` if people alone decide"),
    validation = Rule::new("!has(self.spec.bake) || self.spec.bake.all(b, !has(b.gates) || has(self.spec.gates) && b.gates.all(n, self.spec.gates.exists(g, has(g.gateSet) || has(g.name) && g.name == n)))").message("bake: `gates` names gates of this rollout or of a set that it takes over; write the `name` of one of `gates`"),
    validation = Rule::new("!has(self.spec.steps) || self.spec.steps.all(s, !has(s.gates) || has(self.spec.gates) && s.gates.all(n, self.spec.gates.exists(g, has(g.gateSet) || has(g.name) && g.name == n)))").message("steps: `gates` names gates of this rollout or of a set that it takes over; write the `name` of one of `gates`"),
    validation = Rule::new("!has(self.spec.approvals) || !has(self.spec.steps) || self.spec.approvals.all(a, !a.before.startsWith('Step/') || int(a.before.split('/')[1]) <= size(self.spec.steps))").message("approvals: `before` names a step that there is not, so nobody would ever be asked; write at most the number of the last step, or `Full`"),
    validation = Rule::new("!has(self.spec.release.external) || !has(self.spec.decommission)").message("decommission: with `release.external` there is nothing to scale or delete, so nothing follows the last bake; leave it out"),
    validation = Rule::new("!has(self.spec.release.external) || !has(self.spec.approvals) || self.spec.approvals.all(a, a.before != 'Decommission')").message("approvals: with `release.external` there is nothing to retire, so nobody would ever be asked before Decommission; write `Full`, or leave it out"),
    validation = Rule::new("!has(self.spec.release.external) || has(self.spec.metrics) && has(self.spec.metrics.match) || !has(self.spec.gates) || self.spec.gates.all(g, !has(g.metric) && !has(g.query))").message("metrics.match: with `release.external` nobody tells whose pods are whose, so a `metric` or a `query` needs labels that tell the colors apart; write for example `metrics: {match: {blue: {variant: v1}, green: {variant: v2}}}`"),
    validation = Rule::new("!has(self.spec.release.template) || !self.spec.traffic.exists(t, has(t.featureFlag))").message(OF_A_TEMPLATE),
    validation = Rule::new("!has(self.spec.release.pair) || !has(self.spec.decommission) || !has(self.spec.decommission.mode) || self.spec.decommission.mode != 'Delete'").message("decommission: with `release.pair` somebody else owns the old color, and nothing of it is deleted; write `mode: ScaleToZero`, or leave it out"),
    validation = Rule::new("!has(self.spec.release.pair) || has(self.spec.metrics) && has(self.spec.metrics.match) || !has(self.spec.gates) || self.spec.gates.all(g, !has(g.metric) && !has(g.query)) || has(self.spec.release.pair.blue.workloads) && self.spec.release.pair.blue.workloads.size() == 1 && self.spec.release.pair.blue.workloads.all(w, w.apiVersion == 'apps/v1' && w.kind == 'Deployment') && has(self.spec.release.pair.green.workloads) && self.spec.release.pair.green.workloads.size() == 1 && self.spec.release.pair.green.workloads.all(w, w.apiVersion == 'apps/v1' && w.kind == 'Deployment')").message("metrics.match: with `release.pair` nobody tells whose pods are whose, so a `metric` or a `query` needs labels that tell the colors apart, or one Deployment under `workloads` of each color; write for example `metrics: {match: {blue: {variant: v1}, green: {variant: v2}}}`"),
    validation = Rule::new("!has(self.spec.release.template) || !has(self.spec.release.template.adopt) || !self.spec.traffic.exists(t, has(t.service))").message("release.template.adopt: pods that run already bear no color, so a front Service cannot tell them from the candidate's; write a router that names the colors' Services, for example `- httpRoute: {name: chat}`, in place of `service`"),
    validation = Rule::new("!has(self.spec.release.template) || !has(self.spec.release.template.adopt) || !(self.spec.release.template.adopt.deployment in [self.metadata.name + '-blue', self.metadata.name + '-green'])").message("release.template.adopt: a Deployment of a color's name is ours already; leave `adopt` out, or choose another name for the rollout"),
    validation = Rule::new("!has(self.spec.release.external) || !has(self.spec.warmUp) && (!has(self.spec.smoke) || self.spec.smoke.all(s, !has(s.http)))").message("smoke: with `release.external` nobody tells where the candidate is, so it can be sent no request; write a `job` that knows, and leave `warmUp` out"),
    validation = Rule::new("!has(self.spec.release.pair) || (!has(self.spec.warmUp) || has(self.spec.warmUp.port)) && (!has(self.spec.smoke) || self.spec.smoke.all(s, !has(s.http) || has(s.http.port)))").message("smoke: with `release.pair` nobody tells on which port the pods answer; write for example `port: 8000` beside `path`, in `warmUp` as well"),
    validation = Rule::new("!has(self.spec.dependsOn) || self.spec.dependsOn.all(d, d.name != self.metadata.name)").message("dependsOn: a rollout cannot wait for itself; name another one")
)]
#[serde(rename_all = "camelCase")]
pub struct LlmRolloutSpec {
    /// What is released, and who owns it.
    pub release: Release,
    /// The routers that carry traffic to the two colors, moved together.
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(
        validation = Rule::new("self.filter(t, has(t.service)).size() <= 1").message("traffic: only one `service` router; the front Service is the one users call"),
        validation = Rule::new("self.all(a, !has(a.httpRoute) || self.exists_one(b, has(b.httpRoute) && a.httpRoute.name == b.httpRoute.name && (has(a.httpRoute.__namespace__) ? a.httpRoute.__namespace__ : '') == (has(b.httpRoute.__namespace__) ? b.httpRoute.__namespace__ : '') && (!has(a.httpRoute.rule) || !has(b.httpRoute.rule) || a.httpRoute.rule == b.httpRoute.rule)))").message("traffic: a rule of one `httpRoute` stands twice; leave one of the two items out, or give each a `rule` of its own"),
        validation = Rule::new("self.all(a, !has(a.grpcRoute) || self.exists_one(b, has(b.grpcRoute) && a.grpcRoute.name == b.grpcRoute.name && (has(a.grpcRoute.__namespace__) ? a.grpcRoute.__namespace__ : '') == (has(b.grpcRoute.__namespace__) ? b.grpcRoute.__namespace__ : '') && (!has(a.grpcRoute.rule) || !has(b.grpcRoute.rule) || a.grpcRoute.rule == b.grpcRoute.rule)))").message("traffic: a rule of one `grpcRoute` stands twice; leave one of the two items out, or give each a `rule` of its own"),
        validation = Rule::new("self.all(a, !has(a.webhook) || self.exists_one(b, has(b.webhook) && a.webhook.name == b.webhook.name))").message("traffic: one `webhook` stands twice; leave one of the two items out"),
        validation = Rule::new("self.all(a, !has(a.virtualService) || self.exists_one(b, has(b.virtualService) && a.virtualService.name == b.virtualService.name && (!has(a.virtualService.http) || !has(b.virtualService.http) || a.virtualService.http == b.virtualService.http)))").message("traffic: an HTTP route of one `virtualService` stands twice; leave one of the two items out, or give each an `http` of its own"),
        validation = Rule::new("self.all(a, !has(a.featureFlag) || self.exists_one(b, has(b.featureFlag) && a.featureFlag.name == b.featureFlag.name && a.featureFlag.flag == b.featureFlag.flag))").message("traffic: a flag of one `featureFlag` stands twice; leave one of the two items out"),
        validation = Rule::new("self.all(a, !has(a.llmInferenceService) || self.exists_one(b, has(b.llmInferenceService) && (a.llmInferenceService.blue in [b.llmInferenceService.blue, b.llmInferenceService.green] || a.llmInferenceService.green in [b.llmInferenceService.blue, b.llmInferenceService.green])))").message("traffic: an `llmInferenceService` stands twice; leave one of the two items out"),
        validation = Rule::new("self.all(a, !has(a.modelRewrite) || self.exists_one(b, has(b.modelRewrite) && a.modelRewrite.name == b.modelRewrite.name && (!has(a.modelRewrite.model) || !has(b.modelRewrite.model) || a.modelRewrite.model == b.modelRewrite.model)))").message("traffic: a rule of one `modelRewrite` stands twice; leave one of the two items out, or give each a `model` of its own")
    )]
    pub traffic: Vec<Router>,
    /// The weights that the candidate is given, one after the other. Left out: 5 % for 30m, 20 % for 1h, 50 % for 2h, 100 % for 4h
    /// (with only a `service` router: 100 % for 4h).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 20))]
    #[x_kube(
        validation = Rule::new("double(string(self[size(self) - 1].weight)) == 100.0").message("steps: the last weight must be 100; add `{weight: 100, hold: 30m}` at the end"),
        validation = Rule::new("self.map(s, double(string(s.weight))).isSorted()").message("steps: weights must never fall; write them in rising order, for example 5, 20, 50, 100"),
        validation = Rule::new("self.all(a, self.exists_one(b, double(string(a.weight)) == double(string(b.weight))))").message("steps: each weight may stand only once; give that step a longer hold instead")
    )]
    pub steps: Option<Vec<Step>>,
    /// Where the figures come from.
    #[serde(default)]
    pub metrics: Metrics,
    /// What must hold at every step before traffic moves on; a gate that fails takes traffic back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(
        validation = Rule::new("self.all(a, !has(a.name) || self.exists_one(b, has(b.name) && a.name == b.name))").message("gates: a name stands twice; give each gate a name of its own"),
        validation = Rule::new("self.all(a, !has(a.gateSet) || self.exists_one(b, has(b.gateSet) && a.gateSet == b.gateSet))").message("gates: a set is taken over twice; leave one of the two items out")
    )]
    pub gates: Vec<Gate>,
    /// People alone decide: every step ends only by an order (`skip`, `promote`). Gates, if there are any, still take
    /// traffic back.
    #[serde(default, skip_serializing_if = "is_false")]
    pub manual: bool,
    /// Who has to approve what. Every role needs its own order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 24))]
    pub approvals: Vec<Approval>,
    /// What has to be true before any traffic moves, in this order, once in each attempt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 12))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub preflight: Vec<Check>,
    /// Requests to each pod of the candidate once it is ready, before anything else is asked of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<WarmUp>,
    /// Looks at the candidate itself, in this order, when it is warm and before it gets any traffic.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 12))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub smoke: Vec<Smoke>,
    /// What is run beside the steps. Nothing waits for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Hooks>,
    /// Windows after 100 %, one after the other: the old color stays warm and gates may still take traffic back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub bake: Vec<Bake>,
    /// What becomes of the old color when the release is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decommission: Option<Decommission>,
    /// The way back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<RollbackPolicy>,
    /// A release that returns to a revision which was good recently skips the holds, never the readiness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fast_track: Option<FastTrack>,
    /// Rollouts of this namespace that must be done before this one starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub depends_on: Vec<Dependency>,
    /// What happens when one of `dependsOn` is taken back while this one is under way. Default `Hold`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_dependency_rollback: Option<OnDependencyRollback>,
    /// When a release may start and its steps may advance; traffic goes back at any hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// Who is told of what.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub notifications: Vec<Notification>,
    /// Stops everything except an abort. Time paused is not counted as hold.
    #[serde(default, skip_serializing_if = "is_false")]
    pub paused: bool,
    /// Takes traffic back to the old color now; this revision gets none again. Beats every other field.
    #[serde(default, skip_serializing_if = "is_false")]
    pub abort: bool,
}

/// Dollars per million tokens, each written as `$0.50`; with a `currency` its units are written the same way. In the
/// operator's configuration, and what `metrics.prices` comes to.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Prices {
    /// Prompt tokens that were computed.
    #[schemars(regex(pattern = r"^\$[0-9]{0,6}(\.[0-9]{1,9})?$"), length(min = 2, max = 20))]
    pub input: String,
    /// Prompt tokens that came from a cache. Default: as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^\$[0-9]{0,6}(\.[0-9]{1,9})?$"), length(min = 2, max = 20))]
    pub cached_input: Option<String>,
    /// Tokens that were generated.
    #[schemars(regex(pattern = r"^\$[0-9]{0,6}(\.[0-9]{1,9})?$"), length(min = 2, max = 20))]
    pub output: String,
    /// The day of the price list, for example `2026-08-01`. It is said with every cost that rests on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"), length(max = 10))]
    pub as_of: Option<String>,
    /// The currency of the prices, of `gpuPrice` and of the limits of costs, for example `EUR`. Default `USD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Z]{3}$"), length(max = 3))]
    pub currency: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}
