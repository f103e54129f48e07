//! Claims about statistical gates on real traffic and raw samples of a real Prometheus: an equal release is proved and goes
//! on, a worse one goes back, an outage of both colors blames nobody, and evidence outlives the operator and its samples.
//! Nothing here chooses a threshold.

use std::{path::PathBuf, time::Duration};

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    abort::prometheus_pid,
    operators::{own_operator, replicas, take_away},
    stand::{Stand, is_promoted},
};
use crate::kit::{
    KitError, LoadPlan, Wish, claim,
    operator::{run as tool, run_to_end},
    prometheus, space,
};

/// Each step leaves out its first seconds, and needs its requests.
const PROVED: Duration = Duration::from_secs(100);

/// Twenty requests a second, as long as it takes.
fn load() -> LoadPlan {
    LoadPlan { rps: 20, at_most: Duration::from_mins(9), ..LoadPlan::default() }
}

fn weighing(version: &str, statistical: &Value) -> Wish {
    let gate = json!({
        "name": "errors", "metric": "errorRate", "statistical": statistical, "interval": "2s",
        "noData": {"budget": "10m"},
    });
    Wish { replicas: 1, gates: json!([gate]), ..Wish::new(version) }.with("SIM_ERROR_SHARE", "0.01")
}

fn gate(rollout: &Value) -> &Value {
    &rollout["status"]["gates"][0]
}

/// Room enough that a case need not last for hours: from one percent on, four are too many.
fn roomy() -> Value {
    json!({"relative": "100%", "absolute": "2pp"})
}

/// Errors, a share that is slow and a mean, each from its own counters.
fn weighing_all(version: &str) -> Wish {
    let gate = |mut gate: Value| {
        gate["interval"] = json!("2s");
        gate["noData"] = json!({"budget": "10m"});
        gate
    };
    let gates = [
        json!({"name": "errors", "metric": "errorRate", "statistical": roomy()}),
        json!({"name": "slower", "metric": "latency", "quantile": "0.95", "statistical": {"above": "1s", "relative": "100%", "absolute": "5pp"}}),
        json!({"name": "cost", "metric": "costPerRequest", "statistical": {"relative": "100%"}}),
    ];
    Wish { gates: gates.map(gate).into_iter().collect(), ..weighing(version, &roomy()) }
}

/// One percent of errors in both is proved to be the same, as are the time and the cost of their answers; one percent that
/// becomes six goes back with its odds.
pub(super) async fn equal_errors_are_proved_and_more_go_back(stand: &Stand) -> Result<(), KitError> {
    let service = stand.serve(&weighing_all("v1"), &load()).await?;
    let v2 = weighing_all("v2").steps(&[(50, "5s"), (100, "5s")]);
    service.apply(stand, &v2.manifest()).await?;
    let promoted = service.rollout.until("v2 is proved and promoted", PROVED, is_promoted).await?;
    let gates = promoted.object.as_deref().map(|rollout| rollout["status"]["gates"].clone()).unwrap_or_default();
    let passed = gates.as_array().is_some_and(|all| all.len() == 3 && all.iter().all(|gate| gate["verdict"] == "Pass"));
    claim(passed, || format!("promoted with {gates}"))?;
    whoever_applies_is_warned(stand, promoted.object.as_deref()).await?;
    let worse = weighing_all("v3").with("SIM_ERROR_SHARE", "0.06").steps(&[(50, "120s"), (100, "5s")]);
    service.apply(stand, &worse.manifest()).await?;
    let back = |rollout: &Value| rollout["status"]["phase"] == "RolledBack" && rollout["status"]["attempt"]["id"] == 3;
    let seen = service.rollout.until("v3 goes back", PROVED, back).await?;
    let rollout = seen.object.as_deref().cloned().unwrap_or_default();
    let told = rollout["status"]["reason"] == "GateFailed"
        && gate(&rollout)["reason"].as_str().is_some_and(|words| words.starts_with("worse at odds of"));
    claim(told, || format!("the status is {}", rollout["status"]))?;
    stand.end(service.load).await.map(drop)
}

