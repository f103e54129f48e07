//! The frame of a write: routes as people write them (`tests/routes`), each read, written at several shares by the rules of
//! JSON patch, and compared: two weights and not a byte more. What must be refused is refused with its reason.
//! A file says above itself what is true of it: `blue:` and `green:` are the places of the colors, `each:` is the weight of
//! one percent, `now:` the shares it holds (`?` when they are not exact), `rule:` the rule that is asked for, `green-is:` what
//! green is called where it is of another namespace, `traffic:` the item of a manifest that names it, where it is no route.

use std::{collections::BTreeMap, fs};

use kube::core::DynamicObject;
use llmrollout::{
    api::{Percent, Reason, aside::Aside, status::Color, traffic::Router},
    routers::{self, Claim, Found, Out, PatchKind, Seen, Shares, Trouble, aside::Wanted},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    json_patch::obeys,
    routes::{one, read_called, written},
};

/// A route, and what its file says of it.
struct Case {
    file: String,
    route: Value,
    says: BTreeMap<String, String>,
    traffic: Option<Router>,
    refused: Option<(String, String)>,
}

impl Case {
    fn read_from(file: String, text: &str) -> Self {
        let (mut says, mut traffic, mut refused) = (BTreeMap::new(), None, None);
        for line in text.lines().map_while(|line| line.strip_prefix("# ")) {
            if let Some((reason, words)) = line.strip_prefix("refused: ").and_then(|rest| rest.split_once(": ")) {
                refused = Some((reason.to_owned(), words.to_owned()));
            } else if let Some(item) = line.strip_prefix("traffic: ") {
                traffic = Some(serde_saphyr::from_str(item).unwrap_or_else(|e| panic!("{file}: {e}")));
            } else if line.starts_with("blue: ") || line.starts_with("rule: ") {
                let words: Vec<&str> = line.split_whitespace().collect();
                let pairs = words.chunks(2).map(|pair| (pair[0].trim_end_matches(':').to_owned(), pair[1].to_owned()));
                says.extend(pairs);
            }
        }
        let mut route: Value = serde_saphyr::from_str(text).unwrap_or_else(|e| panic!("{file}: {e}"));
        route["metadata"]["resourceVersion"] = json!("77");
        Self { file, route, says, traffic, refused }
    }

    fn read(&self, route: &Value) -> Result<Seen, Trouble> {
        self.read_without(route, None)
    }

    fn read_without(&self, route: &Value, out: Option<&Out>) -> Result<Seen, Trouble> {
        if let Some(router) = &self.traffic {
            let object = DynamicObject::deserialize(route).unwrap();
            let found = Found { object: Some(&object), ..Found::default() };
            return Claim::of(router).expect("one router").read(["chat-blue", "chat-green"], found).state;
        }
        let kind =
            PatchKind::WATCHED.into_iter().find(|kind| route["kind"] == kind.names().kind).expect("a known kind");
        let called = |color: &str| self.says.get(&format!("{color}-is")).cloned().unwrap_or(format!("chat-{color}"));
        let rule = self.says.get("rule").map(String::as_str);
        read_called(kind, Some(route), rule, [&called("blue"), &called("green")], out)
    }

    /// What the two weights must be at these shares, and nothing else of the route.
    fn wanted(&self, shares: Shares) -> Value {
        let each: i32 = self.says["each"].parse().unwrap();
        let mut wanted = self.route.clone();
        for (color, share) in [("blue", shares.blue), ("green", shares.green)] {
            let backend = wanted.pointer_mut(&self.says[color]).expect("the place of a color");
            if let Value::Array(pair) = backend {
                pair.truncate(1);
                pair.push(json!(share.tenths() / 10 * each));
                continue;
            }
            assert_eq!(backend["name"], format!("chat-{color}"), "{}", self.file);
            backend["weight"] = json!(share.tenths() / 10 * each);
        }
        wanted
    }
}

fn cases() -> Vec<Case> {
    let folder = super::files::top("tests/routes");
    let files = super::files::below(&folder, ".yaml");
    let read = |file: &std::path::PathBuf| {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        Case::read_from(name, &fs::read_to_string(file).unwrap())
    };
    files.iter().map(read).collect()
}

/// Where two values differ, as paths of JSON pointers.
fn differences(before: &Value, after: &Value, at: &str, found: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let (a, b) = (a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null));
                let key = key.replace('~', "~0").replace('/', "~1");
                differences(a, b, &format!("{at}/{key}"), found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (n, (a, b)) in a.iter().zip(b).enumerate() {
                differences(a, b, &format!("{at}/{n}"), found);
            }
        }
        _ if before == after => {}
        _ => found.push(at.to_owned()),
    }
}

