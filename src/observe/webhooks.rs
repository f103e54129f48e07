//! The webhooks that drive routers: what each has told last of each rollout. While a release is under way each is asked
//! every two seconds, and at once after it was told something; whatever is new wakes the rollout. At rest nobody is asked
//! but who has not been understood. Never judges, never tells anybody anything, and one that hangs keeps nobody waiting.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{StreamExt, stream};
use reqwest::Method;
use tokio::{
    sync::{Notify, Semaphore},
    time::{sleep, timeout},
};

use super::board::{Board, Key, Owner};
use crate::{
    api::{LlmRollout, LlmRolloutStatus},
    line::{self, Line, ProviderError, ProviderSettings, Whose},
    metrics::NoData,
    routers::{
        Claim, PatchKind,
        webhook::{self, Heard},
    },
};

/// So often a webhook is asked about a release under way.
const EVERY: Duration = Duration::from_secs(2);

/// All webhooks of the operator's configuration. Clones are the same.
#[derive(Clone, Default)]
pub struct Webhooks(Arc<Inner>);

#[derive(Default)]
struct Inner {
    hooks: BTreeMap<String, Hook>,
    told: Mutex<BTreeMap<(String, Key), Told>>,
    board: Board,
}

/// One webhook.
struct Hook {
    line: Line,
    /// Requests on the way at the same time.
    room: Semaphore,
    /// Somebody has just told it something.
    told: Notify,
}

/// What one webhook tells of one rollout.
#[derive(Default)]
struct Told {
    heard: Option<Heard>,
    /// It is being asked for its first word.
    asked: bool,
    /// A release is under way.
    running: bool,
    attempt: i64,
}

impl Told {
    fn is_asked(&self) -> bool {
        self.running || matches!(self.heard, Some(Err(_)))
    }
}

impl Webhooks {
    /// Reads the files with certificates. `board` wakes whom something new is told of.
    pub fn new(all: &[ProviderSettings], board: &Board) -> Result<Self, ProviderError> {
        let hook = |settings: &ProviderSettings| {
            let (line, room) = (Line::new(settings)?, Semaphore::new(settings.max_in_flight));
            Ok((settings.name.clone(), Hook { line, room, told: Notify::new() }))
        };
        let hooks = all.iter().map(hook).collect::<Result<_, _>>()?;
        Ok(Self(Arc::new(Inner { hooks, told: Mutex::default(), board: board.clone() })))
    }

    /// What was heard last; none when nobody has configured it.
    pub fn heard(&self, owner: &Owner, name: &str) -> Option<Heard> {
        self.0.hooks.get(name)?;
        let told = self.told().get(&(name.to_owned(), owner.into())).and_then(|told| told.heard.clone());
        Some(told.unwrap_or_else(|| Err(webhook::unreachable(name, "it has not been asked yet"))))
    }

    /// Whether all that a rollout names have told something. The others are asked beside whoever wants to know, and the first
    /// word of each wakes the rollout.
    pub fn met(&self, rollout: &LlmRollout) -> bool {
        let owner = Owner::from_obj(rollout);
        let configured = named(rollout).filter(|name| self.0.hooks.contains_key(*name));
        let strangers: Vec<String> =
            configured.filter(|name| self.is_silent(&owner, name)).map(ToOwned::to_owned).collect();
        for name in strangers.iter().filter(|name| !self.is_asked(&owner, name)) {
            let (all, owner, name, attempt) = (self.clone(), owner.clone(), name.clone(), attempt(rollout));
            tokio::spawn(async move { all.ask(&owner, &name, attempt).await });
        }
        strangers.is_empty()
    }

    fn is_silent(&self, owner: &Owner, name: &str) -> bool {
        self.told().get(&(name.to_owned(), owner.into())).is_none_or(|told| told.heard.is_none())
    }

    /// Whether somebody asks it already for its first word; from now on somebody does.
    fn is_asked(&self, owner: &Owner, name: &str) -> bool {
        std::mem::replace(&mut self.told().entry((name.to_owned(), owner.into())).or_default().asked, true)
    }

    /// The newest word, for a decision that moves traffic: who did not answer the last time is not waited for, because it
    /// is being asked all the time.
    pub async fn hear_now(&self, rollout: &LlmRollout, name: &str) -> Option<Heard> {
        let owner = Owner::from_obj(rollout);
        if self.heard(&owner, name)?.is_ok() {
            self.ask(&owner, name, attempt(rollout)).await;
        }
        self.heard(&owner, name)
    }

