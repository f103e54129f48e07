//! The record arranged for people: facts, then tables under heads, in the order in which a reader asks. Plain text in every
//! cell; how it is written down is for `markdown` and `html`.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    api::{
        record::{Entry, Record, What},
        status::{GateStatus, ObservedWeights, VerdictWord},
    },
    cli::table::age,
};

/// One sheet.
pub(super) struct Sheet {
    pub(super) title: String,
    pub(super) facts: Vec<(&'static str, String)>,
    pub(super) parts: Vec<Part>,
}

/// A head with a table under it.
pub(super) struct Part {
    pub(super) title: String,
    /// A sentence before the table; may be empty.
    pub(super) note: String,
    pub(super) heads: &'static [&'static str],
    pub(super) rows: Rows,
}

/// Cells by rows.
type Rows = Vec<Vec<String>>;

const GATE: &[&str] =
    &["Gate", "Severity", "Verdict", "Value", "Limit", "Beside", "Samples", "Sample at", "Window", "Query", "Why"];

impl Sheet {
    /// Of a record.
    pub(super) fn of(record: &Record) -> Self {
        let mut parts = vec![agreed(record), ordered(record)];
        parts.extend(stages(record));
        parts.extend([course(record), writes(record), links(record), queries(record)]);
        parts.retain(|part| !part.rows.is_empty());
        let title = format!("Release of {}/{}, attempt {}", record.namespace, record.rollout, record.attempt);
        Self { title, facts: facts(record), parts }
    }
}

fn facts(record: &Record) -> Vec<(&'static str, String)> {
    let find = |is: fn(&What) -> bool| record.entries.iter().rev().find(|e| is(&e.what));
    let began = record.entries.iter().find(|e| matches!(e.what, What::Began { .. }));
    let ended = find(|what| matches!(what, What::Ended { .. }));
    let mut facts = vec![("Revision", record.revision.clone()), ("Images", record.images.join(", "))];
    if let Some(Entry { at, what: What::Began { candidate, active_revision }, .. }) = began {
        facts.push(("Replaces", active_revision.clone().unwrap_or_default()));
        facts.push(("Color", candidate.map_or_else(String::new, |c| c.word().to_owned())));
        facts.push(("Began", at.to_string()));
    }
    match ended {
        Some(Entry { at, what: What::Ended { outcome, message }, .. }) => {
            facts.push(("Ended", at.to_string()));
            facts.push(("Took", began.map_or_else(String::new, |b| age(at.since(b.at)))));
            facts.push(("Outcome", format!("{outcome}: {message}")));
        }
        _ => facts.push(("Outcome", "under way".to_owned())),
    }
    let shares = record.entries.iter().filter_map(|e| match e.what {
        What::Confirmed { weight, .. } => Some(weight),
        _ => None,
    });
    facts.push(("Largest share", shares.max().map_or_else(String::new, |w| format!("{w}%"))));
    if let Some(folded) = record.folded {
        let words = format!("{} entries up to {} made room for newer ones", folded.count, folded.until);
        facts.push(("Left out", words));
    }
    facts.push(("Record", format!("{}, rollout {}", record.schema, record.uid)));
    facts.retain(|(_, value)| !value.is_empty());
    facts
}

fn part(title: impl Into<String>, heads: &'static [&'static str], rows: impl Iterator<Item = Vec<String>>) -> Part {
    Part { title: title.into(), note: String::new(), heads, rows: rows.collect() }
}

fn agreed(record: &Record) -> Part {
    let rows = record.entries.iter().filter_map(|e| match &e.what {
        What::Approved { before, role, by } => Some(vec![before.clone(), role.clone(), by.clone(), e.at.to_string()]),
        _ => None,
    });
    part("Approvals", &["Before", "Role", "By", "At"], rows)
}

fn ordered(record: &Record) -> Part {
    let rows = record.entries.iter().filter_map(|e| match &e.what {
        What::Ordered { verb, by, order, taken, message, .. } => {
            let became = if *taken { "taken" } else { "not taken" };
            let answer = format!("{became}: {message}");
            Some(vec![verb.word().to_owned(), by.clone(), e.at.to_string(), answer, order.clone()])
        }
        _ => None,
    });
    part("Orders", &["Verb", "By", "Heard", "Answer", "Order"], rows)
}

