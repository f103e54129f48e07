//! What the schema cannot see is said by the plan: the first thing that is wrong, and what to write instead.

use std::{collections::BTreeMap, time::Duration};

use llmrollout::{
    api::{LlmRollout, Moment, Reason, exporters::Metrics, gates::Metric, status::Color},
    decide::{
        plan::Plan,
        snapshot::{Around, GateSetSeen, GateSets, Offers, PriceListSeen},
    },
    metrics::{Ask, Source, Subject, question},
};
use serde_json::{Value, json};

const MANIFEST: &str = include_str!("../scenarios/manifest.yaml");

fn read(change: impl FnOnce(&mut Value)) -> Result<Plan, (Reason, String)> {
    read_with(&[], change)
}

/// With these sets, each a name and its gates.
fn read_with(sets: &[(&str, Value)], change: impl FnOnce(&mut Value)) -> Result<Plan, (Reason, String)> {
    read_beside(sets, &PriceListSeen::Missing, change)
}

fn read_beside(
    sets: &[(&str, Value)],
    price_list: &PriceListSeen,
    change: impl FnOnce(&mut Value),
) -> Result<Plan, (Reason, String)> {
    let there = |gates: &Value| GateSetSeen::There(serde_json::from_value(gates.clone()).unwrap());
    let sets: GateSets = sets.iter().map(|(name, gates)| ((*name).to_owned(), there(gates))).collect();
    let mut manifest: Value = serde_saphyr::from_str(MANIFEST).unwrap();
    change(&mut manifest["spec"]);
    let rollout: LlmRollout = serde_json::from_value(manifest).unwrap();
    let offers = Offers { providers: vec!["default".into(), "thanos".into()], ..super::objects::offers() };
    Plan::read(
        &rollout.spec,
        Around { price_list, now: Moment::from_unix(1_800_000_000), ..Around::new(&sets, &offers) },
    )
    .map_err(|w| (w.reason, w.message))
}

#[test]
fn a_good_manifest_is_read_with_its_defaults() {
    let plan = read(|_| {}).unwrap();
    assert_eq!(plan.steps.iter().map(|s| s.weight).collect::<Vec<_>>(), [5, 20, 50, 100]);
    assert_eq!((plan.gates[0].bad, plan.gates[0].of, plan.gates[0].min_samples), (2, 3, 50));
    assert_eq!(plan.gates[0].budget.as_secs(), 15 * 60);
    assert_eq!((plan.gates[0].window.as_secs(), plan.gates[0].interval.as_secs()), (300, 15));
    assert_eq!(plan.ready_timeout.as_secs(), 30 * 60);
    let plan = read(|s| drop(s.as_object_mut().unwrap().remove("steps"))).unwrap();
    assert_eq!(plan.steps.iter().map(|s| s.hold.as_secs() / 60).collect::<Vec<_>>(), [30, 60, 120, 240]);
    let plan = read(|s| {
        s.as_object_mut().unwrap().remove("steps");
        s["traffic"] = json!([{"service": {"name": "chat"}}]);
    });
    let steps = plan.unwrap().course.steps;
    assert_eq!(steps.len(), 1, "a selector cannot split");
    assert_eq!((steps[0].weight.tenths() / 10, steps[0].hold.as_secs()), (100, 4 * 3600));
    assert!(read(|s| s["gates"][1]["max"] = json!("7680s")).is_ok(), "the last bucket itself can be told");
    let signed = read(|s| s["approvals"] = json!([{"before": "Full", "roles": ["sre"]}])).unwrap();
    assert_eq!(signed.signs[0].expires.as_secs(), 24 * 3600);
    let quick = read(|s| s["gates"][0]["severity"] = json!("Abort")).unwrap();
    assert_eq!((quick.gates[0].bad, quick.gates[0].of, quick.gates[0].interval.as_secs()), (1, 1, 5));
}

