//! `e2e demo`: one release that is promoted and one that is taken back, on real servers, with the figures to both.
//! Nothing here is a test: the cases prove more, one claim at a time.

mod figures;
mod report;
mod story;
mod timeline;

use std::{
    fs, io,
    path::PathBuf,
    process::{Command, ExitCode},
    time::Instant,
};

use clap::Args;

use crate::{
    kit::KitError,
    lab::{self, Lab, LabError, Options, Target},
};

/// Arguments of `e2e demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Short holds: the whole story within 90 seconds
    #[arg(long)]
    fast: bool,
    #[command(flatten)]
    options: Options,
    /// Tell the story here, where a cluster is at hand
    #[arg(long, hide = true)]
    here: bool,
}

/// Why the story could not be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// A file could not be written.
    #[error("{}: {source}", path.display())]
    File {
        /// The path in question.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The lab did not do what was asked.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// Something on the ground did not do what it should.
    #[error(transparent)]
    Kit(#[from] KitError),
}

impl DemoError {
    fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}

/// Brings a lab up around the story, or tells it in the cluster of `KUBECONFIG`.
pub(crate) fn run(arguments: &DemoArgs) -> Result<ExitCode, DemoError> {
    if arguments.here {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        return runtime.map_err(DemoError::file("the runtime"))?.block_on(story::tell(arguments.fast));
    }
    let since = Instant::now();
    let words = ["demo", "--here"].into_iter().chain(arguments.fast.then_some("--fast"));
    let status = match lab::target() {
        Target::Lab => {
            let lab = Lab::ephemeral(&arguments.options)?;
            let status = lab::enter(&lab, words)?;
            let ending = Instant::now();
            let dir = lab.description.state_dir.clone();
            // Not left to the end of scope: what outlives the lab is an error.
            lab.down()?;
            fs::remove_dir_all(&dir).map_err(DemoError::file(dir))?;
            eprintln!("the lab is down after {} ms, nothing is left", ending.elapsed().as_millis());
            status
        }
        Target::Foreign(path) => {
            eprintln!("in the cluster of {}", path.display());
            Command::new(lab::own_program()?).args(words).status().map_err(DemoError::file("the running program"))?
        }
    };
    eprintln!("{:.0} s in all", since.elapsed().as_secs_f64());
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
