//! `spec.release`, read once: which revision is wanted, how large a color is to be, and whether anything tells the figures
//! of the two colors apart. Never looks at status, time or the cluster.

use std::{sync::Arc, time::Duration};

use super::plan::{PlannedGate, Wrong, duration_or, invalid, revision};
use crate::{
    api::{
        LlmRolloutSpec,
        release::{Owner, Release},
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
        Owner::Nobody(external) => external.revision.clone(),
    })
}

impl Colors {
    /// Reads the manifest, or says what is wrong with it.
    pub(super) fn read(spec: &LlmRolloutSpec, source: &Source, gates: &[Arc<PlannedGate>]) -> Result<Self, Wrong> {
        let owner = spec.release.owner().ok_or_else(|| {
            invalid(
                "release: exactly one of `template` and `external`; write `template: {port: 8000, podTemplate: {…}}` or `external: {revision: v2}`",
            )
        })?;
        match owner {
            Owner::Operator(_) if spec.traffic.iter().any(|t| t.feature_flag.is_some()) => Err(invalid(OF_A_TEMPLATE)),
            Owner::Operator(template) => Ok(Self {
                replicas: template.replicas.unwrap_or(1),
                ready_timeout: duration_or(template.ready_timeout.as_ref(), READY_TIMEOUT, "readyTimeout")?,
                told_apart: true,
            }),
            Owner::Nobody(_) => {
                nothing_to_retire(spec)?;
                told_by_labels(spec, source, gates)?;
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

/// Nobody tells whose pods are whose: labels of the manifest have to, wherever figures of one color are needed.
fn told_by_labels(spec: &LlmRolloutSpec, source: &Source, gates: &[Arc<PlannedGate>]) -> Result<(), Wrong> {
    let of_pods = |g: &&Arc<PlannedGate>| g.subject.metric().is_some_and(|metric| source.needs_pods(metric));
    if let Some(gate) = gates.iter().find(of_pods) {
        return Err(invalid(format!(
            "gates: {}: what GPUs do is told of pods, and with `release.external` nobody tells whose pods are whose; write a `query` of your own",
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
    Err(invalid(format!(
        "{who}: with `release.external` nobody tells whose pods are whose, so labels must tell the colors apart; write for example `metrics: {{match: {{blue: {{variant: v1}}, green: {{variant: v2}}}}}}`"
    )))
}
