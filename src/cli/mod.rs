//! The command line: one file per verb, shapes of output in `table` and `document`. Each verb reads the cluster and
//! returns text; only `run` writes it out, and only `post` writes to the cluster. Never decides what the operator decides.

pub mod advice;
pub mod args;
pub mod backtest;
pub mod checklist;
pub mod cluster;
pub mod completion;
pub mod convert;
pub mod dashboard;
pub mod document;
pub mod error;
pub mod explain;
pub mod files;
pub mod get;
pub mod history;
pub mod letter;
pub mod lint;
pub mod manifest;
pub mod order;
pub mod paint;
pub mod people;
pub mod plan;
pub mod post;
pub mod report;
pub mod signs;
pub mod simulate;
pub mod status;
pub mod story;
pub mod table;
pub mod traffic;
pub mod typed;
pub mod version;
pub mod watch;
pub mod wish;

use std::{
    error::Error,
    ffi::OsString,
    io::{IsTerminal, Write},
    process::ExitCode,
};

use clap::Parser;
use k8s_openapi::jiff::Timestamp;

use crate::api::Moment;
use args::Args;
use cluster::Cluster;
use error::CliError;
use wish::{Place, Planned, Wish};

/// Done.
const DONE: u8 = 0;
/// Refused or failed.
const FAILED: u8 = 1;
/// Wrong usage.
const WRONG_USAGE: u8 = 2;

/// What a verb has to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// For standard output: what was asked for.
    pub out: String,
    /// For standard error: what a person should know beside it.
    pub note: String,
    /// The operator was asked for something and did not do it.
    pub refused: bool,
}

impl Said {
    /// Only what was asked for.
    pub fn out(out: String) -> Self {
        Self { out, note: String::new(), refused: false }
    }
}

/// Runs one command line and says how it ended: 0 done, 1 refused or failed, 2 wrong usage.
pub fn run(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(words) {
        Ok(args) => args,
        Err(usage) => {
            // Help is asked for and goes to standard output; a mistake goes to standard error.
            let _ = usage.print();
            return ExitCode::from(if usage.use_stderr() { WRONG_USAGE } else { DONE });
        }
    };
    let (place, wish) = Wish::read(args, now());
    let colored = !wish.is_for_machines();
    ExitCode::from(match answer(&place, wish).and_then(|said| tell(&said, colored).map(|()| said.refused)) {
        Ok(refused) => {
            if refused {
                FAILED
            } else {
                DONE
            }
        }
        Err(e) => complain(&e),
    })
}

fn answer(place: &Place, wish: Wish) -> Result<Said, CliError> {
    match wish {
        Wish::Get { which, shape } => {
            wait(async { get::get(&Cluster::connect(place).await?, &which, shape, now()).await })
        }
        Wish::Status { name, shape } => {
            wait(async { status::status(&Cluster::connect(place).await?, &name, shape, now()).await }).map(Said::out)
        }
        Wish::History { name, shape } => {
            wait(async { history::history(&Cluster::connect(place).await?, &name, shape, now()).await })
        }
        Wish::Report { name, attempt, shape } => {
            wait(async { report::report(&Cluster::connect(place).await?, &name, attempt, shape).await }).map(Said::out)
        }
        Wish::Explain { word, shape } => explain::explain(word.as_deref(), shape).map(Said::out),
        Wish::Plan { what: Planned::Rollout(name), given, shape } => {
            wait(async { plan::of_cluster(&Cluster::connect(place).await?, &name, &given, shape).await }).map(Said::out)
        }
        Wish::Plan { what: Planned::File(path), given, shape } => plan::of_file(&path, &given, shape).map(Said::out),
        Wish::Watch { name } => {
            wait(async { watch::watch(&Cluster::connect(place).await?, &name, now).await }).map(|()| Said::default())
        }
        Wish::Dashboard { port, everywhere } => {
            wait(async { dashboard::dashboard(Cluster::connect(place).await?, port, everywhere, now).await })
                .map(|()| Said::default())
        }
        Wish::Backtest(period) => wait(backtest::backtest(&period)),
        Wish::Simulate(story) => simulate::simulate(&story),
        Wish::Convert(files) => convert::convert(&files),
        Wish::Lint(linted) => lint::lint(&linted),
        Wish::Completion(shell) => Ok(Said::out(completion::completion(shell))),
        Wish::Man(folder) => completion::man(&folder).map(Said::out),
        Wish::Order(order) => wait(async { order::order(&Cluster::connect(place).await?, &order, now()).await }),
        Wish::Version { shape } => version::version(shape).map(Said::out),
    }
}

fn wait<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CliError::Runtime)?.block_on(work)
}

/// The time, read once for a command.
#[expect(
    clippy::disallowed_methods,
    reason = "ages are told from the reader's clock; everything below takes it as an argument"
)]
fn now() -> Moment {
    Moment::from(Timestamp::now())
}

/// Whether whoever sits before this stream sees colors and wants them (<https://no-color.org>).
#[expect(clippy::disallowed_methods, reason = "what the terminal is for is told by the environment alone")]
fn sees_colors(stream: &impl IsTerminal) -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|word| !word.is_empty());
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    stream.is_terminal() && !unwanted && !dumb
}

fn tell(said: &Said, colored: bool) -> Result<(), CliError> {
    if !said.note.is_empty() {
        // Nobody is left to tell when standard error is closed.
        let _ = writeln!(std::io::stderr(), "{}", said.note);
    }
    let mut stdout = std::io::stdout();
    let painted = (colored && sees_colors(&stdout)).then(|| paint::painted(&said.out));
    match stdout.write_all(painted.as_ref().unwrap_or(&said.out).as_bytes()) {
        // `kubectl llmrollout get | head` is no failure.
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(CliError::Write(e)),
        _ => Ok(()),
    }
}

fn complain(error: &CliError) -> u8 {
    let mut text = format!("error: {error}");
    let mut cause = error.source();
    while let Some(e) = cause {
        let words = e.to_string();
        // Many libraries repeat their cause in their own words.
        if !text.contains(&words) {
            text.push_str("\n  because: ");
            text.push_str(&words);
        }
        cause = e.source();
    }
    let (mut stderr, text) = (std::io::stderr(), table::clean_lines(&text));
    let text = if sees_colors(&stderr) { paint::painted(&text) } else { text };
    let _ = writeln!(stderr, "{text}");
    if error.is_usage() { WRONG_USAGE } else { FAILED }
}
