//! The course of a release as the manifest means it: steps, bakes, approvals, and what follows. Read once, complete.

use std::time::Duration;

use super::{
    calendar::Calendar,
    checklist::{self, PlannedCheck, PlannedHook},
    plan::{Wrong, duration_or, invalid},
};
use crate::{
    api::{
        LlmRolloutSpec, Percent,
        around::{self, Mode, OnDependencyRollback, OnNoHealthyBlue, OnUndecided, Step},
        aside::Aside,
    },
    routers::Claim,
};

const DEFAULT_STEPS: [(i32, u64); 4] = [(5, 30 * 60), (20, 60 * 60), (50, 2 * 60 * 60), (100, 4 * 60 * 60)];
const DEFAULT_STEPS_WITHOUT_SPLIT: [(i32, u64); 1] = [(100, 4 * 60 * 60)];

/// One step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlannedStep {
    /// Share of the candidate in percent.
    pub weight: Percent,
    /// What is put beside it into the routes.
    pub aside: Aside,
    /// How long it is measured at least.
    pub hold: Duration,
    /// So many requests end the hold no earlier.
    pub min_requests: Option<i64>,
    /// So many requests serve the hold.
    pub max_requests: Option<i64>,
    /// How long undecided evidence is waited for, from the start of the hold.
    pub max_hold: Option<Duration>,
    /// What happens then.
    pub on_undecided: OnUndecided,
    /// How long nothing is measured after the shares were confirmed.
    pub settle: Duration,
    /// The gates that are asked; none named is every gate that can speak.
    pub gates: Option<Vec<String>>,
    /// Its name.
    pub name: Option<String>,
}

/// One window after 100 %.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedBake {
    /// Its name.
    pub name: String,
    /// How long it lasts.
    pub hold: Duration,
    /// The gates that watch; none named is every gate with `during: Bake`.
    pub gates: Option<Vec<String>>,
}

/// What may not happen before it was approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// The candidate coming up.
    Start,
    /// A step.
    Step(i32),
    /// The step to 100 %.
    Full,
    /// The end of the old color.
    Decommission,
}

impl Before {
    fn read(text: &str) -> Option<Self> {
        match text {
            "Start" => Some(Self::Start),
            "Full" => Some(Self::Full),
            "Decommission" => Some(Self::Decommission),
            _ => text.strip_prefix("Step/")?.parse().ok().filter(|n| (1..=99).contains(n)).map(Self::Step),
        }
    }

    /// As it is written.
    pub fn word(self) -> String {
        match self {
            Self::Start => "Start".to_owned(),
            Self::Step(number) => format!("Step/{number}"),
            Self::Full => "Full".to_owned(),
            Self::Decommission => "Decommission".to_owned(),
        }
    }
}

/// Who has to approve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedSign {
    /// What for.
    pub before: Before,
    /// In which roles, each by an order of its own.
    pub roles: Vec<String>,
    /// How long an approval stays good.
    pub expires: Duration,
}

/// The course.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    /// The steps, weights rising, the last 100.
    pub steps: Vec<PlannedStep>,
    /// The windows after it.
    pub bakes: Vec<PlannedBake>,
    /// What has to be approved.
    pub signs: Vec<PlannedSign>,
    /// Whether a person ends every step.
    pub manual: bool,
    /// What becomes of the old color.
    pub retire: Mode,
    /// How long its connections may go on.
    pub drain: Duration,
    /// Whether gates may take traffic back while `paused` is set.
    pub while_paused: bool,
    /// Whether traffic goes back to a color of which no pod is ready.
    pub on_no_healthy: OnNoHealthyBlue,
    /// Whether the way home gives the old color the pods back that it had.
    pub raises: bool,
    /// How long the way home may take until somebody is told; nothing when nobody is.
    pub deadline: Duration,
    /// For how long the candidate must be silent once traffic is home; nothing when no proof is asked for.
    pub quiet_for: Duration,
    /// For how long the old color's own figures may take to be good again; nothing when nobody asks.
    pub recover_within: Duration,
    /// How long after a way back no release starts by itself.
    pub cool_down: Duration,
    /// How many revisions, and how long ago, are known to be good.
    pub fast_track: Option<(usize, Duration)>,
    /// What a dependency's way back leads to.
    pub on_dependency_rollback: OnDependencyRollback,
    /// When steps may advance.
    pub window: Option<Calendar>,
    /// What has to be true before any traffic moves, in its order.
    pub checks: Vec<PlannedCheck>,
    /// What is run beside the steps.
    pub hooks: Vec<PlannedHook>,
}

