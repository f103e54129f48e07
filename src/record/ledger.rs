//! Pages of the record → a `ConfigMap` for each attempt, owned by the rollout. A desk takes pages and never waits; one task
//! binds them into what stands there, replaces it with the version that was read, and tries again where that fails. What
//! is lost with the process is read from status by the next. Never touches a `ConfigMap` that is not ours.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt, stream};
use k8s_openapi::{
    api::core::v1::ConfigMap,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, PostParams, Preconditions},
};
use tokio::sync::Notify;

use super::metrics::Metrics;
use crate::{
    api::{
        LlmRollout, labels,
        record::{self, KEPT, KEY, Record, SCHEMA},
    },
    decide::{
        chronicle::{Page, bind},
        tidings::{Notice, Told, untold},
    },
};

/// Rollouts that may wait for their record at one time.
const MOST_WAITING: usize = 4096;
/// Entries of one attempt that may wait.
const MOST_ENTRIES: usize = 512;
/// Records that are written at one time.
const AT_ONCE: usize = 4;
/// After a failure, and at most.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_AT_MOST: Duration = Duration::from_mins(1);

/// Whose record, and of which attempt.
type Place = (String, String, i64);

/// Pages that wait, by their record.
#[derive(Debug, Default)]
struct Waiting {
    pages: BTreeMap<Place, (OwnerReference, Page)>,
    /// Rollouts whose status has been told by this process.
    known: BTreeSet<(String, String)>,
}

/// Where pages are handed in.
#[derive(Clone, Debug, Default)]
pub struct Desk {
    waiting: Arc<Mutex<Waiting>>,
    knock: Arc<Notify>,
}

impl Desk {
    /// Takes a page; says whether there was room.
    pub fn hand_in(&self, rollout: &LlmRollout, page: Page) -> bool {
        let Some(owner) = rollout.owner_ref(&()) else { return false };
        let place = (rollout.namespace().unwrap_or_default(), rollout.name_any(), page.attempt);
        let room = self.put(place, owner, page);
        self.knock.notify_one();
        room
    }

    /// Takes what became of a notice.
    pub fn heard(&self, notice: &Notice, told: Told) {
        let kind = LlmRollout::api_version(&()).into_owned();
        let owner = OwnerReference {
            api_version: kind,
            kind: LlmRollout::kind(&()).into_owned(),
            name: notice.rollout.clone(),
            uid: notice.uid.clone(),
            ..OwnerReference::default()
        };
        let place = (notice.namespace.clone(), notice.rollout.clone(), notice.attempt);
        let page = Page { attempt: notice.attempt, told: vec![told], ..Page::default() };
        self.put(place, owner, page);
        self.knock.notify_one();
    }

    /// Whether this process has told the status of a rollout before; from now on it has.
    pub fn knows(&self, rollout: &LlmRollout) -> bool {
        let name = (rollout.namespace().unwrap_or_default(), rollout.name_any());
        !self.lock().known.insert(name)
    }

