//! Claims about gates on the number of an endpoint: a good one lets a version pass, a bad one takes it back, and whatever
//! is no number moves nothing. Nothing here makes a candidate bad by its metrics.

use std::time::Duration;

use serde_json::{Value, json};

use super::stand::{Service, Stand, is_promoted};
use crate::kit::{
    KitError, LoadPlan, Wish, claim,
    operator::Install,
    space,
    teller::{Teller, Word},
};

const SOON: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_mins(1);
const LEASE: Duration = Duration::from_secs(4);

/// At least 90 % on fifty samples, and not much less than what serves; and no step ends before the last word.
fn wish(version: &str) -> Wish {
    let gate = |own: Value| {
        let mut gate = json!({"interval": "1s", "noData": {"budget": "10m"}});
        if let (Some(all), Some(own)) = (gate.as_object_mut(), own.as_object()) {
            all.extend(own.clone());
        }
        gate
    };
    let counted = json!({"name": "eval", "path": "/score", "samples": "/count"});
    let gates = json!([
        gate(json!({"name": "score", "http": counted, "min": "90%", "minSamples": 50})),
        gate(json!({"name": "final", "http": {"name": "eval", "path": "/final"}, "equals": "1"})),
        gate(json!({
            "name": "not-worse", "http": {"name": "eval", "path": "/score"},
            "comparedTo": "active", "minRatio": "0.95",
        })),
    ]);
    Wish { replicas: 1, gates, ..Wish::new(version) }.steps(&[(20, "2s"), (50, "2s"), (100, "2s")])
}

