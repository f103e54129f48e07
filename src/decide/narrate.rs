//! An answer → status, conditions and events. All the words people read are put together here. Never decides.

use std::sync::Arc;

use super::{
    answer::Answer,
    chronicle,
    gate::{NO_ANSWER, NOT_YET, OF_A_JOB},
    hooks,
    intent::{Decision, News},
    reference, say, say_back, sources,
    view::View,
    warm, weigh,
};
use crate::{
    api::{
        Condition, ConditionType, LlmRolloutStatus, Moment, Percent, Phase, Reason, aside,
        conditions::{self, ConditionStatus},
        gates::Severity,
        status::{Color, GateStatus, ObservedWeights, OrderHeard, VerdictWord},
    },
    routers::{Follows, Seen},
};

/// Values that only move are written at most this often.
const AT_MOST_EVERY: u64 = 60;
const LONGEST_MESSAGE: usize = 1024;

/// The decision that an answer stands for.
pub(super) fn tell(v: &View<'_>, answer: Answer) -> Decision {
    let Answer {
        phase, reason, message, status, intents, beside, calls, latched, home, wants_live, wake, until, ..
    } = answer;
    let mut next = status;
    let message = clipped(message);
    let told = heard(v, &next)
        .into_iter()
        .chain(warnings(v))
        .chain(pinned(v, &next))
        .chain(corrected(v))
        .chain(say_back::news(v, &next))
        .chain(hooks::news(v, &next));
    let news = told.chain(news(v, phase, reason, &message)).collect();
    next.observed_generation = v.s.rollout.metadata.generation.unwrap_or_default();
    next.phase = Some(phase);
    next.reason = Some(reason);
    next.message = message;
    // An answer that asks a person has written down the newest figures itself.
    if measuring(phase) && same_step(v, &next) && !calm(v, &next.gates) {
        next.gates = v.verdicts.iter().map(|g| g.status.clone()).collect();
    }
    reference::keep(v, &mut next);
    warm::keep(v, &mut next);
    sources::keep(v, &mut next);
    weigh::keep(v, &mut next);
    next.next_decision_at = until;
    show(v, &mut next);
    conditions(v, &mut next, reason);
    let running = next.attempt.as_ref().is_some_and(|a| a.ended_at.is_none());
    let asks = if phase == Phase::RollingBack {
        v.questions.silence.iter().cloned().collect()
    } else if running {
        v.questions.all()
    } else {
        let known = next.attempt.as_ref().is_none_or(|a| a.recovery.is_some());
        v.questions.recovery.iter().filter(|_| !known).map(|(_, q)| q.clone()).collect()
    };
    let (odds, meant, judged) = (weigh::odds(v), Some(Arc::clone(v.meant)), chronicle::rested_on(v, &next));
    Decision { intents, beside, calls, next, latched, home, wants_live, news, judged, wake, asks, odds, meant }
}

pub(super) fn clipped(mut message: String) -> String {
    if message.len() > LONGEST_MESSAGE {
        let mut end = LONGEST_MESSAGE - 4;
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
        message.push('…');
    }
    message
}

fn news(v: &View<'_>, phase: Phase, reason: Reason, message: &str) -> Option<News> {
    let old = &v.status;
    if old.phase == Some(phase) && (old.reason == Some(reason) || old.message == message) {
        return None;
    }
    // It was told when it went live; that the old color is gone as well changes nothing for anybody.
    if old.phase == Some(Phase::Decommissioning) && phase == Phase::Completed {
        return None;
    }
    let same = old.phase == Some(phase);
    // A phase that only returns to its usual word is no news.
    let told = matches!(reason, Reason::OutsideWindow | Reason::Growing);
    if same && !odd(reason) && !told && !tells_each_word(phase) {
        return None;
    }
    let bad = matches!(phase, Phase::RollingBack | Phase::RolledBack | Phase::Blocked) && reason != Reason::Valid;
    let mentioned = if phase == Phase::RolledBack && !same { Reason::RolledBack } else { reason };
    Some(News { warning: bad || odd(reason), reason: mentioned, message: message.to_owned() })
}

/// Somebody should look.
const fn odd(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::WaitingForGate
            | Reason::TooFewRequests
            | Reason::ShareMissed
            | Reason::UndecidedTooLong
            | Reason::DependencyRolledBack
            | Reason::GateAsks
            | Reason::SourceMissing
            | Reason::ActiveUnready
            | Reason::Drifted
            | Reason::Contended
            | Reason::CheckWaits
            | Reason::PodStuck
    )
}

