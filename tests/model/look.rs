//! What a pass sees: the part of a state that a decision may rest on, turned into a real `Snapshot`, and a real status
//! turned back into the small one. Everything is read through the code's own readers.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Service;
use kube::core::DynamicObject;
use llmrollout::{
    api::{
        LlmRolloutStatus, Moment, Percent, Reason,
        aside::Aside,
        labels,
        status::{self, Color, GateStatus, VerdictWord},
    },
    decide::{
        Snapshot,
        snapshot::{ColorSeen, DependencySeen, DeploymentSeen, OwnedSeen, PriceListSeen, Standing},
    },
    metrics::{NoData, Question, Reading, Sample},
    routers::{Claim, Found, RouterSeen},
};
use serde_json::{Value, json};

use super::{
    people::{self, ATTEMPT, Orders},
    state::{Attempt, Gate, Gateway, Intent, PAST, Retiring, Signal, Slot, Status, Things, Wish, Word, index},
    table::{GATES, Table},
};

/// Now, for ever.
pub(crate) const NOW: Moment = Moment::from_unix(1_800_000_000);

/// All that a decision may rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Look {
    pub(crate) wish: Wish,
    pub(crate) status: Option<Status>,
    pub(crate) things: Things,
    pub(crate) orders: Orders,
    pub(crate) live: bool,
    pub(crate) signals: [Signal; 2],
}

fn before(age: i16) -> Moment {
    Moment::from_unix(NOW.unix() - i64::from(age))
}

fn age(at: Moment) -> i16 {
    i16::try_from(NOW.unix() - at.unix()).unwrap_or(i16::MAX)
}

/// The snapshot of a look; `questions` are those of the step that is being measured.
pub(crate) fn snapshot(table: &Table, look: &Look, questions: &[Question], routers: Vec<RouterSeen>) -> Snapshot {
    let mut rollout = table.rollouts[usize::from(look.wish.revision) - 1].clone();
    rollout.spec.paused = look.wish.paused;
    rollout.spec.abort = look.wish.abort;
    rollout.status = look.status.as_ref().map(|s| concrete(table, s, &look.orders));
    let mut readings = BTreeMap::new();
    for question in questions {
        let gate = usize::from(question.value.to_string().contains("_latency_seconds"));
        readings.insert(question.clone(), read(look.signals[gate], GATES[gate].2, question.window));
    }
    Snapshot {
        watching_since: Moment::from_unix(0),
        now: NOW,
        live: look.live,
        blue: color(table, Color::Blue, look.things.slots[0]),
        green: color(table, Color::Green, look.things.slots[1]),
        routers,
        rival: None,
        readings,
        orders: people::seen(table.setting, &look.orders, NOW),
        dependencies: dependencies(table, look),
        gate_sets: BTreeMap::new(),
        price_list: PriceListSeen::Missing,
        jobs: BTreeMap::new(),
        cron_jobs: BTreeMap::new(),
        succeeded: BTreeMap::new(),
        called: BTreeMap::new(),
        grants: Vec::new(),
        offers: table.offers(look.wish.known),
        adoptee: None,
        meant: None,
        rollout: Arc::new(rollout),
    }
}

/// Nothing is known of the color that serves, and nobody counts requests: neither may be needed to go back.
pub(crate) fn of_a_gate(question: &Question, candidate: Color) -> bool {
    let about = question.value.to_string().contains(&format!("-{}-", candidate.word()));
    // A quantile is only shown; what is above a bound is judged.
    let shown = question.value.to_string().contains("histogram_quantile");
    about && !shown && question.names.is_empty() && !question.samples.to_string().starts_with("count(")
}

fn dependencies(table: &Table, look: &Look) -> Vec<DependencySeen> {
    let standing = if look.wish.done { Standing::Baked } else { Standing::TakenBack };
    let one = DependencySeen { name: "embeddings".to_owned(), standing };
    if table.setting.others { vec![one] } else { Vec::new() }
}

fn read(signal: Signal, limit: f64, window: Duration) -> Vec<Reading> {
    let sample = |factor: f64| Reading {
        at: NOW,
        window,
        outcome: Ok(Sample { value: limit * factor, samples: 1000.0 }),
        names: Vec::new(),
        weighed: None,
    };
    match signal {
        Signal::Good => vec![sample(0.5)],
        Signal::Bad => vec![sample(2.0), sample(2.0)],
        Signal::Blip => vec![sample(0.5), sample(2.0)],
        Signal::Silent => {
            vec![Reading { at: NOW, window, outcome: Err(NoData::Empty), names: Vec::new(), weighed: None }]
        }
    }
}

