//! Claims about metrics providers that stop, crawl or lie: traffic stays where it is, the status says why, memory stays
//! small, and the release goes on by itself when they are right again. Nothing here makes a candidate bad.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{
    abort::{Hanging, prometheus_pid},
    operators::own_operator_asking,
    stand::{Service, Stand, is_promoted},
};
use crate::kit::{
    KitError, LoadPlan, Wish, claim, pods,
    rogue::{Manner, Rogue},
    space,
};

const STEP: Duration = Duration::from_secs(40);
/// Longer than a hold and a round of questions, with their deadline, on a machine that others use too.
const WHOLE: Duration = Duration::from_secs(15);
/// What a liar may cost.
const MEMORY: i64 = 32 << 10;

/// The same gates; no waiting for people, and no end of patience within the case.
fn wish(version: &str) -> Wish {
    let mut wish = Wish::new(version);
    for gate in wish.gates.as_array_mut().into_iter().flatten() {
        gate["minSamples"] = json!(5);
        gate["noData"] = json!({"budget": "10m", "then": "Rollback"});
    }
    wish
}

/// What the gates say: name, verdict, reason.
fn gates(rollout: &Value) -> Vec<(&str, &str, &str)> {
    let gates = rollout.pointer("/status/gates").and_then(Value::as_array);
    gates
        .into_iter()
        .flatten()
        .map(|gate| {
            let text = |field: &str| gate[field].as_str().unwrap_or_default();
            (text("name"), text("verdict"), text("reason"))
        })
        .collect()
}

/// At a step of this weight every gate comes to have no data, each for one of its reasons; and the hold passes without a
/// move.
async fn stands_still(
    stand: &Stand,
    service: &Service,
    weight: i64,
    hold: Duration,
    reasons: [&str; 3],
) -> Result<(), KitError> {
    let silent = |rollout: &Value| {
        let told = gates(rollout);
        told.len() == 3
            && std::iter::zip(&told, reasons).all(|((_, verdict, reason), wanted)| {
                *verdict == "NoData" && wanted.split('|').any(|why| reason.contains(why))
            })
    };
    let what = format!("no data at {weight}%: {reasons:?}");
    service.rollout.until(&what, WHOLE, silent).await?;
    tokio::time::sleep(hold + Duration::from_secs(1)).await;
    let (rollout, weights) = (stand.space.rollout().await?, stand.space.weights().await?);
    let told = gates(&rollout);
    let stands = weights.green == weight && space::phase(&rollout) == "Holding";
    claim(stands && told.iter().all(|(_, verdict, _)| *verdict == "NoData"), || {
        format!("with {reasons:?} at {weight}% the route stands at {weights:?}, the gates say {told:?}")
    })
}

/// The peak of the operator's memory in KiB.
fn peak(pid: i32) -> Result<i64, KitError> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).map_err(KitError::failed(path.clone()))?;
    let line =
        text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.trim().parse().ok());
    line.ok_or_else(|| KitError::Refuted(format!("{path} does not tell VmHWM")))
}

/// What each step meets: a manner for each of the three gates, and what they say then.
const LIES: [([Manner; 3], [&str; 3]); 6] = [
    ([Manner::Html, Manner::BadJson, Manner::DeepJson], ["content type", "not JSON", "not a pair"]),
    ([Manner::Huge, Manner::Bomb, Manner::MillionSeries], ["larger than 1 MiB"; 3]),
    ([Manner::ManySeries, Manner::Value("NaN"), Manner::Value("+Inf")], ["340001 series", "finite", "finite"]),
    ([Manner::ShortPair, Manner::Warning, Manner::Stale], ["not a pair", "partial", "away from our clock"]),
    ([Manner::Redirect, Manner::Broken, Manner::Restless], ["HTTP 302", "HTTP 503", "another instant"]),
    ([Manner::Drip, Manner::Silent, Manner::Value("-1")], ["in time", "in time", "negative"]),
];

