//! What the providers tell of a gate: a value that passes unless the scenario says otherwise, and on how many requests it
//! rests. Never judges: that is `decide`.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use crate::{
    api::{Moment, status::Color},
    decide::{
        checklist::{PlannedCheck, What},
        criterion::Test,
        plan::PlannedGate,
        proof::Proof,
        whose::Whose,
    },
    metrics::{
        Limit, NoData, Question, Reading, Sample, Subject,
        even::{Even, Rates},
        raw::Raw,
        reading::Weighed,
    },
    stats::strata::Health,
};

/// Requests a second of both colors, unless somebody says otherwise.
pub(super) const RPS: f64 = 20.0;
/// How far apart samples are found to be.
const SCRAPED: f64 = 15.0;

/// What somebody says of a gate's figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Told {
    /// This value, and on how many requests.
    Value(f64, Option<f64>),
    /// One that fails.
    Bad,
    /// Nothing.
    Silent,
}

/// The figures of a world.
#[derive(Default)]
pub(super) struct Figures {
    /// By gate; and whether it is about the color that serves.
    pub(super) told: BTreeMap<(String, bool), Told>,
    /// Requests a second, where somebody says so: then figures rest on just as many.
    pub(super) rps: Option<f64>,
    /// What was counted for evidence, by question.
    counted: BTreeMap<String, Even>,
}

/// Whom a question is about, and what it gets.
#[derive(Clone, Copy)]
pub(super) struct Of {
    /// The color that serves.
    pub(super) active: Color,
    /// The part of all requests that the candidate gets, copies and testers too.
    pub(super) share: f64,
    /// Now.
    pub(super) now: Moment,
}

impl Figures {
    /// Requests a second of both colors.
    fn rps(&self) -> f64 {
        self.rps.unwrap_or(RPS)
    }

    /// The answer to a question that so many wait for.
    pub(super) fn answer(&mut self, question: &Question, whose: &[Whose], of: Of) -> Reading {
        let window = of.now.since(question.since).min(question.window);
        let reading = |outcome, names| Reading { at: of.now, window, outcome, names, weighed: None };
        if !question.names.is_empty() {
            return reading(Ok(Sample { value: 1.0, samples: 1.0 }), exposed(&question.names));
        }
        let part = |color| if color == of.active { 1.0 - of.share } else { of.share };
        let requests = |color| self.rps() * part(color) * window.as_secs_f64();
        if let Some(Whose::Requests(color)) = whose.iter().find(|w| matches!(w, Whose::Requests(_))) {
            return reading(Ok(Sample { value: requests(*color).floor(), samples: 2.0 }), Vec::new());
        }
        let gates: Vec<_> = whose.iter().filter_map(gate_of).collect();
        let Some((gate, color, shown)) = self.speaker(&gates, of.active) else {
            return reading(Ok(Sample { value: SCRAPED, samples: 20.0 }), Vec::new());
        };
        let told = self.told.get(&(gate.name.clone(), color == of.active)).copied();
        if let Some(raw) = question.raw.clone() {
            return self.weigh(question, &raw, &gate, of.now);
        }
        let enough = f64::from(gate.min_samples) * 4.0;
        let counted = requests(color).floor();
        let rests_on = if self.rps.is_some() && gate.rests_on() == "requests" { counted } else { enough.max(counted) };
        let (value, samples) = match told {
            Some(Told::Silent) => return reading(Err(NoData::Empty), Vec::new()),
            Some(Told::Value(value, samples)) => (value, samples.unwrap_or(rests_on)),
            Some(Told::Bad) => (bad(&gate), rests_on),
            None if color == of.active => (beside(&gate), rests_on),
            None => (common(&gates, &gate), rests_on),
        };
        reading(Ok(Sample { value: judged(&gate, value, shown), samples }), Vec::new())
    }

