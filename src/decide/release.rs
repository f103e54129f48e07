//! `spec.release`, read once: which revision is wanted, how large a color is to be, and whether anything tells the figures
//! of the two colors apart. Never looks at status, time or the cluster.

use std::{sync::Arc, time::Duration};

use super::{
    plan::{PlannedGate, Wrong, duration_or, invalid, revision},
    scaler, workload,
};
use crate::{
    api::{
        LlmRollout, LlmRolloutSpec,
        around::Mode,
        release::{Half, Owner, Pair, Release},
        status::Color,
        traffic::OF_A_TEMPLATE,
    },
    metrics::{Source, Subject},
};

const READY_TIMEOUT: u64 = 30 * 60;

/// The colors of a release, as far as the manifest says anything of them.
pub(super) struct Colors {
    /// Pods of a color at its final size.
    pub(super) replicas: i32,
    /// How long the candidate may take to become ready.
    pub(super) ready_timeout: Duration,
    /// Whether figures of one color can be told from those of the other.
    pub(super) told_apart: bool,
}

/// The revision that is wanted; none where nobody can say what is released.
pub fn wanted(release: &Release) -> Option<String> {
    Some(match release.owner()? {
        Owner::Operator(template) => revision(&template.pod_template.0),
        Owner::Others(pair) => revision_of(pair, pair.live),
        Owner::Nobody(external) => external.revision.clone(),
    })
}

/// What a color of a pair stands for. The color is part of it: the other one is another release, whatever it says of itself.
pub(super) fn revision_of(pair: &Pair, color: Color) -> String {
    let own = pair.half(color).revision.as_ref();
    own.map_or_else(|| color.word().to_owned(), |own| format!("{}@{own}", color.word()))
}

/// The Service of a color, whoever made it.
pub fn service_of(rollout: &LlmRollout, color: Color) -> String {
    match rollout.spec.release.owner() {
        Some(Owner::Others(pair)) => pair.half(color).service.clone(),
        Some(Owner::Operator(_) | Owner::Nobody(_)) | None => {
            workload::name_of(rollout.metadata.name.as_deref().unwrap_or_default(), color)
        }
    }
}

/// The namespace of a color.
pub fn namespace_of(rollout: &LlmRollout, color: Color) -> &str {
    let named = rollout.spec.release.pair.as_ref().and_then(|pair| pair.half(color).namespace.as_deref());
    named.or(rollout.metadata.namespace.as_deref()).unwrap_or_default()
}

/// What a color's Service is called from a namespace: `chat-blue`, or `next/chat-blue`.
pub fn called(rollout: &LlmRollout, color: Color, from: &str) -> String {
    let (namespace, service) = (namespace_of(rollout, color), service_of(rollout, color));
    if namespace == from { service } else { format!("{namespace}/{service}") }
}

/// The Deployment whose pods the figures of a color are of, where the manifest names one.
pub(super) fn pods_of(rollout: &LlmRollout, color: Color) -> String {
    match rollout.spec.release.owner() {
        Some(Owner::Others(pair)) => only_deployment(pair.half(color)).unwrap_or_default().to_owned(),
        Some(Owner::Operator(_) | Owner::Nobody(_)) | None => workload::deployment_of(rollout, color),
    }
}

/// The pods of a Deployment are named after it; those of other kinds as their owners please.
fn only_deployment(half: &Half) -> Option<&str> {
    match half.workloads.as_slice() {
        [one] if one.api_version == "apps/v1" && one.kind == "Deployment" => Some(&one.name),
        _ => None,
    }
}

