//! The invariants, each as a check that is counted. Those of a single decision stand here whole; those of a write that
//! takes effect are called by `hands`. Never changes a state.

use llmrollout::{
    api::{
        Percent, Phase,
        status::{Color, ObservedWeights},
    },
    decide::Decision,
};

use super::{
    brain::{Brain, Outcome},
    course,
    look::{self, Look},
    patch::Read,
    people::{self, Say},
    state::{Attempt, Intent, Signal, Status, Things, Word, index},
    writer::Write,
};

macro_rules! laws {
    ($($name:ident $text:literal),+ $(,)?) => {
        /// What always holds; the numbers are those of the reliability contract.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Law { $($name),+ }

        /// Every law with its words.
        pub(crate) const ALL: &[(Law, &str)] = &[$((Law::$name, $text)),+];
    };
}

laws! {
    I1 "both weights explicit, sum 100",
    I2 "a raise rests on a ready candidate read live",
    I3 "a step needs a Pass of every gate at the step before, of this revision, or somebody who vouches",
    I5 "a revision taken back gets nothing",
    I6 "guarded writes; one effective raise for each intent and router; a stale writer has no effect",
    I7 "paused: no write but the way back",
    I8 "one step at a time, or home",
    I9 "what serves is not touched during a release, the old color not before its drain",
    I10 "no write takes the last ready backend from a request, nor scales a color with a share",
    I11 "status says what was read",
    I14 "only objects of the rollout",
    I15 "objects that belong to somebody else stop progress",
    I21 "intent and evidence are durable before effect",
    I22 "three re-asserts in the window; a way back by hand is not fought",
    I23 "no hold shorter than its length",
    I24 "nothing but weights, selector and the replicas of a color that goes changes",
    Approval "nothing passes a missing approval",
    Ask "where a gate asks a person, only an order leads on",
    Bake "no release is over before its bakes",
    Depend "no step while the rollout that comes first is taken back",
    Home "an abort that comes before the old color is gone brings everything back to it",
    Heard "an order is answered once, and only by its attempt",
    Rank "delete > abort > pause > promote > step",
    Retry "only what was taken back is tried again, and only by order",
    Late "a raise in flight when its release is taken back",
    Stale "a Deployment applied by a stale writer",
    Gone "a color retired by a stale writer",
    Dead "the candidate's traffic while the active color is dead",
    Model "the small status forgets nothing that matters",
}

/// Gaps that are known and said to be: counted, and no failure. Each with why it stands.
pub(crate) const KNOWN: &[(Law, &str)] = &[
    (
        Law::Late,
        "where the way back finds a router at home it writes nothing, so no version moves there; a raise that was in \
         flight lands once, and the next pass puts it right",
    ),
    (
        Law::Stale,
        "the first apply of a Deployment is not guarded, for what was not there has no version, and a version that nobody \
         moved guards nothing; a release does not look again at which revision its candidate runs",
    ),
    (
        Law::Gone,
        "the last write of a color is guarded by its own version, and neither a way back nor pods of the other color move \
         that; a writer that slept in between scales it all the same",
    ),
    (
        Law::Dead,
        "somebody sent traffic to the candidate because the active color is dead; a release under way still goes on with \
         its own shares and pods",
    ),
];

/// How many laws there are.
pub(crate) const LAWS: usize = ALL.len();

/// A law that did not hold.
#[derive(Clone, Debug)]
pub(crate) struct Breach {
    pub(crate) law: Law,
    pub(crate) what: String,
}

impl Breach {
    pub(crate) fn new(law: Law, what: impl Into<String>) -> Self {
        Self { law, what: what.into() }
    }
}

/// One decision before the laws.
pub(crate) struct Case<'a> {
    pub(crate) brain: &'a Brain,
    pub(crate) look: &'a Look,
    pub(crate) decision: &'a Decision,
    pub(crate) outcome: &'a Outcome,
    pub(crate) breaches: &'a mut Vec<Breach>,
}

