//! Tells the rest of the process whether it leads. Never talks to the API server.

use tokio::{sync::watch, time::Instant};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Standby,
    /// Until the instant, which each renewal moves; for ever without an election.
    Leading {
        epoch: i64,
        until: Option<Instant>,
    },
    GivenBack,
    Lost,
}

/// Tells whether this process leads.
#[derive(Clone, Debug)]
pub struct LeaseHandle(pub(super) watch::Receiver<State>);

impl LeaseHandle {
    /// For a process that is alone.
    pub fn without_election() -> Self {
        // The last value stays readable after the sender is gone.
        Self(watch::channel(State::Leading { epoch: 0, until: None }).1)
    }

    /// Whether this process may write: it holds the lease, and a renewal came through lately.
    pub fn is_leader(&self) -> bool {
        match *self.0.borrow() {
            State::Leading { until, .. } => until.is_none_or(|until| Instant::now() < until),
            State::Standby | State::GivenBack | State::Lost => false,
        }
    }

    /// Counts up with each change of leader; 0 before we lead, and without an election.
    pub fn epoch(&self) -> i64 {
        match *self.0.borrow() {
            State::Leading { epoch, .. } => epoch,
            State::Standby | State::GivenBack | State::Lost => 0,
        }
    }

    /// Ends when this process begins to lead; never if it never does.
    pub async fn won(mut self) {
        if self.0.wait_for(|state| matches!(state, State::Leading { .. })).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Ends when the lease is lost, or the election with it; never after it was given back.
    pub async fn lost(mut self) {
        let ended = self.0.wait_for(|state| *state == State::Lost).await.is_ok();
        let at_rest = matches!(*self.0.borrow(), State::GivenBack | State::Leading { until: None, .. });
        if !ended && at_rest {
            std::future::pending::<()>().await;
        }
    }
}
