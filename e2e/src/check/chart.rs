//! The chart: helm's own judgment, and a real API server's word on everything it renders.
//! Nothing here installs it: that is what the cases do.

use std::{fs, path::Path, process::Command};

use super::{CheckError, process, report, report::Row};
use crate::lab::{self, Lab, Options, Target};

/// Ways to install it that differ in what is rendered.
const VARIANTS: [(&str, &[&str]); 3] = [
    ("defaults", &[]),
    ("one replica", &["--set", "replicas=1,config.leaderElection.enabled=false"]),
    ("one namespace", &["--set", "rbac.scope=namespace,config.watchNamespaces={default}"]),
];

pub(super) fn check(name: &str) -> Result<Vec<Row>, CheckError> {
    let lab = match lab::target() {
        // Built by the suites before, or by hand.
        Target::Lab => Some(Lab::ephemeral(&Options { no_build: false, ..Options::default() })?),
        Target::Foreign(_) => None,
    };
    let tool = |tool: &str| match &lab {
        Some(lab) => lab.command(Path::new(tool)),
        None => Ok(Command::new(tool)),
    };
    let log = report::log(name);
    let chart = process::root().join("charts/llmrollout");
    let mut helm = tool("helm")?;
    helm.args(["lint", "--strict"]).arg(&chart);
    let ended = process::run(helm, &log, &mut |_| true)?;
    let mut rows = vec![Row::single(&format!("{name}: lint"), ended)];
    for (variant, words) in VARIANTS {
        let row = format!("{name}: {variant}");
        let mut helm = tool("helm")?;
        helm.args(["template", "llmrollout"])
            .arg(&chart)
            .args(["--namespace", "default", "--include-crds"])
            .args(words);
        let mut yaml = String::new();
        let ended = process::run(helm, &log, &mut |line| {
            yaml.push_str(line);
            yaml.push('\n');
            // A rendered chart is long; what helm complains about is not.
            line.starts_with("Error") || line.starts_with("level=")
        })?;
        if !ended.ok {
            rows.push(Row::single(&row, ended));
            continue;
        }
        let path = report::dir().join(format!("chart-{}.yaml", variant.replace(' ', "-")));
        fs::write(&path, yaml).map_err(CheckError::file(&path))?;
        let mut kubectl = tool("kubectl")?;
        kubectl
            .args(["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f"])
            .arg(&path);
        rows.push(Row::single(&row, process::run(kubectl, &log, &mut |_| true)?));
    }
    Ok(rows)
}
