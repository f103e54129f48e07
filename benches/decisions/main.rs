//! How often releases are judged wrongly, by our gates and by what others document, on simulated traffic whose truth is
//! known. `make bench-decisions` runs it and writes `target/bench/decisions.{json,md,svg}`; it ends with an error when a
//! target of the defaults is missed. `ROLLOUTS=200` is a short run, `VARIANTS=1` adds our other settings.
#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "measures, and is told by the environment how much")]

mod cells;
mod draw;
mod ours;
mod peers;
mod report;
mod validity;
mod world;

use std::{path::Path, process::ExitCode, time::Instant};

fn main() -> ExitCode {
    let rollouts = std::env::var("ROLLOUTS").ok().and_then(|n| n.parse().ok()).unwrap_or(2000).max(1);
    let variants = std::env::var("VARIANTS").is_ok_and(|v| v == "1");
    let begun = Instant::now();
    let validity = validity::run(rollouts);
    let cells = cells::run(rollouts, variants);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    std::fs::create_dir_all(&folder).unwrap();
    let json = serde_json::to_string_pretty(&report::to_json(&cells, &validity)).unwrap();
    let markdown = report::to_markdown(&cells, &validity);
    std::fs::write(folder.join("decisions.json"), format!("{json}\n")).unwrap();
    std::fs::write(folder.join("decisions.md"), &markdown).unwrap();
    std::fs::write(folder.join("decisions.svg"), report::to_svg(&cells)).unwrap();
    println!("{}", markdown.split("\n## ").next().unwrap_or_default());
    let targets = report::targets(&cells, &validity);
    for (what, met) in &targets {
        println!("{} {what}", if *met { "met   " } else { "MISSED" });
    }
    println!("{rollouts} rollouts a cell of the core set, {} s", begun.elapsed().as_secs());
    if targets.iter().all(|(_, met)| *met) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
