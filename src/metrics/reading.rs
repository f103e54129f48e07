//! What came back for a question: a sample, or why there is none. Never a judgement: that is `decide::gate`.

use std::{fmt, sync::Arc, time::Duration};

use crate::{api::Moment, stats::gate::Evidence};

/// One answer to one question.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// When it was asked; the provider evaluated no later than it was answered.
    pub at: Moment,
    /// The window it covers.
    pub window: Duration,
    /// The figures, or why there are none.
    pub outcome: Result<Sample, NoData>,
    /// The names that were found, where names were looked for.
    pub names: Vec<String>,
    /// What was weighed, for a question about raw counters.
    pub weighed: Option<Arc<Weighed>>,
}

/// The evidence of a statistical gate.
#[derive(Clone, Debug, PartialEq)]
pub struct Weighed {
    /// Of each view that counts; never none.
    pub views: Vec<Evidence>,
    /// The same for the next process.
    pub state: String,
    /// When it turned out that less of it stands than another process had written down; none when that never was.
    pub corrected: Option<Moment>,
}

/// Usable figures: both finite, exactly one series each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// The value, in the base unit of its metric (share 0…1, seconds, dollars).
    pub value: f64,
    /// Requests in the window.
    pub samples: f64,
}

/// Why an answer is unusable. Never `Pass`, whatever it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoData {
    /// No series, or no request in the window.
    Empty,
    /// NaN or an infinity.
    NotFinite,
    /// More than one series.
    ManySeries(usize),
    /// Not an instant vector with one value, or not the provider's format at all.
    WrongShape(&'static str),
    /// The provider said that the answer is partial.
    Partial,
    /// The provider could not be reached; no text of the answer is kept.
    Unreachable(&'static str),
    /// The provider answered with an HTTP status other than success.
    Status(u16),
    /// The deadline passed.
    Late,
    /// The answer was larger than allowed.
    TooBig,
    /// The provider's limit of questions was reached, ours or its own.
    Throttled,
    /// A Job has told no number, or not yet.
    Job(&'static str),
}

impl NoData {
    /// The same in words about whom was asked: a provider, or an endpoint.
    pub fn said_of(&self, whom: &str) -> String {
        self.to_string().replace("provider", whom)
    }
}

impl fmt::Display for NoData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("no requests seen"),
            Self::NotFinite => f.write_str("not a finite number"),
            Self::ManySeries(n) => write!(f, "{n} series where one was expected"),
            Self::WrongShape(what) => write!(f, "unexpected answer: {what}"),
            Self::Partial => f.write_str("the provider says the answer is partial"),
            Self::Unreachable(why) => write!(f, "provider unreachable: {why}"),
            Self::Status(code) => write!(f, "provider answered HTTP {code}"),
            Self::Late => f.write_str("provider did not answer in time"),
            Self::TooBig => f.write_str("answer larger than 1 MiB"),
            Self::Throttled => f.write_str("too many questions for the provider"),
            Self::Job(why) => write!(f, "Job: {why}"),
        }
    }
}