/// Phases in which a new word is news.
const fn tells_each_word(phase: Phase) -> bool {
    matches!(
        phase,
        Phase::Blocked
            | Phase::Idle
            | Phase::Completed
            | Phase::Pending
            | Phase::Decommissioning
            | Phase::Baking
            | Phase::AwaitingApproval
    )
}

/// What became of the orders that were heard.
fn heard(v: &View<'_>, next: &LlmRolloutStatus) -> Vec<News> {
    let known = v.s.rollout.status.as_ref().map(|s| s.orders.as_slice()).unwrap_or_default();
    let new = next.orders.iter().filter(|o| known.iter().all(|k| k.uid != o.uid));
    let tell = |o: &OrderHeard| News {
        warning: !o.taken,
        reason: if o.taken { Reason::OrderTaken } else { Reason::OrderRefused },
        message: clipped(format!("{} by {}: {}", o.verb.word(), o.by, o.message)),
    };
    new.map(tell).collect()
}

/// Gates that only warn, when they begin to fail.
fn warnings(v: &View<'_>) -> Vec<News> {
    let failing = v.verdicts.iter().filter(|g| g.severity == Severity::Warn && g.status.verdict == VerdictWord::Fail);
    let known = |name: &str| v.status.gates.iter().any(|o| o.name == name && o.verdict == VerdictWord::Fail);
    let new = failing.filter(|g| !known(&g.status.name));
    new.map(|g| News { warning: true, reason: Reason::GateWarns, message: clipped(say::broken(&g.status)) }).collect()
}

/// That a release begins on a router that pins sessions.
fn pinned(v: &View<'_>, next: &LlmRolloutStatus) -> Option<News> {
    let id = |status: &LlmRolloutStatus| status.attempt.as_ref().map(|a| a.id);
    let begins = id(next) != id(&v.status) && next.active.is_some();
    let message = say::pinned(v).filter(|_| begins)?;
    Some(News { warning: true, reason: Reason::SessionsPinned, message: clipped(message) })
}

/// That more evidence had been written down than samples show.
fn corrected(v: &View<'_>) -> Option<News> {
    let message = weigh::corrected(v)?;
    Some(News { warning: true, reason: Reason::EvidenceCorrected, message: clipped(message) })
}

/// Figures are gathered and change without anything being decided.
const fn measuring(phase: Phase) -> bool {
    matches!(phase, Phase::Holding | Phase::Baking | Phase::Paused | Phase::AwaitingApproval)
}

fn same_step(v: &View<'_>, next: &LlmRolloutStatus) -> bool {
    let stage = |s: &LlmRolloutStatus| s.attempt.as_ref().map(|a| (a.id, a.step, a.bake));
    stage(&v.status) == stage(next) && !v.verdicts.is_empty()
}

/// Whether the gates' last words stay: figures that only move replace the old ones once a minute.
fn calm(v: &View<'_>, old: &[GateStatus]) -> bool {
    old.len() == v.verdicts.len() && old.iter().zip(&v.verdicts).all(|(o, n)| alike(o, &n.status))
}

fn alike(old: &GateStatus, new: &GateStatus) -> bool {
    let fresh = match (old.at, new.at) {
        (Some(o), Some(n)) => n.since(o).as_secs() < AT_MOST_EVERY,
        // Why there is nothing is told as soon as it is known, and then once: it may waver. A Job only goes on.
        (None, None) => {
            old.reason == new.reason
                || ![NO_ANSWER, NOT_YET, OF_A_JOB].iter().any(|begin| old.reason.starts_with(begin))
        }
        (Some(_), None) | (None, Some(_)) => false,
    };
    // The limit of a comparison moves with every sample, like the value.
    let limit = old.limit == new.limit || (!old.compared.is_empty() && !new.compared.is_empty());
    fresh && old.name == new.name && old.verdict == new.verdict && limit && old.step == new.step
}

/// The columns of `kubectl get`.
fn show(v: &View<'_>, next: &mut LlmRolloutStatus) {
    let steps = v.plan.map_or(0, |p| p.steps.len());
    let attempt = next.attempt.as_ref();
    next.step = match attempt {
        Some(a) if steps > 0 && next.phase != Some(Phase::Idle) => format!("{}/{steps}", a.step),
        _ => "-".to_owned(),
    };
    let running = attempt.is_some_and(|a| a.ended_at.is_none());
    let share = match next.phase {
        Some(Phase::Idle) | None => None,
        Some(Phase::RolledBack) => next.active.map(|a| v.share(a.other())),
        Some(_) if running => next.candidate.map(|c| v.share(c)),
        Some(_) => next.active.map(|a| v.share(a)),
    };
    let known = share.filter(|_| v.unheard().next().is_none());
    next.weight = known.map_or_else(|| "-".to_owned(), |s| format!("{s}%"));
    next.next = next.next_decision_at.map_or_else(|| "-".to_owned(), Moment::short);
    next.summary = summary(next);
    next.observed_weights = observed(v);
    next.traffic = next.observed_weights.iter().fold(String::new(), |text, w| {
        let gap = if text.is_empty() { "" } else { " · " };
        text + gap + &format!("{} {}/{}{}", w.router, w.blue, w.green, aside::words(w.mirror, w.testers))
    });
}

