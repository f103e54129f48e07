//! Routes as users write them: what is read of them, and that a write changes two numbers and nothing else.

use kube::core::DynamicObject;
use llmrollout::{
    api::{
        Percent, Reason,
        traffic::{RouteRouter, ServiceRouter, VirtualServiceRouter},
    },
    routers::{self, Claim, Follows, Found, GuardedPatch, Out, PatchKind, Place, Shares},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    json_patch::obeys,
    objects::{all_features, grpc_route, route, virtual_service},
};

fn read(value: &Value, rule: Option<&str>) -> Result<routers::Seen, routers::Trouble> {
    read_as(PatchKind::HttpRoute, Some(value), rule)
}

fn claim_of(kind: PatchKind, router: &RouteRouter) -> Claim<'_> {
    if kind == PatchKind::GrpcRoute { Claim::GrpcRoute(router) } else { Claim::HttpRoute(router) }
}

/// The route as a claim of this kind reads it.
pub(crate) fn read_as(
    kind: PatchKind,
    value: Option<&Value>,
    rule: Option<&str>,
) -> Result<routers::Seen, routers::Trouble> {
    read_without(kind, value, rule, None)
}

/// The same, with what was taken out of it by our own hand.
pub(crate) fn read_without(
    kind: PatchKind,
    value: Option<&Value>,
    rule: Option<&str>,
    out: Option<&Out>,
) -> Result<routers::Seen, routers::Trouble> {
    read_called(kind, value, rule, ["chat-blue", "chat-green"], out)
}

/// The same, with the names by which the colors are called.
pub(crate) fn read_called(
    kind: PatchKind,
    value: Option<&Value>,
    rule: Option<&str>,
    colors: [&str; 2],
    out: Option<&Out>,
) -> Result<routers::Seen, routers::Trouble> {
    let router = RouteRouter { name: "chat".into(), namespace: None, rule: rule.map(ToOwned::to_owned) };
    let object: Option<DynamicObject> = value.map(|v| DynamicObject::deserialize(v).unwrap());
    let classes = all_features();
    let found = Found { object: object.as_ref(), out, classes: &classes, ..Found::default() };
    claim_of(kind, &router).read(colors, found).state
}

/// The one patch among the writes of a router that is one object.
pub(crate) fn one(writes: Vec<routers::Write>) -> GuardedPatch {
    let [write] = writes.try_into().expect("one object, one write");
    write.patch().expect("a patch")
}

