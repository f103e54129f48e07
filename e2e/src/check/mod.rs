//! `e2e check`: everything that must hold of the tree, one suite after the other, and one list of what came of it.
//! Nothing here tests anything itself: each suite is a program that can be run by hand.

mod browser;
mod chart;
mod process;
mod promtool;
mod report;
mod suites;
mod tests_said;

use std::{io, path::PathBuf, process::ExitCode};

use clap::{Args, ValueEnum};

use report::{Report, Row};

use crate::lab::LabError;

/// Arguments of `e2e check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Run only these
    #[arg(long, value_delimiter = ',')]
    only: Vec<Suite>,
    /// Leave the cases in the lab out
    #[arg(long)]
    no_cases: bool,
}

/// Suites in their order: the cheap ones first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Suite {
    /// The format of the sources
    Fmt,
    /// Clippy, with every warning an error
    Clippy,
    /// The documentation builds without a warning
    Doc,
    /// Licenses, sources and bans of the dependencies
    Deny,
    /// Unit, property, architecture, scenario and CRD tests
    Unit,
    /// Every query, by Prometheus' own promtool
    Promtool,
    /// The dashboard, by a real browser
    Browser,
    /// The chart, by helm and by a real API server
    Chart,
    /// The cases in the lab
    Cases,
}

/// Why there is no list of results.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckError {
    /// A file could not be written.
    #[error("{}: {source}", path.display())]
    File {
        /// The path in question.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A program could not be started.
    #[error("{program} cannot be started ({source}): install it or put it on PATH")]
    Program {
        /// The program's name.
        program: String,
        /// The cause.
        source: io::Error,
    },
    /// The lab did not do what was asked.
    #[error(transparent)]
    Lab(#[from] LabError),
}

impl CheckError {
    fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}

/// Runs the suites that were asked for, all of them whatever the earlier ones said.
pub(crate) fn run(arguments: &CheckArgs) -> Result<ExitCode, CheckError> {
    let mut report = Report::new()?;
    for suite in Suite::value_variants() {
        let is_wanted = arguments.only.is_empty() || arguments.only.contains(suite);
        if is_wanted && !(arguments.no_cases && *suite == Suite::Cases) {
            let name = suite.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
            eprintln!("\n== {name}");
            let rows = suites::run(*suite, &name).unwrap_or_else(|error| {
                eprintln!("{error}");
                vec![Row::failed(&name)]
            });
            report.add(rows)?;
        }
    }
    Ok(report.end())
}
