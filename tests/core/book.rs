//! The records of a scenario's attempts: what `chronicle` makes of each pass, bound as the operator binds it. A page may
//! be lost, as it is when the process dies before it is written.

use std::collections::BTreeMap;

use llmrollout::{
    api::{LlmRolloutStatus, Moment, record::Record},
    decide::{
        Decision, Intent, Snapshot,
        chronicle::{Page, bind},
        tidings::{Notice, Told, untold},
    },
};

/// Records by the number of their attempt.
#[derive(Default)]
pub(crate) struct Book {
    records: BTreeMap<i64, Record>,
    /// Pages do not arrive.
    pub(crate) lost: bool,
}

impl Book {
    /// What one pass leaves. Whatever it says is said twice, and must stand once.
    pub(crate) fn keep(
        &mut self,
        before: &Snapshot,
        decision: &Decision,
        status: Option<&LlmRolloutStatus>,
        stopped: bool,
        changed: bool,
    ) {
        if self.lost {
            return;
        }
        let done: Vec<_> = if stopped { Vec::new() } else { decision.intents.iter().map(what).collect() };
        let mut pages: Vec<Page> = Page::of_writes(before, decision, &done).into_iter().collect();
        pages.extend(status.filter(|_| changed).into_iter().flat_map(|s| Page::of_status(before, decision, s)));
        for page in pages {
            let record = self.records.entry(page.attempt).or_default();
            bind(record, &page);
            assert!(!bind(record, &page), "what is said twice stands twice: {page:?}");
        }
    }

    /// A record, line by line.
    pub(crate) fn told(&self, attempt: i64) -> Vec<String> {
        let record = &self.records[&attempt];
        let head = format!("  record {}: {} {:?}", record.attempt, record.revision, record.images);
        let queries = record.queries.iter().map(|(mark, text)| format!("  query {mark}: {text}"));
        let entries = record.entries.iter().map(|e| format!("  {}", serde_json::to_string(e).unwrap()));
        std::iter::once(head).chain(queries).chain(entries).collect()
    }

    /// What nobody was told yet. It is told now, and given up on `unheard`.
    pub(crate) fn tell(&mut self, attempt: i64, at: Moment, unheard: Option<&str>) -> Vec<String> {
        let record = self.records.get_mut(&attempt).unwrap();
        let notices = untold(record);
        let told = notices.iter().map(|Notice { entry, channel, .. }| Told {
            entry: entry.clone(),
            channel: channel.clone(),
            at,
            gave_up: (unheard == Some(channel)).then(|| "it answered HTTP 404".to_owned()),
        });
        bind(record, &Page { attempt, told: told.collect(), ..Page::default() });
        assert!(untold(record).is_empty(), "what was told stands so in the record");
        notices.iter().map(line).collect()
    }
}

/// What people are told on this channel.
fn line(notice: &Notice) -> String {
    let Notice { id, incident, channel, happening, quiet, message, links, .. } = notice;
    let quiet = if *quiet { " (quiet)" } else { "" };
    let links: Vec<_> = links.iter().map(|(word, url)| format!(" [{word}: {url}]")).collect();
    format!("  tell {channel}{quiet}: {} {id} of {incident}: {message}{}", happening.word(), links.concat())
}

/// As `act` says it.
fn what(intent: &Intent) -> String {
    match intent {
        Intent::Apply(owned) => format!("apply {:?} llm/{}", owned.kind, owned.name),
        Intent::Patch(patch) => format!("patch {} llm/{}", patch.kind.names().plural, patch.name),
        Intent::Put(put) => {
            format!("tell webhook {} of llm/chat {}/{}", put.webhook, put.shares.blue, put.shares.green)
        }
        Intent::Delete { name, .. } => format!("delete Deployment llm/{name}"),
        Intent::Scale { path, .. } => format!("scale {path} to 0"),
    }
}
