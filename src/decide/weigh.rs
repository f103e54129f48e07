//! Evidence → what statistical gates say: together that the candidate is worse, each by itself that it is as good. What
//! suffices for neither is undecided and holds. The arithmetic is in `stats`; here it becomes verdicts and words.

use std::time::Duration;

use super::{
    gate::{self, Measuring, Verdict, whole},
    intent::Odds,
    plan::PlannedGate,
    proof::Proof,
    stage::Asked,
    trial::{share_of, trial_of},
    view::View,
};
use crate::{
    api::{
        LlmRolloutStatus, Moment, Reason,
        gates::{NoDataThen, Severity},
        status::{GateStatus, Kept, Reference, VerdictWord},
    },
    metrics::{
        Limit, Reading, metric,
        raw::{Raw, What},
        reading::Weighed,
        unit::Unit,
    },
    stats::{
        Tolerance,
        budget::Outlook,
        gate::Evidence,
        ruling::{self, Block, Ruling},
    },
};

/// What is written down for the next process is not older than this while a step is measured.
const KEPT_FOR: Duration = Duration::from_mins(5);

/// A statistical gate with what has come back.
pub(super) struct Weighing<'a> {
    pub(super) gate: &'a PlannedGate,
    pub(super) proof: Proof,
    pub(super) raw: &'a Raw,
    pub(super) mark: String,
    pub(super) trial: String,
    pub(super) newest: Option<&'a Reading>,
    /// The newest with evidence: what is written down when there is no more.
    pub(super) last: Option<&'a Reading>,
    /// How long the step may stay undecided, if there is an end.
    pub(super) patience: Option<Duration>,
}

impl<'a> Weighing<'a> {
    /// Of a gate that is asked about raw counters.
    pub(super) fn of(
        asked: &'a Asked,
        readings: &'a [Reading],
        patience: Option<Duration>,
        now: Moment,
    ) -> Option<Self> {
        let (raw, proof) = (asked.question.raw.as_deref()?, asked.gate.test.proof()?);
        let began = raw.stages.last().map_or(now, |stage| stage.at);
        let here = |r: &&Reading| r.at >= began && r.at <= now;
        let newest = readings.iter().rfind(here);
        let last = readings.iter().filter(here).rfind(|r| r.weighed.is_some());
        let (mark, trial) = (asked.question.mark(), trial_of(&asked.question, raw.demand));
        Some(Self { gate: &asked.gate, proof, raw, mark, trial, newest, last, patience })
    }

    fn weighed(&self) -> Option<&'a Weighed> {
        self.newest?.weighed.as_deref()
    }

    /// Of both colors since the share was confirmed, in three digits; none before there are some.
    fn requests_per_second(&self) -> Option<f64> {
        let reading = self.last?;
        let e = reading.weighed.as_ref()?.views.first()?;
        let rps = Some(self.rps(e, reading.at)?).filter(|rps| *rps > 0.0 && *rps < 1e9)?;
        format!("{rps:.2e}").parse().ok()
    }

    /// Whether less is known now than was written down then.
    fn corrects(&self, kept: &Kept) -> bool {
        let corrected = self.last.and_then(|r| r.weighed.as_ref()?.corrected);
        corrected.is_some_and(|at| at > kept.at)
    }
}

/// What is said of gates of which more had been written down than samples show, as long as it still stands there.
pub(super) fn corrected(v: &View<'_>) -> Option<String> {
    let attempt = v.running()?;
    let stands = |w: &&Weighing<'_>| {
        attempt.evidence.iter().any(|k| k.gate == w.gate.name && k.trial == w.trial && w.corrects(k))
    };
    let all = v.weighings();
    let gates: Vec<&str> = all.iter().filter(stands).map(|w| w.gate.name.as_str()).collect();
    let less = "the samples show less evidence than had been written down before the operator restarted; the smaller one counts";
    (!gates.is_empty()).then(|| format!("{}: {less}", gates.join(", ")))
}