#[test]
fn each_wrong_manifest_is_told_what_to_write() {
    type Change = fn(&mut Value);
    let table: [(Change, Reason, &str); 12] = [
        (|s| s["metrics"]["provider"] = json!("nope"), Reason::ProviderUnknown, "default, thanos"),
        (|s| drop(s["metrics"].as_object_mut().unwrap().remove("prices")), Reason::PricesMissing, "prices: {input:"),
        (|s| s["gates"][0]["max"] = json!("1s"), Reason::InvalidSpec, "`1%`"),
        (|s| s["gates"][1]["max"] = json!("1%"), Reason::InvalidSpec, "`1.5s`"),
        (|s| s["gates"][2]["max"] = json!("5s"), Reason::InvalidSpec, "`$0.005`"),
        (|s| s["gates"][1]["max"] = json!("9000s"), Reason::InvalidSpec, "7680s"),
        (|s| s["gates"][0]["max"] = json!("100%"), Reason::InvalidSpec, "never be exceeded"),
        (|s| drop(s["gates"][1].as_object_mut().unwrap().remove("quantile")), Reason::InvalidSpec, "quantile"),
        (|s| s["gates"] = json!([]), Reason::InvalidSpec, "at least one"),
        (|s| s["steps"][3]["weight"] = json!(90), Reason::InvalidSpec, "end at 100"),
        (|s| s["steps"][1]["weight"] = json!(5), Reason::InvalidSpec, "must rise"),
        (|s| s["steps"][0]["hold"] = json!("5 minutes"), Reason::InvalidSpec, "1h30m"),
    ];
    for (change, reason, words) in table {
        let (got, message) = read(change).unwrap_err();
        assert_eq!(got, reason, "{message}");
        assert!(message.contains(words), "{message} does not say {words}");
    }
}

#[test]
fn a_set_is_taken_over_and_the_rollouts_own_gate_replaces_one_of_it() {
    let errors = |max: &str| json!({"name": "errors", "metric": "errorRate", "max": max});
    let p99 = json!({"name": "p99", "metric": "latency", "quantile": "0.99", "max": "10s", "severity": "Pause"});
    let set = ("org-defaults", json!([errors("1%"), p99]));
    let take = json!({"gateSet": "org-defaults"});
    let whole = read_with(std::slice::from_ref(&set), |s| s["gates"] = json!([take])).unwrap();
    let same = read(|s| s["gates"] = set.1.clone()).unwrap();
    assert_eq!(whole.gates, same.gates, "a gate means the same wherever it stands");
    let own = json!([take, errors("3%")]);
    let replaced = read_with(std::slice::from_ref(&set), |s| s["gates"] = own.clone()).unwrap();
    let told: Vec<_> = replaced.gates.iter().map(|g| (g.name.as_str(), g.test.limit())).collect();
    let alone = read(|s| s["gates"] = json!([errors("3%")])).unwrap();
    assert_eq!(told, [("p99", whole.gates[1].test.limit()), ("errors", alone.gates[0].test.limit())]);
    let named = read_with(&[set], |s| {
        s["gates"] = json!([take]);
        s["steps"][0]["gates"] = json!(["p99"]);
        s["bake"] = json!([{"name": "hour", "for": "1h", "gates": ["errors"]}]);
    });
    assert!(named.is_ok(), "{named:?}");
}

