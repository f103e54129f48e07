//! Claims about the checklists in `examples`: each is played from end to end with its own numbers, its times cut to seconds, the
//! good way and one of its own reasons to go back. What they release is played by the lab's servers and Jobs; what nothing in
//! a lab tells (GPUs, memory, dollars an hour) is left out by name.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;

use super::{
    jobs::cron_job,
    stand::{Service, Stand, is_promoted},
};
use crate::kit::{KitError, LoadPlan, Wish, claim, operator::root, space};

const GOOD: Duration = Duration::from_mins(3);
const BAD: Duration = Duration::from_mins(2);

/// A checklist, and how it is played.
struct Checklist {
    /// The folder, `checklist-a`.
    folder: &'static str,
    /// Which of its rollouts.
    name: &'static str,
    /// Gates of what the lab does not tell.
    untold: &'static [&'static str],
    /// What every Job reports.
    numbers: Value,
    /// `metrics` beside the profile.
    prices: Value,
    /// Variables of what serves before, of what is good, and of what is not.
    env: [&'static [(&'static str, &'static str)]; 3],
}

/// The documents of a folder.
fn documents(folder: &str) -> Result<Vec<Value>, KitError> {
    let folder = root().join("examples").join(folder);
    let what = || folder.display().to_string();
    let mut all = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(KitError::failed(what()))?.flatten() {
        let text = std::fs::read_to_string(entry.path()).map_err(KitError::failed(what()))?;
        for part in text.split("\n---\n") {
            all.push(serde_saphyr::from_str::<Value>(part).map_err(KitError::failed(what()))?);
        }
    }
    Ok(all)
}

fn of_kind<'a>(all: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    all.iter().filter(move |document| document["kind"] == kind)
}

/// Its `CronJobs`, which report these numbers and do nothing.
async fn make_jobs(stand: &Stand, all: &[Value], numbers: &Value) -> Result<(), KitError> {
    for job in of_kind(all, "CronJob") {
        let name = job["metadata"]["name"].as_str().unwrap_or_default();
        stand.space.apply(&cron_job(name, &format!("printf '%s' '{numbers}' > \"$1\""))).await?;
    }
    Ok(())
}

fn items<'a>(spec: &'a mut Value, list: &str) -> impl Iterator<Item = &'a mut Value> {
    spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten()
}

/// Every time that people wait for is some seconds; limits, shares, counts and words stay what they are.
fn hasten(spec: &mut Value, untold: &[&str]) {
    for (list, time) in [("steps", "hold"), ("bake", "for")] {
        for one in items(spec, list).filter_map(Value::as_object_mut) {
            one.insert(time.to_owned(), json!("4s"));
            one.remove("maxHold");
        }
    }
    let is_told = |name: &Value| untold.iter().all(|untold| name != untold);
    if let Some(gates) = spec.get_mut("gates").and_then(Value::as_array_mut) {
        gates.retain(|gate| is_told(&gate["name"]));
        for gate in gates.iter_mut().filter_map(Value::as_object_mut).filter(|gate| !gate.contains_key("job")) {
            gate.extend([("interval".to_owned(), json!("1s")), ("window".to_owned(), json!("10s"))]);
            let of_requests = gate.get("metric").is_some_and(|metric| metric != "requests" && metric != "costPerHour");
            if of_requests && !gate.contains_key("minSamples") {
                gate.insert("minSamples".to_owned(), json!(15));
            }
        }
    }
    for list in ["steps", "bake"] {
        for gates in items(spec, list).filter_map(|one| one.get_mut("gates")?.as_array_mut()) {
            gates.retain(is_told);
        }
    }
    for check in items(spec, "preflight").filter(|check| check.get("capacity").is_some()) {
        // The lab has one node.
        check["capacity"] = json!({"nodes": 1});
    }
    spec["rollback"] = json!({"verify": {"quietFor": "3s"}});
    if spec.get("decommission").is_some() {
        spec["decommission"]["drain"] = json!("1s");
    }
}

