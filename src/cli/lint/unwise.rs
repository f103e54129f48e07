//! What is legal and unwise: it would be taken, and not do what its author expects. One function a rule, over the plan as
//! the operator understands it. Never anything that is refused; that is `refused`.

use std::time::Duration;

use serde_json::Value;

use super::finding::{
    Rule,
    Severity::{Note, Warning},
};
use crate::{
    api::{
        LlmRollout,
        gates::{Gate, Metric, Severity},
    },
    cli::{plan::troubles, table::age, traffic::Known},
    decide::{
        course::PlannedStep,
        forecast::{Traffic, foresee, speaks},
        plan::{Plan, PlannedGate, duration},
    },
    metrics::Subject,
    routers::Claim,
};

/// So often is scraped where nobody says.
const SCRAPED: Duration = Duration::from_secs(15);
/// A rate over fewer scrapes than this is mostly noise.
const SCRAPES: u32 = 4;
/// A first share above this risks more than a canary is meant to.
const FIRST_SHARE: i32 = 25;
/// Fewer new requests between two looks tell the same thing twice.
const NEW_REQUESTS: f64 = 3.0;

/// An interval may not be longer.
const LONGEST: Duration = Duration::from_hours(1);

/// What is looked at.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    /// The rollout as it is written.
    pub rollout: &'a LlmRollout,
    /// As it is meant.
    pub plan: &'a Plan,
    /// What the service gets, if that was typed.
    pub traffic: Option<&'a Known>,
}

/// A path and what to write there instead.
type Found = Vec<(String, String)>;
/// How a rule is looked for.
pub type Search = fn(&Look<'_>) -> Found;

const fn rule(id: &'static str, severity: super::finding::Severity, about: &'static str) -> Rule {
    Rule { id, severity, about }
}

/// Every rule with its search.
pub const RULES: &[(Rule, Search)] = &[
    (rule("hold-too-short", Warning, "A hold ends before a gate has looked often enough to fail."), hold_too_short),
    (rule("never-decided", Warning, "At the given traffic a step is not decided in time."), never_decided),
    (rule("few-requests-per-look", Warning, "Two looks of a gate see nearly the same requests."), few_requests),
    (rule("limit-between-buckets", Warning, "A quantile near the limit is interpolated."), between_buckets),
    (rule("window-too-short", Warning, "A window holds fewer than four scrapes."), window_too_short),
    (rule("literal-range", Warning, "A query looks back over a step's beginning."), literal_range),
    (rule("gate-never-asked", Warning, "A gate is asked in no step and in no bake."), never_asked),
    (rule("dark-step-without-gate", Warning, "At a dark step no gate speaks."), dark_step),
    (rule("statistical-only-at-full", Warning, "A statistical gate has no color beside it."), only_at_full),
    (rule("may-hold-for-ever", Note, "Undecided evidence holds a step without an end."), for_ever),
    (rule("first-step-large", Warning, "The first share is large."), first_step_large),
    (rule("no-bake", Note, "The old color goes as soon as the last step is served."), no_bake),
    (rule("abort-gate-slow", Warning, "A gate that aborts looks seldom."), abort_slow),
    (rule("nothing-takes-back", Warning, "No gate takes traffic back by itself."), nothing_takes_back),
    (rule("no-error-gate", Note, "No gate looks at errors."), no_error_gate),
    (rule("floating-image", Warning, "A new image behind the same tag is no release."), floating_image),
    (rule("no-readiness-probe", Warning, "A pod counts as ready before its model is loaded."), no_probe),
    (rule("left-aborted", Warning, "The manifest aborts every release."), left_aborted),
    (rule("left-paused", Note, "The manifest stands still."), left_paused),
];

/// All that is unwise.
pub fn find(look: &Look<'_>) -> Vec<(Rule, String, String)> {
    let of = |(rule, search): &(Rule, Search)| {
        let found = search(look).into_iter();
        found.map(|(path, words)| (*rule, path, words)).collect::<Vec<_>>()
    };
    RULES.iter().flat_map(of).collect()
}

impl Look<'_> {
    fn steps(&self) -> impl Iterator<Item = (usize, &PlannedStep)> {
        self.plan.steps.iter().enumerate()
    }

    fn gates(&self) -> impl Iterator<Item = &PlannedGate> {
        self.plan.gates.iter().map(AsRef::as_ref)
    }

    /// Where a gate is written; one of a set stands where the set is taken over.
    fn at(&self, gate: &PlannedGate, field: &str) -> String {
        let own = |written: &Gate| written.name == gate.name;
        let gates = &self.rollout.spec.gates;
        match gates.iter().position(own) {
            Some(n) => format!("spec.gates[{n}].{field}"),
            None => "spec.gates".to_owned(),
        }
    }

    fn step(n: usize, field: &str) -> String {
        format!("spec.steps[{n}].{field}")
    }
}