/// `errors 0.4%<1% · p95 1.21s<1.5s`, the failing gate first, with what it rests on.
fn summary(next: &LlmRolloutStatus) -> String {
    let mut gates: Vec<&GateStatus> = next.gates.iter().collect();
    gates.sort_by_key(|g| g.verdict);
    if next.phase == Some(Phase::RolledBack) {
        gates.retain(|g| g.verdict != VerdictWord::Pass);
    }
    let one = |g: &GateStatus| match g.verdict {
        VerdictWord::Fail => format!("{} {}{}{}", g.name, g.value, say::beyond(g, ""), say::rests_on(g, "")),
        VerdictWord::Pass => format!("{} {}{}", g.name, g.value, say::within(g)),
        VerdictWord::Undecided if g.value.is_empty() => format!("{} ? ({})", g.name, g.reason),
        VerdictWord::Undecided => format!("{} {}{} ({})", g.name, g.value, say::beside(g), g.reason),
        VerdictWord::NoData => format!("{} ? ({})", g.name, g.reason),
    };
    gates.into_iter().map(one).collect::<Vec<_>>().join(" · ")
}

fn observed(v: &View<'_>) -> Vec<ObservedWeights> {
    let seen = v.s.routers.iter().filter_map(|r| Some((&r.name, r.state.as_ref().ok()?)));
    seen.map(|(router, s)| {
        let (mirror, testers) = v.beside(s);
        ObservedWeights { router: router.clone(), blue: s.shares.blue, green: s.shares.green, mirror, testers }
    })
    .collect()
}

/// What a condition says: status, word, message.
pub(super) type Word = (ConditionStatus, Reason, String);

fn yes(reason: Reason, message: impl Into<String>) -> Word {
    (ConditionStatus::True, reason, message.into())
}

fn no(reason: Reason, message: impl Into<String>) -> Word {
    (ConditionStatus::False, reason, message.into())
}

fn conditions(v: &View<'_>, next: &mut LlmRolloutStatus, reason: Reason) {
    let accepted = match &v.trouble {
        Some(said) => no(said.reason, clipped(said.words.clone())),
        None => yes(Reason::Valid, "everything the manifest names was found and understood"),
    };
    let all = [
        (ConditionType::Accepted, accepted),
        (ConditionType::Ready, ready(v)),
        (ConditionType::Progressing, progressing(next, reason)),
        (ConditionType::GatesHealthy, gates_healthy(next)),
        (ConditionType::TrafficConfirmed, traffic_confirmed(v, next)),
        (ConditionType::RollbackPossible, rollback_possible(v, next)),
        (ConditionType::Promoted, promoted(v, next, reason)),
    ];
    for (type_, (status, reason, message)) in all {
        let new = Condition {
            type_,
            status,
            reason,
            message,
            last_transition_time: v.now(),
            observed_generation: next.observed_generation,
        };
        conditions::set(&mut next.conditions, new);
    }
}

fn ready(v: &View<'_>) -> Word {
    let serving: Vec<Color> = Color::BOTH.into_iter().filter(|c| v.share(*c) > 0).collect();
    let dead = serving.iter().find(|c| v.ready(**c) == 0);
    match (serving.is_empty(), dead) {
        (true, _) => no(Reason::NoHealthyBackend, "no router gives a color any traffic"),
        (_, Some(c)) if v.ready(c.other()) == 0 => no(Reason::NoHealthyBackend, "no color has a ready endpoint"),
        (_, Some(c)) if v.status.active == Some(*c) => {
            no(Reason::ActiveUnready, format!("{} has traffic and no ready endpoint", c.word()))
        }
        (_, Some(c)) => no(Reason::CandidateUnready, format!("{} has traffic and no ready endpoint", c.word())),
        (false, None) if v.unseen() => {
            yes(Reason::ActiveReady, "nothing tells whether a color is up but routers and gates")
        }
        (false, None) => yes(Reason::ActiveReady, "every color with traffic has ready endpoints"),
    }
}

fn progressing(next: &LlmRolloutStatus, reason: Reason) -> Word {
    let moving = matches!(
        next.phase,
        Some(
            Phase::Preflight
                | Phase::Preparing
                | Phase::Shifting
                | Phase::Holding
                | Phase::Baking
                | Phase::Decommissioning
        )
    );
    if moving { yes(reason, next.message.clone()) } else { no(reason, next.message.clone()) }
}

