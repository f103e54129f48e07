//! `plan [NAME] [-f FILE]`: how long each step is expected to take at a given traffic, and which of its gates cannot be
//! decided in time. The figures are `decide::forecast`'s; here they become a table, and words about what to change.

use std::{path::Path, time::Duration};

use kube::ResourceExt;
use serde_json::{Value, json};

use super::{
    cluster::Cluster,
    document::{self, Form},
    error::CliError,
    manifest::{self, Manifest},
    table::{Table, age, clean},
    traffic::Known,
    wish::Given,
};
use crate::{
    api::LlmRollout,
    decide::{
        forecast::{Foreseen, Traffic, Wait, foresee},
        plan::Plan,
        snapshot::{Around, FoundOut},
    },
};

/// Reads the manifest and says what comes of it.
pub async fn of_cluster(cluster: &Cluster, name: &str, given: &Given, shape: Option<Form>) -> Result<String, CliError> {
    plan(&manifest::fetch(cluster, name).await?, given, shape)
}

/// The same of a file.
pub fn of_file(path: &Path, given: &Given, shape: Option<Form>) -> Result<String, CliError> {
    plan(&manifest::read(path)?, given, shape)
}

fn plan(manifest: &Manifest, given: &Given, shape: Option<Form>) -> Result<String, CliError> {
    let rollout = &manifest.rollout;
    let profile = rollout.status.as_ref().and_then(|s| s.metrics.as_ref()?.profile);
    let found = FoundOut { profile, scraped: None };
    let (offers, price_list) = (manifest.offers(), manifest.price_list());
    let around = Around { price_list: &price_list, found, ..Around::new(&manifest.sets, &offers) };
    let plan = Plan::read(&rollout.spec, around).map_err(|wrong| CliError::NoPlan(wrong.message))?;
    let known = Known::of(given, rollout.status.as_ref()).ok_or(CliError::NoTraffic)?;
    let proofs = plan.gates.iter().filter(|gate| gate.test.proof().is_some_and(|proof| !proof.mean));
    if let Some(gate) = proofs.into_iter().find(|gate| known.rate(gate).is_none()) {
        return Err(CliError::NoRate { gate: gate.name.clone() });
    }
    let steps = foresee(&plan, &known);
    match shape {
        Some(form) => document::write(&summary(rollout, &known, &steps), form),
        None => Ok(text(rollout, &known, &steps, plan.steps.len())),
    }
}

fn text(rollout: &LlmRollout, known: &Known, steps: &[Foreseen<'_>], count: usize) -> String {
    let namespace = rollout.namespace().map_or_else(String::new, |namespace| format!(" in namespace {namespace}"));
    let head = clean(&format!("{}{namespace}", rollout.name_any()));
    let all = steps.iter().try_fold(Duration::ZERO, |sum, step| Some(sum + step.takes?));
    let whole = all.map_or("never ends by itself".to_owned(), |all| format!("takes {} at least", age(all)));
    let troubles: String = steps
        .iter()
        .flat_map(troubles)
        .map(|trouble| clean(&trouble))
        .fold(String::new(), |all, trouble| all + "  " + &trouble + "\n");
    let to_do = if troubles.is_empty() { String::new() } else { format!("\nWhat to do:\n{troubles}") };
    format!(
        "Rollout:   {head}\nTraffic:   {}\n\n{}\nIf the candidate is as good as what serves, the release {whole}.\n{to_do}",
        clean(&known.words()),
        table(steps, count),
    )
}

fn table(steps: &[Foreseen<'_>], count: usize) -> String {
    let mut table = Table::new(["STEP", "WEIGHT", "HOLD", "MAX HOLD", "WAITS FOR", "NEEDS", "KNOWN AFTER", "IN TIME"]);
    for seen in steps {
        let step = seen.step;
        let most = step.max_hold.map_or("-".to_owned(), age);
        let mut first = [format!("{}/{count}", seen.number), format!("{}%", step.weight), age(step.hold), most];
        let nothing = seen.waits.is_empty().then(|| ["the hold", "-", "-", "-"].map(str::to_owned));
        for row in seen.waits.iter().map(row).chain(nothing) {
            table.row(first.into_iter().chain(row));
            first = std::array::from_fn(|_| String::new());
        }
    }
    table.text()
}

fn row(wait: &Wait<'_>) -> [String; 4] {
    let about = if by_thumb(wait) { "~" } else { "" };
    let needs = match (wait.requests, wait.window) {
        (None, _) => "-".to_owned(),
        (Some(n), None) => format!("{about}{}", requests(whole(n))),
        (Some(n), Some(window)) => format!("{} in {}", requests(whole(n)), age(window)),
    };
    let in_time = if wait.in_time { "yes" } else { "no" };
    [name(wait).to_owned(), needs, wait.after.map_or("never".to_owned(), age), in_time.to_owned()]
}

/// Who waits.
fn name<'a>(wait: &Wait<'a>) -> &'a str {
    wait.gate.map_or("minRequests", |gate| gate.name.as_str())
}

