//! What a text in the settings may mean, for flags and file alike: durations, names, addresses. Errors say what to write
//! instead. Never reads a file or the environment.

use std::{
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    time::Duration,
};

use crate::decide::plan::duration;

/// Where to listen; without a host, on the pod's address when it is known, else on all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listen {
    pub(super) host: Option<IpAddr>,
    pub(super) port: u16,
}

impl Default for Listen {
    fn default() -> Self {
        Self { host: None, port: 8080 }
    }
}

/// Longer leases would make a takeover take minutes; shorter ones are lost to one slow answer.
pub(super) fn lease_duration(text: &str) -> Result<Duration, String> {
    within(text, 3..=60, "10s")
}

pub(super) fn call_timeout(text: &str) -> Result<Duration, String> {
    within(text, 1..=30, "4s")
}

/// A shorter one would argue with a tool that writes every few minutes for ever.
pub(super) fn quarrel(text: &str) -> Result<Duration, String> {
    within(text, 10..=86_400, "10m")
}

pub(super) fn lease_name(text: &str) -> Result<String, String> {
    name(text, 253, "llmrollout-operator")
}

fn within(text: &str, seconds: RangeInclusive<u64>, example: &str) -> Result<Duration, String> {
    duration(text).filter(|read| seconds.contains(&read.as_secs())).ok_or_else(|| {
        let (from, to) = (seconds.start(), seconds.end());
        format!("`{text}` is not a duration from {from}s to {to}s; write for example `{example}`")
    })
}

pub(super) fn namespace(text: &str) -> Result<String, String> {
    name(text, 63, "llm")
}

fn name(text: &str, longest: usize, example: &str) -> Result<String, String> {
    let fits = (1..=longest).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-');
    if fits {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is no name; write lower case letters, digits and '-', for example `{example}`"))
    }
}

pub(super) fn identity(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > 253 { Err("write 1 to 253 bytes".to_owned()) } else { Ok(text.to_owned()) }
}

pub(super) fn address(text: &str) -> Result<Listen, String> {
    let read = match text.strip_prefix(':') {
        Some(port) => port.parse().ok().map(|port| Listen { host: None, port }),
        None => text.parse().ok().map(|at: SocketAddr| Listen { host: Some(at.ip()), port: at.port() }),
    };
    read.ok_or_else(|| format!("`{text}` is no address; write for example `:8080` or `127.0.0.1:8080`"))
}