/// The API server warns of a step that this traffic can hardly decide within its `maxHold`, and names what could; of one
/// that it can, nothing is said.
async fn whoever_applies_is_warned(stand: &Stand, rollout: Option<&Value>) -> Result<(), KitError> {
    let rps = rollout.and_then(|rollout| rollout["status"]["requestsPerSecond"].as_str());
    let near = rps.and_then(|rps| rps.parse::<f64>().ok()).is_some_and(|rps| (15.0..25.0).contains(&rps));
    claim(near, || format!("20 requests a second were told as {rps:?}"))?;
    let said = async |weight: Value, most: &str| {
        let step = json!([{"weight": weight, "hold": "5s", "maxHold": most}, {"weight": 100, "hold": "5s"}]);
        let spec = json!({"spec": {"steps": step}}).to_string();
        let place =
            ["patch", "llmrollout/chat", "-n", &stand.space.name, "--type=merge", "--dry-run=server", "-p", &spec];
        run_to_end("kubectl", &place).await.map(|(_, beside)| beside)
    };
    let (late, enough) = (said(json!(5), "5s").await?, said(json!(5), "60m").await?);
    let half = said(json!("0.5"), "5s").await?;
    claim(half.contains("Warning: ") && half.contains("at 0.5% the gate errors"), || {
        format!("of a step of half a percent was said {half:?}")
    })?;
    let told = ["Warning: ", "at 5% the gate errors takes about ", "it would end undecided; write a longer `maxHold`"];
    claim(told.iter().all(|words| late.contains(words)) && !enough.contains("Warning"), || {
        format!("of a step that is too short was said {late:?}, of one that is not {enough:?}")
    })
}

/// Thirty percent of errors in both colors, where five are the most: nobody is to blame, and nothing goes forward.
pub(super) async fn an_outage_of_both_colors_blames_nobody(stand: &Stand) -> Result<(), KitError> {
    let sick = |version: &str| weighing(version, &json!({"max": "5%"})).with("SIM_ERROR_SHARE", "0.3");
    let service = stand.serve(&sick("v1"), &load()).await?;
    service.apply(stand, &sick("v2").steps(&[(50, "5s"), (100, "5s")]).manifest()).await?;
    let blameless = |rollout: &Value| {
        gate(rollout)["verdict"] == "NoData" && gate(rollout)["reason"].as_str() == Some("both colors fail it")
    };
    service.rollout.until("both colors fail it", PROVED, blameless).await?;
    tokio::time::sleep(stand.rest).await;
    let (rollout, weights) = (stand.space.rollout().await?, stand.space.weights().await?);
    claim(weights.green == 50 && space::phase(&rollout) == "Holding", || {
        format!("the route stands at {weights:?}, the status says {}", rollout["status"])
    })?;
    stand.end(service.load).await.map(drop)
}

/// With the load gone evidence stands still; an operator that starts anew says the same, from what was written down and
/// what the provider still has.
pub(super) async fn evidence_outlives_the_operator(stand: &Stand) -> Result<(), KitError> {
    let own = own_operator(stand, 1).await?;
    let service = stand.serve(&weighing("v1", &json!({})), &load()).await?;
    let v2 = weighing("v2", &json!({})).steps(&[(50, "5s"), (100, "5s")]);
    service.apply(stand, &v2.manifest()).await?;
    let some = |rollout: &Value| {
        gate(rollout)["verdict"] == "Undecided" && gate(rollout)["samples"].as_i64().is_some_and(|n| n >= 40)
    };
    service.rollout.until("some evidence", PROVED, some).await?;
    stand.end(service.load).await?;
    // What was under way is answered, scraped and weighed a little later, and written down at the latest a minute after.
    let still = Timestamp::now() + SignedDuration::from_secs(5);
    let told = |rollout: &Value| gate(rollout)["at"].as_str().and_then(|at| at.parse::<Timestamp>().ok());
    let after = |rollout: &Value| told(rollout).is_some_and(|at| at > still);
    let seen = service.rollout.until("all that was answered is weighed", Duration::from_mins(2), after).await?;
    let before = seen.object.as_deref().cloned().unwrap_or_default();
    take_away(&own).await?;
    replicas(&own, 1).await?;
    let again = |rollout: &Value| told(rollout) > told(&before) && gate(rollout)["verdict"] == "Undecided";
    let seen = service.rollout.until("the next process has weighed it", Duration::from_mins(2), again).await?;
    let rollout = seen.object.as_deref().cloned().unwrap_or_default();
    let [old, new] = [&before, &rollout].map(gate);
    let kept = |field: &str| old[field] == new[field];
    // Written down it is rounded. About four nats are a proof, so that each of the requests it takes is worth so much, and a
    // tenth of a nat may be lost.
    let each = |needed: f64| 4.0 / (needed + f64::from(i32::try_from(samples(&before)).unwrap_or(i32::MAX)));
    let alike = requests(old).zip(requests(new)).is_some_and(|(old, new)| (old - new).abs() * each(old) <= 0.1);
    claim(kept("value") && kept("samples") && alike, || format!("it was {old} and is {new}"))?;
    // The samples are all there, and were read once more by then.
    let events = ["get", "events", "-n", &stand.space.name, "--field-selector=reason=EvidenceCorrected", "-o", "name"];
    let corrected = tool("kubectl", &events).await?;
    claim(corrected.is_empty(), || format!("less was found than written down: {corrected}"))
}

