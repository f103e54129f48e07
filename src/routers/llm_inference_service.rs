//! Two KServe `LLMInferenceService`s of one routing group: the weight of each. They are two objects and no write moves both,
//! so the writes have an order: first the one that comes nearer to where the share is to be, and never one that leaves nothing.
//! In between the share lies between the old one and the new. Each patch is guarded by version and group.

use kube::{ResourceExt, core::DynamicObject};
use serde::Deserialize;
use serde_json::json;

use super::{
    Follows, GuardedPatch, PatchKind, Place, Seen, Shares, Trouble, guard,
    split::{Destination, Scale, Split, Words},
    trouble, understood,
};
use crate::api::{Percent, Reason, status::Color, traffic::GroupRouter};

const EXAMPLE: &str = "`spec.router.route: {group: chat, weight: 100}` in blue, and weight 0 in green";

/// What we read of an `LLMInferenceService`, beside its metadata.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Service {
    spec: Spec,
    status: Status,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Spec {
    router: RouterSpec,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RouterSpec {
    route: Route,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Route {
    group: Option<String>,
    weight: Option<i32>,
}

/// What KServe says of it.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    observed_generation: Option<i64>,
    conditions: Vec<Word>,
    router: RouterStatus,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Word {
    #[serde(rename = "type")]
    type_: String,
    status: String,
    reason: String,
    message: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RouterStatus {
    group: Group,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Group {
    members: Vec<Observed>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Observed {
    name: String,
    weight: i32,
    stopped: bool,
}

/// A member of the group as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// The guard of its write.
    pub version: String,
    /// The group it is in.
    pub group: String,
    /// Its weight.
    pub weight: i32,
}

/// What both say about the traffic of their group.
pub fn read(router: &GroupRouter, found: [Option<&DynamicObject>; 2]) -> Result<Seen, Trouble> {
    let [blue, green] = found;
    let (blue, green) = (One::read(&router.blue, blue)?, One::read(&router.green, green)?);
    let (b, g) = (blue.member()?, green.member()?);
    if b.group != g.group {
        let message = format!(
            "LLMInferenceService {} is in group {} and {} in {}, and so they share no traffic; write one `spec.router.route.group` in both",
            b.name, b.group, g.name, g.group
        );
        return Err(trouble(Reason::RuleNotFound, message));
    }
    let words = Words {
        of: format!("group {}", b.group),
        noun: "member",
        example: EXAMPLE.to_owned(),
        colors: [&router.blue, &router.green],
        left_out: 1,
    };
    let destination = |member: &Member, color| Destination {
        name: member.name.clone(),
        color: Some(color),
        weight: Some(member.weight),
    };
    let split = Split::of(&words, &[destination(&b, Color::Blue), destination(&g, Color::Green)], None)?;
    // Weights of a group are parts of whatever they add up to. Between the two writes that is not 100.
    let exact = b.weight.max(g.weight) <= 100 && b.weight + g.weight > 0;
    Ok(Seen {
        version: b.version.clone(),
        shares: Shares::giving(Color::Green, whole(split.shares.green)),
        exact: exact || (b.weight == 0) != (g.weight == 0),
        follows: follows([(&blue, &b), (&green, &g)]),
        pins: false,
        crosses: Vec::new(),
        room: None,
        place: Place::Members { blue: b, green: g },
    })
}

/// Written are whole percents, and so they are read: never as everything what is not.
fn whole(share: Percent) -> Percent {
    if share == Percent::ALL { share } else { share.rounded_up().min(Percent::of(99)) }
}

/// One of the two.
struct One<'a> {
    object: &'a DynamicObject,
    read: Service,
}

impl<'a> One<'a> {
    fn read(name: &str, found: Option<&'a DynamicObject>) -> Result<Self, Trouble> {
        let (object, read) = understood(PatchKind::LlmInferenceService, name, found)?;
        Ok(Self { object, read })
    }

    fn member(&self) -> Result<Member, Trouble> {
        let Route { group, weight } = &self.read.spec.router.route;
        let name = self.object.name_any();
        let Some((group, weight)) = group.clone().zip(*weight) else {
            let message = format!("LLMInferenceService {name} is in no group, or has no weight there; write {EXAMPLE}");
            return Err(trouble(Reason::BackendMissing, message));
        };
        Ok(Member { name, version: self.object.resource_version().unwrap_or_default(), group, weight })
    }

    /// Whether KServe has seen what stands there now.
    fn is_observed(&self) -> bool {
        self.read.status.observed_generation >= self.object.metadata.generation
    }

    fn says(&self, word: &str) -> Option<&Word> {
        let said = |c: &&Word| c.type_ == word && c.status == "True";
        self.read.status.conditions.iter().filter(|_| self.is_observed()).find(said)
    }
}

/// Whether KServe has taken both weights over, or has a reason not to.
fn follows(both: [(&One<'_>, &Member); 2]) -> Follows {
    let names = both.map(|(_, member)| member.name.as_str());
    let members = || both.iter().flat_map(|(one, _)| &one.read.status.router.group.members);
    if let Some(third) = members().find(|m| !names.contains(&m.name.as_str()) && m.weight > 0 && !m.stopped) {
        return Follows::Refuses(format!(
            "{} is in the group as well, with weight {}; take it out of the group, or give it weight 0",
            third.name, third.weight
        ));
    }
    if let Some(stopped) = members().find(|m| m.stopped && both.iter().any(|(_, b)| b.name == m.name && b.weight > 0)) {
        return Follows::Refuses(format!(
            "{} is stopped; take the annotation serving.kserve.io/stop off it",
            stopped.name
        ));
    }
    let degraded = both.iter().find_map(|(one, _)| one.says("GroupDegraded"));
    if let Some(word) = degraded.filter(|word| word.reason == "MemberDivergence") {
        return Follows::Refuses(format!("{}: {}", word.reason, word.message));
    }
    let taken_over = |member: &Member| members().any(|m| m.name == member.name && m.weight == member.weight);
    let ready = both.iter().all(|(one, member)| one.says("GroupReady").is_some() && taken_over(member));
    if ready && degraded.is_none() { Follows::Yes } else { Follows::NotYet }
}

/// The writes that give `shares`, in their order.
pub(super) fn write(blue: &Member, green: &Member, shares: Shares) -> Vec<GuardedPatch> {
    // How far from the share in the end, in millionths.
    let off = |blue: i32, green: i32| match i64::from(blue) + i64::from(green) {
        0 => i64::MAX,
        sum => (i64::from(green) * 1_000_000 / sum - i64::from(shares.green.tenths()) * 1_000).abs(),
    };
    let [to_blue, to_green] = Scale::HUNDRED.weights(shares);
    let mut both = [(blue, to_blue), (green, to_green)];
    if off(blue.weight, to_green) < off(to_blue, green.weight) {
        both.reverse();
    }
    let patch = |(member, to): (&Member, i32)| GuardedPatch {
        kind: PatchKind::LlmInferenceService,
        namespace: None,
        name: member.name.clone(),
        ops: vec![
            guard(&member.version),
            json!({"op": "test", "path": "/spec/router/route/group", "value": member.group}),
            json!({"op": "add", "path": "/spec/router/route/weight", "value": to}),
        ],
    };
    both.map(patch).into()
}
