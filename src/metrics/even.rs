//! Requests of both colors at even rates, weighed by the real arithmetic: what a provider's raw counters would have told of
//! them. For whoever plays a provider. Knows nothing of series and scrapes.

use super::raw::{Raw, What};
use crate::{
    api::Moment,
    stats::{
        Count, Stratum,
        checkpoint::Checkpoint,
        gate::{Evidence, Gate},
        strata::Health,
    },
};

/// What happens in a second, of both colors together, and how much of it is bad (or what one costs).
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Requests a second.
    pub rps: f64,
    /// How much of the candidate's is bad.
    pub candidate: f64,
    /// How much of the other color's.
    pub active: f64,
    /// What the candidate gets, if not what it should.
    pub share: Option<f64>,
    /// What is wrong with its samples.
    pub health: Health,
}

/// What was counted for one question so far.
#[derive(Clone, Debug)]
pub struct Even {
    gate: Gate,
    until: Moment,
}

impl Even {
    /// Goes on with what was written down, unless the samples have been found to show less since then; none without a share.
    pub fn of(raw: &Raw, rates: Rates, corrected: Option<Moment>) -> Option<Self> {
        let newest = *raw.stages.last()?;
        let all = raw.resume.0.as_deref().and_then(|state| serde_json::from_str::<Vec<Option<Checkpoint>>>(state).ok());
        let kept = all.and_then(|all| all.into_iter().next()?).filter(|_| corrected.is_none());
        let restored = |c: &Checkpoint| c.restore(raw.config(), newest.share(), newest.next_share());
        let before = Count::new(1000.0, 1000.0 * rates.active);
        let gate = kept.as_ref().and_then(restored).unwrap_or_else(|| Gate::new(raw.config(), &[before; 10]));
        #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970")]
        let known = kept.map_or(newest.at, |kept| Moment::from_unix(kept.as_of as i64));
        Some(Self { gate, until: corrected.unwrap_or(known) })
    }

    /// The evidence by now; none without a share.
    pub fn weigh(&mut self, raw: &Raw, rates: Rates, now: Moment) -> Option<Evidence> {
        let newest = *raw.stages.last()?;
        self.gate.begin_step(raw.stages.len() - 1, newest.share(), newest.next_share());
        let since = self.until.max(newest.at.plus(raw.warm_up)).min(now);
        let seconds = now.since(since).as_secs_f64();
        let share = rates.share.unwrap_or(newest.share());
        let (green, blue) = (share * rates.rps * seconds, (1.0 - share) * rates.rps * seconds);
        let (green, blue) = (Count::new(green, green * rates.candidate), Count::new(blue, blue * rates.active));
        let alone = matches!(raw.demand.what, What::Bound(_)) && newest.weight == 100;
        let blue = if alone { Count::default() } else { blue };
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970")]
        self.gate.close(&Stratum { seconds, until: now.unix() as f64, green, blue });
        self.until = now;
        Some(self.gate.evidence(rates.health))
    }

    /// The same for the next process.
    pub fn state(&self, views: usize) -> String {
        // A list of numbers is always written.
        serde_json::to_string(&vec![Checkpoint::of(&self.gate); views]).unwrap_or_default()
    }
}
