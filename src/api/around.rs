//! `LlmRollout.spec`, the course of a release: its steps, and what stands around them (approvals, bakes, windows, the old
//! color's end). Fields, bounds, CEL rules; never any logic.

#![expect(
    unreachable_pub,
    reason = "the schema derive copies each struct, with its attributes, into a function where nothing is reachable"
)]

use super::{aside::Tester, percent::Percent};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One step of the release. It ends when its hold is served, every gate says Pass and `minRequests` were seen.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.minRequests) || !has(self.maxRequests) || self.minRequests <= self.maxRequests").message("steps: `minRequests` may not be above `maxRequests`; raise `maxRequests`"),
    validation = Rule::new("!has(self.maxHold) || duration(self.maxHold) >= duration(self.hold)").message("steps: `maxHold` may not be shorter than `hold`; write a longer one"),
    validation = Rule::new("!has(self.onUndecided) || has(self.maxHold)").message("steps: `onUndecided` says what happens at the end of `maxHold`; write one, for example `maxHold: 4h`"),
    validation = Rule::new("double(string(self.weight)) > 0.0 || has(self.match) || has(self.mirror) || (!has(self.minRequests) && !has(self.maxRequests))").message("steps: a dark step (weight 0) sees no requests; leave `minRequests` and `maxRequests` out, or send it testers with `match` or copies with `mirror`"),
    validation = Rule::new("double(string(self.weight)) == 0.0 || !has(self.mirror)").message("steps: `mirror` sends copies to the candidate before it gets a share; write it at a step with `weight: 0`, and the share at the next one"),
    validation = Rule::new("double(string(self.weight)) == 0.0 || !has(self.match)").message("steps: `match` sends testers to the candidate before it gets a share; write it at a step with `weight: 0`, and the share at the next one")
)]
pub struct Step {
    /// A name for people, shown beside the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9]([-A-Za-z0-9 _.]*[A-Za-z0-9])?$"), length(max = 32))]
    pub name: Option<String>,
    /// Share of the candidate in percent. 0 is a dark step: the candidate is up and gets nothing, and gates may demand
    /// silence (`metric: requests, equals: "0"`).
    /// Tenths stand in quotes: `"0.5"`.
    pub weight: Percent,
    /// Only with weight 0: the candidate gets a copy of so many of all requests, `10%`, whose answers nobody sees. It costs what
    /// requests cost, and what a request does is done twice. The gateway has to be able to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([1-9][0-9]?|100)%$"), length(max = 4))]
    pub mirror: Option<String>,
    /// Only with weight 0: requests with one of these headers or cookies reach the candidate, by a rule of their own in each
    /// `httpRoute`, which is taken out when the step ends.
    #[serde(default, rename = "match", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 4))]
    pub testers: Vec<Tester>,
    /// How long the step is measured at least.
    #[schemars(regex(pattern = r"^([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,7}s)?$"), length(min = 2, max = 20))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('168h')").message("hold: write a duration between 1s and 168h, for example 30m"))]
    pub hold: String,
    /// The step ends no earlier than after so many requests to the candidate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub min_requests: Option<i64>,
    /// After so many requests to the candidate the hold counts as served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub max_requests: Option<i64>,
    /// How long the step may take while its evidence is undecided. Left out: as long as it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,7}s)?$"), length(min = 2, max = 20))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('720h')").message("maxHold: write a duration between 1s and 720h, for example 4h"))]
    pub max_hold: Option<String>,
    /// What happens when `maxHold` is over and the evidence is still undecided. Default `Hold`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_undecided: Option<OnUndecided>,
    /// How long after the shares were confirmed nothing is measured yet; the hold begins after it. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,7}s)?$"), length(min = 2, max = 20))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('1h')").message("settle: write a duration between 1s and 1h, for example 30s"))]
    pub settle: Option<String>,
    /// Names of the gates that are asked. Default: every gate with `during: Steps` that can speak at this share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), inner(length(max = 32)))]
    pub gates: Option<Vec<String>>,
    /// Who has to approve before this step is entered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Sign>,
}

/// What happens when the evidence of a step stays undecided.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUndecided {
    /// Traffic stays where it is, for as long as it takes.
    #[default]
    Hold,
    /// Traffic goes back to the old color.
    Rollback,
    /// A person is asked.
    Pause,
}

/// Whose approval is needed.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Sign {
    /// Every one of these roles has to approve.
    #[schemars(length(min = 1, max = 8), inner(regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), length(max = 63)))]
    pub roles: Vec<String>,
    /// An approval older than this, when it is needed, does not count. Default 24h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,7}s)?$"), length(min = 2, max = 20))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1m') && duration(self) <= duration('720h')").message("expires: write a duration between 1m and 720h, for example 24h"))]
    pub expires: Option<String>,
}

/// Who has to approve what.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// What may not happen before: `Start`, `Step/2`, `Full` (the step to 100 %) or `Decommission`.
    #[schemars(regex(pattern = r"^(Start|Step/[1-9][0-9]?|Full|Decommission)$"), length(max = 16))]
    pub before: String,
    /// Every one of these roles has to approve.
    #[schemars(length(min = 1, max = 8), inner(regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), length(max = 63)))]
    pub roles: Vec<String>,
    /// An approval older than this, when it is needed, does not count. Default 24h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,7}s)?$"), length(min = 2, max = 20))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1m') && duration(self) <= duration('720h')").message("expires: write a duration between 1m and 720h, for example 24h"))]
    pub expires: Option<String>,
}

