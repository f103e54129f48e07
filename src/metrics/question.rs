//! A question for a metrics provider, or for an endpoint that tells a number: what is asked with its window left open, and
//! since when an answer counts.
//! Equal questions of different rollouts are asked once. Never sends anything.

use std::{cmp::Ordering, fmt, sync::Arc, time::Duration};

use super::{number::About, raw::Raw};
use crate::api::Moment;

/// `PromQL` with the window left open, or where in a document a number stands. Only this crate makes one, out of
/// validated names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Template {
    text: Arc<str>,
    /// Of the text: questions are marked in every pass, and their texts stay the same.
    mark: u32,
}

/// A question about raw counters has no window of its own.
pub const LARGEST_WINDOW: Duration = Duration::from_hours(30 * 24);

/// Stands in a template where the window belongs.
pub const WINDOW: &str = "{{window}}";

/// What is read with its samples, and not as one figure.
const RANGE: &str = "[{{window}}]";

impl Template {
    /// The samples of some series in the window.
    pub(super) fn samples_of(selector: &str) -> Self {
        Self::new(format!("{selector}{RANGE}"))
    }

    /// A template; `WINDOW` stands where the window belongs.
    pub fn new(text: String) -> Self {
        Self { mark: text.bytes().fold(2_166_136_261, fold), text: text.into() }
    }

    /// The query for one window.
    pub fn render(&self, window: Duration) -> String {
        self.text.replace(WINDOW, &format!("{}s", window.as_secs()))
    }
}

/// By text; that of one manifest is shared, and need not be read to be the same.
impl Ord for Template {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.text, &other.text) { Ordering::Equal } else { self.text.cmp(&other.text) }
    }
}

impl PartialOrd for Template {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// FNV-1a: nobody is kept out by it, two questions are only told apart.
fn fold(hash: u32, byte: u8) -> u32 {
    (hash ^ u32::from(byte)).wrapping_mul(16_777_619)
}

/// What a gate wants to know, and how often.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Question {
    /// Name of the provider; `endpoint/<name>` is an endpoint.
    pub provider: String,
    /// Whom it is about, where an endpoint is asked: `value` and `samples` are the places of its numbers then.
    pub about: Option<About>,
    /// The value.
    pub value: Template,
    /// How many requests it rests on; empty where an endpoint does not say.
    pub samples: Template,
    /// Nothing before this may be looked at: the step began here.
    pub since: Moment,
    /// The window at most.
    pub window: Duration,
    /// How often it is asked.
    pub interval: Duration,
    /// The window at least: no figure is told by less.
    pub shortest: Duration,
    /// It goes before others where a provider takes only so many.
    pub urgent: bool,
    /// Which names are looked for; none where a figure is asked for.
    pub names: Vec<String>,
    /// Raw counters instead of figures, for evidence.
    pub raw: Option<Arc<Raw>>,
}

impl Question {
    /// Eight digits that are the same wherever the same is asked, whatever the window.
    pub fn mark(&self) -> String {
        let of = self.about.as_ref().map(|about| (self.provider.as_str(), about.words()));
        let words =
            of.iter().flat_map(|(whom, words)| std::iter::once(*whom).chain(words.iter().map(|(_, text)| *text)));
        let hash = words.flat_map(str::bytes).fold(self.value.mark, fold);
        format!("{hash:08x}")
    }

    /// Whether samples are read themselves, for the time between them, and no figure.
    pub fn asks_for_samples(&self) -> bool {
        self.raw.is_none() && self.samples.text.is_empty() && self.value.text.ends_with(RANGE)
    }

    /// How many requests it is for a provider: the value and its count, or one for each part.
    pub fn requests(&self) -> u32 {
        let parts =
            |raw: &Arc<Raw>| raw.views.iter().map(|view| view.candidate.len() + view.active.len()).sum::<usize>();
        let one = self.about.is_some() || !self.names.is_empty() || self.asks_for_samples();
        self.raw.as_ref().map_or(if one { 1 } else { 2 }, |raw| u32::try_from(parts(raw)).unwrap_or(u32::MAX))
    }

    /// The shortest window in which a rate means anything, however often is scraped.
    pub const SHORTEST: Duration = Duration::from_secs(3);

    /// The window for a question asked now; `None` while the step, or its newest pod, is too young.
    pub fn window_at(&self, now: Moment) -> Option<Duration> {
        let age = now.since(self.since);
        // The number of an endpoint is of now, whatever the window.
        let window = if self.about.is_some() { Duration::ZERO } else { age.min(self.window.max(self.shortest)) };
        (age >= self.shortest).then_some(window)
    }
}
