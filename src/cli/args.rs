//! What was typed: flags and verbs, as kubectl has them. Never what they mean; that is `wish`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

/// The whole command line.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "kubectl-llmrollout",
    bin_name = "kubectl llmrollout",
    about = "See what gated rollouts of LLM services are doing",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 done, 1 refused or failed, 2 wrong usage."
)]
pub struct Args {
    /// Where to ask.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Flags that say which cluster and namespace.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct PlaceArgs {
    /// The kubeconfig file to use instead of $KUBECONFIG or ~/.kube/config
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The kubeconfig context to use
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// The namespace to look in instead of the context's
    #[arg(short, long, global = true, value_name = "NAME")]
    pub namespace: Option<String>,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// List rollouts, one line each
    Get(GetArgs),
    /// Tell the whole story of one rollout on one screen
    Status(StatusArgs),
    /// Print the version of this command line
    Version(VersionArgs),
}

/// `get [NAME]`.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct GetArgs {
    /// Only this rollout
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Rollouts of every namespace
    #[arg(short = 'A', long, conflicts_with = "name")]
    pub all_namespaces: bool,
    /// Another shape of output
    #[arg(short, long, value_name = "SHAPE")]
    pub output: Option<ListOutput>,
}

/// `status NAME`.
#[derive(Clone, Debug, ClapArgs)]
pub struct StatusArgs {
    /// Name of the rollout
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Another shape of output
    #[arg(short, long, value_name = "SHAPE")]
    pub output: Option<DocumentOutput>,
}

/// `version`.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct VersionArgs {
    /// Another shape of output
    #[arg(short, long, value_name = "SHAPE")]
    pub output: Option<DocumentOutput>,
}

/// Shapes of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListOutput {
    /// More columns.
    Wide,
    /// The objects as JSON.
    Json,
    /// The objects as YAML.
    Yaml,
    /// Only the names.
    Name,
}

/// Shapes of one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DocumentOutput {
    /// As JSON.
    Json,
    /// As YAML.
    Yaml,
}
