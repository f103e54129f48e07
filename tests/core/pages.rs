//! What pages make of a record when there are many of them. What stands on a page is for the scenarios.

use llmrollout::{
    api::{
        Moment,
        order::Verb,
        record::{Entry, LARGEST, Record, What},
    },
    decide::chronicle::{Page, bind},
};

/// A record has an end: detail goes first, the oldest first, and what it was is not told again by a process that comes anew.
#[test]
fn a_record_never_grows_beyond_its_size() {
    let at = |n: i64| Moment::from_unix(1_800_000_000 + n);
    let entry = |n: i64, what: What| Entry { at: at(n), step: 1, bake: 0, tell: vec![], what };
    let words = |n: i64| format!("{n} {}", "x".repeat(400));
    let page = |entries: Vec<Entry>| Page { attempt: 1, revision: "r".into(), entries, ..Page::default() };
    let mut record = Record::default();
    let wrote = |n: i64| entry(n, What::Wrote { what: words(n), set: vec![] });
    let ordered = |n: i64| {
        let (by, order, uid, message) = ("ada".into(), "o".into(), n.to_string(), words(n));
        entry(n, What::Ordered { verb: Verb::Skip, by, order, uid, taken: true, message })
    };
    bind(&mut record, &page(vec![entry(0, What::Began { candidate: None, active_revision: None })]));
    for n in 1..=400 {
        bind(&mut record, &page(vec![if n % 8 == 0 { ordered(n) } else { wrote(n) }]));
        let size = serde_json::to_string(&record).unwrap().len();
        assert!(size <= LARGEST, "{size} bytes after {n} entries");
    }
    let words_kept = record.entries.iter().filter(|e| matches!(e.what, What::Ordered { .. })).count();
    assert_eq!(words_kept, 50, "what people said stays as long as there is detail to fold");
    let folded = record.folded.unwrap();
    assert_eq!(folded.count + i64::try_from(record.entries.len()).unwrap(), 401);
    assert!(!bind(&mut record, &page(vec![wrote(1)])), "what made room does not come back");
    for n in 401..=800 {
        bind(&mut record, &page(vec![ordered(n)]));
    }
    let size = serde_json::to_string(&record).unwrap().len();
    assert!(size <= LARGEST && matches!(record.entries[0].what, What::Began { .. }), "{size}");
    let newest = record.entries.last().map(|e| e.at);
    assert_eq!(newest, Some(at(800)));
}
