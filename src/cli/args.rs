//! What was typed: flags and verbs, as kubectl has them. Never what they mean; that is `wish`.

use std::{path::PathBuf, time::Duration};

use super::{
    files::{BacktestArgs, CompletionArgs, ConvertArgs, LintArgs, ManArgs, SimulateArgs},
    typed::{before, deadline, duration, rate, reason, rps},
};
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

/// The whole command line.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "kubectl-llmrollout",
    bin_name = "kubectl llmrollout",
    about = "See what gated rollouts of LLM services are doing, and say how they go on",
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
#[derive(Clone, Debug, ClapArgs)]
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
    /// The kubeconfig cluster to use instead of the context's
    #[arg(long, global = true, value_name = "NAME")]
    pub cluster: Option<String>,
    /// The kubeconfig user to sign in as instead of the context's
    #[arg(long = "user", global = true, value_name = "NAME")]
    pub signed_in: Option<String>,
    /// How long one answer of the API server may take: 5s, 1m, or a number of seconds; 0 for as long as it likes
    #[arg(long, global = true, value_name = "DURATION", default_value = "10s", value_parser = deadline)]
    pub request_timeout: Duration,
    /// Speak as this user, if you may
    #[arg(long = "as", id = "as", global = true, value_name = "NAME")]
    pub user: Option<String>,
    /// Speak as a member of this group, with --as; may be repeated
    #[arg(long = "as-group", global = true, value_name = "NAME", requires = "as")]
    pub groups: Vec<String>,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// List rollouts, one line each
    Get(GetArgs),
    /// Tell the whole story of one rollout on one screen
    Status(StatusArgs),
    /// Watch one rollout live in the terminal, with keys to pause, promote and take back
    Watch(WatchArgs),
    /// Serve a page about rollouts on this machine, live, with your own permissions and nobody else's
    Dashboard(DashboardArgs),
    /// Tell what was tried before, and who said what to it
    History(HistoryArgs),
    /// Print the sign-off sheet of one attempt: what was released, who agreed, what decided, what was written
    Report(ReportArgs),
    /// Say how long each step takes at a given traffic, and which gates cannot be decided in time
    Plan(PlanArgs),
    /// Say what a reason means
    Explain(ExplainArgs),
    /// Say what would be refused in manifests, and what is legal and unwise, without a cluster
    #[command(
        after_help = "Exit codes: 0 nothing is refused, 1 something is (with --strict: or is unwise), 2 wrong usage."
    )]
    Lint(LintArgs),
    /// Play a scenario with a manifest, in simulated time and without a cluster, and tell what would have happened when
    #[command(
        after_help = "Exit codes: 0 the last release was promoted, 1 it was taken back or is not over, 2 wrong usage."
    )]
    Simulate(SimulateArgs),
    /// Say when a manifest's gates would have passed, failed, or not known, over what a Prometheus has stored
    Backtest(BacktestArgs),
    /// Turn analyses of Argo Rollouts and Flagger into a set of gates, and say what could not be carried over
    Convert(ConvertArgs),
    /// Agree in a role to what waits for it
    Approve(ApproveArgs),
    /// Refuse: traffic goes back, the reason is kept
    Reject(RejectArgs),
    /// Give the candidate everything with the next step
    Promote(OrderArgs),
    /// Leave out the rest of the step, or the bake, that is being measured
    Skip(OrderArgs),
    /// Stand still: set `paused` in the manifest
    Pause(PauseArgs),
    /// Go on: after `pause`, or after a gate has asked a person
    Resume(OrderArgs),
    /// Take traffic back now
    Abort(OrderArgs),
    /// Try the revision that was taken back once more
    Retry(OrderArgs),
    /// Print a script that completes this command line in a shell
    #[command(after_help = "In bash: source <(kubectl-llmrollout completion bash)")]
    Completion(CompletionArgs),
    /// Write the man pages into a folder
    #[command(hide = true)]
    Man(ManArgs),
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
    pub output: Option<ListOutput>,
}

