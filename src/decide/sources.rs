//! What the provider has of the series that gates rest on, looked for when a release begins: which exporter `auto` means,
//! and which gates have no source. A release does not begin on a gate that can never speak; a provider that does not
//! answer keeps only `auto` from beginning. Never judges a figure.

use std::{collections::BTreeSet, time::Duration};

use super::{
    answer::Answer,
    gate::NO_ANSWER,
    plan::{Plan, duration},
    release,
    say::{self, Said},
    snapshot::FoundOut,
    view::View,
};
use crate::{
    api::{
        LlmRolloutStatus, Moment, Phase, Reason,
        found::{MetricsFound, SourceMissing},
        gates::Severity,
        status::{Attempt, Color},
    },
    metrics::{NoData, Question, Source, hints, probe},
};

/// Names that are kept in status.
const MOST: usize = 64;
/// A list of names in a sentence.
const NAMED: usize = 3;

/// A release that has not had its first step, while another color serves: its series are there before it needs them.
fn waiting<'a>(v: &'a View<'_>) -> Option<&'a Attempt> {
    let begun = |a: &&Attempt| a.step_entered_at.is_some() || v.status.intent.is_some();
    v.running().filter(|a| !begun(a) && v.status.active.is_some())
}

/// The questions which names are told about the color that serves, and about the candidate; and how often the exporter of
/// the one that serves is scraped.
pub(super) fn to_ask(v: &View<'_>, plan: &Plan) -> Vec<Question> {
    if waiting(v).is_none() {
        return Vec::new();
    }
    let colors = [v.status.active, v.candidate()];
    let names = colors.into_iter().flatten().filter_map(|color| question(v, plan, color));
    names.chain(spacing(v, plan)).collect()
}

fn question(v: &View<'_>, plan: &Plan, color: Color) -> Option<Question> {
    look(v, plan, color, |look| probe::question(&plan.looked_for, look))
}

/// Whose samples are looked at for the time between them, unless somebody knows it.
fn spacing(v: &View<'_>, plan: &Plan) -> Option<Question> {
    let known = known(&v.status).is_some_and(|found| found.scrape_interval.is_some());
    if known || v.spec().metrics.scrape_interval.is_some() {
        return None;
    }
    look(v, plan, v.status.active?, |look| probe::spacing_of(&plan.source, look))
}

