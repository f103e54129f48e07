//! Prints the CRDs as YAML, one document per kind, or writes them into a folder. Never talks to a cluster.

use std::{io::Write, path::PathBuf, process::ExitCode};

use kube::CustomResourceExt;
use llmrollout::api::{LlmGateSet, LlmRollout, LlmRolloutOrder};

fn main() -> ExitCode {
    let crds = [
        ("llmrollouts.yaml", LlmRollout::crd()),
        ("llmrolloutorders.yaml", LlmRolloutOrder::crd()),
        ("llmgatesets.yaml", LlmGateSet::crd()),
    ];
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    for (file, crd) in crds {
        let text = match serde_saphyr::to_string(&crd) {
            Ok(text) => text,
            Err(e) => return fail(&format!("cannot write {file}: {e}")),
        };
        let written = match &folder {
            Some(folder) => std::fs::write(folder.join(file), text),
            None => write!(std::io::stdout(), "---\n{text}"),
        };
        if let Err(e) = written {
            return fail(&format!("cannot write {file}: {e}"));
        }
    }
    ExitCode::SUCCESS
}

fn fail(message: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "crdgen: {message}");
    ExitCode::FAILURE
}