#[test]
fn a_set_that_cannot_be_taken_over_is_refused_in_words() {
    let errors = json!({"name": "errors", "metric": "errorRate", "max": "1%"});
    let late = json!({"name": "late", "metric": "latency", "max": "1s"});
    let many: Vec<Value> =
        (0..32).map(|n| json!({"name": format!("g{n}"), "metric": "errorRate", "max": "1%"})).collect();
    let sets = [
        ("a", json!([errors])),
        ("b", json!([errors])),
        ("twice", json!([errors, errors])),
        ("deep", json!([{"gateSet": "a"}])),
        ("wrong", json!([late])),
        ("nameless", json!([{"metric": "errorRate", "max": "1%"}])),
        ("many", json!(many)),
        ("none", json!([])),
    ];
    let table: [(Value, Reason, &str); 11] = [
        (json!([{"gateSet": "c"}]), Reason::GateSetMissing, "there is no LlmGateSet c in this namespace"),
        (json!([errors, {"gateSet": "c"}]), Reason::GateSetMissing, "or write its gates here"),
        (
            json!([{"gateSet": "a"}, {"gateSet": "b"}]),
            Reason::InvalidSpec,
            "errors stands in LlmGateSet a and in LlmGateSet b",
        ),
        (json!([{"gateSet": "a"}, {"gateSet": "a"}]), Reason::InvalidSpec, "from LlmGateSet a twice"),
        (json!([{"gateSet": "twice"}]), Reason::InvalidSpec, "from LlmGateSet twice twice"),
        (json!([{"gateSet": "deep"}]), Reason::InvalidSpec, "takes over another set"),
        (json!([{"gateSet": "wrong"}]), Reason::InvalidSpec, "stands in LlmGateSet wrong"),
        (json!([{"gateSet": "nameless"}]), Reason::InvalidSpec, "each item has a `name`"),
        (json!([{"gateSet": "many"}, errors]), Reason::InvalidSpec, "has 33 gates; leave 32"),
        (json!([{"gateSet": "none"}]), Reason::InvalidSpec, "at least one"),
        (json!([{"gateSet": "a", "max": "2%"}]), Reason::InvalidSpec, "beside `gateSet: a` nothing else is written"),
    ];
    for (gates, reason, words) in table {
        let (got, message) = read_with(&sets, |s| s["gates"] = gates.clone()).unwrap_err();
        assert_eq!(got, reason, "{message}");
        assert!(message.contains(words), "{message} does not say {words}");
    }
    let both = json!([{"gateSet": "a"}, {"gateSet": "b"}, errors]);
    assert!(read_with(&sets, |s| s["gates"] = both).is_ok(), "the rollout's own takes the place of both");
}