/// The one write of a router that is one object.
pub(crate) fn written(seen: &routers::Seen, shares: Shares) -> GuardedPatch {
    one(routers::write(seen, shares))
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
        let patch = written(&seen, Shares::of_percent(50, 50));
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
    let patch = written(&seen, Shares::of_percent(100, 0));
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
    assert_eq!((seen.shares, seen.exact), (Shares::of_percent(50, 50), false));
    let seen = read(
        &backends(&json!({"name": "chat-blue", "weight": 100}), &json!({"name": "chat-green", "weight": 0})),
        None,
    )
    .unwrap();
    assert_eq!((seen.shares, seen.exact), (Shares::of_percent(100, 0), true));
    let seen = read(
        &backends(&json!({"name": "chat-blue", "weight": 9999}), &json!({"name": "chat-green", "weight": 1})),
        None,
    )
    .unwrap();
    assert_eq!((seen.shares.green.tenths(), seen.exact), (1, false), "a little is never read as nothing");
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
        assert_eq!((seen.shares.green.tenths() / 10, seen.exact), (20, true));
        let mut after = value;
        assert!(obeys(&mut after, &written(&seen, Shares::of_percent(0, 100)).ops));
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
        assert_eq!((seen.shares.green.tenths() / 10, seen.exact), (if green > 0 { 100 } else { 0 }, true));
        let patch = written(&seen, Shares::of_percent(100 - share, share));
        let mut after = value.clone();
        assert!(obeys(&mut after, &patch.ops));
        assert_eq!(after["spec"]["rules"][0]["backendRefs"][0], value["spec"]["rules"][0]["backendRefs"][0]);
        let now = read(&after, None).unwrap();
        assert_eq!(
            (now.shares.green.tenths() / 10, now.exact),
            (share, true),
            "what was written is read as it was meant"
        );
        let weight = |n: usize| after["spec"]["rules"][0]["backendRefs"][n]["weight"].clone();
        assert_eq!((weight(1), weight(2)), (json!(wanted.0), json!(wanted.1)));
    }
    let odd = read(&with_third(&json!(150), &json!(50), "chat-old"), None).unwrap();
    assert_eq!((odd.shares, odd.exact), (Shares::of_percent(75, 25), true));
    let between = read(&with_third(&json!(899), &json!(1), "chat-old"), None).unwrap();
    assert_eq!((between.shares.green.tenths(), between.exact), (2, false), "a little is never read as nothing");
    // Tenths have to be whole parts as well.
    let half = Percent::of_tenths(5);
    let refused = |blue: i32| read(&with_third(&json!(blue), &json!(0), "chat-old"), None).unwrap().refuses(half);
    assert!(refused(900).unwrap().contains("add up to 900, of which 0.5% is no whole part; give them a sum of 1000"));
    assert_eq!((refused(1000), refused(200)), (None, None));
    assert_eq!(read(&route(100, 0), None).unwrap().refuses(half), None);
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
    assert_eq!(read_as(PatchKind::HttpRoute, None, None).unwrap_err().reason, Reason::RouteNotFound);
}

#[test]
fn a_gateway_follows_only_at_the_current_generation() {
    let mut value = route(80, 20);
    assert_eq!(read(&value, None).unwrap().follows, Follows::Yes);
    value["metadata"]["generation"] = json!(2);
    assert_eq!(read(&value, None).unwrap().follows, Follows::NotYet);
    value["metadata"]["generation"] = json!(1);
    value["status"]["parents"][0]["conditions"][0]["status"] = json!("Unknown");
    assert_eq!(read(&value, None).unwrap().follows, Follows::NotYet, "a gateway that does not know has not accepted");
    value["status"]["parents"][0]["conditions"][0]["status"] = json!("True");
    value["status"]["parents"][0]["conditions"][1]["status"] = json!("False");
    assert!(matches!(read(&value, None).unwrap().follows, Follows::Refuses(_)));
    value["metadata"]["generation"] = json!(2);
    assert_eq!(read(&value, None).unwrap().follows, Follows::NotYet, "an old refusal is not about this write");
}

#[test]
fn a_grpc_route_is_read_and_written_as_one() {
    let value = grpc_route(95, 5);
    let seen = read_as(PatchKind::GrpcRoute, Some(&value), None).unwrap();
    assert_eq!((seen.shares.green.tenths() / 10, seen.exact, &seen.follows), (5, true, &Follows::Yes));
    assert!(matches!(seen.place, Place::Weights { kind: PatchKind::GrpcRoute, .. }));
    let patch = written(&seen, Shares::of_percent(0, 100));
    assert_eq!((patch.kind, patch.name.as_str()), (PatchKind::GrpcRoute, "chat"));
    let mut after = value;
    assert!(obeys(&mut after, &patch.ops));
    assert_eq!(after, grpc_route(0, 100));
}

