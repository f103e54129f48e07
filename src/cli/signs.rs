//! Approvals as a person sees them: what the manifest asks for, what was given, and what is waited for now. Reads the
//! manifest as the operator does; never asks a cluster.

use crate::{
    api::{LlmRollout, Moment, Phase, status::Approved},
    decide::course::{Before, Course},
};

/// One approval that the manifest asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sign {
    /// What for, as it is written.
    pub before: String,
    /// In which role.
    pub role: String,
    /// Who gave it, and when.
    pub given: Option<Approved>,
    /// It was given, and counts no more.
    pub expired: bool,
    /// The release stands still for it.
    pub due: bool,
}

/// Every approval that the manifest asks for, in its order.
pub fn signs(rollout: &LlmRollout, now: Moment) -> Vec<Sign> {
    let Ok(course) = Course::read(&rollout.spec) else { return Vec::new() };
    let waited_for = waited_for(rollout, &course);
    let given = rollout.status.as_ref().map(|s| s.approvals.as_slice()).unwrap_or_default();
    let each = course.signs.iter().flat_map(|sign| sign.roles.iter().map(move |role| (sign, role)));
    each.map(|(sign, role)| {
        let before = sign.before.word();
        let given = given.iter().find(|a| a.before == before && a.role == *role).cloned();
        let expired = given.as_ref().is_some_and(|a| now.since(a.at) >= sign.expires);
        let due = (given.is_none() || expired) && waited_for.contains(&sign.before);
        Sign { before, role: role.clone(), given, expired, due }
    })
    .collect()
}

/// What a person is asked about now.
fn waited_for(rollout: &LlmRollout, course: &Course) -> Vec<Before> {
    let status = rollout.status.as_ref().filter(|s| s.phase == Some(Phase::AwaitingApproval));
    let Some(status) = status else { return Vec::new() };
    match status.attempt.as_ref().filter(|a| a.ended_at.is_none()) {
        None => vec![Before::Decommission],
        Some(a) if a.step_entered_at.is_none() && a.cleared_at.is_none() => vec![Before::Start],
        Some(a) => {
            let confirmed = a.step_entered_at.map(|_| a.weight);
            let next = if a.promoted || a.fast_track { course.last_step() } else { course.step_after(confirmed) };
            let signs = next.map(|(number, step)| (Before::Step(number), (step.weight == 100).then_some(Before::Full)));
            signs.into_iter().flat_map(|(step, full)| [Some(step), full]).flatten().collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::signs;
    use crate::api::{LlmRollout, Moment};

    /// 2026-11-21T14:00:00Z.
    const NOW: Moment = Moment::from_unix(1_795_269_600);

    fn rollout(status: &Value) -> LlmRollout {
        let spec = json!({
            "release": {"template": {"port": 8000, "podTemplate": {"spec": {}}}},
            "traffic": [{"httpRoute": {"name": "chat"}}],
            "metrics": {"provider": "of-the-operator"},
            "gates": [{"name": "cost", "metric": "costPerRequest", "max": "$0.01"}],
            "steps": [
                {"weight": 5, "hold": "30m"},
                {"weight": 50, "hold": "30m", "approval": {"roles": ["sre"], "expires": "1h"}},
                {"weight": 100, "hold": "30m"},
            ],
            "approvals": [
                {"before": "Start", "roles": ["owner"]},
                {"before": "Full", "roles": ["sre", "owner"]},
                {"before": "Decommission", "roles": ["sre"]},
            ],
        });
        let object = json!({
            "apiVersion": "llmrollout.io/v1alpha1", "kind": "LlmRollout", "metadata": {"name": "chat"},
            "spec": spec, "status": status,
        });
        serde_json::from_value(object).unwrap()
    }

    fn due(phase: &str, attempt: &Value, approvals: &Value) -> Vec<String> {
        let mut status = json!({"phase": phase, "attempt": {
            "id": 7, "revision": "r", "startedAt": "2026-11-21T12:00:00Z", "step": 0, "weight": 0,
            "clockFrom": "2026-11-21T12:00:00Z",
        }, "approvals": approvals});
        for (key, value) in attempt.as_object().unwrap() {
            status["attempt"][key] = value.clone();
        }
        let all = signs(&rollout(&status), NOW);
        all.into_iter().filter(|s| s.due).map(|s| format!("{} {}", s.before, s.role)).collect()
    }

    #[test]
    fn what_is_waited_for_depends_on_how_far_the_attempt_is() {
        let at = "2026-11-21T13:00:00Z";
        let table = [
            (json!({}), vec!["Start owner"]),
            (json!({"clearedAt": at}), vec![]),
            (json!({"clearedAt": at, "stepEnteredAt": at, "step": 1, "weight": 5}), vec!["Step/2 sre"]),
            (json!({"stepEnteredAt": at, "step": 2, "weight": 50}), vec!["Full sre", "Full owner"]),
            (json!({"stepEnteredAt": at, "step": 1, "weight": 5, "promoted": true}), vec!["Full sre", "Full owner"]),
            (json!({"stepEnteredAt": at, "step": 3, "weight": 100, "endedAt": at}), vec!["Decommission sre"]),
        ];
        for (attempt, expected) in table {
            assert_eq!(due("AwaitingApproval", &attempt, &json!([])), expected, "{attempt}");
            assert!(due("Holding", &attempt, &json!([])).is_empty(), "nobody is asked while it holds");
        }
    }

    #[test]
    fn an_approval_counts_until_it_expires() {
        let attempt = json!({"stepEnteredAt": "2026-11-21T13:00:00Z", "step": 1, "weight": 5});
        let given = |at: &str| json!([{"before": "Step/2", "role": "sre", "by": "ana", "at": at}]);
        assert!(due("AwaitingApproval", &attempt, &given("2026-11-21T13:30:00Z")).is_empty());
        assert_eq!(due("AwaitingApproval", &attempt, &given("2026-11-21T13:00:00Z")), ["Step/2 sre"]);
    }
}
