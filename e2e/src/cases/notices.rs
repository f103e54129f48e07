//! Claims about telling people: every kind of channel hears what it should, once, in its own words; a receiver that fails is
//! asked again and keeps nobody waiting; and an operator that dies in between tells under the same name.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{
    records::told_all,
    stand::{Stand, is_promoted},
};
use crate::kit::{
    KitError, LoadPlan, Wish, claim,
    mailbox::Mailbox,
    operator::{Install, target},
    pods,
    postbox::{Letter, Postbox, Slot},
    recipe::never_holds,
};

const STEP: Duration = Duration::from_mins(1);
const LEASE: Duration = Duration::from_secs(4);

/// Files with what must not stand in a configuration.
struct Secrets(PathBuf);

impl Secrets {
    fn new(stand: &Stand, postbox: &Postbox) -> Result<Self, KitError> {
        let directory = target()?.join("tmp").join(format!("channels-{}", stand.space.name));
        let failed = || KitError::failed(directory.display().to_string());
        std::fs::create_dir_all(&directory).map_err(failed())?;
        for (name, text) in [("key", "a-routing-key\n".to_owned()), ("url", format!("{}/team\n", postbox.url))] {
            std::fs::write(directory.join(name), text).map_err(failed())?;
        }
        Ok(Self(directory))
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Secrets {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The channels, all at one server: `audit` is a webhook, `deaf` is one that hangs.
async fn operator(stand: &Stand, postbox: &Postbox, mailbox: &Mailbox, secrets: &Secrets) -> Result<Install, KitError> {
    let mail = json!({"from": "rollouts@llm.example", "to": ["oncall@llm.example"], "startTls": false});
    let at = |path: &str| format!("{}{path}", postbox.url);
    let channels = json!([
        {"name": "audit", "kind": "webhook", "url": at("/audit")},
        {"name": "deaf", "kind": "webhook", "url": at("/deaf"), "timeoutSeconds": 1},
        {"name": "team", "kind": "slack", "urlFile": secrets.file("url")},
        {"name": "oncall", "kind": "pagerDuty", "url": at("/page"), "routingKeyFile": secrets.file("key")},
        {"name": "alerts", "kind": "alertmanager", "url": at("/am")},
        {"name": "letters", "kind": "mail", "url": mailbox.url, "mail": mail},
    ]);
    let own = Install { channels, ..stand.own_operator(1, LEASE) };
    own.install(&stand.space.ground).await?;
    Ok(own)
}

fn told(version: &str) -> Wish {
    let notifications = json!([
        {"channel": "audit"}, {"channel": "deaf"}, {"channel": "team", "minSeverity": "Critical"},
        {"channel": "oncall", "minSeverity": "Warning"}, {"channel": "alerts", "minSeverity": "Warning"},
        {"channel": "nobody", "on": ["RolledBack"]}, {"channel": "letters", "on": ["RolledBack"]},
    ]);
    Wish { replicas: 1, ..Wish::new(version) }
        .steps(&[(50, "3s"), (100, "3s")])
        .more(&json!({"notifications": notifications}))
}

fn kind(letter: &Letter) -> &str {
    letter.body["type"].as_str().and_then(|word| word.strip_prefix("io.llmrollout.")).unwrap_or_default()
}

fn taken(letters: &[Letter], attempt: i64, happening: &str) -> bool {
    letters.iter().any(|l| l.taken && l.body["data"]["attempt"] == attempt && kind(l) == happening)
}

/// The end of the second attempt, and nothing else.
fn one_mail(stand: &Stand, mailbox: &Mailbox) -> Result<(), KitError> {
    let mails = mailbox.mails();
    // A long subject is folded.
    let text = mails.concat().replace("\r\n ", " ");
    let subject = format!("Subject: {}/chat: RolledBack (attempt 2)", stand.space.name);
    let parts = ["RCPT TO:<oncall@llm.example>", "runbook of never: https://wiki.example/never", &subject];
    claim(mails.len() == 1 && parts.iter().all(|part| text.contains(part)), || format!("mails: {mails:?}"))
}

/// A rollback while one receiver hangs and one is down at first; then a release whose begin is told by another process
/// than the one that saw it.
pub(super) async fn people_are_told_on_every_channel_once(stand: &Stand) -> Result<(), KitError> {
    stand.space.ground.lab()?;
    let postbox = Postbox::start().await?;
    let secrets = Secrets::new(stand, &postbox)?;
    postbox.set("/deaf", Slot::Hangs);
    postbox.set("/audit", Slot::DownFor(2));
    let mailbox = Mailbox::start().await?;
    let own = operator(stand, &postbox, &mailbox, &secrets).await?;
    let service = stand.serve(&told("v1"), &LoadPlan::default()).await?;

    let bad = json!({"runbook": "https://wiki.example/never"});
    let mut never = never_holds("never");
    never.as_object_mut().into_iter().for_each(|gate| gate.extend(bad.as_object().cloned().unwrap_or_default()));
    service.apply(stand, &Wish { gates: json!([never]), ..told("v2") }.manifest()).await?;
    service.phase("RolledBack", STEP).await?;
    let heard = postbox.until("the end is told", "/audit", STEP, |all| taken(all, 2, "RolledBack")).await?;
    for happening in ["Started", "StepEntered", "RollingBack"] {
        claim(taken(&heard, 2, happening), || format!("{happening} is missing: {heard:?}"))?;
    }
    let team = postbox.until("the team knows", "/team", STEP, |all| all.len() >= 2).await?;
    let said = team.iter().any(|l| {
        let text = l.body["text"].as_str().unwrap_or_default();
        text.contains("RolledBack") && text.contains("<https://wiki.example/never|runbook of never>")
    });
    claim(said && team.len() == 2, || format!("the team heard {team:?}"))?;
    let page =
        postbox.until("somebody is paged", "/page", STEP, |all| count(all, "event_action", "trigger") >= 2).await?;
    let incident = page.iter().find(|l| l.body["event_action"] == "trigger").map(|l| l.body["dedup_key"].clone());
    let keyed = page.iter().all(|l| l.body["routing_key"] == "a-routing-key");
    claim(keyed, || format!("pages: {page:?}"))?;
    let firing = |all: &[Letter]| all.iter().any(|l| is_firing(&l.body));
    let alerts = postbox.until("an alert fires", "/am/api/v2/alerts", STEP, firing).await?;
    let alert = alerts.iter().find(|l| is_firing(&l.body)).map(|l| l.body[0]["labels"].clone()).unwrap_or_default();
    told_all(stand, 2, &["deaf"], STEP).await?;
    one_mail(stand, &mailbox)?;
    let deaf = postbox.until("whoever hangs is asked again", "/deaf", STEP, |all| all.len() > 2).await?;
    claim(deaf.iter().all(|l| l.body["id"] == deaf[0].body["id"]), || format!("something came behind it: {deaf:?}"))?;

    // Whoever sees the begin of the next release cannot tell it.
    postbox.set("/audit", Slot::Down);
    let preflight = json!({"preflight": [{"name": "reached", "notification": {"channel": "oncall"}}]});
    service.apply(stand, &told("v3").more(&preflight).manifest()).await?;
    let refused = |all: &[Letter]| all.iter().any(|l| !l.taken && l.body["data"]["attempt"] == 3);
    postbox.until("the begin is refused", "/audit", STEP, refused).await?;
    for (name, uid) in own.pods(&stand.space.ground).await? {
        claim(pods::signal(&uid, Signal::KILL) > 0, || format!("no process of {name} was there to kill"))?;
    }
    postbox.set("/audit", Slot::Takes);
    service.rollout.until("v3 is promoted", STEP, is_promoted).await?;
    let heard = postbox.until("the next end is told", "/audit", STEP, |all| taken(all, 3, "Promoted")).await?;
    claim(taken(&heard, 3, "Started"), || format!("nobody heard of the begin: {heard:?}"))?;
    each_once(&heard)?;
    tested_once(&postbox.at("/page"))?;
    let over = |all: &[Letter]| {
        all.iter().any(|l| l.body["event_action"] == "resolve" && Some(&l.body["dedup_key"]) == incident.as_ref())
    };
    postbox.until("the incident is over", "/page", STEP, over).await?;
    let silent = |all: &[Letter]| all.iter().any(|l| l.body[0]["labels"] == alert && !is_firing(&l.body));
    postbox.until("the alert is over", "/am/api/v2/alerts", STEP, silent).await?;
    let report = stand.end(service.load).await?;
    claim(report.is_flawless(), || report.words())?;
    own.uninstall().await
}

/// The third attempt's check has paged somebody, and ended that at once.
fn tested_once(pages: &[Letter]) -> Result<(), KitError> {
    let of = |l: &&Letter| l.body["dedup_key"].as_str().is_some_and(|key| key.ends_with("/3/test"));
    let words: Vec<_> = pages.iter().filter(of).map(|l| l.body["event_action"].clone()).collect();
    claim(words == ["trigger", "resolve"], || format!("the test: {pages:?}"))
}

fn count(letters: &[Letter], field: &str, word: &str) -> usize {
    letters.iter().filter(|l| l.body[field] == word).count()
}

fn is_firing(body: &Value) -> bool {
    body[0]["startsAt"].is_string()
}

/// No event was taken twice, and one that was refused before came under the same name.
fn each_once(letters: &[Letter]) -> Result<(), KitError> {
    let id = |letter: &Letter| letter.body["id"].as_str().unwrap_or_default().to_owned();
    let taken: Vec<_> = letters.iter().filter(|l| l.taken).map(id).collect();
    let different: BTreeSet<_> = taken.iter().collect();
    claim(different.len() == taken.len(), || format!("taken twice: {taken:?}"))?;
    let lost: Vec<_> = letters.iter().filter(|l| !l.taken).map(id).filter(|id| !different.contains(id)).collect();
    claim(lost.is_empty(), || format!("refused and never told under that name again: {lost:?}"))
}