/// What a mean takes is no more than a rule of thumb.
fn by_thumb(wait: &Wait<'_>) -> bool {
    wait.window.is_none() && wait.gate.and_then(|gate| gate.test.proof()).is_some_and(|proof| proof.mean)
}

fn requests(count: i64) -> String {
    if count == 1 { "1 request".to_owned() } else { format!("{count} requests") }
}

/// Why a step is not decided in time, and what would help.
pub(super) fn troubles(seen: &Foreseen<'_>) -> Vec<String> {
    let step = seen.step;
    let of = |wait: &Wait<'_>| {
        let at = format!("step {} at {}%: {}", seen.number, step.weight, name(wait));
        let least = wait.least.map(|least| format!("at {least}% it is known in time"));
        let or_else = |else_: &str| least.clone().unwrap_or_else(|| else_.to_owned());
        match (wait.requests, wait.window, wait.after, step.max_hold) {
            (None, ..) => format!(
                "{at} is not decided by any number of requests: what serves is itself not better than the limit; raise `max`, or leave it out for a comparison"
            ),
            (Some(needs), Some(window), None, _) => format!(
                "{at} needs {} within {}, and never sees them; {}, or lower `minSamples`, or raise `window`",
                requests(whole(needs)),
                age(window),
                or_else("no share below 100% gets so many")
            ),
            (Some(needs), _, Some(after), Some(most)) => format!(
                "{at} needs {}, known after {}, and maxHold is {}; {}",
                requests(whole(needs)),
                age(after),
                age(most),
                or_else(if wait.gate.is_some() {
                    "no share below 100% is enough: raise `maxHold`, or allow a larger excess"
                } else {
                    "no share below 100% is enough: raise `maxHold`, or lower `minRequests`"
                })
            ),
            (Some(needs), ..) => format!("{at} needs {}, which never come", requests(whole(needs))),
        }
    };
    seen.waits.iter().filter(|wait| !wait.in_time).map(of).collect()
}

fn summary(rollout: &LlmRollout, known: &Known, steps: &[Foreseen<'_>]) -> Value {
    let seconds = |span: Option<Duration>| span.map(|span| span.as_secs());
    let wait = |o: &Wait<'_>| {
        json!({
            "for": name(o), "requests": o.requests.map(whole), "withinSeconds": seconds(o.window),
            "seconds": seconds(o.after), "inTime": o.in_time, "leastWeight": o.least, "approximate": by_thumb(o),
        })
    };
    let step = |seen: &Foreseen<'_>| {
        json!({
            "step": seen.number, "weight": seen.step.weight, "holdSeconds": seen.step.hold.as_secs(),
            "maxHoldSeconds": seconds(seen.step.max_hold),
            "waits": seen.waits.iter().map(wait).collect::<Vec<_>>(), "seconds": seconds(seen.takes),
            "toDo": troubles(seen),
        })
    };
    let (name, namespace) = (&rollout.metadata.name, &rollout.metadata.namespace);
    json!({
        "name": name, "namespace": namespace, "requestsPerSecond": known.rps, "rate": known.rate, "rates": known.rates,
        "steps": steps.iter().map(step).collect::<Vec<_>>(),
    })
}

