//! Claims about the command line before a real API server and a real Prometheus: every command that only tells, once, in
//! the middle of a release. What people say to a release is proved in `orders`.

use std::{path::Path, process::Stdio, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

use super::stand::{Service, Stand};
use crate::kit::{KitError, LoadPlan, Wish, claim, recipe::NAME};

const STEP: Duration = Duration::from_secs(40);
/// Longer than the case.
const LONG: &str = "120s";

/// What a command answered: its exit code, what was asked for, and what was said beside it.
async fn ran(mut command: Command) -> Result<(i32, String, String), KitError> {
    let output = command.kill_on_drop(true).output().await.map_err(KitError::failed(format!("{command:?}")))?;
    let [out, note] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Ok((output.status.code().unwrap_or(-1), out, note))
}

/// A command that has to end well and to say all of this.
async fn tells(stand: &Stand, words: &[&str], all: &[&str]) -> Result<String, KitError> {
    let mut command = Command::new("kubectl-llmrollout");
    command.args(["-n", &stand.space.name]).args(words);
    let (code, out, note) = ran(command).await?;
    let missing: Vec<_> = all.iter().filter(|word| !out.contains(**word)).collect();
    claim(code == 0 && missing.is_empty(), || {
        format!("{words:?} ended with {code}, without {missing:?}:\n{out}{note}")
    })?;
    Ok(out)
}

/// The same of a document.
async fn document(stand: &Stand, words: &[&str]) -> Result<Value, KitError> {
    let words: Vec<&str> = words.iter().copied().chain(["-o", "json"]).collect();
    let out = tells(stand, &words, &[]).await?;
    serde_json::from_str(&out).map_err(KitError::failed(format!("{words:?} gave {out}")))
}

pub(super) async fn every_command_tells_of_a_release_under_way(stand: &Stand) -> Result<(), KitError> {
    let service = stand.serve(&Wish { replicas: 1, ..Wish::new("v1") }, &LoadPlan::default()).await?;
    let v2 = Wish { replicas: 1, ..Wish::new("v2") }.steps(&[(20, LONG), (100, LONG)]).manifest();
    service.apply(stand, &v2).await?;
    service.holding(20, STEP).await?;
    service
        .rollout
        .until("every gate passes", STEP, |rollout| {
            rollout["status"]["gates"].as_array().is_some_and(|all| all.iter().all(|gate| gate["verdict"] == "Pass"))
        })
        .await?;
    let space = stand.space.name.as_str();
    tells(stand, &["get"], &["PHASE", "Holding", "1/2"]).await?;
    tells(stand, &["get", "-A", "-o", "wide"], &["TRAFFIC", space, "httpRoute/chat 80/20"]).await?;
    tells(stand, &["get", "-o", "name"], &["llmrollout.llmrollout.io/chat\n"]).await?;
    tells(stand, &["get", NAME, "-o", "yaml"], &["kind: LlmRollout"]).await?;
    tells(stand, &["status", NAME], &["httpRoute/chat   80%    20%", "What to do:"]).await?;
    tells(stand, &["status", NAME, "-o", "wide"], &["CONDITION", "TrafficConfirmed"]).await?;
    tells(stand, &["history", NAME], &["Promoted"]).await?;
    tells(stand, &["plan", NAME, "--rps", "50"], &["KNOWN AFTER"]).await?;
    tells(stand, &["explain", "GateFailed"], &["GateFailed: "]).await?;
    tells(stand, &["completion", "bash"], &["kubectl-llmrollout", "complete -F"]).await?;
    tells(stand, &["version", "--request-timeout", "5s"], &["llmrollout.io/v1alpha1"]).await?;
    let status = document(stand, &["status", NAME]).await?;
    claim(status["status"]["weight"] == "20%", || status.to_string())?;
    of_the_manifest(stand, &v2).await?;
    is_drawn(stand).await?;
    page_shows_and_takes_a_word(stand, &service).await?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())
}

