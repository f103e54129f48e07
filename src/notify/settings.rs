//! The channels of the operator's configuration. Secrets stand in files, and are read anew for every notice. Never sends.

use std::{fmt, path::PathBuf};

use reqwest::Url;
use serde::Deserialize;

use super::mail::MailSettings;
use crate::line::is_forbidden;

/// What is spoken on a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// A `CloudEvent` in structured mode, posted to a URL.
    Webhook,
    /// An incoming webhook of Slack, or of what understands the same.
    Slack,
    /// Events v2 of `PagerDuty`.
    PagerDuty,
    /// Alerts of an Alertmanager, v2.
    Alertmanager,
    /// A mail, handed to a relay.
    Mail,
}

/// One channel.
#[derive(Clone, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChannelSettings {
    /// The name that rollouts give in `notifications`.
    pub name: String,
    /// What is spoken.
    pub kind: Kind,
    /// Where it is, if that is no secret.
    #[serde(default)]
    pub url: Option<String>,
    /// File with the URL, if it is one.
    #[serde(default)]
    pub url_file: Option<PathBuf>,
    /// File with the integration key of `PagerDuty`.
    #[serde(default)]
    pub routing_key_file: Option<PathBuf>,
    /// From whom, to whom and as whom: needed with `kind: mail`.
    #[serde(default)]
    pub mail: Option<MailSettings>,
    /// File with a bearer token.
    #[serde(default)]
    pub bearer_token_file: Option<PathBuf>,
    /// File with the certificates that are trusted instead of the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Seconds that one try may take.
    #[serde(default = "five")]
    pub timeout_seconds: u64,
}

const fn five() -> u64 {
    5
}

/// Addresses may be secrets; the name is enough.
impl fmt::Debug for ChannelSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelSettings").field("name", &self.name).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Why a channel cannot be used as it is configured.
#[derive(Debug, thiserror::Error)]
#[error("channel {name}: {problem}")]
pub struct ChannelError {
    name: String,
    problem: &'static str,
}

impl ChannelSettings {
    /// Whether the fields make sense.
    pub fn check(&self) -> Result<(), ChannelError> {
        self.problem().map_or(Ok(()), |problem| Err(ChannelError { name: self.name.clone(), problem }))
    }

    fn problem(&self) -> Option<&'static str> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || self.name.len() > 63 || !self.name.chars().all(fits) {
            return Some("name: write lower case letters, digits and '-'");
        }
        if !(1..=60).contains(&self.timeout_seconds) {
            return Some("timeoutSeconds: write a number from 1 to 60");
        }
        let pages = self.kind == Kind::PagerDuty;
        if pages != self.routing_key_file.is_some() {
            return Some("routingKeyFile: belongs to `kind: pagerDuty` and is needed there");
        }
        match &self.mail {
            Some(_) if self.kind != Kind::Mail => return Some("mail: belongs to `kind: mail`"),
            None if self.kind == Kind::Mail => {
                return Some("mail: write for example {from: rollouts@example.com, to: [oncall@example.com]}");
            }
            Some(_) if self.url_file.is_some() || self.bearer_token_file.is_some() => {
                return Some("url: a relay is no secret and takes no token; write `url`, and mail.passwordFile");
            }
            Some(mail) if mail.problem().is_some() => return mail.problem(),
            Some(_) | None => {}
        }
        match (&self.url, &self.url_file) {
            (Some(_), Some(_)) => Some("url: give `url` or `urlFile`, not both"),
            (None, None) if !pages => Some("url: give `url`, or `urlFile` if it is a secret"),
            (Some(url), None) => endpoint(self.kind, url).err(),
            (None, _) => None,
        }
    }
}

/// Where a channel's notices go.
pub(super) fn endpoint(kind: Kind, written: &str) -> Result<Url, &'static str> {
    let written =
        if written.is_empty() && kind == Kind::PagerDuty { "https://events.pagerduty.com/v2/enqueue" } else { written };
    let mut url = Url::parse(written).map_err(|_| "url: write for example https://hooks.example/llm")?;
    let mail = kind == Kind::Mail;
    if mail && (!matches!(url.scheme(), "smtp" | "smtps") || !url.has_host() || url.path().len() > 1) {
        return Err("url: of a mail relay; write for example smtp://relay.example:587 or smtps://relay.example");
    }
    if !mail && !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("url: must begin with http:// or https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("url: must not hold a user or a password; use bearerTokenFile, or urlFile");
    }
    if is_forbidden(&url) {
        return Err("url: nobody is told at a link-local address or where a cloud keeps its metadata; write another");
    }
    if kind == Kind::Alertmanager {
        let path = format!("{}/api/v2/alerts", url.path().trim_end_matches('/'));
        url.set_path(&path);
    }
    Ok(url)
}
