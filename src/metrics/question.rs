//! A question for a metrics provider: the text with its window left open, and since when an answer counts.
//! Equal questions of different rollouts are asked once. Never sends anything.

use std::{fmt, sync::Arc, time::Duration};

use super::raw::Raw;
use crate::api::Moment;

/// `PromQL` with the window left open. Only this crate's profiles make one, out of validated names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Template(String);

/// A question about raw counters has no window of its own.
pub const LARGEST_WINDOW: Duration = Duration::from_hours(30 * 24);

/// Stands in a template where the window belongs.
pub const WINDOW: &str = "{{window}}";

impl Template {
    /// A template; `WINDOW` stands where the window belongs.
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The query for one window.
    pub fn render(&self, window: Duration) -> String {
        self.0.replace(WINDOW, &format!("{}s", window.as_secs()))
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a gate wants to know, and how often.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Question {
    /// Name of the provider.
    pub provider: String,
    /// The value.
    pub value: Template,
    /// How many requests it rests on.
    pub samples: Template,
    /// Nothing before this may be looked at: the step began here.
    pub since: Moment,
    /// The window at most.
    pub window: Duration,
    /// How often it is asked.
    pub interval: Duration,
    /// Raw counters instead of figures, for evidence.
    pub raw: Option<Arc<Raw>>,
}

impl Question {
    /// Eight digits that are the same wherever the same is asked, whatever the window.
    pub fn mark(&self) -> String {
        // FNV-1a: nobody is kept out by it, two questions are only told apart.
        let fold = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(16_777_619);
        let hash = self.value.0.bytes().fold(2_166_136_261, fold);
        format!("{hash:08x}")
    }

    /// The shortest window in which a rate means anything.
    pub const SHORTEST: Duration = Duration::from_secs(3);

    /// The window for a question asked now; `None` while the step is too young.
    pub fn window_at(&self, now: Moment) -> Option<Duration> {
        let age = now.since(self.since);
        (age >= Self::SHORTEST).then_some(age.min(self.window))
    }
}
