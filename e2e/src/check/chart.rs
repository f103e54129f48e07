//! The chart: helm's own judgment, and a real API server's word on everything it renders.
//! Nothing here installs it: that is what the cases do.

use std::fs;

use super::{CheckError, process, report, report::Row};
use crate::lab::{self, Lab, Options, Target};

/// Ways to install it that differ in what is rendered.
const VARIANTS: [(&str, &str); 4] = [
    ("defaults", "replicas=2"),
    ("one replica", "replicas=1,config.leaderElection.enabled=false"),
    // What only the Prometheus operator knows is no kind of a bare server.
    ("a board", "board.enabled=true,board.labels.folder=llm"),
    ("one namespace", "rbac.scope=namespace,config.watchNamespaces={default}"),
];

/// Lints it, renders it in every way, and lets the server judge what came of it.
pub(super) fn check(name: &str) -> Result<Vec<Row>, CheckError> {
    let lab = match lab::target() {
        Target::Lab => Some(Lab::ephemeral(&Options::default())?),
        Target::Foreign(_) => None,
    };
    let lab = lab.as_ref();
    let log = report::log(name);
    let chart = process::root().join("charts/llmrollout").display().to_string();
    let lint = process::run_tool(lab, &["helm", "lint", "--strict", &chart], &log, &mut |_| true)?;
    let mut rows = vec![Row::single(&format!("{name}: lint"), lint)];
    for (variant, values) in VARIANTS {
        let row = format!("{name}: {variant}");
        let words =
            ["helm", "template", "llmrollout", &chart, "--namespace", "default", "--include-crds", "--set", values];
        let mut yaml = String::new();
        let ended = process::run_tool(lab, &words, &log, &mut |line| {
            yaml.push_str(line);
            yaml.push('\n');
            // A rendered chart is long; what helm complains about is not.
            line.starts_with("Error")
        })?;
        if !ended.ok {
            rows.push(Row::single(&row, ended));
            continue;
        }
        let path = report::dir().join(format!("chart-{}.yaml", variant.replace(' ', "-")));
        fs::write(&path, yaml).map_err(CheckError::file(&path))?;
        let path = path.display().to_string();
        let words = ["kubectl", "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict"];
        let words: Vec<&str> = words.into_iter().chain(["-f", &path]).collect();
        rows.push(Row::single(&row, process::run_tool(lab, &words, &log, &mut |_| true)?));
    }
    Ok(rows)
}
