//! A provider's answers to instant queries: their bytes in, finite figures out, or why there are none. Strict, because
//! every shape that is let through by accident is a gate that passes by accident. Never keeps or repeats a provider's text.

pub mod matrix;
mod tree;

use self::tree::Node;
use super::{NoData, Sample};
use crate::api::Moment;

/// Seconds by which a provider's clock and ours may differ. Further away an answer was not made for this question: it
/// was kept by somebody in between, or a clock has gone wild. Either way its window is not the one that was asked for.
const APART: f64 = 60.0;

/// One figure, and the instant for which the provider evaluated it, in its own seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// The figure.
    pub value: f64,
    /// The instant.
    pub at: f64,
}

/// The one figure in an answer to a question that was asked at `asked`.
pub fn figure(body: &[u8], asked: Moment) -> Result<Figure, NoData> {
    let answer = tree::read(body)
        .map_err(|error| NoData::WrongShape(if error.is_data() { "a field stands there twice" } else { "not JSON" }))?;
    if answer.get("status").and_then(Node::text) != Some("success") {
        return Err(NoData::WrongShape("status is not success"));
    }
    if partial(&answer) {
        return Err(NoData::Partial);
    }
    let data = answer.get("data").ok_or(NoData::WrongShape("no data"))?;
    match data.get("resultType").and_then(Node::text) {
        Some("vector") => {}
        Some("scalar") => return Err(NoData::WrongShape("a scalar instead of a vector")),
        Some("matrix") => return Err(NoData::WrongShape("a matrix instead of a vector")),
        Some("string") => return Err(NoData::WrongShape("a string instead of a vector")),
        _ => return Err(NoData::WrongShape("no known result type")),
    }
    match data.get("result") {
        Some(Node::List(series, count)) => match series.as_slice() {
            [] => Err(NoData::Empty),
            [one] => one_figure(one, asked),
            _ => Err(NoData::ManySeries(*count)),
        },
        _ => Err(NoData::WrongShape("result is not a list")),
    }
}

/// A value with the count that it rests on, of one and the same instant. A second is what a provider may round by.
pub fn sample(samples: Figure, value: Figure) -> Result<Sample, NoData> {
    if (samples.at - value.at).abs() > 1.0 {
        return Err(NoData::WrongShape("a value of another instant than its samples"));
    }
    Ok(Sample { value: value.value, samples: samples.value })
}

/// Whether the provider says that something is missing: Prometheus and Thanos by warnings, `VictoriaMetrics` by a flag.
fn partial(answer: &Node) -> bool {
    let warned = match answer.get("warnings") {
        None | Some(Node::Null) => false,
        Some(Node::List(_, count)) => *count > 0,
        Some(_) => true,
    };
    warned || answer.get("isPartial").is_some_and(|flag| flag != &Node::Bool(false))
}

fn one_figure(series: &Node, asked: Moment) -> Result<Figure, NoData> {
    let Some(pair) = series.get("value") else {
        let native = series.get("histogram").is_some();
        return Err(NoData::WrongShape(if native { "a native histogram" } else { "a series without a value" }));
    };
    let (at, value) = match pair {
        Node::List(items, 2) => match items.as_slice() {
            [at, value] => (at, value),
            _ => return Err(NoData::WrongShape("a value is not a pair")),
        },
        _ => return Err(NoData::WrongShape("a value is not a pair")),
    };
    let Node::Number(at) = *at else { return Err(NoData::WrongShape("a time is not a number")) };
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit an f64 for millions of years")]
    let apart = (at - asked.unix() as f64).abs();
    if apart > APART {
        return Err(NoData::WrongShape("evaluated for an instant more than a minute away from our clock"));
    }
    let value = number(value.text().ok_or(NoData::WrongShape("a value is not a string"))?)?;
    Ok(Figure { value, at })
}

/// A finite decimal number.
fn number(text: &str) -> Result<f64, NoData> {
    if matches!(text, "NaN" | "+Inf" | "-Inf") {
        return Err(NoData::NotFinite);
    }
    if !is_decimal(text) {
        return Err(NoData::WrongShape("a value is not a decimal number"));
    }
    let value: f64 = text.parse().map_err(|_| NoData::WrongShape("a value is not a decimal number"))?;
    // No negative zero: it would be shown as one.
    if value.is_finite() { Ok(value + 0.0) } else { Err(NoData::NotFinite) }
}

