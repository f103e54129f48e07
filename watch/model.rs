//! What `watch` shows: the rollout, its last events, and where the talk with the person stands. Data, and how it is read
//! from what the cluster holds; never a picture and never a call.

use k8s_openapi::api::core::v1::Event;

use crate::{
    api::{LlmRollout, Moment},
    cli::wish::Say,
};

/// Events that are kept.
const KEPT: usize = 20;

/// All that is shown.
#[derive(Clone, Debug)]
pub struct Model {
    /// The rollout as it was read last.
    pub rollout: LlmRollout,
    /// Its events, the newest first.
    pub events: Vec<Happened>,
    /// When it was looked.
    pub now: Moment,
    /// What a second key would say.
    pub asks: Option<Asks>,
    /// What came of it.
    pub note: Option<String>,
    /// Why nothing newer could be read.
    pub trouble: Option<String>,
}

impl Model {
    /// A rollout of which nothing else is known yet.
    pub const fn new(rollout: LlmRollout, now: Moment) -> Self {
        Self { rollout, events: Vec::new(), now, asks: None, note: None, trouble: None }
    }
}

/// What a person may say here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// Stand still.
    Pause,
    /// Go on.
    Resume,
    /// Take traffic back.
    Abort,
    /// Everything with the next step.
    Promote,
}

impl Asks {
    /// By its key; the key that pauses takes the pause out again.
    pub const fn by(key: char, paused: bool) -> Option<Self> {
        match key {
            'p' if paused => Some(Self::Resume),
            'p' => Some(Self::Pause),
            'r' => Some(Self::Resume),
            'a' => Some(Self::Abort),
            'm' => Some(Self::Promote),
            _ => None,
        }
    }

    /// What is said then.
    pub const fn say(self) -> Say {
        match self {
            Self::Pause => Say::Pause,
            Self::Resume => Say::Resume,
            Self::Abort => Say::Abort,
            Self::Promote => Say::Promote,
        }
    }

    /// Whether it changes the manifest, which keeps no reason.
    pub const fn is_of_the_manifest(self, paused: bool) -> bool {
        matches!(self, Self::Pause) || (matches!(self, Self::Resume) && paused)
    }

    /// What a person is asked before it is said.
    pub const fn question(self) -> &'static str {
        match self {
            Self::Pause => "Stand still? Gates take nothing back while it is paused, unless the manifest says so.",
            Self::Resume => "Go on?",
            Self::Abort => "Take all traffic back now? This revision gets none again.",
            Self::Promote => "Give the candidate everything with the next step?",
        }
    }
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    /// When it was seen last.
    pub at: Moment,
    /// The word.
    pub reason: String,
    /// The same for people.
    pub message: String,
}

impl Happened {
    /// The newest events, the newest first.
    pub fn all(events: &[Event]) -> Vec<Self> {
        let mut all: Vec<Self> = events.iter().filter_map(Self::of).collect();
        all.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.reason.cmp(&b.reason)));
        all.truncate(KEPT);
        all
    }

    fn of(event: &Event) -> Option<Self> {
        let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|at| at.0);
        let seen = series.or_else(|| event.last_timestamp.as_ref().map(|at| at.0));
        let at = seen.or_else(|| event.event_time.as_ref().map(|at| at.0))?;
        let (reason, message) = (event.reason.clone()?, event.message.clone().unwrap_or_default());
        Some(Self { at: Moment::from(at), reason, message })
    }
}
