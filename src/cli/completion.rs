//! `completion SHELL` and the man pages: both out of the definition of the command line. Never asks a cluster.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::{generate, shells};

use super::{args::Args, error::CliError, files::Shell};

/// The program, as it lies in the path.
const PROGRAM: &str = "kubectl-llmrollout";

/// The script for a shell.
pub fn completion(shell: Shell) -> String {
    let (mut command, mut script) = (plain(), Vec::new());
    match shell {
        Shell::Bash => generate(shells::Bash, &mut command, PROGRAM, &mut script),
        Shell::Zsh => generate(shells::Zsh, &mut command, PROGRAM, &mut script),
        Shell::Fish => generate(shells::Fish, &mut command, PROGRAM, &mut script),
    }
    String::from_utf8_lossy(&script).into_owned()
}

/// Writes a page for the program and for each verb.
pub fn man(folder: &Path) -> Result<String, CliError> {
    let unwritten = |source| CliError::Unwritten { file: folder.display().to_string(), source };
    std::fs::create_dir_all(folder).map_err(unwritten)?;
    clap_mangen::generate_to(plain(), folder).map_err(unwritten)?;
    Ok(format!("man pages are in {}\n", folder.display()))
}

/// Pages are named after the program, and not after how kubectl calls it.
fn plain() -> clap::Command {
    Args::command().bin_name(PROGRAM)
}

#[cfg(test)]
mod tests {
    use super::completion;
    use crate::cli::files::Shell;

    #[test]
    fn every_verb_is_completed_in_every_shell() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = completion(shell);
            for word in ["status", "approve", "lint", "request-timeout"] {
                assert!(script.contains(word), "{shell:?} does not know {word}");
            }
        }
    }
}
