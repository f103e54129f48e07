//! One binary for all integration tests: linking a dozen costs more than running them. Modules only.
#![cfg(test)]

mod act_wire;
mod anything;
mod architecture;
mod crds;
mod docs;
mod draw;
mod evidence;
mod files;
mod forward;
mod json_patch;
mod objects;
mod outcome;
mod plans;
mod properties;
mod queries;
mod routes;
mod samples;
mod scenarios;
mod schema;
mod sights;
mod source;
mod standstill;
mod total;
mod world;
