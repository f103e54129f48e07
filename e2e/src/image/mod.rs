//! `e2e image`: the operator's image as an OCI layout, made without a container runtime, and held against what it says.
//! Nothing here builds the program, and nothing is sent anywhere.

#![expect(clippy::print_stdout, reason = "what it weighs is what this command is asked for")]

mod check;
mod layout;
mod sbom;
mod tar;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;

use layout::{Image, Layout};

/// Where an image's CA certificates are: what a program without an operating system below it has to bring along.
const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";

/// Arguments of `e2e image`.
#[derive(Debug, Args)]
pub(crate) struct ImageArgs {
    /// A static program and its architecture, `amd64=PATH`; may be repeated
    #[arg(long = "program", value_name = "ARCH=PATH", value_parser = program, required = true)]
    programs: Vec<(String, PathBuf)>,
    /// The CA certificates that go into it
    #[arg(long, default_value = "/etc/ssl/certs/ca-certificates.crt")]
    certificates: PathBuf,
    /// The commit it is built from
    #[arg(long, default_value = "unknown")]
    revision: String,
    /// The directory of the layout; what is there is replaced
    #[arg(long, default_value = "target/image")]
    to: PathBuf,
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImageError {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The path in question.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The dependencies are not known.
    #[error("cargo metadata: {0}")]
    Metadata(String),
    /// The layout is not what it should be.
    #[error("the image is wrong: {0}")]
    Wrong(String),
}

impl ImageError {
    fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

fn program(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((arch @ ("amd64" | "arm64"), path)) if !path.is_empty() => Ok((arch.to_owned(), path.into())),
        _ => Err("write for example `amd64=target/x86_64-unknown-linux-gnu/release/llmrollout-operator`".to_owned()),
    }
}

/// Writes the layout, reads it again as a registry's client would, and prints what it weighs.
pub(crate) fn run(arguments: &ImageArgs) -> Result<ExitCode, ImageError> {
    let read = |path: &Path| fs::read(path).map_err(ImageError::file(path));
    let sbom = sbom::of_the_operator()?;
    let certificates = read(&arguments.certificates)?;
    let mut images = Vec::new();
    for (architecture, path) in &arguments.programs {
        let (program, revision) = (read(path)?, arguments.revision.clone());
        println!("{architecture}: program {} bytes", program.len());
        images.push(Image {
            architecture: architecture.clone(),
            program,
            certificates: certificates.clone(),
            revision,
            sbom: sbom.clone(),
        });
    }
    let index = Layout::write(&arguments.to, &images)?;
    for found in check::layout(&arguments.to)? {
        println!(
            "{}: image {} bytes, {} in the SBOM, {}",
            found.architecture, found.bytes, found.components, found.digest
        );
    }
    println!("{}@{index}", arguments.to.display());
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("llmrollout-image-{name}-{}", std::process::id()));
        let image = |architecture: &str| Image {
            architecture: architecture.to_owned(),
            program: vec![7; 100_000],
            certificates: b"-----BEGIN CERTIFICATE-----".to_vec(),
            revision: "abc".to_owned(),
            sbom: serde_json::json!({"bomFormat": "CycloneDX", "components": [{"name": "kube"}]}),
        };
        Layout::write(&dir, &[image("amd64"), image("arm64")]).unwrap();
        dir
    }

    #[test]
    fn a_layout_is_read_as_it_was_written() {
        let dir = small("whole");
        let found = check::layout(&dir).unwrap();
        let seen: Vec<_> = found.iter().map(|image| (image.architecture.as_str(), image.components)).collect();
        assert_eq!(seen, [("amd64", 1), ("arm64", 1)]);
        assert!(found.iter().all(|image| image.bytes < 100_000), "a layer is compressed");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn the_same_is_written_the_same() {
        let [one, other] = ["one", "other"].map(small);
        let index = |dir: &Path| fs::read_to_string(dir.join("index.json")).unwrap();
        assert_eq!(index(&one), index(&other));
        for dir in [one, other] {
            fs::remove_dir_all(dir).unwrap();
        }
    }

    #[test]
    fn a_blob_that_was_changed_is_seen() {
        let dir = small("changed");
        let blobs: Vec<_> =
            fs::read_dir(dir.join("blobs/sha256")).unwrap().map(|entry| entry.unwrap().path()).collect();
        for blob in &blobs {
            let whole = fs::read(blob).unwrap();
            let mut changed = whole.clone();
            changed[0] ^= 1;
            fs::write(blob, changed).unwrap();
            assert!(check::layout(&dir).is_err(), "{}", blob.display());
            fs::write(blob, whole).unwrap();
        }
        assert!(blobs.len() >= 6 && check::layout(&dir).is_ok());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn an_architecture_is_one_we_know() {
        assert_eq!(program("arm64=a/b"), Ok(("arm64".to_owned(), "a/b".into())));
        assert!(program("arm64=").is_err() && program("mips=a").is_err() && program("a/b").is_err());
    }
}
