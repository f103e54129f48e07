//! The snapshot as the questions of `decide` see it: plan read, wanted revision known, pause taken off the clocks,
//! gates judged. Small answers about it, and nothing else.

use std::{sync::Arc, time::Duration};

use super::{
    gate::{self, Beside, Measuring, Verdict},
    intent::Intent,
    jobs,
    meant::Meant,
    orders,
    plan::{Plan, Wrong},
    reference, release,
    say::Said,
    snapshot::{DeploymentSeen, ScaleSeen, Snapshot},
    sources,
    stage::Questions,
    trouble::trouble,
    weigh::{self, Weighing},
    workload::Made,
};
use crate::{
    api::{
        LlmRolloutSpec, LlmRolloutStatus, Moment, Percent, Phase,
        aside::Aside,
        found::MetricsFound,
        release::{Owner, Pair},
        status::{Attempt, Color},
    },
    metrics::Question,
    routers::{self, Claim, Follows, Seen, Shares, Trouble, Write, aside::Wanted, webhook::Put},
};

/// Nothing beside the shares.
static NOTHING: Aside = Aside { testers: Vec::new(), mirror: None };

/// How long a data plane that never says whether it follows is waited for.
pub(super) const SETTLE: Duration = Duration::from_secs(10);

/// The snapshot, understood.
pub(super) struct View<'a> {
    pub(super) s: &'a Snapshot,
    pub(super) status: LlmRolloutStatus,
    pub(super) meant: &'a Arc<Meant>,
    pub(super) plan: Result<&'a Plan, &'a Wrong>,
    pub(super) wanted: String,
    /// Why nothing may be raised now.
    pub(super) trouble: Option<Said>,
    /// The Deployments whose pods figures are of, blue's and green's.
    pub(super) pods: [String; 2],
    pub(super) questions: Questions,
    /// What the provider has, as far as it was looked for and can be said.
    pub(super) found: Option<MetricsFound>,
    pub(super) verdicts: Vec<Verdict>,
}

impl<'a> View<'a> {
    pub(super) fn of(s: &'a Snapshot, status: LlmRolloutStatus, meant: &'a Arc<Meant>) -> Self {
        let spec = &s.rollout.spec;
        let plan = meant.plan.as_ref();
        // A manifest that does not say what is wanted wants nothing new.
        let known = || status.attempt.as_ref().map(|a| a.revision.clone()).or_else(|| status.active_revision.clone());
        let wanted = meant.wanted.clone().or_else(known).unwrap_or_default();
        let (questions, verdicts) = (Questions::default(), Vec::new());
        let pods = Color::BOTH.map(|color| release::pods_of(&s.rollout, color));
        let mut view = Self { s, status, meant, plan, wanted, trouble: None, pods, questions, found: None, verdicts };
        if s.rival.is_none() {
            orders::hear(&mut view.status, s, plan.ok());
        }
        let asked = view.running().is_some_and(|a| a.asked.is_some());
        view.trouble = trouble(&view);
        if !spec.paused && !asked && view.trouble.is_none() {
            resume(&mut view.status, s.now);
        }
        view.questions = view.ask_all();
        view.found = sources::found(&view);
        view.verdicts = view.judge();
        view.verdicts.extend(jobs::verdicts(&view));
        view
    }

    pub(super) fn spec(&self) -> &LlmRolloutSpec {
        &self.s.rollout.spec
    }

    pub(super) fn now(&self) -> Moment {
        self.s.now
    }

    /// The release under way, if one is.
    pub(super) fn running(&self) -> Option<&Attempt> {
        self.status.attempt.as_ref().filter(|a| a.ended_at.is_none())
    }

    /// The slot of the release under way.
    pub(super) fn candidate(&self) -> Option<Color> {
        self.running().and(self.status.candidate)
    }

    /// Ready endpoints of a color. Of what is somebody else's nobody tells any: there only routers and gates speak.
    pub(super) fn ready(&self, color: Color) -> i32 {
        if self.unseen() { 1 } else { self.s.color(color).ready }
    }

