//! Requests of both colors as a statistical gate counts them: at even rates, weighed by the real arithmetic, a stratum for
//! each question. Knows nothing of series and scrapes.

use std::{collections::BTreeMap, sync::Arc};

use llmrollout::{
    api::Moment,
    metrics::{
        NoData, Question, Reading, Sample,
        raw::{Raw, What},
        reading::Weighed,
    },
    stats::{Count, Stratum, checkpoint::Checkpoint, gate::Gate, strata::Health},
};

/// What happens in a second, of both colors together, and how much of it is bad (or what one costs).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    pub(crate) rps: f64,
    pub(crate) candidate: f64,
    pub(crate) active: f64,
    /// What the candidate gets, if not what it should.
    pub(crate) share: Option<f64>,
    /// The first view of it sees nothing bad.
    pub(crate) blind: bool,
    /// What is wrong with its samples.
    pub(crate) health: Health,
}

/// What was counted so far.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    /// By gate; where there is nothing, nothing is counted.
    pub(crate) rates: BTreeMap<&'static str, Rates>,
    gates: BTreeMap<String, (Gate, Moment)>,
    /// When the samples showed less than was written down.
    corrected: BTreeMap<&'static str, Moment>,
}

impl Counted {
    /// The operator has been started anew: what is not in status is gone.
    pub(crate) fn forget(&mut self) {
        self.gates.clear();
    }

    /// The samples show nothing of what was written down.
    pub(crate) fn lose(&mut self, gate: &'static str, now: Moment) {
        self.gates.clear();
        self.corrected.insert(gate, now);
    }

    pub(crate) fn weigh(&mut self, question: &Question, raw: &Raw, gate: &str, now: Moment) -> Reading {
        let reading =
            |outcome, weighed| Reading { at: now, window: question.window, outcome, names: Vec::new(), weighed };
        let Some(rates) = self.rates.get(gate) else { return reading(Err(NoData::Empty), None) };
        let key = format!("{} {:?} {}", question.mark(), raw.demand, question.since);
        let newest = *raw.stages.last().expect("a share");
        let index = raw.stages.len() - 1;
        let corrected = self.corrected.get(gate).copied();
        let (state, counted) = self.gates.entry(key).or_insert_with(|| {
            let all =
                raw.resume.0.as_deref().map(|state| serde_json::from_str::<Vec<Option<Checkpoint>>>(state).unwrap());
            let kept = all.and_then(|all| all.into_iter().next()?).filter(|_| corrected.is_none());
            let restored = |c: &Checkpoint| c.restore(raw.config(), newest.share(), newest.next_share());
            let before = Count::new(1000.0, 1000.0 * rates.active);
            let gate = kept.as_ref().and_then(restored).unwrap_or_else(|| Gate::new(raw.config(), &[before; 10]));
            #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970")]
            let known = kept.map_or(newest.at, |kept| Moment::from_unix(kept.as_of as i64));
            (gate, corrected.unwrap_or(known))
        });
        state.begin_step(index, newest.share(), newest.next_share());
        let since = (*counted).max(newest.at.plus(raw.warm_up)).min(now);
        let seconds = now.since(since).as_secs_f64();
        let green = rates.share.unwrap_or(newest.share()) * rates.rps * seconds;
        let blue = (1.0 - rates.share.unwrap_or(newest.share())) * rates.rps * seconds;
        let (green, blue) = (Count::new(green, green * rates.candidate), Count::new(blue, blue * rates.active));
        let blue =
            if matches!(raw.demand.what, What::Bound(_)) && newest.weight == 100 { Count::default() } else { blue };
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970")]
        state.close(&Stratum { seconds, until: now.unix() as f64, green, blue });
        *counted = now;
        let evidence = state.evidence(rates.health);
        let kept = serde_json::to_string(&vec![Checkpoint::of(state); raw.views.len()]).unwrap();
        let sample = Sample { value: evidence.green.rate().unwrap_or_default(), samples: evidence.green.n };
        let mut views = vec![evidence; raw.views.len()];
        if let Some(first) = views.first_mut().filter(|_| rates.blind) {
            (first.fail, first.green.x, first.blue.x) = (-1.0, 0.0, 0.0);
        }
        reading(Ok(sample), Some(Arc::new(Weighed { views, state: kept, corrected })))
    }
}
