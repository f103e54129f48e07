//! The test ground's command line.
//! Nothing here does the work: each subcommand has a room of its own.

mod bench;
mod cases;
mod check;
mod demo;
mod image;
mod kit;
mod lab;

use std::{error::Error, process::ExitCode};

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "e2e", about = "Real servers in one network namespace, and what is proved on them")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure how fast the way back is and what a fleet costs, and write `target/bench/speed.json`
    Bench(bench::BenchArgs),
    /// Run everything that must hold of the tree and write `target/test/report.json`
    Check(check::CheckArgs),
    /// Prove the claims on a lab, or on the cluster of KUBECONFIG
    Cases(cases::CasesArgs),
    /// Show one release promoted and one taken back, with their figures
    Demo(demo::DemoArgs),
    /// Make the operator's image as an OCI layout, with its SBOM, and hold it against what it should be
    Image(image::ImageArgs),
    /// Bring up, use and end a lab
    Lab(lab::cli::LabArgs),
}

fn main() -> ExitCode {
    let result: Result<ExitCode, Box<dyn Error>> = match Arguments::parse().command {
        Command::Bench(arguments) => bench::run(&arguments).map_err(Into::into),
        Command::Cases(arguments) => cases::run(&arguments),
        Command::Check(arguments) => check::run(&arguments).map_err(Into::into),
        Command::Demo(arguments) => demo::run(&arguments).map_err(Into::into),
        Command::Image(arguments) => image::run(&arguments).map_err(Into::into),
        Command::Lab(arguments) => lab::cli::run(arguments).map_err(Into::into),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use clap::{Parser, error::ErrorKind};

    use super::Arguments;
    use crate::kit::operator::root;

    /// Every `cargo run -p e2e -- …` of the pages is one that this program takes; in brackets stands what may be left out.
    #[test]
    fn commands_in_pages_are_commands() {
        let mut count = 0;
        for page in ["README.md", "CONTRIBUTING.md", "docs/testing.md", "e2e/README.md", "Makefile"] {
            let text = std::fs::read_to_string(root().join(page)).unwrap().replace("cargo run -q -p", "cargo run -p");
            for rest in text.split("cargo run -p e2e -- ").skip(1) {
                let line = rest.split(['\n', '`', '#', '[', '$']).next().unwrap_or_default();
                let words = std::iter::once("e2e").chain(line.split_whitespace());
                let error = Arguments::try_parse_from(words).err();
                let short = |kind| matches!(kind, ErrorKind::MissingRequiredArgument | ErrorKind::DisplayHelp);
                assert!(error.as_ref().is_none_or(|error| short(error.kind())), "{page}: {line}: {error:?}");
                count += 1;
            }
        }
        assert!(count > 10, "only {count} commands found");
    }
}
