//! What is measured, one figure after the other, on one fleet. The bare client writes the same in the same run.

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use rustix::process::Signal;
use serde::Serialize;
use tokio::time::sleep;

use super::{
    fleet::{Fleet, green, name},
    operator::{ACCOUNT, Operator, Program},
    stub::Stub,
};
use crate::kit::{KitError, audit::Audit};

const PATIENCE: Duration = Duration::from_mins(5);
/// As many as the operator works on at the same time.
const AT_ONCE: usize = 16;

/// Many times of the same.
#[derive(Debug, Serialize)]
pub(super) struct Times {
    pub(super) n: usize,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) most_ms: f64,
}

pub(super) fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e5).round() / 100.0
}

impl Times {
    fn of(mut all: Vec<Duration>) -> Self {
        all.sort();
        let at = |part: usize| all.get((all.len() * part / 100).min(all.len().saturating_sub(1))).copied();
        let [p50_ms, p99_ms, most_ms] = [50, 99, 100].map(|part| ms(at(part).unwrap_or_default()));
        Self { n: all.len(), p50_ms, p99_ms, most_ms }
    }
}

/// A guarded write by a bare client, until the watch shows it.
pub(super) async fn bare_one(fleet: &Fleet, times: usize) -> Result<Times, KitError> {
    let mut all = Vec::new();
    for turn in 0..times {
        let (number, share) = (turn % fleet.size, if (turn / fleet.size).is_multiple_of(2) { 3 } else { 0 });
        let since = Instant::now();
        fleet.write(number, share).await?;
        let own = name(number);
        let seen = fleet.routes.until("a bare write", 1, PATIENCE, |n, r| n == own && green(r) == Some(share)).await?;
        all.push(seen.saturating_duration_since(since));
    }
    bare_all(fleet, 0).await?;
    Ok(Times::of(all))
}

/// The same of all at once.
pub(super) async fn bare_all(fleet: &Fleet, share: i64) -> Result<Duration, KitError> {
    let since = Instant::now();
    let write = |number: usize| fleet.write(number, share);
    stream::iter(0..fleet.size).map(write).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    let last = fleet.routes.until("bare writes", fleet.size, PATIENCE, |_, r| green(r) == Some(share)).await?;
    Ok(last.saturating_duration_since(since))
}

/// One rollout after the other goes bad, while the rest is measured: from the bad answer to the route.
pub(super) async fn rollback_one(fleet: &Fleet, stub: &Stub, times: usize) -> Result<Times, KitError> {
    let mut all = Vec::new();
    for number in 0..times.min(fleet.size) {
        stub.spoil(number);
        let own = name(number);
        let seen = fleet.routes.until("one is home", 1, PATIENCE, |n, r| n == own && green(r) == Some(0)).await?;
        let told = stub.told(number).ok_or_else(|| KitError::Refuted(format!("{own} went home without an answer")))?;
        all.push(seen.saturating_duration_since(told));
    }
    Ok(Times::of(all))
}

/// All go bad at once: from the first bad answer to the last route, and from the bad answer of each to its own: the others
/// are still to be asked when the first is told.
pub(super) async fn rollback_all(fleet: &Fleet, stub: &Stub) -> Result<(Duration, Times), KitError> {
    stub.spoil_all();
    let last = fleet.routes.until("all are home", fleet.size, PATIENCE, |_, r| green(r) == Some(0)).await?;
    let told = stub.first_told().ok_or_else(|| KitError::Refuted("nobody was told anything".to_owned()))?;
    let own = |number| Some(fleet.routes.one(&name(number))?.0.saturating_duration_since(stub.told(number)?));
    Ok((last.saturating_duration_since(told), Times::of((0..fleet.size).filter_map(own).collect())))
}

/// What a process does while nothing happens.
#[derive(Debug, Serialize)]
pub(super) struct Rest {
    pub(super) seconds: u64,
    pub(super) writes: usize,
    pub(super) reads: usize,
    pub(super) lease_writes: usize,
    pub(super) cpu_share: f64,
    pub(super) questions: u64,
}

pub(super) async fn rest(fleet: &Fleet, stub: &Stub, operator: &Operator, seconds: u64) -> Result<Rest, KitError> {
    let audit = Audit::from_now(&fleet.ground)?;
    let (worked, asked) = (operator.worked()?, stub.counts().1);
    sleep(Duration::from_secs(seconds)).await;
    let worked = operator.worked()?.saturating_sub(worked);
    let all = audit.requests(|request| request.acting_as() == Some(ACCOUNT))?;
    let lease = |r: &&crate::kit::audit::Request| r.object_ref.resource == "leases";
    let (leases, others): (Vec<_>, Vec<_>) = all.iter().partition(lease);
    let writes = others.iter().filter(|r| r.writes()).count();
    let reads = others.iter().filter(|r| ["get", "list"].contains(&r.verb.as_str())).count();
    let cpu_share = (worked.as_secs_f64() / Duration::from_secs(seconds).as_secs_f64() * 1e4).round() / 1e4;
    let questions = stub.counts().1 - asked;
    Ok(Rest { seconds, writes, reads, lease_writes: leases.len(), cpu_share, questions })
}

/// A process that begins with all of them being measured: until each was asked about once.
pub(super) async fn cold_start(
    fleet: &Fleet,
    stub: &Stub,
    program: &Program,
) -> Result<(Operator, Duration), KitError> {
    stub.heal();
    let since = Instant::now();
    let operator = program.start("cold")?;
    while stub.counts().0 < fleet.size {
        if since.elapsed() > PATIENCE {
            let what = "every one is asked about".to_owned();
            return Err(KitError::Late { what, within: PATIENCE, last: format!("{:?}", stub.counts()) });
        }
        sleep(Duration::from_millis(5)).await;
    }
    Ok((operator, since.elapsed()))
}

/// The leader goes, with one rollout going bad in the same moment, and a standby there: from the signal to the route.
pub(super) async fn failover(
    fleet: &Fleet,
    stub: &Stub,
    leader: Operator,
    (signal, number): (Signal, usize),
) -> Result<Duration, KitError> {
    let since = Instant::now();
    leader.signal(signal)?;
    stub.spoil(number);
    let own = name(number);
    let seen = fleet.routes.until("the bad one is home", 1, PATIENCE, |n, r| n == own && green(r) == Some(0)).await?;
    Ok(seen.saturating_duration_since(since))
}
