//! What a Job of a gate is made of, and when: the template's own words, as far as they may count. What follows from its
//! number is told by the scenarios.

use std::time::Duration;

use llmrollout::decide::snapshot::JobSeen;
use serde_json::{Value, json};

use super::{scenarios::merged, world::World};

const MANIFEST: &str = include_str!("../scenarios/manifest.yaml");

/// A release in its first step, with a gate on a Job of this template.
fn released(template: &Value) -> World {
    let mut world = World::new(MANIFEST);
    world.cron_jobs.insert("eval".into(), template.clone());
    let gate =
        json!({"name": "accuracy", "job": {"cronJob": "eval", "value": "accuracy", "timeout": "2m"}, "min": "90%"});
    world.edit(|r| r.spec = merged(&r.spec, &json!({"gates": [gate]})));
    world.settle();
    world.edit(|r| {
        r.spec.release.template.as_mut().unwrap().pod_template.0["spec"]["containers"][0]["image"] = json!("chat:v2");
    });
    world.settle();
    world
}

fn template() -> Value {
    let env =
        json!([{"name": "LLMROLLOUT_COLOR", "value": "blue"}, {"name": "MODE", "value": "$(LLMROLLOUT_SERVICE)"}]);
    json!({"spec": {
        "selector": {"matchLabels": {"a": "b"}}, "manualSelector": true, "backoffLimit": 2,
        "activeDeadlineSeconds": 5, "ttlSecondsAfterFinished": 1,
        "template": {
            "metadata": {"labels": {"team": "a", "llmrollout.io/color": "green", "llmrollout.io/rollout": "other"}},
            "spec": {
                "serviceAccountName": "eval", "restartPolicy": "Never",
                "initContainers": [{"name": "fetch", "image": "fetch"}],
                "containers": [{"name": "eval", "image": "eval", "env": env}],
            },
        },
    }})
}

#[test]
fn a_template_keeps_its_words_but_those_that_are_the_operators() {
    let mut world = released(&template());
    assert!(world.made.is_empty(), "not before the step has begun");
    world.tick(Duration::from_secs(2));
    let [job] = world.made.as_slice() else { panic!("one Job: {:?}", world.made) };
    assert_eq!(job["metadata"]["ownerReferences"][0]["uid"], "uid-1");
    assert_eq!(job["metadata"]["labels"], json!({"llmrollout.io/rollout": "chat", "llmrollout.io/gate": "accuracy"}));
    let spec = &job["spec"];
    assert_eq!((&spec["activeDeadlineSeconds"], &spec["backoffLimit"]), (&json!(120), &json!(2)));
    assert!(spec["ttlSecondsAfterFinished"].as_i64() >= Some(30 * 24 * 3600), "it outlives the longest stage");
    assert!(spec.get("selector").is_none() && spec.get("manualSelector").is_none());
    let pod = &spec["template"];
    let labels = json!({"team": "a", "llmrollout.io/rollout": "chat", "llmrollout.io/gate": "accuracy"});
    assert_eq!(pod["metadata"]["labels"], labels, "no Service of a color may send it a request");
    assert_eq!(pod["spec"]["serviceAccountName"], "eval");
    let told = |container: &Value| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        container["env"].as_array().unwrap().iter().map(|e| (text(&e["name"]), text(&e["value"]))).collect()
    };
    let (main, init) = (told(&pod["spec"]["containers"][0]), told(&pod["spec"]["initContainers"][0]));
    assert_eq!(init.len(), 6);
    assert_eq!(main[..6], init, "each is told the same");
    assert_eq!(main[6..], [("MODE".to_owned(), "$(LLMROLLOUT_SERVICE)".to_owned())], "what is ours is told once");
    assert!(init.contains(&("LLMROLLOUT_COLOR".to_owned(), "green".to_owned())));
    assert!(init.contains(&("LLMROLLOUT_WEIGHT".to_owned(), "5".to_owned())));
}

#[test]
fn an_odd_template_is_the_api_servers_to_refuse() {
    for odd in [
        json!({}),
        json!({"spec": null}),
        json!({"spec": {"template": 5}}),
        json!({"spec": {"template": {"spec": []}}}),
    ] {
        let mut world = released(&template());
        world.cron_jobs.insert("eval".into(), odd.clone());
        world.now = world.now.plus(Duration::from_secs(2));
        let snapshot = world.snapshot(false);
        let decision = llmrollout::decide::decide(&snapshot);
        assert_eq!(decision.intents.len(), 1, "{odd}");
    }
}

#[test]
fn nothing_is_run_while_the_release_stands_still() {
    let mut world = released(&template());
    world.edit(|r| r.spec.paused = true);
    world.tick(Duration::from_mins(5));
    assert!(world.made.is_empty());
    let said = world.rollout.status.as_ref().unwrap().summary.clone();
    assert!(said.contains("no answer yet"), "its CronJob is there: {said}");
    world.edit(|r| r.spec.paused = false);
    world.tick(Duration::from_secs(2));
    assert_eq!(world.made.len(), 1);
    // A clock that goes wrong beside us makes no number older or younger than its step.
    let late = world.now.plus(Duration::from_hours(1));
    world.end(JobSeen::Done { at: late, words: Ok(r#"{"accuracy":0.99}"#.into()) });
    world.tick(Duration::from_mins(2));
    let status = world.rollout.status.clone().unwrap();
    assert_eq!((status.step.as_str(), world.made.len()), ("2/4", 2));
}
