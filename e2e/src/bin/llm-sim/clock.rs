//! The one place that reads the clock: a stub server and a load generator measure by trade.
//! Nothing here waits.

use tokio::time::Instant;

/// The time that only runs forward.
pub(crate) fn now() -> Instant {
    Instant::now()
}
