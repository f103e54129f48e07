//! What must hold of every write an operator sends, however often it died: read from the proxy's trace alone.
//! Nothing here asks a server.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::kit::proxy::Seen;

/// The shares that green may have, in order; then nothing.
const LADDER: &[i64] = &[0, 50, 100];
const GUARD: &str = "/metadata/resourceVersion";
const SELECTOR: &str = "/spec/selector/llmrollout.io~1color";

/// A share that a router was given: green's part of it.
fn shares(write: &Seen) -> Option<(i64, i64)> {
    let op = |ending: &str| {
        let ops = write.sent.as_array().into_iter().flatten();
        ops.filter(|op| op["op"] == "add" || op["op"] == "replace")
            .find(|op| op["path"].as_str().is_some_and(|p| p.ends_with(ending)))
    };
    if write.object().starts_with("services/") {
        let green = op(SELECTOR)?["value"] == "green";
        return Some(if green { (0, 100) } else { (100, 0) });
    }
    let weight = |index: usize| op(&format!("/backendRefs/{index}/weight"))?["value"].as_i64();
    Some((weight(0)?, weight(1)?))
}

/// Whether a write is about where requests go.
pub(super) fn moves_traffic(write: &Seen) -> bool {
    write.verb == "patch" && (write.object().starts_with("httproutes/") || write.object() == "services/chat")
}

/// The writes that moved traffic, by router: how often it was given which share.
pub(super) fn effects(writes: &[Seen]) -> BTreeMap<(String, i64), usize> {
    let mut all = BTreeMap::new();
    for write in writes.iter().filter(|write| moves_traffic(write) && write.took()) {
        if let Some((_, green)) = shares(write) {
            *all.entry((write.object().to_owned(), green)).or_default() += 1;
        }
    }
    all
}

/// Every law that a trace breaks, in words. `begin` is green's share everywhere before it.
pub(super) fn broken(writes: &[Seen], begin: i64) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut now: BTreeMap<&str, i64> = BTreeMap::new();
    let (mut status, mut latched) = (Value::Null, BTreeSet::new());
    for write in writes.iter().filter(|write| write.took()) {
        if moves_traffic(write) {
            wrong.extend(of_a_move(write, now.get(write.object()).copied().unwrap_or(begin), &status, &latched));
            now.insert(write.object(), shares(write).map_or(-1, |(_, green)| green));
        } else if write.object() == "llmrollouts/chat/status" {
            status = write.sent["status"].clone();
            latched.extend(status["abortedRevision"].as_str().map(str::to_owned));
            wrong.extend(of_a_status(&status, &now, begin));
        } else if ["deployments/chat-blue", "services/chat-blue"].contains(&write.object())
            && !status.is_null()
            && !is_over(&status)
        {
            wrong.push(format!("I9: {} while the release is in {}", write.line(), status["phase"]));
        }
    }
    wrong
}

fn is_over(status: &Value) -> bool {
    ["Decommissioning", "Completed"].iter().any(|phase| status["phase"] == *phase)
}

/// I1, I5, I6, I8, I21 and I24 of one write.
fn of_a_move(write: &Seen, before: i64, status: &Value, latched: &BTreeSet<String>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut say = |law: &str| wrong.push(format!("{law}: {} {}", write.line(), write.sent));
    let ops: Vec<_> = write.sent.as_array().into_iter().flatten().collect();
    if !ops.iter().any(|op| op["path"] == GUARD && op["op"] == "replace" && op["value"].is_string()) {
        say("I6, no version");
    }
    let ours = |path: &str| path == GUARD || path == SELECTOR || path.ends_with("/weight");
    if ops.iter().any(|op| op["op"] != "test" && !op["path"].as_str().is_some_and(ours)) {
        say("I24, more than weights");
    }
    let Some((blue, green)) = shares(write) else {
        say("I1, no two weights");
        return wrong;
    };
    if blue < 0 || green < 0 || blue + green != 100 {
        say("I1, the sum");
    }
    let at = |share: i64| LADDER.iter().position(|step| *step == share);
    // A selector knows two shares only.
    let least = if write.object().starts_with("services/") { 50 } else { before };
    let one_up = at(green).is_some_and(|to| at(least).is_some_and(|from| to == from + 1));
    if green > before {
        if !one_up {
            say(&format!("I8, from {before}"));
        }
        let intent = &status["intent"];
        if intent["weight"].as_i64() != Some(green) {
            say(&format!("I21, the intent is {intent}"));
        }
        if intent["revision"].as_str().is_none_or(|revision| latched.contains(revision)) {
            say("I5, a revision that was taken back");
        }
    } else if green != before && green != 0 {
        say(&format!("I8, from {before}"));
    }
    wrong
}