fn hold_too_short(look: &Look<'_>) -> Found {
    let short = |(n, step): (usize, &PlannedStep)| {
        let looks = |gate: &&PlannedGate| speaks(gate, step) && gate.test.proof().is_none();
        let slowest = look.gates().filter(looks).filter(|gate| !gate.subject.is_told_once());
        let slowest = slowest.map(|gate| (gate.interval * u32::try_from(gate.bad).unwrap_or(u32::MAX), gate));
        let (needs, gate) = slowest.max_by_key(|(needs, _)| *needs).filter(|(needs, _)| *needs > step.hold)?;
        let words = format!(
            "the hold of {} ends before {} can have failed ({} bad samples, one every {}); write at least `hold: {}`, or a shorter `interval`",
            age(step.hold),
            gate.name,
            gate.bad,
            age(gate.interval),
            written(needs)
        );
        Some((Look::step(n, "hold"), words))
    };
    look.steps().filter_map(short).collect()
}

fn never_decided(look: &Look<'_>) -> Found {
    let Some(traffic) = look.traffic else { return Found::new() };
    // A gate whose share is not known is not foreseen.
    let known = |gate: &PlannedGate| gate.test.proof().is_none_or(|p| p.mean) || traffic.rate(gate).is_some();
    let steps = foresee(look.plan, traffic).into_iter().map(|mut seen| {
        seen.waits.retain(|wait| wait.gate.is_none_or(known));
        seen
    });
    let told = steps.map(|seen| (usize::try_from(seen.number - 1).unwrap_or(0), troubles(&seen)));
    told.flat_map(|(n, words)| words.into_iter().map(move |words| (format!("spec.steps[{n}]"), words))).collect()
}

fn few_requests(look: &Look<'_>) -> Found {
    let Some(traffic) = look.traffic else { return Found::new() };
    let few = |gate: &PlannedGate| {
        let counts = gate.rests_on() == "requests" && gate.test.proof().is_none() && gate.of > 1;
        let (n, step) = look.steps().find(|(_, step)| step.weight > 0 && speaks(gate, step)).filter(|_| counts)?;
        let rps = traffic.rps() * step.weight.part();
        let new = rps * gate.interval.as_secs_f64();
        let enough = Duration::try_from_secs_f64((NEW_REQUESTS / rps).ceil()).ok().filter(|_| new < NEW_REQUESTS)?;
        let longer = if enough > LONGEST { String::new() } else { format!("`interval: {}`, or ", written(enough)) };
        let words = format!(
            "{} sees about {:.1} new requests from one look to the next at {}% (step {}), so that one bad request fails several of its last {} samples; write {longer}a larger weight",
            gate.name,
            new,
            step.weight,
            n + 1,
            gate.of
        );
        Some((look.at(gate, "interval"), words))
    };
    look.gates().filter_map(few).collect()
}

fn between_buckets(look: &Look<'_>) -> Found {
    let note = |gate: &PlannedGate| {
        let note = gate.note.as_ref().filter(|note| note.starts_with("interpolated"))?;
        Some((look.at(gate, "max"), format!("the limit of {} is {note}", gate.name)))
    };
    look.gates().filter_map(note).collect()
}

fn window_too_short(look: &Look<'_>) -> Found {
    let given = look.rollout.spec.metrics.scrape_interval.as_deref().and_then(duration);
    let scraped = given.unwrap_or(SCRAPED);
    let short = |gate: &PlannedGate| {
        let rates = matches!(gate.subject, Subject::Metric(..) | Subject::Above(..) | Subject::Query(_));
        let least = scraped * SCRAPES;
        if !rates || gate.test.proof().is_some() || gate.window >= least {
            return None;
        }
        let if_so = if given.is_some() { "" } else { ", if nobody scrapes more often" };
        let words = format!(
            "the window of {} holds {} and is scraped every {}{if_so}: a rate over fewer than {SCRAPES} scrapes is noise; write `window: {}`",
            gate.name,
            age(gate.window),
            age(scraped),
            written(least)
        );
        Some((look.at(gate, "window"), words))
    };
    look.gates().filter_map(short).collect()
}

