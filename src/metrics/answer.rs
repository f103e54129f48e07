//! A provider's answer to an instant query: its bytes in, one finite figure out, or why there is none. Strict, because
//! every shape that is let through by accident is a gate that passes by accident. Never keeps or repeats a provider's text.

use serde_json::Value;

use super::NoData;
use crate::api::Moment;

/// A sample further away from our time was not evaluated for this question: a replay, or a clock gone wild.
const FAR: f64 = 86_400.0;

/// The one figure in an answer that was read at `now`.
pub fn figure(body: &[u8], now: Moment) -> Result<f64, NoData> {
    let answer: Value = serde_json::from_slice(body).map_err(|_| NoData::WrongShape("not JSON"))?;
    if answer.get("status").and_then(Value::as_str) != Some("success") {
        return Err(NoData::WrongShape("status is not success"));
    }
    if partial(&answer) {
        return Err(NoData::Partial);
    }
    let data = answer.get("data").ok_or(NoData::WrongShape("no data"))?;
    match data.get("resultType").and_then(Value::as_str) {
        Some("vector") => {}
        Some("scalar") => return Err(NoData::WrongShape("a scalar instead of a vector")),
        Some("matrix") => return Err(NoData::WrongShape("a matrix instead of a vector")),
        Some("string") => return Err(NoData::WrongShape("a string instead of a vector")),
        _ => return Err(NoData::WrongShape("no known result type")),
    }
    let series = data.get("result").and_then(Value::as_array).ok_or(NoData::WrongShape("result is not a list"))?;
    match series.as_slice() {
        [] => Err(NoData::Empty),
        [one] => sample(one, now),
        many => Err(NoData::ManySeries(many.len())),
    }
}

/// Whether the provider says that something is missing: Prometheus and Thanos by warnings, `VictoriaMetrics` by a flag.
fn partial(answer: &Value) -> bool {
    let warned = match answer.get("warnings") {
        None | Some(Value::Null) => false,
        Some(Value::Array(warnings)) => !warnings.is_empty(),
        Some(_) => true,
    };
    warned || answer.get("isPartial").is_some_and(|flag| flag != &Value::Bool(false))
}

fn sample(series: &Value, now: Moment) -> Result<f64, NoData> {
    let Some(pair) = series.get("value") else {
        let native = series.get("histogram").is_some();
        return Err(NoData::WrongShape(if native { "a native histogram" } else { "a series without a value" }));
    };
    let Some([at, value]) = pair.as_array().map(Vec::as_slice) else {
        return Err(NoData::WrongShape("a value is not a pair"));
    };
    let at = at.as_f64().ok_or(NoData::WrongShape("a time is not a number"))?;
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit an f64 for millions of years")]
    let apart = (at - now.unix() as f64).abs();
    if apart > FAR {
        return Err(NoData::WrongShape("a time more than a day away"));
    }
    number(value.as_str().ok_or(NoData::WrongShape("a value is not a string"))?)
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
    if !value.is_finite() {
        Err(NoData::NotFinite)
    } else {
        // No negative zero: it would be shown as one.
        Ok(value + 0.0)
    }
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

    use super::{NoData, figure};
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
            assert_eq!(read, Ok(expected), "{text}");
            assert!(read.is_ok_and(|v| v != 0.0 || v.is_sign_positive()), "{text}");
        }
        let with_notes = r#"{"status":"success","infos":["x"],"warnings":[],"isPartial":false,
            "data":{"resultType":"vector","result":[{"metric":{},"value":[1790000000,"1"]}],"stats":{}}}"#;
        assert_eq!(figure(with_notes.as_bytes(), NOW), Ok(1.0));
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
            (vector(r#"[{"metric":{},"value":[1]}]"#), shape("a value is not a pair")),
            (vector(r#"[{"metric":{},"value":["x","1"]}]"#), shape("a time is not a number")),
            (vector(r#"[{"metric":{},"value":[1790000000,1]}]"#), shape("a value is not a string")),
            (vector(r#"[{"metric":{},"value":[32503680000,"1"]}]"#), shape("a time more than a day away")),
            (value("NaN"), NoData::NotFinite),
            (value("0x1p3"), shape("a value is not a decimal number")),
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
        for time in ["-1", "1e300", "1789900000"] {
            let body = vector(&format!(r#"[{{"metric":{{}},"value":[{time},"1"]}}]"#));
            assert_eq!(figure(body.as_bytes(), NOW), Err(NoData::WrongShape("a time more than a day away")), "{time}");
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