    /// Of several gates that ask the same, the one of which somebody has said something.
    fn speaker(&self, gates: &[Gate<'_>], active: Color) -> Option<(Arc<PlannedGate>, Color, bool)> {
        let said = |(gate, color, _): &&Gate<'_>| self.told.contains_key(&(gate.name.clone(), *color == active));
        let (gate, color, shown) = gates.iter().find(said).or(gates.first())?;
        Some((Arc::clone(gate), *color, *shown))
    }

    /// Requests of both colors at even rates.
    fn weigh(&mut self, question: &Question, raw: &Raw, gate: &PlannedGate, now: Moment) -> Reading {
        let nothing =
            Reading { at: now, window: question.window, outcome: Err(NoData::Empty), names: Vec::new(), weighed: None };
        let rate = |active: bool| match self.told.get(&(gate.name.clone(), active)) {
            Some(Told::Silent) => None,
            Some(Told::Value(value, _)) => Some(*value),
            Some(Told::Bad) => Some(bad(gate)),
            None => Some(beside(gate)),
        };
        let (Some(candidate), Some(active)) = (rate(false), rate(true)) else { return nothing };
        let rates = Rates { rps: self.rps(), candidate, active, share: None, health: Health::default() };
        let key = format!("{} {:?} {}", question.mark(), raw.demand, question.since);
        let even = match self.counted.remove(&key).or_else(|| Even::of(raw, rates, None)) {
            Some(even) => self.counted.entry(key).or_insert(even),
            None => return nothing,
        };
        let Some(evidence) = even.weigh(raw, rates, now) else { return nothing };
        let sample = Sample { value: evidence.green.rate().unwrap_or_default(), samples: evidence.green.n };
        let views = vec![evidence; raw.views.len()];
        let weighed = Weighed { state: even.state(views.len()), views, corrected: None };
        Reading { outcome: Ok(sample), weighed: Some(Arc::new(weighed)), ..nothing }
    }

    /// What a Job of a gate tells.
    pub(super) fn of_job(&self, gate: &PlannedGate) -> Option<Value> {
        let Subject::Job(job) = &gate.subject else { return None };
        let value = match self.told.get(&(gate.name.clone(), false)) {
            Some(Told::Silent) => return Some(json!({})),
            Some(Told::Value(value, _)) => *value,
            Some(Told::Bad) => bad(gate),
            None => good(gate.test),
        };
        Some(json!({job.field.as_str(): value}))
    }
}

type Gate<'a> = (&'a Arc<PlannedGate>, Color, bool);

const fn gate_of(whose: &Whose) -> Option<Gate<'_>> {
    match whose {
        Whose::Gate { gate, color, shown } => Some((gate, *color, *shown)),
        Whose::Requests(_) | Whose::Series => None,
    }
}

/// What an exporter has: where one is still to be found, vLLM's.
fn exposed(names: &[String]) -> Vec<String> {
    let of_vllm = |name: &&String| ["vllm:", "http_"].iter().any(|begin| name.starts_with(begin));
    let own: Vec<String> = names.iter().filter(of_vllm).cloned().collect();
    if own.is_empty() { names.to_vec() } else { own }
}

/// What a check's Job has to say to pass.
pub(super) fn of_check(check: &PlannedCheck) -> Value {
    let numbers = check.expect.iter().map(|e| (e.field.clone(), json!(good(e.test))));
    let mut told: serde_json::Map<_, _> = numbers.collect();
    if matches!(check.what, What::Job { k6: true, .. }) {
        let kept = json!({"http_req_duration": {"thresholds": {"p(95)<500": {"ok": true}}}});
        told.insert("metrics".to_owned(), kept);
    }
    told.into()
}

/// Zero in the unit in which somebody writes a gate's figure.
pub(super) fn unit(gate: &PlannedGate) -> Limit {
    match gate.test {
        Test::Above(_, time) => time,
        Test::Proved(Proof { mean: false, .. }) => Limit::Share(0.0),
        _ => gate.unit,
    }
}

/// A figure as somebody may write it.
pub(super) fn example(gate: &PlannedGate) -> String {
    let passes = match gate.test {
        Test::Ratio(..) | Test::Change(..) | Test::Delta(_) | Test::Proved(_) => beside(gate),
        test => good(test),
    };
    unit(gate).with(passes).to_string()
}

