//! A provider's answer to a question for raw samples: its bytes in, series with their points out, or why there are none.
//! As strict as a single figure, and bounded: a document has its cap before it comes here. Never judges a value.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::number;
use crate::metrics::{
    NoData,
    raw::{Point, Series},
};

/// Labels that name the process whose counter it is, the surest first.
const PROCESS: [&str; 4] = ["pod", "exported_pod", "instance", "exported_instance"];

/// More series than any two colors have: somebody's selector is wrong.
const MOST_SERIES: usize = 4096;

#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    warnings: Option<Vec<serde::de::IgnoredAny>>,
    #[serde(default, rename = "isPartial")]
    is_partial: Option<bool>,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    result_type: String,
    result: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    metric: BTreeMap<String, String>,
    #[serde(default)]
    values: Option<Vec<(f64, String)>>,
}

/// The series in an answer. No series is an answer too: a counter of errors has none before the first.
pub fn series(body: &[u8]) -> Result<Vec<Series>, NoData> {
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|e| NoData::WrongShape(if e.is_data() { "not a matrix of the query API" } else { "not JSON" }))?;
    if answer.status != "success" {
        return Err(NoData::WrongShape("status is not success"));
    }
    if answer.warnings.is_some_and(|all| !all.is_empty()) || answer.is_partial == Some(true) {
        return Err(NoData::Partial);
    }
    let data = answer.data.ok_or(NoData::WrongShape("no data"))?;
    match data.result_type.as_str() {
        "matrix" => {}
        "vector" | "scalar" => return Err(NoData::WrongShape("a figure instead of a range of samples")),
        _ => return Err(NoData::WrongShape("no known result type")),
    }
    if data.result.len() > MOST_SERIES {
        return Err(NoData::ManySeries(data.result.len()));
    }
    data.result.into_iter().map(one).collect()
}

fn one(row: Row) -> Result<Series, NoData> {
    let values = row.values.ok_or(NoData::WrongShape("a series without values"))?;
    let mut points = Vec::with_capacity(values.len());
    for (at, value) in values {
        match number(&value) {
            Ok(value) if at.is_finite() => points.push(Point { at, value }),
            // A sample that is no number says nothing; it never becomes a zero.
            Err(NoData::NotFinite) => {}
            Ok(_) => return Err(NoData::WrongShape("a time is not a number")),
            Err(why) => return Err(why),
        }
    }
    let process = PROCESS.iter().find_map(|label| row.metric.get(*label)).cloned().unwrap_or_default();
    // Two label sets never make the same key: quotes and backslashes are written out.
    let name = format!("{:?}", row.metric);
    Ok(Series { name, process, points })
}