impl Checklist {
    /// What is played: the lab's servers with the checklist around them.
    fn wish(&self, version: &str, env: &[(&str, &str)], spec: &Value) -> Wish {
        let metrics = json!({"profile": "vllm", "prices": self.prices, "warmUp": "0s"});
        let wish = Wish { replicas: 1, ..Wish::new(version) }.more(spec).more(&json!({"metrics": metrics}));
        let more = env.iter().fold(wish, |wish, (name, value)| wish.with(name, value));
        more.with("SIM_PROMPT_TOKENS", "100").with("SIM_TOKENS_SPREAD", "2")
    }

    /// What stood in the manifest, without what the lab's own servers stand for.
    fn spec(&self, all: &[Value]) -> Result<Value, KitError> {
        let found = of_kind(all, "LlmRollout").find(|rollout| rollout["metadata"]["name"] == self.name);
        let mut spec = found.map(|rollout| rollout["spec"].clone()).ok_or(KitError::NoLab)?;
        hasten(&mut spec, self.untold);
        if let Some(spec) = spec.as_object_mut() {
            spec.retain(|field, _| {
                !["release", "traffic", "metrics", "dependsOn", "onDependencyRollback"].contains(&field.as_str())
            });
        }
        Ok(spec)
    }

    /// Served, released with everything that the checklist asks for, and approved by whom it names.
    async fn good_way(&self, stand: &Stand) -> Result<(Service, Value), KitError> {
        let all = documents(self.folder)?;
        make_jobs(stand, &all, &self.numbers).await?;
        let spec = self.spec(&all)?;
        let first = Wish { replicas: 1, ..Wish::new("v1") };
        let metrics = json!({"metrics": {"profile": "vllm", "prices": self.prices, "warmUp": "0s"}});
        let first = self.env[0].iter().fold(first.more(&metrics), |wish, (name, value)| wish.with(name, value));
        let first = first.with("SIM_PROMPT_TOKENS", "100").with("SIM_TOKENS_SPREAD", "2");
        let service = stand.serve(&first, &LoadPlan::default()).await?;
        headers(stand).await?;
        service.apply(stand, &self.wish("v2", self.env[1], &spec).manifest()).await?;
        self.approved(stand, &service, &spec).await?;
        service.rollout.until("everything is ticked and v2 is live", GOOD, is_promoted).await?;
        Ok((service, spec))
    }

    /// Every role agrees, ahead of time.
    async fn approved(&self, stand: &Stand, service: &Service, spec: &Value) -> Result<(), KitError> {
        let begun = |r: &Value| r["status"]["attempt"]["endedAt"].is_null() && !r["status"]["candidate"].is_null();
        service.rollout.until("the release begins", BAD, begun).await?;
        for approval in spec["approvals"].as_array().into_iter().flatten() {
            let before = approval["before"].as_str().unwrap_or_default();
            for role in approval["roles"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                says(stand, &["approve", "chat", "--role", role, "--before", before]).await?;
            }
        }
        Ok(())
    }

    /// A version that breaks one of its limits goes back for that reason.
    async fn goes_back(&self, stand: &Stand, service: &Service, spec: &Value, gate: &str) -> Result<(), KitError> {
        service.apply(stand, &self.wish("v3", self.env[2], spec).manifest()).await?;
        self.approved(stand, service, spec).await?;
        let back = |r: &Value| {
            let said = r["status"]["message"].as_str().unwrap_or_default();
            space::phase(r) == "RolledBack" && said.contains(gate)
        };
        service.rollout.until(&format!("{gate} takes v3 back"), BAD, back).await.map(drop)
    }
}

/// The Secret that a checklist names, which the operator may read.
async fn headers(stand: &Stand) -> Result<(), KitError> {
    super::smoke::headers(stand, "product-token").await
}

