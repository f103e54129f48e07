//! What is walked, and what is said of it: a table for people, `target/model/report.json` for machines, and the line
//! that the check runner counts.

#![expect(clippy::disallowed_methods, reason = "a walk is timed")]

use std::{collections::BTreeMap, fs, path::Path, time::Instant};

use llmrollout::api::{Phase, Reason};
use serde_json::json;

use super::{
    brain::Brain,
    broken::{self, Broken},
    laws::{self, Law},
    live::{self, Lively},
    moves::Budget,
    state::{Signal, World},
    story, walk,
    walk::{Found, Walked},
};

/// Any two disturbances, of each kind no more than its share.
const FULL: Budget = Budget { crashes: 2, sleeps: 1, edits: 2, revisions: 2, others: 2, total: 2, rich: false };
/// One disturbance, and every word of Prometheus.
const RICH: Budget = Budget { crashes: 1, sleeps: 1, edits: 1, revisions: 1, others: 1, total: 1, rich: true };
/// What every test run walks.
const SMALL: Budget = Budget { rich: false, ..RICH };
/// Somebody who does not stop editing.
const QUARREL: Budget = Budget { crashes: 0, sleeps: 0, edits: 5, revisions: 1, others: 0, total: 5, rich: false };
/// What the broken deciders are caught with.
const BROKEN: Budget = Budget { crashes: 0, sleeps: 0, edits: 1, revisions: 1, others: 1, total: 1, rich: true };
/// The same, undisturbed.
const CALM: Budget = Budget { total: 0, ..BROKEN };

/// What `make model` walks.
const WALKS: [(&str, Budget); 3] =
    [("one disturbance, rich signals", RICH), ("two disturbances", FULL), ("somebody keeps editing", QUARREL)];

const MOODS: [Signal; 3] = [Signal::Good, Signal::Bad, Signal::Silent];

