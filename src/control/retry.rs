//! Error class and attempts → when to try again: the whole requeue policy as one table. Attempts are counted in memory
//! and forgotten on success.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::act::Class;

/// A pass on the way home is repeated at least this often, whatever stands in its way.
const WAY_BACK: Duration = Duration::from_secs(5);
const PERSON: Duration = Duration::from_mins(5);

/// When to try again after `attempts` failures in a row (1 for the first).
pub fn wait(class: Class, attempts: u32, way_back: bool) -> Duration {
    let doubling =
        |first: Duration, most: Duration| first.saturating_mul(1 << (attempts.saturating_sub(1)).min(10)).min(most);
    let wait = match (class, attempts) {
        (Class::Stale, ..=1) => Duration::from_millis(20),
        (Class::Stale, _) => doubling(Duration::from_millis(50), Duration::from_secs(5)),
        (Class::Transient, _) => doubling(Duration::from_secs(1), Duration::from_mins(2)),
        (Class::Denied | Class::Refused, _) => PERSON,
        (Class::Fatal, _) => Duration::from_secs(1),
        (Class::Bug, _) => Duration::from_hours(1),
    };
    if way_back { wait.min(WAY_BACK) } else { wait }
}

/// Failures in a row of each rollout.
#[derive(Debug, Default)]
pub struct Attempts(Mutex<BTreeMap<String, u32>>);

impl Attempts {
    /// One more failure; the count so far.
    pub fn failed(&self, rollout: &str) -> u32 {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(rollout.to_owned()).or_default();
        *count = count.saturating_add(1);
        *count
    }

    /// It worked, or it is gone.
    pub fn forget(&self, rollout: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(rollout);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Class, wait};

    #[test]
    fn the_way_back_never_waits_longer_than_five_seconds() {
        for class in [Class::Stale, Class::Transient, Class::Denied, Class::Refused, Class::Fatal, Class::Bug] {
            for attempts in [1, 2, 10, u32::MAX] {
                assert!(wait(class, attempts, true) <= Duration::from_secs(5), "{class:?} {attempts}");
            }
        }
    }

    #[test]
    fn back_off_grows_and_is_bounded() {
        assert_eq!(wait(Class::Transient, 1, false), Duration::from_secs(1));
        assert_eq!(wait(Class::Transient, 4, false), Duration::from_secs(8));
        assert_eq!(wait(Class::Transient, 99, false), Duration::from_mins(2));
        assert!(wait(Class::Stale, 1, false) < wait(Class::Stale, 2, false));
    }
}
