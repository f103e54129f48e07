//! A notice as a mail, and the relay that takes it. A message bears the notice's id, so that who receives it twice can tell,
//! and those of one attempt are one thread. Never shows an address or a secret.

use std::{net::SocketAddr, path::PathBuf};

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
    },
};
use serde::Deserialize;

use super::{ChannelSettings, Refusal, body::headline, settings};
use crate::{decide::tidings::Notice, line::is_refused};

/// What a mail needs beside the relay's URL.
#[derive(Clone, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MailSettings {
    /// Who it is from: `LLM rollouts <rollouts@example.com>`.
    pub from: String,
    /// Who gets it.
    pub to: Vec<String>,
    /// The user at the relay, if it asks for one.
    #[serde(default)]
    pub username: Option<String>,
    /// File with the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// With `smtp://`: whether the relay has to speak TLS after the first words. Default true.
    #[serde(default = "yes")]
    pub start_tls: bool,
}

const fn yes() -> bool {
    true
}

impl MailSettings {
    /// What is wrong with them, if anything is.
    pub(super) fn problem(&self) -> Option<&'static str> {
        let address = |text: &String| text.parse::<Mailbox>().is_ok();
        if !address(&self.from) {
            return Some("mail.from: write an address, for example rollouts@example.com");
        }
        if self.to.is_empty() || !self.to.iter().all(address) {
            return Some("mail.to: write addresses, for example [oncall@example.com]");
        }
        if self.username.is_some() != self.password_file.is_some() {
            return Some("mail.username: belongs together with passwordFile");
        }
        (self.username.is_some() && !self.start_tls)
            .then_some("mail.startTls: a password is only told over TLS; leave it out, or leave the password out")
    }
}

/// Sends a notice to the first address of the relay that answers, and may be asked whatever its name tells a moment later.
pub(super) async fn send(channel: &ChannelSettings, notice: &Notice) -> Result<(), Refusal> {
    let mail = channel.mail.as_ref().ok_or(Refusal::Address)?;
    let message = message(mail, notice).ok_or(Refusal::Address)?;
    let url =
        settings::endpoint(channel.kind, channel.url.as_deref().unwrap_or_default()).map_err(|_| Refusal::Address)?;
    let host = url.host_str().ok_or(Refusal::Address)?.trim_matches(['[', ']']);
    let port = url.port().unwrap_or(if url.scheme() == INSIDE { 465 } else { 587 });
    let all = tokio::net::lookup_host((host, port)).await.map_err(|_| Refusal::Unreachable)?;
    let mut refused = Refusal::Address;
    for address in all.filter(|address| !is_refused(address.ip())) {
        let relay = relay(channel, mail, (url.scheme(), host), address).await?;
        match relay.send(message.clone()).await {
            Ok(_) => return Ok(()),
            Err(error) => refused = refusal(&error),
        }
        if !matches!(refused, Refusal::Unreachable) {
            break;
        }
    }
    Err(refused)
}

/// TLS from the first byte.
const INSIDE: &str = "smtps";

fn refusal(error: &lettre::transport::smtp::Error) -> Refusal {
    match error.status() {
        Some(code) => Refusal::Smtp(code.into()),
        None if error.is_timeout() => Refusal::Late,
        None => Refusal::Unreachable,
    }
}

async fn relay(
    channel: &ChannelSettings,
    mail: &MailSettings,
    (scheme, host): (&str, &str),
    address: SocketAddr,
) -> Result<AsyncSmtpTransport<Tokio1Executor>, Refusal> {
    let tls = match scheme {
        INSIDE => Tls::Wrapper(tls(channel, host).await?),
        _ if mail.start_tls => Tls::Required(tls(channel, host).await?),
        _ => Tls::None,
    };
    let relay = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address.ip().to_string());
    let mut relay = relay.port(address.port()).tls(tls);
    if let (Some(user), Some(file)) = (&mail.username, &mail.password_file) {
        let password = tokio::fs::read_to_string(file).await.map_err(|_| Refusal::File)?;
        relay = relay.credentials(Credentials::new(user.clone(), password.trim_end().to_owned()));
    }
    Ok(relay.build())
}

async fn tls(channel: &ChannelSettings, host: &str) -> Result<TlsParameters, Refusal> {
    let mut parameters = TlsParameters::builder(host.to_owned());
    if let Some(file) = &channel.ca_file {
        let pem = tokio::fs::read(file).await.map_err(|_| Refusal::File)?;
        let trusted = Certificate::from_pem(&pem).map_err(|_| Refusal::File)?;
        parameters = parameters.add_root_certificate(trusted);
    }
    parameters.build().map_err(|_| Refusal::File)
}

fn message(mail: &MailSettings, notice: &Notice) -> Option<Message> {
    let thread = format!("<{}@llmrollout>", token(&notice.incident));
    let mut message = Message::builder()
        .from(mail.from.parse().ok()?)
        .subject(headline(notice))
        .message_id(Some(format!("<{}@llmrollout>", token(&notice.id))))
        .in_reply_to(thread.clone())
        .references(thread)
        .header(ContentType::TEXT_PLAIN);
    for to in &mail.to {
        message = message.to(to.parse().ok()?);
    }
    message.body(text(notice)).ok()
}

/// What a name in a header may hold.
fn token(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '.' }).collect()
}

fn text(notice: &Notice) -> String {
    let Notice { namespace, rollout, attempt, revision, at, message, links, happening, .. } = notice;
    let links = links.iter().fold(String::new(), |text, (word, url)| text + word + ": " + url + "\n");
    format!(
        "{message}\n\n{links}\nrollout {namespace}/{rollout}\nattempt {attempt} of revision {revision}\n{} ({}) at {at}\n\n\
         kubectl llmrollout status {rollout} -n {namespace}\n",
        happening.word(),
        happening.weight().word(),
    )
}
