use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use kube::client::Body;
use prometheus_client::{encoding::text::encode, registry::Registry};
use serde_json::json;

use super::Metrics;
use crate::{
    act::{Class, Hands, act},
    api::{
        LlmRollout, LlmRolloutStatus, Moment, Phase, Reason,
        status::{Attempt, GateStatus, VerdictWord},
    },
    decide::{Decision, Intent, intent::Odds},
    routers::{GuardedPatch, PatchKind},
};

fn printed(registry: &Registry) -> String {
    let mut text = String::new();
    encode(&mut text, registry).unwrap();
    text
}

fn rollout(name: &str) -> LlmRollout {
    let spec =
        json!({"release": {"template": {"port": 8000, "podTemplate": {"spec": {}}}}, "traffic": [], "gates": []});
    let mut rollout = LlmRollout::new(name, serde_json::from_value(spec).unwrap());
    rollout.metadata.namespace = Some("llm".into());
    rollout
}

fn status(phase: Phase, weight: &str) -> LlmRolloutStatus {
    LlmRolloutStatus {
        phase: Some(phase),
        reason: Some(Reason::WaitingForGate),
        weight: weight.into(),
        ..LlmRolloutStatus::default()
    }
}

fn odds(gate: &str, seconds: Option<f64>) -> Odds {
    Odds { gate: gate.into(), fail: -0.25, pass: 1.5, seconds }
}

fn gate(value: &str, limit: &str, verdict: VerdictWord) -> GateStatus {
    let at = Moment::from_unix(1_000);
    let told = json!({"name": "errors", "verdict": verdict, "value": value, "limit": limit, "at": at, "step": 1});
    serde_json::from_value(told).unwrap()
}

/// Decided to go back at 1030, home at 1037, ended at 1040.
fn ended(id: i64, ended: Option<&str>) -> Attempt {
    let at = Moment::from_unix;
    let told = json!({
        "id": id, "revision": "4e3918f6c6e5", "startedAt": at(900), "step": 1, "weight": 0, "clearedAt": at(900),
        "clockFrom": at(1_030), "home": {"since": at(1_037)}, "endedAt": at(1_040), "ended": ended,
    });
    serde_json::from_value(told).unwrap()
}

fn patch(kind: PatchKind, name: &str, path: &str) -> Intent {
    let ops = vec![crate::routers::guard("7"), json!({"op": "add", "path": path, "value": 1})];
    Intent::Patch(GuardedPatch { kind, namespace: None, name: name.into(), ops })
}

/// Answers every write with success, except those to `broken`.
fn hands() -> Hands {
    let service = tower::service_fn(|request: http::Request<Body>| async move {
        let code = if request.uri().path().ends_with("/broken") { 409 } else { 200 };
        let status = json!({"kind": "Status", "status": "Failure", "code": code, "reason": "", "message": ""});
        Ok::<_, Infallible>(
            http::Response::builder().status(code).body(Body::from(status.to_string().into_bytes())).unwrap(),
        )
    });
    let client = kube::Client::new(service, "llm");
    Hands { client, deadline: Duration::from_secs(1), may_write: Arc::new(|| true), webhooks: Arc::default() }
}

fn decision(home: bool, intents: Vec<Intent>) -> Decision {
    Decision {
        intents,
        beside: Vec::new(),
        calls: BTreeMap::new(),
        next: status(Phase::Holding, "20%"),
        latched: false,
        home,
        wants_live: false,
        news: vec![],
        judged: vec![],
        wake: None,
        asks: std::collections::BTreeSet::default(),
        odds: vec![],
        meant: None,
    }
}