impl Case<'_> {
    pub(crate) fn must(&mut self, law: Law, holds: bool, what: impl Into<String>) {
        self.brain.check(law);
        if !holds {
            self.breaches.push(Breach::new(law, what));
        }
    }

    /// The law, or the known gap that begins where the active color is dead and nothing goes home.
    fn unless_dead(&self, law: Law) -> Law {
        let active = self.look.status.and_then(|s| s.active);
        let dead = active.is_some_and(|c| !look::slot(&self.look.things, c).ready);
        if dead && !self.outcome.home { Law::Dead } else { law }
    }

    pub(crate) fn writes(&self) -> impl Iterator<Item = (usize, Write)> + use<> {
        let writes = self.outcome.writes;
        (0..).zip(writes).filter_map(|(n, w)| Some((n, w?)))
    }
}

/// The laws of one patch.
pub(crate) fn of_patch(brain: &Brain, read: Read, breaches: &mut Vec<Breach>) {
    let laws = [(Law::I1, read.whole), (Law::I6, read.guarded), (Law::I14, true), (Law::I24, read.framed)];
    for (law, holds) in laws {
        brain.check(law);
        if !holds {
            breaches.push(Breach::new(law, format!("{:?}", read.write)));
        }
    }
}

/// The share of a color after a write of a router, and before it.
fn shares(things: &Things, write: Write, color: Color) -> Option<(i32, i32)> {
    let whole = |front: Color| if front == color { 100 } else { 0 };
    match write {
        Write::Route(weights) => Some((i32::from(weights[index(color)]), things.share(color))),
        Write::Front(front) => Some((whole(front), whole(things.front))),
        Write::Deploy(..) | Write::Service(_) | Write::Retire(_) => None,
    }
}

/// Whether a write gives a color that is not the active one more.
pub(crate) fn raises(look: &Look, write: Write) -> bool {
    let active = look.status.and_then(|s| s.active);
    Color::BOTH
        .into_iter()
        .filter(|c| active != Some(*c))
        .any(|c| shares(&look.things, write, c).is_some_and(|(new, old)| new > old))
}

/// The share of the candidate on a router at a weight.
pub(crate) fn share_at(write: Write, weight: u8) -> i32 {
    match write {
        Write::Front(_) if weight < 100 => 0,
        _ => i32::from(weight),
    }
}

/// Whether every router stands where the candidate has a weight.
fn stands_at(things: &Things, candidate: Color, weight: u8) -> bool {
    let front = if weight == 100 { candidate } else { candidate.other() };
    let exact = things.route.iter().all(Option::is_some);
    things.front == front && exact && things.share(candidate) == i32::from(weight)
}

/// Holds a decision against every law that concerns one decision.
pub(crate) fn of_decision(case: &mut Case<'_>) {
    seen(case);
    let Some(status) = case.look.status else { return };
    if case.look.wish.paused {
        let silent = case.writes().next().is_none();
        let next = case.outcome.next;
        let dead = status.candidate.is_some_and(|c| !look::slot(&case.look.things, c).ready);
        let ordered = people::taken(&case.look.orders, next.heard, Say::goes_back);
        let why = case.look.wish.abort || ordered || dead || status.phase == Some(Phase::RollingBack);
        case.must(Law::I7, silent || why && next.phase == Some(Phase::RollingBack), "a write while paused");
    }
    for (n, write) in case.writes() {
        backends(case, write);
        touched(case, &status, write);
        if case.outcome.raises[n] {
            raise(case, &status, write);
        }
    }
    lowering(case, &status);
    step_up(case, &status);
    course::of_decision(case, &status);
}

