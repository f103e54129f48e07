//! What a color costs: dollars by second, from which cost by request, by hour and by million tokens follow. The basis
//! says where the dollars come from; each basis is one arm here. Never knows an exporter.

use super::{
    Prices,
    need::Texts,
    promql::{or_zero, ratio},
    scope::{self, Scope},
    table::{Counter, Known, NotAvailable, Table},
};

/// Where the dollars come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Basis {
    /// Tokens times prices, or what the exporter itself has counted in dollars.
    TokenPrice(Option<Prices>),
}

/// The one reason that has a word of its own in status.
pub const NO_PRICES: NotAvailable = NotAvailable(
    "it needs prices; write `metrics: {prices: {input: $0.50, output: $1.50}}` in dollars per million tokens",
);

/// Dollars by finished request.
pub(super) fn per_request(table: &Table, scope: &Scope<'_>, basis: Basis) -> Known<Texts> {
    let dollars = per_second(table, scope, basis)?;
    let finished = table.finished?;
    Ok(Texts {
        value: ratio(&dollars, &finished.text(scope, scope::rate)),
        samples: finished.text(scope, scope::increase),
    })
}

/// Dollars by hour; it rests on the series that count what is paid for.
pub(super) fn per_hour(table: &Table, scope: &Scope<'_>, basis: Basis) -> Known<Texts> {
    let dollars = per_second(table, scope, basis)?;
    let paid = match (&table.account, table.output_tokens) {
        (Some(account), _) => account.dollars,
        (None, tokens) => tokens?,
    };
    Ok(Texts { value: format!("{dollars} * 3600"), samples: paid.text(scope, scope::present) })
}

/// Dollars by million tokens that were generated; it rests on requests, or on tokens where no requests are counted.
pub(super) fn per_million(table: &Table, scope: &Scope<'_>, basis: Basis) -> Known<Texts> {
    let dollars = per_second(table, scope, basis)?;
    let tokens = table.output_tokens?;
    let rests_on = table.finished.unwrap_or(tokens);
    Ok(Texts {
        value: ratio(&format!("{dollars} * 1e6"), &tokens.text(scope, scope::rate)),
        samples: rests_on.text(scope, scope::increase),
    })
}

fn per_second(table: &Table, scope: &Scope<'_>, basis: Basis) -> Known<String> {
    match (basis, &table.account) {
        (Basis::TokenPrice(_), Some(account)) => Ok(account.rate(scope)),
        (Basis::TokenPrice(prices), None) => {
            let (prompt, output) = (table.prompt_tokens?, table.output_tokens?);
            let prices = prices.ok_or(NO_PRICES)?;
            Ok(token_price(scope, prices, &prompt, table.cached_tokens.as_ref(), &output))
        }
    }
}

/// Tokens are never assumed to be none: no series of prompts or answers, no cost. Only the cache may never have hit.
fn token_price(scope: &Scope<'_>, p: Prices, prompt: &Counter, cached: Option<&Counter>, output: &Counter) -> String {
    let prompt = prompt.text(scope, scope::rate);
    let output = output.text(scope, scope::rate);
    let Prices { input, cached_input, output: out } = p;
    let read = match cached {
        Some(cached) => {
            let cached = or_zero(&cached.text(scope, scope::rate));
            format!("{input} * ({prompt} - {cached}) + {cached_input} * {cached}")
        }
        None => format!("{input} * {prompt}"),
    };
    format!("(({read}) + {out} * {output}) / 1e6")
}
