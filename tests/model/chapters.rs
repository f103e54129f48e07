//! What is walked: settings with their budgets, one after the other, and what is kept of each. Never judges a state.

#![expect(clippy::disallowed_methods, reason = "a walk is timed")]

use std::{collections::BTreeMap, time::Instant};

use llmrollout::api::{Phase, Reason};

use super::{
    brain::Brain,
    laws::{self, Law},
    live::{self, Lively},
    moves::Budget,
    setting::{MACHINE, PEOPLE, RETURN, Setting},
    state::{Signal, World},
    story,
    walk::{self, Found, Walked},
};

/// Nothing happens by itself but passes, time and Prometheus.
pub(crate) const CALM: Budget =
    Budget { crashes: 0, sleeps: 0, edits: 0, revisions: 1, orders: 0, others: 0, total: 0, rich: false };
/// One disturbance of any kind.
const ONE: Budget = Budget { crashes: 1, sleeps: 1, edits: 1, others: 1, total: 1, ..CALM };
/// Any two disturbances, of each kind no more than its share.
const TWO: Budget = Budget { crashes: 2, sleeps: 1, edits: 2, revisions: 2, others: 2, total: 2, ..CALM };
/// One disturbance, and every word of Prometheus.
const RICH: Budget = Budget { rich: true, ..ONE };
/// Somebody who does not stop editing.
const QUARREL: Budget = Budget { edits: 5, total: 5, ..CALM };

/// The walks of one setting.
struct Chapter {
    setting: &'static Setting,
    walks: &'static [(&'static str, Budget)],
}

/// One word of somebody.
const ORDER: Budget = Budget { orders: 1, ..CALM };

/// What every test run walks.
const SMALL: &[Chapter] = &[
    Chapter { setting: &MACHINE, walks: &[("one disturbance", ONE)] },
    Chapter { setting: &PEOPLE, walks: &[("people: undisturbed", CALM)] },
    Chapter {
        setting: &RETURN,
        walks: &[("an order", ORDER), ("a revision comes back", Budget { revisions: 2, ..CALM })],
    },
];

/// What `make model` walks.
const FULL: &[Chapter] = &[
    Chapter {
        setting: &RETURN,
        walks: &[
            ("a revision comes back: an order", Budget { revisions: 2, ..ORDER }),
            ("a revision comes back: a disturbance", Budget { revisions: 2, ..ONE }),
        ],
    },
    Chapter {
        setting: &PEOPLE,
        walks: &[
            ("people: two orders", Budget { orders: 2, ..CALM }),
            ("people: an order and a disturbance", Budget { orders: 1, ..ONE }),
        ],
    },
    Chapter {
        setting: &MACHINE,
        walks: &[
            ("one disturbance, rich signals", RICH),
            ("two disturbances", TWO),
            ("somebody keeps editing", QUARREL),
        ],
    },
];

/// The moods of Prometheus in the fair run; a test run follows the first.
const MOODS: [Signal; 3] = [Signal::Good, Signal::Bad, Signal::Silent];

/// One walk, in figures.
pub(crate) struct Sum {
    pub(crate) name: &'static str,
    pub(crate) states: usize,
    pub(crate) transitions: u64,
    pub(crate) levels: usize,
    pub(crate) seconds: f64,
}

/// Everything that was found out.
pub(crate) struct Findings {
    pub(crate) walks: Vec<Sum>,
    pub(crate) checked: BTreeMap<Law, u64>,
    pub(crate) violations: BTreeMap<Law, u64>,
    pub(crate) reached: BTreeMap<String, u64>,
    pub(crate) lively: Vec<(Signal, Lively)>,
    pub(crate) decisions: usize,
    pub(crate) seconds: f64,
}

/// Walks and follows everything; what does not hold is told at once.
pub(crate) fn find(full: bool) -> Findings {
    let begun = Instant::now();
    let mut findings = Findings {
        walks: Vec::new(),
        checked: laws::ALL.iter().map(|(law, _)| (*law, 0)).collect(),
        violations: BTreeMap::new(),
        reached: wanted(full),
        lively: MOODS.iter().take(if full { MOODS.len() } else { 1 }).map(|mood| (*mood, Lively::default())).collect(),
        decisions: 0,
        seconds: 0.0,
    };
    for chapter in if full { FULL } else { SMALL } {
        findings.read(chapter);
    }
    findings.seconds = begun.elapsed().as_secs_f64();
    findings
}

