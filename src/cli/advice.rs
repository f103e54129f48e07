//! What a person should do next, for each phase. Only words; the operator never reads them.

use crate::api::{LlmRollout, LlmRolloutStatus, Phase, Reason, labels, status::Color};

const NO_ABORT: &str = r#"{"spec":{"abort":false}}"#;

/// What to do next, in one or two sentences, with the command where there is one.
pub fn advice(rollout: &LlmRollout) -> String {
    let target = Target::of(rollout);
    let Some((status, phase)) = rollout.status.as_ref().and_then(|s| Some((s, s.phase?))) else {
        return "The operator has not looked at this rollout yet; check that it runs and watches this namespace."
            .into();
    };
    match phase {
        Phase::Idle if rollout.spec.abort => {
            format!("To release again, take back the abort: `{}`.", target.patch(NO_ABORT))
        }
        Phase::Idle => "Nothing; a change of spec.release.template.podTemplate starts a release.".into(),
        Phase::Completed => {
            "Nothing; the next change of spec.release.template.podTemplate starts the next release.".into()
        }
        Phase::Preparing => {
            let color = status.candidate.unwrap_or(Color::Blue);
            format!("Wait for the pods of {}; see them with `{}`.", color.word(), target.pods(color))
        }
        Phase::Shifting => format!("Wait until the routers confirm the weight. {}", target.way_back()),
        Phase::Holding => holding(status, &target),
        Phase::Paused => format!("To go on: `{}`. {}", target.patch(r#"{"spec":{"paused":false}}"#), target.way_back()),
        Phase::RollingBack => "Wait; traffic is on its way back, and nothing needs to be done for it.".into(),
        Phase::RolledBack => rolled_back(rollout, &target),
        Phase::Blocked => "Do what the message says; the operator goes on by itself once it is put right.".into(),
    }
}

fn holding(status: &LlmRolloutStatus, target: &Target) -> String {
    let wait = if status.reason == Some(Reason::WaitingForGate) {
        "The hold is served; the step ends when every gate says Pass."
    } else {
        "Wait until the hold is served and every gate says Pass."
    };
    format!("{wait} {}", target.way_back())
}

fn rolled_back(rollout: &LlmRollout, target: &Target) -> String {
    let fix = "Find out why, and change spec.release.template.podTemplate: this revision gets no traffic again.";
    if rollout.spec.abort {
        return format!("{fix} Before that, take back the abort: `{}`.", target.patch(NO_ABORT));
    }
    fix.to_owned()
}

/// The rollout as a command names it.
struct Target {
    namespace: String,
    name: String,
}

impl Target {
    fn of(rollout: &LlmRollout) -> Self {
        let meta = &rollout.metadata;
        Self { namespace: meta.namespace.clone().unwrap_or_default(), name: meta.name.clone().unwrap_or_default() }
    }

    fn patch(&self, patch: &str) -> String {
        format!("kubectl -n {} patch llmrollout {} --type merge -p '{patch}'", self.namespace, self.name)
    }

    fn pods(&self, color: Color) -> String {
        let (rollout, key) = (labels::ROLLOUT, labels::COLOR);
        format!("kubectl -n {} get pods -l {rollout}={},{key}={}", self.namespace, self.name, color.word())
    }

    fn way_back(&self) -> String {
        format!("To take traffic back now: `{}`.", self.patch(r#"{"spec":{"abort":true}}"#))
    }
}
