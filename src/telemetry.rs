//! The tracing subscriber: where log lines go and how they look. Never what is logged.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, util::SubscriberInitExt};

use crate::settings::Log;

/// Why nothing can be logged.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is wrong.
    #[error("RUST_LOG is no filter; write for example `info` or `info,llmrollout=debug`")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Somebody was faster.
    #[error("log lines already go elsewhere")]
    Taken(#[from] tracing_subscriber::util::TryInitError),
}

/// Sends log lines to standard error from here on; call it once.
pub fn start(log: Log, filter: &str) -> Result<(), TelemetryError> {
    let lines = tracing_subscriber::fmt().with_env_filter(EnvFilter::try_new(filter)?).with_writer(io::stderr);
    match log {
        Log::Text => lines.with_ansi(io::stderr().is_terminal()).finish().try_init()?,
        Log::Json => lines.json().flatten_event(true).finish().try_init()?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{TelemetryError, start};
    use crate::settings::Log;

    #[test]
    fn a_wrong_filter_is_an_error_that_says_what_to_write() {
        let error = start(Log::Text, "llmrollout=loud=er").unwrap_err();
        assert!(matches!(error, TelemetryError::Filter(_)));
        assert!(error.to_string().contains("info"));
    }
}
