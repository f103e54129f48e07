//! Routes as users write them: what is read of them, and that a write changes two numbers and nothing else.

use llmrollout::{
    api::{Reason, route::HttpRoute, v1alpha1::HttpRouteRouter},
    routers::{self, Follows, Shares, http_route},
};
use serde_json::{Value, json};

use super::{json_patch::obeys, objects::route};

fn read(value: &Value, rule: Option<&str>) -> Result<routers::Seen, routers::Trouble> {
    let router = HttpRouteRouter { name: "chat".into(), rule: rule.map(ToOwned::to_owned) };
    let route: HttpRoute = serde_json::from_value(value.clone()).unwrap();
    http_route::read(&router, "chat-blue", "chat-green", Some(&route))
}

fn reason(value: &Value, rule: Option<&str>) -> Reason {
    read(value, rule).unwrap_err().reason
}

fn backends(blue: &Value, green: &Value) -> Value {
    let mut value = route(100, 0);
    value["spec"]["rules"][0]["backendRefs"] = json!([blue, green]);
    value
}

/// A route with everything a platform team puts into one.
fn rich() -> Value {
    let mut value = route(80, 20);
    value["metadata"]["annotations"] = json!({"team": "chat", "a/b": "c"});
    value["spec"]["hostnames"] = json!(["chat.example", "*.chat.example"]);
    value["spec"]["parentRefs"] = json!([{"name": "gw", "namespace": "infra", "sectionName": "https"}]);
    value["spec"]["rules"] = json!([
        {"name": "health", "matches": [{"path": {"type": "Exact", "value": "/healthz"}}], "backendRefs": [{"name": "other", "port": 80}]},
        {"name": "chat", "matches": [{"headers": [{"name": "x-tier", "value": "gold"}], "path": {"type": "PathPrefix", "value": "/v1"}}],
         "filters": [
            {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "x-a", "value": "b"}]}},
            {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "shadow", "port": 80}, "percent": 5}}],
         "timeouts": {"request": "300s", "backendRequest": "0s"},
         "unknownToUs": {"deep": [1, {"x": null}]},
         "backendRefs": [
            {"name": "chat-green", "port": 8000, "weight": 20, "filters": [{"type": "ResponseHeaderModifier", "responseHeaderModifier": {"add": [{"name": "x", "value": "green"}]}}]},
            {"group": "", "kind": "Service", "name": "chat-blue", "port": 8000, "weight": 80}]},
    ]);
    value
}

#[test]
fn a_write_changes_two_numbers_and_nothing_else() {
    for (value, rule, places) in
        [(route(95, 5), None, [0, 0, 1]), (rich(), Some("chat"), [1, 1, 0]), (rich(), None, [1, 1, 0])]
    {
        let seen = read(&value, rule).unwrap();
        let patch = routers::write(&seen, Shares { blue: 50, green: 50 });
        let mut after = value.clone();
        assert!(obeys(&mut after, &patch.ops));
        let mut wanted = value;
        let [rule, blue, green] = places;
        wanted["spec"]["rules"][rule]["backendRefs"][blue]["weight"] = json!(50);
        wanted["spec"]["rules"][rule]["backendRefs"][green]["weight"] = json!(50);
        assert_eq!(after, wanted);
    }
}

#[test]
fn a_write_fails_when_the_rules_were_reordered_meanwhile() {
    let seen = read(&rich(), Some("chat")).unwrap();
    let patch = routers::write(&seen, Shares { blue: 100, green: 0 });
    let mut reordered = rich();
    reordered["spec"]["rules"].as_array_mut().unwrap().reverse();
    assert!(!obeys(&mut reordered, &patch.ops), "the names no longer stand where they did");
    let mut moved = rich();
    moved["metadata"]["resourceVersion"] = json!("2");
    // The API server answers 409 to an old version; the model refuses it likewise.
    assert!(!obeys(&mut moved, &patch.ops));
}

#[test]
fn an_omitted_weight_is_one_and_not_explicit() {
    let seen =
        read(&backends(&json!({"name": "chat-blue", "port": 1}), &json!({"name": "chat-green", "port": 1})), None)
            .unwrap();
    assert_eq!((seen.shares, seen.exact), (Shares { blue: 50, green: 50 }, false));
    let seen = read(
        &backends(&json!({"name": "chat-blue", "weight": 100}), &json!({"name": "chat-green", "weight": 0})),
        None,
    )
    .unwrap();
    assert_eq!((seen.shares, seen.exact), (Shares { blue: 100, green: 0 }, true));
    let seen = read(
        &backends(&json!({"name": "chat-blue", "weight": 999}), &json!({"name": "chat-green", "weight": 1})),
        None,
    )
    .unwrap();
    assert_eq!((seen.shares.green, seen.exact), (1, false), "a little is never read as nothing");
    let seen =
        read(&backends(&json!({"name": "chat-blue", "weight": 1}), &json!({"name": "chat-green", "weight": 0})), None);
    assert!(seen.unwrap().exact, "1/0 is all of it");
}

