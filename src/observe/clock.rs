//! The time: the only place that reads a clock. Wall time is read once; from then on it moves with the monotonic clock,
//! so that a wall clock that jumps while the operator runs moves nothing. Never sleeps.

#![expect(clippy::disallowed_methods, reason = "the one place that reads a clock")]

use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;

use crate::api::Moment;

/// A clock that never jumps and never goes back. Started once; copies tell the same time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: Duration,
    started: Instant,
}

impl Clock {
    /// Reads the wall clock for the first and last time.
    pub fn start() -> Self {
        let wall = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0);
        Self { wall: Duration::from_millis(wall), started: Instant::now() }
    }

    /// The time.
    pub fn now(&self) -> Moment {
        let seconds = self.wall.saturating_add(self.running()).as_secs();
        Moment::from_unix(i64::try_from(seconds).unwrap_or(i64::MAX))
    }

    /// When it was started: nothing was watched before.
    pub fn began(&self) -> Moment {
        Moment::from_unix(i64::try_from(self.wall.as_secs()).unwrap_or(i64::MAX))
    }

    /// How long the clock has been running: for schedules finer than a second.
    pub fn running(&self) -> Duration {
        self.started.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Clock;
    use crate::api::Moment;

    #[test]
    fn moves_with_the_monotonic_clock_only() {
        let mut clock = Clock::start();
        let copy = clock;
        assert!(copy.now() >= clock.now());
        // Whatever the wall clock says now, the clock tells its start plus the time since.
        clock.wall = Duration::from_secs(1_000);
        assert!((1_000..1_100).contains(&clock.now().unix()));
        assert!(clock.running() < Duration::from_secs(100));
        assert!(copy.now() > Moment::from_unix(1_700_000_000));
    }
}
