//! Rules for testers: where there is no room for one, what of a route that was changed meanwhile is ours, and that a rule
//! asks for what it should.

use llmrollout::{
    api::{aside::Aside, status::Color},
    routers::{self, Out, PatchKind, Seen, Shares, aside::Wanted, mirror::ClassSeen},
};
use serde_json::{Value, json};

use super::{
    json_patch::obeys,
    objects::route,
    routes::{one, read_as, read_without},
};

fn named() -> Value {
    let mut value = route(100, 0);
    value["spec"]["rules"][0]["name"] = json!("chat");
    value
}

fn read(value: &Value) -> Seen {
    read_as(PatchKind::HttpRoute, Some(value), Some("chat")).unwrap()
}

fn aside(testers: &Value) -> Aside {
    serde_json::from_value(json!({"match": testers})).unwrap()
}

fn by_header() -> Aside {
    aside(&json!([{"header": {"name": "x-tester", "value": "yes"}}]))
}

fn wanted(aside: &Aside) -> Wanted<'_> {
    Wanted { aside, color: Color::Green, ours: false }
}

const DARK: Shares = Shares::of_percent(100, 0);

fn with_rule(before: &Value, aside: &Aside) -> Value {
    let mut after = before.clone();
    assert!(obeys(&mut after, &one(routers::write_beside(&read(before), DARK, wanted(aside))).ops));
    after
}

/// What people are told when this is changed in a route that has room.
fn refused(aside: &Aside, change: impl FnOnce(&mut Value)) -> String {
    let mut value = named();
    change(&mut value["spec"]);
    let seen = read_as(PatchKind::HttpRoute, Some(&value), None).unwrap();
    seen.room.expect("an HTTPRoute").refuses(wanted(aside)).unwrap_or_default()
}

