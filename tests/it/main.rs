//! One binary for all integration tests: linking a dozen costs more than running them. Modules only.
#![cfg(test)]

mod act_wire;
mod architecture;
mod crds;
mod docs;
mod evidence;
mod files;
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
mod source;
mod standstill;
mod world;
