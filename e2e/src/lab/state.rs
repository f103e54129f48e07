//! The directory of one lab and what lies where in it.
//! Nothing here is started or asked; this is paths and small documents only.

use std::{
    env, fs,
    os::unix::fs::{DirBuilderExt, symlink},
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

use super::{LabError, siblings};

/// The directory of one lab.
#[derive(Debug, Clone)]
pub(crate) struct State(PathBuf);

impl State {
    /// The state of the lab of this name, which need not exist.
    pub(crate) fn named(name: &str) -> Result<Self, LabError> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > 40 || !name.chars().all(fits) {
            return Err(LabError::Name(name.to_owned()));
        }
        let root = match env::var_os("LLMROLLOUT_LAB_DIR").filter(|dir| !dir.is_empty()) {
            Some(dir) => std::path::absolute(&dir).map_err(LabError::file(dir))?,
            // target/debug/e2e → target/lab
            None => siblings::dir()?.join("../lab"),
        };
        fs::create_dir_all(&root).map_err(LabError::file(&root))?;
        Ok(Self(root.canonicalize().map_err(LabError::file(&root))?.join(name)))
    }

    /// The state in a directory that is already known.
    pub(crate) fn at(dir: PathBuf) -> Self {
        Self(dir)
    }

    /// The directory itself.
    pub(crate) fn dir(&self) -> &Path {
        &self.0
    }

    /// A path in it.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.0.join(relative)
    }

    /// The same as text, for flags and documents.
    pub(crate) fn text(&self, relative: &str) -> String {
        self.path(relative).display().to_string()
    }

    /// A tool of the lab.
    pub(crate) fn bin(&self, tool: &str) -> PathBuf {
        self.path("bin").join(tool)
    }

    /// The log of a part.
    pub(crate) fn log(&self, part: &str) -> PathBuf {
        self.path("logs").join(format!("{part}.log"))
    }

    /// The file that keeps a part down while it exists.
    pub(crate) fn held(&self, part: &str) -> PathBuf {
        self.path("held").join(part)
    }

    /// Makes an empty state; what an earlier lab of this name left is removed.
    pub(crate) fn create(&self) -> Result<(), LabError> {
        super::tools::remove_dir(&self.0)?;
        // Tokens and keys lie here.
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        for dir in ["bin", "certs", "conf", "data", "held", "logs", "manifests", "node"] {
            let path = self.path(dir);
            builder.create(&path).map_err(LabError::file(&path))?;
        }
        Ok(())
    }

    /// Writes a file of this state as one step: a reader sees the old or the new text, never half of it.
    pub(crate) fn write(&self, relative: &str, text: impl AsRef<[u8]>) -> Result<PathBuf, LabError> {
        let path = self.path(relative);
        let half = path.with_extension("half");
        fs::write(&half, text).map_err(LabError::file(&half))?;
        fs::rename(&half, &path).map_err(LabError::file(&path))?;
        Ok(path)
    }

    /// Writes a document as JSON.
    pub(crate) fn write_json(&self, relative: &str, value: &impl Serialize) -> Result<(), LabError> {
        let text = serde_json::to_vec_pretty(value).map_err(LabError::document(relative))?;
        self.write(relative, text).map(drop)
    }

    /// Writes a document as YAML.
    pub(crate) fn write_yaml(&self, relative: &str, value: &impl Serialize) -> Result<(), LabError> {
        let text = serde_saphyr::to_string(value).map_err(LabError::document(relative))?;
        self.write(relative, text).map(drop)
    }

    /// Reads a JSON document of this state.
    pub(crate) fn read_json<T: DeserializeOwned>(&self, relative: &str) -> Result<T, LabError> {
        let path = self.path(relative);
        let text = fs::read(&path).map_err(LabError::file(&path))?;
        serde_json::from_slice(&text).map_err(LabError::document(path.display().to_string()))
    }

    /// Links something into this state.
    pub(crate) fn link(&self, relative: &str, target: &Path) -> Result<(), LabError> {
        let path = self.path(relative);
        let target = std::path::absolute(target).map_err(LabError::file(target))?;
        symlink(target, &path).map_err(LabError::file(&path))
    }

    /// The last lines of a part's log.
    pub(crate) fn tail(&self, part: &str, lines: usize) -> String {
        let bytes = fs::read(self.log(part)).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}