/// Each step meets other lies, outlasts its hold with them, and is left when they end.
pub(super) async fn provider_that_lies_moves_nothing(stand: &Stand) -> Result<(), KitError> {
    let rogue = Rogue::start(&stand.space.ground).await?;
    let own = own_operator_asking(stand, &json!({"url": rogue.url, "timeoutSeconds": 2})).await?;
    let service = stand.serve(&wish("v1"), &LoadPlan::default()).await?;
    let steps: Vec<i32> = (0..).take(LIES.len() + 1).map(|n| 20 + 10 * n).chain([100]).collect();
    let steps: Vec<_> = steps.iter().map(|weight| (*weight, "1s")).collect();
    let (_, uid) = own.pods(&stand.space.ground).await?.pop().unwrap_or_default();
    let pid = *pods::processes(&uid).first().ok_or_else(|| KitError::Refuted("no operator runs".to_owned()))?;
    service.apply(stand, &wish("v2").steps(&steps).manifest()).await?;
    let mut before = 0;
    for ((weight, _), (manners, reasons)) in std::iter::zip(&steps, LIES) {
        let weight = i64::from(*weight);
        service.holding(weight, STEP).await?;
        rogue.be(manners);
        if before == 0 {
            before = peak(pid)?;
        }
        stands_still(stand, &service, weight, Duration::from_secs(1), reasons).await?;
        rogue.be([Manner::Honest; 3]);
    }
    // Told to wait, the operator leaves all questions alone; whose turn it was says so.
    let weight = i64::from(steps[LIES.len()].0);
    service.holding(weight, STEP).await?;
    rogue.be([Manner::Busy; 3]);
    let busy = |rollout: &Value| gates(rollout).iter().any(|(_, _, reason)| reason.contains("too many questions"));
    service.rollout.until("too many questions", WHOLE, busy).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let green = stand.space.weights().await?.green;
    claim(green == weight, || format!("with 429 at {weight}% the route stands at {green}%"))?;
    rogue.be([Manner::Honest; 3]);
    service.rollout.until("v2 is promoted", STEP, is_promoted).await?;
    let grown = peak(pid)? - before;
    stand.note("grown_kib", Duration::from_millis(u64::try_from(grown).unwrap_or(0)));
    claim(before > 0 && grown < MEMORY, || format!("the operator grew by {grown} KiB from {before}"))?;
    let greens: Vec<_> = space::weights_seen(&service.route).iter().map(|(weights, _)| weights.green).collect();
    let wanted: Vec<_> = std::iter::once(0).chain(steps.iter().map(|(weight, _)| i64::from(*weight))).collect();
    claim(greens == wanted, || format!("green's weights in the route were {greens:?}"))?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())?;
    own.uninstall().await
}

/// A Prometheus that hangs, and then one that is killed and comes back with what it knew.
pub(super) async fn prometheus_that_stops_is_waited_for(stand: &Stand) -> Result<(), KitError> {
    let hold = Duration::from_secs(3);
    let service = stand.serve(&wish("v1"), &LoadPlan::default()).await?;
    service.apply(stand, &wish("v2").steps(&[(20, "3s"), (50, "3s"), (100, "3s")]).manifest()).await?;
    service.holding(20, STEP).await?;
    let hanging = Hanging::of(stand)?;
    // Other rollouts ask the same provider: their unanswered questions may have taken the places of ours.
    stands_still(stand, &service, 20, hold, ["in time|too many questions"; 3]).await?;
    drop(hanging);
    service.holding(50, STEP).await?;
    // Held down by being killed whenever it comes back.
    let down = async {
        loop {
            if let Ok(pid) = prometheus_pid(stand) {
                pods::signal_one(pid, Signal::KILL);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = down => {}
        still = stands_still(stand, &service, 50, hold, ["unreachable"; 3]) => still?,
    }
    service.rollout.until("v2 is promoted", STEP, is_promoted).await?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())
}
