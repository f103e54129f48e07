//! A sheet as one HTML page that needs nothing else: no script, no picture, no style from elsewhere. What people and
//! clusters wrote stays text; only `http` and `https` become links.

use std::fmt::Write;

use super::sheet::Sheet;
use crate::cli::table::clean;

const STYLE: &str = "body{font:14px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem}\
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}\
th,td{border:1px solid #bbb;padding:.25rem .5rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}\
th{background:#eee}td.Fail{background:#fdd}td.Pass{background:#dfd}@media print{body{margin:0;max-width:none}}";

/// Writes it.
pub(super) fn write(sheet: &Sheet) -> String {
    let title = escaped(&sheet.title);
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
    );
    let facts: Vec<_> = sheet.facts.iter().map(|(k, v)| vec![(*k).to_owned(), v.clone()]).collect();
    table(&mut text, &[], &facts);
    for part in &sheet.parts {
        let _ = writeln!(text, "<h2>{}</h2>", escaped(&part.title));
        if !part.note.is_empty() {
            let _ = writeln!(text, "<p>{}</p>", escaped(&part.note));
        }
        table(&mut text, part.heads, &part.rows);
    }
    text.push_str("</body>\n</html>\n");
    text
}

fn table(text: &mut String, heads: &[&str], rows: &[Vec<String>]) {
    text.push_str("<table>\n");
    if !heads.is_empty() {
        let cells = heads.iter().map(|head| format!("<th>{}</th>", escaped(head))).collect::<Vec<_>>().concat();
        let _ = writeln!(text, "<tr>{cells}</tr>");
    }
    for row in rows {
        let cells = row.iter().map(|text| cell(text)).collect::<Vec<_>>().concat();
        let _ = writeln!(text, "<tr>{cells}</tr>");
    }
    text.push_str("</table>\n");
}

fn cell(text: &str) -> String {
    let shown = escaped(text);
    match text {
        "Pass" | "Fail" => format!("<td class=\"{text}\">{text}</td>"),
        _ if (text.starts_with("https://") || text.starts_with("http://")) && !text.contains(char::is_whitespace) => {
            format!("<td><a href=\"{shown}\" rel=\"noreferrer\">{shown}</a></td>")
        }
        _ => format!("<td>{shown}</td>"),
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
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
