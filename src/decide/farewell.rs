//! The words about the end of the old color, as `say` has all others. Never decides.

use super::say::{Said, said};
use crate::api::{Reason, status::Color};

pub(super) fn abort_too_late(old: Color) -> Said {
    let words = format!(
        "the abort came too late: {} has no ready endpoint to go back to; remove `abort` to finish, or release the old revision anew",
        old.word()
    );
    said(Reason::AbortTooLate, words)
}

pub(super) fn draining(old: Color, newer: bool) -> Said {
    let next = if newer { "; the next release takes its place then" } else { "" };
    said(Reason::Draining, format!("open connections of {} are drained{next}", old.word()))
}

pub(super) fn retiring(old: Color) -> Said {
    said(Reason::Retiring, format!("{} is being retired", old.word()))
}

pub(super) fn scale_unknown(words: &str) -> Said {
    said(Reason::Retiring, format!("the old color cannot be scaled: {words}"))
}

pub(super) fn not_retiring_yet(old: Color) -> Said {
    said(Reason::Retiring, format!("{} stays until all traffic is on a ready color", old.word()))
}
