//! The spans of a pass, for a collector: one for the pass and one for each of its parts. Nothing of them is in log lines, and
//! nothing that a manifest or a provider says is in them but names.

use kube::ResourceExt;
use tracing::{Span, field::Empty, info_span};

use crate::{
    act::Acted,
    api::{LlmRollout, Phase, Reason},
    decide::Decision,
    telemetry::SPANS,
};

/// A pass over a rollout.
pub(super) fn pass(rollout: &LlmRollout) -> Span {
    let namespace = rollout.namespace().unwrap_or_default();
    info_span!(
        target: SPANS, "reconcile", k8s.namespace.name = namespace, llmrollout.name = rollout.name_any(),
        llmrollout.phase = Empty, llmrollout.reason = Empty, llmrollout.home = Empty, llmrollout.writes = Empty,
        otel.status_code = Empty, error.type = Empty,
    )
}

/// A part of the pass.
pub(super) fn part(name: &'static str) -> Span {
    info_span!(target: SPANS, "part", otel.name = name)
}

/// What the pass decided, and how far it came.
pub(super) fn decided(pass: &Span, decision: &Decision, acted: &Acted) {
    if pass.is_disabled() {
        return;
    }
    pass.record("llmrollout.phase", decision.next.phase.map(Phase::word));
    pass.record("llmrollout.reason", decision.next.reason.map(Reason::word));
    pass.record("llmrollout.home", decision.home);
    pass.record("llmrollout.writes", acted.done().len());
    if let Some(error) = acted.stopped() {
        failed(pass, error.class().word());
    }
}

/// Why it ended early.
pub(super) fn failed(pass: &Span, class: &'static str) {
    pass.record("otel.status_code", "ERROR");
    pass.record("error.type", class);
}