/// Everything that was sampled is lost while the operator is away: with what was written down evidence goes on, and nothing
/// went forward in between.
pub(super) async fn evidence_outlives_the_samples(stand: &Stand) -> Result<(), KitError> {
    let service = stand.serve(&weighing("v1", &json!({})), &load()).await?;
    let v2 = weighing("v2", &json!({})).steps(&[(50, "300s"), (100, "5s")]);
    service.apply(stand, &v2.manifest()).await?;
    let some = |rollout: &Value| gate(rollout)["verdict"] == "Undecided" && samples(rollout) >= 200;
    let seen = service.rollout.until("some evidence", PROVED, some).await?;
    let before = seen.object.as_deref().cloned().unwrap_or_default();
    let since = Timestamp::now();
    let down = Down::of(stand).await?;
    let silent = |rollout: &Value| gate(rollout)["verdict"] == "NoData";
    service.rollout.until("no data without a provider", Duration::from_secs(30), silent).await?;
    let away = take_away(&stand.operator).await;
    let forgotten = down.forget_everything();
    // The next cases need both, whatever became of this.
    replicas(&stand.operator, stand.operator.replicas).await?;
    drop(down);
    away.and(forgotten)?;
    still_at_half(stand).await?;
    let speaks = |rollout: &Value| gate(rollout)["verdict"] == "Undecided" || gate(rollout)["verdict"] == "Pass";
    let again = |rollout: &Value| speaks(rollout) && samples(rollout) >= samples(&before) + 100;
    let seen = service.rollout.until("evidence goes on", PROVED, again).await?;
    let rollout = seen.object.as_deref().cloned().unwrap_or_default();
    let query = format!("count(up offset {}s)", (Timestamp::now().as_second() - since.as_second()) + 1);
    let kept = prometheus::query(&stand.space.ground, &query).await?;
    claim(kept.is_empty(), || format!("Prometheus still has {query}: {kept:?}"))?;
    let [old, new] = [&before, &rollout].map(gate);
    // Proved is what needs no more.
    let left = |gate: &Value| if gate["verdict"] == "Pass" { Some(0.0) } else { requests(gate) };
    claim(left(new) < left(old), || format!("it was {old} and is {new}"))?;
    still_at_half(stand).await?;
    stand.end(service.load).await.map(drop)
}

async fn still_at_half(stand: &Stand) -> Result<(), KitError> {
    let (rollout, weights) = (stand.space.rollout().await?, stand.space.weights().await?);
    claim(weights.green == 50 && space::phase(&rollout) == "Holding", || {
        format!("the route stands at {weights:?}, the status says {}", rollout["status"])
    })
}

/// The lab's Prometheus, kept down until this is dropped.
struct Down {
    file: PathBuf,
    data: PathBuf,
}

impl Down {
    async fn of(stand: &Stand) -> Result<Self, KitError> {
        let state = &stand.space.ground.lab()?.state_dir;
        let down = Self { file: state.join("held/prometheus"), data: state.join("data/prometheus") };
        let failed = || KitError::failed(down.file.display().to_string());
        std::fs::create_dir_all(state.join("held")).map_err(failed())?;
        std::fs::write(&down.file, "").map_err(failed())?;
        let gone = async {
            while prometheus_pid(stand).is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let (what, within) = ("Prometheus is held down".to_owned(), Duration::from_secs(30));
        let late = |_| KitError::Late { what, within, last: "it runs".to_owned() };
        tokio::time::timeout(within, gone).await.map_err(late)?;
        Ok(down)
    }

    fn forget_everything(&self) -> Result<(), KitError> {
        std::fs::remove_dir_all(&self.data).map_err(KitError::failed(self.data.display().to_string()))
    }
}

impl Drop for Down {
    fn drop(&mut self) {
        // Without the file nothing is held, which is what is wanted.
        let _ = std::fs::remove_file(&self.file);
    }
}

/// Requests of the candidate that its gate has weighed.
fn samples(rollout: &Value) -> i64 {
    gate(rollout)["samples"].as_i64().unwrap_or_default()
}

/// How many requests it still needs, as it says.
fn requests(gate: &Value) -> Option<f64> {
    gate["reason"].as_str()?.split_once(' ')?.0.parse().ok()
}
