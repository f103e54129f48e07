//! What stands on the screen of a terminal as SVG: the picture in the README is the program's own output. Never judges it.

use std::fmt::Write;

use vt100::{Cell, Color, Screen};

/// Pixels of a column and of a row.
const CELL: (u16, u16) = (8, 17);
const INK: &str = "#d8dee9";
/// The eight colors of a terminal, and the eight bright ones.
const COLORS: [&str; 16] = [
    "#4c566a", "#f7768e", "#9ece6a", "#e0af68", "#7aa2f7", "#bb9af7", "#7dcfff", INK, "#6b7690", "#ff9e9e", "#b9f27c",
    "#ffd580", "#9ab8ff", "#d0b3ff", "#a4e0ff", "#ffffff",
];

/// How a run of cells is drawn.
fn style(cell: &Cell) -> String {
    let color = match cell.fgcolor() {
        Color::Idx(index) => COLORS.get(usize::from(index)).copied().unwrap_or(INK),
        _ => INK,
    };
    let mut style = format!("fill=\"{color}\"");
    if cell.bold() {
        style += " font-weight=\"bold\"";
    }
    if cell.dim() {
        style += " opacity=\"0.65\"";
    }
    style
}

/// As text of XML; a browser would draw several blanks as one.
fn escaped(text: &str) -> String {
    text.replace(' ', "\u{a0}").replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The screen, without the empty rows that stand between its text and its last line.
pub(crate) fn svg(screen: &Screen, title: &str) -> String {
    let (rows, columns) = screen.size();
    let (rows, columns) = (rows.get(), columns.get());
    let is_empty =
        |row: u16| (0..columns).all(|c| screen.cell(row, c).is_none_or(|cell| cell.contents().trim().is_empty()));
    let shown: Vec<u16> = (0..rows).filter(|row| !is_empty(*row) || (*row > 0 && !is_empty(row - 1))).collect();
    let (width, height) = (columns * CELL.0 + 32, u16::try_from(shown.len()).unwrap() * CELL.1 + 32);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{title}\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#1a1e2a\"/>\n\
         <g font-family=\"ui-monospace,SFMono-Regular,Menlo,Consolas,monospace\" font-size=\"13\">\n"
    );
    for (line, row) in (0_u16..).zip(shown) {
        let y = 28 + line * CELL.1;
        let mut column = 0;
        while column < columns {
            let Some(first) = screen.cell(row, column) else { break };
            let (begin, look) = (column, style(first));
            let mut run = String::new();
            while let Some(cell) = screen.cell(row, column).filter(|cell| style(cell) == look) {
                run.push_str(if cell.contents().is_empty() { " " } else { cell.contents() });
                column += 1;
            }
            let drawn = run.trim_end();
            if !drawn.trim().is_empty() {
                // Each run as wide as its cells, whatever the font makes of it.
                let wide = u16::try_from(drawn.chars().count()).unwrap() * CELL.0;
                let x = 16 + begin * CELL.0;
                let drawn = escaped(drawn);
                writeln!(text, "<text x=\"{x}\" y=\"{y}\" textLength=\"{wide}\" {look}>{drawn}</text>").unwrap();
            }
        }
    }
    text + "</g>\n</svg>\n"
}
