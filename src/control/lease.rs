//! The election: one replica at a time holds a Lease and does the work. It saves work and quarrels; it does not fence,
//! so every write elsewhere is harmless from a stale leader too. Goes by the monotonic clock and by how long a record
//! was watched unchanged, never by the times that stand in it. Who may claim is decided in `claim`.

#![expect(clippy::disallowed_methods, reason = "watches how long a record does not change, and writes the lease")]

mod handle;

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
};
use tracing::{info, warn};

pub use self::handle::LeaseHandle;
use self::handle::State;
use super::claim::{Claim, Held, claim, same_record, transitions};
use crate::{api::labels, settings::Election};

/// A standby looks this often; reads only.
const LOOK: Duration = Duration::from_millis(800);
/// A leader tries again this soon after a renewal that failed.
const AGAIN: Duration = Duration::from_millis(500);
/// Giving back may take this long; the pod is about to end.
const GIVE_BACK: Duration = Duration::from_secs(2);

/// Why the election ended.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Somebody else holds the lease.
    #[error("lost the lease {lease} to {to}; ending, so that nothing of this process writes any more")]
    Taken {
        /// Name of the lease.
        lease: String,
        /// Who has it.
        to: String,
    },
    /// No renewal came through in time.
    #[error("could not renew the lease {lease} for {}s; ending, so that nothing of this process writes any more", .tried_for.as_secs())]
    NotRenewed {
        /// Name of the lease.
        lease: String,
        /// How long it was tried.
        tried_for: Duration,
    },
}

/// Begins an election with a client of its own, so that busy work elsewhere cannot delay a renewal. The future must be
/// polled until it ends: `Ok` once `stop` ended and the lease was given back, an error when it was lost. Let `stop` end
/// only after the last write.
pub fn elect<S>(
    client: Client,
    election: Election,
    stop: S,
) -> (LeaseHandle, impl Future<Output = Result<(), LeaseError>> + Send)
where
    S: Future<Output = ()> + Send,
{
    let namespace = election.namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
    let (state, handle) = watch::channel(State::Standby);
    let elector = Elector {
        api: Api::namespaced(client, &namespace),
        election,
        state,
        began: (Timestamp::now(), Instant::now()),
        transitions: 0,
    };
    (LeaseHandle(handle), elector.run(stop))
}

struct Elector {
    api: Api<Lease>,
    election: Election,
    state: watch::Sender<State>,
    /// For the times we write, which are for people only: they must rise though the wall clock may jump.
    began: (Timestamp, Instant),
    /// The highest count seen, which outlives a deleted lease.
    transitions: i32,
}

/// A record and since when it has not changed.
struct Watched {
    lease: Lease,
    since: Instant,
}

/// Our hold of the lease.
struct Tenure {
    lease: Lease,
    epoch: i32,
    asked_at: Instant,
    until: Instant,
}

impl Elector {
    async fn run<S: Future<Output = ()> + Send>(mut self, stop: S) -> Result<(), LeaseError> {
        let mut stop = std::pin::pin!(stop);
        let mut tenure = tokio::select! {
            tenure = self.win() => tenure,
            () = &mut stop => {
                self.state.send_replace(State::GivenBack);
                return Ok(());
            }
        };
        let lost = tokio::select! {
            error = self.keep(&mut tenure) => Some(error),
            () = &mut stop => None,
        };
        if let Some(error) = lost {
            self.state.send_replace(State::Lost);
            return Err(error);
        }
        self.state.send_replace(State::GivenBack);
        self.give_back(tenure).await;
        Ok(())
    }

    /// Watches until the lease is ours.
    async fn win(&mut self) -> Tenure {
        let mut watched: Option<Watched> = None;
        loop {
            let pause = match self.look(&mut watched).await {
                Ok(Claim::Wait(left)) => left.min(LOOK),
                Ok(Claim::Renew | Claim::Take) => match self.take(watched.as_ref()).await {
                    Ok(tenure) => return tenure,
                    Err(why) => {
                        info!(lease = self.election.name, %why, "did not get the lease");
                        LOOK
                    }
                },
                Err(why) => {
                    warn!(lease = self.election.name, %why, "cannot read the lease");
                    LOOK
                }
            };
            sleep(pause).await;
        }
    }