fn literal_range(look: &Look<'_>) -> Found {
    let gates = look.rollout.spec.gates.iter().enumerate();
    let literal = |(n, gate): (usize, &Gate)| {
        let range = range(gate.query.as_deref()?)?;
        let words = format!(
            "the query of {} always looks back {range}, also to before the step began, and so judges what another share did; write `{{{{window}}}}` instead of {range}",
            gate.name
        );
        Some((format!("spec.gates[{n}].query"), words))
    };
    gates.filter_map(literal).collect()
}

/// The first range of a query that is written out; text between quotes is none.
fn range(query: &str) -> Option<&str> {
    let mut quote = None;
    let start = query.char_indices().find_map(|(n, c)| match quote {
        Some(end) => {
            if c == end {
                quote = None;
            }
            None
        }
        None if ['"', '\'', '`'].contains(&c) => {
            quote = Some(c);
            None
        }
        None => (c == '[').then_some(n + 1),
    })?;
    let inside = query.get(start..)?.split([']', ':']).next()?.trim();
    inside.starts_with(|c: char| c.is_ascii_digit()).then_some(inside)
}

fn never_asked(look: &Look<'_>) -> Found {
    let in_bake = |gate: &PlannedGate| {
        let names = |names: &Option<Vec<String>>| names.as_ref().map_or(gate.in_bakes, |all| all.contains(&gate.name));
        look.plan.bakes.iter().any(|bake| names(&bake.gates))
    };
    let never = |gate: &&PlannedGate| !look.steps().any(|(_, step)| speaks(gate, step)) && !in_bake(gate);
    let told = |gate: &PlannedGate| {
        let words = format!(
            "{} is asked in no step and in no bake, so nothing depends on it; name it in a step's `gates`, add a `bake`, or leave it out",
            gate.name
        );
        (look.at(gate, "name"), words)
    };
    look.gates().filter(never).map(told).collect()
}

fn dark_step(look: &Look<'_>) -> Found {
    let silent = |step: &PlannedStep| step.weight == 0 && !look.gates().any(|gate| speaks(gate, step));
    let dark = look.steps().filter(|(_, step)| silent(step) && !look.plan.manual);
    let words = "no gate speaks at a share of 0, so that this step only waits; demand silence with `{name: dark, metric: requests, equals: \"0\"}`, or look at an endpoint or at alerts";
    dark.map(|(n, _)| (Look::step(n, "weight"), words.to_owned())).collect()
}

fn only_at_full(look: &Look<'_>) -> Found {
    let weighed = look.gates().filter(|gate| gate.test.proof().is_some());
    let alone = |gate: &&PlannedGate| {
        let mut asked = look.steps().filter(|(_, step)| speaks(gate, step)).map(|(_, step)| step.weight).peekable();
        asked.peek().is_some() && asked.all(|weight| weight == 100)
    };
    let told = |gate: &PlannedGate| {
        let words = format!(
            "{} is asked only at 100%, where the other color has no traffic to compare with; add a step below, for example `{{weight: 20, hold: 30m}}`, or write a limit: `max`",
            gate.name
        );
        (look.at(gate, "statistical"), words)
    };
    weighed.filter(alone).map(told).collect()
}

fn for_ever(look: &Look<'_>) -> Found {
    let weighed = |step: &PlannedStep| look.gates().find(|gate| gate.test.proof().is_some() && speaks(gate, step));
    let open = |(n, step): (usize, &PlannedStep)| {
        let gate = weighed(step).filter(|_| step.max_hold.is_none())?;
        let words = format!(
            "step {} holds until {} is proved one way or the other, however long that takes; write `maxHold` and `onUndecided`, for example `maxHold: 4h, onUndecided: Rollback`",
            n + 1,
            gate.name
        );
        Some((Look::step(n, "hold"), words))
    };
    // Once is enough.
    look.steps().find_map(open).into_iter().collect()
}

fn first_step_large(look: &Look<'_>) -> Found {
    let splits = look.rollout.spec.traffic.iter().filter_map(Claim::of).any(Claim::splits);
    let first = look.steps().find(|(_, step)| step.weight > 0).filter(|(_, step)| splits && step.weight > FIRST_SHARE);
    let told = |(n, step): (usize, &PlannedStep)| {
        let words = format!(
            "the first share is {}%: so many users meet a bad release before any gate has spoken; begin smaller, for example `{{weight: 5, hold: 30m}}`",
            step.weight
        );
        (Look::step(n, "weight"), words)
    };
    first.map(told).into_iter().collect()
}