/// What an endpoint may say that is no number, and what the gate says then.
fn lies() -> Vec<(Word, &'static str)> {
    let json = |text: &str| Word::Json(text.to_owned());
    vec![
        (json(r#"{"count":100}"#), "nothing stands at `path`"),
        (json(r#"{"score":"0.97","count":100}"#), "a string instead of a number"),
        (json(r#"{"score":[0.97],"count":100}"#), "a list instead of a number"),
        (json(r#"{"score":1e999,"count":100}"#), "not a finite number"),
        (json(r#"{"score":NaN,"count":100}"#), "not JSON"),
        (json(r#"{"score":0.97,"score":0.1,"count":100}"#), "stands there twice"),
        (json(r#"{"score":0.97}"#), "nothing stands at `samples`"),
        (Word::so_far(0.97, 49), "49 of 50 samples"),
        (Word::Json(format!(r#"{{"x":"{}","score":1,"count":100}}"#, "x".repeat(2 << 20))), "larger than 1 MiB"),
        (Word::Status("302 Found", "location: http://169.254.169.254/\r\n"), "endpoint answered HTTP 302"),
        (Word::Status("503 Service Unavailable", ""), "endpoint answered HTTP 503"),
        (Word::Status("200 OK", "content-type: text/html\r\n"), "content type"),
        (Word::Silence, "endpoint did not answer in time"),
    ]
}

/// What the gate says: verdict and reason.
fn gate<'a>(rollout: &'a Value, name: &str) -> (&'a str, &'a str) {
    let gates = rollout.pointer("/status/gates").and_then(Value::as_array);
    let found = gates.into_iter().flatten().find(|gate| gate["name"] == name);
    let text = |field: &str| found.and_then(|gate| gate[field].as_str()).unwrap_or_default();
    (text("verdict"), text("reason"))
}

/// A version goes back, and this gate is to blame.
async fn goes_back_by(service: &Service, attempt: i64, blamed: &str) -> Result<(), KitError> {
    let back = |rollout: &Value| {
        rollout["status"]["phase"] == "RolledBack" && rollout["status"]["attempt"]["id"].as_i64() == Some(attempt)
    };
    let seen = service.rollout.until(&format!("{blamed} takes its version back"), STEP, back).await?;
    let status = seen.object.as_deref().map(|rollout| rollout["status"].clone()).unwrap_or_default();
    let summary = status["summary"].as_str().unwrap_or_default();
    claim(summary.starts_with(&format!("{blamed} ")) && status["reason"] == "GateFailed", || {
        format!("{blamed} was not blamed; the status is {status}")
    })
}

/// Lies hold the first step, the truth ends it; a score too low, or far below the other color's, takes traffic back.
pub(super) async fn a_number_of_an_endpoint_is_believed_when_it_is_one(stand: &Stand) -> Result<(), KitError> {
    stand.space.ground.lab()?;
    let teller = Teller::start().await?;
    let query = "of={{namespace}}/{{name}}&color={{color}}&revision={{revision}}";
    let url = format!("{}/score?{query}", teller.url);
    let endpoints = json!([{"name": "eval", "url": url, "timeoutSeconds": 1}]);
    let own = Install { endpoints, ..stand.own_operator(1, LEASE) };
    own.install(&stand.space.ground).await?;
    teller.say("blue", Word::score(0.97, 100));
    let service = stand.serve(&wish("v1"), &LoadPlan::default()).await?;
    service.apply(stand, &wish("v2").manifest()).await?;
    service.holding(20, STEP).await?;
    for (word, reason) in lies() {
        // Why there is no data is told when it begins, so that each lie begins with a good word before it.
        teller.say("green", Word::so_far(0.96, 100));
        service.rollout.until("a good score", SOON, |rollout| gate(rollout, "score").0 == "Pass").await?;
        teller.say("green", word);
        let silent = |rollout: &Value| {
            let (verdict, said) = gate(rollout, "score");
            verdict == "NoData" && said.contains(reason)
        };
        service.rollout.until(&format!("no data: {reason}"), SOON, silent).await?;
    }
    let (green, rollout) = (stand.space.weights().await?.green, stand.space.rollout().await?);
    claim(green == 20 && space::phase(&rollout) == "Holding", || format!("after the lies green has {green}%"))?;
    teller.say("green", Word::score(0.96, 100));
    service.rollout.until("v2 is promoted", STEP, is_promoted).await?;
    let greens: Vec<_> = space::weights_seen(&service.route).iter().map(|(weights, _)| weights.green).collect();
    claim(greens == [0, 20, 50, 100], || format!("green's weights in the route were {greens:?}"))?;
    asked_about_the_right_one(stand, &teller).await?;
    // Green serves from here on, and blue is the candidate.
    teller.say("blue", Word::score(0.5, 100));
    service.apply(stand, &wish("v3").manifest()).await?;
    goes_back_by(&service, 3, "score").await?;
    teller.say("blue", Word::score(0.91, 100));
    teller.say("green", Word::score(0.99, 100));
    service.apply(stand, &wish("v4").manifest()).await?;
    goes_back_by(&service, 4, "not-worse").await?;
    checked_before(&service, stand, &teller).await?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())?;
    own.uninstall().await
}

/// Before a release the endpoint has to answer, and with a number that is as it has to be.
async fn checked_before(service: &Service, stand: &Stand, teller: &Teller) -> Result<(), KitError> {
    let check = json!([{"name": "key", "http": {"name": "eval"}, "expect": [{"value": "score", "min": "90%"}]}]);
    let wish = |version: &str| wish(version).more(&json!({"preflight": check.clone()})).manifest();
    let refused = Word::Status("401 Unauthorized", "");
    for (version, word, why) in [
        ("v5", refused, "check key failed: it answered 401"),
        ("v6", Word::score(0.5, 100), "check key failed: score is 50%, which has to be at least 90%"),
    ] {
        teller.say("blue", word);
        service.apply(stand, &wish(version)).await?;
        let kept_away =
            |rollout: &Value| rollout["status"]["phase"] == "RolledBack" && rollout["status"]["message"] == why;
        service.rollout.until(why, STEP, kept_away).await?;
    }
    teller.say("blue", Word::score(0.98, 100));
    service.apply(stand, &wish("v7")).await?;
    service.holding(20, STEP).await.map(drop)
}

/// The query of every request names this namespace's rollout, and about green its revision.
async fn asked_about_the_right_one(stand: &Stand, teller: &Teller) -> Result<(), KitError> {
    let rollout = stand.space.rollout().await?;
    let revision = rollout["status"]["activeRevision"].as_str().unwrap_or_default();
    let begin = format!("/score?of={}%2Fchat&color=", stand.space.name);
    let seen = teller.seen();
    let right = seen.iter().all(|path| path.starts_with(&begin));
    let green = format!("{begin}green&revision={revision}");
    claim(right && !revision.is_empty() && seen.contains(&green), || {
        format!("revision {revision} was asked about with {:?}", seen.iter().collect::<std::collections::BTreeSet<_>>())
    })
}
