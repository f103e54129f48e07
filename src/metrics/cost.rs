//! What a color costs: dollars by second, from which cost by request, by hour and by million tokens follow. The basis
//! says where the dollars come from; each basis is one arm here. Never knows an exporter.

use super::{
    Prices, gpu,
    need::Texts,
    promql::{or_zero, ratio},
    question::WINDOW,
    scope::{self, Scope},
    table::{Counter, Known, NotAvailable, Table},
};
use crate::api::Moment;

/// Where the dollars come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Basis {
    /// Tokens times prices, or what the exporter itself has counted in dollars.
    TokenPrice(Option<Prices>),
    /// GPUs times dollars by hour.
    Gpu(Gpu, Option<f64>),
}

/// Which GPUs are paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gpu {
    /// As far as they worked.
    Busy,
    /// As many as the pods hold.
    Allocated,
    /// As many as the candidate will hold, for the traffic of the whole service.
    Projected,
}

/// There are no prices of tokens.
pub const NO_PRICES: NotAvailable = NotAvailable(
    "it needs prices; write `metrics: {prices: {input: $0.50, output: $1.50}}` in dollars per million tokens",
);

/// There is no price of a GPU.
pub const NO_GPU_PRICE: NotAvailable =
    NotAvailable("its basis needs the price of a GPU; write `metrics: {gpuPrice: $2.50}` in dollars per GPU and hour");

/// What a cost is reckoned from.
pub(super) struct Bill<'a> {
    pub(super) table: &'a Table,
    pub(super) basis: Basis,
    /// The series of the color.
    pub(super) scope: &'a Scope<'a>,
    /// Those of the other color, while it has a part of the traffic.
    pub(super) other: Option<Scope<'a>>,
    pub(super) namespace: &'a str,
    pub(super) workload: &'a str,
    /// Pods of the color at its final size.
    pub(super) replicas: i32,
    /// Since when money is counted, where it is added up.
    pub(super) since: Moment,
}

impl Bill<'_> {
    /// Dollars by finished request.
    pub(super) fn per_request(&self) -> Known<Texts> {
        let dollars = self.per_second()?.value;
        let finished = self.table.finished?;
        let samples = finished.text(self.scope, scope::increase);
        Ok(Texts { value: ratio(&dollars, &self.paid_for(&finished)), samples })
    }

    /// Dollars by hour; it rests on the series that count what is paid for.
    pub(super) fn per_hour(&self) -> Known<Texts> {
        let Texts { value, samples } = self.per_second()?;
        Ok(Texts { value: format!("{value} * 3600"), samples })
    }

    /// Dollars by million tokens that were generated; it rests on requests, or on tokens where no requests are counted.
    pub(super) fn per_million(&self) -> Known<Texts> {
        let dollars = self.per_second()?.value;
        let tokens = self.table.output_tokens?;
        let rests_on = self.table.finished.unwrap_or(tokens);
        Ok(Texts {
            value: ratio(&format!("{dollars} * 1e6"), &self.paid_for(&tokens)),
            samples: rests_on.text(self.scope, scope::increase),
        })
    }

    /// Dollars since then. GPUs are averaged over that time, so that a gap in their series is no time for free; of a
    /// projected size nothing is paid before it is held.
    pub(super) fn spent(&self) -> Known<Texts> {
        let Self { namespace, workload, .. } = self;
        let (which, price) = match self.basis {
            Basis::TokenPrice(prices) => return self.tokens(prices, scope::increase),
            Basis::Gpu(which, price) => (which, price.ok_or(NO_GPU_PRICE)?),
        };
        let Texts { value, samples } = match which {
            Gpu::Busy => gpu::busy(namespace, workload, gpu::now),
            Gpu::Allocated | Gpu::Projected => gpu::allocated(namespace, workload, gpu::now),
        };
        let since = self.since.unix();
        let value = format!("{price} * avg_over_time({value}[{WINDOW}:1m]) * (time() - {since}) / 3600");
        Ok(Texts { value, samples })
    }

    /// What the dollars pay for, by second. A figure of one color is never taken for that of both.
    fn paid_for(&self, counter: &Counter) -> String {
        let own = counter.text(self.scope, scope::rate);
        match (&self.other, self.basis) {
            (Some(other), Basis::Gpu(Gpu::Projected, _)) => format!("({own} + {})", counter.text(other, scope::rate)),
            _ => own,
        }
    }

    /// Dollars by second, and how many series tell what is paid for.
    fn per_second(&self) -> Known<Texts> {
        match self.basis {
            Basis::TokenPrice(prices) => self.tokens(prices, scope::rate),
            Basis::Gpu(which, price) => Ok(self.gpus(which, price.ok_or(NO_GPU_PRICE)?)),
        }
    }

    /// What tokens cost, and how many series tell it: `by` makes a figure of a counter.
    fn tokens(&self, prices: Option<Prices>, by: fn(&str) -> String) -> Known<Texts> {
        if let Some(account) = &self.table.account {
            let samples = account.dollars.present(self.scope);
            return Ok(Texts { value: account.text(self.scope, by), samples });
        }
        let (prompt, output) = (self.table.prompt_tokens?, self.table.output_tokens?);
        let prices = prices.ok_or(NO_PRICES)?;
        Ok(Texts {
            value: token_price(prices, &prompt, self.table.cached_tokens.as_ref(), &output, |c| c.text(self.scope, by)),
            samples: output.present(self.scope),
        })
    }

    /// GPUs are never assumed to be none: no series of them, no cost.
    fn gpus(&self, which: Gpu, price: f64) -> Texts {
        let (Self { namespace, workload, .. }, replicas) = (self, self.replicas);
        let Texts { value, samples } = match which {
            Gpu::Busy => gpu::busy(namespace, workload, gpu::over_window),
            Gpu::Allocated => gpu::allocated(namespace, workload, gpu::over_window),
            Gpu::Projected => gpu::by_pod(namespace, workload),
        };
        let of = if which == Gpu::Projected { format!("{price} * {replicas}") } else { price.to_string() };
        Texts { value: format!("{of} * {value} / 3600"), samples }
    }
}

/// Tokens are never assumed to be none: no series of prompts or answers, no cost. Only the cache may never have hit.
fn token_price(
    p: Prices,
    prompt: &Counter,
    cached: Option<&Counter>,
    output: &Counter,
    text: impl Fn(&Counter) -> String,
) -> String {
    let (prompt, output) = (text(prompt), text(output));
    let Prices { input, cached_input, output: out } = p;
    let read = match cached {
        Some(cached) => {
            let cached = or_zero(&text(cached));
            format!("{input} * ({prompt} - {cached}) + {cached_input} * {cached}")
        }
        None => format!("{input} * {prompt}"),
    };
    format!("(({read}) + {out} * {output}) / 1e6")
}