fn color(table: &Table, color: Color, slot: Slot) -> ColorSeen {
    let owned = |applied: &str| OwnedSeen {
        ours: slot.ours,
        applied: Some(applied.to_owned()).filter(|_| slot.ours),
        version: "5".to_owned(),
        owner_index: slot.ours.then_some(0),
    };
    let ready = i32::from(slot.ready);
    let deployment = slot.deployment.map(|deployed| {
        let (applied, template) = table.notes(color, deployed);
        DeploymentSeen {
            object: owned(if deployed.retired { "retired" } else { applied }),
            revision: table.revision(deployed.revision),
            template: Some(template.clone()),
            uid: String::new(),
            wanted: i32::from(!deployed.retired),
            ready,
            settled: slot.ready || deployed.retired,
        }
    });
    let service = (slot.service || !slot.ours).then(|| owned(table.service(color)));
    ColorSeen {
        deployment,
        service,
        ready,
        addresses: Vec::new(),
        changed_at: None,
        scales: Vec::new(),
        stuck: Vec::new(),
        scalers: std::collections::BTreeMap::new(),
    }
}

fn router(claim: Claim<'_>, things: &Things) -> RouterSeen {
    let front: Service = serde_json::from_value(front(things)).expect("a Service");
    let route: DynamicObject = serde_json::from_value(route(things)).expect("a route");
    claim.read(["chat-blue", "chat-green"], Found { service: Some(&front), object: Some(&route), ..Found::default() })
}

/// The routers as the code reads them.
pub(crate) fn routers(table: &Table, things: &Things) -> Vec<RouterSeen> {
    table.rollouts[0].spec.traffic.iter().filter_map(Claim::of).map(|claim| router(claim, things)).collect()
}

/// The front Service as the API server would show it.
pub(crate) fn front(things: &Things) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "chat", "namespace": "llm", "resourceVersion": "5"},
        "spec": {"selector": {"app": "chat", labels::COLOR: things.front.word()}, "ports": [{"port": 80}]},
    })
}

/// The route as the API server would show it.
pub(crate) fn route(things: &Things) -> Value {
    let backend = |name: &str, weight: Option<u8>| match weight {
        Some(w) => json!({"name": name, "port": 8000, "weight": w}),
        None => json!({"name": name, "port": 8000}),
    };
    let condition = |word: &str, status: &str| json!({"type": word, "status": status, "reason": "Model", "message": "", "observedGeneration": 1});
    let conditions = match things.gateway {
        Gateway::Follows => json!([condition("Accepted", "True"), condition("ResolvedRefs", "True")]),
        Gateway::Silent => json!([]),
        Gateway::Refuses => json!([condition("Accepted", "False")]),
    };
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": "chat", "namespace": "llm", "resourceVersion": "5", "generation": 1},
        "spec": {"parentRefs": [{"name": "gw"}], "rules": [
            {"matches": [{"path": {"value": "/v1"}}], "filters": [], "backendRefs": [
                backend("chat-blue", things.route[0]), backend("chat-green", things.route[1])]}]},
        "status": {"parents": [{"parentRef": {"name": "gw"}, "conditions": conditions}]},
    })
}

/// A color's Deployment as far as its end is concerned, as the API server would show it.
pub(crate) fn deployment(color: Color) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": format!("chat-{}", color.word()), "namespace": "llm", "resourceVersion": "5",
            "labels": {labels::ROLLOUT: "chat"}, "annotations": {labels::APPLIED: "was", labels::REVISION: "was"},
        },
        "spec": {"replicas": 1, "template": {"metadata": {}, "spec": {}}},
    })
}

/// The real status that a small one stands for.
pub(crate) fn concrete(table: &Table, s: &Status, orders: &Orders) -> LlmRolloutStatus {
    let attempt = s.attempt.map(|a| status::Attempt {
        id: ATTEMPT,
        revision: table.revision(a.revision).unwrap_or_default(),
        started_at: before(60),
        step: i32::from(a.step),
        weight: Percent::of(i32::from(a.weight)),
        aside: Aside::default(),
        step_entered_at: a.entered.map(before),
        hold_until: a.entered.map(|_| before(-a.remaining)),
        clock_from: before(a.clock),
        paused_at: a.paused.then_some(NOW),
        ended_at: a.over.then(|| before(1)),
        ended: a.ended,
        ended_message: String::new(),
        pods_changed_at: None,
        cleared_at: a.cleared.then(|| before(60)),
        checked_at: None,
        checks: Vec::new(),
        hooks: Vec::new(),
        bake: i32::from(a.bake),
        skipped: a.skipped,
        promoted: a.promoted,
        fast_track: a.fast,
        deaf_before: None,
        size: None,
        growing_since: None,
        shares: Vec::new(),
        evidence: Vec::new(),
        references: Vec::new(),
        late: None,
        home: None,
        recovery: None,
        asked: a.asked.then(|| status::Asked { reason: Reason::GateAsks, message: String::new(), at: NOW }),
    });
    let intent = s.intent.map(|i| intent(table, i));
    let gates = s.gates.iter().enumerate().filter_map(|(n, g)| Some(gate(table, n, g.as_ref()?))).collect();
    LlmRolloutStatus {
        observed_generation: 1,
        phase: s.phase,
        active: s.active,
        active_revision: table.revision(s.active_revision),
        candidate: s.candidate,
        attempt,
        intent,
        gates,
        aborted_revision: table.revision(s.aborted),
        quarrel: (s.quarrel > 0).then(|| status::Quarrel { since: NOW, count: i32::from(s.quarrel) }),
        retiring: s.retiring.map(|r| status::Retiring {
            color: r.color,
            revision: table.revision(r.revision).unwrap_or_default(),
            since: before(r.age),
        }),
        approvals: people::approvals(table.setting, s.approved, before(60)),
        orders: people::concrete(orders, s.heard, before(60)),
        history: history(table, s),
        ..LlmRolloutStatus::default()
    }
}