/// What is printed when everything has happened once.
async fn everything() -> String {
    let (metrics, registry) = Metrics::new();
    drop(metrics.pass());
    metrics.pass_failed(Class::Transient);
    let mut decision = decision(
        true,
        vec![
            patch(PatchKind::HttpRoute, "chat", "/spec/rules/0/backendRefs/0/weight"),
            patch(PatchKind::Service, "broken", "/spec/selector/llmrollout.io~1color"),
            patch(PatchKind::Service, "chat", "/spec/selector/llmrollout.io~1color"),
            patch(PatchKind::Service, "chat-blue", "/metadata/ownerReferences/0"),
            patch(PatchKind::LlmRollout, "chat", "/metadata/finalizers"),
        ],
    );
    decision.judged = vec![gate("0.4%", "1%", VerdictWord::Fail)];
    decision.next.gates = vec![gate("70%", "60%…80%", VerdictWord::Pass)];
    decision.next.attempt = Some(ended(3, Some("GateFailed")));
    metrics.decided(&decision);
    metrics.acted(&decision, &act(&decision, ["llm", "chat"], &hands()).await, Moment::from_unix(1_012));
    metrics.recorded(&rollout("chat"), &decision.next);
    metrics.stands(&rollout("chat"), &decision.next);
    metrics.weighs(&rollout("chat"), &[odds("errors", Some(90.5))]);
    metrics.event_dropped();
    metrics.record_written("written");
    metrics.record_page_dropped();
    metrics.notified("oncall", "told");
    metrics.leads(true);
    let reading = crate::metrics::Reading {
        at: Moment::from_unix(1),
        window: Duration::from_secs(30),
        outcome: Ok(crate::metrics::Sample { value: 0.0, samples: 100.0 }),
        names: Vec::new(),
        weighed: None,
    };
    metrics.provider_asked("default", &reading, Duration::from_millis(3));
    printed(&registry)
}