/// Pods are given back where we make them.
fn raises(spec: &LlmRolloutSpec) -> Result<bool, Wrong> {
    let asked = spec.rollback.as_ref().is_some_and(|r| r.raise_blue_floor);
    if asked && spec.release.made().is_none() {
        return Err(invalid(
            "rollback: `raiseBlueFloor` gives pods back to a Deployment that the operator makes; leave it out where somebody else does, and have its autoscaler keep a minimum",
        ));
    }
    Ok(asked)
}

impl Course {
    /// Reads the course, or says the first thing that is wrong with it.
    pub fn read(spec: &LlmRolloutSpec) -> Result<Self, Wrong> {
        let retire = spec.decommission.clone().unwrap_or_default();
        let rollback = spec.rollback.clone().unwrap_or_default();
        let verify = rollback.verify.unwrap_or_default();
        let fast_track = match &spec.fast_track {
            Some(f) => {
                let revisions = usize::try_from(f.revisions).unwrap_or(1);
                Some((revisions, duration_or(Some(&f.within), 0, "fastTrack.within")?))
            }
            None => None,
        };
        Ok(Self {
            steps: steps(spec)?,
            bakes: spec.bake.iter().map(bake).collect::<Result<_, _>>()?,
            signs: signs(spec)?,
            manual: spec.manual,
            // What somebody else owns is scaled only where that is asked for.
            retire: if spec.release.pair.is_some() && spec.decommission.is_none() { Mode::Keep } else { retire.mode },
            drain: or_none(retire.drain.as_ref(), 60, "decommission.drain")?,
            while_paused: rollback.while_paused,
            on_no_healthy: rollback.on_no_healthy_blue.unwrap_or_default(),
            raises: raises(spec)?,
            cool_down: or_none(rollback.cool_down.as_ref(), 0, "rollback.coolDown")?,
            deadline: or_none(rollback.deadline.as_ref(), 10, "rollback.deadline")?,
            quiet_for: or_none(verify.quiet_for.as_ref(), 120, "rollback.verify.quietFor")?,
            recover_within: or_none(verify.recover_within.as_ref(), 30 * 60, "rollback.verify.recoverWithin")?,
            fast_track,
            on_dependency_rollback: spec.on_dependency_rollback.unwrap_or_default(),
            window: spec.window.as_ref().map(Calendar::read).transpose().map_err(invalid)?,
            checks: checklist::checks(spec)?,
            hooks: checklist::hooks(spec)?,
        })
    }

    /// The first step above a confirmed weight, with its number; from the start when nothing is confirmed.
    pub fn step_after(&self, weight: Option<Percent>) -> Option<(i32, &PlannedStep)> {
        (1..).zip(&self.steps).find(|(_, s)| weight.is_none_or(|w| s.weight > w))
    }

    /// The last step, with its number.
    pub fn last_step(&self) -> Option<(i32, &PlannedStep)> {
        (1..).zip(&self.steps).last()
    }

    /// Whether an approval of this kind is asked for anywhere.
    pub fn asks_for(&self, before: &str, role: &str) -> bool {
        self.signs.iter().any(|s| s.before.word() == before && s.roles.iter().any(|r| r == role))
    }
}

/// A duration that may be none at all: `0s`.
fn or_none(text: Option<&String>, default: u64, field: &str) -> Result<Duration, Wrong> {
    if text.is_some_and(|t| t == "0s") { Ok(Duration::ZERO) } else { duration_or(text, default, field) }
}