/// What stands in the way is said in the words of the kind, and of the field that names it.
#[test]
fn what_is_wrong_with_a_route_names_its_kind() {
    let twice = |mut value: Value| {
        let rule = value["spec"]["rules"][0].clone();
        value["spec"]["rules"].as_array_mut().unwrap().push(rule);
        value
    };
    let third = |mut value: Value| {
        value["spec"]["rules"][0]["backendRefs"].as_array_mut().unwrap().push(json!({"name": "old", "weight": 1}));
        value
    };
    let without = |mut value: Value| {
        value["spec"]["rules"][0]["backendRefs"].as_array_mut().unwrap().pop();
        value
    };
    let odd = |mut value: Value| {
        value["spec"]["rules"][0]["backendRefs"][0]["weight"] = json!("most");
        value
    };
    let sound = || grpc_route(95, 5);
    let cases = [
        (None, None, Reason::RouteNotFound, "traffic[].grpcRoute.name"),
        (Some(sound()), Some("nope"), Reason::RuleNotFound, "traffic[].grpcRoute.rule"),
        (Some(twice(sound())), None, Reason::RuleNotFound, "traffic[].grpcRoute.rule"),
        (Some(without(sound())), None, Reason::BackendMissing, "chat-green"),
        (Some(third(grpc_route(95, 6))), None, Reason::UnmanagedBackend, "a multiple of it"),
        (Some(odd(sound())), None, Reason::RuleNotFound, "not understood"),
    ];
    for (value, rule, reason, words) in cases {
        let trouble = read_as(PatchKind::GrpcRoute, value.as_ref(), rule).unwrap_err();
        assert_eq!(trouble.reason, reason);
        let said = trouble.message.contains("GRPCRoute chat") && trouble.message.contains(words);
        assert!(said && !trouble.message.to_lowercase().contains("httproute"), "{}", trouble.message);
        let other = read_as(PatchKind::HttpRoute, value.as_ref(), rule).unwrap_err();
        assert!(other.message.contains("HTTPRoute chat") && !other.message.contains("grpc"), "{}", other.message);
    }
}

#[test]
fn a_claim_clashes_with_its_own_kind_only() {
    let router =
        |rule: Option<&str>| RouteRouter { name: "chat".into(), namespace: None, rule: rule.map(ToOwned::to_owned) };
    let (any, one, other) = (router(None), router(Some("one")), router(Some("other")));
    let service = ServiceRouter { name: "chat".into(), key: None };
    for kind in [PatchKind::HttpRoute, PatchKind::GrpcRoute] {
        let [any, one, other] = [&any, &one, &other].map(|router| claim_of(kind, router));
        assert!(any.clashes(one) && one.clashes(any) && one.clashes(one));
        assert!(!one.clashes(other), "different rules are independent");
        assert!(!any.clashes(Claim::Service(&service)));
    }
    assert!(
        !Claim::HttpRoute(&any).clashes(Claim::GrpcRoute(&any))
            && !Claim::GrpcRoute(&one).clashes(Claim::HttpRoute(&one))
    );
    assert!(Claim::Service(&service).clashes(Claim::Service(&service)));
}

fn read_istio(value: &Value, http: Option<&str>) -> Result<routers::Seen, routers::Trouble> {
    let router = VirtualServiceRouter { name: "chat".into(), http: http.map(ToOwned::to_owned) };
    let object = DynamicObject::deserialize(value).unwrap();
    let found = Found { object: Some(&object), ..Found::default() };
    Claim::VirtualService(&router).read(["chat-blue", "chat-green"], found).state
}

