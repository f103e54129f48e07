//! Runs one program of a suite: every line goes to a log, most of them to the terminal, all of them to a reader.
//! Nothing here knows what the lines mean.

use std::{
    env,
    fs::File,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::CheckError;
use crate::{kit::operator, lab::Lab};

/// How a program ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    /// With 0.
    pub ok: bool,
    /// How long it took.
    pub took: Duration,
}

/// The root of the workspace.
pub(super) fn root() -> PathBuf {
    operator::root()
}

/// A command of Cargo at the root, as if it had been typed there.
pub(super) fn cargo(words: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root()).args(words);
    // What Cargo tells the program it runs would tell an inner Cargo that the world changed, and it would build anew.
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&*name);
        }
    }
    command
}

/// Runs a tool of the lab, or of PATH when the cluster is the user's. `read` as in `run`.
pub(super) fn run_tool(
    lab: Option<&Lab>,
    words: &[&str],
    log: &Path,
    read: &mut dyn FnMut(&str) -> bool,
) -> Result<Ended, CheckError> {
    let (tool, arguments) = words.split_first().unwrap_or((&"true", &[]));
    let mut command = match lab {
        Some(lab) => lab.command(Path::new(tool))?,
        None => Command::new(tool),
    };
    command.args(arguments);
    eprintln!("$ {}", words.join(" "));
    follow(command, log, read)
}

/// Runs it to its end. `read` gets each line, of both streams in their order, and says whether the terminal shows it.
pub(super) fn run(command: Command, log: &Path, read: &mut dyn FnMut(&str) -> bool) -> Result<Ended, CheckError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    eprintln!("$ {program} {}", words.join(" "));
    follow(command, log, read)
}

fn follow(mut command: Command, log: &Path, read: &mut dyn FnMut(&str) -> bool) -> Result<Ended, CheckError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let since = Instant::now();
    let mut file = File::options().create(true).append(true).open(log).map_err(CheckError::file(log))?;
    let (lines, out) = io::pipe().map_err(CheckError::file("a pipe"))?;
    let err = out.try_clone().map_err(CheckError::file("a pipe"))?;
    command.stdout(out).stderr(err).stdin(Stdio::null());
    let mut child = command.spawn().map_err(|source| CheckError::Program { program: program.clone(), source })?;
    // Our ends of the pipe would keep it open for ever.
    drop(command);
    for line in BufReader::new(lines).split(b'\n') {
        let line = line.map_err(CheckError::file("the program's words"))?;
        let line = String::from_utf8_lossy(&line);
        writeln!(file, "{line}").map_err(CheckError::file(log))?;
        if read(&line) {
            eprintln!("{line}");
        }
    }
    let status = child.wait().map_err(|source| CheckError::Program { program, source })?;
    Ok(Ended { ok: status.success(), took: since.elapsed() })
}