/// A window after 100 %: everything is on the candidate, the old color is warm, gates still watch.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Bake {
    /// Its name.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), length(max = 32))]
    pub name: String,
    /// How long it lasts.
    #[serde(rename = "for")]
    #[schemars(regex(pattern = r"^([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,7}s)?$"), length(min = 2, max = 20))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('720h')").message("for: write a duration between 1s and 720h, for example 24h"))]
    pub duration: String,
    /// Names of the gates that watch. Default: every gate with `during: Bake`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), inner(length(max = 32)))]
    pub gates: Option<Vec<String>>,
}

/// What becomes of the old color.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Decommission {
    /// When: after the last bake, never before.
    #[serde(default)]
    pub after: After,
    /// What is done. Default `ScaleToZero`.
    #[serde(default)]
    pub mode: Mode,
    /// How long open connections may go on after the last traffic. Default 60s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,7}s)?$"), length(min = 2, max = 20))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('0s') && duration(self) <= duration('24h')").message("drain: write a duration between 0s and 24h, for example 60s"))]
    pub drain: Option<String>,
}

/// When the old color is retired.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum After {
    /// After the last bake.
    #[default]
    Bake,
}

/// What is done with the old color.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Its Deployment is scaled to zero.
    #[default]
    ScaleToZero,
    /// It stays as it is.
    Keep,
    /// Its Deployment is deleted. Its Service stays, because routes name it.
    Delete,
}

/// The way back.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RollbackPolicy {
    /// How long the way home may take until somebody is told that it takes long. It goes on all the same. Default 10s; `0s`
    /// tells nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,7}s)?$"), length(min = 2, max = 20))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('0s') && duration(self) <= duration('1h')").message("deadline: write a duration between 0s and 1h, for example 10s"))]
    pub deadline: Option<String>,
    /// What is proved once traffic is home.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<Verify>,
    /// How long after a release was taken back none starts by itself; an order to retry or promote does not wait. Default:
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,7}s)?$"), length(min = 2, max = 20))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('0s') && duration(self) <= duration('168h')").message("coolDown: write a duration between 0s and 168h, for example 30m"))]
    pub cool_down: Option<String>,
    /// What happens while traffic is to go back and no pod of the old color is ready. Default `Hold`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_no_healthy_blue: Option<OnNoHealthyBlue>,
    /// Whether the way home gives the old color's Deployment the pods back that it had when the release began, where somebody
    /// took some away. Default: it stays as somebody left it. Means nothing where `autoscaler` keeps that floor anyway.
    #[serde(default, skip_serializing_if = "is_false")]
    pub raise_blue_floor: bool,
    /// Whether gates may take traffic back while `paused` is set. Default: only an abort does.
    #[serde(default, skip_serializing_if = "is_false")]
    pub while_paused: bool,
}

/// What happens while traffic is to go back and no pod of the old color is ready.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnNoHealthyBlue {
    /// Traffic stays where it is until one is: some answer is better than none.
    #[default]
    Hold,
    /// After `rollback.deadline` traffic goes back all the same: no answer is better than a bad one. A newer revision alone
    /// is no reason.
    Return,
}

/// What is proved once traffic is home. The way home itself never waits for it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Verify {
    /// For how long the candidate must have answered no request, by its own counters. Default 2m; `0s` asks for no proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,7}s)?$"), length(min = 2, max = 20))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('0s') && duration(self) <= duration('1h')").message("quietFor: write a duration between 0s and 1h, for example 2m"))]
    pub quiet_for: Option<String>,
    /// For how long the old color may take until its own figures are good again, by the gates of the steps; then a person is
    /// told. Default 30m; `0s` asks for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,7}s)?$"), length(min = 2, max = 20))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('0s') && duration(self) <= duration('24h')").message("recoverWithin: write a duration between 0s and 24h, for example 30m"))]
    pub recover_within: Option<String>,
}

/// Which revisions are known to be good.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct FastTrack {
    /// How many of the revisions that served before count.
    #[schemars(range(min = 1, max = 9))]
    pub revisions: i32,
    /// Until how long ago they must have served.
    #[schemars(regex(pattern = r"^([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,7}s)?$"), length(min = 2, max = 20))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1m') && duration(self) <= duration('720h')").message("within: write a duration between 1m and 720h, for example 24h"))]
    pub within: String,
}

/// Another rollout of the namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Dependency {
    /// Its name.
    #[schemars(regex(pattern = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"), length(max = 48))]
    pub name: String,
    /// What must be true of it. Default `Completed`.
    #[serde(default)]
    pub state: DependencyState,
}

/// How far another rollout must be.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DependencyState {
    /// What it wants serves all traffic and its bakes are over.
    #[default]
    Completed,
    /// As `Completed`; its old color is retired as well.
    Baked,
}

/// What happens when a rollout that this one depends on is taken back.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDependencyRollback {
    /// No step forward until it is done again.
    #[default]
    Hold,
    /// This one is taken back too.
    Rollback,
    /// Nothing.
    Ignore,
}

/// A weekly window in local time.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.from < self.to").message("window: `from` must be before `to` on the same day; write for example `from: \"09:00\", to: \"17:00\"`"))]
pub struct Window {
    /// Name of a time zone, `Europe/Berlin` or `UTC`.
    #[schemars(regex(pattern = r"^[A-Za-z][A-Za-z0-9_+/-]*$"), length(max = 64))]
    pub time_zone: String,
    /// Days of the week. Default: Monday to Friday.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 7))]
    pub days: Option<Vec<Day>>,
    /// When it opens, `09:00`.
    #[schemars(regex(pattern = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"), length(max = 5))]
    pub from: String,
    /// When it closes, `17:00`; up to `24:00`.
    #[schemars(regex(pattern = r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"), length(max = 5))]
    pub to: String,
    /// Days on which it stays closed, `2026-12-25`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 100),
        inner(regex(pattern = r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"), length(max = 10))
    )]
    pub holidays: Vec<String>,
}

/// A day of the week.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}
