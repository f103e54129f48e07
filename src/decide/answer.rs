//! What one question of `decide` answers with: where the rollout stands and what is to be done. `narrate` makes the
//! decision out of it.

use std::{collections::BTreeMap, time::Duration};

use super::{call::Call, intent::Intent, say::Said, size, view::View};
use crate::api::{
    LlmRolloutStatus, Moment, Percent, Phase, Reason,
    aside::Aside,
    status::{Attempt, Past},
};

/// An answer: the first question that has one ends the round.
pub(super) struct Answer {
    now: Moment,
    pub(super) phase: Phase,
    pub(super) reason: Reason,
    pub(super) message: String,
    pub(super) status: LlmRolloutStatus,
    pub(super) intents: Vec<Intent>,
    /// Writes that nothing waits for.
    pub(super) beside: Vec<Intent>,
    /// Requests to the candidate.
    pub(super) calls: BTreeMap<String, Call>,
    pub(super) latched: bool,
    pub(super) home: bool,
    pub(super) wants_live: bool,
    pub(super) wake: Option<Moment>,
    /// When the wait is over, if that is known.
    pub(super) until: Option<Moment>,
}

impl Answer {
    pub(super) fn new(v: &View<'_>, phase: Phase, said: Said) -> Self {
        Self {
            now: v.now(),
            phase,
            reason: said.reason,
            message: said.words,
            status: v.status.clone(),
            intents: Vec::new(),
            beside: Vec::new(),
            calls: BTreeMap::new(),
            latched: false,
            home: false,
            wants_live: false,
            wake: None,
            until: None,
        }
    }

    pub(super) fn doing(mut self, intents: Vec<Intent>) -> Self {
        self.intents = intents;
        self
    }

    /// To be looked at again then at the latest.
    pub(super) fn by(mut self, wake: Moment) -> Self {
        self.wake = Some(wake);
        self
    }

    /// To be looked at again in a second.
    pub(super) fn soon(self) -> Self {
        let at = self.now.plus(Duration::from_secs(1));
        self.by(at)
    }

    /// A wait whose end is known.
    pub(super) fn until(mut self, at: Moment) -> Self {
        self.until = Some(at);
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
        self
    }

    /// Nothing is done yet: what was read from caches is first read from the API server.
    pub(super) fn after_a_live_look(mut self) -> Self {
        self.intents.clear();
        self.wants_live = true;
        self
    }

    pub(super) fn changing(mut self, change: impl FnOnce(&mut LlmRolloutStatus)) -> Self {
        change(&mut self.status);
        self
    }
}

/// Ends the attempt and writes it into the history.
pub(super) fn end_attempt(status: &mut LlmRolloutStatus, now: Moment, outcome: Reason, message: &str) {
    let Some(attempt) = status.attempt.as_mut().filter(|a| a.ended_at.is_none()) else { return };
    attempt.ended_at = Some(now);
    attempt.paused_at = None;
    let past = Past {
        id: attempt.id,
        revision: attempt.revision.clone(),
        outcome,
        message: message.to_owned(),
        started_at: attempt.started_at,
        ended_at: now,
    };
    status.intent = None;
    status.history.insert(0, past);
    status.history.truncate(10);
}

/// A new attempt at the wanted revision.
pub(super) fn new_attempt(v: &View<'_>, fast_track: bool, cleared: bool) -> Attempt {
    let last = v.status.attempt.as_ref().map_or(0, |a| a.id);
    Attempt {
        id: last + 1,
        revision: v.wanted.clone(),
        started_at: v.now(),
        step: 0,
        weight: Percent::NONE,
        aside: Aside::default(),
        step_entered_at: None,
        hold_until: None,
        clock_from: v.now(),
        paused_at: None,
        pods_changed_at: None,
        cleared_at: cleared.then(|| v.now()),
        checked_at: None,
        checks: Vec::new(),
        hooks: Vec::new(),
        bake: 0,
        skipped: false,
        promoted: false,
        fast_track,
        deaf_before: None,
        size: size::begun(v),
        growing_since: None,
        shares: Vec::new(),
        evidence: Vec::new(),
        references: Vec::new(),
        asked: None,
        late: None,
        home: None,
        recovery: None,
        ended_at: None,
        ended: None,
        ended_message: String::new(),
    }
}
