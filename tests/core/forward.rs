//! What forward without evidence is, and what else no single decision may do, whatever status, manifest and world it is
//! made on. Reads the manifest through `Plan`, and everything else with eyes of its own.
//!
//! Forward is: a share raised for a color that does not serve, a step up written down, a step taken for confirmed, and the
//! release taken for arrived. Each rests on something: a step that was written down before (I21), a person's word, a
//! revision known to be good, a candidate that is up (the first step), or a fresh Pass of every gate that speaks (I3).

use llmrollout::{
    api::{
        LlmRolloutStatus, Moment, Percent, Phase,
        gates::{ComparedTo, Metric, Severity},
        labels,
        order::Verb,
        release::Owner,
        status::{Attempt, Color, StepIntent},
    },
    decide::{
        Decision, Intent, Snapshot,
        criterion::Test,
        intent::OwnedKind,
        plan::{Plan, PlannedGate},
        proof::Proof,
        release::wanted,
        snapshot::{GateSetSeen, JobSeen, ScaleSeen},
        workload,
    },
    metrics::{self, Question, Reading, Subject, raw::What},
    routers::{Claim, GuardedPatch, PatchKind, Place, Seen, Shares, grant::Reference},
    stats::strata::Health,
};

use serde_json::Value;

use super::sights::{OTHER_JOB, to_route};

/// The first law that a decision breaks, in words.
pub(crate) fn broken(s: &Snapshot, d: &Decision) -> Option<String> {
    let before = s.rollout.status.clone().unwrap_or_default();
    let case = Case { s, d, before };
    let laws = [
        Case::looks_first,
        Case::writes,
        Case::groups,
        Case::intent,
        Case::confirmed,
        Case::arrival,
        Case::frame,
        Case::home,
        Case::kept,
    ];
    laws.iter().find_map(|law| law(&case).err())
}

/// The case, for people.
pub(crate) fn shown(s: &Snapshot, d: &Decision) -> String {
    let rollout = serde_json::json!({"spec": s.rollout.spec, "status": s.rollout.status});
    let seen = (&s.blue, &s.green, &s.routers, &s.orders, &s.dependencies, &s.rival, s.live, s.now, s.watching_since);
    let readings: Vec<_> = s.readings.iter().map(|(q, r)| (q.value.to_string(), r)).collect();
    let phase = (d.next.phase, d.next.reason, &d.next.message);
    format!(
        "rollout {rollout}\nseen {seen:?}\nreadings {readings:?}\n{phase:?}\nintents {:?}\nnext {:?}",
        d.intents, d.next
    )
}

struct Case<'a> {
    s: &'a Snapshot,
    d: &'a Decision,
    before: LlmRolloutStatus,
}

type Law = Result<(), String>;

fn demand(holds: bool, words: &str) -> Law {
    if holds { Ok(()) } else { Err(words.to_owned()) }
}

