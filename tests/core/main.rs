//! What is claimed of the pure rooms, in one binary: scenarios, properties, any snapshot, every query. Modules only.
#![cfg(test)]

extern crate llmrollout_core as llmrollout;

mod anything;
mod book;
mod counted;
mod draw;
mod evidence;
#[path = "../it/files.rs"]
mod files;
mod flagd;
mod forecasts;
mod forward;
mod frame;
mod gitops;
mod groups;
mod hook;
mod jobs;
mod json_patch;
mod legacy;
mod objects;
mod odds;
mod orders;
mod pages;
mod phases;
mod plans;
mod properties;
mod queries;
mod raw;
mod room;
mod routes;
mod scenarios;
mod sights;
mod standstill;
mod testers;
mod total;
mod world;