    /// A rollout is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        let name = (namespace.to_owned(), name.to_owned());
        let mut waiting = self.lock();
        waiting.known.remove(&name);
        waiting.pages.retain(|(namespace, rollout, _), _| (&name.0, &name.1) != (namespace, rollout));
    }

    fn put(&self, place: Place, owner: OwnerReference, page: Page) -> bool {
        let mut waiting = self.lock();
        let full = waiting.pages.len() >= MOST_WAITING;
        match waiting.pages.get_mut(&place) {
            Some((_, there)) if there.entries.len() + page.entries.len() > MOST_ENTRIES => false,
            Some((_, there)) => {
                there.add(page);
                true
            }
            None if full => false,
            None => {
                waiting.pages.insert(place, (owner, page));
                true
            }
        }
    }

    /// What could not be written stands before what has come since.
    fn put_back(&self, place: Place, owner: OwnerReference, mut page: Page) {
        let newer = self.lock().pages.remove(&place);
        if let Some((_, newer)) = newer {
            page.add(newer);
        }
        self.put(place, owner, page);
    }

    fn take_all(&self) -> BTreeMap<Place, (OwnerReference, Page)> {
        std::mem::take(&mut self.lock().pages)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a record could not be written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The API server answered with an error.
    #[error("the record could not be written")]
    Write(#[source] Box<kube::Error>),
    /// The deadline passed.
    #[error("writing the record took longer than allowed")]
    Late,
    /// The name is taken.
    #[error("ConfigMap {0} is not ours; delete it or rename it, so that the attempt can be recorded")]
    NotOurs(String),
    /// What stands there cannot be read: a newer operator has written it, or somebody else.
    #[error("ConfigMap {0} holds no record of {SCHEMA}; it is left as it is")]
    NotUnderstood(String),
    /// It could not be put into words.
    #[error("the record could not be put into words")]
    Words(#[source] serde_json::Error),
}

impl LedgerError {
    /// Whether trying again may help.
    const fn may_pass(&self) -> bool {
        matches!(self, Self::Write(_) | Self::Late | Self::NotOurs(_))
    }

    const fn word(&self) -> &'static str {
        match self {
            Self::NotOurs(_) => "notOurs",
            Self::NotUnderstood(_) => "notUnderstood",
            Self::Write(_) | Self::Late | Self::Words(_) => "failed",
        }
    }
}

/// Writes what is handed in.
pub struct Ledger {
    /// The client, without retries of its own.
    pub client: Client,
    /// The deadline of one call.
    pub deadline: Duration,
    /// Where pages come in.
    pub desk: Desk,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Where what people are to be told goes. Takes it and does not wait.
    pub tell: Arc<dyn Fn(Vec<Notice>) + Send + Sync>,
}

impl Ledger {
    /// Writes for ever.
    pub async fn keep(self) {
        let mut failures = 0_u32;
        loop {
            let again = AGAIN.saturating_mul(1 << failures.min(7)).min(AGAIN_AT_MOST);
            tokio::select! {
                () = self.desk.knock.notified() => {}
                () = tokio::time::sleep(again), if failures > 0 => {}
            }
            let all = self.desk.take_all();
            let written = stream::iter(all).map(|(place, (owner, page))| self.tell(place, owner, page));
            let failed = written.buffer_unordered(AT_ONCE).filter(|well| std::future::ready(!well)).count().await;
            failures = if failed > 0 { failures.saturating_add(1) } else { 0 };
        }
    }

    /// Writes one page, or puts it back. Says whether nothing is left to do.
    async fn tell(&self, place: Place, owner: OwnerReference, page: Page) -> bool {
        let (namespace, name, attempt) = &place;
        match self.write(namespace, &owner, &page).await {
            Ok(changed) => {
                self.metrics.record_written(if changed { "written" } else { "unchanged" });
                true
            }
            Err(error) => {
                self.metrics.record_written(error.word());
                let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                tracing::warn!(rollout = %format!("{namespace}/{name}"), attempt, "{error} {cause}");
                // What people must hear does not wait for what is filed.
                let mut record = fresh(namespace, &owner);
                bind(&mut record, &page);
                (self.tell)(untold(&record));
                let again = error.may_pass();
                if again {
                    self.desk.put_back(place, owner, page);
                }
                !again
            }
        }
    }

    /// Binds a page into the record as it stands. Says whether that changed it.
    async fn write(&self, namespace: &str, owner: &OwnerReference, page: &Page) -> Result<bool, LedgerError> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        let name = record::name(&owner.name, page.attempt);
        let there = self.within(api.get_opt(&name)).await?;
        let mut record = match &there {
            Some(map) => read(map, owner)?,
            // Only what stands in a record can have been told.
            None if page.entries.is_empty() => return Ok(false),
            None => fresh(namespace, owner),
        };
        if !bind(&mut record, page) {
            (self.tell)(untold(&record));
            return Ok(false);
        }
        let text = serde_json::to_string(&record).map_err(LedgerError::Words)?;
        let made = there.is_none();
        let mut map = there.unwrap_or_else(|| blank(name.clone(), owner));
        map.data.get_or_insert_default().insert(KEY.to_owned(), text);
        let params = PostParams { field_manager: Some(labels::MANAGER.to_owned()), ..PostParams::default() };
        if made {
            #[expect(clippy::disallowed_methods, reason = "record is the room that writes records")]
            let create = api.create(&params, &map);
            self.within(create).await?;
            self.prune(&api, owner, page.attempt).await?;
        } else {
            #[expect(clippy::disallowed_methods, reason = "record is the room that writes records")]
            let replace = api.replace(&name, &params, &map);
            self.within(replace).await?;
        }
        (self.tell)(untold(&record));
        Ok(true)
    }

    /// Takes away what is older than the attempts that are kept: one, and what a crash may have left before it.
    async fn prune(&self, api: &Api<ConfigMap>, owner: &OwnerReference, newest: i64) -> Result<(), LedgerError> {
        for attempt in (1..=newest - KEPT).rev().take(3) {
            let name = record::name(&owner.name, attempt);
            let Some(map) = self.within(api.get_opt(&name)).await? else { continue };
            if !is_ours(&map, owner) {
                continue;
            }
            let seen = Preconditions { uid: map.metadata.uid, resource_version: None };
            let params = DeleteParams::background().preconditions(seen);
            #[expect(clippy::disallowed_methods, reason = "record is the room that writes records")]
            let delete = api.delete(&name, &params);
            self.within(delete).await?;
        }
        Ok(())
    }

    async fn within<T>(&self, call: impl Future<Output = kube::Result<T>>) -> Result<T, LedgerError> {
        match tokio::time::timeout(self.deadline, call).await {
            Ok(answer) => answer.map_err(|error| LedgerError::Write(Box::new(error))),
            Err(_) => Err(LedgerError::Late),
        }
    }
}

fn fresh(namespace: &str, owner: &OwnerReference) -> Record {
    Record { namespace: namespace.to_owned(), rollout: owner.name.clone(), uid: owner.uid.clone(), ..Record::default() }
}

fn is_ours(map: &ConfigMap, owner: &OwnerReference) -> bool {
    map.labels().get(labels::ROLLOUT) == Some(&owner.name) && map.owner_references().iter().any(|o| o.uid == owner.uid)
}

fn read(map: &ConfigMap, owner: &OwnerReference) -> Result<Record, LedgerError> {
    if !is_ours(map, owner) {
        return Err(LedgerError::NotOurs(map.name_any()));
    }
    let text = map.data.as_ref().and_then(|data| data.get(KEY));
    let record = text.and_then(|text| serde_json::from_str::<Record>(text).ok());
    record.filter(|record| record.schema == SCHEMA).ok_or_else(|| LedgerError::NotUnderstood(map.name_any()))
}

fn blank(name: String, owner: &OwnerReference) -> ConfigMap {
    let labels = BTreeMap::from([(labels::ROLLOUT.to_owned(), owner.name.clone())]);
    let owner = OwnerReference { controller: None, block_owner_deletion: None, ..owner.clone() };
    let metadata = ObjectMeta {
        name: Some(name),
        labels: Some(labels),
        owner_references: Some(vec![owner]),
        ..ObjectMeta::default()
    };
    ConfigMap { metadata, ..ConfigMap::default() }
}
