//! The command line and its bounds: rate and time are always limited.
//! Nothing here runs anything.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Parser;
use reqwest::Url;

use crate::duration;

/// No more requests a second than this.
const MOST_RPS: f64 = 5000.0;
/// No longer than this.
const LONGEST: Duration = Duration::from_hours(2);

/// Sends requests on a schedule, whatever the answers do, and writes down what came back.
#[derive(Debug, Clone, Parser)]
#[command(name = "llm-load", version)]
pub(crate) struct Args {
    /// Where to send: http only; a path ending in /chat/completions gets messages, any other a prompt
    #[arg(long, value_parser = url)]
    pub(crate) url: Url,
    /// Unary gRPC calls over HTTP/2 instead; the URL's path names the method
    #[arg(long, conflicts_with = "stream_share")]
    pub(crate) grpc: bool,
    /// The Host header, where it differs from the URL's
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// The model to name; none by default, and the server takes its own
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// Requests a second, at most 5000
    #[arg(long, value_parser = rps)]
    pub(crate) rps: f64,
    /// How long, at most 2h
    #[arg(long = "for", value_parser = length)]
    pub(crate) length: Duration,
    /// Random distances between requests instead of equal ones
    #[arg(long)]
    pub(crate) poisson: bool,
    /// Requests due while so many are under way are skipped, and counted as such
    #[arg(long, default_value_t = 2000)]
    pub(crate) max_in_flight: usize,
    /// Share of requests answered as a stream
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub(crate) stream_share: f64,
    /// Share of requests sent on a connection of their own
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub(crate) new_connection_share: f64,
    /// How long a whole answer may take
    #[arg(long, default_value = "30s", value_parser = duration::parse)]
    pub(crate) timeout: Duration,
    /// Seed of every random choice
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Where the report goes; standard output by default
    #[arg(long)]
    pub(crate) report: Option<PathBuf>,
    /// A line of JSON every 500 ms to this file, or to standard output for `-`
    #[arg(long)]
    pub(crate) live: Option<PathBuf>,
    /// Listens here for POST /mark {"name": …}, GET /report and POST /stop
    #[arg(long)]
    pub(crate) control: Option<SocketAddr>,
}

fn url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|why| why.to_string())?;
    if url.scheme() == "http" && url.has_host() { Ok(url) } else { Err("only http:// URLs with a host".to_owned()) }
}

fn rps(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rps) if rps > 0.0 && rps <= MOST_RPS => Ok(rps),
        _ => Err(format!("a number above 0 and at most {MOST_RPS}")),
    }
}

fn length(text: &str) -> Result<Duration, String> {
    let length = duration::parse(text)?;
    if length.is_zero() || length > LONGEST { Err("more than 0s and at most 2h".to_owned()) } else { Ok(length) }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("a share between 0 and 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;

    use super::Args;

    fn parse(more: &[&str]) -> Result<Args, String> {
        let line =
            ["llm-load", "--url", "http://127.0.0.1:8000/v1/chat/completions"].into_iter().chain(more.iter().copied());
        Args::try_parse_from(line).map_err(|why| why.to_string())
    }

    #[test]
    fn rate_and_time_are_bounded() {
        let args = parse(&["--rps", "100", "--for", "60s"]).unwrap();
        assert_eq!((args.length, args.timeout), (Duration::from_mins(1), Duration::from_secs(30)));
        assert!(parse(&["--rps", "5001", "--for", "60s"]).unwrap_err().contains("at most 5000"));
        assert!(parse(&["--rps", "0", "--for", "60s"]).is_err());
        assert!(parse(&["--rps", "NaN", "--for", "60s"]).is_err());
        assert!(parse(&["--rps", "1", "--for", "121m"]).unwrap_err().contains("at most 2h"));
        assert!(parse(&["--rps", "1"]).is_err(), "without an end");
        assert!(parse(&["--rps", "1", "--for", "1s", "--stream-share", "30"]).is_err());
    }
}
