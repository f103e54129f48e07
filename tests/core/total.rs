//! `decide` answers every snapshot, and never goes forward without evidence: asked on thousands of snapshots that nobody
//! would think of. `make fuzz` asks on and on; what it found interesting stays in `fuzz/corpus` and is asked here too.

use std::{collections::BTreeMap, sync::Arc};

use llmrollout::decide::{Intent, Meant, decide};

use super::{
    files::{below, top},
    forward, sights,
};

const SEEDS: u64 = 4_000;

/// What is asked of a decision on the snapshot that these bytes make; says whether they make one.
fn holds(bytes: &[u8]) -> bool {
    let Some(snapshot) = sights::snapshot(bytes) else { return false };
    let decision = decide(&snapshot);
    if let Some(law) = forward::broken(&snapshot, &decision) {
        panic!("{law}\n{}\nbytes {bytes:?}", forward::shown(&snapshot, &decision));
    }
    true
}

/// `SplitMix64`.
fn bytes(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0xD129_0DDB_53C4_3E49);
    let mut all = Vec::with_capacity(512);
    for _ in 0..64 {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        all.extend_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
    all
}

/// The same with a last byte that asks for something rare: a dark step that puts something beside the shares, a pair, routers
/// that hold no backends.
fn rare(seed: u64) -> Vec<u8> {
    let mut all = bytes(seed);
    let [kinds, last] = [(seed / 3 % 32) * 8, [3, 5, 7][usize::try_from(seed % 3).unwrap()]];
    all.pop();
    all.push(u8::try_from(kinds + last).unwrap());
    all
}

#[test]
fn every_snapshot_is_answered_and_nothing_goes_forward_without_evidence() {
    let read = (0..SEEDS).filter(|seed| holds(&bytes(*seed))).count();
    assert!(read > 2_000, "only {read} of {SEEDS} rollouts could be read");
    let read = (0..SEEDS).filter(|seed| holds(&rare(*seed))).count();
    assert!(read > 2_000, "only {read} of {SEEDS} rare rollouts could be read");
}

/// The laws are asked about every kind of router and in both directions: none of them holds because nothing happens.
#[test]
fn every_kind_of_router_is_written_forward_and_back() {
    let mut reached = BTreeMap::new();
    let all = (0..SEEDS).flat_map(|seed| [bytes(seed), rare(seed)]);
    for snapshot in all.filter_map(|bytes| sights::snapshot(&bytes)) {
        let decision = decide(&snapshot);
        let direction = if decision.home { "back" } else { "forward" };
        let mut count = |what: String| *reached.entry(format!("{what} {direction}")).or_insert(0) += 1;
        for intent in &decision.intents {
            match intent {
                Intent::Patch(patch) => {
                    count(patch.kind.names().word.to_owned());
                    if patch.namespace.is_some() {
                        count("elsewhere".to_owned());
                    }
                    if patch.ops.iter().any(|op| op["path"] == "/spec/rules/-") {
                        count("testers".to_owned());
                    }
                }
                Intent::Put(_) => count("webhook".to_owned()),
                Intent::Apply(_) | Intent::Delete { .. } | Intent::Scale { .. } => {}
            }
        }
    }
    let routers = ["service", "httpRoute", "grpcRoute", "virtualService", "webhook", "elsewhere"];
    let others = ["featureFlag", "llmInferenceService", "modelRewrite"];
    let both = routers.iter().chain(&others).flat_map(|kind| ["forward", "back"].map(|to| format!("{kind} {to}")));
    let missing: Vec<_> =
        both.chain(["testers forward".to_owned()]).filter(|what| !reached.contains_key(what)).collect();
    assert!(missing.is_empty(), "never reached: {missing:?}; reached: {reached:?}");
}

/// What was understood of one manifest is offered to the decision about the next: only what fits is taken.
#[test]
fn what_was_understood_before_changes_no_decision() {
    let (mut meant, mut taken) = (None, 0);
    for seed in 0..1_000 {
        let Some(mut snapshot) = sights::snapshot(&bytes(seed)) else { continue };
        let fresh = decide(&snapshot);
        for _ in 0..2 {
            snapshot.meant = meant.take();
            let again = decide(&snapshot);
            assert_eq!(again, fresh, "seed {seed}");
            taken += usize::from(same(snapshot.meant.as_ref(), again.meant.as_ref()));
            meant = again.meant;
        }
    }
    assert!(taken > 400, "only {taken} were taken again");
}

fn same(one: Option<&Arc<Meant>>, other: Option<&Arc<Meant>>) -> bool {
    one.zip(other).is_some_and(|(one, other)| Arc::ptr_eq(one, other))
}

#[test]
fn what_was_found_interesting_is_asked_again() {
    let corpus = below(&top("fuzz/corpus"), "");
    assert!(!corpus.is_empty(), "no inputs below fuzz/corpus");
    for file in corpus {
        holds(&std::fs::read(&file).unwrap());
    }
}
