//! Routers that are no list of two weights: KServe's group, which is two objects, and llm-d's rewrite, which has no weight of
//! zero. What is read, in which order it is written, and that nothing else changes.

use kube::core::DynamicObject;
use llmrollout::{
    api::{Reason, traffic::Router},
    routers::{self, Claim, Follows, Found, GuardedPatch, PatchKind, Seen, Shares, Trouble, Write},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    json_patch::obeys,
    objects::{member, rewrite},
};

fn router(item: Value) -> Router {
    serde_json::from_value(item).unwrap()
}

fn read(item: &Value, objects: [Option<&Value>; 2]) -> Result<Seen, Trouble> {
    let router = router(item.clone());
    let [first, second] = objects.map(|o| o.map(|o| DynamicObject::deserialize(o).unwrap()));
    let found = Found { object: first.as_ref(), second: second.as_ref(), ..Found::default() };
    Claim::of(&router).expect("one router").read(["chat-blue", "chat-green"], found).state
}

fn group() -> Value {
    json!({"llmInferenceService": {"blue": "chat-v1", "green": "chat-v2"}})
}

fn read_group(blue: &Value, green: &Value) -> Result<Seen, Trouble> {
    read(&group(), [Some(blue), Some(green)])
}

fn to(green: i32) -> Shares {
    Shares::of_percent(100 - green, green)
}

/// Carries the writes out one by one and tells the weights after each.
fn steps(blue: i64, green: i64, share: i32) -> Vec<[i64; 2]> {
    let mut both = [member("chat-v1", blue), member("chat-v2", green)];
    let seen = read_group(&both[0], &both[1]).unwrap();
    let weight = |member: &Value| member["spec"]["router"]["route"]["weight"].as_i64().unwrap();
    let mut all = Vec::new();
    for GuardedPatch { kind, name, ops, .. } in routers::write(&seen, to(share)).into_iter().filter_map(Write::patch) {
        assert_eq!(kind, PatchKind::LlmInferenceService);
        let one = both.iter_mut().find(|m| m["metadata"]["name"] == name).unwrap();
        assert!(obeys(one, &ops));
        all.push([weight(&both[0]), weight(&both[1])]);
    }
    assert_eq!(
        both,
        [member("chat-v1", 100 - i64::from(share)), member("chat-v2", share.into())],
        "nothing else moved"
    );
    all
}

#[test]
fn the_two_writes_of_a_group_never_leave_it_without_weight_nor_overshoot() {
    assert_eq!(steps(100, 0, 5), [[100, 5], [95, 5]]);
    assert_eq!(steps(95, 5, 50), [[95, 50], [50, 50]]);
    assert_eq!(steps(50, 50, 100), [[0, 50], [0, 100]]);
    assert_eq!(steps(80, 20, 0), [[80, 0], [100, 0]], "home at once, by the first of the two");
    assert_eq!(steps(0, 100, 0), [[100, 100], [100, 0]], "nothing would be left meanwhile");
    let green_of = |[b, g]: [i64; 2]| g * 1_000 / (b + g);
    for (from, share) in (0..=100).flat_map(|from| (0..=100).map(move |share| (from, share))) {
        let between = steps(100 - from, from, share)[0];
        assert_ne!(between, [0, 0], "from {from} to {share} %");
        let (end, by) = (i64::from(share) * 10, green_of(between));
        assert!((from * 10).min(end) <= by && by <= (from * 10).max(end), "from {from} to {share} %: {between:?}");
    }
    // Weights that somebody else wrote.
    assert_eq!(steps(900, 100, 5), [[900, 5], [95, 5]]);
    assert_eq!(steps(0, 0, 0), [[100, 0], [100, 0]]);
}

#[test]
fn each_write_of_a_group_is_guarded_by_its_own_version_and_group() {
    let (mut blue, green) = (member("chat-v1", 80), member("chat-v2", 20));
    blue["metadata"]["resourceVersion"] = json!("41");
    let writes = routers::write(&read_group(&blue, &green).unwrap(), to(50));
    let writes: Vec<_> = writes.into_iter().filter_map(Write::patch).collect();
    for (mut moved, at) in [(blue.clone(), 0), (green.clone(), 1)] {
        let patch = writes.iter().find(|p| moved["metadata"]["name"] == p.name).unwrap();
        let mut other = moved.clone();
        other["spec"]["router"]["route"]["group"] = json!("other");
        assert!(!obeys(&mut other, &patch.ops), "{at}: another group");
        moved["metadata"]["resourceVersion"] = json!("77");
        assert!(!obeys(&mut moved, &patch.ops), "{at}: another version");
    }
}

