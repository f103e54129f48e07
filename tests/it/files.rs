//! Finding and reading the files of the repository, in a fixed order. Never writes.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A path from the top of the repository.
pub(crate) fn top(path: &str) -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let top = if package.ends_with("core") { package.parent().unwrap_or(package) } else { package };
    top.join(path)
}

/// The text of a file.
pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every file below a folder whose name ends so; none when the folder does not exist.
pub(crate) fn below(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return vec![] };
    let mut found = Vec::new();
    for path in entries.map(|e| e.unwrap().path()) {
        if path.is_dir() {
            found.extend(below(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}
