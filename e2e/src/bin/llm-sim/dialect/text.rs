//! The text that Prometheus reads, line by line. Nothing here knows a name.

use std::fmt::{self, Display, Write};

/// The lines before a family: its name as in the samples, `counter`, `gauge` or `histogram`, and what it means.
pub(super) fn head(out: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

/// One sample. There may be no labels.
pub(super) fn sample(out: &mut String, name: &str, labels: &str, value: impl Display) -> fmt::Result {
    if labels.is_empty() { writeln!(out, "{name} {value}") } else { writeln!(out, "{name}{{{labels}}} {value}") }
}

/// A family of one sample.
pub(super) fn one(
    out: &mut String,
    labels: &str,
    name: &str,
    kind: &str,
    help: &str,
    value: impl Display,
) -> fmt::Result {
    head(out, name, kind, help)?;
    sample(out, name, labels, value)
}

/// Each handler takes one method.
pub(super) fn method(handler: &str) -> &'static str {
    if handler == "/v1/models" { "GET" } else { "POST" }
}

/// A text as it stands between quotes.
pub(super) fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