/// The gates that fail: those that take traffic back by what they say together, each other by itself.
pub(super) fn failing(all: &[Weighing<'_>]) -> Vec<String> {
    let together = |w: &&Weighing<'_>| w.gate.severity == Severity::Rollback;
    let group: Vec<&Weighing<'_>> = all.iter().filter(together).collect();
    let alone = all.iter().filter(|w| !together(w)).filter_map(|w| blamed(&[w]));
    blamed(&group).into_iter().chain(alone).collect()
}

/// The one to blame, if they fail together. All views of one gate weigh as much as one of another's.
fn blamed(group: &[&Weighing<'_>]) -> Option<String> {
    let weighed = group.iter().filter_map(|w| Some((&w.gate.name, w.weighed()?)));
    let parts = weighed.flat_map(|(name, weighed)| {
        let share = 1.0 / f64::from(u32::try_from(weighed.views.len()).unwrap_or(u32::MAX));
        weighed.views.iter().map(move |evidence| (name, (share, *evidence)))
    });
    let (names, evidence): (Vec<&String>, Vec<_>) = parts.unzip();
    let alpha = group.iter().map(|w| w.proof.alpha).fold(1.0, f64::min);
    match ruling::judge(&evidence, alpha) {
        Ruling::Fail { gate, .. } => names.get(gate).map(|name| (*name).clone()),
        Ruling::Pass | Ruling::Undecided(_) => None,
    }
}

/// What one of them says.
pub(super) fn judge(w: &Weighing<'_>, fails: bool, old: Option<&GateStatus>, m: Measuring) -> Verdict {
    let old = old.filter(|o| o.step == m.step);
    // A proof that it is worse stays one, whatever comes after.
    let latched = old.is_some_and(|o| o.verdict == VerdictWord::Fail && o.query == w.mark);
    let latched = latched && w.gate.severity == Severity::Rollback;
    let missing = if w.raw.views.is_empty() {
        Some("nothing is known yet of the color that serves".to_owned())
    } else {
        gate::too_old(w.gate, w.newest, m).or_else(|| w.newest?.outcome.as_ref().err().map(ToString::to_string))
    };
    let evidence = w.weighed().and_then(|weighed| if fails { worst(weighed) } else { weakest(weighed, w.proof.alpha) });
    let (word, reason) = match (missing, evidence) {
        _ if fails => (VerdictWord::Fail, evidence.map_or_else(String::new, |(e, _)| worse(w, e))),
        _ if latched => (VerdictWord::Fail, old.map(|o| o.reason.clone()).unwrap_or_default()),
        (Some(why), _) => (VerdictWord::NoData, why),
        (None, None) => (VerdictWord::NoData, gate::NO_ANSWER.to_owned()),
        (None, Some((e, block))) => said(w, e, block, m),
    };
    let at = w.newest.filter(|r| r.weighed.is_some()).map(|r| r.at);
    let newest = at.filter(|_| word != VerdictWord::NoData);
    let since = gate::no_data_since(newest, word, old, m);
    let deadline =
        (word == VerdictWord::NoData && w.gate.then == NoDataThen::Rollback).then(|| since.plus(w.gate.budget));
    let spent = deadline.filter(|d| *d <= m.now).map(|_| Reason::NoDataBudgetSpent);
    let tripped = if word == VerdictWord::Fail { Some(Reason::GateFailed) } else { spent };
    let no_data_since = (word == VerdictWord::NoData).then_some(since);
    // Beside a proof stand the figures that it was found in: later ones would contradict it.
    let proved = old.filter(|_| latched && !fails).cloned();
    let figures = proved.unwrap_or_else(|| figures(w, evidence.map(|(e, _)| e)));
    let status = GateStatus { verdict: word, reason, at, no_data_since, color: m.color, step: m.step, ..figures };
    Verdict { status, severity: w.gate.severity, tripped, deadline }
}

/// The view that shows most that it is worse.
fn worst(weighed: &Weighed) -> Option<(&Evidence, Option<Block>)> {
    weighed.views.iter().max_by(|a, b| a.fail.total_cmp(&b.fail)).map(|e| (e, None))
}

/// The view that is furthest from a Pass, and what it lacks.
fn weakest(weighed: &Weighed, alpha: f64) -> Option<(&Evidence, Option<Block>)> {
    let lacks = |e: &Evidence| match ruling::judge(&[(1.0, *e)], alpha) {
        Ruling::Undecided(blocks) => blocks.first().map(|(_, block)| *block),
        Ruling::Pass | Ruling::Fail { .. } => None,
    };
    let all = weighed.views.iter().map(|e| (e, lacks(e)));
    all.max_by_key(|(e, block)| (*block, std::cmp::Reverse(whole((e.pass - e.needed_pass) * 1000.0))))
}

/// What evidence says that proves nothing bad.
fn said(w: &Weighing<'_>, e: &Evidence, block: Option<Block>, m: Measuring) -> (VerdictWord, String) {
    match block {
        None => (VerdictWord::Pass, good(e)),
        Some(Block::Evidence) => (VerdictWord::Undecided, to_come(w, e, m)),
        Some(Block::Split) => {
            let (seen, all) = (whole(e.green.n), whole(e.green.n + e.blue.n));
            (VerdictWord::Undecided, format!("only {seen} of {all} requests reached the candidate"))
        }
        Some(Block::Gap) => {
            (VerdictWord::NoData, "more than a quarter of the candidate's scrapes are missing".to_owned())
        }
        Some(Block::Inconsistent) => (VerdictWord::NoData, "more bad requests are counted than requests".to_owned()),
        Some(Block::Ahead) => {
            let words = "samples bear times that are yet to come; compare the clocks of the operator and the provider";
            (VerdictWord::NoData, words.to_owned())
        }
        Some(Block::Environment) => (VerdictWord::NoData, "both colors fail it".to_owned()),
    }
}

/// `174 more requests, ~41m`, and what would help when that is too long.
fn to_come(w: &Weighing<'_>, e: &Evidence, m: Measuring) -> String {
    let Some(needed) = needed(e) else { return "not proved yet".to_owned() };
    let more = match whole(needed) {
        1 => "1 more request".to_owned(),
        more => format!("{more} more requests"),
    };
    let Some((age, seconds)) = w.age(m.now).zip(w.seconds(e, m.now)) else { return more };
    let when = format!("{more}, ~{}m", whole((seconds / 60.0).ceil()));
    match w.patience.filter(|patience| seconds > patience.saturating_sub(age).as_secs_f64()) {
        Some(patience) => {
            let rps = w.rps(e, m.now).unwrap_or_default();
            format!("{when}; {}", too_late(w, e, patience, rps))
        }
        None => when,
    }
}

/// Requests of the candidate that a Pass still takes, one at least.
fn needed(e: &Evidence) -> Option<f64> {
    e.needed.filter(|n| n.is_finite() && *n >= 0.0).map(|n| n.max(1.0))
}

/// How far each gate is, for whoever draws curves; one without usable data is nowhere.
pub(super) fn odds(v: &View<'_>) -> Vec<Odds> {
    let said = |w: &Weighing<'_>| v.verdicts.iter().find(|o| o.status.name == w.gate.name).map(|o| o.status.verdict);
    let of = |w: &Weighing<'_>| {
        let word = said(w).filter(|word| *word != VerdictWord::NoData)?;
        let weighed = w.weighed()?;
        let ((worst, _), (weakest, block)) = worst(weighed).zip(weakest(weighed, w.proof.alpha))?;
        let seconds = match (word, block) {
            (VerdictWord::Pass, _) => Some(0.0),
            (VerdictWord::Undecided, Some(Block::Evidence)) => w.seconds(weakest, v.now()),
            (VerdictWord::Undecided | VerdictWord::Fail | VerdictWord::NoData, _) => None,
        };
        let log10 = |ln: f64| ln / std::f64::consts::LN_10;
        Some(Odds { gate: w.gate.name.clone(), fail: log10(worst.fail), pass: log10(weakest.pass), seconds })
    };
    v.weighings().iter().filter_map(of).collect()
}

/// That `maxHold` ends before anything can be known, and from which share on it could be.
fn too_late(w: &Weighing<'_>, e: &Evidence, patience: Duration, rps: f64) -> String {
    let tolerance = Tolerance { relative: w.relative(), absolute: w.absolute() };
    let (share, next) = w.raw.stages.last().map_or((0.0, 1.0), |stage| (stage.share(), stage.next_share()));
    let blue = e.blue.rate().unwrap_or_default();
    let limit = if let What::Bound(limit) = w.raw.demand.what { Some(limit.value()) } else { None };
    let outlook = Outlook { blue, limit, tolerance, share, next, alpha: (-e.needed_pass).exp() };
    let least = outlook.smallest_share(rps, patience.as_secs_f64() / 60.0).filter(|least| *least > share);
    let cure = least.map_or_else(String::new, |least| {
        format!(", at {}% it could be known in time", whole((least * 100.0).round()))
    });
    format!("longer than maxHold{cure}")
}

/// How sure it is that the candidate is worse.
fn worse(w: &Weighing<'_>, e: &Evidence) -> String {
    format!("worse at odds of {}:1, {}:1 are enough{}", times(e.fail), times(-w.proof.alpha.ln()), w.gate.links)
}

/// How sure it is that the candidate is not too much worse.
fn good(e: &Evidence) -> String {
    format!("not too much worse at odds of {}:1, {}:1 are enough", times(e.pass), times(e.needed_pass))
}

fn times(ln: f64) -> i64 {
    whole(ln.exp().min(1e6).round()).max(1)
}

/// The figures beside a verdict: the step's own, of either color, with the interval in which each lies at 95 %.
fn figures(w: &Weighing<'_>, e: Option<&Evidence>) -> GateStatus {
    let unit = unit(w.gate);
    let show = |value: f64| unit.show(value);
    let between =
        |all: Option<(f64, f64)>| all.map_or_else(String::new, |(a, b)| format!(" ({}…{})", show(a), show(b)));
    let blue = |e: &Evidence| e.blue.rate().map(|rate| format!("active {}{}", show(rate), between(e.blue_interval)));
    let limit = |e: &Evidence| match (w.raw.demand.what, e.blue.rate()) {
        (What::Bound(limit), _) => Some(limit.value() * (1.0 + w.relative()) + w.absolute()),
        (What::Share | What::Mean, blue) => blue.map(|blue| blue * (1.0 + w.relative()) + w.absolute()),
    };
    GateStatus {
        name: w.gate.name.clone(),
        verdict: VerdictWord::NoData,
        value: e.and_then(|e| e.green.rate()).map_or_else(String::new, show),
        limit: e.and_then(limit).map_or_else(|| w.proof.word(), show),
        compared: e.and_then(blue).map_or_else(String::new, |blue| match e.and_then(|e| e.green_interval) {
            Some(own) => format!("{blue}, candidate{}", between(Some(own))),
            None => blue,
        }),
        color: None,
        window: String::new(),
        query: w.mark.clone(),
        samples: e.map(|e| whole(e.green.n)),
        at: None,
        no_data_since: None,
        reason: String::new(),
        step: 0,
    }
}

impl Weighing<'_> {
    fn relative(&self) -> f64 {
        self.raw.demand.relative.value()
    }

    fn absolute(&self) -> f64 {
        self.raw.demand.absolute.value()
    }

    /// How long the step has been measured.
    fn age(&self, now: Moment) -> Option<Duration> {
        self.raw.stages.last().map(|stage| now.since(stage.at))
    }

    /// Seconds until a Pass, if the candidate is as good and gets as many requests as in this step so far.
    fn seconds(&self, e: &Evidence, now: Moment) -> Option<f64> {
        let counted = self.counted_for(now).filter(|_| e.green.n >= 1.0)?;
        Some(needed(e)? * counted / e.green.n)
    }

    /// Requests a second of both colors, in this step so far.
    fn rps(&self, e: &Evidence, now: Moment) -> Option<f64> {
        Some((e.green.n + e.blue.n) / self.counted_for(now)?)
    }

    /// So many seconds of the step have been counted, without those in which only fast answers have finished.
    fn counted_for(&self, now: Moment) -> Option<f64> {
        Some(self.age(now)?.saturating_sub(self.raw.warm_up).as_secs_f64().max(1.0))
    }
}

