//! One rollout on one screen: what is going on and why, what each router holds, what each gate says, what is not as it
//! should be, what came before, and what to do. Only reads the object; the time comes in as an argument.

use super::{
    advice::advice,
    checklist, history, people,
    table::{Table, age, ago, clean},
};
use crate::api::{
    Condition, LlmRollout, LlmRolloutStatus, Moment, aside,
    conditions::ConditionStatus,
    status::{Attempt, Color, GateStatus, ObservedWeights},
};

/// The screen; `wide` tells the conditions that are as they should be too.
pub fn story(rollout: &LlmRollout, wide: bool, now: Moment) -> String {
    let none = LlmRolloutStatus::default();
    let status = rollout.status.as_ref().unwrap_or(&none);
    let parts = [
        head(rollout, status, now),
        routers(&status.observed_weights),
        checklist::checked(status.attempt.as_ref(), now),
        gates(&status.gates, now),
        conditions(&status.conditions, wide, now),
        people::approvals(rollout, now),
        people::orders(&status.orders, now),
        history::attempts(None, &status.history, now),
        format!("What to do:  {}\n", clean(&advice(rollout, now))),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

fn head(rollout: &LlmRollout, status: &LlmRolloutStatus, now: Moment) -> String {
    let meta = &rollout.metadata;
    let (name, namespace) = (meta.name.as_deref().unwrap_or_default(), meta.namespace.as_deref().unwrap_or_default());
    let stale = meta.generation.is_some_and(|newest| newest > status.observed_generation);
    let attempt = status.attempt.as_ref();
    let revision = attempt.map(|a| a.revision.as_str());
    let lines = [
        ("Rollout:", Some(format!("{name} in namespace {namespace}"))),
        ("Phase:", Some(phase(status))),
        ("", Some(status.message.clone())),
        ("", stale.then(|| "The manifest is newer than this status; the operator has not decided on it yet.".into())),
        ("Active:", Some(at_revision(status.active, status.active_revision.as_deref()))),
        ("Candidate:", Some(at_revision(status.candidate, revision))),
        ("Attempt:", attempt.map(|a| attempt_line(a, now))),
        ("Step:", attempt.map(|a| step_line(status, a, now))),
        ("Bake:", attempt.and_then(|a| people::bake(&rollout.spec, a))),
        ("Asked:", attempt.and_then(|a| a.asked.as_ref()).map(|asked| people::asked(asked, now))),
        (
            "Writing:",
            status.intent.as_ref().map(|i| format!("step {} at {}%, decided {}", i.step, i.weight, ago(i.at, now))),
        ),
        ("Taken back:", status.aborted_revision.as_ref().map(|r| format!("revision {r}, which gets no traffic again"))),
        ("Late:", attempt.filter(|a| a.ended_at.is_none()).and_then(|a| a.late.as_ref()).map(|l| l.message.clone())),
        ("Since then:", attempt.and_then(|a| a.recovery.as_ref()).map(|r| format!("{}: {}", r.reason, r.message))),
        (
            "Quarrel:",
            status.quarrel.as_ref().map(|q| format!("changes by others put right {} times since {}", q.count, q.since)),
        ),
        ("Retiring:", status.retiring.as_ref().map(|old| people::retiring(old, now))),
        ("Next look:", status.next_decision_at.map(|at| at.to_string())),
    ];
    let told = lines.into_iter().filter_map(|(label, value)| Some((label, value.filter(|v| !v.is_empty())?)));
    told.fold(String::new(), |text, (label, value)| text + &format!("{label:<12} {}\n", clean(&value)))
}

fn phase(status: &LlmRolloutStatus) -> String {
    match (status.phase, status.reason) {
        (None, _) => "not known yet".to_owned(),
        // A phase that is as usual has its own name for a reason.
        (Some(phase), Some(reason)) if reason.word() != format!("{phase:?}") => format!("{phase:?}, {reason}"),
        (Some(phase), _) => format!("{phase:?}"),
    }
}

fn at_revision(color: Option<Color>, revision: Option<&str>) -> String {
    let color = color.map_or("", Color::word);
    match revision {
        Some(revision) if !color.is_empty() => format!("{color} at revision {revision}"),
        _ => color.to_owned(),
    }
}

fn attempt_line(attempt: &Attempt, now: Moment) -> String {
    let began = format!("{} of revision {}, began {}", attempt.id, attempt.revision, ago(attempt.started_at, now));
    let paused = attempt.paused_at.map(|at| format!("paused {}", ago(at, now)));
    let ended = attempt.ended_at.map(|at| format!("ended {}", ago(at, now)));
    let why = attempt.ended.map(|reason| match attempt.ended_message.as_str() {
        "" => reason.to_string(),
        message => format!("{reason}: {message}"),
    });
    [Some(began), paused, ended, why].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn step_line(status: &LlmRolloutStatus, attempt: &Attempt, now: Moment) -> String {
    if status.step.is_empty() {
        return String::new();
    }
    let weight = if status.weight.is_empty() { format!("{}%", attempt.weight) } else { status.weight.clone() };
    let at = format!("{} at {weight}", status.step);
    if attempt.ended_at.is_some() {
        return at;
    }
    let entered = attempt.step_entered_at.map(|at| format!("entered {}", ago(at, now)));
    let hold = attempt.hold_until.map(|until| {
        let left = if until > now && attempt.paused_at.is_none() {
            format!(" ({} left)", age(until.since(now)))
        } else {
            String::new()
        };
        format!("hold until {until}{left}")
    });
    [Some(at), entered, hold].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn routers(seen: &[ObservedWeights]) -> String {
    let mut table = Table::new(["ROUTER", "BLUE", "GREEN"]);
    for router in seen {
        let beside = aside::words(router.mirror, router.testers);
        table.row([format!("{}{beside}", router.router), format!("{}%", router.blue), format!("{}%", router.green)]);
    }
    unless_empty(seen, &table)
}

fn gates(gates: &[GateStatus], now: Moment) -> String {
    let mut table = Table::new(["GATE", "VERDICT", "VALUE", "LIMIT", "SAMPLES", "SAMPLED", "STEP", "REASON"]);
    for gate in gates {
        let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
        let mut reason = gate.reason.clone();
        if let Some(since) = gate.no_data_since {
            let silent = format!("no data for {}", age(now.since(since)));
            reason = if reason.is_empty() { silent } else { format!("{reason} ({silent})") };
        }
        table.row([
            gate.name.clone(),
            format!("{:?}", gate.verdict),
            or_dash(gate.value.clone()),
            gate.limit.clone(),
            or_dash(gate.samples.map(|n| n.to_string()).unwrap_or_default()),
            or_dash(gate.at.map(|at| format!("{} ago", age(now.since(at)))).unwrap_or_default()),
            gate.step.to_string(),
            reason,
        ]);
    }
    unless_empty(gates, &table)
}

fn conditions(all: &[Condition], wide: bool, now: Moment) -> String {
    let told: Vec<_> = all.iter().filter(|c| wide || c.status != ConditionStatus::True).collect();
    let mut table = Table::new(["CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE"]);
    for condition in &told {
        table.row([
            format!("{:?}", condition.type_),
            format!("{:?}", condition.status),
            condition.reason.to_string(),
            age(now.since(condition.last_transition_time)),
            condition.message.clone(),
        ]);
    }
    unless_empty(&told, &table)
}

fn unless_empty<T>(rows: &[T], table: &Table) -> String {
    if rows.is_empty() { String::new() } else { table.text() }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::story;
    use crate::api::Moment;

    /// 2026-11-21T14:00:00Z.
    const NOW: Moment = Moment::from_unix(1_795_269_600);

    fn told(spec: &Value, generation: i64, status: &Value) -> String {
        let mut object = json!({
            "apiVersion": "llmrollout.io/v1alpha1", "kind": "LlmRollout",
            "metadata": {"name": "chat", "namespace": "llm", "generation": generation},
            "spec": {
                "release": {"template": {"port": 8000, "podTemplate": {"spec": {}}}},
                "traffic": [{"service": {"name": "chat"}}],
                "gates": [{"name": "errors", "metric": "errorRate", "max": "1%"}],
            },
            "status": status,
        });
        for (key, value) in spec.as_object().unwrap() {
            object["spec"][key] = value.clone();
        }
        story(&serde_json::from_value(object).unwrap(), false, NOW)
    }

    #[test]
    fn tells_a_step_that_waits_for_a_gate() {
        let status = json!({
            "observedGeneration": 3, "phase": "Holding", "reason": "WaitingForGate",
            "message": "the hold is served; p95 has no data",
            "step": "2/4", "weight": "20%",
            "active": "blue", "activeRevision": "0a1b2c3d4e5f", "candidate": "green",
            "attempt": {
                "id": 7, "revision": "3f2a9c771100", "startedAt": "2026-11-21T12:00:00Z", "step": 2, "weight": 20,
                "stepEnteredAt": "2026-11-21T13:00:00Z", "holdUntil": "2026-11-21T14:32:00Z",
                "clockFrom": "2026-11-21T12:00:00Z",
            },
            "observedWeights": [
                {"router": "service/chat", "blue": 100, "green": 0},
                {"router": "httpRoute/chat", "blue": 80, "green": 20},
            ],
            "gates": [
                {"name": "p95", "verdict": "NoData", "limit": "1.5s", "noDataSince": "2026-11-21T13:55:00Z",
                 "reason": "12 of 50 requests", "step": 2},
                {"name": "errors", "verdict": "Pass", "value": "0.4%", "limit": "1%", "samples": 1204,
                 "at": "2026-11-21T13:59:45Z", "step": 2},
            ],
            "nextDecisionAt": "2026-11-21T14:00:15Z",
            "conditions": [
                {"type": "Ready", "status": "True", "reason": "ActiveReady", "message": "",
                 "lastTransitionTime": "2026-11-20T14:00:00Z", "observedGeneration": 3},
                {"type": "GatesHealthy", "status": "Unknown", "reason": "NoData", "message": "p95 has no data\u{1b}[31m",
                 "lastTransitionTime": "2026-11-21T13:55:00Z", "observedGeneration": 3},
            ],
            "history": [
                {"id": 6, "revision": "0a1b2c3d4e5f", "outcome": "Promoted",
                 "startedAt": "2026-11-12T10:00:00Z", "endedAt": "2026-11-12T17:30:00Z"},
            ],
        });
        let expected = "\
Rollout:     chat in namespace llm
Phase:       Holding, WaitingForGate
             the hold is served; p95 has no data
Active:      blue at revision 0a1b2c3d4e5f
Candidate:   green at revision 3f2a9c771100
Attempt:     7 of revision 3f2a9c771100, began 2026-11-21T12:00:00Z (120m ago)
Step:        2/4 at 20%, entered 2026-11-21T13:00:00Z (60m ago), hold until 2026-11-21T14:32:00Z (32m left)
Next look:   2026-11-21T14:00:15Z

ROUTER           BLUE   GREEN
service/chat     100%   0%
httpRoute/chat   80%    20%

GATE     VERDICT   VALUE   LIMIT   SAMPLES   SAMPLED   STEP   REASON
p95      NoData    -       1.5s    -         -         2      12 of 50 requests (no data for 5m)
errors   Pass      0.4%    1%      1204      15s ago   2

CONDITION      STATUS    REASON   SINCE   MESSAGE
GatesHealthy   Unknown   NoData   5m      p95 has no data [31m

ATTEMPT   REVISION       OUTCOME    BEGAN                           TOOK    MESSAGE
6         0a1b2c3d4e5f   Promoted   2026-11-12T10:00:00Z (9d ago)   7h30m

What to do:  The hold is served; the step ends when every gate says Pass. To take traffic back now: `kubectl llmrollout -n llm abort chat`.
";
        assert_eq!(told(&json!({}), 3, &status), expected);
    }

    #[test]
    fn tells_why_traffic_went_back_and_how_to_go_on() {
        let status = json!({
            "observedGeneration": 4, "phase": "RolledBack", "reason": "Aborted", "message": "abort was set at step 1/2",
            "active": "blue", "activeRevision": "0a1b2c3d4e5f",
            "attempt": {
                "id": 2, "revision": "aa10bb20cc30", "startedAt": "2026-11-21T13:50:00Z", "step": 1, "weight": 0,
                "clockFrom": "2026-11-21T13:50:00Z", "endedAt": "2026-11-21T13:58:30Z", "ended": "Aborted",
            },
            "abortedRevision": "aa10bb20cc30",
        });
        let expected = "\
Rollout:     chat in namespace llm
Phase:       RolledBack, Aborted
             abort was set at step 1/2
             The manifest is newer than this status; the operator has not decided on it yet.
Active:      blue at revision 0a1b2c3d4e5f
Attempt:     2 of revision aa10bb20cc30, began 2026-11-21T13:50:00Z (10m ago), ended 2026-11-21T13:58:30Z (90s ago), Aborted
Taken back:  revision aa10bb20cc30, which gets no traffic again

What to do:  Find out why, and change spec.release.template.podTemplate: this revision gets no traffic again. Before that, take back the abort: `kubectl -n llm patch llmrollout chat --type merge -p '{\"spec\":{\"abort\":false}}'`.
";
        assert_eq!(told(&json!({"abort": true}), 5, &status), expected);
    }

    #[test]
    fn tells_who_is_asked_and_who_said_what() {
        let approvals = json!([{"before": "Start", "roles": ["owner"]}, {"before": "Full", "roles": ["sre", "owner"]}]);
        let status = json!({
            "observedGeneration": 3, "phase": "AwaitingApproval", "reason": "AwaitingApproval",
            "message": "an approval is missing before Full, in the role owner",
            "step": "1/2", "weight": "5%", "active": "blue", "candidate": "green",
            "attempt": {
                "id": 7, "revision": "3f2a9c771100", "startedAt": "2026-11-21T12:00:00Z", "step": 1, "weight": 5,
                "stepEnteredAt": "2026-11-21T13:00:00Z", "clockFrom": "2026-11-21T12:00:00Z",
            },
            "approvals": [
                {"before": "Start", "role": "owner", "by": "ana", "at": "2026-11-21T12:00:00Z"},
                {"before": "Full", "role": "sre", "by": "ben", "at": "2026-11-21T13:55:00Z"},
            ],
            "orders": [
                {"name": "chat-approve-b", "uid": "u", "verb": "Approve", "by": "ben", "taken": true,
                 "message": "approved before Full in the role sre", "at": "2026-11-21T13:55:01Z"},
                {"name": "chat-skip-c", "uid": "v", "verb": "Skip", "by": "eve", "taken": false,
                 "message": "step 1 is being measured, not the one that was meant", "at": "2026-11-21T13:58:00Z"},
            ],
        });
        let expected = "\
Rollout:     chat in namespace llm
Phase:       AwaitingApproval
             an approval is missing before Full, in the role owner
Active:      blue
Candidate:   green at revision 3f2a9c771100
Attempt:     7 of revision 3f2a9c771100, began 2026-11-21T12:00:00Z (120m ago)
Step:        1/2 at 5%, entered 2026-11-21T13:00:00Z (60m ago)

APPROVAL BEFORE   ROLE    STATE        BY    GIVEN
Start             owner   given        ana   2026-11-21T12:00:00Z (120m ago)
Full              sre     given        ben   2026-11-21T13:55:00Z (5m ago)
Full              owner   waited for   -     -

ORDER            VERB      BY    HEARD                              ANSWER
chat-approve-b   Approve   ben   2026-11-21T13:55:01Z (4m59s ago)   taken: approved before Full in the role sre
chat-skip-c      Skip      eve   2026-11-21T13:58:00Z (2m ago)      not taken: step 1 is being measured, not the one that was meant

What to do:  To agree: `kubectl llmrollout -n llm approve chat --before Full --role owner`. To refuse: `kubectl llmrollout -n llm reject chat --reason TEXT`, which takes traffic back.
";
        let spec = json!({
            "approvals": approvals, "traffic": [{"httpRoute": {"name": "chat"}}],
            "steps": [{"weight": 5, "hold": "30m"}, {"weight": 100, "hold": "30m"}],
        });
        assert_eq!(told(&spec, 3, &status), expected);
    }

    #[test]
    fn tells_a_bake_what_was_asked_and_the_color_that_leaves() {
        let status = json!({
            "observedGeneration": 3, "phase": "Paused", "reason": "GateAsks", "message": "p95 2s > 1s",
            "step": "2/2", "weight": "100%", "active": "blue", "candidate": "green",
            "attempt": {
                "id": 7, "revision": "3f2a9c771100", "startedAt": "2026-11-21T12:00:00Z", "step": 2, "weight": 100,
                "bake": 2, "clockFrom": "2026-11-21T12:00:00Z",
                "asked": {"reason": "GateAsks", "message": "p95 2s > 1s", "at": "2026-11-21T13:50:00Z"},
            },
            "retiring": {"color": "blue", "revision": "0a1b2c3d4e5f", "since": "2026-11-21T13:59:00Z"},
        });
        let bake = json!({"bake": [{"name": "day", "for": "24h"}, {"name": "month", "for": "720h"}]});
        let text = told(&bake, 3, &status);
        for line in [
            "Bake:        month, 2/2, of 720h\n",
            "Asked:       GateAsks since 2026-11-21T13:50:00Z (10m ago)\n",
            "Retiring:    blue at revision 0a1b2c3d4e5f, without traffic since 2026-11-21T13:59:00Z (60s ago)\n",
            "`kubectl llmrollout -n llm resume chat` measures on, `kubectl llmrollout -n llm skip chat` ends the step",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_rollout_that_nobody_looked_at_says_so() {
        let expected = "\
Rollout:     chat in namespace llm
Phase:       not known yet
             The manifest is newer than this status; the operator has not decided on it yet.

What to do:  The operator has not looked at this rollout yet; check that it runs and watches this namespace.
";
        assert_eq!(told(&json!({}), 1, &json!(null)), expected);
    }
}
