//! The words about how many pods a color needs, and who scales it. Never decides.

use super::say::{Said, said};
use crate::api::{Percent, Reason, status::Color};

pub(super) fn growing(weight: Percent, pods: i32, color: Color, stuck: Option<&str>) -> Said {
    let words = format!("{weight}% needs {pods} ready pods of {}", color.word());
    let Some(stuck) = stuck else { return said(Reason::Growing, words) };
    said(Reason::PodStuck, format!("{words}; {stuck}"))
}

pub(super) fn scalers_to_follow() -> Said {
    said(Reason::Growing, "the autoscalers are told how many pods the colors keep".to_owned())
}

pub(super) fn no_answer_is_better(cause: &Said, active: Color) -> Said {
    let none = format!("{} has no ready endpoint, and no answer is better than this one", active.word());
    said(cause.reason, format!("{}; {none} (`onNoHealthyBlue: Return`)", cause.words))
}