/// `-`? digits (`.` digits)? (`e` sign? digits)? in ASCII: what Go prints, and no more. Rust alone would read `inf` and `+1`.
fn is_decimal(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let mantissa = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let mantissa = match mantissa.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(mantissa),
    };
    mantissa && exponent.is_none_or(|e| digits(e.strip_prefix(['+', '-']).unwrap_or(e)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Figure, NoData, figure, sample};
    use crate::api::Moment;

    const NOW: Moment = Moment::from_unix(1_790_000_000);

    fn vector(result: &str) -> String {
        format!(r#"{{"status":"success","data":{{"resultType":"vector","result":{result}}}}}"#)
    }

    fn value(text: &str) -> String {
        vector(&format!(r#"[{{"metric":{{}},"value":[1790000000.5,"{text}"]}}]"#))
    }

    #[test]
    fn reads_what_prometheus_writes() {
        for (text, expected) in [
            ("0", 0.0),
            ("-0", 0.0),
            ("0.25", 0.25),
            ("-1.5", -1.5),
            ("1e-07", 1e-7),
            ("1e+21", 1e21),
            ("123456.789", 123_456.789),
            ("1E3", 1000.0),
        ] {
            let read = figure(value(text).as_bytes(), NOW);
            assert_eq!(read, Ok(Figure { value: expected, at: 1_790_000_000.5 }), "{text}");
            assert!(read.is_ok_and(|f| f.value != 0.0 || f.value.is_sign_positive()), "{text}");
        }
        let with_notes = r#"{"status":"success","infos":["x"],"warnings":[],"isPartial":false,
            "data":{"resultType":"vector","result":[{"metric":{},"value":[1790000000,"1"]}],"stats":{}}}"#;
        assert_eq!(figure(with_notes.as_bytes(), NOW), Ok(Figure { value: 1.0, at: 1_790_000_000.0 }));
    }

    #[test]
    fn each_odd_answer_has_its_own_reason() {
        let shape = NoData::WrongShape;
        let one = r#"{"metric":{},"value":[1790000000,"1"]}"#;
        let cases = [
            ("<html>200 OK</html>".to_owned(), shape("not JSON")),
            (r#"{"status":"error","errorType":"x","error":"secret"}"#.to_owned(), shape("status is not success")),
            (r#"{"status":"success"}"#.to_owned(), shape("no data")),
            (vector("null"), shape("result is not a list")),
            (r#"{"status":"success","data":{"result":[]}}"#.to_owned(), shape("no known result type")),
            (
                r#"{"status":"success","data":{"resultType":"scalar","result":[1790000000,"1"]}}"#.to_owned(),
                shape("a scalar instead of a vector"),
            ),
            (
                r#"{"status":"success","data":{"resultType":"string","result":[1790000000,"1"]}}"#.to_owned(),
                shape("a string instead of a vector"),
            ),
            (
                r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#.to_owned(),
                shape("a matrix instead of a vector"),
            ),
            (vector("[]"), NoData::Empty),
            (vector(&format!("[{one},{one}]")), NoData::ManySeries(2)),
            (vector(r#"[{"metric":{}}]"#), shape("a series without a value")),
            (vector(r#"[{"metric":{},"histogram":[1790000000,{}]}]"#), shape("a native histogram")),
            (vector(r#"[{"metric":{},"value":[1790000000,"1",2]}]"#), shape("a value is not a pair")),
            (vector(r#"[{"metric":{},"value":["x","1"]}]"#), shape("a time is not a number")),
            (vector(r#"[{"metric":{},"value":[1790000000,1]}]"#), shape("a value is not a string")),
            (
                vector(r#"[{"metric":{},"value":[32503680000,"1"]}]"#),
                shape("evaluated for an instant more than a minute away from our clock"),
            ),
            (value("NaN"), NoData::NotFinite),
            (value("0x1p3"), shape("a value is not a decimal number")),
            (value("1").replacen('{', r#"{"status":"success","#, 1), shape("a field stands there twice")),
            (format!(r#"{{"warnings":["secret"],{}"#, &vector(&format!("[{one}]"))[1..]), NoData::Partial),
        ];
        let mut reasons = BTreeSet::new();
        for (body, expected) in cases {
            assert_eq!(figure(body.as_bytes(), NOW), Err(expected.clone()), "{body}");
            assert!(!expected.to_string().contains("secret"));
            assert!(reasons.insert(expected), "each reason once: {body}");
        }
    }

    #[test]
    fn a_value_rests_on_samples_of_its_own_instant() {
        let at = |at: f64| Figure { value: at - 1000.0, at };
        assert_eq!(sample(at(1000.5), at(1001.0)).map(|s| (s.samples, s.value)), Ok((0.5, 1.0)));
        assert!(sample(at(1000.0), at(1001.5)).is_err() && sample(at(1001.5), at(1000.0)).is_err());
    }

    #[test]
    fn a_million_series_are_counted() {
        let body = vector(&format!("[{}0]", "{},".repeat(999_999)));
        assert_eq!(figure(body.as_bytes(), NOW), Err(NoData::ManySeries(1_000_000)));
    }

    #[test]
    fn other_spellings_of_no_number() {
        for text in ["+Inf", "-Inf", "1e999", "-1e999"] {
            assert_eq!(figure(value(text).as_bytes(), NOW), Err(NoData::NotFinite), "{text}");
        }
        for text in [
            "", " 1 ", "1 ", "+1", "inf", "Inf", "nan", "infinity", "1_000", "1,5", "٣", "1e", "e1", ".5", "1.", "--1",
            "1e+", "0b1",
        ] {
            assert_eq!(
                figure(value(text).as_bytes(), NOW),
                Err(NoData::WrongShape("a value is not a decimal number")),
                "{text:?}"
            );
        }
        for time in ["-1", "1e300", "1789999939.9", "1790000060.1"] {
            let body = vector(&format!(r#"[{{"metric":{{}},"value":[{time},"1"]}}]"#));
            let apart = NoData::WrongShape("evaluated for an instant more than a minute away from our clock");
            assert_eq!(figure(body.as_bytes(), NOW), Err(apart), "{time}");
        }
        for body in [
            String::new(),
            "[]".into(),
            "null".into(),
            "\"success\"".into(),
            vec!["["; 10_000].concat(),
            r#"{"status":"success","isPartial":true}"#.into(),
            r#"{"status":"success","warnings":"x"}"#.into(),
            value("1") + "x",
        ] {
            assert!(figure(body.as_bytes(), NOW).is_err(), "{body}");
        }
    }
}