/// A VirtualService with everything a platform team puts into one.
fn rich_istio() -> Value {
    let mut value = virtual_service(80, 20);
    value["metadata"]["annotations"] =
        json!({"argocd.argoproj.io/tracking-id": "llm:networking.istio.io/VirtualService:llm/chat"});
    value["spec"]["gateways"] = json!(["mesh", "infra/public"]);
    value["spec"]["tls"] =
        json!([{"match": [{"sniHosts": ["chat.example"]}], "route": [{"destination": {"host": "chat-blue"}}]}]);
    value["spec"]["http"] = json!([
        {"name": "health", "match": [{"uri": {"exact": "/healthz"}}], "directResponse": {"status": 200}},
        {"name": "chat", "match": [{"headers": {"x-tier": {"exact": "gold"}}, "uri": {"prefix": "/v1"}}],
         "retries": {"attempts": 2, "perTryTimeout": "30s"}, "timeout": "300s",
         "fault": {"delay": {"percentage": {"value": 0.1}, "fixedDelay": "5s"}},
         "mirror": {"host": "shadow"}, "mirrorPercentage": {"value": 5.5}, "unknownToUs": {"deep": [1, {"x": null}]},
         "route": [
            {"destination": {"host": "chat-green.llm.svc.cluster.local", "port": {"number": 8000}}, "weight": 20,
             "headers": {"response": {"add": {"x-color": "green"}}}},
            {"destination": {"host": "chat-blue.llm", "port": {"number": 8000}}, "weight": 80}]},
        {"route": [{"destination": {"host": "old-chat"}}]},
    ]);
    value
}

#[test]
fn a_virtual_service_keeps_every_byte_but_two_numbers() {
    for (value, http, [http_at, blue, green]) in [
        (virtual_service(95, 5), None, [0, 0, 1]),
        (rich_istio(), Some("chat"), [1, 1, 0]),
        (rich_istio(), None, [1, 1, 0]),
    ] {
        let seen = read_istio(&value, http).unwrap();
        for share in [0, 5, 50, 100] {
            let patch = written(&seen, Shares::of_percent(100 - share, share));
            let mut after = value.clone();
            assert!(obeys(&mut after, &patch.ops));
            let mut wanted = value.clone();
            wanted["spec"]["http"][http_at]["route"][blue]["weight"] = json!(100 - share);
            wanted["spec"]["http"][http_at]["route"][green]["weight"] = json!(share);
            assert_eq!((after, patch.kind), (wanted, PatchKind::VirtualService));
        }
        let mut moved = value.clone();
        moved["spec"]["http"][http_at]["route"].as_array_mut().unwrap().reverse();
        assert!(!obeys(&mut moved, &written(&seen, Shares::of_percent(0, 100)).ops), "others stand there now");
    }
}

fn destinations(all: &Value) -> Value {
    let mut value = virtual_service(0, 0);
    value["spec"]["http"][0]["route"] = all.clone();
    value
}

#[test]
fn colors_are_hosts_or_subsets_of_the_host_of_the_rollout() {
    let host = |host: &str, weight: i32| json!({"destination": {"host": host}, "weight": weight});
    let subset = |host: &str, subset: &str, weight: i32| json!({"destination": {"host": host, "subset": subset}, "weight": weight});
    for (blue, green) in [
        (host("chat-blue", 80), host("chat-green", 20)),
        (host("chat-blue.llm.svc", 80), host("chat-green.llm.svc.cluster.local", 20)),
        (subset("chat", "blue", 80), subset("chat", "green", 20)),
        (subset("chat.llm.svc.cluster.local", "blue", 80), subset("chat", "green", 20)),
    ] {
        let seen = read_istio(&destinations(&json!([blue, green])), None).unwrap();
        assert_eq!((seen.shares.green.tenths() / 10, seen.exact, seen.follows), (20, true, Follows::NotYet), "{blue}");
    }
    // Not ours: another namespace, another Service, a subset of another host, a name that only begins alike.
    for green in [
        host("chat-green.other", 20),
        host("chat-green.llmx", 20),
        host("chat-green-2", 20),
        host("chat-green.llm.example", 20),
        subset("chat-front", "green", 20),
        subset("chat", "v2", 20),
        json!({"destination": {}, "weight": 20}),
    ] {
        let trouble = read_istio(&destinations(&json!([host("chat-blue", 80), green])), None).unwrap_err();
        assert_eq!(trouble.reason, Reason::BackendMissing, "{green}: {}", trouble.message);
        assert!(trouble.message.contains("write") || trouble.message.contains("for example"), "{}", trouble.message);
    }
}

