//! `explain REASON`: what a word of conditions, events and status means. The words are those of the code; never asks the
//! cluster.

use serde_json::{Value, json};

use super::{
    document::{self, Form},
    error::CliError,
    table::Table,
};
use crate::api::Reason;

/// So many changed letters are taken for a slip.
const SLIP: usize = 3;

/// One word, or all of them.
pub fn explain(word: Option<&str>, shape: Option<Form>) -> Result<String, CliError> {
    let found = match word {
        None => Reason::ALL.to_vec(),
        Some(word) => vec![of(word)?],
    };
    if let Some(form) = shape {
        let documents: Vec<Value> = found.iter().map(|(r, why)| json!({"reason": r, "meaning": why.trim()})).collect();
        let whole = documents.first().filter(|_| word.is_some()).cloned();
        return document::write(&whole.unwrap_or(Value::Array(documents)), form);
    }
    if let (Some(_), [(reason, why)]) = (word, found.as_slice()) {
        return Ok(format!("{reason}: {}\n", why.trim()));
    }
    let mut table = Table::new(["REASON", "MEANING"]);
    for (reason, why) in &found {
        table.row([reason.to_string(), why.trim().to_owned()]);
    }
    Ok(table.text())
}

fn of(word: &str) -> Result<(Reason, &'static str), CliError> {
    let found = Reason::ALL.iter().find(|(reason, _)| reason.word().eq_ignore_ascii_case(word));
    found.copied().ok_or_else(|| CliError::NoReason { word: word.to_owned(), near: near(word) })
}

/// Words that look like it, the likest first.
fn near(word: &str) -> Vec<&'static str> {
    let typed = word.to_lowercase();
    let like = |reason: &'static str| {
        let known = reason.to_lowercase();
        let holds = typed.len() > 2 && (known.contains(&typed) || typed.contains(&known));
        let slips = distance(&typed, &known);
        (holds || slips <= SLIP).then_some((slips, reason))
    };
    let mut near: Vec<_> = Reason::ALL.iter().filter_map(|(reason, _)| like(reason.word())).collect();
    near.sort_unstable();
    near.into_iter().take(5).map(|(_, word)| word).collect()
}

/// How many letters are to be put in, left out or changed.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, (to, pair)) in b.iter().zip(row.windows(2)).enumerate() {
            let changed = pair[0] + usize::from(from != *to);
            next.push(changed.min(pair[1] + 1).min(next[j] + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{distance, explain};
    use crate::{api::Reason, cli::document::Form};

    #[test]
    fn a_word_is_explained_however_it_is_written() {
        let expected = "NoData: A gate has no usable data.\n";
        assert_eq!(explain(Some("NoData"), None).unwrap(), expected);
        assert_eq!(explain(Some("nodata"), None).unwrap(), expected);
        let json = "{\n  \"meaning\": \"A gate has no usable data.\",\n  \"reason\": \"NoData\"\n}\n";
        assert_eq!(explain(Some("NoData"), Some(Form::Json)).unwrap(), json);
    }

    #[test]
    fn all_are_listed_without_a_word() {
        let text = explain(None, None).unwrap();
        assert_eq!(text.lines().count(), Reason::ALL.len() + 1);
        assert!(text.starts_with("REASON") && text.contains("GateFailed"), "{text}");
        let all: Value = serde_json::from_str(&explain(None, Some(Form::Json)).unwrap()).unwrap();
        assert_eq!(all.as_array().map(Vec::len), Some(Reason::ALL.len()));
    }

    #[test]
    fn an_unknown_word_is_answered_with_near_ones() {
        let told = [
            ("GateFaild", "there is no reason GateFaild; try `kubectl llmrollout explain GateFailed`"),
            ("approval", "there is no reason approval; try `kubectl llmrollout explain AwaitingApproval`"),
            ("xyzzy-plugh", "there is no reason xyzzy-plugh; see all with `kubectl llmrollout explain`"),
        ];
        for (word, expected) in told {
            assert_eq!(explain(Some(word), None).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn distances_count_letters() {
        for (a, b, expected) in [("", "abc", 3), ("abc", "abc", 0), ("abc", "axc", 1), ("kitten", "sitting", 3)] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }
}