fn look(
    v: &View<'_>,
    plan: &Plan,
    color: Color,
    ask: impl FnOnce(&probe::Look<'_>) -> Option<Question>,
) -> Option<Question> {
    let began = waiting(v).filter(|_| plan.told_apart)?.started_at;
    let workload = v.pods(color);
    ask(&probe::Look {
        provider: &plan.provider,
        namespace: release::namespace_of(&v.s.rollout, color),
        workload,
        color,
        began,
        interval: patience(v.now().since(began)),
    })
}

/// How often is scraped, as far as anybody could tell.
fn spaced(v: &View<'_>, plan: &Plan) -> Option<String> {
    let newest = v.s.readings.get(&spacing(v, plan)?)?.last()?;
    let seconds = newest.outcome.as_ref().ok()?.value;
    (1.0..=600.0).contains(&seconds).then(|| format!("{}s", seconds.round()))
}

/// The longer nothing is found, the less often it is asked again.
fn patience(age: Duration) -> Duration {
    Duration::from_secs(match age.as_secs() {
        0..60 => 5,
        60..600 => 30,
        _ => 120,
    })
}

/// The names of a color, as far as anybody could tell.
fn names(v: &View<'_>, plan: &Plan, color: Option<Color>) -> Option<Result<BTreeSet<String>, NoData>> {
    let newest = v.s.readings.get(&question(v, plan, color?)?)?.last()?;
    Some(newest.outcome.as_ref().map(|_| newest.names.iter().cloned().collect()).map_err(Clone::clone))
}

/// What the manifest is read with of that.
pub(super) fn found_out(status: &LlmRolloutStatus) -> FoundOut {
    let Some(found) = known(status) else { return FoundOut::default() };
    FoundOut { profile: found.profile, scraped: found.scrape_interval.as_deref().and_then(duration) }
}

/// What was found for the attempt.
fn known(status: &LlmRolloutStatus) -> Option<&MetricsFound> {
    let attempt = status.attempt.as_ref()?;
    status.metrics.as_ref().filter(|found| found.attempt == attempt.id)
}

/// What was found of everything that this very manifest asks for: then nobody need look again.
fn complete<'a>(v: &'a View<'_>) -> Option<&'a MetricsFound> {
    let same = Some(v.status.observed_generation) == v.s.rollout.metadata.generation;
    let known = v.status.metrics.as_ref().filter(|_| same)?;
    let all = known.profile.is_some() && !known.found.is_empty() && known.missing.is_empty();
    (all && v.running().is_some_and(|a| a.id == known.attempt)).then_some(known)
}

/// What was found; nothing while it cannot be said.
pub(super) fn found(v: &View<'_>) -> Option<MetricsFound> {
    let (attempt, plan) = (waiting(v)?.id, v.plan.ok()?);
    if let Some(known) = complete(v) {
        return Some(known.clone());
    }
    let active = names(v, plan, v.status.active)?.ok()?;
    let candidate = || names(v, plan, v.candidate())?.ok();
    let source = &plan.looked_for;
    let profile = if source.is_open() {
        probe::fits(source, &active).or_else(|| probe::fits(source, &candidate()?))
    } else {
        Some(source.profile())
    };
    let empty = MetricsFound { attempt, profile, found: Vec::new(), scrape_interval: None, missing: Vec::new() };
    let Some(profile) = profile else { return candidate().map(|_| empty) };
    let source = source.clone().named(profile);
    if probe::shows(&source, &active) {
        return Some(judged(plan, &source, &active, &empty));
    }
    // The release may bring another exporter with it. It has not been asked anything yet, so it need not tell everything.
    let candidate = candidate()?;
    if probe::shows(&source, &candidate) {
        let found = candidate.into_iter().take(MOST).collect();
        return Some(MetricsFound { found, ..empty });
    }
    Some(judged(plan, &source, &candidate, &empty))
}

/// Which gates rest on what was found, and which on nothing.
fn judged(plan: &Plan, source: &Source, names: &BTreeSet<String>, empty: &MetricsFound) -> MetricsFound {
    let (mut there, mut missing) = (BTreeSet::new(), Vec::new());
    for gate in &plan.gates {
        match probe::rests_on(source, &gate.subject, names) {
            Ok(found) => there.extend(found),
            Err(lacking) => missing.push(SourceMissing { gate: gate.name.clone(), why: why(source, &lacking) }),
        }
    }
    let found = there.into_iter().filter(|name| names.contains(name)).take(MOST).collect();
    MetricsFound { found, missing, ..empty.clone() }
}

fn why(source: &Source, lacking: &[String]) -> String {
    let named = lacking.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    let more = if lacking.len() > NAMED { ", …" } else { "" };
    format!("no series of {named}{more} (profile {}); {}", source.word(), hints::hint(source.profile()))
}

/// Writes down what was found.
pub(super) fn keep(v: &View<'_>, status: &mut LlmRolloutStatus) {
    let (Ok(plan), Some(found)) = (v.plan, v.found.clone().or_else(|| known(&v.status).cloned())) else { return };
    if waiting(v).is_some() && status.attempt.as_ref().is_some_and(|a| a.ended_at.is_none()) {
        let scrape_interval = spaced(v, plan).or_else(|| known(&v.status)?.scrape_interval.clone());
        status.metrics = Some(MetricsFound { scrape_interval, ..found });
    }
}

/// The first step waits for a gate that has no source, and for the exporter that `auto` is to find. Who is sent on by
/// order, or known to be good, is measured by none.
pub(super) fn unfound(v: &View<'_>) -> Option<Answer> {
    waiting(v).filter(|a| !a.promoted && !a.skipped && !a.fast_track)?;
    let plan = v.plan.ok()?;
    // Who knows no exporter looks for none, and who needs none waits for none.
    question(v, plan, v.status.active?)?;
    let counted = plan.steps.iter().any(|s| s.min_requests.or(s.max_requests).is_some());
    if !counted && plan.gates.iter().all(|g| g.subject.metric().is_none()) {
        return None;
    }
    let found = v.found.clone();
    if plan.looked_for.is_open() && found_out(&v.status).profile.is_none() {
        let known = found.as_ref().is_some_and(|found| found.profile.is_some());
        let wake = if known { v.now() } else { soon(v) };
        return Some(Answer::new(v, Phase::Preparing, open(v, plan, found.as_ref())).by(wake));
    }
    // A manifest was edited for it: whether that helps is asked first.
    let held = v.status.reason == Some(Reason::SourceMissing);
    if found.is_none() && held && names(v, plan, v.status.active).is_none() {
        let said = say::exporter_asked(&plan.provider, NO_ANSWER);
        return Some(Answer::new(v, Phase::Preparing, said).by(soon(v)));
    }
    // What was said last stands until there is another answer.
    let told = || v.status.metrics.clone().filter(|told| v.running().is_some_and(|a| a.id == told.attempt));
    let found = found.or_else(told)?;
    let counts = |name: &str| plan.gates.iter().any(|g| g.name == name && g.severity != Severity::Warn);
    let missing = found.missing.iter().find(|missing| counts(&missing.gate))?;
    Some(Answer::new(v, Phase::Preparing, say::source_missing(&missing.gate, &missing.why)).by(soon(v)))
}

fn soon(v: &View<'_>) -> Moment {
    v.now().plus(Duration::from_secs(30))
}

/// What `auto` waits for.
fn open(v: &View<'_>, plan: &Plan, found: Option<&MetricsFound>) -> Said {
    let provider = &plan.provider;
    match (found.map(|found| found.profile), names(v, plan, v.status.active)) {
        (Some(Some(profile)), _) => say::exporter_found(plan.looked_for.clone().named(profile).word()),
        (Some(None), _) => say::no_exporter(provider, hints::hint(plan.looked_for.profile())),
        (None, Some(Err(why))) => say::exporter_asked(provider, &why.to_string()),
        (None, _) => say::exporter_asked(provider, NO_ANSWER),
    }
}

#[cfg(test)]
mod tests {
    use super::why;
    use crate::{api::exporters::Metrics, metrics::Source};

    #[test]
    fn three_names_are_said_and_that_there_are_more() {
        let source = Source::read(&Metrics::default(), None, None).unwrap();
        let said = |names: &[&str]| why(&source, &names.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert!(said(&["a", "b", "c"]).starts_with("no series of a, b, c (profile "), "{}", said(&["a", "b", "c"]));
        assert!(said(&["a", "b", "c", "d"]).starts_with("no series of a, b, c, … (profile "));
    }
}
