//! What was measured, for machines, for people and as a picture; and whether the targets are met. Measures nothing.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::{
    cells::{Cell, OURS},
    validity::Crossed,
    world::Truth,
};

const RATES: [f64; 3] = [1.0, 10.0, 100.0];

pub(crate) fn to_json(cells: &[Cell], validity: &[Crossed]) -> Value {
    let known = |truth: Truth, cell: &Cell, share: f64| (cell.scenario.truth == truth).then_some(share);
    let cells: Vec<Value> = cells
        .iter()
        .map(|cell| {
            json!({
                "policy": cell.policy,
                "rps": cell.rps,
                "scenario": cell.scenario.name,
                "rollouts": cell.rollouts,
                "aborted": cell.share(&cell.aborted),
                "promoted": cell.share(&cell.promoted),
                "false_abort": known(Truth::Good, cell, cell.share(&cell.aborted)),
                "miss": known(Truth::Bad, cell, cell.share(&cell.promoted)),
                "undecided": cell.undecided(),
                "minutes_to_promote": median(&cell.promoted),
                "minutes_to_abort": median(&cell.aborted),
                "extra_bad": cell.extra_bad,
            })
        })
        .collect();
    let validity: Vec<Value> = validity
        .iter()
        .map(|v| json!({"side": v.side, "alpha": Crossed::ALPHA, "crossed": v.share, "runs": v.runs, "looks": v.looks}))
        .collect();
    json!({"cells": cells, "validity": validity})
}

fn median(minutes: &[f64]) -> Option<f64> {
    minutes.get(minutes.len() / 2).copied()
}

/// The means over the core set of one policy at one rate.
pub(crate) struct Means {
    pub(crate) false_abort: f64,
    pub(crate) miss: f64,
    pub(crate) undecided_good: f64,
    pub(crate) undecided_bad: f64,
    /// Over good and bad ones alike.
    pub(crate) undecided: f64,
}

impl Means {
    fn of(cells: &[Cell], policy: &str, rps: f64) -> Self {
        let here = || cells.iter().filter(|c| c.is_core && c.policy == policy && (c.rps - rps).abs() < 1e-9);
        let mean = |truths: &[Truth], of: &dyn Fn(&Cell) -> f64| {
            let chosen = here().filter(|c| truths.contains(&c.scenario.truth));
            let (sum, n) = chosen.fold((0.0, 0.0), |(sum, n), cell| (sum + of(cell), n + 1.0));
            sum / f64::max(n, 1.0)
        };
        Self {
            false_abort: mean(&[Truth::Good], &|c| c.share(&c.aborted)),
            miss: mean(&[Truth::Bad], &|c| c.share(&c.promoted)),
            undecided_good: mean(&[Truth::Good], &Cell::undecided),
            undecided_bad: mean(&[Truth::Bad], &Cell::undecided),
            undecided: mean(&[Truth::Good, Truth::Bad], &Cell::undecided),
        }
    }

    fn score(&self) -> f64 {
        f64::midpoint(self.false_abort, self.miss) + 0.1 * (self.undecided_good + self.undecided_bad)
    }
}

/// The policies in the order of the cells.
fn policies(cells: &[Cell]) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = cells.iter().map(|cell| cell.policy).collect();
    names.dedup();
    names
}

/// What is promised, and whether it was kept.
pub(crate) fn targets(cells: &[Cell], validity: &[Crossed]) -> Vec<(String, bool)> {
    let mut all = Vec::new();
    let mut hold = |what: String, is: f64, most: f64| {
        all.push((format!("{what}: {:.2} %, at most {:.2} %", 100.0 * is, 100.0 * most), is <= most));
    };
    for rps in RATES {
        let means = Means::of(cells, OURS, rps);
        let (false_abort, miss) = if rps < 10.0 { (0.005, 0.01) } else { (0.001, 0.005) };
        hold(format!("{rps} rps, false aborts"), means.false_abort, false_abort);
        hold(format!("{rps} rps, missed"), means.miss, miss);
        hold(format!("{rps} rps, undecided after 4 h"), means.undecided, 0.1);
    }
    for v in validity {
        hold(format!("on the boundary, {}", v.side), v.share, Crossed::ALPHA);
    }
    all
}

