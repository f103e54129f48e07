//! What is worth keeping of an attempt: a decision, what was done of it and the status it left → entries of the record.
//! Most of it is read from status as it stands, so that a process that died before it wrote an entry down leaves it to the
//! next one. `bind` puts entries into a record, each once, and keeps it small. Never decides.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    Decision, Intent,
    plan::PlannedGate,
    snapshot::Snapshot,
    tidings::{self, Told},
    view::View,
};
use crate::{
    api::{
        LlmRollout, LlmRolloutStatus, Moment, Phase, Reason,
        record::{Entry, Folded, LARGEST, Record, SCHEMA, What},
        status::{Attempt, GateStatus},
    },
    routers::GuardedPatch,
};

/// A query is kept up to so many letters, and so many queries.
const LONGEST_QUERY: usize = 2000;
const MOST_QUERIES: usize = 24;
/// What a patch sets is told up to so many values.
const MOST_VALUES: usize = 8;

/// After so long a process that comes anew leaves an attempt that is over as it is recorded.
const FRESH: Duration = Duration::from_hours(1);

/// Whether a process that has not told this status before should: whoever did may have died before it was written down.
pub fn is_fresh(status: &LlmRolloutStatus, now: Moment) -> bool {
    let ended = status.attempt.as_ref().map(|a| a.ended_at);
    ended.is_some_and(|ended| ended.is_none_or(|at| now.since(at) < FRESH)) || status.retiring.is_some()
}

/// What is to be kept of one attempt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Number of the attempt.
    pub attempt: i64,
    /// What is released, where that is known.
    pub revision: String,
    /// The images of its containers, where they are known.
    pub images: Vec<String>,
    /// The queries of the gates, by their mark.
    pub queries: BTreeMap<String, String>,
    /// What happened.
    pub entries: Vec<Entry>,
    /// What became of notices.
    pub told: Vec<Told>,
}

impl Page {
    /// What was written to the cluster in a pass.
    pub fn of_writes(s: &Snapshot, decision: &Decision, done: &[String]) -> Option<Self> {
        let attempt = decision.next.attempt.as_ref()?;
        let wrote = |what: &String| entry(attempt, s.now, What::Wrote { what: what.clone(), set: set(decision, what) });
        let entries: Vec<_> = done.iter().map(wrote).collect();
        (!entries.is_empty()).then(|| Self { attempt: attempt.id, entries, ..Self::default() })
    }

    /// What `status`, which was written after `decision`, says of its attempt; the ends of earlier attempts too.
    pub fn of_status(s: &Snapshot, decision: &Decision, status: &LlmRolloutStatus) -> Vec<Self> {
        let Some(attempt) = &status.attempt else { return Vec::new() };
        let mut entries = vec![begun(attempt, status)];
        entries.extend(said(attempt, status));
        entries.extend(moved(attempt, status));
        entries.extend(judged(s, attempt, decision, status));
        entries.extend(over(attempt, status));
        entries.extend(stood(attempt, status, s.now));
        // Old news, which only a process finds that never told this status, is for the record alone.
        entries.iter_mut().filter(|e| s.now.since(e.at) < FRESH).for_each(|e| tidings::address(e, &s.rollout));
        let queries = queries(decision, status);
        let wanted = decision.meant.as_ref().is_some_and(|meant| meant.wanted.as_ref() == Some(&attempt.revision));
        let images = if wanted { images(&s.rollout) } else { Vec::new() };
        let page =
            Self { attempt: attempt.id, revision: attempt.revision.clone(), images, queries, entries, told: vec![] };
        let before = status.history.iter().find(|past| past.id + 1 == attempt.id).map(|past| {
            let what = What::Ended { outcome: past.outcome, message: past.message.clone() };
            let ended = Entry { at: past.ended_at, step: 0, bake: 0, tell: vec![], what };
            Self { attempt: past.id, revision: past.revision.clone(), entries: vec![ended], ..Self::default() }
        });
        before.into_iter().chain([page]).collect()
    }

    /// Puts a newer page of the same attempt behind this one.
    pub fn add(&mut self, newer: Self) {
        if !newer.revision.is_empty() {
            self.revision = newer.revision;
        }
        if !newer.images.is_empty() {
            self.images = newer.images;
        }
        self.queries.extend(newer.queries);
        self.entries.extend(newer.entries);
        self.told.extend(newer.told);
    }
}

/// The gates whose word this decision rested on: those that spoke when it left a stage, asked a person or went back.
pub(super) fn rested_on(v: &View<'_>, next: &LlmRolloutStatus) -> Vec<GateStatus> {
    let old = &v.status;
    let stage = |status: &LlmRolloutStatus| {
        let place = |a: &Attempt| (a.id, a.step, a.bake, a.asked.is_some(), a.ended, a.ended_at);
        (status.attempt.as_ref().map(place), status.intent.is_some())
    };
    let entered = old.intent.is_some() && next.intent.is_none();
    if stage(old) == stage(next) || entered {
        return Vec::new();
    }
    v.verdicts.iter().map(|g| g.status.clone()).collect()
}

