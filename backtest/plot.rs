//! The past of a gate as a picture: a line of blocks with a line of verdicts below it in the terminal, or an SVG. Never
//! judges; values and verdicts come in as they were told.

use std::fmt::Write;

use super::play::{Played, Told};
use crate::{
    api::{Moment, status::VerdictWord},
    cli::table::clean,
    decide::plan::PlannedGate,
};

/// Columns of a line.
const COLUMNS: usize = 72;
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Of a drawing, in pixels.
const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 120.0;
const LEFT: f64 = 140.0;

/// Two lines: the highest value of each column, and the worst verdict.
pub fn text(gate: &PlannedGate, played: &Played) -> String {
    let name: String = clean(&gate.name).chars().take(16).collect();
    if let Some(why) = &played.why_not {
        return format!("{name:<16} not run: {}\n", clean(why));
    }
    let columns = columns(&played.told);
    let top = scale(gate, played);
    let block = |column: &&[Told]| {
        let most = column.iter().filter_map(|told| told.value).max_by(f64::total_cmp);
        most.map_or(' ', |value| level(value / top))
    };
    let mark = |column: &&[Told]| match worst(column) {
        Some(VerdictWord::Fail) => 'x',
        Some(VerdictWord::NoData) | None => '?',
        Some(VerdictWord::Undecided) => '~',
        Some(VerdictWord::Pass) => '.',
    };
    let (values, verdicts): (String, String) = columns.iter().map(|column| (block(column), mark(column))).unzip();
    format!("{name:<16} {values}  up to {}\n{:<16} {verdicts}  . pass  x fail  ? not known\n", gate.unit.show(top), "")
}

/// The height of the picture: the limit, or the highest value above it.
fn scale(gate: &PlannedGate, played: &Played) -> f64 {
    let highest = played.told.iter().filter_map(|told| told.value).filter(|v| v.is_finite()).fold(0.0, f64::max);
    let limit = gate.test.band(None).and_then(crate::decide::criterion::Band::most).unwrap_or(0.0);
    let top = highest.max(limit);
    if top > 0.0 { top } else { 1.0 }
}

fn columns(told: &[Told]) -> Vec<&[Told]> {
    told.chunks(told.len().div_ceil(COLUMNS).max(1)).collect()
}

fn worst(column: &[Told]) -> Option<VerdictWord> {
    // The words are in the order of what a person wants to see first.
    column.iter().map(|told| told.verdict).min()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "one of eight; `as` saturates"
)]
fn level(part: f64) -> char {
    let index = (part.clamp(0.0, 1.0) * (BLOCKS.len() - 1) as f64).round() as usize;
    BLOCKS.get(index).copied().unwrap_or(' ')
}

/// A drawing: for each gate its values, its limit, and a band of verdicts. It holds text and lines, and asks for nothing.
pub fn svg(title: &str, all: &[(&PlannedGate, Played)], from: Moment, to: Moment) -> String {
    let seconds = to.since(from).as_secs_f64().max(1.0);
    let x = |at: Moment| LEFT + at.since(from).as_secs_f64() / seconds * (WIDTH - LEFT - 20.0);
    let mut out = String::new();
    let mut y = 40.0;
    for (gate, played) in all {
        // Writing to a String cannot fail.
        let _ = write!(out, r#"<text x="10" y="{}">{}</text>"#, y + 20.0, escaped(&gate.name));
        if let Some(why) = &played.why_not {
            let _ = writeln!(out, r#"<text x="{LEFT}" y="{}" class="small">not run: {}</text>"#, y + 20.0, escaped(why));
        } else {
            let _ = writeln!(out, "{}", one(gate, played, y, &x));
        }
        y += HEIGHT + 20.0;
    }
    let style = "text{font:13px sans-serif;fill:#222}.small{font-size:11px;fill:#555}.value{fill:none;stroke:#1f5fbf;stroke-width:1.5}.limit{stroke:#b00020;stroke-dasharray:4 3}.Pass{fill:#2e7d32}.Fail{fill:#b00020}.NoData{fill:#9e9e9e}.Undecided{fill:#f9a825}";
    let head = format!(r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" role="img" aria-label="{}">"#, escaped(title));
    format!("{head}<style>{style}</style><rect width=\"100%\" height=\"100%\" fill=\"#fff\"/><text x=\"10\" y=\"22\">{}</text>\n{out}</svg>\n", escaped(title))
}

fn one(gate: &PlannedGate, played: &Played, top: f64, x: &dyn Fn(Moment) -> f64) -> String {
    let most = scale(gate, played);
    let bottom = top + HEIGHT - 20.0;
    let y = |value: f64| bottom - (value / most).clamp(0.0, 1.0) * (HEIGHT - 30.0);
    let mut out = String::new();
    let mut line = String::new();
    for told in &played.told {
        match told.value.filter(|value| value.is_finite()) {
            Some(value) => drop(write!(line, "{}{:.1},{:.1} ", if line.ends_with('|') || line.is_empty() { "M" } else { "L" }, x(told.at), y(value))),
            // A gap is a gap, and no line across it.
            None if !line.is_empty() && !line.ends_with('|') => line.push('|'),
            None => {}
        }
    }
    let _ = write!(out, r#"<path class="value" d="{}"/>"#, line.replace('|', "").trim_end());
    if let Some(limit) = gate.test.band(None).and_then(crate::decide::criterion::Band::most) {
        let (at, right) = (y(limit), WIDTH - 20.0);
        let _ = write!(out, r#"<line class="limit" x1="{LEFT}" x2="{right}" y1="{at:.1}" y2="{at:.1}"/>"#);
    }
    let limit = escaped(&gate.test.word(gate.unit, None));
    let _ = write!(out, r#"<text x="10" y="{}" class="small">limit {limit}</text>"#, top + 38.0);
    let _ = write!(out, r#"<text x="10" y="{}" class="small">up to {}</text>"#, top + 54.0, escaped(&gate.unit.show(most)));
    for span in played.spans() {
        let (left, right) = (x(span.from), x(span.to.plus(gate.interval)));
        let word = format!("{:?}", span.verdict);
        let width = (right - left).max(1.0);
        let _ = write!(out, r#"<rect class="{word}" x="{left:.1}" y="{}" width="{width:.1}" height="8"><title>{word} {}</title></rect>"#, bottom + 6.0, escaped(&span.reason));
    }
    out
}

fn escaped(text: &str) -> String {
    clean(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
