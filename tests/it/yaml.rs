//! The documents of a YAML file of the repository.

use std::path::Path;

use serde_json::Value;

use crate::files::read;

/// The documents of a YAML file.
pub(crate) fn yaml(path: &Path) -> Vec<Value> {
    let text = read(path);
    let documents: Result<Vec<Value>, _> = serde_saphyr::from_multiple(&text);
    documents.unwrap_or_else(|e| panic!("{}: {e}", path.display())).into_iter().filter(|d| !d.is_null()).collect()
}
