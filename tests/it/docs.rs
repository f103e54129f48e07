//! The book: it lists every reason there is in the code's own words, and what the command line says. Never its style.

use clap::CommandFactory;
use llmrollout::{api::Reason, cli::args::Args};

use crate::files::{read, top};

#[test]
fn every_reason_is_listed_with_its_explanation() {
    let page = read(&top("docs/reasons.md"));
    let listed: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let expected: Vec<String> =
        Reason::ALL.iter().map(|(reason, why)| format!("| `{reason}` | {} |", why.trim())).collect();
    assert_eq!(listed, expected, "docs/reasons.md must list Reason::ALL in order, one `| `Word` | explanation |` each");
}

#[test]
fn every_reason_has_a_place_in_the_runbook() {
    let page = read(&top("docs/runbook.md"));
    let missing: Vec<_> = Reason::ALL.iter().filter(|(reason, _)| !page.contains(&format!("`{reason}`"))).collect();
    assert!(missing.is_empty(), "docs/runbook.md does not name {missing:?}");
}

/// What each command says of itself with `--help`. `UPDATE=1 cargo test` writes it anew.
#[test]
#[expect(clippy::disallowed_methods, reason = "UPDATE=1 asks for a new page")]
fn the_page_of_the_command_line_is_in_step() {
    let mut program = Args::command();
    program.build();
    let mut page = "# The command line\n\nWhat each command says of itself with `--help`; written by `UPDATE=1 cargo test --test it command_line`.\n".to_owned();
    let verbs = program.get_subcommands_mut().filter(|verb| !verb.is_hide_set());
    let helps: Vec<String> = verbs.map(section).collect();
    page += &section(&mut program);
    page += &helps.concat();
    let file = top("docs/cli.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &page).unwrap();
    }
    assert!(read(&file) == page, "docs/cli.md is stale; run `UPDATE=1 cargo test --test it command_line`");
}

fn section(command: &mut clap::Command) -> String {
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    let name = command.get_bin_name().unwrap_or_default();
    format!("\n## {name}\n\n```text\n{}\n```\n", lines.join("\n").trim_end())
}
