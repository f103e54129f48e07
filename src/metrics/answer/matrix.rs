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

#[cfg(test)]
mod tests {
    use super::series;
    use crate::metrics::{
        NoData,
        raw::{Point, Series},
    };

    fn answer(result: &str) -> Vec<u8> {
        format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{result}]}}}}"#).into_bytes()
    }

    #[test]
    fn series_keep_their_labels_apart_and_their_samples_in_order() {
        let told = answer(
            r#"{"metric":{"pod":"a","code":"500"},"values":[[1.5,"1"],[16.5,"2.5e3"]]},{"metric":{"instance":"b:80"},"values":[]}"#,
        );
        let [a, b] = <[Series; 2]>::try_from(series(&told).unwrap()).unwrap();
        assert_eq!((a.process.as_str(), b.process.as_str()), ("a", "b:80"));
        assert_ne!(a.name, b.name);
        assert_eq!(a.points, [Point { at: 1.5, value: 1.0 }, Point { at: 16.5, value: 2500.0 }]);
        assert_eq!(series(&answer("")), Ok(vec![]), "no series is an answer");
        let quoted = answer(r#"{"metric":{"a":"b\",\"c\":\"d"},"values":[]},{"metric":{"a":"b","c":"d"},"values":[]}"#);
        let [a, b] = <[Series; 2]>::try_from(series(&quoted).unwrap()).unwrap();
        assert_ne!(a.name, b.name, "no label can pretend to be two");
    }

    #[test]
    fn a_sample_that_is_no_number_is_left_out_and_never_a_zero() {
        let told = answer(r#"{"metric":{},"values":[[1,"1"],[2,"NaN"],[3,"+Inf"],[4,"-Inf"],[5,"2"]]}"#);
        let points: Vec<f64> = series(&told).unwrap()[0].points.iter().map(|p| p.at).collect();
        assert_eq!(points, [1.0, 5.0]);
    }

    #[test]
    fn what_is_no_matrix_is_refused_in_our_words() {
        let figure = |kind: &str| format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":[]}}}}"#);
        let odd: [(String, NoData); 12] = [
            ("".to_owned(), NoData::WrongShape("not JSON")),
            ("{".to_owned(), NoData::WrongShape("not JSON")),
            ("[]".to_owned(), NoData::WrongShape("not a matrix of the query API")),
            (figure("vector"), NoData::WrongShape("a figure instead of a range of samples")),
            (figure("scalar"), NoData::WrongShape("a figure instead of a range of samples")),
            (figure("string"), NoData::WrongShape("no known result type")),
            (r#"{"status":"error"}"#.to_owned(), NoData::WrongShape("status is not success")),
            (r#"{"status":"success"}"#.to_owned(), NoData::WrongShape("no data")),
            (figure("matrix").replace("\"data\"", r#""warnings":["x"],"data""#), NoData::Partial),
            (figure("matrix").replace("\"data\"", r#""isPartial":true,"data""#), NoData::Partial),
            (
                figure("matrix").replace("[]", r#"[{"metric":{},"histograms":[]}]"#),
                NoData::WrongShape("a series without values"),
            ),
            (
                figure("matrix").replace("[]", r#"[{"metric":{},"values":[[1,"1_0"]]}]"#),
                NoData::WrongShape("a value is not a decimal number"),
            ),
        ];
        for (text, why) in odd {
            assert_eq!(series(text.as_bytes()), Err(why), "{text}");
        }
        for values in [r#"[[1]]"#, r#"[[1,"1",2]]"#, r#"[["1","1"]]"#, r#"[[1,1]]"#, r#"[[null,"1"]]"#, "7"] {
            let text = answer(&format!(r#"{{"metric":{{}},"values":{values}}}"#));
            assert!(matches!(series(&text), Err(NoData::WrongShape(_))), "{values}");
        }
        let twice = r#"{"metric":{},"values":[],"values":[]}"#;
        assert!(series(&answer(twice)).is_err(), "a field twice");
        let deep =
            answer(&format!(r#"{{"metric":{{}},"x":{}{},"values":[]}}"#, "[".repeat(100_000), "]".repeat(100_000)));
        assert!(series(&deep).is_ok(), "what is not looked at costs no stack");
    }

    #[test]
    fn more_series_than_two_colors_have_are_somebody_elses() {
        let one = r#"{"metric":{},"values":[]}"#;
        let many = vec![one; super::MOST_SERIES + 1].join(",");
        assert_eq!(series(&answer(&many)), Err(NoData::ManySeries(super::MOST_SERIES + 1)));
    }
}