/// I3 and I11 of one status: what it claims was written, and a step after the first rests on a gate that passed.
fn of_a_status(status: &Value, now: &BTreeMap<&str, i64>, begin: i64) -> Option<String> {
    let claimed = status["attempt"]["weight"].as_i64().unwrap_or(0);
    let given = |route: &str| now.get(route).copied().unwrap_or(begin);
    let least = ["httproutes/chat", "httproutes/chat-two"].map(given).into_iter().min().unwrap_or(begin);
    let stands = ["Holding", "Baking", "Decommissioning", "Completed"].iter().any(|phase| status["phase"] == *phase);
    if stands && claimed > least && status["attempt"]["id"] == 2 {
        return Some(format!("I11: the status claims {claimed}% while a route was given {least}%"));
    }
    let passed =
        status["gates"].as_array().into_iter().flatten().any(|gate| gate["verdict"] == "Pass" && gate["step"] == 1);
    if status["intent"]["weight"] == 100 && !passed {
        return Some(format!("I3: step 2 is intended on {}", status["gates"]));
    }
    None
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use serde_json::{Value, json};

    use super::{broken, effects};
    use crate::kit::proxy::Seen;

    fn write(object: &str, sent: Value) -> Seen {
        Seen {
            verb: "patch",
            path: format!("/x/namespaces/n/{object}"),
            at: Instant::now(),
            sent,
            code: 200,
            got: Value::Null,
        }
    }

    fn moved(route: &str, blue: i64, green: i64) -> Seen {
        write(
            route,
            json!([
                {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"},
                {"op": "test", "path": "/spec/rules/0/backendRefs/0/name", "value": "chat-blue"},
                {"op": "add", "path": "/spec/rules/0/backendRefs/0/weight", "value": blue},
                {"op": "add", "path": "/spec/rules/0/backendRefs/1/weight", "value": green},
            ]),
        )
    }

    fn intent(weight: i64, more: &Value) -> Seen {
        let mut status =
            json!({"phase": "Shifting", "intent": {"weight": weight, "revision": "r"}, "attempt": {"id": 2}});
        if let (Some(all), Some(more)) = (status.as_object_mut(), more.as_object()) {
            all.extend(more.clone());
        }
        write("llmrollouts/chat/status", json!({ "status": status }))
    }

    fn law(writes: &[Seen]) -> String {
        broken(writes, 0)
            .first()
            .map(|said| said.split([',', ':']).next().unwrap_or_default().to_owned())
            .unwrap_or_default()
    }

    #[test]
    fn a_step_by_the_book_breaks_nothing() {
        let passed = json!({"gates": [{"verdict": "Pass", "step": 1}], "attempt": {"id": 2, "weight": 50}});
        let both =
            |green| [moved("httproutes/chat", 100 - green, green), moved("httproutes/chat-two", 100 - green, green)];
        let all = [
            vec![intent(50, &json!({}))],
            both(50).into(),
            vec![intent(100, &passed)],
            both(100).into(),
            both(0).into(),
        ]
        .concat();
        assert_eq!(broken(&all, 0), Vec::<String>::new());
        assert_eq!(effects(&all)[&("httproutes/chat".to_owned(), 50)], 1);
    }

    #[test]
    fn each_law_is_missed_when_it_is_broken() {
        let (none, route) = (json!({}), "httproutes/chat");
        assert_eq!(law(&[moved(route, 50, 50)]), "I21");
        assert_eq!(law(&[intent(50, &none), moved(route, 60, 50)]), "I1");
        assert_eq!(
            law(&[intent(100, &json!({"gates": [{"verdict": "Pass", "step": 1}]})), moved(route, 0, 100)]),
            "I8"
        );
        assert_eq!(law(&[intent(100, &none)]), "I3");
        assert_eq!(law(&[intent(50, &json!({"phase": "Holding", "attempt": {"id": 2, "weight": 50}}))]), "I11");
        assert_eq!(law(&[intent(50, &json!({"abortedRevision": "r"})), moved(route, 50, 50)]), "I5");
        assert_eq!(law(&[intent(50, &none), write("deployments/chat-blue", json!([]))]), "I9");
        let mut unguarded = moved(route, 50, 50);
        unguarded.sent.as_array_mut().map(|ops| ops.remove(0));
        assert_eq!(law(&[intent(50, &none), unguarded]), "I6");
        let mut more = moved(route, 50, 50);
        more.sent
            .as_array_mut()
            .into_iter()
            .for_each(|ops| ops.push(json!({"op": "add", "path": "/spec/hostnames", "value": []})));
        assert_eq!(law(&[intent(50, &none), more]), "I24");
    }
}
