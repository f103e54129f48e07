//! Who may hold the lease, given what was seen of it and for how long it has not changed. Pure: no clock, no client,
//! and no look at the times that stand in the lease, since those were written by another machine's clock.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;

/// A recorded duration beyond this is not believed, so that a mistyped lease cannot keep everybody out.
pub const LONGEST: Duration = Duration::from_mins(1);

/// What was seen of the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held<'a> {
    /// Who holds it; nobody after it was given back.
    pub by: Option<&'a str>,
    /// For how long, as the holder wrote it.
    pub recorded: Option<Duration>,
}

impl<'a> Held<'a> {
    /// What a lease says of its holder.
    pub fn of(lease: &'a Lease) -> Self {
        let spec = lease.spec.as_ref();
        let seconds = spec.and_then(|spec| spec.lease_duration_seconds);
        Self {
            by: spec.and_then(|spec| spec.holder_identity.as_deref()),
            recorded: seconds.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs),
        }
    }
}

/// How often the lease has changed hands.
pub fn transitions(lease: &Lease) -> i32 {
    lease.spec.as_ref().and_then(|spec| spec.lease_transitions).unwrap_or(0)
}

/// Whether the holder did nothing between two looks. Labels that others put on the lease are no sign of its life.
pub fn same_record(before: &Lease, now: &Lease) -> bool {
    before.spec == now.spec
}

/// What we may do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It carries our name: go on.
    Renew,
    /// It is free.
    Take,
    /// It is somebody's, for this long at least.
    Wait(Duration),
}

/// Judges a lease that we have watched unchanged for `unchanged_for`; `mine` is the duration we were configured with.
pub fn claim(held: Held<'_>, me: &str, unchanged_for: Duration, mine: Duration) -> Claim {
    match held.by {
        None | Some("") => Claim::Take,
        Some(holder) if holder == me => Claim::Renew,
        Some(_) => {
            // Replicas of an older configuration may go by a longer duration than ours.
            let respected = held.recorded.unwrap_or(mine).min(LONGEST).max(mine);
            match respected.checked_sub(unchanged_for) {
                None | Some(Duration::ZERO) => Claim::Take,
                Some(left) => Claim::Wait(left),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Claim, Held, claim};

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_table() {
        for (by, recorded, unchanged, expected, why) in [
            (None, Some(s(10)), s(0), Claim::Take, "given back"),
            (Some(""), Some(s(1)), s(0), Claim::Take, "given back by a client that writes an empty name"),
            (Some("me"), Some(s(10)), s(0), Claim::Renew, "ours"),
            (Some("me"), Some(s(10)), s(99), Claim::Renew, "ours, though old"),
            (Some("you"), Some(s(10)), s(0), Claim::Wait(s(10)), "just seen, whatever its times say"),
            (Some("you"), Some(s(10)), s(9), Claim::Wait(s(1)), "nearly over"),
            (Some("you"), Some(s(10)), s(10), Claim::Take, "over"),
            (Some("you"), Some(s(10)), s(3600), Claim::Take, "long over"),
            (Some("you"), None, s(9), Claim::Wait(s(1)), "no duration recorded: ours counts"),
            (Some("you"), Some(s(30)), s(10), Claim::Wait(s(20)), "the holder goes by a longer one"),
            (Some("you"), Some(s(1)), s(9), Claim::Wait(s(1)), "never below ours"),
            (Some("you"), Some(s(0)), s(9), Claim::Wait(s(1)), "nor by a zero"),
            (Some("you"), Some(s(1_000_000)), s(59), Claim::Wait(s(1)), "nor believed beyond the longest"),
            (Some("Me"), Some(s(10)), s(0), Claim::Wait(s(10)), "names are compared exactly"),
        ] {
            assert_eq!(claim(Held { by, recorded }, "me", unchanged, s(10)), expected, "{why}");
        }
    }
}
