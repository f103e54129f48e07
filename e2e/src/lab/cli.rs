//! The commands of `e2e lab`.
//! Nothing here does the work; each command calls the room that does.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, ExitStatus},
    time::{Duration, Instant},
};

use clap::{Args, Subcommand, ValueEnum};

use super::{
    DEFAULT, Lab, LabError, Options, Target, enter, inspect, parts, space, state::State, supervise, target, tools,
};

/// Arguments of `e2e lab`.
#[derive(Debug, Args)]
pub(crate) struct LabArgs {
    #[command(subcommand)]
    command: LabCommand,
}

#[derive(Debug, Args)]
struct Name {
    /// The lab's name; labs of different names run beside each other
    #[arg(long, default_value = DEFAULT)]
    name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum LabCommand {
    /// Build the tools into the cache and do nothing else
    Build,
    /// Bring a lab up; it outlives this command
    Up {
        #[command(flatten)]
        name: Name,
        #[command(flatten)]
        options: Options,
    },
    /// Show the parts, their memory, and whether they are ready
    Status {
        #[command(flatten)]
        name: Name,
        /// How to print it
        #[arg(short, long, default_value = "text")]
        output: Output,
    },
    /// Run a command in a lab; a shell when there is none
    Exec {
        #[command(flatten)]
        name: Name,
        /// The command and its arguments
        #[arg(last = true)]
        command: Vec<OsString>,
    },
    /// Run a command in a new lab that ends with it, or in the cluster of KUBECONFIG when that is set
    Run {
        #[command(flatten)]
        options: Options,
        /// The command and its arguments
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// Take a part down and keep it down
    Stop {
        #[command(flatten)]
        name: Name,
        /// The part
        part: String,
    },
    /// Let a stopped part run again and wait until it is ready
    Start {
        #[command(flatten)]
        name: Name,
        /// The part
        part: String,
    },
    /// Stop and start a part
    Restart {
        #[command(flatten)]
        name: Name,
        /// The part
        part: String,
    },
    /// End a lab and prove that nothing of it is left
    Down {
        #[command(flatten)]
        name: Name,
    },
    /// Be process 1 of a lab
    #[command(hide = true)]
    Supervise {
        #[arg(long)]
        state: PathBuf,
    },
    /// Look at the lab from inside
    #[command(hide = true)]
    Inspect {
        #[arg(long)]
        state: PathBuf,
        #[arg(short, long, default_value = "text")]
        output: Output,
    },
    /// Wait for a part from inside
    #[command(hide = true)]
    Await {
        #[arg(long)]
        state: PathBuf,
        part: String,
    },
}

/// Runs one command of the lab.
pub(crate) fn run(arguments: LabArgs) -> Result<ExitCode, LabError> {
    match arguments.command {
        LabCommand::Build => tools::provide(&mut |line| eprintln!("{line}")).map(|_| ExitCode::SUCCESS),
        LabCommand::Up { name, options } => Lab::ensure(&name.name, &options).map(|_| ExitCode::SUCCESS),
        LabCommand::Status { name, output } => {
            let lab = Lab::find(&name.name)?;
            let output = if output == Output::Json { "json" } else { "text" };
            inside(&lab, &["inspect", "-o", output])
        }
        LabCommand::Exec { name, command } => exec(&Lab::find(&name.name)?, command),
        LabCommand::Run { options, command } => run_held(&options, command),
        LabCommand::Stop { name, part } => hold(&name.name, &part),
        LabCommand::Start { name, part } => release(&name.name, &part),
        LabCommand::Restart { name, part } => {
            hold(&name.name, &part)?;
            release(&name.name, &part)
        }
        LabCommand::Down { name } => down(&name.name),
        LabCommand::Supervise { state } => {
            block_on(supervise::supervise(State::at(state)))?;
            Ok(ExitCode::SUCCESS)
        }
        LabCommand::Inspect { state, output } => {
            let all_ready = block_on(inspect::inspect(&State::at(state), output == Output::Json))?;
            Ok(if all_ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        LabCommand::Await { state, part } => {
            block_on(parts::poll_ready_again(&part, &State::at(state)))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn block_on<T>(future: impl Future<Output = Result<T, LabError>>) -> Result<T, LabError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(LabError::file("the runtime"))?.block_on(future)
}

/// Runs a hidden command of this program inside the lab.
fn inside(lab: &Lab, words: &[&str]) -> Result<ExitCode, LabError> {
    let state = lab.state.text("");
    let arguments = ["lab"].iter().chain(words).copied().chain(["--state", &state]);
    enter(lab, arguments).map(code)
}

fn code(status: ExitStatus) -> ExitCode {
    // A signal has no code: what a shell would say.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.unwrap_or(128))
}

fn exec(lab: &Lab, command: Vec<OsString>) -> Result<ExitCode, LabError> {
    let shell = || env::var_os("SHELL").unwrap_or_else(|| "sh".into());
    let mut words = command.into_iter();
    let program = words.next().unwrap_or_else(shell);
    lab.run(Path::new(&program), words).map(code)
}

fn run_held(options: &Options, command: Vec<OsString>) -> Result<ExitCode, LabError> {
    match target() {
        Target::Lab => exec(&Lab::ephemeral(options)?, command),
        Target::Foreign(kubeconfig) => {
            let mut words = command.into_iter();
            let program = words.next().unwrap_or_default();
            let name = program.display().to_string();
            let status = Command::new(program).args(words).env("KUBECONFIG", kubeconfig).status();
            status.map(code).map_err(LabError::program(name))
        }
    }
}

fn known(part: &str) -> Result<(), LabError> {
    if parts::ALL.contains(&part) {
        return Ok(());
    }
    Err(LabError::UnknownPart { name: part.to_owned(), known: parts::ALL.join(", ") })
}

/// Keeps a part down and waits until it is.
fn hold(name: &str, part: &str) -> Result<ExitCode, LabError> {
    known(part)?;
    let lab = Lab::find(name)?;
    let file = lab.state.held(part);
    fs::write(&file, "").map_err(LabError::file(&file))?;
    let is_down = || lab.row(part).is_some_and(|row| row.pid.is_none());
    if space::poll_until(Duration::from_secs(10), is_down) {
        return Ok(ExitCode::SUCCESS);
    }
    Err(LabError::Part { part: part.to_owned(), reason: "it does not end".to_owned(), log: lab.state.tail(part, 20) })
}

/// Lets a part run and waits until it is ready.
fn release(name: &str, part: &str) -> Result<ExitCode, LabError> {
    known(part)?;
    let lab = Lab::find(name)?;
    let file = lab.state.held(part);
    if file.exists() {
        fs::remove_file(&file).map_err(LabError::file(&file))?;
    }
    space::poll_until(Duration::from_secs(5), || lab.row(part).is_some_and(|row| row.pid.is_some()));
    inside(&lab, &["await", part])
}

fn down(name: &str) -> Result<ExitCode, LabError> {
    let lab = match Lab::find_any(name) {
        Ok(lab) => lab,
        // What is not there needs no end.
        Err(LabError::Down { .. }) => {
            eprintln!("lab {name} is not running");
            return Ok(ExitCode::SUCCESS);
        }
        Err(error) => return Err(error),
    };
    let since = Instant::now();
    lab.down()?;
    eprintln!("lab {name} is down after {} ms, nothing is left", since.elapsed().as_millis());
    Ok(ExitCode::SUCCESS)
}
