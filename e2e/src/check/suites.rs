//! What each suite runs, and how its words become rows.
//! Nothing here prints a result.

use std::{env, fs, process::Command, time::Instant};

use serde::Deserialize;

use super::{CheckError, Suite, browser, chart, process, promtool, report, report::Row, tests_said::TestsSaid};
use crate::lab;

/// Runs one suite.
pub(super) fn run(suite: Suite, name: &str) -> Result<Vec<Row>, CheckError> {
    match suite {
        Suite::Fmt => cargo(name, &["fmt", "--all", "--check"]),
        Suite::Clippy => cargo(name, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        Suite::Doc => {
            let mut command = process::cargo(&["doc", "--workspace", "--no-deps"]);
            command.env("RUSTDOCFLAGS", "-D warnings");
            single(name, command)
        }
        Suite::Deny => deny(name),
        Suite::Unit => unit(name),
        Suite::Promtool => promtool::check(name),
        Suite::Browser => browser::check(name),
        Suite::Chart => chart::check(name),
        Suite::Cases => cases(name),
    }
}

fn single(name: &str, command: Command) -> Result<Vec<Row>, CheckError> {
    let ended = process::run(command, &report::log(name), &mut |_| true)?;
    Ok(vec![Row::single(name, ended)])
}

fn cargo(name: &str, words: &[&str]) -> Result<Vec<Row>, CheckError> {
    single(name, process::cargo(words))
}

fn deny(name: &str) -> Result<Vec<Row>, CheckError> {
    let path = env::var_os("PATH").unwrap_or_default();
    if !env::split_paths(&path).any(|dir| dir.join("cargo-deny").is_file()) {
        let why = "cargo-deny is not installed: `make tools` installs it where `make test` finds it";
        return Ok(vec![Row::skipped(name, why)]);
    }
    // Advisories are not asked for: they need a database from elsewhere, and change without a change here.
    cargo(name, &["deny", "check", "bans", "licenses", "sources"])
}

fn unit(name: &str) -> Result<Vec<Row>, CheckError> {
    let mut said = TestsSaid::default();
    let command = process::cargo(&["test", "--workspace", "--no-fail-fast"]);
    let ended = process::run(command, &report::log(name), &mut |line| said.read(line))?;
    let mut rows = said.end(ended.ok);
    // Programs without a test say nothing.
    rows.retain(|row| row.passed + row.failed + row.skipped > 0);
    if rows.is_empty() {
        rows.push(Row::failed("tests: none ran"));
    }
    Ok(rows)
}

/// The part of the cases' report that is read here.
#[derive(Debug, Deserialize)]
struct Cases {
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Case {
    name: String,
    result: String,
    /// Why it does not hold.
    #[serde(default)]
    why: String,
    /// Why it did not hold at first, beside others.
    #[serde(default)]
    beside_others: String,
}

/// The cases run as a program of their own: one that hangs or dies takes nobody with it.
fn cases(name: &str) -> Result<Vec<Row>, CheckError> {
    let since = Instant::now();
    let path = process::root().join("target/e2e/report.json");
    if path.exists() {
        fs::remove_file(&path).map_err(CheckError::file(&path))?;
    }
    let mut command = Command::new(lab::own_program()?);
    command.current_dir(process::root()).arg("cases");
    let ended = process::run(command, &report::log(name), &mut |_| true)?;
    let seconds = since.elapsed().as_secs_f64();
    let said = fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Cases>(&text).ok());
    Ok(vec![count(name, said.as_ref(), ended.ok, seconds)])
}

fn count(name: &str, said: Option<&Cases>, ok: bool, seconds: f64) -> Row {
    let mut row = Row { name: name.to_owned(), seconds, ..Row::default() };
    for case in said.map_or(&[][..], |said| &said.cases) {
        match case.result.as_str() {
            "ok" | "passed" => {
                row.passed += 1;
                if !case.beside_others.is_empty() {
                    row.note = format!("{}only by itself: {}: {}\n", row.note, case.name, case.beside_others);
                }
            }
            "skipped" => row.skipped += 1,
            // Said where the run ends: what it printed in between may be gone when somebody asks.
            _ => {
                row.failed += 1;
                row.note = format!("{}{}: {}\n", row.note, case.name, case.why);
            }
        }
    }
    // Ended badly with no case to blame, or well without a single case: neither is a pass.
    if row.failed == 0 && (!ok || row.passed == 0) {
        row.failed = 1;
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(result: &str, beside_others: &str) -> Case {
        let (why, beside_others) = ("1 of 9".to_owned(), beside_others.to_owned());
        Case { name: "a".to_owned(), result: result.to_owned(), why, beside_others }
    }

    fn counted(results: &[&str], ok: bool) -> (u64, u64, u64) {
        let cases = results.iter().map(|result| case(result, "")).collect();
        let row = count("cases", Some(&Cases { cases }), ok, 1.0);
        (row.passed, row.failed, row.skipped)
    }

    #[test]
    fn cases_are_counted_by_their_result() {
        assert_eq!(counted(&["ok", "ok", "skipped"], true), (2, 0, 1));
        assert_eq!(counted(&["ok", "FAILED"], false), (1, 1, 0));
        let noted = |case, ok| count("cases", Some(&Cases { cases: vec![case] }), ok, 1.0).note;
        assert_eq!(noted(case("failed", ""), false), "a: 1 of 9\n");
        assert_eq!(noted(case("ok", "late"), true), "only by itself: a: late\n");
    }

    #[test]
    fn a_run_without_a_result_is_no_pass() {
        assert_eq!(counted(&["ok"], false), (1, 1, 0));
        assert_eq!(counted(&[], true), (0, 1, 0));
        assert_eq!(count("cases", None, true, 1.0).failed, 1);
    }
}
