//! What is sent for a word to a rollout: an order to the attempt as it stands, or a field of the manifest. Says at once
//! what cannot be followed anyway. Never sends anything.

use super::{
    error::CliError,
    signs::{Sign, signs},
    wish::{Order, Say},
};
use crate::api::{LlmRollout, LlmRolloutOrderSpec, Moment, order::Verb, status::Attempt};

/// What is sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Letter {
    /// An order; its approver is yet to be named.
    Order(LlmRolloutOrderSpec),
    /// `spec.paused` is set so.
    Paused(bool),
}

/// What an order to this rollout is sent as.
pub fn letter(rollout: &LlmRollout, order: &Order, now: Moment) -> Result<Letter, CliError> {
    let verb = match &order.say {
        Say::Pause => return Ok(Letter::Paused(true)),
        Say::Resume if rollout.spec.paused => return Ok(Letter::Paused(false)),
        Say::Resume => Verb::Resume,
        Say::Abort => Verb::Abort,
        Say::Approve { .. } => Verb::Approve,
        Say::Promote => Verb::Promote,
        Say::Reject => Verb::Reject,
        Say::Retry => Verb::Retry,
        Say::Skip => Verb::Skip,
    };
    let nothing = |why: &str| nothing(rollout, &order.name, why);
    let attempt = rollout.status.as_ref().and_then(|s| s.attempt.as_ref());
    let attempt = attempt.ok_or_else(|| nothing("it has not been released yet"))?;
    let mut spec = LlmRolloutOrderSpec {
        rollout: order.name.clone(),
        attempt: attempt.id,
        verb,
        approver: String::new(),
        role: None,
        before: None,
        step: None,
        bake: None,
        reason: order.reason.clone(),
    };
    match &order.say {
        Say::Resume if attempt.asked.is_none() => {
            return Err(nothing("`paused` is not set, and no gate has asked a person"));
        }
        Say::Skip => {
            spec.step = Some(measured(attempt).ok_or_else(|| nothing("no step is being measured"))?);
            spec.bake = Some(attempt.bake).filter(|bake| *bake > 0);
        }
        Say::Approve { role, before } => {
            let (role, before) = approved(rollout, &order.name, role.as_deref(), before.as_deref(), now)?;
            (spec.role, spec.before) = (Some(role), Some(before));
        }
        Say::Abort | Say::Pause | Say::Promote | Say::Reject | Say::Resume | Say::Retry => {}
    }
    Ok(Letter::Order(spec))
}

fn nothing(rollout: &LlmRollout, name: &str, why: &str) -> CliError {
    let namespace = rollout.metadata.namespace.clone().unwrap_or_default();
    CliError::Nothing { namespace, name: name.to_owned(), why: why.to_owned() }
}

/// The step that is being measured.
fn measured(attempt: &Attempt) -> Option<i32> {
    let running = attempt.ended_at.is_none() && attempt.step_entered_at.is_some();
    Some(attempt.step).filter(|step| running && *step > 0)
}

