//! Flags of the verbs that ask no API server: of manifests, of a history, of the command line itself. Never what they mean;
//! that is `wish`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

use super::{
    args::DocumentOutput,
    typed::{Instant, address, instant, rate, rps},
};

/// `backtest FILE --from --to`.
#[derive(Clone, Debug, ClapArgs)]
pub struct BacktestArgs {
    /// The manifest, with the gate sets that it takes over; - for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// From when: 2026-11-21T14:00:00Z, or so long ago, as 6h
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub from: Instant,
    /// Until when
    #[arg(long, value_name = "TIME", default_value = "now", value_parser = instant)]
    pub to: Instant,
    /// The address of Prometheus, up to /api
    #[arg(long, value_name = "URL", value_parser = address)]
    pub prometheus: String,
    /// A file with a bearer token for it
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Whose pods are taken for the candidate's
    #[arg(long, value_name = "COLOR", default_value = "green")]
    pub color: ColorWord,
    /// Write a plot to this file
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Another shape of output
    #[arg(short, long, value_name = "SHAPE")]
    pub output: Option<DocumentOutput>,
}

/// `convert FILE…`.
#[derive(Clone, Debug, ClapArgs)]
pub struct ConvertArgs {
    /// `AnalysisTemplate`s, or a `Canary` with its `MetricTemplate`s; - for standard input
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// The name of the set; that of the first object without it
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// With what was lost, as a document
    #[arg(short, long, value_name = "SHAPE")]
    pub output: Option<DocumentOutput>,
}

/// `lint FILE…`.
#[derive(Clone, Debug, ClapArgs)]
pub struct LintArgs {
    /// Manifests, with the gate sets that they take over; - for standard input
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Requests a second of both colors together: what is too little for a gate is told then
    #[arg(long, value_name = "N", value_parser = rps)]
    pub rps: Option<f64>,
    /// The share of the serving color that is bad now, as 1%, or as errors=1% for one gate; may be repeated
    #[arg(long = "rate", value_name = "SHARE", value_parser = rate)]
    pub rates: Vec<(Option<String>, f64)>,
    /// Fail on what is unwise too
    #[arg(long)]
    pub strict: bool,
    /// Another shape of output
    #[arg(short, long, value_name = "SHAPE", default_value = "text")]
    pub output: LintOutput,
}

/// `simulate FILE…`.
#[derive(Clone, Debug, ClapArgs)]
pub struct SimulateArgs {
    /// The manifest, with the gate sets that it takes over, in one file or several; - for standard input
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// What happens, a line each; without it a release until it is over
    #[arg(long, value_name = "FILE", conflicts_with = "bad")]
    pub scenario: Option<PathBuf>,
    /// Without a scenario: this gate fails at the second step
    #[arg(long, value_name = "GATE")]
    pub bad: Option<String>,
    /// Requests a second of both colors together; figures rest on just as many then, and not always on enough
    #[arg(long, value_name = "N", value_parser = rps)]
    pub rps: Option<f64>,
    /// Another shape of output
    #[arg(short, long, value_name = "SHAPE")]
    pub output: Option<DocumentOutput>,
}

/// `completion SHELL`.
#[derive(Clone, Debug, ClapArgs)]
pub struct CompletionArgs {
    /// Which shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// `man --dir FOLDER`.
#[derive(Clone, Debug, ClapArgs)]
pub struct ManArgs {
    /// Where to write them
    #[arg(long, value_name = "FOLDER")]
    pub dir: PathBuf,
}

/// A color, as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorWord {
    /// Blue.
    Blue,
    /// Green.
    Green,
}

/// Shapes of what `lint` finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LintOutput {
    /// A line each.
    Text,
    /// One document.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
}

/// Shells that are completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// Bash.
    Bash,
    /// Zsh.
    Zsh,
    /// Fish.
    Fish,
}
