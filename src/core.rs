//! The pure half of the operator, a crate of its own: what the manifest may say, and what follows from what was seen. It
//! knows no client, no clock and no task; its `Cargo.toml` could not name them. `lib.rs` is the map of the whole.

pub mod api;
pub mod decide;
pub mod metrics;
pub mod routers;
pub mod stats;
