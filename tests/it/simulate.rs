//! `simulate`: manifests of `examples/` with scenarios. What they print stands in `tests/simulate`; `UPDATE=1 cargo test`
//! writes it anew.

#![expect(clippy::disallowed_methods, reason = "UPDATE=1 asks for new golden files")]

use std::{fs, process::Command};

use serde_json::Value;

use crate::files::top;

fn run(words: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-llmrollout"));
    let output = command.current_dir(top("")).arg("simulate").args(words).output().unwrap();
    let [out, note] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.code(), out, note)
}

/// Plays it and holds it against what it printed.
fn golden(name: &str, words: &[&str], code: i32) {
    let (ended, out, note) = run(words);
    assert_eq!((ended, note.as_str()), (Some(code), ""), "{out}");
    let file = top("tests/simulate").join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&file, &out).unwrap();
    }
    assert!(fs::read_to_string(&file).unwrap_or_default() == out, "{} changed:\n{out}", file.display());
}

#[test]
fn a_gate_that_fails_takes_the_release_back_and_a_person_tries_again() {
    golden("slow.out", &["examples/chat/rollout.yaml", "--scenario", "examples/chat/slow-at-twenty.txt"], 0);
}

#[test]
fn people_stop_agree_and_promote() {
    golden("people.out", &["examples/external/rollout.yaml", "--scenario", "examples/external/with-people.txt"], 0);
}

#[test]
fn jobs_say_what_the_scenario_has_them_say() {
    golden("checks.out", &["examples/checks/rollout.yaml", "--scenario", "tests/simulate/checks.txt"], 1);
}

#[test]
fn evidence_is_weighed_of_so_many_requests() {
    golden("evidence.out", &["examples/testers/rollout.yaml", "--scenario", "tests/simulate/evidence.txt"], 1);
}

#[test]
fn a_document_has_an_object_for_each_entry() {
    let sets = ["examples/gate-set/rollout.yaml", "examples/gate-set/gate-set.yaml"];
    let (code, out, note) = run(&[sets[0], sets[1], "--bad", "errors", "-ojson", "-n", "there"]);
    assert_eq!((code, note.as_str()), (Some(1), ""));
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&told["name"], &told["namespace"], &told["outcome"]),
        (&"summaries".into(), &"there".into(), &"TakenBack".into())
    );
    let entries = told["entries"].as_array().unwrap();
    let of = |kind: &str| entries.iter().filter(|entry| entry["kind"] == kind).collect::<Vec<_>>();
    assert!(["command", "write", "event", "state"].iter().all(|kind| !of(kind).is_empty()), "{out}");
    let last = of("state").pop().unwrap();
    assert_eq!((&last["phase"], &last["routers"][0]), (&"RolledBack".into(), &"httpRoute/summaries 100/0".into()));
    assert!(last["at"].as_str().is_some_and(|at| at.starts_with("2027-01-15T")) && last["afterSeconds"].is_u64());
}

#[test]
fn every_kind_of_router_is_made_of_the_manifest() {
    let routers = [
        ("grpcRoute: {name: chat, rule: main}", "grpcRoute/chat"),
        ("virtualService: {name: chat}", "virtualService/chat"),
        ("llmInferenceService: {blue: chat-v1, green: chat-v2}", "llmInferenceService/chat-v1+chat-v2"),
        ("modelRewrite: {name: chat, blue: one, green: two}", "modelRewrite/chat"),
        ("webhook: {name: lb}", "webhook/lb"),
        ("httpRoute: {name: chat, namespace: edge}", "httpRoute/chat@edge"),
    ];
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("simulate.yaml");
    let scenario = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("simulate.txt");
    fs::write(&scenario, "release v2\nwait until over\n").unwrap();
    for (router, name) in routers {
        let manifest = format!(
            "{{apiVersion: llmrollout.io/v1alpha1, kind: LlmRollout, metadata: {{name: chat}}, spec: {{release: {{template: {{port: 8000, \
             podTemplate: {{spec: {{containers: [{{name: a, image: a}}]}}}}}}}}, traffic: [{{{router}}}], \
             steps: [{{weight: 20, hold: 1m}}, {{weight: 100, hold: 1m}}], gates: [{{name: errors, metric: errorRate, max: 1%}}]}}}}"
        );
        fs::write(&file, manifest).unwrap();
        let (code, out, note) = run(&[file.to_str().unwrap(), "--scenario", scenario.to_str().unwrap()]);
        assert_eq!(code, Some(0), "{router}: {note}{out}");
        assert!(out.contains(&format!("{name} 80/20")) && out.contains(&format!("{name} 0/100")), "{router}: {out}");
    }
}

#[test]
fn what_cannot_be_played_says_what_to_write() {
    let scenario = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("wrong.txt");
    let chat = "examples/chat/rollout.yaml";
    for (line, code, said) in [
        ("relaese v2", 2, "write one of: abort, approve"),
        ("signal p99 2s", 1, "there is no gate p99; the manifest has: errors, p95, cost"),
        ("signal p95 2%", 1, "write for example `signal p95 750ms`"),
        ("release v0.11.0", 1, "is what stands there already"),
        ("spec {steps: 5}", 1, "the spec cannot be read with it"),
        ("resume", 1, "there is nothing to do"),
        ("approve", 1, "there is nothing to do"),
        ("job eval fails", 1, "of the manifest runs a Job or asks"),
        ("depends db missing", 1, "does not depend on db"),
    ] {
        fs::write(&scenario, format!("{line}\n")).unwrap();
        let (ended, _, note) = run(&[chat, "--scenario", scenario.to_str().unwrap()]);
        assert!(ended == Some(code) && note.contains(said), "{line}: {ended:?} {note}");
    }
    for (words, code, said) in [
        (vec!["examples/gate-set/rollout.yaml"], 1, "the gate set org-defaults is not in the files"),
        (vec![chat, "--bad", "p99"], 2, "there is no gate p99; the manifest has: errors, p95, cost"),
        (vec![chat, "--scenario", "nowhere.txt"], 2, "nowhere.txt cannot be read"),
        (vec![], 2, "<FILE>"),
        (vec![chat, "--bad", "p95", "--scenario", "x"], 2, "cannot be used with"),
    ] {
        let (ended, _, note) = run(&words);
        assert!(ended == Some(code) && note.contains(said), "{words:?}: {ended:?} {note}");
    }
}