/// I11: what status says was read, and no step is claimed before its shares were.
fn seen(case: &mut Case<'_>) {
    let things = &case.look.things;
    let whole = |color: Color| if things.front == color { 100 } else { 0 };
    let wanted = [
        ObservedWeights {
            router: "service/chat".into(),
            blue: Percent::of(whole(Color::Blue)),
            green: Percent::of(whole(Color::Green)),
            mirror: None,
            testers: false,
        },
        ObservedWeights {
            router: "httpRoute/chat".into(),
            blue: Percent::of(things.share(Color::Blue)),
            green: Percent::of(things.share(Color::Green)),
            mirror: None,
            testers: false,
        },
    ];
    let said = &case.decision.next.observed_weights;
    case.must(Law::I11, said.as_slice() == wanted, format!("status says {said:?}"));
    let (old, new) = (case.look.status.and_then(|s| s.running().copied()), case.outcome.next.running().copied());
    let (Some(new), Some(candidate)) = (new, case.outcome.next.candidate) else { return };
    let goes_back = case.outcome.next.phase == Some(Phase::RollingBack);
    if new.step > old.map_or(0, |a| a.step) && !goes_back {
        let stands = stands_at(&case.look.things, candidate, new.weight);
        case.must(Law::I11, stands, format!("step {} is claimed, its shares were not seen", new.step));
    }
}

/// I2, I5, I8, I21: what a raise rests on.
fn raise(case: &mut Case<'_>, status: &Status, write: Write) {
    let look = case.look;
    let Some(color) = status.candidate.or(status.active.map(Color::other)) else {
        case.must(Law::I21, false, "a raise without any release");
        return;
    };
    let slot = look::slot(&look.things, color);
    case.must(Law::I2, look.live && slot.ready, format!("{write:?}, live {}, ready {}", look.live, slot.ready));
    if status.active.is_none() {
        return;
    }
    let intent = status.intent;
    let told =
        intent.filter(|i| shares(&look.things, write, color).is_some_and(|(new, _)| new == share_at(write, i.weight)));
    case.must(Law::I21, told.is_some(), format!("{write:?} on {intent:?}"));
    let (Some(Intent { revision, step, weight, .. }), Some(attempt)) = (intent, status.running()) else { return };
    case.must(Law::I3, attempt.revision == revision, format!("{write:?} for revision {revision}"));
    case.must(Law::I5, status.aborted != revision && !look.wish.abort, format!("{write:?} for revision {revision}"));
    let right = [attempt.step + 1, next_step(case, attempt)].contains(&step);
    let next_step = right && case.brain.table.setting.steps.get(usize::from(step) - 1) == Some(&weight);
    case.must(Law::I8, next_step, format!("step {step} at {weight}% after step {}", attempt.step));
}

/// The step that may follow: the next, or the last when somebody vouches for the revision.
fn next_step(case: &Case<'_>, attempt: &Attempt) -> u8 {
    let last = u8::try_from(case.brain.table.setting.steps.len()).unwrap_or(u8::MAX);
    let promoted = people::taken(&case.look.orders, case.outcome.next.heard, |say| say == Say::Promote);
    if (promoted || attempt.fast) && attempt.step < last { last } else { attempt.step + 1 }
}

/// I8 and I22: less for the candidate is either everything home, or a foreign edit put right.
fn lowering(case: &mut Case<'_>, status: &Status) {
    let Some(candidate) = status.active.map(Color::other) else { return };
    let things = case.look.things;
    let lower = |w: Write| shares(&things, w, candidate).filter(|(new, old)| new < old).map(|(new, _)| (w, new));
    let lowered: Vec<_> = case.writes().filter_map(|(_, w)| lower(w)).collect();
    for (write, to) in lowered {
        let home = case.outcome.home && to == 0;
        let standing = status.running().map_or(0, |a| status.intent.map_or(a.weight, |i| i.weight.max(a.weight)));
        // A share that nobody wrote out is put where the release was confirmed, not where it is going.
        let confirmed = status.running().map_or(0, |a| a.weight);
        let stands = [standing, confirmed].iter().any(|weight| to == share_at(write, *weight));
        let reassert = !case.outcome.home && stands;
        case.must(Law::I8, home || reassert, format!("{write:?} is neither home nor where the release stands"));
        if reassert {
            let few = (status.quarrel < 3 || status.aborted != 0) && case.outcome.next.quarrel > 0;
            let law = case.unless_dead(Law::I22);
            case.must(law, few, format!("re-assert number {}", status.quarrel + 1));
        }
    }
}

