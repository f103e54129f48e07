//! The examples as somebody takes them up: the real command line finds no error in any of them, and says how long each step
//! would take. Never asks a cluster.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use crate::files::{below, read, top};

/// What the command line says of a text on its standard input.
fn said(words: &[&str], text: &str) -> (bool, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-llmrollout"));
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = command.spawn().unwrap();
    running.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let ended = running.wait_with_output().unwrap();
    let [out, err] = [ended.stdout, ended.stderr].map(|text| String::from_utf8(text).unwrap());
    (ended.status.success(), out, err)
}

/// Every manifest of a folder as one text; values of the chart are none.
fn manifests(folder: &Path) -> String {
    let texts = below(folder, ".yaml").into_iter().map(|file| read(&file));
    texts.filter(|text| text.contains("apiVersion: ")).collect::<Vec<_>>().join("\n---\n")
}

/// The same text for each of its rollouts, without the others: one is planned at a time.
fn one_by_one(text: &str) -> Vec<String> {
    let all: Vec<&str> = text.split("\n---\n").collect();
    let is_rollout = |part: &&str| part.contains("kind: LlmRollout\n");
    let rest: Vec<&str> = all.iter().copied().filter(|part| !is_rollout(part)).collect();
    all.into_iter().filter(is_rollout).map(|one| [&[one], rest.as_slice()].concat().join("\n---\n")).collect()
}

#[test]
fn every_example_is_linted_and_planned() {
    let folders: Vec<_> = std::fs::read_dir(top("examples")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let mut wrong = Vec::new();
    for folder in folders.iter().filter(|path| path.is_dir()) {
        let text = manifests(folder);
        let lint = (&["lint", "-"][..], text.clone());
        let plans = one_by_one(&text).into_iter().map(|one| (&["plan", "-f", "-", "--rps", "20"][..], one));
        for (words, text) in [lint].into_iter().chain(plans) {
            let (good, out, err) = said(words, &text);
            if !good || out.trim().is_empty() {
                wrong.push(format!(
                    "{words:?} of {}:
{out}{err}",
                    folder.display()
                ));
            }
        }
    }
    assert!(folders.len() >= 10, "the examples are gone");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the pages of migration show of others becomes gates, and the rollouts beside it take them over.
#[test]
fn what_the_pages_of_migration_show_is_converted() {
    for (page, set) in [("docs/from-argo-rollouts.md", "success-rate"), ("docs/from-flagger.md", "chat")] {
        let text = read(&top(page));
        let blocks: Vec<&str> = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        let theirs: Vec<_> = blocks
            .iter()
            .filter(|b| b.contains("kind: AnalysisTemplate") || b.contains("kind: Canary"))
            .copied()
            .collect();
        let (good, gates, lost) = said(&["convert", "-"], &theirs.join("\n---\n"));
        assert!(good && gates.contains(&format!("name: {set}")), "{page}: {gates}{lost}");
        let ours = blocks.iter().find(|block| block.contains("kind: LlmRollout")).unwrap();
        let (good, found, _) = said(&["lint", "-"], &format!("{ours}\n---\n{gates}"));
        assert!(good && found.contains("2 objects"), "{page}: {found}\n{gates}");
    }
}
