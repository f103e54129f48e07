//! What `lint` finds: which rule, how bad, where, and what to write instead. Never looks for anything.

use std::{cmp::Ordering, fmt};

use super::place::Place;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It would be refused.
    Error,
    /// It is taken, and will not do what is expected of it.
    Warning,
    /// Worth knowing.
    Note,
}

impl Severity {
    /// As it is printed, and as SARIF spells it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about, in one sentence.
    pub about: &'static str,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// The file, as it was named.
    pub file: String,
    /// Where in it.
    pub place: Place,
    /// The part of the object: `spec.gates[0].max`.
    pub path: String,
    /// What is wrong, and what to write instead.
    pub message: String,
}

impl Finding {
    /// In the order in which a person goes through files.
    pub fn order(&self, other: &Self) -> Ordering {
        let key = |f: &Self| (f.file.clone(), f.place, f.rule.severity, f.rule.id, f.message.clone());
        key(self).cmp(&key(other))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, file, place, path, message } = self;
        let at = if path.is_empty() || message.contains(path.as_str()) { String::new() } else { format!("{path}: ") };
        write!(f, "{file}:{}:{}: {}: {at}{message} [{}]", place.line, place.column, rule.severity.word(), rule.id)
    }
}
