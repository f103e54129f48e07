//! What a person should do next, for each phase, with the command that does it. Only words; the operator never reads them.

use super::signs::signs;
use crate::api::{LlmRollout, LlmRolloutStatus, Moment, Phase, Reason, labels, release::Owner, status::Color};

const NO_ABORT: &str = r#"{"spec":{"abort":false}}"#;

/// What to do next, in one or two sentences, with the command where there is one.
pub fn advice(rollout: &LlmRollout, now: Moment) -> String {
    let target = Target::of(rollout);
    let Some((status, phase)) = rollout.status.as_ref().and_then(|s| Some((s, s.phase?))) else {
        return "The operator has not looked at this rollout yet; check that it runs and watches this namespace."
            .into();
    };
    match phase {
        Phase::Idle if rollout.spec.abort => {
            format!("To release again, take back the abort: `{}`.", target.patch(NO_ABORT))
        }
        Phase::Idle => format!("Nothing; a change of {} starts a release.", wish(rollout)),
        Phase::Completed => format!("Nothing; the next change of {} starts the next release.", wish(rollout)),
        Phase::Preparing => preparing(rollout, status, &target),
        Phase::Preflight => format!("Wait for the check that the message names. {}", target.way_back()),
        Phase::Shifting => format!("Wait until the routers confirm the weight. {}", target.way_back()),
        Phase::Holding => holding(status, &target),
        Phase::Pending => format!("Wait for what the message names. {}", target.way_back()),
        Phase::AwaitingApproval if status.reason == Some(Reason::AwaitingPerson) => decide(&target, false),
        Phase::AwaitingApproval => awaiting(rollout, &target, now),
        Phase::Baking => format!(
            "Wait until the bake is over and every gate says Pass, or leave the rest of it out: `{}`. {}",
            target.say("skip"),
            target.way_back()
        ),
        Phase::Decommissioning => format!(
            "Nothing; the new revision is live and the old color is retired by itself. As long as it stands: {}",
            target.way_back()
        ),
        Phase::Paused if rollout.spec.paused => {
            format!("To go on: `{}`. {}", target.say("resume"), target.way_back())
        }
        Phase::Paused => decide(&target, true),
        Phase::RollingBack => "Wait; traffic is on its way back, and nothing needs to be done for it.".into(),
        Phase::RolledBack => rolled_back(rollout, &target),
        Phase::Blocked => "Do what the message says; the operator goes on by itself once it is put right.".into(),
    }
}

/// The field whose change is a release.
fn wish(rollout: &LlmRollout) -> &'static str {
    match rollout.spec.release.owner() {
        Some(Owner::Nobody(_)) => "spec.release.external.revision",
        Some(Owner::Others(_)) => "spec.release.pair (`live`, or the `revision` of that color)",
        Some(Owner::Operator(_)) | None => "spec.release.template.podTemplate",
    }
}

fn preparing(rollout: &LlmRollout, status: &LlmRolloutStatus, target: &Target) -> String {
    if rollout.spec.release.made().is_none() {
        return format!("Wait for what the message names. {}", target.way_back());
    }
    let color = status.candidate.unwrap_or(Color::Blue);
    format!("Wait for the pods of {}; see them with `{}`.", color.word(), target.pods(color))
}

fn holding(status: &LlmRolloutStatus, target: &Target) -> String {
    let wait = match status.reason {
        Some(Reason::WaitingForGate) => "The hold is served; the step ends when every gate says Pass.",
        Some(Reason::TooFewRequests) => "The hold is served; the step ends when enough requests were seen.",
        Some(Reason::ShareMissed) => {
            "The candidate does not get its share: look at the route, its clients and what caches in front."
        }
        Some(Reason::OutsideWindow) => "The step is over; the next begins when the window opens.",
        _ => "Wait until the hold is served and every gate says Pass.",
    };
    format!("{wait} {}", target.way_back())
}

/// A person was asked how to go on. Only what a gate has stopped can be resumed.
fn decide(target: &Target, asked_by_a_gate: bool) -> String {
    let [resume, skip, promote] = ["resume", "skip", "promote"].map(|verb| target.say(verb));
    let on = if asked_by_a_gate { format!("`{resume}` measures on, ") } else { String::new() };
    let way_back = target.way_back();
    format!("Decide how it goes on: {on}`{skip}` ends the step, `{promote}` goes to 100%. {way_back}")
}

fn awaiting(rollout: &LlmRollout, target: &Target, now: Moment) -> String {
    let due = signs(rollout, now).into_iter().filter(|s| s.due);
    let yes: Vec<_> =
        due.map(|s| format!("`{} --before {} --role {}`", target.say("approve"), s.before, s.role)).collect();
    let reject = format!("`{} --reason TEXT`", target.say("reject"));
    match yes.as_slice() {
        [] => format!("Say yes or no as the message says. {}", target.way_back()),
        some => format!("To agree: {}. To refuse: {reject}, which takes traffic back.", some.join(", ")),
    }
}

