//! The laws about the course of a release: what people say, what has to come before, the bakes, and the end of the old
//! color. Each looks at one decision. Never changes a state.

use std::sync::Arc;

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use llmrollout::{
    api::{Phase, status::Color},
    decide::{Decision, Intent, Snapshot},
    routers::PatchKind,
};

use super::{
    laws::{Case, Law},
    look::{self, NOW},
    patch,
    people::{self, Heard, Say},
    state::{DRAIN, Status},
    writer::Write,
};

/// Holds a decision against every law of the course.
pub(crate) fn of_decision(case: &mut Case<'_>, status: &Status) {
    orders(case, status);
    rank(case, status);
    foreign(case, status);
    cleared(case, status);
    asked(case, status);
    baked(case, status);
    retry(case, status);
    home_again(case, status);
    for (_, write) in case.writes() {
        if let Write::Retire(color) = write {
            retired(case, status, color);
        }
    }
}

/// Whether a decision leads on: a step is written down, a bake begins, or the release is over.
fn leads_on(status: &Status, next: &Status) -> bool {
    let Some(attempt) = status.running() else { return false };
    let fresh = next.intent.is_some_and(|i| status.intent.is_none_or(|o| (o.step, o.revision) != (i.step, i.revision)));
    let bakes = next.running().is_some_and(|a| a.bake > attempt.bake);
    fresh || bakes || (next.active != status.active && status.active.is_some())
}

/// Every order to the attempt has its answer, which stays; no other has one.
fn orders(case: &mut Case<'_>, status: &Status) {
    let next = case.outcome.next;
    let given = case.look.orders;
    for (order, (old, new)) in given.iter().zip(status.heard.into_iter().zip(next.heard)) {
        let Some(order) = *order else { continue };
        let stays = old == new || old == Heard::Not || case.outcome.fresh;
        case.must(Law::Heard, stays, format!("{order:?} was {old:?} and is {new:?}"));
        let answered = new != Heard::Not || case.outcome.fresh;
        case.must(Law::Heard, !order.current || answered, format!("{order:?} has no answer"));
        let foreign = !order.current && old == Heard::Not && new != Heard::Not;
        case.must(Law::Heard, !foreign, format!("{order:?} is answered"));
    }
    let (Some(old), Some(new)) = (status.running(), next.running()) else { return };
    let taken = |fits: &dyn Fn(Say) -> bool| people::taken(&given, next.heard, fits);
    let promoted = !new.promoted || old.promoted || taken(&|say| say == Say::Promote);
    case.must(Law::Heard, promoted, "promoted, and nobody said so");
    let (step, bake) = (old.step, old.bake);
    let skipped = !new.skipped || old.skipped || taken(&|say| say == Say::Skip { step, bake });
    case.must(Law::Heard, skipped, "skipped, and nobody said so");
}

/// What is more wins: an abort over a pause, a pause over a promotion and a step.
fn rank(case: &mut Case<'_>, status: &Status) {
    let (next, wish) = (case.outcome.next, case.look.wish);
    let Some(attempt) = status.running() else { return };
    let back = next.running().is_none_or(|_| next.phase == Some(Phase::RollingBack));
    let ordered = people::taken(&case.look.orders, next.heard, Say::goes_back);
    if wish.abort || ordered {
        case.must(Law::Rank, back && next.active == status.active, format!("{:?} after an abort", next.phase));
        return;
    }
    let waits_to_look = case.outcome.wants_live;
    if wish.paused && !back && !waits_to_look {
        let stands = next.phase == Some(Phase::Paused) && !leads_on(status, &next);
        let same =
            next.running().is_some_and(|a| (a.step, a.bake, a.weight) == (attempt.step, attempt.bake, attempt.weight));
        case.must(Law::Rank, stands && same, format!("{:?} while paused", next.phase));
    }
}

