//! What came of the suites: a table for people, `target/test/report.json` for machines.
//! Nothing here runs a suite.

#![expect(clippy::print_stdout, reason = "the table is what the command is asked for")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde::Serialize;
use serde_json::json;

use super::{CheckError, process};

/// What came of one suite, or of one program of it.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Row {
    /// Its name.
    pub name: String,
    /// How many passed.
    pub passed: u64,
    /// How many failed.
    pub failed: u64,
    /// How many were not run.
    pub skipped: u64,
    /// How long it took.
    pub seconds: f64,
    /// Why something was not run.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl Row {
    /// One check that failed.
    pub(super) fn failed(name: &str) -> Self {
        Self { name: name.to_owned(), failed: 1, ..Self::default() }
    }

    /// One check that is either right or not.
    pub(super) fn single(name: &str, ended: process::Ended) -> Self {
        let (passed, failed) = if ended.ok { (1, 0) } else { (0, 1) };
        Self { name: name.to_owned(), passed, failed, seconds: ended.took.as_secs_f64(), ..Self::default() }
    }

    /// One check that was not run, and why.
    pub(super) fn skipped(name: &str, why: &str) -> Self {
        Self { name: name.to_owned(), skipped: 1, note: why.to_owned(), ..Self::default() }
    }
}

/// Gathers the rows; the file is written after each suite, so that a run cut short leaves what it knew.
#[derive(Debug)]
pub(super) struct Report {
    dir: PathBuf,
    rows: Vec<Row>,
}

/// Where logs and the report lie.
pub(super) fn dir() -> PathBuf {
    process::root().join("target/test")
}

/// The log of a suite.
pub(super) fn log(suite: &str) -> PathBuf {
    dir().join(format!("{suite}.log"))
}

impl Report {
    /// An empty one; what an earlier run left is removed.
    pub(super) fn new() -> Result<Self, CheckError> {
        let dir = dir();
        if dir.exists() {
            fs::remove_dir_all(&dir).map_err(CheckError::file(&dir))?;
        }
        fs::create_dir_all(&dir).map_err(CheckError::file(&dir))?;
        Ok(Self { dir, rows: Vec::new() })
    }

    /// Takes what came of a suite.
    pub(super) fn add(&mut self, rows: Vec<Row>) -> Result<(), CheckError> {
        for row in &rows {
            let word = if row.failed > 0 { "FAILED" } else { "ok" };
            let note = if row.note.is_empty() { String::new() } else { format!(": {}", row.note) };
            let Row { name, passed, failed, skipped, seconds, .. } = row;
            eprintln!("{word:<6} {name}: {passed} passed, {failed} failed, {skipped} skipped in {seconds:.1} s{note}");
        }
        self.rows.extend(rows);
        let path = self.dir.join("report.json");
        let (passed, failed, skipped) = self.total();
        let total = json!({ "passed": passed, "failed": failed, "skipped": skipped });
        let text = format!("{:#}\n", json!({ "suites": self.rows, "total": total }));
        fs::write(&path, text).map_err(CheckError::file(path))
    }

    fn total(&self) -> (u64, u64, u64) {
        let sum = |of: fn(&Row) -> u64| self.rows.iter().map(of).sum();
        (sum(|row| row.passed), sum(|row| row.failed), sum(|row| row.skipped))
    }

    /// Prints the table and says how it went.
    pub(super) fn end(self) -> ExitCode {
        let width = self.rows.iter().map(|row| row.name.len()).max().unwrap_or(0).max("suite".len());
        println!("\n{:<width$}  {:>6}  {:>6}  {:>7}  {:>7}", "suite", "passed", "failed", "skipped", "seconds");
        for Row { name, passed, failed, skipped, seconds, note } in &self.rows {
            let line = format!("{name:<width$}  {passed:>6}  {failed:>6}  {skipped:>7}  {seconds:>7.1}  {note}");
            println!("{}", line.trim_end());
        }
        let (passed, failed, skipped) = self.total();
        println!("\n{}", Path::new("target/test/report.json").display());
        println!("total: {passed} passed, {failed} failed, {skipped} skipped");
        if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