/// What the color that serves shows.
fn beside(gate: &PlannedGate) -> f64 {
    match gate.test {
        Test::Proved(Proof { max: Some(max), .. }) => max / 4.0,
        Test::Ratio(..) | Test::Change(..) | Test::Delta(_) | Test::Proved(_) => match unit(gate) {
            Limit::Share(_) => 0.01,
            Limit::Seconds(_) => 1.0,
            Limit::Dollars(_) => 0.004,
            Limit::PerSecond(_) | Limit::Count(_) | Limit::Number(_) => 100.0,
        },
        test => good(test),
    }
}

/// A value that passes all of those that ask the same, if there is one.
fn common(gates: &[Gate<'_>], first: &PlannedGate) -> f64 {
    let passes = |gate: &PlannedGate, value: f64| {
        let band = gate.test.band(Some(beside(gate)));
        band.is_none_or(|band| !band.breaks(judged(gate, value, false)))
    };
    let own = |gate: &PlannedGate| within(gate.test, beside(gate));
    let all = gates.iter().map(|(gate, ..)| own(gate));
    all.into_iter().find(|value| gates.iter().all(|(gate, ..)| passes(gate, *value))).unwrap_or_else(|| own(first))
}

/// A value that passes, beside this one of the other color.
fn within(test: Test, beside: f64) -> f64 {
    match test {
        Test::Ratio(least, most) => beside * middle(least, most, 1.0),
        Test::Change(least, most) => beside * (1.0 + middle(least, most, 0.0)),
        Test::Delta(_) | Test::Proved(_) => beside,
        test => good(test),
    }
}

/// A number between two bounds: this one where it is.
fn middle(least: Option<f64>, most: Option<f64>, usual: f64) -> f64 {
    let fits = least.is_none_or(|least| usual > least) && most.is_none_or(|most| usual < most);
    match (least, most) {
        _ if fits => usual,
        (Some(least), Some(most)) => f64::midpoint(least, most),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => usual,
    }
}

/// A value that passes by itself.
fn good(test: Test) -> f64 {
    match test {
        Test::Max(limit) | Test::Above(_, limit) => limit.value() / 2.0,
        Test::Min(Limit::Share(share)) => f64::midpoint(share, 1.0),
        Test::Min(limit) => limit.value() * 1.5,
        Test::Between(least, most) => f64::midpoint(least.value(), most.value()),
        Test::Equals(limit) | Test::Target(limit, _) => limit.value(),
        Test::Ratio(..) | Test::Change(..) | Test::Delta(_) | Test::Proved(_) => 1.0,
    }
}

/// A value that fails.
fn bad(gate: &PlannedGate) -> f64 {
    let beside = beside(gate);
    let least = |share: f64| if matches!(unit(gate), Limit::Share(_)) { share.min(1.0) } else { share };
    least(match gate.test {
        Test::Max(limit) | Test::Above(_, limit) => (limit.value() * 3.0).max(1e-3),
        Test::Min(limit) => limit.value() / 2.0,
        Test::Between(_, most) => most.value() * 1.5,
        Test::Equals(limit) => limit.value() + 10.0,
        Test::Target(limit, part) => limit.value() * (1.0 + 3.0 * part),
        Test::Ratio(_, Some(most)) => beside * most * 2.0,
        Test::Ratio(Some(least), None) => beside * least / 2.0,
        Test::Change(_, Some(most)) => beside * (1.0 + most) * 2.0,
        Test::Change(Some(least), None) => beside * (1.0 + least) / 2.0,
        Test::Ratio(None, None) | Test::Change(None, None) => beside,
        Test::Delta(limit) => beside + limit.value() * 3.0,
        Test::Proved(proof) => (beside * (1.0 + proof.relative) + proof.absolute) * 3.0 + proof.max.unwrap_or(0.0),
    })
}

/// A time is judged by the share of what took longer, when nearly all requests take as long as the slowest do.
fn judged(gate: &PlannedGate, value: f64, shown: bool) -> f64 {
    match gate.test {
        Test::Above(_, time) if !shown && value > time.value() => 0.5,
        Test::Above(share, _) if !shown => share.value() / 10.0,
        _ => value,
    }
}