/// Each step and bake with the gates on which it was left.
fn stages(record: &Record) -> Vec<Part> {
    let mut stages: BTreeMap<(i32, i32), (String, Rows)> = BTreeMap::new();
    for entry in &record.entries {
        let stage = || (entry.step, entry.bake);
        match &entry.what {
            What::Confirmed { weight, routers, hold_until } => {
                let until = hold_until.map_or_else(String::new, |at| format!(", to be held until {at}"));
                let note = format!("{weight}% confirmed at {}{until}; {}.", entry.at, shares(routers));
                stages.entry(stage()).or_default().0 = note;
            }
            What::Judged { gate, severity, .. } => stages.entry(stage()).or_default().1.push(judged(gate, severity)),
            _ => {}
        }
    }
    let title = |(step, bake): (i32, i32)| match (step, bake) {
        (0, 0) => "Before the first step".to_owned(),
        (step, 0) => format!("Step {step}"),
        (_, bake) => format!("Bake {bake}"),
    };
    let mut parts = Vec::new();
    for (stage, (note, mut rows)) in stages {
        if rows.is_empty() {
            rows.push(std::iter::once("-".to_owned()).chain(vec![String::new(); GATE.len() - 1]).collect());
        }
        parts.push(Part { title: title(stage), note, heads: GATE, rows });
    }
    parts
}

fn shares(routers: &[ObservedWeights]) -> String {
    routers.iter().map(|r| format!("{} blue {} green {}", r.router, r.blue, r.green)).collect::<Vec<_>>().join(", ")
}

fn judged(gate: &GateStatus, severity: &str) -> Vec<String> {
    let verdict = match gate.verdict {
        VerdictWord::Pass => "Pass",
        VerdictWord::Fail => "Fail",
        VerdictWord::NoData => "NoData",
        VerdictWord::Undecided => "Undecided",
    };
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    vec![
        gate.name.clone(),
        severity.to_owned(),
        verdict.to_owned(),
        gate.value.clone(),
        gate.limit.clone(),
        gate.compared.clone(),
        or_dash(gate.samples.map(|n| n.to_string())),
        or_dash(gate.at.map(|at| at.to_string())),
        gate.window.clone(),
        gate.query.clone(),
        gate.reason.clone(),
    ]
}

/// What was going on, in the order of time.
fn course(record: &Record) -> Part {
    let rows = record.entries.iter().filter_map(|e| {
        let (what, words) = match &e.what {
            What::Began { .. } => ("Began", String::new()),
            What::Stood { phase, reason, message } => (phase.word(), format!("{reason}: {message}")),
            What::Promised { to, weight, op } => ("Promised", format!("step {to} at {weight}% ({op})")),
            What::Asked { reason, message } => ("Asked", format!("{reason}: {message}")),
            What::TurnedBack { reason, message } => ("TurnedBack", format!("{reason}: {message}")),
            What::Fared { reason, message } => ("Fared", format!("{reason}: {message}")),
            What::Ended { outcome, message } => ("Ended", format!("{outcome}: {message}")),
            What::Approved { .. }
            | What::Ordered { .. }
            | What::Judged { .. }
            | What::Wrote { .. }
            | What::Confirmed { .. } => return None,
        };
        Some(vec![e.at.to_string(), e.step.to_string(), what.to_owned(), words])
    });
    part("Course", &["At", "Step", "What", "Words"], rows)
}

fn writes(record: &Record) -> Part {
    let rows = record.entries.iter().filter_map(|e| match &e.what {
        What::Wrote { what, set } => Some(vec![e.at.to_string(), what.clone(), set.join(", ")]),
        _ => None,
    });
    part("Writes", &["At", "What", "Set"], rows)
}

fn links(record: &Record) -> Part {
    let all = record.entries.iter().filter_map(|e| match &e.what {
        What::Judged { gate, links, .. } => Some((gate, links)),
        _ => None,
    });
    let rows: BTreeSet<Vec<String>> = all
        .flat_map(|(gate, links)| links.iter().map(|(word, url)| vec![gate.name.clone(), word.clone(), url.clone()]))
        .collect();
    part("Links", &["Gate", "What", "Where"], rows.into_iter())
}

fn queries(record: &Record) -> Part {
    let rows = record.queries.iter().map(|(mark, text)| vec![mark.clone(), text.clone()]);
    part("Queries", &["Query", "Text"], rows)
}
