//! What is seen around a rollout, out of bytes: both colors, routers, readings, orders, other rollouts. Most of it fits
//! the status; nothing of it has to. Never what is written in the rollout: that is `anything`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use llmrollout::{
    api::{
        LlmRollout, LlmRolloutStatus, Moment, Percent, Reason, labels,
        release::{PodTemplate, Template},
        status::Color,
    },
    decide::{
        Intent, Snapshot, adopt, decide,
        intent::{Owned, OwnedKind},
        release::wanted,
        snapshot::{
            Adoptee, ColorSeen, DependencySeen, DeploymentSeen, GateSetSeen, GateSets, JobSeen, OrderSeen, OwnedSeen,
            PriceListSeen, Rival, ScaleSeen, Standing, Stuck,
        },
        workload::{self, Made, Role},
    },
    metrics::{NoData, Question, Reading, Sample, reading::Weighed},
    routers::{
        Claim, Follows, Place, RouterSeen, Seen, Shares, Trouble,
        split::{Scale, Weights},
    },
    stats::{Count, gate::Evidence, strata::Health},
};
use serde_json::json;

use super::{
    anything::{self, NOW},
    draw::Draw,
    objects::offers,
};

/// A snapshot out of bytes; none when the rollout cannot be read.
pub(crate) fn snapshot(bytes: &[u8]) -> Option<Snapshot> {
    let d = &mut Draw::new(bytes);
    let rollout = anything::rollout(d)?;
    let status = rollout.status.clone().unwrap_or_default();
    let now = Moment::from_unix(d.mostly(NOW, &[NOW + 86_400, NOW - 86_400, 0, -62_135_596_800, 253_402_200_000]));
    let watching_since = Moment::from_unix(now.unix() - d.pick(&[3600, 100_000, 10, 0, -5]));
    let wanted = wanted(&rollout.spec.release).unwrap_or_default();
    let mut snapshot = Snapshot {
        now,
        watching_since,
        live: !d.sometimes(),
        blue: color(d, &rollout, Color::Blue, &wanted),
        green: color(d, &rollout, Color::Green, &wanted),
        routers: routers(d, &rollout, &status),
        rival: d.rarely().then(|| Rival { name: "older".into(), router: "httpRoute/chat".into() }),
        readings: BTreeMap::new(),
        orders: orders(d, &status),
        dependencies: dependencies(d, &rollout),
        gate_sets: gate_sets(d, &rollout),
        price_list: PriceListSeen::Missing,
        jobs: BTreeMap::new(),
        cron_jobs: BTreeMap::from([("eval".to_owned(), json!({"spec": {"template": {"spec": {"containers": []}}}}))]),
        succeeded: BTreeMap::new(),
        grants: Vec::new(),
        offers: Arc::new(offers()),
        meant: None,
        adoptee: adoptee(d, &rollout),
        rollout: Arc::new(rollout),
    };
    // What would be asked if nothing were known yet is what may have been answered.
    let young = Snapshot { watching_since: now, ..snapshot.clone() };
    let first = decide(&young);
    for question in first.asks {
        let answers = readings(d, &question, now);
        snapshot.readings.insert(question, answers);
    }
    let begun = first.intents.iter().filter_map(|intent| match intent {
        Intent::Apply(owned) if owned.kind == OwnedKind::Job => Some(owned.name.clone()),
        Intent::Apply(_) | Intent::Patch(_) | Intent::Put(_) | Intent::Delete { .. } | Intent::Scale { .. } => None,
    });
    snapshot.jobs = jobs(d, begun, now);
    if snapshot.rollout.spec.gates.iter().any(|gate| gate.job.is_some()) && d.rarely() {
        snapshot.cron_jobs.clear();
    }
    Some(snapshot)
}

/// The Job of another stage, which was a good one.
pub(crate) const OTHER_JOB: &str = "chat-other";