/// What must be reached for the laws to mean something.
fn wanted(full: bool) -> BTreeMap<String, u64> {
    let phases = [
        Phase::Idle,
        Phase::Pending,
        Phase::Preparing,
        Phase::Shifting,
        Phase::Holding,
        Phase::AwaitingApproval,
        Phase::Paused,
        Phase::Baking,
        Phase::Decommissioning,
        Phase::Completed,
        Phase::RollingBack,
        Phase::RolledBack,
        Phase::Blocked,
    ];
    let reasons = [
        Reason::Aborted,
        Reason::Rejected,
        Reason::Superseded,
        Reason::GateFailed,
        Reason::NoDataBudgetSpent,
        Reason::CandidateUnready,
        Reason::MovedBack,
        Reason::RouteRefused,
        Reason::NotReadyInTime,
    ];
    let marks =
        ["a gate asks", "promoted by order", "skipped by order", "known to be good", "retired", "taken up again"];
    let phases = phases.iter().map(|p| format!("phase {p:?}"));
    let reasons = reasons.iter().map(|r| format!("back for {r}"));
    let others = walk::OTHERS.iter().filter(|_| full);
    let kinds = walk::KINDS.iter().chain(walk::SAID).chain(others).chain(&marks).map(|k| (*k).to_owned());
    phases.chain(reasons).chain(kinds).map(|name| (name, 0)).collect()
}

fn marks(world: &World) -> Vec<String> {
    let Some(status) = world.status else { return Vec::new() };
    let phase = status.phase.map(|p| format!("phase {p:?}"));
    let back = status.attempt.and_then(|a| a.ended).map(|why| format!("back for {why}"));
    let running = status.running().copied();
    let retired = world.things.slots.iter().any(|s| s.deployment.is_some_and(|d| d.retired));
    let again =
        running.is_some_and(|a| a.weight == 100 && a.ended.is_some() && status.phase == Some(Phase::RollingBack));
    let flags = [
        (status.quarrel >= 3, "three re-asserts"),
        (running.is_some_and(|a| a.asked), "a gate asks"),
        (running.is_some_and(|a| a.promoted), "promoted by order"),
        (running.is_some_and(|a| a.skipped), "skipped by order"),
        (running.is_some_and(|a| a.fast), "known to be good"),
        (retired, "retired"),
        (again, "taken up again"),
    ];
    let flags = flags.into_iter().filter(|(on, _)| *on).map(|(_, word)| word.to_owned());
    phase.into_iter().chain(back).chain(flags).collect()
}

pub(crate) fn is_known(law: Law) -> bool {
    laws::KNOWN.iter().any(|(known, _)| *known == law)
}

impl Findings {
    fn read(&mut self, chapter: &Chapter) {
        let brain = Brain::new(chapter.setting, llmrollout::decide::decide);
        for (name, budget) in chapter.walks {
            let begun = Instant::now();
            let walked = walk::walk(&brain, *budget, None);
            let seconds = begun.elapsed().as_secs_f64();
            let (states, transitions, levels) = (walked.len(), walked.transitions, walked.levels);
            self.reach(&walked);
            self.follow(&brain, &walked);
            for (law, breaches) in &walked.breaches {
                *self.violations.entry(*law).or_default() += breaches.values().map(|(_, times)| times).sum::<u64>();
                if !is_known(*law) {
                    tell(&walked, *law, breaches);
                }
            }
            eprintln!(
                "walk: {name}: {states} states, {seconds:.1}s, followed in {:.1}s",
                begun.elapsed().as_secs_f64() - seconds
            );
            self.walks.push(Sum { name, states, transitions, levels, seconds });
        }
        for (law, _) in laws::ALL {
            *self.checked.entry(*law).or_default() += brain.checked(*law);
        }
        self.decisions += brain.decisions();
    }

    fn reach(&mut self, walked: &Walked) {
        for (kind, times) in &walked.happened {
            *self.reached.entry((*kind).to_owned()).or_default() += times;
        }
        for world in walked.states() {
            for name in marks(world) {
                *self.reached.entry(name).or_default() += 1;
            }
        }
    }

    fn follow(&mut self, brain: &Brain, walked: &Walked) {
        for (mood, sum) in &mut self.lively {
            let one = live::follow(brain, walked.states(), *mood);
            sum.worst = sum.worst.max(one.worst);
            sum.stuck += one.stuck;
            let Some((world, why)) = one.first else { continue };
            println!("STUCK, Prometheus {mood:?}: {why}\n= {}\n{world:?}", story::stands(&world));
            if let Some(id) = walked.id(&world) {
                println!("{}", story::tell(walked, id));
            }
        }
    }
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