/// I9: what serves.
fn touched(case: &mut Case<'_>, status: &Status, write: Write) {
    let (Some(active), Some(_)) = (status.active, status.running()) else { return };
    let slot = look::slot(&case.look.things, active);
    let own = match write {
        Write::Deploy(color, _) => color == active,
        Write::Retire(_) => true,
        Write::Service(color) => color == active && slot.service,
        Write::Route(_) | Write::Front(_) => false,
    };
    case.must(Law::I9, !own, format!("{write:?} during a release"));
}

/// I10: each write on its own leaves every request a ready backend, if there is one.
fn backends(case: &mut Case<'_>, write: Write) {
    let things = &case.look.things;
    let ready = |c: Color| look::slot(things, c).ready;
    let dead = |c: Color| !ready(c) && ready(c.other());
    let more = |c: Color| shares(things, write, c).is_some_and(|(new, old)| new > old);
    // Until the first revision is live nothing serves by our doing.
    let live = case.look.status.is_some_and(|s| s.active.is_some());
    let exchanged = |c: Color, revision: u8| look::slot(things, c).deployment.is_none_or(|o| o.revision != revision);
    let killed = match write {
        Write::Deploy(c, d) => live && things.serves(c) && ready(c) && exchanged(c, d.revision),
        Write::Retire(c) => things.serves(c) || !ready(c.other()),
        Write::Route(_) | Write::Front(_) | Write::Service(_) => false,
    };
    let holds = !killed && Color::BOTH.into_iter().all(|c| !(more(c) && dead(c)));
    let law = case.unless_dead(Law::I10);
    case.must(law, holds, format!("{write:?} with ready {:?}", Color::BOTH.map(ready)));
}

/// I3, I8, I21, I23: a step that is written down, a bake that begins, or a release that has arrived.
fn step_up(case: &mut Case<'_>, status: &Status) {
    let next = case.outcome.next;
    let (Some(attempt), Some(_)) = (status.running(), status.active) else { return };
    let fresh = next.intent.filter(|i| status.intent.is_none_or(|o| (o.step, o.revision) != (i.step, i.revision)));
    let promoted = next.active != status.active;
    let bakes = next.running().is_some_and(|a| a.bake > attempt.bake);
    if fresh.is_none() && !promoted && !bakes {
        return;
    }
    case.must(Law::I21, case.writes().next().is_none(), "a step is written down and done at once");
    let raised = case.outcome.raises.iter().any(|r| *r);
    case.must(Law::I21, !raised, "a raise in the pass that writes it down");
    let wanted = next_step(case, attempt);
    let step = fresh.map_or(wanted, |i| i.step);
    case.must(Law::I8, step == wanted, format!("step {step} after {}", attempt.step));
    case.must(Law::I5, status.aborted != attempt.revision && !case.look.wish.abort, "a step up after the abort");
    let candidate = status.candidate.unwrap_or(Color::Green);
    let slot = look::slot(&case.look.things, candidate);
    if attempt.step == 0 {
        case.must(Law::I2, slot.ready, "the first step before the candidate is ready");
        return;
    }
    let vouched = people::vouched(&case.look.orders, attempt, &next);
    let dark = attempt.weight == 0;
    let good = dark || case.look.signals == [Signal::Good; 2];
    let proved = vouched || good && attempt.entered.is_some_and(|e| e >= 0);
    case.must(Law::I3, proved, format!("step {step} with {:?}", case.look.signals));
    let pass = |n: usize| next.gates[n].is_some_and(|g| g.word == Word::Pass && g.step == attempt.step);
    let told = promoted || bakes || vouched || dark || (pass(0) && pass(1));
    case.must(Law::I21, told, format!("evidence in status: {:?}", next.gates));
    let served = vouched || attempt.remaining == 0 && !attempt.paused;
    case.must(Law::I23, served, format!("{}s of the hold are left", attempt.remaining));
}
