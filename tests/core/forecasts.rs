//! Golden forecasts: how long steps take before they have begun, in `tests/forecasts.txt`. Each line `> RPS RATE SPEC` is asked,
//! with SPEC laid over the scenarios' manifest, and what follows is the answer. `UPDATE=1 cargo test` rewrites the answers.

#![expect(clippy::disallowed_methods, reason = "UPDATE=1 asks for new golden files")]

use std::{fmt::Write, fs, path::Path};

use llmrollout::{
    api::LlmRollout,
    decide::{
        forecast::{Foreseen, Traffic, Wait, foresee},
        plan::{Plan, PlannedGate},
        snapshot::{Around, GateSets},
    },
};
use serde_json::Value;

use super::objects::offers;

/// Requests a second, and the share that is bad of the color that serves, if it is known.
struct Known(f64, Option<f64>);

impl Traffic for Known {
    fn rps(&self) -> f64 {
        self.0
    }

    fn rate(&self, _: &PlannedGate) -> Option<f64> {
        self.1
    }
}

fn line(wait: &Wait<'_>) -> String {
    let gate = wait.gate.map_or("minRequests", |gate| gate.name.as_str());
    let requests = wait.requests.map_or_else(|| "no number of".to_owned(), |n| n.to_string());
    let window = wait.window.map_or_else(String::new, |window| format!(" within {}s", window.as_secs()));
    let after = wait.after.map_or_else(|| "never".to_owned(), |after| format!("after {}s", after.as_secs()));
    let late = if wait.in_time { "" } else { ", too late" };
    let least = wait.least.map_or_else(String::new, |least| format!(", in time at {least}%"));
    format!("  {gate}: {requests} requests{window} {after}{late}{least}")
}

fn answer(question: &str) -> String {
    let [rps, rate, spec] = question.splitn(3, ' ').collect::<Vec<_>>()[..] else { panic!("{question}") };
    let mut manifest: Value = serde_saphyr::from_str(include_str!("../scenarios/manifest.yaml")).unwrap();
    let laid: serde_json::Map<String, Value> = serde_saphyr::from_str(spec).unwrap();
    manifest["spec"].as_object_mut().unwrap().extend(laid);
    let rollout: LlmRollout = serde_json::from_value(manifest).unwrap();
    let plan = Plan::read(&rollout.spec, Around::new(&GateSets::new(), &offers())).unwrap();
    let mut out = String::new();
    for Foreseen { number, step, waits, takes } in foresee(&plan, &Known(rps.parse().unwrap(), rate.parse().ok())) {
        let takes = takes.map_or_else(|| "never".to_owned(), |takes| format!("{}s", takes.as_secs()));
        writeln!(out, "step {number} at {}%: {takes}", step.weight).unwrap();
        for wait in &waits {
            writeln!(out, "{}", line(wait)).unwrap();
        }
    }
    out
}

#[test]
fn forecasts_say_what_they_said() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/forecasts.txt");
    let kept = fs::read_to_string(&path).unwrap();
    let mut said = String::new();
    for text in kept.lines().filter(|line| line.starts_with(['>', '#'])) {
        writeln!(said, "{text}").unwrap();
        said.push_str(&text.strip_prefix("> ").map(answer).unwrap_or_default());
    }
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &said).unwrap();
    }
    assert_eq!(kept, said, "changed; run with UPDATE=1 and read the diff");
}