async fn says(stand: &Stand, words: &[&str]) -> Result<(), KitError> {
    let output =
        Command::new("kubectl-llmrollout").args(["-n", &stand.space.name]).args(words).kill_on_drop(true).output();
    let output = output.await.map_err(KitError::failed(format!("{words:?}")))?;
    claim(output.status.success(), || format!("{words:?}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// A flag turns a model on; more than half of all requests fail, and it is off at once.
pub(super) async fn checklist_a_is_ticked_and_a_meltdown_goes_back(stand: &Stand) -> Result<(), KitError> {
    let a = Checklist {
        folder: "checklist-a",
        name: "deals",
        untold: &["burn", "burst"],
        numbers: json!({"tables": 2, "health": 200, "costRows": 1, "cacheHits": 1, "violations": 0}),
        prices: json!({"input": "$0", "output": "$1185"}),
        env: [
            &[("SIM_TOKENS_MEAN", "32"), ("SIM_CACHED_SHARE", "0.12")],
            &[("SIM_TOKENS_MEAN", "27"), ("SIM_CACHED_SHARE", "0.12")],
            &[("SIM_TOKENS_MEAN", "27"), ("SIM_CACHED_SHARE", "0.12"), ("SIM_ERROR_SHARE", "0.7")],
        ],
    };
    let (service, spec) = a.good_way(stand).await?;
    a.goes_back(stand, &service, &spec, "meltdown").await?;
    stand.end(service.load).await.map(drop)
}

/// A product is tried with its token before anybody uses it; a broken cache asks, and a person takes it back.
pub(super) async fn checklist_b_is_ticked_and_a_broken_cache_asks(stand: &Stand) -> Result<(), KitError> {
    let b = Checklist {
        folder: "checklist-b",
        name: "product",
        untold: &[],
        numbers: json!({"applied": 4, "working": 2, "metrics": {"http_req_duration": {"thresholds": {"p(95)<5000": {"ok": true}}}}}),
        prices: json!({"input": "$0.50", "output": "$1.50"}),
        env: [&[("SIM_CACHED_SHARE", "0.4")], &[("SIM_CACHED_SHARE", "0.4")], &[("SIM_CACHED_SHARE", "0.02")]],
    };
    let (service, spec) = b.good_way(stand).await?;
    service.apply(stand, &b.wish("v3", b.env[2], &spec).manifest()).await?;
    b.approved(stand, &service, &spec).await?;
    let asks = |r: &Value| {
        r["status"]["reason"] == "GateAsks"
            && r["status"]["message"].as_str().is_some_and(|m| m.contains("cache-broken"))
    };
    service.rollout.until("somebody is asked about the cache", BAD, asks).await?;
    says(stand, &["abort", "chat", "--reason", "the cache is broken"]).await?;
    service.rollout.until("v3 is back", BAD, |r| space::phase(r) == "RolledBack").await?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())
}

/// Models in four shares, with a day of validation; a slow one goes back.
pub(super) async fn checklist_c_is_ticked_and_a_slow_one_goes_back(stand: &Stand) -> Result<(), KitError> {
    let models = json!({
        "classification": 0.96, "extractionF1": 0.95, "schemaCompliance": 0.993, "decoderF1": 0.93, "selfCorrection": 0.72,
        "routing": 0.98, "apiSelection": 1, "gpuNodes": 2, "storageTb": 2, "retentionDays": 30, "highFindings": 0, "rto": 3000,
        "rpo": 200, "stages": 8, "documentsPerHour": 5400, "memoryGb": 61, "good": 10, "logErrors": 0, "touchless": 0.87,
        "extraction": 0.95, "metrics": {"http_req_duration": {"thresholds": {"p(95)<1500": {"ok": true}}}},
    });
    let c = Checklist {
        folder: "checklist-c",
        name: "documents",
        untold: &["gpu", "memory"],
        numbers: models,
        prices: json!({"input": "$0.10", "output": "$0.40"}),
        env: [&[], &[], &[("SIM_LATENCY", "fixed:1900ms")]],
    };
    let (service, spec) = c.good_way(stand).await?;
    c.goes_back(stand, &service, &spec, "p95").await?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())
}

/// The first phase of a programme, judged by what was before it: the same once more saves nothing, and goes back.
pub(super) async fn checklist_e_is_ticked_and_what_saves_nothing_goes_back(stand: &Stand) -> Result<(), KitError> {
    let saves: &[(&str, &str)] = &[("SIM_TOKENS_MEAN", "16"), ("SIM_CACHED_SHARE", "0.88")];
    let e = Checklist {
        folder: "checklist-e",
        name: "pruning",
        untold: &["memory", "memory-use", "uptime", "down"],
        numbers: json!({"freeMemoryGb": 6, "passed": 1, "ofBaseline": 0.98, "p95": 0.03, "different": 0}),
        prices: json!({"input": "$10", "cachedInput": "$0", "output": "$0"}),
        env: [&[("SIM_TOKENS_MEAN", "32"), ("SIM_CACHED_SHARE", "0.4")], saves, saves],
    };
    let (service, spec) = e.good_way(stand).await?;
    e.goes_back(stand, &service, &spec, "tokens").await?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())
}