#[test]
fn a_color_may_be_an_inference_pool() {
    let pool = |group: &str, name: &str, weight: i32| json!({"group": group, "kind": "InferencePool", "name": name, "weight": weight});
    for group in ["inference.networking.k8s.io", "inference.networking.x-k8s.io"] {
        let value = backends(&pool(group, "chat-blue", 80), &pool(group, "chat-green", 20));
        let seen = read(&value, None).unwrap();
        assert_eq!((seen.shares.green, seen.exact), (20, true));
        let mut after = value;
        assert!(obeys(&mut after, &routers::write(&seen, Shares { blue: 0, green: 100 }).ops));
        assert_eq!(
            after["spec"]["rules"][0]["backendRefs"],
            json!([pool(group, "chat-blue", 0), pool(group, "chat-green", 100)])
        );
    }
    for (group, kind) in
        [("", "InferencePool"), ("inference.networking.k8s.io", "Service"), ("acme.example", "InferencePool")]
    {
        let odd = |name: &str| json!({"group": group, "kind": kind, "name": name, "weight": 50});
        assert_eq!(reason(&backends(&odd("chat-blue"), &odd("chat-green")), None), Reason::BackendMissing);
    }
}

fn with_third(blue: &Value, green: &Value, third: &str) -> Value {
    let mut value = route(100, 0);
    let [blue, green] = [("chat-blue", blue), ("chat-green", green)].map(|(name, weight)| match weight {
        Value::Null => json!({"name": name}),
        weight => json!({"name": name, "weight": weight}),
    });
    value["spec"]["rules"][0]["backendRefs"] = json!([{"name": third, "weight": 100}, blue, green]);
    value
}

#[test]
fn a_third_backend_keeps_its_part_and_the_rest_is_split() {
    for (blue, green, share, wanted) in [(900, 0, 5, (855, 45)), (100, 0, 20, (80, 20)), (0, 300, 100, (0, 300))] {
        let value = with_third(&json!(blue), &json!(green), "chat-old");
        let seen = read(&value, None).unwrap();
        assert_eq!((seen.shares.green, seen.exact), (if green > 0 { 100 } else { 0 }, true));
        let patch = routers::write(&seen, Shares { blue: 100 - share, green: share });
        let mut after = value.clone();
        assert!(obeys(&mut after, &patch.ops));
        assert_eq!(after["spec"]["rules"][0]["backendRefs"][0], value["spec"]["rules"][0]["backendRefs"][0]);
        let now = read(&after, None).unwrap();
        assert_eq!((now.shares.green, now.exact), (share, true), "what was written is read as it was meant");
        let weight = |n: usize| after["spec"]["rules"][0]["backendRefs"][n]["weight"].clone();
        assert_eq!((weight(1), weight(2)), (json!(wanted.0), json!(wanted.1)));
    }
    let odd = read(&with_third(&json!(150), &json!(50), "chat-old"), None).unwrap();
    assert_eq!((odd.shares, odd.exact), (Shares { blue: 75, green: 25 }, true));
    let between = read(&with_third(&json!(899), &json!(1), "chat-old"), None).unwrap();
    assert_eq!((between.shares.green, between.exact), (1, false), "a little is never read as nothing");
}

#[test]
fn what_cannot_be_driven_is_named() {
    for (blue, green, third) in [
        (Value::Null, Value::Null, "chat-old"),
        (json!(9), json!(0), "chat-old"),
        (json!(0), json!(0), "chat-old"),
        (json!(100), json!(0), "chat-blue"),
        (json!(2_000_000_000), json!(2_000_000_000), "chat-old"),
    ] {
        let value = with_third(&blue, &green, third);
        assert_eq!(reason(&value, None), Reason::UnmanagedBackend, "{blue} {green} {third}");
    }
    assert_eq!(
        reason(&backends(&json!({"name": "chat-blue"}), &json!({"name": "other"})), None),
        Reason::BackendMissing
    );
    assert_eq!(reason(&backends(&json!({"name": "a"}), &json!({"name": "b"})), None), Reason::BackendMissing);
    assert_eq!(reason(&route(100, 0), Some("nope")), Reason::RuleNotFound);
    let foreign = backends(
        &json!({"name": "chat-blue", "namespace": "theirs"}),
        &json!({"name": "chat-green", "namespace": "theirs"}),
    );
    assert_eq!(reason(&foreign, None), Reason::BackendMissing, "another namespace's Service is not ours");
    let mut twice = route(100, 0);
    let rule = twice["spec"]["rules"][0].clone();
    twice["spec"]["rules"].as_array_mut().unwrap().push(rule);
    assert_eq!(reason(&twice, None), Reason::RuleNotFound);
    let router = HttpRouteRouter { name: "chat".into(), rule: None };
    assert_eq!(http_route::read(&router, "chat-blue", "chat-green", None).unwrap_err().reason, Reason::RouteNotFound);
}

#[test]
fn a_gateway_follows_only_at_the_current_generation() {
    let mut value = route(80, 20);
    assert_eq!(read(&value, None).unwrap().follows, Follows::Yes);
    value["metadata"]["generation"] = json!(2);
    assert_eq!(read(&value, None).unwrap().follows, Follows::NotYet);
    value["metadata"]["generation"] = json!(1);
    value["status"]["parents"][0]["conditions"][1]["status"] = json!("False");
    assert!(matches!(read(&value, None).unwrap().follows, Follows::Refuses(_)));
    value["metadata"]["generation"] = json!(2);
    assert_eq!(read(&value, None).unwrap().follows, Follows::NotYet, "an old refusal is not about this write");
}
