//! Which proof answers which fault at which moment: a table, and the page made of it. A proof is the name of a lab case, a golden
//! scenario, a happening of the simulation or a test; that it is there is checked. What nothing proves says so. Never runs one.
//! `UPDATE=1` writes the page anew.

#![expect(clippy::disallowed_methods, reason = "UPDATE=1 asks for a new page")]

use std::{fmt::Write as _, fs};

use crate::files::{below, read, top};

const PAGE: &str = "docs/faults.md";
const MOMENTS: [&str; 6] =
    ["before the write", "write in doubt", "hold and gate", "going back", "finishing", "deletion"];
/// Nothing shows it.
const NOT_SHOWN: &str = "not shown: ";

/// A fault and its six moments; `=` is as to the left.
struct Row(&'static str, &'static str, [&'static str; 6]);

const CRASH: &str = "lab:operator_dies_at_every_write sim:Crash";
const TROUBLE: &str = "lab:bad_figures_lead_home_through_every_trouble_with_the_api_server";
const ANSWERS: &str = "lab:provider_that_lies_moves_nothing test:odd_answers_have_distinct_reasons";

const TABLE: &[Row] = &[
    Row(
        "F1",
        "the process is killed",
        [
            CRASH,
            CRASH,
            "lab:operator_killed_in_each_step scenario:restart-midway",
            CRASH,
            CRASH,
            "sim:Crash sim:Delete",
        ],
    ),
    Row(
        "F2",
        "the process is asked to end",
        ["sim:Restart", "=", "lab:leader_stopped_cleanly_hands_over_at_once", "=", "sim:Restart", "="],
    ),
    Row(
        "F3",
        "a panic in one pass",
        [
            "test:every_snapshot_is_answered_and_nothing_goes_forward_without_evidence",
            "=",
            ANSWERS,
            "=",
            "not shown: no fault is put into a pass; that no snapshot makes one panic is fuzzed",
            "=",
        ],
    ),
    Row(
        "F4",
        "the leader stands still past its lease",
        ["sim:Lease sim:Slow", "=", "lab:leader_that_stood_still_writes_nothing_more", "=", "sim:Lease", "="],
    ),
    Row(
        "F5",
        "two leaders for long",
        ["sim:Lease test:a_deleted_lease_is_made_again_and_the_epoch_never_falls", "=", "sim:Lease", "=", "=", "="],
    ),
    Row(
        "F6",
        "API server refuses or resets",
        [
            "sim:Down",
            "sim:Lost sim:Down",
            "lab:nothing_goes_forward_while_status_cannot_be_written",
            TROUBLE,
            "sim:Down",
            "=",
        ],
    ),
    Row(
        "F7",
        "API server hangs",
        [
            "sim:Down",
            "=",
            TROUBLE,
            "lab:bad_figures_lead_home_through_every_trouble_with_the_api_server lab:a_crowd_that_waits_keeps_nobody_from_going_home",
            "sim:Down",
            "=",
        ],
    ),
    Row("F8", "a reply is lost", ["sim:Lost sim:Repeated", CRASH, "sim:Lost", TROUBLE, "sim:Lost", "="]),
    Row("F9", "409", ["sim:Refused", "=", "=", "scenario:api-refuses-rollback sim:Refused", "sim:Refused", "="]),
    Row(
        "F10",
        "422",
        [
            "lab:server_refuses_bad_manifests_and_takes_good_ones test:answers_have_their_class",
            "test:answers_have_their_class",
            "=",
            "test:forward_stops_at_the_first_failure_and_home_tries_everything",
            "=",
            "=",
        ],
    ),
    Row("F11", "429 with a long Retry-After", ["sim:Refused", "=", "=", TROUBLE, "sim:Refused", "="]),
    Row(
        "F12",
        "5xx, etcd without a leader",
        ["sim:Refused", "=", "lab:nothing_goes_forward_while_status_cannot_be_written", TROUBLE, "sim:Refused", "="],
    ),
    Row(
        "F13",
        "403 midway",
        [
            "sim:Refused",
            "=",
            "=",
            "lab:bad_figures_lead_home_through_every_trouble_with_the_api_server test:the_way_back_never_waits_longer_than_five_seconds",
            "sim:Refused",
            "=",
        ],
    ),
    Row(
        "F14",
        "an object is deleted",
        [
            "scenario:route-missing",
            "scenario:route-gone-midway",
            "=",
            "scenario:candidate-dies-while-the-route-is-gone",
            "not shown: routes are taken away in the first steps only",
            "not shown: a route that is gone while the rollout is deleted",
        ],
    ),
    Row(
        "F15",
        "same name, another object",
        [
            "not shown: no proof replaces a route by one of its name; every write is guarded by the version that was read",
            "=",
            "=",
            "=",
            "=",
            "=",
        ],
    ),
    Row("F16", "watches drop, lists begin anew", ["sim:Frozen", "=", TROUBLE, "=", "sim:Frozen", "="]),
    Row("F17", "missed, doubled or late events", ["sim:Unseen", "=", "=", "=", "=", "="]),
    Row("F18", "a stale API server", ["sim:Frozen scenario:caches-that-lag", "=", "=", "=", "=", "="]),
    Row(
        "F19",
        "admission refuses or changes our writes",
        [
            "test:answers_have_their_class",
            "not shown: no webhook stands in the lab; a refusal is a refusal whoever makes it",
            "=",
            "test:forward_stops_at_the_first_failure_and_home_tries_everything",
            "not shown: as in doubt",
            "=",
        ],
    ),
    Row(
        "F20",
        "Prometheus is down",
        [
            "scenario:auto-waits-for-its-provider",
            "sim:Prometheus",
            "lab:prometheus_that_stops_is_waited_for scenario:no-data-rolls-back",
            "lab:abort_works_while_prometheus_hangs",
            "scenario:bake-fails sim:Prometheus",
            "sim:Delete sim:Prometheus",
        ],
    ),
    Row(
        "F21",
        "Prometheus is slow",
        [
            "test:a_drip_feed_ends_at_the_total_deadline",
            "=",
            ANSWERS,
            "lab:abort_works_while_prometheus_hangs",
            "test:a_drip_feed_ends_at_the_total_deadline",
            "=",
        ],
    ),
    Row(
        "F22",
        "odd answers",
        [
            "test:odd_answers_have_distinct_reasons",
            "=",
            ANSWERS,
            "lab:answers_cut_on_the_way_move_nothing",
            "scenario:odd-values-are-no-data",
            "=",
        ],
    ),
    Row("F23", "huge answers", [ANSWERS, "=", "=", "=", "=", "="]),
    Row(
        "F24",
        "redirects and refused addresses",
        [
            "test:nobody_is_asked_where_a_machine_keeps_its_secrets test:a_name_that_leads_to_a_refused_address_is_not_dialed",
            "=",
            ANSWERS,
            "=",
            "=",
            "=",
        ],
    ),
    Row(
        "F25",
        "stale samples",
        ["test:a_value_of_another_instant_is_none", "=", ANSWERS, "=", "scenario:bake-windows", "="],
    ),
    Row(
        "F26",
        "good figures of a candidate without traffic",
        [
            "not shown: before the first share nothing is asked of it",
            "=",
            "scenario:share-missed scenario:too-few-requests",
            "=",
            "not shown: a candidate that loses its requests in a bake",
            "=",
        ],
    ),
    Row(
        "F27",
        "the wall clock jumps",
        [
            "sim:Restart",
            "=",
            "test:times_in_the_lease_are_not_believed sim:Restart",
            "=",
            "=",
            "not shown: libfaketime on the real program; the simulation restarts with wrong clocks",
        ],
    ),
    Row(
        "F28",
        "a starved process",
        ["sim:Away", "=", "lab:leader_that_stood_still_writes_nothing_more", "sim:Slow", "=", "="],
    ),
    Row(
        "F29",
        "a tool puts the route back",
        [
            "sim:SelfHeal",
            "=",
            "lab:a_writer_that_fights_is_left_alone_and_never_wins",
            "scenario:quarrel-about-a-revision-that-was-taken-back",
            "sim:SelfHeal",
            "=",
        ],
    ),
    Row(
        "F30",
        "a person edits the route",
        [
            "sim:Route sim:Selector",
            "=",
            "lab:foreign_edit_blueward_is_an_abort lab:foreign_edit_greenward_is_put_right",
            "scenario:foreign-after-rollback",
            "scenario:somebody-moves-traffic-at-rest",
            "sim:Route",
        ],
    ),
    Row(
        "F31",
        "blue is scaled away",
        [
            "sim:Dead",
            "=",
            "scenario:blue-dies-at-a-step",
            "scenario:both-dead",
            "scenario:old-color-stays-while-the-new-one-is-dead",
            "scenario:delete-while-the-old-color-is-dead",
        ],
    ),
    Row(
        "F32",
        "green dies",
        [
            "scenario:candidate-dies-before-the-first-step-is-confirmed",
            "=",
            "lab:candidate_that_dies_midway_goes_home",
            "scenario:candidate-dies-and-the-api-refuses",
            "scenario:green-dies-at-full-traffic",
            "scenario:delete-while-nothing-is-ready",
        ],
    ),
    Row(
        "F33",
        "both dead",
        ["scenario:both-dead", "=", "=", "=", "sim:Dead", "scenario:delete-while-nothing-is-ready"],
    ),
    Row(
        "F34",
        "a newer revision",
        [
            "scenario:third-version-waits-for-blue",
            "sim:Release",
            "lab:newer_revision_supersedes_at_each_step",
            "scenario:silence-and-a-newer-revision",
            "scenario:superseded-in-the-bake",
            "sim:Release",
        ],
    ),
    Row(
        "F35",
        "steps or gates edited",
        [
            "scenario:steps-edited-midway",
            "=",
            "scenario:gate-set-changed-midway scenario:step-taken-out-midway",
            "scenario:gate-set-gone-and-abort",
            "scenario:bake-taken-out-midway",
            "not shown: a manifest on its way out is not edited",
        ],
    ),
    Row(
        "F36",
        "pause, abort, promote, retry, together",
        [
            "scenario:precedence-abort-over-pause-by-order",
            "=",
            "scenario:precedence-abort-over-promote lab:pause_outlasts_every_deadline",
            "scenario:orders-while-traffic-goes-back",
            "lab:abort_during_finishing_brings_everything_back",
            "scenario:delete-beats-abort-and-pause",
        ],
    ),
    Row(
        "F37",
        "the rollout is deleted",
        [
            "scenario:delete-before-anything-serves",
            "sim:Delete",
            "lab:deleted_midway_leaves_traffic_on_blue",
            "scenario:webhook-hangs-and-delete",
            "sim:Delete",
            "scenario:delete-among-other-finalizers",
        ],
    ),
    Row(
        "F38",
        "another version of the operator or CRD",
        [
            "test:every_snapshot_is_answered_and_nothing_goes_forward_without_evidence",
            "=",
            "=",
            "=",
            "not shown: no older program is kept to run against; a status of tomorrow and of yesterday is fuzzed",
            "=",
        ],
    ),
    Row(
        "F39",
        "two rollouts on one route",
        [
            "lab:two_rollouts_on_one_route_do_not_quarrel",
            "=",
            "scenario:conflict",
            "scenario:conflict-stops-everything",
            "=",
            "scenario:delete-beside-an-older-rollout",
        ],
    ),
    Row(
        "F40",
        "a grant is taken away",
        [
            "lab:a_pair_of_two_namespaces_needs_a_grant",
            "=",
            "lab:a_revoked_grant_brings_traffic_home",
            "=",
            "not shown: taken away in the first steps only",
            "=",
        ],
    ),
    Row(
        "F41",
        "events, log or scrape stand still",
        [
            "not shown: a blocked log or a full disk; events and records are handed in and never awaited",
            "=",
            "=",
            TROUBLE,
            "=",
            "=",
        ],
    ),
    Row(
        "F42",
        "many fail at once",
        ["not shown: at most ten release beside each other in the lab", "=", "=", "not shown: the same", "=", "="],
    ),
    Row(
        "F43",
        "a webhook is slow or lies",
        [
            "scenario:webhook-lies",
            "=",
            "test:a_receiver_that_hangs_holds_up_no_other",
            "scenario:hooks-while-the-way-back-hangs",
            "lab:people_are_told_on_every_channel_once",
            "scenario:webhook-hangs-and-delete",
        ],
    ),
    Row(
        "F44",
        "the gateway is down or silent",
        [
            "sim:GatewaySilent",
            "scenario:gateway-silent",
            "sim:GatewayRefuses",
            "scenario:moved-back-and-a-silent-gateway",
            "scenario:abort-while-finishing-and-a-silent-gateway",
            "sim:GatewaySilent",
        ],
    ),
];

/// The cells with `=` said in full.
fn said(row: &Row) -> [&'static str; 6] {
    let mut cells = row.2;
    for at in 1..cells.len() {
        if cells[at] == "=" {
            cells[at] = cells[at - 1];
        }
    }
    cells
}

/// Where names of each kind stand: the text that is searched, and what stands around a name there.
fn sources() -> [(&'static str, String, &'static str, &'static str); 3] {
    let all = |folders: &[&str]| {
        let files = folders.iter().flat_map(|folder| below(&top(folder), ".rs"));
        files.map(|file| read(&file)).collect::<Vec<_>>().join("\n")
    };
    let happenings = read(&top("tests/sim/faults.rs"));
    [
        ("lab", all(&["e2e/src/cases"]), "async fn ", "("),
        ("sim", happenings, "What::", ""),
        ("test", all(&["src", "tests/core", "tests/it", "tests/sim", "tests/model"]), "fn ", "()"),
    ]
}

#[test]
fn every_fault_has_its_proof_at_every_moment() {
    let sources = sources();
    let mut wrong = Vec::new();
    for row in TABLE {
        for (moment, cell) in std::iter::zip(MOMENTS, said(row)) {
            let at = format!("{} {moment}", row.0);
            if cell.strip_prefix(NOT_SHOWN).is_some_and(|why| why.len() > 5) {
                continue;
            }
            if cell.is_empty() || cell == "=" {
                wrong.push(format!("{at}: nothing"));
            }
            for name in cell.split_whitespace() {
                let (kind, bare) = name.split_once(':').unwrap_or(("", name));
                let there = match sources.iter().find(|(one, ..)| *one == kind) {
                    Some((_, text, before, after)) => text.contains(&format!("{before}{bare}{after}")),
                    None => kind == "scenario" && top("tests/scenarios").join(format!("{bare}.txt")).exists(),
                };
                if !there {
                    wrong.push(format!("{at}: there is no {name}"));
                }
            }
        }
    }
    let ids: Vec<_> = (1..=44).map(|n| format!("F{n}")).collect();
    assert_eq!(TABLE.iter().map(|row| row.0).collect::<Vec<_>>(), ids);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_page_is_that_of_the_table() {
    let page = page();
    let file = top(PAGE);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&file, &page).unwrap();
    }
    assert!(file.exists() && read(&file) == page, "{PAGE} is stale; run `UPDATE=1 cargo test --test it faults`");
}

fn page() -> String {
    let cells: Vec<_> = TABLE.iter().flat_map(said).collect();
    let open = cells.iter().filter(|cell| cell.starts_with(NOT_SHOWN)).count();
    let mut page = format!(
        "# Faults\n\nWhat is made to fail, at which moment, and what shows that a release outlives it. Made of the table in `tests/it/faults.rs`, \
         which also checks that every proof is there. `lab` is a case on real servers (`cargo run -p e2e -- cases --only NAME`), `scenario` a golden \
         story in `tests/scenarios`, `sim` a happening that the simulation puts into thousands of stories and judges by every law, `test` a test. \
         {} of {} cells have a proof; the others say why not.\n",
        cells.len() - open,
        cells.len()
    );
    for row in TABLE {
        let _ = write!(page, "\n## {}: {}\n\n| moment | shown by |\n|---|---|\n", row.0, row.1);
        for (moment, cell) in std::iter::zip(MOMENTS, said(row)) {
            let shown = if cell.starts_with(NOT_SHOWN) { cell.to_owned() } else { proofs(cell) };
            let _ = writeln!(page, "| {moment} | {shown} |");
        }
    }
    page
}

fn proofs(cell: &str) -> String {
    let one = |name: &str| name.split_once(':').map_or_else(String::new, |(kind, bare)| format!("{kind} `{bare}`"));
    cell.split_whitespace().map(one).collect::<Vec<_>>().join(", ")
}
