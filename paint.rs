//! Colors for a person's terminal: words that are good, bad or open, wherever they stand. Never in a pipe, in a file, in
//! what machines read, or where `NO_COLOR` is set.

use std::fmt::Write;

/// What a word means to whoever looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shade {
    /// It went wrong.
    Bad,
    /// It is as it should be.
    Good,
    /// Somebody or something is waited for.
    Open,
    /// It is under way.
    Busy,
}

/// Words and their shades: verdicts, phases, what `lint` says.
const WORDS: &[(Shade, &[&str])] = &[
    (Shade::Bad, &["Fail", "RolledBack", "RollingBack", "Blocked", "error", "False"]),
    (Shade::Good, &["Pass", "Completed", "Promoted"]),
    (Shade::Open, &["NoData", "Undecided", "Paused", "AwaitingApproval", "warning", "Unknown"]),
    (Shade::Busy, &["Pending", "Holding", "Shifting", "Baking", "Preparing", "Decommissioning", "note"]),
];

impl Shade {
    fn of(word: &str) -> Option<Self> {
        WORDS.iter().find(|(_, words)| words.contains(&word)).map(|(shade, _)| *shade)
    }

    /// The number of its color on a terminal.
    const fn code(self) -> u8 {
        match self {
            Self::Bad => 31,
            Self::Good => 32,
            Self::Open => 33,
            Self::Busy => 36,
        }
    }
}

/// The text in pieces: words, and what is between them, each with its shade.
pub fn pieces(text: &str) -> Vec<(Option<Shade>, &str)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let (mut all, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_word(c) != is_word(first)).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        all.push((Shade::of(piece), piece));
        rest = after;
    }
    all
}

/// The text with its words colored.
pub fn painted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (shade, piece) in pieces(text) {
        match shade {
            // Writing to a String cannot fail.
            Some(shade) => drop(write!(out, "\u{1b}[{}m{piece}\u{1b}[0m", shade.code())),
            None => out.push_str(piece),
        }
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
