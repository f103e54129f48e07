//! A rollout in each phase, as the scenarios leave it: `tests/phases/*.json`, for whoever has to tell phases apart from
//! outside (Argo CD's Lua, kstatus, the dashboard). `UPDATE=1` writes them anew.

#![expect(clippy::disallowed_methods, reason = "UPDATE=1 asks for new files")]

use std::fs;

use llmrollout::api::Phase;
use serde_json::{Value, json};

use super::{
    files::{read, top},
    scenarios::until,
};

/// Each phase, and a scenario that comes by.
const PHASES: [(Phase, &str); 14] = [
    (Phase::Idle, "abort-at-creation"),
    (Phase::Pending, "checklist-d-one-phase-of-flags"),
    (Phase::Preflight, "preflight-abort-and-pause"),
    (Phase::Preparing, "aborted-from-preparing"),
    (Phase::Shifting, "abort-gate-before-a-dark-step"),
    (Phase::Holding, "abort-gate-at-one-sample"),
    (Phase::AwaitingApproval, "aborted-from-waiting"),
    (Phase::Paused, "abort-while-paused"),
    (Phase::Baking, "aborted-from-waiting"),
    (Phase::Decommissioning, "abort-too-late"),
    (Phase::Completed, "abort-at-creation"),
    (Phase::RollingBack, "abort-gate-before-the-first-step"),
    (Phase::RolledBack, "abort-gate-at-one-sample"),
    (Phase::Blocked, "abort-too-late"),
];

#[test]
fn there_is_a_rollout_in_each_phase() {
    for (phase, scenario) in PHASES {
        let script = read(&top(&format!("tests/scenarios/{scenario}.txt")));
        let world = until(&script, |world| world.rollout.status.as_ref().and_then(|s| s.phase) == Some(phase));
        let mut rollout = serde_json::to_value(world.rollout.as_ref()).unwrap();
        rollout["metadata"]["generation"] = rollout["status"]["observedGeneration"].clone();
        let text = serde_json::to_string_pretty(&rollout).unwrap() + "\n";
        let file = top(&format!("tests/phases/{}.json", phase.word()));
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&file, &text).unwrap();
        }
        assert!(read(&file) == text, "{} is stale; run with UPDATE=1", file.display());
        let again: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(again["status"]["phase"], json!(phase));
    }
}