pub(crate) fn to_markdown(cells: &[Cell], validity: &[Crossed]) -> String {
    let mut text = String::from(
        "# Decisions\n\nMeans over the core set, in percent: false abort / missed (undecided good / bad after 4 h).\n\n",
    );
    text.push_str("| policy | 1 rps | 10 rps | 100 rps | score |\n|---|---|---|---|---|\n");
    for policy in policies(cells) {
        write!(text, "| {policy} ").unwrap();
        let means = RATES.map(|rps| Means::of(cells, policy, rps));
        for m in &means {
            let [fa, miss, good, bad] = [m.false_abort, m.miss, m.undecided_good, m.undecided_bad].map(percent);
            write!(text, "| {fa} / {miss} ({good} / {bad}) ").unwrap();
        }
        writeln!(text, "| {:.3} / {:.3} / {:.3} |", means[0].score(), means[1].score(), means[2].score()).unwrap();
    }
    for rps in [0.3, 1.0, 10.0, 100.0] {
        by_scenario(&mut text, cells, rps);
    }
    text.push_str("\n## On the boundary\n\n| side | alpha | crossed | runs | looks |\n|---|---|---|---|---|\n");
    for v in validity {
        writeln!(text, "| {} | {} | {} % | {} | {} |", v.side, Crossed::ALPHA, percent(v.share), v.runs, v.looks)
            .unwrap();
    }
    text
}

fn by_scenario(text: &mut String, cells: &[Cell], rps: f64) {
    let here: Vec<&Cell> = cells.iter().filter(|cell| (cell.rps - rps).abs() < 1e-9).collect();
    writeln!(text, "\n## {rps} rps\n").unwrap();
    text.push_str("| policy | scenario | rollouts | aborted % | promoted % | undecided % | min. to promote | min. to abort | extra bad |\n");
    text.push_str("|---|---|---|---|---|---|---|---|---|\n");
    for cell in here {
        let minutes = |of: &[f64]| median(of).map_or_else(|| "-".to_owned(), |m| format!("{m:.0}"));
        let [aborted, promoted, undecided] =
            [cell.share(&cell.aborted), cell.share(&cell.promoted), cell.undecided()].map(percent);
        let wrong =
            |truth: Truth| if cell.scenario.truth != truth && cell.scenario.truth != Truth::Hold { "" } else { "!" };
        writeln!(
            text,
            "| {} | {} | {} | {aborted}{} | {promoted}{} | {undecided} | {} | {} | {:.0} |",
            cell.policy,
            cell.scenario.name,
            cell.rollouts,
            wrong(Truth::Good),
            wrong(Truth::Bad),
            minutes(&cell.promoted),
            minutes(&cell.aborted),
            cell.extra_bad,
        )
        .unwrap();
    }
}

fn percent(share: f64) -> String {
    format!("{:.2}", 100.0 * share)
}

/// Operating points: false aborts to the right, misses upwards, a panel for each rate; the axes are square roots, so that
/// what is small can be seen.
pub(crate) fn to_svg(cells: &[Cell]) -> String {
    let names = policies(cells);
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1180\" height=\"420\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"1180\" height=\"420\" fill=\"white\"/>\n",
    );
    for (rps, left) in RATES.into_iter().zip([50.0, 350.0, 650.0]) {
        panel(&mut svg, cells, &names, rps, left);
    }
    for (i, name) in (0_u32..).zip(&names) {
        let y = 60.0 + 20.0 * f64::from(i);
        writeln!(svg, "<text x=\"930\" y=\"{y}\" fill=\"{}\">{} {name}</text>", color(name), i + 1).unwrap();
    }
    svg.push_str("</svg>\n");
    svg
}

fn panel(svg: &mut String, cells: &[Cell], names: &[&str], rps: f64, left: f64) {
    let (side, top) = (250.0, 60.0);
    let along = |share: f64| side * share.clamp(0.0, 1.0).sqrt();
    let bottom = top + side;
    writeln!(svg, "<text x=\"{left}\" y=\"40\" font-weight=\"bold\">{rps} requests a second</text>").unwrap();
    for tick in [0.0, 0.01, 0.05, 0.2, 0.5, 1.0] {
        let (x, y, label) = (left + along(tick), bottom - along(tick), 100.0 * tick);
        writeln!(svg, "<path d=\"M{x} {top}V{bottom}M{left} {y}h{side}\" stroke=\"#ddd\"/>").unwrap();
        writeln!(svg, "<text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{label}</text>", bottom + 16.0).unwrap();
        writeln!(svg, "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{label}</text>", left - 5.0, y + 4.0).unwrap();
    }
    writeln!(svg, "<text x=\"{left}\" y=\"{}\">good releases aborted, %</text>", bottom + 36.0).unwrap();
    writeln!(svg, "<text x=\"{left}\" y=\"{}\">bad releases promoted, % (upwards)</text>", top - 6.0).unwrap();
    for (i, name) in names.iter().enumerate() {
        let means = Means::of(cells, name, rps);
        let (x, y) = (left + along(means.false_abort), bottom - along(means.miss));
        writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"{}\" fill-opacity=\"0.8\"/>", color(name))
            .unwrap();
        writeln!(svg, "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>", x + 6.0, y - 4.0, i + 1).unwrap();
    }
}

fn color(name: &str) -> &'static str {
    if name.starts_with(OURS) { "#0a7d36" } else { "#b03030" }
}
