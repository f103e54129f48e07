//! Which program an image stands for. Never how it is started.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::error::NodeError;

/// The last path component of an image's repository: `registry.example/chat/llm-sim:v2@sha256:…` is `llm-sim`.
pub(crate) fn repository(image: &str) -> &str {
    let undigested = image.split('@').next().unwrap_or(image);
    let last = undigested.rsplit('/').next().unwrap_or(undigested);
    last.split(':').next().unwrap_or(last)
}

/// Looks the image up. The file is read anew each time, so that an image may appear later.
pub(crate) fn program(file: &Path, image: &str) -> Result<Option<PathBuf>, NodeError> {
    let text = std::fs::read_to_string(file).map_err(NodeError::file(file))?;
    let programs: BTreeMap<String, PathBuf> = serde_saphyr::from_str(&text)
        .map_err(|error| NodeError::Images { path: file.to_owned(), message: error.to_string() })?;
    Ok(programs.get(repository(image)).cloned())
}

/// The image with a digest, as a container runtime reports it; made from the name when the name has none.
pub(crate) fn image_id(image: &str) -> String {
    if image.contains("@sha256:") {
        return image.to_owned();
    }
    let last = image.rfind('/').map_or(0, |slash| slash + 1);
    let untagged = image.get(last..).and_then(|name| name.find(':')).map_or(image, |colon| &image[..last + colon]);
    format!("{untagged}@sha256:{}", digest(image))
}

/// Names one run of a container.
pub(crate) fn container_id(uid: &str, container: &str, restarts: i32) -> String {
    format!("lab://{}", digest(&format!("{uid}/{container}/{restarts}")))
}

fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_the_last_component_without_tag_and_digest() {
        for image in [
            "llm-sim",
            "llm-sim:v2",
            "registry.example/chat/llm-sim:v2",
            "registry.example:5000/llm-sim",
            "registry.example:5000/llm-sim:v2@sha256:ab",
            "llm-sim@sha256:ab",
        ] {
            assert_eq!(repository(image), "llm-sim", "{image}");
        }
    }

    #[test]
    fn an_image_id_has_a_digest_and_no_tag() {
        assert!(image_id("registry.example:5000/a/b:v1").starts_with("registry.example:5000/a/b@sha256:"));
        assert!(image_id("b").starts_with("b@sha256:"));
        assert_ne!(image_id("b:v1"), image_id("b:v2"));
        assert_eq!(image_id("b:v1@sha256:ab"), "b:v1@sha256:ab");
    }
}
