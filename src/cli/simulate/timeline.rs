//! What happened when: the entries of a story, as lines for people and as a document. Never makes anything happen.

use std::{fmt::Write, time::Duration};

use serde_json::{Value, json};

use crate::{
    api::{LlmRolloutStatus, Moment, Reason, status::Color},
    cli::table::clean,
    decide::intent::News,
};

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A line of the scenario.
    Command(String),
    /// Something was written to the cluster.
    Write(String),
    /// An event.
    Event { warning: bool, reason: &'static str, message: String },
    /// How the rollout stands.
    State(State),
}

/// How a rollout stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    phase: String,
    step: String,
    weight: String,
    reason: String,
    active: String,
    /// Router and shares, `httpRoute/chat 95/5`.
    routers: Vec<String>,
    gates: String,
    /// Each gate's word: a change of a figure alone is no news.
    verdicts: Vec<String>,
}

impl State {
    pub(super) fn of(status: &LlmRolloutStatus, routers: Vec<String>) -> Self {
        let verdict = |g: &crate::api::status::GateStatus| format!("{} {:?}", g.name, g.verdict);
        Self {
            phase: status.phase.map_or_else(String::new, |phase| format!("{phase:?}")),
            step: status.step.clone(),
            weight: status.weight.clone(),
            reason: status.reason.map_or("", Reason::word).to_owned(),
            active: status.active.map_or("", Color::word).to_owned(),
            routers,
            gates: status.summary.clone(),
            verdicts: status.gates.iter().map(verdict).collect(),
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        Self { gates: other.gates.clone(), ..self.clone() } == *other
    }

    fn line(&self) -> String {
        let part = |text: &str| if text.is_empty() { String::new() } else { format!(" {text}") };
        let active = if self.active.is_empty() { String::new() } else { format!(", {} serves", self.active) };
        let gates = if self.gates.is_empty() { String::new() } else { format!(" | {}", self.gates) };
        let routers = self.routers.join(", ");
        format!("{}{}{} [{}] {routers}{active}{gates}", self.phase, part(&self.step), part(&self.weight), self.reason)
    }
}

/// The entries, each with when it happened.
#[derive(Debug)]
pub(super) struct Timeline {
    began: Moment,
    entries: Vec<(Moment, What)>,
    shown: State,
}

impl Timeline {
    pub(super) fn new(began: Moment) -> Self {
        Self { began, entries: Vec::new(), shown: State::default() }
    }

    pub(super) fn command(&mut self, at: Moment, text: &str) {
        self.entries.push((at, What::Command(text.to_owned())));
    }

    pub(super) fn write(&mut self, at: Moment, text: String) {
        self.entries.push((at, What::Write(text)));
    }

    pub(super) fn news(&mut self, at: Moment, news: &News) {
        let News { warning, reason, message } = news;
        self.entries.push((at, What::Event { warning: *warning, reason: reason.word(), message: message.clone() }));
    }

    /// A state that says something new.
    pub(super) fn state(&mut self, at: Moment, state: State) {
        if !state.is_like(&self.shown) {
            self.entries.push((at, What::State(state.clone())));
            self.shown = state;
        }
    }

    /// A line for each.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        for (at, what) in &self.entries {
            let line = match what {
                What::Command(text) => format!("> {text}"),
                What::Write(text) => format!("  {text}"),
                What::Event { warning, reason, message } => {
                    format!("{} {reason}: {message}", if *warning { '!' } else { '-' })
                }
                What::State(state) => format!("= {}", state.line()),
            };
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{:>12} {}", clock(at.since(self.began)), clean(&line));
        }
        out
    }

    /// An object for each.
    pub(super) fn document(&self) -> Value {
        let one = |(at, what): &(Moment, What)| {
            let mut entry = match what {
                What::Command(text) => json!({"kind": "command", "text": text}),
                What::Write(text) => json!({"kind": "write", "text": text}),
                What::Event { warning, reason, message } => {
                    json!({"kind": "event", "type": if *warning { "Warning" } else { "Normal" }, "reason": reason, "message": message})
                }
                What::State(s) => json!({
                    "kind": "state", "phase": s.phase, "step": s.step, "weight": s.weight, "reason": s.reason,
                    "active": s.active, "routers": s.routers, "gates": s.gates,
                }),
            };
            entry["at"] = json!(at);
            entry["afterSeconds"] = json!(at.since(self.began).as_secs());
            entry
        };
        self.entries.iter().map(one).collect()
    }
}

/// `35s`, `5m02s`, `7h30m00s`, `1d 07:30:00` would be read differently by each; hours, minutes and seconds are not.
pub(super) fn clock(since: Duration) -> String {
    let seconds = since.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("+{hours}:{minutes:02}:{seconds:02}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::clock;

    #[test]
    fn a_time_is_hours_minutes_and_seconds() {
        assert_eq!(clock(Duration::ZERO), "+0:00:00");
        assert_eq!(clock(Duration::from_secs(65)), "+0:01:05");
        assert_eq!(clock(Duration::from_hours(50)), "+50:00:00");
    }
}
