//! Colors for a person's terminal: words that are good, bad or open, wherever they stand. Never in a pipe, in a file, in
//! what machines read, or where `NO_COLOR` is set.

use std::fmt::Write;

const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const CYAN: &str = "36";

/// Words and their colors: verdicts, phases, answers of `lint` and `plan`.
const WORDS: &[(&str, &[&str])] = &[
    (RED, &["Fail", "RolledBack", "RollingBack", "Blocked", "error", "False"]),
    (GREEN, &["Pass", "Completed", "Promoted"]),
    (YELLOW, &["NoData", "Undecided", "Paused", "AwaitingApproval", "warning", "Unknown"]),
    (CYAN, &["Holding", "Shifting", "Baking", "Preparing", "Preflight", "Decommissioning", "note"]),
];

/// The text with its words colored.
pub fn painted(text: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        match WORDS.iter().find(|(_, words)| words.contains(&word)) {
            // Writing to a String cannot fail.
            Some((color, _)) => drop(write!(out, "\u{1b}[{color}m{word}\u{1b}[0m")),
            None => out.push_str(word),
        }
        let next = after.find(is_word).unwrap_or(after.len());
        let (between, after) = after.split_at(next);
        out.push_str(between);
        rest = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::painted;

    #[test]
    fn whole_words_are_colored_and_nothing_else() {
        assert_eq!(painted("p95  Fail\n"), "p95  \u{1b}[31mFail\u{1b}[0m\n");
        assert_eq!(painted("· a.yaml:1: error: x"), "· a.yaml:1: \u{1b}[31merror\u{1b}[0m: x");
        for plain in ["error-rate Passing NoDataBudgetSpent", "", " \n"] {
            assert_eq!(painted(plain), plain);
        }
    }
}