    /// Reads the lease once and judges it.
    async fn look(&mut self, watched: &mut Option<Watched>) -> Result<Claim, Unanswered> {
        let deadline = self.deadline();
        let found = answered(timeout(deadline, self.api.get_opt(&self.election.name)).await)?;
        let Some(lease) = found.or_else(|| self.orphaned(watched.as_ref())) else { return Ok(Claim::Take) };
        self.transitions = self.transitions.max(transitions(&lease));
        // Counted from the answer, not from the question: the later instant is the safer one.
        let since = match watched.take() {
            Some(before) if same_record(&before.lease, &lease) => before.since,
            _ => Instant::now(),
        };
        let judged = claim(
            Held::of(&lease),
            &self.election.identity,
            Instant::now().duration_since(since),
            self.election.duration,
        );
        *watched = Some(Watched { lease, since });
        Ok(judged)
    }

    /// A deleted lease still binds us as long as it would have: its holder goes on until its next renewal. What is
    /// returned is made anew when it is written.
    fn orphaned(&self, watched: Option<&Watched>) -> Option<Lease> {
        watched.map(|before| Lease { spec: before.lease.spec.clone(), ..self.empty() })
    }

    /// Writes our name; fails if anything changed since we looked.
    async fn take(&mut self, watched: Option<&Watched>) -> Result<Tenure, Unanswered> {
        let asked_at = Instant::now();
        let now = self.now();
        // Each tenure is an epoch of its own, also the next one of a process that restarted under the same name.
        let epoch = self.transitions.saturating_add(1);
        let mut next = watched.map_or_else(|| self.empty(), |watched| watched.lease.clone());
        next.spec = Some(LeaseSpec { acquire_time: Some(now.clone()), ..self.spec(epoch, now) });
        let lease = self.write(&next, asked_at + self.deadline()).await?;
        self.transitions = epoch;
        let tenure = Tenure { lease, epoch, asked_at, until: asked_at + self.trust() };
        self.announce(&tenure);
        info!(lease = self.election.name, identity = self.election.identity, epoch, "leading");
        Ok(tenure)
    }

    /// Renews until that fails for too long; returns why it ended.
    async fn keep(&mut self, tenure: &mut Tenure) -> LeaseError {
        let mut next_at = tenure.asked_at + self.election.duration / 3;
        loop {
            sleep_until(next_at.min(tenure.until)).await;
            let asked_at = Instant::now();
            if asked_at >= tenure.until {
                return LeaseError::NotRenewed { lease: self.election.name.clone(), tried_for: self.trust() };
            }
            next_at = match self.renew(tenure, asked_at).await {
                Ok(()) => asked_at + self.election.duration / 3,
                Err(Unrenewed::Taken(to)) => return LeaseError::Taken { lease: self.election.name.clone(), to },
                Err(Unrenewed::Changed) => asked_at,
                Err(Unrenewed::Unanswered(why)) => {
                    warn!(lease = self.election.name, %why, "cannot renew the lease");
                    Instant::now() + AGAIN
                }
            };
        }
    }

    async fn renew(&mut self, tenure: &mut Tenure, asked_at: Instant) -> Result<(), Unrenewed> {
        let deadline = (asked_at + self.deadline()).min(tenure.until);
        let now = self.now();
        let acquire_time = tenure.lease.spec.as_ref().and_then(|spec| spec.acquire_time.clone());
        let mut next = tenure.lease.clone();
        next.spec = Some(LeaseSpec { acquire_time, ..self.spec(tenure.epoch, now) });
        match self.write(&next, deadline).await {
            Ok(lease) => {
                tenure.lease = lease;
                tenure.asked_at = asked_at;
                tenure.until = asked_at + self.trust();
                self.announce(tenure);
                return Ok(());
            }
            Err(Unanswered::Stale) => {}
            Err(why) => return Err(Unrenewed::Unanswered(why)),
        }
        // Somebody wrote, perhaps we ourselves in a call whose answer was lost: look who has it.
        match answered(timeout_at(deadline, self.api.get_opt(&self.election.name)).await)? {
            None => tenure.lease = self.empty(),
            Some(lease) if self.is_ours(&lease, tenure.epoch) => tenure.lease = lease,
            Some(lease) => return Err(Unrenewed::Taken(Held::of(&lease).by.unwrap_or("nobody").to_owned())),
        }
        Err(Unrenewed::Changed)
    }