#[test]
fn a_write_changes_the_two_weights_of_any_route_and_not_a_byte_more() {
    let cases = cases();
    let driven: Vec<&Case> = cases.iter().filter(|case| case.refused.is_none()).collect();
    let of = |kind: &str| driven.iter().filter(|case| case.route["kind"] == kind).count();
    assert!(of("HTTPRoute") >= 25 && of("GRPCRoute") >= 5, "{} and {}", of("HTTPRoute"), of("GRPCRoute"));
    assert!(of("FeatureFlag") >= 5, "{}", of("FeatureFlag"));
    for case in driven {
        let file = &case.file;
        let seen = case.read(&case.route).unwrap_or_else(|t| panic!("{file}: {}", t.message));
        let now = format!("{}/{}{}", seen.shares.blue, seen.shares.green, if seen.exact { "" } else { "?" });
        assert_eq!(now, case.says["now"], "{file}");
        for green in [0, 1, 5, 20, 50, 99, 100] {
            let shares = Shares::of_percent(100 - green, green);
            let patch = written(&seen, shares);
            assert_eq!(patch.kind.names().kind, case.route["kind"], "{file}");
            let mut after = case.route.clone();
            assert!(obeys(&mut after, &patch.ops), "{file}: the write is refused");
            assert_eq!(after, case.wanted(shares), "{file} at {green}%");
            // The whole text, numbers and the order of lists included.
            assert_eq!(after.to_string(), case.wanted(shares).to_string(), "{file} at {green}%");
            let mut changed = Vec::new();
            differences(&case.route, &after, "", &mut changed);
            // Of a pair, which is shown whole where its weight was left out, the second.
            let weights = ["blue", "green"].map(|color| {
                let at = &case.says[color];
                [format!("{at}/weight"), format!("{at}/1"), at.clone()]
            });
            let is_pair = case.route.pointer(&case.says["blue"]).is_some_and(Value::is_array);
            let allowed =
                |path: &String| weights.iter().any(|w| if is_pair { w[1..].contains(path) } else { w[0] == *path });
            assert!(changed.iter().all(allowed), "{file} at {green}%: {changed:?}");
            let again = case.read(&after).unwrap_or_else(|t| panic!("{file}: {}", t.message));
            assert_eq!((again.shares, again.exact), (shares, true), "{file}: what was written is read as it was meant");
        }
    }
}

/// Whose requests a dark step sends to the candidate in these tests.
fn testers() -> Aside {
    let testers =
        json!([{"header": {"name": "x-tester", "value": "yes"}}, {"cookie": {"name": "tester", "value": "a.b"}}]);
    serde_json::from_value(json!({"match": testers})).unwrap()
}

/// For green, and no filter is ours yet.
fn wanted(aside: &Aside) -> Wanted<'_> {
    Wanted { aside, color: Color::Green, ours: false }
}

/// The route with its managed rule named, as `match` wants it.
fn named(case: &Case) -> Value {
    let mut route = case.route.clone();
    let (rule, _) = case.says["blue"].split_once("/backendRefs").unwrap();
    let name = &mut route.pointer_mut(rule).unwrap()["name"];
    if name.is_null() {
        *name = json!("managed");
    }
    route
}

