//! An OCI image layout: blobs under their digests, a manifest for each architecture, an index over them, and an SBOM that
//! refers to each. The same input gives the same bytes. Nothing here judges what is written.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{CERTIFICATES, ImageError, tar};

pub(super) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(super) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub(super) const SBOM: &str = "application/vnd.cyclonedx+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// What one image is made of.
#[derive(Debug, Clone)]
pub(super) struct Image {
    /// As Go calls it.
    pub architecture: String,
    /// The static program.
    pub program: Vec<u8>,
    /// CA certificates in PEM.
    pub certificates: Vec<u8>,
    /// The commit.
    pub revision: String,
    /// What is in the program.
    pub sbom: Value,
}

/// A layout that is being written.
pub(super) struct Layout {
    blobs: PathBuf,
}

impl Layout {
    /// Writes everything anew and gives the digest of the index over the architectures.
    pub(super) fn write(to: &Path, images: &[Image]) -> Result<String, ImageError> {
        let _ = fs::remove_dir_all(to);
        let layout = Self { blobs: to.join("blobs/sha256") };
        fs::create_dir_all(&layout.blobs).map_err(ImageError::file(&layout.blobs))?;
        let (mut all, mut manifests) = (Vec::new(), Vec::new());
        for image in images {
            let manifest = layout.image(image)?;
            all.push(layout.sbom(&image.sbom, &manifest)?);
            manifests.push(manifest);
        }
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        let mut named = layout.blob(INDEX, index.to_string().as_bytes())?;
        named["annotations"] = json!({"org.opencontainers.image.ref.name": env!("CARGO_PKG_VERSION")});
        let digest = named["digest"].as_str().unwrap_or_default().to_owned();
        all.insert(0, named);
        let top = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": all}).to_string();
        for (name, text) in [("oci-layout", json!({"imageLayoutVersion": "1.0.0"}).to_string()), ("index.json", top)] {
            fs::write(to.join(name), text).map_err(ImageError::file(&to.join(name)))?;
        }
        Ok(digest)
    }

    fn image(&self, image: &Image) -> Result<Value, ImageError> {
        let files: [(&str, u32, &[u8]); 2] =
            [("llmrollout-operator", 0o755, &image.program), (CERTIFICATES, 0o644, &image.certificates)];
        let tar = tar::archive(&files);
        let mut packed = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
        let layer = packed.write_all(&tar).and_then(|()| packed.finish()).map_err(ImageError::file(&self.blobs))?;
        let labels = json!({
            "org.opencontainers.image.title": "llmrollout-operator",
            "org.opencontainers.image.description": "Gated, self-reverting rollouts of LLM services on Kubernetes",
            "org.opencontainers.image.licenses": "Apache-2.0",
            "org.opencontainers.image.source": "https://github.com/llmrollout/llmrollout",
            "org.opencontainers.image.version": env!("CARGO_PKG_VERSION"),
            "org.opencontainers.image.revision": image.revision,
        });
        let config = json!({
            "architecture": image.architecture,
            "os": "linux",
            "config": {
                "User": "65532:65532",
                "Entrypoint": ["/llmrollout-operator"],
                "Env": [format!("SSL_CERT_FILE=/{CERTIFICATES}")],
                "ExposedPorts": {"8080/tcp": {}},
                "Labels": labels,
            },
            "rootfs": {"type": "layers", "diff_ids": [digest(&tar)]},
        });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.blob(CONFIG, config.to_string().as_bytes())?,
            "layers": [self.blob(LAYER, &layer)?],
            "annotations": labels,
        });
        let mut descriptor = self.blob(MANIFEST, manifest.to_string().as_bytes())?;
        descriptor["platform"] = json!({"os": "linux", "architecture": image.architecture});
        Ok(descriptor)
    }

    /// The SBOM as an artifact whose subject is the image.
    fn sbom(&self, sbom: &Value, subject: &Value) -> Result<Value, ImageError> {
        let subject = json!({"mediaType": MANIFEST, "digest": subject["digest"], "size": subject["size"]});
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": SBOM,
            "config": self.blob(EMPTY, b"{}")?,
            "layers": [self.blob(SBOM, sbom.to_string().as_bytes())?],
            "subject": subject,
        });
        let mut descriptor = self.blob(MANIFEST, manifest.to_string().as_bytes())?;
        descriptor["artifactType"] = json!(SBOM);
        Ok(descriptor)
    }

    /// Keeps some bytes, and says what they are.
    fn blob(&self, media_type: &str, bytes: &[u8]) -> Result<Value, ImageError> {
        let digest = digest(bytes);
        let path = self.blobs.join(digest.trim_start_matches("sha256:"));
        fs::write(&path, bytes).map_err(ImageError::file(&path))?;
        Ok(json!({"mediaType": media_type, "digest": digest, "size": bytes.len()}))
    }
}

/// As a registry names bytes.
pub(super) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}
