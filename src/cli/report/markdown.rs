//! A sheet as Markdown. What people and clusters wrote stays text.

use std::fmt::Write;

use super::sheet::Sheet;
use crate::cli::table::clean;

/// Writes it.
pub(super) fn write(sheet: &Sheet) -> String {
    let mut text = format!("# {}\n\n", escaped(&sheet.title));
    table(&mut text, &["", ""], &sheet.facts.iter().map(|(k, v)| vec![(*k).to_owned(), v.clone()]).collect::<Vec<_>>());
    for part in &sheet.parts {
        let _ = write!(text, "\n## {}\n\n", escaped(&part.title));
        if !part.note.is_empty() {
            let _ = write!(text, "{}\n\n", escaped(&part.note));
        }
        table(&mut text, part.heads, &part.rows);
    }
    text
}

fn table(text: &mut String, heads: &[&str], rows: &[Vec<String>]) {
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    text.push_str(&row(heads.iter().map(|head| (*head).to_owned()).collect()));
    text.push_str(&row(vec!["---".to_owned(); heads.len()]));
    for cells in rows {
        text.push_str(&row(cells.iter().map(|cell| escaped(cell)).collect()));
    }
}

/// One line in which nothing is markup.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in clean(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '|' | '\\' | '*' | '_' | '`' | '[' | ']' | '#' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}