    /// Whether nothing tells if a color is up.
    pub(super) fn unseen(&self) -> bool {
        matches!(self.spec().release.owner(), Some(Owner::Nobody(_)))
    }

    /// The pair that somebody else owns, if it is one.
    pub(super) fn pair(&self) -> Option<&Pair> {
        match self.spec().release.owner() {
            Some(Owner::Others(pair)) => Some(pair),
            Some(Owner::Operator(_) | Owner::Nobody(_)) | None => None,
        }
    }

    /// The rollout with the template of what we make, if we make anything.
    pub(super) fn made(&self) -> Option<Made<'_>> {
        Made::of(&self.s.rollout)
    }

    /// How many pods of a color there should be, as far as anything tells; one at least.
    pub(super) fn wanted_pods(&self, color: Color) -> i32 {
        let scales = self.s.color(color).scales.iter().filter(|_| self.pair().is_some());
        let others = scales.filter_map(|scale| match scale {
            ScaleSeen::There { wanted, .. } => Some(*wanted),
            ScaleSeen::Gone | ScaleSeen::Untold(_) => None,
        });
        let ours = self.deployment(color).map(|d| d.wanted);
        ours.unwrap_or_else(|| others.fold(0, i32::saturating_add).max(1))
    }

    /// The Deployment of a color, if it is for us to make and to retire.
    pub(super) fn deployment(&self, color: Color) -> Option<&DeploymentSeen> {
        self.made().and(self.s.color(color).deployment.as_ref())
    }

    pub(super) fn going_back(&self) -> bool {
        self.status.phase == Some(Phase::RollingBack)
    }

    /// The Deployment whose pods the figures of a color are of.
    pub(super) fn pods(&self, color: Color) -> &str {
        let [blue, green] = &self.pods;
        match color {
            Color::Blue => blue,
            Color::Green => green,
        }
    }

    /// The routers that can be driven, with what they claim.
    pub(super) fn routers(&self) -> impl Iterator<Item = (Claim<'_>, &Seen)> {
        let claims = self.spec().traffic.iter().filter_map(Claim::of);
        claims.zip(&self.s.routers).filter_map(|(claim, seen)| Some((claim, seen.state.as_ref().ok()?)))
    }

    /// The writes that bring every router to the shares of `color` at `weight`, and to what is to stand beside them; none
    /// when all stand there.
    pub(super) fn writes(&self, color: Color, weight: Percent, aside: &Aside) -> Vec<Intent> {
        self.by_router(color, weight, aside).into_iter().flatten().map(Intent::from).collect()
    }

    /// The same, router by router: one that is two objects has two writes, in an order of their own.
    fn by_router(&self, color: Color, weight: Percent, aside: &Aside) -> Vec<Vec<Write>> {
        let beside = self.wanted_beside(aside);
        let mut all: Vec<_> = self
            .routers()
            .map(|(claim, seen)| (claim, seen, Shares::giving(color, claim.share_at(weight))))
            .filter(|(_, seen, to)| seen.shares != *to || !seen.exact || !seen.holds(beside))
            .collect();
        // The router that sends most is raised last and lowered first; a selector always sends everything. A webhook may
        // keep us waiting: nothing is raised before it, and everything else is lowered before it.
        all.sort_by_key(|(claim, _, _)| (!claim.splits(), !matches!(claim, Claim::Webhook(_))));
        all.iter().map(|(_, seen, to)| routers::write_beside(seen, *to, beside)).collect()
    }

    /// The writes that take back what the candidate has beyond `high`, and make explicit what is not; never one that gives
    /// it more than it stands confirmed at, `low`.
    pub(super) fn lowerings(&self, candidate: Color, low: Percent, high: Percent) -> Vec<Intent> {
        let lowered = self.routers().filter_map(|(claim, seen)| {
            let (has, may, stood) = (seen.shares.of(candidate), claim.share_at(high), claim.share_at(low));
            let to = if seen.exact { may.min(has) } else { stood.min(may) };
            let beside = self.may_stand().map(|aside| self.wanted_beside(aside)).find(|wanted| seen.holds(*wanted));
            let to = Shares::giving(candidate, to);
            let write = || routers::write_beside(seen, to, beside.unwrap_or(self.wanted_beside(self.stands())));
            (has > may || !seen.exact || beside.is_none()).then(write)
        });
        lowered.flatten().map(Intent::from).collect()
    }

    /// The writes that bring everything home to `color`, the selector first. A webhook that tells nothing is told all the
    /// same, last: it may hear though it does not speak.
    pub(super) fn home(&self, color: Color) -> Vec<Intent> {
        let shares = Shares::giving(color, Percent::ALL);
        let told = self.unheard().map(|(webhook, _)| Intent::Put(Put { webhook, version: None, shares }));
        self.known_home(color).into_iter().chain(told).collect()
    }

    /// The same of what can be read.
    pub(super) fn known_home(&self, color: Color) -> Vec<Intent> {
        self.by_router(color, Percent::ALL, &NOTHING).into_iter().rev().flatten().map(Intent::from).collect()
    }

    /// The webhooks of which nothing is known, and why.
    pub(super) fn unheard(&self) -> impl Iterator<Item = (String, &Trouble)> {
        let claims = self.spec().traffic.iter().filter_map(Claim::of);
        claims.zip(&self.s.routers).filter_map(|(claim, seen)| {
            let Claim::Webhook(router) = claim else { return None };
            Some((router.name.clone(), seen.state.as_ref().err()?))
        })
    }

    /// The writes that give `color` everything, whether it has it already or not: the way back on trial.
    pub(super) fn rewrites(&self, color: Color) -> Vec<Intent> {
        let (all, beside) = (Shares::giving(color, Percent::ALL), self.wanted_beside(&NOTHING));
        self.routers().flat_map(|(_, seen)| routers::write_beside(seen, all, beside)).map(Intent::from).collect()
    }

    /// The largest share that any router gives a color.
    pub(super) fn share(&self, color: Color) -> Percent {
        self.routers().map(|(_, seen)| seen.shares.of(color)).max().unwrap_or_default()
    }

    /// Whether a router gives the candidate less, or more, than a release standing at `low` … `high` does.
    pub(super) fn strays(&self, candidate: Color, low: Percent, high: Percent) -> Option<Stray> {
        let share = |claim: Claim<'_>, w| claim.share_at(w);
        // What a step that is written down puts there, or takes away, may be missing.
        let missing = |seen: &Seen| self.status.intent.is_none() && seen.lacks(self.wanted_beside(self.stands()));
        let beside = |seen: &Seen| self.may_stand().any(|aside| seen.holds(self.wanted_beside(aside)));
        let below = self.routers().any(|(c, seen)| seen.shares.of(candidate) < share(c, low) || missing(seen));
        let above =
            self.routers().any(|(c, seen)| seen.shares.of(candidate) > share(c, high) || !seen.exact || !beside(seen));
        if below { Some(Stray::Below) } else { above.then_some(Stray::Above) }
    }

    /// What stands confirmed beside the shares.
    pub(super) fn stands(&self) -> &Aside {
        self.running().filter(|_| !self.going_back()).map_or(&NOTHING, |a| &a.aside)
    }

    /// This beside the shares, for the color that does not serve. A filter has no name, so it counts as ours from when one is
    /// written down until it is seen to be gone.
    pub(super) fn wanted_beside<'b>(&self, aside: &'b Aside) -> Wanted<'b> {
        let known = self.running().map(|a| &a.aside).into_iter().chain(self.status.intent.as_ref().map(|i| &i.aside));
        let ours = known.into_iter().any(|aside| aside.mirror.is_some());
        Wanted { aside, color: self.status.active.map_or(Color::Green, Color::other), ours }
    }

    /// What of copies and testers a router was seen to hold.
    pub(super) fn beside(&self, seen: &Seen) -> (Option<i32>, bool) {
        let Wanted { color, ours, .. } = self.wanted_beside(&NOTHING);
        let room = seen.room.as_ref();
        (room.filter(|_| ours).and_then(|room| room.mirrors(color)), room.is_some_and(|room| room.sends_testers()))
    }

    /// What may stand there now: what is confirmed, and what is written down.
    fn may_stand(&self) -> impl Iterator<Item = &Aside> {
        [self.stands()].into_iter().chain(self.status.intent.as_ref().map(|i| &i.aside))
    }

    /// Whether every data plane says it follows, or has had its time to.
    pub(super) fn followed(&self, since: Moment) -> bool {
        let said = self.routers().all(|(_, seen)| seen.follows == Follows::Yes);
        said || self.now().since(since) >= SETTLE
    }

    /// The words of a data plane that refuses.
    pub(super) fn refusal(&self) -> Option<String> {
        self.routers().find_map(|(claim, seen)| match &seen.follows {
            Follows::Refuses(words) => Some(format!("{}: {words}", claim.name())),
            Follows::Yes | Follows::NotYet => None,
        })
    }

    /// The statistical gates with what has come back.
    pub(super) fn weighings(&self) -> Vec<Weighing<'_>> {
        let of = |q: &Question| self.s.readings.get(q).map(Vec::as_slice).unwrap_or_default();
        let patience = self.plan.ok().and_then(|plan| self.stage(plan).max_hold);
        let gates = self.questions.gates.iter().filter(|asked| asked.question.raw.is_some());
        gates.filter_map(|asked| Weighing::of(asked, of(&asked.question), patience, self.now())).collect()
    }

    fn judge(&self) -> Vec<Verdict> {
        let Some(attempt) = self.running() else { return Vec::new() };
        let weighings = self.weighings();
        let failing = weigh::failing(&weighings);
        let judged = self.questions.gates.iter().map(|asked| {
            let m = Measuring {
                step: attempt.step,
                entered: asked.question.since,
                clock_from: attempt.clock_from,
                watching_since: self.s.watching_since,
                now: self.now(),
                color: self.candidate(),
            };
            let of = |q: &Question| self.s.readings.get(q).map(Vec::as_slice).unwrap_or_default();
            let old = self.status.gates.iter().find(|o| o.name == asked.gate.name);
            if let Some(weighing) = weighings.iter().find(|w| w.gate.name == asked.gate.name) {
                return weigh::judge(weighing, failing.contains(&asked.gate.name), old, m);
            }
            let beside = Beside {
                readings: asked.beside.as_ref().map(of).unwrap_or_default(),
                serves: self.side_by_side(),
                kept: reference::kept(self, &asked.gate.name),
            };
            let mut verdict = gate::judge(&asked.gate, of(&asked.question), beside, old, m);
            verdict.status.query = asked.question.mark();
            if let Some(shown) = &asked.shown {
                gate::show(&asked.gate, of(shown), &mut verdict.status, m);
            }
            verdict
        });
        judged.collect()
    }
}

/// How the routers differ from where the release stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stray {
    /// The candidate gets less.
    Below,
    /// The candidate gets more, or the shares do not stand there explicitly.
    Above,
}

/// Takes a standstill that has ended off the clocks: a hold is never shorter for it, a deadline never nearer.
fn resume(status: &mut LlmRolloutStatus, now: Moment) {
    if let Some(attempt) = status.attempt.as_mut()
        && let Some(since) = attempt.paused_at.take()
    {
        // Both instants are cut to whole seconds: one more, so that no hold is ever short.
        let pause = now.since(since) + Duration::from_secs(1);
        attempt.hold_until = attempt.hold_until.map(|at| at.plus(pause));
        attempt.clock_from = now;
    }
}

/// The clocks stand still from now on.
pub(super) fn stop_clocks(status: &mut LlmRolloutStatus, now: Moment) {
    if let Some(attempt) = status.attempt.as_mut().filter(|a| a.ended_at.is_none()) {
        attempt.paused_at = attempt.paused_at.or(Some(now));
    }
}
