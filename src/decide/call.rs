//! Requests that a decision wants made beside it, each once: to the candidate itself, to an endpoint of the operator's
//! configuration, to the API server about room, to a channel. And what became of them. Plain data: `observe::calls` makes them.

use std::{collections::BTreeMap, time::Duration};

use super::{room::Need, tidings::Notice};
use crate::metrics::About;

/// Requests to pods or to an endpoint, with what their answers have to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The pods, `address:port`.
    pub to: Vec<String>,
    /// The endpoint that is asked in their place, and on whose behalf.
    pub endpoint: Option<Box<(String, About)>>,
    /// The port, until they are known.
    pub port: i32,
    /// The path.
    pub path: String,
    /// What is sent, if anything is: then it is a POST.
    pub body: Option<String>,
    /// The method, where it is another one.
    pub method: Option<&'static str>,
    /// The Secret of the rollout's namespace whose keys are headers.
    pub headers: Option<String>,
    /// What is wanted.
    pub wants: Wants,
    /// How long everything may take.
    pub timeout: Duration,
    /// How long is waited before the first request.
    pub after: Duration,
}

/// What the answers have to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Wants {
    /// One answer of one pod.
    Answer {
        /// Its status; any that says well, if none is given.
        status: Option<u16>,
        /// What stands somewhere in it.
        contains: Option<String>,
        /// How fast it has to be whole.
        within: Option<Duration>,
        /// The numbers that are read of it.
        numbers: Vec<String>,
    },
    /// That a test is taken by a channel.
    Told(Box<Notice>),
    /// Room for its pods, of the API server.
    Room(Box<Need>),
    /// Answers of every pod, until each is warm.
    Warmth {
        /// What `/v1/models` has to list before anything is asked.
        model: Option<String>,
        /// How many requests each pod gets at least.
        requests: u32,
        /// How fast the first piece of the last answer has to come.
        first: Option<Duration>,
    },
}

/// How far a call is.
#[derive(Clone, Debug, PartialEq)]
pub enum Called {
    /// It has not ended.
    Going,
    /// It was as wanted.
    Good {
        /// In words.
        words: String,
        /// The numbers that were found.
        numbers: BTreeMap<String, f64>,
    },
    /// It was not, and why.
    Bad(String),
}
