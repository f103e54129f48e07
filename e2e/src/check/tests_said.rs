//! Reads what `cargo test` says: one row per program of tests.
//! Nothing here runs anything.

use super::report::Row;

/// Gathers rows line by line.
#[derive(Debug, Default)]
pub(super) struct TestsSaid {
    rows: Vec<Row>,
    open: Option<String>,
}

impl TestsSaid {
    /// Reads a line and says whether it is worth showing: tests that passed are not, one by one.
    pub(super) fn read(&mut self, line: &str) -> bool {
        let text = line.trim();
        if let Some(what) = text.strip_prefix("Running ") {
            self.begin(running(what));
        } else if let Some(package) = text.strip_prefix("Doc-tests ") {
            self.begin(format!("{package} (examples in the documentation)"));
        } else if let Some(result) = text.strip_prefix("test result: ") {
            let name = self.open.take().unwrap_or_else(|| "tests".to_owned());
            self.rows.push(row(&name, result));
        }
        let is_pass = text.starts_with("test ") && (text.ends_with(" ok") || text.ends_with("should panic ... ok"));
        let is_frame = text.is_empty() || (text.starts_with("running ") && text.contains(" test"));
        !is_pass && !is_frame
    }

    /// The next program begins; one that never told its result did not end well.
    fn begin(&mut self, name: String) {
        self.close();
        self.open = Some(name);
    }

    fn close(&mut self) {
        if let Some(name) = self.open.take() {
            self.rows.push(Row::failed(&name));
        }
    }

    /// All rows; `ok` is how Cargo itself ended.
    pub(super) fn end(mut self, ok: bool) -> Vec<Row> {
        self.close();
        if !ok && self.rows.iter().all(|row| row.failed == 0) {
            self.rows.push(Row::failed("tests: build"));
        }
        self.rows
    }
}

/// `unittests src/lib.rs (target/debug/deps/llmrollout-1a2b)` → `llmrollout (src/lib.rs)`.
fn running(what: &str) -> String {
    let (source, program) = what.rsplit_once(" (").unwrap_or((what, ""));
    let source = source.strip_prefix("unittests ").unwrap_or(source);
    let file = program.trim_end_matches(')').rsplit('/').next().unwrap_or_default();
    let name = file.rsplit_once('-').map_or(file, |(name, _)| name);
    format!("{name} ({source})")
}

/// `ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.50s` as a row.
fn row(name: &str, result: &str) -> Row {
    let number = |word: &str| {
        let part = result.split(['.', ';']).map(str::trim).find(|part| part.ends_with(word));
        part.and_then(|part| part.split(' ').next()?.parse().ok()).unwrap_or(0)
    };
    let seconds = result.rsplit_once("finished in ").and_then(|(_, rest)| rest.trim_end_matches('s').parse().ok());
    Row {
        name: name.to_owned(),
        passed: number(" passed"),
        failed: number(" failed"),
        skipped: number(" ignored"),
        seconds: seconds.unwrap_or(0.0),
        note: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, ok: bool) -> Vec<(String, u64, u64, u64)> {
        let mut said = TestsSaid::default();
        for line in text.lines() {
            said.read(line);
        }
        said.end(ok).into_iter().map(|row| (row.name, row.passed, row.failed, row.skipped)).collect()
    }

    const TWO: &str = "     Running unittests src/lib.rs (target/debug/deps/llm_rollout-1a2b)\n\nrunning 2 tests\ntest a ... ok\n\
        test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.50s\n\
        \x20    Running tests/it/main.rs (target/debug/deps/it-3c4d)\n\
        test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.25s\n\
        \x20  Doc-tests llmrollout\n\
        test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s\n";

    #[test]
    fn every_program_has_a_row() {
        let expected = [
            ("llm_rollout (src/lib.rs)".to_owned(), 12, 0, 1),
            ("it (tests/it/main.rs)".to_owned(), 3, 2, 0),
            ("llmrollout (examples in the documentation)".to_owned(), 1, 0, 0),
        ];
        assert_eq!(read(TWO, false), expected);
    }

    #[test]
    fn a_program_that_died_has_failed() {
        let died = "Running unittests src/lib.rs (target/debug/deps/a-1)\nerror: test failed\n";
        assert_eq!(read(died, false), [("a (src/lib.rs)".to_owned(), 0, 1, 0)]);
    }

    #[test]
    fn a_build_that_failed_has_failed() {
        assert_eq!(read("error: could not compile\n", false), [("tests: build".to_owned(), 0, 1, 0)]);
        assert!(read("", true).is_empty());
    }

    #[test]
    fn passes_are_not_shown_one_by_one() {
        let mut said = TestsSaid::default();
        assert!(!said.read("test a::b ... ok"));
        assert!(said.read("test a::b ... FAILED"));
        assert!(said.read("thread 'a::b' panicked at src/lib.rs:1:1:"));
    }
}