/// `watch NAME`.
#[derive(Clone, Debug, ClapArgs)]
pub struct WatchArgs {
    /// Name of the rollout
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// `dashboard`.
#[derive(Clone, Debug, ClapArgs)]
pub struct DashboardArgs {
    /// The port on 127.0.0.1; without it one that is free
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    pub port: u16,
    /// Rollouts of every namespace
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
}

/// `history NAME`.
#[derive(Clone, Debug, ClapArgs)]
pub struct HistoryArgs {
    /// Name of the rollout
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Another shape of output
    #[arg(short, long, value_name = "SHAPE")]
    pub output: Option<DocumentOutput>,
}

/// `report NAME`.
#[derive(Clone, Debug, ClapArgs)]
pub struct ReportArgs {
    /// Name of the rollout
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Number of the attempt; the newest without one
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    pub attempt: Option<i64>,
    /// The shape of the sheet
    #[arg(short, long, value_name = "SHAPE", default_value = "md")]
    pub output: ReportOutput,
}

/// `plan [NAME] [-f FILE]`.
#[derive(Clone, Debug, ClapArgs)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub struct PlanArgs {
    /// A rollout of the cluster
    #[arg(value_name = "NAME", group = "what")]
    pub name: Option<String>,
    /// A manifest instead of a rollout of the cluster, with the gate sets that it takes over; - for standard input
    #[arg(short, long, value_name = "FILE", group = "what")]
    pub file: Option<PathBuf>,
    /// Requests a second of both colors together; may be left out when the status of the rollout tells
    #[arg(long, value_name = "N", value_parser = rps)]
    pub rps: Option<f64>,
    /// The share of the serving color that is bad now, as 1%, or as errors=1% for one gate; may be repeated
    #[arg(long = "rate", value_name = "SHARE", value_parser = rate)]
    pub rates: Vec<(Option<String>, f64)>,
    /// Another shape of output
    #[arg(short, long, value_name = "SHAPE")]
    pub output: Option<DocumentOutput>,
}

/// `explain [REASON]`.
#[derive(Clone, Debug, ClapArgs)]
pub struct ExplainArgs {
    /// The word, as status and events show it; all of them without one
    #[arg(value_name = "REASON")]
    pub reason: Option<String>,
    /// Another shape of output
    #[arg(short, long, value_name = "SHAPE")]
    pub output: Option<DocumentOutput>,
}

/// How the operator's answer is waited for and shown.
#[derive(Clone, Debug, ClapArgs)]
pub struct AnswerArgs {
    /// How long to wait for the operator's answer
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub timeout: Duration,
    /// Do not wait for the operator's answer
    #[arg(long, conflicts_with = "timeout")]
    pub no_wait: bool,
    /// Another shape of output
    #[arg(short, long, value_name = "SHAPE")]
    pub output: Option<DocumentOutput>,
}

/// `promote NAME` and its like.
#[derive(Clone, Debug, ClapArgs)]
pub struct OrderArgs {
    /// Name of the rollout
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub reason: Option<String>,
    /// The answer.
    #[command(flatten)]
    pub answer: AnswerArgs,
}

/// `pause NAME`.
#[derive(Clone, Debug, ClapArgs)]
pub struct PauseArgs {
    /// Name of the rollout
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The answer.
    #[command(flatten)]
    pub answer: AnswerArgs,
}

/// `approve NAME`.
#[derive(Clone, Debug, ClapArgs)]
pub struct ApproveArgs {
    /// Name of the rollout
    #[arg(value_name = "NAME")]
    pub name: String,
    /// In which role; may be left out when only one is waited for
    #[arg(long, value_name = "ROLE")]
    pub role: Option<String>,
    /// What for: Start, Step/2, Full or Decommission; may be left out when it is waited for now
    #[arg(long, value_name = "WHAT", value_parser = before)]
    pub before: Option<String>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub reason: Option<String>,
    /// The answer.
    #[command(flatten)]
    pub answer: AnswerArgs,
}

/// `reject NAME`.
#[derive(Clone, Debug, ClapArgs)]
pub struct RejectArgs {
    /// Name of the rollout
    #[arg(value_name = "NAME")]
    pub name: String,
    /// What speaks against it
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub reason: String,
    /// The answer.
    #[command(flatten)]
    pub answer: AnswerArgs,
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

/// Shapes of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportOutput {
    /// Markdown.
    Md,
    /// One HTML page that needs nothing else.
    Html,
    /// The record itself.
    Json,
}
