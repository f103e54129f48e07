//! Requests of both colors as a statistical gate counts them, at the even rates that a scenario tells, and what may be wrong
//! with them. The arithmetic is the product's.

use std::{collections::BTreeMap, sync::Arc};

use llmrollout::{
    api::Moment,
    metrics::{
        NoData, Question, Reading, Sample,
        even::{Even, Rates},
        raw::Raw,
        reading::Weighed,
    },
};

/// What a statistical gate counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) rates: Rates,
    /// The first view of it sees nothing bad.
    pub(crate) blind: bool,
}

/// What was counted so far.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    /// By gate; where there is nothing, nothing is counted.
    pub(crate) rates: BTreeMap<&'static str, Rate>,
    gates: BTreeMap<String, Even>,
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
        let Some(counted) = self.rates.get(gate) else { return reading(Err(NoData::Empty), None) };
        let key = format!("{} {:?} {}", question.mark(), raw.demand, question.since);
        let corrected = self.corrected.get(gate).copied();
        let begun = || Even::of(raw, counted.rates, corrected).expect("a share");
        let state = self.gates.entry(key).or_insert_with(begun);
        let evidence = state.weigh(raw, counted.rates, now).expect("a share");
        let sample = Sample { value: evidence.green.rate().unwrap_or_default(), samples: evidence.green.n };
        let mut views = vec![evidence; raw.views.len()];
        if let Some(first) = views.first_mut().filter(|_| counted.blind) {
            (first.fail, first.green.x, first.blue.x) = (-1.0, 0.0, 0.0);
        }
        reading(Ok(sample), Some(Arc::new(Weighed { views, state: state.state(raw.views.len()), corrected })))
    }
}