#[test]
fn parts_of_a_group_are_read_whatever_they_add_up_to() {
    let read = |blue, green| {
        let seen = read_group(&member("chat-v1", blue), &member("chat-v2", green)).unwrap();
        (seen.shares.green.tenths() / 10, seen.exact)
    };
    assert_eq!(read(95, 5), (5, true));
    assert_eq!(read(9, 1), (10, true));
    assert_eq!(read(50, 5), (10, true), "between two writes");
    assert_eq!(read(999, 1), (1, false), "a little is never read as nothing");
    assert_eq!(read(0, 0), (0, false));
}

#[test]
fn what_cannot_be_driven_in_a_group_is_named() {
    let (blue, green) = (member("chat-v1", 100), member("chat-v2", 0));
    let gone = read(&group(), [Some(&blue), None]).unwrap_err();
    assert_eq!(gone.reason, Reason::RouteNotFound);
    assert!(gone.message.contains("LLMInferenceService chat-v2 does not exist"), "{}", gone.message);
    let mut alone = green.clone();
    alone["spec"]["router"]["route"] = json!({"http": {}});
    let trouble = read_group(&blue, &alone).unwrap_err();
    assert_eq!(trouble.reason, Reason::BackendMissing);
    assert!(trouble.message.contains("chat-v2 is in no group"), "{}", trouble.message);
    let mut elsewhere = green;
    elsewhere["spec"]["router"]["route"]["group"] = json!("other");
    let trouble = read_group(&blue, &elsewhere).unwrap_err();
    assert_eq!(trouble.reason, Reason::RuleNotFound);
    assert!(trouble.message.contains("in group chat and chat-v2 in other"), "{}", trouble.message);
}

/// What KServe writes into the status of a member.
fn observed(mut one: Value, members: &Value, condition: &Value) -> Value {
    one["status"] = json!({
        "observedGeneration": 1,
        "conditions": [{"type": "GroupReady", "status": "True"}, condition],
        "router": {"group": {"name": "chat", "members": members}},
    });
    one
}

#[test]
fn kserve_is_heard() {
    let follows = |members: Value, condition: Value| {
        let [blue, green] =
            [("chat-v1", 80), ("chat-v2", 20)].map(|(name, w)| observed(member(name, w), &members, &condition));
        read_group(&blue, &green).unwrap().follows
    };
    let of = |blue, green| json!([{"name": "chat-v1", "weight": blue}, {"name": "chat-v2", "weight": green}]);
    let none = json!({"type": "GroupDegraded", "status": "False"});
    assert_eq!(follows(of(80, 20), none.clone()), Follows::Yes);
    assert_eq!(follows(of(100, 0), none.clone()), Follows::NotYet, "it still has the weights of before");
    let refused = |members: Value, condition: Value, words: &str| match follows(members, condition) {
        Follows::Refuses(said) => assert!(said.contains(words), "{said}"),
        other => panic!("{other:?}"),
    };
    let third =
        json!([{"name": "chat-v1", "weight": 80}, {"name": "chat-v2", "weight": 20}, {"name": "chat-v0", "weight": 7}]);
    refused(third, none.clone(), "chat-v0 is in the group as well, with weight 7");
    let stopped = json!([{"name": "chat-v1", "weight": 80}, {"name": "chat-v2", "weight": 20, "stopped": true}]);
    refused(stopped, none, "chat-v2 is stopped");
    let diverged =
        json!({"type": "GroupDegraded", "status": "True", "reason": "MemberDivergence", "message": "models differ"});
    refused(of(80, 20), diverged, "models differ");
    let other = json!({"type": "GroupDegraded", "status": "True", "reason": "MemberNotReady", "message": "soon"});
    assert_eq!(follows(of(80, 20), other), Follows::NotYet);
}

fn rule_of(model: &str) -> Value {
    json!({"modelRewrite": {"name": "chat", "model": model, "blue": "chat-v1", "green": "chat-v2"}})
}

fn read_rewrite(object: &Value) -> Result<Seen, Trouble> {
    read(&rule_of("chat"), [Some(object), None])
}

/// A rewrite with everything around the rule.
fn rich(targets: &Value) -> Value {
    let mut object = rewrite(100, 0);
    object["metadata"]["annotations"] = json!({"team": "chat"});
    object["spec"]["rules"] = json!([
        {"matches": [{"model": {"type": "Exact", "value": "food"}}], "targets": [{"modelRewrite": "food-v1", "weight": 1}]},
        {"matches": [{"model": {"type": "Exact", "value": "chat"}}], "targets": targets, "unknownToUs": [1, null]},
        {"targets": [{"modelRewrite": "base"}]},
    ]);
    object
}