#[test]
fn a_rule_for_testers_comes_and_goes_and_leaves_any_route_as_it_was() {
    let (aside, nothing) = (testers(), Aside::default());
    let cases = cases();
    let mut roomy = 0;
    for case in cases.iter().filter(|case| case.refused.is_none() && case.traffic.is_none()) {
        let file = &case.file;
        let before = named(case);
        let seen = case.read(&before).unwrap();
        let Some(room) = seen.room.as_ref().filter(|room| room.refuses(wanted(&aside)).is_none()) else { continue };
        assert!(!room.sends_testers() && seen.holds(wanted(&nothing)) && seen.lacks(wanted(&aside)), "{file}");
        roomy += 1;
        let dark = Shares::of_percent(100, 0);
        let mut with = before.clone();
        assert!(obeys(&mut with, &one(routers::write_beside(&seen, dark, wanted(&aside))).ops), "{file}");
        let (mut rules, managed) = (with["spec"]["rules"].as_array().unwrap().clone(), case.says["blue"].clone());
        let made = rules.pop().unwrap();
        let own = &rules[managed.split('/').nth(3).unwrap().parse::<usize>().unwrap()];
        let green = case.says.get("green-is").map_or("chat-green".to_owned(), |is| is.replace('/', "-"));
        assert_eq!(made["name"], format!("llmrollout-match.{green}.{}", own["name"].as_str().unwrap()), "{file}");
        assert_eq!(made["backendRefs"].as_array().unwrap().len(), 1, "{file}");
        assert_eq!(made["backendRefs"][0]["name"], "chat-green", "{file}");
        for kept in ["filters", "timeouts", "retry"] {
            assert_eq!(made[kept], own[kept], "{file}: {kept}");
        }
        assert_eq!(rules, wanted_rules(case, &before, dark), "{file}: nothing else moved");
        let again = case.read(&with).unwrap_or_else(|t| panic!("{file}: {}", t.message));
        assert!(again.holds(wanted(&aside)) && !again.holds(Wanted { color: Color::Blue, ..wanted(&aside) }), "{file}");
        assert_eq!(again.shares, dark, "{file}");
        let twice = one(routers::write_beside(&again, dark, wanted(&aside)));
        assert_eq!(twice.ops.len(), 5, "{file}: what stands there is not written again");
        // The first share takes it out, and so does the way back.
        for shares in [Shares::of_percent(95, 5), dark] {
            let mut after = with.clone();
            assert!(obeys(&mut after, &one(routers::write_beside(&again, shares, wanted(&nothing))).ops), "{file}");
            let mut whole = before.clone();
            whole["spec"]["rules"] = json!(wanted_rules(case, &before, shares));
            assert_eq!(after.to_string(), whole.to_string(), "{file}: as it was but for the weights");
        }
    }
    assert!(roomy >= 20, "only {roomy} routes had room");
}

#[test]
fn a_filter_that_copies_comes_and_goes_and_leaves_any_route_as_it_was() {
    let (copies, nothing) = (Aside { mirror: Some(10), ..Aside::default() }, Aside::default());
    let ours = |aside| Wanted { ours: true, ..wanted(aside) };
    let mut roomy = 0;
    for case in cases().iter().filter(|case| case.refused.is_none()) {
        let file = &case.file;
        let mut before = case.route.clone();
        before["status"] = super::objects::status(1);
        let seen = case.read(&before).unwrap();
        let Some(room) = seen.room.as_ref().filter(|room| room.refuses(wanted(&copies)).is_none()) else { continue };
        assert!(seen.holds(wanted(&nothing)) && seen.lacks(wanted(&copies)), "{file}");
        assert_eq!(room.mirrors(Color::Green), None, "{file}");
        roomy += 1;
        let dark = Shares::of_percent(100, 0);
        let mut with = before.clone();
        assert!(obeys(&mut with, &one(routers::write_beside(&seen, dark, wanted(&copies))).ops), "{file}");
        let (rule, _) = case.says["blue"].split_once("/backendRefs").unwrap();
        let filter = with.pointer(&format!("{rule}/filters")).and_then(Value::as_array).unwrap().last().unwrap();
        assert_eq!(filter["requestMirror"]["backendRef"]["name"], "chat-green", "{file}");
        assert_eq!(filter["requestMirror"]["percent"], 10, "{file}");
        let again = case.read(&with).unwrap();
        assert!(again.holds(ours(&copies)) && !again.holds(ours(&nothing)), "{file}");
        assert!(again.holds(wanted(&nothing)), "{file}: unless status knows of it, it is the user's");
        assert_eq!(
            one(routers::write_beside(&again, dark, ours(&copies))).ops.len(),
            5,
            "{file}: it is not written again"
        );
        for shares in [Shares::of_percent(95, 5), dark] {
            let mut after = with.clone();
            assert!(obeys(&mut after, &one(routers::write_beside(&again, shares, ours(&nothing))).ops), "{file}");
            let mut whole = before.clone();
            whole["spec"]["rules"] = json!(wanted_rules(case, &before, shares));
            assert_eq!(after.to_string(), whole.to_string(), "{file}: as it was but for the weights");
        }
    }
    assert!(roomy >= 20, "only {roomy} routes had room");
}

/// Tenths are told in thousandths where nobody else stands beside the colors, and where what they have together allows it.
#[test]
fn a_tenth_of_a_percent_is_written_and_read_as_it_was_meant() {
    let (mut told, mut refused) = (0, 0);
    for case in cases().iter().filter(|case| case.refused.is_none()) {
        let seen = case.read(&case.route).unwrap();
        for tenths in [1, 5, 55, 999] {
            if let Some(why) = seen.refuses(Percent::of_tenths(tenths)) {
                assert!(why.contains("give them a sum of 1000"), "{}: {why}", case.file);
                refused += 1;
                continue;
            }
            let shares = Shares::giving(Color::Green, Percent::of_tenths(tenths));
            let mut after = case.route.clone();
            assert!(obeys(&mut after, &written(&seen, shares).ops), "{}", case.file);
            let now = case.read(&after).unwrap();
            assert_eq!((now.shares, now.exact), (shares, true), "{} at {tenths} tenths", case.file);
            // And home again, as from any share.
            let home = Shares::of_percent(100, 0);
            assert!(obeys(&mut after, &written(&now, home).ops), "{}", case.file);
            assert_eq!(after.to_string(), case.wanted(home).to_string(), "{}", case.file);
            told += 1;
        }
    }
    assert!(told >= 100 && refused >= 4, "{told} {refused}");
}