#[tokio::test]
async fn every_family_is_printed_under_its_name() {
    let text = everything().await;
    for line in [
        concat!("llmrollout_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        "llmrollout_passes_total 1",
        "llmrollout_pass_seconds_count 1",
        "llmrollout_pass_errors_total{class=\"transient\"} 1",
        "llmrollout_decisions_total{phase=\"Holding\",reason=\"WaitingForGate\"} 1",
        "llmrollout_act_errors_total{class=\"stale\"} 1",
        "llmrollout_traffic_writes_total{router_kind=\"httpRoute\",direction=\"back\"} 1",
        "llmrollout_traffic_writes_total{router_kind=\"service\",direction=\"back\"} 1",
        "llmrollout_status_writes_total 1",
        "llmrollout_events_dropped_total 1",
        "llmrollout_record_writes_total{outcome=\"written\"} 1",
        "llmrollout_record_dropped_total 1",
        "llmrollout_notifications_total{channel=\"oncall\",outcome=\"told\"} 1",
        "llmrollout_phase{namespace=\"llm\",name=\"chat\",phase=\"Holding\"} 1",
        "llmrollout_candidate_weight{namespace=\"llm\",name=\"chat\"} 20.0",
        "llmrollout_gate_evidence_log10{namespace=\"llm\",name=\"chat\",gate=\"errors\",side=\"fail\"} -0.25",
        "llmrollout_gate_evidence_log10{namespace=\"llm\",name=\"chat\",gate=\"errors\",side=\"pass\"} 1.5",
        "llmrollout_gate_eta_seconds{namespace=\"llm\",name=\"chat\",gate=\"errors\"} 90.5",
        "llmrollout_attempts_total{namespace=\"llm\",name=\"chat\",outcome=\"GateFailed\"} 1",
        "llmrollout_attempt_ended_timestamp_seconds{namespace=\"llm\",name=\"chat\",outcome=\"GateFailed\"} 1040",
        "llmrollout_gate_value{namespace=\"llm\",name=\"chat\",gate=\"errors\"} 0.7",
        "llmrollout_gate_limit{namespace=\"llm\",name=\"chat\",gate=\"errors\",bound=\"least\"} 0.6",
        "llmrollout_gate_limit{namespace=\"llm\",name=\"chat\",gate=\"errors\",bound=\"most\"} 0.8",
        "llmrollout_gate_verdict{namespace=\"llm\",name=\"chat\",gate=\"errors\",verdict=\"Pass\"} 1",
        "llmrollout_gate_sample_timestamp_seconds{namespace=\"llm\",name=\"chat\",gate=\"errors\"} 1000",
        "llmrollout_decision_delay_seconds_sum{direction=\"back\"} 12.0",
        "llmrollout_rollback_seconds_sum 7.0",
        "llmrollout_leader 1",
        "llmrollout_provider_queries_total{provider=\"default\",outcome=\"sample\"} 1",
        "llmrollout_provider_seconds_bucket{le=\"0.005\",provider=\"default\"} 1",
    ] {
        assert!(text.lines().any(|printed| printed == line), "{line} is missing in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn a_rollout_is_in_one_phase_and_leaves_nothing_behind() {
    let (metrics, registry) = Metrics::new();
    metrics.stands(&rollout("chat"), &status(Phase::Holding, "20%"));
    metrics.stands(&rollout("chat"), &status(Phase::RolledBack, "0%"));
    metrics.stands(&rollout("rag"), &status(Phase::Idle, ""));
    let text = printed(&registry);
    assert!(text.contains("RolledBack") && !text.contains("Holding"), "{text}");
    metrics.forget("llm", "chat");
    let text = printed(&registry);
    assert!(!text.contains("chat") && text.contains("rag"), "{text}");
}

#[test]
fn an_end_counts_once_and_shows_until_the_next_attempt() {
    let lines = |registry: &Registry| {
        let text = printed(registry);
        let of_ends = text.lines().filter(|line| line.starts_with("llmrollout_attempt")).map(str::to_owned);
        of_ends.collect::<Vec<_>>()
    };
    let (metrics, registry) = Metrics::new();
    let mut before = rollout("chat");
    let mut now = status(Phase::RolledBack, "0%");
    now.attempt = Some(ended(1, Some("GateFailed")));
    for _ in 0..2 {
        metrics.recorded(&before, &now);
        metrics.stands(&before, &now);
        before.status = Some(now.clone());
    }
    let (count, at) = ("llmrollout_attempts_total", "llmrollout_attempt_ended_timestamp_seconds");
    let of = |what: &str, outcome: &str, figure: &str| {
        format!("{what}{{namespace=\"llm\",name=\"chat\",outcome=\"{outcome}\"}} {figure}")
    };
    assert_eq!(lines(&registry), [of(at, "GateFailed", "1040"), of(count, "GateFailed", "1")]);
    now.attempt = Some(Attempt { ended_at: None, ended: None, ..ended(2, None) });
    metrics.recorded(&before, &now);
    metrics.stands(&before, &now);
    assert_eq!(lines(&registry), [of(count, "GateFailed", "1")]);
    now.attempt = Some(ended(2, None));
    metrics.recorded(&before, &now);
    metrics.stands(&before, &now);
    assert_eq!(lines(&registry).len(), 3, "{:?}", lines(&registry));
    assert!(printed(&registry).contains("llmrollout_rollback_seconds_count 1\n"), "a promotion is no rollback");
    metrics.forget("llm", "chat");
    assert_eq!(lines(&registry), Vec::<String>::new());
}

#[test]
fn a_gate_says_one_word_and_leaves_nothing_behind() {
    let lines = |registry: &Registry| {
        let text = printed(registry);
        text.lines().filter(|line| line.starts_with("llmrollout_gate_")).map(str::to_owned).collect::<Vec<_>>()
    };
    let (metrics, registry) = Metrics::new();
    let mut now = status(Phase::Holding, "20%");
    now.gates = vec![gate("0.4%", "1%", VerdictWord::Pass)];
    metrics.stands(&rollout("chat"), &now);
    assert_eq!(lines(&registry).len(), 4, "value, limit, verdict, time: {:?}", lines(&registry));
    now.gates = vec![GateStatus { at: None, ..gate("", "1%", VerdictWord::NoData) }];
    metrics.stands(&rollout("chat"), &now);
    let left = lines(&registry);
    assert!(left.len() == 2 && left.iter().all(|line| !line.contains("Pass")), "limit and verdict: {left:?}");
    now.gates = vec![];
    metrics.stands(&rollout("chat"), &now);
    assert_eq!(lines(&registry), Vec::<String>::new());
    now.gates = vec![gate("0.4%", "1%", VerdictWord::Pass)];
    metrics.stands(&rollout("chat"), &now);
    metrics.forget("llm", "chat");
    assert_eq!(lines(&registry), Vec::<String>::new());
}

#[test]
fn evidence_is_shown_as_long_as_it_is_weighed() {
    let lines = |registry: &Registry| {
        let text = printed(registry);
        let of_gates = text.lines().filter(|line| line.starts_with("llmrollout_gate_")).map(str::to_owned);
        of_gates.collect::<Vec<_>>()
    };
    let (metrics, registry) = Metrics::new();
    for _ in 0..3 {
        metrics.weighs(&rollout("chat"), &[odds("errors", Some(60.0)), odds("cost", None)]);
        metrics.weighs(&rollout("rag"), &[odds("errors", Some(0.0))]);
    }
    assert_eq!(lines(&registry).len(), 3 + 2 + 3, "{:?}", lines(&registry));
    metrics.weighs(&rollout("chat"), &[odds("errors", None)]);
    let left = lines(&registry);
    assert!(left.len() == 2 + 3 && left.iter().all(|line| !line.contains("cost")), "{left:?}");
    metrics.weighs(&rollout("rag"), &[]);
    assert!(lines(&registry).iter().all(|line| line.contains("chat")), "{:?}", lines(&registry));
    metrics.forget("llm", "chat");
    assert_eq!(lines(&registry), Vec::<String>::new());
}

#[test]
fn phases_are_spelled_as_in_status() {
    for phase in [
        Phase::Idle,
        Phase::Pending,
        Phase::Preflight,
        Phase::Preparing,
        Phase::Shifting,
        Phase::Holding,
        Phase::AwaitingApproval,
        Phase::Paused,
        Phase::Baking,
        Phase::Decommissioning,
        Phase::Completed,
        Phase::RollingBack,
        Phase::RolledBack,
        Phase::Blocked,
    ] {
        assert_eq!(serde_json::json!(phase), phase.word());
    }
}

/// The page of the metrics says what is exported, and board and alerts are held against the page. `UPDATE=1` writes it anew.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "UPDATE=1 asks for a new page")]
async fn the_page_lists_every_family() {
    let (begin, end) = ("<!-- metrics: begin -->\n", "<!-- metrics: end -->");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/monitoring.md");
    let page = std::fs::read_to_string(file).unwrap();
    let (head, rest) = page.split_once(begin).unwrap();
    let (listed, tail) = rest.split_once(end).unwrap();
    let table = table(&everything().await);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(file, [head, begin, &table, end, tail].concat()).unwrap();
        return;
    }
    assert!(listed == table, "docs/monitoring.md is stale; run `UPDATE=1 cargo test --lib the_page_lists`\n{table}");
}

/// A line for each family: name, type, labels, help.
fn table(printed: &str) -> String {
    let mut text = "| metric | type | labels | what it is |\n|---|---|---|---|\n".to_owned();
    let mut lines = printed.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) else { continue };
        let kind = lines.next().and_then(|line| line.rsplit(' ').next()).unwrap_or_default();
        let end = match kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let sample = lines.peek().copied().unwrap_or_default();
        let labels = sample.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or("", |(labels, _)| labels);
        let labels = labels.split(',').filter_map(|label| label.split_once('=')).map(|(key, _)| key);
        let labels: Vec<String> = labels.filter(|key| *key != "le").map(|key| format!("`{key}`")).collect();
        let row = format!("| `{name}{end}` | {kind} | {} | {} |\n", labels.join(", "), help.trim_end_matches('.'));
        text.push_str(&row);
    }
    text
}