fn no_bake(look: &Look<'_>) -> Found {
    if !look.plan.bakes.is_empty() {
        return Found::new();
    }
    let words = "there is no bake, so that the old color goes as soon as the last step is served and the way back takes a start of pods; write for example `bake: [{name: day, for: 24h}]`";
    vec![("spec.bake".to_owned(), words.to_owned())]
}

fn abort_slow(look: &Look<'_>) -> Found {
    let slow = |gate: &&PlannedGate| gate.severity == Severity::Abort && gate.interval > SCRAPED;
    let told = |gate: &PlannedGate| {
        let words = format!(
            "{} is there to stop a catastrophe and looks only every {}; leave `interval` out (5s)",
            gate.name,
            age(gate.interval)
        );
        (look.at(gate, "interval"), words)
    };
    look.gates().filter(slow).map(told).collect()
}

fn nothing_takes_back(look: &Look<'_>) -> Found {
    let takes_back = |gate: &PlannedGate| matches!(gate.severity, Severity::Abort | Severity::Rollback);
    if look.plan.manual || look.gates().next().is_none() || look.gates().any(takes_back) {
        return Found::new();
    }
    let words = "every gate only warns or asks, so that a bad release stays until a person comes; give one `severity: Rollback`, or say `manual: true`";
    vec![("spec.gates".to_owned(), words.to_owned())]
}

fn no_error_gate(look: &Look<'_>) -> Found {
    let of_errors = |gate: &PlannedGate| match &gate.subject {
        Subject::Metric(metric, _) => matches!(metric, Metric::ErrorRate | Metric::AbortRate),
        Subject::Above(..) => false,
        Subject::Query(_) | Subject::Alerts(_) | Subject::Number(_) | Subject::Job(_) => true,
    };
    if look.plan.manual || look.gates().any(of_errors) {
        return Found::new();
    }
    let words = "no gate looks at errors, and answers that fail are often fast and cheap; add `{name: errors, metric: errorRate, max: 1%}`";
    vec![("spec.gates".to_owned(), words.to_owned())]
}

/// The containers of the pod template, each with its path.
fn containers<'a>(look: &Look<'a>) -> impl Iterator<Item = (String, &'a Value)> {
    let spec = look.rollout.spec.release.made().and_then(|made| made.pod_template.0.get("spec"));
    let containers = spec.and_then(|s| s["containers"].as_array());
    let at = |n: usize| format!("spec.release.template.podTemplate.spec.containers[{n}]");
    containers.into_iter().flatten().enumerate().map(move |(n, container)| (at(n), container))
}

fn floating_image(look: &Look<'_>) -> Found {
    let floats = |(path, container): (String, &Value)| {
        let image = container["image"].as_str()?;
        let name = image.rsplit('/').next().unwrap_or(image);
        let fixed = image.contains('@') || name.split_once(':').is_some_and(|(_, tag)| tag != "latest");
        let words = format!(
            "the image {image} has no tag of its own: a new image under the same name changes no pod template, so that it is no release and gets past every gate; write a tag of the version, or a digest"
        );
        (!fixed).then(|| (format!("{path}.image"), words))
    };
    containers(look).filter_map(floats).collect()
}

fn no_probe(look: &Look<'_>) -> Found {
    let mut all = containers(look).peekable();
    let Some((path, _)) = all.peek().cloned() else { return Found::new() };
    if all.any(|(_, container)| !container["readinessProbe"].is_null()) {
        return Found::new();
    }
    let words = "no container has a `readinessProbe`, so that a pod is sent traffic while its model is still being loaded; write for example `readinessProbe: {httpGet: {path: /health, port: 8000}}`";
    vec![(path, words.to_owned())]
}

fn left_aborted(look: &Look<'_>) -> Found {
    let words = "`abort: true` takes back every release from now on; take it out when the reason is gone";
    look.rollout.spec.abort.then(|| ("spec.abort".to_owned(), words.to_owned())).into_iter().collect()
}

fn left_paused(look: &Look<'_>) -> Found {
    let words = "`paused: true` stops everything but an abort; take it out to go on";
    look.rollout.spec.paused.then(|| ("spec.paused".to_owned(), words.to_owned())).into_iter().collect()
}

/// A duration as a manifest writes it.
fn written(span: Duration) -> String {
    let seconds = span.as_secs().max(1);
    if seconds.is_multiple_of(60) { format!("{}m", seconds / 60) } else { format!("{seconds}s") }
}
