//! What of the record is told to people elsewhere: entry → happening → notice. Who is to be told is written into the entry
//! when it is made, and who was told when that is known: the record is the outbox, so that a new leader neither repeats
//! nor forgets. Never sends anything.

use std::collections::BTreeMap;

use crate::api::{
    LlmRollout, Moment, Phase, Reason,
    notify::{Happening, Notification},
    record::{Entry, Record, Telling, What},
    status::Attempt,
};

/// Something to tell on one channel. What is sent twice is sent under one id.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// The same for whoever sends it, and however often.
    pub id: String,
    /// The same for everything about one attempt that went wrong, until it is resolved.
    pub incident: String,
    /// Name of the channel.
    pub channel: String,
    /// What happened.
    pub happening: Happening,
    /// Only what was wrong before is over: who was not told of that need not be told of this.
    pub quiet: bool,
    /// Namespace of the rollout.
    pub namespace: String,
    /// Name of the rollout.
    pub rollout: String,
    /// Which object of that name.
    pub uid: String,
    /// Number of the attempt.
    pub attempt: i64,
    /// What is released.
    pub revision: String,
    /// When it happened.
    pub at: Moment,
    /// The same for people.
    pub message: String,
    /// Runbook and dashboard of the gates that failed.
    pub links: BTreeMap<String, String>,
    /// The entry in the record.
    pub entry: String,
}

/// What became of a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The entry in the record.
    pub entry: String,
    /// The channel.
    pub channel: String,
    /// When that was known.
    pub at: Moment,
    /// Why nobody was told, and nobody will be.
    pub gave_up: Option<String>,
}

impl Notice {
    /// A test for a channel; of whom, is filled in when it is told.
    pub(super) fn test(channel: &str) -> Self {
        Self {
            id: String::new(),
            incident: String::new(),
            channel: channel.to_owned(),
            happening: Happening::Test,
            quiet: false,
            namespace: String::new(),
            rollout: String::new(),
            uid: String::new(),
            attempt: 0,
            revision: String::new(),
            at: Moment::default(),
            message:
                "this is a test, and nothing is wrong: a release is about to begin, and asks whether you are reached"
                    .to_owned(),
            links: BTreeMap::new(),
            entry: String::new(),
        }
    }

    /// The same on behalf of a rollout's attempt.
    pub(super) fn of(&self, rollout: &LlmRollout, attempt: &Attempt, at: Moment) -> Self {
        let uid = rollout.metadata.uid.clone().unwrap_or_default();
        let incident = format!("{uid}/{}/test", attempt.id);
        Self {
            id: format!("{incident}/{}", at.unix()),
            incident,
            namespace: rollout.metadata.namespace.clone().unwrap_or_default(),
            rollout: rollout.metadata.name.clone().unwrap_or_default(),
            uid,
            attempt: attempt.id,
            revision: attempt.revision.clone(),
            at,
            ..self.clone()
        }
    }
}

/// What an entry tells people.
pub fn happening(entry: &Entry) -> Option<Happening> {
    match &entry.what {
        What::Began { .. } => Some(Happening::Started),
        What::Confirmed { .. } => Some(Happening::StepEntered),
        What::Asked { .. } | What::Stood { phase: Phase::AwaitingApproval, .. } => Some(Happening::Asked),
        What::TurnedBack { .. } => Some(Happening::RollingBack),
        What::Ended { outcome: Reason::Promoted, .. } => Some(Happening::Promoted),
        What::Ended { .. } => Some(Happening::RolledBack),
        What::Fared { reason: Reason::NotHomeInTime, .. } => Some(Happening::NotHomeInTime),
        What::Fared { reason: Reason::NotRecovered, .. } => Some(Happening::NotRecovered),
        What::Stood { phase: Phase::Blocked, .. } => Some(Happening::Blocked),
        What::Stood { phase: Phase::Preparing | Phase::Holding | Phase::Baking, reason, .. } => {
            waits(*reason).then_some(Happening::Waiting)
        }
        What::Stood { .. }
        | What::Fared { .. }
        | What::Approved { .. }
        | What::Ordered { .. }
        | What::Judged { .. }
        | What::Promised { .. }
        | What::Wrote { .. } => None,
    }
}

const fn waits(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::PodStuck
            | Reason::WaitingForGate
            | Reason::TooFewRequests
            | Reason::ShareMissed
            | Reason::UndecidedTooLong
    )
}

