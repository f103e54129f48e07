//! A layout read again as a client of a registry reads it: from the index down, every digest and size, then what a node would
//! run and as whom. Knows nothing of how it was written.

use std::{fs, io::Read, path::Path};

use flate2::read::GzDecoder;
use serde_json::Value;

use super::{
    CERTIFICATES, ImageError,
    layout::{CONFIG, INDEX, LAYER, MANIFEST, SBOM, digest},
};

/// The most that one may weigh.
const LARGEST: usize = 30_000_000;
/// The most that its program may.
const LARGEST_PROGRAM: usize = 25_000_000;
const LABELS: [&str; 6] = ["title", "description", "licenses", "source", "version", "revision"];

/// An image that is as it should be.
#[derive(Debug)]
pub(super) struct Found {
    /// As Go calls it.
    pub architecture: String,
    /// Of its manifest.
    pub digest: String,
    /// What a node pulls.
    pub bytes: usize,
    /// What the SBOM lists.
    pub components: usize,
}

/// Everything in a layout.
pub(super) fn layout(at: &Path) -> Result<Vec<Found>, ImageError> {
    let top = json(&read(&at.join("index.json"))?)?;
    let version = json(&read(&at.join("oci-layout"))?)?;
    claim(version["imageLayoutVersion"] == "1.0.0", "oci-layout names another version")?;
    let (mut images, mut referrers) = (Vec::new(), Vec::new());
    for descriptor in list(&top["manifests"]) {
        let manifest = json(&blob(at, descriptor)?)?;
        if descriptor["mediaType"] == INDEX {
            images.extend(list(&manifest["manifests"]).iter().cloned());
        } else {
            referrers.push(manifest);
        }
    }
    claim(!images.is_empty(), "there is no image in it")?;
    images.iter().map(|descriptor| image(at, descriptor, &referrers)).collect()
}

fn image(at: &Path, descriptor: &Value, referrers: &[Value]) -> Result<Found, ImageError> {
    claim(descriptor["mediaType"] == MANIFEST, "an entry of the index is no manifest")?;
    let manifest = json(&blob(at, descriptor)?)?;
    claim(manifest["config"]["mediaType"] == CONFIG, "its configuration has another type")?;
    let packed = blob(at, &manifest["config"])?;
    let config = json(&packed)?;
    let mut bytes = packed.len();
    for same in ["os", "architecture"] {
        claim(config[same] == descriptor["platform"][same], "configuration and index name different platforms")?;
    }
    let run = &config["config"];
    claim(run["User"] == "65532:65532", "it does not run as nobody in particular")?;
    claim(run["Entrypoint"][0] == "/llmrollout-operator", "it starts something else")?;
    for label in LABELS.map(|label| format!("org.opencontainers.image.{label}")) {
        let said = run["Labels"][&label].as_str().is_some_and(|text| !text.is_empty());
        claim(said && run["Labels"][&label] == manifest["annotations"][&label], &format!("no label {label}"))?;
    }
    let layers = list(&manifest["layers"]);
    claim(layers.len() == list(&config["rootfs"]["diff_ids"]).len(), "layers are missing")?;
    for (layer, unpacked) in layers.iter().zip(list(&config["rootfs"]["diff_ids"])) {
        claim(layer["mediaType"] == LAYER, "a layer has another type")?;
        let packed = blob(at, layer)?;
        bytes += packed.len();
        let mut tar = Vec::new();
        GzDecoder::new(&*packed).read_to_end(&mut tar).map_err(ImageError::file(at))?;
        claim(*unpacked == digest(&tar), "a layer unpacks to something else")?;
        claim(tar.len() <= LARGEST_PROGRAM + 1_000_000, "the program is larger than 25 MB")?;
        claim(holds(&tar, CERTIFICATES), "there are no CA certificates in it")?;
    }
    claim(bytes <= LARGEST, "it is larger than 30 MB")?;
    let components = components(at, descriptor, referrers)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (architecture, digest) = (text(&config["architecture"]), text(&descriptor["digest"]));
    Ok(Found { architecture, digest, bytes, components })
}

/// How many components the SBOM lists whose subject is this image.
fn components(at: &Path, image: &Value, referrers: &[Value]) -> Result<usize, ImageError> {
    let ours = |manifest: &&Value| manifest["artifactType"] == SBOM && manifest["subject"]["digest"] == image["digest"];
    let manifest = referrers.iter().find(ours).ok_or_else(|| ImageError::Wrong("no SBOM refers to it".to_owned()))?;
    blob(at, &manifest["config"])?;
    let sbom = json(&blob(at, &manifest["layers"][0])?)?;
    let count = list(&sbom["components"]).len();
    claim(sbom["bomFormat"] == "CycloneDX" && count > 0, "its SBOM lists nothing")?;
    Ok(count)
}

/// Whether a header of the archive names this path: each begins a record.
fn holds(tar: &[u8], path: &str) -> bool {
    tar.chunks(512).any(|record| record.strip_prefix(path.as_bytes()).is_some_and(|rest| rest.first() == Some(&0)))
}

/// The bytes behind a descriptor, if they are those.
fn blob(at: &Path, descriptor: &Value) -> Result<Vec<u8>, ImageError> {
    let named = descriptor["digest"].as_str().unwrap_or_default();
    let bytes = read(&at.join("blobs/sha256").join(named.trim_start_matches("sha256:")))?;
    claim(digest(&bytes) == named, &format!("{named} is something else"))?;
    claim(descriptor["size"] == bytes.len(), &format!("{named} has another size"))?;
    Ok(bytes)
}

fn read(path: &Path) -> Result<Vec<u8>, ImageError> {
    fs::read(path).map_err(ImageError::file(path))
}

fn json(bytes: &[u8]) -> Result<Value, ImageError> {
    serde_json::from_slice(bytes).map_err(|error| ImageError::Wrong(error.to_string()))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn claim(holds: bool, otherwise: &str) -> Result<(), ImageError> {
    if holds { Ok(()) } else { Err(ImageError::Wrong(otherwise.to_owned())) }
}
