//! What can go wrong on the test ground, and the one way in which a claim is refuted.
//! Nothing here decides what is wrong.

use std::time::Duration;

/// An error of the ground, or a claim that does not hold.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KitError {
    /// The API server refused or did not answer.
    #[error("{what}: {source}")]
    Api {
        /// What was attempted.
        what: String,
        /// The cause.
        source: Box<kube::Error>,
    },
    /// Something on this machine failed.
    #[error("{what}: {detail}")]
    Failed {
        /// What was attempted.
        what: String,
        /// What was seen.
        detail: String,
    },
    /// Something did not come in time.
    #[error("{what}: not within {} ms; last seen: {last}", .within.as_millis())]
    Late {
        /// What was waited for.
        what: String,
        /// For how long.
        within: Duration,
        /// What stood there at the end.
        last: String,
    },
    /// Only a lab has processes to kill and an audit log to read.
    #[error("this needs a lab; unset KUBECONFIG to bring one up")]
    NoLab,
    /// A server that only some systems package.
    #[error("{0} is not installed; `apt-get install {0}`, or name it in LLMROLLOUT_LAB_VICTORIA_METRICS")]
    NotInstalled(&'static str),
    /// A claim does not hold.
    #[error("{0}")]
    Refuted(String),
}

impl KitError {
    /// Whether nothing was tried, because something is not there.
    pub(crate) const fn is_a_skip(&self) -> bool {
        matches!(self, Self::NoLab | Self::NotInstalled(_))
    }

    /// Wraps an error of the Kubernetes client.
    pub(crate) fn api(what: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let what = what.into();
        move |source| Self::Api { what, source: Box::new(source) }
    }

    /// Wraps any other error.
    pub(crate) fn failed<E: std::fmt::Display>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |error| Self::Failed { what, detail: error.to_string() }
    }
}

/// A claim: `words` say what was seen when it does not hold.
pub(crate) fn claim(holds: bool, words: impl FnOnce() -> String) -> Result<(), KitError> {
    if holds { Ok(()) } else { Err(KitError::Refuted(words())) }
}
