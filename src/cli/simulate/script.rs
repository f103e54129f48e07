//! A line of a scenario, done to the world. Says what to write instead where it cannot be done there.

use serde_json::Value;

use super::{
    calls::short,
    figures::{self, Told},
    objects,
    scenario::{Command, Ending, Mood, Pods, Until},
    story::Stop,
    world::World,
};
use crate::{
    api::{Percent, status::Color},
    cli::{
        error::CliError,
        letter::{Letter, letter},
        signs::signs,
        wish::{Order, Say},
    },
    decide::{plan::PlannedGate, snapshot::OrderSeen},
    metrics::Limit,
    routers::{self, Claim, Shares, Write},
};

/// Does what a line says; says what stopped it where it waits.
pub(super) fn play(world: &mut World, command: &Command) -> Result<Option<Stop>, String> {
    match command {
        Command::Begins(_) => {}
        Command::Release(tag) => release(world, tag)?,
        Command::Spec(change) => spec(world, change)?,
        Command::Wait(until) => return Ok(wait(world, *until)),
        Command::Signal { gate, active, value, samples } => signal(world, gate, *active, value, *samples)?,
        Command::Mood { gate, active, mood } => feel(world, gate, *active, *mood)?,
        Command::Traffic(rps) => world.figures.rps = Some(*rps),
        Command::Pods(color, pods) => self::pods(world, *color, *pods),
        Command::Gateway(gateway) => world.gateway = *gateway,
        Command::Webhook(mood) => world.hooked = *mood,
        Command::Say(say, reason) => order(world, say, reason.as_ref())?,
        Command::Agree => world.agrees = true,
        Command::Abort(abort) => world.edit(|r| r.spec.abort = *abort),
        Command::Shares(green) => shares(world, Percent::of_tenths(*green))?,
        Command::Job(name, ending) => job(world, name, ending)?,
        Command::Depends(name, far) => depends(world, name, *far)?,
    }
    world.settle();
    Ok(None)
}

fn wait(world: &mut World, until: Until) -> Option<Stop> {
    super::story::wait(world, until)
}

/// Another revision, as whoever owns the colors writes it.
fn release(world: &mut World, tag: &str) -> Result<(), String> {
    let mut spec = world.rollout.spec.clone();
    if let Some(template) = spec.release.template.as_mut() {
        let containers = template.pod_template.0.get_mut("spec").and_then(|spec| spec.get_mut("containers"));
        let image = containers.and_then(|all| all.get_mut(0)).and_then(|first| first.get_mut("image"));
        let image = image.ok_or("its `podTemplate` has no container with an image; write `spec {release: …}`")?;
        *image = Value::from(retagged(image.as_str().unwrap_or_default(), tag));
    }
    if let Some(pair) = spec.release.pair.as_mut() {
        pair.live = pair.live.other();
        let half = if pair.live == Color::Blue { &mut pair.blue } else { &mut pair.green };
        half.revision = half.revision.take().map(|_| tag.to_owned());
    }
    if let Some(external) = spec.release.external.as_mut() {
        tag.clone_into(&mut external.revision);
    }
    if spec == world.rollout.spec {
        return Err(format!("{tag} is what stands there already; write another word"));
    }
    world.edit(|r| r.spec = spec);
    Ok(())
}

/// The same image with another tag.
fn retagged(image: &str, tag: &str) -> String {
    let image = image.split('@').next().unwrap_or_default();
    let name = image.rfind('/').map_or(0, |at| at + 1);
    let end = image.get(name..).and_then(|rest| rest.find(':')).map_or(image.len(), |at| name + at);
    format!("{}:{tag}", image.get(..end).unwrap_or(image))
}

fn spec(world: &mut World, change: &Value) -> Result<(), String> {
    let mut value = serde_json::to_value(&world.rollout.spec).map_err(|e| e.to_string())?;
    json_patch::merge(&mut value, change);
    let spec = serde_json::from_value(value).map_err(|e| format!("the spec cannot be read with it: {e}"))?;
    world.edit(|r| r.spec = spec);
    Ok(())
}

/// The gate of a name.
fn gate(world: &World, name: &str) -> Result<std::sync::Arc<PlannedGate>, String> {
    let plan = world.plan()?;
    let found = plan.gates.iter().find(|gate| gate.name == name).cloned();
    let names = || plan.gates.iter().map(|gate| gate.name.as_str()).collect::<Vec<_>>().join(", ");
    found.ok_or_else(|| format!("there is no gate {name}; the manifest has: {}", names()))
}

fn signal(world: &mut World, name: &str, active: bool, value: &str, samples: Option<f64>) -> Result<(), String> {
    let gate = gate(world, name)?;
    let unit = figures::unit(&gate);
    let read = Limit::read(value).ok().filter(|read| read.is_like(unit));
    let read = read.ok_or_else(|| {
        format!("{name} is told in another unit; write for example `signal {name} {}`", figures::example(&gate))
    })?;
    world.figures.told.insert((name.to_owned(), active), Told::Value(read.value(), samples));
    Ok(())
}

fn feel(world: &mut World, name: &str, active: bool, mood: Mood) -> Result<(), String> {
    gate(world, name)?;
    let key = (name.to_owned(), active);
    match mood {
        Mood::Silent => drop(world.figures.told.insert(key, Told::Silent)),
        Mood::Bad => drop(world.figures.told.insert(key, Told::Bad)),
        Mood::Well => drop(world.figures.told.remove(&key)),
    }
    Ok(())
}