impl Case<'_> {
    /// Nothing is done on a decision that has to be made again, and a live look is always enough.
    fn looks_first(&self) -> Law {
        demand(!(self.d.wants_live && self.s.live), "a live snapshot must be enough")?;
        demand(!self.d.wants_live || self.d.intents.is_empty(), "what has to be looked at first is not done yet")
    }

    fn running(&self) -> Option<&Attempt> {
        self.before.attempt.as_ref().filter(|a| a.ended_at.is_none())
    }

    /// The slot of a release: never the one that serves, whatever status says.
    fn candidate(&self) -> Color {
        self.before.active.map(Color::other).or(self.before.candidate).unwrap_or(Color::Blue)
    }

    fn stands_still(&self) -> bool {
        self.s.rollout.spec.paused || self.s.rollout.spec.abort || self.s.rival.is_some()
    }

    fn sent_back(&self) -> bool {
        self.d.next.orders.iter().any(|o| o.taken && matches!(o.verb, Verb::Abort | Verb::Reject))
    }

    fn patches(&self) -> impl Iterator<Item = &GuardedPatch> {
        self.d.intents.iter().filter_map(|i| match i {
            Intent::Patch(p) => Some(p),
            Intent::Put(_) | Intent::Apply(_) | Intent::Delete { .. } | Intent::Scale { .. } => None,
        })
    }

    /// The routers that can be driven, each with what it claims.
    fn drivable(&self) -> impl Iterator<Item = (Claim<'_>, &Seen)> {
        let claims = self.s.rollout.spec.traffic.iter().filter_map(Claim::of).zip(&self.s.routers);
        claims.filter_map(|(claim, r)| Some((claim, r.state.as_ref().ok()?)))
    }

    /// The one of this kind and name.
    fn router(&self, of: (PatchKind, &str)) -> Option<(Claim<'_>, &Seen)> {
        self.drivable().find(|(claim, _)| claim.is(of.0, of.1))
    }

    /// I1, I2, I5, I6, I7, I8: what is written to routers.
    fn writes(&self) -> Law {
        for patch in self.patches() {
            demand(patch.ops[0]["path"] == "/metadata/resourceVersion", "I6: every patch is guarded")?;
            let Some((claim, seen)) = self.router((patch.kind, &patch.name)) else { continue };
            demand(patch.namespace.as_deref() == claim.namespace(), "I14: an object of another namespace is written")?;
            self.beside(patch)?;
            if matches!(seen.place, Place::Members { .. }) {
                continue;
            }
            demand(patch.ops[0]["value"] == seen.version.as_str(), "I6: by the version that was seen")?;
            self.gives(claim, seen, written(patch, seen).ok_or("a patch of a router writes shares")?)?;
        }
        let puts = self.d.intents.iter().filter_map(|i| if let Intent::Put(put) = i { Some(put) } else { None });
        for put in puts {
            let unheard =
                self.s.routers.iter().any(|r| r.state.is_err() && r.name == format!("webhook/{}", put.webhook));
            let blind = unheard && put.version.is_none();
            match self.router((PatchKind::Webhook, &put.webhook)).filter(|_| !blind) {
                None => demand(self.d.home && put.version.is_none(), "nobody unknown is told anything but to go home")?,
                Some((claim, seen)) => {
                    demand(put.version.as_ref() == Some(&seen.version), "I6: by the version that was heard")?;
                    self.gives(claim, seen, put.shares)?;
                }
            }
        }
        Ok(())
    }

    /// The same of two objects that are one router: each by its own version, never both without weight, and never beyond where
    /// it was and is to be.
    fn groups(&self) -> Law {
        for (claim, seen) in self.drivable() {
            let Place::Members { blue, green } = &seen.place else { continue };
            let patches: Vec<_> = self.patches().filter(|p| claim.is(p.kind, &p.name)).collect();
            let mut now = [blue.weight, green.weight];
            for (n, patch) in patches.iter().enumerate() {
                let of = usize::from(patch.name == green.name);
                let member = [blue, green][of];
                demand(patch.ops[0]["value"] == member.version.as_str(), "I6: by the version that was seen")?;
                demand(patch.ops[1]["value"] == member.group.as_str(), "I6: in the group that was seen")?;
                let weight = patch.ops.last().and_then(|op| op["value"].as_i64()).ok_or("a group has weights")?;
                now[of] = i32::try_from(weight).map_err(|e| e.to_string())?;
                demand(now[0] >= 0 && now[1] >= 0 && now[0] + now[1] > 0, "I1: a group without any weight")?;
                demand(n > 0 || patches.len() == 2, "I1: half of a group is written")?;
            }
            if !patches.is_empty() {
                self.gives(claim, seen, shares_of(now[0], now[1]))?;
            }
        }
        Ok(())
    }

    /// What a dark step puts beside the shares reaches the candidate, and rests on what a share of its rests on.
    fn beside(&self, patch: &GuardedPatch) -> Law {
        let puts = |op: &&Value| {
            let at = op["path"].as_str().unwrap_or_default();
            op["op"] == "add" && (at == "/spec/rules/-" || at.contains("/filters"))
        };
        for op in patch.ops.iter().filter(puts) {
            let attempt = self.running().ok_or("I5: nothing is under way, and something is put beside the shares")?;
            demand(self.s.live, "what is put beside the shares rests on a live look")?;
            demand(!self.stands_still() && !self.sent_back(), "I7: pause, abort and a rival stop it")?;
            demand(self.before.phase != Some(Phase::RollingBack), "I5: what goes back gets nothing")?;
            demand(self.granted(), "what nobody allows gets nothing")?;
            demand(self.ready(self.candidate()) > 0, "I2: what is put beside the shares needs a ready endpoint")?;
            let meant = self.before.intent.as_ref().is_some_and(|i| i.weight == 0 && !i.aside.is_nothing());
            let stood = attempt.weight == 0 && !attempt.aside.is_nothing();
            demand(meant || stood, "I21: it is written down before it is done")?;
            let to = ["/backendRefs/0/name", "/requestMirror/backendRef/name", "/0/requestMirror/backendRef/name"];
            let to = to.iter().find_map(|path| op["value"].pointer(path));
            let candidate = format!("chat-{}", self.candidate().word());
            demand(to.is_some_and(|to| *to == candidate.as_str()), "it reaches the candidate and nobody else")?;
        }
        Ok(())
    }

    /// Whether all that is referred to in other namespaces is allowed there.
    fn granted(&self) -> bool {
        let granted = |reference: &Reference| reference.granted(&self.s.grants);
        let ours = self.s.rollout.spec.traffic.iter().filter_map(Claim::of).filter_map(to_route);
        ours.into_iter().all(|reference| granted(&reference))
            && self.drivable().all(|(_, seen)| seen.crosses.iter().all(|(_, reference)| granted(reference)))
    }

    /// I7: whatever else is the matter, an abort takes away what the candidate has, wherever that can be written.
    fn home(&self) -> Law {
        let meta = &self.s.rollout.metadata;
        let ours =
            meta.finalizers.iter().flatten().any(|f| f == labels::FINALIZER) && meta.deletion_timestamp.is_none();
        let (Some(active), true) = (self.before.active, self.s.rollout.spec.abort && ours && self.s.live) else {
            return Ok(());
        };
        if self.running().is_none() || self.s.rival.is_some() || self.ready(active) == 0 {
            return Ok(());
        }
        for (claim, _) in self.drivable().filter(|(_, seen)| seen.shares.of(active.other()) > 0) {
            let written = self.patches().any(|p| claim.is(p.kind, &p.name));
            let told = self.d.intents.iter().any(|i| matches!(i, Intent::Put(put) if put.webhook == claim.object().1));
            demand(written || told, &format!("I7: an abort leaves {} as it is", claim.name()))?;
        }
        Ok(())
    }

    fn gives(&self, claim: Claim<'_>, seen: &Seen, after: Shares) -> Law {
        let sound = after.blue >= 0 && after.green >= 0 && after.blue == after.green.rest();
        demand(sound, &format!("I1: shares {}/{}", after.blue, after.green))?;
        for color in Color::BOTH.into_iter().filter(|c| after.of(*c) > seen.shares.of(*c)) {
            demand(self.ready(color) > 0, "I2: a raise needs a ready endpoint")?;
            self.raise(claim, color, after.of(color))?;
        }
        Ok(())
    }

    fn raise(&self, claim: Claim<'_>, color: Color, share: Percent) -> Law {
        if self.s.rollout.metadata.deletion_timestamp.is_some() {
            return demand(self.d.home, "on leaving everything goes to one healthy color");
        }
        let old = self.before.retiring.as_ref().map(|r| r.color);
        if self.before.active == Some(color) || (old == Some(color) && self.d.home) {
            return Ok(());
        }
        let attempt = self.running().ok_or("I5: nothing is under way, and something is raised")?;
        demand(self.candidate() == color, "only the candidate is raised")?;
        demand(self.s.live, "a raise rests on a live look")?;
        demand(!self.stands_still() && !self.sent_back(), "I7: pause, abort and a rival stop raises")?;
        demand(self.before.phase != Some(Phase::RollingBack), "I5: what goes back is not raised")?;
        demand(self.granted(), "what nobody allows is not raised")?;
        if self.before.active.is_none() {
            return demand(share == 100, "the first install gets everything");
        }
        let intent = self.before.intent.as_ref().ok_or("I21: a raise is written down before it is done")?;
        demand(claim.share_at(intent.weight) == share, "I8: exactly the step that was written down")?;
        demand(intent.revision == attempt.revision, "I5: the step was written down for this revision")?;
        demand(self.wanted() == attempt.revision, "nothing is raised that is no longer wanted")?;
        let pods = i64::from(self.pods(color));
        demand(
            i64::from(self.ready(color)) * 1000 >= pods * i64::from(intent.weight.tenths()),
            "I2: endpoints enough for the share",
        )
    }

    fn wanted(&self) -> String {
        wanted(&self.s.rollout.spec.release).unwrap_or_default()
    }

    /// Whether somebody else deploys, and nobody tells what is ready.
    fn external(&self) -> bool {
        matches!(self.s.rollout.spec.release.owner(), Some(Owner::Nobody(_)))
    }

    /// Whether the operator makes what is released.
    fn made(&self) -> bool {
        matches!(self.s.rollout.spec.release.owner(), Some(Owner::Operator(_)) | None)
    }

    /// Pods that a color should have.
    fn pods(&self, color: Color) -> i32 {
        let seen = self.s.color(color);
        if self.made() {
            return seen.deployment.as_ref().map_or(1, |d| d.wanted);
        }
        let told = seen.scales.iter().filter_map(|scale| match scale {
            ScaleSeen::There { wanted, .. } => Some(*wanted),
            _ => None,
        });
        if self.external() { 1 } else { told.sum::<i32>().max(1) }
    }

    fn ready(&self, color: Color) -> i32 {
        if self.external() { 1 } else { self.s.color(color).ready }
    }

    /// I3, I5, I7, I20, I21: a step up that is written down.
    fn intent(&self) -> Law {
        // What an odd status means to put beside a share is forgotten, and no new step for it.
        let same = |new: &StepIntent, old: &StepIntent| {
            let aside = if new.aside.is_nothing() { new.aside.clone() } else { old.aside.clone() };
            *new == StepIntent { aside, ..old.clone() }
        };
        let known = |i: &StepIntent| self.before.intent.as_ref().is_some_and(|old| same(i, old));
        let Some(intent) = self.d.next.intent.as_ref().filter(|i| !known(i)) else { return Ok(()) };
        demand(self.d.intents.is_empty(), "I21: a step is durable before its effect")?;
        let attempt = self.forward()?;
        demand(intent.revision == attempt.revision, "a step is for the revision under way")?;
        let plan = self.plan()?;
        demand(self.before.active.is_some(), "the first revision takes no steps")?;
        let place = (1..).zip(&plan.steps).find(|(n, s)| (*n, s.weight) == (intent.step, intent.weight));
        demand(place.is_some(), "I8: only a step of the manifest is written down")?;
        let confirmed = attempt.step_entered_at.map_or(Percent::of(-1), |_| attempt.weight);
        demand(intent.weight > confirmed, "I8: never the same step again, or a lower one")?;
        let vouched = attempt.promoted || attempt.fast_track;
        let between = plan.steps.iter().any(|s| s.weight > confirmed && s.weight < intent.weight);
        demand(vouched || !between, "I8: no step is left out")?;
        self.proved(attempt, &plan)
    }

    /// The attempt under way, when nothing keeps it from going on.
    fn forward(&self) -> Result<&Attempt, String> {
        self.running().ok_or("forward, and nothing is under way")?;
        let attempt = self.d.next.attempt.as_ref().ok_or("forward, and the attempt is gone")?;
        demand(!self.stands_still() && !self.sent_back(), "I7: pause, abort and a rival stop a release")?;
        demand(self.before.phase != Some(Phase::RollingBack), "I5: what goes back does not go on")?;
        demand(attempt.asked.is_none(), "a person was asked and has not answered")?;
        demand(self.wanted() == attempt.revision, "forward with what is no longer wanted")?;
        demand(
            self.before.aborted_revision.as_ref() != Some(&attempt.revision),
            "I5: forward with what was taken back",
        )?;
        demand(self.s.routers.iter().all(|r| r.state.is_ok()), "forward with a router that cannot be driven")?;
        demand(self.granted(), "forward with a reference that nobody allows")?;
        let there = |set: &String| matches!(self.s.gate_sets.get(set), Some(GateSetSeen::There(_)));
        let mut sets = self.s.rollout.spec.gates.iter().filter_map(|g| g.gate_set.as_ref());
        demand(sets.all(there), "forward with a set of gates that is not there")?;
        Ok(attempt)
    }

    fn plan(&self) -> Result<Plan, String> {
        Plan::read(&self.s.rollout.spec, self.s.around()).map_err(|_| "forward on a manifest that is wrong".to_owned())
    }

    /// I11: a step counts as entered when it was written down before and the routers were seen to hold it.
    fn confirmed(&self) -> Law {
        let (Some(old), Some(new)) = (self.running(), &self.d.next.attempt) else { return Ok(()) };
        if old.id != new.id
            || new.ended_at.is_some()
            || (new.weight <= old.weight.max(Percent::NONE) && new.step <= old.step.max(0))
        {
            return Ok(());
        }
        let intent = self.before.intent.as_ref().ok_or("I11: a step was entered that was not written down")?;
        demand((intent.step, intent.weight) == (new.step, new.weight), "I11: another step was entered")?;
        let candidate = self.candidate();
        let claims = self.s.rollout.spec.traffic.iter().filter_map(Claim::of).zip(&self.s.routers);
        for (claim, seen) in claims {
            let share = seen.state.as_ref().map(|seen| seen.shares.of(candidate));
            demand(share == Ok(claim.share_at(new.weight)), "I11: entered, and the routers do not hold it")?;
        }
        Ok(())
    }

    /// Another color serves from now on: it was installed, found, or has been proved at 100 %; or an abort goes back.
    fn arrival(&self) -> Law {
        let (old, new) = (self.before.active, self.d.next.active);
        let Some(color) = new.filter(|_| new != old) else { return Ok(()) };
        if self.before.retiring.as_ref().is_some_and(|r| r.color == color) && self.d.home {
            return demand(self.s.rollout.spec.abort || self.sent_back(), "back to the old color without an order");
        }
        demand(self.ready(color) > 0 || old.is_some() || !self.made(), "what serves is ready")?;
        if old.is_none() {
            return Ok(());
        }
        let attempt = self.forward()?;
        demand(self.candidate() == color, "only the candidate arrives")?;
        demand(
            attempt.step_entered_at.is_some() && attempt.weight >= 100,
            "I3: arrived without having had everything",
        )?;
        self.proved(attempt, &self.plan()?)
    }

    /// I9 and I19: what serves is not touched while something is under way, and nothing is deleted with traffic on it.
    fn frame(&self) -> Law {
        for intent in &self.d.intents {
            let (name, deployment) = match intent {
                Intent::Apply(o) => (&o.name, o.body["kind"] == "Deployment"),
                Intent::Patch(p) => (&p.name, p.kind == PatchKind::Deployment),
                Intent::Put(put) => (&put.webhook, false),
                Intent::Delete { kind, name, .. } => (name, *kind == OwnedKind::Deployment),
                Intent::Scale { path, .. } => (path, false),
            };
            let leaving = self.s.rollout.metadata.deletion_timestamp.is_some();
            let serves = self.before.active.is_some_and(|c| *name == workload::deployment_of(&self.s.rollout, c));
            let made = deployment || matches!(intent, Intent::Apply(o) if o.body["kind"] == "Service");
            demand(leaving || !made || self.made(), "what somebody else deploys is made or scaled")?;
            self.scaled(intent)?;
            demand(leaving || !deployment || !serves || self.running().is_none(), "I9: what serves is touched")?;
            let deleted = deployment && matches!(intent, Intent::Delete { .. });
            demand(!deleted || !serves, "I9: what serves is deleted")?;
            self.floor(intent, serves)?;
            let paused = self.s.rollout.spec.paused && !leaving;
            demand(
                !(paused && matches!(intent, Intent::Apply(_) | Intent::Delete { .. })),
                "I7: a pause stops scaling",
            )?;
        }
        Ok(())
    }

    /// No autoscaler of what serves may take it below what served when the release began.
    fn floor(&self, intent: &Intent, serves: bool) -> Law {
        let Intent::Apply(owned) = intent else { return Ok(()) };
        let Some(size) = self.running().and_then(|a| a.size).filter(|_| serves) else { return Ok(()) };
        let of = |[min, max]: [&str; 2]| Some((owned.body["spec"][min].as_i64()?, owned.body["spec"][max].as_i64()?));
        let bounds = match owned.kind {
            OwnedKind::HorizontalPodAutoscaler => of(["minReplicas", "maxReplicas"]),
            OwnedKind::ScaledObject => of(["minReplicaCount", "maxReplicaCount"]),
            OwnedKind::Deployment | OwnedKind::Service | OwnedKind::Job => return Ok(()),
        };
        let (min, max) = bounds.ok_or("an autoscaler has two bounds")?;
        demand(i64::from(size) <= min && min <= max, "I9: what serves may be scaled below what it was")
    }

    /// What somebody else owns goes to zero only when its release is over, and nothing is on it.
    fn scaled(&self, intent: &Intent) -> Law {
        let Intent::Scale { path, version } = intent else { return Ok(()) };
        let old = self.before.retiring.as_ref().map(|r| r.color).ok_or("scaled, and nothing is being retired")?;
        demand(self.s.rollout.spec.release.pair.is_some(), "only what a pair lists is scaled")?;
        demand(self.s.live && !self.stands_still(), "I7, I9: scaled on a live look, and while nothing stands still")?;
        demand(path.contains(&format!("chat-{}/", old.word())) && version == "11", "scaled as it was seen")?;
        demand(self.before.active != Some(old) && self.ready(old.other()) > 0, "I9: what serves is scaled")?;
        let seen = self.s.routers.iter().filter_map(|r| r.state.as_ref().ok());
        demand(seen.into_iter().all(|seen| seen.shares.of(old) == 0), "I9: scaled with traffic on it")
    }

    /// Status is the same after a round trip through the API server, or the next process reads something else.
    fn kept(&self) -> Law {
        let text = serde_json::to_string(&self.d.next).map_err(|e| e.to_string())?;
        let read: LlmRolloutStatus = serde_json::from_str(&text).map_err(|e| format!("status cannot be read: {e}"))?;
        demand(read == self.d.next, "status reads otherwise than it was written")
    }

    /// I3: what a stage must show before the next one begins.
    fn proved(&self, attempt: &Attempt, plan: &Plan) -> Law {
        let candidate = self.candidate();
        let Some(entered) = attempt.step_entered_at else {
            if !self.made() {
                return demand(self.ready(candidate) > 0, "the first step begins when the candidate answers");
            }
            let seen = self.s.color(candidate);
            let up = seen.deployment.as_ref().is_some_and(|d| d.settled && d.ready >= 1 && d.ready >= d.wanted);
            return demand(up && seen.ready > 0, "the first step begins when the candidate is up");
        };
        if attempt.skipped || attempt.fast_track || (attempt.promoted && attempt.weight < 100) {
            return Ok(());
        }
        demand(!plan.manual || attempt.bake > 0, "people alone decide, and nobody did")?;
        let step = plan.steps.iter().find(|s| s.weight == attempt.weight).filter(|_| attempt.bake == 0);
        let enough = step.and_then(|s| s.max_requests).is_some_and(|most| self.requests(attempt, plan) >= Some(most));
        demand(enough || attempt.hold_until.is_none_or(|until| self.s.now >= until), "the hold is not served")?;
        let few = step.and_then(|s| s.min_requests).is_some_and(|least| self.requests(attempt, plan) < Some(least));
        demand(!few, "too few requests")?;
        let bake = usize::try_from(attempt.bake).ok().and_then(|n| plan.bakes.get(n.checked_sub(1)?));
        let named =
            if attempt.bake > 0 { bake.and_then(|b| b.gates.as_ref()) } else { step.and_then(|s| s.gates.as_ref()) };
        let speaks = |g: &&PlannedGate| match named {
            Some(only) => only.contains(&g.name),
            None if attempt.bake > 0 => g.in_bakes && can_speak(g, attempt),
            None => g.in_steps && can_speak(g, attempt),
        };
        // Testers and copies are ours: nobody can demand silence of them.
        let ours = !attempt.aside.is_nothing();
        let heard = |g: &&PlannedGate| speaks(g) && !(ours && demands_silence(g));
        let speaking: Vec<&PlannedGate> = plan.gates.iter().map(AsRef::as_ref).filter(heard).collect();
        let may_be_silent = attempt.weight == 0 || plan.manual;
        demand(may_be_silent || !speaking.is_empty(), "I3: forward, and no gate has spoken")?;
        for gate in speaking.into_iter().filter(|g| g.severity != Severity::Warn) {
            if let Some(proof) = gate.test.proof().filter(|proof| !proof.mean || attempt.weight < 100) {
                self.weighed(proof, entered, attempt.weight).map_err(|why| format!("I3: {} {why}", gate.name))?;
                continue;
            }
            if let Subject::Job(job) = &gate.subject {
                self.reported(gate, &job.field).map_err(|why| format!("I3: {} {why}", gate.name))?;
                continue;
            }
            // What aborts at once looks from the first share on.
            let from_the_first = attempt.clock_from.max(attempt.started_at).min(entered);
            let aborts = gate.severity == Severity::Abort;
            let since = if aborts { from_the_first } else { entered.max(self.warm(attempt, plan)) };
            let readings = self.readings(plan, since, candidate, (&gate.subject, gate.window, gate.interval), aborts);
            let newest = readings.last().ok_or(format!("I3: {} has no reading of this stage", gate.name))?;
            let reference = self.reference(attempt, plan, gate, since);
            self.passes(gate, newest, reference).map_err(|why| format!("I3: {} {why}", gate.name))?;
        }
        Ok(())
    }

    /// F25: when the candidate's pods are warm, by what is told of them now and what was written down of them.
    fn warm(&self, attempt: &Attempt, plan: &Plan) -> Moment {
        let told = self.s.color(self.candidate()).changed_at.map(Moment::unix).unwrap_or_default();
        let believed = if told > self.s.now.unix() + 60 { 0 } else { told.min(self.s.now.unix()) };
        let changed = attempt.pods_changed_at.map(Moment::unix).unwrap_or_default().max(believed);
        if changed == 0 { entered_long_ago() } else { Moment::from_unix(changed).plus(plan.warm_up) }
    }

    /// What a Job must have left behind: a number under its name that holds, from the Job of this very stage.
    fn reported(&self, gate: &PlannedGate, field: &str) -> Law {
        let mut own = self.s.jobs.iter().filter(|(name, _)| *name != OTHER_JOB).map(|(_, seen)| seen);
        let Some(JobSeen::Done { words: Ok(words), .. }) = own.next() else {
            return Err("has no Job of this stage that ended well".to_owned());
        };
        let told: serde_json::Value = serde_json::from_str(words).map_err(|e| e.to_string())?;
        let number = told[field].as_f64().ok_or("has no number")?;
        let band = gate.test.band(None).ok_or("has no limit of its own")?;
        demand(number.is_finite() && !band.breaks(number), "is outside its limits")
    }

    /// What evidence must say: every view of the stage's own, fresh, by itself, with nothing odd about it.
    fn weighed(&self, proof: Proof, entered: Moment, weight: Percent) -> Law {
        let bound = proof.max.is_some() || weight == 100;
        let fits = |q: &&Question| {
            let raw = q.raw.as_ref();
            raw.is_some_and(|raw| {
                let stage = raw.stages.last().is_some_and(|stage| (stage.weight, stage.at) == (weight, entered));
                stage && bound == matches!(raw.demand.what, What::Bound(_)) && !raw.views.is_empty()
            })
        };
        let question = self.s.readings.keys().find(fits).ok_or("was not asked about this stage")?;
        let mut readings = self.s.readings.get(question).into_iter().flatten();
        let newest = readings.rfind(|r| r.at <= self.s.now).ok_or("has no reading")?;
        demand(newest.outcome.is_ok(), "has no data")?;
        demand(self.s.now.unix() - newest.at.unix() <= 50, "is stale")?;
        demand(newest.at >= entered, "is older than the stage")?;
        let weighed = newest.weighed.as_ref().ok_or("has no evidence")?;
        for e in &weighed.views {
            demand(e.pass >= e.needed_pass, "is not proved")?;
            demand(!e.split_wrong && !e.environment && e.health == Health::default(), "rests on odd data")?;
        }
        demand(!weighed.views.is_empty(), "has no view")
    }

    /// What a comparison rests on: the other color's newest figure while it has traffic, else what was kept.
    fn reference(&self, attempt: &Attempt, plan: &Plan, gate: &PlannedGate, since: Moment) -> Option<f64> {
        let both = attempt.weight > 0 && attempt.weight < 100;
        if gate.against == Some(ComparedTo::Active) && both {
            let active = self.s.rollout.status.as_ref()?.active?;
            let asked = (&gate.subject, gate.window, gate.interval);
            let readings = self.readings(plan, since, active, asked, gate.severity == Severity::Abort);
            return readings.last()?.outcome.as_ref().ok().map(|s| s.value);
        }
        attempt.references.iter().find(|r| r.gate == gate.name)?.value.parse().ok()
    }

    fn passes(&self, gate: &PlannedGate, newest: &Reading, reference: Option<f64>) -> Law {
        let sample = newest.outcome.as_ref().map_err(ToString::to_string)?;
        demand(sample.value.is_finite() && sample.samples.is_finite(), "is not finite")?;
        demand(sample.samples >= f64::from(gate.min_samples), "rests on too few requests")?;
        let band = gate.test.band(reference).ok_or("has nothing to be compared with")?;
        demand(!band.breaks(sample.value), "is outside its limits")?;
        let age = self.s.now.unix() - newest.at.unix();
        demand(age <= 3 * i64::try_from(gate.interval.as_secs()).unwrap() + 5, "is stale")
    }

    fn readings(
        &self,
        plan: &Plan,
        since: Moment,
        color: Color,
        (subject, window, interval): (&Subject, std::time::Duration, std::time::Duration),
        urgent: bool,
    ) -> Vec<&Reading> {
        let meta = &self.s.rollout.metadata;
        let half = self.s.rollout.spec.release.pair.as_ref().and_then(|pair| pair.half(color).namespace.as_deref());
        let namespace = half.or(meta.namespace.as_deref()).unwrap_or_default();
        let workload = workload::name_of(meta.name.as_deref().unwrap_or_default(), color);
        let other = workload::name_of(meta.name.as_deref().unwrap_or_default(), color.other());
        let weight =
            self.s.rollout.status.as_ref().and_then(|s| s.attempt.as_ref()).map_or(Percent::NONE, |a| a.weight);
        let own = if color == self.candidate() { weight } else { weight.rest() };
        let ask = metrics::Ask {
            provider: &plan.provider,
            rollout: "chat",
            revision: "",
            namespace,
            workload: &workload,
            other: (own < 100).then_some(&other),
            replicas: plan.replicas,
            color,
            subject,
            since,
            window,
            interval,
            urgent,
        };
        let question = metrics::question(&plan.source, &ask).unwrap();
        let of_this = self.s.readings.iter().filter(|(q, _)| of_any_revision(q) == question).flat_map(|(_, all)| all);
        of_this.filter(|r| r.at >= since && r.at <= self.s.now).collect()
    }

    /// Requests that the candidate has answered since the stage began.
    fn requests(&self, attempt: &Attempt, plan: &Plan) -> Option<i64> {
        let (since, color) = (attempt.step_entered_at?, self.candidate());
        let counts = |q: &&Question| q.since == since && q.window > std::time::Duration::from_hours(24 * 29);
        let question = self.s.readings.keys().find(counts)?;
        let subject = Subject::Metric(Metric::Requests, None);
        let readings = self.readings(plan, since, color, (&subject, question.window, question.interval), false);
        let figures =
            readings.iter().filter_map(|r| r.outcome.as_ref().ok()).map(|s| s.value).filter(|v| v.is_finite());
        #[expect(clippy::cast_possible_truncation, reason = "a count of requests")]
        figures.max_by(f64::total_cmp).map(|n| n.floor() as i64)
    }
}

