//! Claims about tracing: a collector is told of each pass and its parts, and one that hangs keeps nobody waiting.

use std::{collections::BTreeSet, time::Duration};

use serde_json::json;

use super::stand::Stand;
use crate::kit::{
    KitError, LoadPlan, Wish, claim,
    collector::{Collector, Told},
    operator::Install,
    recipe::never_holds,
};

const STEP: Duration = Duration::from_mins(1);
const LEASE: Duration = Duration::from_secs(4);

fn bad(version: &str) -> Wish {
    let gates = json!([never_holds("never")]);
    Wish { replicas: 1, gates, ..Wish::new(version) }.steps(&[(50, "3s"), (100, "3s")])
}

/// A way back is found among the spans with its look, its writes and its status; the next one while the collector hangs.
pub(super) async fn spans_of_passes_reach_a_collector(stand: &Stand) -> Result<(), KitError> {
    stand.space.ground.lab()?;
    let collector = Collector::start().await?;
    let tracing = json!({"endpoint": collector.url});
    let own = Install { tracing, ..stand.own_operator(1, LEASE) };
    own.install(&stand.space.ground).await?;
    let good = Wish { replicas: 1, ..Wish::new("v1") }.steps(&[(50, "3s"), (100, "3s")]);
    let service = stand.serve(&good, &LoadPlan::default()).await?;

    service.apply(stand, &bad("v2").manifest()).await?;
    service.phase("RolledBack", STEP).await?;
    let says = |span: &Told, key: &str, value: &str| span.says.get(key).is_some_and(|said| said == value);
    let home = |span: &Told| {
        span.name == "reconcile"
            && says(span, "llmrollout.phase", "RollingBack")
            && says(span, "k8s.namespace.name", &stand.space.name)
            && !says(span, "llmrollout.writes", "0")
    };
    let told = collector.until("the way back is told as a span", STEP, home).await?;
    let pass = told.iter().find(|span| home(span)).map(|span| span.id.clone()).unwrap_or_default();
    let parts: BTreeSet<&str> = told.iter().filter(|span| span.parent == pass).map(|span| span.name.as_str()).collect();
    claim(parts == BTreeSet::from(["act", "look", "record", "wait"]), || format!("its parts are {parts:?}"))?;

    collector.hang();
    service.apply(stand, &bad("v3").manifest()).await?;
    service.phase("RolledBack", STEP).await?;
    // Spans are sent every few seconds.
    let end = tokio::time::Instant::now() + STEP;
    while !collector.was_asked_in_vain() {
        claim(tokio::time::Instant::now() < end, || "nothing was sent while the collector hung".to_owned())?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())?;
    own.uninstall().await
}
