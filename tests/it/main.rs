//! One binary for all integration tests: linking a dozen costs more than running them. Modules only.
#![cfg(test)]

mod act_wire;
mod architecture;
mod backtest;
mod boards;
mod convert;
mod crds;
mod docs;
mod faults;
mod fields;
mod files;
mod gitops;
mod ledger;
mod lint;
mod outcome;
mod pages;
mod picture;
mod planned;
mod samples;
mod schema;
mod simulate;
mod source;
mod watch;
mod webhook_wire;
mod yaml;
