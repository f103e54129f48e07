//! The model check: every state and every order of a small world whose decisions are made by the real `decide`.
//! `cargo test` walks a small bound and shows that broken deciders are caught; `make model` walks the full one and
//! writes `target/model/report.json`. Nothing here is part of the shipped library.
#![cfg(test)]

mod brain;
mod broken;
mod chapters;
mod course;
mod deaf;
mod hands;
mod hash;
mod laws;
mod live;
mod look;
mod moves;
mod patch;
mod people;
mod report;
mod setting;
mod state;
mod story;
mod table;
mod walk;
mod writer;

use std::process::ExitCode;

fn main() -> ExitCode {
    let full = std::env::args().any(|word| word == "--full");
    if report::run(full) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