/// Four phases of flags for a test workspace, each after the one before; one that finds nothing stops the rest, and only those.
pub(super) async fn checklist_d_goes_phase_by_phase(stand: &Stand) -> Result<(), KitError> {
    let all = documents("checklist-d")?;
    let numbers = |events: u32| json!({"tables": 4, "rows": 1, "traces": 1, "runs": 1, "decisions": 1, "evaluated": 1, "hits": 1, "events": events, "succeeded": 1});
    make_jobs(stand, &all, &numbers(0)).await?;
    let here = |document: &Value| {
        let mut document = document.clone();
        document["metadata"]["namespace"] = json!(stand.space.name);
        document
    };
    for flag in of_kind(&all, "FeatureFlag") {
        stand.space.apply(&here(flag)).await?;
    }
    let phases: Vec<Value> = of_kind(&all, "LlmRollout").map(here).collect();
    let release = async |revision: &str| {
        for phase in &phases {
            let mut phase = phase.clone();
            hasten(&mut phase["spec"], &[]);
            phase["spec"]["release"]["external"]["revision"] = json!(revision);
            stand.space.apply(&phase).await?;
        }
        Ok::<_, KitError>(())
    };
    release("off").await?;
    for phase in 1..=4 {
        stands(stand, phase, "what serves was found", |s| s["activeRevision"] == "off").await?;
    }
    release("on").await?;
    stands(stand, 2, "phase 2 is on", |s| s["activeRevision"] == "on" && s["phase"] == "Completed").await?;
    stands(stand, 3, "phase 3 finds no event", |s| s["phase"] == "RolledBack").await?;
    let fourth = stand.space.get("llmrollout.io/v1alpha1", "LlmRollout", "phase-4").await?;
    claim(fourth["status"]["activeRevision"] == "off", || format!("phase 4 went on: {}", fourth["status"]))?;
    stands(stand, 2, "phase 2 stays on", |s| s["activeRevision"] == "on").await?;
    make_jobs(stand, &all, &numbers(3)).await?;
    says(stand, &["retry", "phase-3"]).await?;
    for phase in 3..=4 {
        stands(stand, phase, "the rest is on", |s| s["activeRevision"] == "on" && s["phase"] == "Completed").await?;
    }
    let flags = stand.space.list("core.openfeature.dev/v1beta1", "FeatureFlag").await?;
    let on = flags.iter().flat_map(|flag| flag["spec"]["flagSpec"]["flags"].as_object().into_iter().flatten());
    let on = on.filter(|(_, flag)| flag["targeting"]["if"][1]["fractional"][0][1] == 100).count();
    claim(on == 13, || format!("{on} of 13 flags are on: {flags:?}"))
}

/// Waits until a phase stands there.
async fn stands(stand: &Stand, phase: u32, what: &str, is: impl Fn(&Value) -> bool) -> Result<(), KitError> {
    let name = format!("phase-{phase}");
    let film = crate::kit::Film::start(stand.space.rollouts(), &name).await?;
    film.until(&format!("{name}: {what}"), GOOD, |rollout| is(&rollout["status"])).await.map(drop)
}
