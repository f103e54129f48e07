//! The binaries of this workspace that stand beside the running one, and which image each of them plays in the lab.
//! Nothing here starts them.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    process::Command,
};

use super::{error::LabError, tools};

/// The lab's node and proxy.
pub(crate) const NODE: &str = "lab-node";
/// Repositories of images and the binaries that play them.
const IMAGES: [&str; 3] = ["llm-sim", "llm-load", "llmrollout-operator"];
/// Everything a lab puts on its PATH besides the tools.
const ON_PATH: [&str; 5] = [NODE, "llm-sim", "llm-load", "llmrollout-operator", "kubectl-llmrollout"];

/// The running program, or what took its place: a rebuild while we run leaves "… (deleted)" behind.
pub(crate) fn own_program() -> Result<PathBuf, LabError> {
    let own = env::current_exe().map_err(LabError::file("the running program"))?;
    let text = own.to_string_lossy();
    Ok(text.strip_suffix(" (deleted)").map_or_else(|| own.clone(), PathBuf::from))
}

/// The directory of the running program.
pub(crate) fn dir() -> Result<PathBuf, LabError> {
    Ok(own_program()?.parent().unwrap_or(Path::new("/")).to_path_buf())
}

/// Builds the siblings when run by Cargo: `cargo run` builds only what it runs, and a stale node would lie.
pub(crate) fn build() -> Result<(), LabError> {
    let Some(cargo) = env::var_os("CARGO") else {
        return Ok(());
    };
    let mut command = Command::new(cargo);
    command.args(["build", "--workspace", "--bins"]);
    if dir()?.ends_with("release") {
        command.arg("--release");
    }
    if let Some(manifest) = env::var_os("CARGO_MANIFEST_DIR") {
        command.current_dir(manifest);
    }
    tools::run(command, "building the binaries of the workspace (--no-build takes them as they are)").map(drop)
}

/// Repository → program, with the caller's own words on top.
pub(crate) fn images(overrides: &[(String, PathBuf)]) -> Result<BTreeMap<String, PathBuf>, LabError> {
    let dir = dir()?;
    let own = IMAGES.iter().map(|name| ((*name).to_owned(), dir.join(name)));
    Ok(own.chain(overrides.iter().cloned()).collect())
}

/// Name → path of the siblings that exist; the node must.
pub(crate) fn on_path() -> Result<BTreeMap<&'static str, PathBuf>, LabError> {
    let dir = dir()?;
    let node = dir.join(NODE);
    if !node.is_file() {
        return Err(LabError::Sibling { path: node });
    }
    Ok(ON_PATH.iter().map(|name| (*name, dir.join(name))).filter(|(_, path)| path.is_file()).collect())
}
