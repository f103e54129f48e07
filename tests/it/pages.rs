//! What the pages show: links lead to a page and a heading that is there, YAML is YAML, whole manifests pass the CRD, and
//! every command of ours is one that the real command line takes. Never their style, and nothing is run.

use std::{collections::BTreeMap, path::PathBuf};

use clap::{CommandFactory, error::ErrorKind};
use llmrollout::{cli::args::Args, cli::lint::schema::Schemas, settings};
use serde_json::Value;

use crate::{
    files::{below, read, top},
    schema::complaints,
};

/// Every page: the book and what lies at the top and beside the lab.
fn pages() -> Vec<PathBuf> {
    let mut all = below(&top("docs"), ".md");
    all.extend(below(&top(".github"), ".md"));
    let above = std::fs::read_dir(top("")).unwrap().map(|entry| entry.unwrap().path());
    all.extend(above.filter(|path| path.extension().is_some_and(|end| end == "md")));
    all.push(top("e2e/README.md"));
    all
}

/// A fenced block: its language, its text, and the line that it begins at.
struct Block {
    language: String,
    text: String,
    line: usize,
}

fn blocks(page: &str) -> Vec<Block> {
    let (mut all, mut open) = (Vec::new(), None::<(Block, usize)>);
    for (number, line) in page.lines().enumerate() {
        let bare = line.trim_start();
        match (&mut open, bare.strip_prefix("```")) {
            (None, Some(language)) => {
                let block = Block { language: language.to_owned(), text: String::new(), line: number + 1 };
                open = Some((block, line.len() - bare.len()));
            }
            (Some(_), Some(_)) => all.extend(open.take().map(|(block, _)| block)),
            (Some((block, indent)), None) => {
                block.text += line.get(*indent..).unwrap_or(bare);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    all
}

/// The page without its blocks.
fn prose(page: &str) -> String {
    let mut inside = false;
    let lines = page.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A heading as links name it: small letters, digits, `-` and `_`, blanks as `-`.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || ['-', '_', ' '].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(page: &str) -> Vec<String> {
    let mut seen = BTreeMap::<String, usize>::new();
    let headings = prose(page);
    let headings = headings.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#'));
    let numbered = headings.map(|heading| {
        let anchor = anchor(heading);
        let count = seen.entry(anchor.clone()).or_default();
        *count += 1;
        if *count == 1 { anchor } else { format!("{anchor}-{}", *count - 1) }
    });
    numbered.collect()
}

#[test]
fn links_lead_to_a_page_and_a_heading() {
    let mut wrong = Vec::new();
    for page in pages() {
        let text = prose(&read(&page));
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let is_page = target.extension().is_some_and(|end| end == "md");
            let leads = target.exists()
                && (heading.is_empty() || !is_page || anchors(&read(&target)).iter().any(|one| one == heading));
            if !leads {
                wrong.push(format!("{}: {link} leads nowhere", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_page_stands_in_the_table_of_contents() {
    let summary = read(&top("docs/SUMMARY.md"));
    let missing: Vec<_> = below(&top("docs"), ".md")
        .iter()
        .map(|page| page.strip_prefix(top("docs")).unwrap().display().to_string())
        .filter(|page| page != "SUMMARY.md" && !summary.contains(&format!("]({page})")))
        .collect();
    assert!(missing.is_empty(), "docs/SUMMARY.md does not name {missing:?}");
}

#[test]
fn yaml_in_pages_is_yaml_and_whole_manifests_pass_the_crd() {
    let (schemas, mut wrong, mut whole) = (Schemas::ours(), Vec::new(), 0);
    for page in pages() {
        for block in blocks(&read(&page)).into_iter().filter(|block| block.language == "yaml") {
            let at = format!("{}:{}", page.display(), block.line);
            let documents: Vec<Value> = match serde_saphyr::from_multiple(&block.text) {
                Ok(documents) => documents,
                Err(error) => {
                    wrong.push(format!("{at}: {error}"));
                    continue;
                }
            };
            let ours = |d: &&Value| d["apiVersion"].as_str().is_some_and(|group| group.starts_with("llmrollout.io/"));
            for document in documents.iter().filter(ours).filter(|document| document["spec"].is_object()) {
                whole += 1;
                wrong.extend(complaints(&schemas, document).into_iter().map(|said| format!("{at}: {said}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(whole >= 5, "{whole} whole manifests found: the pages show more");
}

/// The words of a command up to what the shell would take; quotes keep blanks together.
fn words(line: &str) -> Vec<String> {
    let (mut all, mut word, mut quote, mut any) = (Vec::new(), String::new(), None, false);
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '\'' | '"') => (quote, any) = (Some(letter), true),
            (None, '|' | '>' | ';' | '&') => break,
            (None, '#') if word.is_empty() => break,
            (None, ' ') => {
                if any || !word.is_empty() {
                    all.push(std::mem::take(&mut word));
                }
                any = false;
            }
            _ => word.push(letter),
        }
    }
    if any || !word.is_empty() {
        all.push(word);
    }
    // What stands for a number, and what is left out.
    let meant = |word: String| if ["N", "RPS"].contains(&word.as_str()) { "1".to_owned() } else { word };
    all.into_iter().filter(|word| word != "…" && word != "...").map(meant).collect()
}

/// Why the command line would not take a command, if it is one of ours. In running text a command may be cut short.
fn not_taken(line: &str, cut_short: bool) -> Option<String> {
    let line = line.trim_start_matches("$ ").trim();
    let (mut command, rest) = if let Some(rest) = line.strip_prefix("kubectl llmrollout") {
        (Args::command(), rest)
    } else if let Some(rest) = line.strip_prefix("kubectl-llmrollout") {
        (Args::command(), rest)
    } else {
        (settings::command(), line.strip_prefix("llmrollout-operator")?)
    };
    let rest = if rest.is_empty() { "" } else { rest.strip_prefix(' ')? };
    let all = std::iter::once("program".to_owned()).chain(words(rest));
    let error = command.try_get_matches_from_mut(all).err()?;
    let fine = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => true,
        ErrorKind::MissingRequiredArgument
        | ErrorKind::MissingSubcommand
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => cut_short,
        _ => false,
    };
    (!fine).then(|| format!("`{line}`: {}", error.to_string().lines().next().unwrap_or_default()))
}

#[test]
fn commands_in_pages_are_commands() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    let notes = top("charts/llmrollout/templates/NOTES.txt");
    for page in pages() {
        let text = read(&page);
        let shown = blocks(&text).into_iter().filter(|b| ["console", "sh", "bash"].contains(&b.language.as_str()));
        let shown: Vec<String> = shown.flat_map(|b| commands(&b.text)).collect();
        let told: Vec<String> = prose(&text).split('`').skip(1).step_by(2).map(str::to_owned).collect();
        for (line, cut_short) in shown.iter().map(|line| (line, false)).chain(told.iter().map(|line| (line, true))) {
            count += usize::from(line.contains("llmrollout"));
            wrong.extend(not_taken(line, cut_short).map(|why| format!("{}: {why}", page.display())));
        }
    }
    for line in commands(&read(&notes)) {
        wrong.extend(not_taken(&line, false).map(|why| format!("{}: {why}", notes.display())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 40, "only {count} commands found: the pages show more");
}

/// The commands of a block, lines that go on joined, and each part of `a && b` by itself.
fn commands(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    let parts = joined.lines().flat_map(|line| line.split("&&"));
    parts.map(|part| part.trim().trim_start_matches("$ ").to_owned()).filter(|part| !part.is_empty()).collect()
}

#[test]
fn make_targets_in_pages_are_there() {
    let makefile = read(&top("Makefile"));
    let targets: Vec<&str> =
        makefile.lines().filter_map(|line| line.split_once(" ## ")?.0.split_once(':')).map(|(name, _)| name).collect();
    let mut wrong = Vec::new();
    for page in pages() {
        let text = read(&page);
        let shown = blocks(&text).into_iter().flat_map(|block| commands(&block.text));
        let told: Vec<String> = prose(&text).split('`').skip(1).step_by(2).map(str::to_owned).collect();
        for line in shown.chain(told) {
            let Some(rest) = line.strip_prefix("make ") else { continue };
            let target = rest.split(' ').find(|word| !word.contains('=')).unwrap_or_default();
            if !targets.contains(&target) {
                wrong.push(format!("{}: `{line}`", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "no such target\n{}", wrong.join("\n"));
}

#[test]
fn a_command_that_is_none_is_seen() {
    assert_eq!(not_taken("kubectl llmrollout status chat -n llm", false), None);
    assert_eq!(not_taken("kubectl get pods", false), None);
    assert_eq!(not_taken("kubectl llmrollout approve", true), None);
    assert_eq!(not_taken("$ llmrollout-operator --config=FILE --check-config", false), None);
    for none in ["kubectl llmrollout fly chat", "kubectl llmrollout status chat --nonsense", "llmrollout-operator --x"]
    {
        assert!(not_taken(none, true).is_some(), "{none}");
    }
    assert!(not_taken("kubectl llmrollout status", false).is_some(), "a block shows whole commands");
    assert_eq!(words("a 'b c' \"d\" --rps N | e"), ["a", "b c", "d", "--rps", "1"]);
    assert_eq!(anchors("# A: b `c`\n## x_y\n## x_y\n```\n# no\n```\n"), ["a-b-c", "x_y", "x_y-1"]);
}
