//! Golden scenarios: `tests/scenarios/*.txt` are played on the model cluster and must print `*.out`, byte for byte.
//! `UPDATE=1 cargo test` rewrites the outputs; the diff is the behaviour change.

#![expect(clippy::disallowed_methods, reason = "UPDATE=1 asks for new golden files")]

use std::{fmt::Write, fs, sync::Arc};

use llmrollout::{
    api::{LlmGateSetSpec, LlmRolloutSpec, Moment, Phase, labels, status::Color},
    decide::{
        call::Called,
        intent::{Odds, OwnedKind},
        plan::duration,
        snapshot::{JobSeen, OrderSeen, PriceListSeen, Rival, Standing},
    },
    metrics::{NoData, even::Rates},
    routers::{PatchKind, grant::Grant},
    stats::strata::Health,
};
use serde_json::{Value, json};

use super::{
    counted::Rate,
    hook::Mood,
    legacy::Legacy,
    world::{Gateway, Signal, World},
};

const MANIFEST: &str = include_str!("../scenarios/manifest.yaml");

#[test]
fn scenarios_print_what_they_printed() {
    let folder = super::files::top("tests/scenarios");
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|f| f.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "txt"));
    files.sort();
    assert!(files.len() >= 60, "only {} scenarios found", files.len());
    let mut wrong = Vec::new();
    for file in files {
        // A few tell what is different; the rest would only take time.
        if wrong.len() == 3 {
            break;
        }
        let printed = play(&fs::read_to_string(&file).unwrap());
        let golden = file.with_extension("out");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&golden, &printed).unwrap();
        } else if fs::read_to_string(&golden).unwrap_or_default() != printed {
            wrong.push(format!("{}:\n{printed}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "changed; run with UPDATE=1 and read the diff\n{}", wrong.join("\n"));
}

/// Plays a script and prints each command with what followed from it.
fn play(script: &str) -> String {
    let mut world = World::new(MANIFEST);
    let mut out = String::new();
    for line in script.lines() {
        if line.starts_with('#') || line.trim().is_empty() {
            writeln!(out, "{line}").unwrap();
            continue;
        }
        command(&mut world, line);
        writeln!(out, "> {line}").unwrap();
        for said in world.log.drain(..) {
            writeln!(out, "{said}").unwrap();
        }
        writeln!(out, "= {}", columns(&world)).unwrap();
    }
    whole(&world, &mut out);
    out
}

/// The world after the first command of a script with which it is so.
pub(crate) fn until(script: &str, is_so: impl Fn(&World) -> bool) -> World {
    let mut world = World::new(MANIFEST);
    for line in script.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        command(&mut world, line);
        if is_so(&world) {
            return world;
        }
    }
    panic!("it never came to that");
}

/// The whole status that a script ends with, a line for each field, after what is told of evidence.
fn whole(world: &World, out: &mut String) {
    for odds in &world.odds {
        let Odds { gate, fail, pass, seconds } = odds;
        let eta = seconds.map_or("unknown".to_owned(), |s| format!("{s:.0}s"));
        writeln!(out, "odds of {gate}: 10^{fail:.2} that it fails, 10^{pass:.2} that it passes, which takes {eta}")
            .unwrap();
    }
    let Some(status) = &world.rollout.status else { return };
    let Value::Object(fields) = serde_json::to_value(status).unwrap() else { panic!("a status is an object") };
    for (name, value) in fields {
        match value {
            Value::Array(items) => items.iter().for_each(|item| writeln!(out, "{name}: {item}").unwrap()),
            value => writeln!(out, "{name}: {value}").unwrap(),
        }
    }
}

fn columns(world: &World) -> String {
    let Some(s) = &world.rollout.status else { return "(no status)".into() };
    let phase = s.phase.map_or("-".to_owned(), |p: Phase| format!("{p:?}"));
    let reason = s.reason.map_or("-", llmrollout::api::Reason::word);
    let (blue, green) = world.shares();
    let active = s.active.map_or("-", Color::word);
    format!("{phase} {} {} [{reason}] active {active} route {blue}/{green} | {}", s.step, s.weight, s.summary)
}

fn command(world: &mut World, line: &str) {
    if let Some(change) = line.strip_prefix("spec ") {
        let change: Value = serde_saphyr::from_str(change).unwrap();
        return world.edit(|r| r.spec = merged(&r.spec, &change));
    }
    if let Some(list) = line.strip_prefix("price-list ") {
        return price_list(world, list);
    }
    if let Some(set) = line.strip_prefix("gate-set ") {
        return gate_set(world, set);
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["record", rest @ ..] => record(world, rest),
        ["settle"] => world.settle(),
        ["tick", by] => world.tick(duration(by).unwrap()),
        ["image", tag] => {
            let image = json!(format!("registry.example/chat:{tag}"));
            world.edit(|r| {
                r.spec.release.template.as_mut().unwrap().pod_template.0["spec"]["containers"][0]["image"] = image;
            });
        }
        ["replicas", n] => world.edit(|r| {
            r.spec.release.template.as_mut().unwrap().replicas = Some(n.parse().unwrap());
        }),
        ["paused", v] => world.edit(|r| r.spec.paused = v.parse().unwrap()),
        ["abort", v] => world.edit(|r| r.spec.abort = v.parse().unwrap()),
        ["steps", weights] => {
            let steps: Vec<_> =
                weights.split(',').map(|w| json!({"weight": w.parse::<i32>().unwrap(), "hold": "60s"})).collect();
            world.edit(|r| r.spec.steps = serde_json::from_value(json!(steps)).unwrap());
        }
        ["provider", name] => world.edit(|r| r.spec.metrics.provider = Some((*name).to_owned())),
        ["no-data", then] => world.edit(|r| {
            for gate in &mut r.spec.gates {
                gate.no_data = serde_json::from_value(json!({"budget": "120s", "then": then})).unwrap();
            }
        }),
        ["signal", gate, value, samples] => {
            let signal = Signal::Value(value.parse().unwrap(), samples.parse().unwrap());
            world.signals.insert(gate_name(gate), signal);
        }
        ["cron-job" | "job" | "answered", ..] => job(world, &words),
        ["odd", gate] => drop(
            world.signals.insert(gate_name(gate), Signal::Silent(NoData::WrongShape("a string instead of a number"))),
        ),
        ["counted" | "samples" | "blind" | "split", gate, rest @ ..] => counted(world, gate_name(gate), words[0], rest),
        ["silent", gate] => drop(world.signals.insert(gate_name(gate), Signal::Silent(NoData::Empty))),
        _ => disturbance(world, &words),
    }
}

/// The record of the attempts: kept from now on, of pages that do not arrive or arrive again, or printed.
fn record(world: &mut World, words: &[&str]) {
    let now = world.now;
    let book = world.book.get_or_insert_default();
    match words {
        [] => {}
        ["lost", lost] => book.lost = lost.parse().unwrap(),
        ["of", attempt] => world.log.extend(book.told(attempt.parse().unwrap())),
        ["tell", attempt, unheard @ ..] => {
            world.log.extend(book.tell(attempt.parse().unwrap(), now, unheard.first().copied()));
        }
        _ => panic!("unknown about a record: {words:?}"),
    }
}

/// What is run for the rollout, and what is asked of its candidate, and how that ends.
fn job(world: &mut World, words: &[&str]) {
    match words {
        ["cron-job", name] => {
            let spec = json!({"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "eval"}]}}});
            drop(world.cron_jobs.insert((*name).to_owned(), json!({"spec": spec})));
        }
        ["cron-job", name, "gone"] => drop(world.cron_jobs.remove(*name)),
        ["cron-job", name, "succeeds"] => drop(world.succeeded.insert((*name).to_owned(), world.now)),
        ["job", "fails", said @ ..] => {
            let words = (!said.is_empty()).then(|| said.join(" "));
            world.end(JobSeen::Failed { why: "its pods failed too often", words });
        }
        ["job", "ends"] => {
            world.end(JobSeen::Done { at: world.now, words: Err("its pod left no termination message") });
        }
        ["job", "gone"] => world.lose(),
        ["answered", "bad", why @ ..] => world.answer(&Called::Bad(why.join(" "))),
        ["answered", numbers @ ..] => {
            let numbers = serde_saphyr::from_str(&numbers.join(" ")).unwrap();
            world.answer(&Called::Good { words: "answered 200 in 40ms".into(), numbers });
        }
        ["job", "says", said @ ..] => {
            let words = Ok(said.join(" "));
            world.end(JobSeen::Done { at: world.now, words });
        }
        _ => panic!("unknown command: {}", words.join(" ")),
    }
}

/// `price-list {asOf: …}` or `price-list gone`.
fn price_list(world: &mut World, line: &str) {
    let gone = line == "gone";
    let there = || PriceListSeen::There(serde_saphyr::from_str(line).unwrap());
    world.price_list = if gone { PriceListSeen::Missing } else { there() };
}

/// `gate-set NAME {gates: […]}` or `gate-set NAME gone`.
fn gate_set(world: &mut World, line: &str) {
    let (name, rest) = line.split_once(' ').expect("a name and a set");
    if rest == "gone" {
        return drop(world.gate_sets.remove(name));
    }
    let set: LlmGateSetSpec = serde_saphyr::from_str(rest).unwrap();
    world.gate_sets.insert(name.to_owned(), set.gates);
}

/// A spec with a change merged into it, as `kubectl patch --type merge` does.
pub(crate) fn merged(spec: &LlmRolloutSpec, change: &Value) -> LlmRolloutSpec {
    fn merge(into: &mut Value, change: &Value) {
        let (Value::Object(into), Value::Object(change)) = (&mut *into, change) else {
            *into = change.clone();
            return;
        };
        for (key, value) in change {
            if value.is_null() {
                into.remove(key);
            } else {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
    }
    let mut value = serde_json::to_value(spec).unwrap();
    merge(&mut value, change);
    serde_json::from_value(value).unwrap()
}

/// `order Approve before=Full role=sre by=ada`: a person's word; attempt and step are those under way unless given.
fn order(world: &mut World, verb: &str, given: &[&str]) {
    let attempt = world.rollout.status.as_ref().and_then(|s| s.attempt.clone());
    let mut spec = json!({
        "rollout": "chat", "verb": verb, "approver": "ada", "attempt": attempt.as_ref().map_or(1, |a| a.id),
    });
    if verb == "Skip" {
        spec["step"] = json!(attempt.as_ref().map_or(1, |a| a.step));
        spec["bake"] = attempt.filter(|a| a.bake > 0).map_or(Value::Null, |a| json!(a.bake));
    }
    for pair in given {
        let (key, value) = pair.split_once('=').expect("key=value");
        let key = if key == "by" { "approver" } else { key };
        spec[key] = value.parse::<i64>().map_or_else(|_| json!(value.replace('_', " ")), |n| json!(n));
    }
    let number = world.orders.len() + 1;
    world.orders.push(OrderSeen {
        name: format!("order-{number}"),
        uid: format!("uid-{number}"),
        at: world.now,
        spec: serde_json::from_value(spec).unwrap(),
    });
}

fn standing(word: &str) -> Standing {
    match word {
        "missing" => Standing::Missing,
        "under-way" => Standing::UnderWay,
        "taken-back" => Standing::TakenBack,
        "completed" => Standing::Completed,
        "baked" => Standing::Baked,
        _ => panic!("unknown standing {word}"),
    }
}

/// What the gateways have counted of the requests that a statistical gate weighs.
fn counted(world: &mut World, gate: &'static str, what: &str, words: &[&str]) {
    let now = world.now;
    let all = &mut world.counted.rates;
    match (what, words) {
        ("counted", ["nothing"]) => drop(all.remove(gate)),
        ("counted", [rps, candidate, active]) => {
            let [rps, candidate, active] = [rps, candidate, active].map(|n| n.parse().unwrap());
            let rates = Rates { rps, candidate, active, share: None, health: Health::default() };
            all.insert(gate, Rate { rates, blind: false });
        }
        ("samples", ["less"]) => world.counted.lose(gate, now),
        ("samples", [are]) => {
            let is = |word: &str| *are == word;
            let health = Health { gap: is("missing"), inconsistent: is("inconsistent"), ahead: is("ahead") };
            all.get_mut(gate).unwrap().rates.health = health;
        }
        ("blind", []) => all.get_mut(gate).unwrap().blind = true,
        ("split", [share]) => all.get_mut(gate).unwrap().rates.share = Some(share.parse().unwrap()),
        _ => panic!("unknown count {what} {words:?}"),
    }
}

/// Somebody writes shares into a router that is no HTTPRoute.
fn other_router(world: &mut World, words: &[&str]) {
    let [what, blue, green] = words else { panic!("{words:?} names no shares") };
    let [blue, green] = [blue, green].map(|n| n.parse().unwrap());
    let edited = |mut object: Value| {
        object["metadata"]["resourceVersion"] = json!("edited");
        Arc::new(object)
    };
    match *what {
        "virtual-service" => world.virtual_service = Some(edited(super::objects::virtual_service(blue, green))),
        "grpc-route" => world.grpc_route = Some(edited(super::objects::grpc_route(blue, green))),
        "feature-flag" => drop(world.more.insert(flag(), edited(super::objects::feature_flag(blue, green)))),
        "rewrite" => {
            let rewrite = edited(super::objects::rewrite(blue, green));
            drop(world.more.insert((PatchKind::ModelRewrite, "chat".to_owned()), rewrite));
        }
        _ => panic!("no router is called {what}"),
    }
}

/// Somebody changes an object of another owner.
fn of_others(world: &mut World, words: &[&str]) {
    match words {
        ["member", name, weight] => {
            let mut member = super::objects::member(name, weight.parse().unwrap());
            member["metadata"]["resourceVersion"] = json!("edited");
            drop(world.more.insert((PatchKind::LlmInferenceService, (*name).to_owned()), member.into()));
        }
        ["member-gone", name] => drop(world.more.remove(&(PatchKind::LlmInferenceService, (*name).to_owned()))),
        ["legacy", image, label] => world.legacy = Some(Legacy::new(image, Some(label))),
        ["legacy-ready", pods] => world.legacy.as_mut().unwrap().ready = pods.parse().unwrap(),
        ["legacy", image] => world.legacy = Some(Legacy::new(image, None)),
        ["feature-flag-is", field, value] => {
            let flag = Arc::make_mut(world.more.get_mut(&flag()).unwrap());
            flag["spec"]["flagSpec"]["flags"]["new-model"][field] = serde_saphyr::from_str(value).unwrap();
            flag["metadata"]["resourceVersion"] = json!("edited");
        }
        _ => panic!("unknown change: {}", words.join(" ")),
    }
}

fn mood_of(word: &str) -> Mood {
    match word {
        "well" => Mood::Well,
        "hangs" => Mood::Hangs,
        "lies" => Mood::Lies,
        "deaf" => Mood::Deaf,
        "unknown" => Mood::Unknown,
        _ => panic!("unknown mood {word}"),
    }
}

/// What the owners of other namespaces run, and what they allow.
fn allowed_by_others(world: &mut World, words: &[&str]) {
    match words {
        // Somebody else has so many pods of a color, all ready.
        ["others", color, pods] => {
            let slot = world.slots.get_mut(&color_of(color)).unwrap();
            (slot.size, slot.ready) = (pods.parse().unwrap(), pods.parse().unwrap());
        }
        // The owner of a namespace lets routes, or rollouts, of ours refer to what is there.
        ["grant", from, kind, namespace, whose @ ..] => {
            let whose = whose.first().unwrap_or(&"llm");
            let group = if *from == "LlmRollout" { "llmrollout.io" } else { "gateway.networking.k8s.io" };
            let to = if kind.ends_with("Route") { "gateway.networking.k8s.io" } else { "" };
            let spec = json!({"from": [{"group": group, "kind": from, "namespace": whose}], "to": [{"group": to, "kind": kind}]});
            let metadata = json!({"name": "llm", "namespace": namespace});
            let object = json!({"apiVersion": "gateway.networking.k8s.io/v1beta1", "kind": "ReferenceGrant", "metadata": metadata, "spec": spec});
            world.grants.push(Grant::read(&serde_json::from_value(object).unwrap()));
        }
        ["grants", "revoked"] => world.grants.clear(),
        // The backend of green is of another namespace.
        ["route-crosses", namespace] => {
            let route = Arc::make_mut(world.route.as_mut().unwrap());
            route["spec"]["rules"][0]["backendRefs"][1]["namespace"] = json!(namespace);
        }
        // The route is of another namespace, and both backends are of ours.
        ["route-in", namespace] => {
            let route = Arc::make_mut(world.route.as_mut().unwrap());
            route["metadata"]["namespace"] = json!(namespace);
            for backend in 0..2 {
                route["spec"]["rules"][0]["backendRefs"][backend]["namespace"] = json!("llm");
            }
        }
        ["scales", "hidden"] => world.hidden_scales = true,
        ["scales", "seen"] => world.hidden_scales = false,
        _ => panic!("unknown command: {}", words.join(" ")),
    }
}

/// Who else says how many pods there are.
fn scaled(world: &mut World, words: &[&str]) {
    match words {
        ["autoscaler", color, "wants", pods] => world.scaled(color_of(color), pods.parse().unwrap()),
        // Somebody takes pods away.
        ["scales-down", color, pods] => {
            let slot = world.slots.get_mut(&color_of(color)).unwrap();
            slot.deployment.as_mut().unwrap()["spec"]["replicas"] = json!(pods.parse::<i64>().unwrap());
            slot.ready = pods.parse().unwrap();
        }
        // Somebody's own bears the name of one of ours.
        ["foreign-autoscaler", "none"] => world.slots.values_mut().for_each(|slot| slot.scalers.clear()),
        ["foreign-autoscaler", color] => {
            let scalers = &mut world.slots.get_mut(&color_of(color)).unwrap().scalers;
            scalers.insert(OwnedKind::ScaledObject, json!({"spec": {"minReplicaCount": 1, "maxReplicaCount": 9}}));
        }
        _ => panic!("unknown command: {}", words.join(" ")),
    }
}

/// What the world does to the rollout.
fn disturbance(world: &mut World, words: &[&str]) {
    match words {
        ["pods", color, ready] => world.slots.get_mut(&color_of(color)).unwrap().ready = ready.parse().unwrap(),
        // A pod starts anew in place and is ready again at once; what its slices tell of it is gone with their next write.
        ["restarts", color] => world.slots.get_mut(&color_of(color)).unwrap().changed_at = Some(world.now),
        ["forgets", color] => world.slots.get_mut(&color_of(color)).unwrap().changed_at = None,
        ["exposes", color, begins @ ..] => drop(world.exposed.insert(color_of(color), begins.join(" "))),
        ["scraped", every] => world.scraped = every.parse().ok(),
        ["others" | "grant" | "grants" | "route-crosses" | "route-in" | "scales", ..] => {
            allowed_by_others(world, words);
        }
        ["autoscaler" | "scales-down" | "foreign-autoscaler", ..] => scaled(world, words),
        ["crashloop", color] => world.slots.get_mut(&color_of(color)).unwrap().comes_up = false,
        // Of the revision that the color was last applied with.
        ["stuck", color, why @ ..] => {
            let slot = world.slots.get_mut(&color_of(color)).unwrap();
            let revision = slot.deployment.as_ref().unwrap()["metadata"]["annotations"][labels::REVISION].as_str();
            slot.stuck = Some((revision.unwrap().to_owned(), why.join(" ")));
        }
        ["gateway", "follows"] => world.gateway = Gateway::Follows,
        ["gateway", "silent"] => world.gateway = Gateway::Silent,
        ["gateway", "refuses"] => world.gateway = Gateway::Refuses,
        ["order", verb, given @ ..] => order(world, verb, given),
        ["other", name, far] => drop(world.others.insert((*name).to_owned(), standing(far))),
        ["rival", name] => world.rival = Some(Rival { name: (*name).to_owned(), router: "httpRoute/chat".into() }),
        ["no-rival"] => world.rival = None,
        // Caches go on showing what is not so any more, until they are right.
        ["caches", "right"] => world.stale.clear(),
        ["caches", color, ready] => drop(world.stale.insert(color_of(color), ready.parse().unwrap())),
        ["questions"] => world.questions(),
        ["finalizer", name] => {
            world.edit(|r| r.metadata.finalizers.get_or_insert_default().insert(0, (*name).to_owned()));
        }
        ["api", "refuses"] => world.refuse_writes = true,
        ["api", "works"] => world.refuse_writes = false,
        ["forget-status"] => Arc::make_mut(&mut world.rollout).status = None,
        ["away", by] => {
            world.now = world.now.plus(duration(by).unwrap());
            disturbance(world, &["restart"]);
        }
        ["restart"] => {
            world.called.clear();
            world.began = world.now;
            world.readings.clear();
            world.counted.forget();
            world.asks.clear();
        }
        ["delete"] => {
            let now = k8s_openapi::jiff::Timestamp::from_second(world.now.unix()).unwrap();
            world.edit(|r| {
                r.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now));
            });
        }
        ["at", seconds] => world.now = Moment::from_unix(seconds.parse().unwrap()),
        _ => of_routers(world, words),
    }
}

/// What the world does to what carries traffic.
fn of_routers(world: &mut World, words: &[&str]) {
    match words {
        ["route", blue, green] => {
            let mut route = super::objects::route(blue.parse().unwrap(), green.parse().unwrap());
            route["metadata"]["resourceVersion"] = json!("edited");
            world.route = Some(route.into());
        }
        ["route-gone"] => world.route = None,
        [
            "route-pins"
            | "third-backend"
            | "git-takes-the-rule-out"
            | "git-takes-the-filter-out"
            | "copies-to"
            | "rule-named"
            | "rule-for-testers",
            ..,
        ] => change_route(world, words),
        ["grpc-route" | "virtual-service" | "feature-flag" | "rewrite", ..] => other_router(world, words),
        ["member" | "member-gone" | "feature-flag-is" | "legacy" | "legacy-ready", ..] => of_others(world, words),
        ["grpc-route-gone"] => world.grpc_route = None,
        ["gateway-announces", features @ ..] => world.announce(features),
        ["webhook", mood] => world.webhook.mood = mood_of(mood),
        ["webhook", blue, green] => world.webhook.set(blue.parse().unwrap(), green.parse().unwrap()),
        _ => panic!("unknown command: {}", words.join(" ")),
    }
}

/// Somebody else changes the rules of the route.
fn change_route(world: &mut World, words: &[&str]) {
    let route = Arc::make_mut(world.route.as_mut().unwrap());
    let rules = route["spec"]["rules"].as_array_mut().unwrap();
    match words {
        // Beside a third backend, which has a hundred.
        ["third-backend", blue] => {
            let third = json!({"name": "chat-old", "port": 8000, "weight": 100});
            let refs = rules[0]["backendRefs"].as_array_mut().unwrap();
            refs[0]["weight"] = json!(blue.parse::<i32>().unwrap());
            refs.truncate(2);
            refs.push(third);
        }
        ["route-pins"] => rules[0]["sessionPersistence"] = json!({"sessionName": "chat", "type": "Cookie"}),
        // What a tool does that holds the route to a Git in which there is no rule for testers.
        ["git-takes-the-filter-out"] => drop(rules[0].as_object_mut().unwrap().remove("filters")),
        ["copies-to", name] => {
            let mirror = json!({"backendRef": {"name": name, "port": 8000}});
            rules[0]["filters"] = json!([{"type": "RequestMirror", "requestMirror": mirror}]);
        }
        ["git-takes-the-rule-out"] => rules.truncate(1),
        ["rule-named", name] => rules[0]["name"] = json!(name),
        ["rule-for-testers", to] => {
            let mut made = rules[0].clone();
            made["name"] = json!(format!("llmrollout-match.{to}.{}", made["name"].as_str().unwrap()));
            made["backendRefs"] = json!([{"name": to, "port": 8000, "weight": 100}]);
            rules.push(made);
        }
        _ => panic!("unknown change: {}", words.join(" ")),
    }
    route["metadata"]["resourceVersion"] = json!("edited");
}

fn flag() -> (PatchKind, String) {
    (PatchKind::FeatureFlag, "chat".to_owned())
}

fn color_of(word: &str) -> Color {
    Color::BOTH.into_iter().find(|c| c.word() == word).expect("blue or green")
}

fn gate_name(word: &str) -> &'static str {
    let known = [
        "errors",
        "p95",
        "cost",
        "requests",
        "alerts",
        "score",
        "active-score",
        "active-errors",
        "active-p95",
        "active-cost",
        "active-requests",
    ];
    known.into_iter().find(|g| *g == word).expect("errors, p95, cost, score or requests, or the same with `active-`")
}