const fn entered_long_ago() -> Moment {
    Moment::from_unix(i64::MIN)
}

/// A question without the revision that an endpoint is told: the color says it.
fn of_any_revision(question: &Question) -> Question {
    let mut question = question.clone();
    question.about.iter_mut().for_each(|about| about.revision.clear());
    question
}

fn demands_silence(gate: &PlannedGate) -> bool {
    matches!((&gate.subject, gate.test), (Subject::Metric(Metric::Requests, _), Test::Equals(n)) if n.value() < 0.5)
}

/// Without traffic only a count, alerts, the number of an endpoint and that of a Job can be judged; with traffic nobody can
/// demand silence. Copies let everything be judged that weighs no shares.
fn can_speak(gate: &PlannedGate, attempt: &Attempt) -> bool {
    match &gate.subject {
        Subject::Alerts(_) | Subject::Number(_) | Subject::Job(_) => true,
        _ if attempt.weight == 0 && attempt.aside.mirror.is_some() => gate.test.proof().is_none(),
        Subject::Metric(Metric::Requests, _) => attempt.weight == 0 || !demands_silence(gate),
        _ => attempt.weight != 0,
    }
}

/// What two weights are. What adds up to nothing is no share, and the laws say so.
fn shares_of(blue: i32, green: i32) -> Shares {
    let tenths = |weight: i32| Percent::of_tenths(weight * 1000 / (blue + green).max(1));
    Shares { blue: tenths(blue), green: tenths(green) }
}

