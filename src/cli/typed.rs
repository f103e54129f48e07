//! Words of the command line that are more than a text: durations, instants, shares. Each says what to write instead. Never
//! flags, and never what they are for.

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::{api::Moment, metrics::Limit};

/// An instant, as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instant {
    /// Now.
    Now,
    /// So long ago.
    Ago(Duration),
    /// This one.
    At(Moment),
}

/// A duration of a second at least.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<SignedDuration>().ok().and_then(|span| Duration::try_from(span).ok());
    parsed
        .filter(|span| *span >= Duration::from_secs(1))
        .ok_or_else(|| "write at least 1s, for example 2m30s".to_owned())
}

/// An instant, or how long ago.
pub(super) fn instant(text: &str) -> Result<Instant, String> {
    let at = || text.parse::<Timestamp>().ok().map(|at| Instant::At(Moment::from(at)));
    let ago = || duration(text.trim_start_matches('-')).ok().map(Instant::Ago);
    let known = if text == "now" { Some(Instant::Now) } else { at().or_else(ago) };
    known.ok_or_else(|| "write 2026-11-21T14:00:00Z, 6h for six hours ago, or now".to_owned())
}

/// The address of a server.
pub(super) fn address(text: &str) -> Result<String, String> {
    let plain = text.starts_with("http://") || text.starts_with("https://");
    if plain { Ok(text.to_owned()) } else { Err("write its address, for example http://localhost:9090".to_owned()) }
}

/// As kubectl reads it: a bare number is seconds.
pub(super) fn deadline(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<u64>().ok().map(Duration::from_secs);
    seconds.map_or_else(|| duration(text).map_err(|_| "write 5s, 1m, a number of seconds, or 0".to_owned()), Ok)
}

/// Requests a second.
pub(super) fn rps(text: &str) -> Result<f64, String> {
    let rps = text.parse::<f64>().ok().filter(|rps| rps.is_finite() && *rps > 0.0);
    rps.ok_or_else(|| "write a number above 0, for example 2.5".to_owned())
}

/// A share, of all or of one gate.
pub(super) fn rate(text: &str) -> Result<(Option<String>, f64), String> {
    let (gate, share) = text.split_once('=').map_or((None, text), |(gate, share)| (Some(gate.to_owned()), share));
    match Limit::parse(share) {
        Ok(Limit::Share(rate)) if (0.0..1.0).contains(&rate) => Ok((gate, rate)),
        _ => Err("write a share below 100%, for example 1%, or errors=1% for one gate".to_owned()),
    }
}

/// One line of text.
pub(super) fn reason(text: &str) -> Result<String, String> {
    let fits = !text.is_empty() && text.chars().count() <= 512 && !text.contains(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err("write one line of at most 512 characters".to_owned()) }
}

/// What an approval is for.
pub(super) fn before(text: &str) -> Result<String, String> {
    let step = |text: &str| text.strip_prefix("Step/").is_some_and(|n| n.parse().is_ok_and(|n| (1..=99).contains(&n)));
    if ["Start", "Full", "Decommission"].contains(&text) || step(text) {
        return Ok(text.to_owned());
    }
    Err("write Start, Step/2 (the number of a step), Full or Decommission".to_owned())
}
