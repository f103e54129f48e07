//! Notices against a small receiver on loopback, and the words of each kind.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

mod mail;

use super::{ChannelSettings, Courier, Heard, Kind, Tally, body};
use crate::{
    api::{Moment, notify::Happening},
    decide::tidings::Notice,
};

const CANARY: &str = "canary-5f2c9d";

fn notice(happening: Happening, entry: &str) -> Notice {
    Notice {
        id: format!("u-1/3/{entry}"),
        incident: "u-1/3".into(),
        channel: "hooks".into(),
        happening,
        quiet: false,
        namespace: "llm".into(),
        rollout: "chat".into(),
        uid: "u-1".into(),
        attempt: 3,
        revision: "4e3918f6c6e5".into(),
        at: Moment::from_unix(1_800_000_000),
        message: "GateFailed: errors 5% > 1% <!here>".into(),
        links: BTreeMap::from([("runbook of errors".to_owned(), "https://wiki.example/errors".to_owned())]),
        entry: entry.into(),
    }
}

fn channel(url: &str) -> ChannelSettings {
    serde_json::from_value(json!({"name": "hooks", "kind": "webhook", "url": url, "timeoutSeconds": 1})).unwrap()
}

/// Answers with these codes in order, then 200; remembers what came. 0 is silence.
async fn receiver(codes: Vec<u16>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/x?{CANARY}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    tokio::spawn(async move {
        let mut codes = codes.into_iter();
        let mut silent = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut text = Vec::new();
            let mut buffer = [0_u8; 4096];
            while let Ok(n) = stream.read(&mut buffer).await {
                text.extend_from_slice(&buffer[..n]);
                let all = String::from_utf8_lossy(&text).into_owned();
                let Some((head, body)) = all.split_once("\r\n\r\n") else { continue };
                let length =
                    head.lines().find_map(|l| l.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
                if n == 0 || length.is_none_or(|l| body.len() >= l.trim().parse::<usize>().unwrap()) {
                    log.lock().unwrap().push(all);
                    break;
                }
            }
            let code = codes.next().unwrap_or(200);
            if code == 0 {
                silent.push(stream);
                continue;
            }
            let location = if code == 302 { "location: http://127.0.0.1:1/\r\n" } else { "" };
            let answer =
                format!("HTTP/1.1 {code} x\r\n{location}content-length: 8\r\nconnection: close\r\n\r\n{CANARY:.8}");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (url, seen)
}

type Log = Arc<Mutex<Vec<String>>>;

/// A courier with these channels; what became of notices, and what was counted.
fn courier(channels: &[ChannelSettings]) -> (Courier, Log) {
    let (log, said): (Log, Log) = (Arc::default(), Arc::default());
    let outcomes = Arc::clone(&log);
    let heard: Heard = Arc::new(move |notice, outcome| {
        outcomes.lock().unwrap().push(format!("{} {outcome:?}", notice.entry));
    });
    let tally: Tally = Arc::new(move |channel, what| said.lock().unwrap().push(format!("{channel} {what}")));
    let (courier, tasks) = Courier::start(channels, heard, tally);
    for task in tasks {
        tokio::spawn(task);
    }
    (courier, log)
}

async fn until(log: &Log, count: usize) -> Vec<String> {
    let look = async {
        while log.lock().unwrap().len() < count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), look).await.expect("in time");
    log.lock().unwrap().clone()
}

#[tokio::test]
async fn a_notice_arrives_once_however_often_it_is_offered() {
    let (url, seen) = receiver(vec![503]).await;
    let (courier, log) = courier(&[channel(&url)]);
    for _ in 0..3 {
        courier.take(vec![notice(Happening::RolledBack, "a")]);
    }
    assert_eq!(until(&log, 1).await, ["a Ok(())"]);
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 2, "refused once, then taken: {seen:?}");
    assert!(
        seen.iter().all(|text| text.contains("\"id\":\"u-1/3/a\"") && text.contains("application/cloudevents+json"))
    );
}

#[tokio::test]
async fn what_is_refused_for_good_is_given_up_and_nothing_of_the_receiver_gets_out() {
    for (code, said) in [(404, "it answered HTTP 404"), (302, "it answered HTTP 302")] {
        let (url, seen) = receiver(vec![code]).await;
        let (courier, log) = courier(&[channel(&url)]);
        courier.take(vec![notice(Happening::RolledBack, "a")]);
        let log = until(&log, 1).await;
        assert!(log[0].contains(said) && !log[0].contains(CANARY), "{log:?}");
        assert_eq!(seen.lock().unwrap().len(), 1);
        assert!(!format!("{:?}", channel(&url)).contains(CANARY));
    }
}

#[tokio::test]
async fn a_receiver_that_hangs_holds_up_no_other() {
    let (silent, _) = receiver(vec![0; 64]).await;
    let (good, _) = receiver(vec![]).await;
    let other = ChannelSettings { name: "good".into(), ..channel(&good) };
    let (courier, log) = courier(&[channel(&silent), other]);
    courier.take(vec![notice(Happening::RolledBack, "hangs")]);
    courier.take(vec![Notice { channel: "good".into(), ..notice(Happening::RolledBack, "arrives") }]);
    courier.take(vec![Notice { channel: "gone".into(), ..notice(Happening::RolledBack, "nowhere") }]);
    let log = until(&log, 2).await;
    assert_eq!(log[0], "nowhere Err(\"the operator's configuration has no such channel\")");
    assert_eq!(log[1], "arrives Ok(())");
}

#[test]
fn each_kind_has_its_words() {
    let bad = notice(Happening::RollingBack, "a");
    let good = Notice { quiet: true, ..notice(Happening::Promoted, "b") };
    let json = |kind, notice: &Notice| body::of(kind, notice).map(|body| body.json);
    let page = json(Kind::PagerDuty, &bad).unwrap();
    assert_eq!((&page["event_action"], &page["dedup_key"]), (&json!("trigger"), &json!("u-1/3")));
    assert_eq!(page["payload"]["severity"], "critical");
    assert_eq!(page["links"][0]["href"], "https://wiki.example/errors");
    assert_eq!(json(Kind::PagerDuty, &good), Some(json!({"event_action": "resolve", "dedup_key": "u-1/3"})));
    let (alert, over) = (json(Kind::Alertmanager, &bad).unwrap(), json(Kind::Alertmanager, &good).unwrap());
    assert_eq!(alert[0]["labels"], over[0]["labels"]);
    assert_eq!(
        (&alert[0]["endsAt"], &over[0]["endsAt"]),
        (&json!("2027-01-16T08:00:00Z"), &json!("2027-01-15T08:00:00Z"))
    );
    let text = json(Kind::Slack, &bad).unwrap()["text"].as_str().unwrap().to_owned();
    assert!(
        text.contains("&lt;!here&gt;") && text.contains("<https://wiki.example/errors|runbook of errors>"),
        "{text}"
    );
    assert_eq!((json(Kind::Slack, &good), json(Kind::Webhook, &good)), (None, None));
    let event = json(Kind::Webhook, &bad).unwrap();
    assert_eq!((&event["specversion"], &event["type"]), (&json!("1.0"), &json!("io.llmrollout.RollingBack")));
}

#[test]
fn channels_that_make_no_sense_are_refused() {
    for (fields, said) in [
        (json!({"kind": "webhook"}), "give `url`"),
        (json!({"kind": "slack", "url": "https://x", "urlFile": "/y"}), "not both"),
        (json!({"kind": "pagerDuty"}), "routingKeyFile"),
        (json!({"kind": "webhook", "url": "http://x", "routingKeyFile": "/y"}), "routingKeyFile"),
        (json!({"kind": "webhook", "url": "http://169.254.169.254/x"}), "link-local"),
        (json!({"kind": "webhook", "url": "http://[::ffff:169.254.169.254]/x"}), "link-local"),
        (json!({"kind": "webhook", "url": "ftp://x"}), "must begin with http"),
        (json!({"kind": "webhook", "url": "http://u:p@x"}), "must not hold a user"),
        (json!({"kind": "webhook", "url": "http://x", "timeoutSeconds": 0}), "from 1 to 60"),
        (json!({"kind": "webhook", "url": "http://x", "name": "Bad_"}), "lower case"),
    ] {
        let mut whole = json!({"name": "hooks"});
        whole.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let channel: ChannelSettings = serde_json::from_value(whole).unwrap();
        let error = channel.check().unwrap_err().to_string();
        assert!(error.contains(said), "{fields}: {error}");
    }
    let page = json!({"name": "oncall", "kind": "pagerDuty", "routingKeyFile": "/etc/keys/oncall"});
    assert!(serde_json::from_value::<ChannelSettings>(page).unwrap().check().is_ok());
}

/// A test is told at once and once, and ended where it would stay; what is wrong is said without a word of the receiver's.
#[tokio::test]
async fn a_test_is_told_once_and_ended_where_it_would_stay() {
    let test = || Notice { incident: "u-1/3/test".into(), ..notice(Happening::Test, "") };
    let told = async |kind: &str, codes: Vec<u16>, name: &str| {
        let (url, seen) = receiver(codes).await;
        let settings = json!([{"name": "hooks", "kind": kind, "url": url, "timeoutSeconds": 1}]);
        let channels: Vec<ChannelSettings> = serde_json::from_value(settings).unwrap();
        let outcome = super::teller(&channels)(Notice { channel: name.into(), ..test() }).await;
        let seen: Vec<String> = seen.lock().unwrap().clone();
        (outcome, seen)
    };
    for (kind, requests) in [("webhook", 1), ("slack", 1), ("alertmanager", 2)] {
        let (outcome, seen) = told(kind, Vec::new(), "hooks").await;
        assert_eq!((outcome, seen.len()), (Ok(()), requests), "{kind}");
        assert!(seen[0].contains("Test"), "{kind}: {}", seen[0]);
    }
    let (_, seen) = told("alertmanager", Vec::new(), "hooks").await;
    assert!(seen[0].contains(r#""attempt":"test""#) && !seen[1].contains("startsAt"), "{seen:?}");
    assert_eq!(told("webhook", vec![503], "hooks").await.0, Err("channel hooks: it answered HTTP 503".to_owned()));
    assert_eq!(told("webhook", vec![0], "hooks").await.0, Err("channel hooks: no answer in time".to_owned()));
    let (unknown, seen) = told("webhook", Vec::new(), "nobody").await;
    assert_eq!(unknown, Err("the operator's configuration has no channel nobody".to_owned()));
    assert!(seen.is_empty());
}
