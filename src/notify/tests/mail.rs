//! Mails against a small relay on loopback, without TLS and with it. The certificates beside this file are for these tests
//! only and stand for decades: an authority, and a server named `localhost`.

use std::sync::Arc;

use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use super::{
    super::{ChannelSettings, MailSettings},
    CANARY, Log, courier, notice, until,
};
use crate::api::notify::Happening;

const CA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/notify/tests/tls/ca.pem");
const SERVER: &[u8] = include_bytes!("tls/server.pem");
const SERVER_KEY: &[u8] = include_bytes!("tls/server-key.pem");

/// How a relay speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaks {
    Plain,
    /// TLS from the first byte.
    Inside,
    /// TLS after the first words.
    Then,
}

fn acceptor() -> TlsAcceptor {
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(SERVER).unwrap()],
            PrivateKeyDer::from_pem_slice(SERVER_KEY).unwrap(),
        )
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Answers a message with this; remembers what came, and behind `tls` what came so.
async fn relay(speaks: Speaks, answer: &'static str) -> (String, Log) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let scheme = if speaks == Speaks::Inside { "smtps" } else { "smtp" };
    let url = format!("{scheme}://localhost:{}", listener.local_addr().unwrap().port());
    let seen = Log::default();
    let log = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if speaks == Speaks::Inside {
                let Ok(stream) = acceptor().accept(stream).await else { continue };
                converse(BufReader::new(stream), &log, (answer, "tls "), true).await;
                continue;
            }
            let mut stream = BufReader::new(stream);
            if speaks == Speaks::Then && greets(&mut stream, &log).await {
                let Ok(stream) = acceptor().accept(stream.into_inner()).await else { continue };
                converse(BufReader::new(stream), &log, (answer, "tls "), false).await;
            } else if speaks == Speaks::Plain {
                converse(stream, &log, (answer, ""), true).await;
            }
        }
    });
    (url, seen)
}

/// The first words in the clear; whether TLS is to follow.
async fn greets(stream: &mut BufReader<tokio::net::TcpStream>, log: &Log) -> bool {
    stream.write_all(b"220 relay\r\n").await.unwrap();
    let mut line = String::new();
    while stream.read_line(&mut line).await.is_ok_and(|n| n > 0) {
        let said = std::mem::take(&mut line);
        let starts = said.starts_with("STARTTLS");
        let reply: &[u8] = if starts { b"220 go\r\n" } else { b"250-relay\r\n250 STARTTLS\r\n" };
        log.lock().unwrap().push(said);
        stream.write_all(reply).await.unwrap();
        if starts {
            return true;
        }
    }
    false
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: BufReader<S>,
    log: &Log,
    (answer, mark): (&str, &str),
    greets: bool,
) {
    let mut inside = false;
    if greets && stream.write_all(b"220 relay\r\n").await.is_err() {
        return;
    }
    let mut line = String::new();
    while stream.read_line(&mut line).await.is_ok_and(|n| n > 0) {
        let said = std::mem::take(&mut line);
        let reply = match said.trim_end() {
            "." => answer,
            "DATA" => "354 go",
            _ if inside => "",
            word if word.starts_with("EHLO") => "250-relay\r\n250 AUTH PLAIN",
            word if word.starts_with("AUTH") => "235 known",
            _ => "250 ok",
        };
        inside = said.trim_end() == "DATA" || inside && said.trim_end() != ".";
        log.lock().unwrap().push(format!("{mark}{said}"));
        if !reply.is_empty() && stream.write_all(format!("{reply}\r\n").as_bytes()).await.is_err() {
            return;
        }
    }
}

fn by_mail(url: &str) -> ChannelSettings {
    let mail = json!({"from": "Rollouts <rollouts@llm.example>", "to": ["oncall@llm.example", "b@llm.example"], "startTls": false});
    serde_json::from_value(json!({"name": "hooks", "kind": "mail", "url": url, "mail": mail, "timeoutSeconds": 5}))
        .unwrap()
}

#[tokio::test]
async fn a_mail_reaches_everybody_and_is_known_by_its_id() {
    let (url, seen) = relay(Speaks::Plain, "250 taken").await;
    let channel = by_mail(&url);
    channel.check().unwrap();
    let (courier, log) = courier(&[channel]);
    courier.take(vec![notice(Happening::RolledBack, "Ended a")]);
    assert_eq!(until(&log, 1).await, ["Ended a Ok(())"]);
    let seen = seen.lock().unwrap().concat();
    for line in [
        "MAIL FROM:<rollouts@llm.example>",
        "RCPT TO:<oncall@llm.example>",
        "RCPT TO:<b@llm.example>",
        "Subject: llm/chat: RolledBack (attempt 3)",
        "Message-ID: <u-1.3.Ended.a@llmrollout>",
        "In-Reply-To: <u-1.3@llmrollout>",
        "runbook of errors: https://wiki.example/errors",
        "kubectl llmrollout status chat -n llm",
    ] {
        assert!(seen.contains(line), "{line} is not in\n{seen}");
    }
}