fn written(mut object: Value, share: i32) -> Value {
    let patch = super::routes::written(&read_rewrite(&object).unwrap(), to(share));
    assert!(obeys(&mut object, &patch.ops));
    let again = read_rewrite(&object).unwrap();
    assert_eq!((again.shares, again.exact), (to(share), true), "what was written is read as it was meant");
    object
}

#[test]
fn a_rewrite_keeps_every_byte_but_its_two_targets() {
    let target = |model: &str, weight: i32| json!({"modelRewrite": model, "weight": weight});
    let (blue, green) = (|w| target("chat-v1", w), |w| target("chat-v2", w));
    for (before, share, after) in [
        (json!([{"modelRewrite": "chat-v1"}]), 5, json!([blue(95), green(5)])),
        (json!([blue(1)]), 5, json!([blue(95), green(5)])),
        (json!([blue(95), green(5)]), 50, json!([blue(50), green(50)])),
        (json!([green(50), blue(50)]), 20, json!([green(20), blue(80)])),
        (json!([blue(50), green(50)]), 100, json!([green(100)])),
        (json!([green(100)]), 80, json!([green(80), blue(20)])),
        (json!([green(20), blue(80)]), 0, json!([blue(100)])),
        (json!([green(100)]), 0, json!([blue(100)])),
        (json!([blue(900), target("other", 100)]), 5, json!([blue(855), target("other", 100), green(45)])),
        (json!([green(45), target("other", 100), blue(855)]), 0, json!([target("other", 100), blue(900)])),
    ] {
        assert_eq!(written(rich(&before), share).to_string(), rich(&after).to_string(), "{before} at {share} %");
    }
}

#[test]
fn a_rewrite_that_moved_meanwhile_is_not_written() {
    let object = rich(&json!([{"modelRewrite": "chat-v1", "weight": 80}, {"modelRewrite": "chat-v2", "weight": 20}]));
    let patch = super::routes::written(&read_rewrite(&object).unwrap(), to(0));
    let mut newer = object.clone();
    newer["metadata"]["resourceVersion"] = json!("78");
    let mut turned = object;
    turned["spec"]["rules"][1]["targets"].as_array_mut().unwrap().reverse();
    for mut moved in [newer, turned] {
        assert!(!obeys(&mut moved, &patch.ops));
    }
}

#[test]
fn what_cannot_be_driven_in_a_rewrite_is_named() {
    let target = |model: &str, weight: Value| json!({"modelRewrite": model, "weight": weight});
    for (targets, reason, words) in [
        (json!([target("base", json!(1))]), Reason::BackendMissing, "no rule for model chat"),
        (json!([]), Reason::BackendMissing, "no rule for model chat"),
        (
            json!([target("chat-v1", json!(1)), target("chat-v1", json!(1))]),
            Reason::UnmanagedBackend,
            "names chat-v1 twice",
        ),
        (
            json!([target("chat-v1", json!(7)), target("other", json!(3))]),
            Reason::UnmanagedBackend,
            "also sends to other",
        ),
        (json!([target("chat-v1", json!("many"))]), Reason::RuleNotFound, "is not understood"),
    ] {
        let trouble = read_rewrite(&rich(&targets)).unwrap_err();
        assert_eq!(trouble.reason, reason, "{}", trouble.message);
        assert!(trouble.message.contains(words), "{}", trouble.message);
    }
    let mut two = rich(&json!([{"modelRewrite": "chat-v1"}]));
    two["spec"]["rules"][0] = two["spec"]["rules"][1].clone();
    let trouble = read_rewrite(&two).unwrap_err();
    assert_eq!(trouble.reason, Reason::RuleNotFound);
    assert!(trouble.message.contains("several rules for model chat"), "{}", trouble.message);
    let gone = read(&rule_of("chat"), [None, None]).unwrap_err();
    assert_eq!(gone.reason, Reason::RouteNotFound);
}

#[test]
fn two_claims_on_one_object_clash() {
    let clash = |a: Value, b: Value| {
        let (a, b) = (router(a), router(b));
        let [a, b] = [&a, &b].map(|r| Claim::of(r).unwrap());
        assert_eq!(a.clashes(b), b.clashes(a));
        a.clashes(b)
    };
    let group = |blue: &str, green: &str| json!({"llmInferenceService": {"blue": blue, "green": green}});
    assert!(clash(group("a", "b"), group("b", "c")) && clash(group("a", "b"), group("b", "a")));
    assert!(!clash(group("a", "b"), group("c", "d")));
    let flag = |flag: &str| json!({"featureFlag": {"name": "chat", "flag": flag}});
    assert!(clash(flag("one"), flag("one")) && !clash(flag("one"), flag("other")));
    assert!(clash(rule_of("chat"), rule_of("chat")) && !clash(rule_of("chat"), rule_of("other")));
    assert!(!clash(flag("chat"), rule_of("chat")));
}
