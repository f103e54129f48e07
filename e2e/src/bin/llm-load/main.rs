//! An open-loop load generator: requests start on schedule whatever the answers do, and every
//! failure is told apart. It reads its command line and runs; the modules do the work.

mod args;
mod client;
#[path = "../llm-sim/clock.rs"]
mod clock;
mod control;
#[path = "../llm-sim/duration.rs"]
mod duration;
mod grpc;
mod latency;
mod outcome;
mod report;
mod run;
mod schedule;

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    match run::run(args::Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
    }
}