    /// What is asked from now on about a rollout whose status will be this. When a release begins, what was heard before
    /// is of another time.
    pub fn follow(&self, rollout: &LlmRollout, next: &LlmRolloutStatus) {
        let owner = Key::from(&Owner::from_obj(rollout));
        let running = next.retiring.is_some() || next.attempt.as_ref().is_some_and(|a| a.ended_at.is_none());
        let mut all = self.told();
        all.retain(|(name, of), _| *of != owner || named(rollout).any(|named| named == name));
        for name in named(rollout).filter(|name| self.0.hooks.contains_key(*name)) {
            let told = all.entry((name.to_owned(), owner.clone())).or_default();
            if running && !told.running {
                told.heard = None;
            }
            (told.running, told.attempt) = (running, next.attempt.as_ref().map_or(0, |a| a.id));
        }
    }

    /// A webhook was told something: what came of it is asked at once.
    pub fn look_at(&self, name: &str) {
        if let Some(hook) = self.0.hooks.get(name) {
            hook.told.notify_one();
        }
    }

    /// The rollout is gone.
    pub fn forget(&self, owner: &Owner) {
        let owner = Key::from(owner);
        self.told().retain(|(_, of), _| *of != owner);
    }

    /// Asks all of them, each on its own, until `stop` resolves.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let each = self.0.hooks.keys().map(|name| self.ask_on(name));
        let all = futures::future::join_all(each);
        let (mut stop, mut all) = (pin!(stop), pin!(all));
        tokio::select! { () = &mut stop => {}, _ = &mut all => stop.await }
    }

    async fn ask_on(&self, name: &str) {
        let Some(hook) = self.0.hooks.get(name) else { return };
        loop {
            tokio::select! { () = sleep(EVERY) => {}, () = hook.told.notified() => {} }
            let asked = |((of, owner), told): (&(String, Key), &Told)| {
                (of == name && told.is_asked()).then(|| (Owner::from(owner.clone()), told.attempt))
            };
            let due: Vec<(Owner, i64)> = self.told().iter().filter_map(asked).collect();
            stream::iter(due)
                .for_each_concurrent(None, |(owner, n)| async move { self.ask(&owner, name, n).await })
                .await;
        }
    }

    /// Asks once, keeps what is heard, and wakes the rollout if that is new.
    async fn ask(&self, owner: &Owner, name: &str, attempt: i64) {
        let Some(hook) = self.0.hooks.get(name) else { return };
        let deadline = hook.line.settings().timeout();
        let heard = match timeout(deadline, hook.get(owner, attempt)).await.unwrap_or(Err(NoData::Late)) {
            Ok(heard) => heard,
            Err(why) => Err(webhook::unreachable(name, &why.said_of("webhook"))),
        };
        let key = (name.to_owned(), Key::from(owner));
        let mut all = self.told();
        let told = all.entry(key).or_default();
        let before = told.heard.replace(heard);
        told.asked = false;
        if before != told.heard {
            self.0.board.wake_up(owner);
        }
    }

    /// Nothing in here can be left half changed.
    fn told(&self) -> MutexGuard<'_, BTreeMap<(String, Key), Told>> {
        self.0.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hook {
    async fn get(&self, owner: &Owner, attempt: i64) -> Result<Heard, NoData> {
        let _room = self.room.acquire().await;
        let client = self.line.client().await?;
        let whose = Whose { namespace: owner.namespace.as_deref().unwrap_or_default(), name: &owner.name, attempt };
        let response = self.line.send(self.line.about_weights(&client, Method::GET, whose)).await?;
        let status = response.status();
        if !status.is_success() {
            return Err(NoData::Status(status.as_u16()));
        }
        if !line::is_of(&response, &["application/json"]) {
            return Err(NoData::WrongShape("content type is not application/json"));
        }
        let tag = response.headers().get("etag").map(|tag| String::from_utf8_lossy(tag.as_bytes()).into_owned());
        let body = line::body(response, line::LARGEST).await?;
        Ok(webhook::understand(&self.line.settings().name, tag.as_deref(), &body))
    }
}

/// The webhooks that a rollout names.
fn named(rollout: &LlmRollout) -> impl Iterator<Item = &str> {
    let claims = rollout.spec.traffic.iter().filter_map(Claim::of).map(Claim::object);
    claims.filter(|(kind, _)| *kind == PatchKind::Webhook).map(|(_, name)| name)
}

/// The number of the attempt under way, or of the last one.
fn attempt(rollout: &LlmRollout) -> i64 {
    rollout.status.as_ref().and_then(|s| s.attempt.as_ref()).map_or(0, |a| a.id)
}
