//! The command line, as `kubectl llmrollout` or alone. Everything is in `llmrollout::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    llmrollout::cli::run(std::env::args_os())
}