fn entry(attempt: &Attempt, at: Moment, what: What) -> Entry {
    Entry { at, step: attempt.step, bake: attempt.bake, tell: vec![], what }
}

fn begun(attempt: &Attempt, status: &LlmRolloutStatus) -> Entry {
    let active_revision = status.active_revision.clone().filter(|active| *active != attempt.revision);
    let what = What::Began { candidate: status.candidate, active_revision };
    Entry { at: attempt.started_at, step: 0, bake: 0, tell: vec![], what }
}

/// What people said.
fn said(attempt: &Attempt, status: &LlmRolloutStatus) -> Vec<Entry> {
    let approved = status.approvals.iter().map(|a| {
        let what = What::Approved { before: a.before.clone(), role: a.role.clone(), by: a.by.clone() };
        entry(attempt, a.at, what)
    });
    let ordered = status.orders.iter().map(|o| {
        let what = What::Ordered {
            verb: o.verb,
            by: o.by.clone(),
            order: o.name.clone(),
            uid: o.uid.clone(),
            taken: o.taken,
            message: o.message.clone(),
        };
        entry(attempt, o.at, what)
    });
    approved.chain(ordered).collect()
}

/// Where traffic is, and where it is about to go.
fn moved(attempt: &Attempt, status: &LlmRolloutStatus) -> Vec<Entry> {
    let promised = status
        .intent
        .as_ref()
        .map(|i| entry(attempt, i.at, What::Promised { op: i.op.clone(), to: i.step, weight: i.weight }));
    let running = attempt.ended.is_none() && attempt.ended_at.is_none() && status.intent.is_none();
    let confirmed = attempt.step_entered_at.filter(|_| running).map(|at| {
        let routers = status.observed_weights.clone();
        entry(attempt, at, What::Confirmed { weight: attempt.weight, routers, hold_until: attempt.hold_until })
    });
    promised.into_iter().chain(confirmed).collect()
}

/// The words of gates on which something was decided: in this decision, or in one of which status still tells.
fn judged(s: &Snapshot, attempt: &Attempt, decision: &Decision, status: &LlmRolloutStatus) -> Vec<Entry> {
    // A decision may have left the bake in which they spoke.
    let before = s.rollout.status.as_ref().and_then(|status| status.attempt.as_ref());
    let bake = before.filter(|before| before.id == attempt.id).map_or(attempt.bake, |before| before.bake);
    // When it was decided, for a gate that has no sample to be dated by.
    let decided = status.intent.as_ref().map(|i| i.at).or(attempt.asked.as_ref().map(|a| a.at));
    let decided = decided.unwrap_or(attempt.clock_from);
    let stands = status.intent.is_some() || attempt.asked.is_some() || attempt.ended.is_some();
    let standing = status.gates.iter().filter(|_| stands);
    let planned = decision.meant.as_ref().and_then(|meant| meant.plan.as_ref().ok());
    let mut seen = BTreeSet::new();
    let all = decision.judged.iter().chain(standing).filter(|g| seen.insert((&g.name, g.at)));
    let judged = all.map(|gate| {
        let plan = planned.and_then(|plan| plan.gates.iter().find(|p| p.name == gate.name));
        let severity = plan.map_or_else(String::new, |p| format!("{:?}", p.severity));
        let links = plan.map(|p| links(p.as_ref())).unwrap_or_default();
        let what = What::Judged { gate: gate.clone(), severity, links };
        Entry { at: gate.at.unwrap_or(decided), step: gate.step, bake, tell: vec![], what }
    });
    judged.collect()
}

/// A person was asked, traffic goes back, or it is over.
fn over(attempt: &Attempt, status: &LlmRolloutStatus) -> Vec<Entry> {
    let asked = attempt
        .asked
        .as_ref()
        .map(|a| entry(attempt, a.at, What::Asked { reason: a.reason, message: a.message.clone() }));
    let back = attempt.ended.map(|reason| {
        let what = What::TurnedBack { reason, message: attempt.ended_message.clone() };
        entry(attempt, attempt.clock_from, what)
    });
    let past = status.history.first().filter(|past| past.id == attempt.id && attempt.ended_at.is_some());
    let ended = past.map(|past| {
        entry(attempt, past.ended_at, What::Ended { outcome: past.outcome, message: past.message.clone() })
    });
    let fared = attempt
        .recovery
        .as_ref()
        .map(|r| entry(attempt, r.at, What::Fared { reason: r.reason, message: r.message.clone() }));
    let late = attempt
        .late
        .as_ref()
        .map(|l| entry(attempt, l.at, What::Fared { reason: Reason::NotHomeInTime, message: l.message.clone() }));
    asked.into_iter().chain(back).chain(late).chain(ended).chain(fared).collect()
}

fn stood(attempt: &Attempt, status: &LlmRolloutStatus, now: Moment) -> Option<Entry> {
    let (phase, reason) = (status.phase?, status.reason?);
    // A revision that is wanted now and waits belongs to an attempt that has not begun.
    let newer = attempt.ended_at.is_some() && matches!(phase, Phase::Idle | Phase::Pending | Phase::Blocked);
    (!newer).then(|| entry(attempt, now, What::Stood { phase, reason, message: status.message.clone() }))
}

