//! Pure knowledge about metrics: units, prices, questions in `PromQL`, and what an answer may mean.
//! Never a client, a clock or a cluster: `observe::prometheus` sends the questions, `decide::gate` judges the readings.

pub mod answer;
pub mod question;
pub mod reading;
pub mod unit;
pub mod vllm;

pub use question::{Question, Template};
pub use reading::{NoData, Reading, Sample};
pub use unit::{Limit, Prices, UnitError};
