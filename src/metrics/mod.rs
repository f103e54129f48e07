//! Pure knowledge about metrics: units, prices, questions in `PromQL`, and what an answer may mean.
//! Never a client, a clock or a cluster: `observe::prometheus` sends the questions, `decide::gate` judges the readings.
//!
//! A gate asks for a `Metric`; `ask` looks up the exporter's `Table` in `profiles` and lets `need` write the text with
//! the pieces of `promql` about the series of one color, which `scope` selects.

pub mod answer;
pub mod ask;
mod buckets;
mod cost;
pub mod even;
mod gpu;
pub mod hints;
pub mod k6;
pub mod metric;
mod need;
pub mod number;
pub mod probe;
mod profiles;
mod promql;
pub mod question;
pub mod raw;
pub mod reading;
mod scope;
pub mod source;
pub mod subject;
mod table;
pub mod told;
pub mod unit;

pub use ask::{Ask, question};
pub use buckets::Place;
pub use cost::{NO_GPU_PRICE, NO_PRICES};
pub use number::{About, JobNumber, Number};
pub use profiles::exporters;
pub use question::{Question, Template};
pub use reading::{NoData, Reading, Sample};
pub use source::Source;
pub use subject::{Query, Subject};
pub use table::NotAvailable;
pub use told::Told;
pub use unit::{Limit, Prices, UnitError};