fn links(gate: &PlannedGate) -> BTreeMap<String, String> {
    let all = gate.links.split("; ").filter_map(|link| link.split_once(' '));
    all.map(|(word, url)| (word.to_owned(), url.to_owned())).collect()
}

/// The queries behind the verdicts that stand in status.
fn queries(decision: &Decision, status: &LlmRolloutStatus) -> BTreeMap<String, String> {
    let marks: BTreeSet<&str> = status.gates.iter().map(|g| g.query.as_str()).filter(|m| !m.is_empty()).collect();
    if marks.is_empty() {
        return BTreeMap::new();
    }
    let asked = decision.asks.iter().map(|question| (question.mark(), question));
    let known = asked.filter(|(mark, _)| marks.contains(mark.as_str()));
    known.map(|(mark, q)| (mark, q.value.to_string().chars().take(LONGEST_QUERY).collect())).collect()
}

fn images(rollout: &LlmRollout) -> Vec<String> {
    let template = rollout.spec.release.made().map(|made| &made.pod_template.0);
    let containers = template
        .and_then(|template| template.get("spec"))
        .and_then(|spec| spec.get("containers"))
        .and_then(|c| c.as_array());
    let image = |c: &serde_json::Value| c.get("image")?.as_str().map(|i| i.chars().take(300).collect());
    containers.into_iter().flatten().filter_map(image).take(16).collect()
}

/// What a write that was done has set; nothing of objects that are ours.
fn set(decision: &Decision, what: &str) -> Vec<String> {
    let patches = decision.intents.iter().filter_map(|intent| match intent {
        Intent::Patch(patch) => Some(patch),
        Intent::Put(_) | Intent::Apply(_) | Intent::Delete { .. } | Intent::Scale { .. } => None,
    });
    let is_it = |patch: &&GuardedPatch| {
        let plural = patch.kind.names().plural;
        what.starts_with(&format!("patch {plural} ")) && what.ends_with(&format!("/{}", patch.name))
    };
    let ops = patches.filter(is_it).flat_map(|patch| &patch.ops);
    let told = ops.filter(|op| op["op"] != "test" && op["path"] != "/metadata/resourceVersion");
    let told = told.filter_map(|op| Some(format!("{}={}", op["path"].as_str()?, op["value"])));
    told.map(|text| text.chars().take(200).collect()).take(MOST_VALUES).collect()
}

/// Puts a page into a record: each entry once, in the order of time, and never more than fits. Says whether that changed
/// anything.
pub fn bind(record: &mut Record, page: &Page) -> bool {
    let before = record.clone();
    SCHEMA.clone_into(&mut record.schema);
    record.attempt = page.attempt;
    if !page.revision.is_empty() {
        record.revision.clone_from(&page.revision);
    }
    if !page.images.is_empty() {
        record.images.clone_from(&page.images);
    }
    for (mark, text) in &page.queries {
        if record.queries.len() < MOST_QUERIES {
            record.queries.entry(mark.clone()).or_insert_with(|| text.clone());
        }
    }
    let mut keys: BTreeSet<String> = record.entries.iter().map(Entry::key).collect();
    for entry in &page.entries {
        let folded = record.folded.is_some_and(|folded| entry.is_detail() && entry.at <= folded.until);
        if folded || stands_already(record, entry) || !keys.insert(entry.key()) {
            continue;
        }
        let mut entry = entry.clone();
        tidings::tell_once(record, &mut entry);
        record.entries.push(entry);
    }
    record.entries.sort_by_key(|e| e.at);
    tidings::settle(record, &page.told);
    fold(record);
    *record != before
}

/// Where it stood is told when it changes, however often it is said.
fn stands_already(record: &Record, entry: &Entry) -> bool {
    let place = |e: &Entry| {
        let What::Stood { phase, reason, .. } = &e.what else { return None };
        Some((e.step, e.bake, *phase, *reason))
    };
    let last = record.entries.iter().rev().find_map(place);
    place(entry).is_some_and(|here| last == Some(here))
}

/// The oldest detail makes room, then the oldest of all but the beginning.
fn fold(record: &mut Record) {
    let size = |text: serde_json::Result<String>| text.map_or(0, |text| text.len() + 1);
    let mut total = size(serde_json::to_string(record));
    while total > LARGEST && record.entries.len() > 1 {
        let oldest = record.entries.iter().position(Entry::is_detail);
        let gone = record.entries.remove(oldest.unwrap_or(1));
        total -= size(serde_json::to_string(&gone));
        let folded = record.folded.get_or_insert(Folded { count: 0, until: gone.at });
        folded.count += 1;
        folded.until = folded.until.max(gone.at);
        // The note of what is folded takes its own room.
        total = if record.folded.is_some_and(|f| f.count == 1) { size(serde_json::to_string(record)) } else { total };
    }
}
