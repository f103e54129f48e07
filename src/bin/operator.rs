//! The operator's process: settings, log, `control::run`, exit code. Nothing else.

use std::{error::Error, io::Write, process::ExitCode};

use llmrollout::{
    control,
    line::ProviderSettings,
    settings::{self, Asked},
    telemetry,
};

#[tokio::main]
async fn main() -> ExitCode {
    let settings = match settings::load() {
        Ok(Asked::Run(settings)) => *settings,
        Ok(Asked::Checked(said)) => {
            let _ = writeln!(std::io::stdout(), "{said}");
            return ExitCode::SUCCESS;
        }
        Ok(Asked::Ask(providers)) => return ask(providers).await,
        Err(error) => return failed(&error),
    };
    let _telemetry = match telemetry::start(settings.log, &settings.log_filter, settings.tracing.as_ref()) {
        Ok(telemetry) => telemetry,
        Err(error) => return failed(&error),
    };
    match control::run(settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// What each provider says to a question whose answer is known.
async fn ask(providers: Vec<ProviderSettings>) -> ExitCode {
    let (all_answer, said) = control::ask::ask(providers).await;
    let _ = writeln!(std::io::stdout(), "{said}");
    if all_answer { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The error with its causes, each once.
fn failed(error: &dyn Error) -> ExitCode {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    let _ = writeln!(std::io::stderr(), "llmrollout-operator: {text}");
    ExitCode::FAILURE
}
