//! What the operator is made of, in `CycloneDX`: every crate that its program links, with version, license and the checksum that
//! `Cargo.lock` holds. Build tools and what only tests need are not in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

use serde_json::{Value, json};

use super::ImageError;
use crate::kit::operator::root;

/// The SBOM of the operator's package.
pub(super) fn of_the_operator() -> Result<Value, ImageError> {
    let words = ["metadata", "--format-version=1", "--locked", "--filter-platform=x86_64-unknown-linux-gnu"];
    let ended = Command::new("cargo").current_dir(root()).args(words).output();
    let ended = ended.map_err(|error| ImageError::Metadata(error.to_string()))?;
    let metadata = serde_json::from_slice(&ended.stdout)
        .map_err(|_| ImageError::Metadata(String::from_utf8_lossy(&ended.stderr).trim().to_owned()))?;
    let lock = root().join("Cargo.lock");
    let text = fs::read_to_string(&lock).map_err(ImageError::file(&lock))?;
    document(&metadata, &checksums(&text))
        .ok_or_else(|| ImageError::Metadata("there is no package llmrollout".to_owned()))
}

/// Name and version to checksum.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let blocks = lock.split("[[package]]").skip(1);
    let field = |block: &str, name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix("= "))?;
        Some(line.trim_matches('"').to_owned())
    };
    blocks.filter_map(|b| Some(((field(b, "name")?, field(b, "version")?), field(b, "checksum")?))).collect()
}

fn document(metadata: &Value, checksums: &BTreeMap<(String, String), String>) -> Option<Value> {
    let packages = metadata["packages"].as_array()?;
    let by_id: BTreeMap<&str, &Value> = packages.iter().filter_map(|p| Some((p["id"].as_str()?, p))).collect();
    let own = packages.iter().find(|package| package["name"] == "llmrollout")?;
    let linked = linked(metadata, own["id"].as_str()?)?;
    let components: Vec<_> = linked.iter().filter_map(|id| by_id.get(id)).map(|p| component(p, checksums)).collect();
    let mut itself = component(own, checksums);
    itself["type"] = json!("application");
    itself["name"] = json!("llmrollout-operator");
    Some(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": itself},
        "components": components,
    }))
}

/// Everything that a package links, by id, in order. Procedural macros run in the compiler and go no further.
fn linked<'a>(metadata: &'a Value, own: &'a str) -> Option<BTreeSet<&'a str>> {
    let is_macro = |package: &&Value| {
        let kinds = package["targets"].as_array().into_iter().flatten().map(|target| &target["kind"][0]);
        kinds.into_iter().any(|kind| kind == "proc-macro")
    };
    let macros: BTreeSet<_> =
        metadata["packages"].as_array()?.iter().filter(is_macro).filter_map(|package| package["id"].as_str()).collect();
    let nodes: BTreeMap<_, _> =
        metadata["resolve"]["nodes"].as_array()?.iter().filter_map(|n| Some((n["id"].as_str()?, &n["deps"]))).collect();
    let (mut found, mut open) = (BTreeSet::new(), vec![own]);
    while let Some(id) = open.pop() {
        for dependency in nodes.get(id).and_then(|deps| deps.as_array()).into_iter().flatten() {
            let normal = dependency["dep_kinds"].as_array().into_iter().flatten().any(|kind| kind["kind"].is_null());
            let Some(next) = dependency["pkg"].as_str().filter(|next| normal && !macros.contains(next)) else {
                continue;
            };
            if found.insert(next) {
                open.push(next);
            }
        }
    }
    Some(found)
}

fn component(package: &Value, checksums: &BTreeMap<(String, String), String>) -> Value {
    let text = |name: &str| package[name].as_str().unwrap_or_default().to_owned();
    let (name, version) = (text("name"), text("version"));
    let purl = format!("pkg:cargo/{name}@{version}");
    let mut component = json!({"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl});
    if let Some(license) = package["license"].as_str() {
        component["licenses"] = json!([{"expression": license.replace('/', " OR ")}]);
    }
    if let Some(sum) = checksums.get(&(name, version)) {
        component["hashes"] = json!([{"alg": "SHA-256", "content": sum}]);
    }
    component
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_linked_is_listed_and_nothing_else() {
        let sbom = of_the_operator().unwrap();
        let names: BTreeSet<_> =
            sbom["components"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
        for linked in ["kube", "llmrollout-core", "tokio", "rustls"] {
            assert!(names.contains(linked), "{linked} is missing");
        }
        for not in ["mlua", "serde_derive", "cc", "e2e", "llmrollout"] {
            assert!(!names.contains(not), "{not} is not linked");
        }
        let kube = sbom["components"].as_array().unwrap().iter().find(|one| one["name"] == "kube").unwrap();
        assert_eq!(kube["hashes"][0]["content"].as_str().map(str::len), Some(64));
        assert!(kube["licenses"][0]["expression"].as_str().unwrap().contains("Apache-2.0"));
        assert!(!sbom.to_string().contains("file://"), "no path of this machine");
    }
}