/// Role and point of an approval; what was not typed is what is waited for, if that is one.
fn approved(
    rollout: &LlmRollout,
    name: &str,
    role: Option<&str>,
    before: Option<&str>,
    now: Moment,
) -> Result<(String, String), CliError> {
    if let (Some(role), Some(before)) = (role, before) {
        return Ok((role.to_owned(), before.to_owned()));
    }
    let all = signs(rollout, now);
    if all.is_empty() {
        return Err(nothing(rollout, name, "its manifest asks for no approval"));
    }
    let fits = |s: &&Sign| role.is_none_or(|r| r == s.role) && before.is_none_or(|b| b == s.before);
    // Who says what for means it, whether it is waited for yet or not.
    let found: Vec<&Sign> = all.iter().filter(|s| s.due || before.is_some()).filter(fits).collect();
    match found.as_slice() {
        [one] => Ok((one.role.clone(), one.before.clone())),
        several => {
            let listed = if several.is_empty() { all.iter().collect() } else { several.to_vec() };
            let begin =
                format!("kubectl llmrollout -n {} approve", rollout.metadata.namespace.as_deref().unwrap_or_default());
            let listed = listed.iter().map(|s| format!("`{begin} {name} --before {} --role {}`", s.before, s.role));
            let listed = listed.collect::<Vec<_>>().join(", ");
            Err(CliError::WhichApproval { several: several.len(), listed })
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Letter, letter};
    use crate::{
        api::{LlmRollout, Moment},
        cli::wish::{Order, Say},
    };

    /// 2026-11-21T14:00:00Z.
    const NOW: Moment = Moment::from_unix(1_795_269_600);
    const AT: &str = "2026-11-21T13:00:00Z";

    fn rollout(spec: &Value, attempt: &Value) -> LlmRollout {
        let mut object = json!({
            "apiVersion": "llmrollout.io/v1alpha1", "kind": "LlmRollout", "metadata": {"name": "chat", "namespace": "llm"},
            "spec": {
                "release": {"template": {"port": 8000, "podTemplate": {"spec": {}}}},
                "traffic": [{"httpRoute": {"name": "chat"}}],
                "steps": [{"weight": 5, "hold": "30m"}, {"weight": 100, "hold": "30m"}],
                "gates": [{"name": "errors", "metric": "errorRate", "max": "1%"}],
            },
        });
        for (key, value) in spec.as_object().unwrap() {
            object["spec"][key] = value.clone();
        }
        if attempt.is_object() {
            let mut whole = json!({
                "id": 7, "revision": "r", "startedAt": AT, "step": 1, "weight": 5, "stepEnteredAt": AT, "clockFrom": AT,
            });
            for (key, value) in attempt.as_object().unwrap() {
                whole[key] = value.clone();
            }
            object["status"] = json!({"phase": "AwaitingApproval", "attempt": whole});
        }
        serde_json::from_value(object).unwrap()
    }

    fn order(say: Say) -> Order {
        Order { name: "chat".into(), say, reason: Some("why".into()), patience: None, shape: None }
    }

    /// The order without what is the same in all of them, or what is said instead.
    fn sent(rollout: &LlmRollout, say: Say) -> String {
        match letter(rollout, &order(say), NOW) {
            Ok(Letter::Paused(paused)) => format!("paused: {paused}"),
            Ok(Letter::Order(spec)) => {
                assert_eq!((spec.rollout.as_str(), spec.attempt, spec.reason.as_deref()), ("chat", 7, Some("why")));
                let more = [spec.before, spec.role, spec.step.map(|s| s.to_string()), spec.bake.map(|b| b.to_string())];
                let more: Vec<_> = more.into_iter().flatten().collect();
                format!("{} {}", spec.verb.word(), more.join(" ")).trim_end().to_owned()
            }
            Err(error) => error.to_string(),
        }
    }

    fn approve(role: Option<&str>, before: Option<&str>) -> Say {
        Say::Approve { role: role.map(str::to_owned), before: before.map(str::to_owned) }
    }

    #[test]
    fn words_become_orders_to_the_attempt_as_it_stands() {
        let (plain, asked) = (json!({}), json!({"reason": "GateAsks", "message": "m", "at": AT}));
        let table = [
            (json!({}), Say::Abort, "Abort"),
            (json!({}), Say::Promote, "Promote"),
            (json!({}), Say::Reject, "Reject"),
            (json!({"endedAt": AT}), Say::Retry, "Retry"),
            (json!({}), Say::Skip, "Skip 1"),
            (json!({"step": 2, "bake": 1}), Say::Skip, "Skip 2 1"),
            (json!({"asked": asked}), Say::Resume, "Resume"),
            (json!({}), Say::Pause, "paused: true"),
            (json!({}), approve(Some("sre"), Some("Full")), "Approve Full sre"),
        ];
        for (attempt, say, expected) in table {
            assert_eq!(sent(&rollout(&plain, &attempt), say), expected, "{attempt}");
        }
        let paused = rollout(&json!({"paused": true}), &json!({"asked": asked}));
        assert_eq!(sent(&paused, Say::Resume), "paused: false", "a manifest that is paused is resumed first");
    }

    #[test]
    fn what_cannot_be_followed_is_said_at_once() {
        let plain = json!({});
        let table = [
            (json!(null), Say::Promote, "it has not been released yet"),
            (json!({}), Say::Resume, "`paused` is not set, and no gate has asked a person"),
            (json!({"step": 0, "stepEnteredAt": null}), Say::Skip, "no step is being measured"),
            (json!({"endedAt": AT}), Say::Skip, "no step is being measured"),
            (json!({}), approve(None, None), "its manifest asks for no approval"),
        ];
        for (attempt, say, why) in table {
            let expected = format!("nothing to do for chat: {why}; see `kubectl llmrollout -n llm status chat`");
            assert_eq!(sent(&rollout(&plain, &attempt), say), expected);
        }
    }

    #[test]
    fn an_approval_is_of_what_is_waited_for() {
        let one = json!({"approvals": [{"before": "Full", "roles": ["sre"]}, {"before": "Start", "roles": ["owner"]}]});
        let one = rollout(&one, &json!({}));
        assert_eq!(sent(&one, approve(None, None)), "Approve Full sre");
        assert_eq!(sent(&one, approve(Some("sre"), None)), "Approve Full sre");
        assert_eq!(
            sent(&one, approve(None, Some("Start"))),
            "Approve Start owner",
            "ahead, since it was said what for"
        );
        let none = "no such approval is waited for; the manifest asks for `kubectl llmrollout -n llm approve chat --before Full --role sre`, `kubectl llmrollout -n llm approve chat --before Start --role owner`";
        assert_eq!(sent(&one, approve(Some("owner"), None)), none);
        let two = rollout(&json!({"approvals": [{"before": "Full", "roles": ["sre", "owner"]}]}), &json!({}));
        let which = "2 approvals are waited for; type one: `kubectl llmrollout -n llm approve chat --before Full --role sre`, `kubectl llmrollout -n llm approve chat --before Full --role owner`";
        assert_eq!(sent(&two, approve(None, None)), which);
        let usage = |rollout: &LlmRollout, say: Say| letter(rollout, &order(say), NOW).is_err_and(|e| e.is_usage());
        assert!(usage(&two, approve(None, None)) && !usage(&one, approve(Some("owner"), None)));
        assert_eq!(sent(&two, approve(Some("owner"), None)), "Approve Full owner");
    }
}
