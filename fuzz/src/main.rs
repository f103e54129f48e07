//! `decide` on any snapshot that libFuzzer can think of; what may never happen is `tests/core/forward.rs`. `make fuzz`.
#![no_main]

#[path = "../../tests/core/anything.rs"]
mod anything;
#[path = "../../tests/core/draw.rs"]
mod draw;
#[path = "../../tests/core/forward.rs"]
mod forward;
#[path = "../../tests/core/json_patch.rs"]
mod json_patch;
#[expect(dead_code, reason = "the scenarios need more of it")]
#[path = "../../tests/core/objects.rs"]
mod objects;
#[path = "../../tests/core/sights.rs"]
mod sights;

use libfuzzer_sys::{Corpus, fuzz_target};
use llmrollout::decide::decide;

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Some(snapshot) = sights::snapshot(bytes) else { return Corpus::Reject };
    let decision = decide(&snapshot);
    if let Some(law) = forward::broken(&snapshot, &decision) {
        panic!("{law}\n{}", forward::shown(&snapshot, &decision));
    }
    Corpus::Keep
});
