//! The examples as somebody takes them up: the real command line finds no error in any of them, and says how long each step
//! would take. Never asks a cluster.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use crate::files::{below, read, top};

/// What the command line says of a text on its standard input.
fn said(words: &[&str], text: &str) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-llmrollout"));
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = command.spawn().unwrap();
    running.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let ended = running.wait_with_output().unwrap();
    let [out, err] = [ended.stdout, ended.stderr].map(|text| String::from_utf8(text).unwrap());
    (ended.status.success(), out + &err)
}

/// Every manifest of a folder as one text; values of the chart are none.
fn manifests(folder: &Path) -> String {
    let texts = below(folder, ".yaml").into_iter().map(|file| read(&file));
    texts.filter(|text| text.contains("apiVersion: ")).collect::<Vec<_>>().join("\n---\n")
}

#[test]
fn every_example_is_linted_and_planned() {
    let folders: Vec<_> = std::fs::read_dir(top("examples")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let mut wrong = Vec::new();
    for folder in folders.iter().filter(|path| path.is_dir()) {
        let text = manifests(folder);
        for words in [&["lint", "-"][..], &["plan", "-f", "-", "--rps", "20"]] {
            let (good, said) = said(words, &text);
            if !good || said.trim().is_empty() {
                wrong.push(format!("{words:?} of {}:\n{said}", folder.display()));
            }
        }
    }
    assert!(folders.len() >= 10, "the examples are gone");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