fn steps(spec: &LlmRolloutSpec) -> Result<Vec<PlannedStep>, Wrong> {
    let splits = spec.traffic.iter().filter_map(Claim::of).any(Claim::splits);
    let steps = if let Some(steps) = &spec.steps {
        steps.iter().map(step).collect::<Result<Vec<_>, Wrong>>()?
    } else {
        let defaults: &[(i32, u64)] = if splits { &DEFAULT_STEPS } else { &DEFAULT_STEPS_WITHOUT_SPLIT };
        let one = |&(weight, s): &(i32, u64)| PlannedStep {
            weight: Percent::of(weight),
            hold: Duration::from_secs(s),
            ..Default::default()
        };
        defaults.iter().map(one).collect()
    };
    let rising = steps.windows(2).all(|pair| matches!(pair, [a, b] if a.weight < b.weight));
    if steps.last().is_none_or(|s| s.weight != 100) || !rising || steps.iter().any(|s| s.weight < 0) {
        return Err(invalid("steps: weights must rise and end at 100; write for example 5, 20, 50, 100"));
    }
    let aside = |s: &PlannedStep| !s.aside.is_nothing();
    if steps.iter().any(|s| s.weight != 0 && aside(s)) {
        return Err(invalid(
            "steps: `match` and `mirror` are for a step with `weight: 0`; write the share at the next step",
        ));
    }
    if steps.iter().any(aside) && !spec.traffic.iter().any(|t| t.http_route.is_some()) {
        return Err(invalid(
            "steps: `match` and `mirror` are written into an HTTPRoute; add `- httpRoute: {name: chat}` to `traffic`, or leave them out",
        ));
    }
    if !splits && steps.iter().any(|s| s.weight != 0 && s.weight != 100) {
        return Err(invalid(
            "steps: with only a `service` router the weight must be 0 or 100; add `- httpRoute: {name: chat}` to `traffic`",
        ));
    }
    whole(spec, &steps)?;
    Ok(steps)
}

/// Some routers are told whole percents only.
fn whole(spec: &LlmRolloutSpec, steps: &[PlannedStep]) -> Result<(), Wrong> {
    if let Some(claim) = spec.traffic.iter().filter_map(Claim::of).find(|claim| claim.whole_only())
        && let Some(odd) = steps.iter().find(|s| !s.weight.is_whole())
    {
        return Err(invalid(format!(
            "steps: {} takes whole percents only; write {} instead of {}, or leave that router out",
            claim.name(),
            odd.weight.rounded_up(),
            odd.weight
        )));
    }
    Ok(())
}

fn step(s: &Step) -> Result<PlannedStep, Wrong> {
    let max_hold = s.max_hold.as_ref().map(|m| duration_or(Some(m), 0, "maxHold")).transpose()?;
    Ok(PlannedStep {
        weight: s.weight,
        aside: Aside { testers: s.testers.clone(), mirror: s.mirror.as_ref().map(|m| percent(m)).transpose()? },
        hold: duration_or(Some(&s.hold), 0, "hold")?,
        min_requests: s.min_requests,
        max_requests: s.max_requests,
        max_hold,
        on_undecided: s.on_undecided.unwrap_or_default(),
        settle: duration_or(s.settle.as_ref(), 0, "settle")?,
        gates: s.gates.clone(),
        name: s.name.clone(),
    })
}

fn percent(text: &str) -> Result<i32, Wrong> {
    let whole = text.strip_suffix('%').and_then(|n| n.parse().ok()).filter(|n| (1..=100).contains(n));
    whole.ok_or_else(|| invalid(format!("steps: mirror: {text} is no share of requests; write for example 10%")))
}

fn bake(b: &around::Bake) -> Result<PlannedBake, Wrong> {
    let hold = duration_or(Some(&b.duration), 0, "bake")?;
    Ok(PlannedBake { name: b.name.clone(), hold, gates: b.gates.clone() })
}

/// What stands in `approvals`, and what stands at the steps.
fn signs(spec: &LlmRolloutSpec) -> Result<Vec<PlannedSign>, Wrong> {
    const DAY: u64 = 24 * 60 * 60;
    let mut all = Vec::new();
    for a in &spec.approvals {
        let before = Before::read(&a.before).ok_or_else(|| {
            invalid(format!(
                "approvals: before: {} is nothing that waits; write Start, Step/2, Full or Decommission",
                a.before
            ))
        })?;
        let expires = duration_or(a.expires.as_ref(), DAY, "approvals.expires")?;
        all.push(PlannedSign { before, roles: a.roles.clone(), expires });
    }
    for (number, step) in (1..).zip(spec.steps.iter().flatten()) {
        if let Some(sign) = &step.approval {
            let expires = duration_or(sign.expires.as_ref(), DAY, "approval.expires")?;
            all.push(PlannedSign { before: Before::Step(number), roles: sign.roles.clone(), expires });
        }
    }
    Ok(all)
}