#[test]
fn prices_of_a_list_are_those_of_its_model_and_never_nothing() {
    const WHOLE: &[(&str, &str)] = &[
        ("asOf", "2027-01-01"),
        ("currency", "EUR"),
        ("chat.input", "$0.50"),
        ("chat.cachedInput", "$0.05"),
        ("chat.output", "$1.50"),
        ("chat.small.input", "$0.10"),
        ("chat-2.output", "free"),
    ];
    let list = |without: &str, with: &[(&str, &str)]| {
        let all = WHOLE.iter().filter(|(key, _)| *key != without).chain(with);
        PriceListSeen::There(all.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    };
    let of_list = |seen: &PriceListSeen| {
        read_beside(&[], seen, |s| s["metrics"]["prices"] = json!({"configMap": "prices", "model": "chat"}))
    };
    let inline =
        json!({"input": "$0.50", "cachedInput": "$0.05", "output": "$1.50", "asOf": "2027-01-01", "currency": "EUR"});
    let same = read(|s| s["metrics"]["prices"] = inline.clone()).unwrap();
    assert_eq!(of_list(&list("", &[])).unwrap(), same, "prices mean the same wherever they stand");
    let cost = |plan: &Plan| plan.gates[2].note.clone();
    assert_eq!(cost(&same).as_deref(), Some("prices of 2027-01-01, in EUR"));
    let computed = of_list(&list("chat.cachedInput", &[])).unwrap();
    assert_ne!(computed.source, same.source, "tokens from a cache cost as much as computed ones");
    for (day, old) in [("2026-07-19", false), ("2026-07-18", true), ("2028-01-01", false)] {
        let note = cost(&of_list(&list("asOf", &[("asOf", day)])).unwrap()).unwrap();
        assert!(note.starts_with(&format!("prices of {day}")), "{note}");
        assert_eq!(note.contains("more than 180 days old: look them up anew"), old, "{note}");
    }
    let table: [(PriceListSeen, Reason, &str); 12] = [
        (PriceListSeen::Missing, Reason::PricesMissing, "no ConfigMap prices with the label llmrollout.io/prices"),
        (list("chat.input", &[]), Reason::PricesMissing, "write for example `chat.input: $0.50`"),
        (list("chat.output", &[]), Reason::PricesMissing, "has no `chat.output`"),
        (PriceListSeen::There(BTreeMap::new()), Reason::PricesMissing, "has no `chat.input`"),
        (list("asOf", &[]), Reason::PricesUnreadable, "write for example `asOf: \"2026-08-01\"`"),
        (list("asOf", &[("asOf", "1.8.2026")]), Reason::PricesUnreadable, "ConfigMap prices: `1.8.2026` is no day"),
        (
            list("chat.input", &[("chat.input", "0.50")]),
            Reason::PricesUnreadable,
            "ConfigMap prices: `0.50` is no price",
        ),
        (list("chat.input", &[("chat.input", "$-0.50")]), Reason::PricesUnreadable, "`$-0.50` is no price"),
        (list("chat.output", &[("chat.output", "-$1")]), Reason::PricesUnreadable, "`-$1` is no price"),
        (list("chat.output", &[("chat.output", "")]), Reason::PricesUnreadable, "`` is no price"),
        (list("currency", &[("currency", "euro")]), Reason::PricesUnreadable, "`euro` is no currency"),
        (list("", &[("chat.cached", "$0.05")]), Reason::PricesUnreadable, "`chat.cached` means nothing"),
    ];
    for (seen, reason, words) in table {
        let (got, message) = of_list(&seen).unwrap_err();
        assert_eq!(got, reason, "{message}");
        assert!(message.contains(words), "{message} does not say {words}");
    }
    let both = json!({"configMap": "prices", "model": "chat", "input": "$0.50", "output": "$1.50"});
    for wrong in [both, json!({"configMap": "prices"}), json!({"input": "$1"}), json!({})] {
        let (reason, message) = read_beside(&[], &list("", &[]), |s| s["metrics"]["prices"] = wrong).unwrap_err();
        assert!(
            reason == Reason::InvalidSpec && message.contains("`{configMap: price-list, model: chat-8b}`"),
            "{message}"
        );
    }
}

#[test]
fn a_number_of_an_endpoint_is_looked_at_as_the_endpoint_can_tell_it() {
    let gate = |more: Value| {
        let mut gate = json!({"name": "score", "http": {"name": "eval", "path": "/score"}});
        gate.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        read(|s| s["gates"] = json!([gate]))
    };
    let counted = json!({"name": "eval", "path": "/score", "samples": "/count"});
    for good in [
        json!({"min": "95%"}),
        json!({"max": "1.5s"}),
        json!({"between": ["1", "2"]}),
        json!({"equals": "0"}),
        json!({"target": "$2", "tolerance": "5%"}),
        json!({"comparedTo": "active", "minRatio": "0.98"}),
        json!({"comparedTo": "baseline", "maxDelta": "0.5pp"}),
        json!({"http": counted, "min": "95%", "minSamples": 300}),
        json!({"http": {"name": "nightly", "path": ""}, "min": "0.5"}),
    ] {
        let plan = gate(good.clone());
        assert!(plan.as_ref().is_ok_and(|p| p.gates[0].rests_on() == "samples"), "{good}: {plan:?}");
    }
    for (bad, reason, words) in [
        (
            json!({"http": {"name": "other", "path": "/a"}, "min": "1"}),
            Reason::EndpointUnknown,
            "it has: eval, nightly",
        ),
        (json!({"window": "5m", "min": "1"}), Reason::InvalidSpec, "has no `window`"),
        (json!({"minSamples": 3, "min": "1"}), Reason::InvalidSpec, "samples: /count"),
        (
            json!({"http": {"name": "nightly", "path": "/a"}, "comparedTo": "active", "maxRatio": "1.1"}),
            Reason::InvalidSpec,
            "its `url` in the operator's configuration needs `{{color}}`",
        ),
        (json!({"http": {"name": "eval", "path": "score"}, "min": "1"}), Reason::InvalidSpec, "JSON pointers"),
        (
            json!({"http": {"name": "eval", "path": "", "samples": ""}, "min": "1"}),
            Reason::InvalidSpec,
            "JSON pointers",
        ),
        (json!({"metric": "errorRate", "max": "1%"}), Reason::InvalidSpec, "`http` and `job`"),
        (json!({"quantile": "0.95", "http": null, "min": "1"}), Reason::InvalidSpec, "exactly one of"),
    ] {
        let (got, message) = gate(bad).unwrap_err();
        assert_eq!(got, reason, "{message}");
        assert!(message.contains(words), "{message} does not say {words}");
    }
}

#[test]
fn a_job_is_judged_by_its_one_number() {
    let gate = |more: Value| {
        let mut gate = json!({"name": "accuracy", "job": {"cronJob": "eval", "value": "accuracy"}, "min": "90%"});
        gate.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        read(|s| s["gates"] = json!([gate]))
    };
    let plan = gate(json!({})).unwrap();
    let one = &plan.gates[0];
    assert_eq!(
        (one.bad, one.of, one.min_samples, one.budget.as_secs()),
        (1, 1, 1, 30 * 60),
        "as long as it runs, and more"
    );
    let short = json!({"job": {"cronJob": "eval", "value": "a", "timeout": "1m"}, "noData": {"budget": "5m"}});
    assert_eq!(gate(short).unwrap().gates[0].budget.as_secs(), 300, "what is written counts");
    for (bad, words) in [
        (json!({"window": "5m"}), "run once in each step"),
        (json!({"interval": "5s"}), "run once in each step"),
        (json!({"failures": "1 of 2"}), "run once in each step"),
        (json!({"minSamples": 2}), "run once in each step"),
        (json!({"min": null, "comparedTo": "active", "maxRatio": "1.1"}), "run once in each step"),
        (json!({"job": {"cronJob": "eval", "value": "a", "timeout": "soon"}}), "job.timeout: soon is not a duration"),
        (json!({"metric": "errorRate"}), "exactly one of"),
    ] {
        let (reason, message) = gate(bad).unwrap_err();
        assert_eq!(reason, Reason::InvalidSpec, "{message}");
        assert!(message.contains(words), "{message} does not say {words}");
    }
}

#[test]
fn a_check_has_the_time_that_its_kind_needs() {
    let checks = json!({
        "preflight": [{"name": "backup", "job": {"cronJob": "backup"}}],
        "warmUp": {"requests": 3, "path": "/v1/completions", "until": {"ttft": "2s"}},
        "smoke": [{"name": "health", "http": {"path": "/health"}}, {"name": "eval", "job": {"cronJob": "eval"}}],
    });
    let merge = |spec: &mut Value| spec.as_object_mut().unwrap().extend(checks.as_object().unwrap().clone());
    let plan = read(merge).unwrap();
    let times: Vec<_> = plan.checks.iter().map(|check| (check.name.as_str(), check.timeout.as_secs())).collect();
    assert_eq!(times, [("warmUp", 600), ("smoke/health", 30), ("smoke/eval", 900), ("backup", 900)]);
}

#[test]
fn a_stage_that_names_a_gate_that_there_is_not_is_refused() {
    for change in [(|s| s["steps"][0]["gates"] = json!(["errors", "nope"])) as fn(&mut Value), |s| {
        s["bake"] = json!([{"name": "hour", "for": "1h", "gates": ["nope"]}]);
    }] {
        let (reason, message) = read(change).unwrap_err();
        assert_eq!(reason, Reason::InvalidSpec);
        assert!(message.contains("`gates` names nope"), "{message}");
    }
}

#[test]
fn more_statistical_gates_than_status_has_room_for_are_refused() {
    let gates = |n: usize| (0..n).map(|n| json!({"name": format!("g{n}"), "metric": "errorRate", "statistical": {}}));
    assert!(read(|spec| spec["gates"] = gates(8).collect()).is_ok());
    let (reason, message) = read(|spec| spec["gates"] = gates(9).collect()).unwrap_err();
    assert_eq!(reason, Reason::InvalidSpec);
    assert!(message.contains("9 gates that are `statistical`; leave 8 at most"), "{message}");
}

#[test]
fn a_cost_says_of_which_day_its_prices_are() {
    let note = |metrics: Value| {
        let plan = read(|s| s["metrics"] = metrics).unwrap();
        plan.gates.iter().map(|g| g.note.clone()).collect::<Vec<_>>()
    };
    let prices = json!({"input": "$0.50", "output": "$1.50", "asOf": "2026-08-01", "currency": "EUR"});
    let said = Some("prices of 2026-08-01, in EUR".to_owned());
    assert_eq!(note(json!({"prices": prices})), [None, None, said]);
    let on_gpus = json!({"prices": prices, "costBasis": "gpuBusy", "gpuPrice": "$2"});
    assert_eq!(note(on_gpus), [None, None, Some("in EUR".to_owned())]);
}

/// A window holds two scrapes, however young the step and however short the gate's own.
#[test]
fn a_window_is_never_shorter_than_two_scrapes() {
    let began = Moment::from_unix(1_800_000_000);
    let window = |scraped: Option<u64>, window: u64, age: u64| {
        let source =
            Source::read(&Metrics::default(), None, None).unwrap().scraped_every(scraped.map(Duration::from_secs));
        let ask = Ask {
            provider: "default",
            rollout: "chat",
            revision: "",
            namespace: "llm",
            workload: "chat-green",
            other: None,
            replicas: 1,
            color: Color::Green,
            subject: &Subject::Metric(Metric::ErrorRate, None),
            since: began,
            window: Duration::from_secs(window),
            interval: Duration::from_secs(15),
            urgent: false,
        };
        let question = question(&source, &ask).unwrap();
        question.window_at(began.plus(Duration::from_secs(age))).map(|window| window.as_secs())
    };
    assert_eq!([2, 3, 200, 900].map(|age| window(None, 300, age)), [None, Some(3), Some(200), Some(300)]);
    assert_eq!([59, 60, 200, 900].map(|age| window(Some(30), 300, age)), [None, Some(60), Some(200), Some(300)]);
    assert_eq!([59, 60, 200].map(|age| window(Some(30), 10, age)), [None, Some(60), Some(60)]);
    assert_eq!([2, 3, 200].map(|age| window(Some(1), 10, age)), [None, Some(3), Some(10)]);
}

#[test]
fn a_warm_up_may_be_none_and_is_a_duration() {
    let warm_up = |written: Value| {
        let change = |s: &mut Value| s["metrics"].as_object_mut().unwrap().extend(written.as_object().unwrap().clone());
        read(change).map(|plan| plan.warm_up.as_secs())
    };
    assert_eq!(warm_up(json!({})), Ok(30));
    assert_eq!(warm_up(json!({"warmUp": "0s"})), Ok(0));
    assert_eq!(warm_up(json!({"warmUp": "2m"})), Ok(120));
    for (metrics, field) in [
        (json!({"warmUp": "soon"}), "metrics.warmUp"),
        (json!({"scrapeInterval": "0s"}), "metrics.scrapeInterval"),
        (json!({"scrapeInterval": "often"}), "metrics.scrapeInterval"),
    ] {
        let said = warm_up(metrics).unwrap_err().1;
        assert!(said.contains(field) && said.contains("30s"), "{said}");
    }
}

/// What a figure rests on, as status says it: a gate on a queue counts series, one on errors counts requests.
#[test]
fn a_gate_says_what_its_samples_are() {
    let rests_on = |gate: Value| read(|s| s["gates"] = json!([gate])).unwrap().gates[0].rests_on();
    for (gate, what) in [
        (json!({"name": "g", "metric": "errorRate", "max": "1%"}), "requests"),
        (json!({"name": "g", "metric": "latency", "quantile": "0.95", "max": "1.5s"}), "requests"),
        (json!({"name": "g", "metric": "queueDepth", "max": "10"}), "series"),
        (json!({"name": "g", "query": "sum(a{ {{green}} })", "max": "1"}), "series"),
        (json!({"name": "g", "query": "sum(a{ {{green}} })", "max": "1", "minSamples": 10}), "requests"),
        (json!({"name": "g", "alerts": {"matchLabels": {"severity": "critical"}}}), "samples"),
    ] {
        assert_eq!(rests_on(gate.clone()), what, "{gate}");
    }
}

#[test]
fn as_many_gates_as_status_has_room_for_are_taken() {
    let gates = |n: usize| (0..n).map(|n| json!({"name": format!("g{n}"), "metric": "errorRate", "max": "1%"}));
    assert!(read(|s| s["gates"] = gates(32).collect()).is_ok());
    assert!(read(|s| s["gates"] = gates(33).collect()).is_err());
}

/// A selector sends everything or nothing; a dark step sends nothing.
#[test]
fn a_service_alone_takes_a_dark_step_and_the_last_one() {
    let steps = |weights: &[i32]| {
        let steps: Vec<Value> = weights.iter().map(|w| json!({"weight": w, "hold": "60s"})).collect();
        read(|s| (s["steps"], s["traffic"]) = (json!(steps), json!([{"service": {"name": "chat"}}])))
    };
    assert!(steps(&[0, 100]).is_ok());
    assert!(steps(&[100]).is_ok());
    assert!(steps(&[50, 100]).unwrap_err().1.contains("must be 0 or 100"));
}