#[tokio::test]
async fn a_mail_that_is_refused_for_good_is_given_up_and_no_password_goes_out_in_the_clear() {
    let (url, seen) = relay(Speaks::Plain, "554 no canary-5f2c9d").await;
    let (courier, log) = courier(&[by_mail(&url)]);
    courier.take(vec![notice(Happening::RolledBack, "a")]);
    let told = until(&log, 1).await;
    assert!(told[0].starts_with("a Err(\"it answered SMTP 554"), "{told:?}");
    assert!(!told[0].contains(CANARY), "{told:?}");
    assert_eq!(seen.lock().unwrap().iter().filter(|line| line.starts_with("DATA")).count(), 1);
    let wrong = |change: fn(&mut MailSettings)| {
        let mut channel = by_mail("smtp://relay.example");
        change(channel.mail.as_mut().unwrap());
        channel.check().unwrap_err().to_string()
    };
    assert!(
        wrong(|m| (m.username, m.password_file) = (Some("u".into()), Some("/p".into()))).contains("only told over TLS")
    );
    assert!(wrong(|m| m.username = Some("u".into())).contains("passwordFile"));
    assert!(wrong(|m| m.to.clear()).contains("mail.to"));
    assert!(wrong(|m| m.from = "nobody".into()).contains("mail.from"));
    for url in ["http://relay.example", "smtp://user@relay.example", "smtp://169.254.169.254", "smtp://relay.example/x"]
    {
        assert!(by_mail(url).check().is_err(), "{url}");
    }
    let none = ChannelSettings { mail: None, ..by_mail("smtp://relay.example") };
    assert!(none.check().unwrap_err().to_string().contains("mail: write for example"));
}

/// A user with a password in a file of its own.
fn known(url: &str, trusts: bool) -> (ChannelSettings, std::path::PathBuf) {
    let file =
        std::env::temp_dir().join(format!("llmrollout-mail-{}-{}", std::process::id(), url.replace([':', '/'], "-")));
    std::fs::write(&file, format!("{CANARY}\n")).unwrap();
    let mut channel = by_mail(url);
    channel.ca_file = trusts.then(|| CA.into());
    let mail = channel.mail.as_mut().unwrap();
    (mail.start_tls, mail.username, mail.password_file) = (true, Some("rollouts".into()), Some(file.clone()));
    channel.check().unwrap();
    (channel, file)
}

#[tokio::test]
async fn a_password_is_told_over_tls_and_never_before_it() {
    // What is told with `AUTH PLAIN` for this user and password, as base64.
    let secret = "AUTH PLAIN AHJvbGxvdXRzAGNhbmFyeS01ZjJjOWQ=";
    for speaks in [Speaks::Inside, Speaks::Then] {
        let (url, seen) = relay(speaks, "250 taken").await;
        let (channel, file) = known(&url, true);
        let (courier, log) = courier(&[channel]);
        courier.take(vec![notice(Happening::RolledBack, "a")]);
        assert_eq!(until(&log, 1).await, ["a Ok(())"], "{url}");
        let seen = seen.lock().unwrap().clone();
        assert!(seen.iter().any(|line| line.trim_end() == format!("tls {secret}")), "{seen:?}");
        assert!(seen.iter().all(|line| line.starts_with("tls ") || !line.contains("AUTH")), "{seen:?}");
        std::fs::remove_file(file).unwrap();
    }
}

#[tokio::test]
async fn a_relay_that_is_not_trusted_or_has_no_tls_hears_neither_password_nor_mail() {
    for (speaks, trusts) in [(Speaks::Inside, false), (Speaks::Then, false), (Speaks::Plain, true)] {
        let (url, seen) = relay(speaks, "250 taken").await;
        let (channel, file) = known(&url, trusts);
        let sent = super::super::mail::send(&channel, &notice(Happening::RolledBack, "a")).await;
        assert!(sent.is_err(), "{url}");
        let seen = seen.lock().unwrap().clone();
        assert!(!seen.iter().any(|line| line.contains("AUTH") || line.contains("DATA")), "{seen:?}");
        std::fs::remove_file(file).unwrap();
    }
}