fn pods(world: &mut World, color: Color, pods: Pods) {
    let now = world.now;
    let slot = world.slot(color);
    match pods {
        Pods::Ready(ready) => (slot.ready, slot.up_at) = (ready, None),
        Pods::ComeUp(comes) => {
            slot.fails = !comes;
            let wanted = slot.deployment.as_ref().map_or(0, super::world::replicas);
            slot.up_at = (comes && slot.ready < wanted).then_some(now);
            if !comes {
                slot.up_at = None;
            }
        }
    }
}

/// A person's word, as the verbs of the command line mean it.
fn order(world: &mut World, say: &Say, reason: Option<&String>) -> Result<(), String> {
    let name = world.rollout.metadata.name.clone().unwrap_or_default();
    let order = Order { name, say: say.clone(), reason: reason.cloned(), patience: None, shape: None };
    let letter = letter(&world.rollout, &order, world.now).map_err(|e| match e {
        CliError::Nothing { why, .. } => format!("there is nothing to do: {why}"),
        CliError::WhichApproval { .. } => {
            "several, or none, are waited for; write for example `approve role=sre before=Full`".to_owned()
        }
        other => other.to_string(),
    })?;
    match letter {
        Letter::Paused(paused) => world.edit(|r| r.spec.paused = paused),
        Letter::Order(mut spec) => {
            "somebody".clone_into(&mut spec.approver);
            let name = format!("order-{}", world.orders.len() + 1);
            world.orders.push(OrderSeen { uid: name.clone(), name, at: world.now, spec });
        }
    }
    Ok(())
}

impl World {
    /// Whoever is waited for agrees; says whether anybody was.
    pub(super) fn agree(&mut self) -> bool {
        let due: Vec<_> = signs(&self.rollout, self.now).into_iter().filter(|sign| sign.due).collect();
        for sign in &due {
            let (role, before) = (Some(sign.role.clone()), Some(sign.before.clone()));
            self.timeline.command(self.now, &format!("(approve role={} before={})", sign.role, sign.before));
            if order(self, &Say::Approve { role, before }, None).is_err() {
                return false;
            }
        }
        !due.is_empty()
    }
}

/// Somebody else gives green this share, wherever traffic can be split.
fn shares(world: &mut World, green: Percent) -> Result<(), String> {
    let claims = world.rollout.spec.traffic.iter().filter_map(Claim::of).filter(|claim| claim.splits());
    let seen: Vec<_> = claims.filter_map(|claim| world.router(claim).state.ok()).collect();
    if seen.is_empty() {
        return Err("no router of the manifest can split traffic".to_owned());
    }
    for write in seen.iter().flat_map(|seen| routers::write(seen, Shares::giving(Color::Green, green))) {
        match write {
            Write::Patch(patch) => {
                let namespace = patch.namespace.clone().unwrap_or_else(|| world.own().to_owned());
                world.change(&(patch.kind, namespace, patch.name), &patch.ops);
            }
            Write::Put(put) => {
                if let Some(balancer) = world.webhooks.get_mut(&put.webhook) {
                    let tenths = i64::from(put.shares.green.tenths());
                    balancer.weights = (100 - tenths / 10, tenths / 10);
                    balancer.version += 1;
                }
            }
        }
    }
    Ok(())
}

/// How Jobs and requests end from now on; those that run end so at once.
fn job(world: &mut World, name: &str, ending: &Ending) -> Result<(), String> {
    let plan = world.plan()?;
    let gates = plan.gates.iter().filter(|gate| gate.subject.is_told_once()).map(|gate| gate.name.as_str());
    let checks = plan.course.checks.iter().map(|check| short(&check.name));
    let mut all = gates.chain(checks).chain(plan.course.hooks.iter().map(|hook| hook.name.as_str()));
    if !all.any(|known| known == name) {
        return Err(format!(
            "no gate, check or hook {name} of the manifest runs a Job or asks the candidate; write the name of one that does"
        ));
    }
    world.endings.insert(name.to_owned(), ending.clone());
    world.hurry(name, *ending == Ending::Hangs);
    Ok(())
}

fn depends(world: &mut World, name: &str, far: crate::decide::snapshot::Standing) -> Result<(), String> {
    if world.rollout.spec.depends_on.iter().all(|d| d.name != name) {
        return Err(format!("the manifest does not depend on {name}; write a name that stands in `dependsOn`"));
    }
    world.others.insert(name.to_owned(), far);
    Ok(())
}

/// Whether a router of the manifest could be made for the story.
pub(super) fn trouble(world: &World) -> Option<String> {
    let claims = world.rollout.spec.traffic.iter().filter_map(Claim::of);
    let known = |claim: &Claim<'_>| !objects::keys(*claim, world.own()).is_empty();
    claims.filter(known).find_map(|claim| world.router(claim).state.err()).map(|trouble| trouble.message)
}

#[cfg(test)]
mod tests {
    use super::retagged;

    #[test]
    fn an_image_gets_another_tag() {
        for (image, wanted) in [
            ("vllm/vllm-openai:v0.11.0", "vllm/vllm-openai:v2"),
            ("registry.example:5000/chat", "registry.example:5000/chat:v2"),
            ("chat@sha256:0123", "chat:v2"),
            ("chat:v1@sha256:0123", "chat:v2"),
        ] {
            assert_eq!(retagged(image, "v2"), wanted);
        }
    }
}
