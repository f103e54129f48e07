//! A notice in the words of each kind of channel. Pure; what a receiver needs to tell a repetition stands in each that has
//! a place for it. Never an address and never a key.

use serde_json::{Value, json};

use super::Kind;
use crate::{
    api::{
        Moment,
        notify::{Happening, Weight},
    },
    decide::tidings::Notice,
};

/// What is posted.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Body {
    pub(super) content_type: &'static str,
    pub(super) json: Value,
}

/// An alert that nobody resolves ends after a day.
const LONGEST_ALERT: std::time::Duration = std::time::Duration::from_hours(24);

/// The notice as this kind says it; none where there is nothing to say.
pub(super) fn of(kind: Kind, notice: &Notice) -> Option<Body> {
    let json = match kind {
        Kind::PagerDuty => Some(pager_duty(notice)),
        Kind::Alertmanager => Some(alertmanager(notice)),
        Kind::Webhook => (!notice.quiet).then(|| cloud_event(notice)),
        Kind::Slack => (!notice.quiet).then(|| slack(notice)),
        // Made of the notice itself.
        Kind::Mail => (!notice.quiet).then_some(Value::Null),
    };
    let content_type =
        if kind == Kind::Webhook { "application/cloudevents+json; charset=UTF-8" } else { "application/json" };
    json.map(|json| Body { content_type, json })
}

/// `llm/chat: RolledBack (attempt 3)`.
pub(super) fn headline(notice: &Notice) -> String {
    let Notice { namespace, rollout, attempt, happening, .. } = notice;
    format!("{namespace}/{rollout}: {} (attempt {attempt})", happening.word())
}

/// What is good news ends the trouble before it.
fn resolves(notice: &Notice) -> bool {
    notice.happening.weight() == Weight::Info
}

fn cloud_event(notice: &Notice) -> Value {
    json!({
        "specversion": "1.0",
        "id": notice.id,
        "source": format!("/apis/llmrollout.io/namespaces/{}/llmrollouts/{}", notice.namespace, notice.rollout),
        "type": format!("io.llmrollout.{}", notice.happening.word()),
        "subject": format!("attempt/{}", notice.attempt),
        "time": notice.at,
        "datacontenttype": "application/json",
        "data": {
            "namespace": notice.namespace, "rollout": notice.rollout, "uid": notice.uid, "attempt": notice.attempt,
            "revision": notice.revision, "happening": notice.happening.word(),
            "severity": notice.happening.weight().word(), "message": notice.message, "links": notice.links,
        },
    })
}

fn slack(notice: &Notice) -> Value {
    let mark = match notice.happening.weight() {
        Weight::Info => ":white_check_mark:",
        Weight::Warning => ":warning:",
        Weight::Critical => ":rotating_light:",
    };
    let links = notice.links.iter().filter(|(_, url)| url.starts_with("http"));
    let links: Vec<_> =
        links.map(|(word, url)| format!("\n<{}|{}>", plain(url).replace('|', "%7C"), plain(word))).collect();
    let text = format!("{mark} *{}*\n{}{}", plain(&headline(notice)), plain(&notice.message), links.concat());
    json!({"text": text})
}

/// What Slack asks for, so that nothing is a command or a link.
fn plain(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn pager_duty(notice: &Notice) -> Value {
    if resolves(notice) {
        return json!({"event_action": "resolve", "dedup_key": notice.incident});
    }
    let severity = if notice.happening.weight() == Weight::Critical { "critical" } else { "warning" };
    let links: Vec<_> = notice.links.iter().map(|(word, url)| json!({"href": url, "text": word})).collect();
    let summary: String = format!("{}: {}", headline(notice), notice.message).chars().take(1000).collect();
    json!({
        "event_action": "trigger",
        "dedup_key": notice.incident,
        "links": links,
        "payload": {
            "summary": summary, "severity": severity, "timestamp": notice.at,
            "source": format!("{}/{}", notice.namespace, notice.rollout), "class": notice.happening.word(),
            "custom_details": {"id": notice.id, "revision": notice.revision, "message": notice.message},
        },
    })
}

/// One alert for each attempt: the labels are what tells it from others.
fn alertmanager(notice: &Notice) -> Value {
    let resolves = resolves(notice);
    let attempt = notice.incident.rsplit('/').next().unwrap_or_default();
    let ends: Moment = if resolves { notice.at } else { notice.at.plus(LONGEST_ALERT) };
    let mut alert = json!({
        "labels": {
            "alertname": "LlmRollout", "namespace": notice.namespace, "rollout": notice.rollout, "attempt": attempt,
        },
        "endsAt": ends,
    });
    if !resolves {
        let words: Vec<_> = notice.links.iter().map(|(word, url)| format!("{word}: {url}")).collect();
        alert["startsAt"] = json!(notice.at);
        alert["annotations"] = json!({
            "summary": headline(notice), "description": notice.message, "links": words.join("\n"),
            "severity": notice.happening.weight().word(), "id": notice.id,
        });
    }
    debug_assert!(notice.happening != Happening::Promoted || resolves);
    json!([alert])
}