/// Writes into an entry who is to be told of it.
pub(super) fn address(entry: &mut Entry, rollout: &LlmRollout) {
    let Some(happening) = happening(entry) else { return };
    let ends_trouble = matches!(happening, Happening::Started | Happening::StepEntered | Happening::Promoted);
    let wants = |n: &Notification| {
        let named = n.on.is_empty() || n.on.contains(&happening);
        named && happening.weight() >= n.min_severity.unwrap_or_default()
    };
    for rule in &rollout.spec.notifications {
        let quiet = !wants(rule);
        let known = entry.tell.iter().any(|t| t.channel == rule.channel && (quiet || !t.quiet));
        if !known && (ends_trouble || !quiet) {
            entry.tell.retain(|t| t.channel != rule.channel);
            entry.tell.push(Telling { channel: rule.channel.clone(), quiet, at: None, gave_up: None });
        }
    }
}

/// Who waits again at one step for the same thing has said so: nobody is told twice.
pub(super) fn tell_once(record: &Record, entry: &mut Entry) {
    let place = |e: &Entry| {
        let What::Stood { phase, reason, .. } = &e.what else { return None };
        Some((e.step, e.bake, *phase, *reason))
    };
    let before = place(entry).is_some_and(|here| record.entries.iter().any(|e| place(e) == Some(here)));
    if before {
        entry.tell.clear();
    }
}

/// Writes down what became of notices.
pub(super) fn settle(record: &mut Record, told: &[Told]) {
    for one in told {
        let entry = record.entries.iter_mut().find(|e| e.key() == one.entry);
        let telling = entry.and_then(|e| e.tell.iter_mut().find(|t| t.channel == one.channel));
        if let Some(telling) = telling.filter(|t| t.at.is_none()) {
            telling.at = Some(one.at);
            telling.gave_up.clone_from(&one.gave_up);
        }
    }
}

/// What nobody is known to have told yet, the oldest first.
pub fn untold(record: &Record) -> Vec<Notice> {
    let mut all = Vec::new();
    for entry in &record.entries {
        let Some(happening) = happening(entry) else { continue };
        let waiting = entry.tell.iter().filter(|t| t.at.is_none());
        all.extend(waiting.map(|telling| notice(record, entry, happening, telling)));
    }
    all
}

fn notice(record: &Record, entry: &Entry, happening: Happening, telling: &Telling) -> Notice {
    let key = entry.key();
    // The trouble that a new attempt ends is that of the one before.
    let troubled = if happening == Happening::Started { record.attempt - 1 } else { record.attempt };
    Notice {
        id: format!("{}/{}/{}", record.uid, record.attempt, key.replace(' ', "-")),
        incident: format!("{}/{troubled}", record.uid),
        channel: telling.channel.clone(),
        happening,
        quiet: telling.quiet,
        namespace: record.namespace.clone(),
        rollout: record.rollout.clone(),
        uid: record.uid.clone(),
        attempt: record.attempt,
        revision: record.revision.clone(),
        at: entry.at,
        message: words(record, entry),
        links: links(record, entry),
        entry: key,
    }
}

fn words(record: &Record, entry: &Entry) -> String {
    match &entry.what {
        What::Began { candidate, .. } => {
            let color = candidate.map_or("a color", |c| c.word());
            format!("revision {} is coming up on {color}", record.revision)
        }
        What::Confirmed { weight, .. } if entry.bake > 0 => format!("bake {} at {weight}%", entry.bake),
        What::Confirmed { weight, .. } => format!("step {} at {weight}%", entry.step),
        What::Stood { reason, message, .. }
        | What::Asked { reason, message }
        | What::Fared { reason, message }
        | What::TurnedBack { reason, message } => {
            format!("{reason}: {message}")
        }
        What::Ended { outcome: Reason::Promoted, message } => message.clone(),
        What::Ended { outcome, message } => format!("{outcome}: {message}"),
        What::Approved { .. }
        | What::Ordered { .. }
        | What::Judged { .. }
        | What::Promised { .. }
        | What::Wrote { .. } => String::new(),
    }
}

/// Of the gates that failed at that step.
fn links(record: &Record, entry: &Entry) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for other in record.entries.iter().filter(|e| e.step == entry.step && e.at <= entry.at) {
        if let What::Judged { gate, links, .. } = &other.what
            && gate.verdict != crate::api::status::VerdictWord::Pass
        {
            all.extend(links.iter().map(|(word, url)| (format!("{word} of {}", gate.name), url.clone())));
        }
    }
    all
}