impl Colors {
    /// Reads the manifest, or says what is wrong with it.
    pub(super) fn read(spec: &LlmRolloutSpec, source: &Source, gates: &[Arc<PlannedGate>]) -> Result<Self, Wrong> {
        let owner = spec.release.owner().ok_or_else(|| {
            invalid(
                "release: exactly one of `template`, `pair` and `external`; write `template: {port: 8000, podTemplate: {…}}`, `pair: {live: blue, blue: {service: chat-blue}, green: {service: chat-green}}` or `external: {revision: v2}`",
            )
        })?;
        match owner {
            Owner::Operator(_) if spec.traffic.iter().any(|t| t.feature_flag.is_some()) => Err(invalid(OF_A_TEMPLATE)),
            Owner::Operator(template) => {
                scaler::checked(template)?;
                let ready_timeout = duration_or(template.ready_timeout.as_ref(), READY_TIMEOUT, "readyTimeout")?;
                Ok(Self { replicas: template.replicas.unwrap_or(1), ready_timeout, told_apart: true })
            }
            Owner::Others(pair) => {
                never_deleted(spec)?;
                let named = Color::BOTH.into_iter().all(|color| only_deployment(pair.half(color)).is_some())
                    && pair.blue.namespace == pair.green.namespace;
                if !named {
                    told_by_labels(spec, "release.pair", source, gates)?;
                }
                let ready_timeout = duration_or(pair.ready_timeout.as_ref(), READY_TIMEOUT, "readyTimeout")?;
                Ok(Self { replicas: 1, ready_timeout, told_apart: named || source.has_labels() })
            }
            Owner::Nobody(_) => {
                nothing_to_retire(spec)?;
                told_by_labels(spec, "release.external", source, gates)?;
                let told_apart = source.has_labels();
                Ok(Self { replicas: 1, ready_timeout: Duration::from_secs(READY_TIMEOUT), told_apart })
            }
        }
    }
}

fn nothing_to_retire(spec: &LlmRolloutSpec) -> Result<(), Wrong> {
    if spec.decommission.is_some() {
        return Err(invalid(
            "decommission: with `release.external` there is nothing to scale or delete, so nothing follows the last bake; leave it out",
        ));
    }
    if spec.approvals.iter().any(|a| a.before == "Decommission") {
        return Err(invalid(
            "approvals: with `release.external` there is nothing to retire, so nobody would ever be asked before Decommission; write `Full`, or leave it out",
        ));
    }
    Ok(())
}

fn never_deleted(spec: &LlmRolloutSpec) -> Result<(), Wrong> {
    match spec.decommission.as_ref().map(|d| d.mode) {
        Some(Mode::Delete) => Err(invalid(
            "decommission: with `release.pair` somebody else owns the old color, and nothing of it is deleted; write `mode: ScaleToZero`, or leave it out",
        )),
        Some(Mode::ScaleToZero | Mode::Keep) | None => Ok(()),
    }
}

/// Nobody tells whose pods are whose: labels of the manifest have to, wherever figures of one color are needed.
fn told_by_labels(
    spec: &LlmRolloutSpec,
    owner: &str,
    source: &Source,
    gates: &[Arc<PlannedGate>],
) -> Result<(), Wrong> {
    let of_pods = |g: &&Arc<PlannedGate>| g.subject.metric().is_some_and(|metric| source.needs_pods(metric));
    if let Some(gate) = gates.iter().find(of_pods) {
        return Err(invalid(format!(
            "gates: {}: what GPUs do is told of pods, and with `{owner}` nobody tells whose pods are whose; write a `query` of your own",
            gate.name
        )));
    }
    if source.has_labels() {
        return Ok(());
    }
    let of_a_color =
        |g: &&Arc<PlannedGate>| matches!(g.subject, Subject::Metric(..) | Subject::Above(..) | Subject::Query(_));
    let counted = || spec.steps.iter().flatten().any(|s| s.min_requests.or(s.max_requests).is_some());
    let who = match gates.iter().find(of_a_color) {
        Some(gate) => format!("gates: {}", gate.name),
        None if counted() => "steps: minRequests, maxRequests".to_owned(),
        None => return Ok(()),
    };
    let or_else = if owner == "release.pair" { ", or list one Deployment under `workloads` of each color" } else { "" };
    Err(invalid(format!(
        "{who}: with `{owner}` nobody tells whose pods are whose, so labels must tell the colors apart; write for example `metrics: {{match: {{blue: {{variant: v1}}, green: {{variant: v2}}}}}}`{or_else}"
    )))
}