fn rolled_back(rollout: &LlmRollout, target: &Target) -> String {
    let fix = format!("Find out why, and change {}: this revision gets no traffic again.", wish(rollout));
    if rollout.spec.abort {
        return format!("{fix} Before that, take back the abort: `{}`.", target.patch(NO_ABORT));
    }
    format!("{fix} To try it once more as it is: `{}`.", target.say("retry"))
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

    /// One of our own verbs.
    fn say(&self, verb: &str) -> String {
        format!("kubectl llmrollout -n {} {verb} {}", self.namespace, self.name)
    }

    fn way_back(&self) -> String {
        format!("To take traffic back now: `{}`.", self.say("abort"))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::{Value, json};

    use super::advice;
    use crate::{
        api::{LlmRollout, Moment},
        cli::args::Args,
    };

    const PHASES: [&str; 14] = [
        "Idle",
        "Pending",
        "Preflight",
        "Preparing",
        "Shifting",
        "Holding",
        "AwaitingApproval",
        "Paused",
        "Baking",
        "Decommissioning",
        "Completed",
        "RollingBack",
        "RolledBack",
        "Blocked",
    ];

    fn said(phase: &str, reason: &str, spec: &Value) -> String {
        let at = "2026-11-21T13:00:00Z";
        let mut object = json!({
            "apiVersion": "llmrollout.io/v1alpha1", "kind": "LlmRollout", "metadata": {"name": "chat", "namespace": "llm"},
            "spec": {
                "release": {"template": {"port": 8000, "podTemplate": {"spec": {}}}},
                "traffic": [{"httpRoute": {"name": "chat"}}],
                "gates": [{"name": "errors", "metric": "errorRate", "max": "1%"}],
                "approvals": [{"before": "Step/2", "roles": ["sre"]}],
            },
            "status": {"phase": phase, "reason": reason, "attempt": {
                "id": 7, "revision": "r", "startedAt": at, "step": 1, "weight": 5, "stepEnteredAt": at, "clockFrom": at,
            }},
        });
        for (key, value) in spec.as_object().unwrap() {
            object["spec"][key] = value.clone();
        }
        advice(&serde_json::from_value::<LlmRollout>(object).unwrap(), Moment::from_unix(1_795_269_600))
    }

    #[test]
    fn what_is_advised_can_be_typed() {
        let reasons = &["Holding", "WaitingForGate", "TooFewRequests", "AwaitingPerson", "GateAsks", "OutsideWindow"];
        let specs = &[json!({}), json!({"paused": true}), json!({"abort": true})];
        let mut typed = 0;
        for (phase, reason, spec) in
            PHASES.iter().flat_map(|p| reasons.iter().flat_map(move |r| specs.iter().map(move |s| (*p, *r, s))))
        {
            let text = said(phase, reason, spec);
            assert!(!text.is_empty(), "{phase}");
            for command in text.split('`').skip(1).step_by(2) {
                let Some(words) = command.strip_prefix("kubectl llmrollout ") else { continue };
                let parsed = Args::try_parse_from(["kubectl-llmrollout"].into_iter().chain(words.split(' ')));
                assert!(parsed.is_ok(), "{phase}: `{command}` cannot be typed");
                typed += 1;
            }
        }
        assert!(typed > 100, "only {typed} commands were found");
    }

    #[test]
    fn each_standstill_has_its_own_way_on() {
        let table = [
            ("Paused", "Paused", json!({"paused": true}), "To go on: `kubectl llmrollout -n llm resume chat`."),
            (
                "Paused",
                "GateAsks",
                json!({}),
                "Decide how it goes on: `kubectl llmrollout -n llm resume chat` measures on",
            ),
            ("AwaitingApproval", "AwaitingApproval", json!({}), "approve chat --before Step/2 --role sre`. To refuse:"),
            (
                "AwaitingApproval",
                "AwaitingPerson",
                json!({"manual": true, "approvals": []}),
                "Decide how it goes on: `kubectl llmrollout -n llm skip chat` ends the step",
            ),
            (
                "RolledBack",
                "GateFailed",
                json!({}),
                "To try it once more as it is: `kubectl llmrollout -n llm retry chat`.",
            ),
            (
                "RolledBack",
                "Aborted",
                json!({"abort": true}),
                "Before that, take back the abort: `kubectl -n llm patch",
            ),
        ];
        for (phase, reason, spec, expected) in table {
            let text = said(phase, reason, &spec);
            assert!(text.contains(expected), "{phase} {reason}: {text}");
        }
    }
}