fn gates_healthy(next: &LlmRolloutStatus) -> Word {
    if let Some(known) = say_back::recovery(next) {
        return known;
    }
    let worst = next.gates.iter().min_by_key(|g| g.verdict);
    match worst.map(|g| (g.verdict, g)) {
        None => (ConditionStatus::Unknown, Reason::NotMeasuring, "no gate is being asked now".to_owned()),
        Some((VerdictWord::Fail, g)) => no(Reason::GateFailed, format!("{} is {}", g.name, say::where_it_is(g))),
        Some((VerdictWord::NoData, g)) => {
            (ConditionStatus::Unknown, Reason::NoData, format!("{} has no usable data", g.name))
        }
        Some((VerdictWord::Undecided, g)) => (
            ConditionStatus::Unknown,
            Reason::Undecided,
            clipped(format!("{} is not proved yet: {}", g.name, g.reason)),
        ),
        Some((VerdictWord::Pass, _)) => yes(Reason::AllPass, "all gates pass"),
    }
}

fn traffic_confirmed(v: &View<'_>, next: &LlmRolloutStatus) -> Word {
    let Some(active) = next.active else { return no(Reason::Installing, "nothing serves yet") };
    let other = active.other();
    let weight = next.attempt.as_ref().filter(|a| a.ended_at.is_none()).map_or(Percent::NONE, |a| a.weight);
    let weight = if next.phase == Some(Phase::RollingBack) { Percent::NONE } else { weight };
    let strays = v.strays(other, weight, weight).is_some();
    let waits = v.routers().find(|(_, seen)| seen.follows != Follows::Yes);
    let unheard = v.unheard().next().map(|(_, trouble)| trouble);
    match waits {
        _ if let Some(trouble) = unheard => no(trouble.reason, clipped(trouble.message.clone())),
        _ if strays => no(next.reason.unwrap_or(Reason::Drifted), format!("{} should have {weight}%", other.word())),
        Some((claim, Seen { follows: Follows::Refuses(words), .. })) => {
            no(Reason::RouteNotReady, clipped(format!("{}: {words}", claim.name())))
        }
        Some((claim, _)) => no(Reason::RouteNotReady, format!("no gateway has confirmed {} yet", claim.name())),
        None if next.attempt.as_ref().is_some_and(|a| a.home.is_some()) => say_back::silence(v, next, other),
        None => {
            let pinned = say::pinned(v).map_or_else(String::new, |pinned| format!("; {pinned}"));
            yes(Reason::Confirmed, clipped(format!("{} has {weight}%{pinned}", other.word())))
        }
    }
}

fn rollback_possible(v: &View<'_>, next: &LlmRolloutStatus) -> Word {
    let running = next.attempt.as_ref().is_some_and(|a| a.ended_at.is_none());
    let Some(old) = next.active.map(|a| if running { a } else { a.other() }) else {
        return no(Reason::Installing, "there is nothing to go back to yet");
    };
    if v.ready(old) > 0 {
        let up = if v.unseen() { "can be given everything again" } else { "is ready to take everything" };
        return yes(Reason::ActiveReady, format!("{} {up}", old.word()));
    }
    if !running && v.deployment(old).is_none_or(|d| d.wanted == 0) {
        return no(Reason::Retired, format!("{} is retired; going back is a new release", old.word()));
    }
    no(Reason::ActiveUnready, format!("{} has no ready endpoint", old.word()))
}

fn promoted(v: &View<'_>, next: &LlmRolloutStatus, reason: Reason) -> Word {
    if next.active_revision.as_ref() == Some(&v.wanted) {
        return yes(Reason::Promoted, format!("revision {} serves all traffic", v.wanted));
    }
    no(reason, next.message.clone())
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_MESSAGE, clipped};

    /// A condition's message has an end, and what is cut is no half of a letter.
    #[test]
    fn a_long_message_is_cut_where_a_letter_ends() {
        for letter in ["a", "é", "…", "🦀"] {
            let fits = letter.repeat(LONGEST_MESSAGE / letter.len());
            assert_eq!(clipped(fits.clone()), fits);
            for before in ["", "x", "xy", "xyz"] {
                let long = format!("{before}{}", letter.repeat(LONGEST_MESSAGE + 1));
                let cut = clipped(long.clone());
                let kept = cut.strip_suffix('…').expect("it says that there was more");
                assert!(
                    long.starts_with(kept) && (LONGEST_MESSAGE - 8..=LONGEST_MESSAGE).contains(&cut.len()),
                    "{letter}"
                );
            }
        }
    }
}