/// A latency is weighed as the share of what took too long.
fn unit(gate: &PlannedGate) -> Limit {
    match gate.subject.metric().map(metric::unit) {
        Some(Unit::Seconds) | None => Limit::Share(0.0),
        Some(unit) => Limit::zero(unit),
    }
}

/// The step is left: how often the color that serves was bad is kept for when it has no traffic any more.
pub(super) fn refresh(v: &View<'_>, status: &mut LlmRolloutStatus) {
    let Some(attempt) = status.attempt.as_mut().filter(|_| v.both_serve()) else { return };
    for w in v.weighings() {
        let Some((reading, weighed)) = w.newest.zip(w.weighed()).filter(|_| w.raw.demand.what == What::Share) else {
            continue;
        };
        // The least favorable view, at the upper end of what it can be.
        let upper = weighed.views.iter().filter_map(|e| e.blue_interval).map(|(_, upper)| upper).reduce(f64::max);
        let Some(upper) = upper.filter(|upper| upper.is_finite()) else { continue };
        let gate = share_of(&w.gate.name);
        attempt.references.retain(|r| r.gate != gate);
        attempt.references.push(Reference { gate, value: upper.to_string(), at: reading.at });
    }
}

/// Writes evidence down for the next process: when a verdict changes, also to no data, and otherwise every five minutes.
/// What was written down of a gate that is silent now stays.
pub(super) fn keep(v: &View<'_>, status: &mut LlmRolloutStatus) {
    let Some(attempt) = status.attempt.as_mut().filter(|a| a.ended_at.is_none()) else { return };
    let known = |name: &str| v.status.gates.iter().find(|g| g.name == name).map(|g| g.verdict);
    let all = v.weighings();
    let said = |w: &Weighing<'_>| v.verdicts.iter().find(|o| o.status.name == w.gate.name).map(|o| o.status.verdict);
    let old = |kept: &Kept| v.now().since(kept.at) >= KEPT_FOR;
    let before = std::mem::take(&mut attempt.evidence);
    let kept = |w: &Weighing<'_>| before.iter().find(|k| k.gate == w.gate.name && k.trial == w.trial);
    let stale = |w: &Weighing<'_>| kept(w).is_none_or(|k| old(k) || w.corrects(k)) || known(&w.gate.name) != said(w);
    let due = all.iter().any(|w| w.last.is_some() && stale(w));
    let fresh = |w: &Weighing<'_>| {
        let (at, weighed) = (w.last?.at, w.last?.weighed.as_ref()?);
        Some(Kept { gate: w.gate.name.clone(), trial: w.trial.clone(), at, state: weighed.state.clone() })
    };
    if !due {
        attempt.evidence = before;
        return;
    }
    attempt.evidence = all.iter().filter_map(|w| fresh(w).or_else(|| kept(w).cloned())).collect();
    let busiest = all.iter().filter_map(Weighing::requests_per_second).max_by(f64::total_cmp);
    if let Some(rps) = busiest {
        status.requests_per_second = Some(rps.to_string());
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use serde_json::json;

    use super::{Measuring, Weighing, to_come, weakest};
    use crate::{
        api::{LlmRollout, Moment, Percent},
        decide::{
            plan::{Plan, PlannedGate},
            snapshot::{Around, GateSets, Offers},
        },
        metrics::{
            raw::{Raw, Resume, Stage, What},
            reading::Weighed,
        },
        stats::{Count, gate::Evidence, strata::Health},
    };

    fn gate() -> Arc<PlannedGate> {
        let rollout: LlmRollout = serde_json::from_value(json!({
            "apiVersion": "llmrollout.io/v1alpha1", "kind": "LlmRollout", "metadata": {"name": "chat"},
            "spec": {
                "traffic": [{"httpRoute": {"name": "chat"}}], "release": {"template": {"port": 8000, "podTemplate": {}}},
                "gates": [{"name": "errors", "metric": "errorRate", "statistical": {}}],
            },
        }))
        .unwrap();
        let offers = Offers { providers: vec!["default".into()], ..Offers::default() };
        Plan::read(&rollout.spec, Around::new(&GateSets::new(), &offers)).unwrap().gates.remove(0)
    }

    fn evidence(pass: f64, needed_pass: f64, needed: Option<f64>, green: f64) -> Evidence {
        Evidence {
            fail: -1.0,
            pass,
            needed_pass,
            environment: false,
            split_wrong: false,
            health: Health::default(),
            green: Count::new(green, green / 100.0),
            blue: Count::new(green * 19.0, green * 0.19),
            green_interval: None,
            blue_interval: None,
            needed,
        }
    }

    #[test]
    fn the_view_that_is_furthest_from_a_proof_speaks() {
        let (far, near) = (evidence(4.1, 6.5, None, 100.0), evidence(0.8, 3.0, None, 100.0));
        for views in [vec![far, near], vec![near, far]] {
            let weighed = Weighed { views, state: String::new(), corrected: None };
            assert_eq!(weakest(&weighed, 0.05).map(|(e, _)| e.needed_pass), Some(6.5));
        }
    }

    /// What is still to come, a minute after a step to 5 % began in which the candidate has had so many requests.
    fn said(needed: Option<f64>, green: f64, patience: Option<u64>) -> String {
        let (gate, began) = (gate(), Moment::from_unix(1_800_000_000));
        let proof = gate.test.proof().unwrap();
        let raw = Raw {
            views: Vec::new(),
            demand: proof.demand(What::Share),
            stages: vec![Stage { weight: Percent::of(5), next: Percent::of(50), at: began }],
            of: 2,
            warm_up: Duration::ZERO,
            resume: Resume(None),
        };
        let patience = patience.map(Duration::from_secs);
        let (mark, trial) = (String::new(), String::new());
        let w = Weighing { gate: &gate, proof, raw: &raw, mark, trial, newest: None, last: None, patience };
        let now = began.plus(Duration::from_mins(1));
        let m = Measuring { step: 1, entered: began, clock_from: began, watching_since: began, now, color: None };
        to_come(&w, &evidence(0.0, 3.0, needed, green), m)
    }

    #[test]
    fn what_is_to_come_is_said_in_requests_and_minutes() {
        assert_eq!(said(Some(60.0), 60.0, None), "60 more requests, ~1m");
        assert_eq!(said(Some(61.0), 60.0, None), "61 more requests, ~2m");
        assert_eq!(said(Some(1.9), 60.0, None), "1 more request, ~1m");
        assert_eq!(said(Some(0.0), 60.0, None), "1 more request, ~1m");
        assert_eq!(said(Some(2.0), 60.0, None), "2 more requests, ~1m");
        assert_eq!(said(Some(60.0), 0.0, None), "60 more requests", "at no rate nobody knows when");
        for odd in [None, Some(f64::NAN), Some(f64::INFINITY), Some(-1.0)] {
            assert_eq!(said(odd, 60.0, None), "not proved yet", "{odd:?}");
        }
    }

    #[test]
    fn what_comes_too_late_is_said_with_a_cure() {
        assert_eq!(said(Some(60.0), 60.0, Some(120)), "60 more requests, ~1m", "just in time");
        let cures = [120, 600, 1800, 3600].map(|patience| said(Some(6000.0), 6.0, Some(patience)));
        let late = "6000 more requests, ~1000m; longer than maxHold";
        let cure = |share: &str| format!("{late}, at {share} it could be known in time");
        assert_eq!(cures, [late.to_owned(), late.to_owned(), cure("12%"), cure("6%")]);
    }
}
