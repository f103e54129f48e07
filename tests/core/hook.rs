//! A webhook that drives a router, as the model cluster has one: it tells its weights and takes those that it is told, or
//! hangs, lies or is deaf. What its answers mean is asked of the product.

use llmrollout::routers::webhook::{self, Heard, Put};
use serde_json::json;

/// How it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It does what it is told.
    #[default]
    Well,
    /// Neither GET nor PUT has an answer.
    Hangs,
    /// It tells weights that add up to nothing, and does what it is told.
    Lies,
    /// It tells its weights and takes none.
    Deaf,
    /// The operator's configuration does not name it.
    Unknown,
}

/// The webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hook {
    pub(crate) mood: Mood,
    pub(crate) weights: (i64, i64),
    version: u64,
}

impl Default for Hook {
    fn default() -> Self {
        Self { mood: Mood::Well, weights: (100, 0), version: 1 }
    }
}

impl Hook {
    /// What is heard when it is asked.
    pub(crate) fn heard(&self) -> Option<Heard> {
        let (blue, green) = if self.mood == Mood::Lies { (60, 60) } else { self.weights };
        let body = json!({"weights": {"blue": blue, "green": green}}).to_string();
        match self.mood {
            Mood::Unknown => None,
            Mood::Hangs => Some(Err(webhook::unreachable("lb", "it did not answer in time"))),
            Mood::Well | Mood::Deaf | Mood::Lies => {
                Some(webhook::understand("lb", Some(&format!("\"{}\"", self.version)), body.as_bytes()))
            }
        }
    }

    /// Somebody, or the operator, sets the weights.
    pub(crate) fn set(&mut self, blue: i64, green: i64) {
        self.weights = (blue, green);
        self.version += 1;
    }

    /// Whether it does what it is told.
    pub(crate) fn obeys(&mut self, put: &Put) -> bool {
        let known = put.version.as_ref().is_none_or(|version| *version == format!("\"{}\"", self.version));
        if !known || matches!(self.mood, Mood::Hangs | Mood::Deaf | Mood::Unknown) {
            return false;
        }
        let body = put.body();
        let weight = |color: &str| body["weights"][color].as_i64().expect("a weight");
        self.set(weight("blue"), weight("green"));
        true
    }
}