/// The rules of the route with these shares.
fn wanted_rules(case: &Case, route: &Value, shares: Shares) -> Vec<Value> {
    let mut route = route.clone();
    for (color, share) in [("blue", shares.blue), ("green", shares.green)] {
        let each: i32 = case.says["each"].parse().unwrap();
        route.pointer_mut(&case.says[color]).unwrap()["weight"] = json!(share.tenths() / 10 * each);
    }
    route["spec"]["rules"].as_array().unwrap().clone()
}

#[test]
fn a_write_to_any_route_that_moved_meanwhile_changes_nothing() {
    for case in cases().iter().filter(|case| case.refused.is_none()) {
        let patch = written(&case.read(&case.route).unwrap(), Shares::of_percent(100, 0));
        let mut newer = case.route.clone();
        newer["metadata"]["resourceVersion"] = json!("78");
        let mut reordered = case.route.clone();
        let place = case.says["blue"].rsplit_once('/').unwrap().0;
        reordered.pointer_mut(place).and_then(Value::as_array_mut).unwrap().rotate_left(1);
        for mut moved in [newer, reordered] {
            let before = moved.clone();
            assert!(!obeys(&mut moved, &patch.ops), "{}", case.file);
            assert_eq!(moved, before);
        }
    }
}

/// A reference that is taken out leaves the other color everything, is not missed where it is known to be ours, and stands
/// again as it stood, to the last byte.
#[test]
fn what_is_taken_out_of_any_route_is_put_back_as_it_was() {
    for case in cases().iter().filter(|case| case.refused.is_none() && case.traffic.is_none()) {
        let file = &case.file;
        for (color, shares) in [(Color::Green, Shares::of_percent(100, 0)), (Color::Blue, Shares::of_percent(0, 100))] {
            let before = case.wanted(shares);
            let seen = case.read(&before).unwrap();
            let (at, whole) = seen.reference(color).unwrap();
            let out = Out { color, at, whole: whole.clone() };
            let mut without = before.clone();
            assert!(obeys(&mut without, &routers::take_out(&seen, color).unwrap().ops), "{file}");
            let place = case.says[color.word()].rsplit_once('/').unwrap().0;
            let list = |route: &Value| route.pointer(place).and_then(Value::as_array).unwrap().clone();
            let mut rest = list(&before);
            assert_eq!(rest.remove(at), out.whole, "{file}");
            assert_eq!(list(&without), rest, "{file}: nothing but the reference is gone");
            assert_eq!(case.read(&without).unwrap_err().reason, Reason::BackendMissing, "{file}");
            let known = case.read_without(&without, Some(&out)).unwrap();
            assert_eq!((known.shares, known.exact, known.out()), (shares, true, Some(color)), "{file}");
            assert_eq!(routers::take_out(&known, color), None, "{file}: it is gone already");
            let mut again = without.clone();
            assert!(obeys(&mut again, &routers::put_back(&known).unwrap().ops), "{file}");
            assert_eq!(again.to_string(), before.to_string(), "{file}");
            let raised = Shares::of_percent(60, 40);
            assert!(obeys(&mut without, &written(&known, raised).ops), "{file}");
            assert_eq!(without, case.wanted(raised), "{file}: whoever is given a share stands there");
        }
    }
}

#[test]
fn a_route_that_is_not_understood_is_refused_with_its_reason() {
    let cases = cases();
    let refused: Vec<_> = cases.iter().filter_map(|case| Some((case, case.refused.as_ref()?))).collect();
    assert!(refused.len() >= 10, "{} routes are to be refused", refused.len());
    for (case, (reason, words)) in refused {
        let trouble = case.read(&case.route).map(drop).expect_err(&case.file);
        let kind = case.route["kind"].as_str().unwrap();
        assert_eq!(trouble.reason.word(), reason, "{}: {}", case.file, trouble.message);
        let said = trouble.message.contains(words.as_str()) && trouble.message.contains(kind);
        assert!(said, "{}: {}", case.file, trouble.message);
    }
}
