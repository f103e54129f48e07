//! The chart, the bases of kustomize and the examples: helm's own judgment, and a real API server's word on everything.
//! Nothing here installs an operator: that is what the cases do.

use std::{fs, path::Path};

use super::{CheckError, process, report, report::Row};
use crate::lab::{self, Lab, Options, Target};

/// Ways to install it that differ in what is rendered.
const VARIANTS: [(&str, &str); 6] = [
    ("defaults", "replicas=2"),
    ("one replica", "replicas=1,config.leaderElection.enabled=false"),
    // What only the Prometheus operator knows is no kind of a bare server.
    ("a board", "board.enabled=true,board.labels.folder=llm"),
    ("secrets and a network policy", "secrets={prometheus,channels},networkPolicy.enabled=true"),
    ("its own namespace", "rbac.scope=namespace"),
    (
        "one namespace",
        "rbac.scope=namespace,config.watchNamespaces={default},rbac.headerSecrets.default={keys},rbac.capacity=true",
    ),
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
        rows.push(judged(lab, &row, &["-f", &path.display().to_string()], &log)?);
    }
    rows.extend(bases(name, lab, &log)?);
    rows.extend(told(name, lab, &log)?);
    rows.extend(examples(name, lab, &log)?);
    Ok(rows)
}

/// What the server says to it, without keeping it.
fn judged(lab: Option<&Lab>, row: &str, what: &[&str], log: &Path) -> Result<Row, CheckError> {
    let words = ["kubectl", "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict"];
    let ended =
        process::run_tool(lab, &[&words, what].concat(), log, &mut |line| line.to_lowercase().starts_with("error"))?;
    Ok(Row::single(row, ended))
}

/// Both bases, each below an overlay that moves it to another namespace, as a user would.
fn bases(name: &str, lab: Option<&Lab>, log: &Path) -> Result<Vec<Row>, CheckError> {
    let mut rows = Vec::new();
    for (what, base) in [("kustomize, cluster", "config"), ("kustomize, one namespace", "config/namespaced")] {
        let dir = report::dir().join(format!("overlay-{}", base.replace('/', "-")));
        fs::create_dir_all(&dir).map_err(CheckError::file(&dir))?;
        let up = "../".repeat(dir.strip_prefix(process::root()).map_or(0, |below| below.components().count()));
        let text = format!("resources: [{up}{base}]\nnamespace: default\n");
        fs::write(dir.join("kustomization.yaml"), text).map_err(CheckError::file(&dir))?;
        rows.push(judged(lab, &format!("{name}: {what}"), &["-k", &dir.display().to_string()], log)?);
    }
    Ok(rows)
}

/// What the pages tell to type first, taken out of them word for word: helm asks the server about it and installs nothing.
fn told(name: &str, lab: Option<&Lab>, log: &Path) -> Result<Vec<Row>, CheckError> {
    let mut rows = Vec::new();
    for page in ["README.md", "docs/start.md", "docs/install.md"] {
        let path = process::root().join(page);
        let text = fs::read_to_string(&path).map_err(CheckError::file(&path))?.replace("\\\n", " ");
        let row = format!("{name}: helm install of {page}");
        let Some(line) = text.lines().find_map(|line| line.strip_prefix("$ helm install ")) else {
            rows.push(Row::failed(&row));
            continue;
        };
        let chart = process::root().join("charts/llmrollout").display().to_string();
        let bare = line.split_whitespace().map(|word| word.trim_matches('\''));
        let words: Vec<&str> = bare.map(|word| if word == "charts/llmrollout" { &chart } else { word }).collect();
        let words = [&["helm", "install", "--dry-run=server"], &words[..]].concat();
        let ended = process::run_tool(lab, &words, log, &mut |line| line.starts_with("Error"))?;
        rows.push(Row::single(&row, ended));
    }
    Ok(rows)
}

/// Every folder of examples, and the samples. A server judges objects of a kind that it has, in a namespace that is there.
fn examples(name: &str, lab: Option<&Lab>, log: &Path) -> Result<Vec<Row>, CheckError> {
    let crds = process::root().join("crds").display().to_string();
    let namespace = process::root().join("examples/chat/namespace.yaml").display().to_string();
    let there = [
        &["kubectl", "apply", "--server-side", "--force-conflicts", "-f", &crds, "-f", &namespace][..],
        &["kubectl", "wait", "--for=condition=Established", "--timeout=20s", "-f", &crds],
    ];
    for words in there {
        let mut ended = process::run_tool(lab, words, log, &mut |_| true)?;
        // A new CRD has no list of conditions for a moment, and kubectl ends with an error instead of waiting for one.
        if !ended.ok {
            ended = process::run_tool(lab, words, log, &mut |_| true)?;
        }
        if !ended.ok {
            return Ok(vec![Row::single(&format!("{name}: examples"), ended)]);
        }
    }
    let mut folders = vec![process::root().join("config/samples")];
    let entries = fs::read_dir(process::root().join("examples")).map_err(CheckError::file("examples"))?;
    folders.extend(entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()));
    folders.sort();
    folders.iter().map(|folder| example(name, lab, folder, log)).collect()
}

/// All manifests of a folder; values of the chart are none.
fn example(name: &str, lab: Option<&Lab>, folder: &Path, log: &Path) -> Result<Row, CheckError> {
    let mut words = Vec::new();
    for entry in fs::read_dir(folder).map_err(CheckError::file(folder))?.flatten() {
        let path = entry.path();
        let text = fs::read_to_string(&path).map_err(CheckError::file(&path))?;
        if path.extension().is_some_and(|end| end == "yaml") && text.contains("\napiVersion: ") {
            words.extend(["-f".to_owned(), path.display().to_string()]);
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let shown = folder.strip_prefix(process::root()).unwrap_or(folder);
    judged(lab, &format!("{name}: {}", shown.display()), &words, log)
}
