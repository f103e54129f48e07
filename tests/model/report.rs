//! What is said of the walks: a table for people, `target/model/report.json` for machines, and the lines that the check
//! runner counts.

#![expect(clippy::disallowed_methods, reason = "a walk is timed")]

use std::{fs, path::Path, time::Instant};

use serde_json::json;

use super::{
    brain::Brain,
    broken::{self, Broken},
    chapters::{self, Findings, is_known},
    laws::{self, Law},
    live::{self, Lively},
    state::Signal,
    walk,
};

/// Walks, follows and tells; whether everything holds.
pub(crate) fn run(full: bool) -> bool {
    let begun = Instant::now();
    let findings = chapters::find(full);
    findings.print();
    let mut tests = findings.tests(full);
    tests.extend(broken::all().map(|one| (format!("caught: {}", one.name), caught(one))));
    for (name, ok) in &tests {
        println!("test {name} ... {}", if *ok { "ok" } else { "FAILED" });
    }
    if full {
        findings.write();
    }
    let failed = tests.iter().filter(|(_, ok)| !ok).count();
    let (word, passed) = (if failed == 0 { "ok" } else { "FAILED" }, tests.len() - failed);
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "test result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out; finished in {seconds:.2}s"
    );
    failed == 0
}

/// Whether the checker tells on a broken decider.
fn caught(one: &Broken) -> bool {
    let brain = Brain::new(one.setting, one.decide);
    match one.law {
        Some(law) => walk::walk(&brain, one.budget, Some(law)).breaches.contains_key(&law),
        None => live::follow(&brain, walk::walk(&brain, one.budget, None).states(), Signal::Good).stuck > 0,
    }
}

impl Findings {
    fn violations(&self, law: Law) -> u64 {
        self.violations.get(&law).copied().unwrap_or_default()
    }

    fn tests(&self, full: bool) -> Vec<(String, bool)> {
        // What takes more than one disturbance, or others who have a say, is met by the full walk.
        let holds = |law: &Law| {
            let met = self.checked[law] > 0 || *law == Law::I15 && !full;
            if is_known(*law) { met || !full } else { met && self.violations(*law) == 0 }
        };
        let law = |(law, words): &(Law, &str)| (format!("{law:?} {words}"), holds(law));
        let mut tests: Vec<_> = laws::ALL.iter().map(law).collect();
        let lively =
            |(mood, l): &(Signal, Lively)| (format!("an end from every state, Prometheus {mood:?}"), l.stuck == 0);
        tests.extend(self.lively.iter().map(lively));
        let missed: Vec<_> = self.reached.iter().filter(|(_, n)| **n == 0).map(|(name, _)| name.as_str()).collect();
        tests.push((format!("everything was reached {}", missed.join(", ")), missed.is_empty()));
        if full {
            tests.push(("three re-asserts were reached".to_owned(), self.reached.contains_key("three re-asserts")));
        }
        tests
    }

    fn print(&self) {
        for one in &self.walks {
            let (name, states, transitions, levels) = (one.name, one.states, one.transitions, one.levels);
            println!("walk: {name}: {states} states, {transitions} transitions, {levels} levels, {:.1}s", one.seconds);
        }
        println!("decisions made by the real decide: {}; {:.1}s in all", self.decisions, self.seconds);
        for (law, words) in laws::ALL {
            println!(
                "{law:<8} {:>12} checks {:>6} violations  {words}",
                self.checked[law],
                self.violations(*law),
                law = format!("{law:?}")
            );
        }
        for (name, times) in &self.reached {
            println!("reached {times:>10}  {name}");
        }
        for (mood, lively) in &self.lively {
            let (worst, stuck) = (lively.worst, lively.stuck);
            println!("an end from every state, Prometheus {mood:?}: K = {worst} passes, {stuck} stuck");
        }
    }

    fn write(&self) {
        let states: usize = self.walks.iter().map(|w| w.states).sum();
        let transitions: u64 = self.walks.iter().map(|w| w.transitions).sum();
        let walks = self
            .walks
            .iter()
            .map(|w| json!({"name": w.name, "states": w.states, "transitions": w.transitions, "seconds": w.seconds}));
        let always = laws::ALL.iter().map(|(law, words)| {
            json!({"invariant": format!("{law:?}"), "words": words, "checked": self.checked[law], "violations": self.violations(*law)})
        });
        let known = laws::KNOWN
            .iter()
            .map(|(law, why)| json!({"invariant": format!("{law:?}"), "count": self.violations(*law), "why": why}));
        let moods = self
            .lively
            .iter()
            .map(|(mood, l)| json!({"prometheus": format!("{mood:?}"), "worst_passes": l.worst, "stuck": l.stuck}));
        let report = json!({
            "states": states,
            "transitions": transitions,
            "decisions": self.decisions,
            "seconds": self.seconds,
            "walks": walks.collect::<Vec<_>>(),
            "always": always.collect::<Vec<_>>(),
            "known": known.collect::<Vec<_>>(),
            "reached": self.reached.iter().map(|(name, count)| json!({"name": name, "count": count})).collect::<Vec<_>>(),
            "liveness": {
                "states": states,
                "worst_passes": self.lively.iter().map(|(_, l)| l.worst).max(),
                "stuck": self.lively.iter().map(|(_, l)| l.stuck).sum::<u64>(),
                "moods": moods.collect::<Vec<_>>(),
            },
        });
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/model");
        fs::create_dir_all(&folder).expect("target/model can be made");
        let text = serde_json::to_string_pretty(&report).expect("a report is JSON");
        fs::write(folder.join("report.json"), text + "\n").expect("the report can be written");
    }
}
