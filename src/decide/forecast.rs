//! How long each step is expected to take before it has begun, at a given traffic and if the candidate is as good as the
//! color that serves: when each gate can be decided, on how many requests, and from which share on in time. The same
//! arithmetic as while it is measured. Never looks at status, and nothing is decided on it.

use std::time::Duration;

pub use super::stage::speaks;
use super::{
    course::PlannedStep,
    plan::{Plan, PlannedGate},
    proof::Proof,
};
use crate::api::Percent;
use crate::stats::{
    Tolerance,
    budget::{Outlook, alpha_of_step, requests_of_mean},
};

/// What the service gets.
pub trait Traffic {
    /// Requests a second, of both colors together.
    fn rps(&self) -> f64;
    /// The share of the serving color that is bad by this gate, if it is known.
    fn rate(&self, gate: &PlannedGate) -> Option<f64>;
}

/// A step that has not begun.
#[derive(Clone, Debug, PartialEq)]
pub struct Foreseen<'a> {
    /// Its number, from 1.
    pub number: i32,
    /// As the manifest means it.
    pub step: &'a PlannedStep,
    /// What it waits for on requests: `minRequests`, and what its gates ask for.
    pub waits: Vec<Wait<'a>>,
    /// How long it takes; none when it is never decided.
    pub takes: Option<Duration>,
}

/// Requests that a step waits for.
#[derive(Clone, Debug, PartialEq)]
pub struct Wait<'a> {
    /// The gate that asks for them; none: the step itself.
    pub gate: Option<&'a PlannedGate>,
    /// Requests of the candidate that it takes; none when no number of them suffices.
    pub requests: Option<f64>,
    /// The window in which they must come, if they are not added up over the step.
    pub window: Option<Duration>,
    /// How long that takes from the beginning of the hold; none when it never happens.
    pub after: Option<Duration>,
    /// Whether that is before the step's `maxHold`.
    pub in_time: bool,
    /// The smallest share in whole percent, below 100, at which it would be in time, when it is not.
    pub least: Option<Percent>,
}

/// The steps with traffic.
pub fn foresee<'a>(plan: &'a Plan, traffic: &impl Traffic) -> Vec<Foreseen<'a>> {
    let steps = (1..).zip(&plan.steps).filter(|(_, step)| step.weight > 0);
    steps.map(|(number, step)| foresee_step(plan, traffic, number, step)).collect()
}

fn foresee_step<'a>(plan: &'a Plan, traffic: &impl Traffic, number: i32, step: &'a PlannedStep) -> Foreseen<'a> {
    let rps = traffic.rps();
    let least = step.min_requests.map(|n| {
        let needs = |_: Percent| Some((Some(count(n)), None));
        wait(step, rps, Duration::ZERO, needs)
    });
    let gates = plan.gates.iter().filter(|gate| speaks(gate, step)).map(|gate| {
        let asked = Asked { plan, step, gate };
        Some(Wait { gate: Some(gate), ..wait(step, rps, plan.warm_up, |weight| asked.needs(weight, traffic))? })
    });
    let waits: Vec<Wait<'a>> = least.into_iter().chain(gates).flatten().collect();
    let early = step.max_requests.and_then(|n| time(count(n), rps * step.weight.part()));
    let served = early.map_or(step.hold, |early| step.hold.min(early));
    let takes = waits.iter().try_fold(served, |longest, wait| Some(longest.max(wait.after?)));
    Foreseen { number, step, waits, takes: takes.map(|takes| step.settle + takes) }
}

/// A gate in a step.
#[derive(Clone, Copy)]
struct Asked<'a> {
    plan: &'a Plan,
    step: &'a PlannedStep,
    gate: &'a PlannedGate,
}

/// Requests that are needed at a share, none when no number suffices; and the window in which they must come.
type Needs = (Option<f64>, Option<Duration>);

/// When requests will have come; those in the first seconds are not added up.
fn wait<'a>(
    step: &PlannedStep,
    rps: f64,
    warm_up: Duration,
    needs: impl Fn(Percent) -> Option<Needs>,
) -> Option<Wait<'a>> {
    let (requests, window) = needs(step.weight)?;
    let warm_up = if window.is_none() { warm_up } else { Duration::ZERO };
    let after = |weight: Percent| {
        let (requests, window) = needs(weight)?;
        let time = time(requests?, rps * weight.part())?;
        window.is_none_or(|window| time <= window).then_some(warm_up + time)
    };
    let fits = |after: Duration| step.max_hold.is_none_or(|most| after <= most);
    let known = after(step.weight);
    let in_time = known.is_some_and(fits);
    let mut larger = (1..100).map(Percent::of).filter(|weight| *weight > step.weight);
    let least = if in_time { None } else { larger.find(|weight| after(*weight).is_some_and(fits)) };

    Some(Wait { gate: None, requests, window, after: known, in_time, least })
}

impl Asked<'_> {
    /// None of what needs no requests.
    fn needs(&self, weight: Percent, traffic: &impl Traffic) -> Option<Needs> {
        let Self { plan, step, gate } = *self;
        let beside = gate.test.proof().filter(|proof| !(proof.mean && weight == 100));
        let Some(proof) = beside else {
            let counts = gate.rests_on() == "requests";
            return counts.then(|| (Some(f64::from(gate.min_samples)), Some(gate.window)));
        };
        let partial: Vec<Percent> = plan.steps.iter().map(|s| s.weight).filter(|w| *w > 0 && *w < 100).collect();
        let index = partial.iter().position(|w| *w == step.weight).unwrap_or_default();
        let steps = if weight == 100 { 1 } else { partial.len() };
        let alpha = alpha_of_step(proof.alpha, index, steps);
        let next = plan.steps.iter().map(|s| s.weight).find(|w| *w > step.weight).unwrap_or(Percent::ALL).max(weight);
        let requests = if proof.mean {
            requests_of_mean(proof.relative, next.part(), alpha)
        } else {
            let blue = traffic.rate(gate)?;
            outlook(proof, blue, [weight, next], alpha).requests()
        };
        Some((requests.map(f64::ceil), None))
    }
}

/// Without a color beside it a share is held against what was kept of that color.
fn outlook(proof: Proof, blue: f64, [weight, next]: [Percent; 2], alpha: f64) -> Outlook {
    let limit = proof.max.or((weight == 100).then_some(blue));
    let tolerance = Tolerance { relative: proof.relative, absolute: proof.absolute };
    Outlook { blue, limit, tolerance, share: weight.part(), next: next.part(), alpha }
}

/// How long so many requests take; none when that is for ever.
fn time(requests: f64, rps: f64) -> Option<Duration> {
    Duration::try_from_secs_f64((requests / rps).ceil()).ok()
}

#[expect(clippy::cast_precision_loss, reason = "a count of requests is far below 2^53")]
fn count(requests: i64) -> f64 {
    requests as f64
}
