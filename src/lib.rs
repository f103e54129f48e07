//! `LlmRollout`: moves traffic to a new LLM version in steps, asks Prometheus at each step whether it holds, and takes
//! everything back by itself the moment it does not. This page is the map.
//!
//! # The rooms
//!
//! ```text
//!                                control
//!               wires watches, holds the lease, maps errors to waits
//!           ┌───────────────┬────────┴───────┬────────────────┐
//!           ▼               ▼                ▼                ▼
//!        observe ───────▶ decide ◀───────── act ◀────────── record
//!        reads the        PURE              the only        own status,
//!        world            Snapshot →        writer of       events,
//!                         Decision          the world       metrics
//!                           │
//!         routers · metrics · stats · api   pure: one file a router, tables of metrics, arithmetic of evidence, the types
//! ```
//!
//! `line` holds the connections to whom the operator's configuration names: `observe` asks over them, `act` tells over them.
//!
//! One pass (`control::reconcile`): observe → decide → act → record → look again. A pass never waits for Prometheus:
//! a task for each provider (`observe::prometheus`) puts readings on a board and wakes the rollout, as a watch would.
//!
//! # Invariants
//!
//! - `decide` is total and pure: a snapshot in, a decision out. Waiting and refusing are decisions; time comes in as
//!   an argument and leaves as a wake-up.
//! - The state machine lives in the object's status. Kill the process anywhere and the next one goes on.
//! - A step up is written to status (`intent`) before it is written to a router, and only after rollout, router and
//!   endpoints were read live in the same pass. A step back is written to the router first and needs no proof.
//! - Every write to an object that is not ours is one JSON patch that fails if the object moved since it was read, and
//!   touches nothing but two weights, one selector key, or the rule and the filter that a dark step puts beside them; a candidate that is
//!   still called after a rollback loses its reference, which stands in status until it is put back.
//! - `record` takes `act::Acted`, which only `act` makes: status never claims what was not done.
//! - Unknown is not good: a missing, late, odd or stale reading never moves traffic forward.
//! - Nothing in status changes by itself, and an equal status is not written.
//!
//! # Deliberately absent
//!
//! No retries inside a call, no server-side apply on routes or selectors, no admission webhook, no cluster-wide Secrets, no
//! memory that a restart would miss, no clock outside `observe::clock`.
//!
//! # Where does it live?
//!
//! Why did it not advance: `decide::gate`. Why these weights: `decide::step`. Why did it go back: `decide::home`. What
//! does the message say: `decide::narrate`. What was sent: `act`. When is it tried again: `control::retry` after an
//! error, the decision's own wake-up otherwise. What is kept of an attempt: `decide::chronicle`, written by
//! `record::ledger`; what people are told of it: `decide::tidings`, sent by `notify`. Every word of a condition or event: `api::conditions::Reason`.

pub use llmrollout_core::{api, decide, metrics, routers, stats};

pub mod act;
pub mod cli;
pub mod control;
pub mod line;
pub mod notify;
pub mod observe;
pub mod record;
pub mod serve;
pub mod settings;
pub mod telemetry;