/// I15: where a name of ours belongs to somebody else, nothing goes on.
fn foreign(case: &mut Case<'_>, status: &Status) {
    let things = case.look.things;
    let foreign: Vec<Color> = Color::BOTH.into_iter().filter(|c| !look::slot(&things, *c).ours).collect();
    if foreign.is_empty() {
        return;
    }
    case.must(Law::I15, !leads_on(status, &case.outcome.next), "a step while a name belongs to somebody else");
    let raises = case.outcome.raises.iter().any(|r| *r) && status.active.is_some();
    case.must(Law::I15, !raises || case.outcome.home, "a raise while a name belongs to somebody else");
    for (_, write) in case.writes() {
        let theirs = match write {
            Write::Deploy(c, _) | Write::Service(c) | Write::Retire(c) => foreign.contains(&c),
            Write::Route(_) | Write::Front(_) => false,
        };
        case.must(Law::I15, !theirs, format!("{write:?}, which belongs to somebody else"));
    }
}

/// Approvals and other rollouts come before what waits for them.
fn cleared(case: &mut Case<'_>, status: &Status) {
    let (next, setting) = (case.outcome.next, case.brain.table.setting);
    let given = case.look.orders;
    let signed = |before: &str| setting.sign(before).is_none_or(|n| next.approved & (1 << n) != 0);
    for sign in (0..).take(setting.signs.len()) {
        let new = next.approved & !status.approved & (1 << sign) != 0;
        let said = people::taken(&given, next.heard, |say| say == Say::Approve { sign, role: true });
        case.must(Law::Approval, !new || said, format!("{} is approved by nobody", setting.signs[usize::from(sign)]));
    }
    let step = next.intent.filter(|_| leads_on(status, &next));
    if let Some(step) = step {
        case.must(Law::Approval, step.weight < 100 || signed("Full"), "the step to 100 % is not approved");
        case.must(Law::Depend, case.look.wish.done, format!("step {} is written down", step.step));
        let lives = status.active.is_none_or(|c| look::slot(&case.look.things, c).ready);
        let promoted = people::taken(&given, next.heard, |say| say == Say::Promote);
        case.must(Law::I10, lives || promoted, "a step up while nobody could go back");
    }
    let was = status.running().is_some_and(|a| a.cleared) && !case.outcome.fresh;
    let goes_back = next.phase == Some(Phase::RollingBack);
    if !was && !goes_back && next.running().is_some_and(|a| a.cleared) {
        case.must(Law::Approval, signed("Start"), "the start is not approved");
        case.must(Law::Depend, case.look.wish.done, "an attempt starts");
    }
}

/// Who was asked is waited for.
fn asked(case: &mut Case<'_>, status: &Status) {
    let Some(attempt) = status.running().filter(|_| case.brain.table.setting.asks) else { return };
    let next = case.outcome.next;
    let (step, bake) = (attempt.step, attempt.bake);
    let answers = [Say::Promote, Say::Resume, Say::Skip { step, bake }];
    let answered = answers.iter().any(|say| people::newly(&case.look.orders, Some(status), &next, *say));
    let back = next.running().is_none_or(|_| next.phase == Some(Phase::RollingBack));
    let led = leads_on(status, &next);
    if answered && !case.look.wish.paused && case.look.wish.known {
        let still = next.running().is_some_and(|a| a.asked) && !back;
        case.must(Law::Ask, !still, "somebody has answered, and is asked the same again");
    }
    if attempt.asked {
        let waits = next.running().is_some_and(|a| a.asked);
        case.must(Law::Ask, (waits && !led) || answered || back && !led, "nobody has answered");
    }
    let vouched = people::vouched(&case.look.orders, attempt, &next);
    let tells = case.look.signals[0] == super::state::Signal::Bad && attempt.entered.is_some_and(|e| e >= 0);
    if tells && attempt.weight > 0 && status.phase != Some(Phase::RollingBack) {
        case.must(Law::Ask, !led || vouched, "the gate asks, and nobody is asked");
    }
}

/// Every window has had its time, or somebody vouches.
fn baked(case: &mut Case<'_>, status: &Status) {
    let next = case.outcome.next;
    let Some(attempt) = status.running().filter(|_| status.active.is_some()) else { return };
    if next.active == status.active {
        return;
    }
    let all = attempt.bake == case.brain.table.setting.bakes || attempt.fast;
    case.must(Law::Bake, all && attempt.weight == 100, format!("over in bake {}", attempt.bake));
}