/// Everything that was found out.
struct Findings {
    walks: Vec<(&'static str, Walked)>,
    checked: BTreeMap<Law, u64>,
    reached: BTreeMap<String, u64>,
    lively: Vec<(Signal, Lively)>,
    decisions: usize,
    seconds: f64,
}

/// Walks, follows and tells; whether everything holds.
pub(crate) fn run(full: bool) -> bool {
    let begun = Instant::now();
    let findings = find(full, begun);
    findings.print();
    let mut tests = findings.tests(full);
    tests.extend(broken::ALL.iter().map(|one| (format!("caught: {}", one.name), caught(one))));
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

fn find(full: bool, begun: Instant) -> Findings {
    let brain = Brain::new(llmrollout::decide::decide);
    let budgets: &[_] = if full { &WALKS } else { &[("one disturbance", SMALL)] };
    let mut walks = Vec::new();
    for (name, budget) in budgets {
        walks.push((*name, walk::walk(&brain, *budget, None)));
        eprintln!("walk: {name}: {} states, {:.1}s", walks[walks.len() - 1].1.len(), begun.elapsed().as_secs_f64());
    }
    let checked = laws::ALL.iter().map(|(law, _)| (*law, brain.checked(*law))).collect();
    let follow = |mood| (mood, live::follow(&brain, walks.iter().flat_map(|(_, w)| w.states()), mood));
    let lively = MOODS.map(follow).into();
    let reached = reached(&walks);
    let decisions = brain.decisions();
    Findings { walks, checked, reached, lively, decisions, seconds: begun.elapsed().as_secs_f64() }
}

/// What must be reached for the laws to mean something, with how often it was.
fn reached(walks: &[(&'static str, Walked)]) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    let phases = [
        Phase::Idle,
        Phase::Preparing,
        Phase::Shifting,
        Phase::Holding,
        Phase::Paused,
        Phase::Completed,
        Phase::RollingBack,
        Phase::RolledBack,
        Phase::Blocked,
    ];
    let reasons = [
        Reason::Aborted,
        Reason::Superseded,
        Reason::GateFailed,
        Reason::NoDataBudgetSpent,
        Reason::CandidateUnready,
        Reason::MovedBack,
        Reason::RouteRefused,
        Reason::NotReadyInTime,
    ];
    for phase in phases {
        all.insert(format!("phase {phase:?}"), 0);
    }
    for reason in reasons {
        all.insert(format!("back for {reason}"), 0);
    }
    for kind in walk::KINDS {
        all.insert((*kind).to_owned(), 0);
    }
    for (_, walked) in walks {
        for (kind, times) in &walked.happened {
            *all.entry((*kind).to_owned()).or_default() += times;
        }
        for world in walked.states() {
            for name in marks(world) {
                *all.entry(name).or_default() += 1;
            }
        }
    }
    all
}

fn marks(world: &World) -> Vec<String> {
    let Some(status) = world.status else { return Vec::new() };
    let phase = status.phase.map(|p| format!("phase {p:?}"));
    let back = status.attempt.and_then(|a| a.ended).map(|why| format!("back for {why}"));
    let contended = (status.quarrel >= 3).then(|| "three re-asserts".to_owned());
    phase.into_iter().chain(back).chain(contended).collect()
}

/// Whether the checker tells on a broken decider.
fn caught(one: &Broken) -> bool {
    let brain = Brain::new(one.decide);
    match one.law {
        Some(law) => walk::walk(&brain, BROKEN, Some(law)).breaches.contains_key(&law),
        None => live::follow(&brain, walk::walk(&brain, CALM, None).states(), Signal::Good).stuck > 0,
    }
}

fn is_known(law: Law) -> bool {
    laws::KNOWN.iter().any(|(known, _)| *known == law)
}

/// The breaches of one law, the one with the shortest way told whole.
fn tell(walked: &Walked, law: Law, breaches: &BTreeMap<String, (Found, u64)>) {
    for (what, (_, times)) in breaches {
        println!("VIOLATION of {law:?}, {times} times: {what}");
    }
    let Some((what, (found, _))) = breaches.iter().min_by_key(|(_, (found, _))| found.from) else { return };
    print!("{}", story::tell(walked, found.from));
    println!("> {}\n! {law:?}: {what}", story::words(found.action));
}

impl Findings {
    fn violations(&self, law: Law) -> u64 {
        self.walks
            .iter()
            .filter_map(|(_, w)| w.breaches.get(&law))
            .flat_map(BTreeMap::values)
            .map(|(_, times)| times)
            .sum()
    }

    fn tests(&self, full: bool) -> Vec<(String, bool)> {
        let law = |(law, words): &(Law, &str)| {
            (format!("{law:?} {words}"), (is_known(*law) || self.violations(*law) == 0) && self.checked[law] > 0)
        };
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
        for (name, walked) in &self.walks {
            let (states, transitions) = (walked.len(), walked.transitions);
            println!("walk: {name}: {states} states, {transitions} transitions, {} levels", walked.levels);
        }
        println!("decisions made by the real decide: {}; {:.1}s in all", self.decisions, self.seconds);
        for (law, words) in laws::ALL {
            println!(
                "{law:<6} {:>12} checks {:>6} violations  {words}",
                self.checked[law],
                self.violations(*law),
                law = format!("{law:?}")
            );
        }
        for (name, times) in &self.reached {
            println!("reached {times:>10}  {name}");
        }
        for (mood, lively) in &self.lively {
            println!(
                "an end from every state, Prometheus {mood:?}: worst {} passes, {} stuck",
                lively.worst, lively.stuck
            );
            let Some((world, why)) = lively.first else { continue };
            println!("STUCK: {why}\n= {}\n{world:?}", story::stands(&world));
            let known = self.walks.iter().find_map(|(_, w)| Some((w, w.id(&world)?)));
            if let Some((walked, id)) = known {
                println!("{}", story::tell(walked, id));
            }
        }
        for (_, walked) in &self.walks {
            for (law, breaches) in walked.breaches.iter().filter(|(law, _)| !is_known(**law)) {
                tell(walked, *law, breaches);
            }
        }
    }

    fn write(&self) {
        let states: usize = self.walks.iter().map(|(_, w)| w.len()).sum();
        let transitions: u64 = self.walks.iter().map(|(_, w)| w.transitions).sum();
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
