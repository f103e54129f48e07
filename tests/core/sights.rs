//! What is seen around a rollout, out of bytes: both colors, routers, readings, orders, other rollouts. Most of it fits
//! the status; nothing of it has to. Never what is written in the rollout: that is `anything`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use kube::core::DynamicObject;
use llmrollout::{
    api::{
        LlmRollout, LlmRolloutStatus, Moment, Percent, Reason,
        aside::Aside,
        labels,
        release::{PodTemplate, Template},
        status::Color,
    },
    decide::{
        Intent, Snapshot, adopt, crossing, decide,
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
        self, Claim, Follows, Found, Place, RouterSeen, Seen, Shares, Trouble,
        aside::Wanted,
        grant::{Grant, Reference},
        split::{Scale, Weights},
    },
    stats::{Count, gate::Evidence, strata::Health},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    anything::{self, NOW},
    draw::Draw,
    json_patch::obeys,
    objects::{all_features, feature_flag, member, offers, rewrite, route},
};

/// A snapshot out of bytes; none when the rollout cannot be read.
pub(crate) fn snapshot(bytes: &[u8]) -> Option<Snapshot> {
    let d = &mut Draw::new(bytes);
    let rollout = anything::rollout(d)?;
    let status = rollout.status.clone().unwrap_or_default();
    let now = Moment::from_unix(d.mostly(NOW, &[NOW + 86_400, NOW - 86_400, 0, -62_135_596_800, 253_402_200_000]));
    let watching_since = Moment::from_unix(now.unix() - d.pick(&[3600, 100_000, 10, 0, -5]));
    let wanted = wanted(&rollout.spec.release).unwrap_or_default();
    let grants = grants(d, &rollout);
    let mut snapshot = Snapshot {
        now,
        watching_since,
        live: !d.sometimes(),
        blue: color(d, &rollout, Color::Blue, &wanted),
        green: color(d, &rollout, Color::Green, &wanted),
        routers: routers(d, &rollout, &status, &grants),
        rival: d.rarely().then(|| Rival { name: "older".into(), router: "httpRoute/chat".into() }),
        readings: BTreeMap::new(),
        orders: orders(d, &status),
        dependencies: dependencies(d, &rollout),
        gate_sets: gate_sets(d, &rollout),
        price_list: PriceListSeen::Missing,
        jobs: BTreeMap::new(),
        cron_jobs: BTreeMap::from([("eval".to_owned(), json!({"spec": {"template": {"spec": {"containers": []}}}}))]),
        succeeded: BTreeMap::new(),
        called: BTreeMap::new(),
        grants,
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
        capacity: None,
        autoscaler: None,
    };
    let made = Made::of(rollout).unwrap_or(Made { rollout, template: &template });
    let deployment = workload::deployment(made, color, wanted, role, 2);
    let pods = d.pick(&[2, 2, 2, 1, 0]);
    let seen = DeploymentSeen {
        object: object(d, &deployment),
        revision: d.mostly(Some(wanted.to_owned()), &[None, Some("bbbbbbbbbbbb".to_owned())]),
        uid: "d".to_owned(),
        template: workload::note(&deployment, labels::TEMPLATE).map(ToOwned::to_owned),
        wanted: d.mostly(2, &[0, 1, 10_000]),
        ready: pods,
        settled: !d.rarely(),
    };
    let scaler = object(d, &deployment);
    let service = object(d, &workload::service(made, color));
    ColorSeen {
        deployment: (!d.rarely()).then_some(seen),
        service: (!d.rarely()).then_some(service),
        ready: d.mostly(pods, &[0, 1, 2]),
        addresses: Vec::new(),
        stuck: d
            .mostly(Vec::new(), &[vec![Stuck { pod: "chat-green-1".into(), revision: None, why: "é".repeat(900) }]]),
        changed_at: d.mostly(None, &[-40, 0, 40, 1 << 40].map(|by| Some(Moment::from_unix(NOW + by)))),
        scales: if rollout.spec.release.pair.is_some() { vec![scale(d, color)] } else { Vec::new() },
        scalers: d.mostly(BTreeMap::new(), &OwnedKind::SCALERS.map(|kind| BTreeMap::from([(kind, scaler.clone())]))),
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

/// What a route refers to in other namespaces, by color.
fn crossings(rollout: &LlmRollout, claim: Claim<'_>) -> Vec<(Color, Reference)> {
    let names = claim.object().0.names();
    let here = claim.namespace().unwrap_or("llm");
    let half = |color| rollout.spec.release.pair.as_ref().and_then(|pair| pair.half(color).namespace.as_deref());
    let colors = Color::BOTH.map(|color| (color, half(color).unwrap_or("llm"))).into_iter();
    let crosses = colors.filter(|(_, there)| *there != here && names.word.ends_with("Route"));
    let reference = |there: &str, color: Color| Reference {
        from: [names.group, names.kind, here].map(ToOwned::to_owned),
        to: ["", "Service", there, &format!("chat-{}", color.word())].map(ToOwned::to_owned),
    };
    crosses.map(|(color, there)| (color, reference(there, color))).collect()
}

/// Our own reference to a route of another namespace.
pub(crate) fn to_route(claim: Claim<'_>) -> Option<Reference> {
    let names = claim.object().0.names();
    let to = [names.group, names.kind, claim.namespace()?, claim.object().1].map(ToOwned::to_owned);
    Some(Reference { from: [labels::GROUP, "LlmRollout", "llm"].map(ToOwned::to_owned), to })
}

/// What is needed, and sometimes one less.
fn grants(d: &mut Draw<'_>, rollout: &LlmRollout) -> Vec<Grant> {
    let claims = || rollout.spec.traffic.iter().filter_map(Claim::of);
    let theirs = claims().flat_map(|claim| crossings(rollout, claim)).map(|(_, reference)| reference);
    let mut all: Vec<Reference> = theirs.chain(claims().filter_map(to_route)).collect();
    if !all.is_empty() && d.sometimes() {
        all.remove(usize::from(d.byte()) % all.len());
    }
    let grant = |Reference { from, to }: Reference| {
        let spec = json!({
            "from": [{"group": from[0], "kind": from[1], "namespace": from[2]}],
            "to": [{"group": to[0], "kind": to[1], "name": to[3]}],
        });
        let metadata = json!({"name": "any", "namespace": to[2]});
        let whole = json!({"apiVersion": "v1", "kind": "ReferenceGrant", "metadata": metadata, "spec": spec});
        Grant::read(&serde_json::from_value(whole).unwrap())
    };
    all.into_iter().map(grant).collect()
}

/// Routers of which more is seen than two weights: what they say of an object that holds these shares.
fn as_read(d: &mut Draw<'_>, rollout: &LlmRollout, claim: Claim<'_>, shares: Shares) -> Option<Result<Seen, Trouble>> {
    // In hundredths where they are whole, else in thousandths.
    let each = if shares.blue.is_whole() && shares.green.is_whole() { 10 } else { 1 };
    let [blue, green] = [shares.blue, shares.green].map(|share| i64::from(share.tenths() / each));
    let (mut object, mut second) = match claim {
        Claim::FeatureFlag(_) => (feature_flag(blue, green), None),
        // Between the two writes they add up to anything.
        Claim::LlmInferenceService(g) => {
            (member(&g.blue, d.mostly(blue, &[0, 50, 100])), Some(member(&g.green, green)))
        }
        Claim::ModelRewrite(_) => (rewrite(blue, green), None),
        Claim::HttpRoute(_) if asides(rollout).next().is_some() => (route(blue, green), None),
        _ => return None,
    };
    match claim {
        Claim::FeatureFlag(_) if d.rarely() => {
            object["spec"]["flagSpec"]["flags"]["new-model"]["state"] = json!("DISABLED");
        }
        Claim::LlmInferenceService(_) if d.rarely() => {
            object["spec"]["router"]["route"]["group"] = json!("other");
        }
        _ => {}
    }
    for one in [Some(&mut object), second.as_mut()].into_iter().flatten() {
        one["metadata"]["resourceVersion"] = json!("9");
    }
    if matches!(claim, Claim::HttpRoute(_)) {
        object["spec"]["rules"][0]["name"] = json!("chat");
        beside(d, rollout, claim, &mut object);
    }
    Some(read(claim, &object, second.as_ref()))
}

fn read(claim: Claim<'_>, object: &Value, second: Option<&Value>) -> Result<Seen, Trouble> {
    let [object, second] = [Some(object), second].map(|v| v.map(|v| DynamicObject::deserialize(v).unwrap()));
    let classes = all_features();
    let found = Found { object: object.as_ref(), second: second.as_ref(), classes: &classes, ..Found::default() };
    claim.read(["chat-blue", "chat-green"], found).state
}

/// What dark steps put beside the shares.
fn asides(rollout: &LlmRollout) -> impl Iterator<Item = Aside> {
    let dark = rollout.spec.steps.iter().flatten().filter(|s| !s.testers.is_empty() || s.mirror.is_some());
    dark.map(|s| Aside { testers: s.testers.clone(), mirror: s.mirror.as_ref().map(|_| 10) })
}

/// What stands beside the shares is mostly what status says.
fn beside(d: &mut Draw<'_>, rollout: &LlmRollout, claim: Claim<'_>, object: &mut Value) {
    let status = rollout.status.clone().unwrap_or_default();
    let candidate = status.active.map_or(Color::Green, Color::other);
    let said = status.attempt.filter(|a| a.ended_at.is_none()).map(|a| a.aside).unwrap_or_default();
    let meant = status.intent.map(|i| i.aside).unwrap_or_default();
    let other = asides(rollout).next().unwrap_or_default();
    let aside = d.pick(&[said.clone(), said.clone(), meant, said, other, Aside::default()]);
    let Ok(seen) = read(claim, object, None) else { return };
    let wanted = Wanted { aside: &aside, color: candidate, ours: true };
    for write in routers::write_beside(&seen, seen.shares, wanted) {
        assert!(write.patch().is_some_and(|patch| obeys(object, &patch.ops)), "it is written");
    }
}

fn routers(d: &mut Draw<'_>, rollout: &LlmRollout, status: &LlmRolloutStatus, grants: &[Grant]) -> Vec<RouterSeen> {
    let candidate = status.candidate.or(status.active.map(Color::other)).unwrap_or(Color::Blue);
    let running = status.attempt.as_ref().filter(|a| a.ended_at.is_none());
    let confirmed = running.map_or(Percent::NONE, |a| a.weight);
    let intended = status.intent.as_ref().map_or(confirmed, |i| i.weight);
    let mut all = Vec::new();
    for claim in rollout.spec.traffic.iter().filter_map(Claim::of) {
        if let Some(forbidden) = crossing::forbidden(rollout, claim, &offers(), grants) {
            all.push(RouterSeen { name: claim.name(), state: Err(forbidden) });
            continue;
        }
        let at = d.pick(&[confirmed, confirmed, intended]);
        let share = d.mostly(claim.share_at(at), &[0, 5, 50, 500, 1000].map(Percent::of_tenths));
        let place = match claim {
            Claim::Webhook(w) => Place::Webhook { name: w.name.clone() },
            Claim::Service(s) => Place::Selector { service: s.name.clone(), key: labels::COLOR.to_owned() },
            // A share is a share, wherever it stands.
            _ => Place::Weights {
                namespace: claim.namespace().map(ToOwned::to_owned),
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
            crosses: crossings(rollout, claim),
            pins: d.rarely(),
            follows: d.mostly(Follows::Yes, &[Follows::NotYet, Follows::Refuses("no".to_owned())]),
            place,
            room: None,
        };
        let seen = match as_read(d, rollout, claim, seen.shares) {
            Some(Ok(own)) => Seen { pins: seen.pins, follows: seen.follows, crosses: seen.crosses, ..own },
            Some(Err(trouble)) => {
                all.push(RouterSeen { name: claim.name(), state: Err(trouble) });
                continue;
            }
            None => seen,
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