/// Most Jobs that would be begun are over and were good; beside them lies a good one of another stage.
fn jobs(d: &mut Draw<'_>, begun: impl Iterator<Item = String>, now: Moment) -> BTreeMap<String, JobSeen> {
    let done =
        |by: i64, words: &str| JobSeen::Done { at: Moment::from_unix(now.unix() + by), words: Ok(words.to_owned()) };
    let good = done(-5, r#"{"accuracy": 0.97, "of": "x"}"#);
    let odd = [
        done(-5, r#"{"accuracy": 0.5}"#),
        done(-5, r#"{"accuracy": "0.97"}"#),
        done(-5, r#"{"accuracy": 1e999}"#),
        done(-5, r#"{"precision": 0.97}"#),
        done(-100_000, r#"{"accuracy": 0.97}"#),
        done(100_000, r#"{"accuracy": 0.97}"#),
        done(-5, "0.97"),
        JobSeen::Done { at: now, words: Err("its pod left no termination message") },
        JobSeen::Failed { why: "it failed", words: None },
        JobSeen::Running,
    ];
    let other = (OTHER_JOB.to_owned(), good.clone());
    let mut all: BTreeMap<String, JobSeen> =
        begun.map(|name| (name, if d.sometimes() { d.pick(&odd) } else { good.clone() })).collect();
    all.extend([other]);
    all
}

fn adoptee(d: &mut Draw<'_>, rollout: &LlmRollout) -> Option<Adoptee> {
    adopt::wanted(rollout)?;
    let selector = BTreeMap::from([("app".to_owned(), "old".to_owned())]);
    let object = OwnedSeen { ours: d.sometimes(), version: "5".to_owned(), ..OwnedSeen::default() };
    let selector = d.mostly(Some(selector), &[None, Some(BTreeMap::new())]);
    let there = Adoptee { object, selector, as_written: d.sometimes(), labelled: d.sometimes() };
    (!d.rarely()).then_some(there)
}

fn color(d: &mut Draw<'_>, rollout: &LlmRollout, color: Color, wanted: &str) -> ColorSeen {
    let active = rollout.status.as_ref().and_then(|s| s.active);
    let role = if active == Some(color) { Role::Active } else { Role::Candidate };
    // Where nobody makes anything for us, somebody else's objects may bear our names.
    let template = Template {
        replicas: Some(2),
        port: 8000,
        pod_template: PodTemplate::default(),
        adopt: None,
        ready_timeout: None,
    };
    let made = Made::of(rollout).unwrap_or(Made { rollout, template: &template });
    let deployment = workload::deployment(made, color, wanted, role);
    let pods = d.pick(&[2, 2, 2, 1, 0]);
    let seen = DeploymentSeen {
        object: object(d, &deployment),
        revision: d.mostly(Some(wanted.to_owned()), &[None, Some("bbbbbbbbbbbb".to_owned())]),
        template: workload::note(&deployment, labels::TEMPLATE).map(ToOwned::to_owned),
        wanted: d.mostly(2, &[0, 1, 10_000]),
        ready: pods,
        settled: !d.rarely(),
    };
    let service = object(d, &workload::service(made, color));
    ColorSeen {
        deployment: (!d.rarely()).then_some(seen),
        service: (!d.rarely()).then_some(service),
        ready: d.mostly(pods, &[0, 1, 2]),
        stuck: d
            .mostly(Vec::new(), &[vec![Stuck { pod: "chat-green-1".into(), revision: None, why: "é".repeat(900) }]]),
        changed_at: d.mostly(None, &[-40, 0, 40, 1 << 40].map(|by| Some(Moment::from_unix(NOW + by)))),
        scales: if rollout.spec.release.pair.is_some() { vec![scale(d, color)] } else { Vec::new() },
    }
}

fn scale(d: &mut Draw<'_>, color: Color) -> ScaleSeen {
    let path = format!("/apis/apps/v1/namespaces/llm/deployments/chat-{}/scale", color.word());
    let there = ScaleSeen::There { path, wanted: d.mostly(2, &[0, 1, -1, 10_000]), version: "11".to_owned() };
    d.mostly(there, &[ScaleSeen::Gone, ScaleSeen::Untold("forbidden".to_owned())])
}

fn object(d: &mut Draw<'_>, owned: &Owned) -> OwnedSeen {
    let applied = workload::note(owned, labels::APPLIED).map(ToOwned::to_owned);
    OwnedSeen {
        ours: !d.rarely(),
        applied: d.mostly(applied, &[None, Some("stale".to_owned())]),
        version: "11".to_owned(),
        owner_index: d.mostly(Some(0), &[None, Some(1)]),
    }
}

fn routers(d: &mut Draw<'_>, rollout: &LlmRollout, status: &LlmRolloutStatus) -> Vec<RouterSeen> {
    let candidate = status.candidate.or(status.active.map(Color::other)).unwrap_or(Color::Blue);
    let running = status.attempt.as_ref().filter(|a| a.ended_at.is_none());
    let confirmed = running.map_or(Percent::NONE, |a| a.weight);
    let intended = status.intent.as_ref().map_or(confirmed, |i| i.weight);
    let mut all = Vec::new();
    for claim in rollout.spec.traffic.iter().filter_map(Claim::of) {
        let at = d.pick(&[confirmed, confirmed, intended]);
        let share = d.mostly(claim.share_at(at), &[0, 5, 50, 500, 1000].map(Percent::of_tenths));
        let place = match claim {
            Claim::Webhook(w) => Place::Webhook { name: w.name.clone() },
            Claim::Service(s) => Place::Selector { service: s.name.clone(), key: labels::COLOR.to_owned() },
            // A share is a share, wherever it stands.
            _ => Place::Weights {
                namespace: None,
                kind: claim.object().0,
                name: claim.object().1.to_owned(),
                weights: Weights {
                    list: "/spec/rules/0/backendRefs".to_owned(),
                    field: "name",
                    blue: (0, json!({"name": "chat-blue", "port": 8000})),
                    green: (1, json!({"name": "chat-green", "port": 8000})),
                    scale: Scale::HUNDRED,
                    out: if share == 0 && d.rarely() { Some(candidate) } else { None },
                },
            },
        };
        let selector = matches!(claim, Claim::Service(_));
        let whole = if share >= Percent::ALL { Percent::ALL } else { Percent::NONE };
        let seen = Seen {
            version: "9".to_owned(),
            shares: Shares::giving(candidate, if selector { whole } else { share.clamp(Percent::NONE, Percent::ALL) }),
            exact: selector || matches!(claim, Claim::Webhook(_)) || !d.rarely(),
            crosses: Vec::new(),
            pins: d.rarely(),
            follows: d.mostly(Follows::Yes, &[Follows::NotYet, Follows::Refuses("no".to_owned())]),
            place,
            room: None,
        };
        let gone = Trouble { reason: Reason::RouteNotFound, message: "gone".to_owned() };
        all.push(RouterSeen { name: claim.name(), state: if d.rarely() { Err(gone) } else { Ok(seen) } });
    }
    all
}

fn orders(d: &mut Draw<'_>, status: &LlmRolloutStatus) -> Vec<OrderSeen> {
    let attempt = status.attempt.as_ref();
    let count = d.pick(&[0, 0, 0, 0, 0, 1, 2, 0]);
    let one = |n: usize| {
        let verb = d.pick(&["Skip", "Promote", "Approve", "Resume", "Abort", "Reject", "Retry"]);
        let id = attempt.map_or(1, |a| a.id);
        let mut spec =
            json!({"rollout": "chat", "verb": verb, "approver": "ada", "attempt": d.mostly(id, &[1, 2, 99])});
        if verb == "Skip" {
            spec["step"] = json!(d.mostly(attempt.map_or(1, |a| a.step), &[1, 2]));
            spec["bake"] = json!(attempt.map(|a| a.bake).filter(|b| *b > 0));
        }
        if verb == "Approve" {
            spec["before"] = json!(d.pick(&["Full", "Start", "Step/1", "Step/2", "Decommission"]));
            spec["role"] = json!("sre");
        }
        let spec = serde_json::from_value(spec).unwrap();
        OrderSeen { name: format!("order-{n}"), uid: format!("uid-{n}"), at: Moment::from_unix(NOW - 10), spec }
    };
    (0..count).map(one).collect()
}

fn dependencies(d: &mut Draw<'_>, rollout: &LlmRollout) -> Vec<DependencySeen> {
    let standings = [Standing::Baked, Standing::Completed, Standing::UnderWay, Standing::TakenBack, Standing::Missing];
    let all = rollout.spec.depends_on.iter();
    all.map(|other| DependencySeen { name: other.name.clone(), standing: d.pick(&standings) }).collect()
}

/// Sets that are there, mostly; some are missing, empty, or name gates that the rollout has too.
fn gate_sets(d: &mut Draw<'_>, rollout: &LlmRollout) -> GateSets {
    let gate = |name: &str| json!({"name": name, "metric": "errorRate", "max": "1%"});
    let sets = [
        json!([gate("errors")]),
        json!([gate("set-errors"), {"name": "set-p95", "metric": "latency", "quantile": "0.95", "max": "1.5s"}]),
        json!([gate("cost"), {"gateSet": "more"}]),
        json!([]),
    ];
    let mut seen = GateSets::new();
    for name in rollout.spec.gates.iter().filter_map(|g| g.gate_set.as_ref()) {
        let gates = serde_json::from_value(d.pick(&sets)).unwrap();
        let set = if d.rarely() { GateSetSeen::Missing } else { GateSetSeen::There(gates) };
        seen.insert(name.clone(), set);
    }
    seen
}

/// Most answers are good, fresh and on enough requests.
fn readings(d: &mut Draw<'_>, question: &Question, now: Moment) -> Vec<Reading> {
    let silence = question.samples.to_string().contains("max_over_time");
    let good = Sample { value: if silence { 0.0 } else { 0.000_1 }, samples: 500.0 };
    let odd = [
        Ok(Sample { value: 3.0, samples: 500.0 }),
        Ok(Sample { value: 300.0, samples: 500.0 }),
        Ok(Sample { value: f64::NAN, samples: 500.0 }),
        Ok(Sample { value: f64::NEG_INFINITY, samples: 500.0 }),
        Ok(Sample { samples: 49.0, ..good }),
        Ok(Sample { samples: f64::INFINITY, ..good }),
        Ok(Sample { value: -0.0, samples: 0.0 }),
        Err(NoData::Empty),
        Err(NoData::Late),
    ];
    let weighed = question.raw.as_ref().map(|_| weighed(d));
    let count = d.pick(&[3_i64, 1, 4, 0]);
    let newest = now.unix() - d.mostly(5, &[0, 50, 51, 66, 3600, -10]);
    let one = |n: i64| Reading {
        at: Moment::from_unix(newest - 15 * (count - 1 - n)),
        window: Duration::from_mins(1),
        outcome: if d.sometimes() { d.pick(&odd) } else { Ok(good) },
        names: d.mostly(question.names.clone(), &[Vec::new(), question.names.iter().take(1).cloned().collect()]),
        weighed: weighed.clone(),
    };
    (0..count).map(one).collect()
}

/// Most evidence is good; some proves the contrary, some nothing, and some is odd.
fn weighed(d: &mut Draw<'_>) -> Arc<Weighed> {
    let count = Count::new(500.0, 5.0);
    let good = Evidence {
        fail: -5.0,
        pass: 9.0,
        needed_pass: 3.0,
        environment: false,
        split_wrong: false,
        health: Health::default(),
        green: count,
        blue: count,
        green_interval: Some((0.004, 0.02)),
        blue_interval: Some((0.004, 0.02)),
        needed: Some(0.0),
    };
    let odd = [
        Evidence { fail: 9.0, ..good },
        Evidence { pass: 2.9, needed: Some(7.0), ..good },
        Evidence { pass: f64::NAN, fail: f64::NAN, needed: Some(f64::NAN), ..good },
        Evidence { environment: true, fail: 9.0, ..good },
        Evidence { split_wrong: true, ..good },
        Evidence { health: Health { gap: true, ..good.health }, ..good },
        Evidence { health: Health { inconsistent: true, ..good.health }, ..good },
        Evidence { green: Count::default(), blue: Count::default(), blue_interval: None, ..good },
    ];
    let mut one = || if d.sometimes() { d.pick(&odd) } else { good };
    Arc::new(Weighed { views: vec![one(), one()], state: "[]".to_owned(), corrected: None })
}
