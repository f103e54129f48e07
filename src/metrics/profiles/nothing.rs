//! No exporter at all: gates ask in queries of their own, or for alerts. Never a series.

use crate::{
    api::exporters::Profile,
    metrics::table::{NotAvailable, Table},
};

const WHY: NotAvailable = NotAvailable(
    "`profile: none` knows no exporter; write a `query` of your own, or name the exporter: `metrics: {profile: vllm}`",
);

pub(super) const TABLE: Table = Table {
    profile: Profile::None,
    word: "none",
    in_front: false,
    native: false,
    finished: Err(WHY),
    errors: Err(WHY),
    aborts: Err(WHY),
    truncations: Err(WHY),
    latency: Err(WHY),
    first_token: Err(WHY),
    output_token: Err(WHY),
    queue: Err(WHY),
    kv_cache: Err(WHY),
    hits: Err(WHY),
    prompt_tokens: Err(WHY),
    cached_tokens: None,
    output_tokens: Err(WHY),
    account: None,
};
