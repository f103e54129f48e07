//! Why a write failed, and of what class that is. Only `control::retry` turns a class into a time.

use crate::api::Reason;

/// What a failure means for the next try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// What was read has moved: look again at once.
    Stale,
    /// The other side is down or slow: try again, backing off.
    Transient,
    /// Not allowed: a person must change a role.
    Denied,
    /// The server refuses the object itself: a person must change the manifest.
    Refused,
    /// The lease is not ours: do nothing.
    Fatal,
    /// Our own mistake.
    Bug,
}

impl Class {
    /// The word in metrics and logs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Transient => "transient",
            Self::Denied => "denied",
            Self::Refused => "refused",
            Self::Fatal => "fatal",
            Self::Bug => "bug",
        }
    }
}

/// Why a write failed.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// The object moved since it was read.
    #[error("{what}: the object moved since it was read")]
    Moved {
        /// The write.
        what: String,
    },
    /// The object is not there.
    #[error("{what}: the object is not there")]
    Gone {
        /// The write.
        what: String,
    },
    /// The server refuses the object.
    #[error("{what}: refused: {words}")]
    Refused {
        /// The write.
        what: String,
        /// The server's own words.
        words: String,
        /// Whether the object carries the user's pod template.
        template: bool,
    },
    /// Not allowed.
    #[error("{what}: forbidden: {words}")]
    Denied {
        /// The write.
        what: String,
        /// The server's own words.
        words: String,
    },
    /// The server is down, overloaded or cannot be reached.
    #[error("{what} failed")]
    Server {
        /// The write.
        what: String,
        /// Its answer.
        #[source]
        source: Box<kube::Error>,
    },
    /// A webhook could not be told, or says that it fails; it may or may not have done it.
    #[error("{what} failed: {why}")]
    Unheard {
        /// The write.
        what: String,
        /// Why, in our words.
        why: String,
    },
    /// The deadline passed; the write may or may not have happened.
    #[error("{what} took longer than allowed")]
    Late {
        /// The write.
        what: String,
    },
    /// The lease was lost before the write.
    #[error("the lease is not held; nothing was written")]
    NotLeading,
    /// The request could not be built.
    #[error("{what} could not be built")]
    Request {
        /// The write.
        what: String,
        /// Why.
        #[source]
        source: http::Error,
    },
}

/// How a 1.36 API server begins its 500 to an apply that does not fit the schema.
const UNTYPED: &str = "failed to create typed patch object";

impl ActError {
    pub(super) fn of(what: &str, template: bool, source: kube::Error) -> Self {
        let what = what.to_owned();
        let kube::Error::Api(status) = &source else { return Self::Server { what, source: Box::new(source) } };
        let words = status.message.clone();
        match status.code {
            404 => Self::Gone { what },
            409 => Self::Moved { what },
            400 | 413 | 415 | 422 => Self::Refused { what, words, template },
            // A field of the wrong type or name in an apply: the server's own failure by its code, ours by its words.
            500 if words.contains(UNTYPED) => Self::Refused { what, words, template },
            401 | 403 => Self::Denied { what, words },
            _ => Self::Server { what, source: Box::new(source) },
        }
    }

    /// What it means for the next try.
    pub const fn class(&self) -> Class {
        match self {
            Self::Moved { .. } | Self::Gone { .. } => Class::Stale,
            Self::Refused { .. } => Class::Refused,
            Self::Denied { .. } => Class::Denied,
            Self::Server { .. } | Self::Unheard { .. } | Self::Late { .. } => Class::Transient,
            Self::NotLeading => Class::Fatal,
            Self::Request { .. } => Class::Bug,
        }
    }

    /// What people should read, if a person must do something.
    pub fn for_people(&self) -> Option<(Reason, String)> {
        match self {
            Self::Refused { words, template: true, .. } => {
                let message =
                    format!("release.template: the API server refuses it: {words}; correct it and apply again");
                Some((Reason::PodTemplateInvalid, message))
            }
            Self::Refused { template: false, .. } => Some((Reason::Refused, self.to_string())),
            Self::Denied { .. } => {
                Some((Reason::Forbidden, format!("{self}; give the operator's role this permission")))
            }
            Self::Moved { .. }
            | Self::Gone { .. }
            | Self::Server { .. }
            | Self::Unheard { .. }
            | Self::Late { .. }
            | Self::NotLeading
            | Self::Request { .. } => None,
        }
    }
}