#[expect(clippy::cast_possible_truncation, reason = "a count of requests; `as` saturates")]
fn whole(count: f64) -> i64 {
    count as i64
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{plan, requests};
    use crate::cli::{document::Form, manifest::parse, wish::Given};

    const ROLLOUT: &str = "
apiVersion: llmrollout.io/v1alpha1
kind: LlmRollout
metadata: {name: chat, namespace: llm}
spec:
  release: {template: {port: 8000, podTemplate: {spec: {}}}}
  traffic: [{httpRoute: {name: chat}}]
";

    fn told(rest: &str, given: &Given, shape: Option<Form>) -> String {
        let manifest = parse(&format!("{ROLLOUT}{rest}")).unwrap();
        plan(&manifest, given, shape).unwrap_or_else(|e| format!("error: {e}"))
    }

    fn given(rps: f64, rate: Option<f64>) -> Given {
        Given { rps: Some(rps), rate, rates: Vec::new() }
    }

    const STEPS: &str = "
  steps:
  - {weight: 5, hold: 5m, minRequests: 300, maxHold: 1h}
  - {weight: 50, hold: 5m, maxHold: 2h, gates: [errors]}
  - {weight: 100, hold: 5m}
  gates:
  - {name: errors, metric: errorRate, statistical: {}}
  - {name: slower, metric: latency, quantile: \"0.95\", statistical: {}}
  - {name: limit, metric: errorRate, statistical: {max: 1%}}
  - {name: p95, metric: latency, quantile: \"0.95\", max: 1.5s}
  - {name: cost, metric: costPerRequest, statistical: {relative: 20%}}
";

    #[test]
    fn prices_of_a_list_change_nothing_and_need_no_cluster() {
        let list = "\n  metrics: {prices: {configMap: price-list, model: chat-8b}}";
        let inline = "\n  metrics: {prices: {input: $1, output: $1}}";
        let [list, inline] = [list, inline].map(|more| told(&format!("{STEPS}{more}"), &given(10.0, Some(0.01)), None));
        assert!(list.starts_with("Rollout:"), "{list}");
        assert_eq!(list, inline);
    }

    #[test]
    fn each_step_is_told_with_what_it_waits_for() {
        let expected = "\
Rollout:   chat in namespace llm
Traffic:   1 request a second, 1% of them bad

STEP   WEIGHT   HOLD   MAX HOLD   WAITS FOR     NEEDS                KNOWN AFTER   IN TIME
1/3    5%       5m     60m        minRequests   300 requests         100m          no
                                  errors        243 requests         81m           no
                                  slower        102 requests         34m           yes
                                  limit         -                    never         no
                                  p95           50 requests in 5m    never         no
                                  cost          ~46 requests         15m           yes
2/3    50%      5m     120m       errors        2082 requests        69m           yes
3/3    100%     5m     -          errors        1125 requests        19m           yes
                                  slower        503 requests         8m53s         yes
                                  limit         -                    never         no
                                  p95           50 requests in 5m    50s           yes
                                  cost          50 requests in 60m   50s           yes

If the candidate is as good as what serves, the release never ends by itself.

What to do:
  step 1 at 5%: minRequests needs 300 requests, known after 100m, and maxHold is 60m; at 9% it is known in time
  step 1 at 5%: errors needs 243 requests, known after 81m, and maxHold is 60m; at 7% it is known in time
  step 1 at 5%: limit is not decided by any number of requests: what serves is itself not better than the limit; raise `max`, or leave it out for a comparison
  step 1 at 5%: p95 needs 50 requests within 5m, and never sees them; at 17% it is known in time, or lower `minSamples`, or raise `window`
  step 3 at 100%: limit is not decided by any number of requests: what serves is itself not better than the limit; raise `max`, or leave it out for a comparison
";
        assert_eq!(told(STEPS, &given(1.0, Some(0.01)), None), expected);
    }

    #[test]
    fn a_release_with_enough_traffic_has_nothing_to_do() {
        let text = told(STEPS, &Given { rates: vec![("limit".into(), 0.001)], ..given(200.0, Some(0.01)) }, None);
        assert!(
            text.ends_with("\nIf the candidate is as good as what serves, the release takes 15m at least.\n"),
            "{text}"
        );
        assert!(!text.contains(" no\n") && !text.contains("What to do"), "{text}");
    }

    #[test]
    fn machines_read_the_same() {
        let json: Value = serde_json::from_str(&told(STEPS, &given(1.0, Some(0.01)), Some(Form::Json))).unwrap();
        let first = &json["steps"][0];
        assert_eq!(
            (&json["name"], &json["requestsPerSecond"], &first["weight"]),
            (&"chat".into(), &1.0.into(), &5.into())
        );
        assert_eq!(first["seconds"], Value::Null, "never");
        assert_eq!((&first["waits"][0]["for"], &first["waits"][0]["seconds"]), (&"minRequests".into(), &6000.into()));
        assert_eq!(first["waits"][0]["leastWeight"], 9);
        let second = &json["steps"][1];
        assert_eq!((&second["waits"][0]["inTime"], second["toDo"].as_array().map(Vec::len)), (&true.into(), Some(0)));
    }

    /// The status at the end of the scenario `statistical-undecided`: one request in five seconds, one in a hundred bad.
    #[test]
    fn the_traffic_of_a_release_under_way_is_read_from_its_evidence() {
        let rest = r#"
  steps: [{weight: 5, hold: 5m, maxHold: 1h}, {weight: 100, hold: 5m}]
  gates: [{name: errors, metric: errorRate, statistical: {}}]
status:
  requestsPerSecond: "0.2"
  attempt:
    id: 2
    revision: r2
    startedAt: 2027-01-15T08:00:00Z
    clockFrom: 2027-01-15T08:00:00Z
    step: 1
    weight: 5
    shares: [{weight: 5, at: 2027-01-15T08:00:01Z}]
    evidence:
    - {gate: errors, trial: t, at: 2027-01-15T09:05:16Z, state: '[{"asOf":1800003916.0,"step":0,"counts":[39.15,0.0,743.85,7.4385],"blue":[872.452,8.72452],"logs":"d"}]'}
"#;
        let text = told(rest, &Given::default(), None);
        assert!(text.contains("Traffic:   0.2 requests a second, 1% bad by errors, as status tells\n"), "{text}");
        assert!(text.contains("step 1 at 5%: errors needs 1179 requests, known after 32h"), "{text}");
        let typed = told(rest, &given(50.0, None), None);
        assert!(typed.contains("Traffic:   50 requests a second, 1% bad by errors\n"), "{typed}");
    }

    #[test]
    fn what_is_not_known_is_asked_for() {
        for (given, said) in [
            (Given::default(), "error: the traffic is not known; pass --rps N"),
            (given(1.0, None), "bad by the gate errors; pass --rate 1%, or --rate errors=1%"),
        ] {
            let text = told(STEPS, &given, None);
            assert!(text.contains(said), "{text}");
        }
        let refused = told("  gates: [{name: errors, metric: errorRate}]\n", &given(1.0, None), None);
        assert!(refused.starts_with("error: the operator would refuse it: gates: errors: exactly one of"), "{refused}");
        let no_set = told("  gates: [{gateSet: org-defaults}]\n", &given(1.0, None), None);
        assert!(no_set.contains("there is no LlmGateSet org-defaults"), "{no_set}");
        for (text, said) in [
            ("a: [", "unclosed bracket"),
            ("kind: Service", "it holds 0 objects of kind LlmRollout (llmrollout.io/v1alpha1)"),
            (&format!("{ROLLOUT}---{ROLLOUT}"), "it holds 2 objects"),
            ("{apiVersion: llmrollout.io/v1alpha1, kind: LlmRollout}", "its LlmRollout cannot be read: missing field"),
        ] {
            let wrong = parse(text).unwrap_err();
            assert!(wrong.contains(said), "{wrong}");
        }
    }

    #[test]
    fn a_set_beside_the_rollout_is_taken_over() {
        let set = "
---
apiVersion: llmrollout.io/v1alpha1
kind: LlmGateSet
metadata: {name: org-defaults}
spec: {gates: [{name: p95, metric: latency, quantile: \"0.95\", max: 1.5s}]}
";
        let text = told(&format!("  gates: [{{gateSet: org-defaults}}]\n{set}"), &given(1.0, None), None);
        assert!(text.contains("p95         50 requests in 5m"), "{text}");
        assert_eq!((requests(1).as_str(), requests(2).as_str()), ("1 request", "2 requests"));
    }
}