/// The shares that a patch writes into what was seen.
fn written(patch: &GuardedPatch, seen: &Seen) -> Option<Shares> {
    // A reference that is not there gets nothing: it is taken out, or was before and is not put back.
    let writes = || patch.ops.iter().filter(|op| op["op"] != "test");
    let at = |place: &str| writes().find(|op| op["path"] == place).map(|op| &op["value"]);
    let number = |value: Option<&Value>| match value {
        None | Some(Value::Null) => Some(0),
        Some(value) => i32::try_from(value.as_i64()?).ok(),
    };
    match &seen.place {
        Place::Selector { .. } => {
            let color = patch.ops.last()?["value"].as_str()?;
            Color::BOTH.into_iter().find(|c| c.word() == color).map(|c| Shares::giving(c, Percent::ALL))
        }
        Place::Weights { weights, .. } => {
            let share = |place: usize| {
                let place = format!("{}/{place}", weights.list);
                match at(&place) {
                    Some(Value::Object(whole)) => number(whole.get("weight")),
                    Some(Value::Array(pair)) => number(pair.get(1)),
                    Some(_) => Some(0),
                    None => number(at(&format!("{place}/weight"))),
                }
            };
            Some(shares_of(share(weights.blue.0)?, share(weights.green.0)?))
        }
        Place::Targets { targets, .. } => {
            let share = |(model, place): &(String, Option<usize>)| match place {
                Some(place) => number(at(&format!("{}/{place}/weight", targets.list))),
                None => {
                    number(writes().find(|op| op["value"]["modelRewrite"] == **model).map(|op| &op["value"]["weight"]))
                }
            };
            Some(shares_of(share(&targets.blue)?, share(&targets.green)?))
        }
        Place::Members { .. } | Place::Webhook { .. } => None,
    }
}
