//! `simulate FILE --scenario FILE`: the pure core against a scripted world. The cluster is made of the manifest, the operator
//! looks when it would be woken, and time is simulated. Nothing is asked of anybody, and nothing is decided here.

mod calls;
mod figures;
mod hands;
mod look;
mod objects;
mod scenario;
mod script;
mod story;
mod timeline;
mod world;

use std::path::{Path, PathBuf};

use kube::ResourceExt;
use serde_json::json;

use self::{
    scenario::Command,
    story::{End, Story},
    world::World,
};
use super::{
    Said,
    document::{self, Form},
    error::CliError,
    manifest::{self, Manifest},
    table::clean,
};
use crate::{api::Moment, decide::snapshot::GateSetSeen};

/// A Friday morning, 2027-01-15T08:00:00Z, unless a scenario says otherwise.
const BEGINS: Moment = Moment::from_unix(1_800_000_000);

/// What is to be played.
#[derive(Clone, Debug, PartialEq)]
pub struct Simulate {
    /// The manifest, with its gate sets in the same file or in others; `-` is standard input.
    pub files: Vec<PathBuf>,
    /// What happens; without it a release until it is over.
    pub scenario: Option<PathBuf>,
    /// Without a scenario: a gate that fails at the second step.
    pub bad: Option<String>,
    /// Requests a second of both colors.
    pub rps: Option<f64>,
    /// The namespace, instead of the manifest's.
    pub namespace: Option<String>,
    /// As a document instead of lines.
    pub shape: Option<Form>,
}

/// Plays the story and tells it.
pub fn simulate(wish: &Simulate) -> Result<Said, CliError> {
    let mut manifest = read(&wish.files)?;
    let note = leave_out_adoption(&mut manifest);
    missing_sets(&manifest)?;
    let namespace = wish.namespace.clone().or_else(|| manifest.rollout.namespace());
    let namespace = namespace.unwrap_or_else(|| "default".to_owned());
    let mut world = World::new(&manifest, &namespace, BEGINS);
    let plan = world.plan().map_err(CliError::NoPlan)?;
    if let Some(bad) = wish.bad.as_ref().filter(|bad| plan.gates.iter().all(|gate| gate.name != **bad)) {
        let names: Vec<&str> = plan.gates.iter().map(|gate| gate.name.as_str()).collect();
        return Err(CliError::NoGate { gate: bad.clone(), names: names.join(", ") });
    }
    let usual = scenario::usual(wish.bad.as_deref(), plan.course.steps.len(), !plan.course.signs.is_empty());
    let lines = match &wish.scenario {
        Some(file) => scenario::read(&manifest::text(file)?)
            .map_err(|words| CliError::NoScenario { file: file.display().to_string(), words })?,
        None => scenario::read(&usual).map_err(|words| CliError::NoScenario { file: "--bad".to_owned(), words })?,
    };
    if let Some(Command::Begins(at)) = lines.first().map(|line| &line.command) {
        world = World::new(&manifest, &namespace, *at);
    }
    world.figures.rps = wish.rps;
    if let Some(message) = script::trouble(&world) {
        return Err(CliError::NoPlan(message));
    }
    let title = clean(&format!("{} in namespace {namespace}, from {}", manifest.rollout.name_any(), world.began));
    let story = story::play(world, &lines)?;
    let refused = story.end != End::Promoted;
    let out = match wish.shape {
        None => format!("Simulated: {title}\n\n{}\n{}\n", story.timeline.text(), clean(&story.words)),
        Some(form) => document::write(&summary(&manifest, &namespace, &story), form)?,
    };
    Ok(Said { out, note, refused })
}

fn summary(manifest: &Manifest, namespace: &str, story: &Story) -> serde_json::Value {
    json!({
        "name": manifest.rollout.name_any(), "namespace": namespace, "entries": story.timeline.document(),
        "outcome": format!("{:?}", story.end), "message": story.words,
    })
}

/// All files as one.
fn read(files: &[PathBuf]) -> Result<Manifest, CliError> {
    let texts = files.iter().map(|file| manifest::text(file)).collect::<Result<Vec<_>, _>>()?;
    let named = || files.iter().map(|file| Path::display(file).to_string()).collect::<Vec<_>>().join(", ");
    manifest::parse(&texts.join("\n---\n")).map_err(|words| CliError::NoManifest { file: named(), words })
}

/// Every set that the manifest takes over is to be in the files.
fn missing_sets(manifest: &Manifest) -> Result<(), CliError> {
    let named = manifest.rollout.spec.gates.iter().filter_map(|gate| gate.gate_set.as_ref());
    let there = |name: &String| matches!(manifest.sets.get(name), Some(GateSetSeen::There(_)));
    let mut missing = named.filter(|name| !there(name));
    missing.next().map_or(Ok(()), |name| Err(CliError::NoGateSet(name.clone())))
}

/// What ran before there was a rollout is nobody's to know: the story begins when it has been replaced.
fn leave_out_adoption(manifest: &mut Manifest) -> String {
    let adopt = manifest.rollout.spec.release.template.as_mut().and_then(|template| template.adopt.take());
    adopt.map_or_else(String::new, |_| {
        "note: `adopt` is left out: the story begins after the first release has replaced what ran before".to_owned()
    })
}