/// A revision that was taken back stays so until somebody orders another try, or wants another one.
fn retry(case: &mut Case<'_>, status: &Status) {
    let next = case.outcome.next;
    let said = people::newly(&case.look.orders, Some(status), &next, Say::Retry);
    if said {
        let back = status.attempt.is_some_and(|a| a.over && a.revision == status.aborted);
        case.must(Law::Retry, back && !case.look.wish.abort, "a retry of what was not taken back");
    }
    let wanted = case.look.wish.revision;
    let serves = status.active_revision == wanted;
    if status.aborted == wanted && !serves {
        let stays = next.aborted == wanted && !case.outcome.fresh;
        case.must(Law::Retry, stays || said, "what was taken back is tried again, and nobody said so");
    }
}

/// An abort while the old color still stands, and lives.
fn home_again(case: &mut Case<'_>, status: &Status) {
    let Some(retiring) = status.retiring else { return };
    let next = case.outcome.next;
    let ordered = people::taken(&case.look.orders, next.heard, Say::goes_back);
    if !(case.look.wish.abort || ordered) || !look::slot(&case.look.things, retiring.color).ready {
        return;
    }
    let back = next.phase == Some(Phase::RollingBack) && next.active == Some(retiring.color) && case.outcome.home;
    case.must(Law::Home, back && next.aborted == status.active_revision, format!("{:?} after an abort", next.phase));
}

/// I9 and I10: the end of a color.
fn retired(case: &mut Case<'_>, status: &Status, color: Color) {
    let drained = status.retiring.is_some_and(|r| r.color == color && r.age >= DRAIN);
    let over = status.running().is_none() && status.active == Some(color.other());
    case.must(Law::I9, drained && over, format!("{color:?} is retired, {:?}", status.retiring));
    case.must(Law::I10, case.look.live, format!("{color:?} is retired on what a cache shows"));
    let stays = status.active_revision == case.look.wish.revision;
    case.must(Law::I9, stays && !case.look.wish.paused, format!("{color:?} is retired although it is needed"));
    let signed = case.brain.table.setting.sign("Decommission");
    let approved = signed.is_none_or(|n| case.outcome.next.approved & (1 << n) != 0);
    case.must(Law::Approval, approved, "the end of the old color is not approved");
}

/// The same look while the rollout is being deleted: nothing but home, and letting go.
pub(crate) fn of_deletion(case: &mut Case<'_>, snapshot: &Snapshot, decide: fn(&Snapshot) -> Decision) {
    let mut rollout = snapshot.rollout.as_ref().clone();
    let Ok(at) = Timestamp::from_second(NOW.unix()) else { return };
    rollout.metadata.deletion_timestamp = Some(Time(at));
    let decision = decide(&Snapshot { rollout: Arc::new(rollout), ..snapshot.clone() });
    let things = case.look.things;
    for intent in &decision.intents {
        let fits = match intent {
            Intent::Apply(_) | Intent::Put(_) | Intent::Delete { .. } | Intent::Scale { .. } => false,
            Intent::Patch(p) if matches!(p.kind, PatchKind::LlmRollout) => true,
            Intent::Patch(p) => match patch::read(&things, p) {
                Ok(read) => match read.write {
                    Write::Route(weights) => {
                        let to = if weights[0] == 100 { Color::Blue } else { Color::Green };
                        weights.contains(&100) && look::slot(&things, to).ready
                    }
                    Write::Front(to) => look::slot(&things, to).ready,
                    Write::Deploy(..) | Write::Service(_) | Write::Retire(_) => false,
                },
                // The owner references of what is let go.
                Err(_) => p.ops.iter().skip(1).all(|op| op["path"] == "/metadata/ownerReferences/0"),
            },
        };
        case.must(Law::Rank, fits, format!("{intent:?} while it is being deleted"));
    }
    let (old, next) = (&snapshot.rollout.status.clone().unwrap_or_default(), &decision.next);
    let stands = next.intent == old.intent && next.active == old.active;
    case.must(Law::Rank, stands, "a step while it is being deleted");
}