#[test]
fn what_cannot_be_driven_in_a_virtual_service_is_named() {
    let host = |host: &str, weight: Value| json!({"destination": {"host": host}, "weight": weight});
    let all = |parts: &[Value]| destinations(&Value::Array(parts.to_vec()));
    let (blue, green) = (host("chat-blue", json!(100)), host("chat-green", json!(0)));
    for (value, http, reason, words) in [
        (all(std::slice::from_ref(&blue)), None, Reason::BackendMissing, "lacks the destination chat-green"),
        (all(&[blue.clone(), green.clone(), green.clone()]), None, Reason::UnmanagedBackend, "names chat-green twice"),
        (
            all(&[host("chat-blue", json!(70)), green.clone(), host("third", json!(30))]),
            None,
            Reason::UnmanagedBackend,
            "also sends to third",
        ),
        (all(&[host("chat-blue", json!("many")), green.clone()]), None, Reason::RuleNotFound, "is not understood"),
        (all(&[blue, green]), Some("chat"), Reason::RuleNotFound, "has no HTTP route named chat"),
        (all(&[]), None, Reason::BackendMissing, "no HTTP route of VirtualService chat"),
    ] {
        let trouble = read_istio(&value, http).unwrap_err();
        assert_eq!(trouble.reason, reason);
        assert!(trouble.message.contains(words), "{}", trouble.message);
    }
    let router = VirtualServiceRouter { name: "chat".into(), http: None };
    let gone = Claim::VirtualService(&router).read(["chat-blue", "chat-green"], Found::default()).state.unwrap_err();
    assert_eq!(gone.reason, Reason::RouteNotFound);
    let mut two = virtual_service(100, 0);
    let http = two["spec"]["http"][0].clone();
    two["spec"]["http"] = json!([http, http]);
    for n in [0, 1] {
        two["spec"]["http"][n]["name"] = json!("chat");
    }
    assert!(read_istio(&two, Some("chat")).unwrap_err().message.contains("two HTTP routes named chat"));
    assert!(
        read_istio(&two, None).unwrap_err().message.contains("name the one meant with `traffic[].virtualService.http`")
    );
}

/// Beside others Istio gives a destination without a weight nothing.
#[test]
fn an_omitted_weight_of_istio_is_nothing_and_not_explicit() {
    let value = destinations(
        &json!([{"destination": {"host": "chat-blue"}, "weight": 100}, {"destination": {"host": "chat-green"}}]),
    );
    let seen = read_istio(&value, None).unwrap();
    assert_eq!((seen.shares, seen.exact), (Shares::of_percent(100, 0), false));
}

#[test]
fn istio_is_heard_where_it_says_something() {
    let with = |status: Value| {
        let mut value = virtual_service(100, 0);
        (value["metadata"]["generation"], value["status"]) = (json!(3), status);
        read_istio(&value, None).unwrap().follows
    };
    let reconciled = |status: &str| json!([{"type": "Reconciled", "status": status}]);
    let wrong = json!([{"level": "ERROR", "type": {"code": "IST0101", "name": "ReferencedResourceNotFound"}}]);
    assert_eq!(with(json!({"observedGeneration": "3", "conditions": reconciled("True")})), Follows::Yes);
    assert_eq!(with(json!({"observedGeneration": 3, "conditions": reconciled("False")})), Follows::NotYet);
    assert_eq!(with(json!({"observedGeneration": 2, "conditions": reconciled("True")})), Follows::NotYet);
    assert_eq!(with(json!({"conditions": reconciled("True")})), Follows::NotYet, "of which generation?");
    let refuses = Follows::Refuses("IST0101 ReferencedResourceNotFound".into());
    assert_eq!(
        with(json!({"observedGeneration": 3, "conditions": reconciled("True"), "validationMessages": wrong})),
        refuses
    );
    assert_eq!(with(json!({"observedGeneration": 2, "validationMessages": wrong})), Follows::NotYet);
}