    /// Clears our name, so that the next replica need not wait. When that fails it waits, which is safe.
    async fn give_back(&self, tenure: Tenure) {
        let deadline = Instant::now() + GIVE_BACK;
        let mut lease = tenure.lease;
        // A renewal may have been under way when we were told to stop, and moved the record.
        for _ in 0..2 {
            let freed = LeaseSpec {
                holder_identity: None,
                lease_duration_seconds: Some(1),
                ..self.spec(tenure.epoch, self.now())
            };
            match self.write(&Lease { spec: Some(freed), ..lease.clone() }, deadline).await {
                Ok(_) => return info!(lease = self.election.name, "gave the lease back"),
                Err(Unanswered::Stale) => {}
                Err(why) => return warn!(lease = self.election.name, %why, "could not give the lease back"),
            }
            match answered(timeout_at(deadline, self.api.get_opt(&self.election.name)).await) {
                Ok(Some(read)) if self.is_ours(&read, tenure.epoch) => lease = read,
                _ => return,
            }
        }
    }

    /// Replaces the record that `lease` was made from, or creates it when there was none.
    async fn write(&self, lease: &Lease, deadline: Instant) -> Result<Lease, Unanswered> {
        let params = PostParams { field_manager: Some(labels::MANAGER.to_owned()), ..PostParams::default() };
        if lease.metadata.resource_version.is_none() {
            answered(timeout_at(deadline, self.api.create(&params, lease)).await)
        } else {
            match answered(timeout_at(deadline, self.api.replace(&self.election.name, &params, lease)).await) {
                // Deleted since; a create answers 404 only when the namespace is missing, which is no race.
                Err(Unanswered::Api(kube::Error::Api(status))) if status.is_not_found() => Err(Unanswered::Stale),
                written => written,
            }
        }
    }

    fn announce(&self, tenure: &Tenure) {
        self.state.send_replace(State::Leading { epoch: tenure.epoch.into(), until: Some(tenure.until) });
    }

    fn is_ours(&self, lease: &Lease, epoch: i32) -> bool {
        Held::of(lease).by == Some(self.election.identity.as_str()) && transitions(lease) == epoch
    }

    fn spec(&self, epoch: i32, now: MicroTime) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(self.election.identity.clone()),
            lease_duration_seconds: i32::try_from(self.election.duration.as_secs()).ok(),
            lease_transitions: Some(epoch),
            renew_time: Some(now.clone()),
            acquire_time: Some(now),
            ..LeaseSpec::default()
        }
    }

    fn empty(&self) -> Lease {
        let metadata = ObjectMeta { name: Some(self.election.name.clone()), ..ObjectMeta::default() };
        Lease { metadata, spec: None }
    }

    /// How long one call may take: short enough that one lost answer leaves time for a second try.
    fn deadline(&self) -> Duration {
        self.election.duration / 6
    }

    /// How long we trust a renewal: we stop well before anybody else may begin.
    fn trust(&self) -> Duration {
        self.election.duration * 2 / 3
    }

    fn now(&self) -> MicroTime {
        let (wall, monotonic) = self.began;
        MicroTime(wall.saturating_add(monotonic.elapsed()).unwrap_or(wall))
    }
}

/// Why a call brought no answer to go by.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error("somebody else wrote first")]
    Stale,
    #[error("no answer in time")]
    Late,
    #[error(transparent)]
    Api(kube::Error),
}

enum Unrenewed {
    Taken(String),
    Changed,
    Unanswered(Unanswered),
}

impl From<Unanswered> for Unrenewed {
    fn from(why: Unanswered) -> Self {
        Self::Unanswered(why)
    }
}

fn answered<T>(call: Result<kube::Result<T>, tokio::time::error::Elapsed>) -> Result<T, Unanswered> {
    match call {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) if status.is_conflict() => Err(Unanswered::Stale),
        Ok(Err(error)) => Err(Unanswered::Api(error)),
        Err(_) => Err(Unanswered::Late),
    }
}

#[cfg(test)]
mod tests;
