//! What can go wrong around the lab, each with a word on what to do about it.
//! Nothing here decides: recovery lives with the callers.

use std::{io, path::PathBuf};

/// Every failure of the lab.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LabError {
    /// A file or directory could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The path in question.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A program of the system could not be started.
    #[error("{program} cannot be started ({source}): install it or put it on PATH")]
    Program {
        /// The program's name.
        program: String,
        /// The cause.
        source: io::Error,
    },
    /// A program of the system ended with an error.
    #[error("{what} failed:\n{detail}")]
    Failed {
        /// What was attempted.
        what: String,
        /// The end of the program's own words.
        detail: String,
    },
    /// A tool is needed for which there is no recipe on this machine.
    #[error("{tool} has no recipe for this machine ({reason}): set {variable} to a binary of your own")]
    NoRecipe {
        /// The tool.
        tool: &'static str,
        /// Why there is none.
        reason: &'static str,
        /// The variable that names a replacement.
        variable: String,
    },
    /// A binary of this workspace is missing beside the running one.
    #[error("{} is missing: run `cargo build --workspace --bins`", path.display())]
    Sibling {
        /// Where it was expected.
        path: PathBuf,
    },
    /// The directory for caches or labs cannot be determined.
    #[error("no directory for {what}: set {variable}")]
    Directory {
        /// What the directory is for.
        what: &'static str,
        /// The variable that names it.
        variable: &'static str,
    },
    /// The lab is not running.
    #[error("lab {name} is not running: start it with `cargo run -p e2e -- lab up --name {name}`")]
    Down {
        /// The lab's name.
        name: String,
    },
    /// The lab is on its way up, or its caller was lost on the way.
    #[error("lab {name} is not up yet: wait for it, or end it with `cargo run -p e2e -- lab down --name {name}`")]
    Half {
        /// The lab's name.
        name: String,
    },
    /// A lab's name is not usable as the name of a directory.
    #[error("{0:?} is no name for a lab: use lower-case letters, digits and dashes")]
    Name(String),
    /// A part did not become ready.
    #[error("{part} is not ready: {reason}\n{log}")]
    Part {
        /// The part.
        part: String,
        /// What was seen.
        reason: String,
        /// The last lines of its log.
        log: String,
    },
    /// The supervisor gave up; it said why.
    #[error("the lab did not come up: {0}")]
    Supervisor(String),
    /// Something of the lab outlived it.
    #[error("processes are left after the end of lab {name}: {pids:?}")]
    Left {
        /// The lab's name.
        name: String,
        /// Their pids as seen from outside.
        pids: Vec<i32>,
    },
    /// A part of this name is not known.
    #[error("no part {name}: there are {known}")]
    UnknownPart {
        /// The name given.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The API server refused or did not answer.
    #[error("{what}: {source}")]
    Api {
        /// What was attempted.
        what: String,
        /// The cause.
        source: Box<kube::Error>,
    },
    /// A document could not be read or written as JSON or YAML.
    #[error("{what}: {detail}")]
    Document {
        /// Which document.
        what: String,
        /// The parser's words.
        detail: String,
    },
    /// A key could not be made.
    #[error("the key of the service accounts could not be made")]
    Key,
}

impl LabError {
    /// Wraps an I/O error with the path it belongs to.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }

    /// Wraps the failure to start a program.
    pub(crate) fn program(program: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let program = program.into();
        move |source| Self::Program { program, source }
    }

    /// Wraps an error of the Kubernetes client.
    pub(crate) fn api(what: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let what = what.into();
        move |source| Self::Api { what, source: Box::new(source) }
    }

    /// Wraps an error of a parser or writer of documents.
    pub(crate) fn document<E: std::fmt::Display>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |error| Self::Document { what, detail: error.to_string() }
    }
}