/// The manifest as the server took it is linted, and held against what Prometheus has stored of this very release.
async fn of_the_manifest(stand: &Stand, manifest: &Value) -> Result<(), KitError> {
    let file = std::env::temp_dir().join(format!("{}-cli.json", stand.space.name));
    std::fs::write(&file, manifest.to_string()).map_err(KitError::failed(file.display().to_string()))?;
    let told = with_file(stand, &file).await;
    // It was for these commands only.
    let _ = std::fs::remove_file(&file);
    told
}

async fn with_file(stand: &Stand, file: &Path) -> Result<(), KitError> {
    let file = file.to_str().unwrap_or_default();
    let linted = document(stand, &["lint", file]).await?;
    claim(linted["errors"] == 0 && linted["objects"] == 1, || linted.to_string())?;
    let server = stand.space.ground.prometheus_url.as_str();
    let words = ["backtest", file, "--from", "30s", "--prometheus", server];
    let tested = document(stand, &words).await?;
    let gates = tested["gates"].as_array().into_iter().flatten();
    let passed = |gate: &Value| gate["passed"].as_f64().is_some_and(|part| part > 0.0) && gate["failed"] == 0.0;
    claim(gates.clone().count() == 3 && gates.into_iter().all(passed), || format!("a sound release: {tested}"))?;
    tells(stand, &words, &["pass  x fail", "Backtest:  chat-green"]).await.map(drop)
}

/// The page tells what the API server has, and what is said on it is an order of whoever serves it.
async fn page_shows_and_takes_a_word(stand: &Stand, service: &Service) -> Result<(), KitError> {
    let mut command = Command::new("kubectl-llmrollout");
    command.args(["-n", &stand.space.name, "dashboard"]).stdout(Stdio::piped()).kill_on_drop(true);
    let mut served = command.spawn().map_err(KitError::failed("the dashboard"))?;
    let lines = served.stdout.take().map(|out| BufReader::new(out).lines());
    let url = match lines {
        Some(mut lines) => lines.next_line().await.map_err(KitError::failed("the dashboard"))?.unwrap_or_default(),
        None => String::new(),
    };
    let token = url.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let client = reqwest::Client::new();
    let events = format!("{url}events/{}/{NAME}", stand.space.name);
    let mut told = client.get(&events).send().await.map_err(KitError::failed("the dashboard"))?;
    let mut seen = String::new();
    // The first event ends with an empty line.
    while !seen.contains("\n\n") {
        match told.chunk().await.map_err(KitError::failed("the dashboard"))? {
            Some(more) => seen.push_str(&String::from_utf8_lossy(&more)),
            None => break,
        }
    }
    claim(seen.contains(r#""phase":"Holding""#) && seen.contains(r#""httpRoute/chat""#), || seen.clone())?;
    let word = json!({"namespace": stand.space.name, "name": NAME, "verb": "abort", "reason": "said on the page"});
    let words = client.post(format!("{url}words")).header("x-llmrollout-token", token).json(&word);
    let answer = words
        .send()
        .await
        .map_err(KitError::failed("the dashboard"))?
        .text()
        .await
        .map_err(KitError::failed("the dashboard"))?;
    claim(answer.contains(r#""taken":true"#), || answer.clone())?;
    service.phase("RolledBack", STEP).await.map(drop)
}

/// In a terminal, until a key ends it.
async fn is_drawn(stand: &Stand) -> Result<(), KitError> {
    let watch = format!("kubectl-llmrollout -n {} watch {NAME}", stand.space.name);
    let mut command = Command::new("sh");
    // The key is typed once something is drawn: one that comes before ends it before.
    let typed = format!(
        "seen=$(mktemp); {{ timeout 30 sh -c 'until grep -q pause \"$0\"; do sleep 0.1; done' \"$seen\"; printf q; }} | script -qefc 'stty rows 40 cols 120; {watch}' \"$seen\"; code=$?; rm \"$seen\"; exit $code"
    );
    command.env("TERM", "xterm-256color").args(["-c", &typed]);
    let (code, out, note) = ran(command).await?;
    claim(code == 0 && out.contains("in namespace") && out.contains("pause"), || {
        format!("{watch}: {code}: {out:?} {note}")
    })
}
