//! `convert FILE…`: analyses of Argo Rollouts and Flagger as a set of gates, with everything that could not be carried
//! over. A gate that would mean something else is not made. Never asks a cluster; the result is for a person to read.

pub mod argo;
pub mod condition;
pub mod flagger;
pub mod query;

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::{
    Said,
    document::{self, Form},
    error::CliError,
    lint::place,
    manifest,
    table::{clean, clean_lines},
};

/// What is to be converted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// The files; `-` is standard input.
    pub files: Vec<PathBuf>,
    /// The name of the set.
    pub name: Option<String>,
    /// As a document with what was lost instead of a manifest.
    pub shape: Option<Form>,
}

/// What became of the objects in some files.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Carried {
    /// The gates, as they stand in a manifest.
    pub gates: Vec<Map<String, Value>>,
    /// What was lost, or means something else: of what, and what to do.
    pub lost: Vec<Lost>,
    /// The name of the first object.
    pub name: Option<String>,
}

/// Something that could not be carried over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Object and metric.
    pub of: String,
    /// What, and what to write instead.
    pub words: String,
}

impl Carried {
    fn lose(&mut self, of: &str, words: impl Into<String>) {
        self.lost.push(Lost { of: of.to_owned(), words: words.into() });
    }

    /// Adds a gate under a name that nobody has yet.
    fn gate(&mut self, wanted: &str, mut gate: Map<String, Value>) {
        let plain: String = wanted.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let plain: String = plain.trim_matches('-').chars().take(28).collect();
        let base = if plain.is_empty() { "gate".to_owned() } else { plain.trim_end_matches('-').to_owned() };
        let taken = |name: &str| self.gates.iter().any(|gate| gate["name"] == name);
        let mut names = std::iter::once(base.clone()).chain((2..).map(|n| format!("{base}-{n}")));
        let name = names.find(|name| !taken(name)).unwrap_or(base);
        gate.insert("name".to_owned(), name.into());
        self.gates.push(gate);
    }
}

/// Reads the files and says what became of them.
pub fn convert(wish: &Converted) -> Result<Said, CliError> {
    let mut documents = Vec::new();
    for path in &wish.files {
        let file = path.display().to_string();
        let found = place::read(&manifest::text(path)?).map_err(|(place, words)| CliError::NoManifest {
            file: file.clone(),
            words: format!("line {}: {words}", place.line),
        })?;
        documents.extend(found.into_iter().map(|document| document.value));
    }
    let carried = carry(&documents);
    if carried.name.is_none() {
        return Err(CliError::NothingToConvert);
    }
    let set = set(&carried, wish.name.as_deref());
    match wish.shape {
        Some(form) => Ok(Said::out(document::write(&summary(&carried, &set), form)?)),
        None => {
            let manifest = if carried.gates.is_empty() { String::new() } else { document::write(&set, Form::Yaml)? };
            Ok(Said { note: clean_lines(&told(&carried)), ..Said::out(manifest) })
        }
    }
}

/// Every object that is known, in its order.
pub fn carry(documents: &[Value]) -> Carried {
    let mut carried = Carried::default();
    for document in documents {
        let kind = document["kind"].as_str().unwrap_or_default();
        let group = document["apiVersion"].as_str().and_then(|version| version.split('/').next()).unwrap_or_default();
        let name = document["metadata"]["name"].as_str().unwrap_or("unnamed");
        let known = match (group, kind) {
            ("argoproj.io", "AnalysisTemplate" | "ClusterAnalysisTemplate") => {
                argo::template(name, &document["spec"], &mut carried);
                true
            }
            ("flagger.app", "Canary") => {
                flagger::canary(name, &document["spec"]["analysis"], documents, &mut carried);
                true
            }
            // A template without a Canary that names it has no limit.
            ("flagger.app", "MetricTemplate") => {
                if !flagger::is_named(name, documents) {
                    carried.lose(name, "no Canary in these files names it, and only there does its limit stand; name that file too");
                }
                true
            }
            _ => false,
        };
        if known {
            carried.name.get_or_insert_with(|| name.to_owned());
        }
    }
    carried
}

fn set(carried: &Carried, name: Option<&str>) -> Value {
    let name = name.or(carried.name.as_deref()).unwrap_or("converted");
    let version = <crate::api::LlmGateSet as kube::Resource>::api_version(&());
    json!({"apiVersion": version, "kind": "LlmGateSet", "metadata": {"name": name}, "spec": {"gates": carried.gates}})
}

fn summary(carried: &Carried, set: &Value) -> Value {
    let lost: Vec<Value> = carried.lost.iter().map(|lost| json!({"of": lost.of, "message": lost.words})).collect();
    json!({"gateSet": if carried.gates.is_empty() { &Value::Null } else { set }, "notCarriedOver": lost})
}

fn told(carried: &Carried) -> String {
    let gates = match carried.gates.len() {
        1 => "1 gate".to_owned(),
        count => format!("{count} gates"),
    };
    let lost: String = carried.lost.iter().map(|l| clean(&format!("  {}: {}", l.of, l.words)) + "\n").collect();
    match carried.lost.len() {
        0 => format!("{gates}, and nothing was lost"),
        _ => format!("{gates}; not carried over as it was:\n{}", lost.trim_end()),
    }
}
