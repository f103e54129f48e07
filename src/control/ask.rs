//! `--ask-providers`: whether the providers of the settings answer from where the operator runs. Nothing here waits for a
//! rollout, and nobody else is asked.

use futures::future;

use crate::{
    line::ProviderSettings,
    observe::{clock::Clock, prometheus::Provider},
};

/// Whether all of them answer, and a line for each.
pub async fn ask(providers: Vec<ProviderSettings>) -> (bool, String) {
    if providers.is_empty() {
        return (false, "no provider is configured: no rollout will start; name one under `providers`".to_owned());
    }
    let clock = Clock::start();
    let answers = future::join_all(providers.into_iter().map(|settings| one(settings, clock))).await;
    let lines: Vec<_> = answers.iter().map(|(_, line)| line.as_str()).collect();
    (answers.iter().all(|(answers, _)| *answers), lines.join("\n"))
}

async fn one(settings: ProviderSettings, clock: Clock) -> (bool, String) {
    let name = settings.name.clone();
    let provider = match Provider::new(settings) {
        Ok(provider) => provider,
        Err(error) => return (false, format!("{name}: {error}")),
    };
    match provider.ask(clock).await {
        Ok(took) => (true, format!("{name}: answers, {} ms", took.as_millis())),
        Err(why) => (false, format!("{name}: {why}")),
    }
}