#[test]
fn where_there_is_no_room_people_are_told_what_to_write() {
    let rule = |n: usize| json!({"name": format!("r{n}"), "matches": [{"path": {"value": format!("/{n}")}}], "backendRefs": [{"name": "other"}]});
    let one = by_header();
    let two = aside(&json!([{"header": {"name": "a", "value": "1"}}, {"cookie": {"name": "b", "value": "1"}}]));
    assert_eq!(refused(&two, |_| {}), "");
    assert_eq!(refused(&Aside::default(), |spec| spec["rules"][0]["name"] = Value::Null), "", "nothing is asked for");
    let said = refused(&one, |spec| spec["rules"][0]["name"] = Value::Null);
    assert!(said.contains("give it one, for example `name: chat`"), "{said}");
    let said = refused(&one, |spec| spec["rules"].as_array_mut().unwrap().extend((0..15).map(rule)));
    assert!(said.contains("16 rules") && said.contains("join two"), "{said}");
    assert_eq!(refused(&one, |spec| spec["rules"].as_array_mut().unwrap().extend((0..14).map(rule))), "");
    let paths = |n: usize| json!((0..n).map(|n| json!({"path": {"value": format!("/{n}")}})).collect::<Vec<_>>());
    assert_eq!(refused(&two, |spec| spec["rules"][0]["matches"] = paths(32)), "");
    let said = refused(&two, |spec| spec["rules"][0]["matches"] = paths(33));
    assert!(said.contains("write fewer"), "{said}");
    let said = refused(&two, |spec| {
        spec["rules"][0]["matches"] = paths(30);
        let mut other = rule(1);
        other["matches"] = paths(39);
        spec["rules"].as_array_mut().unwrap().push(other);
    });
    assert!(said.contains("write fewer"), "129 matches in all: {said}");
    let asks = |name: &str| json!([{"headers": [{"name": name, "value": "1"}]}]);
    let said = refused(&one, |spec| spec["rules"][0]["matches"] = asks("X-Tester"));
    assert!(said.contains("asks for the header X-Tester itself"), "{said}");
    let said = refused(&two, |spec| spec["rules"][0]["matches"] = asks("cookie"));
    assert!(said.contains("cookie"), "{said}");
    assert_eq!(refused(&one, |spec| spec["rules"][0]["matches"] = asks("x-other")), "");
    let full: Vec<_> = (0..16).map(|n| json!({"name": format!("h{n}"), "value": "1"})).collect();
    let said = refused(&one, |spec| spec["rules"][0]["matches"] = json!([{"headers": full}]));
    assert!(said.contains("16 headers"), "{said}");
    let rewrite = json!([{"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}}]);
    assert_eq!(refused(&one, |spec| spec["rules"][0]["filters"] = rewrite.clone()), "");
    let said = refused(&two, |spec| spec["rules"][0]["filters"] = rewrite.clone());
    assert!(said.contains("write one item"), "{said}");
    let said = refused(&two, |spec| spec["rules"][0]["backendRefs"][1]["filters"] = rewrite);
    assert!(said.contains("write one item"), "{said}");
    let said = refused(&one, |spec| spec["rules"][0]["name"] = json!("n".repeat(230)));
    assert!(said.contains("too long"), "{said}");
}

#[test]
fn a_rule_for_testers_asks_for_what_the_managed_rule_asks_for_and_a_header() {
    let mut before = named();
    before["spec"]["rules"][0]["matches"] = json!([{"path": {"type": "Exact", "value": "/v1"}, "method": "POST", "headers": [{"name": "x", "value": "y"}]}, {"queryParams": [{"name": "q", "value": "1"}]}]);
    before["spec"]["rules"][0]["sessionPersistence"] = json!({"sessionName": "chat"});
    let after = with_rule(&before, &by_header());
    let made = &after["spec"]["rules"][1];
    let tester = json!({"name": "x-tester", "type": "Exact", "value": "yes"});
    let wanted = json!([
        {"path": {"type": "Exact", "value": "/v1"}, "method": "POST", "headers": [{"name": "x", "value": "y"}, tester]},
        {"queryParams": [{"name": "q", "value": "1"}], "headers": [tester]},
    ]);
    assert_eq!(made["matches"], wanted);
    assert_eq!(made["backendRefs"], json!([{"name": "chat-green", "port": 8000, "weight": 100}]));
    assert_eq!(made["sessionPersistence"], Value::Null, "a session must not outlive the step");
}

/// Rules are found by their names, wherever they stand, and nobody else's is touched.
#[test]
fn a_rule_for_testers_is_found_again_whatever_was_done_to_the_route() {
    let aside = by_header();
    let after = with_rule(&named(), &aside);
    // What a 1.36 API server adds when it takes it.
    let mut defaulted = after.clone();
    defaulted["spec"]["rules"][1]["backendRefs"][0]["group"] = json!("");
    defaulted["spec"]["rules"][1]["backendRefs"][0]["kind"] = json!("Service");
    assert!(read(&defaulted).holds(wanted(&aside)));
    let mut moved = after.clone();
    moved["spec"]["rules"].as_array_mut().unwrap().rotate_left(1);
    assert!(read(&moved).holds(wanted(&aside)), "another order of rules changes nothing");
    let gone = one(routers::write_beside(&read(&moved), Shares::of_percent(95, 5), wanted(&Aside::default())));
    assert!(obeys(&mut moved, &gone.ops));
    assert_eq!(moved["spec"]["rules"].as_array().unwrap().len(), 1);
    assert_eq!(moved["spec"]["rules"][0]["backendRefs"][1]["weight"], 5);
    assert!(!obeys(&mut after.clone(), &gone.ops), "and the places that were read are tested");
    let mut twice = after.clone();
    let copy = twice["spec"]["rules"][1].clone();
    twice["spec"]["rules"].as_array_mut().unwrap().push(copy);
    assert!(!read(&twice).holds(wanted(&aside)), "one is too many");
    let mut of_others = after.clone();
    of_others["spec"]["rules"][1]["name"] = json!("llmrollout-match.rag-green.chat");
    assert!(!read(&of_others).room.unwrap().sends_testers(), "another rollout's");
    let mut of_another_rule = after.clone();
    of_another_rule["spec"]["rules"][1]["name"] = json!("llmrollout-match.chat-green.embed");
    let embed = json!({"name": "embed", "backendRefs": [{"name": "chat-blue"}, {"name": "chat-green"}]});
    assert!(read(&of_another_rule).room.unwrap().sends_testers(), "left over from a rule that has another name now");
    of_another_rule["spec"]["rules"].as_array_mut().unwrap().push(embed);
    assert!(!read(&of_another_rule).room.unwrap().sends_testers(), "made for another rule of this rollout");
}

/// Somebody widens or turns what we made: it is no longer what was written down.
#[test]
fn a_rule_for_testers_that_was_changed_is_put_right() {
    let aside = by_header();
    for (what, path, value) in [
        ("everybody", "/spec/rules/1/matches", json!([{"path": {"value": "/"}}])),
        (
            "everybody beside them",
            "/spec/rules/1/matches",
            json!([{"headers": [{"name": "x-tester", "value": "yes"}]}, {"path": {"value": "/"}}]),
        ),
        ("others", "/spec/rules/1/matches/0/headers/0/value", json!("no")),
        ("elsewhere", "/spec/rules/1/backendRefs/0/name", json!("other")),
        ("to both", "/spec/rules/1/backendRefs", json!([{"name": "chat-green"}, {"name": "chat-blue"}])),
        ("nowhere", "/spec/rules/1/backendRefs", json!([])),
    ] {
        let mut changed = with_rule(&named(), &aside);
        *changed.pointer_mut(path).unwrap() = value;
        let seen = read(&changed);
        assert!(!seen.holds(wanted(&aside)) && !seen.lacks(wanted(&aside)), "{what}");
        assert!(obeys(&mut changed, &one(routers::write_beside(&seen, DARK, wanted(&aside))).ops), "{what}");
        assert_eq!(changed, with_rule(&named(), &aside), "{what}");
    }
}

fn copies(percent: i32) -> Aside {
    Aside { mirror: Some(percent), ..Aside::default() }
}

/// What people are told when requests are to be copied by gateways that announce this.
fn told(percent: i32, features: &[&[&str]], change: impl FnOnce(&mut Value)) -> String {
    use kube::core::DynamicObject;
    use llmrollout::{
        api::traffic::RouteRouter,
        routers::{Claim, Found},
    };
    use serde::Deserialize;

    let mut value = named();
    change(&mut value);
    let object = DynamicObject::deserialize(&value).unwrap();
    let class = |features: &&[&str]| ClassSeen {
        controller: "gw.example/controller".to_owned(),
        features: features.iter().map(|f| format!("HTTPRouteRequest{f}")).collect(),
    };
    let classes: Vec<ClassSeen> = features.iter().map(class).collect();
    let router = RouteRouter { name: "chat".into(), namespace: None, rule: None };
    let found = Found { object: Some(&object), classes: &classes, ..Found::default() };
    let seen = Claim::HttpRoute(&router).read(["chat-blue", "chat-green"], found).state.unwrap();
    seen.room.unwrap().refuses(wanted(&copies(percent))).unwrap_or_default()
}

/// What a gateway does not say that it can is not asked of it: the users' own requests would be at stake.
#[test]
fn requests_are_copied_only_by_gateways_that_say_they_can() {
    const ALL: &[&str] = &["Mirror", "MultipleMirrors", "PercentageMirror"];
    let plain = |_: &mut Value| {};
    let contour = |value: &mut Value| {
        value["status"]["parents"][0]["controllerName"] = json!("projectcontour.io/gateway-controller");
    };
    let mirrors_to = |name: &'static str| {
        move |value: &mut Value| {
            let mirror = json!({"backendRef": {"name": name, "port": 1}});
            value["spec"]["rules"][0]["filters"] = json!([{"type": "RequestMirror", "requestMirror": mirror}]);
        }
    };
    assert_eq!(told(10, &[ALL], plain), "");
    assert_eq!(told(100, &[&["Mirror"]], plain), "");
    assert!(told(10, &[&["Mirror"]], plain).contains("write `mirror: 100%`"));
    assert!(told(100, &[&["PercentageMirror"]], plain).contains("does not announce HTTPRouteRequestMirror"));
    assert!(told(100, &[], plain).contains("does not announce"), "nobody says what it can");
    assert!(told(10, &[ALL, &["Mirror"]], plain).contains("100%"), "of two classes the one that can less");
    assert!(told(10, &[ALL], |v| v["status"] = json!({})).contains("no gateway has answered"));
    assert_eq!(told(100, &[], contour), "", "it is known of Contour");
    assert!(told(10, &[], contour).contains("write `mirror: 100%`"), "and that it copies all or nothing");
    assert_eq!(told(10, &[ALL], mirrors_to("other")), "");
    assert!(told(10, &[&["Mirror", "PercentageMirror"]], mirrors_to("other")).contains("to one place only"));
    assert!(told(10, &[ALL], mirrors_to("chat-green")).contains("already; take that filter out"));
    let second = |value: &mut Value| {
        let parents = value["status"]["parents"].as_array_mut().unwrap();
        let mut other = parents[0].clone();
        other["controllerName"] = json!("other.example/controller");
        parents.push(other);
    };
    assert!(told(10, &[ALL], second).contains("other.example/controller"), "each of several parents has to be able to");
    let pool = |value: &mut Value| {
        value["spec"]["rules"][0]["backendRefs"][1] =
            json!({"group": "inference.networking.k8s.io", "kind": "InferencePool", "name": "chat-green", "weight": 0});
    };
    assert!(told(10, &[ALL], pool).contains("Services only"));
    let full = |value: &mut Value| value["spec"]["rules"][0]["filters"] = json!(vec![json!({"type": "X"}); 16]);
    assert!(told(10, &[ALL], full).contains("16 filters"));
}

#[test]
fn a_gateway_class_announces_its_features_in_two_ways() {
    for features in [json!([{"name": "HTTPRouteRequestMirror"}]), json!(["HTTPRouteRequestMirror"])] {
        let class = json!({"spec": {"controllerName": "a.example/b"}, "status": {"supportedFeatures": features}});
        let seen = ClassSeen::of(&class);
        assert_eq!(
            (seen.controller.as_str(), seen.features),
            ("a.example/b", vec!["HTTPRouteRequestMirror".to_owned()])
        );
    }
    assert!(ClassSeen::of(&json!({"spec": {}})).features.is_empty());
}

/// With somebody else's filters around it, at another percent, and beside a rule for testers, which gets no copy of it.
#[test]
fn a_filter_that_copies_is_ours_alone() {
    let both = Aside { mirror: Some(100), ..by_header() };
    let mut before = named();
    let header =
        json!({"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "a", "value": "b"}]}});
    before["spec"]["rules"][0]["filters"] = json!([header]);
    let with = with_rule(&before, &both);
    let filters = &with["spec"]["rules"][0]["filters"];
    assert_eq!(filters[1]["requestMirror"], json!({"backendRef": {"name": "chat-green", "port": 8000}}), "all of them");
    assert_eq!(with["spec"]["rules"][1]["filters"], json!([header]), "testers' requests are not sent twice");
    let ours = |aside| Wanted { ours: true, ..wanted(aside) };
    let mut other = with.clone();
    other["spec"]["rules"][0]["filters"][1]["requestMirror"]["percent"] = json!(50);
    other["spec"]["rules"][0]["filters"].as_array_mut().unwrap().reverse();
    other["spec"]["rules"].as_array_mut().unwrap().truncate(1);
    let seen = read(&other);
    assert!(!seen.holds(ours(&both)) && seen.lacks(ours(&both)));
    assert!(obeys(&mut other, &one(routers::write_beside(&seen, DARK, ours(&both))).ops));
    assert_eq!(other, with, "put right, and the new rule for testers has no copy of the old filter");
    let (seen, mut gone) = (read(&with), with);
    assert!(obeys(&mut gone, &one(routers::write_beside(&seen, DARK, ours(&Aside::default()))).ops));
    assert_eq!(gone, before);
}

/// A reference that is out by our own hand is asked for what it was, not for what has moved to its place.
#[test]
fn a_color_that_was_taken_out_is_still_known() {
    let mut value = named();
    let pool =
        json!({"group": "inference.networking.k8s.io", "kind": "InferencePool", "name": "chat-green", "weight": 0});
    value["spec"]["rules"][0]["backendRefs"].as_array_mut().unwrap().truncate(1);
    let out = Out { color: Color::Green, at: 0, whole: pool };
    let seen = read_without(PatchKind::HttpRoute, Some(&value), Some("chat"), Some(&out)).unwrap();
    let copies = Aside { mirror: Some(100), ..Aside::default() };
    let why = seen.room.unwrap().refuses(wanted(&copies)).unwrap();
    assert!(why.starts_with("chat-green is no Service"), "{why}");
}