fn intent(table: &Table, i: Intent) -> status::StepIntent {
    status::StepIntent {
        op: format!("1-{}", i.step),
        revision: table.revision(i.revision).unwrap_or_default(),
        step: i32::from(i.step),
        weight: Percent::of(i32::from(i.weight)),
        aside: Aside::default(),
        at: before(i.age),
    }
}

fn history(table: &Table, s: &Status) -> Vec<status::Past> {
    let over = s.attempt.is_some_and(|a| a.over);
    let ended = s.past.iter().enumerate().filter(|(_, p)| **p > 0);
    ended
        .map(|(n, past)| status::Past {
            id: if over && n == 0 { ATTEMPT } else { ATTEMPT - 1 },
            revision: table.revision(past / 2).unwrap_or_default(),
            outcome: if past % 2 == 1 { Reason::Promoted } else { Reason::Aborted },
            message: String::new(),
            started_at: before(60),
            ended_at: before(60),
        })
        .collect()
}

fn past(table: &Table, s: &LlmRolloutStatus) -> [u8; PAST] {
    let kept = s.history.iter().filter(|_| table.setting.fast_track);
    let mut ended = kept.map(|p| table.number(Some(&p.revision)) * 2 + u8::from(p.outcome == Reason::Promoted));
    std::array::from_fn(|_| ended.next().unwrap_or(0))
}

fn gate(table: &Table, n: usize, g: &Gate) -> GateStatus {
    GateStatus {
        name: GATES[n].0.to_owned(),
        verdict: match g.word {
            Word::Pass => VerdictWord::Pass,
            Word::Fail => VerdictWord::Fail,
            Word::NoData => VerdictWord::NoData,
        },
        value: String::new(),
        limit: table.limits[n].clone(),
        compared: String::new(),
        color: None,
        window: String::new(),
        query: String::new(),
        samples: None,
        at: g.at.map(before),
        no_data_since: g.missing.map(before),
        reason: String::new(),
        step: i32::from(g.step),
    }
}

fn small(number: i32) -> u8 {
    u8::try_from(number).expect("small")
}

/// The small status that a real one stands for.
pub(crate) fn status_of(table: &Table, s: &LlmRolloutStatus) -> Status {
    let attempt = s.attempt.as_ref().map(|a| Attempt {
        revision: table.number(Some(&a.revision)),
        step: small(a.step),
        weight: small(a.weight.tenths() / 10),
        entered: a.step_entered_at.map(age),
        remaining: a.hold_until.map_or(0, |until| age(a.paused_at.unwrap_or(NOW)) - age(until)),
        clock: age(a.clock_from),
        paused: a.paused_at.is_some(),
        over: a.ended_at.is_some(),
        ended: a.ended,
        cleared: a.cleared_at.is_some(),
        bake: small(a.bake),
        skipped: a.skipped,
        promoted: a.promoted,
        fast: a.fast_track,
        asked: a.asked.is_some(),
    });
    let intent = s.intent.as_ref().map(|i| Intent {
        revision: table.number(Some(&i.revision)),
        step: small(i.step),
        weight: small(i.weight.tenths() / 10),
        age: age(i.at),
    });
    let gate = |n: usize| {
        let g = s.gates.iter().find(|g| g.name == GATES[n].0)?;
        let word = match g.verdict {
            VerdictWord::Pass => Word::Pass,
            VerdictWord::Fail => Word::Fail,
            VerdictWord::NoData | VerdictWord::Undecided => Word::NoData,
        };
        Some(Gate { word, at: g.at.map(age), missing: g.no_data_since.map(age), step: small(g.step) })
    };
    let mut made = Status {
        phase: s.phase,
        active: s.active,
        active_revision: table.number(s.active_revision.as_ref()),
        candidate: s.candidate,
        attempt,
        intent,
        gates: [gate(0), gate(1)],
        aborted: table.number(s.aborted_revision.as_ref()),
        quarrel: s.quarrel.as_ref().map_or(0, |q| small(q.count).min(4)),
        retiring: s.retiring.as_ref().map(|r| Retiring {
            color: r.color,
            revision: table.number(Some(&r.revision)),
            age: age(r.since),
        }),
        approved: people::approved(table.setting, &s.approvals),
        heard: people::heard(&s.orders),
        past: past(table, s),
    };
    made.cut();
    made
}

/// The slot of a color.
pub(crate) fn slot(things: &Things, color: Color) -> &Slot {
    &things.slots[index(color)]
}
