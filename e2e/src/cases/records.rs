//! Claims about the record of an attempt: it stands in a `ConfigMap` of the rollout's, tells each thing once, and is what
//! `report` prints. Other cases ask it about their own releases.

use std::time::Duration;

use serde_json::Value;

use super::stand::Stand;
use crate::kit::{Film, KitError, claim, operator::run as tool, recipe::NAME};

/// From the last write to its entry.
const WRITTEN: Duration = Duration::from_secs(10);

/// A record that is closed.
pub(super) struct Recorded {
    record: Value,
}

impl Recorded {
    /// Waits until the attempt's end stands in its record.
    pub(super) async fn of(stand: &Stand, attempt: i64) -> Result<Self, KitError> {
        let name = format!("{NAME}-attempt-{attempt}");
        let film = Film::start(stand.space.api("v1", "ConfigMap"), &name).await?;
        let ended = |map: &Value| kinds(&parsed(map)).contains(&"Ended");
        let frame = film.until("the end of the attempt in its record", WRITTEN, ended).await?;
        let map = frame.object.as_deref().cloned().unwrap_or_default();
        let owner = &map["metadata"]["ownerReferences"][0];
        claim(owner["kind"] == "LlmRollout" && owner["name"] == NAME, || format!("{name} is owned by {owner}"))?;
        let size = map["data"]["record.json"].as_str().map_or(0, str::len);
        claim(size <= 64 * 1024, || format!("{name} has {size} bytes"))?;
        Ok(Self { record: parsed(&map) })
    }

    fn entries(&self, kind: &str) -> Vec<&Value> {
        let all = self.record["entries"].as_array().into_iter().flatten();
        all.filter(|entry| entry["kind"] == kind).collect()
    }

    /// Each share was promised once, written once and confirmed once, in the order of the steps.
    pub(super) fn tells_each_step_once(&self, weights: &[i64]) -> Result<(), KitError> {
        let promised: Vec<_> = self.entries("Promised").iter().map(|e| e["weight"].as_i64().unwrap_or(-1)).collect();
        claim(promised == weights, || format!("promised were {promised:?}: {}", self.record))?;
        let confirmed: Vec<_> = self.entries("Confirmed").iter().map(|e| e["weight"].as_i64().unwrap_or(-1)).collect();
        claim(confirmed == weights, || format!("confirmed were {confirmed:?}: {}", self.record))
    }

    /// Each step but the dark ones was left on the word of every gate.
    pub(super) fn tells_what_each_step_rested_on(&self, steps: usize, gates: &[&str]) -> Result<(), KitError> {
        for step in 1..=steps {
            let judged = self.entries("Judged").into_iter().filter(|e| e["step"] == step);
            let judged: Vec<_> = judged.filter(|e| e["gate"]["verdict"] == "Pass").collect();
            let known = |gate: &&&str| judged.iter().any(|e| e["gate"]["name"] == **gate);
            let missing: Vec<_> = gates.iter().filter(|gate| !known(gate)).collect();
            claim(missing.is_empty(), || format!("step {step} tells nothing of {missing:?}: {}", self.record))?;
        }
        let without = self.entries("Judged").into_iter().find(|e| {
            let query = e["gate"]["query"].as_str().unwrap_or_default();
            e["gate"]["at"].is_null() || self.record["queries"][query].as_str().is_none_or(str::is_empty)
        });
        claim(without.is_none(), || format!("no time or no query: {without:?}"))
    }

    /// It ended so, by the word of this gate.
    pub(super) fn ended_by(&self, outcome: &str, gate: &str) -> Result<(), KitError> {
        let ended = self.entries("Ended");
        let fits = ended.len() == 1 && ended[0]["outcome"] == outcome;
        claim(fits, || format!("the ends are {ended:?}"))?;
        let failed = |e: &&Value| e["gate"]["name"] == gate && e["gate"]["verdict"] == "Fail";
        let judged = self.entries("Judged");
        let said =
            judged.into_iter().find(failed).ok_or_else(|| KitError::Refuted(format!("{gate}: {}", self.record)))?;
        let figures = !said["gate"]["value"].is_null() && said["gate"]["samples"].as_i64().is_some_and(|n| n > 0);
        claim(figures, || format!("no figures: {said}"))?;
        let home =
            self.entries("Wrote").into_iter().any(|e| e["what"].as_str().is_some_and(|w| w.contains("httproutes")));
        claim(home, || "no write of the route is told".to_owned())
    }
}

/// Waits until the record says of every notice what became of it, but on these channels.
pub(super) async fn told_all(stand: &Stand, attempt: i64, but: &[&str], within: Duration) -> Result<(), KitError> {
    let name = format!("{NAME}-attempt-{attempt}");
    let film = Film::start(stand.space.api("v1", "ConfigMap"), &name).await?;
    let open = |telling: &Value| telling["at"].is_null() && !but.iter().any(|name| telling["channel"] == *name);
    let all = |map: &Value| {
        let record = parsed(map);
        let entries = record["entries"].as_array().cloned().unwrap_or_default();
        let tellings = |entry: &Value| entry["tell"].as_array().cloned().unwrap_or_default();
        !entries.is_empty() && !entries.iter().flat_map(tellings).any(|telling| open(&telling))
    };
    film.until("who was told stands in the record", within, all).await.map(drop)
}

/// The sheet is printed in every shape, and names what was released.
pub(super) async fn reported(stand: &Stand, attempt: i64) -> Result<(), KitError> {
    let (namespace, number) = (stand.space.name.as_str(), attempt.to_string());
    for (shape, mark) in
        [("md", "# Release of"), ("html", "<h1>Release of"), ("json", "\"schema\": \"llmrollout.io/record/v1\"")]
    {
        let words = ["-n", namespace, "report", NAME, "--attempt", &number, "-o", shape];
        let said = tool("kubectl-llmrollout", &words).await?;
        claim(said.contains(mark) && said.contains("errors"), || format!("as {shape}: {said}"))?;
    }
    Ok(())
}

fn parsed(map: &Value) -> Value {
    map["data"]["record.json"].as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

fn kinds(record: &Value) -> Vec<&str> {
    record["entries"].as_array().into_iter().flatten().filter_map(|entry| entry["kind"].as_str()).collect()
}
